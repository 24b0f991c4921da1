"""What each operation is asked and what it answers, by the operation's name; the table of operations has the rest."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from mock_server.refusal import Reason
from mock_server.wire.fields import MAX_IDS
from mock_server.wire.schema import (
    COURSE_ID,
    MAX_TEXT,
    USER_ID,
    Schema,
    asked,
    choice,
    constant,
    date,
    flag,
    many,
    nullable,
    page_number,
    sent_id,
    text,
    typed_text,
    whole,
)
from mock_server.wire.shapes import GROUP_STATUSES
from mock_server.world.ledger import RESET_EVENT
from mock_server.world.people import Seat, Status

_DENIED = (Reason.PERMISSION_DENIED,)
_RESET_REFUSALS = (Reason.PERMISSION_DENIED, Reason.COURSE_NOT_FOUND, Reason.USER_NOT_FOUND)
MOST_USERS = 1000
_WEBHOOK_REFUSALS = (Reason.PERMISSION_DENIED, Reason.WEBHOOK_NOT_FOUND)
_SUBSCRIPTION = asked(
    "P",
    {
        "url": {
            **typed_text("On this machine; the live service takes any address."),
            "examples": ["http://127.0.0.1:9/"],
        },
        "trigger_events": many(
            choice([RESET_EVENT]), "The only one that is sent here.", minItems=1, maxItems=100
        ),
    },
    ("url", "trigger_events"),
)


@frozen
class Terms:
    """One operation: what it does, what it may refuse beside what all do, and what comes back."""

    summary: str
    answer: str
    """The name of the shape of its answer."""
    refusals: tuple[Reason, ...] = ()
    body: Schema | None = None
    headers: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    """Query parameters that are published although the answer is not."""


PARAMETERS: dict[str, Schema] = {
    **{name: page_number(name) for name in ("page", "pageSize", "limit", "offset")},
    "courseIds": many(
        sent_id("A course.", but=",", example=COURSE_ID),
        "Repeated, or one parameter with commas.",
        minItems=1,
        maxItems=MAX_IDS,
    ),
    "searchTerm": typed_text("Part of a title, in upper or lower case."),
    "completion_status": choice(
        (f"COMPLETION_STATUS_{each}" for each in ("ALL", "COMPLETED", "NON_COMPLETED")),
        "That ALL is the default is assumed.",
    ),
    **dict.fromkeys(("course_id", "courseId"), sent_id("Rows of one course only.", example=COURSE_ID)),
    **dict.fromkeys(("user_id", "userId"), sent_id("Rows of one user only.", example=USER_ID)),
    "leaderboardId": sent_id("The leaderboard."),
    "status": choice(GROUP_STATUSES.values(), "Users in this state only; the values are assumed."),
    "include_deleted": flag("Deleted sites as well; without it they are left out."),
    "show_only_leaf_nodes": flag("Only sites that have no site below them."),
    "modified_after": date("Rows that have changed since."),
}
"""Query parameters, in the spelling that the vendor's reference uses."""

NEEDED = ("leaderboardId",)
"""Those that no request may leave out."""

PATH_PARAMETERS = {
    "courseId": sent_id("The course.", example=COURSE_ID),
    "courseCollectionId": sent_id("The collection."),
    "userId": sent_id("The user.", example=USER_ID),
    "pathId": sent_id("The path."),
    "groupId": sent_id("The group."),
    "rapidRefreshId": sent_id("The rapid refresh."),
    "id": sent_id("What is asked for."),
}

CONFIRMATION = asked(
    "A",
    {"courseTitle": text("The course's title, code point by code point."), "users": whole()},
    ("courseTitle", "users"),
)
HEADERS: dict[str, Schema] = {
    "Reset-Confirmation": {
        "description": "What the sender believes to be true: course title, and users whose progress will be"
        " cleared. Needed, unless the world's policy says otherwise; without it 428, if it is not true 412.",
        "schema": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": CONFIRMATION,
            "examples": ['{"courseTitle": "Forklift basics", "users": 37}'],
        },
    },
    "Idempotency-Key": {
        "description": "The same key with the same content gives the first answer again, without an effect.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
}


def _titled(title: str, fields: dict[str, Schema], required: Iterable[str]) -> Schema:
    """One of several forms of an assumed body, with the name that generators of clients give it."""
    return {"title": title, **asked("A", fields, required)}


