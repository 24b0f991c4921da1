"""The whole state as one document: saved, loaded, compared and returned to."""

from __future__ import annotations

import contextlib
import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy
from mock_server.world.codec import StateError
from mock_server.world.courses import CourseStatus
from mock_server.world.ledger import RESET_EVENT, Message, Webhook
from mock_server.world.people import Status
from recount import recount
from unit.mock_server.core.speaker import (
    ANNA,
    COURSES,
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
def test_a_saved_world_is_loaded_and_goes_on_as_it_was(before: list[Step], after: list[Step]) -> None:
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
def test_a_rollback_leaves_no_difference_and_all_references(before: list[Step], after: list[Step]) -> None:
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


def test_another_name_of_the_organisation_is_a_difference() -> None:
    mock = MockTraining.demo(now=NOW)
    before = mock.state()
    mock.world.main.name = "Südwerk"
    (change,) = mock.diff(before)
    assert (str(change), change.before) == ('changed organisation "Südwerk"', "Nordwerk Logistik")


def test_requests_that_count_against_a_limit_are_kept() -> None:
    mock = MockTraining.demo(now=NOW, policy=Policy(rate_limits="published"))
    before = mock.state()
    assert [Speaker(mock).get(COURSES).status for _ in range(200)][-1] == 200
    twin = MockTraining.load(mock.state())
    assert [Speaker(each).get(COURSES).status for each in (mock, twin)] == [429, 429]
    assert mock.diff(before) == ()
    mock.rollback(before)
    answer = Speaker(mock).get(COURSES)
    assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (200, "199")


def test_messages_that_wait_are_dropped_by_a_rollback() -> None:
    mock = MockTraining.demo(now=NOW)
    hook = Webhook("w", mock.world.main.id, "http://127.0.0.1:9/", (RESET_EVENT,), "")
    before = mock.state()
    mock.world.pending.append(Message(hook, "", "", "", "", "", ""))
    assert before == mock.state(), "what waits is no part of the state"
    mock.rollback(before)
    assert len(mock.world.pending) == 0


def test_R15_a_lagging_feed_shows_a_state_that_was_returned_to_at_once() -> None:
    mock = MockTraining.demo(now=NOW)
    mock.lag = timedelta(hours=1)
    course, query = course_id(mock), f"course_id={course_id(mock)}"
    before = Speaker(mock).rows(query)
    reset_everyone(mock, course)
    assert Speaker(mock).rows(query) == before
    mark = mock.state()
    mock.rollback(mark)
    assert mock.lag == timedelta(hours=1)
    now = Speaker(mock).rows(query)
    assert now == Speaker(MockTraining.load(mark)).rows(query) != before
    assert not any(row["opened_at"] for row in now)


def test_what_only_time_does_is_no_difference() -> None:
    mock = MockTraining.demo(now=NOW)
    before = mock.state()
    mock.world.clock.advance(timedelta(days=1))
    Speaker(mock).get(FEED)
    assert mock.diff(before) == ()
    assert mock.state() != before


def test_every_part_of_a_document_is_seen_by_diff() -> None:
    """Whatever single value is changed, save for time and ids, shows; else a part of the world would escape."""
    mock = MockTraining.demo(now=NOW, policy=Policy(late_writes="accepted"))
    Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(recorded(mock))), idempotency_key="k")
    hook = {"url": "http://127.0.0.1:9/", "trigger_events": [RESET_EVENT]}
    assert Speaker(mock).post("/webhooks/v1/webhooks", hook).status == 200
    assert Speaker(mock).post("/webhooks/v1/token", {}).status == 200
    document = mock.state()
    free = {"format", "version", "clock", "ids", "main", "token_names", "windows"}
    for name, value in document.items():
        if name in free:
            continue
        changed = {**document, name: [] if isinstance(value, list) else {}}
        assert value, name
        assert mock.diff(changed) != (), name


def test_R15_no_vendor_operation_leads_to_a_state() -> None:
    mock = MockTraining.demo(now=NOW)
    body = {"courseId": course_id(mock), "allUsers": True, "state": mock.state()["organisations"][0]["id"]}
    users = len(recorded(mock))
    answer = Speaker(mock).post(RESET, body, reset_confirmation=confirmation(FORKLIFT, users))
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    for path in ("/state", "/training/state", "/training/courseprogress/v1/rollback"):
        assert Speaker(mock).get(path).reason == "UNKNOWN_PATH"


def test_diff_takes_every_document_that_load_takes() -> None:
    mock = MockTraining.demo(now=NOW)
    Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(recorded(mock))), idempotency_key="k")
    document = mock.state()
    first = document["organisations"][0]
    taken = set()
    for depth, holder in enumerate((document, first, first["courses"][0])):
        for name in holder:
            older = deepcopy(document)
            del (older, older["organisations"][0], older["organisations"][0]["courses"][0])[depth][name]
            with contextlib.suppress(StateError):
                MockTraining.load(older)
                taken.add(name)
                assert {each.what for each in mock.diff(older)} <= {"added"}, name
    assert taken >= {"policy", "outbox", "audit", "kept_answers", "certificates", "records", "reset_at"}
    bare = {name: document[name] for name in ("clock", "ids", "main")}
    bare["organisations"] = [{"id": first["id"], "name": first["name"]}]
    assert MockTraining.load(bare).world.users == ()
    added = {each.kind for each in mock.diff(bare) if each.what == "added"}
    assert added >= {"person", "course", "token", "record", "certificate", "audit entry"}


def test_a_policy_that_a_document_lacks_is_the_usual_one() -> None:
    mock = MockTraining.demo(now=NOW)
    older = mock.state()
    del older["policy"]
    assert mock.diff(older) == ()
    mock.lag = timedelta(minutes=30)
    (change,) = mock.diff(older)
    assert (change.what, change.kind, change.fields) == ("changed", "policy", ("lag_seconds",))


def test_a_document_saved_before_sites_and_people_had_more_fields_still_loads() -> None:
    document = MockTraining.demo().state()
    for organisation in document["organisations"]:
        for site in organisation["sites"]:
            del site["creator_id"], site["meta_label"]
        for person in organisation["people"]:
            del person["last_seen_at"]
    for name in ("default_page_size", "other_feeds", "errors"):
        del document["policy"][name]
    mock = MockTraining.load(document)
    assert mock.policy == Policy()
    assert {site.creator_id for site in mock.world.main.sites.values()} == {""}
    assert mock.diff(document) == ()
