"""Answers in another legal form (``Policy.answers``), and feeds that divide or name their pages differently.

The answer of a handler is parsed, changed and written again, so the usual form costs nothing and does not change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from attrs import evolve

from mock_server.policy import AnswerForm, Behaviour
from mock_server.wire.answers import to_json

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.wire.message import Request, Response

Change = Callable[[str, Any], Any]
"""The new value of a field, by its name and value; _LEFT_OUT to leave it out."""
_LEFT_OUT = object()
_DATE_NAME = re.compile(r"(_at|_date|Date|[dD]ate_?[tT]ime)$")
_FIGURES = frozenset(
    {"progress_percent", "percentageCompleted", "completionPercent", "averageScore", "score", "totalScore"}
)
_SCORES = frozenset({"score", "averageScore"})
_SHORT_PAGE = 25
"""Rows on a page of a feed that repeats those at its borders, at most."""
_FEED_BEHAVIOURS = frozenset(
    {
        Behaviour.ENDS_FEEDS_EARLY,
        Behaviour.LAST_PAGE_NAMES_ITSELF,
        Behaviour.BARE_QUERY_NEXT_PAGE,
        Behaviour.BEGINS_WITH_EMPTY_PAGE,
        Behaviour.REPEATS_BORDER_ROWS,
    }
)


def rewritten(policy: Policy, request: Request, response: Response) -> Response:
    """Return the answer in the form that the policy names; the same answer if it names none."""
    if not (policy.emulates or policy.answers):
        return response
    of_feeds = _FEED_BEHAVIOURS & set(policy.emulates) if request.method == "GET" else set()
    if not (of_feeds or policy.answers) or response.status not in (200, 202) or not response.body:
        return response
    document = json.loads(response.body)
    if of_feeds and isinstance(document, dict) and "metadata" in document:
        _change_page(document, of_feeds, request, _limit(request, policy.default_page_size))
    for form, change in _CHANGES.items():
        if form in policy.answers:
            document = _changed(document, change)
    return evolve(response, body=to_json(document))


# --- pages of a feed --------------------------------------------------------------------------------------------------


def _change_page(
    page: dict[str, Any], behaviours: AbstractSet[Behaviour], request: Request, limit: int
) -> None:
    metadata, rows = page["metadata"], page["data"]
    is_last = not metadata["next_page"]
    if is_last and rows and Behaviour.ENDS_FEEDS_EARLY in behaviours:
        del rows[-1]
        metadata["remaining_records"] = 1
    if is_last and Behaviour.LAST_PAGE_NAMES_ITSELF in behaviours and len(rows) < limit:
        metadata["next_page"] = f"{request.path}?{request.query}"
    if Behaviour.REPEATS_BORDER_ROWS in behaviours and limit > 1:
        _repeat_border_row(metadata, rows, request)
    query = _query(request)
    if Behaviour.BEGINS_WITH_EMPTY_PAGE in behaviours and "offset" not in query and limit > 1:
        rows.clear()  # the other limit tells the next page from this one
        following = urlencode({**query, "limit": limit - 1, "offset": 0})
        metadata["next_page"] = f"{request.path}?{following}"
    if metadata["next_page"] and Behaviour.BARE_QUERY_NEXT_PAGE in behaviours:
        metadata["next_page"] = "?" + metadata["next_page"].partition("?")[2]


def _repeat_border_row(metadata: dict[str, Any], rows: list[dict[str, Any]], request: Request) -> None:
    """Let the next page begin one row earlier; the repeated row differs in a field that does not matter."""
    query = _query(request)
    offset = int(query.get("offset", "0"))
    if metadata["next_page"] or len(rows) > _SHORT_PAGE:
        del rows[_SHORT_PAGE:]
        following = urlencode({**query, "offset": offset + len(rows) - 1})
        metadata["next_page"] = f"{request.path}?{following}"
    if rows and offset and "course_title" in rows[0]:
        rows[0]["course_title"] += " (new)"


def _query(request: Request) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(request.query, keep_blank_values=True).items()}


def _limit(request: Request, default: int) -> int:
    return int(_query(request).get("limit", default))


# --- fields of an answer ----------------------------------------------------------------------------------------------


def _changed(value: Any, change: Change) -> Any:
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    if not isinstance(value, dict):
        return value
    new = {name: change(name, _changed(each, change)) for name, each in value.items()}
    return {name: each for name, each in new.items() if each is not _LEFT_OUT}


def _is_nothing(value: Any) -> bool:
    return value in (None, "", 0, [], {})


def _proto3(_: str, value: Any) -> Any:
    if _is_nothing(value):
        return _LEFT_OUT
    return str(value) if type(value) is int else value


def _null(_: str, value: Any) -> Any:
    return None if _is_nothing(value) and value is not False else value


def _nan(name: str, value: Any) -> Any:
    return "NaN" if name in _FIGURES and type(value) in (int, float) and not value else value


def _is_date(name: str) -> bool:
    return _DATE_NAME.search(name) is not None


def _no_date(text: str) -> Change:
    return lambda name, value: text if _is_date(name) and value in (None, "") else value


def _dates(change: Callable[[str], str]) -> Change:
    return lambda name, value: change(value) if _is_date(name) and value else value


def _second_60(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.second:
        return text
    return f"{moment - timedelta(minutes=1):%Y-%m-%dT%H:%M}:60{text[19:]}"


def _fraction(name: str, value: Any) -> Any:
    return value + 0.25 if name in _SCORES and type(value) in (int, float) and 0 < value < 100 else value


def _duration(name: str, value: Any) -> Any:
    if name != "duration" or type(value) is not int:
        return value
    hours, minutes = divmod(value // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _original(name: str, value: Any) -> Any:
    return {} if name == "TranslationOriginalCourse" and value is None else value


def _without(field: str, fits: Callable[[dict[str, Any]], bool]) -> Change:
    """Leave a field out of those objects in lists that fit."""

    def shown(each: Any) -> Any:
        if not (isinstance(each, dict) and fits(each)):
            return each
        return {name: each[name] for name in each if name != field}

    return lambda _, value: list(map(shown, value)) if isinstance(value, list) else value


_CHANGES: dict[AnswerForm, Change] = {
    AnswerForm.SECOND_60: _dates(_second_60),
    AnswerForm.DATES_WITHOUT_ZONE: _dates(lambda text: text.removesuffix("Z")),
    AnswerForm.LOWER_CASE_DATES: _dates(str.lower),
    AnswerForm.NO_DATE_YEAR_1: _no_date("0001-01-01T00:00:00Z"),
    AnswerForm.NO_DATE_1970: _no_date("1970-01-01T00:00:00Z"),
    AnswerForm.FRACTIONAL_SCORES: _fraction,
    AnswerForm.DURATIONS_AS_TEXT: _duration,
    AnswerForm.NAN_AS_TEXT: _nan,
    AnswerForm.ATTEMPTS_WITHOUT_ID: _without("id", lambda each: "startedDateTime" in each),
    AnswerForm.UNTITLED_DRAFTS: _without(
        "title", lambda each: "LessonCount" in each and not each.get("isPublished")
    ),
    AnswerForm.NULLS: _null,
    AnswerForm.PROTO3: _proto3,
    AnswerForm.EMPTY_ORIGINAL: _original,
}
"""The change that each form makes to a field, in the order in which several apply."""
