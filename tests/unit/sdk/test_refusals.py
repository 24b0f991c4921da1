"""A refusal of a reset that names several people says nothing about what was done before it (R05)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from training_sdk import (
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ResetFormat,
    ResetPlan,
    ResetReport,
    UnconfirmedFormatError,
    Waves,
)
from training_sdk._core import send_policy
from training_sdk._core.flow import Request, Response
from training_sdk.errors import STATUS_ERRORS, APIStatusError
from training_sdk.format_proof.proofs import Proof, ProofScope
from training_sdk.local_plans.admission import PROVE_AGAIN
from training_sdk.local_plans.record_check import check_records
from training_sdk.outcome import Code
from training_sdk.records.events import Opened, ReadBack, Refused, RefusedInDoubt, Sent
from training_sdk.records.journal_state import PersonState, replay
from training_sdk.records.state import StateDirectory
from training_sdk.resets.reset_request import Order
from training_sdk.resets.reset_run import apply_plan
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    START,
    FakeDriver,
    Organisation,
    answer,
    row,
    script,
    sync_client,
    user_id,
)
from unit.sdk.machine import LATER, Machine, any_proof, ends, new_machine
from unit.sdk.resetting import NothingKept, just_planned, planned

REFUSALS = sorted(STATUS_ERRORS)
SEVERAL = Request("POST", "/thing", b"{}", repeatable=False, final_refusals=frozenset())
HOUR = 3600.0


def refusal(status: int) -> Response:
    return answer({"code": 7, "message": "not these people", "details": []}, status)


def resets_some(organisation: Organisation, status: int, *, of: int) -> Callable[[Request], Response]:
    """Reset the first people that a request names, and refuse it for those that follow."""

    def reply(request: Request) -> Response:
        named = json.loads(request.body or b"").get("userIds")
        there = [one for one in organisation.rows if named is None or one["user_id"] in named]
        for one in there[:of]:
            one.update(CLEARED)
        return refusal(status)

    return reply


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return new_machine(tmp_path, reference=False)


@pytest.fixture
def plan(machine: Machine) -> ResetPlan:
    return machine.plan(0, 1, 2)


def refused(machine: Machine, plan: ResetPlan, status: int, **order: Any) -> OutcomeUnknownError:
    """Apply a plan whose request resets two people and is refused for the third."""
    machine.organisation.on_reset = resets_some(machine.organisation, status, of=2)
    with pytest.raises(OutcomeUnknownError) as caught:
        machine.apply(plan, **order)
    machine.organisation.on_reset = None
    return caught.value


def codes(report: ResetReport | None) -> list[Code | None]:
    assert report is not None
    return [user.code for user in report.users]


# --- the send rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_of_what_can_be_done_in_part_is_unknown_and_not_repeated(status: int) -> None:
    puppet = FakeDriver(script(refusal(status)))
    with pytest.raises(OutcomeUnknownError, match="may have carried out a part") as caught:
        puppet.run(send_policy.call(SEVERAL, lambda response: response, max_retry_seconds=90))
    assert (len(puppet.sent), puppet.slept, caught.value.status) == (1, [], status)
    assert isinstance(caught.value.__cause__, APIStatusError)


@pytest.mark.parametrize("status", REFUSALS)
def test_only_the_reference_server_is_believed(status: int) -> None:
    there = Response(status, (), b"{}", "req-1", is_reference=True)
    verdict = send_policy.judge_status(SEVERAL, there)
    assert (type(verdict.error), verdict.again) == (STATUS_ERRORS[status], status == 429)


def test_a_proof_is_believed_for_its_statuses_only() -> None:
    proved = Request("POST", "/thing", b"{}", repeatable=False, final_refusals=frozenset({403}))
    assert isinstance(send_policy.judge_status(proved, refusal(403)).error, PermissionDeniedError)
    assert isinstance(send_policy.judge_status(proved, refusal(404)).error, OutcomeUnknownError)


# --- several people ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", REFUSALS)
def test_r05_a_refusal_in_part_is_unknown_at_first(machine: Machine, plan: ResetPlan, status: int) -> None:
    error = refused(machine, plan, status)
    assert ends(error.report) == [Outcome.UNKNOWN] * 3
    assert set(codes(error.report)) == {Code.REFUSAL_UNCERTAIN}
    assert "per_request=1" in str(error)
    assert "nobody" not in str(error)
    (noted,) = [event for event in machine.events(plan) if isinstance(event, RefusedInDoubt)]
    assert (noted.status, noted.error) == (status, STATUS_ERRORS[status].__name__)
    assert not [event for event in machine.events(plan) if isinstance(event, Refused)]

    machine.puppet.clock += HOUR  # the feed may show older data
    now, machine.organisation.rows = machine.organisation.rows, [row(one) for one in range(3)]
    early = machine.resume(plan)
    assert set(codes(early)) == {Code.REFUSAL_UNCERTAIN}
    assert len(machine.organisation.resets) == 1

    machine.organisation.rows = now
    machine.puppet.clock += LATER
    assert machine.resume(plan).is_complete
    assert machine.organisation.people_sent[1:] == [[user_id(2)]]
    assert not [one for one in check_records(StateDirectory.open(machine.state)) if not one.is_note]


@pytest.mark.parametrize("status", [403, 404, 429])
def test_r05_a_late_refusal_resets_nobody_twice(machine: Machine, plan: ResetPlan, status: int) -> None:
    machine.organisation.on_reset = resets_some(machine.organisation, status, of=3)
    with pytest.raises(OutcomeUnknownError):
        machine.apply(plan)
    machine.organisation.on_reset = None
    assert machine.resume(plan).is_complete
    assert len(machine.organisation.resets) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 429, 501])
def test_a_call_for_everyone_is_in_doubt_even_where_it_reaches_one_person(status: int) -> None:
    organisation = Organisation([row(0)], reference=False)
    plan = just_planned(organisation)
    organisation.on_reset = resets_some(organisation, status, of=1)
    assert plan.people == 1
    with pytest.raises(OutcomeUnknownError) as caught:
        _apply_live(organisation, plan, server_side=True)
    assert codes(caught.value.report) == [Code.REFUSAL_UNCERTAIN]
    assert len(organisation.resets) == 1


def _apply_live(organisation: Organisation, plan: ResetPlan, **order: Any) -> ResetReport:
    order = {"reason": "why", **order}
    recorder = NothingKept(None, None, timedelta(hours=4))
    flow = apply_plan(CALLS, Order(evolve(plan, read_at=START), ResetFormat(), **order), recorder, any_proof)
    return FakeDriver(organisation).run(flow)


def test_the_reference_server_is_believed_as_before(tmp_path: Path) -> None:
    machine = new_machine(tmp_path)
    plan = machine.plan(0, 1, 2)
    machine.organisation.on_reset = lambda _: refusal(403)
    with pytest.raises(PermissionDeniedError) as caught:
        machine.apply(plan)
    assert ends(caught.value.report) == [Outcome.FAILED] * 3


# --- one person per request -------------------------------------------------------------------------------------------


def test_a_refusal_of_one_person_stays_certain(machine: Machine, plan: ResetPlan) -> None:
    machine.organisation.on_reset = lambda _: refusal(403)
    with pytest.raises(PermissionDeniedError) as caught:
        machine.apply(plan, per_request=1)
    assert ends(caught.value.report) == [Outcome.FAILED, Outcome.SKIPPED, Outcome.SKIPPED]
    machine.organisation.on_reset = None
    assert machine.resume(plan).is_complete
    assert [len(people) for people in machine.organisation.people_sent] == [1, 1, 1, 1], "as it was begun"


def test_a_429_for_one_person_is_waited_for_as_long_as_there_is_time(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 2, reference=False)
    plan = machine.plan(0, 1)
    machine.organisation.on_reset = lambda request: (
        machine.organisation.reset(request) if machine.puppet.slept else answer({}, 429, {"retry-after": "5"})
    )
    assert machine.apply(plan, per_request=1).is_complete
    assert sum(sleep.seconds for sleep in machine.puppet.slept) >= 5
    again = Machine(tmp_path, machine.organisation)
    machine.organisation.rows[0].update(row(0))
    later = again.plan(0)
    machine.organisation.on_reset = lambda _: answer({}, 429, {"retry-after": "3600"})
    again.puppet.clock += 2 * LATER
    with pytest.raises(RateLimitError):
        again.apply(later, per_request=1)


def test_after_a_refusal_in_doubt_the_others_are_sent_one_by_one_if_asked_for(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 5, reference=False)
    plan = machine.plan(*range(5))
    refused(machine, plan, 403)
    machine.puppet.clock += LATER + HOUR
    assert machine.resume(plan, per_request=1).is_complete
    assert machine.organisation.people_sent[1:] == [[user_id(2)], [user_id(3)], [user_id(4)]]


def test_a_wave_holds_several_requests(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 5, reference=False)
    plan = machine.plan(*range(5))
    waves = Waves(size=2, every=timedelta(hours=1), between=(time(7), time(23)), zone="UTC")
    assert machine.apply(plan, per_request=1, waves=waves).is_complete
    assert [len(people) for people in machine.organisation.people_sent] == [1] * 5
    sent = [event.at for event in machine.events(plan) if isinstance(event, Sent)]
    pauses = [later - earlier >= timedelta(minutes=59) for earlier, later in pairwise(sent)]
    assert pauses == [False, True, False, True]
    (opened,) = [event for event in machine.events(plan) if isinstance(event, Opened)]
    assert opened.chunk_size == 1


@pytest.mark.parametrize("number", [0, -1, 1001, True, 1.0, "1"])
def test_a_number_of_people_that_no_request_can_hold_is_refused(number: Any) -> None:
    organisation = Organisation([row(0)])
    plan, client = just_planned(organisation), sync_client(organisation)
    for method in (client.resets.apply, client.resets.resume):
        with pytest.raises(InvalidArgumentError, match="per_request"):
            method(plan, confirm=plan.phrase, per_request=number)
    assert not organisation.sent


def test_one_call_for_everyone_cannot_be_divided(machine: Machine) -> None:
    organisation = Organisation([row(0), row(1)])
    plan, client = just_planned(organisation), sync_client(organisation)
    with pytest.raises(InvalidArgumentError, match="cannot be divided"):
        client.resets.apply(plan, confirm=plan.phrase, server_side=True, per_request=1)
    assert not organisation.sent
    everyone = evolve(planned(machine.organisation), read_at=START)
    refused(machine, everyone, 403, server_side=True)
    with pytest.raises(InvalidArgumentError, match="cannot be divided"):
        machine.resume(everyone, per_request=1)
    assert len(machine.organisation.resets) == 1


# --- journals of before -----------------------------------------------------------------------------------------------


def test_a_journal_of_before_keeps_the_meaning_of_its_time(machine: Machine, plan: ResetPlan) -> None:
    """A live service refused three people, and the version of then noted that as certain."""
    refused(machine, plan, 403)
    *events, last = machine.events(plan)
    certain = Refused(last.at, 0, "PermissionDeniedError", "REFUSED", "not these people", None)
    machine.rewrite(plan, [*events, certain])
    assert set(replay(machine.events(plan)).users.values()) == {PersonState.REFUSED}
    machine.organisation.rows = [row(one) for one in range(3)]
    machine.puppet.clock += HOUR
    assert machine.resume(plan).is_complete
    assert [len(people) for people in machine.organisation.people_sent] == [3, 3]


def test_a_journal_that_ends_in_a_request_is_judged_as_before(machine: Machine, plan: ResetPlan) -> None:
    refused(machine, plan, 403)
    machine.rewrite(plan, machine.events(plan)[:-1])
    machine.puppet.clock += LATER + HOUR
    assert machine.resume(plan).is_complete
    assert machine.organisation.people_sent[1:] == [[user_id(2)]]


def test_a_refusal_in_doubt_is_open_like_a_lost_answer(machine: Machine, plan: ResetPlan) -> None:
    refused(machine, plan, 404)
    events = machine.events(plan)
    state = replay(events)
    assert set(state.users.values()) == {PersonState.UNKNOWN}
    read = ReadBack(
        events[-1].at, 0, {user_id(0): "applied", user_id(1): "applied", user_id(2): "not applied"}
    )
    assert replay([*events, read]).person_state(plan.courses[0].id, user_id(2)) is PersonState.UNSENT


def test_a_proof_that_does_not_hold_any_more_says_what_resuming_did(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, people=2, reference=False)
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=True, waves=Waves(size=1))
    machine.puppet.clock += LATER

    def withdrawn(ground: ProofScope) -> Proof | None:
        raise UnconfirmedFormatError("the proof was withdrawn", reason="PROOF_WITHDRAWN", remedy=PROVE_AGAIN)

    def too_narrow(ground: ProofScope) -> Proof | None:
        raise UnconfirmedFormatError(
            "so nobody could see that. Nothing was sent", reason="PROOF_TOO_NARROW", remedy=PROVE_AGAIN
        )

    for machine.find_proof in (withdrawn, too_narrow):
        with pytest.raises(UnconfirmedFormatError, match="nothing more was sent") as caught:
            machine.resume(plan)
        assert "Nothing was sent" not in caught.value.message
        assert "Prove the format again" in caught.value.message
    machine.find_proof = lambda ground: None
    with pytest.raises(UnconfirmedFormatError, match="nothing more was sent") as caught:
        machine.resume(plan)
    assert "so nothing was sent" not in caught.value.message
