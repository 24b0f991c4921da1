"""R06 to R11: confirmation, scope, who is eligible, and the same request sent twice."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest

from contract.conftest import NewStage
from contract.plant import DRAFT, FIRE, FORKLIFT, RECORDED, Plant, grow, nothing_changes, state
from contract.stage import RESET, Handle, Stage, confirming, metadata, reason, typed
from mock_server import MockTraining, Policy
from mock_server.wire.message import Request, Response
from mock_server.world.people import Seat, Status
from training_sdk import ConfirmationError, NotFoundError, Outcome, StalePlanError

# --- R06 -------------------------------------------------------------------------------------------------------------


def test_R06_the_sdk_sends_nothing_without_the_phrase_of_this_very_plan(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    other = client.resets.plan_everyone(plant.courses[FIRE])
    one = client.resets.plan(plant.forklift, plant.ids("anna"))
    phrase = typed(plan)
    wrong: list[Any] = [
        "",
        "yes",
        True,
        None,
        phrase.upper(),
        phrase + " ",
        phrase[:-7],
        plan.digest,
        phrase.encode(),
    ]
    for confirm in [*wrong, typed(other), typed(one)]:
        with pytest.raises(ConfirmationError) as refused:
            client.resets.apply(plan, confirm=confirm)
        assert phrase in refused.value.message
    assert not stage.tap.resets


def test_R06_a_request_without_a_confirmation_changes_nothing(stage: Stage, plant: Plant) -> None:
    scopes: list[dict[str, Any]] = [{"allUsers": True}, {"userIds": plant.ids(*RECORDED)}]
    for scope in scopes:
        with nothing_changes(plant.mock):
            answer = stage.reset({"courseId": plant.forklift} | scope)
        assert (answer.status_code, reason(answer)) == (428, "CONFIRMATION_REQUIRED")


@pytest.mark.parametrize(
    ("title", "users"),
    [
        (FORKLIFT, 3),
        (FORKLIFT, 5),
        (FORKLIFT, 0),
        (FORKLIFT, -4),
        (FIRE, 4),
        ("forklift basics", 4),
        (FORKLIFT + " ", 4),
        ("", 4),
    ],
)
def test_R06_a_confirmation_that_is_not_true_changes_nothing_and_is_told_what_is(
    stage: Stage, plant: Plant, title: str, users: int
) -> None:
    with nothing_changes(plant.mock):
        answer = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(title, users))
    assert (answer.status_code, reason(answer)) == (412, "CONFIRMATION_MISMATCH")
    assert metadata(answer) == {"courseTitle": FORKLIFT, "users": "4"}


_FORMS = [
    "",
    "yes",
    "[]",
    '"Forklift basics"',
    '{"courseTitle": "Forklift basics"}',
    '{"users": 4}',
    '{"courseTitle": "Forklift basics", "users": "4"}',
    '{"courseTitle": "Forklift basics", "users": true}',
    '{"courseTitle": "Forklift basics", "users": 4.0}',
    '{"courseTitle": "Forklift basics", "users": null}',
    '{"courseTitle": 4, "users": 4}',
    '{"courseTitle": "Forklift basics", "users": 4, "force": true}',
    '{"courseTitle": "Forklift basics", "users": 4, "users": 4}',
    '{"courseTitle": "Forklift basics", "users": 4} {}',
    '{"courseTitle": "Forklift basics", "users": 4',
    '{"course_title": "Forklift basics", "users": 4}',
    json.dumps({"courseTitle": "x" * 17_000, "users": 4}),
]


def test_R06_a_confirmation_of_another_form_is_400_and_changes_nothing(stage: Stage, plant: Plant) -> None:
    for header in _FORMS:
        with nothing_changes(plant.mock):
            answer = stage.reset(
                {"courseId": plant.forklift, "allUsers": True}, {"Reset-Confirmation": header}
            )
        assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), header
        assert "Reset-Confirmation" in answer.json()["message"], header


TITLES = [
    'The "big" one',
    "Gefahrgut für Anfänger – Teil 2",
    "🚜 + 👷🏽‍♀️",
    "Ünïcödé" * 70,
    "back\\slash & <b>",
    "many   spaces\u00a0here",
]


@pytest.mark.parametrize("title", TITLES, ids=range(len(TITLES)))
def test_R06_any_title_can_be_confirmed_and_only_that_title(stage: Stage, plant: Plant, title: str) -> None:
    plant.mock.world.update_course(FORKLIFT, title=title)
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    assert plan.phrase == typed(plan)
    with nothing_changes(plant.mock):
        answer = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(title + "!", 4))
    assert (answer.status_code, metadata(answer)["courseTitle"]) == (412, title)
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 4


def test_R06_titles_are_compared_code_point_by_code_point(stage: Stage, plant: Plant) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Prüfung") for form in ("NFC", "NFD"))
    plant.mock.world.update_course(FORKLIFT, title=composed)
    with nothing_changes(plant.mock):
        answer = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(decomposed, 4))
    assert answer.status_code == 412


def test_R06_the_confirmation_is_checked_against_the_moment_of_the_reset(stage: Stage, plant: Plant) -> None:
    """Somebody starts after the last reading and before the reset arrives: the server says no, the plan is stale."""

    def somebody_starts(request: Request, handle: Handle) -> Response:
        if request.path == RESET:
            plant.mock.world.open(FORKLIFT, plant.id("emil"))
        return handle(request)

    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    stage.tap.meddle = somebody_starts
    with pytest.raises(StalePlanError) as stale:
        client.resets.apply(plan, confirm=typed(plan), server_side=True)
    assert (stale.value.status, stale.value.reason) == (412, "CONFIRMATION_MISMATCH")
    assert len(stage.tap.resets) == 1, "a refused confirmation is never adapted and sent again"
    assert stale.value.report is not None
    assert stale.value.report.reset_count == 0
    assert plant.mock.world.record(FORKLIFT, plant.id("anna")) is not None


def test_R06_confirmation_off_behaves_as_the_published_api(new_stage: NewStage) -> None:
    plant = grow(Policy(confirmation="off"))
    stage = new_stage(plant.mock)
    answer = stage.reset({"courseId": plant.forklift, "userIds": plant.ids("anna")}, confirming("wrong", 99))
    assert answer.json() == {"usersUpdated": 1}
    assert stage.reset({"courseId": plant.forklift, "allUsers": True}).json() == {"usersUpdated": 3}


# --- R07 -------------------------------------------------------------------------------------------------------------

_BODIES = {
    "both": '{"courseId": "C", "userIds": ["U"], "allUsers": true}',
    "both, one false": '{"courseId": "C", "userIds": ["U"], "allUsers": false}',
    "neither": '{"courseId": "C"}',
    "empty list": '{"courseId": "C", "userIds": []}',
    "null list": '{"courseId": "C", "userIds": null}',
    "null everyone": '{"courseId": "C", "allUsers": null}',
    "null in the list": '{"courseId": "C", "userIds": ["U", null]}',
    "everyone false": '{"courseId": "C", "allUsers": false}',
    "everyone as text": '{"courseId": "C", "allUsers": "true"}',
    "everyone as number": '{"courseId": "C", "allUsers": 1}',
    "a bare id": '{"courseId": "C", "userIds": "U"}',
    "an object": '{"courseId": "C", "userIds": {"0": "U"}}',
    "numbers": '{"courseId": "C", "userIds": [7]}',
    "an empty id": '{"courseId": "C", "userIds": [""]}',
    "a dot id": '{"courseId": "C", "userIds": [".."]}',
    "a slashed id": '{"courseId": "C", "userIds": ["U/../U"]}',
    "an unknown field": '{"courseId": "C", "allUsers": true, "dryRun": true}',
    "a misspelled field": '{"courseId": "C", "userIDs": ["U"]}',
    "a repeated key": '{"courseId": "C", "userIds": ["U"], "userIds": ["U"]}',
    "a repeated course": '{"courseId": "C", "courseId": "C", "allUsers": true}',
    "both spellings": '{"courseId": "C", "user_ids": ["U"], "userIds": ["U"]}',
    "both spellings of everyone": '{"courseId": "C", "all_users": true, "allUsers": true}',
    "no course": '{"allUsers": true}',
    "null course": '{"courseId": null, "allUsers": true}',
    "several courses": '{"courseId": ["C"], "allUsers": true}',
    "a list": '[{"courseId": "C", "allUsers": true}]',
    "null": "null",
    "an empty object": "{}",
}


def test_R07_scope_never_widens(stage: Stage, plant: Plant) -> None:
    for what, body in _BODIES.items():
        content = body.replace('"C"', json.dumps(plant.forklift)).replace('"U"', json.dumps(plant.id("anna")))
        for users in (1, 4):
            with nothing_changes(plant.mock):
                answer = stage.send(
                    "POST", RESET, content=content.encode(), headers=confirming(FORKLIFT, users)
                )
            assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT"), what


@pytest.mark.parametrize(
    "spelling", [("course_id", "user_ids"), ("courseId", "userIds"), ("course_id", "userIds")]
)
def test_R07_either_spelling_by_itself_means_the_same(
    stage: Stage, plant: Plant, spelling: tuple[str, str]
) -> None:
    course, users = spelling
    answer = stage.reset({course: plant.forklift, users: plant.ids("anna")}, confirming(FORKLIFT, 1))
    assert answer.json() == {"usersUpdated": 1}


def test_R07_the_sdk_sends_everyone_as_explicit_ids(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    client.resets.apply(plan, confirm=typed(plan))
    (sent,) = stage.tap.resets
    assert json.loads(sent.body) == {
        "courseId": plant.forklift,
        "userIds": [user.user_id for user in plan.targets],
    }
    assert plant.names(json.loads(sent.body)["userIds"]) == set(RECORDED)


# --- R08 -------------------------------------------------------------------------------------------------------------


def test_R08_an_unknown_id_fails_the_whole_call_and_is_named(stage: Stage, plant: Plant) -> None:
    unknown = "user_" + "f" * 32
    body = {"courseId": plant.forklift, "userIds": [*plant.ids("anna"), unknown]}
    with nothing_changes(plant.mock):
        answer = stage.reset(body, confirming(FORKLIFT, 1))
    assert (answer.status_code, reason(answer)) == (404, "USER_NOT_FOUND")
    assert unknown in answer.json()["message"]
    assert plant.id("anna") not in answer.text
    with pytest.raises(NotFoundError, match=unknown):
        stage.client().resets.plan(plant.forklift, [*plant.ids("anna"), unknown])


def test_R08_a_repeated_id_counts_once(stage: Stage, plant: Plant) -> None:
    body = {"courseId": plant.forklift, "userIds": plant.ids("anna", "cleo", "anna", "anna")}
    with nothing_changes(plant.mock):
        assert stage.reset(body, confirming(FORKLIFT, 4)).status_code == 412
    assert stage.reset(body, confirming(FORKLIFT, 2)).json() == {"usersUpdated": 2}
    assert [message.user_id for message in plant.mock.outbox] == plant.ids("anna", "cleo")
    plan = stage.client().resets.plan(plant.forklift, plant.ids("dora", "dora"))
    assert [user.user_id for user in plan.users] == plant.ids("dora")


@pytest.mark.parametrize("most", [3, 1000])
def test_R08_more_ids_than_the_policy_allows_are_refused_counted_as_sent(
    new_stage: NewStage, most: int
) -> None:
    plant = grow(Policy(max_users_per_reset=most))
    stage = new_stage(plant.mock)
    body = {"courseId": plant.forklift, "userIds": plant.ids("anna") * (most + 1)}
    with nothing_changes(plant.mock):
        answer = stage.reset(body, confirming(FORKLIFT, 1))
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    body["userIds"] = body["userIds"][:most]
    assert stage.reset(body, confirming(FORKLIFT, 1)).json() == {"usersUpdated": 1}


def test_R08_a_thousand_and_one_people_are_sent_in_chunks(new_stage: NewStage) -> None:
    mock = MockTraining.generate(users=1300, courses=1, seed=8)
    stage = new_stage(mock)
    (course,) = mock.world.courses
    client = stage.client()
    plan = client.resets.plan_everyone(course.id)
    assert len(plan.targets) > 1000
    report = client.resets.apply(plan, confirm=typed(plan))
    sent = [json.loads(request.body)["userIds"] for request in stage.tap.resets]
    assert [len(ids) for ids in sent] == [1000, len(plan.targets) - 1000]
    assert sorted(sent[0] + sent[1]) == sorted(user.user_id for user in plan.targets)
    assert report.is_complete
    assert report.reset_count == len(plan.targets)
    assert len(report.requests) == 2
    assert not any(row.has_recorded_progress for row in client.progress.list(course_id=course.id))


# --- R09 -------------------------------------------------------------------------------------------------------------


def test_R09_everyone_with_any_recorded_progress_is_reset_and_counted(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    assert plant.names(user.user_id for user in plan.targets) == set(RECORDED)
    report = client.resets.apply(plan, confirm=typed(plan))
    assert report.reset_count == 4
    assert {row.progress_percent for row in client.progress.list(course_id=plant.forklift)} == {0.0}


def test_R09_a_lone_discussion_post_is_progress_and_shows_in_the_feed(stage: Stage, plant: Plant) -> None:
    (row,) = stage.client().progress.list(course_id=plant.forklift, user_id=plant.id("dora"))
    assert row.opened_at is not None
    plant.mock.world.post_to_discussion(FIRE, plant.id("fay"), "Who has the key?")
    (row,) = stage.client().progress.list(course_id=plant.courses[FIRE], user_id=plant.id("fay"))
    assert (row.opened_at, row.completed_lessons, row.progress_percent) == (
        plant.mock.world.clock.now(),
        0,
        0,
    )
    assert row.has_recorded_progress


def test_R09_somebody_listed_who_is_not_eligible_is_left_alone_and_not_counted(
    stage: Stage, plant: Plant
) -> None:
    listed = ("anna", "emil", "fay", "gus", "dirk")
    body = {"courseId": plant.forklift, "userIds": plant.ids(*listed)}
    before = state(plant.mock)["organisations"]
    assert stage.reset(body, confirming(FORKLIFT, 1)).json() == {"usersUpdated": 1}
    after = state(plant.mock)["organisations"]
    main = plant.mock.world.main.id
    for name in listed[1:]:
        for part in ("records", "enrolments", "reset_at"):
            parts = [each[main][part][plant.forklift].get(plant.id(name)) for each in (before, after)]
            assert parts[0] == parts[1], (name, part)


def test_R09_by_policy_only_completions_are_reset(new_stage: NewStage) -> None:
    plant = grow(Policy(eligibility="completed"))
    stage = new_stage(plant.mock)
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift, only="completed")
    assert plant.names(user.user_id for user in plan.targets) == {"anna", "ben"}
    report = client.resets.apply(plan, confirm=typed(plan))
    assert report.counts[Outcome.RESET] == 2
    assert report.counts[Outcome.SKIPPED] == 3
    progress = {
        row.user_id: row.has_recorded_progress for row in client.progress.list(course_id=plant.forklift)
    }
    assert plant.names(user for user, recorded in progress.items() if recorded) == {"cleo", "dora"}
    # A plan that counts those in progress as well is not what this server does, and is refused whole.
    rest = client.resets.plan_everyone(plant.forklift)
    with nothing_changes(plant.mock), pytest.raises(StalePlanError):
        client.resets.apply(rest, confirm=typed(rest))


def test_R09_the_sdk_can_leave_out_those_who_have_not_completed(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan(plant.forklift, plant.ids("anna", "cleo", "emil"), only="completed")
    assert typed(plan).startswith('reset "Forklift basics" for 1 users #')
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 1
    assert plant.mock.world.record(FORKLIFT, plant.id("cleo")) is not None


# --- R10 -------------------------------------------------------------------------------------------------------------


def _assigned(stage: Stage, plant: Plant, course: str) -> set[str]:
    return plant.names(row.user_id for row in stage.client().progress.list(course_id=plant.courses[course]))


def test_R10_assigned_means_directly_by_group_by_site_or_by_universal_access(
    stage: Stage, plant: Plant
) -> None:
    client, draft = stage.client(), plant.courses[DRAFT]
    crew, night = plant.mock.world.main.groups
    (harbour,) = plant.mock.world.main.sites
    client.courses.update_assignments(draft, clear_all_users=True, confirm=DRAFT)
    assert _assigned(stage, plant, DRAFT) == set()
    client.courses.update_assignments(draft, add_users=plant.ids("fay"))
    assert _assigned(stage, plant, DRAFT) == {"fay"}
    client.courses.update_assignments(draft, add_groups=[night])
    assert _assigned(stage, plant, DRAFT) == {"fay", "anna"}
    client.courses.update_assignments(draft, add_sites=[harbour])
    assert _assigned(stage, plant, DRAFT) == {"fay", "anna", "dora"}
    client.courses.update_assignments(draft, remove_users=plant.ids("fay"), remove_sites=[harbour])
    assert _assigned(stage, plant, DRAFT) == {"anna"}
    client.courses.update_assignments(draft, universal_access=True)
    assert _assigned(stage, plant, DRAFT) == set(plant.people) - {"gus", "dirk", "stranger"}
    client.courses.update_assignments(draft, universal_access=False, remove_groups=[night], add_groups=[crew])
    assert _assigned(stage, plant, DRAFT) == {*RECORDED, "emil"}


def test_R10_a_plan_follows_the_assignments(stage: Stage, plant: Plant) -> None:
    """Unassigned, deactivated and guest: each takes somebody with progress out of the count of everyone."""
    client, world = stage.client(), plant.mock.world
    crew = next(iter(world.main.groups))
    changes: list[tuple[str, dict[str, Any]]] = [
        ("anna", {"groups": frozenset()}),
        ("ben", {"status": Status.DEACTIVATED}),
        ("cleo", {"seat": Seat.GUEST}),
    ]
    for name, change in changes:
        plan = client.resets.plan_everyone(plant.forklift)
        assert name in plant.names(user.user_id for user in plan.users)
        world.update_user(plant.id(name), **change)
        with nothing_changes(plant.mock), pytest.raises(StalePlanError, match=name.capitalize()):
            client.resets.apply(plan, confirm=typed(plan))
    plan = client.resets.plan_everyone(plant.forklift)
    assert plant.names(user.user_id for user in plan.targets) == {"dora"}
    assert client.resets.apply(plan, confirm=typed(plan), server_side=True).reset_count == 1
    world.update_user(plant.id("anna"), groups=frozenset([crew]))
    (row,) = client.progress.list(course_id=plant.forklift, user_id=plant.id("anna"))
    assert row.progress_percent == 100, "who was not assigned was not reset"


# --- R11 -------------------------------------------------------------------------------------------------------------


def _listed(plant: Plant, *names: str) -> dict[str, Any]:
    return {"courseId": plant.forklift, "userIds": plant.ids(*names)}


def test_R11_the_same_again_is_answered_byte_for_byte_without_a_second_effect(
    stage: Stage, plant: Plant
) -> None:
    sent = {**confirming(FORKLIFT, 1), "Idempotency-Key": "k-1"}
    first = stage.reset(_listed(plant, "anna"), sent)
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    with nothing_changes(plant.mock):
        again = stage.reset(_listed(plant, "anna"), sent)
    assert (
        (first.status_code, first.content)
        == (again.status_code, again.content)
        == (200, b'{"usersUpdated":1}')
    )
    assert [entry.outcome for entry in plant.mock.audit] == ["done", "replayed"]


def test_R11_other_content_under_the_same_key_is_refused(stage: Stage, plant: Plant) -> None:
    key = {"Idempotency-Key": "k-1"}
    assert stage.reset(_listed(plant, "anna"), confirming(FORKLIFT, 1) | key).status_code == 200
    for body, confirmation in (
        (_listed(plant, "ben"), confirming(FORKLIFT, 1)),
        (_listed(plant, "anna"), confirming(FORKLIFT, 0)),
        (_listed(plant, "anna"), {}),
        ({**_listed(plant, "anna"), "courseId": plant.courses[FIRE]}, confirming(FORKLIFT, 1)),
    ):
        with nothing_changes(plant.mock):
            answer = stage.reset(body, confirmation | key)
        assert (answer.status_code, reason(answer)) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_R11_a_key_belongs_to_its_actor_and_organisation(stage: Stage, plant: Plant) -> None:
    sent = {**confirming(FORKLIFT, 1), "Idempotency-Key": "k-1"}
    assert stage.reset(_listed(plant, "anna"), sent, who="admin").json() == {"usersUpdated": 1}
    plant.mock.world.complete_course(FORKLIFT, plant.id("anna"))
    assert stage.reset(_listed(plant, "anna"), sent, who="resetter").json() == {"usersUpdated": 1}
    assert plant.mock.world.record(FORKLIFT, plant.id("anna")) is None
    foreign = {"courseId": plant.courses["foreign"], "allUsers": True}
    assert stage.reset(foreign, sent, who="outsider").json() == {"usersUpdated": 1}


def test_R11_only_successes_are_kept(stage: Stage, plant: Plant) -> None:
    key = {"Idempotency-Key": "k-1"}
    for confirmation, status in (
        ({}, 428),
        (confirming(FORKLIFT, 9), 412),
        (confirming(FORKLIFT, 1), 200),
        (confirming(FORKLIFT, 9), 422),
    ):
        assert stage.reset(_listed(plant, "anna"), confirmation | key).status_code == status


def test_R11_rights_are_checked_before_the_replay(stage: Stage, plant: Plant) -> None:
    sent = {**confirming(FORKLIFT, 1), "Idempotency-Key": "k-1"}
    assert stage.reset(_listed(plant, "anna"), sent).status_code == 200
    plant.mock.world.update_user(plant.id("ada"), permission_sets=frozenset[str]())
    assert stage.reset(_listed(plant, "anna"), sent).status_code == 403
    plant.mock.world.update_user(plant.id("ada"), status=Status.DEACTIVATED)
    assert stage.reset(_listed(plant, "anna"), sent).status_code == 401


@pytest.mark.parametrize("key", ["", "k 1", "k" * 256])
def test_R11_a_key_of_another_form_is_400(stage: Stage, plant: Plant, key: str) -> None:
    with nothing_changes(plant.mock):
        answer = stage.reset(_listed(plant, "anna"), confirming(FORKLIFT, 1) | {"Idempotency-Key": key})
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")


def test_R11_the_sdk_sends_a_key_that_is_one_with_the_plan(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan(plant.forklift, plant.ids("anna"))
    client.resets.apply(plan, confirm=typed(plan))
    (sent,) = stage.tap.resets
    with nothing_changes(plant.mock):
        again = plant.mock.handle(sent)
    assert (again.status, again.body) == (200, b'{"usersUpdated":1}')
    other = client.resets.plan(plant.forklift, plant.ids("cleo"))
    client.resets.apply(other, confirm=typed(other))
    keys = [request.header("idempotency-key") for request in stage.tap.resets]
    assert len(set(keys)) == 2
