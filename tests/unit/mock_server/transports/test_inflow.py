"""Where requests end in a stream of bytes, in whatever pieces it comes; and what of it a lenient parser gets to see."""

from __future__ import annotations

import itertools

import h11
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from growth import assert_proportionate
from mock_server.transports.http1 import MAX_CHUNKS, MAX_HEAD, MAX_HEADERS, ProtocolError
from mock_server.transports.inflow import Sieve
from rawhttp import request

GET = request("GET", "/a")
POST = request("POST", "/b", body=b"hello")
CHUNKED = (
    b"POST /c HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5;note=1\r\nhello\r\n006\r\n world\r\n0\r\ntrailer: 1\r\n\r\n"
)


@define
class Read:
    """What h11 makes of bytes: requests with their bodies."""

    connection: h11.Connection = field(factory=lambda: h11.Connection(h11.SERVER, MAX_HEAD))
    targets: list[bytes] = field(factory=list)
    bodies: list[bytes] = field(factory=list)

    def feed(self, data: bytes) -> None:
        if data:  # nothing would mean the end to it
            self.connection.receive_data(data)
        while True:
            match self.connection.next_event():
                case h11.Request(target=target):
                    self.targets.append(target)
                    self.bodies.append(b"")
                case h11.Data(data=piece):
                    self.bodies[-1] += piece
                case h11.EndOfMessage(headers=trailers):
                    assert not list(trailers)
                    self._answer()
                case _:
                    return

    def _answer(self) -> None:
        self.connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        self.connection.send(h11.EndOfMessage())
        self.connection.start_next_cycle()


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(
    parts=st.lists(st.sampled_from([GET, POST, CHUNKED, b"\r\n" + GET]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 10**6), max_size=12),
)
def test_sound_requests_pass_however_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    sieve, read = Sieve(), Read()
    for piece in in_pieces(b"".join(parts), cuts):
        read.feed(sieve.feed(piece))
    expected = {GET: b"", POST: b"hello", CHUNKED: b"hello world", b"\r\n" + GET: b""}
    assert read.bodies == [expected[part] for part in parts]
    assert sieve.error is None
    assert sieve.is_idle


@given(cuts=st.lists(st.integers(0, 10**6), max_size=6), tail=st.binary(max_size=30))
def test_nothing_behind_a_fault_passes(cuts: list[int], tail: bytes) -> None:
    sieve, read = Sieve(), Read()
    for piece in in_pieces(POST + b"GET /x HTTP/1.1\r\na: b\r\n folded\r\n\r\n" + tail + GET, cuts):
        read.feed(sieve.feed(piece))
    assert read.targets == [b"/b"]
    assert isinstance(sieve.error, ProtocolError)


@given(st.binary(max_size=200))
def test_whatever_passes_is_nothing_that_the_lenient_parser_stumbles_over(data: bytes) -> None:
    for start in (b"", b"GET / HTTP/1.1\r\nhost: localhost\r\n", CHUNKED[: CHUNKED.index(b"5;")]):
        sieve = Sieve()
        passed = sieve.feed(start + data)
        assert sieve.feed(b"") == b""
        # A request without a Host header, or one that asks for another protocol, is h11's and the guard's business.
        if b"host" in passed.lower():
            Read().feed(passed)


@pytest.mark.parametrize("split", [False, True])
def test_a_body_comes_in_a_bounded_number_of_chunks(split: bool) -> None:
    head, chunk = CHUNKED[: CHUNKED.index(b"5;")], b"1\r\na\r\n"
    for surplus in (0, 1, 100):
        sieve, read = Sieve(), Read()
        data = head + chunk * (MAX_CHUNKS + surplus) + b"0\r\n\r\n"
        half = len(data) // 2 if split else len(data)
        passed = sieve.feed(data[:half]) + sieve.feed(data[half:])
        read.feed(passed)
        assert read.bodies == [b"a" * MAX_CHUNKS]
        assert passed.count(chunk) == MAX_CHUNKS
        assert (sieve.error is None) is (surplus == 0)
        assert sieve.error is None or sieve.error.status == 400


@pytest.mark.parametrize("before", [b"GET / HTTP/1.1\r\n", CHUNKED[: CHUNKED.index(b"trailer")]])
@pytest.mark.parametrize("more", [0, 1])
def test_headers_and_trailers_have_the_same_bound(before: bytes, more: int) -> None:
    sieve = Sieve()
    sieve.feed(before + b"a: b\r\n" * (MAX_HEADERS + more) + b"\r\n")
    assert (sieve.error is not None, sieve.is_idle) == (bool(more), not more)


@pytest.mark.parametrize("part", [b"G", GET[:-1], POST[:-1], CHUNKED[:-1]])
def test_a_request_half_come_is_not_idle(part: bytes) -> None:
    sieve = Sieve()
    assert sieve.is_idle
    sieve.feed(part)
    assert not sieve.is_idle


def test_bytes_that_come_one_by_one_take_time_in_proportion() -> None:
    def drip(length: int) -> None:
        sieve = Sieve()
        for _ in range(length // 60):
            sieve.feed(b"a: " + b" " * 55 + b"\r\n")

    assert_proportionate(drip)
