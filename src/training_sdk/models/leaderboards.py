"""Leaderboards: who has scored how much."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from training_sdk.models.base import Model, has_other_lists, may_omit


@frozen
class Leaderboard(Model):
    """A leaderboard in a list (third-party). ``learner_access`` says whether learners see it."""

    id: str
    name: str = field(metadata=may_omit(""))
    start_date: datetime | None = None
    end_date: datetime | None = None
    learner_access: bool | None = None


@frozen
class Ranking(Model):
    """One person's place on a leaderboard, from 1 (third-party). People with equal scores share a rank."""

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
