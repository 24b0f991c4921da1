"""Whatever the rows hold, each library gets the same columns of the same types, and the same values."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import training_sdk
from training_sdk import Course, CourseStatus, DecodingError, PermissionSet, ProgressRow, SiteMember, User
from training_sdk._core.model import Extra, Model, OpenEnum
from training_sdk._core.operation import Listed
from training_sdk.api import (
    analytics,
    courses,
    groups,
    leaderboards,
    learning_paths,
    permissions,
    progress,
    rapid_refreshes,
    users,
    webhooks,
)
from training_sdk.frames import columns as columns_module
from training_sdk.frames import sinks
from training_sdk.frames.columns import Column, Kind, columns_of, dicts
from training_sdk.frames.sinks import ArrowSink, PandasSink, PolarsSink, Sink

NOUNS = (analytics, courses, groups, leaderboards, learning_paths, permissions, progress)
RESOURCES = [
    resource
    for noun in (*NOUNS, rapid_refreshes, users, webhooks)
    for resource in vars(noun).values()
    if isinstance(resource, type)
]
MODELS = {
    found._model() for resource in RESOURCES for found in vars(resource).values() if isinstance(found, Listed)
}
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
EXTRAS = st.dictionaries(st.text(min_size=1, max_size=8), JSON, max_size=3).map(Extra)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
"""With halves of surrogate pairs, control characters and everything else."""


def _name(model: Any) -> str:
    return str(model.__name__)


def values_of(shape: Any) -> st.SearchStrategy[Any]:
    """Values of the type of a field."""
    if type(None) in get_args(shape):
        return st.none() | st.one_of([values_of(one) for one in get_args(shape) if one is not type(None)])
    if get_args(shape) and get_origin(shape) is not tuple:
        return st.one_of([values_of(one) for one in get_args(shape)])
    if get_origin(shape) is tuple:
        return st.lists(values_of(get_args(shape)[0]), max_size=3).map(tuple)
    if attrs.has(shape):
        return rows_of(shape)
    if issubclass(shape, OpenEnum):
        return st.sampled_from([*shape]) | st.text(min_size=1, max_size=9).map(shape)
    if issubclass(shape, Enum):
        return st.sampled_from([*shape])
    kinds: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS,
        bool: st.booleans(),
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        datetime: st.datetimes(timezones=ZONES),
        Extra: EXTRAS,
    }
    return kinds[shape]


def rows_of(model: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(model)
    return st.builds(model, **{field.name: values_of(hints[field.name]) for field in attrs.fields(model)})


@st.composite
def listings(draw: st.DrawFn) -> tuple[type[Any], list[list[Any]], bool]:
    """A model, pages of its rows, and whether unknown fields are asked for."""
    model = draw(st.sampled_from(sorted(MODELS, key=_name)))
    pages = draw(st.lists(st.lists(rows_of(model), max_size=4), max_size=3))
    return model, pages, draw(st.booleans())


def filled(sink: Sink[Any], pages: Sequence[Sequence[Any]]) -> Any:
    for page in pages:
        sink.add(page)
    return sink.finish()


def expected(columns: Sequence[Column], pages: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """The rows as dictionaries, with the texts that UTF-8 has, and numbers as floats."""
    return [
        {column.name: column.narrow_values([row])[0] for column in columns} for page in pages for row in page
    ]


def plain(value: Any) -> Any:
    """A value of a pandas frame as Python has it."""
    if isinstance(value, list):
        return value
    return None if pd.isna(value) else value


def key(row: dict[str, Any]) -> str:
    """A row as text, to sort by; the zones of its dates are UTC by several names."""
    return repr([value.isoformat() if isinstance(value, datetime) else value for value in row.values()])


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    """Whether values are equal, and also the sign of a zero."""
    signs = [
        [math.copysign(1, value) for row in rows for value in row.values() if isinstance(value, float)]
        for rows in (found, wanted)
    ]
    return found == wanted and signs[0] == signs[1]


def test_every_model_that_is_listed_is_tried() -> None:
    assert {ProgressRow, User, Course, PermissionSet, SiteMember} < MODELS
    assert len(MODELS) >= 20
    assert all(issubclass(model, Model) for model in MODELS)


@pytest.mark.parametrize("model", sorted(MODELS, key=_name), ids=_name)
def test_the_columns_of_a_model_have_names_of_their_own(model: type[Any]) -> None:
    names = [column.name for column in columns_of(model, extra_fields=True)]
    assert len(set(names)) == len(names)
    assert names[-1] == "extra"


@given(listings())
@settings(max_examples=50)
def test_arrow_has_one_schema_and_every_value(listing: tuple[type[Any], list[list[Any]], bool]) -> None:
    model, pages, extra = listing
    columns = columns_of(model, extra_fields=extra)
    table = filled(ArrowSink(columns), pages)
    table.validate(full=True)
    assert table.schema == filled(ArrowSink(columns), []).schema
    assert same(table.to_pylist(), expected(columns, pages))


@given(listings())
@settings(max_examples=50)
def test_polars_has_one_schema_and_every_value(listing: tuple[type[Any], list[list[Any]], bool]) -> None:
    model, pages, extra = listing
    columns = columns_of(model, extra_fields=extra)
    frame = filled(PolarsSink(columns), pages)
    assert frame.schema == filled(PolarsSink(columns), []).schema
    assert same(frame.to_dicts(), expected(columns, pages))


@given(listings())
@settings(max_examples=50)
def test_pandas_has_one_schema_and_every_value(listing: tuple[type[Any], list[list[Any]], bool]) -> None:
    model, pages, extra = listing
    columns = columns_of(model, extra_fields=extra)
    frame, empty = filled(PandasSink(columns), pages), filled(PandasSink(columns), [])
    states = {column.name for column in columns if column.kind is Kind.STATE}
    assert all((frame[name].dtype == empty[name].dtype) for name in frame if name not in states)
    assert all(
        isinstance(found[name].dtype, pd.CategoricalDtype) for found in (frame, empty) for name in states
    )
    rows = [{name: plain(frame[name].iloc[at]) for name in frame} for at in range(len(frame))]
    assert [*frame] == [column.name for column in columns]
    assert same(rows, expected(columns, pages))


@given(listings(), st.integers(1, 5), st.integers(1, 2), st.data())
@settings(max_examples=40)
def test_parquet_has_one_schema_and_every_row(
    listing: tuple[type[Any], list[list[Any]], bool], group: int, most_open: int, data: st.DataObject
) -> None:
    model, pages, extra = listing
    columns = columns_of(model, extra_fields=extra)
    kinds = (Kind.TEXT, Kind.STATE, Kind.INTEGER, Kind.BOOLEAN)
    by = data.draw(st.sampled_from([None, *(one.name for one in columns if one.kind in kinds)]))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sinks, "ROW_GROUP", group)
        patch.setattr(sinks, "MOST_OPEN", most_open)
        target = Path(folder, "out")
        wanted = expected(columns, pages)
        assert filled(sinks.ParquetSink(target, columns, by), pages) == len(wanted)
        table = pq.read_table(target)
        assert table.schema.equals(filled(ArrowSink(columns), []).schema)
        assert sorted(map(key, table.to_pylist())) == sorted(map(key, wanted))
        assert [path.name for path in Path(folder).iterdir()] == ["out"]
        # To Polars 1 states of two files have two encodings.
        with pl.StringCache() if pl.__version__.startswith("1.") else nullcontext():
            assert len(pl.read_parquet(target / "**/*.parquet")) == len(wanted)


@given(rows_of(ProgressRow), st.integers(2**53 + 1, 2**70) | st.just(10**400), st.booleans())
def test_a_number_that_would_change_is_an_error(row: ProgressRow, size: int, is_negative: bool) -> None:
    number = -size if is_negative else size
    for name, limit in (("score", 2**53), ("completed_lessons", 2**63)):
        changed: dict[str, Any] = {name: number}
        one = attrs.evolve(row, **changed)
        columns = columns_of(ProgressRow)
        assert next(dicts(columns, [one]))[name] == number
        if -limit <= number < limit:
            assert filled(ArrowSink(columns), [[one]]).column(name).to_pylist() == [number]
            assert filled(PandasSink(columns), [[one]])[name].iloc[0] == number
            continue
        for sink in (ArrowSink(columns), PandasSink(columns), PolarsSink(columns)):
            with pytest.raises(DecodingError, match=f"{name} of a row"):
                sink.add([one])


def test_unknown_fields_are_one_json_column_also_those_of_models_within() -> None:
    identifier = training_sdk.PermissionSetIdentifier("i", "n", extra=Extra({"colour": "ü"}))
    row = PermissionSet(identifier, Extra({"a": True}), extra=Extra({"new": [1, None]}))
    found = next(dicts(columns_of(PermissionSet, extra_fields=True), [row]))
    assert json.loads(found["extra"]) == {"new": [1, None], "identifier": {"colour": "ü"}}
    assert found["identifier_name"] == "n"
    assert found["permissions"] == '{"a": true}'
    bare = PermissionSet(training_sdk.PermissionSetIdentifier("i", "n"))
    assert next(dicts(columns_of(PermissionSet, extra_fields=True), [bare]))["extra"] is None
    assert "extra" not in next(dicts(columns_of(PermissionSet), [bare]))


def test_known_states_come_first_in_a_dictionary_and_unknown_ones_are_kept() -> None:
    row = Course("c", "Title", status=CourseStatus("Hidden"))
    table = filled(ArrowSink(columns_of(Course)), [[row], [Course("d", "Other", status=CourseStatus.DRAFT)]])
    column: pa.ChunkedArray = table.column("status")
    assert column.to_pylist() == ["Hidden", "Draft"]
    assert column.chunk(0).dictionary.to_pylist() == ["Draft", "Scheduled", "Published", "Archived", "Hidden"]
    categories = filled(PandasSink(columns_of(Course)), [[row]])["status"].cat.categories
    assert [*categories] == ["Draft", "Scheduled", "Published", "Archived", "Hidden"]
    assert columns_module.EXTRA == "extra"
