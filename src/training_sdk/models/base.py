"""What all models share: open enums and a place for what the server says beyond what is documented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Self

import attrs


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


@attrs.frozen
class Model:
    """What every model is: frozen data that compares, hashes, copies and pickles, with no client inside."""

    extra: Extra = attrs.field(default=NOTHING_EXTRA, kw_only=True, hash=False, repr=False)
    """What the server said beyond what is documented; not hashed, because JSON data is not hashable."""
