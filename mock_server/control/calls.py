"""Recorded exchanges, and assertions about them for tests. Every failure lists the calls that were made."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Literal, overload

from attrs import field, frozen

from mock_server.control.naming import known_operation, known_token
from mock_server.refusal import check_argument

_SHOWN = 20

Delivered = Literal["whole", "cut", "nothing"]


@frozen
class Body:
    """A body with its secrets masked."""

    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    is_cut: bool = False
    """True if the body was longer than 64 KiB. Only the beginning is stored."""

    @property
    def json(self) -> Any:
        """The body, decoded from JSON. Raises ValueError if it was cut or is not JSON."""
        if self.is_cut:
            raise ValueError(f"The body was cut after {len(self.data)} bytes, so it cannot be read as JSON.")
        return json.loads(self.data)

    @property
    def text(self) -> str:
        """The body as text. Bytes that are not UTF-8 are replaced."""
        return self.data.decode(errors="replace")


@frozen
class Exchange:
    """One request and its answer in the journal. Tokens are masked, and long bodies are cut."""

    number: int
    """The number of the exchange, from 1, in the order of the answers."""
    operation: str
    """The operation id; "" if the request matches no operation."""
    token: str
    """The name of the token of the request, such as ``"admin"``; "" if it has none or an unknown one."""
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    """The headers of the request, with names in lower case. Secret values are ``***``."""
    body: Body
    status: int
    """The status of the answer; 0 if no answer was sent."""
    answer_headers: tuple[tuple[str, str], ...]
    answer: Body
    """The body of the answer, as far as it was sent."""
    request_id: str = ""
    """The request id, which the answer and the audit log also have."""
    delivered: Delivered = "whole"
    """The part of the answer that was sent. A client that stopped earlier has read less."""
    faults: tuple[str, ...] = ()
    """The kinds of the faults that the request triggered, in the order of the script."""
    instead: int = 0
    """The status of the true answer if a fault replaced it after the request had its effect; otherwise 0."""

    def header(self, name: str) -> str | None:
        """Return the first value of a header of the request; None if it has none. Case does not matter."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body of the request, decoded from JSON. Raises ValueError if it was cut or is not JSON."""
        return self.body.json

    def __str__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        who = f" as {self.token}" if self.token else ""
        return f"#{self.number} {self.method} {target[:200]}{who} -> {self.outcome}"

    @property
    def outcome(self) -> str:
        """The outcome in words, such as ``200`` or ``200, cut short (fault cut)``."""
        said = str(self.status) if self.delivered != "nothing" else "dropped"
        if self.delivered == "cut":
            said += ", cut short"
        if self.instead:
            said += f" in place of {self.instead}" + (", after the commit" if self.instead < 300 else "")
        elif self.delivered == "nothing":
            said += " before it was carried out"
        kinds = ", ".join(self.faults)
        return f"{said} (fault{'s' if len(self.faults) > 1 else ''} {kinds})" if kinds else said


