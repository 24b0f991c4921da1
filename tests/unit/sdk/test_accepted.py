"""What a service has accepted may be worked on later than anybody knows: it is never sent again by itself (R05)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest
from attrs import evolve

from training_sdk import (
    InvalidArgumentError,
    Outcome,
    OutcomeUnknownError,
    OverlappingPlanError,
    ResetFormat,
    ResetPlan,
    ResetReport,
    Safeguards,
    TrainingClient,
    UserOutcome,
)
from training_sdk._core.flow import InterruptedSendError, NoAnswerError, Request, Response
from training_sdk.format_proof.proofs import Proof, ProofScope, find_proof, save_proof
from training_sdk.records.events import Answered, Event, Lost, Opened, ReadBack, Resumed
from training_sdk.records.journal import LAG, MARGIN, PROCESSING_TIME, Journal, read_journal
from training_sdk.records.journal_state import replay
from training_sdk.records.state import StateDirectory
from training_sdk.resets import verifying
from training_sdk.resets.unfinished import read_unfinished
from training_sdk.resets.verifying import VerificationRun
from unit.sdk.fakes import (
    CALLS,
    CLEARED,
    RESET,
    SETTINGS,
    START,
    TOKEN,
    Asker,
    Organisation,
    answer,
    over_the_wire,
    row,
    user_id,
)
from unit.sdk.machine import LATER, Machine, ends, new_machine
from unit.sdk.resetting import just_planned, planned

ACCEPTED = {
    "202, empty": answer(body=b"", status=202),
    "202 and an id": answer({"operationId": "op-1"}, 202),
    "200 as HTML": answer(body=b"<html>"),
    "201 and too few": answer({"usersUpdated": 1}, 201),
    "204": answer(body=b"", status=204),
    "299, cut": answer(body=b'{"usersUpd', status=299),
}
A_WEEK = timedelta(days=7).total_seconds()
SHORT = (LAG + MARGIN).total_seconds()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return new_machine(tmp_path, reference=False)


def answered(machine: Machine, plan: ResetPlan, said: Response | BaseException, **order: Any) -> None:
    """Apply a plan whose request is answered so, and has had no effect so far."""

    def reply(request: Request) -> Response:
        if isinstance(said, BaseException):
            raise said
        return said

    machine.organisation.on_reset = reply
    with suppress(OutcomeUnknownError, KeyboardInterrupt):
        machine.apply(plan, **order)
    machine.organisation.on_reset = None


def proof_of(ground: ProofScope, **seen: Any) -> Proof:
    return Proof(ground, START, "u", "c", "one", ("two",), counted=True, **seen)


def with_status(problem: Any, status: int) -> BaseException:
    problem.status = status
    found: BaseException = problem
    return found


# --- never again by itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACCEPTED)
def test_r05_what_was_accepted_stays_unknown_until_it_is_seen(machine: Machine, name: str) -> None:
    plan = machine.plan(0, 1, 2)
    answered(machine, plan, ACCEPTED[name])
    for _ in range(3):
        machine.puppet.clock += LATER
        assert ends(machine.resume(plan)) == [Outcome.UNKNOWN] * 3
    assert len(machine.organisation.resets) == 1
    for one in machine.organisation.rows:
        one.update(CLEARED)
    assert machine.resume(plan).is_complete
    assert len(machine.organisation.resets) == 1


BROKEN = {
    "cut": lambda status: with_status(NoAnswerError("cut"), status),
    "Ctrl-C": lambda status: with_status(InterruptedSendError(KeyboardInterrupt()), status),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize(("status", "sent"), [(202, 1), (200, 1), (500, 2), (302, 2)])
def test_answers_without_a_body_count_by_status(machine: Machine, how: str, status: int, sent: int) -> None:
    plan = machine.plan(0, 1, 2)
    answered(machine, plan, BROKEN[how](status))
    assert machine.events(plan)[-1] == evolve(_lost(machine, plan), status=status)
    machine.puppet.clock += LATER
    machine.resume(plan)
    assert len(machine.organisation.resets) == sent


def _lost(machine: Machine, plan: ResetPlan) -> Lost:
    (event,) = [event for event in machine.events(plan) if isinstance(event, Lost)]
    return event


def test_a_request_without_any_answer_is_sent_again_when_nobody_expects_it_any_more(machine: Machine) -> None:
    plan = machine.plan(0, 1, 2)
    machine.lose(plan, arrives=False)
    machine.puppet.clock += SHORT
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN] * 3
    machine.puppet.clock += LATER - SHORT
    assert machine.resume(plan).is_complete
    assert len(machine.organisation.resets) == 2


def test_a_cached_answer_is_one_that_was_accepted(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.calls = evolve(CALLS, is_fresh=True)
    answered(machine, plan, answer({"usersUpdated": 1}, headers={"age": "60"}))
    machine.calls = CALLS
    machine.puppet.clock += LATER
    machine.resume(plan)
    assert _lost(machine, plan).status == 200


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"users'
        raise httpx.ReadError("gone")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"users'
        raise httpx.ReadError("gone")


@pytest.mark.parametrize("status", [200, 202, 502])
def test_both_clients_note_the_status_of_a_broken_answer(ask: Asker, status: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    organisation = Organisation([row(0), row(1)], reference=False)
    plan, others = just_planned(organisation), over_the_wire(organisation)
    ground = ProofScope.of(plan.origin, ResetFormat(), server_side=False)
    proof = proof_of(ground, other_courses=("d",), completions_stayed=True)
    save_proof(StateDirectory.open(tmp_path), proof)

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=Cut()) if request.url.path == RESET else others(request)

    def use(client: Any) -> Any:
        return client.resets.apply(plan, confirm=plan.phrase, reason="renewal")

    with pytest.raises(OutcomeUnknownError):
        ask(handle, use, state_dir=tmp_path)
    (lost,) = [one for one in read_journal(tmp_path / "plans" / plan.digest) if isinstance(one, Lost)]
    assert lost.status == status


def test_a_new_plan_is_the_persons_decision(machine: Machine) -> None:
    plan = machine.plan(0, 1)
    answered(machine, plan, ACCEPTED["202, empty"])
    machine.puppet.clock += LATER
    with pytest.raises(OverlappingPlanError, match="Resume that plan first"):
        machine.apply(_again(machine))
    machine.resume(plan)
    assert len(machine.organisation.resets) == 0, "planning has cleared the list"
    assert machine.apply(_again(machine)).is_complete
    assert len(machine.organisation.resets) == 1


def _again(machine: Machine) -> ResetPlan:
    now = START + timedelta(seconds=machine.puppet.clock)
    return evolve(machine.plan(0, 1), read_at=now, expires_at=now + timedelta(days=1))


# --- a slow queue -----------------------------------------------------------------------------------------------------


def test_r05_a_slow_queue_behind_a_late_feed_resets_nobody_twice(tmp_path: Path) -> None:
    machine = new_machine(tmp_path, 16, reference=False)
    plan = machine.plan(*range(16))
    answered(machine, plan, ACCEPTED["202, empty"])
    sent = machine.puppet.clock

    def show(request: Request) -> None:
        seen = machine.puppet.clock - LAG.total_seconds()
        for number, one in enumerate(machine.organisation.rows):
            if seen >= sent + 90 * (number + 1):
                one.update(CLEARED)

    machine.organisation.before = show
    machine.puppet.clock = sent + SHORT + 1
    early = machine.resume(plan)
    assert 0 < early.counts[Outcome.RESET] < 16
    assert early.counts[Outcome.UNKNOWN] == 16 - early.counts[Outcome.RESET]
    machine.puppet.clock += 1800
    assert machine.resume(plan).is_complete
    assert len(machine.organisation.resets) == 1


# --- journals of before -----------------------------------------------------------------------------------------------


def _without_status(event: Event) -> Event:
    if isinstance(event, Lost):
        return evolve(event, status=None)
    return evolve(event, processing_seconds=None) if isinstance(event, Opened | Resumed) else event


def _without_cause(event: Event) -> Event:
    event = _without_status(event)
    return evolve(event, cause=None) if isinstance(event, Lost) else event


@pytest.mark.parametrize("change", [_without_status, _without_cause])
@pytest.mark.parametrize("name", ["200 as HTML", "201 and too few", "299, cut"])
def test_older_unreadable_is_accepted(machine: Machine, name: str, change: Callable[[Event], Event]) -> None:
    plan = machine.plan(0, 1, 2)
    answered(machine, plan, ACCEPTED[name])
    machine.rewrite(plan, map(change, machine.events(plan)))
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN] * 3
    assert len(machine.organisation.resets) == 1


def test_people_whom_an_older_version_would_have_sent_again_are_not(machine: Machine) -> None:
    """It was accepted without a count, and then read back as not applied, which meant: to be sent again."""
    plan = machine.plan(0, 1, 2)
    machine.lose(plan, arrives=False)
    late = START + timedelta(seconds=machine.puppet.clock + SHORT + 60)
    read = ReadBack(late, 0, {user_id(number): "not applied" for number in range(3)})
    taken = Answered(START, 0, None, "r-1")
    older = [taken if isinstance(event, Lost) else _without_status(event) for event in machine.events(plan)]
    machine.rewrite(plan, [*older, read])
    folder = machine.state / "plans" / plan.digest
    found = read_unfinished(StateDirectory.open(machine.state), folder, late)
    assert found is not None
    assert (found.unknown, found.left) == (3, 0)
    machine.puppet.clock += A_WEEK / 14
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN] * 3
    assert len(machine.organisation.resets) == 1
    for one in machine.organisation.rows:
        one.update(CLEARED)
    assert machine.resume(plan).is_complete


def test_people_whom_an_older_version_has_sent_again_are_not_sent_a_third_time(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.puppet.clock += LATER
    machine.organisation.on_reset = lambda _: answer({}, 500)
    with pytest.raises(OutcomeUnknownError):
        machine.resume(plan)
    machine.organisation.on_reset = None
    taken = Answered(START, 0, None, "r-1")
    first = _lost_events(machine, plan)[0]
    machine.rewrite(plan, [taken if event == first else event for event in machine.events(plan)])
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    assert len(machine.organisation.resets) == 2


def _lost_events(machine: Machine, plan: ResetPlan) -> list[Event]:
    return [event for event in machine.events(plan) if isinstance(event, Lost)]


def test_an_older_journal_takes_the_default_time(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.rewrite(plan, map(_without_status, machine.events(plan)))
    machine.puppet.clock += SHORT
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    machine.puppet.clock += PROCESSING_TIME.total_seconds()
    assert machine.resume(plan).is_complete


# --- how long it is waited for what was not accepted ------------------------------------------------------------------

LONG = Safeguards(processing_time=timedelta(hours=6))


def test_the_time_of_the_beginning_holds_for_a_client_with_a_shorter_one(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=False, safeguards=LONG)
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    machine.puppet.clock += 5 * 3600
    assert machine.resume(plan).is_complete


def test_a_longer_time_of_the_client_that_resumes_holds_from_then_on(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.puppet.clock += LATER
    assert ends(machine.resume(plan, safeguards=LONG)) == [Outcome.UNKNOWN]
    assert replay(machine.events(plan)).processing_seconds == 6 * 3600
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    assert len(machine.organisation.resets) == 1


@pytest.mark.parametrize("by", ["journal", "client"])
def test_another_plan_waits_as_long(machine: Machine, by: str) -> None:
    first, other = ({"safeguards": LONG}, {}) if by == "journal" else ({}, {"safeguards": LONG})
    assert machine.apply(machine.plan(0, 1), **first).is_complete
    machine.organisation.rows = [row(0), row(1)]
    machine.puppet.clock += LATER
    with pytest.raises(OverlappingPlanError, match="may show older data until 2026-03-01 16:1"):
        machine.apply(_again(machine), **other)
    machine.puppet.clock += 5 * 3600
    assert machine.apply(_again(machine), **other).is_complete


def test_it_is_never_shorter_than_what_the_proof_has_seen(machine: Machine) -> None:
    plan = machine.plan(0)
    machine.lose(plan, arrives=False)
    machine.puppet.clock += LATER
    machine.find_proof = partial(proof_of, seen_after_seconds=7200.0)
    assert ends(machine.resume(plan)) == [Outcome.UNKNOWN]
    machine.puppet.clock += 3600
    assert machine.resume(plan).is_complete


@pytest.mark.parametrize("time", [timedelta(0), timedelta(seconds=-1), timedelta(days=400), 3600])
def test_a_time_that_cannot_be_meant_is_refused(time: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="processing_time must be a timedelta"):
        Safeguards(processing_time=time)


def test_a_proof_of_before_is_read_without_the_time(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    state = StateDirectory.open(tmp_path)
    origin = planned(Organisation([row(0)], reference=False)).origin
    ground = ProofScope.of(origin, ResetFormat(), server_side=False)
    proof = proof_of(ground, seen_after_seconds=90.0)
    save_proof(state, proof)
    (path,) = (tmp_path / "proofs").glob("*.json")
    document = json.loads(path.read_text())
    assert document.pop("seen_after_seconds") == 90.0
    path.write_text(json.dumps(document))
    assert find_proof(state, ground) == evolve(proof, seen_after_seconds=None)
    assert proof.seen_after == timedelta(seconds=90)


@pytest.mark.parametrize("by", ["safeguards", "proof", "journal"])
def test_verify_waits_for_what_the_service_may_still_work_on(by: str, tmp_path: Path) -> None:
    """By the client's own time, by what the proof has seen, or by the time the plan was applied with."""
    tmp_path.chmod(0o700)
    organisation = Organisation([row(0)], reference=False)
    plan, six = just_planned(organisation), timedelta(hours=6)
    report = ResetReport(
        plan, "u", (UserOutcome(*plan.targets[0].key, Outcome.RESET),), (), plan.read_at, plan.read_at
    )
    seconds = six.total_seconds()
    if by == "proof":
        ground = ProofScope.of(plan.origin, ResetFormat(), server_side=False)
        proof = Proof(ground, START, "u", "c", "one", (), counted=True, seen_after_seconds=seconds)
        save_proof(StateDirectory.open(tmp_path), proof)
    if by == "journal":
        opened = Opened(
            plan.read_at, "n", "u", plan.origin.organisation_id, plan.origin.base_url, False, None, "why", None,
            server_side=False, tolerance=0, chunk_size=1000, sdk_version="1", processing_seconds=seconds,
        )  # fmt: skip
        with Journal.open(StateDirectory.open(tmp_path).plan_folder(plan.digest)) as journal:
            journal.note(opened)
    guards = Safeguards(processing_time=six if by == "safeguards" else timedelta(minutes=1))
    waits: list[timedelta] = []

    class Found(VerificationRun):
        def run(self) -> Any:
            waits.append(self.wait)
            return super().run()

    with mock.patch.object(verifying, "VerificationRun", Found):
        http = httpx.Client(transport=httpx.MockTransport(over_the_wire(organisation)))
        client = TrainingClient(TOKEN, http_client=http, state_dir=tmp_path, safeguards=guards, **SETTINGS)
        client.resets.wait_until_verified(report, deadline=timedelta(0))
    assert waits == [timedelta(hours=8, minutes=15)]
