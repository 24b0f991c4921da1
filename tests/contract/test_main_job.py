"""The main job, from looking to a new certificate, as an integrator's script does it."""

from __future__ import annotations

import json
import logging

import pytest

from contract.conftest import NewStage
from contract.plant import FORKLIFT, NOTIFIED, RECORDED, Plant
from contract.stage import Stage, typed
from mock_server import MockTraining
from training_sdk import ConfirmationError, PermissionDeniedError


def test_R17_the_whole_job_of_the_sdk(stage: Stage, plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    admin = stage.client()
    (course,) = [each for each in admin.courses.list(search="forklift") if each.title == FORKLIFT]
    assert [lesson.title for lesson in admin.courses.lessons(course.id)][:2] == ["Controls", "Signs"]
    (figures,) = admin.analytics.course_statistics(course_ids=[course.id])
    assert figures.completion_percent == 40

    manager = stage.client("manager")
    plan = manager.resets.plan_everyone(course.id)
    with pytest.raises(PermissionDeniedError, match="Platform management: Users"):
        manager.resets.apply(plan, confirm=typed(plan))
    with pytest.raises(ConfirmationError):
        admin.resets.apply(plan, confirm="reset it")

    one = admin.resets.plan(course.id, plant.ids("anna"))
    report = admin.resets.apply(one, confirm=typed(one), reason="near miss", ticket="INC-1")
    assert (report.reset_count, report.reason, report.ticket) == (1, "near miss", "INC-1")
    (row,) = admin.progress.list(course_id=course.id, user_id=plant.id("anna"))
    assert row.progress_percent == 0

    rest = admin.resets.plan_everyone(course.id)
    assert admin.resets.apply(rest, confirm=typed(rest)).reset_count == len(RECORDED) - 1
    (figures,) = admin.analytics.course_statistics(course_ids=[course.id])
    assert (figures.completion_percent, figures.total_users) == (0, 5)

    plant.mock.world.complete_course(course.id, plant.id("anna"))
    (row,) = stage.client("learner").progress.list(course_id=course.id)
    assert row.progress_percent == 100
    # Those who are not assigned at the moment were not reset, and keep theirs.
    holders = plant.names(each.user_id for each in plant.mock.certificates if each.course_id == course.id)
    assert holders == {"anna", "gus", "dirk"}
    assert len(plant.mock.outbox) == len(NOTIFIED)
    tokens = {str(each["token"]) for each in plant.mock.tokens()}
    assert not [token for token in tokens if token in caplog.text]


def test_R17_the_whole_job_in_the_demo_world(new_stage: NewStage) -> None:
    mock = MockTraining.demo()
    stage = new_stage(mock)
    admin = stage.client()
    course = mock.world.course(FORKLIFT)
    plan = admin.resets.plan_everyone(course.id)
    assert typed(plan).startswith('reset "Forklift basics" for 37 users #')
    assert admin.resets.apply(plan, confirm=typed(plan)).reset_count == 37
    (figures,) = admin.analytics.course_statistics(course_ids=[course.id])
    assert (figures.completed_count, figures.opened_count) == (0, 0)
    (sent,) = stage.tap.resets
    assert len(json.loads(sent.body)["userIds"]) == 37
