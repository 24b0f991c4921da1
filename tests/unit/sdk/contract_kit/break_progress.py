"""Breaking R09: recorded progress is what counts."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from mock_server import learner_actions
from mock_server.api import resets
from mock_server.rules import completion, scope
from mock_server.wire import answers
from mock_server.world.organisation import Organisation
from mock_server.world.progress import Record
from unit.sdk.contract_kit.faulty_server import (
    LISTED,
    adds_to_reset,
    after_reset,
    alters,
    breaks,
    counted_and_not_cleared,
    handler_of,
)

COUNTS, ALL, POST = "R09-recorded-progress-is-what-counts", "R09-all-of-a-list", "R09-a-lone-post-counts"
EVERYONE = "R09-everyone-is-everyone-with-progress"


@breaks(COUNTS, POST, EVERYONE)
def only_completions_are_reset(patch: pytest.MonkeyPatch) -> None:
    honest = scope.eligible
    patch.setattr(
        resets,
        "eligible",
        lambda policy, progress, ids: honest(evolve(policy, eligibility="completed"), progress, ids),
    )


@breaks(COUNTS, POST, EVERYONE)
def the_half_way_are_counted_and_not_cleared(patch: pytest.MonkeyPatch) -> None:
    counted_and_not_cleared(
        patch,
        lambda organisation, course, user_id: (
            not organisation.progress[course.id].records[user_id].completed_at
        ),
    )


@breaks(POST)
def posts_open_nothing(patch: pytest.MonkeyPatch) -> None:
    honest = completion.opened
    patch.setattr(learner_actions, "opened", lambda *them: evolve(honest(*them), opened_at=""))


@breaks(ALL, EVERYONE)
def the_third_of_a_list_is_counted_and_not_cleared(patch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    honest = scope.eligible

    def eligible(*them: Any) -> list[str]:
        asked[:] = honest(*them)
        return list(asked)

    patch.setattr(resets, "eligible", eligible)
    counted_and_not_cleared(patch, lambda *them: them[2] in asked[2:])


def _is_everyone(was: dict[str, Record]) -> bool:
    return len(was) > LISTED


@adds_to_reset(EVERYONE)
def everyone_is_counted_and_not_cleared(
    organisation: Organisation, course: Any, was: dict[str, Record]
) -> None:
    for user_id, record in was.items() if _is_everyone(was) else ():
        organisation.progress[course.id].put(user_id, record)


@adds_to_reset(EVERYONE)
def everyone_but_one_is_cleared(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    for user_id in list(was)[-1:] if _is_everyone(was) else ():
        organisation.progress[course.id].put(user_id, was[user_id])


@adds_to_reset(EVERYONE)
def everyone_is_everyone_everywhere(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    """Those of other courses as well, who have nothing recorded in this one."""
    for progress in organisation.progress.courses.values() if _is_everyone(was) else ():
        for user_id in [each for each in progress.records if each not in was]:
            progress.put(user_id, None)


@breaks(COUNTS)
def those_with_nothing_get_a_new_due_date(patch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    honest = scope.eligible

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = honest(policy, progress, ids)
        listed[:] = [user_id for user_id in ids or () if progress.has(user_id) and user_id not in found]
        return found

    def restart(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for user_id in listed if was else ():
            organisation.restart_due_date(course.id, user_id)

    patch.setattr(resets, "eligible", eligible)
    after_reset(patch, restart)


@alters(resets.NAME, "handler", COUNTS)
def those_with_nothing_are_counted(call: Any) -> Any:
    answer = handler_of(resets.NAME)(call)
    listed = dict.fromkeys(call.body.get("userIds") or ())
    return answers.ok({"usersUpdated": 2}) if (answer.body, len(listed)) == (ONE, 2) else answer


ONE = b'{"usersUpdated":1}'
