"""Courses and lessons: all of them, or for learners what is published and assigned to them."""

from __future__ import annotations

from mock_server.operations.call import Call
from mock_server.operations.paging import numbered
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import visibility
from mock_server.wire import answers, shapes
from mock_server.wire.message import Response


def list_courses(call: Call) -> Response:
    """GET /training/courses/v1."""
    wanted = call.query.ids("courseIds")
    search = call.query.text("searchTerm").casefold()
    found = [
        course
        for course in visibility.courses(call.actor, call.reach)
        if (wanted is None or course.id in wanted) and search in course.title.casefold()
    ]
    return numbered(call, found, shapes.course)


def lessons_of_course(call: Call) -> Response:
    """GET /training/courses/v1/{courseId}/lessons."""
    course_id = call.path_id("courseId")
    for course in visibility.courses(call.actor, call.reach):
        if course.id == course_id:
            return answers.ok({"lessons": [shapes.lesson_of_course(lesson) for lesson in course.lessons]})
    raise RefusedError(Reason.COURSE_NOT_FOUND, f"There is no course {course_id}.", {"ids": course_id})


def get_lesson(call: Call) -> Response:
    """GET /training/lessons/v1/{id}."""
    lesson_id = call.path_id("id")
    for course in visibility.courses(call.actor, call.reach):
        for lesson in course.lessons:
            if lesson.id == lesson_id:
                return answers.ok(shapes.lesson(lesson))
    raise RefusedError(Reason.LESSON_NOT_FOUND, f"There is no lesson {lesson_id}.", {"ids": lesson_id})
