"""Whose rows and which courses a reading operation is asked for, of those that its caller sees."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from mock_server.api.call import Call
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import visibility
from mock_server.world.courses import Course
from mock_server.world.progress import CourseProgress
from mock_server.world.progress_table import MatchingRows, Weigh

T = TypeVar("T")


def users_asked(call: Call, name: str = "userId") -> list[str] | None:
    """The users whose rows are seen and asked for, in order; None for everyone."""
    seen = visibility.users(call.actor, call.reach)
    user_id = call.query.id(name)
    if user_id is not None:
        return [user_id] if seen is None or user_id in seen else []
    return None if seen is None else sorted(seen)


def user_in_path(call: Call) -> str:
    """The user in the path. RefusedError if there is none such, or none whose rows are seen."""
    user_id = call.path_id("userId")
    seen = visibility.users(call.actor, call.reach)
    if user_id not in call.organisation.people or (seen is not None and user_id not in seen):
        # The same answer for somebody hidden and somebody unknown, or it would tell the two apart (R04).
        raise RefusedError(
            Reason.USER_NOT_FOUND,
            f"There is no user {user_id}, or this token does not see them; "
            'all users are seen with the permission "Training: Administration".',
            {"ids": user_id},
        )
    return user_id


def courses_asked(call: Call) -> list[Course]:
    """Every course, or the one asked for; none where there is none such."""
    course_id, courses = call.query.id("courseId"), call.organisation.courses
    if course_id is None:
        return list(courses.values())
    return [courses[course_id]] if course_id in courses else []


def courses_of_user(call: Call) -> tuple[str, list[Course]]:
    """The user in the path, and which of the courses asked for are assigned to them."""
    user_id, table = user_in_path(call), call.organisation.progress
    return user_id, [course for course in courses_asked(call) if table[course.id].has(user_id)]


def members(call: Call) -> tuple[str, ...] | None:
    """Those whose figures are seen, in order; None for everyone."""
    seen = visibility.users(call.actor, call.reach)
    return None if seen is None else tuple(sorted(seen))


def figures(
    call: Call,
    what: str,
    course: Course,
    users: Sequence[str] | None,
    count: Callable[[Course, CourseProgress, Iterable[str]], T],
) -> T:
    """What ``count`` finds in a course over these users, kept under the name ``what`` until something there changes."""
    table = call.organisation.progress
    progress = table[course.id]
    return table.stats_cache.figures(
        (what, users), course.id, progress.state, lambda: count(course, progress, _on_roster(progress, users))
    )


def _on_roster(progress: CourseProgress, users: Sequence[str] | None) -> Iterable[str]:
    """Those of these users (None: everyone) to whom the course is assigned."""
    return progress.roster if users is None else (each for each in users if progress.has(each))


def parts(
    call: Call,
    question: str,
    users: Sequence[str] | None,
    courses: Iterable[Course],
    weigh: Callable[[Course], Weigh],
) -> list[tuple[str, MatchingRows]]:
    """The rows of these courses that are asked for, by course; ``question`` stands for ``weigh``."""
    table = call.organisation.progress
    asked: Hashable = (question, None if users is None else tuple(users))
    return [
        (each.id, table.page_index.rows(asked, each.id, table[each.id], users, weigh(each)))
        for each in courses
    ]


def total(found: Iterable[tuple[str, MatchingRows]]) -> int:
    """Items of all these rows."""
    return sum(places.total for _, places in found)
