"""Exit codes of the commands, for scripts: each kind of ending has its own number."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from training_sdk.errors import TrainingError
    from training_sdk.reports.report import ResetReport

HARD_STOPS = ("COURSE_PROTECTED", "TOO_MANY_USERS")
"""Reasons for a refusal by the team's limits; the command line itself is correct."""

CACHED_ANSWER = "CACHED_ANSWER"
"""Reason: a cache answered instead of the service."""

NO_QUIET_MOMENT = "NO_QUIET_MOMENT"
"""Reason: each time, the client had to wait between the last reading and the request."""

OUTPUT_UNWRITABLE = "OUTPUT_UNWRITABLE"
"""Reason: a new file could not be written, for example to a full disk."""

NO_TOKEN = "NO_TOKEN"  # noqa: S105 - a reason
"""Reason: no source returned a token."""


class ExitCode(IntEnum):
    """The exit codes of ``training-sdk``, each with its meaning for the reference page."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a code with its meaning."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    DONE = (0, "done; for a reset: every target was reset")
    FAILED = (1, "something failed that no other code names, or a check found an error")
    USAGE = (2, "the command line, a file or a setting cannot be used; nothing was sent")
    NOT_CONFIRMED = (3, "the phrase was not typed, or is not that of the plan; nothing was sent")
    NOTHING_SENT = (
        4,
        "refused, and nothing was sent: the plan is stale, expired, of another server or applied "
        "already, an approval is missing, a course is protected, the format is not verified, a clock is wrong, a "
        "cache has answered instead of the service, the service made the client wait between the last reading and the "
        "request, everyone has changed since the plan was read, or the client is read-only",
    )
    INCOMPLETE = (
        5,
        "a reset was sent, and not every target is known to have been reset; or report: a plan has "
        "not ended, and something was sent or may have been; or not everyone was verified; or the proof of the "
        "format failed",
    )
    RECORDS = (6, "evidence, journal or audit log cannot be stored, or are not valid")
    DENIED = (7, "no token, one that is not accepted, or one that may not do this")
    CONNECTION = (8, "the server could not be reached, or did not answer something that only reads")
    NOBODY_DUE = (9, "due --save: no person is due, so there is no plan and no file")
    OTHERS_REACHED = (
        10,
        "people outside the plan may have been reset: the service says that it reset "
        "more people than were sent, or people came into the course during a reset "
        "of everyone. It replaces 0 and 5, also in every later report, verify and resume of the plan",
    )
    OUTPUT_LOST = (
        11,
        "the output could not be written, for example to a full disk or a closed stream. If the command "
        "recorded something, a line on stderr names the record. Nothing is left of a new file. The code replaces 0 "
        "only. If nothing was recorded, a reader that ends early, as in | head, is not an error",
    )
    LAPSED = (
        12,
        "due: people have lapsed (reset or expired, and not complete since), and no plan was "
        "saved; with --save no person is due. If a plan was saved, the code is 0, and they are named on stderr",
    )
    INTERRUPTED = (130, "Ctrl-C, before anything was sent")


_BY_CLASS = {
    "ConfirmationError": ExitCode.NOT_CONFIRMED,
    **dict.fromkeys(("AuthenticationError", "PermissionDeniedError"), ExitCode.DENIED),
    **dict.fromkeys(
        (
            *("StalePlanError", "PlanMismatchError", "AlreadyAppliedError", "OverlappingPlanError"),
            *("ApprovalError", "UnconfirmedFormatError", "ReadOnlyError", "ClockError"),
            *("ConfirmationMismatchError", "ConfirmationRequiredError"),
        ),
        ExitCode.NOTHING_SENT,
    ),
    **dict.fromkeys(("OutcomeUnknownError", "IncompleteResetError", "ProofFailedError"), ExitCode.INCOMPLETE),
    "ResetInterruptedError": ExitCode.INTERRUPTED,
    **dict.fromkeys(("EvidenceError", "RecordsError"), ExitCode.RECORDS),
    "APIConnectionError": ExitCode.CONNECTION,
    "InvalidArgumentError": ExitCode.USAGE,
}
"""The code of an error, by the name of its class or of the nearest class above it: nothing is imported for it."""


def code_for(error: TrainingError) -> ExitCode:
    """Return the exit code for an error."""
    from training_sdk.reports.report import REACHED_OTHERS

    if error.reason == REACHED_OTHERS or (error.report is not None and error.report.reached_others):
        return ExitCode.OTHERS_REACHED
    if error.report is not None and may_have_reset(error.report):
        return ExitCode.INCOMPLETE
    if error.reason == NO_TOKEN:
        return ExitCode.DENIED
    if error.reason == OUTPUT_UNWRITABLE:
        return ExitCode.OUTPUT_LOST
    if error.reason in (*HARD_STOPS, CACHED_ANSWER, NO_QUIET_MOMENT):
        return ExitCode.NOTHING_SENT
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((_BY_CLASS[name] for name in names if name in _BY_CLASS), ExitCode.FAILED)


def code_for_report(report: ResetReport) -> ExitCode:
    """Return the exit code of a command that applied or resumed a plan."""
    if report.reached_others:
        return ExitCode.OTHERS_REACHED
    if report.is_complete:
        return ExitCode.DONE
    was_sent = report.sent_ids or report.requests or may_have_reset(report)
    return ExitCode.INCOMPLETE if was_sent else ExitCode.NOTHING_SENT


def code_for_stop(stop: BaseException, report: ResetReport | None) -> ExitCode:
    """Return the exit code after Ctrl-C; ``report`` is the report of the reset that was running, if any.

    If the report cannot be read, only the notes of ``stop`` tell that a reset was running.
    """
    if report is not None and report.reached_others:
        return ExitCode.OTHERS_REACHED
    reset = hasattr(stop, "__notes__") if report is None else may_have_reset(report)
    return ExitCode.INCOMPLETE if reset else ExitCode.INTERRUPTED


def may_have_reset(report: ResetReport) -> bool:
    """Return True if at least one person was reset or may have been reset."""
    from training_sdk.outcome import Outcome

    return bool(report.counts[Outcome.RESET] or report.counts[Outcome.UNKNOWN])