_ONE_COURSE = sent_id("The course.", example=COURSE_ID)
_SCOPE: Schema = {
    "description": "One course, and either the users or everyone; the names of the fields are assumed.",
    "oneOf": [
        _titled(
            "ResetOfUsers",
            {
                "courseId": _ONE_COURSE,
                "userIds": many(
                    sent_id("A user.", example=USER_ID),
                    "Nobody else is reset.",
                    minItems=1,
                    maxItems=MOST_USERS,
                ),
            },
            ("courseId", "userIds"),
        ),
        _titled(
            "ResetOfEveryone",
            {
                "courseId": _ONE_COURSE,
                "allUsers": {"type": "boolean", "const": True, "description": "Everyone in the course."},
            },
            ("courseId", "allUsers"),
        ),
    ],
}
_CHANGE = asked(
    "T",
    {
        "id": sent_id("A user, group or site."),
        "type": choice(f"ASSIGNMENT_TYPE_{kind}" for kind in ("USER", "GROUP", "SITE")),
        "isAssigned": flag(),
    },
    ("id", "type", "isAssigned"),
)
_ASSIGNMENTS: Schema = {
    **asked(
        "T",
        {
            "assignments": nullable(
                many(_CHANGE, maxItems=1000),
                "Changes, not a replacement; it names each once. Left out or null, it is empty.",
            ),
            "universalAccess": flag("Everyone is assigned, or no longer."),
            **{name: flag() for name in ("clearAllUsers", "clearAllGroups", "clearAllSites")},
        },
    ),
    "minProperties": 1,
}
_USER_PAGE = {"page_size": whole("That 200 is the default is assumed.", 1, 200), "page_token": typed_text("")}
_FILTERS: Schema = {
    **asked(
        "T",
        {
            "user_ids": many(sent_id("A user."), minItems=1, maxItems=1000),
            "usernames": many(
                {"type": "string", "maxLength": MAX_TEXT, "pattern": typed_text("")["pattern"]}, maxItems=1000
            ),
            "statuses": many(choice(Status), maxItems=len(Status)),
            "seat_types": many(choice(Seat), maxItems=len(Seat)),
        },
    ),
    "minProperties": 1,
    "description": "Users who fit every filter.",
}
_WHICH_USERS: Schema = {
    "description": "All users, or those who fit the filters.",
    "oneOf": [
        asked("T", {**_USER_PAGE, "list_all": constant(True)}, ("list_all",)),
        asked("T", {**_USER_PAGE, "filters": _FILTERS, "list_all": constant(False)}, ("filters",)),
    ],
}
_WHICH_SETS = asked(
    "T",
    {
        "limit": whole("That 100 is the default is assumed.", 1, 100),
        "offset": whole("", 0, 10**9),
        "search": typed_text("Part of a name."),
    },
)


def _small_feed(path: str, rows: str) -> dict[str, Terms]:
    return {rows: Terms(f"List {path.rpartition('/')[2].replace('_', ' ')}.", rows, _DENIED)}


