"""Both drivers over real loopback sockets that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest
import trustme
from attrs import frozen

from training_sdk import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncTrainingClient,
    DecodingError,
    OutcomeUnknownError,
    TrainingClient,
    TrainingError,
)
from training_sdk._core import exchange, network
from unit.sdk.fakes import Recorded, no_waiting
from unit.sdk.wire import (
    GOOD,
    HEAD,
    ME,
    Wire,
    drips,
    hangs_up,
    hangs_up_after_reading,
    never_answers,
    says,
    wire,
)

# httpx and httpcore read and write bodies with async generators of their own, which they leave unfinished when a
# connection breaks; trio remarks on that, and it is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")


BACKENDS = ("sync", "asyncio", "trio")
FROM_OUTSIDE = [*BACKENDS, *(f"{backend} with httpx2" for backend in BACKENDS)]
"""For tests of the SDK's own connections, and of those that a client of httpx2 brings from outside."""


@frozen
class Real:
    """A client of one colour over real sockets, its own or those of a library's client."""

    backend: str
    library: Any = None

    def __call__(self, url: str, use: Callable[[Any], Any], **options: Any) -> Any:
        settings: dict[str, Any] = {"timeout": 5, "max_retry_seconds": 0, **options}
        if self.backend != "sync":
            return anyio.run(self._async, url, use, settings, backend=self.backend)
        if self.library is None:
            with TrainingClient("t", base_url=url, **settings) as client:
                return use(client)
        with self.library.Client(follow_redirects=True, auth=("user", "password")) as http:
            return use(TrainingClient("t", base_url=url, http_client=http, **settings))

    async def _async(self, url: str, use: Callable[[Any], Any], settings: dict[str, Any]) -> Any:
        if self.library is None:
            async with AsyncTrainingClient("t", base_url=url, **settings) as client:
                return await use(client)
        async with self.library.AsyncClient(follow_redirects=True, auth=("user", "password")) as http:
            return await use(AsyncTrainingClient("t", base_url=url, http_client=http, **settings))


@pytest.fixture(params=BACKENDS)
def real(request: pytest.FixtureRequest) -> Real:
    backend, _, library = request.param.partition(" with ")
    return Real(backend, pytest.importorskip(library) if library else None)


def read(client: Any) -> Any:
    return client.users.me()


def write(client: Any) -> Any:
    return client.courses.update_assignments("c", add_users=["u"])


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
def test_an_ordinary_answer_is_read(real: Real) -> None:
    with wire(says(GOOD)) as server:
        assert real(server.url, read).user_id == "u"
        assert real(f"{server.url}/gate/way", read).user_id == "u"
    assert server.requests[1] == b"GET /gate/way/accounts/user/v1/user:WhoAmI HTTP/1.1"


BROKEN: dict[str, tuple[Callable[[Wire], Any], type[TrainingError]]] = {
    "hangs up at once": (hangs_up, APIConnectionError),
    "hangs up after reading": (hangs_up_after_reading, APIConnectionError),
    "half a head": (says(HEAD), APIConnectionError),
    "half a body": (says(HEAD + b"content-length: 500\r\n\r\n" + ME), APIConnectionError),
    "half a chunk": (says(HEAD + b"transfer-encoding: chunked\r\n\r\n29\r\n" + ME), APIConnectionError),
    "not HTTP": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), APIConnectionError),
    "bad gzip": (
        says(HEAD + b"content-encoding: gzip\r\nconnection: close\r\n\r\nrubbish"),
        APIConnectionError,
    ),
    "bad charset": (says(HEAD + b"connection: close\r\n\r\n\xff\xfe"), DecodingError),
    "nothing": (says(HEAD + b"content-length: 0\r\n\r\n"), DecodingError),
}


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_an_error_and_for_a_write_an_unknown_outcome(real: Real, name: str) -> None:
    behaviour, error = BROKEN[name]
    with wire(behaviour) as server:
        with pytest.raises(error):
            real(server.url, read)
        with pytest.raises(OutcomeUnknownError) as caught:
            real(server.url, write)
        assert isinstance(caught.value.__cause__, error)
        assert len([line for line in server.requests if line.startswith(b"PUT")]) <= 1


