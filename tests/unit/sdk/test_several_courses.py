"""Plans of several courses, their warnings and hard stops, and what becomes of people who move meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import define, evolve, field

from training_sdk import (
    AlreadyAppliedError,
    Code,
    DecodingError,
    EvidenceError,
    IncompleteResetError,
    InvalidArgumentError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    People,
    PermissionDeniedError,
    PlanMismatchError,
    Progress,
    ResetFormat,
    ResetInterruptedError,
    ResetPlan,
    Safeguards,
    StalePlanError,
    Waves,
    Where,
)
from training_sdk._core.flow import NotDeliveredError, Request, Response, Sleep
from training_sdk.evidence import verify_pack
from training_sdk.plans.planner import PlanOptions, make_plan
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report_file import last_resets, load
from training_sdk.resets import reset_request
from training_sdk.resets.outcomes import OutcomeTracker, failure_outcome
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Order
from training_sdk.resets.reset_run import apply_plan
from unit.sdk.fakes import (
    CALLS,
    START,
    Asker,
    FakeDriver,
    Organisation,
    answer,
    over_the_wire,
    row,
    tail,
    untouched,
    user_id,
)
from unit.sdk.resetting import apply

FIRST, SECOND, THIRD = "65f0c0ffee00000000000001", "65f0c0ffee00000000000002", "65f0c0ffee00000000000003"


def _always(said: Response, _: Request) -> Response:
    return said


@define
class Campus(Organisation):
    """An organisation with several courses, each with its people; ``rows`` holds those of all of them."""

    courses: dict[str, str] = field(factory=dict)
    """Titles by id."""
    statuses: dict[str, str] = field(factory=dict)
    paths: dict[str, list[str]] = field(factory=dict)
    said: dict[str, Response] = field(factory=dict)
    """Answers by path that are given as they are."""

    def row_of(self, number: int) -> dict[str, Any]:
        """The row of somebody in the first course."""
        return next(
            one for one in self.rows if (one["course_id"], one["user_id"]) == (FIRST, user_id(number))
        )

    def _routes(self) -> dict[str, Callable[[Request], Response]]:
        return {
            **Organisation._routes(self),
            "/training/paths/v1": self._list_paths,
            **{f"/training/paths/v1/{one}": self._path for one in self.paths},
            **{path: partial(_always, said) for path, said in self.said.items()},
        }

    def _course(self, course_id: str) -> dict[str, Any]:
        status = self.statuses.get(course_id, "Published")
        return {"id": course_id, "title": self.courses[course_id], "status": status}

    def _courses(self, request: Request) -> Response:
        wanted = parse_qs(urlsplit(request.target).query).get("courseIds", [*self.courses])
        return answer({"totalCount": len(wanted), "items": [self._course(one) for one in wanted]})

    def _feed(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.target).query)
        data = [
            one
            for one in self.rows
            if one["course_id"] in query.get("course_id", [one["course_id"]])
            and one["user_id"] in query.get("user_id", [one["user_id"]])
        ]
        return answer({"metadata": {"next_page": None}, "data": data})

    def _statistics(self, request: Request) -> Response:
        wanted = parse_qs(urlsplit(request.target).query).get("courseId", [*self.courses])
        items = [
            {
                "courseId": one,
                "totalUsers": sum(each["course_id"] == one for each in self.rows),
                "completedCount": 0,
            }
            for one in wanted
        ]
        return answer({"totalCount": len(items), "items": items})

    def _list_paths(self, request: Request) -> Response:
        items = [{"id": one, "title": f"Path {one}"} for one in self.paths]
        return answer({"totalCount": len(items), "items": items})

    def _path(self, request: Request) -> Response:
        path_id = request.path.rsplit("/", 1)[1]
        return answer(
            {
                "id": path_id,
                "title": f"Path {path_id}",
                "courses": [self._course(one) for one in self.paths[path_id]],
            }
        )

    def reset(self, request: Request) -> Response:
        body = json.loads(request.body or b"")
        others = [one for one in self.rows if one["course_id"] != body["courseId"]]
        here = [one for one in self.rows if one["course_id"] == body["courseId"]]
        self.rows[:] = here
        said = Organisation.reset(self, request)
        self.rows[:] = [*others, *here]
        return said


def campus(**other: Any) -> Campus:
    """Three courses: five people in the first, three of them in the second, one who has not begun in the third."""
    rows = [row(n, course_id=FIRST) for n in range(5)] + [row(n, course_id=SECOND) for n in range(2, 5)]
    rows.append({**untouched(0), "course_id": THIRD})
    courses = {FIRST: "Forklift basics", SECOND: "Ladders", THIRD: "Fire safety"}
    return Campus(rows, **{"courses": courses, **other})


def plan_of(place: Campus, courses: list[str], people: People | None = None, **wanted: Any) -> ResetPlan:
    made = FakeDriver(place).run(make_plan(CALLS, PlanOptions(tuple(courses), people, **wanted)))
    place.sent.clear()
    return made


# --- several courses ------------------------------------------------------------------------------------------------


def test_the_phrase_of_several_courses_counts_courses_and_different_people() -> None:
    plan = plan_of(campus(), [FIRST, SECOND])
    assert (len(plan.targets), plan.people) == (8, 5)
    assert plan.phrase == f"reset 2 courses for 5 users #{tail(plan.digest)}"
    with pytest.raises(InvalidArgumentError, match="has 2 courses"):
        _ = plan.course


def test_each_course_is_sent_by_itself_and_everybody_ends_once_in_each() -> None:
    place = campus()
    plan = plan_of(place, [FIRST, SECOND, THIRD])
    report = apply(place, plan)
    sent = [json.loads(request.body or b"") for request in place.resets]
    assert [(one["courseId"], len(one["userIds"])) for one in sent] == [(FIRST, 5), (SECOND, 3)]
    assert [user.key for user in report.users] == [user.key for user in plan.users]
    assert (report.counts[Outcome.RESET], report.counts[Outcome.NOTHING_TO_RESET]) == (8, 1)
    assert "'Ladders'" in str(report)
    report.raise_for_incomplete()


def test_people_named_are_planned_in_every_course_or_in_their_own() -> None:
    place = campus()
    everywhere = plan_of(place, [FIRST, SECOND], People.of([user_id(3)]))
    assert [user.key for user in everywhere.users] == [(FIRST, user_id(3)), (SECOND, user_id(3))]
    with pytest.raises(NotFoundError, match=SECOND):
        plan_of(place, [FIRST, SECOND], People.of([user_id(0)]))


def test_a_learning_path_adds_its_courses() -> None:
    place = campus(paths={"p1": [SECOND, THIRD]})
    plan = plan_of(place, [FIRST], paths=("p1",))
    assert [course.id for course in plan.courses] == [FIRST, SECOND, THIRD]
    with pytest.raises(NotFoundError, match="no learning path 'p2'"):
        plan_of(place, [FIRST], paths=("p2",))


UNREADABLE = {
    "an unknown form": answer({"id": "p1", "title": "Path p1", "steps": [{"id": SECOND}]}),
    "not JSON": answer(body=b"<html>"),
    "forbidden": answer({"code": 7, "message": "no"}, 403),
    "gone": answer({"code": 5, "message": "no"}, 404),
}


@pytest.mark.parametrize("said", UNREADABLE.values(), ids=UNREADABLE)
def test_a_learning_path_that_cannot_be_read_blocks_no_plan_and_is_noted(said: Response) -> None:
    place = campus(paths={"p1": [FIRST], "p2": [FIRST]})
    with mock.patch.dict(place.said, {"/training/paths/v1/p1": said}):
        plan = plan_of(place, [FIRST])
        noted = [warning for warning in plan.warnings if "is not known" in warning]
        assert len(noted) == 1
        assert noted[0].startswith(
            "It is not known whether the learning path 'Path p1' (p1) contains these courses: "
        )
        assert any("part of the learning path 'Path p2'" in warning for warning in plan.warnings)
        assert apply(place, plan).is_complete
        with pytest.raises((DecodingError, PermissionDeniedError, NotFoundError)) as caught:
            plan_of(place, [SECOND], paths=("p1",))
        assert caught.value.message in noted[0]


def test_an_unreadable_list_of_learning_paths_blocks_no_plan_and_is_noted() -> None:
    place = campus()
    with mock.patch.dict(place.said, {"/training/paths/v1": answer({"paths": [{"id": "p1"}]})}):
        plan = plan_of(place, [FIRST])
        assert any(
            one.startswith("It is not known whether a learning path contains these courses")
            for one in plan.warnings
        )
        with pytest.raises(DecodingError):
            plan_of(place, [FIRST], paths=("p1",))


def test_a_plan_is_not_applied_past_a_learning_path_that_has_become_readable() -> None:
    place = campus(paths={"p1": [FIRST]})
    with mock.patch.dict(place.said, {"/training/paths/v1/p1": UNREADABLE["not JSON"]}):
        plan = plan_of(place, [FIRST])
    with pytest.raises(StalePlanError, match="part of the learning path 'Path p1'") as caught:
        apply(place, plan)
    assert (caught.value.reason, place.resets) == ("WARNING_MISSING", [])


def test_one_person_is_asked_for_alone() -> None:
    place = campus()
    FakeDriver(place).run(make_plan(CALLS, PlanOptions((FIRST, SECOND), People.of([user_id(3)]))))
    feeds = [request.target for request in place.sent if "feed" in request.path]
    assert len(feeds) == 2
    assert all(f"user_id={user_id(3)}" in target for target in feeds)


# --- what is selected, and what is said -----------------------------------------------------------------------------


def test_where_leaves_others_in_scope_and_out_of_the_reset() -> None:
    place = campus()
    place.rows[0]["score"] = 50
    plan = plan_of(place, [FIRST], where=Where(score_below=60))
    assert [user.user_id for user in plan.targets] == [user_id(0)]
    assert plan.selection == "score below 60"
    report = apply(place, plan)
    assert place.people_sent == [[user_id(0)]]
    assert [user.code for user in report.users] == [None] + [Code.LEFT_OUT] * 4
    assert report.is_complete


def test_a_selection_that_leaves_nobody_is_an_error_and_never_everyone() -> None:
    with pytest.raises(InvalidArgumentError, match="No person in scope"):
        plan_of(campus(), [FIRST], where=Where(score_below=1))


@pytest.mark.parametrize(
    "other", ["Forklift Basics", "Forklift basics (2019)", "Förklift basics", "Forklift  basic"]
)
def test_titles_that_a_hurried_eye_mixes_up_are_warned_of(other: str) -> None:
    plan = plan_of(campus(courses={FIRST: "Forklift basics", SECOND: other, THIRD: "Fire safety"}), [FIRST])
    (warning,) = plan.warnings
    assert SECOND in warning
    assert THIRD not in warning
    assert warning in str(plan)


def test_unpublished_courses_and_learning_paths_are_warned_of() -> None:
    place = campus(statuses={SECOND: "Archived"}, paths={"p1": [SECOND], "p2": [FIRST]})
    said = "\n".join(plan_of(place, [SECOND]).warnings)
    assert "not published (Archived)" in said
    assert "'Path p1'" in said
    assert "p2" not in said


@pytest.mark.parametrize("status", [403, 404, 501])
def test_learning_paths_that_cannot_be_read_are_told_of_and_no_obstacle(status: int) -> None:
    place = campus()
    place.paths = {}

    def asked(request: Request) -> Response:
        if request.path == "/training/paths/v1":
            return place._marked(answer({"code": 7, "message": "no"}, status))
        return place(request)

    plan = FakeDriver(asked).run(make_plan(CALLS, PlanOptions((FIRST,), None)))
    assert "is not known" in plan.warnings[-1]


def test_a_plan_itemises_what_goes() -> None:
    place = campus()
    place.rows[1] |= {"completed_at": "", "progress_percent": 40.0, "time_spent_seconds": 1800, "score": 0}
    plan = plan_of(place, [FIRST])
    losses = plan.losses
    assert (losses.people, losses.resets, losses.completions, losses.lessons, losses.scores) == (
        5,
        5,
        4,
        15,
        4,
    )
    assert losses.time_spent_seconds == 1800
    assert [user.user_id for user in plan.mid_course] == [user_id(1)]
    assert plan.notifications == 5
    assert (
        "A reset clears: 4 completions, 15 completed lessons, 4 scores, 0.5 h of time spent of 5 people"
        in str(plan)
    )


# --- hard stops -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [SECOND.upper(), f" {SECOND} ", f"{SECOND.title()}"])
def test_a_protected_course_is_protected_however_its_id_is_spelt(listed: str) -> None:
    guarded = Safeguards(protected_courses=[listed])
    with pytest.raises(InvalidArgumentError, match="protected"):
        plan_of(campus(), [SECOND], safeguards=guarded)
    assert plan_of(campus(), [FIRST], safeguards=guarded).courses


def test_a_protected_course_is_neither_planned_nor_applied(ask: Asker) -> None:
    place = campus(paths={"p1": [SECOND]})
    guarded = Safeguards(protected_courses=[SECOND])
    wanted: dict[str, Any]
    for wanted in ({"courses": [FIRST, SECOND]}, {"courses": [FIRST], "paths": ("p1",)}):
        with pytest.raises(InvalidArgumentError, match="protected") as refused:
            plan_of(place, safeguards=guarded, **wanted)
        assert refused.value.reason == "COURSE_PROTECTED"
    plan = plan_of(place, [FIRST, SECOND])
    with pytest.raises(InvalidArgumentError, match="protected"):
        ask(
            over_the_wire(place),
            lambda client: client.resets.apply(plan, confirm=plan.phrase),
            safeguards=guarded,
        )
    assert not place.resets


def test_more_people_than_allowed_are_neither_planned_nor_applied(ask: Asker) -> None:
    place = campus()
    plan_of(place, [FIRST], safeguards=Safeguards(max_users=5))
    with pytest.raises(InvalidArgumentError, match="5 people, and max_users is 4"):
        plan_of(place, [FIRST], safeguards=Safeguards(max_users=4))
    plan = plan_of(place, [FIRST])
    with pytest.raises(InvalidArgumentError, match="max_users is 4"):
        ask(
            over_the_wire(place),
            lambda client: client.resets.apply(plan, confirm=plan.phrase),
            safeguards=Safeguards(max_users=4),
        )
    assert not place.sent


@pytest.mark.parametrize(
    "wrong",
    [
        *({"max_users": 0}, {"max_users": True}, {"max_users": "5"}, {"plan_lifetime": timedelta(0)}),
        *({"plan_lifetime": 24}, {"four_eyes": "yes"}, {"four_eyes": "signed"}, {"protected_courses": "c"}),
        {"protected_courses": ["../x"]},
    ],
)
def test_safeguards_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Safeguards(**wrong)


def test_a_plan_expires_and_is_not_applied_before_it_was_made() -> None:
    place = campus()
    plan = plan_of(place, [FIRST], safeguards=Safeguards(plan_lifetime=timedelta(hours=1)))
    assert plan.expires_at - plan.read_at == timedelta(hours=1)
    for hours, reason in ((1.01, "PLAN_EXPIRED"), (-0.01, "PLAN_FROM_THE_FUTURE")):
        with pytest.raises(StalePlanError) as refused:
            apply(place, plan, puppet=FakeDriver(place, clock=hours * 3600))
        assert refused.value.reason == reason
    assert not place.resets
    assert apply(place, plan, puppet=FakeDriver(place, clock=3599)).is_complete


# --- in a file ------------------------------------------------------------------------------------------------------


def test_a_plan_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    plan = plan_of(campus(), [FIRST, SECOND], where=Where(score_below=95))
    path = tmp_path / "plan.json"
    plan.save(path)
    assert path.stat().st_mode & 0o077 == 0
    assert ResetPlan.load(path) == plan
    assert ResetPlan.load(path).phrase == plan.phrase
    with pytest.raises(InvalidArgumentError, match="never written over"):
        plan.save(path)


@pytest.mark.parametrize("number", range(40))
def test_a_plan_that_was_changed_in_its_file_is_refused(tmp_path: Path, number: int) -> None:
    plan = plan_of(campus(), [FIRST])
    path = tmp_path / "plan.json"
    plan.save(path)
    document = json.loads(path.read_text())
    user = document["users"][number % 5]
    name = sorted(user)[number % len(user)]
    user[name] = {"state": "completed"}.get(name, "65f0c0ffee00000000000009") if number % 2 else None
    path.write_text(json.dumps(document))
    if json.loads(path.read_text())["users"] == [*plan.document()["users"]]:
        return  # the change was none
    with pytest.raises(InvalidArgumentError, match=r"was changed|not a whole plan"):
        ResetPlan.load(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"digest": 1}', b'{"digest": "x", "form": 1}', b"x" * 99],
)
def test_what_is_no_plan_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"not a saved plan|form|not a whole plan"):
        ResetPlan.load(path)
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        ResetPlan.load(tmp_path / "absent.json")


def test_a_plan_put_together_by_hand_is_refused(ask: Asker) -> None:
    plan = plan_of(campus(), [FIRST])
    for odd in (
        evolve(plan, users=(*plan.users, plan.users[0])),
        evolve(plan, courses=()),
        evolve(plan, courses=plan.courses * 2),
        evolve(plan, users=(evolve(plan.users[0], course_id=SECOND),)),
    ):
        with pytest.raises(InvalidArgumentError, match="Plan again"):
            ask(over_the_wire(campus()), partial(_apply_unread, odd))


def _apply_unread(plan: ResetPlan, client: Any) -> Any:
    return client.resets.apply(plan, confirm="x")


# --- people who move ------------------------------------------------------------------------------------------------


def test_who_moved_is_left_alone_within_the_tolerance_and_the_count_is_fresh() -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    place.rows[1]["score"] = 91
    with pytest.raises(StalePlanError, match=r"No\. 1"):
        apply(place, plan)
    assert not place.resets
    report = apply(place, plan, tolerance=1)
    assert place.people_sent == [[user_id(0), user_id(2), user_id(3), user_id(4)]]
    assert json.loads(dict(place.resets[0].headers)["reset-confirmation"])["users"] == 4
    assert [user.code for user in report.users] == [None, Code.MOVED, None, None, None]
    assert not report.is_complete
    with pytest.raises(IncompleteResetError, match="1 of 5 resets") as incomplete:
        report.raise_for_incomplete()
    assert incomplete.value.report == report


def test_those_who_moved_are_added_up_over_all_courses() -> None:
    place = campus()
    plan = plan_of(place, [FIRST, SECOND])
    place.rows[0]["score"] = place.rows[5]["score"] = 91
    with pytest.raises(StalePlanError):
        apply(place, plan, tolerance=1)
    assert not place.resets
    assert apply(place, plan, tolerance=2).counts[Outcome.RESET] == 6


# --- how it goes ----------------------------------------------------------------------------------------------------


def test_it_stops_between_two_requests_when_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 2)
    place = campus()
    plan = plan_of(place, [FIRST])
    with pytest.raises(ResetInterruptedError, match="ended the reset") as stopped:
        apply(place, plan, stop=lambda: len(place.resets) == 2)
    report = stopped.value.report
    assert report is not None
    assert [user.code for user in report.users] == [None] * 4 + [Code.INTERRUPTED]
    assert report.counts[Outcome.RESET] == 4


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 2)
    place, told = campus(), list[Progress]()
    apply(place, plan_of(place, [FIRST]), on_progress=told.append)
    assert [(one.what, one.done, one.total) for one in told] == [
        ("evidence", 0, 5),
        *(
            (what, done + had, 5)
            for done, size in ((0, 2), (2, 2), (4, 1))
            for what, had in (("sending", 0), ("reset", size))
        ),
    ]


def test_waves_bound_the_requests_and_are_waited_for() -> None:
    place, slept = campus(), list[Sleep]()
    plan = plan_of(place, [FIRST])
    puppet = FakeDriver(place, on_sleep=slept.append)
    apply(place, plan, puppet=puppet, waves=Waves(size=2, every=timedelta(minutes=30)))
    assert [len(people) for people in place.people_sent] == [2, 2, 1]
    assert sum(one.seconds for one in slept) == pytest.approx(3600, abs=10)
    assert ["next wave" in one.why for one in slept] == [True, True]


def test_waves_that_would_outlast_the_plan_are_refused_before_anything_is_sent() -> None:
    place = campus()
    plan = plan_of(place, [FIRST], safeguards=Safeguards(plan_lifetime=timedelta(hours=1)))
    with pytest.raises(InvalidArgumentError, match="wave 3 would start at"):
        apply(place, plan, waves=Waves(size=2, every=timedelta(minutes=40)))
    assert not place.resets


def test_a_plan_that_expires_half_way_sends_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 2)
    place = campus()
    plan = plan_of(place, [FIRST], safeguards=Safeguards(plan_lifetime=timedelta(hours=1)))
    puppet = FakeDriver(place)

    def late(request: Request) -> Response:
        puppet.clock += 3000
        return place.reset(request)

    place.on_reset = late
    with pytest.raises(StalePlanError) as expired:
        apply(place, plan, puppet=puppet)
    assert expired.value.reason == "PLAN_EXPIRED"
    assert len(place.resets) == 2
    report = expired.value.report
    assert report is not None
    assert [user.code for user in report.users] == [None] * 4 + [Code.NOT_SENT]


def test_a_stop_is_heard_while_waiting_for_a_wave() -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    puppet = FakeDriver(place)
    with pytest.raises(ResetInterruptedError, match="ended the reset"):
        apply(
            place,
            plan,
            puppet=puppet,
            stop=lambda: puppet.clock > 600,
            waves=Waves(size=2, every=timedelta(hours=1)),
        )
    assert len(place.resets) == 1
    assert puppet.clock < 605


@pytest.mark.parametrize("when", ["busy", "refused"])
def test_whoever_learns_on_while_a_request_waits_for_its_next_try_is_left_alone(when: str) -> None:
    """Waiting is followed by another reading, and by another look at whether to stop."""
    place = campus()
    plan = plan_of(place, [FIRST])

    def busy(request: Request) -> Response:
        if len(place.resets) > 1:
            return place.reset(request)
        if when == "refused":
            raise NotDeliveredError("connection refused")
        return answer({}, 429, {"retry-after": "2"})

    def learn(sleep: Sleep) -> None:
        place.row_of(1)["completed_at"] = "2026-03-01T09:00:00Z"

    place.on_reset = busy
    report = apply(place, plan, puppet=FakeDriver(place, on_sleep=learn), tolerance=1)
    assert place.people_sent == [
        [user_id(n) for n in range(5)],
        [user_id(0), user_id(2), user_id(3), user_id(4)],
    ]
    assert report.users[1].code is Code.MOVED
    assert place.row_of(1)["completed_at"] == "2026-03-01T09:00:00Z"


def test_only_who_moved_is_said_to_have_moved() -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    place.rows[1]["score"] = 91
    with pytest.raises(StalePlanError) as stale:
        apply(place, plan)
    report = stale.value.report
    assert report is not None
    assert [user.code for user in report.users] == [Code.NOT_SENT, Code.MOVED, *[Code.NOT_SENT] * 3]
    assert {user.outcome for user in report.users} == {Outcome.SKIPPED}


def test_a_broken_progress_bar_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(progress: Progress) -> None:
        raise ValueError("no terminal")

    place = campus()
    assert apply(place, plan_of(place, [FIRST]), on_progress=broken).is_complete
    assert "on_progress failed" in caplog.text


def test_one_call_for_everyone_names_whoever_came_in_meanwhile() -> None:
    """One target is deactivated and somebody else returns: title and number still agree."""
    place = campus()
    plan = plan_of(place, [FIRST])

    def changed(request: Request) -> Response:
        place.rows[0] = row(9, course_id=FIRST)
        return place.reset(request)

    place.on_reset = changed
    with pytest.raises(OutcomeUnknownError, match=r"not in the plan .*No\. 9") as unknown:
        apply(place, plan, server_side=True)
    assert dict(unknown.value.info.metadata) == {"user_id": user_id(9)}
    assert unknown.value.report is not None
    assert not unknown.value.report.is_complete


# --- the records ----------------------------------------------------------------------------------------------------


def kept(place: Campus, plan: ResetPlan, state: Path, **order: Any) -> Any:
    recorder = Recorder(state, "0123456789ab", timedelta(hours=4))
    return FakeDriver(place).run(
        apply_plan(CALLS, Order(plan, ResetFormat(), **order), recorder, lambda ground: None)
    )


def test_a_report_is_kept_and_a_later_plan_says_when_people_were_last_reset(tmp_path: Path) -> None:
    place, state = campus(), tmp_path / "state"
    plan = plan_of(place, [FIRST])
    report = kept(place, plan, state, reason="why")
    records = StateDirectory.open(state)
    assert load(records.plan_folder(plan.digest)) == report
    again = plan_of(place, [FIRST], last_resets=lambda origin: last_resets(records, origin))
    assert {user.last_reset_at for user in again.users} == {report.finished_at}
    elsewhere = evolve(plan.origin, organisation_id="role_2")
    assert last_resets(records, elsewhere) == {}


def test_a_plan_is_applied_once_on_a_machine(tmp_path: Path) -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    kept(place, plan, tmp_path / "state")
    with pytest.raises(AlreadyAppliedError, match="a plan is applied once"):
        kept(place, plan, tmp_path / "state")
    assert len(place.resets) == 1


def test_a_plan_whose_application_sent_nothing_may_be_applied_again(tmp_path: Path) -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    with pytest.raises(ResetInterruptedError):
        kept(place, plan, tmp_path / "state", stop=lambda: True)
    assert kept(place, plan, tmp_path / "state").is_complete


def test_old_evidence_is_collected_again_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 2)
    place = campus()
    plan = plan_of(place, [FIRST])
    recorder = Recorder(tmp_path / "state", None, timedelta(minutes=45))
    order = Order(plan, ResetFormat(), waves=Waves(size=2, every=timedelta(minutes=30)))
    report = FakeDriver(place).run(apply_plan(CALLS, order, recorder, lambda ground: None))
    assert report.is_complete
    assert len(report.packs) == 2
    assert all(Path(pack, "manifest.json").exists() for pack in report.packs)


def test_the_keeper_of_tests_and_the_true_one_send_the_same(tmp_path: Path) -> None:
    bare, recorded = campus(), campus()
    apply(bare, plan_of(bare, [FIRST, SECOND]))
    kept(recorded, plan_of(recorded, [FIRST, SECOND]), tmp_path / "state")
    assert bare.people_sent == recorded.people_sent


def test_evidence_is_sealed_by_the_hook_and_a_hook_that_fails_stops_the_reset(tmp_path: Path) -> None:
    place = campus()
    plan = plan_of(place, [FIRST])

    def broken(data: bytes) -> bytes:
        raise OSError("no key")

    with pytest.raises(EvidenceError, match="no key") as failed:
        kept(place, plan, tmp_path / "state", safeguards=Safeguards(seal=broken))
    assert failed.value.reason == "EVIDENCE_NOT_SEALED"
    assert not place.resets
    report = kept(place, plan, tmp_path / "state", safeguards=Safeguards(seal=lambda data: data[::-1] + b"!"))
    (pack,) = report.packs
    everything = b"".join(path.read_bytes() for path in Path(pack).rglob("*") if path.is_file())
    assert b"@example.test" not in everything
    assert verify_pack(pack) == ()


def test_a_tolerated_absence_stops_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence that has grown old is gathered anew without them."""
    place = campus()
    plan = plan_of(place, [FIRST])
    gone = place.rows.pop(4)
    recorder = Recorder(tmp_path / "state", None, timedelta(minutes=45))
    order = Order(plan, ResetFormat(), waves=Waves(size=2, every=timedelta(minutes=30)), tolerance=1)
    report = FakeDriver(place).run(apply_plan(CALLS, order, recorder, lambda ground: None))
    assert gone["user_id"] == user_id(4)
    assert [user.code for user in report.users] == [None] * 4 + [Code.MOVED]


