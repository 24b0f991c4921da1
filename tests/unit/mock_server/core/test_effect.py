"""What a reset does, and what it leaves alone."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from mock_server import MockTraining, Policy
from mock_server.rules import notifications
from mock_server.world.courses import CourseStatus, Due, DueKind, LessonKind
from mock_server.world.people import Status
from unit.mock_server.core.conftest import NOW
from unit.mock_server.core.speaker import (
    ANNA,
    ATTEMPTS,
    COURSES,
    FORKLIFT,
    PREVIEW,
    STATISTICS,
    Speaker,
    changed,
    course_id,
    recorded,
    user_of,
)

JUST_NOW = "2026-11-30T09:00:00.000Z"


def reset_anna(speaker: Speaker) -> None:
    answer = speaker.reset(course_id(speaker.mock), [user_of(speaker.mock, "learner")], (FORKLIFT, 1))
    assert answer.json == {"usersUpdated": 1}


def figures(speaker: Speaker, course: str) -> dict[str, Any]:
    answer = speaker.get(STATISTICS, f"courseIds={course}")
    found: dict[str, Any] = answer.json["items"][0]
    return found


def everything_about(speaker: Speaker, user: str) -> str:
    """All that any endpoint says about somebody, as text."""
    course = course_id(speaker.mock)
    answers = [
        *speaker.rows(f"user_id={user}&course_id={course}"),
        speaker.get(f"/training/analytics/v1/users/{user}/lessons/progress", f"courseId={course}").json,
        speaker.get(ATTEMPTS, f"userId={user}&courseId={course}").json,
        speaker.post(PREVIEW, {"courseId": course, "userIds": [user]}).json,
        speaker.rows(f"user_id={user}&course_id={course}&completion_status=COMPLETION_STATUS_COMPLETED"),
        [
            repr(each)
            for each in speaker.mock.certificates
            if (each.user_id, each.course_id) == (user, course)
        ],
        [repr(each) for each in speaker.mock.audit],
        [repr(each) for each in speaker.mock.outbox],
    ]
    return json.dumps(answers)


def test_R12_progress_attempts_score_time_and_dates_are_gone(mock: MockTraining, admin: Speaker) -> None:
    anna, course = user_of(mock, "learner"), course_id(mock)
    query = f"user_id={anna}&course_id={course}"
    before = admin.rows(query)[0]
    assert before["completed_at"]
    assert before["progress_percent"] == 100.0
    reset_anna(admin)
    cleared = {
        "opened_at": "",
        "completed_at": "",
        "completed_lessons": 0,
        "progress_percent": 0.0,
        "score": 0,
        "time_spent_seconds": 0,
        "completion_expiry_date": "",
    }
    assert admin.rows(query) == [{**before, **cleared, "due_at": "2027-01-29T09:00:00.000Z"}]
    lessons = admin.get(f"/training/analytics/v1/users/{anna}/lessons/progress", f"courseId={course}").json
    assert lessons["totalCount"] == 6
    for item in lessons["items"]:
        figures = (
            "opened",
            "completed",
            "percentageCompleted",
            "score",
            "openedDateTime",
            "completedDateTime",
        )
        assert [item[name] for name in figures] == [False, False, 0.0, 0, "", ""]
    assert admin.get(ATTEMPTS, f"userId={anna}&courseId={course}").json == {"totalCount": 0, "items": []}
    assert mock.world.record(FORKLIFT, anna) is None


@pytest.mark.parametrize("kind", [LessonKind.ASSESSMENT, LessonKind.DISCUSSION, LessonKind.ASSIGNMENT])
def test_R13_what_was_handed_in_is_cleared_as_well(
    mock: MockTraining, admin: Speaker, kind: LessonKind
) -> None:
    world = mock.world
    progress = world.main.progress[course_id(mock)]
    fresh = next(user for user in progress.roster if user not in progress.records)
    counts = {
        LessonKind.ASSESSMENT: ("assessmentSubmissions", "assessmentMarks", "assessmentSignOffs"),
        LessonKind.DISCUSSION: ("discussionPosts",),
        LessonKind.ASSIGNMENT: ("assignmentHandIns",),
    }[kind]
    {
        LessonKind.ASSESSMENT: lambda: world.submit_assessment(
            FORKLIFT, fresh, mark=90, signed_off_by="Jonas"
        ),
        LessonKind.DISCUSSION: lambda: world.post_to_discussion(FORKLIFT, fresh, "A near miss."),
        LessonKind.ASSIGNMENT: lambda: world.hand_in_assignment(FORKLIFT, fresh, mark=70),
    }[kind]()
    preview = admin.post(PREVIEW, {"courseId": course_id(mock), "userIds": [fresh]}).json["cleared"]
    assert [preview[name] for name in counts] == [1] * len(counts)
    assert admin.reset(course_id(mock), [fresh], (FORKLIFT, 1)).status == 200
    assert fresh not in progress.records
    world.open(FORKLIFT, fresh)
    preview = admin.post(PREVIEW, {"courseId": course_id(mock), "userIds": [fresh]}).json
    assert preview["usersToReset"] == 1
    assert set(preview["cleared"].values()) == {0, 1}
    assert [name for name, value in preview["cleared"].items() if value] == ["dueDatesRestarted"]


def test_R14_analytics_go_back_to_zero(mock: MockTraining, admin: Speaker) -> None:
    course = course_id(mock)
    assert figures(admin, course)["completionPercent"] > 50
    assert admin.reset(course, None, (FORKLIFT, 37)).json == {"usersUpdated": 37}
    assert figures(admin, course) == {
        "courseId": course,
        "courseTitle": FORKLIFT,
        "totalUsers": 41,
        "openedCount": 0,
        "completedCount": 0,
        "completionPercent": 0.0,
        "averageScore": 0.0,
    }
    assert admin.get(ATTEMPTS, f"courseId={course}").json["totalCount"] == 0


def test_R14_a_reset_of_one_takes_that_one_out_of_the_figures(mock: MockTraining, admin: Speaker) -> None:
    course = course_id(mock)
    before = figures(admin, course)
    score = admin.rows(f"user_id={user_of(mock, 'learner')}&course_id={course}")[0]["score"]
    reset_anna(admin)
    after = figures(admin, course)
    assert after["openedCount"] == before["openedCount"] - 1
    assert after["completedCount"] == before["completedCount"] - 1
    assert after["totalUsers"] == before["totalUsers"]
    assert after["averageScore"] == round((before["averageScore"] * 37 - score) / 36, 2)


def test_R15_the_past_is_visible_nowhere(mock: MockTraining, admin: Speaker) -> None:
    anna = user_of(mock, "learner")
    record = mock.world.record(FORKLIFT, ANNA)
    certificate = next(each for each in mock.certificates if each.user_id == anna)
    assert record is not None
    traces = {record.opened_at, record.completed_at, certificate.number, certificate.issued_at}
    traces |= {attempt.id for attempt in record.attempts} | {each.completed_at for each in record.lessons}
    traces |= {post.text for post in record.posts} | {each.file_name for each in record.hand_ins}
    assert record.completed_at in everything_about(admin, anna)
    reset_anna(admin)
    text = everything_about(admin, anna)
    assert [trace for trace in traces if trace in text] == []
    state = mock.world.snapshot()["organisations"][mock.world.main.id]
    held = json.dumps([state["records"][course_id(mock)].get(anna), state["enrolments"], state["reset_at"]])
    assert [trace for trace in traces if trace in held] == []
    own = Speaker(mock, "learner").rows(f"course_id={course_id(mock)}")
    assert [(row["completed_at"], row["opened_at"]) for row in own] == [("", "")]


def test_R15_nothing_undoes_it(mock: MockTraining, admin: Speaker) -> None:
    reset_anna(admin)
    for path in ("/training/courseprogress/v1/undo", "/training/courseprogress/v1/reset:undo"):
        assert admin.post(path, {}).reason == "UNKNOWN_PATH"
    mock.world.update_user(ANNA, status=Status.DEACTIVATED)
    mock.world.update_user(ANNA, status=Status.ACTIVE)
    assert mock.world.record(FORKLIFT, ANNA) is None


def test_R16_nothing_else_is_touched(mock: MockTraining, admin: Speaker) -> None:
    main, course, anna = mock.world.main.id, course_id(mock), user_of(mock, "learner")
    before = mock.world.snapshot()
    reset_anna(admin)
    prefix = f"/organisations/{main}"
    differences = changed(before, mock.world.snapshot())
    mine = {path for path in differences if path.startswith((f"{prefix}/records/{course}/{anna}/",))}
    assert (
        differences
        == {
            f"{prefix}/records/{course}/{anna}",
            f"{prefix}/reset_at/{course}/{anna}",
            f"{prefix}/enrolments/{course}/{anna}/due_at",
            f"{prefix}/enrolments/{course}/{anna}/modified_at",
            f"{prefix}/certificates/{course}/{anna}",
            f"{prefix}/tallies/{course}/opened",
            f"{prefix}/tallies/{course}/completed",
            f"{prefix}/tallies/{course}/recorded",
            f"{prefix}/tallies/{course}/score_sum",
            "/outbox",
            "/audit",
        }
        | mine
    )


def test_R16_the_user_stays_assigned_and_other_courses_stay_as_they_are(
    mock: MockTraining, admin: Speaker
) -> None:
    anna, course = user_of(mock, "learner"), course_id(mock)
    others = [row for row in admin.rows() if (row["course_id"], row["user_id"]) != (course, anna)]
    reset_anna(admin)
    after = admin.rows()
    assert [row for row in after if (row["course_id"], row["user_id"]) != (course, anna)] == others
    assert len(after) == len(others) + 1


def test_R17_the_course_stays_the_same_course(mock: MockTraining, admin: Speaker) -> None:
    before = admin.get(COURSES, "pageSize=1000").body
    lessons = admin.get(f"{COURSES}/{course_id(mock)}/lessons").body
    assert admin.reset(course_id(mock), None, (FORKLIFT, 37)).status == 200
    assert admin.get(COURSES, "pageSize=1000").body == before
    assert admin.get(f"{COURSES}/{course_id(mock)}/lessons").body == lessons
    mock.world.complete_course(FORKLIFT, ANNA)
    assert figures(admin, course_id(mock))["completedCount"] == 1


def test_R18_one_notification_each_for_those_who_want_it(mock: MockTraining, admin: Speaker) -> None:
    assert list(mock.outbox) == []
    wanting = {user for user in recorded(mock) if mock.world.user(user).notifications}
    assert 0 < len(wanting) < 37
    preview = admin.post(PREVIEW, {"courseId": course_id(mock), "allUsers": True}).json
    assert preview["notifications"] == len(wanting)
    assert admin.reset(course_id(mock), None, (FORKLIFT, 37)).status == 200
    assert sorted(each.user_id for each in mock.outbox) == sorted(wanting)
    assert {(each.kind, each.course_id, each.sent_at) for each in mock.outbox} == {
        ("course assigned", course_id(mock), JUST_NOW)
    }
    assert len({each.id for each in mock.outbox}) == len(mock.outbox)


@pytest.mark.parametrize("on", [True, False])
def test_R18_the_setting_decides(mock: MockTraining, admin: Speaker, on: bool) -> None:
    mock.world.update_user(ANNA, notifications=on)
    reset_anna(admin)
    assert [each.user_id for each in mock.outbox] == [user_of(mock, "learner")] * on


def test_R18_whoever_is_not_reset_is_not_told(mock: MockTraining, admin: Speaker) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    fresh = [user for user in progress.roster if user not in progress.records]
    assert admin.reset(course_id(mock), fresh, (FORKLIFT, 0)).status == 200
    assert admin.reset(course_id(mock), fresh, (FORKLIFT, 4)).status == 412
    assert list(mock.outbox) == []


def certificates(mock: MockTraining) -> list[tuple[str, str]]:
    anna = user_of(mock, "learner")
    return [
        (each.number, each.issued_at)
        for each in mock.certificates
        if (each.user_id, each.course_id) == (anna, course_id(mock))
    ]


def test_R19_completing_again_issues_a_new_certificate(mock: MockTraining, admin: Speaker) -> None:
    ((number, issued_at),) = certificates(mock)
    reset_anna(admin)
    assert certificates(mock) == []
    mock.world.clock.advance(timedelta(days=1))
    for lesson in mock.world.course(FORKLIFT).lessons[:3]:
        mock.world.complete_lesson(FORKLIFT, ANNA, lesson.id)
    mock.world.submit_assessment(FORKLIFT, ANNA, mark=95, signed_off_by="Jonas Krüger")
    mock.world.post_to_discussion(FORKLIFT, ANNA, "Slow down at the gate.")
    assert certificates(mock) == []
    mock.world.hand_in_assignment(FORKLIFT, ANNA)
    ((new_number, new_date),) = certificates(mock)
    assert new_number != number
    assert new_date == "2026-12-01T09:00:00.000Z" != issued_at
    mock.world.complete_course(FORKLIFT, ANNA)
    mock.world.complete_lesson(FORKLIFT, ANNA, mock.world.course(FORKLIFT).lessons[0].id)
    assert certificates(mock) == [(new_number, new_date)]


def test_R19_no_certificate_if_the_switch_is_off(mock: MockTraining, admin: Speaker) -> None:
    mock.world.update_course(FORKLIFT, certificate=False)
    reset_anna(admin)
    assert mock.world.complete_course(FORKLIFT, ANNA).completed_at == JUST_NOW
    assert certificates(mock) == []


def test_R19_numbers_never_come_twice(mock: MockTraining, admin: Speaker) -> None:
    seen = [number for number, _ in certificates(mock)]
    for _ in range(5):
        reset_anna(admin)
        mock.world.complete_course(FORKLIFT, ANNA)
        seen += [number for number, _ in certificates(mock)]
    assert len(set(seen)) == 6


def test_R19_the_policy_keeps_the_old_one() -> None:
    mock = MockTraining.demo(policy=Policy(old_certificate="kept"), now=NOW)
    admin, (old,) = Speaker(mock), certificates(mock)
    preview = admin.post(PREVIEW, {"courseId": course_id(mock), "allUsers": True}).json
    assert preview["cleared"]["certificates"] == 0
    reset_anna(admin)
    assert certificates(mock) == [old]
    mock.world.complete_course(FORKLIFT, ANNA)
    assert certificates(mock)[0] == old
    assert len(certificates(mock)) == 2


@pytest.mark.parametrize("kind", ["relative", "static", "notSpecified"])
def test_R20_a_relative_due_date_starts_anew_and_a_fixed_one_stays(
    mock: MockTraining, admin: Speaker, kind: str
) -> None:
    items = admin.get(COURSES, "pageSize=1000").json["items"]
    due_by = {item["id"]: item["dueBy"] for item in items}
    rows = [row for row in admin.rows() if due_by[row["course_id"]] == kind and row["opened_at"]]
    row = rows[0]
    title = mock.world.course(row["course_id"]).title
    assert admin.reset(row["course_id"], [row["user_id"]], (title, 1)).status == 200
    (after,) = admin.rows(f"course_id={row['course_id']}&user_id={row['user_id']}")
    if kind == "relative":
        assert (row["due_at"], after["due_at"]) == ("2026-04-03T07:30:00.000Z", "2027-01-29T09:00:00.000Z")
    else:
        assert after["due_at"] == row["due_at"] == ("2026-12-31T22:59:59.000Z" if kind == "static" else "")


def test_R20_a_fixed_date_of_ones_own_stays(mock: MockTraining, admin: Speaker) -> None:
    """As in a world from a file, where every row has its own."""
    title = "Gefahrgut: Grundlagen & Kennzeichnung ⚠️"
    course, anna = course_id(mock, title), user_of(mock, "learner")
    assert mock.world.course(course).due.kind is not DueKind.RELATIVE
    progress = mock.world.main.progress[course]
    mock.world.open(title, ANNA)
    progress.enrol(anna, evolve(progress.enrolments[anna], due_at="2026-05-05T10:00:00+02:00"))
    assert admin.reset(course, [anna], (title, 1)).json == {"usersUpdated": 1}
    assert admin.rows(f"course_id={course}&user_id={anna}")[0]["due_at"] == "2026-05-05T10:00:00+02:00"


def test_R21_a_reset_of_nothing_changes_nothing_and_succeeds(mock: MockTraining, admin: Speaker) -> None:
    progress = mock.world.main.progress[course_id(mock)]
    fresh = [user for user in progress.roster if user not in progress.records]
    before = mock.world.snapshot()
    assert admin.reset(course_id(mock), fresh, (FORKLIFT, 0)).json == {"usersUpdated": 0}
    assert changed(before, mock.world.snapshot()) == {"/audit"}
    anna = user_of(mock, "learner")
    assert admin.reset(course_id(mock), [*fresh, anna], (FORKLIFT, 1)).json == {"usersUpdated": 1}


@pytest.mark.parametrize("status", list(CourseStatus))
def test_R25_a_course_of_any_status_can_be_reset(
    mock: MockTraining, admin: Speaker, status: CourseStatus
) -> None:
    mock.world.update_course(FORKLIFT, status=status)
    assert admin.reset(course_id(mock), None, (FORKLIFT, 37)).json == {"usersUpdated": 37}


def test_R12_a_fault_on_the_way_changes_nothing(
    mock: MockTraining, admin: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mock.world.snapshot()

    def fail(*_: object) -> list[str]:
        raise RuntimeError("the outbox is on fire")

    monkeypatch.setattr(notifications, "recipients", fail)
    answer = admin.reset(course_id(mock), None, (FORKLIFT, 37))
    assert (answer.status, answer.reason) == (500, "INTERNAL")
    assert changed(before, mock.world.snapshot()) == {"/audit"}
    assert [(entry.outcome, entry.status) for entry in mock.audit] == [("INTERNAL", 500)]


def test_R12_a_preview_says_what_goes_and_changes_nothing(mock: MockTraining, admin: Speaker) -> None:
    before = mock.world.snapshot()
    records = mock.world.main.progress[course_id(mock)].records
    kept = [records[user] for user in recorded(mock)]
    submissions = [sent for record in kept for sent in record.submissions]
    slides = [sent for record in kept for sent in record.slides]
    answer = admin.post(PREVIEW, {"courseId": course_id(mock), "allUsers": True}).json
    assert answer["course"] == {"id": course_id(mock), "title": FORKLIFT, "status": "Published"}
    assert answer["usersToReset"] == 37
    done = sum(bool(record.completed_at) for record in kept)
    assert answer["users"] == {"completed": done, "inProgress": 37 - done, "notStarted": 4, "notAssigned": 0}
    assert answer["cleared"] == {
        "lessonProgress": sum(len(record.lessons) for record in kept),
        "attempts": sum(len(record.attempts) for record in kept),
        "assessmentSubmissions": len(submissions),
        "assessmentMarks": sum(sent.mark is not None for sent in submissions),
        "assessmentSignOffs": sum(bool(sent.signed_off_at) for sent in submissions),
        "discussionPosts": sum(len(record.posts) for record in kept),
        "assignmentHandIns": sum(len(record.hand_ins) for record in kept),
        "slideProgress": len(slides),
        "surveyAnswers": sum(sent.answered_at != "" and sent.correct is None for sent in slides),
        "certificates": done,
        "dueDatesRestarted": 37,
    }
    assert all(answer["cleared"].values())
    assert changed(before, mock.world.snapshot()) == set()


def test_R20_a_due_date_beyond_all_calendars_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="days"):
        Due(DueKind.RELATIVE, days=3_000_000)
