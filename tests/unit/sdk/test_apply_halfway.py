"""A reset that stops half-way: everyone is in exactly one outcome, and nothing unknown is sent again."""

from __future__ import annotations

import pickle
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

import pytest

from training_sdk import (
    APIConnectionError,
    BadRequestError,
    Code,
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ResetInterruptedError,
    TrainingError,
)
from training_sdk._core.flow import (
    InterruptedSendError,
    NoAnswerError,
    NotDeliveredError,
    Request,
    Response,
    UnsentError,
)
from training_sdk.resets import reset_request
from unit.sdk.fakes import (
    Asker,
    FakeDriver,
    Organisation,
    answer,
    chain,
    no_waiting,
    over_the_wire,
    row,
    untouched,
)
from unit.sdk.resetting import (
    account_of,
    apply,
    apply_flow,
    everyone_once,
    interrupted_at,
    just_planned,
    many,
    nth_reset,
    planned,
)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of ten, so that three of them are no crowd."""
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 10)


# --- what can go wrong half-way ---------------------------------------------------------------------------------------

WRONG_ANSWERS = {
    "a server error": lambda _: answer({}, 500),
    "a timeout of the server": lambda _: answer({}, 408),
    "a redirect": lambda _: answer({}, 307, {"location": "https://elsewhere.test"}),
    "HTML": lambda _: answer(body=b"<html>"),
    "nothing": lambda _: answer(body=b""),
    "half an answer": lambda _: answer(body=b'{"usersUpd'),
    "no count": lambda _: answer({}),
    "null": lambda _: answer(None),
    "a count of null": lambda _: answer({"usersUpdated": None}),
    "a smaller count": lambda _: answer({"usersUpdated": 9}),
    "a larger count": lambda _: answer({"usersUpdated": 20}),
    "a count in words": lambda _: answer({"usersUpdated": "ten"}),
    "no content": lambda _: answer(status=204, body=b""),
}
LOST: dict[str, Callable[[Request], Response] | BaseException] = {
    **WRONG_ANSWERS,
    "no answer": NoAnswerError("reset by peer"),
    "no answer in time": NoAnswerError("slow", timeout=True),
    "an error from outside": InterruptedSendError(OSError("the hook failed")),
}
STOPS: dict[str, BaseException] = {
    "Ctrl-C": InterruptedSendError(KeyboardInterrupt()),
    "Ctrl-C right after": KeyboardInterrupt(),
    "SystemExit": InterruptedSendError(SystemExit(143)),
    "cancellation": InterruptedSendError(CancelledError()),
}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_leaves_everyone_in_exactly_one_outcome(name: str) -> None:
    organisation = Organisation([row(one) for one in range(25)] + [untouched(99)])
    plan = planned(organisation)
    nth_reset(organisation, 2, LOST[name])
    with pytest.raises(OutcomeUnknownError) as caught:
        apply(organisation, plan)
    assert len(organisation.resets) == 2
    assert caught.value.__cause__ is not None
    assert not isinstance(caught.value.__cause__, OutcomeUnknownError)
    report = caught.value.report
    assert report is not None
    assert everyone_once(report)
    assert report.counts == {
        Outcome.RESET: 10,
        Outcome.UNKNOWN: 10,
        Outcome.SKIPPED: 5,
        Outcome.NOTHING_TO_RESET: 1,
        Outcome.FAILED: 0,
    }
    assert not report.is_complete
    assert pickle.loads(pickle.dumps(caught.value)).report == report


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("name", STOPS)
def test_what_stops_a_request_under_way_goes_on_as_itself_and_says_who_is_unknown(name: str) -> None:
    organisation = Organisation([row(one) for one in range(25)] + [untouched(99)])
    plan = planned(organisation)
    stop = STOPS[name]
    own = stop.original if isinstance(stop, InterruptedSendError) else stop
    nth_reset(organisation, 2, stop)
    with pytest.raises(type(own)) as caught:
        apply(organisation, plan)
    assert caught.value is own
    assert not isinstance(own, TrainingError)
    report = account_of(own)
    assert everyone_once(report)
    assert (report.counts[Outcome.RESET], report.counts[Outcome.UNKNOWN]) == (10, 10)
    assert {user.code for user in report.users if user.outcome is Outcome.UNKNOWN} == {Code.ANSWER_LOST}
    assert any("client.resets.resume(" in note for note in own.__notes__)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (lambda _: answer({}, 403), PermissionDeniedError),
        (lambda _: answer({}, 400), BadRequestError),
        (NotDeliveredError("refused", hopeless=True), APIConnectionError),
        (UnsentError(InvalidArgumentError("the API token must be text")), InvalidArgumentError),
    ],
)
def test_a_refusal_is_reported_as_failed(step: Any, error: type[TrainingError]) -> None:
    organisation = many(1500)
    plan = planned(organisation)
    nth_reset(organisation, 2, step)
    with pytest.raises(error) as caught:
        apply(organisation, plan)
    report = caught.value.report
    assert report is not None
    assert (report.counts[Outcome.RESET], report.counts[Outcome.FAILED]) == (1000, 500)
    assert everyone_once(report)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, CancelledError, OSError])
def test_ctrl_c_while_waiting_between_chunks_says_what_had_been_done(stop: type[BaseException]) -> None:
    organisation = many(1500)
    plan = planned(organisation)
    nth_reset(organisation, 2, lambda _: answer({}, 429, {"retry-after": "30"}))

    def interrupt(sleep: object) -> None:
        raise stop

    with pytest.raises(stop) as caught:
        apply(organisation, plan, puppet=FakeDriver(organisation, on_sleep=interrupt))
    report = account_of(caught.value)
    assert (report.counts[Outcome.RESET], report.counts[Outcome.SKIPPED]) == (1000, 500)
    assert report.counts[Outcome.UNKNOWN] == 0
    assert {user.code for user in report.users[1000:]} == {Code.INTERRUPTED}


def test_a_token_that_cannot_be_had_half_way_is_known_not_to_have_been_sent() -> None:
    organisation = many(1500)
    plan = planned(organisation)
    nth_reset(organisation, 2, UnsentError(OSError("vault is sealed")))
    with pytest.raises(OSError, match="vault is sealed") as caught:
        apply(organisation, plan)
    assert account_of(caught.value).counts[Outcome.UNKNOWN] == 0


@pytest.mark.parametrize("stop", [KeyboardInterrupt, CancelledError])
def test_the_loop_of_the_documentation_ends_where_somebody_stops_it(stop: type[BaseException]) -> None:
    """At every effect of applying the first of three plans, the other two are never begun."""
    begun: list[int] = []

    def loop(at: int) -> bool:
        """Whether the interrupt fell into the loop."""
        begun.clear()
        for number in range(3):
            organisation = many(3)
            puppet = FakeDriver(organisation)
            flow = apply_flow(planned(organisation))
            begun.append(number)
            try:
                puppet.run(interrupted_at(flow, at, stop))
            except (OutcomeUnknownError, ResetInterruptedError):
                raise
            except TrainingError:
                continue
        return False

    at = 0
    while True:
        assert at < 1000, "it ends"
        try:
            if not loop(at):
                break
        except stop:
            assert begun == [0]
        at += 1
    assert at > 6


def test_a_429_is_waited_out_and_the_chunk_sent_again(ask: Asker) -> None:
    organisation = many(3)
    plan = just_planned(organisation)
    nth_reset(organisation, 1, lambda _: answer({}, 429, {"retry-after": "1"}))
    with no_waiting() as waits:
        report = ask(
            over_the_wire(organisation), lambda client: client.resets.apply(plan, confirm=plan.phrase)
        )
    assert report.is_complete
    assert len(organisation.resets) == 2
    assert len(waits) == 1
    keys = {dict(sent.headers)["idempotency-key"] for sent in organisation.resets}
    assert len(keys) == 1


def test_a_429_that_outlasts_the_time_allowed_is_a_refusal() -> None:
    organisation = many(1)
    plan = planned(organisation)
    organisation.on_reset = lambda _: answer({}, 429, {"retry-after": "1"})
    with pytest.raises(RateLimitError) as caught:
        apply(organisation, plan)
    report = caught.value.report
    assert report is not None
    assert report.counts[Outcome.FAILED] == 1


def test_no_chain_of_errors_goes_round_in_circles() -> None:
    organisation = many(1)
    plan = planned(organisation)
    nth_reset(organisation, 1, NoAnswerError("reset by peer"))
    with pytest.raises(OutcomeUnknownError) as caught:
        apply(organisation, plan)
    assert len(list(chain(caught.value))) < 6
