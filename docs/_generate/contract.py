"""The contract as a page: every operation of the OpenAPI document with its fields and their provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from docs._generate.tables import table
from mock_server.api.openapi import document
from mock_server.wire.schema import MARK

_HEAD = ("Name", "Part", "Type", "Provenance", "Description")


def contract() -> str:
    """Return a section for each operation that is served."""
    paths = document()["paths"].items()
    return "\n\n".join(
        _section(method.upper(), template, operation)
        for template, methods in paths
        for method, operation in methods.items()
        if operation["x-served"]
    )


def _section(method: str, template: str, operation: dict[str, Any]) -> str:
    rows = [*_asked(operation), *_answered(operation["responses"]["200"])]
    refusals = ", ".join(status for status in operation["responses"] if status != "200")
    return (
        f"### {operation['operationId']}\n\n`{method} {template}` – {operation[MARK]}. {operation['summary']}\n\n"
        f"{table(_HEAD, rows)}\n\nError statuses: {refusals}."
    )


def _asked(operation: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for each in operation["parameters"]:
        schema = each.get("schema") or each["content"]["application/json"]["schema"]
        yield (f"`{each['name']}`", each["in"], _type(schema), each[MARK], each["description"])
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        ways = {name: row for way in schema.get("oneOf", [schema]) for name, row in _fields(way, "body")}
        yield from ways.values()


def _answered(answer: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    schema = _resolved(answer["content"]["application/json"]["schema"])
    return (row for _, row in _fields(schema, "answer"))


def _fields(schema: dict[str, Any], where: str, under: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the fields of an object and of the objects in it, each by its path."""
    for name, each in schema.get("properties", {}).items():
        found, path = _resolved(each), f"{under}{name}"
        mark = each.get(MARK, "")
        yield path, (f"`{path}`", where, _type(found), mark, each.get("description", ""))
        inner = _resolved(found["items"]) if found.get("type") == "array" else found
        yield from _fields(inner, where, f"{path}[]." if inner is not found else f"{path}.")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    named: dict[str, Any] = document()["components"]["schemas"][reference.rpartition("/")[2]]
    return named


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a value in a few words."""
    if "enum" in schema:
        return ", ".join(map(_value, schema["enum"]))
    if "const" in schema:
        return _value(schema["const"])
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    kind = {"array": "list", "integer": "whole number", "boolean": "true or false", "string": "text"}
    said = schema.get("format") or kind.get(schema.get("type", ""), schema.get("type", ""))
    if "maximum" in schema:
        said += f", {schema['minimum']} to {schema['maximum']}"
    return str(said)


def _value(value: object) -> str:
    """Return a value as JSON has it; text without quotes, except an empty one."""
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"
