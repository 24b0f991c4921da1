"""Argument checks: at the call, before anything is sent; errors name the argument and the remedy."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import field, frozen

from training_sdk._core import codec, urls
from training_sdk._core.flow import READING_METHODS, Family, Request, Response
from training_sdk._core.text import Secret, hidden, opening, pattern, sentence
from training_sdk.errors import InvalidArgumentError, Remedy

LONGEST_ID = 128

_UNPRINTABLE = pattern(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
E = TypeVar("E", bound=Enum)


def refusal(name: str, problem: str, *, argument: str | None = None, **known: Any) -> InvalidArgumentError:
    """Return the error for a value that is refused.

    ``name`` begins the message. It is the parameter, or a part of it such as ``an id in users``; then ``argument`` is
    the parameter itself.
    """
    argument = argument or (name if name.isidentifier() else None)
    return InvalidArgumentError(f"{opening(name)} {problem}", argument=argument, **known)


# --- ids and texts ---------------------------------------------------------------------------------------------------


def one_id(value: object, name: str, *, argument: str | None = None) -> str:
    """Return an id that can be part of a path: 1–128 characters, not ``.`` or ``..``, no slash or control character."""
    if not isinstance(value, str):
        raise refusal(name, f"must be text, not {type(value).__name__}.", argument=argument)
    if not value.strip():
        raise refusal(name, "must not be empty.", argument=argument)
    if len(value) > LONGEST_ID:
        problem = f"must be at most {LONGEST_ID} characters long, not {len(value)}."
        raise refusal(name, problem, argument=argument)
    if value in (".", "..") or "/" in value or "\\" in value or _UNPRINTABLE().search(value):
        problem = f"must be an id, not {value!r}: '.', '..', slashes, backslashes and control characters are refused."
        raise refusal(name, problem, argument=argument)
    return value


def optional_id(value: object, name: str) -> str | None:
    """Return an id, or None if none is given."""
    return None if value is None else one_id(value, name)


def some_ids(values: object, name: str) -> tuple[str, ...]:
    """Return a list of ids, repeated ones once. Empty is refused: an empty list never means everyone."""
    ids = any_ids(values, name)
    if not ids:
        raise refusal(name, "must not be empty: an empty list never means everyone.")
    return ids


def optional_ids(values: object, name: str) -> tuple[str, ...] | None:
    """Return a list of ids, or None if none is given; an empty list is refused."""
    return None if values is None else some_ids(values, name)


def any_ids(values: object, name: str) -> tuple[str, ...]:
    """Return a list of ids that may be empty, where empty truly means none."""
    return tuple(
        dict.fromkeys(one_id(value, f"an id in {name}", argument=name) for value in listed(values, name))
    )


def text(value: object, name: str, *, longest: int = 1000, argument: str | None = None) -> str:
    """Return a text of bounded length without control characters."""
    if not isinstance(value, str) or not value or len(value) > longest or _UNPRINTABLE().search(value):
        problem = f"must be 1–{longest} characters of text without control characters."
        raise refusal(name, problem, argument=argument)
    return value


def optional_text(value: object, name: str, *, longest: int = 1000) -> str | None:
    """Return a text, or None if none is given."""
    return None if value is None else text(value, name, longest=longest)


def texts(values: object, name: str) -> tuple[str, ...]:
    """Return a list of non-empty texts. An empty list is refused."""
    return _not_empty(
        (text(value, f"an entry of {name}", argument=name) for value in listed(values, name)), name
    )


def web_address(value: object, name: str) -> str:
    """Return an http or https address with a host; errors do not quote it, because it may hold a password."""
    address = text(value, name, longest=2000)
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or " " in address or not address.isascii():
        raise refusal(name, "must be an http or https address in ASCII, with a host.")
    return address


def listed(values: object, name: str) -> Sequence[Any]:
    """Return the entries of a list, whatever they are. A bare string is refused."""
    if isinstance(values, str | bytes):
        raise refusal(name, f"must be a list of ids. Write a single id as [{values!r}].")
    if not isinstance(values, Iterable):
        raise refusal(name, f"must be a list of ids, not {values!r}.")
    return tuple(values)


def _not_empty(values: Iterable[str], name: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(values))
    if not chosen:
        raise refusal(name, "must not be empty. Leave it out to request all.")
    return chosen


# --- other values ----------------------------------------------------------------------------------------------------


def one_of(value: object, kind: type[E], name: str, *, argument: str | None = None) -> E:
    """Return a member of an enum, given itself or its value; values unknown to the SDK are not sent."""
    for member in kind:
        if value == member.value:
            return member
    allowed = ", ".join(repr(member.value) for member in kind)
    raise refusal(name, f"must be one of {allowed}, not {value!r}.", argument=argument)


def members(values: object, kind: type[E], name: str) -> tuple[str, ...]:
    """Return a list of enum members as their wire values. Empty is refused."""
    found = (one_of(value, kind, f"an entry of {name}", argument=name) for value in listed(values, name))
    return _not_empty((member.value for member in found), name)


def yes_or_no(value: object, name: str) -> bool:
    """Return True or False; nothing else that counts as true is accepted."""
    if not isinstance(value, bool):
        raise refusal(name, f"must be True or False, not {value!r}.")
    return value


def moment(value: object, name: str, *, argument: str | None = None) -> datetime:
    """Return a date and time that names its zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        problem = "must be a datetime with a time zone, such as datetime.now(timezone.utc)."
        raise refusal(name, problem, argument=argument)
    return value


