"""Errors that refuse an incomplete pack. They name the people and the courses whose records are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training_sdk._core.model import Key
from training_sdk._core.text import MOST_NAMED, number
from training_sdk.errors import EvidenceError, Remedy
from training_sdk.evidence.answers import SURVEYS
from training_sdk.evidence.tables import Tables

SURVEYS_NOT_READ = "SURVEYS_NOT_READ"


def refuse_without_surveys(not_read: Mapping[str, str]) -> None:
    """Raise EvidenceError if the survey answers of a course were not read."""
    if (why := not_read.get(SURVEYS)) is not None:
        raise EvidenceError(
            f"The evidence is incomplete: survey answers cannot be read ({why}), and a reset clears them. Nothing was "
            "sent.",
            reason=SURVEYS_NOT_READ,
            remedy=Remedy(
                "surveys",
                "Use a token that may read them, or continue without them: leave out require_surveys=True.",
            ),
        )


def refuse_gaps(tables: Tables) -> None:
    """Raise EvidenceError if a target has no progress row, or a course no statistics."""
    if missing := list(tables.missing()):
        why = (
            "These users are unknown, deactivated, no longer assigned, or outside the teams that this token sees. "
            "Nothing was sent. Plan again."
        )
        if tables.repeated:
            why = (
                f"The feed shows {number(tables.repeated, 'row')} twice, so the order of its pages may change while "
                "they are read. Nothing was sent. Apply again later."
            )
        raise EvidenceError(
            f"The evidence is incomplete: there is no progress row of {_named(missing)}. {why}",
            reason="EVIDENCE_INCOMPLETE",
            metadata=_metadata(missing),
        )
    if courses := tables.courses_missing():
        raise EvidenceError(
            f"The evidence is incomplete: the statistics lack course {courses[0]!r}"
            f"{f' and {len(courses) - 1} more' if courses[1:] else ''}. Nothing was sent.",
            reason="EVIDENCE_INCOMPLETE",
            metadata=tuple(("missing", course_id) for course_id in courses),
        )


def refuse_missing_lessons(tables: Tables, unlisted: Mapping[Key, None]) -> None:
    """Raise EvidenceError if fewer lessons were listed than a row says are completed, or if they were not found."""
    counts = tables.lessons.missing
    not_found = [key for key in unlisted if key not in counts]
    if counts:
        also = f". The service does not find (404) the lessons of {_named(not_found)}" if not_found else ""
        raise EvidenceError(
            "The evidence is incomplete: the service lists fewer lessons than the progress rows count as completed, "
            f"for {_named([*counts], counts)}. Imported completions have no lessons, courses that were published "
            f"again may have different ones, and a live service lists them up to 2 h late{also}. Nothing was sent.",
            reason="EVIDENCE_INCOMPLETE",
            remedy=Remedy(
                "missing_lessons",
                "Try again later, or accept the gap with accept_missing_lessons=True. The evidence and the report "
                "then name these people.",
            ),
            metadata=_metadata([*dict.fromkeys([*unlisted, *counts])]),
        )
    if not_found:
        raise EvidenceError(
            f"The evidence is incomplete: the service does not find (404) the lessons of {_named(not_found)}. Their "
            "progress rows count no completed lesson. These users may have been deleted. Nothing was sent.",
            reason="EVIDENCE_INCOMPLETE",
            remedy=Remedy(
                "deleted_lessons",
                "Plan again without them, or continue without their lessons with accept_missing_lessons=True.",
            ),
            metadata=_metadata(not_found),
        )


def _metadata(missing: Sequence[Key]) -> tuple[tuple[str, str], ...]:
    return tuple(("missing", f"{course_id}/{user_id}") for course_id, user_id in missing)


def _named(missing: Sequence[Key], counts: Mapping[Key, tuple[int, int]] | None = None) -> str:
    def name(key: Key) -> str:
        course_id, user_id = key
        listed, said = (counts or {}).get(key, (0, 0))
        return f"{user_id!r} in course {course_id!r}{f' ({listed} of {said})' if said else ''}"

    shown = ", ".join(map(name, missing[:MOST_NAMED]))
    return shown if len(missing) <= MOST_NAMED else f"{shown} and {len(missing) - MOST_NAMED} more"
