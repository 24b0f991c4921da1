"""R01 to R05: who may reset, and who may see what, through both clients and both doors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract.conftest import NewStage
from contract.everything import everything
from contract.plant import FORKLIFT, RECORDED, Plant, grow, nothing_changes
from contract.stage import Stage, confirming, metadata, reason, typed
from mock_server import Policy
from mock_server.mock import TokenName
from mock_server.world.people import Status
from training_sdk import (
    AuthenticationError,
    NotFoundError,
    Outcome,
    PermissionDeniedError,
)

USERS_PERMISSION, TRAINING_PERMISSION = "Platform management: Users", "Training: Administration"


# --- R01, R02 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["manager", "teamlead"])
def test_R01_a_reset_of_listed_users_needs_its_permission(stage: Stage, plant: Plant, who: TokenName) -> None:
    client = stage.client(who)
    plan = client.resets.plan(plant.forklift, plant.ids("anna"))
    with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError, match=USERS_PERMISSION) as refused:
        client.resets.apply(plan, confirm=typed(plan))
    assert (refused.value.status, refused.value.reason) == (403, "PERMISSION_DENIED")
    assert dict(refused.value.info.metadata)["permission"] == USERS_PERMISSION
    assert refused.value.report is not None
    assert refused.value.report.counts[Outcome.FAILED] == 1


def test_R01_a_learner_can_neither_keep_evidence_nor_send_a_reset(stage: Stage, plant: Plant) -> None:
    client = stage.client("learner")
    plan = client.resets.plan(plant.forklift, plant.ids("anna"))
    with nothing_changes(plant.mock):
        with pytest.raises(PermissionDeniedError) as refused:
            client.resets.apply(plan, confirm=typed(plan))
        body = {"courseId": plant.forklift, "userIds": plant.ids("anna")}
        answer = stage.reset(body, confirming(FORKLIFT, 1), who="learner")
    assert (refused.value.status, refused.value.reason) == (403, "PERMISSION_DENIED")
    assert (answer.status_code, reason(answer)) == (403, "PERMISSION_DENIED")
    assert metadata(answer)["permission"] == USERS_PERMISSION
    assert len(stage.tap.resets) == 1, "the one sent by hand"


def test_R02_by_policy_only_training_administration_resets_everyone(new_stage: NewStage) -> None:
    plant = grow(Policy(everyone_permission="Training: Administration"))
    stage = new_stage(plant.mock)
    answer = stage.reset(
        {"courseId": plant.forklift, "allUsers": True}, confirming(FORKLIFT, 4), who="resetter"
    )
    assert (answer.status_code, metadata(answer)["permission"]) == (403, TRAINING_PERMISSION)
    manager = stage.client("manager")
    listed = manager.resets.plan(plant.forklift, plant.ids("anna"))
    with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError, match=USERS_PERMISSION):
        manager.resets.apply(listed, confirm=typed(listed))
    plan = manager.resets.plan_everyone(plant.forklift)
    report = manager.resets.apply(plan, confirm=typed(plan), server_side=True)
    assert report.reset_count == 4
    assert all(row.progress_percent == 0 for row in manager.progress.list(course_id=plant.forklift))


@pytest.mark.parametrize(
    ("who", "missing"), [("resetter", TRAINING_PERMISSION), ("manager", USERS_PERMISSION)]
)
def test_R02_by_policy_everyone_takes_both_rights(new_stage: NewStage, who: TokenName, missing: str) -> None:
    plant = grow(Policy(everyone_permission="both"))
    stage = new_stage(plant.mock)
    everyone = {"courseId": plant.forklift, "allUsers": True}
    preview = "/training/courseprogress/v1/reset:preview"
    with nothing_changes(plant.mock):
        refused = [
            stage.reset(everyone, confirming(FORKLIFT, 4), who=who),
            stage.send("POST", preview, who, body=everyone),
        ]
    for each in refused:
        assert (each.status_code, reason(each)) == (403, "PERMISSION_DENIED")
        told = metadata(each)
        assert (told["permission"], told["allOf"]) == (missing, f"{USERS_PERMISSION}, {TRAINING_PERMISSION}")
        assert f'both permissions "{USERS_PERMISSION}" and "{TRAINING_PERMISSION}"' in each.json()["message"]
    listed = stage.send("POST", preview, who, body={"courseId": plant.forklift, "userIds": plant.ids("anna")})
    assert listed.status_code == (200 if who == "resetter" else 403), "listed users take the one of R01"
    assert stage.reset(everyone, confirming(FORKLIFT, 4)).json() == {"usersUpdated": 4}


@pytest.mark.parametrize(("who", "status"), [("resetter", 400), ("manager", 403)])
def test_R02_an_empty_scope_takes_either_right(new_stage: NewStage, who: TokenName, status: int) -> None:
    """R04 comes before R07: whoever may reset listed users is told what is wrong with the body."""
    stage = new_stage(grow(Policy(everyone_permission="both")).mock)
    assert stage.reset({"courseId": "x"}, who=who).status_code == status


# --- R03 -------------------------------------------------------------------------------------------------------------


def test_R03_a_token_revoked_between_plan_and_apply_resets_nothing(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    plant.mock.world.update_user(plant.id("ada"), status=Status.DEACTIVATED)
    with nothing_changes(plant.mock), pytest.raises(AuthenticationError):
        client.resets.apply(plan, confirm=typed(plan))


def test_R03_another_organisation_does_not_exist(stage: Stage, plant: Plant) -> None:
    outsider = stage.client("outsider")
    assert [course.id for course in outsider.courses.list()] == [plant.courses["foreign"]]
    assert list(outsider.courses.list(ids=[plant.forklift])) == []
    assert list(outsider.progress.list(course_id=plant.forklift)) == []
    assert {row.user_id for row in outsider.progress.list()} == {plant.id("stranger")}
    assert list(outsider.analytics.course_statistics(course_ids=[plant.forklift])) == []
    for attempt in (
        lambda: outsider.courses.get(plant.forklift),
        lambda: outsider.courses.lessons(plant.forklift),
        lambda: list(outsider.analytics.lesson_progress(plant.id("anna"))),
        lambda: outsider.resets.plan_everyone(plant.forklift),
        lambda: outsider.resets.plan(plant.courses["foreign"], plant.ids("anna")),
        lambda: outsider.courses.update_assignments(plant.courses["foreign"], add_users=plant.ids("anna")),
        lambda: outsider.courses.update_assignments(plant.forklift, add_users=plant.ids("stranger")),
    ):
        with nothing_changes(plant.mock), pytest.raises(NotFoundError) as missing:
            attempt()
        assert missing.value.status in (404, None)


@pytest.mark.parametrize("who", ["admin", "outsider"])
def test_R03_no_answer_to_one_organisation_names_a_thing_of_the_other(plant: Plant, who: TokenName) -> None:
    world = plant.mock.world
    (other,) = [org for org in world.organisations.values() if (org is world.main) == (who == "outsider")]
    ids = [other.id, *other.people, *other.courses, *other.groups, *other.sites, *other.permission_sets]
    ids += [lesson.id for course in other.courses.values() for lesson in course.lessons]
    for asked, answer in everything(plant.mock, who).items():
        told = [one for one in ids if one.encode() in answer and one not in asked]
        assert told == [], asked


# --- R04 -------------------------------------------------------------------------------------------------------------


def test_R04_a_learner_cannot_reset_even_themselves(stage: Stage, plant: Plant) -> None:
    learner = stage.client("learner")
    plan = learner.resets.plan(plant.forklift, [learner.users.me().user_id])
    with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError):
        learner.resets.apply(plan, confirm=typed(plan))


# --- R05 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("admin", {*RECORDED, "emil"}),
        ("manager", {*RECORDED, "emil"}),
        ("teamlead", {"anna", "dora"}),
        ("learner", {"anna"}),
        ("resetter", set()),
    ],
)
def test_R05_permissions_limit_progress(stage: Stage, plant: Plant, who: TokenName, seen: set[str]) -> None:
    client = stage.client(who)
    assert plant.names(row.user_id for row in client.progress.list(course_id=plant.forklift)) == seen
    attempts = stage.send(
        "GET", f"/training/analytics/v1/lessons/attempts?courseId={plant.forklift}", who
    ).json()
    assert plant.names(item["userId"] for item in attempts["items"]) == seen & {"anna", "ben", "cleo"}
    for name in ("anna", "ben", "dora"):
        if name in seen:
            lessons = list(client.analytics.lesson_progress(plant.id(name), course_id=plant.forklift))
            assert len(lessons) == 5
        else:
            with pytest.raises(NotFoundError):
                list(client.analytics.lesson_progress(plant.id(name)))


def test_R05_course_statistics_count_whom_one_may_see(stage: Stage, plant: Plant) -> None:
    def figures(who: TokenName) -> tuple[int, int | None, int]:
        (found,) = stage.client(who).analytics.course_statistics(course_ids=[plant.forklift])
        return found.total_users, found.opened_count, found.completed_count

    assert figures("admin") == figures("manager") == (5, 4, 2)
    assert figures("teamlead") == (2, 2, 1)


def test_R05_planning_without_the_right_to_read_is_refused(stage: Stage, plant: Plant) -> None:
    resetter = stage.client("resetter")
    attempts: list[Callable[[], object]] = [
        lambda: resetter.resets.plan_everyone(plant.forklift),
        lambda: resetter.resets.plan(plant.forklift, plant.ids("anna")),
        lambda: resetter.resets.plan(plant.forklift, plant.ids("anna"), only="completed"),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDeniedError, match=TRAINING_PERMISSION) as refused:
            attempt()
        assert "Manage teams" in refused.value.message
    assert not stage.tap.resets


def test_R05_a_team_leads_plan_for_everyone_holds_the_team_they_see(stage: Stage, plant: Plant) -> None:
    plan = stage.client("teamlead").resets.plan_everyone(plant.forklift)
    assert plant.names(user.user_id for user in plan.users) == {"anna", "dora"}
    with nothing_changes(plant.mock), pytest.raises(PermissionDeniedError):
        stage.client("teamlead").resets.apply(plan, confirm=typed(plan))
