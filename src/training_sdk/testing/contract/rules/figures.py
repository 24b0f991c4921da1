"""Analytics say 0 % at once: R14."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training_sdk.testing.contract.checks import check
from training_sdk.testing.contract.outcome import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.world import ANALYTICS, RECORDED, Row, World

TRIES = 3


@check(
    "R14",
    "Course statistics go back for those users at once, and equal what counting the feed gives.",
    "article",
)
def analytics_follow_at_once(world: World) -> None:
    """The statistics of every course beside a count, before and after a reset."""
    course = world.course()
    rows = world.completed(course, 2)
    figures_fit(world)
    world.cleared(course, *rows)
    figures_fit(world)


@check("R14", "So do the statistics that the leader of a team sees.", "article")
def figures_of_a_team_follow(world: World) -> None:
    """One of the team is reset."""
    course = world.course()
    team = {row["user_id"] for row in world.rows("teamlead", course_id=course["id"]) if row["completed_at"]}
    if not team:
        raise NotCheckedError(f"none of the leader's team has completed {course['title']!r}")
    try:
        figures_fit(world, "teamlead")
    except BrokenRuleError as fault:
        raise NotCheckedError(f"the leader's figures are of others, which is R05's matter: {fault}") from None
    world.cleared(course, world.row(course["id"], min(team)))
    figures_fit(world, "teamlead")


def figures_fit(world: World, who: str = "admin") -> None:
    """BrokenRuleError where statistics and feed disagree although the feed stands still meanwhile."""
    rows = world.rows(who)
    if not rows:
        raise NotCheckedError("the feed has no rows, so that there is nothing to count")
    for _ in range(TRIES):
        fault, before = _disagreement(world, who, rows), rows
        if fault is None:
            return
        rows = world.rows(who)
        if rows == before:
            raise fault
    raise NotCheckedError("people are learning just now, and the feed differs each time that it is read")


def _disagreement(world: World, who: str, rows: list[Row]) -> BrokenRuleError | None:
    for course_id, said in world.statistics(who).items():
        if "totalUsers" not in said or "completedCount" not in said:
            raise NotCheckedError(
                f"statistics hold {', '.join(said)}; their shape is assumed, and is another here"
            )
        counted = _counted([row for row in rows if row["course_id"] == course_id])
        differs = {
            name: said[name] for name in counted if name in said and _differs(said[name], counted[name])
        }
        if differs:
            right = {name: counted[name] for name in differs}
            sent = f"GET {ANALYTICS}/courses/statistics as {who}, course {course_id}"
            return BrokenRuleError(sent, _rounded(right), _rounded(differs))
    return None


def _rounded(figures: Mapping[str, Any]) -> str:
    """Figures as people read them: no more digits than count."""
    return str(
        {name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()}
    )


def _counted(rows: list[Row]) -> dict[str, float]:
    """What the statistics of a course must say of these rows."""
    done = sum(bool(row["completed_at"]) for row in rows)
    scores = [row["score"] for row in rows if any(row.get(name) for name in RECORDED)]
    return {
        "totalUsers": len(rows),
        "openedCount": sum(bool(row["opened_at"]) for row in rows),
        "completedCount": done,
        "completionPercent": 100 * done / len(rows) if rows else 0,
        "averageScore": sum(scores) / len(scores) if scores else 0,
    }


def _differs(said: Any, counted: float) -> bool:
    return not isinstance(said, int | float) or abs(said - counted) > 0.01


CHECKS = (analytics_follow_at_once, figures_of_a_team_follow)
