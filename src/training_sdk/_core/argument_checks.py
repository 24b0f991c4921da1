"""Argument checks: at the call, before anything is sent, naming the argument and the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import field, frozen

from training_sdk._core import codec, urls
from training_sdk._core.flow import READING_METHODS, Family, Request, Response
from training_sdk._core.text import Secret, hidden
from training_sdk.errors import InvalidArgumentError, Remedy

LONGEST_ID = 128

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
E = TypeVar("E", bound=Enum)


def one_id(value: object, name: str) -> str:
    """An id that can stand in a path: 1–128 characters, not ``.`` or ``..``, no slash or control character."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be text, not {type(value).__name__}", argument=name)
    if not value.strip():
        raise InvalidArgumentError(f"{name} is empty", argument=name)
    if len(value) > LONGEST_ID:
        raise InvalidArgumentError(
            f"{name} is {len(value)} characters long; ids have at most {LONGEST_ID}", argument=name
        )
    if value in (".", "..") or "/" in value or "\\" in value or _UNPRINTABLE.search(value):
        raise InvalidArgumentError(
            f"{name} {value!r} is not an id: '.', '..', slashes, backslashes and control characters are refused",
            argument=name,
        )
    return value


def optional_id(value: object, name: str) -> str | None:
    """An id, or None for "not asked for"."""
    return None if value is None else one_id(value, name)


def some_ids(values: object, name: str) -> tuple[str, ...]:
    """A list of ids, repeated ones once. Empty is refused: an empty list never means everyone."""
    ids = tuple(dict.fromkeys(one_id(value, f"an id in {name}") for value in listed(values, name)))
    if not ids:
        raise InvalidArgumentError(f"{name} is empty, and an empty list never means everyone", argument=name)
    return ids


def optional_ids(values: object, name: str) -> tuple[str, ...] | None:
    """A list of ids, or None for "not asked for"; an empty list is refused all the same."""
    return None if values is None else some_ids(values, name)


def any_ids(values: object, name: str) -> tuple[str, ...]:
    """A list of ids that may be empty, where empty truly means none."""
    return tuple(dict.fromkeys(one_id(value, f"an id in {name}") for value in listed(values, name)))


def members(values: object, kind: type[E], name: str) -> tuple[str, ...]:
    """A list of enum members as their wire values. Empty is refused."""
    chosen = tuple(
        dict.fromkeys(one_of(value, kind, f"an entry of {name}").value for value in listed(values, name))
    )
    if not chosen:
        raise InvalidArgumentError(f"{name} is empty; leave it out to ask for all", argument=name)
    return chosen


def texts(values: object, name: str) -> tuple[str, ...]:
    """A list of non-empty texts. An empty list is refused."""
    chosen = tuple(dict.fromkeys(text(value, f"an entry of {name}") for value in listed(values, name)))
    if not chosen:
        raise InvalidArgumentError(f"{name} is empty; leave it out to ask for all", argument=name)
    return chosen


def text(value: object, name: str, *, longest: int = 1000) -> str:
    """A text of bounded length without control characters."""
    if not isinstance(value, str) or not value or len(value) > longest or _UNPRINTABLE.search(value):
        raise InvalidArgumentError(
            f"{name} must be 1–{longest} characters of text without control characters", argument=name
        )
    return value


def optional_text(value: object, name: str, *, longest: int = 1000) -> str | None:
    """A text, or None."""
    return None if value is None else text(value, name, longest=longest)


def web_address(value: object, name: str) -> str:
    """An http or https address with a host; never repeated in the message, for it may hold a password."""
    address = text(value, name, longest=2000)
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or " " in address or not address.isascii():
        raise InvalidArgumentError(
            f"{name} is not an http or https address in ASCII, with a host", argument=name
        )
    return address


def one_of(value: object, kind: type[E], name: str) -> E:
    """A member of an enum, by itself or by its value; unknown ones are refused when *we* send them."""
    allowed = list(kind)
    for member in allowed:
        if value == member.value:
            return member
    raise InvalidArgumentError(
        f"{name} {value!r} is none of {', '.join(repr(member.value) for member in allowed)}", argument=name
    )


def yes_or_no(value: object, name: str) -> bool:
    """True or False and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False, not {value!r}", argument=name)
    return value


def moment(value: object, name: str) -> datetime:
    """A date and time that names its zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgumentError(
            f"{name} must be a datetime with a time zone, such as datetime.now(timezone.utc)", argument=name
        )
    return value


def in_utc(when: datetime) -> datetime:
    """The same moment in UTC; at either end of the calendar, where UTC would leave it, in its own zone."""
    try:
        return when.astimezone(UTC)
    except OverflowError:
        return when


