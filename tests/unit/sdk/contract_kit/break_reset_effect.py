"""Breaking R12 to R15 and R17: the course begins anew, is the same, and the past is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server.api import progress
from mock_server.api.routes import OPERATIONS
from mock_server.rules.access import Reach
from mock_server.wire import answers
from mock_server.world.organisation import Organisation
from mock_server.world.progress import CourseProgress, Record
from unit.sdk.contract_kit.faulty_server import (
    adds_to_reset,
    after_reset,
    altered,
    breaks,
    entered,
    handler_of,
    left_behind,
    replaces,
)

ANEW, INSIDE = "R12-the-course-begins-anew", "R13-what-lies-inside-is-cleared"
NO_PREVIEW, FIGURES = "R13-no-preview-of-the-past", "R14-analytics-follow-at-once"
GONE, LEARNERS = "R15-the-past-is-gone-everywhere", "R15-learners-lose-their-past-too"
FEED = "ListTrainingCourseProgress"


def _enter_left(name: str, check: str, *fields: str) -> None:
    def keep(was: Record) -> dict[str, Any]:
        return {field: getattr(was, field) for field in fields}

    entered(name, lambda patch: left_behind(patch, keep), check)


_enter_left("scores_and_times_stay", ANEW, "score", "time_spent_seconds")
_enter_left("percentages_stay", ANEW, "progress_percent")
_enter_left("numbers_of_lessons_stay", ANEW, "completed_lessons")
_enter_left("attempts_stay", ANEW, "attempts")
_enter_left("lessons_stay", ANEW, "lessons")
_enter_left("expiry_dates_stay", "R12-no-expiry-without-a-completion", "completion_expiry_date")


@breaks(ANEW)
def slides_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"slides": was.slides})


@breaks(ANEW)
def dates_of_opening_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"opened_at": was.opened_at if was.completed_at else ""})


@breaks(INSIDE, NO_PREVIEW)
def submissions_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"submissions": was.submissions})


@breaks(INSIDE, NO_PREVIEW)
def posts_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"posts": was.posts})


@breaks(INSIDE, NO_PREVIEW)
def hand_ins_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"hand_ins": was.hand_ins})


@breaks(INSIDE)
def posts_of_the_half_way_stay(patch: pytest.MonkeyPatch) -> None:
    left_behind(patch, lambda was: {"posts": () if was.completed_at else was.posts})


@breaks(NO_PREVIEW)
def the_preview_counts_the_past(patch: pytest.MonkeyPatch) -> None:
    posts: dict[tuple[str, str], int] = {}

    def count(_: Organisation, course: Any, was: dict[str, Record]) -> None:
        posts.update({(course.id, user_id): len(record.posts) for user_id, record in was.items()})

    def preview(call: Any) -> Any:
        said = json.loads(handler_of("PreviewReset")(call).body)
        key = (call.body["courseId"], call.body["userIds"][0])
        said["cleared"]["discussionPosts"] += posts.get(key, 0)
        return answers.ok(said)

    after_reset(patch, count)
    altered(patch, "PreviewReset", handler=preview)


@replaces(CourseProgress, "restart", FIGURES)
def figures_stand_still(honest: Any, self: CourseProgress, *of: Any) -> None:
    kept = evolve(self.tally)
    honest(self, *of)
    self.tally = kept


@breaks("R14-figures-of-a-team-follow")
def figures_of_a_team_stand_still(patch: pytest.MonkeyPatch) -> None:
    kept: dict[int, Any] = {}

    def statistics(call: Any) -> Any:
        if call.reach is not Reach.TEAMS:
            return handler_of("GetCourseStatistics")(call)
        return kept.setdefault(id(call.world), handler_of("GetCourseStatistics")(call))

    altered(patch, "GetCourseStatistics", handler=statistics)


@breaks("R15-no-archive-behind-the-assignment", "R15-no-archive-where-the-absent-are-cleared")
def the_past_comes_back_with_the_assignment(patch: pytest.MonkeyPatch) -> None:
    archive: dict[tuple[int, str], Record] = {}
    honest = CourseProgress.enrol

    def keep(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        at = id(organisation.progress[course.id])
        archive.update({(at, user_id): record for user_id, record in was.items()})

    def enrol(self: CourseProgress, user_id: str, enrolment: Any) -> None:
        returns = not self.has(user_id)
        honest(self, user_id, enrolment)
        record = archive.get((id(self), user_id))
        if returns and record is not None:
            self.put(user_id, record)

    after_reset(patch, keep)
    patch.setattr(CourseProgress, "enrol", enrol)


def _archive(patch: pytest.MonkeyPatch) -> dict[str, Record]:
    """What was there before the latest reset, by user."""
    archive: dict[str, Record] = {}

    def keep(_: Organisation, __: Any, was: dict[str, Record]) -> None:
        archive.clear()
        archive.update(was)

    after_reset(patch, keep)
    return archive


def _shown_again(
    patch: pytest.MonkeyPatch, name: str, whose: Callable[[Any], tuple[str | None, str | None]]
) -> None:
    """An operation that shows the past where ``whose`` answers a user and a course."""
    archive = _archive(patch)
    (operation,) = (each for each in OPERATIONS if each.name == name)
    assert operation.handler is not None
    honest = operation.handler

    def show(call: Any) -> Any:
        user_id, course_id = whose(call)
        record = archive.get(user_id or "")
        courses = call.organisation.progress.courses
        at = (
            [course_id] if course_id else [key for key, each in courses.items() if each.reset_at.get(user_id)]
        )
        if record is None or not at:
            return honest(call)
        now = courses[at[0]].records.get(user_id)
        courses[at[0]].put(user_id, record)
        try:
            return honest(call)
        finally:
            courses[at[0]].put(user_id, now)

    altered(patch, name, handler=show)


def _as_learner(call: Any) -> tuple[str | None, str | None]:
    return (call.actor.id if call.reach is Reach.OWN else None), None


@breaks(LEARNERS)
def learners_still_see_their_attempts(patch: pytest.MonkeyPatch) -> None:
    _shown_again(patch, "ListLessonAttempts", _as_learner)


@breaks(LEARNERS)
def learners_still_see_their_lessons(patch: pytest.MonkeyPatch) -> None:
    _shown_again(patch, "GetUserLessonProgress", _as_learner)


@breaks(LEARNERS)
def learners_still_see_their_rows(patch: pytest.MonkeyPatch) -> None:
    _shown_again(patch, FEED, _as_learner)


@breaks(GONE)
def completions_are_found_by_status(patch: pytest.MonkeyPatch) -> None:
    def whose(call: Any) -> tuple[str | None, str | None]:
        is_narrowed = call.query.choice("completion_status", progress._STATUSES) == progress._STATUSES[1]
        return (call.query.id("user_id") if is_narrowed else None), call.query.id("course_id")

    _shown_again(patch, FEED, whose)


@breaks(GONE)
def completions_are_found_by_their_time(patch: pytest.MonkeyPatch) -> None:
    def whose(call: Any) -> tuple[str | None, str | None]:
        is_narrowed = call.query.moment("modified_after") is not None
        return (call.query.id("user_id") if is_narrowed else None), call.query.id("course_id")

    _shown_again(patch, FEED, whose)


@adds_to_reset("R17-it-stays-the-same-course")
def the_course_takes_longer(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    if was:
        organisation.put_course(evolve(course, duration=course.duration + 60))


@adds_to_reset("R17-it-stays-the-same-course")
def the_lessons_are_renamed(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    lessons = tuple(evolve(each, title=f"{each.title} (again)") for each in course.lessons)
    if was:
        organisation.put_course(evolve(course, lessons=lessons))


@replaces(CourseProgress, "put", "R17-it-is-completed-again")
def it_is_never_done_again(honest: Any, self: CourseProgress, user_id: str, record: Record | None) -> None:
    again = record is not None and record.completed_at and user_id in self.reset_at
    honest(self, user_id, evolve(record, progress_percent=50.0) if record and again else record)
