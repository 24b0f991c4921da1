"""Rankings of a leaderboard, computed from the records, so a reset removes its points (R14)."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import TYPE_CHECKING

from mock_server.rules.permissions import Reach
from mock_server.world.courses import Leaderboard, Ranking

if TYPE_CHECKING:
    from mock_server.rules.authentication import Actor
    from mock_server.world.organisation import Organisation
    from mock_server.world.progress import CourseProgress

MOST = 1000
"""Most places that are shown (A)."""


def visible(actor: Actor, reach: Reach) -> list[Leaderboard]:
    """Return the leaderboards that an actor sees, by id: all, or those that learners may see."""
    every = sorted(actor.organisation.leaderboards.items())
    return [each for _, each in every if reach is Reach.ALL or each.learner_access]


def rankings(organisation: Organisation, board: Leaderboard) -> tuple[Ranking, ...]:
    """Return all active learners, most points first; cached until a course or a person changes."""
    table = organisation.progress
    courses = [table[course_id] for course_id in board.course_ids]
    state = (board, organisation.people_changes, *(each.state for each in courses))
    return table.stats_cache.figures("rankings", board.id, state, lambda: _ranked(organisation, courses))


def _ranked(organisation: Organisation, courses: Iterable[CourseProgress]) -> tuple[Ranking, ...]:
    points = _points(courses)
    everyone = (each.id for each in organisation.people.values() if each.can_learn)
    first = nsmallest(MOST, ((-points.get(user_id, 0), user_id) for user_id in everyone))
    found: list[Ranking] = []
    for place, (score, user_id) in enumerate(first, 1):
        is_level = bool(found) and found[-1].score == -score
        rank = found[-1].rank if is_level else place
        found.append(Ranking(rank, user_id, -score, user_id not in points))
    return tuple(found)


def _points(courses: Iterable[CourseProgress]) -> dict[str, int]:
    """Return the sum of scores of every user with recorded progress in a course assigned to them."""
    found: dict[str, int] = {}
    for progress in courses:
        for user_id in progress.roster:
            record = progress.records.get(user_id)
            if record is not None and record.is_recorded:
                found[user_id] = found.get(user_id, 0) + record.score
    return found
