"""Plans whose journal is missing, shortened or damaged: what the audit log knows of them, and whom that protects."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from training_sdk._core.model import Key
from training_sdk.errors import RecordsDamagedError, TrainingError
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.planned import Origin
from training_sdk.plans.wording import short_digest
from training_sdk.records import plan_copy
from training_sdk.records.audit import (
    BEGUN,
    CLOSED,
    ENDED,
    KEPT,
    RESUMED,
    STOPPED,
    AuditLog,
    contradicts,
    counted,
)
from training_sdk.records.events import Event
from training_sdk.records.in_flight import PROCESSING_TIME, waiting_time
from training_sdk.records.journal import FILE, read_chain
from training_sdk.records.journal_state import Standing, fold
from training_sdk.records.state import StateDirectory, is_digest

LONGEST_SILENCE = timedelta(hours=4)
"""While a plan goes on the log hears of it whenever evidence is renewed: by default before it is as old as this."""
ENDS = (ENDED, STOPPED, CLOSED)
Entries = Sequence[Mapping[str, Any]]


@frozen
class LostPlan:
    """A plan of which only the audit log, and perhaps its copy, can be trusted."""

    digest: str
    what: str
    """What is wrong with its journal."""
    entries: Entries
    """Its lines in the audit log, oldest first."""
    targets: frozenset[Key] | None
    """Whom it would reset, by its copy; None where that is gone too."""
    processing_time: timedelta = PROCESSING_TIME
    """For how long the service may work on what it has accepted: the log does not keep it."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"#{short_digest(self.digest)}"

    @property
    def damage(self) -> str:
        """What is wrong, and what to do."""
        return (
            f"the journal of plan {self.name} {self.what}, so nobody can say what became of it. Bring back a copy of "
            f"plans/{self.digest}"
        )

    @property
    def is_reference(self) -> bool:
        """Whether it was begun on the reference server, which shows a reset at once."""
        begun = [entry for entry in self.entries if entry["event"] == BEGUN]
        return bool(begun) and all(entry.get("reference_server") is True for entry in begun)

    @property
    def last_at(self) -> datetime:
        """When the log last heard of it, but for being closed by hand."""
        times = (datetime.fromisoformat(entry["at"]) for entry in self.entries if entry["event"] != CLOSED)
        return max(times, default=_NEVER)

    @property
    def settled_at(self) -> datetime:
        """From when on the service shows what it did; while it is open, as far as the log can tell."""
        if self.is_reference or self.last_at == _NEVER:
            return self.last_at
        return (
            self.last_at
            + waiting_time(self.processing_time)
            + (LONGEST_SILENCE if self.is_open else timedelta(0))
        )

    @property
    def is_open(self) -> bool:
        """Whether it may have reset people, or may yet do so, and the log does not name them."""
        steps = [entry for entry in self.entries if entry["event"] in (BEGUN, RESUMED, *ENDS)]
        if not steps:
            return True
        last = steps[-1]
        if last["event"] in ENDS:
            return last["event"] != CLOSED and bool(counted(last, Standing.UNKNOWN))
        return any(entry["event"] == KEPT for entry in self.entries)  # nothing is sent before that

    @property
    def may_have_reset(self) -> bool:
        """Whether it has reset somebody, or its end is open."""
        return self.is_open or any(counted(entry, Standing.RESET) for entry in self.entries)

    def among(self, people: Collection[Key]) -> list[Key]:
        """Whom of these people it may hold: the targets of its copy, else everyone in its courses."""
        if self.targets is not None:
            return [key for key in people if key in self.targets]
        courses = {course_id for entry in self.entries for course_id in entry.get("courses", ())}
        return [key for key in people if not courses or key[0] in courses]


_NEVER = datetime.min.replace(tzinfo=UTC)


