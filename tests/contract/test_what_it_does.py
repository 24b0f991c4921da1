"""R12 to R25: what a reset clears, what it leaves alone, and what it leaves behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from contract.conftest import NewStage
from contract.everything import check_that_nothing_is_left_out, everything, ledgers
from contract.plant import (
    ARCHIVED,
    DRAFT,
    FIRE,
    FORKLIFT,
    NOTIFIED,
    NOW,
    RECORDED,
    Plant,
    grow,
    nothing_changes,
    state,
)
from contract.stage import Stage, confirming, reason, typed
from mock_server import Policy
from mock_server.mock import TokenName
from mock_server.rules.late_writes import LateWriteError
from mock_server.world.times import to_text
from training_sdk import Outcome, PermissionDeniedError, ProgressRow, ResetReport, StalePlanError


def _reset(stage: Stage, plant: Plant, *names: str, course: str = FORKLIFT) -> ResetReport:
    """Plan, type and apply through the SDK: those named, or everyone."""
    client, course_id = stage.client(), plant.courses[course]
    whom = plant.ids(*names)
    plan = client.resets.plan(course_id, whom) if whom else client.resets.plan_everyone(course_id)
    return client.resets.apply(plan, confirm=typed(plan))


def _row(stage: Stage, plant: Plant, name: str, course: str = FORKLIFT) -> ProgressRow:
    (row,) = stage.client().progress.list(course_id=plant.courses[course], user_id=plant.id(name))
    return row


# --- R12, R13 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDED)
def test_R12_progress_attempts_score_time_and_dates_are_gone(stage: Stage, plant: Plant, name: str) -> None:
    before = _row(stage, plant, name)
    assert before.has_recorded_progress
    _reset(stage, plant, name)
    row = _row(stage, plant, name)
    assert (row.opened_at, row.completed_at, row.completion_expiry_date) == (None, None, None)
    assert (row.completed_lessons, row.progress_percent, row.score, row.time_spent_seconds) == (0, 0.0, 0, 0)
    assert row.state == "not started"
    lessons = list(stage.client().analytics.lesson_progress(plant.id(name), course_id=plant.forklift))
    assert len(lessons) == 5
    assert not any(
        each.opened or each.completed or each.score or each.percentage_completed for each in lessons
    )
    assert {each.opened_date_time or each.completed_date_time for each in lessons} == {None}
    attempts = stage.send(
        "GET", f"/training/analytics/v1/lessons/attempts?userId={plant.id(name)}&courseId={plant.forklift}"
    )
    assert attempts.json() == {"totalCount": 0, "items": []}


def test_R13_assessments_discussions_and_assignments_are_cleared(stage: Stage, plant: Plant) -> None:
    def cleared() -> dict[str, int]:
        answer = stage.send(
            "POST",
            "/training/courseprogress/v1/reset:preview",
            body={"courseId": plant.forklift, "allUsers": True},
        )
        found: dict[str, int] = answer.json()["cleared"]
        return found

    # anna and ben: 5 lessons with 2 attempts, 1 signed assessment, 1 post, 1 hand-in each; cleo: 2 attempts, an
    # unsigned assessment with a mark and a hand-in in 4 lessons; dora: one post in one lesson.
    assert cleared() == {
        "lessonProgress": 15,
        "attempts": 6,
        "assessmentSubmissions": 3,
        "assessmentMarks": 3,
        "assessmentSignOffs": 2,
        "discussionPosts": 3,
        "assignmentHandIns": 3,
        "certificates": 2,
        "dueDatesRestarted": 4,
    }
    _reset(stage, plant)
    assert set(cleared().values()) == {0}
    for name in RECORDED:
        assert plant.mock.world.record(FORKLIFT, plant.id(name)) is None


# --- R14 -------------------------------------------------------------------------------------------------------------


def _statistics_agree_with_the_rows(stage: Stage, plant: Plant) -> None:
    """The figures as the analytics have them against the same figures worked out from the feed's rows."""
    client = stage.client()
    for found in client.analytics.course_statistics():
        rows = list(client.progress.list(course_id=found.course_id))
        recorded = [row for row in rows if row.has_recorded_progress]
        completed = sum(row.completed_at is not None for row in rows)
        scores = [row.score or 0 for row in recorded]
        assert found.total_users == len(rows)
        assert found.opened_count == sum(row.opened_at is not None for row in rows)
        assert found.completed_count == completed
        assert found.completion_percent == pytest.approx(100 * completed / max(1, len(rows)), abs=0.005)
        assert found.average_score == pytest.approx(sum(scores) / max(1, len(scores)), abs=0.005)


