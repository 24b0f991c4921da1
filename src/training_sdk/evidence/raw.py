"""Calls that keep every answer as it came, byte by byte, before anybody goes on with what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from attrs import field, fields, frozen

from training_sdk._flow import Act, Flow, Moment, Now, Request, Response
from training_sdk._pages import Calls
from training_sdk._send import Attempt

T = TypeVar("T")

Keep = Callable[[Request, Response, datetime], None]


@frozen
class KeptCalls(Calls):
    """The same calls, whatever they believe and refuse; each answer they accept is handed to ``keep``."""

    inner: Calls = field(kw_only=True)
    keep: Keep = field(kw_only=True)

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send, keep what came back, and only then return what it says."""
        answers: list[Response] = []

        def read(response: Response) -> T:
            value = decode(response)
            answers.append(response)
            return value

        value = yield from self.inner.call(request, read, once=once)
        now: Moment = yield Now()
        yield Act(lambda: self.keep(request, answers[-1], now.utc), "evidence: keep an answer")
        return value

    @classmethod
    def of(cls, calls: Calls, keep: Keep) -> KeptCalls:
        """These calls, each answer kept."""
        settings = {each.name: getattr(calls, each.name) for each in fields(Calls)}
        return cls(**settings, inner=calls, keep=keep)
