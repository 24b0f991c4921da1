"""The shapes of answers by name, as ``wire.shapes`` writes them; a test holds the two together."""

from __future__ import annotations

from mock_server.contract.figures import FIGURES
from mock_server.refusal import Reason
from mock_server.wire.schema import (
    Schema,
    answer,
    choice,
    constant,
    date,
    date_or_none,
    flag,
    many,
    nullable,
    numbered,
    percent,
    reference,
    text,
    whole,
)
from mock_server.wire.shapes import GROUP_STATUSES
from mock_server.world.courses import CourseStatus, DueKind
from mock_server.world.people import Seat, Status

_ORIGINAL = answer("O", {"id": text(), "externalId": text()})
_STATES = ("completed", "inProgress", "notStarted", "notAssigned")
_CLEARED = (
    *("lessonProgress", "attempts", "assessmentSubmissions", "assessmentMarks", "assessmentSignOffs"),
    *("discussionPosts", "assignmentHandIns", "slideProgress", "surveyAnswers"),
    *("certificates", "dueDatesRestarted"),
)
_INFO = {
    "@type": constant("type.googleapis.com/google.rpc.ErrorInfo"),
    "reason": choice([reason.name for reason in Reason], "Stable and machine-readable."),
    "domain": constant("training"),
    "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
}

_COURSE_LIST = {"id": text(), "title": text(), "isPublished": flag()}

_REFRESH = {
    "id": text(),
    "title": text(),
    "isPublished": flag(),
    "questionCount": whole(),
    "createdDatetime": date_or_none(),
}

_ROWS: dict[str, Schema] = {
    "WhoAmI": answer(
        "P", {"user_id": text(), "organisation_id": text(), "firstname": text(), "lastname": text()}
    ),
    "Webhook": answer(
        "P",
        {
            "webhook_id": text(),
            "url": text(),
            "trigger_events": many(text()),
            "created_at": date("When it was made."),
        },
        created_at="A",
    ),
    "Course": answer(
        "O",
        {
            "id": text("24 hex digits."),
            "externalId": text(),
            "title": text(),
            "description": text(),
            "status": choice(CourseStatus),
            "locale": text(),
            "isMandatory": flag(),
            "dueBy": choice(DueKind, "The kind of due date."),
            "duration": whole("Seconds."),
            "thumbnailUrl": text(),
            "createdDatetime": date_or_none(),
            "modifiedDatetime": date_or_none(),
            "TranslationOriginalCourse": nullable(_ORIGINAL, ""),
            "logoUrl": text(),
            "brandingImageUrl": text(),
            "isPublished": flag(),
            "LessonCount": whole(),
            "publishedVersionNumber": whole(),
        },
    ),
    "LessonOfCourse": answer(
        "T",
        {
            "id": text(),
            "externalId": text(),
            "title": text(),
            "description": text(),
            "status": text(),
            "minimumScore": whole(),
        },
    ),
    "Lesson": answer(
        "T",
        {
            "id": text(),
            "title": text(),
            "description": text(),
            "created_datetime": date_or_none(),
            "modified_datetime": date_or_none(),
            "external_id": text(),
        },
    ),
    "PathInList": answer("T", _COURSE_LIST),
    "Path": answer(
        "T",
        {**_COURSE_LIST, "courses": many(reference("Course"), "The path's courses, in order.")},
        courses="A",
    ),
    "Collection": answer("A", _COURSE_LIST),
    "RapidRefreshInList": answer("A", _REFRESH),
    "RapidRefresh": answer(
        "A",
        {
            **_REFRESH,
            "questions": many(
                answer("A", {"id": text(), "question": text(), "options": many(text())}),
                "Which option is right is not shown.",
            ),
        },
    ),
    "Leaderboard": answer(
        "T",
        {
            "id": text(),
            "name": text(),
            "startDate": date_or_none(),
            "endDate": date_or_none(),
            "learnerAccess": flag("Whether learners see it."),
        },
    ),
    "Rankings": answer(
        "T",
        {
            "leaderboardId": text(),
            "leaderboardName": text(),
            "rankings": many(
                answer(
                    "T",
                    {
                        "rank": whole("From 1; equals share one.", 1),
                        "participantId": text(),
                        "participantName": text(),
                        "totalScore": whole(
                            "The sum of the scores in the board's courses, which is assumed."
                        ),
                        "isNotAttempted": flag("Whether nothing is recorded of them there."),
                    },
                ),
                "That there are at most 1000 is assumed.",
            ),
        },
    ),
    "ProgressRow": answer(
        "P",
        {
            "opened_at": date_or_none(),
            "completed_at": date_or_none(),
            "total_lessons": whole(),
            "completed_lessons": whole(),
            "course_id": text(),
            "course_external_id": text(),
            "course_title": text(),
            "user_email": text(),
            "user_first_name": text(),
            "user_last_name": text(),
            "user_id": text(),
            "user_external_id": text(),
            "progress_percent": percent(),
            "score": whole(),
            "due_at": date_or_none(),
            "time_spent_seconds": whole(),
            "completion_expiry_date": date_or_none(),
        },
        time_spent_seconds="T",
        completion_expiry_date="T",
    ),
    "User": answer(
        "T",
        {
            "user_id": text(),
            "org_id": text(),
            "status": choice(Status),
            "first_name": text(),
            "last_name": text(),
            "email": text(),
            "username": text(),
            "seat_type": choice(Seat),
            "timezone": text(),
            "locale": text(),
            "created_at": date_or_none(),
        },
    ),
    "FeedUser": answer(
        "P",
        {
            "id": text(),
            "organisation_id": text(),
            "email": text(),
            "firstname": text(),
            "lastname": text(),
            "active": flag(),
            "last_seen_at": date_or_none(),
            "seat_type": choice(Seat),
            "created_at": date_or_none(),
        },
    ),
    "UserOfGroup": answer(
        "T",
        {
            "user_id": text(),
            "id": text("The same as user_id."),
            "firstname": text(),
            "lastname": text(),
            "email": text(),
            "status": choice(GROUP_STATUSES.values(), "The values are assumed."),
            "seat_type": choice(Seat),
        },
        status="A",
    ),
    "FeedGroup": answer("P", {"id": text(), "organisation_id": text(), "name": text()}),
    "FeedGroupUser": answer("P", {"user_id": text(), "group_id": text(), "organisation_id": text()}),
    "FeedSite": answer(
        "P",
        {
            "id": text(),
            "name": text(),
            "creator_id": text(),
            "organisation_id": text(),
            "deleted": flag(),
            "site_uuid": text(),
            "meta_label": text('The kind of place, such as "location".'),
            "parent_id": text(),
        },
    ),
    "FeedSiteMember": answer("P", {"site_id": text(), "member_id": text()}),
    "PermissionSet": answer(
        "T",
        {
            "identifier": answer(
                "T",
                {
                    "id": text(),
                    "type": text(),
                    "name": text(),
                    "description": text(),
                    "allowed_seat_types": many(choice(Seat)),
                },
            ),
            "permissions": {
                "type": "object",
                "description": "Every permission by name, held or not.",
                "additionalProperties": {"type": "boolean"},
            },
        },
    ),
    "ResetPreview": answer(
        "A",
        {
            "course": answer("A", {"id": text(), "title": text(), "status": choice(CourseStatus)}),
            "usersToReset": whole("What the confirmation has to state."),
            "users": answer("A", {state: whole() for state in _STATES}),
            "cleared": answer("A", {name: whole() for name in _CLEARED}),
            "absent": answer(
                "A",
                {
                    "kept": whole(
                        "Users in the scope, not assigned now, whose progress reappears when they return."
                    ),
                    "cleared": whole(
                        "Such users whose progress the reset clears as well. Not in usersToReset."
                    ),
                },
            ),
            "notifications": whole("Notifications that would go out."),
        },
    ),
    "Error": answer(
        "O",
        {
            "code": whole("The gRPC code, most likely."),
            "message": text(),
            "details": many(answer("A", _INFO), minItems=1, maxItems=1),
        },
        details="A",
    ),
}


