"""Open questions and differences: from the marks of provenance in the contract, and from findings on a live service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs._generate.tables import PROVENANCE, table
from mock_server.api.openapi import document
from mock_server.api.routes import OPERATIONS
from mock_server.wire.schema import MARK

FINDINGS = Path(__file__).parents[1] / "findings.json"
"""What ``training-mock compare --live URL --json`` printed, if a person has saved it there."""

_UNSURE = ("third-party", "assumed")


def unsure_operations() -> str:
    """Every operation whose path or shape is neither published nor observed."""
    return table(
        ("Operation", "Mark", "Reference server"),
        (
            (
                f"{each.name}<br>`{each.method} {each.template}`",
                PROVENANCE[each.provenance],
                "no live service has it"
                if each.reference_only
                else "served"
                if each.handler is not None
                else "501",
            )
            for each in OPERATIONS
            if each.provenance in "TA"
        ),
    )


def unsure_fields() -> str:
    """Every field of an answer that is a third party's or assumed, by its schema."""
    rows = []
    for name, schema in document()["components"]["schemas"].items():
        marks = dict(_marks(schema))
        listed = [", ".join(f"`{each}`" for each, mark in marks.items() if mark == kind) for kind in _UNSURE]
        if any(listed):
            rows.append((name, *(each or "–" for each in listed)))
    return table(("Schema", "Third party", "Assumed"), rows)


def _marks(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, each in schema.get("properties", {}).items():
        if MARK in each:
            yield name, each[MARK]


def capitals() -> str:
    """Fields whose names begin with a capital letter, as seen live."""
    schemas = document()["components"]["schemas"].values()
    found = {name for schema in schemas for name in schema.get("properties", {}) if name[0].isupper()}
    return ", ".join(f"`{each}`" for each in sorted(found)) + "\n"


def findings() -> str:
    """The findings on a live service, or that there are none yet."""
    if not FINDINGS.exists():
        return "No live service has been compared yet.\n"
    found = json.loads(FINDINGS.read_text(encoding="utf-8"))["findings"]
    head = ("Grade", "Operation", "Place", "Live service")
    return table(
        head, ((each["grade"], each["operation"], f"`{each['place']}`", each["said"]) for each in found)
    )
