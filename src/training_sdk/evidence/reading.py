"""Reading the listings of a package: each completely, with every answer stored; and the errors for what is missing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from training_sdk._core.flow import Flow, Moment, Now, Request, Response
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls, Paginator
from training_sdk._core.model import Key
from training_sdk._core.send_policy import Attempt
from training_sdk._core.text import MOST_NAMED, number, sentence
from training_sdk.errors import APIStatusError, DecodingError, EvidenceError, Remedy
from training_sdk.evidence.answers import SURVEYS
from training_sdk.evidence.tables import Tables

T = TypeVar("T")

Answered = tuple[Request, Response, datetime]
"""A request, its answer, and when that came (UTC)."""


@frozen
class RecordedCalls(Calls):
    """The same calls with the same checks; each answer that they accept is stored until it is taken."""

    inner: Calls = field(kw_only=True)
    stored: list[Answered] = field(factory=list, kw_only=True, eq=False, repr=False)
    """In order, with compressed bodies: a listing of a large course may take many pages."""

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send, store what came back, and only then return what it says."""
        answers: list[Response] = []

        def read(response: Response) -> T:
            value = decode(response)
            answers.append(response)
            return value

        value = yield from self.inner.call(request, read, once=once)
        now: Moment = yield Now()
        answer = answers[-1]
        self.stored.append((request, evolve(answer, body=zlib.compress(answer.body, level=1)), now.utc))
        return value

    def forget(self, answers: int | None = None) -> None:
        """Drop the last answers, or all: what begins again is stored once."""
        del self.stored[0 if answers is None else len(self.stored) - answers :]

    def take(self) -> Iterator[Answered]:
        """Return the answers, which are stored no longer."""
        answers, self.stored[:] = list(self.stored), []
        for request, answer, at in answers:
            yield request, evolve(answer, body=zlib.decompress(answer.body)), at


@frozen
class Step:
    """One listing to be read."""

    what: str
    walk: Paginator[Any]
    wanted: frozenset[str] = field(default=frozenset(), repr=False)
    """The items that the listing must show; it is read again if it does not."""
    names: Callable[[Any], str] = str
    """A function that returns the name of an item, in the form that ``wanted`` contains."""
    note: Callable[[Any], None] | None = None
    """Called with each item, also with those of a first reading that ended early."""
    most_pages: int | None = None
    """Raise TooManyPagesError after this number of pages."""


class TooManyPagesError(Exception):
    """Reading the listing to its end takes more requests than it would save."""


def read_step(step: Step, calls: RecordedCalls) -> Flow[None]:
    """Read a listing, again if it lacks items; the answers of its last whole reading are stored.

    Raises DecodingError (``LISTING_INCOMPLETE``) if it ends early twice.
    """
    found: set[str] = set()

    def take(page: tuple[Any, ...]) -> None:
        if step.most_pages is not None and len(calls.stored) > step.most_pages:
            raise TooManyPagesError
        found.update(map(step.names, page) if step.wanted else ())
        if step.note is not None:
            for item in page:
                step.note(item)

    for is_second in (False, True):
        calls.forget()
        found.clear()
        yield from step.walk.read_whole(take, found.clear)
        if is_second or step.wanted <= found:
            break


def incomplete(error: DecodingError) -> DecodingError | EvidenceError:
    """Return the error for a listing that evidence needs: that it is incomplete, if it ended early."""
    if error.reason != LISTING_INCOMPLETE:
        return error
    return EvidenceError(
        f"The evidence is incomplete: {sentence(error.message)} Nothing was sent.",
        reason="EVIDENCE_INCOMPLETE",
    )


def why_not_read(error: APIStatusError | DecodingError) -> str:
    """Return the reason why a listing was not read, for the manifest: it names nobody."""
    if isinstance(error, APIStatusError):
        return f"status {error.status}"
    return "it ends early" if error.reason == LISTING_INCOMPLETE else "its answers cannot be read"


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
