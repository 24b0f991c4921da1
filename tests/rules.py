"""Numbers of the rules that are built, read off the page of rules."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PAGE = (ROOT / "docs" / "explanation" / "rules.md").read_text(encoding="utf-8")
RULES = sorted(re.findall(r"^<!-- generate: tests (R\d\d) -->$", _PAGE, re.MULTILINE))
