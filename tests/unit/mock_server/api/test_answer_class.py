"""Answer classes: what is generated of their fields writes the JSON that the standard library would write."""

from __future__ import annotations

import json
import math
from enum import Enum
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import attrs
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.api.analytics import CourseStatistics
from mock_server.api.openapi import document
from mock_server.api.routes import OPERATIONS
from mock_server.wire.answers import Error
from mock_server.wire.schema import answer, field, json_text, legible, schema_of

ANSWERS = sorted({each.answer for each in OPERATIONS} | {Error}, key=lambda cls: cls.__name__)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    bool: st.booleans(),
    int: st.integers(0, 10**12),
    float: st.floats(0, 100),
    object: st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type that a field may have."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return values(arguments[0])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(values(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(values(str), values(arguments[1]), max_size=2)
    if arguments:
        return st.one_of([st.none() if each is NoneType else values(each) for each in arguments])
    if hint in PLAIN:
        return PLAIN[hint]
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    hints = get_type_hints(hint, include_extras=True)
    return st.builds(hint, **{each.name: values(hints[each.name]) for each in attrs.fields(hint)})


def plain(value: Any) -> Any:
    """The same as dictionaries and lists, by the names that the wire has."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not attrs.has(type(value)):
        return value
    names = {each: each.metadata.get("name") or each.name for each in attrs.fields(type(value))}
    return {name: plain(getattr(value, each.name)) for each, name in names.items()}


@cache
def validator(cls: type) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a class's schema; compiling one takes longer than an example."""
    return jsonschema_rs.Draft202012Validator({**schema_of(cls), "components": document()["components"]})


@pytest.mark.parametrize("cls", ANSWERS, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_the_writer_writes_what_json_would(cls: type, data: st.DataObject) -> None:
    made = data.draw(values(cls))
    expected = json.dumps(plain(made), ensure_ascii=False, separators=(",", ":"))
    assert json_text(made) == expected
    kinds = {error.kind.name for error in validator(cls).iter_errors(json.loads(expected))}
    assert kinds <= {"anyOf", "enum", "minItems", "maxItems", "minimum"}, (
        "only what a Python type does not say"
    )


@given(st.lists(PLAIN[str]))
def test_legible_texts_are_those_that_json_writes_as_they_are(texts: list[str]) -> None:
    assert legible(texts) == all(json.dumps(each, ensure_ascii=False) == f'"{each}"' for each in texts)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no form in JSON"):
        json_text(CourseStatistics("c", "Course", 1, 1, 1, value, 0.0))


def test_a_field_says_what_its_type_does_not() -> None:
    @answer("T")
    class Example:
        """An example."""

        first: int = field("Counted from 1.", minimum=1)
        second: str = field(mark="A", name="@second")

    assert schema_of(Example) == {
        "type": "object",
        "required": ["first", "@second"],
        "properties": {
            "first": {
                "type": "integer",
                "minimum": 1,
                "description": "Counted from 1.",
                "x-provenance": "third-party",
            },
            "@second": {"type": "string", "x-provenance": "assumed"},
        },
    }
    assert json_text(Example(1, 'a"b')) == '{"first":1,"@second":"a\\"b"}'


def test_a_type_without_a_form_on_the_wire_is_refused() -> None:
    @answer("A")
    class Example:
        """An example."""

        what: bytes

    with pytest.raises(TypeError, match="no form on the wire"):
        schema_of(Example)
