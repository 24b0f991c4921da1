"""Compare a live service with the reference server: new fields are notes, missing ones warnings, other types errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import attrs
from attrs import define, field, frozen

from mock_server.api.openapi import document, schemas
from mock_server.api.operation import Operation
from mock_server.api.routes import OPERATIONS
from mock_server.compare.reader import TOKEN_VARIABLE, Answer, LiveError, NoAnswerError, Reader
from mock_server.mock import MockTraining
from mock_server.terminal_text import inline
from mock_server.wire.message import Request
from mock_server.wire.schema import Schema, schema_of

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


Get = Callable[[str], Answer]
_OWN = "training-mock-compare"
_ROWS = "100"
_UNANSWERED = 3
"""Requests without an answer in a row after which the tenant is given up."""
_SIZES = ("limit", "pageSize")
# Read in vain or with harm: the first holds a secret, the other nothing but other people's URLs.
_LEFT_OUT = ("GetWebhookToken", "ListWebhooks", "GetWebhook")


class Grade(StrEnum):
    """The severity of a difference for a program that reads the answers."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@frozen
class Difference:
    """One difference; it consists of names and types, never of values."""

    grade: Grade
    operation: str
    place: str
    said: str


@frozen
class Comparison:
    """The operations that were compared, and their differences."""

    asked: tuple[str, ...]
    findings: tuple[Difference, ...]

    @property
    def is_alarming(self) -> bool:
        """True if a difference is worse than a note."""
        return any(each.grade is not Grade.NOTE for each in self.findings)


def compare(reader: Reader) -> Comparison:
    """Call every operation that only reads. LiveError if the service is not readable or refuses the token."""
    live, own = _Side(reader.get), _Side(_own_answers(MockTraining.demo()))
    asked: list[str] = []
    findings: list[Difference] = []
    unanswered = 0
    for operation in _readable():
        try:
            findings += _compared(operation, live, own, asked)
            unanswered = unanswered if operation.name not in asked else 0
        except NoAnswerError as fault:
            asked.append(operation.name)
            unanswered += 1
            if not live.said or unanswered == _UNANSWERED:
                raise
            findings.append(Difference(Grade.WARNING, operation.name, "", f"has no answer: {fault}"))
    if asked and not any(value is not None for value in live.said.values()):
        first = findings[0]
        raise LiveError(
            f"Nothing could be compared. The first result: {first.operation} {first.said.rstrip('.')}."
        )
    return Comparison(tuple(asked), tuple(findings))


def _readable() -> list[Operation]:
    return [
        each
        for each in OPERATIONS
        if each.method == "GET" and each.handler is not None and each.name not in _LEFT_OUT
    ]


def _own_answers(mock: MockTraining) -> Get:
    headers = (("authorization", f"Bearer {mock.token('admin')}"), ("user-agent", _OWN))

    def get(path: str) -> Answer:
        bare, _, query = path.partition("?")
        answer = mock.handle(Request("GET", bare, query, headers))
        return Answer(answer.status, json.loads(answer.body))

    return get


@frozen
class _Side:
    """One of the two services, and its answers so far."""

    get: Get
    said: dict[str, Any] = field(factory=dict)

    def ask(self, operation: Operation) -> Answer | None:
        """Return the answer; None if the service has no value for a parameter of the operation."""
        path = operation.template
        for name in re.findall(r"{(\w+)}", path):
            known = self._known(operation, name)
            if not known:
                return None
            path = path.replace(f"{{{name}}}", quote(known, safe=""))
        query = [(each, _ROWS) for each in _SIZES if each in operation.query]
        query += [
            (each.name, self._known(operation, each.name)) for each in operation.parameters if each.required
        ]
        if not all(value for _, value in query):
            return None
        answer = self.get(f"{path}?{urlencode(query)}" if query else path)
        self.said[operation.name] = answer.value
        return answer

    def _known(self, operation: Operation, parameter: str) -> str:
        """Return the value of a parameter from an earlier answer, by the links of the operations; "" without one."""
        source, pointer = _sources().get((operation.name, parameter), ("", ""))
        found = self.said.get(source)
        for part in pointer.split("/")[1:]:
            if isinstance(found, list) and part == "0":
                found = found[0] if found else None
            else:
                found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""