def lost_plans(
    state: StateDirectory,
    digest: str,
    here: Origin,
    now: datetime | None = None,
    processing_time: timedelta = PROCESSING_TIME,
) -> Iterator[LostPlan]:
    """Every other plan that was begun there and whose journal cannot be used.

    With ``now``, journals of plans that have ended by the log, and whose effect the service shows, are not read.

    Raises RecordsDamagedError for a damaged journal of which neither the log nor a copy of the plan knows anything,
    and for a damaged log.
    """
    by_plan = entries_by_plan(state)  # before the journals, which are written first
    with_journal = {folder.name for folder in state.plan_folders if (folder / FILE).is_file()}
    for other in sorted((by_plan.keys() | with_journal) - {digest}):
        entries = by_plan.get(other, ())
        by_log = LostPlan(other, "is not read", entries, None, max(processing_time, PROCESSING_TIME))
        if now is not None and not by_log.is_open and now >= by_log.settled_at:
            continue
        found = lost_plan(state, other, entries)
        if found is not None and _is_of(found, state.path / "plans" / other, here):
            yield evolve(found, processing_time=by_log.processing_time)


def entries_by_plan(state: StateDirectory) -> Mapping[str, Entries]:
    """The lines of the audit log about each plan, oldest first. Raises RecordsDamagedError if the log is damaged."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in AuditLog(state.audit).entries():
        if is_digest(entry.get("plan_digest")):
            found.setdefault(str(entry["plan_digest"]), []).append(entry)
    return found


def refuse_lost(state: StateDirectory, beginning: str) -> None:
    """Raise RecordsDamagedError if a plan whose digest begins so has begun by the log, and has no usable journal."""
    for digest, entries in entries_by_plan(state).items():
        lost = lost_plan(state, digest, entries) if digest.startswith(beginning) else None
        if lost is not None:
            raise RecordsDamagedError(lost.damage)


def lost_plan(state: StateDirectory, digest: str, entries: Entries) -> LostPlan | None:
    """The plan, if its journal contradicts these lines of the log or cannot be read; None if it can be used.

    An outline that is not the one that the log quotes names nobody: everyone in the courses of the plan is protected.
    """
    lost = _lost_plan(state, digest, entries)
    if lost is None or not _has_other_outline(state.path / "plans" / digest, entries):
        return lost
    return evolve(lost, targets=None)


def _lost_plan(state: StateDirectory, digest: str, entries: Entries) -> LostPlan | None:
    folder = state.path / "plans" / digest
    is_begun = any(entry["event"] in (BEGUN, RESUMED) for entry in entries)
    events: tuple[Event, ...] = ()
    try:
        events, heads = read_chain(folder)
    except RecordsDamagedError as error:
        targets = _targets(folder)
        if not is_begun and targets is None:
            raise
        return LostPlan(digest, f"is damaged ({error.message})", entries, targets)
    if is_begun and not events:
        return LostPlan(digest, "is missing", entries, _targets(folder))
    if contradicts(entries, fold(events), heads):
        return LostPlan(digest, "was changed or shortened", entries, _targets(folder))
    return None


def _is_of(lost: LostPlan, folder: Path, here: Origin) -> bool:
    """Whether a plan is of this organisation on this server, as far as anything says so."""
    begun = [entry for entry in lost.entries if entry["event"] in (BEGUN, RESUMED)]
    if begun:
        return any(
            here.is_same_organisation(entry.get("base_url"), (entry.get("who") or {}).get("organisation_id"))
            for entry in begun
        )
    origin = read_plan_copy(folder).origin
    return here.is_same_organisation(origin.base_url, origin.organisation_id)


def _targets(folder: Path) -> frozenset[Key] | None:
    try:
        plan = read_plan_copy(folder)
    except TrainingError:
        return None
    return frozenset(user.key for user in plan.targets) if plan.digest == folder.name else None


def _has_other_outline(folder: Path, entries: Entries) -> bool:
    """Whether only an outline is left of the copy, and not the one of the log; older lines quote none."""
    quoted = {entry.get(plan_copy.OUTLINE_SHA256) for entry in entries} - {None}
    outline = folder / plan_copy.OUTLINE
    if not quoted or (folder / plan_copy.PLAN).exists() or not outline.is_file():
        return False
    return hashlib.sha256(outline.read_bytes()).hexdigest() not in quoted
