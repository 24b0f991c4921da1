"""Whatever a network does: time is bounded, and what must not be repeated is never sent after an unknown result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import DecodingError, OutcomeUnknownError, TrainingError
from training_sdk._core import codec, send_policy
from training_sdk._core.flow import InterruptedSendError, NoAnswerError, NotDeliveredError, Request, Response
from unit.sdk.fakes import FakeDriver, answer, script

WAITS = st.one_of(
    st.none(), st.floats().map(str), st.integers(-5, 200).map(str), st.text("0123456789e+-.na", max_size=6)
)


def _answers(status: int, wait: str | None) -> Response:
    headers = {} if wait is None else {"retry-after": wait}
    return answer({"ok": True}, status, headers)


KNOWN = st.one_of(
    st.builds(NotDeliveredError, st.just("refused"), timeout=st.booleans(), hopeless=st.booleans()),
    st.builds(_answers, st.just(429), WAITS),
)
ANY = st.one_of(
    KNOWN,
    st.builds(_answers, st.integers(200, 599), WAITS),
    st.builds(NoAnswerError, st.just("broken"), timeout=st.booleans()),
    st.builds(InterruptedSendError, st.just(KeyboardInterrupt())),
    st.just(answer(body=b"<html>")),
)


def _run(request: Request, steps: list[Response | BaseException], cost: float, bound: float) -> FakeDriver:
    left = iter(steps)

    def reply(_: Request) -> Response:
        step = next(left, answer({"ok": True}))
        if isinstance(step, BaseException):
            raise step
        return step

    puppet = FakeDriver(reply, cost=cost)
    try:
        puppet.run(send_policy.call(request, codec.loads, max_retry_seconds=bound))
    except (TrainingError, KeyboardInterrupt):
        return puppet
    return puppet


@given(st.lists(ANY, max_size=40), st.floats(0, 40), st.floats(0, 200), st.booleans())
def test_no_attempt_begins_after_the_time_allowed(
    steps: list[Response | BaseException], cost: float, bound: float, repeatable: bool
) -> None:
    puppet = _run(Request("POST", "/x", repeatable=repeatable), steps, cost, bound)
    began = puppet.clock - cost
    assert began <= bound + 1e-6 or len(puppet.sent) == 1


@given(st.lists(KNOWN, max_size=5), ANY, st.lists(ANY, max_size=5))
def test_nothing_is_sent_after_an_unknown_result(
    before: list[Response | BaseException],
    step: Response | BaseException,
    after: list[Response | BaseException],
) -> None:
    known_result = isinstance(step, NotDeliveredError) or (isinstance(step, Response) and step.status == 429)
    puppet = _run(Request("POST", "/x", repeatable=False), [*before, step, *after], 0, 1e6)
    if not known_result:
        assert len(puppet.sent) <= len(before) + 1


def _lost(step: Response | BaseException) -> bool:
    if isinstance(step, Response):
        return (
            step.status in (200, 408)
            or 300 <= step.status < 400
            or (step.status >= 500 and step.status != 501)
        )
    return isinstance(step, NoAnswerError)


@given(ANY.filter(_lost))
def test_a_lost_answer_to_an_unrepeatable_request_is_unknown(step: Response | BaseException) -> None:
    with pytest.raises(OutcomeUnknownError):
        FakeDriver(script(step)).run(
            send_policy.call(Request("POST", "/x", repeatable=False), _unreadable, max_retry_seconds=90)
        )


def _unreadable(response: Response) -> object:
    raise DecodingError("not what the wire documents", status=response.status)
