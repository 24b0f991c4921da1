"""The OpenAPI document: whole, marked throughout, and in step with the server it describes."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from conformity import Conformity, conformity
from contract.everything import everything
from contract.plant import grow
from mock_server import MockTraining, Policy, __version__, cli
from mock_server.api.openapi import LINK_BODY, document, document_bytes, schemas, served_document
from mock_server.api.routes import OPERATIONS
from mock_server.refusal import Reason
from mock_server.transports.common import Limits
from mock_server.transports.http1 import MAX_HEAD
from mock_server.wire.message import Request, Response
from mock_server.wire.schema import MARK, PROVENANCE
from rawhttp import connected, read_answer

NEVER_AN_OPERATIONS_ANSWER = {
    *("UNKNOWN_PATH", "METHOD_NOT_ALLOWED", "CONTROL_SECRET_REQUIRED", "WORLD_NOT_FOUND", "NOT_ASSIGNED"),
    *("LATE_WRITE", "WORLDS_EXHAUSTED", "INTERNAL"),
}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for template, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield template, method, operation


def test_it_is_an_openapi_3_1_document_of_this_version() -> None:
    OpenAPIV31SpecValidator(document()).validate()
    assert document()["openapi"].startswith("3.1.")
    assert document()["info"]["version"] == __version__


def test_it_says_of_every_operation_whether_it_is_served() -> None:
    described = {
        each["operationId"]: (each["x-served"], "requestBody" in each) for _, _, each in operations()
    }
    assert described == {each.name: (each.handler is not None, each.takes_body) for each in OPERATIONS}


def unmarked(value: object, where: str = "") -> Iterator[str]:
    """Places of fields without a mark."""
    if isinstance(value, dict):
        for name, schema in value.get("properties", {}).items():
            narrows = value.keys() == {"properties"} or "code" in value["properties"]
            if schema.get(MARK) not in PROVENANCE.values() and not narrows:
                yield f"{where}/{name}"
        for key, each in value.items():
            yield from unmarked(each, f"{where}/{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from unmarked(each, f"{where}/{number}")


def test_every_field_says_where_it_is_known_from() -> None:
    assert list(unmarked(document())) == []
    assert list(unmarked({"type": "object", "properties": {"x": {"type": "string"}}})) == ["/x"]


def test_everything_beside_fields_says_it_too() -> None:
    marked: list[dict[str, Any]] = [each for _, _, each in operations()]
    marked += [one for _, _, each in operations() for one in each["parameters"]]
    marked += [each["requestBody"] for _, _, each in operations() if "requestBody" in each]
    marked += document()["components"]["headers"].values()
    marked += document()["components"]["securitySchemes"].values()
    assert {each.get(MARK) for each in marked} == set(PROVENANCE.values())


def test_what_is_assumed_of_a_reset_is_said_to_be() -> None:
    reset = document()["paths"]["/training/courseprogress/v1/reset"]["post"]
    for way in reset["requestBody"]["content"]["application/json"]["schema"]["oneOf"]:
        assert {each[MARK] for each in way["properties"].values()} == {"assumed"}
    assert schemas()["ProgressRow"]["properties"]["score"][MARK] == "published"
    assert schemas()["ProgressRow"]["properties"]["time_spent_seconds"][MARK] == "third-party"


def test_published_parameters_of_an_assumed_answer_are_said_to_be_published() -> None:
    asked = document()["paths"]["/training/analytics/v1/courses/statistics"]["get"]["parameters"]
    assert {each["name"]: each[MARK] for each in asked} == {
        **dict.fromkeys(("page", "pageSize", "courseId"), "published"),
        "courseIds": "assumed",
    }


def test_every_reason_stands_with_its_status_somewhere() -> None:
    said = {
        (int(status), reason)
        for _, _, each in operations()
        for status, answer in each["responses"].items()
        for reason in re.findall(r"([A-Z_]{3,}): ", answer.get("description", ""))
    }
    assert said == {
        (reason.status, reason.name) for reason in Reason if reason.name not in NEVER_AN_OPERATIONS_ANSWER
    }


UNREAD = {
    408: b"GET /training/courses/v1 HT",
    417: b"GET /training/courses/v1 HTTP/1.1\r\nexpect: tea\r\n\r\n",
    431: b"GET /training/courses/v1 HTTP/1.1\r\na: " + b"b" * MAX_HEAD,
    505: b"GET /training/courses/v1 HTTP/2.0\r\n\r\n",
}


def test_what_a_socket_itself_answers_is_in_the_document() -> None:
    asked = Request("GET", "/training/courses/v1")
    with MockTraining.demo().serve(limits=Limits(head=0.1)) as server:
        for status, data in UNREAD.items():
            with connected(server.port) as sock:
                sock.sendall(data)
                assert refused_as_documented(asked, sock) == status
    # Not the same server: it would let go of a silent connection before a busy machine has made the next.
    one_alone = MockTraining.demo().serve(limits=Limits(connections=1))
    with one_alone as server, connected(server.port), connected(server.port) as sock:
        assert refused_as_documented(asked, sock) == 503


def refused_as_documented(asked: Request, sock: socket.socket) -> int:
    answer = read_answer(sock)
    conformity().check_answer(asked, Response(answer.status, answer.headers, answer.body))
    return answer.status


@pytest.mark.parametrize("other_feeds", ["refused", "empty"])
def test_what_is_not_served_is_answered_as_the_document_has_it(other_feeds: Any) -> None:
    mock = MockTraining.demo(policy=Policy(other_feeds=other_feeds))
    headers = (("user-agent", "tests/1"), ("authorization", f"Bearer {mock.token('admin')}"))
    for template, method, each in operations():
        if not each["x-served"]:
            request = Request(method.upper(), template, headers=headers)
            response = mock.handle(request)
            conformity().check_answer(request, response)
            assert response.status == (501 if other_feeds == "refused" else 200)


def test_links_lead_to_operations_there_are() -> None:
    known = {each["operationId"]: each for _, _, each in operations()}
    found = [
        link
        for _, _, each in operations()
        for link in each["responses"].get("200", {}).get("links", {}).values()
    ]
    assert len(found) > 30
    for link in found:
        target = known[link["operationId"]]
        names = {one["name"] for one in target["parameters"]}
        assert {name.removeprefix("header.") for name in link.get("parameters", {})} <= names
        assert ("requestBody" in link) <= ("requestBody" in target)


# --- for generators of clients -----------------------------------------------------------------------------------


def parts(value: object) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(each)


def test_constants_and_choices_name_their_type() -> None:
    """openapi-python-client drops an answer that has a constant without a type, and openapi-generator mistypes it."""
    found = [each for each in parts(document()) if "const" in each or isinstance(each.get("enum"), list)]
    untyped = [each for each in found if "type" not in each and each.get("enum") != [".", ".."]]
    assert untyped == []
    constants = [each for each in found if "const" in each]
    assert [each["description"] for each in constants] == ["True to reset everyone in the course."] * 2


def test_a_date_is_tried_before_the_empty_text() -> None:
    dates = [
        each["anyOf"]
        for each in parts(document())
        if {"type": "string", "enum": [""]} in each.get("anyOf", ())
    ]
    assert len(dates) > 10
    assert all(each[0] == {"type": "string", "format": "date-time"} for each in dates)


def test_bodies_of_links_are_text_and_headers_have_a_schema() -> None:
    links = [
        link for _, _, each in operations() for link in each["responses"]["200"].get("links", {}).values()
    ]
    assert {type(link.get("requestBody", "")) for link in links} == {str}
    assert [link for link in links if LINK_BODY in link]
    parameters = [one for _, _, each in operations() for one in each["parameters"]]
    assert [one["name"] for one in parameters if "schema" not in one] == []


def test_tags_are_nouns_and_the_forms_of_a_reset_have_names() -> None:
    tags = [tag["name"] for tag in document()["tags"]]
    assert {"courses", "progress", "resets", "groups", "sites", "paths"} <= set(tags)
    assert not [tag for tag in tags if re.search(r"v\d|feed$|accounts", tag)]
    assert len(document()["info"]["title"]) < 40
    body = document()["paths"]["/training/courseprogress/v1/reset"]["post"]["requestBody"]
    forms = body["content"]["application/json"]["schema"]["oneOf"]
    assert [each["title"] for each in forms] == ["ResetOfUsers", "ResetOfEveryone"]
    (course,) = forms[0]["properties"]["courseId"]["examples"]
    (user,) = forms[0]["properties"]["userIds"]["items"]["examples"]
    world = MockTraining.demo().world
    assert user in world.main.progress[course].roster


def test_the_served_document_has_each_mark_in_a_description() -> None:
    OpenAPIV31SpecValidator(served_document()).validate()
    marked = [each for each in parts(served_document()) if isinstance(each.get(MARK), str)]
    assert len(marked) > 300
    assert [each for each in marked if not each["description"].endswith(f"({each[MARK]})")] == []


# --- served ------------------------------------------------------------------------------------------------------


def test_it_is_served_without_a_token() -> None:
    mock = MockTraining.demo()
    answer = mock.handle(Request("GET", "/openapi.json"))
    assert (answer.status, answer.body) == (200, document_bytes())
    assert json.loads(answer.body) == served_document()
    assert ("content-type", "application/json") in answer.headers
    assert mock.handle(Request("POST", "/openapi.json")).status == 405
    assert mock.token("admin").encode() not in answer.body


def test_the_command_line_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["openapi"]) == 0
    assert json.loads(capsys.readouterr().out) == served_document()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mock_server", "openapi"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.read(1) == b"{"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 0


# --- in step with the server -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "who", ["admin", "teamlead", "learner", "manager", "resetter", "outsider", "revoked"]
)
@pytest.mark.parametrize("world", ["plant", "demo"])
def test_every_answer_to_everybody_is_as_the_document_has_it(world: str, who: Any) -> None:
    mock = grow().mock if world == "plant" else MockTraining.demo()
    checked: list[int] = []
    inner = mock.handle

    def handle(request: Request) -> Response:
        response = inner(request)
        conformity().check_answer(request, response)
        checked.append(response.status)
        return response

    mock.handle = handle  # type: ignore[method-assign]  # the one place through which every answer goes
    everything(mock, who)
    assert len(checked) > 15


# --- the proof itself has to be able to fail ---------------------------------------------------------------------


WHO = Request("GET", "/accounts/user/v1/user:WhoAmI")


def meddled(change: dict[str, object], status: int = 200) -> Response:
    mock = MockTraining.demo()
    token = (("user-agent", "tests/1"), ("authorization", f"Bearer {mock.token('admin')}"))
    good = mock.handle(Request("GET", WHO.path, headers=token))
    body = {name: value for name, value in {**json.loads(good.body), **change}.items() if value is not None}
    return Response(status, good.headers, json.dumps(body).encode())


def test_a_right_answer_passes() -> None:
    conformity().check_answer(WHO, meddled({}))


@pytest.mark.parametrize(
    ("change", "status", "complaint"),
    [
        ({"user_id": 7}, 200, "user_id"),
        ({"user_id": None}, 200, "user_id"),
        ({"password": "x"}, 200, "password"),
        ({}, 418, "418"),
        ({}, 404, "404"),
        ({}, 400, "required"),
    ],
)
def test_a_wrong_answer_fails(change: dict[str, object], status: int, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        conformity().check_answer(WHO, meddled(change, status))


def test_an_answer_without_its_headers_fails() -> None:
    with pytest.raises(AssertionError, match="X-Training-Mock"):
        conformity().check_answer(WHO, Response(200, (("content-type", "application/json"),), b"{}"))


def test_an_answer_of_an_operation_that_is_not_there_fails() -> None:
    with pytest.raises(AssertionError, match="not in the document"):
        conformity().check_answer(Request("GET", "/training/undo/v1"), meddled({}))


JSON_TYPE = (("content-type", "application/json"),)
CONFIRMED = (("reset-confirmation", '{"courseTitle": "c", "users": 1}'),)
RESET = "/training/courseprogress/v1/reset"
ONE = b'{"courseId": "c", "userIds": ["u"]}'
RANKINGS = "/training/individualleaderboards/v1/rankings"


def resetting(body: bytes, headers: tuple[tuple[str, str], ...] = (*JSON_TYPE, *CONFIRMED)) -> Request:
    return Request("POST", RESET, headers=headers, body=body)


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/training/undo/v1"),
        Request("GET", "/training/courses/v1", "sort=title"),
        Request("GET", "/training/courses/v1", "page=0"),
        Request("GET", "/training/courses/v1", "page=1&page=1"),
        Request("GET", "/training/courses/v1", "page=one"),
        Request("GET", "/training/lessons/v1/%2E%2E"),
        Request("GET", "/training/courses/v1", body=b"{}"),
        Request("GET", RANKINGS),
        resetting(b""),
        resetting(b'{"courseId": "c", "userIds": []}'),
        resetting(b'{"courseId": "c", "userIds": ["u"], "allUsers": true}'),
        resetting(b'{"courseId": "c", "users": ["u"]}'),
        resetting(ONE, CONFIRMED),
        resetting(ONE, JSON_TYPE),
        resetting(ONE, (*JSON_TYPE, ("reset-confirmation", '{"courseTitle": "c"}'))),
    ],
    ids=lambda request: f"{request.method} {request.path}?{request.query} {request.body!r} {request.headers}",
)
def test_a_wrong_request_fails(request_: Request) -> None:
    with pytest.raises(AssertionError):
        conformity().check_request(request_)


def test_a_right_request_passes() -> None:
    rows = Request("GET", "/training/v1/feed/training-course-progress", "limit=5&course_id=c")
    Conformity().check_request(rows)
    Conformity().check_request(Request("GET", RANKINGS, "leaderboardId=l"))
    Conformity().check_request(resetting(ONE))
