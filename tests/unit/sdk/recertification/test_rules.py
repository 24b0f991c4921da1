"""What each rule says of one completion: month ends, leap years, zones, and what no rule can tell."""

from __future__ import annotations

import copy
import pickle
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from training_sdk import InvalidArgumentError
from training_sdk.recertification import (
    Anniversary,
    BeforeExpiry,
    Due,
    DueCase,
    DueState,
    FixedDate,
    FromCompletion,
    LeapDay,
    Rule,
    who_is_due,
)
from unit.sdk.recertification.people import COURSE, at, row

MARCH = LeapDay.MARCH_1
HIRED = date(2019, 6, 1)
TRAINED: dict[str | tuple[str, str], date] = {"user_a": HIRED, (COURSE, "user_a"): date(2019, 5, 1)}
TRAINED_ELSEWHERE: dict[str | tuple[str, str], date] = {
    "user_a": HIRED,
    ("other", "user_a"): date(2019, 5, 1),
}


def found(rule: Rule, completed: str, *, zone: str = "Etc/UTC", **more: Any) -> DueCase:
    """What is said of somebody who completed then, whenever it is due."""
    due = who_is_due([row(completed=completed, **more)], rule, on=date(2199, 1, 1), zone=zone)
    (case,) = (*due.due, *due.unclear)
    return case


@pytest.mark.parametrize(
    ("rule", "completed", "due_on"),
    [
        (FromCompletion(months=12), "2025-03-01", "2026-03-01"),
        (FromCompletion(years=1), "2025-03-01", "2026-03-01"),
        (FromCompletion(days=365), "2023-03-01", "2024-02-29"),
        (FromCompletion(years=1, months=1, days=1), "2024-12-31", "2026-02-01"),
        (FromCompletion(months=1), "2025-01-31", "2025-02-28"),
        (FromCompletion(months=1), "2024-01-31", "2024-02-29"),
        (FromCompletion(months=1, leap_day=MARCH), "2025-01-31", "2025-02-28"),
        (FromCompletion(months=3), "2024-11-30", "2025-02-28"),
        (FromCompletion(months=13), "2024-12-31", "2026-01-31"),
        (FromCompletion(years=1), "2024-02-29", "2025-02-28"),
        (FromCompletion(years=1, leap_day=MARCH), "2024-02-29", "2025-03-01"),
        (FromCompletion(months=12, leap_day=MARCH), "2024-02-29", "2025-03-01"),
        (FromCompletion(years=4, leap_day=MARCH), "2024-02-29", "2028-02-29"),
        (FixedDate(3, 1), "2025-02-28", "2025-03-01"),
        (FixedDate(3, 1), "2025-03-01", "2026-03-01"),
        (FixedDate(3, 1), "2025-03-02", "2026-03-01"),
        (FixedDate(2, 29), "2025-01-01", "2025-02-28"),
        (FixedDate(2, 29, leap_day=MARCH), "2025-02-28", "2025-03-01"),
        (FixedDate(2, 29), "2025-02-28", "2026-02-28"),
        (FixedDate(2, 29), "2028-02-28", "2028-02-29"),
        (FixedDate(12, 31), "2025-12-31", "2026-12-31"),
        (Anniversary({"user_a": date(2019, 6, 10)}), "2025-08-20", "2026-06-10"),
        (Anniversary({"user_a": date(2019, 6, 10)}), "2025-06-10", "2026-06-10"),
        (Anniversary({"user_a": date(2019, 6, 10)}), "2025-06-09", "2025-06-10"),
        (Anniversary({"user_a": date(2020, 2, 29)}), "2025-01-01", "2025-02-28"),
        (Anniversary({"user_a": date(2020, 2, 29)}, leap_day=MARCH), "2025-01-01", "2025-03-01"),
        (Anniversary({(COURSE, "user_a"): date(2019, 5, 1)}), "2025-01-01", "2025-05-01"),
        (Anniversary(TRAINED), "2025-01-01", "2025-05-01"),
        (Anniversary(TRAINED_ELSEWHERE), "2025-01-01", "2025-06-01"),
        (Anniversary({}, or_completion=True), "2025-06-10", "2026-06-10"),
    ],
)
def test_the_day_on_which_it_is_due(rule: Rule, completed: str, due_on: str) -> None:
    assert found(rule, completed).due_on == date.fromisoformat(due_on)


