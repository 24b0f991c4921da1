"""A reset that stops half-way: everyone is in exactly one outcome, and nothing unknown is sent again."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from training_sdk import (
    APIConnectionError,
    BadRequestError,
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ResetInterruptedError,
    TrainingError,
)
from training_sdk._flow import (
    InterruptedSendError,
    NoAnswerError,
    NotDeliveredError,
    Request,
    Response,
    UnsentError,
)
from training_sdk.resets import sending
from unit.sdk.fakes import (
    Asker,
    Organisation,
    Puppet,
    answer,
    chain,
    no_waiting,
    over_the_wire,
    row,
    untouched,
)
from unit.sdk.resetting import apply, everyone_once, many, nth_reset, planned


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of ten, so that three of them are no crowd."""
    monkeypatch.setattr(sending, "CHUNK", 10)


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
    "a count in words": lambda _: answer({"usersUpdated": "10"}),
    "no content": lambda _: answer(status=204, body=b""),
}
LOST: dict[str, Callable[[Request], Response] | BaseException] = {
    **WRONG_ANSWERS,
    "no answer": NoAnswerError("reset by peer"),
    "no answer in time": NoAnswerError("slow", timeout=True),
    "Ctrl-C": InterruptedSendError(KeyboardInterrupt()),
    "Ctrl-C right after": KeyboardInterrupt(),
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


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, OSError])
def test_ctrl_c_while_waiting_between_chunks_says_what_had_been_done(stop: type[BaseException]) -> None:
    organisation = many(1500)
    plan = planned(organisation)
    nth_reset(organisation, 2, lambda _: answer({}, 429, {"retry-after": "30"}))

    def interrupt(sleep: object) -> None:
        raise stop

    with pytest.raises(ResetInterruptedError, match=f"interrupted by ({stop.__name__}|you) before") as caught:
        apply(organisation, plan, puppet=Puppet(organisation, on_sleep=interrupt))
    assert isinstance(caught.value.__cause__, stop)
    report = caught.value.report
    assert report is not None
    assert (report.counts[Outcome.RESET], report.counts[Outcome.SKIPPED]) == (1000, 500)
    assert report.counts[Outcome.UNKNOWN] == 0


def test_a_token_that_cannot_be_had_half_way_is_known_not_to_have_been_sent() -> None:
    organisation = many(1500)
    plan = planned(organisation)
    nth_reset(organisation, 2, UnsentError(OSError("vault is sealed")))
    with pytest.raises(ResetInterruptedError, match="OSError") as caught:
        apply(organisation, plan)
    report = caught.value.report
    assert report is not None
    assert report.counts[Outcome.UNKNOWN] == 0


def test_a_429_is_waited_out_and_the_chunk_sent_again(ask: Asker) -> None:
    organisation = many(3)
    plan = planned(organisation)
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
