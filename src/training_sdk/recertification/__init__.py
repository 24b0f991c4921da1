"""Recertification: the people who have to renew a completion, from the progress feed, the calendar and a day.

These functions send nothing and store nothing between two runs. The people found due go into a plan, which is
confirmed and applied like any other.
"""

from training_sdk.recertification.deciding import who_is_due
from training_sdk.recertification.due import Due, DueCase, DueState, Standing
from training_sdk.recertification.rules import (
    Anniversary,
    BeforeExpiry,
    FixedDate,
    FromCompletion,
    LeapDay,
    Rule,
)

__all__ = [
    "Anniversary",
    "BeforeExpiry",
    "Due",
    "DueCase",
    "DueState",
    "FixedDate",
    "FromCompletion",
    "LeapDay",
    "Rule",
    "Standing",
    "who_is_due",
]
