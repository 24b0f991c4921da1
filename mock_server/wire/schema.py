"""The schemas of requests, and answers as classes: the fields of one give its JSON, its schema, and its provenance.

A field has the wire's spelling as its name, so that a search for ``completion_expiry_date`` or ``learnerAccess`` finds
it. The type says how it is written and checked; ``field()`` adds what the type does not say.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import cache
from json.encoder import encode_basestring
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import attrs

Schema = dict[str, Any]
Mark = Literal["P", "O", "T", "A"]
"""Published, observed, third party's types, assumed."""

MARK = "x-provenance"
PROVENANCE = {"P": "published", "O": "observed", "T": "third-party", "A": "assumed"}

MAX_TEXT = 1000
_NO_CONTROL = "[^\\x00-\\x1f\\x7f-\\x9f]"


def text(description: str = "") -> Schema:
    """Return the schema of any text."""
    return _said({"type": "string"}, description)


def nullable(schema: Schema, description: str) -> Schema:
    """Return the schema of a value or null."""
    return _said({"anyOf": [schema, {"type": "null"}]}, description)


def sent_text(description: str) -> Schema:
    """Return the schema of text in a request: bounded, without control characters."""
    return _said({"type": "string", "maxLength": MAX_TEXT, "pattern": f"^{_NO_CONTROL}*$"}, description)


COURSE_ID, USER_ID = "6908610029087ab67fa50c2e", "user_1a007276ebf34aaaee3112be34e684a4"
"""A course and a user of the demo world, as examples."""


def sent_id(description: str, but: str = "", example: str = "") -> Schema:
    """Return the schema of an id in a request: text that a path can contain, without the characters in ``but``."""
    return _said(
        {
            **({"examples": [example]} if example else {}),
            "type": "string",
            "minLength": 1,
            "maxLength": 128,
            "pattern": f"^[^/\\\\{but}\\x00-\\x1f\\x7f-\\x9f]+$",
            "not": {"enum": [".", ".."]},
        },
        description,
    )


def date(description: str = "") -> Schema:
    """Return the schema of a timestamp (RFC 3339)."""
    return _said({"type": "string", "format": "date-time"}, description)


def date_or_none(description: str = "") -> Schema:
    """Return the schema of a timestamp or an empty text."""
    # The date is first, because a generated client tries them in this order.
    return _said({"anyOf": [{"type": "string", "format": "date-time"}, constant("")]}, description)


def constant(value: str | int | bool) -> Schema:
    """Return the schema of exactly one value, in the form that client generators read."""
    kind = {str: "string", int: "integer", bool: "boolean"}[type(value)]
    return {"type": kind, "enum": [value]}


def whole(description: str = "", low: int = 0, high: int | None = None) -> Schema:
    """Return the schema of a whole number."""
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return _said({"type": "integer", **bounds}, description)


def percent(description: str = "") -> Schema:
    """Return the schema of a percentage, 0 to 100."""
    return _said({"type": "number", "minimum": 0, "maximum": 100}, description)


def flag(description: str = "") -> Schema:
    """Return the schema of true or false."""
    return _said({"type": "boolean"}, description)


def choice(values: Iterable[str], description: str = "") -> Schema:
    """Return the schema of one of these texts."""
    return _said({"type": "string", "enum": [str(value) for value in values]}, description)


def many(item: Schema, description: str = "", **bounds: int) -> Schema:
    """Return the schema of a list."""
    return _said({"type": "array", "items": item, **bounds}, description)


def reference(name: str) -> Schema:
    """Return a reference to the schema of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def sent_object(mark: Mark, fields: dict[str, Schema], required: Iterable[str] = ()) -> Schema:
    """Return the schema of an object in a request; an unknown field is refused."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {name: {**each, MARK: PROVENANCE[mark]} for name, each in fields.items()},
        "additionalProperties": False,
    }


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema


# --- answers as classes ----------------------------------------------------------------------------------------------

_T = TypeVar("_T")
_ABOUT, _KEYWORDS, _NAME = "description", "keywords", "name"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@attrs.frozen
class _Known:
    """The mark of an answer class, and whether it is a component."""

    mark: Mark
    is_component: bool


_KNOWN: dict[type, _Known] = {}


@attrs.frozen(eq=False)
class Format:
    """The schema of a type that says more than the type: ``Annotated[str, Format(date())]``."""

    schema: Schema


Date = Annotated[str, Format(date())]
DateOrNone = Annotated[str, Format(date_or_none())]
Percent = Annotated[float, Format(percent())]
Number = Annotated[float, Format({"type": "number", "minimum": 0})]


