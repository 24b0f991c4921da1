"""Progress of people before and after a reset, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.frames.methods import Rows

if TYPE_CHECKING:
    from training_sdk.plans.plan import ResetPlan


@frozen
class BeforeAfter:
    """The progress of one target of a plan when the plan was made, and later. Percentages are 0–100.

    What is ``_after`` is None for a person whom the rows do not list: unassigned or deactivated since, or not read.
    """

    course_id: str
    course_title: str
    user_id: str
    user_name: str
    user_email: str | None
    state_before: ProgressState
    state_after: ProgressState | None
    percent_before: float
    percent_after: float | None
    score_before: float | None
    score_after: float | None
    completed_at_before: datetime | None
    completed_at_after: datetime | None


def before_and_after(plan: ResetPlan, rows: Iterable[ProgressRow]) -> Rows[BeforeAfter]:
    """Return each target of a plan with its progress by the plan and by rows of the progress feed."""
    titles = {course.id: course.title for course in plan.courses}
    later = {(row.course_id, row.user_id): row for row in rows}
    return Rows(
        BeforeAfter,
        (
            BeforeAfter(
                course_id=user.course_id,
                course_title=titles[user.course_id],
                user_id=user.user_id,
                user_name=user.name,
                user_email=user.email,
                state_before=user.state,
                state_after=row.state if row else None,
                percent_before=user.percent,
                percent_after=row.progress_percent if row else None,
                score_before=user.score,
                score_after=row.score if row else None,
                completed_at_before=user.completed_at,
                completed_at_after=row.completed_at if row else None,
            )
            for user in plan.targets
            for row in [later.get(user.key)]
        ),
    )