def test_the_anniversary_of_the_first_completion_stays_where_late_completions_move_the_other() -> None:
    history = [
        (COURSE, "user_a", at("2024-06-15")),
        (COURSE, "user_a", at("2023-06-10")),
        ("other", "user_a", at("2020-01-01")),
    ]
    completed_late = "2025-08-20"
    assert found(Anniversary.of_first_completion(history), completed_late).due_on == date(2026, 6, 10)
    assert found(FromCompletion(years=1), completed_late).due_on == date(2026, 8, 20)
    never_reset = found(Anniversary.of_first_completion(history), completed_late, user="user_b")
    assert never_reset.due_on == date(2026, 8, 20)


def test_a_history_is_read_in_the_zone_of_the_run() -> None:
    rule = Anniversary.of_first_completion([(COURSE, "user_a", at("2023-06-10 22:30"))])
    assert found(rule, "2025-01-01").due_on == date(2025, 6, 10)
    assert found(rule, "2025-01-01", zone="Europe/Zurich").due_on == date(2025, 6, 11)


@pytest.mark.parametrize(
    ("lead", "due_on"),
    [(0, "2026-03-01"), (30, "2026-01-30"), (timedelta(weeks=2), "2026-02-15"), (364, "2025-03-02")],
)
def test_before_the_expiry(lead: int | timedelta, due_on: str) -> None:
    assert found(BeforeExpiry(lead), "2025-03-01", expires="2026-03-01").due_on == date.fromisoformat(due_on)


@pytest.mark.parametrize(
    ("rule", "expires", "why"),
    [
        (BeforeExpiry(), None, "no expiry date is known"),
        (BeforeExpiry(), "2025-03-01", "not after the completion"),
        (BeforeExpiry(), "1970-01-01", "not after the completion"),
        (BeforeExpiry(), "0001-01-01", "not after the completion"),
        (BeforeExpiry(365), "2026-03-01", "due again at once"),
        (Anniversary({"user_b": date(2020, 1, 1)}), None, "no date is known"),
    ],
)
def test_what_no_rule_can_tell_is_listed_with_the_reason(rule: Rule, expires: str | None, why: str) -> None:
    case = found(rule, "2025-03-01", expires=expires)
    assert (case.standing, case.due_on, case.reset_from) == (DueState.UNCLEAR, None, None)
    assert why in case.why


# --- zones ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "completed", "day"),
    [
        ("Europe/Zurich", "2025-01-10 22:59", "2025-01-10"),
        ("Europe/Zurich", "2025-01-10 23:30", "2025-01-11"),
        ("Europe/Zurich", "2025-07-10 21:59", "2025-07-10"),
        ("Europe/Zurich", "2025-07-10 22:30", "2025-07-11"),
        ("Europe/Zurich", "2025-03-29 23:30", "2025-03-30"),  # that night the clocks go forward
        ("Europe/Zurich", "2025-03-30 22:30", "2025-03-31"),
        ("Europe/Zurich", "2025-10-25 22:30", "2025-10-26"),  # that night they go back
        ("Europe/Zurich", "2025-10-26 22:30", "2025-10-26"),
        ("America/Los_Angeles", "2025-03-01 07:30", "2025-02-28"),
        ("Pacific/Kiritimati", "2025-02-28 10:30", "2025-03-01"),
        ("Etc/UTC", "2025-01-10 23:30", "2025-01-10"),
    ],
)
def test_a_completion_counts_on_the_day_it_was_there(zone: str, completed: str, day: str) -> None:
    expected = date.fromisoformat(day) + timedelta(days=10)
    assert found(FromCompletion(days=10), completed, zone=zone).due_on == expected


