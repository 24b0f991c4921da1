"""What becomes of sound requests: bytes, heads, bodies, framing and delivery tampered with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal

from attrs import evolve, field, frozen
from hypothesis import strategies as st

from fuzz.seeds import Seed

_BITS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b"\r\n\r\n",
        b"\n\n",
        b":",
        b": ",
        b"/",
        b"//",
        b"?",
        b"#",
        b"%",
        b"%00",
    ),
    *(
        b"%ff",
        b"%2f",
        b"%C3%A4",
        b"\xff",
        b"\xc3\xa4",
        b"\xf0\x9f\x92\xa9",
        b"\xed\xa0\x80",
        b"..",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(
        b'"',
        b"\\ud800",
        b"-1",
        b"0",
        b"9" * 30,
        b"1e999",
        b"NaN",
        b"null",
        b"a" * 300,
        b"\x1b[31m",
        b"\x7f",
        b"\x85",
    ),
    *(
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"HEAD",
        b"OPTIONS",
        b"TRACE",
        b"CONNECT",
        b"_mock",
        b"http://localhost/",
        b"*",
    ),
    *(b"Host: evil.example\r\n", b"Origin: null\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n"),
    *(
        b"Content-Length: 0\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Upgrade: websocket\r\n",
    ),
    *(
        b"Idempotency-Key: k\r\n",
        b"Range: bytes=0-1\r\n",
        b"X-Request-ID: \xc3\xa4\r\n",
        b" folded\r\n",
        b"\tfolded\r\n",
    ),
]
_TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["", "..", "a/b", "ä", "💩", "x" * 200, "\x00", "0" * 24])
)
_NUMBERS = st.one_of(st.integers(), st.sampled_from([-1, 0, 2**31, 2**63, 10**30, 1e308, 0.5]))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=6,
)


End = Literal["wait", "half-close", "leave"]
_ENDS: list[End] = ["wait", "wait", "wait", "half-close", "leave"]


def _short(data: bytes) -> str:
    """What an oversized part consists of is told by its length."""
    return re.sub("x{200,}", lambda run: f"…{len(run[0])} x…", repr(data))


@frozen
class Delivery:
    """Bytes, and how they are sent."""

    data: bytes = field(repr=_short)
    cuts: tuple[int, ...] = ()
    """Where to pause a little."""
    end: End = "wait"
    """Read everything and only then say that nothing follows; say so at once; or go away without reading."""

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """How hypothesis prints it: in short too, for it refuses to print at length."""
        printer.text(repr(self))

    def pieces(self) -> list[bytes]:
        """What is sent in one go each."""
        places = [0, *sorted({cut % (len(self.data) + 1) for cut in self.cuts}), len(self.data)]
        return [self.data[start:stop] for start, stop in pairwise(places)]


def _tampered(data: bytes, draw: st.DrawFn) -> bytes:
    """One small change somewhere."""
    start = draw(st.integers(0, len(data)))
    stop = min(len(data), start + draw(st.sampled_from([0, 1, 2, 7, 40])))
    bit = draw(st.sampled_from(_BITS) | st.binary(min_size=1, max_size=3))
    match draw(st.sampled_from(["insert", "replace", "delete", "repeat"])):
        case "insert":
            return data[:start] + bit + data[start:]
        case "replace":
            return data[:start] + bit + data[stop:]
        case "delete":
            return data[:start] + data[stop:]
        case _:
            return data[:stop] + data[start:]


def _headers(seed: Seed, draw: st.DrawFn) -> Seed:
    """Drop, repeat, reorder, or change the value of one."""
    headers = list(seed.headers)
    number = draw(st.integers(0, len(headers) - 1))
    name, value = headers[number]
    match draw(st.sampled_from(["drop", "repeat", "shuffle", "change"])):
        case "drop":
            del headers[number]
        case "repeat":
            headers.insert(
                draw(st.integers(0, len(headers))), (draw(st.sampled_from([name, name.upper()])), value)
            )
        case "shuffle":
            headers = draw(st.permutations(headers))
        case _:
            headers[number] = (name, draw(st.sampled_from([_tampered(value, draw), b"", _text(draw)])))
    return evolve(seed, headers=tuple(headers))


def _text(draw: st.DrawFn) -> bytes:
    return draw(_TEXTS).encode("utf-8", "surrogatepass")


def _places(document: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value within a document."""
    inner = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [here, *(place for key, value in inner for place in _places(value, (*here, key)))]


