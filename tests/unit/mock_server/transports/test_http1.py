"""Reading and writing HTTP/1.1 without a socket."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from growth import assert_proportionate
from mock_server.transports.http1 import (
    MAX_CHUNKS,
    MAX_HEADERS,
    Head,
    ProtocolError,
    ReceiveBuffer,
    parse_chunk_size,
    parse_head,
    render,
)
from mock_server.wire.message import MAX_DRAIN, Response
from rawhttp import request

LINE = b"POST /a?b=c HTTP/1.1"
GET = request("GET", "/a")
POST = request("POST", "/b", body=b"hello")
CHUNKED_HEAD = b"POST /c HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED = CHUNKED_HEAD + b"5;note=1\r\nhello\r\n006\r\n world\r\n0\r\ntrailer: 1\r\n\r\n"


def test_a_head_is_read_with_names_in_lower_case_and_values_as_they_stand() -> None:
    head = parse_head([LINE, b"Host: x", b"X-Note:\t two  words \t", b"x-note: \xfc", b"Empty:"])
    assert (head.method, head.target) == ("POST", "/a?b=c")
    assert head.headers == (("host", "x"), ("x-note", "two  words"), ("x-note", "ü"), ("empty", ""))


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        ([LINE], True),
        ([LINE, b"connection: close"], False),
        ([LINE, b"connection: x, Close"], False),
        ([LINE, b"connection: keep-alive"], True),
        ([b"GET / HTTP/1.0"], False),
    ],
)
def test_a_connection_is_kept_unless_http_says_otherwise(lines: list[bytes], keep_alive: bool) -> None:
    assert parse_head(lines).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b"content-length: 0", 0),
        (b"content-length: 007", 7),
        (b"content-length: %d" % MAX_DRAIN, MAX_DRAIN),
        (b"transfer-encoding: CHUNKED", None),
        (b"a: b", 0),
    ],
)
def test_the_length_of_a_body(header: bytes, length: int | None) -> None:
    assert parse_head([LINE, header]).length == length


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"GET / HTTP/2.0"], 505),
        ([LINE, b"expect: a miracle"], 417),
        ([b"GET / HTTP/1.0", b"transfer-encoding: chunked"], 400),
        ([LINE, b" folded: header"], 400),
        ([LINE, b"a: b", b" folded value"], 400),
        ([b""], 400),
        ([LINE, b"content-length: %d" % (MAX_DRAIN + 1)], 413),
        ([LINE, b"content-length: 5", b"transfer-encoding: chunked"], 400),
        ([LINE, b"content-length: 5", b"content-length: 5"], 400),
    ],
)
def test_what_is_not_understood_is_refused_with_its_status(lines: list[bytes], status: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_head(lines)
    assert caught.value.status == status


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_whatever_lines_come_they_are_read_or_refused(lines: list[bytes]) -> None:
    for first in (lines, [LINE, *lines]):
        try:
            head = parse_head(first)
        except ProtocolError:
            continue
        assert head.length is None or head.length >= 0


@pytest.mark.parametrize(("before", "after"), [(b"", b"\x01"), (b"", b""), (b"a", b"b"), (b"a", b"\x01")])
def test_blanks_in_a_header_take_time_in_proportion(before: bytes, after: bytes) -> None:
    def read(length: int) -> None:
        with contextlib.suppress(ProtocolError):
            parse_head([LINE, b"x:" + before + b" " * length + after])

    assert_proportionate(read)


@given(st.integers(min_value=0, max_value=2**40))
def test_chunk_sizes_are_hexadecimal(size: int) -> None:
    assert parse_chunk_size(b"%x" % size) == parse_chunk_size(b"%X ;a=b" % size) == size


@pytest.mark.parametrize("line", [b"", b"0x5", b"-1", b"+1", b"1_0", b"5 5", b" 5", b"f" * 16, b"5;\x00"])
def test_a_doubtful_chunk_size_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_chunk_size(line)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\rb"])
def test_an_answer_cannot_break_out_of_its_header(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        render("GET", Response(200, (("x", value),)), close=False)


@pytest.mark.parametrize(
    ("method", "status", "expected"), [("GET", 200, b"hello"), ("HEAD", 200, b""), ("GET", 204, b"")]
)
def test_an_answer_is_framed_as_http_asks(method: str, status: int, expected: bytes) -> None:
    head, body = render(method, Response(status, (), b"hello"), close=True)
    assert body == expected
    assert (b"content-length: 5" in head) is (status != 204)
    assert head.endswith(b"connection: close\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1


@define
class Reader:
    """Reads requests out of a stream of bytes, as the built-in server does."""

    inflow: ReceiveBuffer = field(factory=ReceiveBuffer)
    heads: list[Head] = field(factory=list)
    bodies: list[bytes] = field(factory=list)
    reading: Generator[bytes, None, None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reading = self._requests()

    def feed(self, *pieces: bytes) -> None:
        """Read as far as these bytes reach. ProtocolError for what is malformed."""
        for piece in pieces:
            self.inflow.feed(piece)
            next(self.reading)

    def _requests(self) -> Generator[bytes, None, None]:
        while True:
            head = parse_head((yield from self.inflow.head()))
            self.heads.append(head)
            self.bodies.append(b"")
            for piece in self.inflow.body(head):
                if piece:
                    self.bodies[-1] += piece
                else:
                    yield b""


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(
    parts=st.lists(st.sampled_from([GET, POST, CHUNKED, b"\r\n" + GET]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 10**6), max_size=12),
)
def test_requests_are_read_however_the_bytes_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    reader = Reader()
    reader.feed(*in_pieces(b"".join(parts), cuts))
    expected = {GET: b"", POST: b"hello", CHUNKED: b"hello world", b"\r\n" + GET: b""}
    assert reader.bodies == [expected[part] for part in parts]
    assert not reader.inflow


@given(cuts=st.lists(st.integers(0, 10**6), max_size=6), tail=st.binary(max_size=30))
def test_nothing_behind_a_malformed_request_is_read(cuts: list[int], tail: bytes) -> None:
    reader = Reader()
    data = POST + b"GET /x HTTP/1.1\r\na: b\r\n folded\r\n\r\n" + tail + GET
    with pytest.raises(ProtocolError):
        reader.feed(*in_pieces(data, cuts))
    assert [each.target for each in reader.heads] == ["/b"]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("surplus", [0, 1, 100])
def test_the_number_of_chunks_of_a_body_is_bounded(split: bool, surplus: int) -> None:
    reader = Reader()
    data = CHUNKED_HEAD + b"1\r\na\r\n" * (MAX_CHUNKS + surplus) + b"0\r\n\r\n"
    refused = pytest.raises(ProtocolError, match="chunks") if surplus else contextlib.nullcontext()
    with refused:
        reader.feed(*in_pieces(data, [len(data) // 2] if split else []))
    assert reader.bodies == [b"a" * MAX_CHUNKS]


@pytest.mark.parametrize("before", [b"GET / HTTP/1.1\r\n", CHUNKED[: CHUNKED.index(b"trailer")]])
@pytest.mark.parametrize("more", [0, 1])
def test_headers_and_trailers_have_the_same_bound(before: bytes, more: int) -> None:
    reader = Reader()
    refused = pytest.raises(ProtocolError, match="headers") if more else contextlib.nullcontext()
    with refused:
        reader.feed(before + b"a: b\r\n" * (MAX_HEADERS + more) + b"\r\n")
    assert bool(reader.inflow) == bool(more)


def test_a_head_that_comes_in_small_pieces_takes_time_in_proportion() -> None:
    def drip(length: int) -> None:
        reader = Reader()
        with contextlib.suppress(ProtocolError):
            for _ in range(length // 60):
                reader.feed(b"a: " + b" " * 55 + b"\r\n")

    assert_proportionate(drip)
