"""Rows about the client: a page read, the memory of a row, one call, and what a process pays for the import.

A page is one of the reference server's feed with 1000 rows. ``ours`` is everything that ``client.progress.list`` does,
with a transport that returns these bytes; the peers read the bytes alone.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import sys
import time
import tracemalloc
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import httpx

from benchmarks.harness import Samples, in_process, interleave, processes, row
from mock_server import MockTraining
from mock_server.wire.message import Request
from training_sdk import AsyncTrainingClient, TrainingClient

FEED = "/training/v1/feed/training-course-progress"
WHO_AM_I = "/accounts/user/v1/user:WhoAmI"
ANSWER = {"user_id": "user_1", "organisation_id": "role_1", "firstname": "A", "lastname": "B"}
ORIGIN = "http://127.0.0.1:1"
CALLS = 50


# --- a page ---


@functools.cache
def pages(count: int) -> list[bytes]:
    """Return the first pages of the feed of a generated organisation, 1000 rows each, without the last page's end."""
    mock = MockTraining.generate(users=1000, courses=20)
    headers = (("authorization", f"Bearer {mock.token('admin')}"), ("user-agent", "benchmark/1"))
    found, query = [], "limit=1000"
    for _ in range(count):
        body = mock.handle(Request("GET", FEED, query, headers)).body
        found.append(body)
        query = json.loads(body)["metadata"]["next_page"].partition("?")[2]
    return found


def client_of(bodies: list[bytes]) -> TrainingClient:
    """Return a client whose feed has these pages, over and over."""
    answers = iter(bodies * 100_000)
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=next(answers))))
    return TrainingClient("token", base_url=ORIGIN, http_client=http)


def first_page(client: TrainingClient) -> object:
    """Read one page through a client."""
    return next(iter(client.progress.list().pages()))


@functools.cache
def pydantic_page() -> Callable[[bytes], Any]:
    """Return pydantic's reader of a page, with the fields of ProgressRow; no date is an empty text on the wire."""
    from pydantic import create_model

    date: Any = datetime | Literal[""] | None
    text: Any = str | None
    optional = {
        "total_lessons": int | None,
        "score": int | float | None,
        **dict.fromkeys(("course_external_id", "course_title", "user_email", "user_first_name"), text),
        **dict.fromkeys(("user_last_name", "user_external_id"), text),
        **dict.fromkeys(("due_at", "completion_expiry_date"), date),
        "time_spent_seconds": float | None,
    }
    required = {"course_id": str, "user_id": str, "opened_at": date, "completed_at": date}
    fields: dict[str, Any] = {
        **{name: (kind, ...) for name, kind in required.items()},
        "completed_lessons": (int, ...),
        "progress_percent": (float, ...),
        **{name: (kind, None) for name, kind in optional.items()},
    }
    line: Any = create_model("Row", **fields)
    metadata: Any = create_model("Metadata", next_page=(text, None), remaining_records=(int | None, None))
    page: Any = create_model("Page", data=(list[line], ...), metadata=(metadata, ...))
    read: Callable[[bytes], Any] = page.model_validate_json
    return read


def page_samples(peer: str, short: bool) -> tuple[list[float], list[float]]:
    """Return seconds for a page through a client, and by the peer: pydantic, orjson, or json."""
    (body,) = pages(1)
    client = client_of([body])
    if peer == "orjson":
        import orjson

        read: Callable[[bytes], Any] = orjson.loads
    else:
        read = pydantic_page() if peer == "pydantic" else json.loads
    rounds = 30 if short else 150
    ours, others = interleave(
        lambda: first_page(client), lambda: read(body), rounds=rounds, clock=time.process_time
    )
    return ours, others


def _page_row(peer: str, short: bool, *without: str) -> Samples:
    return Samples(*in_process("client", "page", peer, "short" if short else "long", without=without))


@row("feed-page-fast")
def feed_page_fast(short: bool) -> Samples:
    """Measure a page with the extra [fast] beside pydantic."""
    return _page_row("pydantic", short)


@row("feed-page-fast-dicts")
def feed_page_fast_dicts(short: bool) -> Samples:
    """Measure a page with the extra [fast] beside orjson's dictionaries, which check nothing."""
    return _page_row("orjson", short)


@row("feed-page")
def feed_page(short: bool) -> Samples:
    """Measure a page without the extra beside pydantic."""
    return _page_row("pydantic", short, "msgspec")


# --- memory ---