def test_a_fixed_date_divides_by_the_local_day() -> None:
    just_before_midnight_in_london = "2025-02-28 23:30"
    rule = FixedDate(3, 1)
    assert found(rule, just_before_midnight_in_london, zone="Europe/London").due_on == date(2025, 3, 1)
    assert found(rule, just_before_midnight_in_london, zone="Europe/Zurich").due_on == date(2026, 3, 1)


@pytest.mark.parametrize("zone", ["Europe/Zurich", ZoneInfo("Europe/Zurich")])
def test_a_moment_becomes_the_day_that_it_is_there(zone: str | ZoneInfo) -> None:
    def on(moment: datetime | date) -> Due:
        return who_is_due([row(completed="2025-03-01")], FromCompletion(years=1), on=moment, zone=zone)

    assert on(at("2026-02-28 23:30")) == on(date(2026, 3, 1))
    assert on(at("2026-02-28 23:30")).on == date(2026, 3, 1)
    assert [len(on(at(text)).due) for text in ("2026-02-28 22:59", "2026-02-28 23:00")] == [0, 1]


# --- values --------------------------------------------------------------------------------------------------------

RULES: list[tuple[Rule, str]] = [
    (FromCompletion(months=12), "12 months after completion"),
    (FromCompletion(years=1, days=2), "1 year and 2 days after completion"),
    (FixedDate(3, 1), "every year on 1 March"),
    (Anniversary.of_first_completion([(COURSE, "user_a", at("2023-06-10"))]), "on a yearly anniversary"),
    (BeforeExpiry(lead=1), "1 day before the completion expires"),
    (BeforeExpiry(timedelta(days=30)), "30 days before the completion expires"),
    (BeforeExpiry(), "when the completion expires"),
]


@pytest.mark.parametrize(("rule", "text"), RULES)
def test_a_rule_is_a_value_that_says_what_it_is(rule: Rule, text: str) -> None:
    assert str(rule) == text
    assert pickle.loads(pickle.dumps(rule)) == copy.deepcopy(rule) == rule
    assert len({rule, copy.copy(rule)}) == 1


def test_a_date_that_is_changed_later_changes_no_rule() -> None:
    hired = {"user_a": date(2019, 6, 10)}
    rule = Anniversary(hired)
    hired.clear()
    assert found(rule, "2025-01-01").due_on == date(2025, 6, 10)


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        (FromCompletion, {}, "must have a period"),
        (FromCompletion, {"months": 0}, "must have a period"),
        (FromCompletion, {"months": -1}, "months must be a whole number from 0 to 1200"),
        (FromCompletion, {"months": 1.5}, "months must be a whole number"),
        (FromCompletion, {"years": True}, "years must be a whole number"),
        (FromCompletion, {"days": 10**6}, "days must be a whole number"),
        (FromCompletion, {"years": 1, "leap_day": "2 March"}, "not '2 March'"),
        (FixedDate, {"month": 13, "day": 1}, "month must be a whole number from 1 to 12"),
        (FixedDate, {"month": 2, "day": 30}, "day must be a whole number from 1 to 29 in February"),
        (FixedDate, {"month": 4, "day": 31}, "from 1 to 30 in April"),
        (FixedDate, {"month": 4, "day": 0}, "from 1 to 30 in April"),
        (Anniversary, {"of": date(2020, 1, 1)}, "of must be a mapping of user ids"),
        (Anniversary, {"of": {"user_a": "2020-01-01"}}, "The date of 'user_a' must be a date"),
        (
            Anniversary,
            {"of": {"user_a": datetime(2020, 1, 1)}},
            "The date of 'user_a' must be a datetime with a time",
        ),
        (
            Anniversary.of_first_completion,
            {"history": [(COURSE, "user_a", datetime(2020, 1, 1))]},
            "time zone",
        ),
        (
            Anniversary.of_first_completion,
            {"history": [("user_a", at("2020-01-01"))]},
            "An entry of history must be",
        ),
        (BeforeExpiry, {"lead": -1}, "lead must be a whole number from 0"),
        (BeforeExpiry, {"lead": timedelta(hours=36)}, "lead must be whole days"),
        (BeforeExpiry, {"lead": timedelta(days=-1)}, "lead must be a whole number from 0"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(make: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        make(**given)
