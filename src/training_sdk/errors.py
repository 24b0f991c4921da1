"""Everything the SDK raises, as one tree.

    TrainingError
    ├── InvalidArgumentError          an unusable argument or setting; nothing was sent (also a ValueError)
    ├── ReadOnlyError                 this client is read-only; nothing was sent
    ├── APIConnectionError            not delivered, or no answer to something that may be repeated
    │   └── APITimeoutError           … because time ran out
    ├── APIStatusError                the server answered, and refused
    │   ├── BadRequestError           400, 413, 415
    │   ├── AuthenticationError       401
    │   ├── PermissionDeniedError     403
    │   ├── NotFoundError             404
    │   ├── ConflictError             409, 422
    │   ├── ConfirmationMismatchError 412
    │   ├── ConfirmationRequiredError 428
    │   ├── RateLimitError            429
    │   ├── NotSupportedError         501
    │   └── ServerError               any other 5xx
    ├── OutcomeUnknownError           it may or may not have had an effect; it was not sent again
    ├── DecodingError                 the answer is not what the wire documents
    ├── ConfirmationError             the phrase typed is not the plan's; nothing was sent
    ├── ApprovalError                 the approval that this client requires is missing or not valid
    ├── PlanMismatchError             the plan was made on another server or organisation; nothing was sent
    ├── StalePlanError                progress or the course changed since the plan was made
    ├── UnconfirmedFormatError        a live service on which the reset's format was not verified; nothing was sent
    ├── ProofFailedError              on the test course a reset did not have the expected effect
    ├── ClockError                    this machine's clock and a live service's are too far apart; nothing was sent
    ├── ResetInterruptedError         ``stop`` ended a reset between two requests
    ├── AlreadyAppliedError           a plan is applied once, and this one was, or was started; nothing was sent
    ├── OverlappingPlanError          another plan may have reset the same people; nothing was sent for them
    ├── IncompleteResetError          from raise_for_incomplete(): not every target is known to have been reset
    ├── EvidenceError                 evidence is incomplete, changed, not encrypted or too old; nothing was sent
    └── RecordsError                  files of the SDK on this machine cannot be used as they are
        ├── RecordsUnsafeError        others could read or change it
        ├── RecordsLockedError        another process is writing it
        ├── RecordsDamagedError       it is not as it was written
        └── RecordsUnwritableError    it could not be written: a full disk, no permission

Ctrl-C, cancellation and others that are not an Exception are raised unchanged.
Every error contains a single frozen value, ``info``, and no HTTP object: it pickles, copies and compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import evolve, frozen

from training_sdk._core.text import inline, sentence, visible

if TYPE_CHECKING:
    from training_sdk.reports.report import ResetReport


@frozen
class Remedy:
    """The way to fix an error: a sentence for Python, and a key under which another interface has its own sentence.

    ``text`` names parameters and methods of the SDK. The command line looks up ``key`` instead and names its options
    and commands; ``values`` are the names and numbers that its sentence needs as well.
    """

    key: str
    text: str
    values: tuple[tuple[str, str], ...] = ()


@frozen
class ErrorInfo:
    """The facts about one failure."""

    message: str
    """The failure, its cause, and the effect (such as that nothing was sent); without the remedy."""
    status: int | None = None
    reason: str | None = None
    request_id: str | None = None
    method: str | None = None
    path: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    report: ResetReport | None = None
    argument: str | None = None
    """The parameter whose value is refused, as the message spells it."""
    remedy: Remedy | None = None


class TrainingError(Exception):
    """The root of everything the SDK raises."""

    info: ErrorInfo

    def __init__(self, message: str | ErrorInfo, **known: Any) -> None:
        self.info = message if isinstance(message, ErrorInfo) else ErrorInfo(message, **known)
        super().__init__(self.info)

    @property
    def message(self) -> str:
        """The message and the remedy in full sentences, without status and ids."""
        said, remedy = sentence(self.info.message), self.remedy
        return f"{said} {remedy.text}" if remedy else said

    @property
    def status(self) -> int | None:
        """The HTTP status, where the server answered."""
        return self.info.status

    @property
    def reason(self) -> str | None:
        """The machine-readable reason in capitals, such as ``PERMISSION_DENIED``, where there is one."""
        return self.info.reason

    @property
    def request_id(self) -> str | None:
        """The ``X-Request-ID`` of the exchange, to quote to support and to find in logs."""
        return self.info.request_id

    @property
    def report(self) -> ResetReport | None:
        """The result for every user when a reset stopped; None outside of a reset."""
        return self.info.report

    @property
    def argument(self) -> str | None:
        """The Python parameter whose value is refused, such as ``per_request``, or None."""
        return self.info.argument

    @property
    def remedy(self) -> Remedy | None:
        """The remedy, for programs that have their own words for it; ``message`` includes its text."""
        return self.info.remedy

    def with_report(self, report: ResetReport) -> Self:
        """Return the same error with the report of a reset that was interrupted."""
        return with_changes(self, report=report)

    def __str__(self) -> str:
        marks = [str(self.status or ""), self.reason or ""]
        if self.request_id:
            marks.append(f"request {self.request_id}")
        suffix = inline(", ".join(mark for mark in marks if mark))
        message = visible(self.message)
        return f"{message} ({suffix})" if suffix else message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrainingError) and type(other) is type(self) and other.info == self.info

    def __hash__(self) -> int:
        return hash((type(self), self.info.message, self.info.request_id))


E = TypeVar("E", bound=TrainingError)


def with_changes(error: E, **changes: Any) -> E:
    """Return the same error with other values in ``info``, and with the same cause."""
    changed = type(error)(evolve(error.info, **changes))
    changed.__cause__ = error.__cause__
    return changed


class InvalidArgumentError(TrainingError, ValueError):
    """An argument or a setting is not usable; the message names it and the remedy. Nothing was sent."""


class ReadOnlyError(TrainingError):
    """The client was made with ``read_only=True``, and this would change something. Nothing was sent."""


class APIConnectionError(TrainingError):
    """The server could not be reached, or gave no answer to a request that may safely be repeated."""


class APITimeoutError(APIConnectionError):
    """Time ran out: ``timeout`` for one attempt, ``max_retry_seconds`` for all of them."""


class APIStatusError(TrainingError):
    """The server answered with a status that is not success."""


class BadRequestError(APIStatusError):
    """400, 413 or 415: the server cannot use the request as sent."""


class AuthenticationError(APIStatusError):
    """401: no token, or an unknown, expired or revoked one."""


class PermissionDeniedError(APIStatusError):
    """403: the token's user lacks a permission; the message names it where the server does."""