_ASSUMED_TOKEN = {"next_page_token": "A"}
_FEED_METADATA = {
    "next_page": nullable(
        text(), "Relative path with query of the next page, to be followed as given; null at the end."
    ),
    "next_page_token": nullable(text(), "Opaque; null at the end."),
}


def _feed(row: Schema) -> Schema:
    metadata = answer("P", {**_FEED_METADATA, "remaining_records": whole()}, **_ASSUMED_TOKEN)
    return answer("P", {"metadata": metadata, "data": many(row)})


_PAGES: dict[str, Schema] = {
    "Courses": numbered("Course", "O"),
    "Paths": numbered("PathInList", "T"),
    "Collections": numbered("Collection", "A"),
    "Leaderboards": numbered("Leaderboard", "T"),
    "RapidRefreshes": numbered("RapidRefreshInList", "A"),
    "LessonsOfCourse": answer("T", {"lessons": many(reference("LessonOfCourse"))}),
    "ProgressPage": answer(
        "P",
        {
            "metadata": answer("P", _FEED_METADATA, **_ASSUMED_TOKEN),
            "data": many(reference("ProgressRow")),
        },
    ),
    "Groups": answer("T", {"groups": many(answer("T", {"id": text(), "name": text()}))}),
    "UsersOfGroup": answer(
        "T",
        {
            "users": many(reference("UserOfGroup")),
            "total": whole("On all pages."),
            "offset": whole(),
            "limit": whole(),
        },
    ),
    "Users": answer("T", {"users": many(reference("User")), "next_page_token": text()}),
    **{f"{row}s": _feed(reference(row)) for row in _ROWS if row.startswith("Feed")},
    "OtherFeed": _feed({"type": "object", "description": "A row of another service; no part of Training."}),
    "PermissionSets": answer(
        "T", {"permission_sets": many(answer("T", {"permission_set": reference("PermissionSet")}))}
    ),
    "AssignmentsUpdated": answer(
        "T", {"usersUpdated": whole(), "groupsUpdated": whole(), "sitesUpdated": whole()}
    ),
    "Webhooks": answer("P", {"webhook": many(reference("Webhook"))}),
    "WebhookDeleted": answer("A", {}),
    "WebhookToken": answer("A", {"token": text("Secret of the signature, HMAC-SHA256 of the raw body.")}),
    "ResetDone": answer("A", {"usersUpdated": whole("Users whose progress was cleared.")}),
}

SHAPES = {**_ROWS, **FIGURES, **_PAGES}