def test_R14_analytics_go_back_to_0_percent(stage: Stage, plant: Plant) -> None:
    def figures() -> tuple[int, int | None, int, float | None, float | None]:
        (found,) = stage.client().analytics.course_statistics(course_ids=[plant.forklift])
        return (
            found.total_users,
            found.opened_count,
            found.completed_count,
            found.completion_percent,
            found.average_score,
        )

    _statistics_agree_with_the_rows(stage, plant)
    assert figures()[:4] == (5, 4, 2, 40.0)
    _reset(stage, plant, "anna")
    _statistics_agree_with_the_rows(stage, plant)
    assert figures()[:4] == (5, 3, 1, 20.0)
    _reset(stage, plant)
    _statistics_agree_with_the_rows(stage, plant)
    assert figures() == (5, 0, 0, 0.0, 0.0)


# --- R15 -------------------------------------------------------------------------------------------------------------


def _texts(value: Any) -> Iterator[str]:
    """Every text in plain data that can be told from others: ids, dates, what people wrote."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "lesson_id":
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and value:
        yield value


def _past(plant: Plant, course: str, name: str) -> set[str]:
    """What is recorded of somebody in a course and nowhere else: ids, dates, words, certificates."""
    organisation = state(plant.mock)["organisations"][plant.mock.world.main.id]
    course_id, user_id = plant.courses[course], plant.id(name)
    recorded = [organisation["records"][course_id][user_id]]
    recorded += [
        {"number": each["number"], "issued_at": each["issued_at"]}
        for each in organisation["certificates"].get(f"{course_id}/{user_id}", [])
    ]
    own, all_there_is = Counter(_texts(recorded)), Counter(_texts(state(plant.mock)))
    return {text for text, times in own.items() if times == all_there_is[text]}


def test_R15_nobody_gets_the_past_from_any_endpoint(stage: Stage, plant: Plant) -> None:
    check_that_nothing_is_left_out()
    past = {name: _past(plant, FORKLIFT, name) for name in RECORDED}
    for name, texts in past.items():
        assert any(text.encode() in b"".join(everything(plant.mock, "admin").values()) for text in texts), (
            name
        )
    _reset(stage, plant)
    tokens: tuple[TokenName, ...] = ("admin", "manager", "teamlead", "learner", "resetter", "outsider")
    for who in tokens:
        for asked, answer in everything(plant.mock, who).items():
            shown = {name: text for name in RECORDED for text in past[name] if text.encode() in answer}
            assert shown == {}, (who, asked)
    assert not any(text.encode() in ledgers(plant.mock) for texts in past.values() for text in texts)
    # Nor is it put aside anywhere in the world, from where a later endpoint could show it.
    kept = set(_texts(plant.mock.world.snapshot()))
    assert not any(texts & kept for texts in past.values())


# --- R16, R17, R20, R21 ----------------------------------------------------------------------------------------------


def test_R16_nothing_else_is_touched(stage: Stage, plant: Plant) -> None:
    """The whole world afterwards is the one before with exactly what the rules say changed in it."""
    expected = state(plant.mock)
    main = expected["organisations"][plant.mock.world.main.id]
    course = plant.forklift
    for user_id in plant.ids("anna", "cleo"):
        del main["records"][course][user_id]
        main["certificates"].pop(f"{course}/{user_id}", None)
        main["reset_at"][course][user_id] = NOW.isoformat()
        main["enrolments"][course][user_id] |= {
            "modified_at": NOW.isoformat(),
            "due_at": to_text(NOW + timedelta(days=30)),
        }
    # ben, who has completed with 83, and dora, who has only opened it, are left.
    main["tallies"][course] |= {"opened": 2, "completed": 1, "recorded": 2, "score_sum": 83}
    _reset(stage, plant, "anna", "cleo", "emil")
    found = state(plant.mock)
    told = [(message["user_id"], message["course_id"]) for message in found["outbox"]]
    assert told == [(user_id, course) for user_id in plant.ids("anna", "cleo")]
    assert len(found.pop("idempotency")) == 1
    assert found | {"outbox": []} == {name: part for name, part in expected.items() if name != "idempotency"}


def test_R16_other_courses_and_the_assignment_itself_stay(stage: Stage, plant: Plant) -> None:
    before = {row for row in stage.client().progress.list() if row.course_id != plant.forklift}
    _reset(stage, plant)
    after = list(stage.client().progress.list())
    assert {row for row in after if row.course_id != plant.forklift} == before
    assert plant.names(row.user_id for row in after if row.course_id == plant.forklift) == {*RECORDED, "emil"}


def test_R17_the_course_stays_and_is_trained_again(stage: Stage, plant: Plant) -> None:
    before = stage.client().courses.get(plant.forklift), stage.client().courses.lessons(plant.forklift)
    _reset(stage, plant)
    assert (
        stage.client().courses.get(plant.forklift),
        stage.client().courses.lessons(plant.forklift),
    ) == before
    plant.later(days=1)
    # The mean of the lessons that have a score: 70, the quiz's minimum of 80, and the assessment's 70.
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"), score=70)
    row = _row(stage, plant, "anna")
    assert (row.progress_percent, row.score, row.completed_at) == (100.0, 73, NOW + timedelta(days=1))
    _statistics_agree_with_the_rows(stage, plant)


def test_R20_a_relative_due_date_starts_anew_and_a_fixed_one_stays(stage: Stage, plant: Plant) -> None:
    fixed = _row(stage, plant, "anna", FIRE).due_at
    others = _row(stage, plant, "ben").due_at
    plant.later(days=3)
    _reset(stage, plant, "anna")
    _reset(stage, plant, "anna", course=FIRE)
    assert _row(stage, plant, "anna").due_at == NOW + timedelta(days=33)
    assert _row(stage, plant, "anna", FIRE).due_at == fixed
    assert fixed is not None
    assert _row(stage, plant, "ben").due_at == others


def test_R21_nobody_without_progress_is_reset_told_or_counted(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan(plant.forklift, plant.ids("emil"))
    assert typed(plan).startswith('reset "Forklift basics" for 0 users #')
    with nothing_changes(plant.mock):
        report = client.resets.apply(plan, confirm=typed(plan))
        assert stage.reset(
            {"courseId": plant.forklift, "userIds": plant.ids("emil")}, confirming(FORKLIFT, 0)
        ).json() == {"usersUpdated": 0}
    assert report.is_complete
    assert report.counts[Outcome.NOTHING_TO_RESET] == 1
    _reset(stage, plant)
    with nothing_changes(plant.mock):
        again = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(FORKLIFT, 0))
    assert again.json() == {"usersUpdated": 0}
    assert len(plant.mock.outbox) == len(NOTIFIED)


# --- R18, R19 --------------------------------------------------------------------------------------------------------


def _told(plant: Plant) -> list[str]:
    return sorted(message.user_id for message in plant.mock.outbox)


def test_R18_one_notification_for_each_user_reset_whose_setting_is_on(stage: Stage, plant: Plant) -> None:
    _reset(stage, plant)
    assert _told(plant) == sorted(plant.ids(*NOTIFIED))
    assert {(each.kind, each.course_id) for each in plant.mock.outbox} == {
        ("course assigned", plant.forklift)
    }
    assert {each.sent_at for each in plant.mock.outbox} == {to_text(NOW)}


def test_R18_those_who_were_not_reset_or_have_it_off_get_none(stage: Stage, plant: Plant) -> None:
    _reset(stage, plant, "ben", "emil")
    assert _told(plant) == []
    plant.mock.world.update_user(plant.id("dora"), notifications=False)
    plant.mock.world.update_user(plant.id("ben"), notifications=True)
    plant.mock.world.complete_course(FORKLIFT, plant.id("ben"))
    _reset(stage, plant)
    assert _told(plant) == sorted(plant.ids("anna", "ben", "cleo"))


def test_R18_a_refused_reset_notifies_nobody(stage: Stage, plant: Plant) -> None:
    everyone = {"courseId": plant.forklift, "allUsers": True}
    assert stage.reset(everyone, confirming(FORKLIFT, 5)).status_code == 412
    assert stage.reset(everyone, confirming(FORKLIFT, 4), who="manager").status_code == 403
    assert _told(plant) == []


def _certificates(plant: Plant, name: str, course: str = FORKLIFT) -> list[tuple[str, str]]:
    key = (plant.courses[course], plant.id(name))
    return [
        (each.number, each.issued_at)
        for each in plant.mock.certificates
        if (each.course_id, each.user_id) == key
    ]


def test_R19_a_new_completion_brings_a_new_certificate(stage: Stage, plant: Plant) -> None:
    (old,) = _certificates(plant, "anna")
    plant.later(days=2)
    _reset(stage, plant, "anna")
    assert _certificates(plant, "anna") == [], "the old one is no longer shown, and none without a completion"
    plant.mock.world.open(FORKLIFT, plant.id("anna"))
    plant.mock.world.complete_lesson(FORKLIFT, plant.id("anna"), "Controls")
    assert _certificates(plant, "anna") == []
    plant.later(days=1)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    (new,) = _certificates(plant, "anna")
    assert new[0] != old[0]
    assert new[1] == to_text(NOW + timedelta(days=3))
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    assert _certificates(plant, "anna") == [new], "completing what is complete brings none"


def test_R19_certificates_of_others_and_of_other_courses_stay(stage: Stage, plant: Plant) -> None:
    others = [
        each
        for each in plant.mock.certificates
        if (each.course_id, each.user_id) != (plant.forklift, plant.id("anna"))
    ]
    _reset(stage, plant, "anna")
    assert list(plant.mock.certificates) == others
    assert len(others) >= 3


def test_R19_never_if_the_switch_is_off(stage: Stage, plant: Plant) -> None:
    assert _certificates(plant, "anna", DRAFT) == []
    _reset(stage, plant, "anna", course=DRAFT)
    plant.mock.world.complete_course(DRAFT, plant.id("anna"))
    assert _certificates(plant, "anna", DRAFT) == []
    plant.mock.world.update_course(FORKLIFT, certificate=False)
    _reset(stage, plant, "anna")
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    assert _certificates(plant, "anna") == []


def test_R19_by_policy_the_old_certificate_is_kept_beside_the_new(new_stage: NewStage) -> None:
    plant = grow(Policy(old_certificate="kept"))
    stage = new_stage(plant.mock)
    (old,) = _certificates(plant, "anna")
    _reset(stage, plant, "anna")
    assert _certificates(plant, "anna") == [old]
    plant.later(days=1)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    kept, new = _certificates(plant, "anna")
    assert kept == old
    assert new[0] != old[0]


# --- R22 -------------------------------------------------------------------------------------------------------------


def test_R22_a_write_made_before_the_reset_and_arriving_after_it_is_refused(
    stage: Stage, plant: Plant
) -> None:
    world, anna = plant.mock.world, plant.id("anna")
    _reset(stage, plant, "anna")
    plant.later(hours=1)
    for late in (NOW - timedelta(days=9), NOW - timedelta(milliseconds=1)):
        for action in (
            world.open,
            world.complete_course,
            world.submit_assessment,
            world.post_to_discussion,
            world.hand_in_assignment,
        ):
            with nothing_changes(plant.mock), pytest.raises(LateWriteError):
                action(FORKLIFT, anna, made_at=late)
        with nothing_changes(plant.mock), pytest.raises(LateWriteError):
            world.complete_lesson(FORKLIFT, anna, "Controls", made_at=late)
    assert not _row(stage, plant, "anna").has_recorded_progress
    world.open(FORKLIFT, anna, made_at=NOW)
    assert _row(stage, plant, "anna").opened_at == NOW
    # Nobody else's offline device is refused.
    world.complete_course(FORKLIFT, plant.id("emil"), made_at=NOW - timedelta(days=9))
    world.open(FIRE, plant.id("fay"), made_at=NOW - timedelta(days=9))


def test_R22_by_policy_late_writes_are_accepted(new_stage: NewStage) -> None:
    plant = grow(Policy(late_writes="accepted"))
    stage = new_stage(plant.mock)
    _reset(stage, plant, "anna")
    made_at = NOW - timedelta(days=2)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"), made_at=made_at)
    assert _row(stage, plant, "anna").completed_at == made_at


# --- R23 -------------------------------------------------------------------------------------------------------------


def test_R23_resets_done_and_refused_are_on_record_with_who_when_what_and_how_it_ended(
    stage: Stage, plant: Plant
) -> None:
    listed = {"courseId": plant.forklift, "userIds": plant.ids("anna", "emil")}
    everyone = {"courseId": plant.forklift, "allUsers": True}
    attempts: list[tuple[object, TokenName, dict[str, str], str, int]] = [
        (listed, "manager", confirming(FORKLIFT, 1), "PERMISSION_DENIED", 403),
        (listed, "revoked", confirming(FORKLIFT, 1), "UNAUTHENTICATED", 401),
        (listed, "admin", {}, "CONFIRMATION_REQUIRED", 428),
        (listed, "admin", confirming(FIRE, 1), "CONFIRMATION_MISMATCH", 412),
        ({**listed, "userIds": plant.ids("stranger")}, "admin", {}, "USER_NOT_FOUND", 404),
        ({**everyone, "userIds": []}, "admin", {}, "INVALID_ARGUMENT", 400),
        (listed, "admin", confirming(FORKLIFT, 1), "done", 200),
        (everyone, "resetter", confirming(FORKLIFT, 3), "done", 200),
    ]
    for number, (body, who, headers, outcome, status) in enumerate(attempts):
        plant.later(minutes=1)
        answer = stage.reset(body, headers | {"X-Request-ID": f"ticket-{number}"}, who=who)
        assert answer.status_code == status
        entry = plant.mock.audit[-1]
        assert len(plant.mock.audit) == number + 1
        assert (entry.outcome, entry.status, entry.request_id) == (outcome, status, f"ticket-{number}")
        actor = plant.id({"manager": "max", "resetter": "rita"}.get(who, "ada"))
        assert (entry.actor_id, entry.at) == (actor, plant.mock.world.clock.now())
        assert (entry.course_id, entry.organisation_id) == (plant.forklift, plant.mock.world.main.id)
        assert entry.everyone == (isinstance(body, dict) and "allUsers" in body)
    done, everyone_done = plant.mock.audit[-2:]
    assert (done.user_ids, done.users_updated) == (tuple(plant.ids("anna", "emil")), 1)
    assert plant.names(everyone_done.user_ids) == {"ben", "cleo", "dora"}
    assert everyone_done.users_updated == 3


def test_R23_the_report_of_the_sdk_names_the_requests_that_the_audit_log_holds(
    stage: Stage, plant: Plant
) -> None:
    report = _reset(stage, plant)
    (entry,) = plant.mock.audit
    assert report.requests == (entry.request_id,)
    assert (report.applied_by, report.plan.course.id) == (entry.actor_id, entry.course_id)
    manager = stage.client("manager")
    plan = manager.resets.plan_everyone(plant.courses[FIRE])
    with pytest.raises(PermissionDeniedError) as refused:
        manager.resets.apply(plan, confirm=typed(plan))
    assert plant.mock.audit[-1].request_id == refused.value.request_id


def test_R23_reading_leaves_no_entry_and_no_entry_is_ever_changed(stage: Stage, plant: Plant) -> None:
    _reset(stage, plant, "anna")
    before = plant.mock.audit
    everything(plant.mock, "admin")
    assert plant.mock.audit == before
    stage.reset({"courseId": plant.forklift, "allUsers": True})
    assert plant.mock.audit[: len(before)] == before
    assert len(plant.mock.audit) == len(before) + 1


# --- R25, and R09 once more ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("course", "name"), [(DRAFT, "anna"), (ARCHIVED, "ben")])
def test_R25_draft_and_archived_courses_can_be_reset(
    stage: Stage, plant: Plant, course: str, name: str
) -> None:
    assert _row(stage, plant, name, course).progress_percent == 100
    assert _reset(stage, plant, course=course).reset_count == 1
    assert not _row(stage, plant, name, course).has_recorded_progress


def test_R25_everyone_by_one_call_of_the_server(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.courses[ARCHIVED])
    report = client.resets.apply(plan, confirm=typed(plan), server_side=True)
    (sent,) = stage.tap.resets
    assert sent.body == b'{"courseId":"%b","allUsers":true}' % plant.courses[ARCHIVED].encode()
    assert report.reset_count == 1


def test_R12_a_reset_is_atomic_even_when_the_last_check_fails(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    plant.mock.world.complete_course(FORKLIFT, plant.id("dora"))
    with nothing_changes(plant.mock), pytest.raises(StalePlanError, match="Dora Müller"):
        client.resets.apply(plan, confirm=typed(plan))
    with nothing_changes(plant.mock):
        body = {"courseId": plant.forklift, "userIds": plant.ids(*RECORDED)}
        assert reason(stage.reset(body, confirming(FORKLIFT, 3))) == "CONFIRMATION_MISMATCH"
