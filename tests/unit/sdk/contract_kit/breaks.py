"""Reference servers with one rule switched off: every way of breaking a rule, and the checks that must notice it.

They are all of that one rule; there is no exception to it.
"""

from __future__ import annotations

from unit.sdk.contract_kit import (
    break_anew,
    break_assigned,
    break_confirmation,
    break_keys,
    break_later,
    break_log,
    break_order,
    break_others,
    break_progress,
    break_rights,
    break_scope,
    break_sight,
    break_told,
)
from unit.sdk.contract_kit.spoiling import BREAKS

ROOMS = (
    break_rights,
    break_sight,
    break_confirmation,
    break_scope,
    break_progress,
    break_assigned,
    break_keys,
    break_anew,
    break_others,
    break_later,
    break_told,
    break_log,
    break_order,
)
"""Where they are; importing a room enters its breaks."""

__all__ = ["BREAKS", "ROOMS"]
