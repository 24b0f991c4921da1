"""Leaderboards of individuals, and their rankings."""

from __future__ import annotations

from mock_server.api.listing import FIRST_ID, PAGE, NumberedPage, numbered
from mock_server.api.operation import Call, Link, Operation, Parameter
from mock_server.refusal import Reason, invalid, not_found
from mock_server.rules import leaderboards
from mock_server.rules.permissions import Family
from mock_server.wire import answers
from mock_server.wire.answer_class import DateOrNone, answer, field
from mock_server.wire.message import Response
from mock_server.wire.schema import sent_id
from mock_server.world import courses as world


@answer("T")
class Leaderboard:
    """A leaderboard in a list."""

    id: str
    name: str
    startDate: DateOrNone
    endDate: DateOrNone
    learnerAccess: bool = field("True if learners see the leaderboard.")


@answer("T")
class Leaderboards(NumberedPage):
    """A page of leaderboards."""

    items: list[Leaderboard]


@answer("T", is_component=False)
class Ranking:
    """The rank of one participant."""

    rank: int = field("From 1. Users with equal scores share a rank.", minimum=1)
    participantId: str
    participantName: str
    totalScore: int = field("The sum of the scores in the courses of the leaderboard (assumed).")
    isNotAttempted: bool = field("True if the user has no recorded progress in these courses.")


@answer("T")
class Rankings:
    """The participants of a leaderboard by rank."""

    leaderboardId: str
    leaderboardName: str
    rankings: list[Ranking] = field("The limit of 1000 is assumed.")


@Operation(
    "ListLeaderboards",
    "GET /training/individualleaderboards/v1",
    "T",
    Family.CATALOGUE,
    Leaderboards,
    noun="leaderboards",
    parameters=PAGE,
    links=(
        Link(
            "Rankings",
            "GetLeaderboardRankings",
            "The rankings of the first leaderboard.",
            {"leaderboardId": FIRST_ID},
        ),
    ),
)
def list_leaderboards(call: Call) -> Response:
    """List leaderboards. Learners see those to which they have access."""
    return numbered(call, Leaderboards, leaderboards.visible(call.actor, call.reach), _leaderboard)


def _leaderboard(board: world.Leaderboard) -> Leaderboard:
    return Leaderboard(board.id, board.name, board.start_date, board.end_date, board.learner_access)


@Operation(
    "GetLeaderboardRankings",
    "GET /training/individualleaderboards/v1/rankings",
    "T",
    Family.CATALOGUE,
    Rankings,
    noun="leaderboards",
    parameters=(Parameter("leaderboardId", sent_id("The leaderboard."), required=True),),
    refusals=(Reason.LEADERBOARD_NOT_FOUND,),
)
def get_rankings(call: Call) -> Response:
    """Show the rankings of a leaderboard, at most 1000."""
    wanted = call.query.id("leaderboardId")
    if wanted is None:
        raise invalid("leaderboardId must be given.", "leaderboardId")
    for each in leaderboards.visible(call.actor, call.reach):
        if each.id == wanted:
            return answers.ok(Rankings(each.id, each.name, _rankings(call, each)))
    raise not_found(Reason.LEADERBOARD_NOT_FOUND, "leaderboard", wanted)


def _rankings(call: Call, board: world.Leaderboard) -> list[Ranking]:
    people = call.organisation.people
    return [
        Ranking(each.rank, each.user_id, people[each.user_id].name, each.score, each.is_not_attempted)
        for each in leaderboards.rankings(call.organisation, board)
    ]
