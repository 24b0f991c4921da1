"""The send policy as a table: an answer or a failure, repeatable or not, and its result; messages of a 403."""

from __future__ import annotations

import math
from typing import TypeAlias

import httpx
import pytest

from mock_server import MockTraining, Policy
from training_sdk import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfirmationMismatchError,
    ConfirmationRequiredError,
    ConflictError,
    DecodingError,
    NotFoundError,
    NotSupportedError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    TrainingClient,
)
from training_sdk._core import codec, send_policy
from training_sdk._core.flow import (
    Flow,
    InterruptedSendError,
    NoAnswerError,
    NotDeliveredError,
    Request,
    Response,
    RunLocally,
    Unpaced,
    UnsentError,
)
from training_sdk._core.send_policy import missing_permission
from unit.sdk.fakes import CALLS, FakeDriver, answer, script

GET = Request("GET", "/thing")
POST = Request("POST", "/thing", b"{}", repeatable=False)
OK = answer({"id": 1})

Step: TypeAlias = Response | BaseException
Row: TypeAlias = tuple[Step, bool, type[BaseException]]
"""What happens, whether it is tried again, and the error where it is not (or for ever so)."""

STATUSES: dict[int, type[APIStatusError]] = {
    301: APIStatusError,
    302: APIStatusError,
    307: APIStatusError,
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: APIStatusError,
    408: APIStatusError,
    409: ConflictError,
    410: APIStatusError,
    412: ConfirmationMismatchError,
    413: BadRequestError,
    415: BadRequestError,
    418: APIStatusError,
    422: ConflictError,
    428: ConfirmationRequiredError,
    429: RateLimitError,
    500: ServerError,
    501: NotSupportedError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
    507: ServerError,
}
RETRIED = {408, 429, 500, 502, 503, 504}
REFUSED_BEFORE_WORK = {400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 429, 501}

REPEATABLE: dict[str, Row] = {
    **{
        f"status {status}": (answer({}, status), status in RETRIED, kind) for status, kind in STATUSES.items()
    },
    "never delivered": (NotDeliveredError("refused"), True, APIConnectionError),
    "connecting timed out": (NotDeliveredError("slow", timeout=True), True, APITimeoutError),
    "hopeless certificate": (NotDeliveredError("bad cert", hopeless=True), False, APIConnectionError),
    "broken off": (NoAnswerError("reset by peer"), True, APIConnectionError),
    "no answer in time": (NoAnswerError("slow", timeout=True), True, APITimeoutError),
    "Ctrl-C": (InterruptedSendError(KeyboardInterrupt()), False, KeyboardInterrupt),
    "token callable raises": (UnsentError(OSError("no token file")), False, OSError),
    "HTML": (answer(body=b"<html>login</html>"), False, DecodingError),
    "empty body": (answer(body=b"", headers={"content-length": "0"}), False, DecodingError),
    "cut before its first byte": (answer(body=b""), True, DecodingError),
    "truncated": (answer(body=b'{"id": '), True, DecodingError),
    "truncated in a text": (answer(body=b'{"id": "c1'), True, DecodingError),
    "truncated in a letter": (answer(body='{"id": "é'.encode()[:-1]), True, DecodingError),
    "not UTF-8": (answer(body=b'{"id": "\xff"}'), False, DecodingError),
    "nested too deep": (answer(body=b"[" * 200_000), False, DecodingError),
}

NOT_REPEATABLE: dict[str, Row] = {
    **{
        f"status {status}": (
            answer({}, status),
            status == 429,
            kind if status in REFUSED_BEFORE_WORK else OutcomeUnknownError,
        )
        for status, kind in STATUSES.items()
    },
    "never delivered": (NotDeliveredError("refused"), True, APIConnectionError),
    "connecting timed out": (NotDeliveredError("slow", timeout=True), True, APITimeoutError),
    "hopeless certificate": (NotDeliveredError("bad cert", hopeless=True), False, APIConnectionError),
    "token callable raises": (UnsentError(OSError("no token file")), False, OSError),
    "Ctrl-C": REPEATABLE["Ctrl-C"],
    "a hook raises": (InterruptedSendError(OSError("no room")), False, OutcomeUnknownError),
    **{
        name: (REPEATABLE[name][0], False, OutcomeUnknownError)
        for name in (
            *("broken off", "no answer in time"),
            *("HTML", "empty body", "truncated", "not UTF-8", "nested too deep"),
        )
    },
}


def decode(response: Response) -> object:
    return codec.loads(response)


CASES = [
    pytest.param(request, *case, id=f"{request.method} {name}")
    for request, cases in ((GET, REPEATABLE), (POST, NOT_REPEATABLE))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("request_", "step", "again", "error"), CASES)
def test_result_of_exchanges(request_: Request, step: Step, again: bool, error: type[BaseException]) -> None:
    puppet = FakeDriver(script(step, OK))
    flow = CALLS.call(request_, decode)
    if again:
        assert puppet.run(flow) == {"id": 1}
        assert len(puppet.sent) == 2
    else:
        with pytest.raises(error) as caught:
            puppet.run(flow)
        assert type(caught.value) is error
        assert len(puppet.sent) == 1
        assert not puppet.slept


