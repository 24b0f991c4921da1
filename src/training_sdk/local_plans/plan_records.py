"""The records of the plans of this machine: audit log and journals, read once and compared.

A plan whose journal cannot be used (missing, shortened, damaged) is *lost*: only the audit log, and perhaps the copy of
the plan, says whom it may have reset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from training_sdk._core.model import Key
from training_sdk.errors import RecordsDamagedError, TrainingError
from training_sdk.format_proof import pending
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.planned import LastResets, Origin
from training_sdk.plans.wording import short_digest
from training_sdk.records import plan_copy, storage
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
    unseen_in_proof,
)
from training_sdk.records.journal import FILE, PROCESSING_TIME, JournalCopy, RequestsInFlight, waiting_time
from training_sdk.records.journal_state import JournalState, PersonState
from training_sdk.records.state import StateDirectory, is_digest
from training_sdk.reports.report_file import last_resets

Entries = Sequence[Mapping[str, Any]]
"""Entries of the audit log, oldest first."""
LONGEST_SILENCE = timedelta(hours=4)
"""While a plan is applied, the log gets an entry at least this often: whenever evidence is renewed."""
ENDS = (ENDED, STOPPED, CLOSED)
_NEVER = datetime.min.replace(tzinfo=UTC)


def entries_by_plan(state: StateDirectory) -> Mapping[str, Entries]:
    """Return the entries of the audit log about each plan. Raises RecordsDamagedError if the log is damaged."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in AuditLog(state.audit).entries():
        if is_digest(entry.get("plan_digest")):
            found.setdefault(str(entry["plan_digest"]), []).append(entry)
    return found


def read_records(state: StateDirectory, but: str = "") -> Iterator[PlanRecords]:
    """Read the records of every plan of this machine, except the one with the digest ``but``, by digest.

    Raises RecordsDamagedError if the audit log is damaged. A damaged journal is in ``PlanRecords.damage``.
    """
    by_plan = entries_by_plan(state)  # before the journals, which are written first
    for digest in sorted((by_plan.keys() | {folder.name for folder in state.plan_folders}) - {but}):
        yield PlanRecords.read(state, digest, by_plan.get(digest, ()))


@frozen
class PlanRecords:
    """The records of one plan: its entries in the audit log, and its journal."""

    folder: Path
    entries: Entries
    journal: JournalCopy
    damage: RecordsDamagedError | None = None
    """The reason why the journal cannot be read."""

    @classmethod
    def read(cls, state: StateDirectory, digest: str, entries: Entries | None = None) -> PlanRecords:
        """Read the journal; the entries must have been read before it, and are read now if they are not given.

        Raises RecordsDamagedError if the audit log is damaged.
        """
        if entries is None:
            entries = AuditLog(state.audit).entries(plan_digest=digest)
        folder = state.path / "plans" / digest
        try:
            return cls(folder, entries, JournalCopy.read(folder))
        except RecordsDamagedError as error:
            return cls(folder, entries, JournalCopy(), error)

    @property
    def digest(self) -> str:
        """The plan's digest."""
        return self.folder.name

    def effects(self, processing_time: timedelta | None = None) -> PlanEffects:
        """Return whom the plan reset by its journal. A ``processing_time`` longer than the journal's counts."""
        state = self.journal.state()
        return PlanEffects(
            self.folder, state, RequestsInFlight.of(self.journal.events, state, processing_time)
        )

    def lost(self) -> LostPlan | None:
        """Return the plan as a lost one if its journal contradicts the log or cannot be read, else None.

        An outline that is not the one that the log quotes is not used: everyone in the courses of the plan is
        protected.

        Raises RecordsDamagedError for a damaged journal of a plan that neither the log nor a copy knows.
        """
        is_begun = any(entry["event"] in (BEGUN, RESUMED) for entry in self.entries)
        if self.damage is not None:
            what = f"is damaged ({self.damage.message.removesuffix('.')})"
        elif is_begun and not self.journal.events:
            what = "is missing"
        elif contradicts(self.entries, self.journal.state(), self.journal.heads):
            what = "was changed or shortened"
        else:
            return None
        targets = _targets(self.folder)
        if self.damage is not None and not is_begun and targets is None:
            raise self.damage
        if _has_other_outline(self.folder, self.entries):
            targets = None
        return LostPlan(self.digest, what, self.entries, targets)


