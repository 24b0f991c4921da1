"""Mask tokens and secrets in recorded requests and answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from sys import getsizeof
from urllib.parse import unquote

from mock_server.rules.access import bearer
from mock_server.wire.message import Request, Response

MASK = "***"
_SHORTEST = 8
_LONGEST_KEPT = 64
_LONGEST_SECRET = 128
"""Bytes of the longest token or secret that a world makes, with room to spare."""
_EMPTY = getsizeof("")
_PAIR = 8 + getsizeof(("", ""))
"""Bytes that a header takes beside its name and its value."""
_SECRET_HEADER = re.compile(r"authorization|cookie|secret|token|api-?key")
_BEGINS = ("mock_", "whsec_")
_SECRET = re.compile(rf"(?:{'|'.join(_BEGINS)})[0-9a-f]{{8,}}")
_SECRET_BYTES = re.compile(_SECRET.pattern.encode())


def credentials(request: Request) -> tuple[str, ...]:
    """Return the credentials in Authorization, which must be masked everywhere.

    A value that is too short for a secret is left out: masking it would make paths and bodies illegible.
    """
    sent = request.all_headers("authorization")
    found = (bearer([each]) or each.strip().rpartition(" ")[2] for each in sent)
    return tuple(each for each in found if len(each) >= _SHORTEST)


def masked(text: str, secrets: Sequence[str]) -> str:
    """Return a text without these credentials, and without anything that looks like a token or secret of a world.

    If it contains one percent-encoded, the whole text is decoded.
    """
    if "%" in text:
        plain = unquote(text)
        if (hidden := _masked(plain, secrets)) != plain:
            return hidden
    return _masked(text, secrets)


def _masked(text: str, secrets: Sequence[str]) -> str:
    for each in secrets:
        text = text.replace(each, MASK)
    # The plain search first: the pattern alone takes milliseconds for a page of the feed.
    return _SECRET.sub(MASK, text) if any(begin in text for begin in _BEGINS) else text


def masked_headers(
    headers: Iterable[tuple[str, str]], secrets: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Return headers; secret ones show only their scheme."""
    return tuple(
        (name, _scheme(value) if _is_secret(name) else masked(value, secrets)) for name, value in headers
    )


def _is_secret(header: str) -> bool:
    # Long names are not cached: clients can send any number of them.
    return _looks_secret(header) if len(header) <= _LONGEST_KEPT else bool(_SECRET_HEADER.search(header))


@lru_cache(maxsize=256)
def _looks_secret(header: str) -> bool:
    return _SECRET_HEADER.search(header) is not None


def _scheme(value: str) -> str:
    """Return a secret header's value with all but the scheme masked."""
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.lower() == "bearer" else MASK


def masked_bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    """Return a body without credentials and secrets, as `masked` does for a text."""
    for each in secrets:
        data = data.replace(_as_bytes(each), MASK.encode())
    return _SECRET_BYTES.sub(MASK.encode(), data) if any(each.encode() in data for each in _BEGINS) else data


def margin(secrets: Sequence[str]) -> int:
    """Bytes of a body that are kept behind those that are shown: the longest secret that could begin among them."""
    return max(_LONGEST_SECRET, *(len(_as_bytes(each)) for each in secrets)) if secrets else _LONGEST_SECRET


def memory(request: Request, response: Response) -> int:
    """Bytes of memory that target and headers take, masked or not; at least half of the `margin` of the request."""
    headers = request.headers + response.headers
    texts = (request.method, request.path, request.query, *chain.from_iterable(headers))
    together = "".join(texts)
    # What getsizeof() says of plain text is known without asking for each one.
    size = len(together) + len(texts) * _EMPTY if together.isascii() else sum(map(getsizeof, texts))
    # To mask an escaped secret a text is decoded: Python then takes up to four bytes for each of its characters.
    return (4 * size if "%" in together else size) - 3 * _EMPTY + len(headers) * _PAIR


class Beginnings:
    """The beginnings of long bodies: of a page that is served again and again there is one copy.

    A body is recognised by its identity, so the latest ones are kept whole.
    """

    def __init__(self) -> None:
        self.size = 0
        """Bytes that the bodies and their beginnings take."""
        self._known: dict[int, tuple[bytes, bytes]] = {}

    def of(self, body: bytes, length: int, most: int) -> bytes:
        """Return the first ``length`` bytes of a body, or more. Bodies of ``most`` bytes together are kept."""
        if len(body) <= length:
            return body
        known = self._known.get(id(body))
        if known is not None:
            if len(known[1]) >= length:
                return known[1]
            self._forget(known)
        known = self._known[id(body)] = body, body[:length]
        self.size += len(body) + length
        while self.size > most:
            self._forget(next(iter(self._known.values())))
        return known[1]

    def _forget(self, known: tuple[bytes, bytes]) -> None:
        del self._known[id(known[0])]
        self.size -= len(known[0]) + len(known[1])


def _as_bytes(secret: str) -> bytes:
    """Return a credential as a body would hold it; of a request made by hand it can be any text."""
    return secret.encode(errors="surrogatepass")
