"""Random JSON: read by both converters or refused by both; and what is read is what was written."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import training_sdk
from training_sdk import Course, DecodingError, ProgressRow
from training_sdk._core import codec
from training_sdk._core.model import Model, camel, spellings
from unit.sdk.fakes import answer

MODELS = [
    model
    for name in training_sdk._MODULES
    if isinstance(model := getattr(training_sdk, name), type) and issubclass(model, Model)
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(["", "Draft", "2026-01-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00.1234567Z"]),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@st.composite
def nearly(draw: st.DrawFn) -> tuple[type[Any], Any]:
    """A model, and JSON under its own field names whose values may or may not fit."""
    model = draw(st.sampled_from(MODELS))
    spelled = [name for key in spellings(model) for name in (key,)]
    return model, draw(st.dictionaries(st.sampled_from(spelled), JSON, max_size=len(spelled)))


@given(st.one_of(nearly(), st.tuples(st.sampled_from(MODELS), JSON)))
def test_both_converters_agree(case: tuple[type[Any], Any]) -> None:
    model, value = case
    results = []
    converters = codec._converters(lenient=True)
    for converter in (converters.fast, converters.detailed):
        try:
            results.append(converter.structure(value, model))
        except Exception:
            results.append(None)
    assert results[0] == results[1]


@given(st.one_of(nearly(), st.tuples(st.sampled_from(MODELS), JSON)))
def test_what_does_not_fit_is_a_decoding_error_and_nothing_else(case: tuple[type[Any], Any]) -> None:
    model, value = case
    try:
        found = codec.structure(value, model, answer())
    except DecodingError as error:
        found = error
    if isinstance(found, DecodingError):
        assert "$" in found.message
    else:
        assert isinstance(found, model)
        hash(found)


@given(st.binary())
def test_bytes_are_json_or_a_decoding_error(body: bytes) -> None:
    try:
        found = codec.loads(answer(body=body))
    except DecodingError:
        return
    assert found == json.loads(body)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_nothing_the_server_says_is_lost(more: dict[str, Any]) -> None:
    known = set(spellings(Course))
    unknown = {key: value for key, value in more.items() if key not in known}
    found = codec.structure({"id": "c", "title": "t", **unknown}, Course, answer())
    assert dict(found.extra) == unknown


@given(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_values_arrive_as_they_were_sent(lessons: int, percent: float, title: str) -> None:
    sent = {
        "course_id": "c",
        "user_id": "u",
        "opened_at": "",
        "completed_at": None,
        "completedLessons": lessons,
        "progress_percent": percent,
        "courseTitle": title,
    }
    found = codec.decoder(ProgressRow)(answer(sent))
    assert (found.completed_lessons, found.course_title) == (lessons, title)
    assert math.isclose(found.progress_percent, percent, rel_tol=0, abs_tol=0)


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_a_spelling_in_camel_case_and_in_snake_case(model: type[Any]) -> None:
    names = spellings(model)
    for attribute in attrs.fields(model):
        if attribute.name != "extra":
            assert names[attribute.name] == names[camel(attribute.name)] == attribute.name
