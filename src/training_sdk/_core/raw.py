"""Requests of the user's own making: checked before they are sent, and answered without being interpreted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from training_sdk._core import argument_checks, codec, pacing, urls
from training_sdk._core.flow import READING_METHODS, Request, Response
from training_sdk._core.headers import is_refused
from training_sdk.errors import InvalidArgumentError

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
    verb = argument_checks.text(method, "method", longest=10).upper()
    if verb not in METHODS:
        raise InvalidArgumentError(f"method {method!r} is none of {', '.join(METHODS)}")
    plain = urls.checked_request_path(path)
    urls.refuse_reset_path(prefix + plain)
    return Request(
        verb,
        urls.target(plain, _query(params or {})),
        body=None if json is None else _body(json),
        headers=_headers(headers or {}),
        repeatable=verb in READING_METHODS,
        limit=pacing.family_of(plain),
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
            pairs.append((name, said and argument_checks.text(said, f"params[{name!r}]", longest=8000)))
    return pairs


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    pairs = _mapping(headers, "headers")
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidArgumentError(f"{name!r} is not the name of a header")
        if is_refused(name):
            raise InvalidArgumentError(
                f"headers must not name {name!r}: it decides who is asked, as whom or for what, which the client alone "
                "sets. Nothing was sent. Leave it out"
            )
        if not argument_checks.text(value, f"the header {name!r}", longest=8000).isascii():
            raise InvalidArgumentError(f"the header {name!r} must be ASCII")
    return tuple((name.lower(), value) for name, value in pairs)


def _mapping(value: object, name: str) -> Sequence[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgumentError(
            f"{name} must be a dictionary whose keys are text, not {type(value).__name__}"
        )
    return tuple(value.items())
