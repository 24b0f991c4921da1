"""How slides stand, what somebody has seen of them, and what surveys ask and were answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from mock_server.api.call import Call
from mock_server.api.paging import numbered, numbered_part
from mock_server.api.selection import (
    courses_asked,
    courses_of_user,
    figures,
    members,
    parts,
    total,
    users_asked,
)
from mock_server.rules.completion import lessons_of
from mock_server.wire import shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world.courses import Course, Lesson, Slide, SlideKind, SlideProgress
from mock_server.world.progress import CourseProgress, SlideTally
from mock_server.world.progress_table import Weigh, rows_after

Tallies = dict[str, SlideTally]
Place = tuple[Course, Lesson, Slide]


def _places(courses: Iterable[Course]) -> Iterator[Place]:
    return (
        (course, lesson, slide) for course in courses for lesson in course.lessons for slide in lesson.slides
    )


def slide_statistics(call: Call) -> Response:
    """GET /training/analytics/v1/slides/statistics."""
    team = members(call)
    asked: dict[str, Tallies] = {}  # to ask for those of a course once a page, not once a row

    def shape(place: Place) -> Json:
        course = place[0]
        if course.id not in asked:
            asked[course.id] = _tallies(call, course, team)
        return shapes.slide_statistics(*place, asked[course.id][place[2].id])

    return numbered(call, list(_places(courses_asked(call))), shape)


def _tallies(call: Call, course: Course, users: Sequence[str] | None) -> Tallies:
    return figures(call, "slides", course, users, _counted)


def _counted(course: Course, progress: CourseProgress, users: Iterable[str]) -> Tallies:
    found = {slide.id: SlideTally() for _, _, slide in _places([course])}
    for user_id in users:
        for _, slide, seen in _seen(course, progress, user_id):
            if seen is not None:
                found[slide.id].count(seen)
    return found


def _seen(
    course: Course, progress: CourseProgress, user_id: str
) -> Iterator[tuple[Lesson, Slide, SlideProgress | None]]:
    """Every slide that counts for somebody, in order, with what they have seen of it."""
    record = progress.records.get(user_id)
    seen = {each.slide_id: each for each in record.slides} if record else {}
    for lesson in lessons_of(course, progress.enrolments[user_id]):
        for slide in lesson.slides:
            yield lesson, slide, seen.get(slide.id)


def user_slides(call: Call) -> Response:
    """GET /training/analytics/v1/users/{userId}/slides/statistics."""
    user_id, courses = courses_of_user(call)
    table = call.organisation.progress
    rows = [(course, *each) for course in courses for each in _seen(course, table[course.id], user_id)]
    return numbered(call, rows, lambda row: shapes.user_slide(*row))


def survey_questions(call: Call) -> Response:
    """GET /training/analytics/v1/surveys/questionDefinitions."""
    found = [place for place in _places(courses_asked(call)) if place[2].kind is SlideKind.SURVEY]
    return numbered(call, found, lambda place: shapes.survey_question(*place))


def survey_answers(call: Call) -> Response:
    """GET /training/analytics/v1/surveys/answers."""
    courses = [course for course in courses_asked(call) if course.surveys]
    found = parts(call, "survey answers", users_asked(call), courses, _weigh)
    table, known = call.organisation.progress, call.organisation.courses

    def after(offset: int) -> Iterator[Json]:
        return (
            shapes.survey_answer(known[course_id], user_id, *each)
            for course_id, user_id, skip in rows_after(found, offset)
            for each in islice(_answers(known[course_id], table[course_id], user_id), skip, None)
        )

    return numbered_part(call, total(found), after)


def _weigh(course: Course) -> Weigh:
    return lambda progress, user_id: sum(1 for _ in _answers(course, progress, user_id))


def _answers(
    course: Course, progress: CourseProgress, user_id: str
) -> Iterator[tuple[Lesson, SlideProgress]]:
    if user_id in progress.records:
        for lesson, slide, seen in _seen(course, progress, user_id):
            if seen is not None and slide.kind is SlideKind.SURVEY and seen.answered_at:
                yield lesson, seen
