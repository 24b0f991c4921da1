"""Leaderboards."""

from __future__ import annotations

from training_sdk._core import argument_checks, codec, pagination, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Calls, Walk
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.errors import DecodingError
from training_sdk.models.leaderboards import Leaderboard, LeaderboardRankings

_PATH = "/training/individualleaderboards/v1"


class Leaderboards(Bound[D]):
    """``client.leaderboards``"""

    @listing
    def list(self) -> Walk[Leaderboard]:
        """List leaderboards; learners see those that are open to learners.

        REST: ``GET /training/individualleaderboards/v1`` (third-party).
        """
        return pagination.numbered(self._calls, _PATH, Leaderboard, limit="catalogue")

    @operation
    def rankings(self, leaderboard_id: str) -> Flow[LeaderboardRankings]:
        """Return who stands where on a leaderboard, best first; at most the first 1000 (assumed).

        Raises NotFoundError if there is no such leaderboard, or this token may not see it, and DecodingError if the
        answer is about another one.

        REST: ``GET /training/individualleaderboards/v1/rankings?leaderboardId=…`` (third-party).
        """
        return _rankings(self._calls, argument_checks.one_id(leaderboard_id, "leaderboard_id"))


def _rankings(calls: Calls, leaderboard_id: str) -> Flow[LeaderboardRankings]:
    target = urls.target(f"{_PATH}/rankings", [("leaderboardId", leaderboard_id)])
    found = yield from calls.call(
        Request("GET", target, limit="catalogue"), codec.decoder(LeaderboardRankings)
    )
    if found.leaderboard_id != leaderboard_id:
        raise DecodingError(
            f"asked for the rankings of leaderboard {leaderboard_id!r}, got those of {found.leaderboard_id!r}"
        )
    return found
