"""Leaderboards of individuals, and who stands where on them."""

from __future__ import annotations

from mock_server.api.call import Call
from mock_server.api.paging import numbered
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules import leaderboards, visibility
from mock_server.wire import answers, shapes
from mock_server.wire.message import Response


def list_leaderboards(call: Call) -> Response:
    """GET /training/individualleaderboards/v1."""
    found = visibility.leaderboards(call.actor, call.reach)
    return numbered(call, found, shapes.leaderboard)


def get_rankings(call: Call) -> Response:
    """GET /training/individualleaderboards/v1/rankings."""
    wanted = call.query.id("leaderboardId")
    if wanted is None:
        raise invalid("leaderboardId must be given.", "leaderboardId")
    for each in visibility.leaderboards(call.actor, call.reach):
        if each.id == wanted:
            ranked = leaderboards.rankings(call.organisation, each)
            return answers.ok(shapes.rankings(each, ranked, call.organisation.people))
    raise RefusedError(Reason.LEADERBOARD_NOT_FOUND, f"There is no leaderboard {wanted}.", {"ids": wanted})