def test_whoever_completes_while_old_evidence_is_gathered_anew_is_left_alone(tmp_path: Path) -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    recorder = Recorder(tmp_path / "state", None, timedelta(minutes=45))

    def learn(request: Request) -> None:
        if len(place.resets) == 2 and request.path.endswith("/attempts"):
            place.row_of(4)["completed_at"] = "2026-03-01T09:00:00Z"

    place.before = learn
    order = Order(plan, ResetFormat(), waves=Waves(size=2, every=timedelta(minutes=30)), tolerance=1)
    report = FakeDriver(place).run(apply_plan(CALLS, order, recorder, lambda ground: None))
    assert [user.code for user in report.users] == [None] * 4 + [Code.MOVED]
    assert place.row_of(4)["completed_at"] == "2026-03-01T09:00:00Z"


def test_that_a_second_request_was_refused_says_nothing_of_the_first() -> None:
    place = campus()
    plan = plan_of(place, [FIRST])
    account = OutcomeTracker(Order(plan, ResetFormat()), "user_admin", START)
    lost = failure_outcome(OutcomeUnknownError("gone"))
    account.report_failure(plan.targets[:1], lost, START)
    told = account.report_failure(plan.targets[:2], failure_outcome(PermissionDeniedError("no")), START)
    assert told.report is not None
    assert [user.outcome for user in told.report.users[:2]] == [Outcome.UNKNOWN, Outcome.FAILED]


def test_a_token_that_has_become_another_organisations_sends_no_further_wave() -> None:
    place = campus()
    plan = plan_of(place, [FIRST])

    def moved_on(sleep: Sleep) -> None:
        place.organisation_id = "role_2"

    with pytest.raises(PlanMismatchError, match="organisation role_2"):
        apply(
            place,
            plan,
            puppet=FakeDriver(place, on_sleep=moved_on),
            waves=Waves(size=3, every=timedelta(hours=1)),
        )
    assert place.people_sent == [[user_id(0), user_id(1), user_id(2)]]
