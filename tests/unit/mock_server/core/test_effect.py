"""What a reset does, and what it leaves alone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from mock_server import MockTraining
from mock_server.rules import reset
from mock_server.world import world
from mock_server.world.clock import to_text
from mock_server.world.courses import CourseStatus, Due, DueKind
from mock_server.world.ledger import Notification
from unit.mock_server.core.speaker import (
    ANNA,
    FORKLIFT,
    PREVIEW,
    Speaker,
    changed,
    course_id,
    recorded,
    user_of,
)


def reset_anna(speaker: Speaker) -> None:
    answer = speaker.reset(course_id(speaker.mock), [user_of(speaker.mock, "learner")], (FORKLIFT, 1))
    assert answer.json == {"usersUpdated": 1}


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


def test_R19_numbers_never_come_twice(mock: MockTraining, admin: Speaker) -> None:
    seen = [number for number, _ in certificates(mock)]
    for _ in range(5):
        reset_anna(admin)
        mock.world.complete_course(FORKLIFT, ANNA)
        seen += [number for number, _ in certificates(mock)]
    assert len(set(seen)) == 6


def test_R20_a_relative_due_date_counts_from_the_reset(mock: MockTraining, admin: Speaker) -> None:
    assert mock.world.course(FORKLIFT).due.kind is DueKind.RELATIVE
    anna, days = user_of(mock, "learner"), mock.world.course(FORKLIFT).due.days
    others = {row["user_id"]: row["due_at"] for row in admin.rows(f"course_id={course_id(mock)}")}
    reset_anna(admin)
    due = {row["user_id"]: row["due_at"] for row in admin.rows(f"course_id={course_id(mock)}")}
    assert due == others | {anna: to_text(mock.clock.now() + timedelta(days=days))}
    assert due != others


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


@pytest.mark.parametrize("status", list(CourseStatus))
def test_R25_any_status_can_be_reset(mock: MockTraining, admin: Speaker, status: CourseStatus) -> None:
    mock.world.update_course(FORKLIFT, status=status)
    assert admin.reset(course_id(mock), None, (FORKLIFT, 37)).json == {"usersUpdated": 37}


def test_R18_notifications_do_not_depend_on_when_they_are_read() -> None:
    def sent(is_read_between: bool) -> tuple[tuple[Notification, ...], object]:
        mock = MockTraining.demo(now=datetime(2026, 12, 1, 9, tzinfo=UTC))
        users = recorded(mock)
        for part in users[:9], users[9:]:
            answer = Speaker(mock).reset(course_id(mock), part, (FORKLIFT, len(part)))
            assert answer.json == {"usersUpdated": len(part)}
            mock.clock.advance(timedelta(minutes=1))
            mock.world.update_user(users[0], notifications=False)  # is too late for the first reset
            assert not is_read_between or mock.outbox
        state = mock.state()
        return MockTraining.load(state).outbox, state["ids"]

    assert sent(is_read_between=False) == sent(is_read_between=True)
    outbox, _ = sent(is_read_between=False)
    assert len({each.sent_at for each in outbox}) == 2


@pytest.mark.parametrize("made", [0, 1, 8, 9, 28])
def test_R18_no_notification_is_lost_when_a_reading_is_interrupted(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, made: int
) -> None:
    steps, make = itertools.count(), world._uuid

    def interrupted(*id_of: Any) -> str:
        if next(steps) == made:
            raise KeyboardInterrupt
        return make(*id_of)

    monkeypatch.setattr(world, "_uuid", interrupted)
    users = recorded(mock)
    for part in users[:9], users[9:]:
        assert Speaker(mock).reset(course_id(mock), part, (FORKLIFT, len(part))).status == 200
    with pytest.raises(KeyboardInterrupt):
        _ = mock.outbox
    notified = [user for user in users if mock.world.main.people[user].notifications]
    assert [each.user_id for each in mock.outbox] == notified
    assert len({each.id for each in mock.outbox}) == len(notified)


def test_R12_a_fault_is_atomic(mock: MockTraining, admin: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mock.world.snapshot()

    def fail(*_: object) -> list[str]:
        raise RuntimeError("the outbox is on fire")

    monkeypatch.setattr(reset, "recipients", fail)
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
