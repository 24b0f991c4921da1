"""Courses, lessons, paths and collections: all, or for learners what is published and assigned to them."""

from __future__ import annotations

from mock_server.api.call import Call
from mock_server.api.paging import numbered
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import visibility
from mock_server.wire import answers, shapes
from mock_server.wire.message import Response
from mock_server.world.courses import CourseList


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


def list_paths(call: Call) -> Response:
    """GET /training/paths/v1."""
    found = visibility.assigned_lists(call.actor, call.reach, call.organisation.paths)
    return numbered(call, found, shapes.course_list)


def get_path(call: Call) -> Response:
    """GET /training/paths/v1/{pathId}."""
    path_id = call.path_id("pathId")
    held = _seen(call, call.organisation.paths, path_id)
    if held is None:
        raise RefusedError(Reason.PATH_NOT_FOUND, f"There is no learning path {path_id}.", {"ids": path_id})
    return answers.ok(shapes.path(held, visibility.courses_of(call.actor, call.reach, held)))


def list_collections(call: Call) -> Response:
    """GET /training/collections/v1."""
    found = visibility.assigned_lists(call.actor, call.reach, call.organisation.collections)
    return numbered(call, found, shapes.course_list)


def courses_of_collection(call: Call) -> Response:
    """GET /training/collections/v1/{courseCollectionId}/courses."""
    collection_id = call.path_id("courseCollectionId")
    held = _seen(call, call.organisation.collections, collection_id)
    if held is None:
        raise RefusedError(
            Reason.COLLECTION_NOT_FOUND, f"There is no collection {collection_id}.", {"ids": collection_id}
        )
    return numbered(call, visibility.courses_of(call.actor, call.reach, held), shapes.course)


def _seen(call: Call, lists: dict[str, CourseList], wanted: str) -> CourseList | None:
    """The one with this id, unless it is hidden: hidden and unknown look alike (R04)."""
    seen = visibility.assigned_lists(call.actor, call.reach, lists)
    return next((each for each in seen if each.id == wanted), None)
