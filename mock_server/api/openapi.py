"""The OpenAPI document: what is asked and answered, and how well each field is known.

All of it is derived from the operations and the classes of their answers in ``api``, and from the reasons, which the
server itself uses; so the document cannot differ from the server.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from mock_server._version import __version__
from mock_server.api.operation import Link, Operation
from mock_server.api.routes import OPERATIONS
from mock_server.refusal import Reason
from mock_server.wire.answers import Error, to_json
from mock_server.wire.schema import (
    COURSE_ID,
    MARK,
    PROVENANCE,
    USER_ID,
    Schema,
    choice,
    components,
    constant,
    reference,
    sent_id,
)

PATH = "/openapi.json"

_EVERYWHERE = (
    Reason.INVALID_ARGUMENT,
    Reason.UNAUTHENTICATED,
    Reason.HOST_NOT_ALLOWED,
    Reason.ORIGIN_NOT_ALLOWED,
    Reason.BODY_TOO_LARGE,
    Reason.RATE_LIMITED,
)
_NOT_SERVED = (
    Reason.INVALID_ARGUMENT,
    Reason.UNAUTHENTICATED,
    Reason.HOST_NOT_ALLOWED,
    Reason.ORIGIN_NOT_ALLOWED,
    Reason.RATE_LIMITED,
    Reason.UNIMPLEMENTED,
)
_ASSUMED = {MARK: PROVENANCE["A"]}

_ABOUT = """\
The HTTP API of SafetyCulture Training as the reference server of training-sdk serves it. Unofficial: not affiliated
with, endorsed or supported by SafetyCulture.

`x-provenance` states for every operation, parameter and field how it is known: `published` by the vendor, `observed`
on the live service by a third party, `third-party` types written from the reference, or `assumed` here.
Names have the vendor's spelling; both snake_case and lowerCamelCase are accepted. The reference server refuses unknown
fields and parameters, and requests without a `User-Agent`, unless its policy `requests` is `lenient`. A live service
may return more fields than these, or fewer, and errors without a body.
"""


@cache
def schemas() -> dict[str, Schema]:
    """Return the schema of every answer by the name of its class; shared, so do not change it."""
    return components((*(each.answer for each in OPERATIONS), Error))


@cache
def document() -> dict[str, Any]:
    """Return the whole document; shared, so do not change it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.template, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SafetyCulture Training (unofficial)",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "The server that serves this document."}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(map(_tag, OPERATIONS))],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "headers": _HEADERS,
            "responses": {_UNREAD: _unread()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", MARK: PROVENANCE["P"]},
            },
        },
    }


@cache
def served_document() -> dict[str, Any]:
    """Return the document as it is served: with each mark of provenance in the description too."""
    described: dict[str, Any] = _described(document())
    return described


@cache
def document_bytes() -> bytes:
    """Return the served document as JSON."""
    return to_json(served_document())


def _described(value: Any) -> Any:
    """Return the same with marks in descriptions, for pages that show no extensions."""
    if isinstance(value, list):
        return [_described(each) for each in value]
    if not isinstance(value, dict):
        return value
    told = {key: _described(each) for key, each in value.items()}
    if isinstance(mark := value.get(MARK), str):
        told["description"] = f"{value.get('description', '')} ({mark})".strip()
    return told


