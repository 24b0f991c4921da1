"""What an answer is made of: the names of its fields and their types, and not one of its values.

This is the scrubbing, too: whatever is printed or written comes from here, so no value of a person can be in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field

from mock_server.compare.names import shown
from mock_server.openapi import SCHEMAS
from mock_server.wire.schema import Schema


@define
class Place:
    """One place in an answer, such as ``data[].user_id``."""

    types: set[str] = field(factory=set)
    times: int = 0
    """How often it was seen."""


Structure = dict[str, Place]


def structure(value: object) -> Structure:
    """The places of a decoded JSON value; "" is the value itself."""
    found: Structure = {}
    _walk(value, "", found)
    return found


def _walk(value: object, where: str, found: Structure) -> None:
    place = found.setdefault(where, Place())
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
    """The types that a schema of the OpenAPI document allows, by place."""
    found: dict[str, set[str]] = {}
    if "$ref" in schema:
        return declared(SCHEMAS[schema["$ref"].removeprefix(_REFERENCE)], where)
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
    """The place that a place stands in."""
    return place.removesuffix("[]") if place.endswith("[]") else place.rpartition(".")[0]


def is_certain(found: Structure, place: str) -> bool:
    """Whether a field stood in every object that could have had it."""
    return found[place].times >= found[parent(place)].times
