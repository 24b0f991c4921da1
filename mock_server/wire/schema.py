"""The few kinds of schema that the wire is made of, each with the mark of where its knowledge comes from."""

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
    """Any text."""
    return _said({"type": "string"}, description)


def nullable(schema: Schema, description: str) -> Schema:
    """A value of this schema, or null."""
    return _said({"anyOf": [schema, {"type": "null"}]}, description)


def sent_text(description: str) -> Schema:
    """Text that somebody sends: bounded, without control characters."""
    return _said({"type": "string", "maxLength": MAX_TEXT, "pattern": f"^{_NO_CONTROL}*$"}, description)


COURSE_ID, USER_ID = "6908610029087ab67fa50c2e", "user_1a007276ebf34aaaee3112be34e684a4"
"""A course and a user of the demo world, as examples."""


def sent_id(description: str, but: str = "", example: str = "") -> Schema:
    """An id that somebody sends: whatever can stand in a path, without the characters in ``but``."""
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
    """A moment, RFC 3339."""
    return _said({"type": "string", "format": "date-time"}, description)


def date_or_none(description: str = "") -> Schema:
    """A moment, or "" where there is none."""
    # The date first: a generated client tries them in this order.
    return _said({"anyOf": [{"type": "string", "format": "date-time"}, constant("")]}, description)


def constant(value: str | int | bool) -> Schema:
    """One value and no other, in the form that generators of clients read."""
    kind = {str: "string", int: "integer", bool: "boolean"}[type(value)]
    return {"type": kind, "enum": [value]}


def whole(description: str = "", low: int = 0, high: int | None = None) -> Schema:
    """A whole number."""
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return _said({"type": "integer", **bounds}, description)


def percent(description: str = "") -> Schema:
    """A percentage, 0 to 100."""
    return _said({"type": "number", "minimum": 0, "maximum": 100}, description)


def flag(description: str = "") -> Schema:
    """True or false."""
    return _said({"type": "boolean"}, description)


def choice(values: Iterable[str], description: str = "") -> Schema:
    """One of a few texts."""
    return _said({"type": "string", "enum": [str(value) for value in values]}, description)


def many(item: Schema, description: str = "", **bounds: int) -> Schema:
    """A list."""
    return _said({"type": "array", "items": item, **bounds}, description)


def reference(name: str) -> Schema:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def sent_object(mark: Mark, fields: dict[str, Schema], required: Iterable[str] = ()) -> Schema:
    """An object that somebody sends; an unknown field is refused."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {name: {**each, MARK: PROVENANCE[mark]} for name, each in fields.items()},
        "additionalProperties": False,
    }


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else schema
