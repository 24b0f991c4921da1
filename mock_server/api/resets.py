"""The reset and its preview, in the order of checks of rule R29."""

from __future__ import annotations

from collections import Counter
from functools import partial

from mock_server.api.emulated_resets import emulate, emulated_answer
from mock_server.api.operation import Call, Link, Operation
from mock_server.policy import Policy
from mock_server.refusal import Reason
from mock_server.rules import audit, confirmation, idempotency, reset, scope
from mock_server.rules.scope import Scope, absent, eligible
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import (
    COURSE_ID,
    USER_ID,
    Schema,
    answer,
    field,
    many,
    sent_id,
    sent_object,
    text,
    whole,
)
from mock_server.world.courses import Course, CourseStatus, DueKind
from mock_server.world.progress import CourseProgress, Record

NAME = "ResetCourseProgress"


@answer("A")
class ResetDone:
    """The answer to a reset."""

    usersUpdated: int = field("The number of users whose progress was cleared.")


@answer("A", is_component=False)
class CourseOfPreview:
    """The course that a reset would be of."""

    id: str
    title: str
    status: CourseStatus


@answer("A", is_component=False)
class UsersByState:
    """The users in the scope, by the state of their progress."""

    completed: int
    inProgress: int
    notStarted: int
    notAssigned: int


@answer("A", is_component=False)
class Cleared:
    """The effect that a reset would have."""

    lessonProgress: int
    attempts: int
    assessmentSubmissions: int
    assessmentMarks: int
    assessmentSignOffs: int
    discussionPosts: int
    assignmentHandIns: int
    slideProgress: int
    surveyAnswers: int
    certificates: int
    dueDatesRestarted: int


@answer("A", is_component=False)
class Absent:
    """The users in the scope who have progress and are not assigned now (R10)."""

    kept: int = field(
        "Users in the scope who are not assigned now, and whose progress reappears when they return."
    )
    cleared: int = field(
        "Users in the scope who are not assigned now, and whose progress the reset clears too. Not in usersToReset."
    )


@answer("A")
class ResetPreview:
    """The effect of a reset, as the pop-up before it shows."""

    course: CourseOfPreview
    usersToReset: int = field("The number of users that the confirmation must state.")
    users: UsersByState
    cleared: Cleared
    absent: Absent
    notifications: int = field("The number of notifications that would be sent.")


# --- what is sent -----------------------------------------------------------------------------------------------------


def _form(title: str, **scope: Schema) -> Schema:
    """Return one form of the body, with the name that generators of clients give it."""
    fields = {"courseId": sent_id("The course.", example=COURSE_ID), **scope}
    return {"title": title, **sent_object("A", fields, fields)}


