"""The send policy: which requests are retried, when, and for how long; pure, so it reads and is tested as a table.

- Repeatability is declared on the request, never guessed from its method.
- Two results certainly had no effect: never delivered, and refused before work (429 and the coded 4xx). Such a request
  may be sent again. If a request can be carried out in part, only the reference server, or a proof of the service,
  makes a refusal certain.
- For a request that is not repeatable every other result is unknown, and is raised as OutcomeUnknownError at once.
- Total time is bounded, not attempts: none begins after ``max_retry_seconds``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from attrs import define, frozen

from training_sdk._core import codec
from training_sdk._core.flow import (
    UNPACED,
    Flow,
    InterruptedSendError,
    Moment,
    NotDeliveredError,
    Now,
    Pace,
    Request,
    Response,
    Sleep,
    TransportError,
    UnsentError,
    asked_wait,
)
from training_sdk._core.text import inline, sentence
from training_sdk._core.urls import RESET_PATH
from training_sdk.errors import (
    STATUS_ERRORS,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConflictError,
    DecodingError,
    OutcomeUnknownError,
    Remedy,
    TrainingError,
    status_error_class,
    with_changes,
)

_USERS, _TRAINING, _TEAMS = (
    '"Platform management: Users"',
    '"Training: Administration"',
    '"Training: Manage teams"',
)
_NAMES = (_USERS, _TRAINING, _TEAMS)
_PEOPLE = f"the permission {_USERS} or {_TRAINING}"
_NEEDED = (
    (f"POST .*{RESET_PATH}(:preview)?", f"the permission {_USERS}"),
    (r"PUT .*/training/courses/v1/[^/]+/assignments", f"the permission {_TRAINING}"),
    (r"GET .*/training/analytics/v1/.+", f"the permission {_TRAINING} or {_TEAMS}"),
    (r"POST .*/users/v1/users/list", _PEOPLE),
    (r"GET .*/feed/(users|groups|group_users|sites|site_members)", _PEOPLE),
    (r"GET .*/groups(/[^/]+/users)?", _PEOPLE),
    (r"POST .*/permissions/v1/permission_sets", f"the permission {_USERS}"),
    (r"[A-Z]+ .*/webhooks/v1/.+", "the permission set Administrator"),
)


def missing_permission(method: str, path: str, message: str) -> str:
    """Return the permission whose lack probably causes a 403; "" if the message names one, or none is known."""
    if any(name.strip('"') in message for name in _NAMES):
        return ""
    request = f"{method} {path}"
    needed = next((needed for pattern, needed in _NEEDED if re.fullmatch(pattern, request)), "")
    return f"The token's user probably lacks {needed}." if needed else ""


T = TypeVar("T")

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
FIRST_WAIT = 0.5
LONGEST_WAIT = 8.0
FIRST_ANSWER_SECONDS = 10.0
"""The seconds for retries to a server that has never answered, unless ``max_retry_seconds`` was given."""
LONGEST_MESSAGE = 1000
LONGEST_LOCATION = 200
MOST_CUT = 2
"""The number of times that an interrupted reading is repeated."""

UNKNOWN = (
    "{method} {path} may or may not have taken effect: {what} It was not sent again. "
    "Read {there} back before you decide anything."
)


class TryAgainError(Exception):
    """It is certain that nothing happened, and another attempt after ``wait`` seconds may go better."""

    def __init__(self, error: TrainingError, wait: float) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait = wait


@frozen
class SendDecision:
    """The error of an exchange, whether to send again, and the wait that the server asks for."""

    error: TrainingError
    again: bool
    wait: float | None = None


@define
class Attempt:
    """One sending of a request: whether it may be out there, its result unknown, and the id of its exchange."""

    is_open: bool = False
    request_id: str | None = None
    status: int | None = None
    """That of the answer, if one came or began to come."""


Doubt: TypeAlias = Callable[[Response], TrainingError | None]


def _no_doubt(response: Response) -> None:
    return None


def call(
    request: Request,
    decode: Callable[[Response], T],
    *,
    max_retry_seconds: float,
    pace: Pace = UNPACED,
    once: Attempt | None = None,
    doubt: Doubt = _no_doubt,
) -> Flow[T]:
    """Send by the rules, at a pace, and read the answer.

    ``doubt`` returns what is wrong with the origin of an answer. A refusal with a doubtful origin is not believed: it
    leaves unknown what became of something not repeatable.

    With ``once`` there is no waiting, neither for the pace nor for another attempt: TryAgainError is raised if another
    attempt is harmless, for callers that must read again before it.

    An error that stops this while the result of a request that is not repeatable is unknown is raised as
    OutcomeUnknownError. KeyboardInterrupt, cancellation and others that are no Exception are raised unchanged, with a
    note that says so.
    """
    attempt = Attempt() if once is None else once
    try:
        return (
            yield from _exchange(request, attempt, decode, max_retry_seconds, pace, once is not None, doubt)
        )
    except (GeneratorExit, OutcomeUnknownError, ConflictError, TryAgainError):
        raise  # a ConflictError says by itself that the same request may be under way
    except BaseException as problem:
        if request.repeatable or not attempt.is_open:
            raise
        unknown = interrupted(request, attempt, problem)
        if isinstance(problem, Exception):
            raise unknown from problem
        problem.add_note(unknown.message)
        raise


def interrupted(request: Request, attempt: Attempt, problem: BaseException) -> OutcomeUnknownError:
    """Return the error for a request that was in flight when something stopped it."""
    return _unknown(request, _interruption(problem), attempt.request_id, problem)


def _exchange(
    request: Request,
    attempt: Attempt,
    decode: Callable[[Response], T],
    max_retry_seconds: float,
    pace: Pace,
    once: bool,
    doubt: Doubt,
) -> Flow[T]:
    """Send until there is a success, a refusal, or no time left. Waiting for the pace takes none of that time."""
    started: Moment = yield Now()
    tried, paced, cut = 0, 0.0, 0
    while True:
        paced += 0.0 if once else (yield from pace.acquire(request))
        result = yield from _send(request, attempt)
        if isinstance(result, TransportError):
            decision = judge_failure(request, result)
        else:
            pace.observe(request, result)
            if not 200 <= result.status < 300:
                decision = _believed(request, result, judge_status(request, result), doubt)
            elif not request.repeatable:  # nothing may come between the answer and the caller
                return decode(result)
            else:
                yield from pace.flush()
                try:
                    return decode(result)
                except DecodingError as error:
                    if error.reason != codec.CUT_SHORT:
                        raise
                    decision, cut = SendDecision(error, again=cut < MOST_CUT), cut + 1
        attempt.is_open = isinstance(decision.error, OutcomeUnknownError | ConflictError)
        yield from pace.flush()
        now: Moment = yield Now()
        is_silent = isinstance(result, TransportError) and result.nobody_yet and result.status is None
        most = min(max_retry_seconds, FIRST_ANSWER_SECONDS) if is_silent else max_retry_seconds
        left = most - (now.monotonic - started.monotonic - paced)
        wait = max(backoff(tried), decision.wait or 0)
        if not decision.again:
            raise decision.error
        if once:
            raise TryAgainError(decision.error, wait)
        if wait > left and most < max_retry_seconds:
            raise _nobody_there(decision.error)
        if wait > left:
            raise out_of_time(decision.error, wait, most)
        yield Sleep(wait, jitter=min(wait / 4, left - wait), why=str(decision.error))
        tried += 1


def _send(request: Request, attempt: Attempt) -> Flow[Response | TransportError]:
    """Send once; return the answer or the failure, and note what is known in ``attempt``."""
    attempt.is_open = True
    try:
        response: Response = yield request
    except UnsentError as stop:
        attempt.is_open = False
        raise stop.original from None
    except InterruptedSendError as stop:
        attempt.request_id, attempt.status = stop.request_id, stop.status
        raise stop.original from None
    except TransportError as failure:
        attempt.status = failure.status
        return failure
    attempt.request_id, attempt.status = response.request_id, response.status
    return response


RETRY_LONGER = Remedy("retry_longer", "Raise max_retry_seconds to wait longer.")
WAIT_FOR_SERVER = Remedy("wait_for_server", "To wait for a server that is starting, set max_retry_seconds.")


def out_of_time(error: TrainingError, wait: float, most: float) -> TrainingError:
    """Return the same error, with the note that the time for retries would be exceeded."""
    message = f"{error.message} Waiting {wait:g} s more would exceed the {most:g} s for retries."
    return with_changes(error, message=message, remedy=RETRY_LONGER)


def _nobody_there(error: TrainingError) -> TrainingError:
    """Return the same error, with the reason for giving up early."""
    message = (
        f"{error.message} No server has answered there yet. Stopped trying after {FIRST_ANSWER_SECONDS:g} s."
    )
    return with_changes(error, message=message, remedy=WAIT_FOR_SERVER)


def _interruption(problem: BaseException) -> str:
    if isinstance(problem, DecodingError):
        why = problem.message.removesuffix(".")
        return f"the server answered {problem.status or 'it'} with something unreadable ({why})"
    if isinstance(problem, TrainingError):
        return f"its answer cannot be trusted: {problem.message}"
    return f"interrupted by {type(problem).__name__}"


def judge_failure(request: Request, failure: TransportError) -> SendDecision:
    """Decide about a request without an answer."""
    kind = APITimeoutError if failure.timeout else APIConnectionError
    error: TrainingError = kind(
        f"{request.method} {request.path}: {failure.message}",
        request_id=failure.request_id,
        method=request.method,
        path=request.path,
    )
    if isinstance(failure, NotDeliveredError):
        return SendDecision(error, again=not failure.hopeless)
    if request.repeatable:
        return SendDecision(error, again=True)
    return SendDecision(_unknown(request, failure.message, failure.request_id, error), again=False)


def judge_status(request: Request, response: Response) -> SendDecision:
    """Decide about an answer that is not a success."""
    error = status_error(request, response)
    status = response.status
    is_final = request.repeatable or _is_final(request, response)
    if is_final and (status == 429 or (request.repeatable and status in RETRIED_STATUSES)):
        return SendDecision(error, again=True, wait=asked_wait(response))
    if is_final and (request.repeatable or status in STATUS_ERRORS):
        return SendDecision(error, again=False)
    what = f"the server answered {status}"
    if not is_final and status in STATUS_ERRORS:
        why = error.message.removeprefix(f"{request.method} {request.path}: ").removesuffix(".")
        what = f"{what} ({why}), and may have carried out a part of it before"
    return SendDecision(_unknown(request, what, response.request_id, error), again=False)


def _is_final(request: Request, response: Response) -> bool:
    """Return whether this answer, if it is a refusal, certainly had no effect."""
    final = request.final_refusals
    return response.is_reference or final is None or response.status in final


def _believed(request: Request, response: Response, verdict: SendDecision, doubt: Doubt) -> SendDecision:
    """Return the same decision, unless it relies on a refusal that cannot be trusted."""
    problem = doubt(response) if response.status == 429 or response.status in STATUS_ERRORS else None
    if problem is None or (request.repeatable and verdict.again):
        return verdict
    problem.__cause__ = verdict.error
    if request.repeatable:
        return SendDecision(problem, again=False)
    what = f"the answer {response.status} cannot be trusted: {problem.message}"
    return SendDecision(_unknown(request, what, response.request_id, problem), again=False)


def backoff(attempt: int) -> float:
    """Return the seconds before the next attempt if the server names none: 0.5, 1, 2, 4, then 8."""
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt, 10)))


def status_error(request: Request, response: Response) -> APIStatusError:
    """Return the typed error for an answer that is not a success, from whatever its body says."""
    said = codec.read_error(response)
    what = _tidy(said.message or "") or _plain(response)
    if response.status == 403 and said.reason in (None, "PERMISSION_DENIED"):
        missing = missing_permission(request.method, request.path, what)
        what = f"{sentence(what)} {missing}" if missing else what
    message = f"{request.method} {request.path}: {what}"
    return status_error_class(response.status)(
        message,
        status=response.status,
        reason=said.reason,
        request_id=response.request_id,
        method=request.method,
        path=request.path,
        metadata=tuple((_tidy(name), _tidy(value)) for name, value in said.metadata),
    )


def _tidy(text: str) -> str:
    """On one line, of bounded length and with nothing hidden: it is shown to people and written to logs."""
    return inline(text[:LONGEST_MESSAGE])


def _plain(response: Response) -> str:
    """Return a message for a body without a usable one."""
    if 300 <= response.status < 400:
        return (
            f"The server redirects to {_redirected(response.header('location'))}. The redirect was not followed, "
            "because the token is sent to the configured host only. Check the base URL."
        )
    if response.status == 401:
        return "The token is missing, unknown, expired or revoked. Use a valid API token."
    where = f"The server at {response.base_url}" if response.base_url else "The server"
    hint = (
        " Check that this is the base URL of the API."
        if response.status in (404, 405) and response.base_url
        else ""
    )
    return f"{where} answered {response.status} without an explanation.{hint}"


def _redirected(location: str | None) -> str:
    """Return the target of a redirect, without personal data that a query or a broken address may contain."""
    if location is None:
        return "nowhere"
    try:
        parts = urlsplit(location)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "an address that cannot be read"
    if not parts.hostname and not parts.path.startswith("/"):
        return "an address that cannot be read"
    origin = f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""
    return _tidy(f"{origin}{parts.path}"[:LONGEST_LOCATION])


def _unknown(
    request: Request, what: str, request_id: str | None, cause: BaseException | None = None
) -> OutcomeUnknownError:
    known: dict[str, Any] = {"request_id": request_id, "method": request.method, "path": request.path}
    if isinstance(cause, TrainingError):
        known |= {"status": cause.status, "reason": cause.reason}
    there = "the progress" if request.path.endswith(RESET_PATH) else "what is there"
    said = UNKNOWN.format(method=request.method, path=request.path, what=sentence(what), there=there)
    error = OutcomeUnknownError(said, **known)
    error.__cause__ = cause
    return error
