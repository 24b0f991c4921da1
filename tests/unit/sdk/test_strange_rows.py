"""A listing of another course or user only is no empty listing: it is read once more, and then it is an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import AsyncTrainingClient, DecodingError, TrainingClient
from training_sdk._core.flow import Request, Response
from training_sdk.api.progress import progress_rows
from unit.sdk.fakes import CALLS, COURSE, SETTINGS, Asker, Puppet, answer, over_the_wire, row, user_id
from unit.sdk.wire import HEAD, Wire, wire

OTHER = "0ther000ther000ther00000"
THIRD = "3hird0003hird0003hird000"


def feed(*rows: dict[str, Any]) -> Response:
    return answer({"metadata": {"next_page": None}, "data": list(rows)})


def keeps_alive(*rows: dict[str, Any]) -> Callable[[Wire], Callable[[Any], None]]:
    """Answer every request on a connection with a feed of these rows."""
    body = json.dumps({"metadata": {"next_page": None}, "data": list(rows)}).encode()

    def make(here: Wire) -> Callable[[Any], None]:
        def behave(connection: Any) -> None:
            while here.read(connection):
                connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)

        return behave

    return make


@pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])
def test_what_another_connection_gets_wrong_is_read_right_on_a_new_one(colour: str) -> None:
    async def asking(url: str) -> list[Any]:
        async with AsyncTrainingClient("t", base_url=url) as client:
            return [each async for each in client.progress.list(course_id=COURSE)]

    with wire(keeps_alive(row(1, course_id=OTHER)), keeps_alive(row(1), row(2))) as server:
        if colour == "sync":
            with TrainingClient("t", base_url=server.url) as client:
                found = list(client.progress.list(course_id=COURSE))
        else:
            found = anyio.run(asking, server.url, backend=colour)
    assert [each.user_id for each in found] == [user_id(1), user_id(2)]
    assert len(server.requests) == 2


def test_of_one_other_course_twice_is_an_error_that_names_the_parameter(ask: Asker) -> None:
    sent: list[Request] = []

    def reply(request: Request) -> Response:
        sent.append(request)
        return feed(row(1, course_id=OTHER), row(2, course_id=OTHER))

    with pytest.raises(DecodingError, match=r"course_id.*'0ther000ther000ther00000'"):
        ask(over_the_wire(reply), lambda client: client.progress.list(course_id=COURSE))
    assert len(sent) == 2
    with pytest.raises(DecodingError, match="asked with user_id"):
        ask(over_the_wire(lambda _: feed(row(1))), lambda client: client.progress.list(user_id=user_id(7)))


def test_of_many_other_courses_the_service_ignores_the_parameter_which_is_logged(
    ask: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(_: Request) -> Response:
        return feed(row(1, course_id=OTHER), row(1, course_id=THIRD))

    with caplog.at_level(logging.WARNING, "training_sdk"):
        assert ask(over_the_wire(reply), lambda client: client.progress.list(course_id=COURSE)) == []
    assert any("ignores course_id" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.courses.get("65f0c0ffee00000000000001"),
        lambda client: list(client.courses.list(ids=["65f0c0ffee00000000000001"])),
        lambda client: list(client.analytics.course_statistics(course_ids=["65f0c0ffee00000000000001"])),
    ],
    ids=["get", "list", "statistics"],
)
def test_so_it_is_for_whatever_is_asked_for_by_its_id(use: Callable[[Any], Any]) -> None:
    item = {"id": OTHER, "title": "Other", "courseId": OTHER, "totalUsers": 1, "completedCount": 0}
    body = {"totalCount": 1, "items": [item]}
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=body))) as http:
        client = TrainingClient("t", http_client=http, **SETTINGS)
        with pytest.raises(DecodingError, match="asked with courseId"):
            use(client)


ROWS = st.lists(
    st.tuples(st.sampled_from([COURSE, OTHER, THIRD]), st.sampled_from([1, 2]), st.booleans()), max_size=5
)


@given(ROWS, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_listed_is_what_was_asked_for_or_nothing_or_an_error(
    rows: list[tuple[str, int, bool]], by_course: bool, who: int | None
) -> None:
    course = COURSE if by_course else None
    user = None if who is None else user_id(who)
    data = [row(number, course_id=one, score=place) for place, (one, number, _) in enumerate(rows)]
    right = [each for each in data if course in (None, each["course_id"]) and user in (None, each["user_id"])]
    others = [
        {each["course_id"] for each in data if course not in (None, each["course_id"])},
        {each["user_id"] for each in data if user not in (None, each["user_id"])},
    ]
    puppet = Puppet(lambda _: feed(*data))
    flow = progress_rows(CALLS, course_id=course, user_id=user).gather()
    if data and not right and max(map(len, others)) == 1:
        with pytest.raises(DecodingError):
            puppet.run(flow)
    else:
        assert [each.score for each in puppet.run(flow)] == [each["score"] for each in right]
    again = bool(data and not right)
    assert [sent.on_new_connection for sent in puppet.sent] == [False, True][: 1 + again]