class Calls(Sequence[Exchange]):
    """A sequence of exchanges with assertions for tests. Every failure lists the calls that were made."""

    def __init__(
        self,
        seen: Iterable[Exchange] = (),
        dropped: int = 0,
        what: str = "requests",
        wider: Calls | None = None,
        token_names: Collection[str] = (),
    ) -> None:
        self._seen = tuple(seen)
        self._dropped = dropped
        self._what = what
        self._wider = wider
        self._names = token_names

    @property
    def seen(self) -> tuple[Exchange, ...]:
        """All exchanges at this moment."""
        return self._seen

    @property
    def dropped(self) -> int:
        """The number of older exchanges that are no longer stored."""
        return self._dropped

    def of(self, operation: str) -> Calls:
        """Return the calls of one operation.

        - ``operation``: An operation id or a short name such as ``"reset"``. Case does not matter.

        Raises LookupError for an unknown or ambiguous name, so that a mistyped name never counts as "no calls".
        """
        name = known_operation(operation)
        what = name if self._what == "requests" else f"{self._what} of {name}"
        return self.where(lambda each: each.operation == name, what)

    def by(self, token: str) -> Calls:
        """Return the calls with the token of this name; "" for calls without a token or with an unknown one.

        Raises LookupError for an unknown name.
        """
        known_token(token, {*self._token_names(), *(each.token for each in self.seen)})
        return self.where(lambda each: each.token == token, f"{self._what} as {token or 'nobody'}")

    def answered(self, status: int) -> Calls:
        """Return the calls whose answer has this status, 100 to 599, also if the answer was cut."""
        if (
            not 100
            <= check_argument("status", status, int, "a whole number from 100 to 599, such as 200")
            <= 599
        ):
            raise ValueError(f"status must be a whole number from 100 to 599, not {status}.")
        return self.where(lambda each: each.status == status, f"{self._what} answered {status}")

    def where(self, fits: Callable[[Exchange], bool], what: str = "") -> Calls:
        """Return the calls for which ``fits`` returns True. Failures name them by ``what``."""
        if not callable(fits):
            raise TypeError(f"fits must be a function of an exchange, not {fits!r}.")
        return self._narrowed(lambda seen: filter(fits, seen), what or f"{self._what} that fit")

    def _narrowed(self, choose: Callable[[tuple[Exchange, ...]], Iterable[Exchange]], what: str) -> Calls:
        # A journal grows: the wider calls are those that it holds now.
        dropped, names = self.dropped, self._token_names()
        now = Calls(self.seen, dropped, self._what, self._wider, names)
        return Calls(choose(now.seen), dropped, what, now, names)

    def times(self, number: int) -> Calls:
        """Assert that there are exactly ``number`` calls."""
        __tracebackhide__ = True
        check_argument("number", number, int, "a whole number, such as 2")
        if number < 0:
            raise ValueError(f"number must be a whole number from 0, not {number}.")
        found = len(self.seen)
        self._require(found == number, f"{number} {self._what}", f", not {found}", is_short=found < number)
        return self

    def once(self) -> Exchange:
        """Assert that there is exactly one call. Return it."""
        __tracebackhide__ = True
        return self.times(1).seen[0]

    def never(self) -> None:
        """Assert that there is no call."""
        __tracebackhide__ = True
        self.times(0)

    def in_order(self, *operations: str) -> None:
        """Assert that these operations were called in this order. Other calls may be between them.

        Raises ValueError if no operation is given.
        """
        __tracebackhide__ = True
        if not operations:
            raise ValueError('in_order needs the names of operations, such as in_order("progress", "reset").')
        left = [known_operation(each) for each in operations]
        for each in self.seen:
            if left and each.operation == left[0]:
                left.pop(0)
        missing = f"; {left[0]} is missing" if left else ""
        self._require(not left, " then ".join(operations), missing)

    def _token_names(self) -> Collection[str]:
        return self._names

    def _require(self, holds: bool, expected: str, but: str, *, is_short: bool = False) -> None:
        __tracebackhide__ = True
        if self.dropped:
            raise AssertionError(
                f"The journal cannot show whether there were {expected}: it no longer has {self.dropped} older"
                " requests. Clear it with mock.calls.clear() before the requests that you count."
            )
        if not holds:
            shown = self._shown() if is_short else self
            which = f" among all {shown._what}" if len(shown) > len(self) else ""
            lines = "".join(
                f"\n  {each} ({each.operation or 'no operation'})" for each in shown.seen[-_SHOWN:]
            )
            raise AssertionError(f"Expected {expected}{but}. Recorded{which}:{lines or ' none.'}")

    def _shown(self) -> Calls:
        """Return these calls, or the nearest wider ones of which there are more."""
        wider = self._wider
        while wider is not None and len(wider) == len(self):
            wider = wider._wider
        return self if wider is None else wider

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> Calls: ...
    def __getitem__(self, index: int | slice) -> Exchange | Calls:
        if isinstance(index, slice):
            return self._narrowed(lambda seen: seen[index], self._what)
        return self.seen[index]

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self.seen)

    def __len__(self) -> int:
        return len(self.seen)

    def __repr__(self) -> str:
        return f"<{len(self.seen)} {self._what}>"
