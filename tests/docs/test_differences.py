"""The page of what is not known is made from the marks, and forgets none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs import _generate
from docs._generate import differences
from mock_server.api.routes import OPERATIONS

PAGE = _generate.DOCS / "explanation" / "wire.md"


def test_every_unsure_operation_and_field_is_on_the_page() -> None:
    text = _generate.expand(PAGE.read_text(encoding="utf-8"))
    page = text.partition("## Operations neither published nor observed\n")[2]
    for each in OPERATIONS:
        named = f"| {each.name}<br>" in page
        assert named is (each.provenance in "TA"), each.name
    for field in ("completion_expiry_date", "averageScore", "`LessonCount`, `TranslationOriginalCourse`"):
        assert field in text
    assert "| WhoAmI |" not in page  # published to the last field


def test_kept_findings_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No live service has been compared" in differences.findings()
    kept = tmp_path / "findings.json"
    found = {"grade": "error", "operation": "WhoAmI", "place": "lastname", "said": "is null, ours is text"}
    kept.write_text(json.dumps({"asked": ["WhoAmI"], "findings": [found]}), encoding="utf-8")
    monkeypatch.setattr(differences, "FINDINGS", kept)
    assert "| error | WhoAmI | `lastname` | is null, ours is text |" in differences.findings()
