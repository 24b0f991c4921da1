"""``mock_server.asgi:app``: a world of the environment behind the guard, under an ASGI server of another project."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen

from mock_server import MockTraining
from mock_server.asgi import OPTIONS_VARIABLE, Application
from mock_server.startup import UsageError
from mock_server.world.seeds.exporter_rows import COLUMNS
from rawhttp import PATIENCE, everything, request, statuses
from unit.mock_server.transports.helpers import eventually

ROW = "2026-01-01T00:00:00.5Z,,3,1,c1,,Forklift basics,a@example.org,Ann,Özdemir,u1,,33.3,0,\n"
LOCAL, REMOTE = ("127.0.0.1", 5000), ("192.0.2.7", 5000)
Message = MutableMapping[str, Any]
Start = Callable[..., "Uvicorn"]


@frozen
class Uvicorn:
    """uvicorn as a process that serves the application."""

    process: subprocess.Popen[bytes]
    port: int

    def get(self, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=named, timeout=PATIENCE)


@pytest.fixture(autouse=True)
def port_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the locks of served ports apart from those of other processes: these tests name the same port."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def uvicorn(tmp_path: Path) -> Iterator[Start]:
    """Run ``uvicorn mock_server.asgi:app`` on a free port, until the test ends."""
    with ExitStack() as stack:
        yield lambda *options, **environment: stack.enter_context(_uvicorn(tmp_path, options, environment))


@contextmanager
def _uvicorn(folder: Path, options: Sequence[str], environment: dict[str, str]) -> Iterator[Uvicorn]:
    path = folder / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", "mock_server.asgi:app", "--port", "0", *options]
    with path.open("w") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ | environment)
    try:
        eventually(lambda: process.poll() is not None or "Uvicorn running on" in path.read_text())
        match = re.search(r"Uvicorn running on http://[0-9.]+:([0-9]+)", path.read_text())
        assert match, path.read_text()
        eventually(lambda: _listens(int(match[1])))  # workers do later than it is said
        yield Uvicorn(process, int(match[1]))
    finally:
        process.terminate()  # and not killed, since its workers would go on
        process.wait(PATIENCE)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of the progress of one person."""
    path = tmp_path / "training_course_progresses.csv"
    path.write_text(",".join(COLUMNS) + "\n" + ROW, encoding="utf-8")
    return path


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def reason(response: httpx.Response) -> str:
    found: str = response.json()["details"][0]["reason"]
    return found


def test_uvicorn_serves_the_world_of_the_environment_behind_the_guard(uvicorn: Start) -> None:
    server = uvicorn(TRAINING_MOCK_OPTIONS="--users 5 --policy confirmation=off --allow-host mock.test")
    tokens = {each["name"]: each["token"] for each in server.get("/_mock/tokens").json()["tokens"]}
    generated = MockTraining.generate(users=5, courses=12)
    assert tokens["admin"] == generated.token("admin")
    who = server.get("/accounts/user/v1/user:WhoAmI", authorization=f"Bearer {tokens['admin']}")
    assert who.json()["organisation_id"] == generated.world.main.id
    assert server.get("/_mock/health", host="mock.test").status_code == 200
    assert reason(server.get("/_mock/tokens", host="rebound.example")) == "HOST_NOT_ALLOWED"
    assert reason(server.get("/_mock/tokens", origin="http://evil.example")) == "ORIGIN_NOT_ALLOWED"


def test_with_a_secret_the_control_plane_requires_it_and_known_tokens_open_nothing(uvicorn: Start) -> None:
    server = uvicorn("--host", "0.0.0.0", TRAINING_MOCK_SECRET="open sesame")
    assert reason(server.get("/_mock/tokens")) == "CONTROL_SECRET_REQUIRED"
    assert server.get("/_mock/tokens", x_training_mock_secret="open sesame").status_code == 200
    known = MockTraining.demo().token("admin")
    who = server.get("/accounts/user/v1/user:WhoAmI", authorization=f"Bearer {known}")
    assert who.status_code == 401


def test_an_answer_that_a_fault_drops_or_cuts_is_incomplete_under_uvicorn(uvicorn: Start) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{uvicorn().port}") as client:
        for kind in ("drop", "cut"):
            client.post("/_mock/faults", json={"kind": kind}).raise_for_status()
            with pytest.raises(httpx.RemoteProtocolError):
                client.get("/accounts/user/v1/user:WhoAmI")
            assert client.get("/accounts/user/v1/user:WhoAmI").status_code == 401


