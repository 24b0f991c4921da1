"""From bytes to models and back: strict about types, tolerant of what is new.

The answers come in snake_case and in lowerCamelCase, and with two capital letters of their own (``LessonCount``);
all spellings are read. Unknown fields are kept in ``extra``, unknown enum values as themselves. A value of the wrong
type, or a missing one that is needed, is an error that names its JSON path.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn

from training_sdk._flow import Response
from training_sdk._visible import inline
from training_sdk.errors import DecodingError
from training_sdk.models.base import Extra

T = TypeVar("T")

MOST_COMPLAINTS = 5
LONGEST_KIND = 100


def decoder(shape: type[T], *of: type[Any]) -> Callable[[Response], T]:
    """A function that reads a successful answer as ``shape``, or as ``shape[of]`` where it is generic."""
    generic: Any = shape
    whole: type[T] = generic[of] if of else shape
    return lambda response: structure(loads(response), whole, response)


def loads(response: Response) -> Any:
    """The JSON of an answer.

    Raises DecodingError, saying what came instead: a login page and an empty body are the usual suspects.
    """
    try:
        return json.loads(response.body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        said = str(error)
    kind = inline(response.header("content-type") or "no content type")[:LONGEST_KIND]
    what = f"{len(response.body)} bytes of {kind}" if response.body else "an empty body"
    # Outside the except: the error of the JSON module holds the whole body, in which a secret may stand.
    raise DecodingError(
        f"expected JSON, got {what} ({said}). Is the base URL that of the API?",
        status=response.status,
        request_id=response.request_id,
    )


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON for a request body."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def plain(value: Any, chosen: Callable[[attrs.Attribute[Any], Any], bool] | None = None) -> dict[str, Any]:
    """A value of attrs classes as plain JSON data, dates in ISO 8601: how everything is written that is kept.

    ``chosen`` tells of a field whether it is written; by default all are.
    """
    return attrs.asdict(value, filter=chosen, value_serializer=_written)


def _written(_: Any, __: Any, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def structure(value: Any, shape: type[T], response: Response) -> T:
    """Plain JSON data of an answer as ``shape``. Raises DecodingError with status and request id."""
    return structure_value(value, shape, status=response.status, request_id=response.request_id)


def structure_value(value: Any, shape: type[T], **known: Any) -> T:
    """Plain JSON data as ``shape``; fast at first, and a second time with paths if something does not fit."""
    try:
        return _fast.structure(value, shape)
    except Exception:
        complaint = _complaint(value, shape)
    raise DecodingError(complaint, **known)


@attrs.frozen
class SaidError:
    """What an error body says, as far as it can be read; a live one may be empty or not JSON."""

    message: str | None = None
    reason: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()


def read_error(response: Response) -> SaidError:
    """The message and the ErrorInfo (reason, metadata) of an error body; never raises."""
    try:
        body = loads(response)
    except DecodingError:
        return SaidError()
    if not isinstance(body, dict):
        return SaidError()
    message = body.get("message") if isinstance(body.get("message"), str) else None
    details = body.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and _REASON.fullmatch(str(detail.get("reason"))):
            metadata = detail.get("metadata")
            pairs = metadata.items() if isinstance(metadata, dict) else ()
            return SaidError(message, detail["reason"], tuple((str(k), str(v)) for k, v in pairs))
    return SaidError(message)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _complaint(value: Any, shape: Any) -> str:
    try:
        _detailed.structure(value, shape)
    except Exception as error:
        said = cattrs.transform_error(error, path="$", format_exception=_say)
        more = f"; and {len(said) - MOST_COMPLAINTS} more" if len(said) > MOST_COMPLAINTS else ""
        return "; ".join(said[:MOST_COMPLAINTS]) + more
    raise AssertionError("the fast and the detailed converter disagree")


def _say(error: BaseException, expected: Any) -> str:
    if isinstance(error, KeyError):
        return f"required field {error.args[0]!r} is missing"
    return str(error)


# --- strict hooks ------------------------------------------------------------------------------------------------


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")


def _expect(value: Any, expected: str) -> TypeError:
    return TypeError(f"{expected} expected, found {_kind(value)}")


def _text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise _expect(value, "text")
    return value


def _boolean(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise _expect(value, "true or false")
    return value


def _integer(value: Any, _: Any) -> int:
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise _expect(value, "a whole number")
    return value


def _number(value: Any, _: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise _expect(value, "a number")
    return float(value)


def _date(value: Any, _: Any) -> datetime | None:
    """The feed writes "no date" as an empty string; other endpoints write null."""
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise _expect(value, "a date")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an RFC 3339 date") from None
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} names no time zone")
    return moment


def _enumeration(value: Any, kind: Any) -> StrEnum:
    member: StrEnum = kind(_text(value, str))
    return member


def _is_date(shape: Any) -> bool:
    return shape is datetime or set(get_args(shape)) == {datetime, type(None)}


def _is_tuple(shape: Any) -> bool:
    return get_origin(shape) is tuple


def _tuple_hook(shape: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    generic: Any = list
    of_list = generic[get_args(shape)[0]]
    read = list_structure_factory(of_list, converter)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise _expect(value, "a list")
        return tuple(read(value, of_list))

    return hook


_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_HUMP = re.compile(r"_([a-z0-9])")


def _camel(name: str) -> str:
    return _HUMP.sub(lambda match: match[1].upper(), name)


def _spellings(cls: Any) -> dict[str, str]:
    """Every key under which an attribute may arrive, and the attribute."""
    names: dict[str, str] = {}
    for attribute in attrs.fields(cls):
        for key in (attribute.name, _camel(attribute.name), *attribute.metadata.get("also", ())):
            names[key] = attribute.name
    names.pop("extra", None)
    return names


def _model_hook(shape: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    cls = get_origin(shape) or shape
    names = _spellings(cls)
    keeps_extra = any(attribute.name == "extra" for attribute in attrs.fields(cls))
    build = make_dict_structure_fn(shape, converter)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _expect(value, "an object")
        known: dict[str, Any] = {}
        unknown: dict[str, Any] = {}
        for key, item in value.items():
            name = names.get(key)
            if name is None:
                unknown[key] = item
            elif name in known and known[name] != item:
                raise ValueError(f"{name!r} stands twice, with different values")
            else:
                known[name] = item
        if keeps_extra and unknown:
            known["extra"] = unknown
        return build(known, shape)

    return hook


def _is_model(shape: Any) -> bool:
    return attrs.has(get_origin(shape) or shape)


def _extra(value: Any, _: Any) -> Extra:
    return Extra(value)


_BY_KIND: dict[type, Callable[[Any, Any], Any]] = {
    StrEnum: _enumeration,  # open ones too; each is a str, and would otherwise be read as no more than that
    str: _text,
    bool: _boolean,
    int: _integer,
    float: _number,
    Extra: _extra,
}


def _converter(*, detailed: bool) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=detailed)
    for kind, hook in _BY_KIND.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(_is_date, _date)
    converter.register_structure_hook_factory(_is_tuple, lambda shape: _tuple_hook(shape, converter))
    converter.register_structure_hook_factory(_is_model, lambda shape: _model_hook(shape, converter))
    return converter


_fast = _converter(detailed=False)
_detailed = _converter(detailed=True)