_USERS = many(
    sent_id("A user.", example=USER_ID),
    "The users to reset. No other user is reset.",
    minItems=1,
    maxItems=Policy().max_users_per_reset,
)
_EVERYONE: Schema = {"type": "boolean", "const": True, "description": "True to reset everyone in the course."}
_SCOPE: Schema = {
    "description": "One course, and either a list of users or everyone. The names of the fields are assumed.",
    "oneOf": [_form("ResetOfUsers", userIds=_USERS), _form("ResetOfEveryone", allUsers=_EVERYONE)],
}
_CONFIRMATION: Schema = {
    "description": "The title of the course, and the number of users whose progress the reset clears, as the sender"
    " expects them. Required unless the policy is `confirmation=off`. 428 if it is missing, 412 if it is not true.",
    "schema": {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": sent_object(
            "A",
            {"courseTitle": text("The title of the course, equal in every code point."), "users": whole()},
            ("courseTitle", "users"),
        ),
        "examples": ['{"courseTitle": "Forklift basics", "users": 37}'],
    },
}
_KEY: Schema = {
    "description": "A second request with the same key and content gets the first answer again, and has no effect.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_REFUSALS = (Reason.COURSE_NOT_FOUND, Reason.USER_NOT_FOUND)
_COURSE = "$request.body#/courseId"


# --- the reset --------------------------------------------------------------------------------------------------------


@Operation(
    NAME,
    "POST /training/courseprogress/v1/reset",
    "A",
    scope.rights,
    ResetDone,
    noun="resets",
    headers={"Reset-Confirmation": _CONFIRMATION, "Idempotency-Key": _KEY},
    body=_SCOPE,
    refusals=(
        *_REFUSALS,
        Reason.IDEMPOTENCY_KEY_IN_FLIGHT,
        Reason.IDEMPOTENCY_KEY_REUSED,
        Reason.CONFIRMATION_REQUIRED,
        Reason.CONFIRMATION_MISMATCH,
    ),
    audited=True,
    always_strict=True,
    links=(
        Link("Statistics", "GetCourseStatistics", "The statistics after the reset.", {"courseId": _COURSE}),
        Link("Progress", "ListTrainingCourseProgress", "The rows after the reset.", {"course_id": _COURSE}),
        Link("Attempts", "ListLessonAttempts", "The attempts after the reset.", {"courseId": _COURSE}),
        Link("Events", "ListLessonProgressEvents", "The events after the reset.", {"courseId": _COURSE}),
    ),
)
def reset_progress(call: Call) -> Response:
    """Reset the progress of users in a course. It cannot be undone."""
    world, organisation = call.world, call.organisation
    asked = scope.read(world.policy, call.body)
    if world.policy.emulates:
        return emulated_answer(world.policy, answers.ok(ResetDone(emulate(call, asked))))
    keys = call.request.all_headers(idempotency.HEADER) if world.policy.is_reference else []
    key = idempotency.read(keys)
    confirmations = call.request.all_headers(confirmation.HEADER)
    is_confirmed = world.policy.asks_confirmation
    confirmed = confirmation.read(confirmations) if is_confirmed else None
    course = scope.find(organisation, asked)
    slot = idempotency.slot(call.token, call.operation.name, key or "")
    content = idempotency.fingerprint(call.request.body, confirmations)
    kept = idempotency.replay(world.keys, slot, content, is_repeat=call.is_repeat) if key else None
    if kept is not None:
        audit.done(world, call.token, call.request_id, asked, (), "replayed")
        return answers.raw_ok(kept)
    progress = organisation.progress[course.id]
    user_ids = eligible(world.policy, progress, asked.user_ids)
    absent_ids = absent(world.policy, progress, asked.user_ids) if world.policy.absent == "cleared" else []
    if is_confirmed:
        confirmation.check(confirmed, course.title, len(user_ids))
    reset.carry_out(world, call.actor, course, user_ids, absent_ids)
    done = answers.ok(ResetDone(len(user_ids)))
    if key:
        world.keys.kept[slot] = (content, done.body)
    write = partial(audit.done, absent_ids=absent_ids) if absent_ids else audit.done
    write(world, call.token, call.request_id, asked, user_ids)
    return done


# --- its preview ------------------------------------------------------------------------------------------------------


@Operation(
    "PreviewReset",
    "POST /training/courseprogress/v1/reset:preview",
    "A",
    scope.rights,
    ResetPreview,
    noun="resets",
    body=_SCOPE,
    refusals=_REFUSALS,
    reference_only=True,
    always_strict=True,
    links=(
        Link(
            "Reset",
            "ResetCourseProgress",
            "The reset itself. course/title and usersToReset are the values of its confirmation.",
            body="$request.body",
        ),
    ),
)
def preview_reset(call: Call) -> Response:
    """Show the effect of a reset. Nothing is changed. Only the reference server has this operation."""
    asked = scope.read(call.world.policy, call.body)
    course = scope.find(call.organisation, asked)
    progress = call.organisation.progress[course.id]
    user_ids = eligible(call.world.policy, progress, asked.user_ids)
    recipients = reset.recipients(call.organisation, user_ids)
    return answers.ok(
        ResetPreview(
            course=CourseOfPreview(course.id, course.title, course.status),
            usersToReset=len(user_ids),
            users=_by_state(progress, asked),
            cleared=_cleared(call, course, user_ids),
            absent=_absent(call, progress, asked),
            notifications=len(recipients) if reset.sends_notifications(call.world.policy, course) else 0,
        )
    )


def _by_state(progress: CourseProgress, asked: Scope) -> UsersByState:
    everyone = progress.roster if asked.user_ids is None else asked.user_ids
    found = Counter(
        _state(progress.records.get(user_id)) if progress.has(user_id) else "notAssigned"
        for user_id in everyone
    )
    return UsersByState(
        completed=found["completed"],
        inProgress=found["inProgress"],
        notStarted=found["notStarted"],
        notAssigned=found["notAssigned"],
    )


def _state(record: Record | None) -> str:
    if record is None or not record.is_recorded:
        return "notStarted"
    return "completed" if record.completed_at else "inProgress"


def _absent(call: Call, progress: CourseProgress, asked: Scope) -> Absent:
    policy = call.world.policy
    number = len(absent(policy, progress, asked.user_ids))
    is_cleared = policy.absent == "cleared"
    return Absent(kept=0 if is_cleared else number, cleared=number if is_cleared else 0)


def _cleared(call: Call, course: Course, user_ids: list[str]) -> Cleared:
    records = [call.organisation.progress[course.id].records[user_id] for user_id in user_ids]
    submissions = [each for record in records for each in record.submissions]
    slides = [each for record in records for each in record.slides]
    surveys = course.surveys
    hides = call.world.policy.old_certificate == "hidden"
    held = [call.organisation.certificates.get((course.id, user_id), ()) for user_id in user_ids]
    return Cleared(
        lessonProgress=sum(len(record.lessons) for record in records),
        attempts=sum(len(record.attempts) for record in records),
        assessmentSubmissions=len(submissions),
        assessmentMarks=sum(each.mark is not None for each in submissions),
        assessmentSignOffs=sum(bool(each.signed_off_by) for each in submissions),
        discussionPosts=sum(len(record.posts) for record in records),
        assignmentHandIns=sum(len(record.hand_ins) for record in records),
        slideProgress=len(slides),
        surveyAnswers=sum(bool(each.answered_at) and each.slide_id in surveys for each in slides),
        certificates=sum(map(len, held)) if hides else 0,
        dueDatesRestarted=len(user_ids) if course.due.kind is DueKind.RELATIVE else 0,
    )
