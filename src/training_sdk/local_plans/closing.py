"""Closing a plan by hand: its reset never happened or cannot be resumed, or its evidence pack is unfinished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from training_sdk._core import argument_checks
from training_sdk.errors import AlreadyAppliedError, InvalidArgumentError, Remedy
from training_sdk.evidence.purging import PURGING, plan_of_pack
from training_sdk.format_proof import pending
from training_sdk.local_plans.admission import quote_journal
from training_sdk.local_plans.plan_records import LostPlan, PlanEffects, PlanRecords, entries_by_plan
from training_sdk.plans.wording import number, short_digest
from training_sdk.records import storage
from training_sdk.records.audit import CLOSED, AuditLog
from training_sdk.records.events import Closed
from training_sdk.records.journal import (
    FILE,
    PROCESSING_TIME,
    Journal,
    RequestsInFlight,
    is_closed,
    minute_text,
)
from training_sdk.records.journal_state import JournalState
from training_sdk.records.state import StateDirectory, is_digest
from training_sdk.records.tokens import refuse_typed
from training_sdk.reports import report_file

_RESUME = Remedy(
    "resume", "Continue with client.resets.resume(plan, confirm=…), which reads their progress back."
)
_PROVE = Remedy("prove", "Continue the proof with client.resets.prove_format.")


@frozen
class ClosedPlan:
    """A plan that was closed by hand, with the number of people by state in its journal (empty without one)."""

    plan_digest: str
    standings: Mapping[str, int]
    packs: tuple[str, ...]


def close_plan(
    state: StateDirectory,
    digest: str,
    *,
    reason: str,
    ticket: str | None = None,
    now: datetime | None = None,
    processing_time: timedelta = PROCESSING_TIME,
) -> ClosedPlan:
    """Close a plan: it can then no longer be applied or resumed, and its evidence can be purged. Needs no server.

    A plan can be closed if nothing was sent, or if the result is known for everyone who was sent. It can also be
    closed if people stay unknown after they were read back late enough: then closing is the decision of a person.

    Arguments:

    - ``state``: The state directory with the records of the plan.
    - ``digest``: The whole digest of the plan.
    - ``reason``: The reason, recorded in the audit log.
    - ``ticket``: The ticket of the decision, recorded in the audit log.
    - ``now``: The current time; None for this machine's clock.
    - ``processing_time``: The longest time that the service needs for a request it has accepted. A readable journal
      contains this time itself.

    Raises InvalidArgumentError if there is nothing to close or ``resume`` must come first, AlreadyAppliedError if the
    plan has ended, RecordsLockedError while another process applies it.
    """
    refuse_typed(reason=reason, ticket=ticket)
    said = {
        "reason": argument_checks.text(reason, "reason"),
        "ticket": argument_checks.optional_text(ticket, "ticket", longest=200),
    }
    at = datetime.now(UTC) if now is None else argument_checks.moment(now, "now").astimezone(UTC)
    packs = _packs(state, digest)
    records = PlanRecords.read(state, digest)
    if (lost := records.lost()) is not None:
        lost = evolve(lost, processing_time=max(processing_time, PROCESSING_TIME))
        return _close_lost(state, lost, packs, said, at)
    if not records.journal.events:
        _refuse_without_journal(state, digest, packs)
    with Journal.open(state.plan_folder(digest)) as journal:  # so that no other process begins meanwhile
        if journal.events:
            return _close_begun(state, journal, digest, packs, said, at)
        _refuse_without_journal(state, digest, packs)
        _log(state, digest, at, **said, packs=packs)
    return ClosedPlan(digest, {}, packs)


def _close_lost(
    state: StateDirectory, lost: LostPlan, packs: tuple[str, ...], said: Mapping[str, Any], at: datetime
) -> ClosedPlan:
    """Close a plan whose journal cannot be used by a line in the log alone."""
    if lost.entries and lost.entries[-1]["event"] == CLOSED:
        raise AlreadyAppliedError(f"Plan {lost.name} was closed by hand before. There is nothing to close.")
    if not lost.is_open and not packs:
        raise InvalidArgumentError(
            f"By the audit log, plan {lost.name} has ended, and it has no open evidence here. There is nothing to "
            "close."
        )
    if at < lost.settled_at:
        raise InvalidArgumentError(
            f"The journal of plan {lost.name} {lost.what}, and the service may not show yet what the plan did, so it "
            f"was not closed. Check these people after {minute_text(lost.settled_at)}, and close the plan then."
        )
    folder = state.path / "plans" / lost.digest
    with (
        storage.locked(folder / FILE) if folder.is_dir() else nullcontext()
    ):  # meanwhile no process begins the plan again
        _log(state, lost.digest, at, **said, packs=packs)
    return ClosedPlan(lost.digest, {}, packs)


def _refuse_without_journal(state: StateDirectory, digest: str, packs: tuple[str, ...]) -> None:
    if not packs or is_closed(state, digest):
        raise InvalidArgumentError(
            f"Plan #{short_digest(digest)} was never applied on this machine and has no open evidence here. There is "
            "nothing to close."
        )


def _close_begun(
    state: StateDirectory,
    journal: Journal,
    digest: str,
    packs: tuple[str, ...],
    said: Mapping[str, Any],
    at: datetime,
) -> ClosedPlan:
    found = journal.state()
    if found.closed is not None:
        raise AlreadyAppliedError(
            f"Plan #{short_digest(digest)} ended on {found.closed.at:%Y-%m-%d %H:%M} UTC. There is nothing "
            "to close."
        )
    _refuse_open(journal, state.path / "plans" / digest, found, at)
    if found.has_sent and pending.is_pending(state, digest):
        raise InvalidArgumentError(
            "This plan belongs to a format proof that has started, so it was not closed.", remedy=_PROVE
        )
    standings = dict(Counter(standing.value for standing in found.users.values()))
    _log(state, digest, at, **said, packs=packs, outcomes=standings, **quote_journal(journal.heads))
    journal.note(Closed(at, standings, said["reason"]))
    return ClosedPlan(digest, standings, packs)


def _refuse_open(journal: Journal, folder: Path, found: JournalState, at: datetime) -> None:
    """Refuse to close a plan that may have reset people, as long as reading back can show it."""
    effects = PlanEffects(folder, found, RequestsInFlight.of(journal.events, found))
    doubted = effects.in_doubt(found.users, at)
    if not doubted:
        return
    settled_at = effects.in_flight.settled_at(*doubted)
    is_live = found.opened is not None and not found.opened.reference_server
    when = f" A live service shows it from {minute_text(settled_at)} on." if settled_at and is_live else ""
    raise InvalidArgumentError(
        f"It is uncertain whether plan #{short_digest(folder.name)} reset "
        f"{number(len(doubted), 'person', 'people')}, so it was not closed.{when}",
        remedy=_RESUME,
    )


def _log(state: StateDirectory, digest: str, at: datetime, **facts: Any) -> None:
    AuditLog(state.audit).append(CLOSED, at=at, plan_digest=digest, **facts)


def _packs(state: StateDirectory, digest: str) -> tuple[str, ...]:
    """Return the names of a plan's packs, also of unfinished ones; they begin with the digest."""
    return tuple(folder.name for folder in _pack_folders(state) if _begins(folder, f"{digest[:16]}-"))


def _pack_folders(state: StateDirectory) -> tuple[Path, ...]:
    root = state.path / "evidence"
    return tuple(sorted(path for path in root.iterdir() if path.is_dir())) if root.is_dir() else ()


def _begins(folder: Path, text: str) -> bool:
    return folder.name.removeprefix(PURGING).startswith(text)


def find_digest(state: StateDirectory, beginning: str) -> str:
    """Return the whole digest of a plan with records or evidence on this machine, from its beginning.

    Raises InvalidArgumentError if there is none, or more than one.
    """
    folder = report_file.find_folder(state, beginning, FILE)
    if folder is not None:
        return folder.name
    found = {plan_of_pack(one) for one in _pack_folders(state) if _begins(one, beginning[:16])}
    found |= entries_by_plan(state).keys()
    digests = sorted(one for one in found if one.startswith(beginning) and is_digest(one))
    if len(digests) == 1:
        return digests[0]
    what = f"{len(digests)} plans begin with #{beginning}. Write more of the digest."
    if not digests:
        what = f"There are no records and no evidence of plan #{short_digest(beginning)} on this machine."
    raise InvalidArgumentError(what)
