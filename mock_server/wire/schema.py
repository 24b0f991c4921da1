"""The kinds of schema that requests and answers consist of, and the marks of provenance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

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
