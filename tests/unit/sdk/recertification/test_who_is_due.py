"""Who ends in which list: warning, grace, hold, windows, and data that makes no sense."""

from __future__ import annotations

import copy
import pickle
import weakref
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from training_sdk import InvalidArgumentError, ProgressRow
from training_sdk.recertification import (
    Anniversary,
    BeforeExpiry,
    Due,
    DueState,
    FixedDate,
    FromCompletion,
    Rule,
    who_is_due,
)
from unit.sdk.recertification.people import COURSE, at, row

YEARLY = FromCompletion(months=12)


def sort(*rows: ProgressRow, rule: Rule = YEARLY, on: str = "2026-03-01", **more: Any) -> Due:
    return who_is_due(rows, rule, on=date.fromisoformat(on), zone="Europe/Zurich", **more)


def standing(due: Due) -> str:
    """Where the only person is."""
    (where,) = [name.value for name, cases in due.listed.items() if cases] or ["not due"]
    return where


@pytest.mark.parametrize(
    ("on", "where"),
    [
        ("2026-01-29", "not due"),
        ("2026-01-30", "warned"),
        ("2026-02-28", "warned"),
        ("2026-03-01", "in grace"),
        ("2026-03-14", "in grace"),
        ("2026-03-15", "due"),
        ("2029-03-15", "due"),
    ],
)
def test_first_a_warning_then_grace_and_then_due_for_as_long_as_it_takes(on: str, where: str) -> None:
    assert standing(sort(row(), on=on, warn=30, grace=timedelta(weeks=2))) == where


def test_without_grace_somebody_is_due_on_the_day_itself() -> None:
    assert [standing(sort(row(), on=on)) for on in ("2026-02-28", "2026-03-01")] == ["not due", "due"]


def test_whoever_has_never_completed_is_not_due() -> None:
    due = sort(row(completed=None), row("user_b", None, expires="0001-01-01"), rule=BeforeExpiry())
    assert (due.not_due, due.by_course) == (2, {})


def test_a_case_says_what_it_follows_from() -> None:
    (case,) = sort(row(email="ada@nordwerk.example"), grace=14).in_grace
    assert (case.due_on, case.reset_from, case.key) == (
        date(2026, 3, 1),
        date(2026, 3, 15),
        (COURSE, "user_a"),
    )
    assert case.completed_at == at("2025-03-01")
    assert str(case) == (
        "Ada user_a <ada@nordwerk.example>, 'Forklift basics': "
        "completed on 2025-03-01, due on 2026-03-01, reset from 2026-03-15"
    )


def test_the_list_is_in_order_of_the_day_whatever_the_order_of_the_feed() -> None:
    rows = [row("user_c", "2025-02-01"), row("user_b", "2024-01-01"), row("user_a", "2025-02-01")]
    due = sort(*rows)
    assert due == sort(*reversed(rows))
    assert [case.user_id for case in due.due] == ["user_b", "user_a", "user_c"]


def test_the_people_to_plan_for_stand_by_course_and_once() -> None:
    rows = [
        row("user_a"),
        row("user_b"),
        row("user_a", course="other"),
        row("user_b"),
        row("user_c", "2026-01-01"),
    ]
    assert sort(*rows).by_course == {COURSE: ("user_a", "user_b"), "other": ("user_a",)}


def test_a_result_is_a_value_and_reads_as_a_mail() -> None:
    due = sort(
        row(),
        row("user_b", "2025-03-05"),
        row("user_c", None),
        rule=YEARLY,
        warn=7,
        hold=["nobody@x.example"],
    )
    assert pickle.loads(pickle.dumps(due)) == copy.deepcopy(due) == due
    assert str(due) == (
        "Recertification 12 months after completion, on 2026-03-01 (Europe/Zurich): "
        "1 due, 0 in grace, 1 warned, 0 held, 0 unclear, 0 lapsed, 0 already reset, 1 not due.\n"
        "Due on 2026-03-01, to be reset:\n"
        "  - Ada user_a, 'Forklift basics': completed on 2025-03-01, due on 2026-03-01\n"
        "Soon due, to be warned:\n"
        "  - Ada user_b, 'Forklift basics': completed on 2025-03-05, due on 2026-03-05\n"
        "On the hold list, but in none of the rows: nobody@x.example"
    )


# --- the hold list -------------------------------------------------------------------------------------------------

SOMEBODY = row(email="Ada@Nordwerk.example", external="E-7")


