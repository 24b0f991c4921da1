"""The forms in which a gateway may legally write one and the same answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Change = Callable[[str, Any], Any]
"""What becomes of one field, from its name and value; LEFT_OUT for none of it."""
LEFT_OUT = object()

_DATE = re.compile(r"(_at|[Dd]ate_?[Tt]ime|_date|Date)$")
_FIGURES = ("progress_percent", "percentagecompleted", "completionpercent", "averagescore", "score")


def _is_date(name: str) -> bool:
    return _DATE.search(name) is not None


def _is_figure(name: str) -> bool:
    return name.lower() in _FIGURES


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _omit(name: str, value: Any) -> Any:
    return LEFT_OUT if value in (None, "", 0, []) else value


def _null(name: str, value: Any) -> Any:
    return None if value in ("", 0, []) else value


def _integers_as_text(name: str, value: Any) -> Any:
    return str(value) if _is_whole(value) else value


def _not_a_number(name: str, value: Any) -> Any:
    return "NaN" if _is_figure(name) and type(value) in (int, float) and value == 0 else value


def _no_date_as(text: str) -> Change:
    return lambda name, value: text if _is_date(name) and value in (None, "") else value


def _redate(change: Callable[[str], str]) -> Change:
    return lambda name, value: change(value) if _is_date(name) and value else value


def _second_60(text: str) -> str:
    """The same moment, where it is the first of a minute, as the 61st second of the minute before."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    if moment.second:
        return text
    return f"{moment - timedelta(minutes=1):%Y-%m-%dT%H:%M}:60.{moment.microsecond:06d}Z"


FIELDS: dict[str, Change] = {
    "second 60": _redate(_second_60),
    "dates without zone": _redate(lambda text: text.removesuffix("Z")),
    "offset of a zone": _redate(lambda text: text.removesuffix("Z") + "+00:00"),
    "lower-case t and z": _redate(str.lower),
    "NaN as text": _not_a_number,
    "omits what is zero or empty": _omit,
    "null for what is zero or empty": _null,
    "no date as year 1": _no_date_as("0001-01-01T00:00:00Z"),
    "no date as 1970": _no_date_as("1970-01-01T00:00:00.000Z"),
    "no date as 1970 elsewhere": _no_date_as("1970-01-01T11:00:00+11:00"),
    "attempts without id": lambda name, value: (
        LEFT_OUT if name == "id" and str(value).startswith("attempt") else value
    ),
    "integers as text": _integers_as_text,
}
"""By name, what a style makes of each field; in this order, where it has several."""

PAGES = (
    "small pages",
    "duplicates at page borders",
    "an empty page before rows",
    "a last page that names itself",
    "a bare query as next page",
)
"""How a style divides the feed into pages."""
NETWORK = ("no content length", "reset of the rate limit as a time")
CONTENT = ("durations as text", "an empty original", "fractions in scores")
STYLES = (*FIELDS, *PAGES, *NETWORK, *CONTENT)

_AT_ODDS = (
    {name for name in FIELDS if name.startswith(("omits", "null", "no date"))},
    {"dates without zone", "offset of a zone"},
)
"""Of each of these sets, a style has one at most."""


def style_of(names: Iterable[str]) -> frozenset[str]:
    """The style with these names, without those that are at odds with an earlier one."""
    chosen: list[str] = []
    for name in names:
        if not any(name in odds and odds & set(chosen) for odds in _AT_ODDS):
            chosen.append(name)
    return frozenset(chosen)


def draw_style(random: Random) -> frozenset[str]:
    """None, or a few that go together."""
    return style_of(random.sample(STYLES, random.choice([0, 1, 2, 4])))


def dressed(document: Any, style: frozenset[str]) -> Any:
    """The same document, each field written in this style."""
    for name, change in FIELDS.items():
        if name in style:
            document = _applied(document, change)
    return document


def _applied(document: Any, change: Change) -> Any:
    if isinstance(document, list):
        return [_applied(each, change) for each in document]
    if not isinstance(document, dict):
        return document
    new = {name: change(name, _applied(value, change)) for name, value in document.items()}
    return {name: value for name, value in new.items() if value is not LEFT_OUT}