def _replaced(document: Any, place: Sequence[Any], value: Any) -> Any:
    if not place:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[place[0]] = _replaced(copy[place[0]], place[1:], value)
    return copy


def _body(seed: Seed, draw: st.DrawFn) -> Seed:
    """One value of the document becomes another, or it has a further field; or the body is anything."""
    document = json.loads(seed.body) if seed.body else {}
    place = draw(st.sampled_from(_places(document)))
    value = draw(JSON)
    if not place and isinstance(document, dict) and draw(st.booleans()):
        value = {**document, draw(_TEXTS): value}
    return evolve(seed, body=json.dumps(_replaced(document, place, value)).encode())


def _target(seed: Seed, draw: st.DrawFn) -> Seed:
    """A segment or a value of the query becomes something else, encoded or not."""
    parts = seed.target.replace("?", "/?/").replace("&", "/&/").split("/")
    number = draw(st.integers(1, len(parts) - 1))
    text = draw(_TEXTS)
    encoded = "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))
    parts[number] = draw(
        st.sampled_from([encoded, "".join(filter(str.isprintable, text)), f"{parts[number]}{encoded}"])
    )
    return evolve(seed, target="/".join(parts).replace("/?/", "?").replace("/&/", "&"))


def _line(seed: Seed, draw: st.DrawFn) -> Seed:
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "X" * 30]
    return evolve(seed, method=draw(st.sampled_from(methods)))


_PARTS: list[Callable[[Seed, st.DrawFn], Seed]] = [_headers, _body, _target, _line]


def chunked(body: bytes, sizes: Sequence[int], extension: bytes = b"") -> bytes:
    """A body in chunks of these sizes, the rest in one."""
    pieces, start = [], 0
    for size in (*sizes, len(body)):
        if piece := body[start : start + size]:
            pieces.append(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece))
        start += size
    return b"".join([*pieces, b"0\r\n\r\n"])


def _in_chunks(seed: Seed, draw: st.DrawFn) -> bytes:
    sizes = draw(st.lists(st.integers(1, 40), max_size=4))
    extension = draw(st.sampled_from([b"", b";a=b", b" ", b";", b";" + b"x" * 300]))
    return seed.head((b"transfer-encoding", b"chunked")) + chunked(seed.body, sizes, extension)


def _oversized(seed: Seed, draw: st.DrawFn) -> bytes:
    """A head beyond its bound, or a length that never comes."""
    match draw(st.sampled_from(["header", "line", "length"])):
        case "header":
            return seed.head((b"x-long", b"x" * 300_000))
        case "line":
            return evolve(seed, target=seed.target + "x" * 300_000).render()
        case _:
            return seed.head((b"content-length", draw(st.sampled_from([b"99999999", b"9" * 18, b"9" * 40]))))


@st.composite
def _one(draw: st.DrawFn, known: Sequence[Seed]) -> bytes:
    """One request, sound or with some of its parts changed."""
    seed = draw(st.sampled_from(known))
    for part in draw(st.lists(st.sampled_from(_PARTS), max_size=2)):
        seed = part(seed, draw)
    form = draw(st.sampled_from(["as it is"] * 8 + ["in chunks"] * 3 + ["oversized"]))
    if form == "oversized":
        return _oversized(seed, draw)
    return _in_chunks(seed, draw) if form == "in chunks" else seed.render()


@st.composite
def deliveries(draw: st.DrawFn, known: Sequence[Seed]) -> Delivery:
    """Up to three requests on one connection, spliced and tampered with."""
    data = draw(_one(known))
    match draw(st.sampled_from(["alone", "alone", "followed", "spliced"])):
        case "followed":
            data += draw(_one(known)) + draw(st.sampled_from([b"", draw(st.sampled_from(known)).render()]))
        case "spliced":
            other = draw(_one(known))
            data = data[: draw(st.integers(0, len(data)))] + other[draw(st.integers(0, len(other))) :]
        case _:
            pass
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 4]))):
        data = _tampered(data, draw)
    cuts = draw(st.lists(st.integers(0, 2000), max_size=3))
    end = draw(st.sampled_from(_ENDS))
    return Delivery(data, tuple(cuts), end)
