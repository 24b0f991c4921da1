"""Reading the listings of a pack: each whole, by the service's own account, and every answer stored until then."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from attrs import evolve, field, fields, frozen

from training_sdk._core.flow import Flow, Moment, Now, Request, Response
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls, Paginator
from training_sdk._core.send_policy import Attempt
from training_sdk._core.text import sentence
from training_sdk.errors import APIStatusError, DecodingError, EvidenceError

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

    @classmethod
    def of(cls, calls: Calls) -> RecordedCalls:
        """Return these calls, with each answer stored."""
        settings = {each.name: getattr(calls, each.name) for each in fields(Calls)}
        return cls(**settings, inner=calls)


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
