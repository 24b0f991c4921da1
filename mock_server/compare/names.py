"""Which keys of an answer may be printed: an object can be keyed by people, and a name looks much like a field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from mock_server.openapi import document

OTHER_NAME = "{key}"
"""Stands for a key of which no word is known: it may be an id, an address or somebody's name."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_FIELD = re.compile(r"@?[A-Za-z0-9_]{1,60}")
_UNKNOWN = "*"
_ALSO_NAMES = frozenset({"hand", "marks", "page", "parent", "posts", "rank", "sign"})
"""Words of our own fields by which somebody may be called."""
_USUAL = (
    "account address archived attachment attachments author avatar category categories color comment comments"
    " company config content country currency custom default department device disabled duration editor enabled"
    " enrolment enrolments enrollment enrollments feedback format gender hidden href icon index kind label labels"
    " language languages level link links location manager managers media minutes mobile module modules nickname"
    " note notes number optional order organization owner path phone photo points position priority public quiz"
    " reference required result results revision role roles settings size source state tags team teams tenant text"
    " updated value values version video visible"
)
"""Words of which fields are usually made, and by which nobody is called."""


def shown(key: str) -> str:
    """A key as it may be printed: a field of ours as it is, of any other one the known words, ``*`` for the rest."""
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
