"""A plan meets a server that has moved on, is another one, filters nothing, or answers rubbish."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from contract.conftest import EVERY_PAIR, NewStage
from contract.meddling import (
    FEED,
    empty,
    endless,
    html_page,
    leading_away,
    same_person_twice,
    truncated,
    unmarked,
    without_filters,
)
from contract.plant import FIRE, FORKLIFT, Plant, grow, nothing_changes
from contract.stage import LIVE, Handle, Stage, typed
from mock_server import MockTraining
from mock_server.wire.message import Request, Response
from training_sdk import (
    AlreadyAppliedError,
    DecodingError,
    NotFoundError,
    PermissionDeniedError,
    PlanMismatchError,
    ResetPlan,
    StalePlanError,
    TrainingClient,
    UnconfirmedFormatError,
)

PAIRS = EVERY_PAIR

WHO_AM_I = "/accounts/user/v1/user:WhoAmI"

# --- a server that ignores what it is asked to filter ----------------------------------------------------------------


def _plans(client: TrainingClient, plant: Plant) -> list[ResetPlan]:
    return [
        client.resets.plan_everyone(plant.forklift),
        client.resets.plan_everyone(plant.forklift, only="completed"),
        client.resets.plan(plant.forklift, plant.ids("anna")),
        client.resets.plan(plant.forklift, plant.ids("cleo", "anna")),
    ]


def test_R07_a_server_that_ignores_filters_puts_nobody_else_into_a_plan(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    expected = [(plan.course, plan.users, plan.targets) for plan in _plans(client, plant)]
    stage.tap.meddle = without_filters
    plans = _plans(client, plant)
    assert [(plan.course, plan.users, plan.targets) for plan in plans] == expected
    client.resets.apply(plans[3], confirm=typed(plans[3]))
    (sent,) = stage.tap.resets
    assert json.loads(sent.body) == {"courseId": plant.forklift, "userIds": plant.ids("cleo", "anna")}


def test_R03_a_course_that_is_not_there_is_not_taken_for_one_that_is(stage: Stage, plant: Plant) -> None:
    stage.tap.meddle = without_filters
    with pytest.raises(NotFoundError, match="no course"):
        stage.client().resets.plan_everyone("0" * 24)


# --- people and courses that move between plan and apply -------------------------------------------------------------


@pytest.mark.parametrize("name", ["anna", "cleo", "emil"])
def test_R06_a_learner_who_moves_on_makes_the_plan_stale(stage: Stage, plant: Plant, name: str) -> None:
    client, world = stage.client(), plant.mock.world
    plan = client.resets.plan_everyone(plant.forklift)
    if name == "anna":
        other = client.resets.plan(plant.forklift, plant.ids("anna"))
        client.resets.apply(other, confirm=typed(other))
    else:
        world.complete_course(FORKLIFT, plant.id(name))
    sent = len(stage.tap.resets)
    with nothing_changes(plant.mock), pytest.raises(StalePlanError, match=f"{name.capitalize()} Müller"):
        client.resets.apply(plan, confirm=typed(plan))
    assert len(stage.tap.resets) == sent


def test_R16_whoever_joins_after_the_plan_is_not_reset(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    client.courses.update_assignments(plant.forklift, add_users=plant.ids("fay"))
    plant.mock.world.complete_course(FORKLIFT, plant.id("fay"))
    with nothing_changes(plant.mock), pytest.raises(StalePlanError, match="Fay Müller"):
        client.resets.apply(plan, confirm=typed(plan), server_side=True)
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 4
    (row,) = client.progress.list(course_id=plant.forklift, user_id=plant.id("fay"))
    assert row.progress_percent == 100


def test_R11_a_plan_applied_twice_resets_once(stage: Stage, plant: Plant, tmp_path: Path) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    client.resets.apply(plan, confirm=typed(plan))
    with nothing_changes(plant.mock), pytest.raises(AlreadyAppliedError):
        client.resets.apply(plan, confirm=typed(plan))
    # Another machine knows nothing of the first time, but sees that everybody has moved.
    elsewhere = stage.client(state_dir=tmp_path / "another machine")
    with nothing_changes(plant.mock), pytest.raises(StalePlanError, match="applied already"):
        elsewhere.resets.apply(plan, confirm=typed(plan))
    assert len(stage.tap.resets) == 1


def test_R06_a_plan_may_be_applied_by_another_of_the_organisation(stage: Stage, plant: Plant) -> None:
    plan = stage.client("manager").resets.plan_everyone(plant.forklift)
    report = stage.client("admin").resets.apply(plan, confirm=typed(plan))
    assert (plan.origin.user_id, report.applied_by) == (plant.id("max"), plant.id("ada"))


def test_R06_one_call_for_everyone_stays_within_a_team_leads_view(stage: Stage, plant: Plant) -> None:
    """Who sees a team alone but may reset everybody plans for the team; the server counts more, and refuses."""
    sets = plant.mock.world.user(plant.id("tom")).permission_sets
    users = plant.mock.world.user(plant.id("rita")).permission_sets
    plant.mock.world.update_user(plant.id("tom"), permission_sets=sets | users)
    client = stage.client("teamlead")
    plan = client.resets.plan_everyone(plant.forklift)
    assert plant.names(user.user_id for user in plan.targets) == {"anna", "dora"}
    with nothing_changes(plant.mock), pytest.raises(StalePlanError):
        client.resets.apply(plan, confirm=typed(plan), server_side=True)
    again = client.resets.plan_everyone(plant.forklift)
    assert client.resets.apply(again, confirm=typed(again)).reset_count == 2
    assert plant.mock.world.record(FORKLIFT, plant.id("ben")) is not None


# --- another server, another organisation, or a live service ---------------------------------------------------------


def test_R06_a_plan_of_another_world_is_refused(new_stage: NewStage) -> None:
    here, there = (new_stage(MockTraining.generate(users=9, courses=1, seed=seed)) for seed in (1, 2))
    (course,) = here.mock.world.courses
    plan = here.client().resets.plan_everyone(course.id)
    with nothing_changes(there.mock), pytest.raises(PlanMismatchError):
        there.client().resets.apply(plan, confirm=typed(plan))
    assert not there.tap.resets


def test_R06_a_plan_of_another_organisation_is_refused(stage: Stage, plant: Plant) -> None:
    plan = stage.client().resets.plan_everyone(plant.forklift)
    with nothing_changes(plant.mock), pytest.raises(PlanMismatchError, match="organisation"):
        stage.client("outsider").resets.apply(plan, confirm=typed(plan))
    assert not stage.tap.resets


def test_R06_a_plan_made_at_the_vendors_host_is_not_for_this_machine(new_stage: NewStage) -> None:
    """Two worlds of one seed are alike in everything but their address, where they have one."""
    first, second = new_stage(grow().mock), new_stage(grow().mock)
    course = first.mock.world.course(FORKLIFT).id
    plan = first.client().resets.plan_everyone(course)
    assert plan.origin.base_url == (first.base_url or LIVE)
    if first.door == "socket":
        with nothing_changes(second.mock), pytest.raises(PlanMismatchError, match=str(second.base_url)):
            second.client().resets.apply(plan, confirm=typed(plan))
        assert not second.tap.resets
    else:
        assert second.client().resets.apply(plan, confirm=typed(plan)).reset_count == 4
        assert first.mock.world.record(FORKLIFT, plan.targets[0].user_id) is not None


def test_R06_on_a_live_service_nothing_is_sent_and_the_reason_is_given(stage: Stage, plant: Plant) -> None:
    stage.tap.meddle = unmarked
    client = stage.client()
    for plan, server_side in (
        (client.resets.plan(plant.forklift, plant.ids("anna")), False),
        (client.resets.plan_everyone(plant.forklift), False),
        (client.resets.plan_everyone(plant.forklift), True),
    ):
        assert plan.origin.reference_server is False
        with nothing_changes(plant.mock), pytest.raises(UnconfirmedFormatError, match="reset everyone"):
            client.resets.apply(plan, confirm=typed(plan), server_side=server_side)
    assert not [request for request in stage.tap.requests if request.method != "GET"]


def test_R06_a_plan_of_one_kind_of_server_is_not_applied_on_the_other(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    rehearsed = client.resets.plan_everyone(plant.forklift)
    honest = stage.tap.meddle
    stage.tap.meddle = unmarked
    with pytest.raises(PlanMismatchError):
        client.resets.apply(rehearsed, confirm=typed(rehearsed))
    live = client.resets.plan_everyone(plant.forklift)
    stage.tap.meddle = honest
    with pytest.raises(PlanMismatchError):
        client.resets.apply(live, confirm=typed(live))
    assert not stage.tap.resets


def test_R06_identity_is_proved_anew_just_before_the_first_send(stage: Stage, plant: Plant) -> None:
    asked: list[str] = []

    def marked_once(request: Request, handle: Handle) -> Response:
        asked.append(request.path)
        return unmarked(request, handle) if asked.count(WHO_AM_I) > 1 else handle(request)

    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    stage.tap.meddle = marked_once
    with nothing_changes(plant.mock), pytest.raises(PlanMismatchError):
        client.resets.apply(plan, confirm=typed(plan))
    assert not stage.tap.resets


# --- a server that answers rubbish while a plan is made --------------------------------------------------------------


def test_R05_a_view_narrower_than_the_course_makes_no_plan_for_everyone(stage: Stage, plant: Plant) -> None:
    def own_row_only(request: Request, handle: Handle) -> Response:
        narrow = [name for name in request.headers if name[0] != "authorization"]
        learner = ("authorization", f"Bearer {plant.mock.token('learner')}")
        return handle(evolve(request, headers=(*narrow, learner)) if request.path == FEED else request)

    client = stage.client()
    stage.tap.meddle = own_row_only
    with pytest.raises(PermissionDeniedError, match="sees the progress of 1") as narrow:
        client.resets.plan_everyone(plant.forklift)
    assert narrow.value.reason == "NARROW_VIEW"


@pytest.mark.parametrize(
    "answer",
    [html_page, empty, truncated, endless, leading_away, same_person_twice],
    ids=lambda f: f.__name__,
)
def test_R07_a_feed_that_cannot_be_relied_on_makes_no_plan(
    stage: Stage, plant: Plant, answer: Callable[[Request, Handle], Response]
) -> None:
    client = stage.client(max_retry_seconds=0)
    good = client.resets.plan_everyone(plant.courses[FIRE])
    stage.tap.meddle = lambda request, handle: (
        answer(request, handle) if request.path == FEED else handle(request)
    )
    attempts: list[Callable[[], object]] = [
        partial(client.resets.plan_everyone, plant.forklift),
        partial(client.resets.plan, plant.forklift, plant.ids("anna", "cleo")),
        partial(client.resets.apply, good, confirm=typed(good)),
    ]
    for attempt in attempts:
        with nothing_changes(plant.mock), pytest.raises(DecodingError):
            attempt()
    assert not stage.tap.resets
