"""Asking a running server for a token: what comes back goes into a shell, and the secret goes to that server only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from mock_server.control.client import AskingError, Shell, exports, token_of
from mock_server.transports.guard import HEADER


@contextmanager
def answering(body: bytes, status: int = 200, location: str = "") -> Iterator[tuple[str, list[str]]]:
    """A server that answers so, and the secrets that it was sent."""
    secrets: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            secrets.append(self.headers.get(HEADER, ""))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            if location:
                self.send_header("location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", secrets
        finally:
            server.shutdown()
            thread.join()


def listing(token: str) -> bytes:
    return json.dumps({"tokens": [{"name": "admin", "token": token}]}).encode()


@pytest.mark.parametrize("shell", ["sh", "powershell"])
@pytest.mark.parametrize(
    "token",
    ["x\u2019; Write-Host 1; $z=\u2018", "x\u201b", "x'y", "x y", "x\n", "$(id)", "`id`", "\x1b[2J", ""],
)
def test_a_token_that_a_shell_might_run_is_refused(token: str, shell: Shell) -> None:
    with answering(listing(token)) as (url, _), pytest.raises(AskingError, match="no bearer token has"):
        exports("admin", url, None, shell)


def test_a_token_of_plain_characters_is_exported() -> None:
    with answering(listing("aZ0._~+/=-")) as (url, secrets):
        assert token_of("admin", url, "s3cret") == "aZ0._~+/=-"
        assert "= 'aZ0._~+/=-'" in exports("admin", url, None, "powershell")
    assert secrets == ["s3cret", ""]


@pytest.mark.parametrize(
    "address",
    ["http://u:passw0rd@127.0.0.1:1", "u:passw0rd@host", "http://127.0.0.1:1/?key=passw0rd", "http://[::1:x"],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(AskingError) as refused:
        token_of("admin", address, None)
    assert "passw0rd" not in str(refused.value)


def test_an_address_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(AskingError, match="must be the address of a server"):
        exports("admin", "http://127.0.0.1:1/\u2019;x", None, "powershell")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_secret_follows_no_redirect(status: int) -> None:
    with (
        answering(listing("abc")) as (other, elsewhere),
        answering(b"", status, f"{other}/x") as (url, asked),
    ):
        with pytest.raises(AskingError, match=f"answered with status {status}"):
            token_of("admin", url, "s3cret")
        assert (asked, elsewhere) == (["s3cret"], [])
