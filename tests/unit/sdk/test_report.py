"""What a report shows first, whom it counts apart, and by what it names people."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from attrs import evolve

from training_sdk import Code, IncompleteResetError, Outcome, ResetReport, StalePlanError
from training_sdk._core.text import MOST_IN_HTML
from training_sdk.api.progress import ProgressState
from training_sdk.cli.effect_card import effect_card
from training_sdk.plans.changes import changed_people, refuse_changed
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import Origin, PlannedCourse, PlannedReset
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS
from training_sdk.reports.report import UserOutcome

START = datetime(2026, 12, 1, tzinfo=UTC)
TARGETS, LEFT_OUT, MOVED = 158, 242, 130


def person(number: int, *, left_out: bool = False) -> PlannedReset:
    """Everybody has the same name."""
    return PlannedReset(
        "c1",
        f"user_{number}",
        "Anna Meier",
        f"anna{number}@example.test" if number % 2 else None,
        ProgressState.COMPLETED,
        100.0,
        START,
        80,
        left_out="not completed before 2026-01-01" if left_out else None,
    )


@pytest.fixture
def report() -> ResetReport:
    """One of 158 targets has moved; 242 were left out on purpose, and come first in the plan."""
    users = (
        *(person(number, left_out=True) for number in range(1000, 1000 + LEFT_OUT)),
        *(person(number) for number in range(TARGETS)),
    )
    plan = ResetPlan(
        (PlannedCourse("c1", "Forklift basics"),),
        "completed before 2026-01-01",
        users,
        START,
        START,
        Origin("https://x.test", "role_1", "user_admin", True),
    )
    outcomes = tuple(
        UserOutcome("c1", user.user_id, Outcome.SKIPPED, f"left out: {plan.selection} only", Code.LEFT_OUT)
        if user.left_out
        else UserOutcome("c1", user.user_id, Outcome.SKIPPED, "changed since the plan was made", Code.MOVED)
        if user.user_id == f"user_{MOVED}"
        else UserOutcome("c1", user.user_id, Outcome.RESET)
        for user in users
    )
    return ResetReport(plan, "user_admin", outcomes, (), START, START)


def test_the_target_that_was_not_reset_comes_first_and_the_left_out_are_folded(report: ResetReport) -> None:
    lines = str(report).splitlines()
    assert lines[0] == '"Forklift basics": 157 reset, 1 skipped (requests none)'
    assert lines[1] == f"  - Anna Meier <user_{MOVED}>: skipped, changed since the plan was made"
    assert lines[2] == "  - Anna Meier <user_0>: reset"
    assert lines[3] == "  - Anna Meier <anna1@example.test>: reset"
    assert lines[-2:] == [
        "  … and 148 more",
        "  In scope, but not to be reset: 242 left out (completed before 2026-01-01 only).",
    ]


def test_who_moved_comes_before_those_who_were_not_reached(report: ResetReport) -> None:
    outcomes = tuple(
        evolve(user, outcome=Outcome.SKIPPED, code=Code.NOT_SENT) if user.outcome is Outcome.RESET else user
        for user in report.users
    )
    assert f"<user_{MOVED}>: skipped, changed" in str(evolve(report, users=outcomes)).splitlines()[1]


def test_the_html_of_a_report_is_bounded_and_in_the_same_order(report: ResetReport) -> None:
    html = report._repr_html_()
    assert html.count("<tr>") == MOST_IN_HTML + 1
    assert html.index(f"user_{MOVED}") < html.index("anna1@example.test")
    assert "… and 58 more" in html
    assert "242 left out" in html
    assert "user_1000" not in html


def test_a_page_about_a_report_names_reason_ticket_and_ids(report: ResetReport) -> None:
    ids = tuple(f"sent-{number}" for number in range(30))
    found = evolve(
        report,
        reason="fire <1>",
        ticket="T-1",
        requests=ids[1:],
        sent_ids=ids,
        packs=("/home/me/state/pack-1",),
    )
    for page in (found._repr_html_(), effect_card(found.plan, found)):
        for said in (
            "fire &lt;1&gt;",
            "T-1",
            found.plan.digest,
            "user_admin",
            "2026-12-01 00:00:00",
            "sent-1",
            "pack-1",
        ):
            assert said in page
        assert "and 19 more" in page
        assert ("sent-0<" in page, "sent-29" in page, "/home/me" in page) == (True, False, False)


def test_an_incomplete_reset_names_only_those_who_were_meant(report: ResetReport) -> None:
    with pytest.raises(IncompleteResetError, match="1 of 158 resets") as caught:
        report.raise_for_incomplete()
    assert caught.value.message.count("left out") == 1
    assert f"user_{MOVED}" in caught.value.message


def test_people_who_changed_are_named_by_e_mail_or_id(report: ResetReport) -> None:
    people = [user for user in report.plan.targets if user.user_id in ("user_1", "user_2")]
    with pytest.raises(
        StalePlanError, match=re.escape("'Anna Meier <anna1@example.test>', 'Anna Meier <user_2>' in")
    ):
        refuse_changed(report.plan, changed_people(people, {}, NO_KEPT_FIELDS))


@pytest.mark.parametrize(("count", "more"), [(9, ""), (10, ""), (11, " and 1 more"), (12, " and 2 more")])
def test_ids_and_names_are_cut_after_ten(report: ResetReport, count: int, more: str) -> None:
    ids = [f"sent-{number}" for number in range(count)]
    keys = tuple(user.key for user in report.plan.targets[:count])
    names = [f"Anna Meier <{user.email or user.user_id}>" for user in report.plan.targets[: min(count, 10)]]
    text = str(evolve(report, requests=tuple(ids), missing_lessons=keys))
    assert f"(requests {', '.join(ids[:10])}{more})\n" in text
    assert f"The evidence lacks completed lessons (accepted) of: {', '.join(names)}{more}.\n" in text


@pytest.mark.parametrize(("page", "shown"), [(TARGETS, TARGETS), (TARGETS - 1, 10)])
def test_a_page_that_holds_every_target_shows_all_of_them(report: ResetReport, page: int, shown: int) -> None:
    text = report.listing(page)
    assert text.count("  - ") == shown
    assert ("… and" in text) == (shown < TARGETS)
