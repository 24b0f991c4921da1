"""Applying a plan: nothing is sent unless everything is as confirmed, and everyone is accounted for."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from training_sdk import (
    Code,
    ConfirmationError,
    ConfirmationMismatchError,
    ConflictError,
    DecodingError,
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    PlanMismatchError,
    ResetFormat,
    Safeguards,
    StalePlanError,
    TrainingError,
    UnconfirmedFormatError,
)
from training_sdk._core.flow import Request, Response
from training_sdk.approval.approvals import check_confirmation
from training_sdk.plans.changes import all_cleared
from training_sdk.plans.reading import read_rows
from training_sdk.plans.reset_effect import NO_KEPT_FIELDS, KeptFields
from training_sdk.resets.reset_request import read_reset_count
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    COURSE,
    RESET,
    START,
    Asker,
    FakeDriver,
    Organisation,
    answer,
    over_the_wire,
    refused_wire,
    row,
    untouched,
    user_id,
)
from unit.sdk.resetting import apply, just_planned, many, nth_reset, planned, refused

# --- confirmation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "confirm",
    [
        *(None, True, 1, "", "yes", "reset", b"reset", ["reset"]),
        *(
            str.upper,
            str.strip,
            lambda phrase: phrase + " ",
            lambda phrase: phrase[:-1],
            lambda phrase: phrase + "\n",
        ),
        *(
            lambda phrase: phrase.replace("2 users", "3 users"),
            lambda phrase: phrase.replace("basics", "basic"),
        ),
        *(lambda phrase: phrase[:-6] + "000000", lambda phrase: phrase.encode()),
    ],
)
def test_R06_nothing_is_sent_unless_the_phrase_is_that_of_the_plan(ask: Asker, confirm: Any) -> None:
    plan = planned(Organisation([row(1), row(2)]))
    typed = confirm(plan.phrase) if callable(confirm) else confirm
    if typed == plan.phrase:
        typed += "x"
    with pytest.raises(ConfirmationError, match="Nothing was sent") as caught:
        ask(refused_wire, lambda client: client.resets.apply(plan, confirm=typed))
    # A program that copies the phrase from the message would confirm what no person has read.
    assert (plan.phrase in str(caught.value)) is (plan.phrase in str(typed))


def test_R06_the_phrase_of_another_plan_does_not_fit(ask: Asker) -> None:
    plan, other = planned(many(2)), planned(many(3))
    with pytest.raises(ConfirmationError):
        ask(refused_wire, lambda client: client.resets.apply(plan, confirm=other.phrase))


@pytest.mark.parametrize("plan", [None, "plan", {"users": []}, object()])
def test_what_is_no_plan_is_refused(ask: Asker, plan: object) -> None:
    with pytest.raises(InvalidArgumentError, match="plan must be a ResetPlan"):
        ask(refused_wire, lambda client: client.resets.apply(plan, confirm="x"))


@pytest.mark.parametrize(
    "options", [{"reason": ""}, {"reason": "a\x00"}, {"ticket": "x" * 201}, {"server_side": 1}]
)
def test_other_arguments_are_checked_at_the_call(ask: Asker, options: dict[str, Any]) -> None:
    plan = planned(many(1))
    with pytest.raises(InvalidArgumentError):
        ask(refused_wire, lambda client: client.resets.apply(plan, confirm=plan.phrase, **options))


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_a_confirmed_plan_is_applied_and_reported(ask: Asker) -> None:
    organisation = Organisation([row(1), untouched(2), row(3)])
    plan = just_planned(organisation)
    report = ask(
        over_the_wire(organisation),
        lambda client: client.resets.apply(
            plan, confirm=plan.phrase, reason="after an accident", ticket="T-1"
        ),
    )
    assert organisation.people_sent == [[user_id(1), user_id(3)]]
    assert [one.outcome for one in report.users] == [Outcome.RESET, Outcome.NOTHING_TO_RESET, Outcome.RESET]
    assert (report.reason, report.ticket, report.applied_by) == ("after an accident", "T-1", "user_admin")
    assert (report.is_complete, report.reset_count, len(report.requests)) == (True, 2, 1)
    assert pickle.loads(pickle.dumps(report)) == report
    assert "2 reset (requests" in str(report)


def test_R06_the_request_states_title_and_number_and_carries_a_key() -> None:
    organisation = Organisation([row(1), row(2)], title='Gabel "Stapler" – für Ängstliche 🚜')
    apply(organisation, planned(organisation))
    (sent,) = organisation.resets
    headers = dict(sent.headers)
    assert sent.method == "POST"
    assert sent.repeatable is False
    assert headers["reset-confirmation"].isascii()
    assert json.loads(headers["reset-confirmation"]) == {"courseTitle": organisation.title, "users": 2}
    assert json.loads(sent.body or b"") == {"courseId": COURSE, "userIds": [user_id(1), user_id(2)]}
    assert len(headers["idempotency-key"]) == 32


def test_chunks_hold_at_most_1000_and_have_keys_of_their_own() -> None:
    organisation = many(2001)
    report = apply(organisation, planned(organisation))
    assert [len(people) for people in organisation.people_sent] == [1000, 1000, 1]
    stated = [json.loads(dict(sent.headers)["reset-confirmation"])["users"] for sent in organisation.resets]
    assert stated == [1000, 1000, 1]
    assert len({dict(sent.headers)["idempotency-key"] for sent in organisation.resets}) == 3
    assert report.reset_count == 2001


def test_a_plan_without_targets_sends_nothing_and_succeeds() -> None:
    organisation = Organisation([untouched(1)])
    report = apply(organisation, planned(organisation))
    assert not organisation.resets
    assert report.is_complete
    assert report.counts[Outcome.NOTHING_TO_RESET] == 1


def test_only_completed_leaves_the_others_out() -> None:
    organisation = Organisation([row(1), row(2, completed_at=""), untouched(3)])
    report = apply(organisation, planned(organisation, only="completed"))
    assert organisation.people_sent == [[user_id(1)]]
    assert [one.outcome for one in report.users] == [Outcome.RESET, Outcome.SKIPPED, Outcome.SKIPPED]
    assert report.is_complete


# --- server-side ------------------------------------------------------------------------------------------------------


def test_one_call_for_everyone_is_a_choice() -> None:
    organisation = many(1500)
    report = apply(organisation, planned(organisation), server_side=True)
    (sent,) = organisation.resets
    assert json.loads(sent.body or b"") == {"courseId": COURSE, "allUsers": True}
    assert json.loads(dict(sent.headers)["reset-confirmation"])["users"] == 1500
    assert report.reset_count == 1500


@pytest.mark.parametrize(("users", "only"), [([user_id(0)], None), (None, "completed")])
def test_one_call_for_everyone_needs_a_plan_for_everyone(ask: Asker, users: Any, only: Any) -> None:
    plan = planned(many(2), users=users, only=only)
    with pytest.raises(InvalidArgumentError, match="plan_everyone"):
        ask(refused_wire, lambda client: client.resets.apply(plan, confirm=plan.phrase, server_side=True))


def test_one_call_for_everyone_is_refused_once_somebody_new_is_there() -> None:
    organisation = many(2)
    plan = planned(organisation)
    organisation.rows.append(row(7))
    refused(organisation, plan, StalePlanError, r"No\. 7", server_side=True)
    apply(organisation, plan)
    assert organisation.people_sent == [[user_id(0), user_id(1)]]


# --- where we are -----------------------------------------------------------------------------------------------------


def test_a_plan_of_another_server_is_not_applied() -> None:
    organisation = many(1)
    plan = planned(organisation)
    elsewhere = evolve(plan, origin=evolve(plan.origin, base_url="https://other.example.test"))
    refused(organisation, elsewhere, PlanMismatchError, "Nothing was sent")


def test_a_server_that_never_identified_itself_is_never_sent_a_reset(ask: Asker) -> None:
    organisation = Organisation([row(1)], reference=False)
    plan = just_planned(organisation)
    with pytest.raises(UnconfirmedFormatError, match="could drop it and reset everyone"):
        ask(over_the_wire(organisation), lambda client: client.resets.apply(plan, confirm=plan.phrase))
    assert not organisation.resets


def test_R09_one_call_for_everyone_reports_only_what_is_seen_cleared() -> None:
    """Two people change places between the last reading and the call: title and number still agree."""
    organisation = Organisation([row(0), row(1), untouched(2)])
    plan = planned(organisation)

    def swapped(request: Request) -> Response:
        organisation.rows[2] = row(2)
        gone = organisation.rows.pop(0)
        said = organisation.reset(request)
        assert gone["completed_at"]
        return said

    nth_reset(organisation, 1, swapped)
    with pytest.raises(OutcomeUnknownError, match="only 1 of 2 people of the plan at 0 %") as caught:
        apply(organisation, plan, server_side=True)
    report = caught.value.report
    assert report is not None
    assert not report.is_complete
    assert [one.outcome for one in report.users] == [Outcome.UNKNOWN, Outcome.RESET, Outcome.NOTHING_TO_RESET]


@pytest.mark.parametrize("after", range(1, 9))
def test_a_server_that_stops_identifying_itself_in_between_is_never_sent_a_reset(after: int) -> None:
    organisation = many(1)
    plan = planned(organisation)

    def forget(request: Request) -> None:
        organisation.reference = len(organisation.sent) <= after

    organisation.before = forget
    if after < 7:
        with pytest.raises((PlanMismatchError, UnconfirmedFormatError)):
            apply(organisation, plan)
        assert not organisation.resets
    elif after == 7:
        with pytest.raises(OutcomeUnknownError, match="Another server than the reference server answered"):
            apply(organisation, plan)
    else:
        assert apply(organisation, plan).is_complete


def test_a_gateway_that_leads_only_some_paths_to_the_reference_server_is_never_sent_a_reset() -> None:
    organisation = many(1)
    plan = planned(organisation)

    def only_who_am_i(request: Request) -> None:
        organisation.reference = "WhoAmI" in request.path

    organisation.before = only_who_am_i
    refused(organisation, plan, UnconfirmedFormatError, "/training/paths/v1")


def test_identity_is_proved_and_everyone_read_right_before_the_first_send() -> None:
    organisation = many(1)
    apply(organisation, planned(organisation))
    assert [request.path for request in organisation.sent[-4:]] == [
        "/accounts/user/v1/user:WhoAmI",
        "/training/courses/v1",
        "/training/v1/feed/training-course-progress",
        RESET,
    ]


# --- who has moved ----------------------------------------------------------------------------------------------------


def put(number: int, changed: dict[str, Any], organisation: Organisation) -> None:
    organisation.rows[number].update(changed)


NEW_IDENTITIES: list[dict[str, Any]] = [
    {"user_email": "new@example.test"},
    {"user_email": None},
    {"user_first_name": "Zoe"},
    {"user_external_id": "E-1"},
]


MOVED: list[dict[str, Any]] = [
    {"completed_at": "2026-01-02T00:00:00.001Z"},
    {"completed_at": ""},
    {"progress_percent": 99.9},
    {"score": 91},
    {"score": None},
]
MOVED_MIDWAY: list[dict[str, Any]] = [
    {"opened_at": "2026-01-01T09:00:00Z"},
    {"completed_lessons": 4},
    {"time_spent_seconds": 7210},
]
CHANGES: list[tuple[Callable[[Organisation], object], type[TrainingError], str]] = [
    (lambda it: setattr(it, "organisation_id", "role_2"), PlanMismatchError, "organisation"),
    (lambda it: setattr(it, "reference", False), PlanMismatchError, "reference server"),
    (lambda it: setattr(it, "title", "Forklift  basics"), StalePlanError, "is now 'Forklift  basics'"),
    (lambda it: it.rows[1].update(opened_at="2026-03-01T00:00:00Z"), StalePlanError, "has changed"),
    (lambda it: it.rows.pop(1), StalePlanError, r"No\. 2"),
    *[(partial(put, 0, to), StalePlanError, r"Zoë No\. 0 <user0@.* in .* has changed") for to in MOVED],
    *[(partial(put, 2, to), StalePlanError, r"No\. 3 .*has changed") for to in MOVED_MIDWAY],
    *[(partial(put, 0, to), StalePlanError, "external id.*IDENTITY_CHANGED") for to in NEW_IDENTITIES],
]


@pytest.mark.parametrize(("change", "error", "said"), CHANGES)
def test_R06_a_plan_is_stale_once_anything_has_changed(
    change: Callable[[Organisation], object], error: type[TrainingError], said: str
) -> None:
    midway = row(3, completed_at="", progress_percent=50.0, time_spent_seconds=10)
    organisation = Organisation([row(0), untouched(2), midway])
    plan = planned(organisation)
    change(organisation)
    refused(organisation, plan, error, said)


SCORE_KEPT = {**CLEARED, "score": 80}


@pytest.mark.parametrize(
    ("now", "traces", "cleared"),
    [
        (CLEARED, NO_KEPT_FIELDS, True),
        (SCORE_KEPT, NO_KEPT_FIELDS, False),
        (SCORE_KEPT, KeptFields(("score",)), True),
        (None, NO_KEPT_FIELDS, False),
        (None, KeptFields(row_vanishes=True), True),
    ],
)
def test_cleared_but_for_kept_fields(now: dict[str, Any] | None, traces: KeptFields, cleared: bool) -> None:
    organisation = many(1)
    people = planned(organisation).targets
    organisation.rows = [] if now is None else [row(0, **now)]
    found = FakeDriver(organisation).run(read_rows(CALLS, COURSE, None))
    assert all_cleared(people, {(COURSE, key): one for key, one in found.items()}, traces) == cleared


@pytest.mark.parametrize(("completed", "updated", "says"), [(0, 0, False), (1, 1, True), (2, 1, False)])
def test_a_smaller_count_may_be_of_completed_people_only(completed: int, updated: int, says: bool) -> None:
    organisation = many(3)
    for one in organisation.rows[completed:]:
        one.update(completed_at="", progress_percent=50.0)
    people = planned(organisation).targets
    with pytest.raises(DecodingError) as caught:
        read_reset_count(answer({"usersUpdated": updated}), people)
    assert ("the number of people who had completed" in str(caught.value)) == says
    assert ("may reset only people who have completed" in str(caught.value)) == (not completed)


@pytest.mark.parametrize("changed", NEW_IDENTITIES, ids=str)
def test_within_the_tolerance_the_others_are_reset(changed: dict[str, Any]) -> None:
    organisation = many(2)
    plan = planned(organisation)
    organisation.rows[0].update(changed)
    report = apply(organisation, plan, tolerance=1)
    assert organisation.people_sent == [[user_id(1)]]
    assert [(one.outcome, one.code) for one in report.users] == [
        (Outcome.SKIPPED, Code.IDENTITY_CHANGED),
        (Outcome.RESET, None),
    ]


def test_an_external_id_that_is_missing_is_an_empty_one() -> None:
    organisation = Organisation([row(0, user_external_id="")])
    plan = planned(organisation)
    organisation.rows[0]["user_external_id"] = None
    assert apply(organisation, plan).is_complete


def test_a_new_name_of_somebody_who_is_not_reset_is_no_reason_to_stop() -> None:
    organisation = Organisation([row(0), untouched(1)])
    plan = planned(organisation)
    organisation.rows[1]["user_email"] = "new@example.test"
    assert apply(organisation, plan).is_complete


def test_a_plan_that_shows_one_person_and_resets_another_resets_nobody() -> None:
    organisation = many(2)
    plan = planned(organisation, users=[user_id(0)])
    shown = evolve(plan.users[0], user_id=user_id(1))
    forged = evolve(plan, users=(shown,))
    refused(organisation, forged, StalePlanError, "IDENTITY_CHANGED")


@pytest.mark.parametrize("lacking", [True, False])
def test_a_warning_that_the_plan_lacks_stops_it_and_one_that_is_gone_does_not(lacking: bool) -> None:
    organisation = many(1)
    plan = planned(organisation)
    assert plan.warnings
    changed = evolve(plan, warnings=() if lacking else (*plan.warnings, "the course is old"))
    if not lacking:
        assert apply(organisation, changed).is_complete
        return
    assert refused(organisation, changed, StalePlanError, "is not published").reason == "WARNING_MISSING"


def twin(course_id: str, title: str = "Forklift basics (2025)", status: str = "Draft") -> dict[str, Any]:
    return {"id": course_id, "title": title, "status": status}


def with_twins(*ids: str) -> Organisation:
    organisation = many(1)
    organisation.course = {"status": "Published"}
    organisation.other_courses = [twin(one) for one in ids]
    return organisation


def test_a_warning_in_an_error_has_one_full_stop() -> None:
    organisation = with_twins("c_draft")
    plan = evolve(planned(organisation), warnings=())
    with pytest.raises(
        StalePlanError, match=re.escape("check that it is the right course. Nothing was sent.")
    ):
        apply(organisation, plan)


@pytest.mark.parametrize("change", ["status", "title", "gone", "order"])
def test_warnings_are_compared_by_facts_and_not_by_words(change: str) -> None:
    organisation = with_twins("c_draft", "c_other", "c_more")
    plan = planned(organisation)
    assert any("looks like" in warning for warning in plan.warnings)
    others = organisation.other_courses
    others[0] = {
        "status": twin("c_draft", status="Published"),
        "title": twin("c_draft", title="Forklift basics (2026)"),
        "gone": twin("c_draft", title="First aid"),
        "order": others[0],
    }[change]
    if change == "order":
        others.reverse()
    assert apply(organisation, plan).is_complete


def test_another_course_that_looks_alike_stops_the_plan_and_is_named() -> None:
    organisation = with_twins("c_draft")
    plan = planned(organisation)
    organisation.other_courses.append(twin("c_other"))
    with pytest.raises(StalePlanError, match=r"c_other.*with this token") as caught:
        apply(organisation, plan)
    assert "c_draft" not in caught.value.message
    assert (caught.value.reason, organisation.resets) == ("WARNING_MISSING", [])


@pytest.mark.parametrize("more", [0, 1])
def test_courses_that_look_alike_and_are_only_counted_in_the_plan_stop_it_if_they_are_more(more: int) -> None:
    organisation = with_twins(*(f"c_{number}" for number in range(8)))
    plan = planned(organisation)
    assert any("and 3 more" in warning for warning in plan.warnings)
    organisation.other_courses.reverse()
    organisation.other_courses += [twin(f"c_new_{number}") for number in range(more)]
    if not more:
        assert apply(organisation, plan).is_complete
        return
    refused(organisation, plan, StalePlanError, "WARNING_MISSING")


def test_a_course_whose_past_due_date_stays_as_it_is_by_now_stops_the_plan() -> None:
    organisation = with_twins()
    organisation.course["dueBy"] = "relative"
    organisation.rows[0]["due_at"] = "1960-01-01T00:00:00Z"
    plan = planned(organisation)
    assert apply(organisation, plan).is_complete
    organisation.rows[0].update(row(0))
    organisation.sent.clear()
    organisation.course["dueBy"] = "static"
    assert refused(organisation, plan, StalePlanError, "the due date of 1 person").reason == "WARNING_MISSING"


def test_a_due_date_that_passes_before_the_plan_is_applied_does_not_stop_it() -> None:
    organisation = with_twins()
    organisation.course["dueBy"] = "static"
    soon = START + timedelta(minutes=1)
    organisation.rows[0]["due_at"] = soon.isoformat()
    plan = planned(organisation)
    assert plan.read_at < soon
    assert not plan.warnings
    assert apply(organisation, plan, puppet=FakeDriver(organisation, clock=3600.0)).is_complete


def test_the_lifetime_of_the_client_that_applies_counts_from_the_reading() -> None:
    organisation = many(1)
    plan = planned(organisation)
    limits = Safeguards(plan_lifetime=timedelta(hours=2))
    late = FakeDriver(organisation, clock=7201.0)
    said = r"plan_lifetime is 2:00:00.*PLAN_EXPIRED"
    refused(organisation, plan, StalePlanError, said, puppet=late, safeguards=limits)
    in_time = apply(organisation, plan, puppet=FakeDriver(organisation, clock=7199.0), safeguards=limits)
    assert in_time.is_complete


def test_a_plan_of_the_last_day_of_all_is_refused_and_not_computed_with() -> None:
    organisation = many(1)
    last = datetime.max.replace(tzinfo=UTC)
    plan = evolve(planned(organisation), read_at=last, expires_at=last)
    with pytest.raises(StalePlanError, match="PLAN_FROM_THE_FUTURE"):
        apply(organisation, plan)


def test_R06_after_a_412_the_plan_is_stale_and_nothing_is_sent_again() -> None:
    organisation = many(2500)
    plan = planned(organisation)
    nth_reset(organisation, 2, lambda _: answer({"code": 9, "message": "1001 users"}, 412))
    with pytest.raises(StalePlanError, match="Plan again") as caught:
        apply(organisation, plan)
    assert len(organisation.resets) == 2
    assert isinstance(caught.value.__cause__, ConfirmationMismatchError)
    report = caught.value.report
    assert report is not None
    assert report.counts == {
        Outcome.RESET: 1000,
        Outcome.FAILED: 1000,
        Outcome.SKIPPED: 500,
        Outcome.UNKNOWN: 0,
        Outcome.NOTHING_TO_RESET: 0,
    }


def test_people_of_a_later_request_are_read_again_before_it() -> None:
    organisation = many(1500)
    plan = planned(organisation)

    def meanwhile(request: Request) -> Response:
        organisation.rows[1400]["completed_at"] = "2026-03-03T00:00:00Z"
        return organisation.reset(request)

    nth_reset(organisation, 1, meanwhile)
    with pytest.raises(StalePlanError, match=r"No\. 1400") as caught:
        apply(organisation, plan)
    assert len(organisation.resets) == 1
    report = caught.value.report
    assert report is not None
    assert report.counts[Outcome.RESET] == 1000
    assert report.counts[Outcome.SKIPPED] == 500
    assert dict(caught.value.info.metadata) == {"user_id": user_id(1400)}


def test_a_plan_applied_again_is_no_repetition_of_the_first_time() -> None:
    organisation = many(1)
    plan = planned(organisation)
    apply(organisation, plan)
    organisation.rows[0].update(row(0))
    apply(organisation, plan)
    first, second = [dict(request.headers)["idempotency-key"] for request in organisation.resets]
    assert first != second


def test_a_reset_that_is_under_way_elsewhere_has_an_unknown_outcome() -> None:
    organisation = many(1)
    plan = planned(organisation)
    nth_reset(organisation, 1, lambda _: answer({"code": 10, "message": "still running"}, 409))
    with pytest.raises(ConflictError) as caught:
        apply(organisation, plan)
    assert caught.value.report is not None
    assert caught.value.report.counts[Outcome.UNKNOWN] == 1


@pytest.mark.parametrize(
    "confirm", ["x" * 5000, type("Agreeable", (str,), {"__ne__": lambda *_: False})("no")]
)
def test_a_confirmation_is_compared_as_text_and_not_repeated_at_length(confirm: str) -> None:
    plan = planned(many(1))
    with pytest.raises(ConfirmationError) as caught:
        check_confirmation(plan, confirm, server_side=False)
    assert len(str(caught.value)) < 400


# --- the format -------------------------------------------------------------------------------------------------------


def test_the_format_of_the_body_is_data() -> None:
    organisation = many(1)
    plan = planned(organisation)
    names = ResetFormat(course="course_id", users="user_ids", everyone="all_users", user_ids="uuid")
    nth_reset(organisation, 1, lambda _: answer({"usersUpdated": 1}))
    apply(organisation, plan, format=names)
    sent = json.loads(organisation.resets[0].body or b"")
    assert sent == {"course_id": COURSE, "user_ids": ["00000000-0000-0000-0000-000000000000"]}
    assert names.for_everyone("c") == {"course_id": "c", "all_users": True}


def test_an_id_that_cannot_be_spelled_stops_a_reset_before_its_first_chunk() -> None:
    organisation = Organisation([row(one) for one in range(1000)] + [row(1000, user_id="user_odd")])
    plan = planned(organisation)
    refused(organisation, plan, InvalidArgumentError, "user_odd", format=ResetFormat(user_ids="uuid"))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"course": ""}, {"users": 7}, {"everyone": "a\n"}, {"user_ids": "hex"}),
        *({"course": "userIds"}, {"users": "allUsers"}, {"course": "allUsers"}),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="ResetFormat"):
        ResetFormat(**wrong)
