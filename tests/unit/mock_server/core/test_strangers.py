"""What a single request may cost the server, above all one without a token: time in proportion, bounded memory."""

from __future__ import annotations

import contextlib
import gc
import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from growth import assert_proportionate
from mock_server import MockTraining
from mock_server.control import journal, masking, naming
from mock_server.refusal import RefusedError
from mock_server.transports import asgi, http1
from mock_server.wire import reading
from mock_server.wire.message import Request
from unit.mock_server.core.speaker import AGENT, FEED, JSON_TYPE, RESET

NOBODY = ("authorization", "Bearer mock_unknown")


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


def with_keys(number: int) -> bytes:
    """An object with so many keys, the last of them twice."""
    text = json.dumps({f"k{each}": 1 for each in range(number)})
    return f'{text[:-1]},"k{number - 1}":2}}'.encode()


SHAPES: dict[str, Callable[[int], bytes]] = {
    "a repeated key": with_keys,
    "lists in one another": lambda n: b"[" * n + b"]" * n,
    "objects in one another": lambda n: b'{"a":' * n + b"1" + b"}" * n,
    "texts beyond ASCII": lambda n: ("[" + ",".join(['"é"'] * n) + "]").encode(),
    "one long number": lambda n: b"[0." + b"1" * n + b"]",
    "one long name": lambda n: b'{"' + b"a_b" * n + b'":1}',
}


@pytest.mark.parametrize("shape", SHAPES)
def test_json_is_read_in_time_that_grows_as_its_length(shape: str) -> None:
    bodies: dict[int, bytes] = {}

    def read(length: int) -> None:
        body = bodies.setdefault(length, SHAPES[shape](length))
        with contextlib.suppress(RefusedError):
            reading.strict_json(body, "body")

    assert_proportionate(read)


def test_a_key_that_stands_twice_is_named_wherever_it_stands() -> None:
    for body, name in (
        (b'{"a":1,"b":2,"b":3}', "b"),
        (b'{"x":{"a":1,"a":1}}', "a"),
        (with_keys(5000), "k4999"),
    ):
        with pytest.raises(RefusedError, match=f"The key '{name}' occurs more than once"):
            reading.strict_json(body, "body")


def test_depth_and_keys_are_limited_and_the_limits_are_said() -> None:
    deep, wide = reading.MAX_DEPTH, reading.MAX_KEYS
    for open_, close in (('{"a":', "}"), ("[", "]")):
        assert reading.strict_json((open_ * deep + "1" + close * deep).encode(), "body")
        with pytest.raises(RefusedError, match=f"at most {deep} levels of objects and lists"):
            reading.strict_json((open_ * (deep + 1) + "1" + close * (deep + 1)).encode(), "body")
    sound = {f"k{each}": each for each in range(wide)}
    assert reading.strict_json(json.dumps(sound).encode(), "body") == sound
    with pytest.raises(RefusedError, match=f"{wide + 1} keys, and at most {wide} are allowed"):
        reading.strict_json(json.dumps(sound | {"one": "more"}).encode(), "body")


@pytest.mark.parametrize(
    "authorization", [(), (NOBODY,), (("authorization", "Basic eA=="),), (NOBODY, NOBODY)]
)
@pytest.mark.parametrize(("method", "path"), [("POST", RESET), ("GET", FEED), ("GET", RESET)])
def test_R29_nothing_is_read_of_a_request_whose_token_nobody_knows(
    mock: MockTraining,
    monkeypatch: pytest.MonkeyPatch,
    authorization: tuple[tuple[str, str], ...],
    method: str,
    path: str,
) -> None:
    read: list[str] = []

    def spy(name: str) -> Callable[..., Any]:
        real = getattr(reading, name)

        def noted(*given: Any, **options: Any) -> Any:
            read.append(name)
            return real(*given, **options)

        return noted

    for name in ("strict_json", "json_body", "no_body", "pairs"):
        monkeypatch.setattr(reading, name, spy(name))
    headers = (AGENT, JSON_TYPE, *authorization)
    answer = mock.handle(Request(method, path, "%", headers, with_keys(2)))
    assert (answer.status, read) == (401, [])
    assert mock.audit == ()
    known = (AGENT, JSON_TYPE, ("authorization", f"Bearer {mock.token('admin')}"))
    assert mock.handle(Request(method, path, "%", known, with_keys(2))).status in (400, 405)
    assert read, "what somebody known sends is read"