def in_utc(when: datetime) -> datetime:
    """Return the same moment in UTC; at either end of the calendar, where UTC would leave it, in its own zone."""
    try:
        return when.astimezone(UTC)
    except OverflowError:
        return when


def seconds(value: object, name: str, *, least: float = 0.0) -> float:
    """Return a finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < 1e9:
        raise refusal(name, f"must be a number of seconds of at least {least:g}, not {value!r}.")
    return float(value)


def token(value: object) -> Secret:
    """Return a token that can be sent in a header; neither a message nor a traceback shows the value."""
    value = hidden(value)  # this parameter is shown in a traceback
    problem, remedy = _problem_of(value)  # which does not raise: a traceback would show its variables
    if value is None or problem:
        raise InvalidArgumentError(problem, argument="token", remedy=remedy)
    return value


def _problem_of(secret: Secret | None) -> tuple[str, Remedy | None]:
    text = "" if secret is None else secret.reveal()
    if not isinstance(text, str):
        return f"The API token must be text, not {type(text).__name__}.", None
    if not text.strip():
        return "There is no API token (an empty one counts as missing).", NO_TOKEN
    if not text.isascii() or not text.isprintable() or " " in text:
        return (
            "The API token contains a space, a line break or another character that no token has.",
            NOT_A_TOKEN,
        )
    return "", None


NO_TOKEN = Remedy("token", "Pass token=…, or set SAFETYCULTURE_API_TOKEN.")
NOT_A_TOKEN = Remedy("token_text", "Remove a line break that was read from a file with .strip().")


# --- requests of the caller's own making -----------------------------------------------------------------------------


_OWN_HEADERS = frozenset(
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
    *("proxy-", "x-forward", "x-backend-", "x-target-", "x-upstream-", "x-url-", "x-remote-"),
    *("x-original-", "x-rewrite-", "x-envoy-", "x-http-", "x-proxy-", "x-real-"),
)
_PARTS = ("override",)
_COOKIES = frozenset({"cookie", "cookie2"})


@functools.lru_cache(maxsize=1024)
def is_own(name: str) -> bool:
    """Return whether only the SDK may set a header: neither a caller nor a client from outside.

    Servers that pass headers on as variables take ``_`` for ``-``, so it counts as one here too.
    """
    plain = name.lower().replace("_", "-")
    return plain in _OWN_HEADERS or plain.startswith(_STARTS) or any(part in plain for part in _PARTS)


def is_refused(name: str) -> bool:
    """Return whether a caller may not set a header: one of the SDK's own, or a cookie, which may name another user."""
    return is_own(name) or name.lower().replace("_", "-") in _COOKIES


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HEADER_NAME = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@frozen
class RawResponse:
    """The answer to ``client.request``, as it was received. Header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    request_id: str | None

    def json(self) -> Any:
        """Return the body as JSON. Raises DecodingError if it is not JSON."""
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
    """Return the request of a caller. Raises InvalidArgumentError, also for the path of a reset in any spelling."""
    verb = text(method, "method", longest=10).upper()
    if verb not in METHODS:
        raise refusal("method", f"must be one of {', '.join(METHODS)}, not {method!r}.")
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
        raise refusal("json", sentence(f"must be a value that can be written as JSON: {error}")) from None


def _query(params: Mapping[str, object]) -> Sequence[tuple[str, object]]:
    """Return query parameters as the API writes them: lists repeat their name, True and False are in lower case."""
    pairs: list[tuple[str, object]] = []
    for name, value in _mapping(params, "params"):
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is None:
                continue
            if not isinstance(one, str | int | float):
                problem = f"must be text, a number, True, False or a list of these, not {one!r}."
                raise refusal(f"params[{name!r}]", problem, argument="params")
            said = str(one).lower() if isinstance(one, bool) else str(one)
            pairs.append((name, said and text(said, f"params[{name!r}]", longest=8000, argument="params")))
    return pairs


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = _mapping(headers, "headers")
    for name, value in pairs:
        if not _HEADER_NAME().fullmatch(name):
            raise refusal("headers", f"must not contain {name!r}: it is not a valid name of a header.")
        if is_refused(name):
            raise refusal(
                "headers",
                f"must not contain {name!r}: only the client sets headers that select the server, the user or the "
                "effect of a request. Nothing was sent. Leave it out.",
            )
        if not text(value, f"the header {name!r}", longest=8000, argument="headers").isascii():
            raise refusal(f"the header {name!r}", "must be ASCII.", argument="headers")
    return tuple((name.lower(), value) for name, value in pairs)


def _mapping(value: object, name: str) -> Sequence[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise refusal(name, f"must be a dictionary whose keys are text, not {type(value).__name__}.")
    return tuple(value.items())


_CATALOGUE = ("courses", "collections", "paths", "individualleaderboards", "rapid-refresh")


def family_of(path: str) -> Family:
    """Return the limit that a request of the caller's own counts towards, by its path."""
    parts = path.strip("/").split("/")
    return "catalogue" if parts[:1] == ["training"] and parts[1:2] and parts[1] in _CATALOGUE else "general"
