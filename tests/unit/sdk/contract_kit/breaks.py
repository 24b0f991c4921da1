"""Reference servers with one rule switched off: every way of breaking a rule, and the checks that must notice it.

They are all of that one rule; there is no exception to it.
"""

from __future__ import annotations

from unit.sdk.contract_kit import (
    break_assignment,
    break_audit_log,
    break_check_order,
    break_confirmation,
    break_due_dates,
    break_idempotency,
    break_isolation,
    break_notifications,
    break_permissions,
    break_progress,
    break_reset_effect,
    break_scope,
    break_visibility,
)
from unit.sdk.contract_kit.faulty_server import BREAKS

ROOMS = (
    break_permissions,
    break_visibility,
    break_confirmation,
    break_scope,
    break_progress,
    break_assignment,
    break_idempotency,
    break_reset_effect,
    break_isolation,
    break_due_dates,
    break_notifications,
    break_audit_log,
    break_check_order,
)
"""Where they are; importing a room enters its breaks."""

__all__ = ["BREAKS", "ROOMS"]
