"""Commands of ``training-sdk`` against the demo organisation, and what programs read of what they end with.

A session is a list of lines in an empty folder; ``{...}`` is the phrase of the plan in that file. A record holds the
exit code; of ``--json`` documents and of JSON files that were written every key with the types below it; and of exports
the text, in which what differs from run to run is replaced.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import time_machine

from mock_server import MockTraining
from record.replay import NOW, Line
from training_sdk.cli import main

_PHRASE = re.compile(r"\{(\S+?)\}")
_MASKED = (
    (re.compile(r"\b[0-9a-f]{16}-\d{8}T\d{6}\.\d+Z\b"), "PACK"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{4}(?:-[0-9a-f]{4}){3}\b"), "TAIL"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "SERVER"),
)
ENDS = Path(__file__).with_name("commands.json")
EXPORTS = ("--format", "--people-template", "export")

_ONE = "jonas.krueger@nordwerk.example"
_TWO = "--user jonas.krueger@nordwerk.example --user fatma.yildiz@nordwerk.example"
_REASON = "--reason 'After the incident' --ticket SAFE-1"

SESSIONS: dict[str, list[str]] = {
    "lists": [
        "courses --json",
        "courses --search forklift --json",
        "paths --json",
        "groups --json",
        "sites --json",
        "progress --course 'Erste Hilfe im Betrieb 🩹' --json",
        "progress --status completed --limit 3 --json",
        "progress --course 'Erste Hilfe im Betrieb 🩹' --format exporter-csv",
        f"progress --user {_ONE} --json",
        "whoami --json",
        "doctor --json",
        "courses",
        "nonsense",
        "courses --nonsense",
        "progress --limit 0",
        "completion bash",
        "--version",
        "courses --base-url http://127.0.0.1:1 --max-retry 0 --json",
    ],
    "refused plans": [
        "plan --course 'Onboarding 2027 🚚' --json",
        "plan --course 'No such course' --everyone --json",
        "plan --course 'Brandschutzübung' --everyone --json",
        "plan --course 'Onboarding 2027 🚚' --user nobody@nordwerk.example --json",
        "plan --course 'Onboarding 2027 🚚' --user '' --json",
        "plan --course 'Onboarding 2027 🚚' --group Nowhere --json",
        "plan --course 'Onboarding 2027 🚚' --everyone --completed-before 2026-01-01 --json",
        "show missing.json --json",
        "apply missing.json --reason x --json",
        "report missing.json --json",
        "resume 0000-0000-0000-0000 --json",
        "report --list --json",
        "audit verify --json",
        "audit show --json",
        "evidence list --json",
    ],
    "plan, apply, verify, report": [
        "plan --people-template",
        f"plan --course 'Forklift basics' {_TWO} --json",
        f"plan --course 'Forklift basics' {_TWO} --save plan.json --card card.html --json",
        "plan --course 'Forklift basics' --group Lager --site Hamburg --save group.json --json",
        "plan --course 'Forklift basics' --everyone --only completed --save completed.json --json",
        "plan --course 'Forklift basics' --course 'Data protection in 20 minutes' --everyone --save two.json --json",
        "show plan.json --json",
        f"apply plan.json {_REASON} --confirm wrong --json",
        "apply plan.json --confirm '{plan.json}' --json",
        f"apply plan.json {_REASON} --confirm '{{plan.json}}' --json",
        f"apply plan.json {_REASON} --confirm '{{plan.json}}' --json",
        "report plan.json --json",
        "report --list --json",
        "verify plan.json --deadline 1m --every 1s --json",
        "resume plan.json --confirm '{plan.json}' --json",
        f"apply group.json {_REASON} --confirm '{{group.json}}' --json",
        f"apply group.json {_REASON} --tolerance 50 --confirm '{{group.json}}' --json",
        f"apply two.json {_REASON} --tolerance 50 --per-request 1 --confirm '{{two.json}}' --json",
        "plan close completed.json --reason 'Not needed' --json",
        "sign two.json --confirm '{two.json}' --json",
        "audit verify --json",
        "audit show --json",
        "audit export --format csv",
        "audit export --format json",
        "evidence list --json",
        "evidence verify --json",
        "evidence history --json",
        f"evidence history --user {_ONE} --json",
        "evidence purge --older-than 1 --dry-run --json",
    ],
    "recertification": [
        "due --course 'Forklift basics' --years 1 --zone Europe/Berlin --json",
        "due --course 'Forklift basics' --days 1 --zone Europe/Berlin --json",
        "due --course 'Forklift basics' --days 1 --zone Europe/Berlin --save due.json --json",
        "due --course 'Forklift basics' --days 1 --zone Europe/Berlin --on 2031-01-01 --save late.json --json",
        "due --course 'Forklift basics' --days 1 --zone Nowhere/Zone --json",
        "apply due.json --reason Recertification --confirm '{due.json}' --json",
        "verify due.json --deadline 1m --every 1s --json",
        "due --course 'Forklift basics' --days 1 --zone Europe/Berlin --json",
    ],
    "one call for everyone": [
        "plan --course 'Forklift basics' --everyone --save everyone.json --json",
        f"apply everyone.json --server-side {_REASON} --confirm '{{everyone.json}}' --json",
        "verify everyone.json --deadline 1m --every 1s --json",
        "report everyone.json --json",
    ],
    "a proof on the reference server": [
        f"prove --course 'Forklift basics' --person {_ONE} --reason Proof --json",
    ],
}


def recorded() -> dict[str, list[Line]]:
    """What every session came to when it was recorded."""
    kept: dict[str, list[Line]] = json.loads(ENDS.read_text())
    return kept


def shape(value: Any) -> Any:
    """The keys of a JSON document with the types below them; lists by the shapes they hold."""
    if isinstance(value, dict):
        keys = {_masked(name): shape(each) for name, each in value.items()}
        return dict(sorted(keys.items()))
    if isinstance(value, list):
        shapes = {json.dumps(shape(each), sort_keys=True) for each in value}
        return [json.loads(each) for each in sorted(shapes)]
    return type(value).__name__


def run_session(lines: list[str], folder: Path) -> Iterator[tuple[str, Line]]:
    """Run every line in this folder, and give each with what a record holds of it."""
    mock = MockTraining.demo()
    with (
        time_machine.travel(NOW),
        mock.serve(port=0) as server,
        patch.dict(os.environ, _environment(mock, server.url, folder)),
    ):
        for line in lines:
            yield line, _ran(shlex.split(_filled(line, folder)), folder)


def _environment(mock: MockTraining, url: str, folder: Path) -> dict[str, str]:
    return {
        "SAFETYCULTURE_API_TOKEN": mock.token("admin"),
        "SAFETYCULTURE_BASE_URL": url,
        "LOGNAME": "recorder",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TRAINING_SDK_STATE_DIR": str(folder / "state"),
    }


def _filled(line: str, folder: Path) -> str:
    def phrase(found: re.Match[str]) -> str:
        path = folder / found[1]
        return str(json.loads(path.read_text())["phrase"]) if path.exists() else "no such plan"

    return _PHRASE.sub(phrase, line)


def _ran(arguments: list[str], folder: Path) -> Line:
    before = set(folder.glob("*"))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", io.StringIO()):
        code = main(arguments)
    found: Line = {"exit": code}
    if "--json" in arguments:
        found["json"] = shape(json.loads(out.getvalue())) if out.getvalue() else None
    elif any(option in arguments for option in EXPORTS):
        found["text"] = _masked(out.getvalue())
    for path in sorted(set(folder.glob("*.json")) - before):
        found[f"wrote {path.name}"] = shape(json.loads(path.read_text()))
    return found


def _masked(text: str) -> str:
    for pattern, name in _MASKED:
        text = pattern.sub(name, text)
    return text
