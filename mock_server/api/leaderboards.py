"""Leaderboards of individuals, and their rankings."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from mock_server.api.operation import (
    FIRST_ID,
    PAGE,
    Call,
    Link,
    NumberedPage,
    Operation,
    Parameter,
    numbered,
    the_one,
)
from mock_server.refusal import Reason, invalid
from mock_server.rules.access import Family, Reach
from mock_server.rules.rate_limits import FEW
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import DateOrNone, answer, field, sent_id
from mock_server.world import organisation as world
from mock_server.world.progress import CourseProgress

MOST = 1000
"""Most places that are shown (A)."""


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
    per_minute=FEW,
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
    return numbered(call, Leaderboards, _visible(call), _leaderboard)


def _visible(call: Call) -> list[world.Leaderboard]:
    """Return the leaderboards that the actor sees, by id: all, or those that learners may see."""
    every = sorted(call.organisation.leaderboards.items())
    return [each for _, each in every if call.reach is Reach.ALL or each.learner_access]


def _leaderboard(board: world.Leaderboard) -> Leaderboard:
    return Leaderboard(board.id, board.name, board.start_date, board.end_date, board.learner_access)


@Operation(
    "GetLeaderboardRankings",
    "GET /training/individualleaderboards/v1/rankings",
    "T",
    Family.CATALOGUE,
    Rankings,
    per_minute=FEW,
    noun="leaderboards",
    parameters=(Parameter("leaderboardId", sent_id("The leaderboard."), required=True),),
    refusals=(Reason.LEADERBOARD_NOT_FOUND,),
)
def get_rankings(call: Call) -> Response:
    """Show the rankings of a leaderboard, at most 1000."""
    wanted = call.query.id("leaderboardId")
    if wanted is None:
        raise invalid("leaderboardId must be given.", "leaderboardId")
    board = the_one(wanted, _visible(call), Reason.LEADERBOARD_NOT_FOUND, "leaderboard")
    return answers.ok(Rankings(board.id, board.name, _rankings(call.organisation, board)))


def _rankings(organisation: world.Organisation, board: world.Leaderboard) -> list[Ranking]:
    """Return all active learners, most points first; cached until a course or a person changes."""
    table = organisation.progress
    courses = [table[course_id] for course_id in board.course_ids]
    state = (board, organisation.people_changes, *(each.state for each in courses))
    return table.stats_cache.figures("rankings", board.id, state, lambda: _ranked(organisation, courses))


def _ranked(organisation: world.Organisation, courses: Iterable[CourseProgress]) -> list[Ranking]:
    points, people = _points(courses), organisation.people
    everyone = (each.id for each in people.values() if each.can_learn)
    first = nsmallest(MOST, ((-points.get(user_id, 0), user_id) for user_id in everyone))
    found: list[Ranking] = []
    for place, (score, user_id) in enumerate(first, 1):
        is_level = bool(found) and found[-1].totalScore == -score
        rank = found[-1].rank if is_level else place
        found.append(Ranking(rank, user_id, people[user_id].name, -score, user_id not in points))
    return found


def _points(courses: Iterable[CourseProgress]) -> dict[str, int]:
    """Return the sum of scores of every user with recorded progress in a course assigned to them."""
    found: dict[str, int] = {}
    for progress in courses:
        for user_id in progress.roster:
            record = progress.records.get(user_id)
            if record is not None and record.is_recorded:
                found[user_id] = found.get(user_id, 0) + record.score
    return found
