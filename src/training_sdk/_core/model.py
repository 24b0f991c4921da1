"""What all models share: open enums and a place for what the server says beyond what is documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Self, TypeAlias

import attrs

from training_sdk._core.printable import inline


class OpenEnum(StrEnum):
    """An enum that keeps a value it does not know, as itself, instead of failing on a newer server."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    __hash__ = str.__hash__
    __str__ = str.__str__

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{inline(self._name_)}: {self._value_!r}>"

    @property
    def is_known(self) -> bool:
        """Whether this value was documented when the SDK was written."""
        return type(self).__members__.get(self._name_) is self


class Extra(Mapping[str, Any]):
    """The fields of an answer that the SDK does not know: read-only, compared with the rest of the model."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any] | None = None) -> None:
        self._fields = dict(fields or {})

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Extra({self._fields!r})"


NOTHING_EXTRA = Extra()

Fields: TypeAlias = Mapping[str, Any]


@attrs.frozen
class Omitted:
    """What a field that an answer leaves out says: zero, empty or nothing, which encoders may omit.

    ``unless`` looks at what is there, under known and under unknown names: if the answer then contradicts that the
    field is zero or empty, it is missing.
    """

    value: Any
    unless: Callable[[Fields, Fields], bool] | None = None


def may_omit(value: Any, *, unless: Callable[[Fields, Fields], bool] | None = None) -> dict[str, Any]:
    """The metadata of a field that has no default, and that an answer may leave out or write as null."""
    return {"omitted": Omitted(value, unless)}


def has_other_fields(_: Fields, unknown: Fields) -> bool:
    """Whether there is anything unknown, which may be the field under another name."""
    return bool(unknown)


def has_other_lists(_: Fields, unknown: Fields) -> bool:
    """Whether there is an unknown list, which may be the field under another name."""
    return any(isinstance(value, list) for value in unknown.values())


@attrs.frozen
class Model:
    """What every model is: frozen data that compares, hashes, copies and pickles, with no client inside."""

    extra: Extra = attrs.field(default=NOTHING_EXTRA, kw_only=True, hash=False, repr=False)
    """What the server said beyond what is documented; not hashed, because JSON data is not hashable."""


Key: TypeAlias = tuple[str, str]
"""Course id and user id."""
