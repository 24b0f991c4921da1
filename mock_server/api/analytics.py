"""Statistics of courses and lessons; those of slides have a module of their own."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve

from mock_server.api.courses import COURSE_IDS
from mock_server.api.operation import (
    COURSE,
    PAGE,
    Call,
    NumberedPage,
    Operation,
    courses_asked,
    figures,
    members,
    numbered,
)
from mock_server.policy import Behaviour
from mock_server.rules import access
from mock_server.rules.access import Family
from mock_server.rules.completion import lessons_of
from mock_server.wire.message import Response
from mock_server.wire.schema import Number, Percent, answer
from mock_server.world.courses import Course, Lesson
from mock_server.world.progress import CourseProgress, LessonProgress, Tally


@answer("A")
class CourseStatistics:
    """The figures of a course; the score is the mean over users with recorded progress."""

    courseId: str
    courseTitle: str
    totalUsers: int
    openedCount: int
    completedCount: int
    completionPercent: Percent
    averageScore: Number


@answer("A")
class CourseStatisticsPage(NumberedPage):
    """A page of the figures of courses."""

    items: list[CourseStatistics]


@answer("A")
class LessonStatistics:
    """The figures of a lesson; the score is the mean over users who have opened it."""

    courseId: str
    lessonId: str
    lessonTitle: str
    totalUsers: int
    openedCount: int
    completedCount: int
    completionPercent: Percent
    averageScore: Number


@answer("A")
class LessonStatisticsPage(NumberedPage):
    """A page of the figures of lessons."""

    items: list[LessonStatistics]


def _percent(part: int, total: int) -> float:
    return round(100 * part / total, 2) if total else 0.0


def _mean(score_sum: int, count: int) -> float:
    return round(score_sum / count, 2) if count else 0.0


@Operation(
    "GetCourseStatistics",
    "GET /training/analytics/v1/courses/statistics",
    "A",
    Family.ANALYTICS,
    CourseStatisticsPage,
    parameters=(*(evolve(each, mark="P") for each in (*PAGE, COURSE)), COURSE_IDS),
)
def get_course_statistics(call: Call) -> Response:
    """Show the statistics of courses."""
    wanted = _courses_wanted(call)
    team = access.visible_users(call.actor, call.reach)
    omits_all = Behaviour.OMITS_COURSE_STATISTICS in call.world.policy.emulates
    every = () if omits_all else call.organisation.courses.values()
    found = [course for course in every if wanted is None or course.id in wanted]
    return numbered(call, CourseStatisticsPage, found, lambda course: _of_course(call, course, team))


def _courses_wanted(call: Call) -> list[str] | None:
    """Return the course asked for (P) and the ones of the older parameter (A); None for all."""
    one, several = call.query.id("courseId"), call.query.ids("courseIds")
    return several if one is None else [one, *(several or ())]


def _of_course(call: Call, course: Course, users: set[str] | None) -> CourseStatistics:
    """Return the stored counters, or for a team a count over its members."""
    progress = call.organisation.progress[course.id]
    total, tally = len(progress.roster), progress.tally
    if users is not None:
        assigned = [user_id for user_id in users if progress.has(user_id)]
        total, tally = len(assigned), Tally()
        tally.count(map(progress.records.get, assigned), +1)
    return CourseStatistics(
        courseId=course.id,
        courseTitle=course.title,
        totalUsers=total,
        openedCount=tally.opened,
        completedCount=tally.completed,
        completionPercent=_percent(tally.completed, total),
        averageScore=_mean(tally.score_sum, tally.recorded),
    )


@define
class LessonTally:
    """Counts over the users for whom a lesson counts."""

    users: int = 0
    opened: int = 0
    completed: int = 0
    score_sum: int = 0

    def count(self, reached: LessonProgress) -> None:
        """Add the progress of one user."""
        self.opened += 1
        self.completed += bool(reached.completed_at)
        self.score_sum += reached.score


_Tallies = dict[str, LessonTally]


@Operation(
    "GetLessonStatistics",
    "GET /training/analytics/v1/lessons/statistics",
    "A",
    Family.ANALYTICS,
    LessonStatisticsPage,
    parameters=(*PAGE, COURSE),
)
def get_lesson_statistics(call: Call) -> Response:
    """Show the statistics of lessons."""
    team = members(call)
    found = [(course, lesson) for course in courses_asked(call) for lesson in course.lessons]
    counted: dict[str, _Tallies] = {}  # to ask for those of a course once a page, not once a row

    def row(place: tuple[Course, Lesson]) -> LessonStatistics:
        course, lesson = place
        if course.id not in counted:
            counted[course.id] = figures(call, "lessons", course, team, _count)
        return _of_lesson(course, lesson, counted[course.id][lesson.id])

    return numbered(call, LessonStatisticsPage, found, row)


def _count(course: Course, progress: CourseProgress, users: Iterable[str]) -> _Tallies:
    found = {lesson.id: LessonTally() for lesson in course.lessons}
    for user_id in users:
        lessons = lessons_of(course, progress.enrolments[user_id])
        for lesson in lessons:
            found[lesson.id].users += 1
        record = progress.records.get(user_id)
        theirs = {lesson.id for lesson in lessons} if record else ()
        for reached in record.lessons if record else ():
            if reached.lesson_id in theirs:
                found[reached.lesson_id].count(reached)
    return found


def _of_lesson(course: Course, lesson: Lesson, tally: LessonTally) -> LessonStatistics:
    return LessonStatistics(
        courseId=course.id,
        lessonId=lesson.id,
        lessonTitle=lesson.title,
        totalUsers=tally.users,
        openedCount=tally.opened,
        completedCount=tally.completed,
        completionPercent=_percent(tally.completed, tally.users),
        averageScore=_mean(tally.score_sum, tally.opened),
    )
