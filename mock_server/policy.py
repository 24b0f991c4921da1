"""Policies of a world: what the article and the API reference leave open, and what a live service may do.

Nobody here has seen which behaviours, and which forms of answers, the vendor's service has. Each is allowed by what is
published, or has been seen in services of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, Literal, Self, TypeVar, get_args, get_type_hints

from attrs import Attribute, evolve, field, fields, frozen

from mock_server.refusal import check_argument


class _Named(StrEnum):
    """A name with its description."""

    description: str

    def __new__(cls, name: str, description: str) -> Self:
        made = str.__new__(cls, name)
        made._value_ = name
        made.description = description
        return made


class Behaviour(_Named):
    """Behaviours of a service in resets and listings."""

    REFUSES_PARTWAY_404 = (
        "refuses_partway_404",
        "Resets the people of a request one by one, at most two, and stops at the first who is unknown or not assigned."
        " Answers 404 if people are left.",
    )
    REFUSES_PARTWAY_403 = ("refuses_partway_403", "The same with 403.")
    REFUSES_PARTWAY_400 = ("refuses_partway_400", "The same with 400.")
    REFUSES_PARTWAY_429 = ("refuses_partway_429", "The same with 429.")
    IGNORES_COURSE = (
        "ignores_course",
        "Ignores `courseId`: resets all courses of the people in the request, and returns the number of people.",
    )
    IGNORES_USER_LIST = (
        "ignores_user_list",
        "Reads the list of users from `learnerIds` only, so it resets everyone in the course. Also as"
        ' `plays="treacherous"`.',
    )
    RESETS_STRANGERS = (
        "resets_strangers",
        "With each request also resets one person of the course who is not in the list, and counts them too.",
    )
    QUEUES_RESETS = ("queues_resets", "Answers 202 and resets the people later, one every 90 s.")
    UPDATES_OPENED_AT = (
        "updates_opened_at",
        "`opened_at` is the moment of the learner's last action in the course, not of their first.",
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
        "Numbered pages have at most 25 items, and begin where pages of the requested size would begin.",
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
    OMITS_EMPTY_ROWS = (
        "omits_empty_rows",
        "The progress feed has no rows of people without recorded progress.",
    )
    LAST_PAGE_NAMES_ITSELF = (
        "last_page_names_itself",
        "`next_page` on the last page of a feed is that page, unless the page is full.",
    )
    BARE_QUERY_NEXT_PAGE = ("bare_query_next_page", "`next_page` is a query without a path.")
    BEGINS_WITH_EMPTY_PAGE = (
        "begins_with_empty_page",
        "The first page of a feed has no rows, and links to the page with the rows.",
    )
    REPEATS_BORDER_ROWS = (
        "repeats_border_rows",
        "Pages of a feed have at most 25 rows. Each further page begins with the last row of the page before, with"
        " another course title.",
    )
    RATE_LIMIT_RESET_EPOCH = (
        "rate_limit_reset_epoch",
        "`x-ratelimit-reset` is a time in seconds since 1970 (with `rate_limits=published`).",
    )


class AnswerForm(_Named):
    """Legal forms of an answer."""

    PROTO3 = (
        "proto3",
        "proto3 JSON as gateways write it: fields that are zero, false or empty are left out. Whole numbers are text.",
    )
    NULLS = ("nulls", "A field that is zero, empty, or an empty list or object is `null`.")
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


def read_names(policy: str, kind: type[_N], given: object) -> tuple[_N, ...]:
    """Return the names in a text with commas, or in a list, in the order of their definition.

    ValueError, listing those there are, for any other name, and for two that contradict each other.
    """
    names = given.split(",") if isinstance(given, str) and given else given
    if not isinstance(names, Iterable) or isinstance(names, (bytes, dict)):
        raise TypeError(f"{policy} must be a list of names, or names separated by commas, not {given!r}.")
    asked = {_known(policy, kind, each) for each in names}
    for group in _AT_ODDS:
        both = [f"{each}" for each in group if each in asked]
        if len(both) > 1:
            raise ValueError(f"{policy} can have only one of {' and '.join(both)}.")
    return tuple(each for each in kind if each in asked)


def _known(policy: str, kind: type[_N], name: object) -> _N:
    found = next((each for each in kind if isinstance(name, str) and each == name.strip()), None)
    if found is None:
        raise ValueError(f"{policy} must be names out of {', '.join(kind)}, not {name!r}.")
    return found


_LARGEST_RESET = 1_000_000
_LONGEST_LAG = 7200
_NAMED: dict[str, type[Behaviour | AnswerForm]] = {"emulates": Behaviour, "answers": AnswerForm}
_NUMBERS = {
    "max_users_per_reset": (1, _LARGEST_RESET),
    "lag_seconds": (0, _LONGEST_LAG),
    "refresh_seconds": (0, _LONGEST_LAG),
    "default_page_size": (1, 1000),
}
"""Policies that are whole numbers, with the least and the most."""


def _choices(policy: str) -> tuple[str, ...]:
    """Return the values between which a policy chooses; none for a policy of another kind."""
    values = get_args(_hints()[policy])
    return values if all(isinstance(each, str) for each in values) else ()


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Policy)


def _check(policy: str, value: object) -> None:
    """Refuse a value that the policy does not have; names of behaviours and forms are checked as they are read."""
    if policy in _NUMBERS:
        least, most = _NUMBERS[policy]
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{policy} must be a whole number from {least} to {most}, not {value!r}.")
    elif (allowed := _choices(policy)) and value not in allowed:
        raise ValueError(f"{policy} must be one of {', '.join(map(repr, allowed))}, not {value!r}.")


def _behaviours(given: str | Iterable[str]) -> tuple[Behaviour, ...]:
    return read_names("emulates", Behaviour, given)


def _answer_forms(given: str | Iterable[str]) -> tuple[AnswerForm, ...]:
    return read_names("answers", AnswerForm, given)


@frozen
class Policy:
    """The choices of a world where the vendor's documents are silent or disagree.

    Raises ValueError, with the allowed values, for any other value.
    """

    everyone_permission: Literal["Platform management: Users", "Training: Administration", "both"] = (
        "Platform management: Users"
    )
    """R02: the permission that a reset of everyone in a course needs, or both permissions."""
    eligibility: Literal["recorded", "completed"] = "recorded"
    """R09: a reset clears all recorded progress, or completions only (the wording of the API reference)."""
    old_certificate: Literal["hidden", "kept"] = "hidden"
    """R19: the certificate of a completion that is reset is hidden, or stays visible."""
    late_writes: Literal["refused", "accepted"] = "refused"
    """R22: an action that a learner made before a reset and that arrives after it."""
    confirmation: Literal["required", "off"] = "required"
    """R06: the confirmation of a reset. "off" is the documented behaviour of the vendor's API."""
    max_users_per_reset: int = 1000
    """R08: the largest number of ids in one reset, counted as sent."""
    lag_seconds: int = 0
    """The minimum age of feed and analytics in seconds, 0 to 7200. All other operations show the present."""
    refresh_seconds: int = 0
    """The interval in seconds at which feed and analytics are refreshed, 0 to 7200. 0: at once."""
    rate_limits: Literal["off", "published", "silent"] = "off"
    """Requests per user and minute: no limit; 200 or 800 by operation with headers; or the same without headers."""
    plays: Literal["reference", "live", "treacherous"] = "reference"
    """The reference server itself, or a live service without mark, confirmation and preview."""
    requests: Literal["strict", "lenient"] = "strict"
    """Lenient accepts unknown fields and parameters, other content types, no User-Agent; never in a reset (R07)."""
    absent: Literal["kept", "cleared"] = "kept"
    """R10: the progress of users who are not assigned at the reset returns with them, or is cleared."""
    unpublished_notifications: Literal["none", "sent"] = "none"
    """R18: the notification "course assigned" after a reset in a course that learners cannot open (draft, archived)."""
    default_page_size: int = 1000
    """Rows on a page of a feed if the request names no size. The list of users has at most 200, other lists have 25."""
    other_feeds: Literal["refused", "empty"] = "refused"
    """The vendor's feeds that are not part of Training: refused with 501, or empty for programs that read them all."""
    errors: Literal["detailed", "brief"] = "detailed"
    """Brief: a 403 is "Permission Denied" without a permission, and a 400 names the first field only."""
    emulates: tuple[Behaviour, ...] = field(default=(), converter=_behaviours)
    """Behaviours of a live service, separated by commas. Each of them implies `plays="live"`."""
    answers: tuple[AnswerForm, ...] = field(default=(), converter=_answer_forms)
    """Legal forms of answers, separated by commas. Without one, answers have the usual form."""

    def __attrs_post_init__(self) -> None:
        for name in _NAMES:
            _check(name, getattr(self, name))
        if self.plays == "treacherous":
            object.__setattr__(self, "emulates", _behaviours((*self.emulates, Behaviour.IGNORES_USER_LIST)))
        if self.emulates:
            object.__setattr__(self, "plays", "live")
        if Behaviour.RESETS_COMPLETED_ONLY in self.emulates:
            object.__setattr__(self, "eligibility", "completed")

    @property
    def is_reference(self) -> bool:
        """True if the server identifies itself and offers its own operations."""
        return self.plays == "reference"

    @property
    def is_lenient(self) -> bool:
        """True if unknown fields and missing headers of a request are ignored."""
        return self.requests == "lenient"

    @property
    def asks_confirmation(self) -> bool:
        """R06: True if a reset must be confirmed."""
        return self.is_reference and self.confirmation == "required"

    @classmethod
    def choices(cls) -> str:
        """Return every policy with its values, the default first, for the help of the command line."""
        return "; ".join(f"{each.name}={_values(each)}" for each in fields(cls))

    @classmethod
    def from_pairs(cls, pairs: Iterable[str]) -> Policy:
        """Read ``name=value`` pairs, as a command line gives them. ValueError names what is allowed."""
        values: dict[str, Any] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise ValueError(f"A policy must have the form name=value, not {pair!r}.")
            if name not in _NAMES:
                raise ValueError(f"There is no policy {name!r}. The policies are {', '.join(_NAMES)}.")
            if name in values:
                raise ValueError(f"{name} is given twice. Give it once.")
            values[name] = _number(value) if name in _NUMBERS else value
        return cls().changed(values)

    def changed(self, switches: Mapping[str, Any]) -> Policy:
        """Return the policy with other switches. ValueError also where they contradict what ``emulates`` implies."""
        made = evolve(self, **switches)
        for name in ("plays", "eligibility"):
            wanted, implied = switches.get(name), getattr(made, name)
            if wanted not in (None, implied, "treacherous"):
                named = ",".join(made.emulates)
                raise ValueError(
                    f"{name} must be {implied!r}, not {wanted!r}, because emulates={named} implies it."
                )
        return made


def _values(policy: Attribute[Any]) -> str:
    if policy.name in _NAMED:
        return f"any of {', '.join(_NAMED[policy.name])}"
    listed = _choices(policy.name)
    if not listed:
        return f"N (default {policy.default})"
    return "|".join(sorted(listed, key=lambda value: value != policy.default))


def _number(text: str) -> int | str:
    """A whole number where the text is one; else the text, which the field then refuses by name."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST_RESET)) else text


_NAMES = tuple(attribute.name for attribute in fields(Policy))
_USUAL = Policy()


def policy_or_default(policy: Policy | None) -> Policy:
    """Return the policy, or the default one for None. Raises TypeError for anything else."""
    how = 'a Policy, such as Policy(eligibility="completed")'
    return _USUAL if policy is None else check_argument("policy", policy, Policy, how)
