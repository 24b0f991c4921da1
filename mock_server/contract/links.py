"""How one operation leads to the next: what an answer gives that another request needs."""

from __future__ import annotations

from typing import Any

BODY = "x-request-body"
"""An object as the body of a link: generators of clients refuse a document whose ``requestBody`` is no string."""
_FIRST = "$response.body#/items/0/id"


def _to(operation_id: str, description: str, *, body: object = None, **parameters: object) -> dict[str, Any]:
    link: dict[str, Any] = {"operationId": operation_id, "description": description}
    if parameters:
        link["parameters"] = parameters
    if isinstance(body, str):
        link["requestBody"] = body
    elif body is not None:
        link[BODY] = body
    return link


_WEBHOOK = "$response.body#/webhook_id"

LINKS: dict[str, dict[str, Any]] = {
    "CreateWebhook": {
        "Webhook": _to("GetWebhook", "The webhook as it is kept.", id=_WEBHOOK),
        "End": _to("DeleteWebhook", "No further events.", id=_WEBHOOK),
    },
    "WhoAmI": {
        "OwnLessonProgress": _to(
            "GetUserLessonProgress", "How far the token's owner is.", userId="$response.body#/user_id"
        ),
        "OwnRows": _to(
            "ListTrainingCourseProgress", "The token's owner's rows.", user_id="$response.body#/user_id"
        ),
        "OwnLessonEvents": _to(
            "ListUserLessonProgressEvents",
            "When the token's owner opened and completed lessons.",
            userId="$response.body#/user_id",
        ),
        "OwnSlides": _to(
            "GetUserSlideStatistics",
            "What the token's owner has seen and answered.",
            userId="$response.body#/user_id",
        ),
        "OwnAttempts": _to(
            "ListLessonAttempts", "The token's owner's attempts.", userId="$response.body#/user_id"
        ),
    },
    "ListCourses": {
        "Lessons": _to("ListLessonsOfCourse", "The course's lessons.", courseId=_FIRST),
        "Assignments": _to("UpdateCourseAssignments", "To whom it is assigned.", courseId=_FIRST),
        "Progress": _to("ListTrainingCourseProgress", "Who stands where in it.", course_id=_FIRST),
        "LessonStatistics": _to("GetLessonStatistics", "How its lessons stand.", courseId=_FIRST),
        "SlideStatistics": _to("GetSlideStatistics", "How its slides stand.", courseId=_FIRST),
        "Surveys": _to("ListSurveyQuestionDefinitions", "What its surveys ask.", courseId=_FIRST),
        "Preview": _to(
            "PreviewReset",
            "What a reset of everyone in the course would clear.",
            body={"courseId": _FIRST, "allUsers": True},
        ),
    },
    "ListLessonsOfCourse": {
        "Lesson": _to("GetLesson", "One of them.", id="$response.body#/lessons/0/id"),
    },
    "ListPaths": {
        "Path": _to("GetPath", "The first of them and its courses.", pathId=_FIRST),
    },
    "GetPath": {
        "Lessons": _to(
            "ListLessonsOfCourse",
            "The lessons of its first course.",
            courseId="$response.body#/courses/0/id",
        ),
    },
    "ListCollections": {
        "Courses": _to(
            "ListCoursesOfCollection", "The courses of the first of them.", courseCollectionId=_FIRST
        ),
    },
    "ListLeaderboards": {
        "Rankings": _to("GetLeaderboardRankings", "Who stands where on the first.", leaderboardId=_FIRST),
    },
    "ListRapidRefreshes": {
        "RapidRefresh": _to("GetRapidRefresh", "The first of them and its questions.", rapidRefreshId=_FIRST),
    },
    "ListTrainingCourseProgress": {
        "Lessons": _to(
            "GetUserLessonProgress",
            "The row's user, lesson by lesson.",
            userId="$response.body#/data/0/user_id",
        ),
        "Preview": _to(
            "PreviewReset",
            "What a reset of the row's user would clear.",
            body={
                "courseId": "$response.body#/data/0/course_id",
                "userIds": ["$response.body#/data/0/user_id"],
            },
        ),
    },
    "ListGroups": {
        "Users": _to("ListUsersOfGroup", "Who is in the first.", groupId="$response.body#/groups/0/id"),
    },
    "ListUsers": {
        "RapidRefreshAnswers": _to(
            "ListRapidRefreshAnswers",
            "What the user has answered in rapid refreshes.",
            userId="$response.body#/users/0/user_id",
        ),
        "Lessons": _to(
            "GetUserLessonProgress",
            "How far the user is, lesson by lesson.",
            userId="$response.body#/users/0/user_id",
        ),
    },
    "ListSurveyQuestionDefinitions": {
        "Answers": _to(
            "ListSurveyAnswers", "What was answered.", courseId="$response.body#/items/0/courseId"
        ),
    },
    "PreviewReset": {
        # The confirmation is JSON, and a link cannot put JSON together.
        "Reset": _to(
            "ResetCourseProgress",
            "The reset itself; course/title and usersToReset go into its confirmation.",
            body="$request.body",
        ),
    },
    "ResetCourseProgress": {
        "Statistics": _to("GetCourseStatistics", "The figures after it.", courseId="$request.body#/courseId"),
        "Progress": _to(
            "ListTrainingCourseProgress", "The rows after it.", course_id="$request.body#/courseId"
        ),
        "Attempts": _to("ListLessonAttempts", "The attempts after it.", courseId="$request.body#/courseId"),
        "Events": _to("ListLessonProgressEvents", "The events after it.", courseId="$request.body#/courseId"),
    },
}
