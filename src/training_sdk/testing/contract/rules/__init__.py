"""Checks of the contract tests, by families of rules."""

from __future__ import annotations

from training_sdk.testing.contract.checks import Check
from training_sdk.testing.contract.rules import (
    assignment,
    audit_log,
    bounds,
    check_order,
    idempotency,
    notifications,
    permissions,
    reset_effect,
    scope,
    webhooks,
)

FAMILIES = (
    permissions,
    scope,
    idempotency,
    assignment,
    check_order,
    notifications,
    audit_log,
    webhooks,
    reset_effect,
    bounds,
)
CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (each for family in FAMILIES for each in vars(family).values() if isinstance(each, Check)),
        key=lambda each: (each.uses_up_learners, not each.reads_only),
    )
)
"""All checks: first those that only read, last those after which no learner has progress."""
