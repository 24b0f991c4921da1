"""Many connections, slow clients, and an end in the middle of it all."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mock_server import MockTraining, Policy
from rawhttp import PATIENCE, connected, read_answer, request

CONNECTIONS, SPARE = 500, 500
"""Connections that are open at once, and open files beside them."""
RESETTERS, SLOW = 8, 100


@contextlib.contextmanager
def open_files(count: int) -> Iterator[None]:
    """As many files as a test needs, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this system lets a process open {hard} files, and {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def process() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``training-mock serve`` in a process that was granted few open files, as a shell would; with its port."""
    command = [sys.executable, "-m", "mock_server", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, int(running.stdout.readline().rpartition(":")[2])
        finally:
            running.kill()


def resident(pid: int) -> int:
    """Bytes of memory a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.mark.heavy
def test_so_many_connections_are_open_at_once_and_each_is_answered() -> None:
    with (
        open_files(CONNECTIONS + SPARE),
        process() as (running, port),
        contextlib.ExitStack() as held,
    ):
        before = resident(running.pid) if sys.platform == "linux" else 0
        socks = [held.enter_context(connected(port)) for _ in range(CONNECTIONS)]
        for _ in range(2):  # all are open, and all stay so
            for sock in socks:
                sock.sendall(request("GET", "/_mock/health"))
            assert all(read_answer(sock).status == 200 for sock in socks)
        if sys.platform == "linux":
            assert (resident(running.pid) - before) / CONNECTIONS < 200_000
        running.terminate()
        assert running.wait(PATIENCE) == 0
        assert socks[0].recv(1) == socks[-1].recv(1) == b""


@pytest.mark.heavy
def test_slow_clients_hold_up_nobody_but_themselves() -> None:
    mock = MockTraining.generate(users=1000, courses=1)
    token = ("authorization", f"Bearer {mock.token('admin')}")
    large = request("GET", "/training/v1/feed/training-course-progress", (token, ("user-agent", "slow/1")))
    with mock.serve() as server, contextlib.ExitStack() as held:
        sending, reading = (
            [held.enter_context(connected(server.port)) for _ in range(SLOW)] for _ in range(2)
        )
        for sock in sending:
            sock.sendall(large[:40])  # and then nothing, in the middle of a header
        for sock in reading:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(large)  # and never reads the 500 kB it asked for
        with connected(server.port) as quick:
            for _ in range(300):
                quick.sendall(request("GET", "/_mock/health"))
                assert read_answer(quick).status == 200
        for sock in sending:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):  # no answer yet: each was still under way all the while
                sock.recv(1)
        server.stop(grace=0)


@pytest.mark.heavy
@pytest.mark.parametrize("round_", range(5))
def test_R12_what_was_acknowledged_took_effect_and_what_took_effect_was_acknowledged(round_: int) -> None:
    """Stopped in the midst of resets: each has its answer and is done, or was refused a connection and is not."""
    mock = MockTraining.generate(users=400, courses=1, policy=Policy(confirmation="off"))
    course = mock.world.courses[0].id
    server = mock.serve()
    server_url, token = f"{server.url}/training/courseprogress/v1/reset", mock.token("admin")
    acknowledged: list[tuple[str, int]] = []
    stuck: list[str] = []
    begun = threading.Semaphore(0)

    def resets(users: list[str]) -> None:
        for user in users:
            body = json.dumps({"courseId": course, "userIds": [user]}).encode()
            head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            try:
                asked = urllib.request.Request(server_url, body, head)
                with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                    acknowledged.append((user, json.load(answer)["usersUpdated"]))
            except TimeoutError:
                stuck.append(user)
                return
            except OSError:  # no connection any more
                return
            begun.release()

    people = mock.world.main.progress[course].roster
    workers = [threading.Thread(target=resets, args=(people[n::RESETTERS],)) for n in range(RESETTERS)]
    for each in workers:
        each.start()
    for _ in range(20 + 15 * round_):
        assert begun.acquire(timeout=PATIENCE)
    server.stop()
    for each in workers:
        each.join()
    assert not stuck  # accepted, and then neither answered nor closed
    assert 0 < len(acknowledged) < len(people)
    assert sorted(acknowledged) == sorted((each.user_ids[0], each.users_updated) for each in mock.audit)
    assert all(mock.world.record(course, user) is None for user, _ in acknowledged)