@pytest.mark.parametrize(("request_", "step", "again", "error"), [case for case in CASES if case.values[2]])
def test_what_is_tried_again_ends_in_its_own_error_when_time_is_up(
    request_: Request, step: Step, again: bool, error: type[BaseException]
) -> None:
    puppet = FakeDriver(script(step))
    with pytest.raises(error) as caught:
        puppet.run(CALLS.call(request_, decode))
    assert type(caught.value) is error
    assert len(puppet.sent) > 2
    assert puppet.clock <= CALLS.max_retry_seconds


UNKNOWN = [
    pytest.param(case.values[1], id=case.id)
    for case in CASES
    if case.values[0] is POST and case.values[3] is OutcomeUnknownError
]


@pytest.mark.parametrize("step", UNKNOWN)
def test_an_unknown_outcome_names_the_request_and_its_cause(step: Step) -> None:
    with pytest.raises(OutcomeUnknownError, match="POST /thing may or may not have taken effect") as caught:
        FakeDriver(script(step)).run(CALLS.call(POST, decode))
    assert caught.value.__cause__ is not None
    if isinstance(step, Response):
        assert (caught.value.status, caught.value.request_id) == (step.status, "req-1")


@pytest.mark.parametrize("step", [InterruptedSendError(KeyboardInterrupt(), "req-1"), KeyboardInterrupt()])
def test_ctrl_c_during_a_write_goes_on_and_notes_the_unknown_outcome(step: BaseException) -> None:
    attempt = send_policy.Attempt()
    with pytest.raises(KeyboardInterrupt) as caught:
        FakeDriver(script(step)).run(CALLS.call(POST, decode, once=attempt))
    assert attempt.is_open
    assert "POST /thing may or may not have taken effect" in caught.value.__notes__[-1]
    with pytest.raises(KeyboardInterrupt) as plain:
        FakeDriver(script(KeyboardInterrupt())).run(CALLS.call(GET, decode))
    assert not hasattr(plain.value, "__notes__")


def test_ctrl_c_while_an_answer_to_a_write_is_read_goes_on_as_itself() -> None:
    def interrupted(response: Response) -> object:
        raise KeyboardInterrupt

    for request in (POST, GET):
        with pytest.raises(KeyboardInterrupt) as caught:
            FakeDriver(script(OK)).run(CALLS.call(request, interrupted))
        assert hasattr(caught.value, "__notes__") == (request is POST)


@pytest.mark.parametrize(
    ("step", "is_open"),
    [
        (UnsentError(KeyboardInterrupt()), False),
        (answer({}, 403), False),
        (answer({}, 429), False),
        (answer({}, 409), True),
        (answer({}, 500), True),
        (NoAnswerError("broken"), True),
        (NotDeliveredError("refused"), False),
    ],
)
def test_ctrl_c_after_an_answer_leaves_open_what_the_answer_does(step: Step, is_open: bool) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    class Stopping(Unpaced):
        def flush(self) -> Flow[None]:
            yield RunLocally(interrupt, "stopped here")

    attempt = send_policy.Attempt()
    with pytest.raises(KeyboardInterrupt):
        FakeDriver(script(step)).run(
            send_policy.call(POST, decode, max_retry_seconds=9, pace=Stopping(), once=attempt)
        )
    assert attempt.is_open is is_open


def test_ctrl_c_while_waiting_is_plain_ctrl_c_because_nothing_is_under_way() -> None:
    def stop(sleep: object) -> None:
        raise KeyboardInterrupt

    puppet = FakeDriver(script(answer({}, 429)), on_sleep=stop)
    with pytest.raises(KeyboardInterrupt):
        puppet.run(CALLS.call(POST, decode))
    assert len(puppet.sent) == 1


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({}, 0.5, 0.5),
        ({"retry-after": "7"}, 7, 7),
        ({"retry-after": "1.5"}, 1.5, 1.5),
        ({"x-ratelimit-reset": "12"}, 12, 12),
        ({"retry-after": "3", "x-ratelimit-reset": "12"}, 3, 3),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "x-ratelimit-reset": "4"}, 4, 4),
        *[({"retry-after": odd}, 0.5, 0.5) for odd in ("nan", "inf", "-inf", "-1", "", "soon", "0", "1e-9")],
        *[({"x-ratelimit-reset": odd}, 0.5, 0.5) for odd in ("nan", "-5", "0")],
    ],
)
def test_how_long_a_429_waits(headers: dict[str, str], least: float, most: float) -> None:
    puppet = FakeDriver(script(answer({}, 429, headers), OK))
    puppet.run(CALLS.call(POST, decode))
    assert [least <= sleep.seconds <= most for sleep in puppet.slept] == [True]
    assert all(0 <= sleep.jitter <= sleep.seconds / 4 for sleep in puppet.slept)


