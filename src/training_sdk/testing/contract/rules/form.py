"""What a reset takes: R06 to R09, R11."""

from __future__ import annotations

from training_sdk.testing.contract.rules import confirmation, keys, progress, scope

CHECKS = (*confirmation.CHECKS, *scope.CHECKS, *progress.CHECKS, *keys.CHECKS)
LAST = (*confirmation.LAST, *progress.LAST)
"""What leaves nothing to play with for those after it."""
