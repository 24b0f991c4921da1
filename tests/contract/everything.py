"""All that the server shows of itself to somebody, as bytes to be searched for what must not be there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

from mock_server import MockTraining
from mock_server.api.routes import OPERATIONS
from mock_server.mock import TokenName
from mock_server.wire.message import Request

_ANALYTICS = "/training/analytics/v1"

# Operations by name, as method, path and JSON body; {course}, {user} and the like stand for every one in turn.
_ASKED: dict[str, tuple[str, str, object]] = {
    "WhoAmI": ("GET", "/accounts/user/v1/user:WhoAmI", None),
    "ListCourses": ("GET", "/training/courses/v1?pageSize=1000", None),
    "ListLessonsOfCourse": ("GET", "/training/courses/v1/{course}/lessons", None),
    "GetLesson": ("GET", "/training/lessons/v1/{lesson}", None),
    "ListPaths": ("GET", "/training/paths/v1?pageSize=1000", None),
    "GetPath": ("GET", "/training/paths/v1/{path}", None),
    "ListCollections": ("GET", "/training/collections/v1?pageSize=1000", None),
    "ListCoursesOfCollection": (
        "GET",
        "/training/collections/v1/{collection}/courses?pageSize=1000",
        None,
    ),
    "ListTrainingCourseProgress": ("GET", "/training/v1/feed/training-course-progress", None),
    "GetCourseStatistics": ("GET", "/training/analytics/v1/courses/statistics?pageSize=1000", None),
    "GetUserLessonProgress": ("GET", "/training/analytics/v1/users/{user}/lessons/progress", None),
    "ListLessonAttempts": ("GET", "/training/analytics/v1/lessons/attempts?pageSize=1000", None),
    "GetLessonStatistics": ("GET", f"{_ANALYTICS}/lessons/statistics?pageSize=1000", None),
    "ListLessonProgressEvents": ("GET", f"{_ANALYTICS}/lessons/progress/events?pageSize=1000", None),
    "ListUserLessonProgressEvents": (
        "GET",
        f"{_ANALYTICS}/users/{{user}}/lessons/progress/events?pageSize=1000",
        None,
    ),
    "GetSlideStatistics": ("GET", f"{_ANALYTICS}/slides/statistics?pageSize=1000", None),
    "GetUserSlideStatistics": ("GET", f"{_ANALYTICS}/users/{{user}}/slides/statistics?pageSize=1000", None),
    "ListSurveyQuestionDefinitions": ("GET", f"{_ANALYTICS}/surveys/questionDefinitions", None),
    "ListSurveyAnswers": ("GET", f"{_ANALYTICS}/surveys/answers?pageSize=1000", None),
    "ListRapidRefreshAnswers": ("GET", f"{_ANALYTICS}/rapidRefresh/answers?pageSize=1000", None),
    "ListLeaderboards": ("GET", "/training/individualleaderboards/v1?pageSize=1000", None),
    "GetLeaderboardRankings": (
        "GET",
        "/training/individualleaderboards/v1/rankings?leaderboardId={board}",
        None,
    ),
    "ListRapidRefreshes": ("GET", "/training/rapid-refresh/v1?pageSize=1000", None),
    "GetRapidRefresh": ("GET", "/training/rapid-refresh/v1/{refresh}", None),
    "ListUsers": ("POST", "/users/v1/users/list", {"list_all": True}),
    "FeedUsers": ("GET", "/feed/users", None),
    "FeedGroups": ("GET", "/feed/groups", None),
    "FeedGroupUsers": ("GET", "/feed/group_users", None),
    "FeedSites": ("GET", "/feed/sites", None),
    "FeedSiteMembers": ("GET", "/feed/site_members", None),
    "ListGroups": ("GET", "/groups", None),
    "ListUsersOfGroup": ("GET", "/groups/{group}/users", None),
    "ListPermissionSets": ("POST", "/permissions/v1/permission_sets", {}),
    "PreviewReset": (
        "POST",
        "/training/courseprogress/v1/reset:preview",
        {"courseId": "{course}", "allUsers": True},
    ),
    "ListWebhooks": ("GET", "/webhooks/v1/webhooks", None),
    "GetWebhookToken": ("GET", "/webhooks/v1/token", None),
}
_WRITING = {
    "UpdateCourseAssignments",
    "ResetCourseProgress",
    "CreateWebhook",
    "DeleteWebhook",
    "CreateWebhookToken",
}
_LISTED = {"GetWebhook"}  # one of those that the list shows, in the same words


def check_that_nothing_is_left_out() -> None:
    """Fail when the server learns an operation that the search does not know."""
    served = {operation.name for operation in OPERATIONS if operation.handler is not None}
    known = _ASKED.keys() | _WRITING | _LISTED
    assert served == known, (
        f"add to or remove from _ASKED of contract/everything.py: {sorted(served ^ known)}"
    )


def everything(mock: MockTraining, who: TokenName) -> dict[str, bytes]:
    """Every answer to every reading request that this token can make, by method and path; worlds of < 1000 rows."""
    token = mock.token(who)
    answers: dict[str, bytes] = {}
    for method, path, body in _requests(mock):
        bare, _, query = path.partition("?")
        headers = [("user-agent", "tests/1"), ("authorization", f"Bearer {token}")]
        content = b"" if body is None else json.dumps(body).encode()
        if content:
            headers.append(("content-type", "application/json"))
        response = mock.handle(Request(method, bare, query, tuple(headers), content))
        answers[f"{method} {path} {content.decode()}"] = response.body
    return answers


def ledgers(mock: MockTraining) -> bytes:
    """What the library shows beside the wire: certificates, outbox and audit log."""
    return repr((mock.certificates, mock.outbox, mock.audit)).encode()


def _requests(mock: MockTraining) -> Iterator[tuple[str, str, object]]:
    organisations = mock.world.organisations.values()
    courses = [course for each in organisations for course in each.courses.values()]
    lessons = [lesson.id for course in courses for lesson in course.lessons]
    ids = {
        "course": [course.id for course in courses],
        "user": [user for each in organisations for user in each.people],
        "lesson": lessons,
        "group": [group for each in organisations for group in each.groups],
        "path": [path for each in organisations for path in each.paths],
        "board": [board for each in organisations for board in each.leaderboards],
        "refresh": [refresh for each in organisations for refresh in each.rapid_refreshes],
        "collection": [collection for each in organisations for collection in each.collections],
    }
    for method, path, body in _ASKED.values():
        template = json.dumps([path, body])
        kind = next((kind for kind in ids if f"{{{kind}}}" in template), None)
        for one in ids[kind] if kind else [""]:
            filled = json.loads(template.replace(f"{{{kind}}}", quote(one)))
            yield method, filled[0], filled[1]
