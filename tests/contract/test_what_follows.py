"""R18, R19, R22, R23: notifications, certificates, late writes and the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from contract.acts import reset
from contract.conftest import NewStage
from contract.plant import (
    FIRE,
    FORKLIFT,
    NOTIFIED,
    Plant,
    grow,
)
from contract.stage import RESET, Stage, typed
from mock_server import Policy
from mock_server.world.courses import CourseStatus
from training_sdk import PermissionDeniedError


def _told(plant: Plant) -> list[str]:
    return sorted(message.user_id for message in plant.mock.outbox)


@pytest.mark.parametrize("status", [CourseStatus.DRAFT, CourseStatus.SCHEDULED, CourseStatus.ARCHIVED])
@pytest.mark.parametrize("policy", ["none", "sent"])
def test_R18_unpublished_courses_notify_nobody(
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


def test_R23_the_sdk_reports_the_requests_that_the_audit_log_holds(stage: Stage, plant: Plant) -> None:
    report = reset(stage, plant)
    (entry,) = plant.mock.audit
    assert report.requests == (entry.request_id,)
    assert (report.applied_by, report.plan.course.id) == (entry.actor_id, entry.course_id)
    manager = stage.client("manager")
    plan = manager.resets.plan_everyone(plant.courses[FIRE])
    with pytest.raises(PermissionDeniedError) as refused:
        manager.resets.apply(plan, confirm=typed(plan))
    assert plant.mock.audit[-1].request_id == refused.value.request_id
