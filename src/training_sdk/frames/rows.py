"""Rows that have been read, with the methods of listings that give rows to other libraries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from training_sdk._core.listing import Page
from training_sdk.frames.methods import Frames

T = TypeVar("T")


class Rows(tuple[T, ...], Frames[T]):
    """A tuple of values of one model, which become dictionaries or a frame as a listing does."""

    def __new__(cls, model: type[T], rows: Iterable[T]) -> Rows[T]:
        """Make the tuple; ``model`` says which columns an empty one has."""
        made = super().__new__(cls, rows)
        made._model = lambda: model
        return made

    def pages(self) -> Iterator[Page[T]]:
        """Yield all rows as one page."""
        yield Page(tuple(self), 1, len(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self._model(), tuple(self))

    def __repr__(self) -> str:
        return (
            f"<{len(self)} of {self._model().__name__}: a tuple with to_dicts, to_pandas, to_polars and more>"
        )
