"""Every operation of Training, the preview that only the reference server has, and feeds that are not served here."""

from __future__ import annotations

import re

from mock_server.api import (
    analytics,
    assignments,
    courses,
    leaderboards,
    people,
    progress,
    rapid_refreshes,
    resets,
    slides,
    webhooks,
)
from mock_server.api.call import Operation, needs
from mock_server.api.paging import FEED, PAGE
from mock_server.rules import scope
from mock_server.rules import webhooks as hooks
from mock_server.rules.permissions import Family

_ANALYTICS = "/training/analytics/v1"
_PATHS = "/training/paths/v1"
_REFRESHES = "/training/rapid-refresh/v1"
_BOARDS = "/training/individualleaderboards/v1"
_COLLECTIONS = "/training/collections/v1"
_RESET = "/training/courseprogress/v1/reset"
_TEAM_FIGURES, _OWN_ROWS = Family.ANALYTICS, Family.PROGRESS
_COURSE, _BOTH = ("courseId",), ("userId", "courseId")

# Further analytics, all of one kind: name, path, handler, rights and filters.
_FIGURES = (
    ("GetLessonStatistics", "lessons/statistics", analytics.lesson_statistics, _TEAM_FIGURES, _COURSE),
    ("ListLessonProgressEvents", "lessons/progress/events", analytics.lesson_events, _OWN_ROWS, _BOTH),
    (
        "ListUserLessonProgressEvents",
        "users/{userId}/lessons/progress/events",
        analytics.user_lesson_events,
        _OWN_ROWS,
        _COURSE,
    ),
    ("GetSlideStatistics", "slides/statistics", slides.slide_statistics, _TEAM_FIGURES, _COURSE),
    ("GetUserSlideStatistics", "users/{userId}/slides/statistics", slides.user_slides, _OWN_ROWS, _COURSE),
    (
        "ListSurveyQuestionDefinitions",
        "surveys/questionDefinitions",
        slides.survey_questions,
        _TEAM_FIGURES,
        _COURSE,
    ),
    (
        "ListRapidRefreshAnswers",
        "rapidRefresh/answers",
        rapid_refreshes.refresh_answers,
        _TEAM_FIGURES,
        ("userId",),
    ),
    ("ListSurveyAnswers", "surveys/answers", slides.survey_answers, _OWN_ROWS, _BOTH),
)


def _feed_name(template: str) -> str:
    """``/feed/group_users`` is FeedGroupUsers."""
    return "".join(word.capitalize() for word in re.findall("[a-z]+", template))


