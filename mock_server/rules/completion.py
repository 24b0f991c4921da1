"""Changes of a record by a learner's actions, from record to record, and the certificate of a completion (R19)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from attrs import evolve

from mock_server.world import clock
from mock_server.world.courses import with_slides_done, with_survey_answer
from mock_server.world.ledger import Certificate
from mock_server.world.progress import LessonProgress, Record

if TYPE_CHECKING:
    from datetime import datetime

    from mock_server.world.courses import Course, Lesson, Slide
    from mock_server.world.organisation import Organisation
    from mock_server.world.progress import Enrolment
    from mock_server.world.world import World


def lessons_of(course: Course, enrolment: Enrolment | None) -> tuple[Lesson, ...]:
    """Return the lessons that count for a user: all, or as many as the row loaded from a file says."""
    if enrolment is None or enrolment.identity is None:
        return course.lessons
    return course.lessons[: enrolment.identity.total_lessons]


def opened(record: Record | None, at: datetime, now: datetime) -> Record:
    """R09: return the record with opened_at set; an earlier value stays."""
    if record is None:
        return Record(modified_at=now, opened_at=clock.to_text(at))
    return evolve(record, modified_at=now, opened_at=record.opened_at or clock.to_text(at))


def with_lesson(record: Record, lesson: Lesson, at: datetime, *, done: bool, score: int) -> Record:
    """Return the record with a lesson opened and its slides viewed, or with it completed as well."""
    seen = with_slides(record, lesson, at, right=True if done else None)
    return _reached(seen, lesson, at, done=done, score=score)


def with_slides(record: Record, lesson: Lesson, at: datetime, *, right: bool | None) -> Record:
    """Return the record with the slides of a lesson viewed, the questions answered right, wrong or (None) not."""
    if not lesson.slides:
        return record
    return evolve(
        record, slides=with_slides_done(record.slides, lesson.slides, clock.to_text(at), right=right)
    )


def with_survey(record: Record, lesson: Lesson, slide: Slide, at: datetime, answer: str) -> Record:
    """Return the record with a survey answered; this opens its lesson."""
    answered = evolve(record, slides=with_survey_answer(record.slides, slide, clock.to_text(at), answer))
    return _reached(answered, lesson, at, done=False, score=0)


def _reached(record: Record, lesson: Lesson, at: datetime, *, done: bool, score: int) -> Record:
    text = clock.to_text(at)
    before = record.lesson(lesson.id) or LessonProgress(lesson.id, text)
    completed_at = before.completed_at or (text if done else "")
    percent = 100.0 if completed_at else before.percent
    after = evolve(before, completed_at=completed_at, percent=percent, score=max(before.score, score))
    others = tuple(each for each in record.lessons if each.lesson_id != lesson.id)
    return evolve(record, lessons=(*others, after))


def with_course_figures(record: Record, course: Course, lessons: Sequence[Lesson], at: datetime) -> Record:
    """Return the record with the figures of the course updated; it is complete when all lessons are."""
    ids = {lesson.id for lesson in lessons}
    reached = [each for each in record.lessons if each.lesson_id in ids]
    done = max(record.completed_lessons, sum(bool(each.completed_at) for each in reached))
    scores = [each.score for each in reached if each.score]
    percent = (
        max(record.progress_percent, round(100 * done / len(lessons), 2))
        if lessons
        else record.progress_percent
    )
    with_course_figures = evolve(
        record,
        completed_lessons=done,
        progress_percent=percent,
        score=round(sum(scores) / len(scores)) if scores else record.score,
    )
    return (
        completed(with_course_figures, course, at)
        if lessons and done >= len(lessons)
        else with_course_figures
    )


def completed(record: Record, course: Course, at: datetime) -> Record:
    """Return the record with the course completed, unless it is so already."""
    return record if record.completed_at else record.completed(course, at)


# --- certificates ----------------------------------------------------------------------------------------------------


def issue_certificate(world: World, organisation: Organisation, course: Course, user_id: str) -> None:
    """Issue a certificate for a completion that just happened, if the course gives any."""
    if not course.certificate:
        return
    issued_at = clock.to_text(world.clock.now())
    certificate = Certificate(world.ids.certificate(), organisation.id, course.id, user_id, issued_at)
    key = (course.id, user_id)
    organisation.certificates[key] = (*organisation.certificates.get(key, ()), certificate)


def shown_certificates(world: World) -> tuple[Certificate, ...]:
    """Return every certificate that is not hidden, oldest first."""
    found = [
        each
        for organisation in world.organisations.values()
        for several in organisation.certificates.values()
        for each in several
    ]
    return tuple(sorted(found, key=lambda each: (each.issued_at, each.number)))


def withdraw_certificates(
    world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]
) -> None:
    """Hide the certificates of completions that are reset, unless the policy keeps them."""
    if world.policy.old_certificate == "hidden":
        for key in organisation.certificates.keys() & zip(repeat(course.id), user_ids):
            organisation.certificates.pop(key)