@cache
def _sources() -> dict[tuple[str, str], tuple[str, str]]:
    """Return where the parameters of operations come from: by operation and name, an operation and a JSON pointer."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for each in _readable():
        for link in each.links:
            for name, expression in link.parameters.items():
                found.setdefault((link.operation, name), (each.name, expression.partition("#")[2]))
    return found


def _compared(operation: Operation, live: _Side, own: _Side, asked: list[str]) -> Iterator[Difference]:
    theirs, ours = live.ask(operation), own.ask(operation)
    if theirs is None or ours is None:
        yield Difference(
            Grade.NOTE, operation.name, "", "was not requested: the service has no value for its parameters"
        )
        return
    asked.append(operation.name)
    if theirs.status == 401:
        raise LiveError(
            f"The service refused the token with status 401. Set {TOKEN_VARIABLE} to a valid API token."
        )
    if theirs.trouble:
        grade = Grade.WARNING if theirs.status >= 400 else Grade.ERROR
        yield Difference(grade, operation.name, "", theirs.trouble)
        return
    yield from differences(operation.name, structure(theirs.value), _own_structure(operation, ours.value))
    yield from _next_page(operation, theirs.value)


def _own_structure(operation: Operation, value: object) -> Structure:
    """Return the places of our answer, with every type that the schema allows beside the one that it has."""
    found = structure(value)
    for place, types in declared(schema_of(operation.answer)).items():
        if place in found:
            found[place].types |= types
    return found


def differences(operation: str, theirs: Structure, ours: Structure) -> Iterator[Difference]:
    """Yield every place that differs; below the top only where both sides have an object or a list above it."""
    for place in sorted(theirs.keys() | ours.keys()):
        above = parent(place)
        if place and not (_has_parts(theirs, above) and _has_parts(ours, above)):
            continue
        if place not in ours:
            if not place.endswith("[]"):
                yield Difference(Grade.NOTE, operation, place, f"is new: {_types(theirs, place)}")
        elif place not in theirs:
            if not place.endswith("[]"):
                yield Difference(
                    Grade.WARNING, operation, place, f"is missing; ours is {_types(ours, place)}"
                )
            else:
                yield Difference(Grade.NOTE, operation, above, "is empty, so its items could not be compared")
        elif not theirs[place].types <= ours[place].types:
            said = f"is {_types(theirs, place)}, ours is {_types(ours, place)}"
            yield Difference(Grade.ERROR, operation, place, said)
        elif place and not place.endswith("[]") and is_certain(ours, place) and not is_certain(theirs, place):
            yield Difference(
                Grade.WARNING, operation, place, "is missing in some objects; ours always has it"
            )


def _has_parts(found: Structure, place: str) -> bool:
    return place in found and not found[place].types.isdisjoint(("object", "list"))


def _types(found: Structure, place: str) -> str:
    return " or ".join(sorted(found[place].types))


def _next_page(operation: Operation, value: object) -> Iterator[Difference]:
    """Report a next page that leads to another host; it is never followed there."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    more = metadata.get("next_page") if isinstance(metadata, dict) else None
    if not isinstance(more, str) or not more:
        return
    if not more.startswith("/") or more.startswith("//"):
        said = "is not a path of this host, so it was not followed"
        yield Difference(Grade.ERROR, operation.name, "metadata.next_page", said)


_WORST_FIRST = (Grade.ERROR, Grade.WARNING, Grade.NOTE)


def as_table(comparison: Comparison) -> str:
    """Return one line for each difference, the worst first, and a line that counts them."""
    found = sorted(comparison.findings, key=lambda each: _WORST_FIRST.index(each.grade))
    lines = [
        tuple(map(inline, (each.grade.value, each.operation, each.place or "(whole answer)", each.said)))
        for each in found
    ]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    rows = [
        "  ".join((*(f"{cell:{w}}" for cell, w in zip(line, widths, strict=False)), line[3]))
        for line in lines
    ]
    counts = {grade: sum(each.grade is grade for each in found) for grade in _WORST_FIRST}
    said = ", ".join(f"{count} {grade}{'' if count == 1 else 's'}" for grade, count in counts.items())
    return "\n".join((*rows, f"{len(comparison.asked)} operations requested: {said}"))


def as_json(comparison: Comparison) -> str:
    """``{"asked": [...], "findings": [{"grade", "operation", "place", "said"}]}``."""
    return json.dumps(attrs.asdict(comparison), indent=1)