@frozen
class LostPlan:
    """A plan of which only the audit log, and perhaps its copy, can be trusted."""

    digest: str
    what: str
    """The fault of its journal."""
    entries: Entries
    targets: frozenset[Key] | None
    """The people whom the plan would reset, by its copy; None if the copy is lost too."""
    processing_time: timedelta = PROCESSING_TIME
    """The longest time that the service may need for an accepted request; the log does not store it."""

    @property
    def name(self) -> str:
        """The plan's name in messages."""
        return f"#{short_digest(self.digest)}"

    @property
    def damage(self) -> str:
        """A message that names the fault of the journal and the remedy."""
        return (
            f"The journal of plan {self.name} {self.what}, so its result is not known. Restore a copy of "
            f"plans/{self.digest}."
        )

    @property
    def is_reference(self) -> bool:
        """True if the plan was started on the reference server, which shows a reset at once."""
        begun = [entry for entry in self.entries if entry["event"] == BEGUN]
        return bool(begun) and all(entry.get("reference_server") is True for entry in begun)

    @property
    def last_at(self) -> datetime:
        """The time of the last log entry about the plan, except for closing by hand."""
        times = (datetime.fromisoformat(entry["at"]) for entry in self.entries if entry["event"] != CLOSED)
        return max(times, default=_NEVER)

    @property
    def settled_at(self) -> datetime:
        """The time from which the service shows every effect of the plan; while it is open, an estimate by the log."""
        if self.is_reference or self.last_at == _NEVER:
            return self.last_at
        silence = LONGEST_SILENCE if self.is_open else timedelta(0)
        return self.last_at + waiting_time(self.processing_time) + silence

    @property
    def is_open(self) -> bool:
        """True if the plan may have reset people, or may still do so, whom the log does not name."""
        steps = [entry for entry in self.entries if entry["event"] in (BEGUN, RESUMED, *ENDS)]
        if not steps:
            return True
        last = steps[-1]
        if last["event"] in ENDS:
            return last["event"] != CLOSED and bool(counted(last, PersonState.UNKNOWN))
        return any(entry["event"] == KEPT for entry in self.entries)  # nothing is sent before that

    @property
    def may_have_reset(self) -> bool:
        """True if the plan has reset a person, or is open."""
        return self.is_open or any(counted(entry, PersonState.RESET) for entry in self.entries)

    def among(self, people: Collection[Key]) -> list[Key]:
        """Return the given people whom the plan may reset: targets of its copy; without a copy, all in its courses."""
        if self.targets is not None:
            return [key for key in people if key in self.targets]
        courses = {course_id for entry in self.entries for course_id in entry.get("courses", ())}
        return [key for key in people if not courses or key[0] in courses]


def lost_there(
    records: PlanRecords, here: Origin, now: datetime | None = None, processing_time: timedelta | None = None
) -> LostPlan | None:
    """Return the plan if it is lost and was begun in this organisation, else None.

    With ``now``, a plan that has ended by the log, and whose effect the service shows, is not looked at.

    Raises RecordsDamagedError for a damaged journal of a plan that neither the log nor a copy knows.
    """
    wait = max(processing_time or PROCESSING_TIME, PROCESSING_TIME)
    by_log = LostPlan(records.digest, "is not read", records.entries, None, wait)
    if now is not None and not by_log.is_open and now >= by_log.settled_at:
        return None
    lost = records.lost()
    if lost is None or not _is_of(lost, records.folder, here):
        return None
    return evolve(lost, processing_time=wait)


def refuse_lost(state: StateDirectory, beginning: str) -> None:
    """Raise RecordsDamagedError if a plan whose digest begins so was begun by the log, and is lost."""
    for digest, entries in entries_by_plan(state).items():
        if digest.startswith(beginning) and (lost := PlanRecords.read(state, digest, entries).lost()):
            raise RecordsDamagedError(lost.damage)


def _is_of(lost: LostPlan, folder: Path, here: Origin) -> bool:
    """Return whether a plan is of this organisation on this server, as far as its records show."""
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
    """Return whether only an outline is left of the copy, and not the one of the log; older entries quote none."""
    quoted = {entry.get(plan_copy.OUTLINE_SHA256) for entry in entries} - {None}
    outline = folder / plan_copy.OUTLINE
    if not quoted or (folder / plan_copy.PLAN).exists() or not outline.is_file():
        return False
    return hashlib.sha256(outline.read_bytes()).hexdigest() not in quoted