PEOPLE = b"ann@example.org " * 3000
QUOTED = {
    "no status line": b'{"data": [' + PEOPLE + b"\r\n\r\n",
    "no line at all": b"\r\n\r\n" + PEOPLE,
    "not HTTP": b"HTTP/9.9 " + PEOPLE + b"\r\n\r\n",
    "status": b"HTTP/1.1 2OO " + PEOPLE + b"\r\n\r\n",
    "reason": b"HTTP/1.1 500 " + PEOPLE + b"\r\nx: y\r\n\r\n",
    "header": HEAD + b"x " + PEOPLE + b": y\r\n\r\n",
    "header value": HEAD + b"x: \x00" + PEOPLE + b"\r\n\r\n",
    "large header": HEAD + b"x: " + PEOPLE * 5 + b"\r\n\r\n",
    "folded header": b"HTTP/1.1 200 OK\r\n " + PEOPLE + b"\r\n\r\n",
    "length": HEAD + b"content-length: " + PEOPLE + b"\r\n\r\n",
    "transfer": HEAD + b"transfer-encoding: " + PEOPLE + b"\r\n\r\n",
    "chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n" + PEOPLE + b"\r\n",
    "chunk footer": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}" + PEOPLE + b"\r\n",
    "trailer": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + PEOPLE + b"\r\n\r\n",
    "gzip": HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(PEOPLE) + PEOPLE,
    "encoding": HEAD + b"content-encoding: gzip, " + PEOPLE + b"\r\n\r\n",
    "location": b"HTTP/1.1 302 Found\r\nlocation: https://[" + PEOPLE + b"\r\ncontent-length: 0\r\n\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nlocation: /x?" + PEOPLE + b"\r\ncontent-length: 0\r\n\r\n",
    "a page": HEAD + b"content-length: %d\r\n\r\n" % len(PEOPLE) + PEOPLE,
}


@pytest.mark.parametrize("name", QUOTED)
def test_an_unreadable_answer_is_not_quoted(real: Real, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "training_sdk")
    for use in (read, write):
        with no_waiting(), wire(says(QUOTED[name])) as made, pytest.raises(TrainingError) as caught:
            real(made.url, use, max_retry_seconds=5)
        error: BaseException | None = caught.value
        while error is not None:
            assert len(str(error)) < 700
            assert "example.org" not in f"{error} {error!r} {error.args}"
            assert not isinstance(error, httpx.HTTPError)
            error = error.__cause__
    assert "example.org" not in caplog.text


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
def test_half_gzip_is_not_taken_for_a_whole_answer(real: Real) -> None:
    packed = gzip.compress(ME * 1000)[:-20]
    head = HEAD + b"content-encoding: gzip\r\nconnection: close\r\n\r\n"
    with wire(says(head + packed)) as server, pytest.raises((APIConnectionError, DecodingError)):
        real(server.url, read)


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
def test_a_flaky_network_is_tried_again_and_a_write_is_not(real: Real) -> None:
    with wire(hangs_up_after_reading, hangs_up, says(GOOD)) as server, no_waiting():
        assert real(server.url, read, max_retry_seconds=30).user_id == "u"
    with wire(hangs_up_after_reading, says(GOOD)) as server, no_waiting(), pytest.raises(OutcomeUnknownError):
        real(server.url, write, max_retry_seconds=30)
    assert len(server.requests) == 1


