"""Two statements of one body's length: whatever the spelling, the request within the body is never carried out.

The outer request is harmless, the inner one is a reset that would succeed. The sound statement says that the inner one
is body; the doubtful one says that it follows. Only refusing, or believing the sound one, is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.harness import WatchedServer, watched_server
from fuzz.mutations import Delivery, chunked
from fuzz.seeds import KNOWN, RESET, Seed

_LOOSE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
FAST = settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=_LOOSE)
LONG = settings(max_examples=400, database=None, deadline=None, suppress_health_check=_LOOSE, print_blob=True)

_SPACE = st.sampled_from(
    [b"", b" ", b"\t", b"  ", b"\x0b", b"\x0c", b"\r", b"\n ", b"\r\n ", b"\r\n\t", b"\0"]
)
_CASE: list[Callable[[bytes], bytes]] = [bytes, bytes.upper, bytes.title, bytes.swapcase]
_LINE_END = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n"])


INNER = next(each for each in KNOWN if each.target == RESET).render()
_HEADERS = ((b"host", b"localhost"), (b"user-agent", b"fuzz/1"), (b"content-type", b"application/json"))
OUTER = Seed("ListUsers", "POST", "/users/v1/users/list", _HEADERS)


@pytest.fixture(scope="module")
def served() -> Iterator[WatchedServer]:
    with watched_server() as made:
        yield made


@st.composite
def _spelt(draw: st.DrawFn, name: bytes, values: list[bytes]) -> bytes:
    """A header line, spelt in a way that one reader takes for the header and another does not."""
    spelling = draw(st.sampled_from(_CASE))(name)
    value = draw(st.sampled_from(values))
    return b"".join(
        [draw(_SPACE), spelling, draw(_SPACE), b":", draw(_SPACE), value, draw(_SPACE), draw(_LINE_END)]
    )


_CHUNKED = [b"chunked", b"Chunked", b"chunked, identity", b"identity, chunked", b"xchunked", b'"chunked"']


def _short(length: int) -> list[bytes]:
    number = b"%d" % length
    return [
        number,
        b"+" + number,
        b"0" + number,
        b"0x%x" % length,
        number + b"," + number,
        number + b".0",
        b"-0",
        b"",
    ]


def _placed(draw: st.DrawFn, head: bytes, line: bytes, sound_line: bytes) -> bytes:
    """Both statements in either order behind the other headers."""
    lines = draw(st.permutations([line, sound_line]))
    return head.removesuffix(b"\r\n") + b"".join(lines) + b"\r\n"


@st.composite
def length_covers(draw: st.DrawFn) -> Delivery:
    """CL.TE and CL.CL: the Content-Length covers the inner request, the other statement ends before it."""
    if draw(st.booleans()):
        line, first = draw(_spelt(b"transfer-encoding", _CHUNKED)), b"0\r\n\r\n"
    else:
        line, first = draw(_spelt(b"content-length", _short(2))), b"{}"
    body = first + INNER
    head = _placed(draw, OUTER.head(), line, b"content-length: %d\r\n" % len(body))
    return Delivery(head + body, tuple(draw(st.lists(st.integers(0, len(head)), max_size=2))))


@st.composite
def chunks_cover(draw: st.DrawFn) -> Delivery:
    """TE.CL: the chunks cover the inner request, the Content-Length ends before it."""
    start = b"%x\r\n" % len(INNER)
    line = draw(_spelt(b"content-length", _short(len(start))))
    head = _placed(draw, OUTER.head(), line, b"transfer-encoding: chunked\r\n")
    return Delivery(head + chunked(INNER, []), tuple(draw(st.lists(st.integers(0, len(head)), max_size=2))))


@st.composite
def chunks_quarrel(draw: st.DrawFn) -> Delivery:
    """The size line of a chunk that covers the inner request is spelt so that another reader sees the last chunk."""
    size = b"%x" % len(INNER)
    extension = draw(st.sampled_from([b";", b"; ", b";a=", b' ;a="', b"\t;"])) + draw(_SPACE)
    end = draw(_LINE_END)
    data = OUTER.head((b"transfer-encoding", b"chunked")) + size + extension + end + INNER + b"\r\n0\r\n\r\n"
    return Delivery(data)


SHAPES = length_covers() | chunks_cover() | chunks_quarrel()


@FAST
@given(delivery=SHAPES)
def test_a_request_within_a_body_is_never_carried_out(served: WatchedServer, delivery: Delivery) -> None:
    served.try_out(delivery)
    assert served.resets() == []


@pytest.mark.heavy
@LONG
@given(delivery=SHAPES)
def test_a_request_within_a_body_is_never_carried_out_for_long(
    served: WatchedServer, delivery: Delivery
) -> None:
    served.try_out(delivery)
    assert served.resets() == []


def test_the_inner_request_is_one_that_is_carried_out(served: WatchedServer) -> None:
    served.try_out(Delivery(OUTER.head((b"content-length", b"2")) + b"{}" + INNER))
    assert len(served.resets()) == 1