def test_a_second_worker_refuses_every_request_and_says_why(uvicorn: Start) -> None:
    server = uvicorn("--workers", "2")
    answers: dict[int, str] = {}
    for _ in range(1000):  # until each of the two has accepted a connection
        response = server.get("/_mock/health")
        answers[response.status_code] = response.text
        if len(answers) == 2:
            break
    assert sorted(answers) == [200, 500]
    assert "Start the ASGI server with one worker." in answers[500]


WRONG = [
    (
        "--users none",
        "TRAINING_MOCK_OPTIONS: Argument --users: The value must be a whole number from 1, not 'none'.",
    ),
    ("--port 80", "TRAINING_MOCK_OPTIONS: Unrecognized arguments: --port 80."),
    ("--policy eligibility=all", "eligibility must be one of 'recorded', 'completed', not 'all'."),
    ("--policy 'open", "TRAINING_MOCK_OPTIONS: No closing quotation"),
    ("--secret-file missing", "The secret file missing cannot be read"),
    ("--progress missing.csv", "missing.csv: The file cannot be read"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_unusable_options_end_the_start(monkeypatch: pytest.MonkeyPatch, options: str, message: str) -> None:
    monkeypatch.setenv(OPTIONS_VARIABLE, options)
    (failed,) = spoken_to(Application(), {"type": "lifespan"}, [{"type": "lifespan.startup"}])
    assert failed["type"] == "lifespan.startup.failed"
    assert message in failed["message"]


def test_people_of_a_file_need_a_secret(monkeypatch: pytest.MonkeyPatch, export: Path) -> None:
    monkeypatch.setenv(OPTIONS_VARIABLE, f"--progress '{export}'")
    with pytest.raises(UsageError, match="may contain data of real people"):
        asked(Application())
    monkeypatch.setenv("TRAINING_MOCK_SECRET", "open sesame")
    assert asked(Application())[0] == 200


def test_a_state_of_real_people_is_not_loaded_into_a_world_that_is_open(export: Path) -> None:
    application = Application()
    asked(application)
    with pytest.raises(ValueError, match="this server has no secret"):
        mock_of(application).become(MockTraining.from_exporter_csv(export).state())


@pytest.mark.parametrize(
    ("server", "client"),
    [(REMOTE, LOCAL), (LOCAL, REMOTE), (LOCAL, None), (None, LOCAL), (("/run/s", None), None)],
)
def test_without_a_secret_other_machines_are_refused(server: object, client: object) -> None:
    status, body = asked(Application(), server=server, client=client)
    assert (status, "Set the environment variable TRAINING_MOCK_SECRET" in body) == (403, True)


def test_with_a_secret_other_machines_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_MOCK_SECRET", "open sesame")
    assert asked(Application(), server=REMOTE, client=REMOTE)[0] == 200


def test_webhooks_go_to_no_host_but_those_that_the_options_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_MOCK_SECRET", "open sesame")
    monkeypatch.setenv(OPTIONS_VARIABLE, "--allow-webhook-host receiver")
    application = Application()
    asked(application)
    assert mock_of(application).world.webhook_hosts == {"receiver"}


def test_uvicorn_in_a_thread_serves_a_world_of_python() -> None:
    mock = MockTraining.demo()
    with mock.serve(engine="uvicorn") as server:
        received = everything(server.port, request("GET", "/", (("connection", "close"),)))
        assert statuses(received) == [401]


POST = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
DOUBTFUL = {
    "two lengths": POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "length and chunks": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": POST + b"host: localhost\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
}


def test_what_two_readers_could_take_for_different_requests_is_refused_under_uvicorn() -> None:
    mock = MockTraining.demo()
    with mock.serve(engine="uvicorn") as server:
        for name, data in DOUBTFUL.items():
            assert statuses(everything(server.port, data, half_close=True)) == [400], name
    assert len(mock.calls) == 0


def mock_of(application: Application) -> MockTraining:
    """The world that an application serves."""
    assert application._served is not None
    guarded: Any = application._served.asgi._handler
    found: MockTraining = guarded.handler
    return found


def asked(application: Application, server: object = LOCAL, client: object = LOCAL) -> tuple[int, str]:
    """What a request for the health of the server is answered."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/_mock/health",
        "headers": [(b"host", b"localhost")],
        "server": server,
        "client": client,
    }
    start, body = spoken_to(application, scope, [{"type": "http.request"}])
    return start["status"], body["body"].decode()


def spoken_to(application: Application, scope: Message, incoming: list[Message]) -> list[Message]:
    """Everything that the application sends."""
    waiting, sent = iter(incoming), list[Message]()

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    return sent