@frozen
class PlanEffects:
    """The people whom a plan has reset, may have reset or is about to reset, by its journal."""

    folder: Path
    state: JournalState
    in_flight: RequestsInFlight

    @property
    def name(self) -> str:
        """The plan's name in messages."""
        return f"#{short_digest(self.folder.name)}"

    def is_of(self, here: Origin) -> bool:
        """Return whether the plan was begun in this organisation on this server."""
        opened = self.state.opened
        return opened is not None and here.is_same_organisation(opened.base_url, opened.organisation_id)

    def may_have_reset_at(self, person: Key) -> datetime | None:
        """Return the time of the last request for a person whom the plan reset, may have reset or may still reset."""
        latest = self.in_flight.latest(person)
        person_state = self.state.person_state(*person)
        counts = person_state in (PersonState.RESET, PersonState.UNKNOWN) or self.in_flight.open(person, None)
        return latest.sent_at if latest and counts else None

    def in_doubt(self, people: Collection[Key], now: datetime) -> list[Key]:
        """Return the people whom the plan may have reset, or may still reset; ``resume`` can resolve them.

        A person whose result stays unknown after a late enough reading is not included. The user of the SDK has to
        decide about this person, and a new plan is such a decision.
        """
        return [
            key
            for key in people
            if (self.state.person_state(*key) is PersonState.UNKNOWN and self.in_flight.open(key, None))
            or (self.state.person_state(*key) is not PersonState.RESET and self.in_flight.open(key, now))
        ]

    def just_reset(self, people: Collection[Key], now: datetime) -> dict[Key, datetime]:
        """Return the people whose reset a live service may not show yet, and the time from which it shows the reset."""
        if self.state.opened is None or self.state.opened.reference_server:
            return {}
        found: dict[Key, datetime] = {}
        for key in people:
            settled_at = self.in_flight.settled_at(key)
            if (
                self.state.person_state(*key) is PersonState.RESET
                and settled_at is not None
                and now < settled_at
            ):
                found[key] = settled_at
        return found

    def about_to_send(self, people: Collection[Key]) -> list[Key]:
        """Return the people for whom another process, which is applying the plan now, still has to send requests."""
        if self.state.closed is not None or storage.holder_of(self.folder / FILE) is None:
            return []
        targets = {user.key for user in read_plan_copy(self.folder).targets}
        ended = (PersonState.RESET, PersonState.SKIPPED)
        return [key for key in people if key in targets and self.state.person_state(*key) not in ended]


def effects_there(
    state: StateDirectory, here: Origin, unreadable: list[str] | None = None
) -> Iterator[PlanEffects]:
    """Return the effects of every plan begun in this organisation, by the journals alone.

    A damaged journal is skipped; its error message is added to ``unreadable``.
    """
    for folder in state.plan_folders:
        try:
            journal = JournalCopy.read(folder)
        except RecordsDamagedError as error:
            if unreadable is not None:
                unreadable.append(error.message)
            continue
        found = PlanRecords(folder, (), journal).effects()
        if found.is_of(here):
            yield found


def resets_known(state: StateDirectory, here: Origin) -> LastResets:
    """Return when this machine last reset each person there, by the reports and journals that can be read.

    A report shows the state of the last orderly end. Later resets by a killed process are in the journal only.
    """
    by_reports, by_journals, _ = _resets(state, here)
    by_reports.add(by_journals)
    return by_reports


def resets_begun(state: StateDirectory, here: Origin) -> tuple[LastResets, dict[Key, datetime]]:
    """Return when this machine last reset each person there; apart, when it may have reset each other person.

    The journal has the time of the request for each person; a report has only the time of its end.
    """
    by_reports, by_journals, in_doubt = _resets(state, here)
    for key in by_journals:
        by_reports.pop(key, None)
    by_reports.add(by_journals)
    return by_reports, in_doubt


def _resets(state: StateDirectory, here: Origin) -> tuple[LastResets, LastResets, dict[Key, datetime]]:
    """Return the last resets by the reports, those by the journals, and the people whose last reset is unknown.

    A person counted by a service whose proof is pending or failed, and who was not seen at 0 %, is in doubt. Damaged
    records of proofs, or a damaged log, name no such person, and are reported as unreadable.
    """
    by_journals, in_doubt = LastResets("A journal"), dict[Key, datetime]()
    failed: dict[str, frozenset[Key]] = {}
    open_proofs: frozenset[str] = frozenset()
    try:
        open_proofs = pending.plans(state)
        failed = {digest: unseen_in_proof(entries) for digest, entries in entries_by_plan(state).items()}
    except RecordsDamagedError as error:
        by_journals.unreadable.append(error.message)

    def is_unseen(digest: str, person: Key) -> bool:
        return digest in open_proofs or person in failed.get(digest, ())

    for effects in effects_there(state, here, by_journals.unreadable):
        for key, person_state in effects.state.users.items():
            latest = effects.in_flight.latest(key)
            if person_state in (PersonState.RESET, PersonState.UNKNOWN) and latest is not None:
                is_reset = person_state is PersonState.RESET and not is_unseen(effects.folder.name, key)
                into = by_journals if is_reset else in_doubt
                into[key] = max(latest.sent_at, into.get(key, latest.sent_at))
    return last_resets(state, here, pass_over=True, is_unseen=is_unseen), by_journals, in_doubt
