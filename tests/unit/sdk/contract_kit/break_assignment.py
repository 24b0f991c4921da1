"""Breaking R10: who is assigned."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from mock_server.api import resets
from mock_server.refusal import invalid
from mock_server.rules import reset, scope
from mock_server.world.courses import Assigned
from mock_server.world.people import Person
from unit.sdk.contract_kit.faulty_server import alters, breaks, entered, handler_of, nothing, replaces

WAYS, GUESTS = "R10-ways-of-being-assigned", "R10-guests-and-deactivated"


@breaks(WAYS, GUESTS)
def guests_are_assigned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Person, "can_learn", property(lambda _: True))


def _assigning_nobody(patch: pytest.MonkeyPatch, **no: Any) -> None:
    honest = Assigned.since
    patch.setattr(Assigned, "since", lambda self, person: honest(evolve(self, **no), person))


def _enter_way(name: str, nobody: object) -> None:
    entered(f"{name}_assign_nobody", lambda patch: _assigning_nobody(patch, **{name: nobody}), WAYS)


_enter_way("users", {})
_enter_way("groups", {})
_enter_way("sites", {})
_enter_way("universal", None)


@alters("UpdateCourseAssignments", "handler", WAYS)
def assignments_are_never_taken_away(call: Any) -> Any:
    kept = [each for each in call.body["assignments"] if each["isAssigned"]]
    return handler_of("UpdateCourseAssignments")(evolve(call, body=call.body | {"assignments": kept}))


@breaks(GUESTS)
def those_not_assigned_are_refused(patch: pytest.MonkeyPatch) -> None:
    honest = scope.eligible

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        if not all(map(progress.has, ids or ())):
            raise invalid("Somebody is not assigned.")
        return honest(policy, progress, ids)

    patch.setattr(resets, "eligible", eligible)


@replaces(reset, "reset", "R10-what-the-absent-keep")
def what_the_absent_have_done_is_cleared(
    honest: Any, world: Any, organisation: Any, course: Any, user_ids: Any
) -> None:
    progress = organisation.progress[course.id]
    away = [user_id for user_id in progress.records if not progress.has(user_id)]
    honest(world, organisation, course, user_ids)
    if world.policy.absent == "kept" and progress.roster == user_ids:
        reset.reset_absent(world, organisation, course, away)


@breaks("R10-what-the-absent-lose")
def what_the_absent_have_done_is_kept_in_spite_of_the_policy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reset, "reset_absent", nothing)
