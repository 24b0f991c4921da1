"""R22: an action made before a reset and sent after it does not restore cleared progress."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mock_server.policy import Policy
    from mock_server.world.progress import CourseProgress


class LateWriteError(Exception):
    """A learner's action was made before their progress was reset. Nothing was written."""


def check(policy: Policy, progress: CourseProgress, user_id: str, made_at: datetime) -> None:
    """Refuse a write made before the last reset, unless the policy accepts it."""
    reset_at = progress.reset_at.get(user_id)
    if policy.late_writes == "refused" and reset_at is not None and made_at < reset_at:
        raise LateWriteError(
            f"The action was made at {made_at.isoformat()}, before the reset at {reset_at.isoformat()}, so it was "
            'refused (R22). Accept such actions with Policy(late_writes="accepted").'
        )