@pytest.mark.parametrize(
    "entry",
    [
        *("user_a", "USER_A", " user_a\n", "ada@nordwerk.example", "ADA@NORDWERK.EXAMPLE", "E-7", "e-7"),
        *((COURSE, "user_a"), (COURSE.upper(), "ada@nordwerk.example"), (COURSE, "E-7")),
    ],
)
@pytest.mark.parametrize("on", ["2026-02-28", "2026-03-01", "2026-03-15", "2036-03-15"])
def test_whoever_is_held_is_in_no_other_list(entry: Any, on: str) -> None:
    due = sort(SOMEBODY, on=on, warn=30, grace=14, hold=[entry])
    assert standing(due) == "held"
    assert (due.by_course, due.held_nobody) == ({}, ())


@pytest.mark.parametrize(
    ("entry", "email"),
    [
        ("max@stra\u00dfe.example", "max@strasse.example"),
        ("STRASSE@X.EXAMPLE", "stra\u00dfe@x.example"),
        ("u\u0308nal@x.example", "\u00fcnal@x.example"),
        ("U\u0308NAL@x.example", "\u00fcnal@x.example"),
    ],
)
def test_a_hold_that_folds_alike_holds_and_is_said_to_do_so(entry: str, email: str) -> None:
    due = sort(row(email=email), hold=[entry])
    assert (standing(due), due.held_nobody) == ("held", ())
    assert due.held[0].why.endswith(
        f"; on hold by the entry {entry!r}, which matches by tolerant comparison only"
    )
    assert repr(entry) in str(due)


def test_an_exact_entry_beside_one_that_folds_alike_holds_by_itself() -> None:
    hold = ["weiss@x.example", "wei\u00df@x.example"]
    for email in hold:
        due = sort(row(email=email), hold=hold)
        assert (standing(due), due.held_nobody) == ("held", ())
        assert "wide" not in due.held[0].why


def test_a_hold_for_one_course_leaves_the_others() -> None:
    due = sort(row(), row(course="other"), hold=[(COURSE, "user_a")])
    assert [case.course_id for case in due.held] == [COURSE]
    assert due.by_course == {"other": ("user_a",)}


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("missing", [None, "", "old@x.example"])
def test_a_hold_holds_a_user_of_whom_one_row_lacks_the_address(missing: str | None, first: int) -> None:
    rows = [row(email="ada@x.example"), row(course="other", email=missing)]
    for hold in (["ada@x.example"], [(COURSE, "ada@x.example"), ("other", "ada@x.example")]):
        due = sort(*rows[first:], *rows[:first], hold=hold)
        assert {(case.course_id, case.user_id) for case in due.held} == {
            (COURSE, "user_a"),
            ("other", "user_a"),
        }
        assert due.due == ()
        assert due.held_nobody == ()
    assert [case.course_id for case in sort(*rows, hold=[("other", "ada@x.example")]).due] == [COURSE]


def test_a_hold_on_somebody_who_is_not_due_lists_nobody_and_is_no_slip() -> None:
    due = sort(row(completed="2026-01-01"), hold=["user_a"])
    assert (standing(due), due.held_nobody) == ("not due", ())


def test_a_hold_that_names_nobody_is_said_so() -> None:
    due = sort(row(), hold=["user_typo", "user_a", (COURSE, "user_b")])
    assert due.held_nobody == ("user_typo", (COURSE, "user_b"))


# --- windows -------------------------------------------------------------------------------------------------------

HIRED = Anniversary({"user_a": date(2019, 3, 1)})
EVERY_RULE: list[Rule] = [YEARLY, FromCompletion(days=365), FixedDate(3, 1), HIRED, BeforeExpiry(0)]
DONE = row(completed="2025-03-01", expires="2026-03-01")


@pytest.mark.parametrize("rule", EVERY_RULE, ids=str)
def test_a_feed_that_lags_makes_nobody_due_a_second_time(rule: Rule) -> None:
    reset_at = at("2026-03-01 08:00")
    for on in ("2026-03-01", "2026-03-02"):
        due = sort(DONE, rule=rule, on=on, already=[(COURSE, "user_a", reset_at)])
        assert (standing(due), due.by_course) == ("already reset", {}), on
        (case,) = due.already_reset
        assert "reset on 2026-03-01, which the feed does not show yet" in case.why
        assert case.lapsed_since == date(2026, 3, 1)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=str)
def test_a_reset_that_the_feed_never_shows_is_for_somebody_to_look_at(rule: Rule) -> None:
    for on in ("2026-03-03", "2027-02-28"):
        due = sort(DONE, rule=rule, on=on, already=[(COURSE, "user_a", at("2026-03-01 08:00"))])
        assert standing(due) == "unclear", on
        assert "reset on 2026-03-01, yet the feed still shows the completion" in due.unclear[0].why


