"""Breaking R05: who sees whom."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from mock_server.api import operation, progress
from mock_server.rules import access
from mock_server.rules.access import Family, Reach
from unit.sdk.contract_kit.faulty_server import altered, alters, breaks, handler_of, replaces

NONE, OWN, ALL = Reach.NONE, Reach.OWN, Reach.ALL


@replaces(access, "visible_users", "R05-leaders-see-their-teams", "R05-leaders-see-their-teams-alone")
def leaders_see_everyone(honest: Any, actor: Any, reach: Reach) -> set[str] | None:
    return None if reach is Reach.TEAMS else honest(actor, reach)


@breaks("R05-learners-see-themselves")
def learners_see_figures(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(access._TABLE, Family.ANALYTICS, (NONE, ALL, Reach.TEAMS, OWN))


@replaces(access, "visible_users", "R05-leaders-see-their-teams-alone")
def leaders_see_everybody_but_one(honest: Any, actor: Any, reach: Reach) -> set[str] | None:
    everybody = sorted(actor.organisation.people)
    return {*everybody[1:], actor.id} if reach is Reach.TEAMS else honest(actor, reach)


@breaks("R05-leaders-see-their-teams")
def leaders_see_the_figures_of_all(patch: pytest.MonkeyPatch) -> None:
    altered(
        patch,
        "GetCourseStatistics",
        handler=lambda call: handler_of("GetCourseStatistics")(evolve(call, reach=ALL)),
    )


@breaks("R05-learners-see-themselves")
def learners_see_others_rows_by_id(patch: pytest.MonkeyPatch) -> None:
    honest = operation.users_asked

    def asked(call: Any, name: str = "userId") -> list[str] | None:
        user_id = call.query.id(name)
        return honest(call, name) if user_id is None else [user_id]

    patch.setattr(progress, "users_asked", asked)


@alters("ListLessonAttempts", "handler", "R05-learners-see-themselves")
def learners_see_others_attempts_by_id(call: Any) -> Any:
    return handler_of("ListLessonAttempts")(evolve(call, reach=ALL) if call.query.id("userId") else call)


@alters("ListLessonAttempts", "handler", "R05-learners-see-themselves")
def learners_see_all_attempts(call: Any) -> Any:
    return handler_of("ListLessonAttempts")(call if call.query.id("userId") else evolve(call, reach=ALL))


@breaks("R05-learners-see-themselves")
def learners_see_lessons_of_others(patch: pytest.MonkeyPatch) -> None:
    altered(
        patch,
        "GetUserLessonProgress",
        handler=lambda call: handler_of("GetUserLessonProgress")(evolve(call, reach=ALL)),
    )


@breaks("R05-learners-see-themselves")
def learners_read_the_feed_of_users(patch: pytest.MonkeyPatch) -> None:
    altered(patch, "FeedUsers", rights=lambda *_: ALL)
