"""The fast decoder, by column, and the converters, value by value, agree: in every model and in every error.

So do the two readers of JSON: an answer gives the same whether msgspec is installed or not.
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import GenericAlias
from typing import Any, get_args, get_type_hints
from unittest.mock import patch

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import training_sdk
from training_sdk import DecodingError, ProgressRow, ProgressTableRow, WebhookEvent
from training_sdk._core import codec, columns, typed_rows
from training_sdk._core.model import MOST_SHARED, Extra, Model, SharedValues, camel, spellings
from training_sdk.api.pagination import _Fed, _Numbered
from unit.sdk.fakes import answer

MODELS = [
    model
    for name in training_sdk._MODULES
    if isinstance(model := getattr(training_sdk, name), type) and issubclass(model, Model)
]
DATES = (
    "2026-01-01T00:00:00Z",
    "2026-01-01t00:00:60z",
    "2026-01-01T00:00:00",
    "0001-01-01T00:00:00Z",
    "20260101",
)
TEXTS = ("", "Draft", "NaN", "3600s", "7", "-1.5e3", "\ud800", "a\x00b", *DATES)
NUMBERS = (0, -0.0, 1, 1.0, 100.0, 12.5, 2**53 + 1, 2**63, 2**64 + 1, -(2**63) - 1, 1e300, 10**30)
SCALARS = st.one_of(
    st.sampled_from((None, True, False, *TEXTS, *NUMBERS)),
    st.text(max_size=4),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def fitting(shape: Any) -> Any:
    """Values that mostly fit a field, by its type as text."""
    text = str(shape)
    if "datetime" in text:
        return st.sampled_from((*DATES, "", None))
    if "int" in text or "float" in text:
        return st.sampled_from((*NUMBERS, None, "7", "NaN"))
    if "bool" in text:
        return st.sampled_from((True, False, None))
    if "tuple" in text:
        return st.lists(st.sampled_from(("a", "Draft")) | st.just({"id": "x", "title": "t"}), max_size=3)
    return st.sampled_from(("a", "b", "Draft", "", None)) | st.text(max_size=3)


@st.composite
def rows(draw: st.DrawFn) -> tuple[type[Any], list[Any]]:
    """A model, and rows that are mostly alike: the same keys, values that fit, and a few that do not."""
    model = draw(st.sampled_from(MODELS))
    shapes = {each.name: each.type for each in attrs.fields(model)}
    names = spellings(model)
    keys = draw(st.lists(st.sampled_from(sorted(names)), unique_by=names.__getitem__))
    if draw(st.booleans()):
        keys = [key for key in names if key == names[key]]
    more = draw(st.lists(st.text(max_size=3), max_size=2, unique=True))
    fields = {**{key: fitting(shapes[names[key]]) for key in keys}, **dict.fromkeys(more, JSON)}
    found: list[Any] = draw(st.lists(st.fixed_dictionaries(fields), max_size=4))
    found = [copy.deepcopy(one) for one in found for _ in range(draw(st.sampled_from((1, 1, 1, 5))))]
    for _ in range(draw(st.integers(0, 2)) if found else 0):
        spoilt = draw(st.sampled_from(found))
        if draw(st.booleans()):
            spoilt[draw(st.sampled_from(sorted(names)))] = draw(JSON)
        elif spoilt:
            spoilt.pop(draw(st.sampled_from(sorted(spoilt))))
    return model, found


def result(read: Any) -> Any:
    """What is read, exactly, or the error with its message."""
    try:
        found = read()
    except DecodingError as error:
        return error.message, error.reason, error.status
    return [exactly(one) for one in found]


def exactly(value: Any) -> Any:
    """A value with the types of all its parts, so that 1, 1.0 and True differ, and 0.0 and -0.0."""
    if attrs.has(type(value)):
        return type(value), [exactly(getattr(value, each.name)) for each in attrs.fields(type(value))]
    if isinstance(value, tuple | list):
        return type(value), [exactly(each) for each in value]
    if isinstance(value, dict | Extra):
        return type(value), {key: exactly(each) for key, each in value.items()}
    return type(value), repr(value)


def by_converters(value: Any, shape: Any) -> Any:
    here, opening = answer(), "The answer is not as documented: "
    return codec._structure(
        codec._converters(lenient=True), value, shape, opening, status=here.status, request_id=here.request_id
    )


@given(rows())
@example((ProgressRow, [{"course_id": "c", "user_id": "u", "progress_percent": 100}]))
@example(
    (ProgressRow, [{"course_id": "c", "user_id": "u", "completed_at": None, "completed_lessons": 1.0}] * 9)
)
@example((ProgressTableRow, [{"course_id": "c", "user_id": "u", "progress_percent": 1, "new": [1]}]))
@settings(max_examples=200)
def test_both_decoders_agree_in_models_and_errors(case: tuple[type[Any], list[Any]]) -> None:
    model, found = case
    shape: Any = GenericAlias(tuple, (model, ...))
    assert result(lambda: codec.structure(found, shape, answer())) == result(
        lambda: by_converters(found, shape)
    )


@given(st.sampled_from(MODELS), JSON)
def test_both_decoders_agree_about_any_json(model: type[Any], value: Any) -> None:
    assert result(lambda: [codec.structure(value, model, answer())]) == result(
        lambda: [by_converters(value, model)]
    )


@contextmanager
def msgspec_is(installed: bool) -> Iterator[None]:
    """As if the extra [fast] was, or was not, installed; an answer of any length is given to it."""
    found = typed_rows.installed() if installed else None
    assert (found is not None) is installed, "the group [test] installs msgspec"
    with patch.object(typed_rows, "installed", lambda: found), patch.object(codec, "LEAST_FOR_MSGSPEC", 0):
        yield


def with_each_reader(body: bytes, shape: Any, *of: Any) -> tuple[Any, Any]:
    found = []
    for installed in (False, True):
        with msgspec_is(installed):
            found.append(result(lambda: [codec.decoder(shape, *of)(answer(body=body))]))
    return found[0], found[1]


@given(rows(), st.booleans())
@settings(max_examples=150)
def test_both_readers_of_json_agree(case: tuple[type[Any], list[Any]], ascii_only: bool) -> None:
    model, found = case
    envelope = {"data": found, "metadata": {"next_page": None}} if model is ProgressRow else {"items": found}
    text = json.dumps(envelope, ensure_ascii=ascii_only)
    plain, fast = with_each_reader(
        text.encode("utf-8", "surrogatepass"), _Fed if model is ProgressRow else _Numbered, model
    )
    assert plain == fast


TYPED = [model for model in MODELS if typed_rows.answer_of(GenericAlias(_Numbered, (model,))) is not None]


def plain_values(hint: Any) -> Any:
    """Values of the type that a field has in JSON, also those at the edges of it."""
    kinds = set(get_args(hint) or (hint,))
    found: list[st.SearchStrategy[Any]] = [st.none()] if type(None) in kinds else []
    if datetime in kinds:
        found.append(st.sampled_from((*DATES[:3], "2026-01-01T00:00:00.123456789+02:00", "")))
    elif bool in kinds:
        found.append(st.booleans())
    elif int in kinds or float in kinds:
        found.append(st.sampled_from(NUMBERS if float in kinds else (0, -1, 2**53 + 1, 2**64 + 1)))
    else:
        found += [st.sampled_from(("", "a", "Draft", "\x00", "é", "\ud800")), st.text(max_size=3)]
    return st.one_of(found)


@st.composite
def typed_pages(draw: st.DrawFn) -> tuple[type[Any], str]:
    """A model, and a page of rows that all have every field, in one spelling, with values of the right type."""
    model = draw(st.sampled_from(TYPED))
    hints = get_type_hints(model)
    spell: Any = draw(st.sampled_from((str, camel)))
    fields = {spell(name): plain_values(hint) for name, hint in hints.items() if name != "extra"}
    found = draw(st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=4))
    found = [one for one in found for _ in range(draw(st.sampled_from((1, 9))))]
    return model, json.dumps({"items": found, "total_count": len(found)}, ensure_ascii=draw(st.booleans()))


@given(typed_pages())
@settings(max_examples=150)
def test_rows_read_without_dictionaries_are_the_same(case: tuple[type[Any], str]) -> None:
    model, text = case
    body = text.encode("utf-8", "surrogatepass")
    plain, fast = with_each_reader(body, _Numbered, model)
    assert plain == fast


@pytest.mark.parametrize("spell", [str, camel])
@pytest.mark.parametrize("model", TYPED, ids=lambda model: model.__name__)
def test_a_fitting_page_is_read_without_dictionaries(model: type[Any], spell: Any) -> None:
    kinds = {str: "a", bool: True, int: 1, float: 1.5, datetime: DATES[0]}
    row = {}
    for name, hint in get_type_hints(model).items():
        kind = next((each for each in kinds if each in {hint, *get_args(hint)}), str)
        if name != "extra":
            row[spell(name)] = kinds[kind]
    body = json.dumps({"items": [row] * 9, "total_count": 9}).encode()
    shape: Any = GenericAlias(_Numbered, (model,))
    reader = typed_rows.answer_of(shape)
    assert reader is not None
    found = reader.read(body, SharedValues())
    assert exactly(found) == exactly(by_converters(json.loads(body), shape))
    for name, hint in get_type_hints(model).items():
        if type(None) in get_args(hint):
            row[spell(name)] = None
            null = json.dumps({"items": [row], "total_count": 1}).encode()
            assert exactly(reader.read(null, SharedValues())) == exactly(
                by_converters(json.loads(null), shape)
            )
    for wrong in ({**row, "new": 1}, {**row, next(iter(row)): [1]}):
        with pytest.raises(Exception, match=r"unknown field|Expected"):
            reader.read(json.dumps({"items": [row, wrong]}).encode(), SharedValues())


DEEP = "[" * 200 + "]" * 200
FULL = {"course_id": "c", "user_id": "u", "opened_at": "", "completed_at": "", "completed_lessons": 1}


@pytest.mark.parametrize(
    "rows",
    [
        [
            {"progress_percent": value, "time_spent_seconds": value}
            for value in (0.0, -0.0, 0, 1.5, -0.0, 0.0)
        ],
        [{"progress_percent": 1, "score": value} for value in (94.0, 94, 94.5, -0.0, 0, 1e300, None)],
        [{"progress_percent": 1, "completed_lessons": value} for value in (1, None, 2)],
        [{"progress_percent": 1, "completed_lessons": value} for value in (1, 1.0, 2**70)],
    ],
)
def test_equal_numbers_of_other_kinds_stay_apart(rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"data": [FULL | row for row in rows], "metadata": {}}).encode()
    plain, fast = with_each_reader(body, _Fed, ProgressRow)
    assert plain == fast


def test_what_is_beside_the_rows_is_read_too() -> None:
    row = json.dumps(FULL | {"progress_percent": 1}).encode()
    for more in (b'"\xff"', b"NaN", b"1e400", DEEP.encode(), b"1"):
        body = b'{"data":[%s],"metadata":{},"more":%s}' % (row, more)
        plain, fast = with_each_reader(body, _Fed, ProgressRow)
        assert plain == fast


@attrs.frozen
class _Tidied(Model):
    id: str = attrs.field(metadata={"tidy": str.upper})


def test_rows_with_a_field_to_tidy_are_left_to_the_columns() -> None:
    assert typed_rows.answer_of(GenericAlias(_Numbered, (_Tidied,))) is None


ROW = '{"course_id":"c","user_id":"u","progress_percent":%s,"x":%s}'
FITTING = '{"course_id":"c","user_id":"u","completed_at":"","progress_percent":1,"%s":%s}'
"""A row that is read without dictionaries; the field may be there twice."""
FIELDS = ("progress_percent", "score", "completed_lessons", "user_email", "completed_at")


@pytest.mark.parametrize("place", ["percent", "unknown", "repeated", "metadata", *FIELDS])
@pytest.mark.parametrize(
    "value",
    [
        *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e300", "-0.0", "-0", "1E2", "1.0", "01", "1."),
        *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "1" * 400, "1" * 5000),
        *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"a\tb"', '"\x7f"', "'a'", "nul", "[1,]", "{}", DEEP),
        *("[" * 1020 + "]" * 1020, "[" * 3000 + "]" * 3000, "[" * 60 + "1.5" + "]" * 60, '{"a":1,"a":NaN}'),
    ],
)
def test_both_readers_agree_about_odd_json(value: str, place: str) -> None:
    row = {
        "percent": ROW % (value, 1),
        "unknown": ROW % (1, value),
        "repeated": ROW % (f'{value},"progress_percent":1', 1),
        "metadata": ROW % (1, 1),
        **{name: FITTING % (name, value) for name in FIELDS},
    }[place]
    more = f',"metadata":{{"next_page":null,"x":{value}}}' if place == "metadata" else ""
    more = ',"metadata":{}' if place in FIELDS else more
    for count in (1, 12):
        body = f'{{"data":[{",".join([row] * count)}]{more}}}'.encode()
        plain, fast = with_each_reader(body, _Fed, ProgressRow)
        # The depth at which the JSON module gives up depends on the depth of the stack here.
        assert plain == fast or (value.startswith("[[[") and place == "repeated"), (plain, fast)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"a":"\xe2\x82"}',
        b'{"a":"\xed\xa0\x80"}',
        b"{}\x00",
        b"{} x",
        b"{",
        b"\0",
    ],
)
def test_both_readers_agree_about_bytes(body: bytes) -> None:
    plain, fast = with_each_reader(body, _Fed, ProgressRow)
    assert plain == fast


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()), st.integers(0, 60))
def test_both_readers_agree_about_anything(body: bytes, cut: int) -> None:
    for shape in (ProgressRow, WebhookEvent):
        plain, fast = with_each_reader(body[: cut or None], shape)
        assert plain == fast


def test_rows_of_a_listing_share_what_is_equal_and_forget_it_in_time() -> None:
    row = {"course_id": "c", "user_id": "u", "opened_at": "2026-01-01T00:00:00Z", "progress_percent": 12.5}
    page = json.dumps({"metadata": {"next_page": None}, "data": [row] * 20}).encode()
    read = codec.decoder(_Fed, ProgressRow, shares=True)
    first, second = read(answer(body=page)).data[0], read(answer(body=page)).data[19]
    for name in row:
        assert getattr(first, name) is getattr(second, name), name
    shared = SharedValues()
    for number in range(0, 10 * MOST_SHARED, 1000):
        found = [{**row, "user_id": str(number + each // 2)} for each in range(2000)]
        columns.read(found, tuple[ProgressRow, ...], shared)
    assert len(shared.of(str)) <= MOST_SHARED + 2000


def test_a_model_read_by_column_is_frozen_and_like_any_other() -> None:
    (one,) = columns.read([{"course_id": "c", "user_id": "u"}], tuple[ProgressRow, ...], SharedValues())
    twin = by_converters({"course_id": "c", "user_id": "u"}, ProgressRow)
    assert (one, hash(one), repr(one), type(one)) == (twin, hash(twin), repr(twin), ProgressRow)
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == attrs.evolve(one) == one
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.user_id = "v"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del one.user_id


@pytest.mark.parametrize("special", [{"converter": str.upper}, {"validator": attrs.validators.min_len(1)}])
def test_a_constructor_that_does_more_is_left_to_the_converters(special: dict[str, Any]) -> None:
    kind = attrs.make_class(
        "Special", {"id": attrs.field(type=str, **special)}, bases=(Model,), frozen=True, slots=True
    )
    with pytest.raises(columns.UnusualError):
        columns.read({"id": "a"}, kind, SharedValues())
    assert codec.structure({"id": "a"}, kind, answer()) == kind("a")