@pytest.mark.parametrize("rule", EVERY_RULE[:-1], ids=str)
def test_the_next_window_takes_up_whom_the_last_one_lost(rule: Rule) -> None:
    already = [(COURSE, "user_a", at("2026-03-01 08:00"))]
    for on in ("2027-03-01", "2029-07-01"):
        assert standing(sort(DONE, rule=rule, on=on, already=already)) == "due"


def test_a_reset_the_night_before_a_window_does_not_lead_to_another_in_the_morning() -> None:
    already = [(COURSE, "user_a", at("2026-02-28 22:00"))]
    old = row(completed="2025-06-01")
    assert [
        standing(sort(old, rule=FixedDate(3, 1), on=on, already=already))
        for on in ("2026-03-01", "2026-03-02")
    ] == [
        "already reset",
        "due",
    ]


def test_a_reset_before_the_completion_says_nothing() -> None:
    due = sort(row(), already=[(COURSE, "user_a", at("2025-02-01")), (COURSE, "user_b", at("2026-03-01"))])
    assert standing(due) == "due"


def test_of_several_resets_the_last_one_counts() -> None:
    resets = [at("2024-01-01"), at("2026-03-01 08:00"), at("2025-01-01")]
    assert standing(sort(row(), already=[(COURSE, "user_a", when) for when in resets])) == "already reset"


def test_a_reset_between_completion_and_warning_leaves_the_warning() -> None:
    already = [(COURSE, "user_a", at("2025-09-01"))]
    for rule in EVERY_RULE:
        assert standing(sort(DONE, rule=rule, on="2026-02-20", warn=30, already=already)) == "warned"


@pytest.mark.parametrize("on", ["2025-09-02", "2025-10-01", "2026-01-01"])
def test_a_reset_that_the_feed_never_shows_is_unclear_also_before_the_due_day(on: str) -> None:
    due = sort(row(), on=on, already=[(COURSE, "user_a", at("2025-08-31"))])
    assert (standing(due), due.not_due) == ("unclear", 0)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=str)
@pytest.mark.parametrize("on", ["2026-03-01", "2026-03-02", "2026-03-03"])
def test_nobody_is_called_reset_whose_request_may_have_had_no_effect(rule: Rule, on: str) -> None:
    sent = [(COURSE, "user_a", at("2026-03-01 08:00"))]
    for of in (DONE, row(completed=None)):
        due = sort(of, rule=rule, on=on, in_doubt=sent)
        assert (standing(due), due.by_course) == ("unclear", {})
        (case,) = due.unclear
        assert "sent to be reset on 2026-03-01, and it is not known whether it took effect" in case.why
        assert (case.lapsed_since, case.lapsed_days) == (None, None)
    gone = sort(
        row(completed=None), rule=rule, on=on, in_doubt=sent, history=[(COURSE, "user_a", at("2025-03-01"))]
    )
    assert "completed on 2025-03-01, sent to be reset on 2026-03-01, not complete since" in gone.lapsed[0].why


def test_a_request_of_yesterday_is_in_doubt_also_where_the_next_window_has_begun() -> None:
    sent = [(COURSE, "user_a", at("2026-03-01 08:00"))]
    for on, expected in (("2026-03-02", "unclear"), ("2026-03-03", "warned")):
        due = sort(row(completed="2025-03-20"), on=on, warn=timedelta(days=30), in_doubt=sent)
        assert standing(due) == expected


def test_a_reset_that_is_known_counts_and_not_an_earlier_one_in_doubt() -> None:
    known, doubtful = (COURSE, "user_a", at("2026-03-01 08:00")), (COURSE, "user_a", at("2026-02-28 08:00"))
    assert standing(sort(DONE, already=[known], in_doubt=[doubtful])) == "already reset"
    assert standing(sort(DONE, already=[doubtful], in_doubt=[known])) == "unclear"
    begun = sort(row(completed=None), already=[doubtful], in_doubt=[known])
    assert "reset on 2026-02-28, not complete since" in begun.lapsed[0].why


# --- lapsed: once complete, or reset, and not complete now ----------------------------------------------------------

LAST_YEAR = (COURSE, "user_a", at("2025-01-25 12:00"))


def lapsed(due: Due) -> tuple[date | None, int | None, str]:
    (case,) = due.lapsed
    assert (due.not_due, due.by_course, case.due_on, case.reset_from) == (0, {}, None, None)
    return case.lapsed_since, case.lapsed_days, case.why


