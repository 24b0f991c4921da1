"""The reset and its preview, in the order of checks of R29."""

from __future__ import annotations

from collections import Counter
from functools import partial

from mock_server.api.call import Call
from mock_server.api.emulated_resets import emulated_reset
from mock_server.rules import audit, confirmation, idempotency, notifications, reset, scope
from mock_server.rules.eligibility import absent, eligible
from mock_server.rules.scope import Scope
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world.courses import Course, DueKind
from mock_server.world.progress import Record

NAME = "ResetCourseProgress"


def reset_progress(call: Call) -> Response:
    """POST /training/courseprogress/v1/reset."""
    world, organisation = call.world, call.organisation
    asked = scope.read(world.policy, call.body)
    if world.policy.emulates:
        return emulated_reset(call, asked)
    keys = call.request.all_headers(idempotency.HEADER) if world.policy.is_reference else []
    key = idempotency.read(keys)
    confirmations = call.request.all_headers(confirmation.HEADER)
    is_confirmed = world.policy.asks_confirmation
    confirmed = confirmation.read(confirmations) if is_confirmed else None
    course = scope.find(organisation, asked)
    slot = idempotency.slot(call.token, call.operation, key or "")
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
    answer = answers.ok({"usersUpdated": len(user_ids)})
    if key:
        world.keys.kept[slot] = (content, answer.body)
    write = partial(audit.done, absent_ids=absent_ids) if absent_ids else audit.done
    write(world, call.token, call.request_id, asked, user_ids)
    return answer


def preview_reset(call: Call) -> Response:
    """POST /training/courseprogress/v1/reset:preview; what the pop-up shows (A). Changes nothing."""
    asked = scope.read(call.world.policy, call.body)
    course = scope.find(call.organisation, asked)
    progress = call.organisation.progress[course.id]
    user_ids = eligible(call.world.policy, progress, asked.user_ids)
    recipients = notifications.recipients(call.organisation, user_ids)
    return answers.ok(
        {
            "course": {"id": course.id, "title": course.title, "status": course.status},
            "usersToReset": len(user_ids),
            "users": _states(call, course, asked),
            "cleared": _cleared(call, course, user_ids),
            "absent": _absent(call, course, asked),
            "notifications": len(recipients) if notifications.are_sent(call.world.policy, course) else 0,
        }
    )


def _states(call: Call, course: Course, asked: Scope) -> Json:
    """Everybody in the scope by state."""
    progress = call.organisation.progress[course.id]
    everybody = progress.roster if asked.user_ids is None else asked.user_ids
    found = Counter(
        _state(progress.records.get(user_id)) if progress.has(user_id) else "notAssigned"
        for user_id in everybody
    )
    return {state: found[state] for state in ("completed", "inProgress", "notStarted", "notAssigned")}


def _state(record: Record | None) -> str:
    if record is None or not record.is_recorded:
        return "notStarted"
    return "completed" if record.completed_at else "inProgress"


def _absent(call: Call, course: Course, asked: Scope) -> Json:
    """R10: how many in the scope are not assigned now and have progress, by what becomes of it."""
    policy = call.world.policy
    number = len(absent(policy, call.organisation.progress[course.id], asked.user_ids))
    return {each: number if each == policy.absent else 0 for each in ("kept", "cleared")}


def _cleared(call: Call, course: Course, user_ids: list[str]) -> Json:
    """How much of everything a reset would clear."""
    records = [call.organisation.progress[course.id].records[user_id] for user_id in user_ids]
    submissions = [each for record in records for each in record.submissions]
    slides = [each for record in records for each in record.slides]
    surveys = course.surveys
    hides = call.world.policy.old_certificate == "hidden"
    held = [call.organisation.certificates.get((course.id, user_id), ()) for user_id in user_ids]
    return {
        "lessonProgress": sum(len(record.lessons) for record in records),
        "attempts": sum(len(record.attempts) for record in records),
        "assessmentSubmissions": len(submissions),
        "assessmentMarks": sum(each.mark is not None for each in submissions),
        "assessmentSignOffs": sum(bool(each.signed_off_by) for each in submissions),
        "discussionPosts": sum(len(record.posts) for record in records),
        "assignmentHandIns": sum(len(record.hand_ins) for record in records),
        "slideProgress": len(slides),
        "surveyAnswers": sum(bool(each.answered_at) and each.slide_id in surveys for each in slides),
        "certificates": sum(map(len, held)) if hides else 0,
        "dueDatesRestarted": len(user_ids) if course.due.kind is DueKind.RELATIVE else 0,
    }
