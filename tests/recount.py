"""Figures of courses, lessons and slides counted anew from the raw records, sharing nothing with what is checked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mock_server.world.organisation import Organisation
from mock_server.world.progress import Record

Json = dict[str, Any]


def recount(organisation: Organisation, course_id: str) -> dict[str, int]:
    """What the kept counters of a course must be, by walking over everybody."""
    assigned = organisation.assigned[course_id]
    people = [p.id for p in organisation.people.values() if assigned.since(p) is not None]
    records = organisation.progress[course_id].records
    rows = [records[user_id] for user_id in people if user_id in records]
    return {
        "total": len(people),
        "opened": sum(1 for row in rows if row.opened_at != ""),
        "completed": sum(1 for row in rows if row.completed_at != ""),
        "recorded": sum(1 for row in rows if row.is_recorded),
        "score_sum": sum(row.score for row in rows),
    }


def recount_lessons(
    organisation: Organisation, course_id: str, among: Collection[str] | None = None
) -> list[Json]:
    """What the wire must say of every lesson of a course, over everybody or these users."""
    course = organisation.courses[course_id]
    rows, people = _rows(organisation, course_id, among)
    found = []
    for lesson in course.lessons:
        reached = [each for row in rows for each in row.lessons if each.lesson_id == lesson.id]
        done = [each for each in reached if each.completed_at != ""]
        scores = [each.score for each in reached]
        found.append(
            {
                "courseId": course_id,
                "lessonId": lesson.id,
                "lessonTitle": lesson.title,
                "totalUsers": people,
                "openedCount": len(reached),
                "completedCount": len(done),
                "completionPercent": round(100 * len(done) / people, 2) if people else 0.0,
                "averageScore": round(sum(scores) / len(scores), 2) if scores else 0.0,
            }
        )
    return found


def recount_slides(
    organisation: Organisation, course_id: str, among: Collection[str] | None = None
) -> list[Json]:
    """What the wire must say of every slide of a course, over everybody or these users."""
    rows, _ = _rows(organisation, course_id, among)
    found = []
    for lesson in organisation.courses[course_id].lessons:
        for slide in lesson.slides:
            seen = [each for row in rows for each in row.slides if each.slide_id == slide.id]
            found.append(
                {
                    "courseId": course_id,
                    "lessonId": lesson.id,
                    "slideId": slide.id,
                    "slideTitle": slide.title,
                    "slideType": slide.kind.value,
                    "viewedCount": len(seen),
                    "answeredCount": len([each for each in seen if each.answer != ""]),
                    "correctCount": len([each for each in seen if each.answer == slide.right != ""]),
                }
            )
    return found


def _rows(
    organisation: Organisation, course_id: str, among: Collection[str] | None
) -> tuple[list[Record], int]:
    """The records of those assigned, and how many these are."""
    assigned, records = organisation.assigned[course_id], organisation.progress[course_id].records
    people = [
        each.id
        for each in organisation.people.values()
        if assigned.since(each) is not None and (among is None or each.id in among)
    ]
    return [records[each] for each in people if each in records], len(people)


def recount_rankings(organisation: Organisation, board_id: str) -> list[Json]:
    """What the wire must say of everybody on a leaderboard, the first and the last of them."""
    board = organisation.leaderboards[board_id]
    people = [each for each in organisation.people.values() if each.can_learn]
    scores = {
        person.id: [
            row.score
            for course_id in board.course_ids
            if organisation.assigned[course_id].since(person) is not None
            and (row := organisation.progress[course_id].records.get(person.id)) is not None
        ]
        for person in people
    }
    totals = sorted(sum(each) for each in scores.values())
    return [
        {
            "rank": 1 + sum(each > sum(scores[person.id]) for each in totals),
            "participantId": person.id,
            "participantName": f"{person.first_name} {person.last_name}",
            "totalScore": sum(scores[person.id]),
            "isNotAttempted": scores[person.id] == [],
        }
        for person in sorted(people, key=lambda each: (-sum(scores[each.id]), each.id))
    ]
