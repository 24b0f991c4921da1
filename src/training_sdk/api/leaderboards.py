"""Leaderboards: the scores of users, ranked."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk._core import argument_checks, codec, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Calls, Paginator
from training_sdk._core.model import Model, has_other_lists, may_omit
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.api import pagination
from training_sdk.errors import DecodingError


@frozen
class Leaderboard(Model):
    """A leaderboard in a list (third-party). ``learner_access`` is True if learners can see it."""

    id: str
    name: str = field(metadata=may_omit(""))
    start_date: datetime | None = None
    end_date: datetime | None = None
    learner_access: bool | None = None


@frozen
class Ranking(Model):
    """The place of one user on a leaderboard (third-party). ``rank`` starts at 1; users with equal scores share it."""

    rank: int
    participant_id: str
    participant_name: str | None = None
    total_score: float = 0.0
    is_not_attempted: bool = False


@frozen
class LeaderboardRankings(Model):
    """A leaderboard with its rankings, best first (third-party); at most the first 1000 (assumed)."""

    leaderboard_id: str
    rankings: tuple[Ranking, ...] = field(metadata=may_omit([], unless=has_other_lists))
    leaderboard_name: str | None = None


_PATH = "/training/individualleaderboards/v1"


class Leaderboards(Bound[D]):
    """``client.leaderboards``"""

    @listing
    def list(self) -> Paginator[Leaderboard]:
        """List leaderboards. Learners see only those that are open to learners.

        REST: ``GET /training/individualleaderboards/v1`` (third-party).
        """
        return pagination.numbered_pages(self._calls, _PATH, Leaderboard, limit="catalogue")

    @operation
    def rankings(self, leaderboard_id: str) -> Flow[LeaderboardRankings]:
        """Return the rankings of a leaderboard, best first; at most the first 1000 (assumed).

        Raises NotFoundError if there is no such leaderboard or this token cannot see it, and DecodingError if the
        answer belongs to a different leaderboard.

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
            f"The rankings of leaderboard {leaderboard_id!r} were requested, but the answer has those of "
            f"{found.leaderboard_id!r}."
        )
    return found
