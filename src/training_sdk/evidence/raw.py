"""Calls that keep every answer as it came, byte by byte, until the listing that they belong to is read to its end."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from attrs import evolve, field, fields, frozen

from training_sdk._core.flow import Flow, Moment, Now, Request, Response
from training_sdk._core.listing import Calls
from training_sdk._core.send_policy import Attempt

T = TypeVar("T")

Answered = tuple[Request, Response, datetime]
"""A request, its answer, and when that came (UTC)."""


@frozen
class KeptCalls(Calls):
    """The same calls, whatever they believe and refuse; each answer they accept is stored until it is taken."""

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
        """The answers, which are stored no longer."""
        answers, self.stored[:] = list(self.stored), []
        for request, answer, at in answers:
            yield request, evolve(answer, body=zlib.decompress(answer.body)), at

    @classmethod
    def of(cls, calls: Calls) -> KeptCalls:
        """These calls, each answer stored."""
        settings = {each.name: getattr(calls, each.name) for each in fields(Calls)}
        return cls(**settings, inner=calls)