def field(description: str = "", *, mark: Mark | None = None, name: str = "", **keywords: int) -> Any:
    """A field with what its type does not say.

    ``mark`` is for one that is better or worse known than the rest, ``name`` for a spelling that is no identifier,
    ``keywords`` are added to its schema.
    """
    return attrs.field(
        metadata={_ABOUT: description, MARK: mark, _NAME: name, _KEYWORDS: keywords},
    )


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def answer(mark: Mark, *, is_component: bool = True) -> Callable[[type[_T]], type[_T]]:
    """Make a class an answer whose fields are known as ``mark`` says; every field is always sent.

    An answer that is not a component has no name in the OpenAPI document: its schema is repeated where it is used.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        # Frozen for mypy only: a check at run time would double the time that an instance takes.
        # Without a repr, because an answer may hold a secret.
        made: type[_T] = attrs.define(eq=False, repr=False)(cls)
        _KNOWN[made] = _Known(mark, is_component)
        return made

    return decorate


def json_text(value: object) -> str:
    """Return compact JSON of an answer, or of any other value."""
    cls: type = type(value)
    return _writer(cls)(value) if cls in _KNOWN else _encode(value)


def schema_of(cls: type) -> Schema:
    """Return the schema of an answer class, every field with its mark."""
    properties = {}
    for each in attrs.fields(cls):
        said = each.metadata
        described = {"description": said[_ABOUT]} if said.get(_ABOUT) else {}
        mark = PROVENANCE[said.get(MARK) or _KNOWN[cls].mark]
        kind = _kind(_hints(cls)[each.name])
        properties[_wire_name(each)] = {**kind.schema, **said.get(_KEYWORDS, {}), **described, MARK: mark}
    return {"type": "object", "required": list(properties), "properties": properties}


def components(classes: tuple[type, ...]) -> dict[str, Schema]:
    """Return the schemas of these answers and of all answers inside them, by name in alphabetical order."""
    found: dict[str, Schema] = {}
    waiting = list(classes)
    while waiting:
        cls = waiting.pop()
        if cls.__name__ not in found:
            waiting += _answers_in(tuple(_hints(cls)[each.name] for each in attrs.fields(cls)))
            if _KNOWN[cls].is_component:
                found[cls.__name__] = schema_of(cls)
    return dict(sorted(found.items()))


def _answers_in(hints: tuple[Any, ...]) -> list[type]:
    """Return the answer classes inside these types."""
    direct = [each for each in hints if each in _KNOWN]
    return direct + [inner for each in hints if get_args(each) for inner in _answers_in(get_args(each))]


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _wire_name(each: attrs.Attribute[Any]) -> str:
    return each.metadata.get(_NAME) or each.name


# --- the writer -------------------------------------------------------------------------------------------------------


@cache
def _writer(cls: type) -> Callable[[object], str]:
    """Return the function that writes answers of this class; its source is made once, of the fields."""
    fields = attrs.fields(cls)
    source, names = _source(cls, fields, [f"a.{each.name}" for each in fields])
    made: Callable[[object], str] = eval(f"lambda a: f'{{{{{source}}}}}'", names)  # noqa: S307  # made of the names of our own fields
    return made


def part_writer(cls: type, *names: str, escapes: bool = True) -> Callable[..., str]:
    """Return the function that writes some fields of an answer, from their values in this order, without the braces.

    An answer with many rows is written from such parts, because the part that its rows share is then written once.
    A function that escapes nothing is for texts that are `legible`.
    """
    fields = [getattr(attrs.fields(cls), name) for name in names]
    source, helpers = _source(cls, fields, names)
    if not escapes:
        source = re.sub(r"\{text\((\w+)\)\}", r'"{\1}"', source)
    made: Callable[..., str] = eval(f"lambda {','.join(names)}: f'{source}'", helpers)  # noqa: S307  # made of the names of our own fields
    return made


def legible(texts: Iterable[str]) -> bool:
    """Return whether JSON writes each of these texts as it is, between quotes."""
    together = "".join(texts)
    return len(encode_basestring(together)) == len(together) + 2


def _source(
    cls: type, fields: Sequence[attrs.Attribute[Any]], values: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    """Return the source of an f-string that writes fields, by the expression of each value, and the names in it."""
    names: dict[str, Any] = dict(_HELPERS)
    parts = []
    for each, value in zip(fields, values, strict=True):
        kind = _kind(_hints(cls)[each.name])
        names |= kind.writers
        parts.append(f'"{_wire_name(each)}":{{{kind.write(value)}}}')
    return ",".join(parts), names


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no form in JSON.")
    return repr(value)


_HELPERS: dict[str, Any] = {
    "text": encode_basestring,
    "number": _number,
    "flag": {True: "true", False: "false"},
    "null": "null",
    "many": lambda parts: f"[{','.join(parts)}]",
    "anything": _encode,
}


@attrs.frozen
class _Kind:
    """The form of a type on the wire: its schema, and the expression that writes a value of this type."""

    schema: Schema
    expression: str
    """The source text of the expression, with ``{}`` for the value."""
    writers: dict[str, Any] = attrs.field(factory=dict)
    """The writers of other answers that the expression calls."""

    def write(self, value: str) -> str:
        """Return the expression for a value."""
        return self.expression.replace("{}", value)


_PLAIN = {
    str: _Kind({"type": "string"}, "text({})"),
    bool: _Kind({"type": "boolean"}, "flag[{}]"),
    int: _Kind({"type": "integer", "minimum": 0}, "repr({})"),
    float: _Kind({"type": "number"}, "number({})"),
}


def _kind(hint: Any) -> _Kind:
    """Return the form of a type on the wire."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return attrs.evolve(_kind(arguments[0]), schema=hint.__metadata__[0].schema)
    if origin is Literal:
        return _Kind(choice(arguments), "text({})")
    if origin in (Union, UnionType):
        (inner,) = (_kind(each) for each in arguments if each is not NoneType)
        expression = f"(null if {{}} is None else {inner.expression})"
        return _Kind({"anyOf": [inner.schema, {"type": "null"}]}, expression, inner.writers)
    if origin is list:
        inner = _kind(arguments[0])
        expression = f"many([{inner.write('e')} for e in {{}}])"
        return _Kind({"type": "array", "items": inner.schema}, expression, inner.writers)
    if origin is dict:
        values = {"additionalProperties": _kind(arguments[1]).schema} if arguments[1] in _PLAIN else {}
        return _Kind({"type": "object", **values}, "anything({})")
    if hint in _PLAIN:
        return _PLAIN[hint]
    if hint in _KNOWN:
        name = f"write_{hint.__name__}"
        stated = reference(hint.__name__) if _KNOWN[hint].is_component else schema_of(hint)
        return _Kind(stated, f"{name}({{}})", {name: _writer(hint)})
    if issubclass(hint, Enum):
        return _Kind(choice(hint), "text({})")
    raise TypeError(f"{hint} has no form on the wire.")