SLOW: dict[str, Callable[[Wire], Any]] = {
    "never answers": never_answers,
    "drips its body": drips(HEAD + b"content-length: 100000\r\n\r\n", b" " * 100_000),
    "drips its head": drips(b"HTTP/1.1 200 OK\r\n", b"x-drip: 1\r\n" * 10_000),
    "drips its chunks": drips(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
}


@pytest.mark.parametrize("name", SLOW)
def test_time_is_bounded_however_slowly_an_answer_comes(real: Real, name: str) -> None:
    with wire(SLOW[name]) as server:
        with pytest.raises(APITimeoutError):
            real(server.url, read, timeout=0.3)
        with pytest.raises(OutcomeUnknownError) as caught:
            real(server.url, write, timeout=0.3)
        assert isinstance(caught.value.__cause__, APITimeoutError)


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
def test_a_port_where_nobody_listens_is_never_delivered(real: Real) -> None:
    with wire(says(GOOD)) as server:
        port = server.port
    for use in (read, write):
        with pytest.raises(APIConnectionError, match="could not connect"):
            real(f"http://127.0.0.1:{port}", use)


def test_an_undelivered_request_is_sent_again(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    with wire(says(HEAD + b"content-length: 2\r\n\r\n{}")) as server, no_waiting():
        refuse = iter([True, True, False])
        build = exchange._parsed

        def wrong_port_first(address: str, library: Any) -> Any:
            url = build(address, library)
            return url.copy_with(port=1) if next(refuse) else url

        monkeypatch.setattr(exchange, "_parsed", wrong_port_first)
        real(server.url, write, max_retry_seconds=30)
    assert len(server.requests) == 1


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_host_sees_no_request_after_a_redirect(real: Real, status: int) -> None:
    with wire(says(GOOD)) as other:
        head = b"HTTP/1.1 %d x\r\ncontent-length: 0\r\nlocation: %s/x\r\n\r\n" % (status, other.url.encode())
        with wire(says(head)) as server:
            with pytest.raises(APIStatusError, match="redirect was not followed"):
                real(server.url, read)
            with pytest.raises(OutcomeUnknownError):
                real(server.url, write)
        assert other.requests == []


def test_a_proxy_sees_nothing_meant_for_this_machine(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    with wire(says(GOOD)) as proxy, wire(says(GOOD)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert real(server.url, read).user_id == "u"
        assert real(server.url.replace("127.0.0.1", "localhost"), read).user_id == "u"
    assert proxy.requests == []
    assert len(server.requests) == 2


# --- sizes ------------------------------------------------------------------------------------------------------------


def packed(content: bytes, encoding: bytes) -> bytes:
    return HEAD + b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (encoding, len(content)) + content


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
def test_a_packed_answer_is_unpacked(real: Real) -> None:
    with wire(
        says(packed(gzip.compress(ME), b"gzip")), says(packed(zlib.compress(ME), b"deflate"))
    ) as server:
        assert real(server.url, read) == real(server.url, read)


@pytest.mark.parametrize("encoding", [b"gzip", b"gzip, gzip"])
def test_a_gzip_bomb_is_not_unpacked(real: Real, encoding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 1_000_000)
    bomb = gzip.compress(b" " * 20_000_000)
    content = gzip.compress(bomb) if b"," in encoding else bomb
    said = "exceeds 1000000 bytes|encoded more than once"
    with wire(says(packed(content, encoding))) as server, pytest.raises(APIConnectionError, match=said):
        real(server.url, read)


@pytest.mark.parametrize("real", FROM_OUTSIDE, indirect=True)
@pytest.mark.parametrize("encoding", [b"identity", b"gzip, gzip"])
def test_an_unread_answer_is_closed(real: Real, encoding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, although the client stays open and the error is kept: connections of a pool are limited."""
    monkeypatch.setattr(exchange, "LARGEST_ANSWER", 1_000)
    closed = threading.Event()

    def part_of_an_answer(server: Wire) -> Callable[[socket.socket], None]:
        def behave(connection: socket.socket) -> None:
            server.read(connection)
            head = HEAD + b"content-encoding: %s\r\ncontent-length: 9000\r\n\r\n" % encoding
            connection.sendall(head + b"x" * 2_000)
            if not connection.recv(1):
                closed.set()

        return behave

    def use(client: Any) -> Any:
        if real.backend != "sync":
            return use_async(client)
        with pytest.raises(APIConnectionError) as kept:
            read(client)
        return kept, closed.wait(5)

    async def use_async(client: Any) -> Any:
        with pytest.raises(APIConnectionError) as kept:
            await read(client)
        return kept, await anyio.to_thread.run_sync(closed.wait, 5)

    with wire(part_of_an_answer) as server:
        _, is_closed = real(server.url, use)
    assert is_closed


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for_is_hopeless(real: Real) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with wire(says(GOOD), tls=context) as server, no_waiting() as waits:
        for use in (read, write):
            with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                real(server.url, use, max_retry_seconds=30)
    assert waits == []
    assert server.requests == []


def test_one_tls_context_serves_the_process_and_http_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.create_default_context())
        return made[-1]

    network.tls_context.cache_clear()
    for name in network.CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(httpx, "create_ssl_context", make)
    with TrainingClient("t", base_url="http://127.0.0.1:9"):
        assert made == []
    for _ in range(3):
        TrainingClient("t", base_url="https://api.example.test").close()
    assert len(made) == 1
    network.tls_context.cache_clear()


# --- cancellation and threads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("use", "unknown"), [(read, False), (write, True)])
def test_a_cancelled_write_notes_unknown(backend: str, use: Callable[[Any], Any], unknown: bool) -> None:
    async def main(url: str) -> list[BaseException]:
        seen: list[BaseException] = []
        async with AsyncTrainingClient("t", base_url=url) as client:
            with anyio.move_on_after(0.3) as scope:
                try:
                    await use(client)
                except BaseException as problem:
                    seen.append(problem)
                    raise
        assert scope.cancel_called
        return seen

    with wire(never_answers) as server:
        (problem,) = anyio.run(main, server.url, backend=backend)
    assert "Cancelled" in type(problem).__name__
    notes = getattr(problem, "__notes__", [])
    assert any("may or may not have taken effect" in note for note in notes) == unknown


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("use", [read, write])
def test_a_deadline_ends_it_as_a_deadline(backend: str, use: Callable[[Any], Any]) -> None:
    async def main(url: str) -> None:
        async with AsyncTrainingClient("t", base_url=url) as client:
            with anyio.fail_after(0.2):
                await use(client)

    with wire(never_answers) as server, pytest.raises(TimeoutError):
        anyio.run(main, server.url, backend=backend)


@pytest.mark.parametrize("use", [read, write])
def test_asyncio_timeout_and_a_cancelled_task_end_as_asyncio_says(use: Callable[[Any], Any]) -> None:
    async def main(url: str) -> None:
        async with AsyncTrainingClient("t", base_url=url) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await use(client)
            task = asyncio.ensure_future(use(client))
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    with wire(never_answers) as server:
        asyncio.run(main(server.url))


def test_many_threads_share_real_connections() -> None:
    answers: list[str] = []
    with wire(says(GOOD)) as server, TrainingClient("t", base_url=server.url) as client:

        def work() -> None:
            for _ in range(5):
                answers.append(client.users.me().user_id)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == ["u"] * 40


@pytest.mark.parametrize("trouble", ["down", "404", "429"])
def test_trouble_with_a_request_that_a_hook_makes_says_nothing_about_ours(library: Any, trouble: str) -> None:
    """A hook posts every answer to a log collector, which is down or refuses."""
    wire = Recorded(lambda _: library.Response(200, json={"usersUpdated": 1}))

    def collector(request: Any) -> Any:
        if trouble == "down":
            raise library.ConnectError("refused")
        return library.Response(int(trouble))

    def report(_: Any) -> None:
        with library.Client(transport=library.MockTransport(collector)) as other:
            other.post("https://logs.example.test/").raise_for_status()

    hooks: dict[str, list[Callable[..., Any]]] = {"response": [report]}
    with library.Client(transport=library.MockTransport(wire), event_hooks=hooks) as http, no_waiting():
        client = TrainingClient("t", base_url="https://api.example.test", http_client=http)
        with pytest.raises(OutcomeUnknownError):
            write(client)
    assert len(wire.sent) == 1


def test_a_client_from_outside_cannot_set_what_decides_who_is_asked_for_what(library: Any) -> None:
    wire = Recorded(lambda _: library.Response(200, json={"user_id": "u", "organisation_id": "o"}))
    smuggled = {
        "X-Original-URL": "/training/courseprogress/v1/reset",
        "X-HTTP-Method-Override": "POST",
        "Host": "evil.example.test",
        "X-Forwarded-Host": "evil.example.test",
        "X_Original_URL": "/training/courseprogress/v1/reset",
        "X-Envoy-Original-Path": "/training/courseprogress/v1/reset",
        "Idempotency-Key": "k",
        "Reset-Confirmation": "{}",
    }
    with library.Client(transport=library.MockTransport(wire), headers=smuggled) as http:
        TrainingClient("t", base_url="https://api.example.test", http_client=http).users.me()
    headers = wire.sent[0].headers
    assert headers["host"] == "api.example.test"
    assert not headers.keys() & {name.lower() for name in smuggled} - {"host"}


def test_a_hook_that_raises_for_a_status_is_heard_as_the_status(library: Any) -> None:
    wire = Recorded(lambda _: library.Response(404, json={"message": "no such thing"}))
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [library.Response.raise_for_status]}
    with library.Client(transport=library.MockTransport(wire), event_hooks=hooks) as http, no_waiting():
        client = TrainingClient("t", base_url="https://api.example.test", http_client=http)
        for use in (read, write):
            with pytest.raises(APIStatusError) as caught:
                use(client)
            assert caught.value.status == 404
    assert len(wire.sent) == 2
