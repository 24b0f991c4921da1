"""A started proof on disk: continuing it waits for the result, and sends nothing again."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from attrs import evolve, frozen

from training_sdk.errors import RecordsDamagedError
from training_sdk.format_proof.proofs import ProofPlan, ProofScope, Way
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.planned import PlannedReset
from training_sdk.records import storage
from training_sdk.records.events import Event, Sent
from training_sdk.records.journal import read_journal
from training_sdk.records.journal_state import JournalState, RecordedRequest, RequestState, replay
from training_sdk.records.state import StateDirectory
from training_sdk.safeguards import ResetFormat

OPEN = (RequestState.SENT, RequestState.ANSWERED, RequestState.LOST, RequestState.READ_BACK)
"""The states of a proof's request whose effect is still to be observed."""


@frozen
class _Saved:
    digest: str
    plan_digest: str
    witnesses: tuple[PlannedReset, ...]
    format: ResetFormat
    way: Way
    refused_with: str | None = None


@frozen
class StartedProof:
    """The progress of the one request of a proof."""

    recorded: RecordedRequest
    sent_at: datetime
    is_closed: bool


def put(state: StateDirectory, plan: ProofPlan, *, names: bool = True) -> None:
    """Store a proof that is about to start, in place of one that has ended.

    Without ``names``, where the copies of plans are sealed, it has another digest and phrase when it is found again.
    """
    plan = plan if names else without_names(plan)
    saved = _Saved(plan.digest, plan.reset.digest, plan.witnesses, plan.format, plan.way, plan.refused_with)
    storage.write_document(_path(state, plan.ground), saved)


def sending(state: StateDirectory, ground: ProofScope) -> AbstractContextManager[None]:
    """Be the only process that sends a proof for this ground. Raises RecordsLockedError while another one does."""
    return storage.locked(storage.make_folder(state.path / "origins") / _name(ground))


def without_names(plan: ProofPlan) -> ProofPlan:
    """The same proof, its witnesses without names, e-mails, external ids and scores."""
    witnesses = (evolve(one, name="", email=None, external_id=None, score=None) for one in plan.witnesses)
    return evolve(plan, witnesses=tuple(witnesses))


def drop(state: StateDirectory, ground: ProofScope) -> None:
    """Remove it: the proof has ended."""
    path = _path(state, ground)
    with storage.writing(path):
        path.unlink(missing_ok=True)
        storage.sync_folder(path.parent)


def find(state: StateDirectory, ground: ProofScope) -> ProofPlan | None:
    """The proof for this ground whose request was sent, and whose end is open. Raises RecordsDamagedError."""
    path = state.path / "proofs" / _name(ground)
    saved = storage.read_document(path, _Saved)
    if saved is None:
        return None
    if begun(state, saved.plan_digest) is None:
        return None
    reset = read_plan_copy(state.plan_folder(saved.plan_digest))
    plan = ProofPlan(reset, saved.witnesses, saved.format, saved.way, saved.refused_with)
    if plan.digest != saved.digest or plan.ground != ground:
        raise RecordsDamagedError(f"{path} was changed since it was written. Nothing was sent.")
    return plan


def is_pending(state: StateDirectory, plan_digest: str) -> bool:
    """Return whether a plan belongs to a pending proof. Raises RecordsDamagedError."""
    return plan_digest in plans(state)


def plans(state: StateDirectory) -> frozenset[str]:
    """The digests of the plans of proofs whose end is open. Raises RecordsDamagedError."""
    paths = (state.path / "proofs").glob("*.pending.json")
    return frozenset(saved.plan_digest for path in paths if (saved := storage.read_document(path, _Saved)))


def refused_with(state: StateDirectory, plan_digest: str) -> str | None:
    """Return the user id to be refused in a pending proof with this plan. Raises RecordsDamagedError."""
    paths = (state.path / "proofs").glob("*.pending.json")
    found = (storage.read_document(path, _Saved) for path in paths)
    return next((one.refused_with for one in found if one and one.plan_digest == plan_digest), None)


def begun(state: StateDirectory, plan_digest: str) -> StartedProof | None:
    """Return the progress of a proof's request; None if it was not sent, or is known to have had no effect."""
    folder = state.path / "plans" / plan_digest
    events = read_journal(folder) if folder.is_dir() else ()
    found = replay(events)
    unresolved = [recorded for recorded in found.requests.values() if recorded.state in OPEN]
    if not unresolved:
        return None
    recorded = unresolved[-1]
    return StartedProof(recorded, _sent_at(events, recorded.number), _is_closed(found))


def _is_closed(state: JournalState) -> bool:
    return state.closed is not None


def _sent_at(events: tuple[Event, ...], number: int) -> datetime:
    return max(event.at for event in events if isinstance(event, Sent) and event.chunk == number)


def _path(state: StateDirectory, ground: ProofScope) -> Path:
    return state.proofs / _name(ground)


def _name(ground: ProofScope) -> str:
    return f"{ground.name}.pending.json"
