"""A reset as a live service may carry it out: by the behaviours of ``Policy.emulates``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from mock_server.policy import PARTWAY, Behaviour
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import audit, reset, scope
from mock_server.rules.scope import absent, eligible
from mock_server.wire.message import Response

if TYPE_CHECKING:
    from mock_server.api.operation import Call
    from mock_server.policy import Policy
    from mock_server.rules.scope import Scope
    from mock_server.world.courses import Course


_MOST_BEFORE_A_REFUSAL = 2
_REFUSALS = {
    Behaviour.REFUSES_PARTWAY_404: Reason.USER_NOT_FOUND,
    Behaviour.REFUSES_PARTWAY_403: Reason.PERMISSION_DENIED,
    Behaviour.REFUSES_PARTWAY_400: Reason.INVALID_ARGUMENT,
    Behaviour.REFUSES_PARTWAY_429: Reason.RATE_LIMITED,
}
_BODIES = {
    Behaviour.COUNTS_NOBODY: b"{}",
    Behaviour.ANSWERS_RESET_EMPTY: b"",
    Behaviour.ANSWERS_RESET_NULL: b"null",
    Behaviour.ANSWERS_RESET_LIST: b"[]",
}


def emulate(call: Call, asked: Scope) -> int:
    """Reset the users that the behaviours name, in the courses that they name; return the number of users."""
    emulates = call.world.policy.emulates
    partway = next((each for each in PARTWAY if each in emulates), None)
    courses = _courses(call, asked, checks_users=partway is None)
    listed = _listed(call, courses, asked)
    reached = listed if partway is None else _before_the_refusal(call, courses, listed)
    found = {course.id: _with_a_stranger(call, course, reached) for course in courses}
    whole = asked if reached is listed else scope.Scope(asked.course_id, reached)
    if Behaviour.QUEUES_RESETS in emulates:
        resets = ((course_id, user_id) for course_id, users in found.items() for user_id in users)
        reset.queue_resets(call.world, call.token, call.request_id, resets)
        audit.done(call.world, call.token, call.request_id, whole, (), "queued", status=202)
    else:
        for course in courses:
            _carry_out(call, course, whole, found[course.id])
    if partway is not None and len(reached) < len(listed):
        raise RefusedError(_REFUSALS[partway], f"The request was refused at user {listed[len(reached)]}.")
    return len({user_id for users in found.values() for user_id in users})


def _courses(call: Call, asked: Scope, *, checks_users: bool) -> list[Course]:
    if Behaviour.IGNORES_COURSE in call.world.policy.emulates:
        return list(call.organisation.courses.values())
    return [scope.find(call.organisation, asked if checks_users else scope.Scope(asked.course_id, None))]


def _listed(call: Call, courses: list[Course], asked: Scope) -> list[str]:
    """The people of a request, each once: those in its list, or everyone in the courses."""
    rosters = (call.organisation.progress[course.id].roster for course in courses)
    everyone = (user_id for roster in rosters for user_id in roster)
    return list(dict.fromkeys(everyone if asked.user_ids is None else asked.user_ids))


def _before_the_refusal(call: Call, courses: list[Course], listed: list[str]) -> list[str]:
    """As many as are reset before the first who is unknown or not assigned, and two at most."""
    progress = call.organisation.progress
    for number, user_id in enumerate(listed):
        if number == _MOST_BEFORE_A_REFUSAL or not any(progress[each.id].has(user_id) for each in courses):
            return listed[:number]
    return listed


def _with_a_stranger(call: Call, course: Course, users: list[str]) -> list[str]:
    """Those of the users whose progress a reset clears; by a behaviour also the first of the others in the course."""
    policy, progress = call.world.policy, call.organisation.progress[course.id]
    found = eligible(policy, progress, users)
    if Behaviour.RESETS_STRANGERS in policy.emulates:
        found += [each for each in eligible(policy, progress, None) if each not in users][:1]
    return found


def _carry_out(call: Call, course: Course, asked: Scope, user_ids: list[str]) -> None:
    world = call.world
    progress = call.organisation.progress[course.id]
    absent_ids = absent(world.policy, progress, asked.user_ids) if world.policy.absent == "cleared" else []
    if not user_ids and not absent_ids and course.id != asked.course_id:
        return
    reset.carry_out(world, call.actor, course, user_ids, absent_ids)
    meant = scope.Scope(course.id, asked.user_ids)
    audit.done(world, call.token, call.request_id, meant, user_ids, absent_ids=absent_ids)


def emulated_answer(policy: Policy, answer: Response) -> Response:
    """Return the answer to a reset with the status and the body that the behaviours ask for."""
    emulates = policy.emulates
    if Behaviour.ANSWERS_RESET_204 in emulates:
        return Response(204)
    body = next((body for each, body in _BODIES.items() if each in emulates), answer.body)
    return evolve(answer, status=202 if Behaviour.QUEUES_RESETS in emulates else 200, body=body)
