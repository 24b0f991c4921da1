"""The connections that a client and its siblings share, and what becomes of them in a process that was forked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from training_sdk.errors import InvalidArgumentError

H = TypeVar("H", bound=Any)

FORKED = (
    "this process was forked from the one that made http_client, and both would read each other's answers from the "
    "same connections. Nothing was sent. Make http_client and the TrainingClient in this process"
)

_inherited: list[object] = []
"""Clients of a parent process: neither closed here, which could end its connections, nor collected."""


class Wire(Generic[H]):
    """An HTTP client: one of the SDK's own, which is made anew after a fork, or one from outside, which cannot be."""

    def __init__(self, given: H | None, make: Callable[[], H], *, of: Wire[H] | None = None) -> None:
        self._make = make
        self._of = of
        self._is_own = given is None
        self._http: H = make() if given is None else given
        self._process = os.getpid()

    @property
    def is_own(self) -> bool:
        """Whether the SDK has made it."""
        return self._is_own

    @property
    def http(self) -> H:
        """The client of this process. Raises InvalidArgumentError if it belongs to the parent."""
        if self._process != os.getpid() and not self._http.is_closed:
            if not self._is_own:
                raise InvalidArgumentError(FORKED, reason="FORKED")
            _inherited.append(self._http)
            self._http, self._process = self._make(), os.getpid()
        if self._of is not None and self._of.http.is_closed:
            return self._of.http  # the one that it is a copy of
        return self._http

    def to_close(self) -> H | None:
        """The client, if it is this process's own and to be closed."""
        return self._http if self._is_own and self._process == os.getpid() else None
