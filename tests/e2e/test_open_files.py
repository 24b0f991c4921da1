"""A shell grants few open files, and every connection is one: ``training-mock serve`` takes what the system grants."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

from rawhttp import connected, read_answer, request

resource = pytest.importorskip("resource", reason="only POSIX limits open files")

GRANTED, CLIENTS = 60, 120
SERVE = "import resource, sys, mock_server.cli as cli; resource.setrlimit(resource.RLIMIT_NOFILE, ({}, {})); cli.main()"


def test_it_serves_more_clients_at_once_than_a_shell_grants_it_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    command = [sys.executable, "-c", SERVE.format(GRANTED, most), "serve", "--port", "0"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running,
        contextlib.ExitStack() as held,
    ):
        held.callback(running.kill)
        assert running.stdout is not None
        port = int(running.stdout.readline().rpartition(":")[2])
        socks = [held.enter_context(connected(port)) for _ in range(CLIENTS)]
        for sock in socks:
            sock.sendall(request("GET", "/_mock/health"))
        assert all(read_answer(sock).status == 200 for sock in socks)