class NotFoundError(APIStatusError):
    """404, or an empty list where one thing was asked for: it does not exist in this organisation."""


class ConflictError(APIStatusError):
    """409 or 422: it collides with another request."""


class ConfirmationMismatchError(APIStatusError):
    """412: the confirmation sent with a reset is not true at this moment; nothing changed."""


class ConfirmationRequiredError(APIStatusError):
    """428: a reset was sent without a confirmation; nothing changed."""


class RateLimitError(APIStatusError):
    """429, and waiting for the next window would exceed ``max_retry_seconds``."""


class NotSupportedError(APIStatusError):
    """501: the server does not offer this operation. Never retried."""


class ServerError(APIStatusError):
    """A 5xx other than 501."""


class OutcomeUnknownError(TrainingError):
    """A request that must not be repeated got no usable answer: it may or may not have had its effect.

    ``__cause__`` is what happened instead. Read back what is there before doing anything else.
    """


class DecodingError(TrainingError):
    """The answer is not JSON, or lacks what the wire documents; the message names the JSON path."""


class ConfirmationError(TrainingError):
    """The typed text is not the phrase of this plan. Nothing was sent."""


class ApprovalError(TrainingError):
    """An approval is missing, or cannot be made or relied on; ``reason`` says which of many ways. Nothing was sent."""


class PlanMismatchError(TrainingError):
    """The client speaks to another server or organisation than the plan was made on. Nothing was sent."""


class StalePlanError(TrainingError):
    """The progress of a user, or the course, changed since the plan was made. Plan again."""


class UnconfirmedFormatError(TrainingError):
    """The server is not the reference server, and the body of a reset is assumed. Nothing was sent."""


class ProofFailedError(TrainingError):
    """The effect of a reset on the test course is not the expected one, or is not visible yet.

    ``reason`` says which, ``report`` the result for each user, if something was sent. The format stays disabled.
    """


class ClockError(TrainingError):
    """This machine's clock and that of a live service are too far apart to judge what is late. Nothing was sent."""


class ResetInterruptedError(TrainingError):
    """``stop`` ended a reset before its next request; ``report`` has the result for every user."""


class EvidenceError(TrainingError):
    """An evidence pack is incomplete, changed, not encrypted or too old; ``reason`` says which.

    The action that needed it was not done.
    """


class RecordsError(TrainingError):
    """Files of the SDK on this machine (journals, audit log, evidence) cannot be used as they are."""


class RecordsUnsafeError(RecordsError):
    """Other users can enter the state directory, or own it; the message has the remedy."""


class RecordsLockedError(RecordsError):
    """Another process is writing this file; the message names it. Nothing was written."""


class RecordsDamagedError(RecordsError):
    """A file is not as it was written; the message names file and line. It is not changed."""


class RecordsUnwritableError(RecordsError):
    """A record could not be written, so the action that it announces was not done. ``__cause__`` says why."""


class AlreadyAppliedError(TrainingError):
    """A plan is applied once, and this one was, or was started. Nothing was sent; see ``client.resets.resume``."""


class OverlappingPlanError(TrainingError):
    """Another plan on this machine may have reset users of this one, or may still do so; the message names it.

    Nothing was sent for them.
    """


class IncompleteResetError(TrainingError):
    """Not every target of a plan is known to have been reset; ``report`` has the result for everyone."""


STATUS_ERRORS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    412: ConfirmationMismatchError,
    413: BadRequestError,
    415: BadRequestError,
    422: ConflictError,
    428: ConfirmationRequiredError,
    429: RateLimitError,
    501: NotSupportedError,
}
"""The statuses of a refusal before any effect (501 included).

For a reset of several people only the reference server, or a proof of the service, makes that certain.
"""


def status_error_class(status: int) -> type[APIStatusError]:
    """Return the class for a status that is not success."""
    return STATUS_ERRORS.get(status, ServerError if status >= 500 else APIStatusError)