TERMS: dict[str, Terms] = {
    "WhoAmI": Terms("Whose token this is.", "WhoAmI"),
    "ListCourses": Terms("List courses; learners see what is published and assigned to them.", "Courses"),
    "ListLessonsOfCourse": Terms(
        "List the lessons of a course.", "LessonsOfCourse", (Reason.COURSE_NOT_FOUND,)
    ),
    "GetLesson": Terms("Show a lesson.", "Lesson", (Reason.LESSON_NOT_FOUND,)),
    "ListPaths": Terms("List learning paths; learners see what is published and assigned to them.", "Paths"),
    "GetPath": Terms("Show a learning path and its courses, in order.", "Path", (Reason.PATH_NOT_FOUND,)),
    "ListCollections": Terms(
        "List collections of courses; learners see what is published and assigned to them.", "Collections"
    ),
    "ListCoursesOfCollection": Terms(
        "List the courses of a collection.", "Courses", (Reason.COLLECTION_NOT_FOUND,)
    ),
    "UpdateCourseAssignments": Terms(
        "Change to whom a course is assigned.",
        "AssignmentsUpdated",
        (
            *_DENIED,
            Reason.COURSE_NOT_FOUND,
            Reason.USER_NOT_FOUND,
            Reason.GROUP_NOT_FOUND,
            Reason.SITE_NOT_FOUND,
        ),
        _ASSIGNMENTS,
    ),
    "ListTrainingCourseProgress": Terms(
        "List progress: a row per assigned user and course; from a warehouse, up to 2 h old.", "ProgressPage"
    ),
    "GetCourseStatistics": Terms(
        "How courses stand.", "CourseStatisticsPage", _DENIED, published=("page", "pageSize", "courseId")
    ),
    "GetUserLessonProgress": Terms(
        "How far a user is, lesson by lesson.", "LessonProgressPage", (Reason.USER_NOT_FOUND,)
    ),
    "ListLessonAttempts": Terms("List attempts at lessons.", "LessonAttempts"),
    "GetLessonStatistics": Terms("How lessons stand.", "LessonStatisticsPage", _DENIED),
    "ListLessonProgressEvents": Terms("List when lessons were opened and completed.", "LessonEvents"),
    "ListUserLessonProgressEvents": Terms(
        "List when a user opened and completed lessons.", "LessonEvents", (Reason.USER_NOT_FOUND,)
    ),
    "GetSlideStatistics": Terms("How slides stand.", "SlideStatisticsPage", _DENIED),
    "GetUserSlideStatistics": Terms(
        "What a user has seen and answered, slide by slide.", "UserSlides", (Reason.USER_NOT_FOUND,)
    ),
    "ListRapidRefreshAnswers": Terms("List answers in rapid refreshes.", "RapidRefreshAnswers", _DENIED),
    "ListRapidRefreshes": Terms(
        "List rapid refreshes; learners see what is published and assigned to them.", "RapidRefreshes"
    ),
    "GetRapidRefresh": Terms(
        "Show a rapid refresh and its questions.", "RapidRefresh", (Reason.RAPID_REFRESH_NOT_FOUND,)
    ),
    "ListLeaderboards": Terms(
        "List leaderboards; learners see those that they have access to.", "Leaderboards"
    ),
    "GetLeaderboardRankings": Terms(
        "Show who stands where on a leaderboard, the first 1000.",
        "Rankings",
        (Reason.LEADERBOARD_NOT_FOUND,),
    ),
    "ListSurveyQuestionDefinitions": Terms("List what surveys ask.", "SurveyQuestions", _DENIED),
    "ListSurveyAnswers": Terms("List answers to surveys.", "SurveyAnswers"),
    "ListUsers": Terms("List users.", "Users", _DENIED, _WHICH_USERS),
    **_small_feed("/feed/users", "FeedUsers"),
    **_small_feed("/feed/groups", "FeedGroups"),
    **_small_feed("/feed/group_users", "FeedGroupUsers"),
    **_small_feed("/feed/sites", "FeedSites"),
    **_small_feed("/feed/site_members", "FeedSiteMembers"),
    "ListGroups": Terms("List groups; an older read that many scripts use.", "Groups", _DENIED),
    "ListUsersOfGroup": Terms(
        "List the users of a group; an older read that many scripts use.",
        "UsersOfGroup",
        (*_DENIED, Reason.GROUP_NOT_FOUND),
    ),
    "ListPermissionSets": Terms("List permission sets.", "PermissionSets", _DENIED, _WHICH_SETS),
    "CreateWebhook": Terms("Subscribe to events.", "Webhook", _DENIED, _SUBSCRIPTION),
    "ListWebhooks": Terms("List webhooks.", "Webhooks", _DENIED),
    "GetWebhook": Terms("Get a webhook.", "Webhook", _WEBHOOK_REFUSALS),
    "DeleteWebhook": Terms("Delete a webhook.", "WebhookDeleted", _WEBHOOK_REFUSALS),
    "GetWebhookToken": Terms("Get the secret that webhooks are signed with.", "WebhookToken", _DENIED),
    "CreateWebhookToken": Terms(
        "Take a new secret to sign webhooks with.", "WebhookToken", _DENIED, asked("A", {})
    ),
    "ResetCourseProgress": Terms(
        "Reset the progress of users in a course. It cannot be undone.",
        "ResetDone",
        (
            *_RESET_REFUSALS,
            Reason.IDEMPOTENCY_KEY_IN_FLIGHT,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.CONFIRMATION_REQUIRED,
            Reason.CONFIRMATION_MISMATCH,
        ),
        _SCOPE,
        ("Reset-Confirmation", "Idempotency-Key"),
    ),
    "PreviewReset": Terms(
        "What a reset would clear; changes nothing. Only the reference server has it.",
        "ResetPreview",
        _RESET_REFUSALS,
        _SCOPE,
    ),
}