@pytest.mark.parametrize("rule", EVERY_RULE, ids=str)
def test_whoever_was_reset_and_never_completed_again_has_lapsed(rule: Rule) -> None:
    found = sort(row(completed=None), rule=rule, already=[LAST_YEAR])
    assert lapsed(found) == (
        date(2025, 1, 25),
        400,
        "reset on 2025-01-25, not complete since, in progress at 50 %: 400 days without a valid completion",
    )


def test_an_earlier_completion_that_evidence_keeps_and_the_feed_does_not_has_lapsed() -> None:
    since, days, why = lapsed(sort(row(completed=None), history=[(COURSE, "user_a", at("2024-05-01"))]))
    assert (since, days) == (None, None)
    assert why == (
        "completed on 2024-05-01, not complete since, in progress at 50 %: without a valid completion, "
        "since when is not known"
    )


def test_a_completion_that_expired_and_left_the_feed_has_lapsed_since_it_expired() -> None:
    since, days, _ = lapsed(sort(row(completed=None, expires="2026-02-19"), already=[]))
    assert (since, days) == (date(2026, 2, 19), 10)
    both = sort(row(completed=None, expires="2025-01-20"), already=[LAST_YEAR])
    assert lapsed(both)[:2] == (date(2025, 1, 20), 405)  # whichever ended the completion first


def test_a_completion_that_has_expired_before_its_rule_comes_round_has_lapsed() -> None:
    expired = row(completed="2025-03-01", expires="2026-02-28")
    since, days, why = lapsed(sort(expired, rule=FromCompletion(months=24)))
    assert (since, days) == (date(2026, 2, 28), 1)
    assert why == (
        "completed on 2025-03-01, due on 2027-03-01; expired on 2026-02-28: 1 day without a valid completion"
    )


def test_whoever_is_listed_for_another_reason_shows_the_days_without_a_valid_completion() -> None:
    expired = row(completed="2025-02-01", expires="2026-02-01")
    for more, where in (({}, "due"), ({"grace": 60}, "in grace"), ({"hold": ["user_a"]}, "held")):
        due = sort(expired, rule=BeforeExpiry(), **more)
        (case,) = due.listed[DueState(where)]
        assert (case.lapsed_since, case.lapsed_days) == (date(2026, 2, 1), 28)
        assert "28 days without a valid completion" in case.why


def test_a_hold_on_somebody_who_has_lapsed_says_both() -> None:
    due = sort(row(completed=None), already=[LAST_YEAR], hold=["user_a"])
    assert (standing(due), due.held[0].lapsed_days) == ("held", 400)


def test_an_expiry_of_a_completion_that_is_not_there_is_unclear() -> None:
    due = sort(row(completed=None, expires="2026-09-01"))
    assert standing(due) == "unclear"
    assert "not complete, but the feed shows a completion that expires on 2026-09-01" in due.unclear[0].why


def test_whoever_completed_since_has_not_lapsed() -> None:
    done = row(completed="2025-06-01", expires="2026-06-01")
    due = sort(done, already=[LAST_YEAR], history=[(COURSE, "user_a", at("2024-01-01"))])
    assert (standing(due), due.not_due) == ("not due", 1)


def test_the_longest_without_a_completion_comes_first() -> None:
    already = [(COURSE, "user_a", at("2026-02-01")), (COURSE, "user_b", at("2025-02-01"))]
    due = sort(row(completed=None), row("user_b", None), row("user_c", None), already=already)
    assert [case.user_id for case in due.lapsed] == ["user_b", "user_a"]
    assert due.not_due == 1


# --- data that makes no sense --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("completed", "why"),
    [
        ("2026-03-02", "this is after 2026-03-01, the day of this list"),
        ("1970-01-01", "is not a real completion"),
        ("0001-01-01", "is not a real completion"),
    ],
)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_completion_that_cannot_be_is_unclear(completed: str, why: str, zone: str) -> None:
    later = row(
        completed=at(completed) + timedelta(hours=12 * (completed[0] != "0")), expires="9999-12-31 23:59"
    )
    for rule in EVERY_RULE:
        due = who_is_due([later], rule, on=date(2026, 3, 1), zone=zone, warn=36600)
        assert (standing(due), why in due.unclear[0].why) == ("unclear", True)


