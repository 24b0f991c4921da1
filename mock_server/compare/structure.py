"""The structure of an answer: names and types of its fields, without values.

All output of a comparison is made from this, so it cannot contain a value of a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from attrs import define, field

from mock_server.api.openapi import document, schemas
from mock_server.wire.schema import Schema

OTHER_NAME = "{key}"
"""Replaces a key without a known word: it may be an id, an address or a person's name."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_FIELD = re.compile(r"@?[A-Za-z0-9_]{1,60}")
_UNKNOWN = "*"
_ALSO_NAMES = frozenset({"hand", "marks", "page", "parent", "posts", "rank", "sign"})
"""Words of our own fields that can also be names of people."""
_USUAL = (
    "account address archived attachment attachments author avatar category categories color comment comments"
    " company config content country currency custom default department device disabled duration editor enabled"
    " enrolment enrolments enrollment enrollments feedback format gender hidden href icon index kind label labels"
    " language languages level link links location manager managers media minutes mobile module modules nickname"
    " note notes number optional order organization owner path phone photo points position priority public quiz"
    " reference required result results revision role roles settings size source state tags team teams tenant text"
    " updated value values version video visible"
)
"""Words that are usual in names of fields and are not names of people."""


def shown(key: str) -> str:
    """Return a key for printing: fields of ours unchanged, of other keys the known words, and ``*`` for the rest."""
    if key in _fields():
        return key
    words = _WORD.findall(key)
    if not _FIELD.fullmatch(key) or not any(_is_known(each) for each in words):
        return OTHER_NAME
    if len(words) == 1 and not key.islower():  # as names are written
        return OTHER_NAME
    masked = _WORD.sub(lambda each: each[0] if _is_known(each[0]) else _UNKNOWN, key)
    return re.sub(r"\*(_*\*)+", _UNKNOWN, masked)


def _is_known(word: str) -> bool:
    return word.lower() in _words()


@lru_cache(maxsize=1)
def _fields() -> frozenset[str]:
    return frozenset(_properties(document()))


@lru_cache(maxsize=1)
def _words() -> frozenset[str]:
    own = {word.lower() for name in _fields() for word in _WORD.findall(name)}
    return frozenset(_USUAL.split()) | own - _ALSO_NAMES


def _properties(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for each in schema.values():
            yield from _properties(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _properties(each)


@define
class FieldTypes:
    """The types at one place in an answer, such as ``data[].user_id``."""

    types: set[str] = field(factory=set)
    times: int = 0
    """The number of times it was seen."""


Structure = dict[str, FieldTypes]


def structure(value: object) -> Structure:
    """Return the places of a decoded JSON value; "" is the value itself."""
    found: Structure = {}
    _walk(value, "", found)
    return found


def _walk(value: object, where: str, found: Structure) -> None:
    place = found.setdefault(where, FieldTypes())
    place.types.add(_type(value))
    place.times += 1
    if isinstance(value, Mapping):
        for name, each in value.items():
            key = shown(name)
            _walk(each, f"{where}.{key}" if where else key, found)
    elif isinstance(value, list):
        for each in value:
            _walk(each, f"{where}[]", found)


def _type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
    return "object"


_DECLARED = {"string": "text", "integer": "number", "array": "list"}
_REFERENCE = "#/components/schemas/"


def declared(schema: Schema, where: str = "") -> dict[str, set[str]]:
    """Return the types that a schema of the OpenAPI document allows, by place."""
    found: dict[str, set[str]] = {}
    if "$ref" in schema:
        return declared(schemas()[schema["$ref"].removeprefix(_REFERENCE)], where)
    if "type" in schema:
        kind = str(schema["type"])
        found[where] = {_DECLARED.get(kind, kind)}
    parts = [(where, each) for each in schema.get("anyOf", ())]
    parts += [
        (f"{where}.{name}" if where else name, each) for name, each in schema.get("properties", {}).items()
    ]
    parts += [(f"{where}[]", schema["items"])] if "items" in schema else []
    for place, part in parts:
        for name, types in declared(part, place).items():
            found.setdefault(name, set()).update(types)
    return found


def parent(place: str) -> str:
    """Return the place that contains a place."""
    return place.removesuffix("[]") if place.endswith("[]") else place.rpartition(".")[0]


def is_certain(found: Structure, place: str) -> bool:
    """Return whether a field was in every object that could have it."""
    return found[place].times >= found[parent(place)].times
