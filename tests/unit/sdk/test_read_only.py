"""A client that cannot write sends nothing that changes anything, whatever is asked of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from mock_server import MockTraining
from training_sdk import AsyncTrainingClient, InvalidArgumentError, ReadOnlyError, TrainingClient
from training_sdk._core.drivers import AsyncDriver, SyncDriver
from training_sdk._core.flow import Flow, Request, Response, UnsentError
from training_sdk._core.operation import Listed, Operation
from training_sdk.client import _RESOURCES
from unit.sdk.fakes import ORIGIN, TOKEN, Asker, refused_wire

READING_POSTS = {"/users/v1/users/list", "/permissions/v1/permission_sets"}
each_client = pytest.mark.parametrize("kind", [TrainingClient, AsyncTrainingClient])


def operations(client: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every operation that the client and its resources offer, found by looking."""
    owners = {"": client} | {name: getattr(client, name) for name in _RESOURCES}
    for owner, value in owners.items():
        for name in dir(type(value)):
            if isinstance(inspect.getattr_static(type(value), name), Operation | Listed):
                yield f"{owner}.{name}".lstrip("."), getattr(value, name)


def arguments(mock: MockTraining, client: TrainingClient, call: Callable[..., Any]) -> dict[str, Any]:
    """Something for every argument that must be given; what an operation makes of it is not the point here."""
    course = next(iter(client.courses.list()))
    row = next(row for row in client.progress.list(course_id=course.id) if row.has_recorded_progress)
    plan = client.resets.plan(course.id, users=[row.user_id])
    known: dict[str, Any] = {
        "course_id": course.id,
        "courses": course.id,
        "user_id": row.user_id,
        "lesson_id": client.courses.lessons(course.id)[0].id,
        "users": [row.user_id],
        "plan": plan,
        "confirm": plan.phrase,
        "method": "POST",
        "path": "/training/courses/v1",
        "add_users": [row.user_id],
        "reason": "to see it refused",
    }
    wanted = inspect.signature(call).parameters.values()
    given = {one.name: known.get(one.name, "x") for one in wanted if one.default is one.empty}
    return given | {
        name: known[name] for name in ("add_users", "reason") if name in inspect.signature(call).parameters
    }


def contents(mock: MockTraining) -> dict[str, Any]:
    """Everything that a request could change; the audit log also grows by what is refused."""
    return {name: part for name, part in mock.world.snapshot().items() if name != "audit"}


def drain(result: Any) -> None:
    if hasattr(result, "pages"):
        list(result)


def ended(call: Callable[..., Any], given: dict[str, Any]) -> Exception | None:
    """How it ended; what an operation makes of an argument that it cannot use does not matter here."""
    try:
        drain(call(**given))
    except Exception as error:
        return error
    return None