def test_an_expiry_at_the_end_of_the_calendar_is_far_off() -> None:
    rows = [row(expires="9999-12-31 23:59")]
    due = who_is_due(rows, BeforeExpiry(), on=date(2026, 3, 1), zone="Asia/Tokyo", warn=30, grace=36600)
    assert due.not_due == 1


def test_the_hold_list_does_not_hide_what_is_unclear() -> None:
    assert standing(sort(row(), rule=BeforeExpiry(), hold=["user_a"])) == "unclear"


# --- one pass ------------------------------------------------------------------------------------------------------


def test_rows_are_read_once_and_let_go_of() -> None:
    alive: list[weakref.ref[ProgressRow]] = []

    def feed() -> Iterator[ProgressRow]:
        for number in range(200):
            one = row(f"user_{number}", "2026-02-01" if number % 10 else "2025-02-01")
            alive.append(weakref.ref(one))
            yield one
            del one
            assert sum(each() is not None for each in alive) <= 1  # at most the one still in the loop's hand

    due = who_is_due(feed(), YEARLY, on=date(2026, 3, 1), zone="Europe/Zurich")
    assert (len(due.due), due.not_due) == (20, 180)


# --- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"on": datetime(2026, 3, 1)}, "on must be a datetime with a time zone"),
        ({"on": "2026-03-01"}, "on must be a date or a datetime"),
        ({"on": date(9999, 1, 1)}, "on must be between"),
        ({"on": date(1, 1, 1)}, "on must be between"),
        ({"zone": "Europe/Entenhausen"}, "does not know the time zone 'Europe/Entenhausen'"),
        ({"zone": ""}, "does not know the time zone ''"),
        ({"zone": "Europe"}, "does not know the time zone 'Europe'"),
        ({"zone": "../etc/passwd"}, "does not know the time zone"),
        ({"zone": UTC}, "zone must be a ZoneInfo or a name"),
        ({"warn": -1}, "warn must be a whole number"),
        ({"warn": 1.5}, "warn must be a whole number"),
        ({"grace": timedelta(hours=1)}, "grace must be whole days"),
        ({"grace": True}, "grace must be a whole number"),
        ({"rule": "yearly"}, "rule must be a FromCompletion"),
        ({"rule": FromCompletion}, "rule must be a FromCompletion"),
        ({"hold": "user_a"}, "hold must be a list"),
        ({"hold": None}, "hold must be a list"),
        ({"hold": [""]}, "An entry of hold must be a user id"),
        ({"hold": [7]}, "An entry of hold must be a user id"),
        ({"hold": [(COURSE, " ")]}, "An entry of hold must be a user id"),
        (
            {"already": [(COURSE, "user_a", datetime(2026, 3, 1))]},
            "A date of already must be a datetime with a time zone",
        ),
        ({"already": [(COURSE, "user_a")]}, "An entry of already must be"),
        ({"already": {COURSE: "user_a"}}, "An entry of already must be"),
        ({"already": [(COURSE, "", at("2026-03-01"))]}, "A user of already must not be empty"),
        ({"history": [(COURSE, "user_a")]}, "An entry of history must be"),
        ({"history": [(COURSE, "user_a", datetime(2026, 3, 1))]}, "A date of history must be a datetime"),
        ({"rows": None}, "rows must be progress rows"),
        ({"rows": ["user_a"]}, "rows must be progress rows, not str"),
    ],
    ids=str,
)
def test_what_is_mistyped_is_refused(changed: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"rows": [row()], "rule": YEARLY, "on": date(2026, 3, 1), "zone": "Europe/Zurich"}
    with pytest.raises(InvalidArgumentError, match=said):
        who_is_due(**{**given, **changed})


def test_every_standing_has_its_list_and_its_heading() -> None:
    text = str(
        sort(
            *(
                row(),
                row("user_b", "2025-02-01"),
                row("user_c", "2025-03-05"),
                row("user_d"),
                row("user_e", "2030-01-01"),
                row("user_f", None),
                row("user_g"),
            ),
            warn=7,
            grace=7,
            hold=["user_d"],
            already=[
                (COURSE, "user_f", at("2026-01-01")),
                (COURSE, "user_g", at("2026-02-28 12:00")),
            ],
        )
    )
    assert [f"1 {each}" in text for each in DueState] == [True] * len(DueState)
    assert text.count(":\n") == len(DueState)


def test_a_row_that_two_pages_show_is_one_person() -> None:
    once = row(completed="2024-03-01")
    again = evolve(once, course_title="Renamed")
    assert sort(once, again).due == sort(once).due
    moved = evolve(once, completed_at=at("2024-04-01"))
    assert len(sort(once, moved).due) == 2