def bytes_of(make: Callable[[], object], rows: int) -> float:
    """Return the bytes that a result holds, by row."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = make()
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del kept
    return held / rows


def memory_samples(count: int) -> tuple[float, float]:
    """Return the bytes kept for a row of a listing of so many pages, and of the same pages by pydantic."""
    bodies = pages(count)
    last = json.loads(bodies[-1])
    last["metadata"]["next_page"] = None
    bodies = [*bodies[:-1], json.dumps(last).encode()]
    read = pydantic_page()
    first_page(client_of(bodies))  # what is made once is no memory of a row
    read(bodies[0])
    client, rows = client_of(bodies), count * 1000
    ours = bytes_of(lambda: list(client.progress.list()), rows)
    return ours, bytes_of(lambda: [line for body in bodies for line in read(body).data], rows)


@row("row-memory")
def row_memory(short: bool) -> Samples:
    """Measure the bytes that a decoded row keeps."""
    return Samples(*in_process("client", "memory", "5" if short else "15"))


# --- one call ---


@contextmanager
def _pair(served: bool) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Yield one call by the SDK and the same by hand, over a socket or in the process."""
    mock = MockTraining.demo()
    token = mock.token("admin")
    headers = {"authorization": f"Bearer {token}", "accept": "application/json", "cache-control": "no-cache"}

    def hand(by_hand: httpx.Client, origin: str) -> Callable[[], object]:
        def call() -> object:
            answer = by_hand.get(f"{origin}{WHO_AM_I}", headers={"x-request-id": str(uuid.uuid4())})
            return answer.raise_for_status().json()

        return call

    if not served:
        inside: dict[str, Any] = {"transport": mock.transport(), "timeout": 30}
        client = TrainingClient(token, base_url=ORIGIN, http_client=httpx.Client(**inside))
        yield client.users.me, hand(httpx.Client(headers=headers, **inside), ORIGIN)
        return
    with (
        mock.serve() as server,
        TrainingClient(token, base_url=server.url) as client,
        httpx.Client(headers=headers, timeout=30, trust_env=False) as by_hand,
    ):
        yield client.users.me, hand(by_hand, server.url)


def _many(call: Callable[[], object]) -> Callable[[], object]:
    def calls() -> None:
        for _ in range(CALLS):
            call()

    return calls


def _call_row(served: bool, short: bool) -> Samples:
    with _pair(served) as (ours, by_hand):
        return Samples(*interleave(_many(ours), _many(by_hand), rounds=8 if short else 30))


@row("call-loopback")
def call_loopback(short: bool) -> Samples:
    """Measure calls over a socket beside httpx by hand."""
    return _call_row(True, short)


@row("call-in-process")
def call_in_process(short: bool) -> Samples:
    """Measure calls in the process beside httpx by hand."""
    return _call_row(False, short)


@functools.cache
def _async_calls(short: bool) -> list[list[float]]:
    """Return seconds of calls over a socket, one after the other: async ones, sync ones, async ones by hand."""
    mock = MockTraining.demo()
    with mock.serve() as server, asyncio.Runner() as runner:
        token = mock.token("admin")
        sync = TrainingClient(token, base_url=server.url)
        other = AsyncTrainingClient(token, base_url=server.url)
        headers = {"authorization": f"Bearer {token}", "cache-control": "no-cache"}
        by_hand = httpx.AsyncClient(headers=headers, timeout=30, trust_env=False)

        async def hand() -> object:
            named = {"x-request-id": str(uuid.uuid4())}
            answer = await by_hand.get(f"{server.url}{WHO_AM_I}", headers=named)
            return answer.raise_for_status().json()

        def many(call: Callable[[], Awaitable[object]]) -> Callable[[], None]:
            async def calls() -> None:
                for _ in range(CALLS):
                    await call()

            return lambda: runner.run(calls())

        rounds = 8 if short else 30
        taken = interleave(many(other.users.me), _many(sync.users.me), many(hand), rounds=rounds)
        runner.run(other.aclose())
        runner.run(by_hand.aclose())
        sync.close()
        return taken


@row("call-async")
def call_async(short: bool) -> Samples:
    """Measure async calls over a socket beside sync ones."""
    return Samples(*_async_calls(short)[:2])


@row("call-async-by-hand")
def call_async_by_hand(short: bool) -> Samples:
    """Measure the same async calls beside httpx by hand."""
    ours, _, by_hand = _async_calls(short)
    return Samples(ours, by_hand)


# --- a process ---

IMPORTED = "import httpx, attrs"
BY_SDK = """
import sys
from training_sdk import TrainingClient
with TrainingClient(sys.argv[2], base_url=sys.argv[1]) as client:
    client.users.me()
"""
MINIMAL_HELP = """
import click
@click.group()
def program():
    "A program."
@program.command()
def one():
    "A command."
program(["--help"])
"""
HELP = "import sys; from training_sdk.cli import main; sys.exit(main(['--help']))"


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


@row("process-one-call")
def process_one_call(short: bool) -> Samples:
    """Measure a process that imports, makes a client and sends one call, beside the imports alone."""
    mock = MockTraining.demo()
    with mock.serve() as server:
        given = (server.url, mock.token("admin"))
        commands = (_python(BY_SDK, *given), _python(IMPORTED))
        return Samples(*processes(*commands, rounds=5 if short else 20))


@row("process-import")
def process_import(short: bool) -> Samples:
    """Measure ``import training_sdk`` alone."""
    return Samples(*processes(_python("import training_sdk"), _python(IMPORTED), rounds=5 if short else 20))


@row("process-help")
def process_help(short: bool) -> Samples:
    """Measure ``training-sdk --help``."""
    return Samples(*processes(_python(HELP), _python(MINIMAL_HELP), rounds=5 if short else 20))


if __name__ == "__main__":
    kind, *given = sys.argv[1:]
    if kind == "page":
        print(json.dumps(page_samples(given[0], given[1] == "short")))
    else:
        print(json.dumps(memory_samples(int(given[0]))))
