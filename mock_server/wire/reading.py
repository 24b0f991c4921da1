"""Read path, query and JSON body of a request strictly; a mistake is refused with 400."""

from __future__ import annotations

import json
import math
import re
from urllib.parse import unquote_to_bytes

from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.wire.message import MAX_BODY, Request

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VISIBLE = re.compile(r"[!-~]*")
_JSON_TYPE = re.compile(r'application/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)
MAX_DEPTH = 64
"""The most objects and lists nested in a JSON document."""
MAX_KEYS = 20_000
"""The most keys of one JSON object."""
_MOST_SEGMENTS = 32
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(text: str, where: str) -> str:
    """Undo percent-encoding strictly: complete escapes, visible ASCII otherwise, and UTF-8 as the result."""
    is_plain = "%" not in text
    if not is_plain and _BAD_ESCAPE.search(text):
        raise invalid(
            f"The {where} contains a '%' without two hexadecimal digits after it. Write %25 for a percent sign."
        )
    if not _VISIBLE.fullmatch(text):
        raise invalid(f"The {where} contains characters that must be percent-encoded as UTF-8.")
    if is_plain:
        return text
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise invalid(f"The {where} is not UTF-8 after percent-decoding.") from None


def segments(path: str) -> list[str]:
    """Return the segments of a path; each is decoded by itself, so an encoded slash never divides one.

    A path with more segments than any operation has is not decoded, because it cannot match.
    """
    parts = path.split("/")[1:]
    if len(parts) > _MOST_SEGMENTS:
        return parts
    if "%" not in path:
        decode(path.partition("/")[2], "path")  # nothing to undo: all of it is checked at once
        return parts
    return [decode(segment, "path") for segment in parts]


def pairs(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query, in order."""
    read = []
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if not name:
            raise invalid("The query contains a parameter without a name.")
        read.append((decode(name, "query"), decode(value.replace("+", "%20"), "query")))
    return read


def no_body(request: Request) -> None:
    """Refuse a body of an operation that takes none: 413 if it is too large, else 400."""
    _bounded(request)
    if request.body:
        raise invalid("This operation accepts no body. Send the request without one.")


def agent(request: Request) -> None:
    """Refuse a request without a User-Agent; that a live service requires it is assumed."""
    if not (request.header("user-agent") or "").strip():
        raise invalid(
            "The header User-Agent is missing. Send the name and version of your program in it.", "User-Agent"
        )


def json_body(request: Request, *, lenient: bool = False) -> object:
    """Return the JSON body: 413 if it is too large, 415 for another content type, 400 if it is not strict JSON."""
    _bounded(request)
    kinds = request.all_headers("content-type")
    if not lenient and (len(kinds) != 1 or not _JSON_TYPE.fullmatch(kinds[0].strip())):
        raise RefusedError(
            Reason.UNSUPPORTED_MEDIA_TYPE, "Send the body with the header Content-Type: application/json."
        )
    return strict_json(request.body, "body")


def _bounded(request: Request) -> None:
    if request.too_large or len(request.body) > MAX_BODY:
        raise RefusedError(Reason.BODY_TOO_LARGE, f"The body is larger than {MAX_BODY} bytes.")


def strict_json(data: bytes, where: str) -> object:
    """Read JSON by RFC 8259: UTF-8 without BOM, no repeated key, no NaN, nothing after it, not nested too deeply.

    The time is proportional to the length, for every content.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        raise invalid(f"The {where} is not UTF-8 (at byte {fault.start}).") from None
    if text.startswith("\ufeff"):
        raise invalid(f"The {where} begins with a byte order mark. Send it without one.")
    if not text.strip():
        raise invalid(f"The {where} is empty. Send JSON.")
    try:
        value: object = _decoder.decode(text)
    except RecursionError:
        raise invalid(f"The {where} is nested too deeply.") from None
    except ValueError as fault:
        raise invalid(f"The {where} is not valid JSON: {_harmless(str(fault).rstrip('.'))}.") from None
    if _is_deep(value):
        raise invalid(
            f"The {where} is nested too deeply: at most {MAX_DEPTH} levels of objects and lists are allowed."
        )
    return value


def _is_deep(value: object) -> bool:
    """Return True if more than MAX_DEPTH objects and lists are nested."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for each in level
            if isinstance(each, (dict, list))
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _harmless(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)[:300]


def _unique(items: list[tuple[str, object]]) -> dict[str, object]:
    if len(items) > MAX_KEYS:
        raise ValueError(f"An object has {len(items)} keys, and at most {MAX_KEYS} are allowed.")
    found = dict(items)
    if len(found) != len(items):
        raise ValueError(f"The key {_first_repeated(items)[:100]!r} occurs more than once.")
    for name, value in items:
        _unicode(name)
        _unicode(value)
    return found


def _first_repeated(items: list[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for name, _ in items:
        if name in seen:
            return name
        seen.add(name)
    raise LookupError("No key occurs more than once.")


def _unicode(value: object) -> None:
    """Refuse an unpaired surrogate, which JSON can contain and UTF-8 cannot."""
    if isinstance(value, list):
        for each in value:
            _unicode(each)
    elif isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
        raise ValueError("A text contains an unpaired surrogate.")


def _constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number.")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"The number {text[:40]} is too large.")
    return value


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float)
