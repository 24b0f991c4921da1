"""Breaking R01 to R05: who may."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import app
from mock_server.operations import resets
from mock_server.refusal import RefusedError
from mock_server.rules import (
    authentication,
    permissions,
    scope,
    visibility,
)
from mock_server.rules.permissions import Family, Reach
from mock_server.world.people import Permission
from unit.sdk.contract_kit.spoiling import Break, altered

NONE, OWN, ALL = Reach.NONE, Reach.OWN, Reach.ALL


def managers_reset_listed_users(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(permissions._TABLE, Family.RESET_USERS, (ALL, ALL, NONE, NONE))


def the_permission_is_not_named(patch: pytest.MonkeyPatch) -> None:
    honest = permissions.require

    def require(actor: Any, policy: Any, *families: Family) -> Reach:
        try:
            return honest(actor, policy, *families)
        except RefusedError as refusal:
            if Permission.TRAINING in actor.permissions and families == (Family.RESET_USERS,):
                raise RefusedError(refusal.reason, "You may not.") from None
            raise

    patch.setattr(scope, "require", require)


def managers_reset_everyone(patch: pytest.MonkeyPatch) -> None:
    honest = permissions.reach

    def reach(actor: Any, family: Family, policy: Any) -> Reach:
        manages = family is Family.RESET_EVERYONE and Permission.TRAINING in actor.permissions
        return ALL if manages else honest(actor, family, policy)

    patch.setattr(permissions, "reach", reach)


def revoked_tokens_still_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(authentication, "is_valid", lambda *_: True)


def nobody_is_an_administrator(patch: pytest.MonkeyPatch) -> None:
    honest = authentication.authenticate

    def authenticate(world: Any, authorization: Any) -> Any:
        if authorization:
            return honest(world, authorization)
        token = next(iter(world.tokens.values()))
        return token, authentication.actor_of(world, token)

    patch.setattr(app, "authenticate", authenticate)


def courses_of_others_are_listed(patch: pytest.MonkeyPatch) -> None:
    honest = visibility.courses
    seen: list[Any] = []

    def courses(actor: Any, reach: Reach) -> list[Any]:
        own = honest(actor, reach)
        if len(own) > len(seen):
            seen[:] = own
        return [*own, *seen] if actor.person.first_name == "Rosalind" else own

    patch.setattr(visibility, "courses", courses)


def learners_reset_themselves(patch: pytest.MonkeyPatch) -> None:
    def rights(world: Any, actor: Any, body: Any) -> Reach:
        return ALL if body.get("userIds") == [actor.id] else scope.rights(world, actor, body)

    altered(patch, resets.NAME, rights=rights)


def refusals_say_what_exists(patch: pytest.MonkeyPatch) -> None:
    def rights(world: Any, actor: Any, body: Any) -> Reach:
        try:
            return scope.rights(world, actor, body)
        except RefusedError:
            if isinstance(body, dict) and isinstance(body.get("userIds"), list):
                scope.find(actor.organisation, scope.read(world.policy, body))
            raise

    altered(patch, resets.NAME, rights=rights)


def leaders_see_everyone(patch: pytest.MonkeyPatch) -> None:
    honest = visibility.users

    def users(actor: Any, reach: Reach) -> set[str] | None:
        return None if reach is Reach.TEAMS else honest(actor, reach)

    patch.setattr(visibility, "users", users)


def learners_see_figures(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(permissions._TABLE, Family.ANALYTICS, (NONE, ALL, Reach.TEAMS, OWN))


BREAKS: dict[Break, tuple[str, ...]] = {
    managers_reset_listed_users: ("R01-listed-users-take-the-permission",),
    the_permission_is_not_named: ("R01-listed-users-take-the-permission",),
    managers_reset_everyone: ("R02-everyone-takes-the-permission",),
    revoked_tokens_still_open: ("R03-nobody-gets-in",),
    nobody_is_an_administrator: ("R03-nobody-gets-in", "R03-strangers-read-nothing"),
    courses_of_others_are_listed: ("R03-organisations-are-apart",),
    learners_reset_themselves: ("R04-learners-reset-nobody",),
    refusals_say_what_exists: ("R04-refusals-reveal-nothing",),
    leaders_see_everyone: ("R05-leaders-see-their-teams",),
    learners_see_figures: ("R05-learners-see-themselves",),
}