@pytest.mark.parametrize("asked", ["91", "1e18", "1e400"])
def test_a_wait_beyond_the_time_allowed_is_not_begun(asked: str) -> None:
    puppet = FakeDriver(script(answer({}, 429, {"retry-after": asked}), OK))
    if math.isinf(float(asked)):
        assert puppet.run(CALLS.call(GET, decode)) == {"id": 1}
        return
    with pytest.raises(RateLimitError):
        puppet.run(CALLS.call(GET, decode))
    assert puppet.slept == []


def test_backoff_doubles_up_to_eight_seconds() -> None:
    puppet = FakeDriver(script(answer({}, 503)))
    with pytest.raises(ServerError):
        puppet.run(CALLS.call(GET, decode))
    assert [sleep.seconds for sleep in puppet.slept][:6] == [0.5, 1, 2, 4, 8, 8]
    assert send_policy.backoff(10_000) == 8


def test_the_errors_of_an_exchange_read_well() -> None:
    body = {
        "code": 7,
        "message": "no such right",
        "details": [{"reason": "PERMISSION_DENIED", "metadata": {"a": 1}}],
    }
    with pytest.raises(PermissionDeniedError) as caught:
        FakeDriver(script(answer(body, 403))).run(CALLS.call(GET, decode))
    error = caught.value
    assert str(error) == "GET /thing: no such right. (403, PERMISSION_DENIED, request req-1)"
    assert (error.status, error.reason, error.request_id) == (403, "PERMISSION_DENIED", "req-1")
    assert error.info.metadata == (("a", "1"),)
    assert (error.info.method, error.info.path) == ("GET", "/thing")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[]", b"null", b'"no"', b"{}", b'{"message": 7}', b'{"details": 7}'),
        *(
            b'{"details": [7, {"reason": 7}, {"reason": "X", "metadata": 7}]}',
            b'{"message": null, "details": null}',
        ),
    ],
)
def test_an_error_body_of_any_kind_is_no_second_error(body: bytes) -> None:
    with pytest.raises(NotFoundError, match="GET /thing"):
        FakeDriver(script(answer(status=404, body=body))).run(CALLS.call(GET, decode))


def test_an_error_message_cannot_play_tricks_on_a_terminal_or_fill_it() -> None:
    nasty = {"message": "\x1b[2Jgone\r\nfake line" + "x" * 100_000}
    with pytest.raises(NotFoundError) as caught:
        FakeDriver(script(answer(nasty, 404))).run(CALLS.call(GET, decode))
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://elsewhere.test/", "https://elsewhere.test/"),
        ("https://ann:pw@elsewhere.test:8443/login?user=ann#ann", "https://elsewhere.test:8443/login"),
        ("/login?user=ann", "/login"),
        ("login?user=ann", "an address that cannot be read"),
        ("mailto:ann@example.test", "an address that cannot be read"),
    ],
)
def test_a_redirect_is_an_error_without_personal_data_of_its_address(location: str, shown: str) -> None:
    with pytest.raises(
        APIStatusError, match=f"redirects to {shown}. The redirect was not followed"
    ) as caught:
        FakeDriver(script(answer({}, 301, {"location": location}))).run(CALLS.call(GET, decode))
    assert "user=ann" not in caught.value.message
    assert "ann@" not in caught.value.message
    assert "ann:" not in caught.value.message


USERS, TRAINING = "Platform management: Users", "Training: Administration"


def denied(errors: str, path: str) -> PermissionDeniedError:
    mock = MockTraining.demo(policy=Policy(errors="brief" if errors == "brief" else "detailed", plays="live"))
    with (
        httpx.Client(transport=mock.transport()) as http,
        TrainingClient(mock.token("learner"), http_client=http) as client,
        pytest.raises(PermissionDeniedError) as caught,
    ):
        client.request("GET", path)
    return caught.value


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/feed/users", f'the permission "{USERS}" or "{TRAINING}"'),
        (
            "/training/analytics/v1/courses/statistics",
            f'the permission "{TRAINING}" or "Training: Manage teams"',
        ),
        ("/webhooks/v1/webhooks", "the permission set Administrator"),
    ],
)
def test_R01_a_brief_403_is_completed_with_what_is_probably_missing(path: str, needed: str) -> None:
    error = denied("brief", path)
    assert error.message == f"GET {path}: Permission Denied. The token's user probably lacks {needed}."
    assert (error.status, error.reason) == (403, None)


def test_R01_a_403_that_names_the_permission_is_left_as_it_is() -> None:
    error = denied("detailed", "/feed/users")
    assert "probably" not in error.message
    assert USERS in error.message


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/training/courseprogress/v1/reset", USERS),
        ("POST", "/prefix/training/courseprogress/v1/reset:preview", USERS),
        ("PUT", "/training/courses/v1/abc/assignments", TRAINING),
        ("POST", "/users/v1/users/list", USERS),
        ("POST", "/permissions/v1/permission_sets", USERS),
        ("DELETE", "/webhooks/v1/webhooks/7", "Administrator"),
        ("GET", "/training/courses/v1", ""),
        ("GET", "/training/courseprogress/v1/reset", ""),
    ],
)
def test_the_permission_belongs_to_the_operation(method: str, path: str, needed: str) -> None:
    said = missing_permission(method, path, "Permission Denied")
    assert needed in said
    assert bool(said) is bool(needed)
