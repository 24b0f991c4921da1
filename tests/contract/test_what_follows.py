"""R18, R19, R22, R23: notifications, certificates, late writes and the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contract.acts import reset, row_of
from contract.conftest import NewStage
from contract.everything import everything
from contract.plant import (
    ARCHIVED,
    DRAFT,
    FIRE,
    FORKLIFT,
    NOTIFIED,
    NOW,
    Plant,
    grow,
    nothing_changes,
)
from contract.stage import RESET, Stage, confirming, typed
from mock_server import Policy
from mock_server.mock import TokenName
from mock_server.rules.late_writes import LateWriteError
from mock_server.world.clock import to_text
from mock_server.world.courses import CourseStatus
from training_sdk import PermissionDeniedError


def _told(plant: Plant) -> list[str]:
    return sorted(message.user_id for message in plant.mock.outbox)


def test_R18_one_notification_for_each_user_reset_whose_setting_is_on(stage: Stage, plant: Plant) -> None:
    reset(stage, plant)
    assert _told(plant) == sorted(plant.ids(*NOTIFIED))
    assert {(each.kind, each.course_id) for each in plant.mock.outbox} == {
        ("course assigned", plant.forklift)
    }
    assert {each.sent_at for each in plant.mock.outbox} == {to_text(NOW)}


def test_R18_those_who_were_not_reset_or_have_it_off_get_none(stage: Stage, plant: Plant) -> None:
    reset(stage, plant, "ben", "emil")
    assert _told(plant) == []
    plant.mock.world.update_user(plant.id("dora"), notifications=False)
    plant.mock.world.update_user(plant.id("ben"), notifications=True)
    plant.mock.world.complete_course(FORKLIFT, plant.id("ben"))
    reset(stage, plant)
    assert _told(plant) == sorted(plant.ids("anna", "ben", "cleo"))


def test_R18_a_refused_reset_notifies_nobody(stage: Stage, plant: Plant) -> None:
    everyone = {"courseId": plant.forklift, "allUsers": True}
    assert stage.reset(everyone, confirming(FORKLIFT, 5)).status_code == 412
    assert stage.reset(everyone, confirming(FORKLIFT, 4), who="manager").status_code == 403
    assert _told(plant) == []


@pytest.mark.parametrize("status", [CourseStatus.DRAFT, CourseStatus.SCHEDULED, CourseStatus.ARCHIVED])
@pytest.mark.parametrize("policy", ["none", "sent"])
def test_R18_a_course_that_learners_cannot_open_notifies_nobody_unless_the_policy_says_so(
    new_stage: NewStage, policy: Any, status: CourseStatus
) -> None:
    plant = grow(Policy(unpublished_notifications=policy))
    stage = new_stage(plant.mock)
    plant.mock.world.update_course(FORKLIFT, status=status)
    expected = [] if policy == "none" else sorted(plant.ids(*NOTIFIED))
    shown = stage.send("POST", f"{RESET}:preview", body={"courseId": plant.forklift, "allUsers": True}).json()
    assert shown["notifications"] == len(expected)
    assert reset(stage, plant).reset_count == 4, "it is reset all the same (R25)"
    assert _told(plant) == expected


def test_R18_a_draft_and_an_archived_course_notify_nobody_by_default(stage: Stage, plant: Plant) -> None:
    for course in (DRAFT, ARCHIVED):
        assert reset(stage, plant, course=course).reset_count > 0
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
    reset(stage, plant, "anna")
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
    reset(stage, plant, "anna")
    assert list(plant.mock.certificates) == others
    assert len(others) >= 3


def test_R19_never_if_the_switch_is_off(stage: Stage, plant: Plant) -> None:
    assert _certificates(plant, "anna", DRAFT) == []
    reset(stage, plant, "anna", course=DRAFT)
    plant.mock.world.complete_course(DRAFT, plant.id("anna"))
    assert _certificates(plant, "anna", DRAFT) == []
    plant.mock.world.update_course(FORKLIFT, certificate=False)
    reset(stage, plant, "anna")
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    assert _certificates(plant, "anna") == []


def test_R19_by_policy_the_old_certificate_is_kept_beside_the_new(new_stage: NewStage) -> None:
    plant = grow(Policy(old_certificate="kept"))
    stage = new_stage(plant.mock)
    (old,) = _certificates(plant, "anna")
    reset(stage, plant, "anna")
    assert _certificates(plant, "anna") == [old]
    plant.later(days=1)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    kept, new = _certificates(plant, "anna")
    assert kept == old
    assert new[0] != old[0]


def test_R22_a_write_made_before_the_reset_and_arriving_after_it_is_refused(
    stage: Stage, plant: Plant
) -> None:
    world, anna = plant.mock.world, plant.id("anna")
    reset(stage, plant, "anna")
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
    assert not row_of(stage, plant, "anna").has_recorded_progress
    world.open(FORKLIFT, anna, made_at=NOW)
    assert row_of(stage, plant, "anna").opened_at == NOW
    # Nobody else's offline device is refused.
    world.complete_course(FORKLIFT, plant.id("emil"), made_at=NOW - timedelta(days=9))
    world.open(FIRE, plant.id("fay"), made_at=NOW - timedelta(days=9))


def test_R22_by_policy_late_writes_are_accepted(new_stage: NewStage) -> None:
    plant = grow(Policy(late_writes="accepted"))
    stage = new_stage(plant.mock)
    reset(stage, plant, "anna")
    made_at = NOW - timedelta(days=2)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"), made_at=made_at)
    assert row_of(stage, plant, "anna").completed_at == made_at


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
    report = reset(stage, plant)
    (entry,) = plant.mock.audit
    assert report.requests == (entry.request_id,)
    assert (report.applied_by, report.plan.course.id) == (entry.actor_id, entry.course_id)
    manager = stage.client("manager")
    plan = manager.resets.plan_everyone(plant.courses[FIRE])
    with pytest.raises(PermissionDeniedError) as refused:
        manager.resets.apply(plan, confirm=typed(plan))
    assert plant.mock.audit[-1].request_id == refused.value.request_id


def test_R23_reading_leaves_no_entry_and_no_entry_is_ever_changed(stage: Stage, plant: Plant) -> None:
    reset(stage, plant, "anna")
    before = plant.mock.audit
    everything(plant.mock, "admin")
    assert plant.mock.audit == before
    stage.reset({"courseId": plant.forklift, "allUsers": True})
    assert plant.mock.audit[: len(before)] == before
    assert len(plant.mock.audit) == len(before) + 1