def test_every_operation_of_a_client_that_cannot_write_only_reads() -> None:
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        writer = TrainingClient(mock.token("admin"), http_client=http)
        reader = writer.with_options(read_only=True)
        outcomes = {}
        for name, call in operations(reader):
            given = arguments(mock, writer, call)
            before, state = len(mock.calls), contents(mock)
            error = ended(call, given)
            sent = list(mock.calls)[before:]
            assert all(one.method == "GET" or one.path in READING_POSTS for one in sent), name
            assert contents(mock) == state, name
            outcomes[name] = (type(error), len(sent))
    refused = {name for name, (error, sent) in outcomes.items() if error is ReadOnlyError}
    assert refused >= {
        *("request", "resets.apply", "courses.update_assignments"),
        *("webhooks.create", "webhooks.delete", "webhooks.renew_secret"),
    }
    assert {outcomes[name] for name in refused} == {(ReadOnlyError, 0)}
    answered = {name for name, (error, sent) in outcomes.items() if error is type(None) and sent}
    assert answered >= {
        *("users.me", "users.list", "courses.list", "courses.get", "courses.lessons", "courses.lesson"),
        *("progress.list", "analytics.course_statistics", "analytics.lesson_progress", "permissions.list"),
        *("resets.plan", "resets.plan_everyone", "users.feed", "webhooks.list", "webhooks.secret"),
        *("analytics.lesson_statistics", "analytics.lesson_events", "analytics.user_lesson_events"),
        *("analytics.slide_statistics", "analytics.user_slides", "analytics.survey_questions"),
        *("analytics.survey_answers", "analytics.rapid_refresh_answers"),
        *("rapid_refreshes.list", "leaderboards.list"),
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post"])
def test_no_request_of_ones_own_writes(ask: Asker, method: str) -> None:
    with pytest.raises(ReadOnlyError, match=r"Nothing was sent.*read_only=True"):
        ask(refused_wire, lambda client: client.request(method, "/x", json={}), read_only=True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_of_ones_own_reads(ask: Asker, method: str) -> None:
    done = ask(
        lambda request: httpx.Response(200), lambda client: client.request(method, "/x"), read_only=True
    )
    assert done.status == 200


WRITE = Request("POST", "/x", repeatable=False)


def sends_past_every_check() -> Flow[Response]:
    """A flow that asks for a write with no check before it."""
    answer: Response = yield WRITE
    return answer


def test_the_sync_driver_is_the_last_gate_and_does_not_even_ask_for_the_token() -> None:
    def token() -> str:
        raise AssertionError("asked for the token")

    with httpx.Client(transport=httpx.MockTransport(refused_wire)) as http:
        client = TrainingClient(token, base_url=ORIGIN, http_client=http, read_only=True)
        assert isinstance(client._driver, SyncDriver)
        with pytest.raises(UnsentError) as refused:
            client._driver.run(sends_past_every_check())
    assert isinstance(refused.value.original, ReadOnlyError)


def test_the_async_driver_is_the_last_gate() -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(refused_wire)) as http:
            client = AsyncTrainingClient(TOKEN, base_url=ORIGIN, http_client=http, read_only=True)
            assert isinstance(client._driver, AsyncDriver)
            with pytest.raises(UnsentError) as refused:
                await client._driver.run(sends_past_every_check())
        assert isinstance(refused.value.original, ReadOnlyError)

    anyio.run(main)


@each_client
def test_it_can_be_switched_on_and_never_off(kind: Any) -> None:
    client = kind(TOKEN, base_url=ORIGIN)
    assert not client._calls.read_only
    reader = client.with_options(read_only=True)
    for one in (
        reader,
        reader.with_options(timeout=1),
        reader.with_options(token="t"),
        reader.with_options(),
    ):
        assert one._calls.read_only
        assert one._driver.connection.read_only
    with pytest.raises(InvalidArgumentError, match="This client is read-only"):
        reader.with_options(read_only=False)
    assert not client.with_options(read_only=False)._calls.read_only


@each_client
@pytest.mark.parametrize("wrong", [1, "yes", 0])
def test_it_is_true_or_false(kind: Any, wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="read_only"):
        kind(TOKEN, base_url=ORIGIN, read_only=wrong)
    with pytest.raises(InvalidArgumentError, match="read_only"):
        kind(TOKEN, base_url=ORIGIN).with_options(read_only=wrong)


@each_client
def test_the_environment_forbids_every_client_to_write(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_READ_ONLY", "1")
    client = kind(TOKEN, base_url=ORIGIN, read_only=False)
    assert client._driver.connection.read_only
    with pytest.raises(InvalidArgumentError):
        client.with_options(read_only=False)
    monkeypatch.setenv("SAFETYCULTURE_READ_ONLY", "0")
    assert not kind(TOKEN, base_url=ORIGIN)._driver.connection.read_only
    assert kind(TOKEN, base_url=ORIGIN, read_only=True)._driver.connection.read_only


@each_client
@pytest.mark.parametrize("value", ["", "true", "yes", "2", " 1"])
def test_an_ambiguous_environment_is_refused(kind: Any, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_READ_ONLY", value)
    with pytest.raises(InvalidArgumentError, match="SAFETYCULTURE_READ_ONLY"):
        kind(TOKEN, base_url=ORIGIN)
