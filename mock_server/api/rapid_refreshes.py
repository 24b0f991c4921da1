"""Rapid refreshes as a learner may see them, and the answers to them."""

from __future__ import annotations

from mock_server.api.call import Call
from mock_server.api.paging import numbered
from mock_server.api.selection import users_asked
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import visibility
from mock_server.wire import answers, shapes
from mock_server.wire.message import Response
from mock_server.world import clock
from mock_server.world.courses import RefreshAnswer


def list_refreshes(call: Call) -> Response:
    """GET /training/rapid-refresh/v1."""
    found = visibility.assigned_lists(call.actor, call.reach, call.organisation.rapid_refreshes)
    return numbered(call, found, shapes.rapid_refresh)


def get_refresh(call: Call) -> Response:
    """GET /training/rapid-refresh/v1/{rapidRefreshId}; the right answers stay here."""
    wanted = call.path_id("rapidRefreshId")
    for each in visibility.assigned_lists(call.actor, call.reach, call.organisation.rapid_refreshes):
        if each.id == wanted:
            return answers.ok(shapes.rapid_refresh_with_questions(each))
    raise RefusedError(
        Reason.RAPID_REFRESH_NOT_FOUND, f"There is no rapid refresh {wanted}.", {"ids": wanted}
    )


def refresh_answers(call: Call) -> Response:
    """GET /training/analytics/v1/rapidRefresh/answers."""
    users, kept = users_asked(call), call.organisation.refresh_answers
    found = kept.rows if users is None else kept.of_users(sorted(call.organisation.rapid_refreshes), users)
    return numbered(call, _known(call, found), shapes.refresh_answer)


def _known(call: Call, found: list[RefreshAnswer]) -> list[RefreshAnswer]:
    """Those that the warehouse knows of: answers are added and never changed."""
    shown = call.world.warehouse_time()
    if shown is None:
        return found
    latest = clock.to_text(shown)
    return [each for each in found if each.answered_at <= latest]
