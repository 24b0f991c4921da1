"""Old addresses of the documentation: pages that were split or merged lead to the pages that have their text now."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx

PARTS = {
    "how-to/reset-safely": ("how-to/reset-people", "how-to/reset-everyone", "how-to/when-a-reset-fails"),
    "how-to/test-your-script": (
        "how-to/test-with-pytest",
        "how-to/patch-httpx-or-requests",
        "how-to/simulate-time-and-faults",
        "how-to/test-webhooks",
        "how-to/use-your-own-data",
        "how-to/other-languages",
    ),
    "how-to/use-in-ci": ("how-to/other-languages",),
    "explanation/differences": ("explanation/wire",),
    "explanation/wire": ("reference/http-answers", "reference/control-plane"),
    "explanation/how-a-reset-goes": ("start/limits",),
    "reference/client": ("reference/operations",),
    "reference/resets": ("reference/reset-plans", "reference/reset-reports", "reference/reset-format"),
    "reference/models": ("reference/models-progress", "reference/models-people", "reference/models-webhooks"),
    "reference/errors": ("reference/reasons",),
    "reference/records": ("reference/journal",),
    "reference/reference-server": ("reference/run-the-server", "reference/control-plane"),
}
"""An old page, and the pages that its text went to. A page that still exists keeps the rest of its text."""

_ID = re.compile(r'<(?:section|span|dt)\b[^>]* id="([^"]+)"')
_MARK = "<!-- moved -->"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Moved</title>
<link rel="canonical" href="{default}">
<script>location.replace({choice});</script>
<noscript><meta http-equiv="refresh" content="0; url={default}"></noscript>
</head>
<body><p>This page has moved to <a href="{default}">{default}</a>.</p></body>
</html>
"""
_SCRIPT = """{mark}<script>{{
  const id = decodeURIComponent(location.hash.slice(1)), to = {choice};
  if (id && !document.getElementById(id) && to) location.replace(to);
}}</script>
"""


def anchors(page: Path) -> list[str]:
    """The ids in a built page that an address can name."""
    return _ID.findall(page.read_text(encoding="utf-8"))


def moved(folder: Path, old: str) -> dict[str, str]:
    """Each anchor of the parts of an old page, with its address relative to that page.

    A member of a class or of a module is left out: its class leads there.
    """
    up = "../" * old.count("/")
    found: dict[str, str] = {}
    for part in PARTS[old]:
        for anchor in anchors(folder / f"{part}.html"):
            found.setdefault(anchor, f"{up}{part}.html")
    return {anchor: page for anchor, page in found.items() if not _shorter(anchor, found)}


def _shorter(anchor: str, known: Iterable[str]) -> bool:
    pieces = anchor.split(".")
    return any(".".join(pieces[:end]) in known for end in range(1, len(pieces)))


def write(app: Sphinx, error: Exception | None) -> None:
    """Write a page for every old address, and lead on from pages that still exist."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for old, parts in PARTS.items():
        page = folder / f"{old}.html"
        table = json.dumps(moved(folder, old), sort_keys=True)
        if old in app.env.found_docs:
            _add(page, _SCRIPT.format(mark=_MARK, choice=_choice(table, "undefined")))
        else:
            page.parent.mkdir(exist_ok=True)
            default = f"{'../' * old.count('/')}{parts[0]}.html"
            page.write_text(
                _PAGE.format(default=default, choice=_choice(table, json.dumps(default))), "utf-8"
            )


def _choice(table: str, default: str) -> str:
    """JavaScript for the address that belongs to the anchor: its own, that of the class it is in, or the default."""
    return (
        "((id, moved) => { for (let key = id; key; key = key.slice(0, Math.max(key.lastIndexOf('.'), 0))) "
        f"if (moved[key]) return moved[key] + '#' + id; return {default}; }})"
        f"(decodeURIComponent(location.hash.slice(1)), {table})"
    )


def _add(page: Path, script: str) -> None:
    text = page.read_text(encoding="utf-8").partition(_MARK)
    body = text[0] if text[1] else text[0].rpartition("</body>")[0]
    page.write_text(f"{body}{script}</body>\n</html>\n", encoding="utf-8")
