"""Entries that hang together: each holds the hash of the one before, so none can be changed or taken out unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from training_sdk.errors import InvalidArgumentError
from training_sdk.records.lines import canonical, encode, parse

RESERVED = ("n", "prev", "hash")


@frozen
class Head:
    """The end of a chain: the number of its last entry and that entry's SHA-256 in hex."""

    n: int
    hash: str


START = Head(0, "0" * 64)
"""The head of a chain that has no entry yet."""


@frozen
class Link:
    """One line of a chain: what it says, if it can be read, and what is wrong with it or with its place."""

    line: int
    entry: Mapping[str, Any] | None
    fault: str | None


def seal(facts: Mapping[str, Any], after: Head) -> dict[str, Any]:
    """The entry that says this and follows that head."""
    taken = [name for name in RESERVED if name in facts]
    if taken:
        raise InvalidArgumentError(f"{', '.join(taken)} cannot be said in an entry: the chain sets it")
    entry = {**facts, "n": after.n + 1, "prev": after.hash}
    return {**entry, "hash": _digest(entry)}


def head_of(entry: Mapping[str, Any]) -> Head:
    """The head of a chain that ends with this entry."""
    return Head(entry["n"], entry["hash"])


def check(lines: Iterable[tuple[int, bytes]]) -> Iterator[Link]:
    """Every line of a chain, with what is wrong with it. After a fault it goes on from where the line says it is."""
    before: Head | None = START
    for number, line in lines:
        entry = whole(line)
        if entry is None:
            yield Link(number, parse(line), "altered: it does not have the hash that it was written with")
            before = None  # whatever it was, what follows it cannot be measured against it
            continue
        yield Link(number, entry, _misplaced(entry, before))
        before = head_of(entry)


def whole(line: bytes) -> dict[str, Any] | None:
    """The entry in a line if it is, byte for byte, what was written; else None."""
    entry = parse(line)
    if entry is None or type(entry.get("n")) is not int or type(entry.get("prev")) is not str:
        return None
    unhashed = {key: value for key, value in entry.items() if key != "hash"}
    return entry if encode(entry) == line and entry.get("hash") == _digest(unhashed) else None


def _misplaced(entry: Mapping[str, Any], before: Head | None) -> str | None:
    if before is None or (entry["n"], entry["prev"]) == (before.n + 1, before.hash):
        return None
    if entry["n"] > before.n + 1:
        return f"lines are missing before it: {before.n + 1} to {entry['n'] - 1}"
    if entry["n"] <= before.n:
        return f"out of order: it is number {entry['n']}, and {before.n} stands before it"
    return "it does not follow the line before it: one of the two is not the original"


def _digest(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(entry)).hexdigest()