def test_R29_a_revoked_token_is_401_before_its_body_and_its_reset_is_on_record(mock: MockTraining) -> None:
    headers = (AGENT, JSON_TYPE, ("authorization", f"Bearer {mock.token('revoked')}"))
    for body in (with_keys(50_000), b"[" * 100_000, b'{"courseId": "x", "allUsers": true}'):
        assert mock.handle(Request("POST", RESET, "", headers, body)).status == 401
    assert [(each.outcome, each.course_id, each.everyone) for each in mock.audit] == [
        ("UNAUTHENTICATED", "", False),
        ("UNAUTHENTICATED", "", False),
        ("UNAUTHENTICATED", "x", True),
    ]


def test_a_path_with_more_segments_than_any_operation_is_not_decoded(mock: MockTraining) -> None:
    headers = (AGENT, ("authorization", f"Bearer {mock.token('admin')}"))
    answer = mock.handle(Request("GET", "/%zz" * 10_000, "", headers))
    assert (answer.status, json.loads(answer.body)["details"][0]["reason"]) == (404, "UNKNOWN_PATH")

    def ask(segment: str, length: int) -> None:
        mock.handle(Request("GET", segment * length, "", (AGENT,)))

    for segment in ("/a", "/", "/%41"):
        assert_proportionate(partial(ask, segment))


STRANGE: dict[str, Callable[[int], Request]] = {
    "empty headers": lambda n: Request("GET", "/x", "", tuple((f"h{each}-{n}", "") for each in range(2000))),
    "short headers": lambda n: Request("GET", "/x", "", tuple((f"{n}{each}", "é") for each in range(500))),
    "a long method": lambda n: Request(f"{n}" + "A" * 50_000, "/x"),
    "a long path": lambda n: Request("GET", f"/{n}" + "é" * 30_000),
    "a long query": lambda n: Request("GET", "/x", f"{n}" + "\U0001f600" * 15_000),
    "a long header name": lambda n: Request("GET", "/x", "", ((f"{n}" + "x" * 60_000, "1"),)),
    "a body": lambda n: Request("POST", RESET, "", (JSON_TYPE,), f"{n}".encode() * 9000),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_the_journal_is_bounded(mock: MockTraining, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    bound = 1_000_000
    monkeypatch.setattr(journal, "MAX_BYTES", bound)
    masking._looks_secret.cache_clear()
    naming._remembered.cache_clear()
    mock.handle(Request("GET", "/warm/up"))
    mock.calls.clear()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2000):
            mock.handle(STRANGE[kind](number))
            if mock.calls.dropped > 20:
                break
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # Beside the contents an exchange takes a fixed amount; two registers of short names take little.
    room = bound * 1.1 + 2000 * len(mock.calls)
    assert kept < room, f"{kept} bytes for {len(mock.calls)} exchanges"
    assert mock.calls.dropped, "there was more than the bound allows"


def test_paths_and_header_names_that_are_long_are_not_remembered(mock: MockTraining) -> None:
    masking._looks_secret.cache_clear()
    naming._remembered.cache_clear()
    for number in range(30):
        mock.handle(Request("GET", f"/{number}" + "x" * 5000, "", ((f"{number}" + "token" * 500, "secret"),)))
    kept = masking._looks_secret.cache_info().currsize
    assert (naming._remembered.cache_info().currsize, kept < 10) == (0, True), "those of the answers alone"
    assert {header for each in mock.calls for _, header in each.headers} == {"***"}


def test_long_headers_are_not_remembered_by_the_transports() -> None:
    asgi._remembered.cache_clear()
    http1._remembered.cache_clear()
    for number in range(30):
        name, value = f"x-{number}".encode() + b"x" * 5000, f"{number}".encode()
        read = asgi._headers([(name, value), (value, name)])
        assert read == ((name.decode(), value.decode()), (value.decode(), name.decode()))
        http1.parse_head([b"GET / HTTP/1.1", name + b": " + value])
    assert [each._remembered.cache_info().currsize for each in (asgi, http1)] == [0, 0]
