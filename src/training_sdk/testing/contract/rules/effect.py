"""What a reset does: R12 to R17, R20, R21, R25."""

from __future__ import annotations

from training_sdk.testing.contract.rules import anew, figures, later, others, past

CHECKS = (*anew.CHECKS, *figures.CHECKS, *past.CHECKS, *others.CHECKS, *later.CHECKS)
