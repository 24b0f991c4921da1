"""Filters that a service is asked to apply, checked on what it answers: a row of another course or user is dropped.

A listing of which every row is of another one is no empty listing. It may be the answer to another request, read from
connections that two processes share.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Generic, TypeVar

from attrs import define, field, frozen

from training_sdk.errors import DecodingError

T = TypeVar("T")

log = logging.getLogger("training_sdk")


@frozen
class Filter(Generic[T]):
    """One parameter that names courses or users, and of which one an item is."""

    parameter: str
    wanted: Sequence[Collection[str]]
    """By query, or the same for all."""
    of: Callable[[T], str]

    def fits(self, item: T, query: int) -> bool:
        """Whether an item is what this query asked for."""
        return self.of(item) in self.wanted[query if len(self.wanted) > 1 else 0]


def only(parameter: str, value: str | None, of: Callable[[T], str]) -> tuple[Filter[T], ...]:
    """The filter for one course or user, or none where nothing is asked for."""
    return () if value is None else (Filter(parameter, ((value,),), of),)


@define
class Tally:
    """What one reading of a listing has kept, and what it had to drop since it is of another course or user."""

    is_second: bool = False
    fitting: int = 0
    """How many items are of the courses and users that were asked for."""
    strange: dict[str, set[str]] = field(factory=dict)
    """Of which other courses or users the dropped ones are, by parameter."""

    def sort(self, items: Iterable[T], filters: Iterable[Filter[T]], query: int) -> tuple[T, ...]:
        """The items that fit; the others are noted."""
        fitting = []
        for item in items:
            failed = [each for each in filters if not each.fits(item, query)]
            for each in failed:
                self.strange.setdefault(each.parameter, set()).add(each.of(item))
            if not failed:
                fitting.append(item)
        self.fitting += len(fitting)
        return tuple(fitting)

    @property
    def all_strange(self) -> bool:
        """Whether there were items, and every one of them is of another course or user."""
        return bool(self.strange) and not self.fitting

    def judge(self, path: str) -> None:
        """After a second reading: raise DecodingError unless the service plainly ignores a filter."""
        named = " and ".join(self.strange)
        if any(len(found) > 1 for found in self.strange.values()):
            log.warning(
                "%s lists other courses or users only: the service ignores %s, and nothing fits it",
                path,
                named,
            )
            return
        found = ", ".join(repr(each) for ids in self.strange.values() for each in ids)
        raise DecodingError(
            f"{path} was asked with {named}, and everything it listed is of another one ({found}), also when it was "
            "read once more on a new connection. This is not the answer to this request, so it was not used. Does "
            "something on the way mix up answers, or does a process that was forked share connections?"
        )
