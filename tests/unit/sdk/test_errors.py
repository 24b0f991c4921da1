"""Errors: one tree, each a portable value that says what happened and never a secret."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import training_sdk
from training_sdk import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ErrorInfo,
    InvalidArgumentError,
    Remedy,
    ResetReport,
    ServerError,
    TrainingError,
)
from training_sdk._core.flow import NotDeliveredError, Request, Response
from training_sdk._core.send_policy import judge_failure, judge_status, out_of_time, status_error
from training_sdk.errors import STATUS_ERRORS, ConfirmationMismatchError, status_error_class
from training_sdk.resets.outcomes import failure_outcome
from unit.sdk.fakes import Organisation, row
from unit.sdk.resetting import apply, planned

ERRORS: list[type[TrainingError]] = [
    one
    for name in training_sdk._MODULES
    if isinstance(one := getattr(training_sdk, name), type) and issubclass(one, TrainingError)
]
DIRECT = {
    *("InvalidArgumentError", "APIConnectionError", "APIStatusError", "OutcomeUnknownError"),
    *("DecodingError", "ApprovalError", "EvidenceError", "ConfirmationError", "PlanMismatchError"),
    *("StalePlanError", "UnconfirmedFormatError", "ProofFailedError", "ClockError"),
    *("ResetInterruptedError", "ReadOnlyError", "AlreadyAppliedError", "OverlappingPlanError"),
    *("IncompleteResetError", "RecordsError"),
}
BY_STATUS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    412: "ConfirmationMismatchError",
    413: "BadRequestError",
    415: "BadRequestError",
    422: "ConflictError",
    428: "ConfirmationRequiredError",
    429: "RateLimitError",
    501: "NotSupportedError",
    500: "ServerError",
    502: "ServerError",
    503: "ServerError",
    504: "ServerError",
    599: "ServerError",
    301: "APIStatusError",
    405: "APIStatusError",
    408: "APIStatusError",
    418: "APIStatusError",
}
each_error = pytest.mark.parametrize("kind", ERRORS)


@pytest.fixture(scope="module")
def report() -> ResetReport:
    organisation = Organisation([row(1)])
    return apply(organisation, planned(organisation), reason="why", ticket="T-1")


def test_the_tree_is_as_drawn() -> None:
    assert {one.__name__ for one in TrainingError.__subclasses__()} == DIRECT
    assert issubclass(APITimeoutError, APIConnectionError)
    assert issubclass(InvalidArgumentError, ValueError)
    assert set(APIStatusError.__subclasses__()) == {*STATUS_ERRORS.values(), ServerError}


@pytest.mark.parametrize(("status", "name"), BY_STATUS.items())
def test_every_status_has_its_class(status: int, name: str) -> None:
    assert status_error_class(status).__name__ == name


@each_error
def test_every_error_says_what_it_knows(kind: type[TrainingError], report: ResetReport) -> None:
    error = kind("It broke", status=503, reason="BROKEN", request_id="r-1").with_report(report)
    assert error.message == "It broke."
    assert (error.status, error.reason, error.request_id) == (503, "BROKEN", "r-1")
    assert error.report is report
    assert str(error) == "It broke. (503, BROKEN, request r-1)"
    assert repr(error) == f"{kind.__name__}('It broke. (503, BROKEN, request r-1)')"
    assert str(kind("Only this.")) == "Only this."
    assert isinstance(error, TrainingError)


@each_error
def test_every_error_pickles_copies_and_compares(kind: type[TrainingError], report: ResetReport) -> None:
    remedy = Remedy("mend", "Mend it.")
    error = kind("it broke", status=503, metadata=(("a", "1"),), argument="it", remedy=remedy).with_report(
        report
    )
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(error, protocol))
        assert (type(twin), twin, hash(twin), twin.report) == (kind, error, hash(error), report)
    for twin in (copy.copy(error), copy.deepcopy(error)):
        assert (type(twin), twin) == (kind, error)
    assert error != kind("it broke differently")
    assert error != "it broke"


def test_message_ends_with_the_remedy_and_info_keeps_them_apart() -> None:
    error = InvalidArgumentError(
        "tolerance must be 0 or more", argument="tolerance", remedy=Remedy("tolerance", "Use 0.")
    )
    assert (error.message, str(error)) == ("tolerance must be 0 or more. Use 0.", error.message)
    assert (error.info.message, error.argument) == ("tolerance must be 0 or more", "tolerance")
    assert error.remedy == Remedy("tolerance", "Use 0.")


def test_errors_of_different_kinds_differ() -> None:
    assert len({kind("same") for kind in ERRORS}) == len(ERRORS)


@each_error
def test_every_error_holds_one_frozen_value(kind: type[TrainingError]) -> None:
    error = kind("x")
    assert vars(error) == {"info": ErrorInfo("x")}
    with pytest.raises(AttributeError):
        error.info.message = "y"  # type: ignore[misc]  # the mistake under test


@pytest.mark.parametrize("attribute", ["message", "status", "reason", "request_id", "report"])
def test_what_an_error_says_cannot_be_changed(attribute: str) -> None:
    error: Any = TrainingError("x")
    with pytest.raises(AttributeError):
        setattr(error, attribute, "y")


# --- one mark at the end of a sentence --------------------------------------------------------------------------------

RESET = Request("POST", "/training/courseprogress/v1/reset")
USERS = Request("GET", "/feed/users")


def said_with(words: str) -> Iterator[str]:
    """The messages that quote a service, or a system, and go on after it."""
    body = json.dumps({"message": words}).encode()

    def answer(status: int) -> Response:
        return Response(status, (("content-type", "application/json"),), body)

    yield status_error(USERS, answer(403)).message
    yield out_of_time(status_error(USERS, answer(429)), 8, 3).message
    for unknown in (judge_status(RESET, answer(500)).error, judge_status(RESET, answer(403)).error):
        yield unknown.message
        yield failure_outcome(unknown).error.message
    yield failure_outcome(ConfirmationMismatchError(ErrorInfo(words))).error.message
    yield judge_failure(USERS, NotDeliveredError(words)).error.message


@pytest.mark.parametrize("words", ["Is it right?", "No.", "No!", "Wait…", "Nothing"])
def test_a_sentence_of_a_service_gets_no_second_mark(words: str) -> None:
    messages = [*said_with(words)]
    assert all(words in message for message in messages)
    assert [one for one in messages if re.search(r"[.?!…]\.(?!\w)|Nothing [A-Z]", one)] == []


def test_no_message_puts_a_full_stop_behind_the_text_of_an_error() -> None:
    """``sentence`` does it, which knows what the text ends with."""
    source = Path(training_sdk.__path__[0])
    found = [
        f"{file.relative_to(source)}:{node.lineno}"
        for file in source.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr)
        for text, after in zip(node.values, node.values[1:], strict=False)
        if isinstance(text, ast.FormattedValue)
        and re.search(r"\.message\b|^(error|fault|problem)$", ast.unparse(text.value))
        and not ast.unparse(text.value).startswith("sentence(")
        and isinstance(after, ast.Constant)
        and str(after.value).startswith(".")
    ]
    assert found == []
