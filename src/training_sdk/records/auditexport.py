"""The audit log as an auditor gets it: rows for a spreadsheet, or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from typing import Any, Literal, TypeAlias

from training_sdk._core.text import json_cell, text_cell
from training_sdk.errors import InvalidArgumentError
from training_sdk.records.chain import Link

Format: TypeAlias = Literal["csv", "json"]

WHO = ("token_fingerprint", "os_user", "user_id", "organisation_id")
PLAIN = (
    "base_url",
    "reference_server",
    "plan_digest",
    "reason",
    "ticket",
    "counts",
    "outcomes",
    "pack",
    "approval",
)
APPROVER = "approver"
"""Who approved, by name and id: looked up for the export, and not part of the entry or of its hash."""
COLUMNS = ("line", "n", "at", "event", *WHO, *PLAIN, APPROVER, "other", "prev", "hash", "fault")
Lookup: TypeAlias = Callable[[Mapping[str, Any]], str | None]


def exported(links: Iterable[Link], format: Format, approver: Lookup) -> str:
    """The whole export as text."""
    if format == "csv":
        return _csv(links, approver)
    if format == "json":
        return _json(links, approver)
    raise InvalidArgumentError(f"format must be 'csv' or 'json', not {format!r}")


def file_of(text: str, format: Format) -> bytes:
    """The bytes of a file with an export. CSV begins with a byte order mark, without which Excel shows no umlauts."""
    return text.encode("utf-8-sig" if format == "csv" else "utf-8", "backslashreplace")


def _json(links: Iterable[Link], approver: Lookup) -> str:
    added = ((link, {APPROVER: approver(link.entry or {}), "fault": link.fault}) for link in links)
    rows = [
        {**(link.entry or {}), **{name: said for name, said in facts.items() if said}}
        for link, facts in added
    ]
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"


def _csv(links: Iterable[Link], approver: Lookup) -> str:
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for link in links:
        row = {**_row(link), APPROVER: approver(link.entry or {})}
        writer.writerow([cell(row.get(column)) for column in COLUMNS])
    return text.getvalue()


def _row(link: Link) -> Mapping[str, Any]:
    entry = dict(link.entry or {})
    who = entry.pop("who", None)
    who = who if isinstance(who, dict) else {}
    known = {column: entry.pop(column, None) for column in ("n", "at", "event", *PLAIN, "prev", "hash")}
    other = {**entry, **{name: value for name, value in who.items() if name not in WHO}}
    named = {column: who.get(column) for column in WHO}
    return {**known, **named, "line": link.line, "other": other or None, "fault": link.fault}


def cell(value: object) -> str:
    """A value as a cell that no spreadsheet runs: what would begin a formula gets an apostrophe in front."""
    if value is None:
        return ""
    return text_cell(value) if isinstance(value, str) else json_cell(value)