_SERVED = (
    Operation("WhoAmI", "GET", "/accounts/user/v1/user:WhoAmI", "P", people.who_am_i, needs(Family.SELF)),
    Operation(
        "ListCourses",
        "GET",
        "/training/courses/v1",
        "O",
        courses.list_courses,
        needs(Family.CATALOGUE),
        (*PAGE, "courseIds", "searchTerm"),
    ),
    Operation(
        "ListLessonsOfCourse",
        "GET",
        "/training/courses/v1/{courseId}/lessons",
        "T",
        courses.lessons_of_course,
        needs(Family.CATALOGUE),
    ),
    Operation(
        "GetLesson",
        "GET",
        "/training/lessons/v1/{id}",
        "T",
        courses.get_lesson,
        needs(Family.CATALOGUE),
    ),
    Operation("ListPaths", "GET", _PATHS, "T", courses.list_paths, needs(Family.CATALOGUE), PAGE),
    Operation("GetPath", "GET", f"{_PATHS}/{{pathId}}", "A", courses.get_path, needs(Family.CATALOGUE)),
    Operation(
        "ListCollections",
        "GET",
        _COLLECTIONS,
        "A",
        courses.list_collections,
        needs(Family.CATALOGUE),
        PAGE,
    ),
    Operation(
        "ListCoursesOfCollection",
        "GET",
        f"{_COLLECTIONS}/{{courseCollectionId}}/courses",
        "A",
        courses.courses_of_collection,
        needs(Family.CATALOGUE),
        PAGE,
    ),
    Operation(
        "ListRapidRefreshes",
        "GET",
        _REFRESHES,
        "A",
        rapid_refreshes.list_refreshes,
        needs(Family.CATALOGUE),
        PAGE,
    ),
    Operation(
        "GetRapidRefresh",
        "GET",
        f"{_REFRESHES}/{{rapidRefreshId}}",
        "A",
        rapid_refreshes.get_refresh,
        needs(Family.CATALOGUE),
    ),
    Operation(
        "ListLeaderboards",
        "GET",
        _BOARDS,
        "T",
        leaderboards.list_leaderboards,
        needs(Family.CATALOGUE),
        PAGE,
    ),
    Operation(
        "GetLeaderboardRankings",
        "GET",
        f"{_BOARDS}/rankings",
        "T",
        leaderboards.get_rankings,
        needs(Family.CATALOGUE),
        ("leaderboardId",),
    ),
    Operation(
        "UpdateCourseAssignments",
        "PUT",
        "/training/courses/v1/{courseId}/assignments",
        "T",
        assignments.update_assignments,
        needs(Family.ASSIGN),
        takes_body=True,
    ),
    Operation(
        "ListTrainingCourseProgress",
        "GET",
        progress.TEMPLATE,
        "P",
        progress.progress_feed,
        needs(Family.PROGRESS),
        progress.QUERY,
        lagged=True,
    ),
    Operation(
        "GetCourseStatistics",
        "GET",
        f"{_ANALYTICS}/courses/statistics",
        "A",
        analytics.course_statistics,
        needs(Family.ANALYTICS),
        (*PAGE, "courseId", "courseIds"),
        lagged=True,
    ),
    Operation(
        "GetUserLessonProgress",
        "GET",
        f"{_ANALYTICS}/users/{{userId}}/lessons/progress",
        "A",
        analytics.lesson_progress,
        needs(Family.PROGRESS),
        (*PAGE, "courseId"),
        lagged=True,
    ),
    Operation(
        "ListLessonAttempts",
        "GET",
        f"{_ANALYTICS}/lessons/attempts",
        "A",
        analytics.lesson_attempts,
        needs(Family.PROGRESS),
        (*PAGE, "userId", "courseId"),
        lagged=True,
    ),
    *(
        Operation(
            name,
            "GET",
            f"{_ANALYTICS}/{path}",
            "A",
            handler,
            needs(family),
            (*PAGE, *filters),
            lagged=True,
        )
        for name, path, handler, family, filters in _FIGURES
    ),
    Operation(
        "ListUsers",
        "POST",
        "/users/v1/users/list",
        "T",
        people.list_users,
        needs(Family.PEOPLE),
        takes_body=True,
    ),
    *(
        Operation(
            _feed_name(template),
            "GET",
            template,
            "P",
            people.feed_of(template),
            needs(Family.PEOPLE),
            (*FEED, *people.SITES_QUERY) if template == "/feed/sites" else FEED,
        )
        for template in people.FEEDS
    ),
    Operation("ListGroups", "GET", "/groups", "T", people.list_groups, needs(Family.PEOPLE)),
    Operation(
        "ListUsersOfGroup",
        "GET",
        "/groups/{groupId}/users",
        "T",
        people.users_of_group,
        needs(Family.PEOPLE),
        people.GROUP_QUERY,
    ),
    Operation(
        "ListPermissionSets",
        "POST",
        "/permissions/v1/permission_sets",
        "T",
        people.permission_sets,
        needs(Family.PERMISSION_SETS),
        takes_body=True,
    ),
    Operation(
        resets.NAME,
        "POST",
        _RESET,
        "A",
        resets.reset_progress,
        scope.rights,
        takes_body=True,
        audited=True,
        always_strict=True,
    ),
    Operation(
        "PreviewReset",
        "POST",
        f"{_RESET}:preview",
        "A",
        resets.preview_reset,
        scope.rights,
        takes_body=True,
        reference_only=True,
        always_strict=True,
    ),
)


# Feeds of the vendor's that its bulk exporter reads (P): known, so that a script finds out what is missing here.
_ELSEWHERE = (
    *("inspections", "inspection_items", "templates", "template_permissions"),
    *("schedules", "schedule_assignees", "schedule_occurrences"),
    *("actions", "action_assignees", "action_timeline_items"),
    *("issues", "issue_assignees", "issue_timeline_items", "assets"),
)
_NOT_OF_TRAINING = (
    *(Operation(_feed_name(f"/feed/{each}"), "GET", f"/feed/{each}", "P") for each in _ELSEWHERE),
    Operation("FeedActivityLogEvents", "GET", "/accounts/history/v2/feed/activity_log_events", "P"),
    Operation("FeedOnboardingProgress", "GET", "/inductions/v1/feed/onboarding-progress", "P"),
)

_WEBHOOKS = "/webhooks/v1/webhooks"
_HOOKS = (
    Operation("CreateWebhook", "POST", _WEBHOOKS, "P", webhooks.create, hooks.rights, takes_body=True),
    Operation("ListWebhooks", "GET", _WEBHOOKS, "P", webhooks.list_all, hooks.rights),
    Operation("GetWebhook", "GET", f"{_WEBHOOKS}/{{id}}", "P", webhooks.get, hooks.rights),
    Operation("DeleteWebhook", "DELETE", f"{_WEBHOOKS}/{{id}}", "P", webhooks.delete, hooks.rights),
    Operation("GetWebhookToken", "GET", "/webhooks/v1/token", "P", webhooks.get_secret, hooks.rights),
    Operation(
        "CreateWebhookToken",
        "POST",
        "/webhooks/v1/token",
        "P",
        webhooks.new_secret,
        hooks.rights,
        takes_body=True,
    ),
)

OPERATIONS = (*_SERVED, *_HOOKS, *_NOT_OF_TRAINING)
