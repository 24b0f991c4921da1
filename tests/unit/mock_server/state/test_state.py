"""The whole state as one document: saved, loaded, compared and returned to."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from mock_server.world.courses import CourseStatus
from mock_server.world.people import Status
from mock_server.world.typed import StateError
from mock_server.world.webhooks import RESET_EVENT
from recount import recount
from unit.mock_server.core.speaker import (
    ANNA,
    FEED,
    FORKLIFT,
    RESET,
    WHO,
    Speaker,
    confirmation,
    course_id,
    recorded,
)

NOW = datetime(2026, 11, 30, 9, 0, 0, 123456, tzinfo=UTC)
Step = tuple[str, int, int]


def act(mock: MockTraining, step: Step) -> None:
    """Something that people, administrators and time do to a world."""
    kind, course_number, user_number = step
    world = mock.world
    course = list(world.courses)[course_number % len(world.courses)]
    user = sorted(world.main.people)[user_number % len(world.main.people)]
    learners = world.main.progress[course.id].roster
    learner = learners[user_number % len(learners)] if learners else None
    if kind == "learn" and learner:
        world.complete_course(course.id, learner)
    elif kind == "post" and learner:
        world.post_to_discussion(course.id, learner, "Ümlaut 🦺")
    elif kind == "reset":
        reset_everyone(mock, course.id, f"key-{user_number}")
    elif kind == "deactivate" and user not in {token.user_id for token in world.tokens.values()}:
        world.update_user(user, status=Status.DEACTIVATED)
    elif kind == "archive":
        world.update_course(course.id, status=CourseStatus.ARCHIVED)
    elif kind == "wait":
        world.clock.advance(timedelta(hours=user_number))


def reset_everyone(mock: MockTraining, course: str, key: str = "") -> int:
    title, users = mock.world.course(course).title, len(recorded(mock, course))
    headers = {"idempotency_key": key} if key else {}
    return Speaker(mock).reset(course, None, (title, users), **headers).status


KINDS = st.sampled_from(["learn", "post", "reset", "deactivate", "archive", "wait"])
STEPS = st.lists(st.tuples(KINDS, st.integers(0, 13), st.integers(0, 63)), max_size=6)


@settings(max_examples=25, deadline=None)
@given(STEPS, STEPS)
def test_a_saved_world_is_loaded_as_it_was_and_goes_on_as_it_would_have(
    before: list[Step], after: list[Step]
) -> None:
    mock = MockTraining.demo(now=NOW)
    for step in before:
        act(mock, step)
    document = json.loads(json.dumps(mock.state()))
    twin = MockTraining.load(document)
    assert twin.state() == document
    assert twin.world.snapshot() == mock.world.snapshot()
    for step in after:
        act(mock, step)
        act(twin, step)
    assert twin.state() == mock.state()
    assert Speaker(twin).get(FEED).body == Speaker(mock).get(FEED).body
    for each in twin.world.courses:
        assert vars_of(twin, each.id) == recount(twin.world.main, each.id)


def vars_of(mock: MockTraining, course: str) -> dict[str, int]:
    progress = mock.world.main.progress[course]
    tally = progress.tally
    return {
        "total": len(progress.roster),
        "opened": tally.opened,
        "completed": tally.completed,
        "recorded": tally.recorded,
        "score_sum": tally.score_sum,
    }


@settings(max_examples=25, deadline=None)
@given(STEPS, STEPS)
def test_a_rollback_leaves_no_difference_and_keeps_every_reference(
    before: list[Step], after: list[Step]
) -> None:
    mock = MockTraining.demo(now=NOW)
    world, clock = mock.world, mock.world.clock
    for step in before:
        act(mock, step)
    mark = mock.state()
    for step in after:
        act(mock, step)
    mock.rollback(mark)
    assert mock.diff(mark) == ()
    assert mock.state() == mark
    assert (mock.world is world, mock.world.clock is clock) == (True, True)
    assert Speaker(mock).get(WHO).status == 200


def test_the_document_does_not_follow_the_world() -> None:
    mock = MockTraining.demo(now=NOW)
    mark = mock.state()
    copy = deepcopy(mark)
    mock.world.complete_course(FORKLIFT, ANNA)
    reset_everyone(mock, course_id(mock))
    assert mark == copy


def test_a_file_holds_it_all(tmp_path: Path) -> None:
    mock = MockTraining.generate(users=5, courses=3, policy=Policy(late_writes="accepted"), now=NOW)
    mock.save(tmp_path / "world.json")
    twin = MockTraining.load(tmp_path / "world.json")
    assert twin.state() == mock.state()
    assert twin.policy == Policy(late_writes="accepted")
    assert twin.token("admin") == mock.token("admin")
    assert twin.world.clock.now() == NOW


def test_a_running_clock_goes_on_from_where_it_is() -> None:
    mock = MockTraining.demo()
    mock.world.clock.advance(timedelta(days=3))
    twin = MockTraining.load(mock.state())
    assert timedelta(days=3) <= twin.world.clock.now() - datetime.now(UTC) + timedelta(seconds=1)


def test_kept_answers_are_replayed_in_the_loaded_world() -> None:
    mock = MockTraining.demo(now=NOW)
    users = recorded(mock)[:1]
    first = Speaker(mock).reset(course_id(mock), users, (FORKLIFT, 1), idempotency_key="k")
    twin = MockTraining.load(mock.state())
    again = Speaker(twin).reset(course_id(mock), users, (FORKLIFT, 1), idempotency_key="k")
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert [entry.outcome for entry in twin.audit] == ["done", "replayed"]


def test_a_revoked_token_opens_again_after_a_rollback_and_a_new_one_does_not() -> None:
    mock = MockTraining.demo(now=NOW)
    mark = mock.state()
    mock.world.tokens.clear()
    assert Speaker(mock).get(WHO).status == 401
    mock.rollback(mark)
    assert Speaker(mock).get(WHO).status == 200


# --- R15, R16: what a document can be used for, and what not -------------------------------------------------------


def test_R15_a_document_made_after_a_reset_knows_nothing_of_before() -> None:
    mock = MockTraining.demo(now=NOW)
    user = recorded(mock)[0]
    record = mock.world.record(FORKLIFT, user)
    assert record is not None
    assert record.opened_at in json.dumps(mock.state())
    marks = [each.id for each in record.attempts]
    marks += [each.id for each in record.submissions]
    marks += [each.id for each in record.posts]
    reset_everyone(mock, course_id(mock), "key")
    text = json.dumps(mock.state())
    assert marks
    assert [each for each in marks if each in text] == []


def test_R16_the_differences_of_a_reset_are_exactly_what_a_reset_does() -> None:
    mock = MockTraining.demo(now=NOW)
    course, (user, *_) = course_id(mock), recorded(mock)
    before = mock.state()
    Speaker(mock).reset(course, [user], (FORKLIFT, 1))
    found = {(each.what, each.kind, each.key[-1]) for each in mock.diff(before)}
    certificates = {each for each in found if each[1] == "certificate"}
    assert found - certificates == {
        ("removed", "record", user),
        ("added", "reset mark", user),
        ("added", "audit entry", "1"),
        ("changed", "enrolment", user),
        *(("added", "notification", each.id) for each in mock.outbox),
    }
    assert {what for what, _, _ in certificates} <= {"removed"}


def test_a_difference_says_what_in_words() -> None:
    mock = MockTraining.demo(now=NOW)
    before = mock.state()
    mock.world.update_user(ANNA, first_name="Änne", notifications=False)
    (change,) = mock.diff(before)
    assert str(change) == f"changed person {ANNA} (first_name, notifications)"
    assert (change.before["first_name"], change.after["first_name"]) == ("Anna", "Änne")
    user = mock.world.main.progress[course_id(mock)].roster[0]
    middle = mock.state()
    reset_everyone(mock, course_id(mock))
    email = mock.world.user(user).email
    assert f'removed record "Forklift basics", {email}' in {str(each) for each in mock.diff(middle)}
    assert all(each.fields == () for each in mock.diff(middle) if each.what != "changed")


def test_what_only_time_does_is_no_difference() -> None:
    mock = MockTraining.demo(now=NOW)
    before = mock.state()
    mock.world.clock.advance(timedelta(days=1))
    Speaker(mock).get(FEED)
    assert mock.diff(before) == ()
    assert mock.state() != before


def test_every_part_of_a_document_is_seen_by_diff() -> None:
    """Whatever single value is changed, save for time and ids, shows; else a part of the world would escape."""
    mock = MockTraining.demo(now=NOW)
    Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(recorded(mock))), idempotency_key="k")
    hook = {"url": "http://127.0.0.1:9/", "trigger_events": [RESET_EVENT]}
    assert Speaker(mock).post("/webhooks/v1/webhooks", hook).status == 200
    assert Speaker(mock).post("/webhooks/v1/token", {}).status == 200
    document = mock.state()
    free = {"format", "version", "clock", "ids", "main", "token_names"}
    for name, value in document.items():
        if name in free:
            continue
        changed = {**document, name: [] if isinstance(value, list) else {}}
        assert value, name
        assert mock.diff(changed) != (), name
    for name, value in document["organisations"][0].items():
        if name in {"id", "name"}:
            continue
        organisation = {**document["organisations"][0], name: []}
        assert value, name
        assert (
            mock.diff({**document, "organisations": [organisation, *document["organisations"][1:]]}) != ()
        ), name


# --- documents that do not fit -----------------------------------------------------------------------------------


Damage = Callable[[dict[str, Any]], object]
DAMAGES: list[tuple[Damage, str]] = [
    (lambda d: d.update(format="other"), r"\$\.format must be one of training-mock-state, not 'other'"),
    (lambda d: d.update(version=2), r"\$\.version"),
    (lambda d: d.update(colour="red"), r"\$: there is no field colour in a State"),
    (lambda d: d.pop("organisations"), r"\$: .*organisations"),
    (lambda d: d.update(main="role_0"), r"\$\.main: there is no organisation role_0"),
    (
        lambda d: d["organisations"][0].update(people={}),
        r"\$\.organisations\[0\]\.people must be of type list",
    ),
    (
        lambda d: d["organisations"][0]["people"][3].update(seat="THRONE"),
        r"\.people\[3\]\.seat must be a Seat",
    ),
    (
        lambda d: d["organisations"][0]["people"][3].update(notifications=1),
        r"notifications must be of type bool",
    ),
    (lambda d: d["organisations"][0]["people"][3].update(permission_sets=["x"]), "no permission set x"),
    (lambda d: d["organisations"][0]["people"][3].update(organisation_id="x"), r"people\[3\] belongs to x"),
    (lambda d: d["organisations"][0]["people"].append(d["organisations"][0]["people"][0]), "twice"),
    (lambda d: d["organisations"][0]["courses"].append(d["organisations"][0]["courses"][0]), "twice"),
    (
        lambda d: d["organisations"][0]["courses"][0]["records"].update(x={"modified_at": "?"}),
        "must be a datetime",
    ),
    (
        lambda d: d["organisations"][0]["courses"][0]["reset_at"].update(x="2026-01-01T00:00:00Z"),
        r"courses\[0\]: there is no user x",
    ),
    (lambda d: d["organisations"][0]["courses"][0]["enrolments"].clear(), r"enrolments lacks user_"),
    (lambda d: d["policy"].update(eligibility="all"), r"\$\.policy\.eligibility"),
    (lambda d: d["policy"].update(max_users_per_reset=0), r"\$\.policy: policy max_users_per_reset"),
    (
        lambda d: next(iter(d["tokens"].values())).update(user_id="x"),
        "there is no user x in its organisation",
    ),
    (lambda d: d["clock"].update(ahead_seconds="1"), r"\$\.clock\.ahead_seconds must be of type float"),
    (lambda d: d["clock"].update(ahead_seconds=1e12), r"\$\.clock: a world's clock stands between"),
    (lambda d: d["clock"].update(ahead_seconds=1e300), r"\$\.clock: "),
    (
        lambda d: d["clock"].update(frozen_at="9999-12-31T00:00:00Z"),
        r"\$\.clock: a world's clock stands between",
    ),
    (lambda d: d["ids"].update(key="00"), r"\$\.ids: 'key' must match"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGES)
def test_a_faulty_document_is_refused_by_place_and_changes_nothing(damage: Damage, said: str) -> None:
    mock = MockTraining.demo(now=NOW)
    mark = mock.state()
    faulty = deepcopy(mark)
    damage(faulty)
    with pytest.raises(StateError, match=said):
        MockTraining.load(faulty)
    with pytest.raises(StateError, match=said):
        mock.rollback(faulty)
    assert mock.state() == mark


def test_what_is_no_document_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{]")
    with pytest.raises(StateError, match=r"x\.json is not JSON"):
        MockTraining.load(tmp_path / "x.json")
    (tmp_path / "y.json").write_text("[1]")
    with pytest.raises(StateError, match=r"\$ must be of type dict"):
        MockTraining.load(tmp_path / "y.json")


def test_a_field_that_an_older_document_lacks_takes_its_default() -> None:
    document = MockTraining.demo(now=NOW).state()
    del (
        document["policy"]["late_writes"],
        document["outbox"],
        document["organisations"][0]["people"][0]["locale"],
    )
    twin = MockTraining.load(document)
    assert (twin.policy.late_writes, twin.outbox) == ("refused", ())


def test_R15_no_vendor_operation_leads_to_a_state() -> None:
    mock = MockTraining.demo(now=NOW)
    body = {"courseId": course_id(mock), "allUsers": True, "state": mock.state()["organisations"][0]["id"]}
    users = len(recorded(mock))
    answer = Speaker(mock).post(RESET, body, reset_confirmation=confirmation(FORKLIFT, users))
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    for path in ("/state", "/training/state", "/training/courseprogress/v1/rollback"):
        assert Speaker(mock).get(path).reason == "UNKNOWN_PATH"