_HEADERS: dict[str, Any] = {
    "X-Training-Mock": {
        **_ASSUMED,
        "description": "The version of the reference server. The header identifies it.",
        "required": True,
        "schema": {"type": "string"},
    },
    "X-Training-Mock-Identity": {
        **_ASSUMED,
        "description": "The SHA-256, in hexadecimal digits, of method, target and X-Request-ID of the request, each on"
        " a line of its own. It is missing if the request has no X-Request-ID, or several.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "X-Request-ID": {
        **_ASSUMED,
        "description": "The id of the request, or a new one if it had none.",
        "required": True,
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {**_ASSUMED, "required": True, "schema": constant("Bearer")},
}


def _operation(operation: Operation) -> dict[str, Any]:
    is_served = operation.handler is not None
    described = "With the policy `other_feeds=empty`: a feed without rows."
    return {
        "operationId": operation.name,
        "tags": [_tag(operation)],
        MARK: PROVENANCE[operation.provenance],
        "parameters": _parameters(operation),
        "summary": operation.summary,
        "x-served": is_served,
        **_body(operation),
        "responses": {
            "200": _success(operation, operation.summary if is_served else described),
            **_refusals(_reasons(operation)),
        },
    }


def _tag(operation: Operation) -> str:
    """Return the noun of an operation, by its path unless it says another."""
    first, second, *_ = [*operation.template.strip("/").split("/"), ""]
    return operation.noun or (second if first in ("training", "feed") else first)


_PATH_PARAMETERS = {
    "courseId": sent_id("The course.", example=COURSE_ID),
    "courseCollectionId": sent_id("The collection."),
    "userId": sent_id("The user.", example=USER_ID),
    "pathId": sent_id("The path."),
    "groupId": sent_id("The group."),
    "rapidRefreshId": sent_id("The rapid refresh."),
    "id": sent_id("The requested object."),
}


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    mark = {MARK: PROVENANCE[operation.provenance]}
    return [
        *(
            {
                "name": each,
                "in": "path",
                "required": True,
                **mark,
                **_described_schema(_PATH_PARAMETERS[each]),
            }
            for each in re.findall(r"{(\w+)}", operation.template)
        ),
        *(
            {
                "name": each.name,
                "in": "query",
                **({"required": True} if each.required else {}),
                MARK: PROVENANCE[each.mark or operation.provenance],
                **_described_schema(each.schema),
            }
            for each in operation.parameters
        ),
        *({"name": name, "in": "header", **_ASSUMED, **each} for name, each in operation.headers.items()),
    ]


def _described_schema(schema: Schema) -> dict[str, Any]:
    """Return a schema with its description beside it, where parameters have theirs."""
    bare = {key: value for key, value in schema.items() if key != "description"}
    return {"description": schema.get("description", ""), "schema": bare}


def _body(operation: Operation) -> dict[str, Any]:
    if operation.body is None:
        return {}
    mark = {MARK: PROVENANCE[operation.provenance]}
    content = {"application/json": {"schema": operation.body}}
    return {"requestBody": {"required": True, **mark, "content": content}}


def _success(operation: Operation, description: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _answer_headers("X-Training-Mock", "X-Training-Mock-Identity", "X-Request-ID"),
        "content": {"application/json": {"schema": reference(operation.answer.__name__)}},
        **({"links": {each.name: _link(each) for each in operation.links}} if operation.links else {}),
    }


LINK_BODY = "x-request-body"
"""An object as the body of a link: generators of clients refuse a document whose ``requestBody`` is no string."""


def _link(link: Link) -> dict[str, Any]:
    body = "requestBody" if isinstance(link.body, str) else LINK_BODY
    return {
        "operationId": link.operation,
        "description": link.description,
        **({"parameters": link.parameters} if link.parameters else {}),
        **({} if link.body is None else {body: link.body}),
    }


def _reasons(operation: Operation) -> tuple[Reason, ...]:
    if operation.handler is None:
        return _NOT_SERVED
    return (
        *_EVERYWHERE,
        *((Reason.UNSUPPORTED_MEDIA_TYPE,) if operation.takes_body else ()),
        *((Reason.PERMISSION_DENIED,) if operation.may_be_denied else ()),
        *operation.refusals,
    )


def _refusals(reasons: tuple[Reason, ...]) -> dict[str, Any]:
    """Return the error answers, one for each status, with its reasons."""
    statuses: dict[int, list[Reason]] = {}
    for reason in reasons:
        statuses.setdefault(reason.status, []).append(reason)
    by_a_rule = {str(status): _refusal(status, statuses[status]) for status in statuses}
    return dict(sorted((by_a_rule | _BY_THE_SOCKET).items()))


def _refusal(status: int, reasons: list[Reason]) -> dict[str, Any]:
    challenge = ("WWW-Authenticate",) if status == Reason.UNAUTHENTICATED.status else ()
    return {
        "description": " ".join(f"{reason.name}: {reason.description}" for reason in reasons),
        "headers": _answer_headers("X-Training-Mock", "X-Training-Mock-Identity", "X-Request-ID", *challenge),
        "content": _error(reasons),
    }


def _error(reasons: list[Reason]) -> dict[str, Any]:
    detail = {"properties": {"reason": choice(reason.name for reason in reasons)}}
    narrowed = {"properties": {"code": constant(reasons[0].code), "details": {"items": detail}}}
    return {"application/json": {"schema": {"allOf": [reference("Error"), narrowed]}}}


def _unread() -> dict[str, Any]:
    return {
        "description": "A server on a socket could not read the request: it arrived too slowly (408), has an unknown"
        " expectation (417), has more than 64 KiB of request line and headers (431), is on one connection too many"
        " (503) or is not HTTP/1 (505). The server closes the connection.",
        "headers": _answer_headers("X-Training-Mock", "X-Training-Mock-Identity", "X-Request-ID"),
        "content": _error([Reason.INVALID_ARGUMENT]),
    }


def _answer_headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


_UNREAD = "Unread"
# A server on a socket answers these before there is a request.
_BY_THE_SOCKET = {
    status: {"$ref": f"#/components/responses/{_UNREAD}"} for status in ("408", "417", "431", "503", "505")
}