def seconds(value: object, name: str, *, least: float = 0.0) -> float:
    """A finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e9:
        raise InvalidArgumentError(
            f"{name} must be a number of seconds from {least:g} up, not {value!r}", argument=name
        )
    return float(value)


def token(value: object) -> Secret:
    """A token that can stand in a header; neither a message nor a traceback shows the value."""
    value = hidden(value)  # this parameter is shown in a traceback
    _check_token(value)
    assert value is not None
    return value


def _check_token(secret: Secret | None) -> None:
    text = "" if secret is None else secret.reveal()
    if not isinstance(text, str):
        raise InvalidArgumentError(f"the API token must be text, not {type(text).__name__}")
    if not text.strip():
        raise InvalidArgumentError(
            "there is no API token (an empty one counts as missing)",
            remedy=Remedy("token", "Pass token=…, or set SAFETYCULTURE_API_TOKEN."),
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidArgumentError(
            "the API token holds a space, a line break or another character that no token has",
            remedy=Remedy("token_text", "Remove a line break that was read from a file with .strip()."),
        )


def listed(values: object, name: str) -> Sequence[Any]:
    """What was given as a list, whatever is in it. A bare string is refused."""
    if isinstance(values, str | bytes):
        raise InvalidArgumentError(
            f"{name} must be a list of ids; a single one is written [{values!r}]", argument=name
        )
    if not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} must be a list of ids, not {values!r}", argument=name)
    return tuple(values)


_NAMES = frozenset(
    {
        *("authorization", "host", "connection", "content-length", "transfer-encoding", "te", "trailer"),
        *("expect", "upgrade", "keep-alive", "reset-confirmation", "idempotency-key"),
        *(
            "forwarded",
            "destination",
            "x-host",
            "x-url",
            "x-uri",
            "x-path",
            "x-forward-host",
            "x-request-uri",
        ),
    }
)
_STARTS = (
    "proxy-",
    "x-forward",
    "x-backend-",
    "x-target-",
    "x-upstream-",
    "x-url-",
    "x-remote-",
    "x-original-",
    "x-rewrite-",
    "x-envoy-",
    "x-http-",
    "x-proxy-",
    "x-real-",
)
_PARTS = ("override",)
_COOKIES = frozenset({"cookie", "cookie2"})


def is_own(name: str) -> bool:
    """Whether nobody but the SDK may set a header: neither a caller nor a client from outside.

    Servers that pass headers on as variables take ``_`` for ``-``, so it counts as one here too.
    """
    plain = name.lower().replace("_", "-")
    return plain in _NAMES or plain.startswith(_STARTS) or any(part in plain for part in _PARTS)


def is_refused(name: str) -> bool:
    """Whether a caller may not set a header: one of our own, or a cookie, which may stand for another user."""
    return is_own(name) or name.lower().replace("_", "-") in _COOKIES


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@frozen
class RawResponse:
    """The answer of ``client.request``: nothing of it is interpreted."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    request_id: str | None

    def json(self) -> Any:
        """The body as JSON. Raises DecodingError if it is none."""
        return codec.loads(Response(self.status, self.headers, self.body, self.request_id))


def raw_request(
    prefix: str,
    method: str,
    path: str,
    *,
    params: Mapping[str, object] | None,
    json: object,
    headers: Mapping[str, str] | None,
) -> Request:
    """The request that was asked for. Raises InvalidArgumentError; above all for the reset's path, in any disguise."""
    verb = text(method, "method", longest=10).upper()
    if verb not in METHODS:
        raise InvalidArgumentError(f"method {method!r} is none of {', '.join(METHODS)}", argument="method")
    plain = urls.checked_request_path(path)
    urls.refuse_reset_path(prefix + plain)
    return Request(
        verb,
        urls.target(plain, _query(params or {})),
        body=None if json is None else _body(json),
        headers=_headers(headers or {}),
        repeatable=verb in READING_METHODS,
        limit=family_of(plain),
    )


def _body(value: object) -> bytes:
    try:
        return codec.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"json cannot be written as JSON: {error}") from None


def _query(params: Mapping[str, object]) -> Sequence[tuple[str, object]]:
    """Query parameters as the API writes them: lists repeat their name, truth is in lower case."""
    pairs: list[tuple[str, object]] = []
    for name, value in _mapping(params, "params"):
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is None:
                continue
            if not isinstance(one, str | int | float):
                raise InvalidArgumentError(
                    f"params[{name!r}] must be text, a number, True, False or a list of these, not {one!r}"
                )
            said = str(one).lower() if isinstance(one, bool) else str(one)
            pairs.append((name, said and text(said, f"params[{name!r}]", longest=8000)))
    return pairs


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = _mapping(headers, "headers")
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidArgumentError(f"{name!r} is not the name of a header", argument=name)
        if is_refused(name):
            raise InvalidArgumentError(
                f"headers must not name {name!r}: it decides who is asked, as whom or for what, which the client alone "
                "sets. Nothing was sent. Leave it out"
            )
        if not text(value, f"the header {name!r}", longest=8000).isascii():
            raise InvalidArgumentError(f"the header {name!r} must be ASCII")
    return tuple((name.lower(), value) for name, value in pairs)


def _mapping(value: object, name: str) -> Sequence[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgumentError(
            f"{name} must be a dictionary whose keys are text, not {type(value).__name__}", argument=name
        )
    return tuple(value.items())


_CATALOGUE = ("courses", "collections", "paths", "individualleaderboards", "rapid-refresh")


def family_of(path: str) -> Family:
    """Which limit a request of the user's own making counts towards, by its path."""
    parts = path.strip("/").split("/")
    return "catalogue" if parts[:1] == ["training"] and parts[1:2] and parts[1] in _CATALOGUE else "general"
