"""The outcome of the people whose request was stopped, by the error that stopped it."""

from __future__ import annotations

import pytest

from training_sdk import (
    Code,
    ConfirmationMismatchError,
    ConflictError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    ResetInterruptedError,
    StalePlanError,
    TrainingError,
)
from training_sdk.resets.outcomes import failure_outcome


def refused_in_part() -> OutcomeUnknownError:
    error = OutcomeUnknownError("refused")
    error.__cause__ = PermissionDeniedError("no", status=403)
    return error


@pytest.mark.parametrize(
    ("problem", "outcome", "code", "raised"),
    [
        (OutcomeUnknownError("lost"), Outcome.UNKNOWN, Code.ANSWER_LOST, OutcomeUnknownError),
        (refused_in_part(), Outcome.UNKNOWN, Code.REFUSAL_UNCERTAIN, OutcomeUnknownError),
        (ConflictError("under way elsewhere", status=409), Outcome.UNKNOWN, Code.ANSWER_LOST, ConflictError),
        (ConfirmationMismatchError("37 people", status=412), Outcome.FAILED, Code.REFUSED, StalePlanError),
        (PermissionDeniedError("no", status=403), Outcome.FAILED, Code.REFUSED, PermissionDeniedError),
        (StalePlanError("the course has another title"), Outcome.SKIPPED, Code.MOVED, StalePlanError),
        (ResetInterruptedError("stop"), Outcome.SKIPPED, Code.INTERRUPTED, ResetInterruptedError),
        (KeyboardInterrupt(), Outcome.SKIPPED, Code.INTERRUPTED, ResetInterruptedError),
    ],
)
def test_an_error_decides_the_outcome_of_its_request(
    problem: BaseException, outcome: Outcome, code: Code, raised: type[TrainingError]
) -> None:
    failure = failure_outcome(problem)
    assert (failure.outcome, failure.code, type(failure.error)) == (outcome, code, raised)
    assert failure.is_known == (outcome is not Outcome.UNKNOWN), "nobody is known not to be reset otherwise"
