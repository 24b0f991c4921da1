"""Reading and writing HTTP/1.1 without a socket."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growth import assert_proportionate
from mock_server.transports.http1 import ProtocolError, parse_chunk_size, parse_head, render
from mock_server.wire.message import MAX_DRAIN, Response

LINE = b"POST /a?b=c HTTP/1.1"


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
    head, _, body = render(method, Response(status, (), b"hello"), close=True).partition(b"\r\n\r\n")
    assert body == expected
    assert (b"content-length: 5" in head) is (status != 204)
    assert head.endswith(b"connection: close")
