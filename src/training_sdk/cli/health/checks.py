"""One thing that was looked at, and how it stands."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Standing(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing, and no fault."""
    WARNING = "warning"
    """May spoil a reset, or the reading of it."""
    ERROR = "ERROR"
    """Has to be mended first."""


@frozen
class Check:
    """What was looked at, and what was found."""

    area: str
    subject: str
    standing: Standing
    detail: str


def ok(area: str, subject: str, detail: str) -> Check:
    """Nothing to be done."""
    return Check(area, subject, Standing.OK, detail)


def note(area: str, subject: str, detail: str) -> Check:
    """Something to know."""
    return Check(area, subject, Standing.NOTE, detail)


def warning(area: str, subject: str, detail: str) -> Check:
    """Something to look into."""
    return Check(area, subject, Standing.WARNING, detail)


def error(area: str, subject: str, detail: str) -> Check:
    """Something to mend."""
    return Check(area, subject, Standing.ERROR, detail)
