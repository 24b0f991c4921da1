"""From bytes to models and back: strict about types, tolerant of what is new.

The answers come in snake_case and in lowerCamelCase, and with two capital letters of their own (``LessonCount``);
all spellings are read. Unknown fields are kept in ``extra``, unknown enum values as themselves. Answers may leave out
what is zero or empty, and write null for it. A value of the wrong type, or a missing one that is needed, is an error
that names its JSON path.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import attrs

from training_sdk._core import columns, model, typed_rows
from training_sdk._core.flow import Response
from training_sdk._core.model import Extra, Reading, SharedValues
from training_sdk._core.text import inline, pattern
from training_sdk.errors import DecodingError

if TYPE_CHECKING:
    import cattrs  # imported when it is used: a fitting answer does not need it

T = TypeVar("T")

MOST_COMPLAINTS = 5
LONGEST_KIND = 100
_PART_OF_TOKEN = pattern(r"u[0-9a-fA-F]{0,4}|\.|[eE][+-]?")
LEAST_FOR_MSGSPEC = 65_536
"""Bytes of an answer from which on another JSON reader is worth its import."""
CUT_SHORT = "CUT_SHORT"
"""The reason of a DecodingError for JSON that ends too early."""


def decoder(shape: type[T], *of: type[Any], shares: bool = False) -> Callable[[Response], T]:
    """Return a function that reads a successful answer as ``shape``, or as ``shape[of]`` where it is generic.

    With ``shares`` equal values of all answers that it reads are stored once, which suits the pages of a listing.
    """
    generic: Any = shape
    whole: type[T] = generic[of] if of else shape
    shared = SharedValues()

    def read(response: Response) -> T:
        known = shared if shares else SharedValues()
        if len(response.body) >= LEAST_FOR_MSGSPEC and typed_rows.installed() is not None:
            # What it refuses or reads differently is read again below, so that results and errors do not depend on it.
            with contextlib.suppress(Exception):
                found: T = typed_rows.read(response.body, whole, known)
                return found
        return structure(loads(response), whole, response, shared=known)

    return read


def import_readers() -> None:
    """Import what readers of answers and records use, which is otherwise imported when it is first used."""
    typed_rows.installed()
    for lenient in (True, False):
        _converters(lenient=lenient)


def loads(response: Response) -> Any:
    """Return the JSON of an answer.

    Raises DecodingError, saying what came instead: a login page and an empty body are the usual suspects.
    """
    floats = _Floats()
    try:
        return json.loads(
            response.body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=floats.__getitem__
        )
    except (ValueError, RecursionError) as error:
        is_cut = _ends_early(error) or (not response.body and response.header("content-length") is None)
        said = str(error)
    kind = inline(response.header("content-type") or "no content type")[:LONGEST_KIND]
    what = f"{len(response.body)} bytes of {kind}" if response.body else "an empty body"
    # Outside the except: the error of the JSON module contains the whole body, and so possibly a secret.
    remedy = (
        "It ended early: a proxy may limit the size or the time of answers."
        if is_cut
        else "Check that the base URL is the address of the API."
    )
    unreadable = partial(
        DecodingError,
        f"The answer must be JSON, but it is {what} ({said}). {remedy}",
        status=response.status,
        request_id=response.request_id,
    )
    raise unreadable(reason="CUT_SHORT") if is_cut else unreadable()


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON for a request body."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def common_fields(source: object, kind: Any) -> dict[str, Any]:
    """Return the attributes of an object that are also fields of this class, by name."""
    return {one.name: getattr(source, one.name) for one in attrs.fields(kind) if hasattr(source, one.name)}


def plain(value: Any, chosen: Callable[[attrs.Attribute[Any], Any], bool] | None = None) -> dict[str, Any]:
    """Return a value of attrs classes as plain JSON data, dates in ISO 8601: the form of everything that is stored.

    ``chosen`` tells of a field whether it is written; by default all are.
    """
    return attrs.asdict(value, filter=chosen, value_serializer=_written)


def _written(_: Any, __: Any, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def structure(value: Any, shape: type[T], response: Response, *, shared: SharedValues | None = None) -> T:
    """Plain JSON data of an answer as ``shape``. Raises DecodingError with status and request id."""
    return _structure_answer(value, shape, shared, status=response.status, request_id=response.request_id)


def structure_kept(value: Any, shape: type[T]) -> T:
    """Plain JSON data of an answer that was kept, as ``shape``. Raises DecodingError."""
    return _structure_answer(value, shape, None)


def structure_value(value: Any, shape: type[T]) -> T:
    """Plain JSON data that the SDK has written itself, as ``shape``: strict. Raises DecodingError."""
    return _structure(_converters(lenient=False), value, shape)


def _structure_answer(value: Any, shape: type[T], shared: SharedValues | None, **known: Any) -> T:
    """By column, and by the converters if something does not fit, or comes in an unusual form."""
    with contextlib.suppress(Exception):
        found: T = columns.read(value, shape, shared or SharedValues())
        return found
    return _structure(_converters(lenient=True), value, shape, "The answer is not as documented: ", **known)


def _structure(converters: _Converters, value: Any, shape: type[T], opening: str = "", **known: Any) -> T:
    """Fast at first, and a second time with paths if something does not fit."""
    try:
        return converters.fast.structure(value, shape)
    except Exception:
        complaint = _complaint(converters.detailed, value, shape)
    raise DecodingError(f"{opening}{complaint}", **known)


@attrs.frozen
class SaidError:
    """The readable part of an error body; that of a live service may be empty or not JSON."""

    message: str | None = None
    reason: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()


def read_error(response: Response) -> SaidError:
    """Return the message and the ErrorInfo (reason, metadata) of an error body; never raises."""
    try:
        body = loads(response)
    except DecodingError:
        return SaidError()
    if not isinstance(body, dict):
        return SaidError()
    message = body.get("message") if isinstance(body.get("message"), str) else None
    details = body.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and _REASON().fullmatch(str(detail.get("reason"))):
            metadata = detail.get("metadata")
            pairs = metadata.items() if isinstance(metadata, dict) else ()
            return SaidError(message, detail["reason"], tuple((str(k), str(v)) for k, v in pairs))
    return SaidError(message)


def _ends_early(error: Exception) -> bool:
    """Return whether more bytes could make it JSON."""
    if isinstance(error, UnicodeDecodeError):
        return error.reason == "unexpected end of data"
    if not isinstance(error, json.JSONDecodeError):
        return False
    left = error.doc[error.pos :].rstrip()
    return bool(error.doc.strip()) and (
        not left
        or error.msg.startswith("Unterminated string")
        or _PART_OF_TOKEN().fullmatch(left) is not None
        or any(word.startswith(left) for word in ("true", "false", "null", "-"))
    )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class _Floats(dict[str, float]):
    """The numbers with a point or an exponent of one answer, each read and stored once."""

    def __missing__(self, text: str) -> float:
        number = float(text)
        if math.isinf(number):
            raise ValueError(f"the number {text[:20]} is too large")
        self[text] = number
        return number


def _complaint(detailed: cattrs.Converter, value: Any, shape: Any) -> str:
    import cattrs

    try:
        detailed.structure(value, shape)
    except Exception as error:
        said = cattrs.transform_error(error, path="$", format_exception=_say)
        more = f"; and {len(said) - MOST_COMPLAINTS} more" if len(said) > MOST_COMPLAINTS else ""
        return "; ".join(said[:MOST_COMPLAINTS]) + more
    raise AssertionError("the fast and the detailed converter disagree")


def _say(error: BaseException, expected: Any) -> str:
    if isinstance(error, KeyError):
        return f"required field {error.args[0]!r} is missing"
    return str(error)


# --- hooks ---------------------------------------------------------------------------------------------------------


def _enumeration(value: Any, kind: Any) -> StrEnum:
    member: StrEnum = kind(model.text(value))
    return member


def _is_date(shape: Any) -> bool:
    return shape is datetime or set(get_args(shape)) == {datetime, type(None)}


def _is_score(shape: Any) -> bool:
    return set(get_args(shape)) == {int, float, type(None)}


def _is_optional_number(shape: Any) -> bool:
    return set(get_args(shape)) == {float, type(None)}


def _is_tuple(shape: Any) -> bool:
    return get_origin(shape) is tuple


def _tuple_hook(shape: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    from cattrs.cols import list_structure_factory

    generic: Any = list
    of_list = generic[get_args(shape)[0]]
    read = list_structure_factory(of_list, converter)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise model.expected("a list", value)
        return tuple(read(value, of_list))

    return hook


_REASON = pattern(r"[A-Z][A-Z0-9_]{0,63}")


def _model_hook(shape: Any, converter: cattrs.Converter, *, lenient: bool) -> Callable[[Any, Any], Any]:
    from cattrs.gen import make_dict_structure_fn

    reading = Reading.of(get_origin(shape) or shape, lenient=lenient)
    build = make_dict_structure_fn(shape, converter)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise model.expected("an object", value)
        known, unknown = reading.sort(value)
        if reading.keeps_extra and unknown:
            known["extra"] = unknown
        return build(known, shape)

    return hook


def _is_model(shape: Any) -> bool:
    return attrs.has(get_origin(shape) or shape)


def _extra(value: Any, _: Any) -> Extra:
    return Extra(value)


_BY_KIND: dict[type, Callable[[Any, Any], Any]] = {
    StrEnum: _enumeration,  # open ones too; each is a str, and would otherwise be read as no more than that
    str: model.text,
    bool: model.boolean,
    int: model.integer,
    float: model.number,
    Extra: _extra,
}


def _converter(*, lenient: bool, detailed: bool) -> cattrs.Converter:
    import cattrs

    converter = cattrs.Converter(detailed_validation=detailed)
    for kind, hook in _BY_KIND.items():
        converter.register_structure_hook(kind, hook)
    if lenient:
        converter.register_structure_hook(int, model.answered_integer)
        converter.register_structure_hook(float, model.answered_number)
        converter.register_structure_hook_func(_is_optional_number, model.answered_optional_number)
    converter.register_structure_hook_func(_is_score, model.answered_score if lenient else model.score)
    converter.register_structure_hook_func(_is_date, model.answered_date if lenient else model.date)
    converter.register_structure_hook_factory(_is_tuple, lambda shape: _tuple_hook(shape, converter))
    converter.register_structure_hook_factory(
        _is_model, lambda shape: _model_hook(shape, converter, lenient=lenient)
    )
    return converter


@attrs.frozen
class _Converters:
    """Two that agree: one is fast, and the other says where something does not fit."""

    fast: cattrs.Converter
    detailed: cattrs.Converter


@functools.cache
def _converters(*, lenient: bool) -> _Converters:
    """Return the converters for answers, which are lenient, or for what the SDK has written itself."""
    return _Converters(
        _converter(lenient=lenient, detailed=False), _converter(lenient=lenient, detailed=True)
    )
