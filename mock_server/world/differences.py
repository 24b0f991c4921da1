"""Differences between two state documents, record by record: they show that nothing else was changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

from mock_server.policy import Policy
from mock_server.world.codec import encode
from mock_server.world.parts import PARTS, Compared, Json

# A policy switch that an older document lacks is at its default, as for `load`.
_POLICY: dict[str, Any] = encode(Policy())
_GRAVEST = ("removed", "changed", "added")
_Key = tuple[str, ...]


@frozen
class Change:
    """One record that was added, removed or changed."""

    kind: str
    """"record", "enrolment", "person", "course", "assigned", "certificate", "organisation", "audit entry" …"""
    key: tuple[str, ...]
    """The ids of the record; course id and user id if it belongs to a course and a person."""
    label: str
    """The titles and names of the record, for people to read."""
    before: Any
    """The record in the first document; None if it was added."""
    after: Any
    """The record in the second document; None if it was removed."""

    @property
    def what(self) -> Literal["added", "removed", "changed"]:
        """The kind of the difference."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that differ, in order; empty unless an object was changed."""
        if not (isinstance(self.before, dict) and isinstance(self.after, dict)):
            return ()
        names = dict.fromkeys([*self.before, *self.after])
        return tuple(name for name in names if self.before.get(name) != self.after.get(name))

    def __str__(self) -> str:
        fields = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.what} {self.kind} {self.label}{fields}"


def differences(before: Json, after: Json) -> tuple[Change, ...]:
    """Return every record that differs between two documents that `load` accepts, sorted by kind and ids."""
    then, now = _records(before), _records(after)
    labels = _labels(before) | _labels(after)
    return tuple(
        Change(kind, key, _label(kind, key, now.get(place), labels), then.get(place), now.get(place))
        for place in sorted(then.keys() | now.keys())
        for kind, key in [place]
        if then.get(place) != now.get(place)
    )


def brief(changes: Sequence[Change], most: int) -> list[str]:
    """Return lines about changes: the number of each kind, then about ``most`` changes, some of every kind.

    Removed records come first, because nothing restores them.
    """
    kinds: dict[tuple[str, str], list[Change]] = {}
    for each in sorted(changes, key=lambda each: _GRAVEST.index(each.what)):
        kinds.setdefault((each.what, each.kind), []).append(each)
    if not kinds:
        return []
    lines = [", ".join(f"{len(found)} × {what} {kind}" for (what, kind), found in kinds.items())]
    share = max(1, most // len(kinds))
    for (what, kind), found in kinds.items():
        lines += map(str, found[:share])
        if len(found) > share:
            lines.append(f"... and {len(found) - share} more: {what} {kind}")
    return lines


def _label(kind: str, key: _Key, after: Any, labels: Mapping[str, str]) -> str:
    named = ", ".join(labels.get(each, each) for each in key)
    return f"{named}: {after['outcome']}" if kind == "audit entry" and after else named


def _records(document: Json) -> dict[tuple[str, _Key], Any]:
    """Return every record of a document by kind and key; not the time, nor counters of ids and requests."""
    return {(kind, key): value for kind, key, value in _walk(document)}


def _walk(document: Json) -> Iterator[Compared]:
    yield "policy", (), _POLICY | document.get("policy", {})
    for organisation in document["organisations"]:
        yield "organisation", (organisation["id"],), organisation["name"]
        for part in PARTS:
            yield from part.records(organisation.get(part.name, ()))
    for digest, token in document.get("tokens", {}).items():
        yield "token", (token["user_id"], digest), token
    for each in document.get("outbox", ()):
        yield "notification", (each["id"],), each
    for number, each in enumerate(document.get("audit", ()), 1):
        yield "audit entry", (str(number),), each
    for each in document.get("queued", ()):
        yield "queued reset", (each["course_id"], each["user_id"], each["due_at"]), each
    for each in document.get("webhooks", ()):
        yield "webhook", (each["id"],), each
    for organisation_id, number in document.get("webhook_secrets", {}).items():
        yield "webhook secret", (organisation_id,), number
    for each in document.get("kept_answers", ()):
        yield "kept answer", (each["actor_id"], each["operation"], each["key"]), each


def _labels(document: Json) -> dict[str, str]:
    found = {}
    for organisation in document["organisations"]:
        found[organisation["id"]] = f'"{organisation["name"]}"'
        for part in PARTS:
            found |= part.labels(organisation.get(part.name, ()))
    return found
