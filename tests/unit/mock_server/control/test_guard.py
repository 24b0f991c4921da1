"""Who may reach a server on a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.refusal import Reason
from mock_server.transports.guard import Guard
from mock_server.wire.message import Request


def asked(
    *headers: tuple[str, str], path: str = "/training/courses/v1", guard: Guard | None = None
) -> Reason | None:
    refusal = (guard or Guard()).check(Request("GET", path, headers=headers))
    return None if refusal is None else refusal.reason


def host(name: str, *, guard: Guard | None = None) -> Reason | None:
    return asked(("host", name), guard=guard)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LocalHost:80",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.1.2.3:1",
        "[::1]",
        "[::1]:8080",
        "[0:0::1]",
    ],
)
def test_loopback_names_are_let_in_on_any_port(name: str) -> None:
    assert host(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost.",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "2130706433",
        "0x7f.0.0.1",
        "api.safetyculture.io",
    ],
)
def test_a_rebound_host_is_refused(name: str) -> None:
    assert host(name) is Reason.HOST_NOT_ALLOWED


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "localhost evil",
        "user@localhost",
        "localhost/",
        "localhost:",
        "localhost:x",
        "[::1",
        "a,b",
        "ü",
    ],
)
def test_a_host_that_is_none_is_a_bad_request(name: str) -> None:
    assert host(name) is Reason.INVALID_ARGUMENT


def test_none_or_several_hosts_are_a_bad_request() -> None:
    assert asked() is Reason.INVALID_ARGUMENT
    assert asked(("host", "localhost"), ("host", "localhost")) is Reason.INVALID_ARGUMENT


@given(st.text(max_size=30))
def test_only_what_names_this_machine_is_let_in(name: str) -> None:
    if host(name) is None:
        assert name.lower().startswith(("localhost", "127.", "[")), name


def test_named_hosts_are_let_in_whatever_their_case() -> None:
    guard = Guard(frozenset({"Training-Mock", "192.168.1.5"}))
    assert host("training-mock:8000", guard=guard) is None
    assert host("192.168.1.5:8000", guard=guard) is None
    assert host("other-mock", guard=guard) is Reason.HOST_NOT_ALLOWED
    assert host("192.168.1.6", guard=guard) is Reason.HOST_NOT_ALLOWED


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_wildcard_stands_for_addresses_and_never_for_a_name(wildcard: str) -> None:
    guard = Guard(frozenset({wildcard}))
    assert host("192.168.1.6:8000", guard=guard) is None
    assert host("[fe80::1]:8000", guard=guard) is None
    assert host("rebound.example", guard=guard) is Reason.HOST_NOT_ALLOWED


HERE = ("host", "localhost:8000")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("origin", "http://localhost:8000"),
        ("origin", "HTTP://LOCALHOST:8000"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ],
)
def test_the_servers_own_pages_are_let_in(header: str, value: str) -> None:
    assert asked(HERE, (header, value)) is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("origin", "http://evil.example"),
        ("origin", "https://localhost:8000"),
        ("origin", "http://localhost:3000"),
        ("origin", "http://localhost"),
        ("origin", "http://127.0.0.1:8000"),
        ("origin", "http://localhost:8000.evil.example"),
        ("origin", "null"),
        ("origin", ""),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "whatever comes next"),
    ],
)
def test_pages_of_another_origin_are_refused(header: str, value: str) -> None:
    assert asked(HERE, (header, value)) is Reason.ORIGIN_NOT_ALLOWED
    assert asked(HERE, (header, value), path="/_mock/health") is Reason.ORIGIN_NOT_ALLOWED


def test_one_foreign_origin_among_several_is_enough() -> None:
    assert asked(HERE, ("origin", "http://localhost:8000"), ("origin", "null")) is Reason.ORIGIN_NOT_ALLOWED


@pytest.mark.parametrize("target", ["http://localhost/", "*", "localhost:443", ""])
def test_a_target_that_is_no_path_is_a_bad_request(target: str) -> None:
    assert asked(HERE, path=target) is Reason.INVALID_ARGUMENT


def test_two_statements_of_a_length_are_a_bad_request() -> None:
    both = (("content-length", "1"), ("transfer-encoding", "chunked"))
    assert asked(HERE, *both) is Reason.INVALID_ARGUMENT
    assert asked(HERE, both[0]) is None
    assert asked(HERE, both[1]) is None


SECRET = ("x-training-mock-secret", "open sesame")
LOCKED = Guard(secret="open sesame")


@pytest.mark.parametrize(
    "path", ["/_mock/tokens", "/_mock", "/_mock/health/", "/%5Fmock/tokens", "/x/../_mock/tokens"]
)
def test_the_control_plane_asks_for_its_secret_however_its_path_is_spelt(path: str) -> None:
    assert asked(HERE, path=path, guard=LOCKED) is Reason.CONTROL_SECRET_REQUIRED
    assert asked(HERE, SECRET, path=path, guard=LOCKED) is None


@pytest.mark.parametrize("given_secret", ["", "open", "open sesame ", "OPEN SESAME", "öpen sesame"])
def test_a_wrong_secret_is_as_good_as_none(given_secret: str) -> None:
    header = ("x-training-mock-secret", given_secret)
    assert asked(HERE, header, path="/_mock/tokens", guard=LOCKED) is Reason.CONTROL_SECRET_REQUIRED
    assert asked(HERE, header, SECRET, path="/_mock/tokens", guard=LOCKED) is Reason.CONTROL_SECRET_REQUIRED


def test_health_and_the_vendors_surface_stay_open() -> None:
    assert asked(HERE, path="/_mock/health", guard=LOCKED) is None
    assert asked(HERE, path="/training/courses/v1", guard=LOCKED) is None


def test_without_a_secret_loopback_alone_protects_the_control_plane() -> None:
    assert asked(HERE, path="/_mock/tokens") is None


def test_the_secret_is_in_no_repr_and_in_no_refusal() -> None:
    refusal = LOCKED.check(Request("GET", "/_mock/tokens", headers=(HERE,)))
    assert refusal is not None
    assert "sesame" not in repr(LOCKED) + str(refusal)
