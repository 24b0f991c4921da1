"""Breaking R01 to R04: who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server import app
from mock_server.api import resets
from mock_server.refusal import RefusedError
from mock_server.rules import access, reset, scope
from mock_server.rules.access import Family, Reach
from mock_server.world.people import Permission
from unit.sdk.contract_kit.faulty_server import altered, alters, breaks, handler_of, replaces

NONE, OWN, ALL = Reach.NONE, Reach.OWN, Reach.ALL


@breaks("R01-listed-users-take-the-permission")
def managers_reset_listed_users(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(access._TABLE, Family.RESET_USERS, (ALL, ALL, NONE, NONE))


def _not_named(patch: pytest.MonkeyPatch, family: Family) -> None:
    honest = access.require

    def require(actor: Any, policy: Any, *families: Family) -> Reach:
        try:
            return honest(actor, policy, *families)
        except RefusedError as refusal:
            if Permission.TRAINING in actor.permissions and families == (family,):
                raise RefusedError(refusal.reason, "You may not.") from None
            raise

    patch.setattr(scope, "require", require)


@breaks("R01-listed-users-take-the-permission")
def the_permission_is_not_named(patch: pytest.MonkeyPatch) -> None:
    _not_named(patch, Family.RESET_USERS)


@breaks("R02-everyone-takes-the-permission")
def the_permission_for_everyone_is_not_named(patch: pytest.MonkeyPatch) -> None:
    _not_named(patch, Family.RESET_EVERYONE)


@replaces(access, "reach", "R02-everyone-takes-the-permission", "R02-everyone-takes-both-permissions")
def managers_reset_everyone(honest: Any, actor: Any, family: Family, policy: Any) -> Reach:
    manages = family is Family.RESET_EVERYONE and Permission.TRAINING in actor.permissions
    return ALL if manages else honest(actor, family, policy)


@alters(resets.NAME, "rights", "R01-listed-users-take-the-permission")
def what_is_refused_is_done(world: Any, actor: Any, body: Any) -> Reach:
    try:
        return scope.rights(world, actor, body)
    except RefusedError:
        if Permission.TRAINING in actor.permissions and isinstance(body.get("userIds"), list):
            _do(world, actor.organisation, scope.read(world.policy, body))
        raise


def _do(world: Any, organisation: Any, asked: Any) -> None:
    progress = organisation.progress[asked.course_id]
    user_ids = scope.eligible(world.policy, progress, asked.user_ids)
    reset.reset(world, organisation, organisation.courses[asked.course_id], user_ids)


@breaks("R03-revoked-tokens")
def revoked_tokens_still_open(patch: pytest.MonkeyPatch) -> None:
    honest = access.is_valid
    patch.setattr(
        access, "is_valid", lambda world, token, of: honest(world, evolve(token, revoked=False), of)
    )


@breaks("R03-expired-tokens")
def expired_tokens_still_open(patch: pytest.MonkeyPatch) -> None:
    honest = access.is_valid
    patch.setattr(
        access, "is_valid", lambda world, token, of: honest(world, evolve(token, expires_at=None), of)
    )


@breaks("R03-nobody-gets-in", "R03-strangers-read-nothing")
def nobody_is_an_administrator(patch: pytest.MonkeyPatch) -> None:
    honest = access.authenticate

    def authenticate(world: Any, authorization: Any) -> Any:
        if authorization:
            return honest(world, authorization)
        token = next(iter(world.tokens.values()))
        return token, access.actor_of(world, token)

    patch.setattr(app, "authenticate", authenticate)


def _as_owner(call: Any, course_id: str | None) -> Any:
    """The call, as if it came from the organisation whose course it names."""
    owners = (each for each in call.world.organisations.values() if course_id in each.courses)
    owner = next(owners, call.organisation)
    return evolve(call, actor=evolve(call.actor, organisation=owner))


@breaks("R03-lists-are-apart")
def courses_of_others_are_listed(patch: pytest.MonkeyPatch) -> None:
    honest = access.visible_courses
    seen: list[Any] = []

    def courses(actor: Any, reach: Reach) -> list[Any]:
        own = honest(actor, reach)
        if len(own) > len(seen):
            seen[:] = own
        return [*own, *seen] if actor.person.first_name == "Rosalind" else own

    patch.setattr(access, "visible_courses", courses)


@alters("ListUsers", "handler", "R03-lists-are-apart")
def users_of_others_are_listed(call: Any) -> Any:
    largest = max(call.world.organisations.values(), key=lambda each: len(each.people))
    return handler_of("ListUsers")(evolve(call, actor=evolve(call.actor, organisation=largest)))


@breaks("R03-lists-are-apart")
def rows_of_others_are_listed_by_course(patch: pytest.MonkeyPatch) -> None:
    altered(
        patch,
        "ListTrainingCourseProgress",
        handler=lambda call: handler_of("ListTrainingCourseProgress")(
            _as_owner(call, call.query.id("course_id"))
        ),
    )


@alters("ListTrainingCourseProgress", "handler", "R03-lists-are-apart")
def rows_of_others_are_listed(call: Any) -> Any:
    is_plain = call.query.id("course_id") is None and call.organisation is not call.world.main
    elsewhere = evolve(call, actor=evolve(call.actor, organisation=call.world.main))
    is_outsider = is_plain and Permission.USERS in call.actor.permissions
    return handler_of("ListTrainingCourseProgress")(elsewhere if is_outsider else call)


@breaks("R03-organisations-are-apart")
def others_reset_our_learners(patch: pytest.MonkeyPatch) -> None:
    _reset_as_owner(patch, lambda body: "userIds" in body)


@breaks("R03-organisations-are-apart")
def others_reset_our_courses(patch: pytest.MonkeyPatch) -> None:
    _reset_as_owner(patch, lambda body: "allUsers" in body)


def _reset_as_owner(patch: pytest.MonkeyPatch, fits: Callable[[Any], bool]) -> None:
    def handler(call: Any) -> Any:
        body = call.body if isinstance(call.body, dict) else {}
        is_theirs = fits(body) and call.organisation is not call.world.main
        return handler_of(resets.NAME)(_as_owner(call, body.get("courseId")) if is_theirs else call)

    altered(patch, resets.NAME, handler=handler)


@breaks("R03-organisations-are-apart")
def others_assign_our_courses(patch: pytest.MonkeyPatch) -> None:
    altered(
        patch,
        "UpdateCourseAssignments",
        handler=lambda call: handler_of("UpdateCourseAssignments")(_as_owner(call, call.path["courseId"])),
    )


@alters("GetUserLessonProgress", "handler", "R03-organisations-are-apart")
def lessons_of_others_are_read(call: Any) -> Any:
    owners = [each for each in call.world.organisations.values() if call.path["userId"] in each.people]
    known = evolve(call, actor=evolve(call.actor, organisation=owners[0])) if owners else call
    return handler_of("GetUserLessonProgress")(known)


def _let_in(patch: pytest.MonkeyPatch, name: str, fits: Callable[[Any, Any], bool]) -> None:
    """Somebody without any right to it gets an operation nevertheless."""

    def rights(world: Any, actor: Any, body: Any) -> Reach:
        may = isinstance(body, dict) and Permission.USERS not in actor.permissions and fits(actor, body)
        return ALL if may else scope.rights(world, actor, body)

    altered(patch, name, rights=rights)


def _leads(actor: Any) -> bool:
    return Permission.TEAMS in actor.permissions


def _may_nothing(actor: Any) -> bool:
    return not _leads(actor) and Permission.TRAINING not in actor.permissions


@breaks("R04-learners-reset-nobody", "R04-leaders-reset-nobody")
def learners_reset_themselves(patch: pytest.MonkeyPatch) -> None:
    _let_in(patch, resets.NAME, lambda actor, body: body.get("userIds") == [actor.id])


@breaks("R04-learners-reset-nobody")
def the_other_spelling_needs_no_rights(patch: pytest.MonkeyPatch) -> None:
    _let_in(patch, resets.NAME, lambda actor, body: "user_ids" in body and _may_nothing(actor))


@breaks("R04-learners-reset-nobody")
def the_other_spelling_of_everyone_needs_no_rights(patch: pytest.MonkeyPatch) -> None:
    _let_in(patch, resets.NAME, lambda actor, body: "all_users" in body and _may_nothing(actor))


@breaks("R04-leaders-reset-nobody")
def leaders_reset_their_team(patch: pytest.MonkeyPatch) -> None:
    def fits(actor: Any, body: Any) -> bool:
        team = access.team(actor) - {actor.id}
        listed = body.get("userIds")
        return _leads(actor) and isinstance(listed, list) and bool(listed) and team.issuperset(listed)

    _let_in(patch, resets.NAME, fits)


@breaks("R04-leaders-reset-nobody")
def leaders_reset_everyone(patch: pytest.MonkeyPatch) -> None:
    _let_in(patch, resets.NAME, lambda actor, body: "allUsers" in body and _leads(actor))


@breaks("R04-leaders-reset-nobody")
def leaders_reset_anybody(patch: pytest.MonkeyPatch) -> None:
    def fits(actor: Any, body: Any) -> bool:
        listed = body.get("userIds")
        team = access.team(actor) | {actor.id}
        return _leads(actor) and isinstance(listed, list) and team.isdisjoint(map(str, listed))

    _let_in(patch, resets.NAME, fits)


@breaks("R04-no-preview-for-others")
def learners_preview_themselves(patch: pytest.MonkeyPatch) -> None:
    _let_in(
        patch, "PreviewReset", lambda actor, body: body.get("userIds") == [actor.id] and _may_nothing(actor)
    )


@breaks("R04-no-preview-for-others")
def leaders_preview_somebody(patch: pytest.MonkeyPatch) -> None:
    def fits(actor: Any, body: Any) -> bool:
        return _leads(actor) and body.get("userIds") not in ([actor.id], [])

    _let_in(patch, "PreviewReset", fits)


@breaks("R04-no-preview-for-others")
def a_preview_of_nobody_needs_no_rights(patch: pytest.MonkeyPatch) -> None:
    _let_in(patch, "PreviewReset", lambda actor, body: body.get("userIds") == [])


@alters(resets.NAME, "rights", "R04-refusals-reveal-nothing")
def refusals_say_what_exists(world: Any, actor: Any, body: Any) -> Reach:
    try:
        return scope.rights(world, actor, body)
    except RefusedError:
        if isinstance(body, dict) and isinstance(body.get("userIds"), list):
            scope.find(actor.organisation, scope.read(world.policy, body))
        raise


@replaces(access, "reach", "R02-everyone-takes-both-permissions")
def one_of_both_permissions_is_enough(honest: Any, actor: Any, family: Family, policy: Any) -> Any:
    if policy.everyone_permission != "both" or family is not Family.RESET_EVERYONE:
        return honest(actor, family, policy)
    (both,) = access.granting(family, policy)
    return Reach.ALL if both & actor.permissions else Reach.NONE
