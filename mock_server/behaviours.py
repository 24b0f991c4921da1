"""What a live service may do, by name: behaviours for ``Policy.emulates``, and forms for ``Policy.answers``.

Nobody here has seen which of them the vendor's service has. Each is allowed by what is published, or has been seen
in services of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self, TypeVar


class _Named(StrEnum):
    """A name, and what it stands for."""

    description: str

    def __new__(cls, name: str, description: str) -> Self:
        made = str.__new__(cls, name)
        made._value_ = name
        made.description = description
        return made


class Behaviour(_Named):
    """How a service carries out resets and divides its listings."""

    REFUSES_PARTWAY_404 = (
        "refuses_partway_404",
        "Resets the people of a request one by one, at most two, as far as the first who is unknown or not assigned;"
        " answers 404 if anybody is left.",
    )
    REFUSES_PARTWAY_403 = ("refuses_partway_403", "The same with 403.")
    REFUSES_PARTWAY_400 = ("refuses_partway_400", "The same with 400.")
    REFUSES_PARTWAY_429 = ("refuses_partway_429", "The same with 429.")
    IGNORES_COURSE = (
        "ignores_course",
        "Does not read `courseId`: resets all courses of the people in the request, and counts the people.",
    )
    IGNORES_USER_LIST = (
        "ignores_user_list",
        'Knows the list of users as `learnerIds` only: resets everyone in the course. Also as `plays="treacherous"`.',
    )
    RESETS_STRANGERS = (
        "resets_strangers",
        "With each request resets one more person of the course, who is not in the list, and counts them too.",
    )
    QUEUES_RESETS = ("queues_resets", "Answers 202 and resets the people later, one every 90 s.")
    UPDATES_OPENED_AT = (
        "updates_opened_at",
        "`opened_at` is when the learner last did anything in the course, not when they first opened it.",
    )
    RESETS_COMPLETED_ONLY = (
        "resets_completed_only",
        'Resets only people who have completed the course; the same as `eligibility="completed"`.',
    )
    KEEPS_OPENED_AT = ("keeps_opened_at", "A reset leaves `opened_at` as it was.")
    KEEPS_SCORE = ("keeps_score", "A reset leaves `score` as it was.")
    KEEPS_TIME_SPENT = ("keeps_time_spent", "A reset leaves `time_spent_seconds` as it was.")
    COUNTS_NOBODY = ("counts_nobody", "Answers a reset with `{}`: no count.")
    ANSWERS_RESET_EMPTY = ("answers_reset_empty", "Answers a reset with an empty body.")
    ANSWERS_RESET_NULL = ("answers_reset_null", "Answers a reset with `null`.")
    ANSWERS_RESET_LIST = ("answers_reset_list", "Answers a reset with `[]`.")
    ANSWERS_RESET_204 = ("answers_reset_204", "Answers a reset with 204.")
    CAPS_PAGE_SIZE = (
        "caps_page_size",
        "Numbered pages hold 25 items at most, and begin where pages of the size in the request would begin.",
    )
    ENDS_FEEDS_EARLY = (
        "ends_feeds_early",
        "The last row of a feed is missing, and its last page has `remaining_records: 1`.",
    )
    OMITS_COMPLETED_LESSONS = (
        "omits_completed_lessons",
        "A person's lessons lack one completed lesson of each course.",
    )
    OMITS_COURSE_STATISTICS = ("omits_course_statistics", "Course statistics are an empty list.")
    OMITS_EMPTY_ROWS = ("omits_empty_rows", "The progress feed has no rows of people with nothing recorded.")
    LAST_PAGE_NAMES_ITSELF = (
        "last_page_names_itself",
        "`next_page` on the last page of a feed is that page, unless the page is full.",
    )
    BARE_QUERY_NEXT_PAGE = ("bare_query_next_page", "`next_page` is a query without a path.")
    BEGINS_WITH_EMPTY_PAGE = (
        "begins_with_empty_page",
        "The first page of a feed has no rows, and names the one that has.",
    )
    REPEATS_BORDER_ROWS = (
        "repeats_border_rows",
        "Pages of a feed hold 25 rows at most. Each further page begins with the last row of the page before, which"
        " then has another course title.",
    )
    RATE_LIMIT_RESET_EPOCH = (
        "rate_limit_reset_epoch",
        "`x-ratelimit-reset` is a time in seconds since 1970 (with `rate_limits=published`).",
    )


class AnswerForm(_Named):
    """How an answer may legally be written."""

    PROTO3 = (
        "proto3",
        "proto3 JSON as gateways write it: fields that are zero, false or empty are left out, whole numbers are text.",
    )
    NULLS = ("nulls", "What is zero, empty or an empty list or object is `null`.")
    NAN_AS_TEXT = ("nan_as_text", 'Percentages and scores that are zero are `"NaN"`.')
    NO_DATE_YEAR_1 = ("no_date_year_1", '"No date" is `0001-01-01T00:00:00Z`.')
    NO_DATE_1970 = ("no_date_1970", '"No date" is `1970-01-01T00:00:00Z`.')
    LOWER_CASE_DATES = ("lower_case_dates", "Dates have a lower-case `t` and `z`.")
    SECOND_60 = ("second_60", "A date in second 0 of a minute is in second 60 of the minute before.")
    DATES_WITHOUT_ZONE = ("dates_without_zone", "Dates have no `Z`.")
    FRACTIONAL_SCORES = ("fractional_scores", "Scores between 0 and 100 have a fraction.")
    DURATIONS_AS_TEXT = ("durations_as_text", 'Durations are text, such as `"1 h 5 min"`.')
    EMPTY_ORIGINAL = ("empty_original", "`TranslationOriginalCourse` is an empty object where there is none.")
    ATTEMPTS_WITHOUT_ID = ("attempts_without_id", "Attempts have no `id`.")
    UNTITLED_DRAFTS = ("untitled_drafts", "Courses that are not published have no `title`.")


PARTWAY = (
    Behaviour.REFUSES_PARTWAY_404,
    Behaviour.REFUSES_PARTWAY_403,
    Behaviour.REFUSES_PARTWAY_400,
    Behaviour.REFUSES_PARTWAY_429,
)
_RESET_ANSWERS = (
    Behaviour.COUNTS_NOBODY,
    Behaviour.ANSWERS_RESET_EMPTY,
    Behaviour.ANSWERS_RESET_NULL,
    Behaviour.ANSWERS_RESET_LIST,
    Behaviour.ANSWERS_RESET_204,
)
_AT_ODDS: tuple[tuple[_Named, ...], ...] = (
    PARTWAY,
    _RESET_ANSWERS,
    (AnswerForm.PROTO3, AnswerForm.NULLS),
    (AnswerForm.NO_DATE_YEAR_1, AnswerForm.NO_DATE_1970),
)
"""Of each of these, a world has one at most."""

_N = TypeVar("_N", bound=_Named)


def read(policy: str, kind: type[_N], given: object) -> tuple[_N, ...]:
    """The names in a text with commas, or in a list, in the order of their definition.

    ValueError, listing those there are, for any other name, and for two that contradict each other.
    """
    names = given.split(",") if isinstance(given, str) and given else given
    if not isinstance(names, Iterable) or isinstance(names, (bytes, dict)):
        raise TypeError(
            f"policy {policy}: {given!r} is neither names separated by commas nor a list of names"
        )
    asked = {_known(policy, kind, each) for each in names}
    for group in _AT_ODDS:
        both = [f"{each}" for each in group if each in asked]
        if len(both) > 1:
            raise ValueError(f"policy {policy}: a world has only one of {' and '.join(both)}")
    return tuple(each for each in kind if each in asked)


def _known(policy: str, kind: type[_N], name: object) -> _N:
    found = next((each for each in kind if isinstance(name, str) and each == name.strip()), None)
    if found is None:
        raise ValueError(f"policy {policy}: there is no {name!r}; known are {', '.join(kind)}")
    return found
