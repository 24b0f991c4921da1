"""Holds exchanges against the OpenAPI document: answers to the letter, and the requests of those who claim to know it.

The document leaves answers open for fields of a live service; here they are closed, so that the reference server
cannot send what the document does not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema_rs
from attrs import define, field, frozen

from mock_server.api.openapi import document
from mock_server.wire.message import Request, Response

Spec = dict[str, Any]
CONFIRMATION = "Reset-Confirmation"


def closed_document() -> Spec:
    """The document with every object that names its fields closed to others."""
    closed = deepcopy(document())
    for schema in closed["components"]["schemas"].values():
        for each in _within(schema):
            if each.get("type") == "object" and "properties" in each:
                each.setdefault("additionalProperties", False)
    return closed


def _within(value: object) -> Iterator[Spec]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _within(each)
    elif isinstance(value, list):
        for each in value:
            yield from _within(each)


@frozen
class Found:
    """An operation of the document, and the path's values."""

    template: str
    method: str
    spec: Spec
    path: dict[str, str]

    @property
    def name(self) -> str:
        return str(self.spec["operationId"])


@define
class Conformity:
    """The document, compiled as far as it is used."""

    spec: Spec = field(factory=closed_document)
    _validators: dict[str, jsonschema_rs.Validator] = field(factory=dict)

    def find(self, method: str, path: str) -> Found | None:
        """The operation a request means, literal segments before named ones; None for an unknown one."""
        segments = [unquote(each) for each in path.split("/")[1:]]
        asked = "get" if method == "HEAD" else method.lower()
        for template, methods in sorted(self.spec["paths"].items(), key=lambda item: item[0].count("{")):
            parts = template.split("/")[1:]
            if len(parts) == len(segments) and asked in methods and all(map(_fits, parts, segments)):
                named = {
                    part[1:-1]: each for part, each in zip(parts, segments, strict=True) if part[0] == "{"
                }
                return Found(template, asked, methods[asked], named)
        return None

    def check_answer(self, request: Request, response: Response) -> None:
        """Fail unless the document has this status, these headers and this body for the operation."""
        found = self.find(request.method, request.path)
        if found is None:
            assert response.status >= 400, (
                f"{request.method} {request.path} is answered and not in the document"
            )
            return
        where = f"{found.name} answers {response.status}"
        answers = found.spec["responses"]
        assert str(response.status) in answers, f"{where}; the document has {', '.join(answers)}"
        answer = self._resolved(answers[str(response.status)])
        self._check_headers(answer, response, where)
        self._check(answer["content"]["application/json"]["schema"], json.loads(response.body), where)

    def _resolved(self, answer: Spec) -> Spec:
        place = answer.get("$ref", "").rpartition("/")[2]
        found: Spec = self.spec["components"]["responses"][place] if place else answer
        return found

    def _check_headers(self, answer: Spec, response: Response, where: str) -> None:
        given = dict(response.headers)
        assert given["content-type"] == "application/json", where
        for name in answer["headers"]:
            header = self.spec["components"]["headers"][name]
            if name.lower() in given:
                self._check(header["schema"], given[name.lower()], where)
            else:
                assert not header.get("required"), f"{where} without {name}"

    def check_request(self, request: Request) -> None:
        """Fail unless the document allows this path, query, headers and body."""
        found = self.find(request.method, request.path)
        assert found is not None, f"{request.method} {request.path} is not in the document"
        parameters = {(each["in"], each["name"]): each for each in found.spec["parameters"]}
        for name, value in found.path.items():
            self._check(parameters["path", name]["schema"], value, f"{found.name} {name}")
        self._check_query(found, parameters, parse_qsl(request.query, keep_blank_values=True))
        self._check_own_headers(found, parameters, request)
        _check_nothing_lacks(found, request)
        body = found.spec.get("requestBody")
        assert bool(body) == bool(request.body), (
            f"{found.name}: a body is {'needed' if body else 'not taken'}"
        )
        if body:
            assert request.header("content-type") == "application/json"
            self._check(body["content"]["application/json"]["schema"], json.loads(request.body), found.name)

    def _check_query(
        self, found: Found, parameters: dict[tuple[str, str], Spec], query: Sequence[tuple[str, str]]
    ) -> None:
        for name in dict.fromkeys(name for name, _ in query):
            assert ("query", name) in parameters, f"{found.name} has no parameter {name}"
            schema, values = (
                parameters["query", name]["schema"],
                [value for key, value in query if key == name],
            )
            self._check(schema, _read(schema, values), f"{found.name} {name}")

    def _check_own_headers(
        self, found: Found, parameters: dict[tuple[str, str], Spec], request: Request
    ) -> None:
        for (place, name), parameter in parameters.items():
            given = request.header(name.lower()) if place == "header" else None
            if given is None:
                continue
            schema = parameter["schema"]
            self._check(schema, given, f"{found.name} {name}")
            if schema.get("contentMediaType") == "application/json":
                self._check(schema["contentSchema"], json.loads(given), f"{found.name} {name}")

    def _check(self, schema: Spec, value: object, where: str) -> None:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self.spec["components"]}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        for error in self._validators[key].iter_errors(value):
            raise AssertionError(f"{where}: {list(error.instance_path)}: {error.message}")


def _check_nothing_lacks(found: Found, request: Request) -> None:
    """What the document demands; and the confirmation, which it leaves to the policy of the world (428)."""
    asked = dict(parse_qsl(request.query, keep_blank_values=True))
    for parameter in found.spec["parameters"]:
        place, name = parameter["in"], parameter["name"]
        is_needed = parameter.get("required") or (name == CONFIRMATION and "428" in found.spec["responses"])
        given = request.header(name.lower()) if place == "header" else asked.get(name)
        assert not is_needed or place == "path" or given is not None, f"{found.name} without {name}"


def _fits(part: str, segment: str) -> bool:
    return bool(segment) if part.startswith("{") else part == segment


def _read(schema: Spec, values: list[str]) -> object:
    """The value of a query parameter, as its schema would have it."""
    if schema["type"] == "array":
        return [each for value in values for each in value.split(",")]
    assert len(values) == 1, "only lists are repeated"
    if schema["type"] == "boolean" and values[0] in ("true", "false"):
        return values[0] == "true"
    return int(values[0]) if schema["type"] == "integer" and values[0].isdigit() else values[0]


@cache
def conformity() -> Conformity:
    """One for all tests of a process, since compiling costs more than checking."""
    return Conformity()
