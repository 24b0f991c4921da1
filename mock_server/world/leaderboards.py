"""Leaderboards of individuals: who has how many points in some courses."""

from __future__ import annotations

from attrs import frozen


@frozen
class Leaderboard:
    """A board over some courses. Its dates are shown; points are those that people have now."""

    id: str
    name: str
    start_date: str
    end_date: str
    course_ids: tuple[str, ...] = ()
    learner_access: bool = True
    """Whether learners see it."""


@frozen
class Ranking:
    """Somebody's place on a board."""

    rank: int
    """From 1; those with as many points share one, and the ranks after it are left out."""
    user_id: str
    score: int
    is_not_attempted: bool
    """Nothing is recorded of them in the board's courses."""
