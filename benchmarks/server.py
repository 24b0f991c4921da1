"""How fast the server answers, beside peers: ``python benchmarks/server.py PYTHON``.

PYTHON is the interpreter of an environment with attrs, ``moto[server]``, Starlette, uvicorn and its fast parts
(httptools, uvloop); it also runs our server where uvicorn serves it. Each function starts our server and the peer, lets
them take turns, and returns what each took: (ours, peer).

What a request costs is the processor time of the server, so that neither the client that loads it nor what else runs on
the machine counts; a start and a listing are times of the clock.
"""

from __future__ import annotations

import functools
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.harness import PEERS, Samples, most_resident, row
from mock_server import MockTraining, app
from mock_server.wire.message import Request

HERE = Path(__file__).parent
FEED, PAGE = "/training/v1/feed/training-course-progress", 1000
WHO_AM_I = "/accounts/user/v1/user:WhoAmI"
Figures = tuple[float, float]
"""Ours, and the peer's."""
TURNS = 5
PATIENCE = 20
"""Seconds without any answer after which a row fails; a server that is measured answers within milliseconds."""


# --- servers, and what loads them -------------------------------------------------------------------------------------


class Served:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        said = json.loads(self._line())
        self.url: str = said["url"]
        self.token: str = said["token"]

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def cpu(self) -> float:
        """The seconds of processor time that it has used."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())


@contextmanager
def served(python: str, kind: str, argument: str = "") -> Iterator[Served]:
    """Serve a kind of ``served.py`` by an interpreter."""
    command = [python, str(HERE / "served.py"), kind, argument]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(command, env=environment, **pipes, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - this folder's
        try:
            yield Served(process)
        finally:
            process.kill()


def raw_get(url: str, path: str, authorization: str) -> bytes:
    """A small GET as httpx sends it."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"host: {urlsplit(url).netloc}",
        "accept: */*",
        "accept-encoding: gzip, deflate",
        "connection: keep-alive",
        "user-agent: benchmark/1",
        f"authorization: {authorization}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def load(url: str, request: bytes, connections: int, requests: int) -> None:
    """Send a request again and again on many connections, each as soon as the last was answered."""
    address = urlsplit(url)
    with ExitStack() as held, selectors.DefaultSelector() as selector:

        def connect() -> None:
            sock = held.enter_context(socket.create_connection((address.hostname, address.port)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(sock, selectors.EVENT_READ, _Answer())
            sock.sendall(request)

        for _ in range(connections):
            connect()
        sent, answered = connections, 0
        while answered < sent:
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError(f"{url} did not answer for {PATIENCE} s")
            for key, _ in ready:
                if not key.data.fed(key.fileobj):
                    continue
                answered += 1
                if key.data.is_last:
                    selector.unregister(key.fileobj)
                if sent == requests:
                    continue
                sent += 1
                if key.data.is_last:
                    connect()
                else:
                    key.fileobj.sendall(request)  # type: ignore[union-attr]  # sockets were registered


class _Answer:
    """An answer as it arrives."""

    def __init__(self) -> None:
        self._missing = 0
        self.is_last = False
        """True if the server closes the connection after this answer."""

    def fed(self, sock: Any) -> bool:
        """Read what there is; whether the answer is whole now."""
        data = sock.recv(1 << 20)
        if not data:
            raise ConnectionError("the server closed the connection")
        if self._missing:
            self._missing -= len(data)
            return self._missing == 0
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"not a 200: {data[:200]!r}")
        self.is_last = b"\r\nconnection: close" in head.lower()
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self._missing = length - len(body)
        return self._missing == 0


def cost(
    servers: tuple[tuple[Served, bytes], tuple[Served, bytes]], connections: int, requests: int
) -> Figures:
    """Microseconds of processor time that a request costs each of two servers: the median of several turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 1):
        for (server, request), times in zip(servers, taken, strict=True):
            before = server.cpu()
            load(server.url, request, connections, requests)
            if turn:  # the first one warms up
                times.append((server.cpu() - before) / requests * 1e6)
    return median(taken[0]), median(taken[1])


# --- a small GET ------------------------------------------------------------------------------------------------------


def small_get_and_hello(python: str, engine: str = "uvicorn", requests: int = 3000) -> Figures:
    """Microseconds that an authorised small GET costs, and the same engine's empty answer to it; 16 connections."""
    with served(python, f"ours-{engine}") as ours, served(python, f"hello-{engine}") as peer:
        request = raw_get(ours.url, WHO_AM_I, f"Bearer {ours.token}")
        return cost(
            ((ours, request), (peer, raw_get(peer.url, WHO_AM_I, f"Bearer {ours.token}"))), 16, requests
        )


def small_get_and_moto(python: str) -> Figures:
    """Microseconds that an authorised small GET costs, and one of moto's (the buckets of S3); 16 connections."""
    signed = (
        "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    )
    with served(python, "ours-uvicorn") as ours, served(python, "moto") as peer:
        request = raw_get(ours.url, WHO_AM_I, f"Bearer {ours.token}")
        return cost(((ours, request), (peer, raw_get(peer.url, "/", signed))), 16, 400)


def own_work(rounds: int) -> list[float]:
    """Microseconds of processor time of each small GET, without a socket."""
    mock = MockTraining.demo()
    request = Request(
        "GET",
        WHO_AM_I,
        "",
        (("authorization", f"Bearer {mock.token('admin')}"), ("user-agent", "benchmark/1")),
    )
    assert mock.handle(request).status == 200
    taken = []
    for _ in range(rounds // 100):
        began = time.process_time()
        for _ in range(100):
            mock.handle(request)
        taken.append((time.process_time() - began) * 1e4)
    return taken


# --- pages of the feed ------------------------------------------------------------------------------------------------


@contextmanager
def ready_pages(rows: int) -> Iterator[str]:
    """A folder with the pages of a feed of so many rows as our server answers them."""
    mock = MockTraining.generate(users=rows, courses=1)
    with tempfile.TemporaryDirectory() as folder:
        for offset in range(0, rows, PAGE):
            Path(folder, str(offset)).write_bytes(page(mock, offset))
        yield folder


def page(mock: MockTraining, offset: int = 0) -> bytes:
    """One page of the feed."""
    headers = (("authorization", f"Bearer {mock.token('admin')}"), ("user-agent", "benchmark/1"))
    answer = mock.handle(Request("GET", FEED, f"offset={offset}" if offset else "", headers))
    assert answer.status == 200
    return answer.body


def page_again(python: str, engine: str = "uvicorn", requests: int = 400) -> Figures:
    """Microseconds that a page of 1000 rows costs that was read before, and one of ready bytes in Starlette."""
    with (
        ready_pages(PAGE) as pages,
        served(python, f"ours-{engine}", str(PAGE)) as ours,
        served(python, "starlette-bytes", pages) as peer,
    ):
        authorization = f"Bearer {ours.token}"
        first, second = (raw_get(each.url, FEED, authorization) for each in (ours, peer))
        return cost(((ours, first), (peer, second)), 4, requests)


def rows_kept(users: int = 3_000, courses: int = 100) -> int:
    """Most bytes that rows and pages kept as JSON took while a feed of 300,000 rows was read."""
    mock = MockTraining.generate(users=users, courses=courses)
    table = mock.world.main.progress
    most = 0
    for offset in range(0, users * courses, PAGE):
        page(mock, offset)
        most = max(most, table.row_cache.size + table.page_cache.size)
    return most


def page_first() -> Figures:
    """Milliseconds that a page of 1000 rows costs that was never read, and json.dumps of the same rows."""
    mock = MockTraining.generate(users=PAGE, courses=1)
    rows = json.loads(page(mock))

    def first() -> None:
        mock.world.main.progress.row_cache.clear()
        mock.world.main.progress.page_cache.clear()
        page(mock)

    return _turns(first, lambda: json.dumps(rows, ensure_ascii=False, separators=(",", ":")))


def page_recorded() -> Figures:
    """Milliseconds that a page of 1000 rows costs again, and without the journal."""
    mock = MockTraining.generate(users=PAGE, courses=1)
    headers = (("authorization", f"Bearer {mock.token('admin')}"), ("user-agent", "benchmark/1"))
    request = Request("GET", FEED, "", headers)
    return _turns(lambda: mock.handle(request), lambda: app.handle(mock, request), rounds=300)


def _turns(ours: Callable[[], object], peer: Callable[[], object], rounds: int = 30) -> Figures:
    """Median milliseconds of processor time of two pieces of work that take turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 3):
        for work, times in zip((ours, peer), taken, strict=True):
            began = time.process_time()
            work()
            if turn >= 3:
                times.append((time.process_time() - began) * 1e3)
    return median(taken[0]), median(taken[1])


def listing(python: str, rows: int = 200_000, rounds: int = 3) -> Figures:
    """Seconds in which httpx reads all pages from our server, and the same bytes from Starlette."""
    taken: tuple[list[float], list[float]] = ([], [])
    with (
        ready_pages(rows) as pages,
        served(sys.executable, "ours-stdlib", str(rows)) as ours,
        served(python, "starlette-bytes", pages) as peer,
    ):
        for _ in range(rounds):
            for server, times in zip((ours, peer), taken, strict=True):
                times.append(_read_all(server, rows))
    return median(taken[0]), median(taken[1])


def _read_all(server: Served, rows: int) -> float:
    began, read = time.perf_counter(), 0
    headers = {"authorization": f"Bearer {server.token}", "user-agent": "benchmark/1"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False, verify=False) as client:  # noqa: S501 - http
        following: str | None = FEED
        while following:
            answer = client.get(following).raise_for_status().json()
            read += len(answer["data"])
            following = answer["metadata"]["next_page"]
    if read != rows:
        raise RuntimeError(f"{read} rows were read, not {rows}")
    return time.perf_counter() - began


# --- start, memory ----------------------------------------------------------------------------------------------------


def start(python: str, rounds: int = 9) -> Figures:
    """Seconds from the start of the process to its first answer, of ``training-mock serve`` and of ``moto_server``."""
    ours, peer = _starts(python, rounds)
    return median(each.seconds for each in ours), median(each.seconds for each in peer)


def start_cpu(python: str, rounds: int = 9) -> Figures:
    """Seconds of processor time that the same starts cost."""
    ours, peer = _starts(python, rounds)
    return median(each.cpu for each in ours), median(each.cpu for each in peer)


def start_memory(python: str) -> Figures:
    """MiB that each process had taken at most after its first answer."""
    ours, peer = _starts(python, 1)
    return ours[-1].mebibytes, peer[-1].mebibytes


class _Start:
    """One start: seconds, processor time, memory."""

    def __init__(self, command: list[str], path: str, environment: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        began = time.perf_counter()
        silent = subprocess.DEVNULL
        process = subprocess.Popen(  # noqa: S603 - ours and the peer's
            [*command, str(port)], env=environment, stdout=silent, stderr=silent
        )
        try:
            while not _is_answered(port, path):
                time.sleep(0.002)
            self.seconds = time.perf_counter() - began
            self.mebibytes = most_resident(process.pid) / (1 << 20)
        finally:
            process.kill()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        self.cpu = used.ru_utime + used.ru_stime


def _is_answered(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            return sock.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def _starts(python: str, rounds: int) -> tuple[list[_Start], list[_Start]]:
    """Start both in turns, from compiled modules, as an installed package has them."""
    ours: list[_Start] = []
    peer: list[_Start] = []
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        mine = {**environment, "PYTHONPATH": str(HERE.parent)}
        for _ in range(rounds + 1):
            ours.append(
                _Start([sys.executable, "-m", "mock_server", "serve", "--port"], "/_mock/health", mine)
            )
            peer.append(_Start([python, "-m", "moto.server", "-p"], "/moto-api/data.json", environment))
    return ours[1:], peer[1:]


# --- large worlds -----------------------------------------------------------------------------------------------------


@functools.cache
def reset_of_many(users: int = 10_000, courses: int = 100, rounds: int = 7) -> Figures:
    """Milliseconds that a reset of 8,000 people takes in a world of a million records, and in one of its course alone.

    A reset that depends on nothing but its own people takes as long in either.
    """
    worlds = [Resettable(MockTraining.generate(users=users, courses=each)) for each in (courses, 1)]
    large, alone = zip(*([each.reset() for each in worlds] for _ in range(rounds)), strict=True)
    return median(large), median(alone)


class Resettable:
    """A world whose first course is reset again and again, for everyone with a record."""

    def __init__(self, mock: MockTraining, people: int = 8_000) -> None:
        self._mock = mock
        course = mock.world.courses[0]
        self._progress = mock.world.main.progress[course.id]
        self._records = dict(list(self._progress.records.items())[:people])
        for user_id in set(self._progress.records) - set(self._records):
            self._progress.put(user_id, None)
        confirmation = json.dumps({"courseTitle": course.title, "users": len(self._records)})
        headers = (
            ("authorization", f"Bearer {mock.token('admin')}"),
            ("user-agent", "benchmark/1"),
            ("content-type", "application/json"),
            ("reset-confirmation", confirmation),
        )
        body = json.dumps({"courseId": course.id, "allUsers": True}).encode()
        self._request = Request("POST", "/training/courseprogress/v1/reset", "", headers, body)

    def reset(self) -> float:
        """Reset everyone; return the milliseconds of processor time. Their records are back before."""
        for user_id, record in self._records.items():
            self._progress.put(user_id, record)
        began = time.process_time()
        answer = self._mock.handle(self._request)
        taken = time.process_time() - began
        if json.loads(answer.body) != {"usersUpdated": len(self._records)}:
            raise RuntimeError(f"the reset is answered {answer}")
        return taken * 1e3


# --- the rows ---------------------------------------------------------------------------------------------------------


def _samples(figures: Figures, unit: float) -> Samples:
    ours, peer = figures
    return Samples(ours * unit, peer * unit)


@row("small-get-vs-hello")
def _small_get_and_hello(short: bool) -> Samples:
    return _samples(small_get_and_hello(PEERS, requests=500 if short else 3000), 1e-6)


@row("small-get-vs-moto")
def _small_get_and_moto(short: bool) -> Samples:
    return _samples(small_get_and_moto(PEERS), 1e-6)


@row("small-get-work")
def _small_get_work(short: bool) -> Samples:
    return Samples([each * 1e-6 for each in own_work(rounds=1000 if short else 5000)])


@row("feed-page-again")
def _page_again(short: bool) -> Samples:
    return _samples(page_again(PEERS, requests=100 if short else 400), 1e-6)


@row("feed-page-first")
def _page_first(short: bool) -> Samples:
    return _samples(page_first(), 1e-3)


@row("feed-page-journal")
def _page_recorded(short: bool) -> Samples:
    return _samples(page_recorded(), 1e-3)


@row("start-vs-moto")
def _start(short: bool) -> Samples:
    return _samples(start(PEERS, rounds=3 if short else 9), 1)


@row("start-memory")
def _start_memory(short: bool) -> Samples:
    return _samples(start_memory(PEERS), 1 << 20)


@row("reset-8000")
def _reset_of_many(short: bool) -> Samples:
    return _samples(reset_of_many(), 1e-3)


@row("reset-8000-alone")
def _reset_alone(short: bool) -> Samples:
    return _samples(reset_of_many(), 1e-3)


@row("rows-kept")
def _rows_kept(short: bool) -> Samples:
    return Samples(float(rows_kept()))


@row("listing-200k-served")
def _listing(short: bool) -> Samples:
    return _samples(listing(PEERS), 1)
