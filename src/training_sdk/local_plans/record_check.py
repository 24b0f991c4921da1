"""Comparison of the records of this machine: audit log, journals, reports, packs and purges.

Records are written in a fixed order: the journal, then the audit log; a report, then its line in the log, then the end
of the journal; a pack, then the journal; a purge in the log, then the deletion. So the records of a killed process can
be distinguished from records that were changed by hand: they are reported as unfinished, which is not a fault.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import zip_longest

from attrs import define, field

from training_sdk.errors import TrainingError
from training_sdk.evidence.files import Unseal
from training_sdk.evidence.pack import MANIFEST
from training_sdk.local_plans.record_comparison import (
    approvals_quoted,
    how_it_ended,
    journal_alike,
    journal_planned,
    journal_quoted,
)
from training_sdk.local_plans.record_reading import (
    Entry,
    PackFolder,
    PlanReading,
    Reading,
    entries_of,
    fault,
    logged_as,
    note,
    pack_of,
)
from training_sdk.local_plans.record_reading import RecordFinding as RecordFinding
from training_sdk.plans.outline import read_plan_copy
from training_sdk.records import approvals
from training_sdk.records.audit import BEGUN, COPY_PURGED, ENDED, KEPT, PURGED, RESUMED, STOPPED
from training_sdk.records.events import Closed, Event, EvidenceKept, Opened, Resumed
from training_sdk.records.plan_copy import OUTLINE, OUTLINE_SHA256, PLAN, SEALED
from training_sdk.records.state import StateDirectory, is_digest

OF_A_RESET = frozenset((BEGUN, RESUMED, KEPT, ENDED, STOPPED))
READINGS, PAUSE = 3, 0.2
"""While another process writes, two readings may differ; a fault is one that a second reading shows as well."""


def check_records(state: StateDirectory, *, unseal: Unseal | None = None) -> tuple[RecordFinding, ...]:
    """Compare all records in the state directory; empty if they agree and all work is finished.

    Another process may be writing: a fault counts only if it is seen twice. Packs are compared by name, so a state
    directory may be moved or restored. Files inside packs are checked by ``verify_pack``, the chain of the audit log
    by ``AuditLog.verify``. With ``unseal`` sealed copies of plans and sealed approvals are opened and compared too.
    """
    found = _Comparison(Reading.of(state, unseal)).findings()
    for _ in range(READINGS - 1):
        if all(one.is_note for one in found):
            break
        time.sleep(PAUSE)
        again = _Comparison(Reading.of(state, unseal)).findings()
        found = [one for one in again if one.is_note or one in found]
    return tuple(found)


@define
class _Comparison:
    """The findings of one reading of all records."""

    reading: Reading
    _manifests: dict[str, str] = field(factory=dict, init=False)
    """The manifest of every pack that a journal or the log names."""

    def findings(self) -> list[RecordFinding]:
        """Return all findings, plan by plan, then the packs."""
        found: list[RecordFinding] = []
        plans = {entry["plan_digest"] for entry in self.reading.before if _is_of_a_reset(entry)}
        for digest in sorted(plans | self.reading.journals.keys() | self.reading.damaged.keys()):
            found += self._plan(digest)
        found += self._packs()
        found += [
            note(
                f"The folder plans/{name} is not that of a plan, so nothing reads it and no purge reaches names "
                "in it. Move it away if it is a backup copy."
            )
            for name in self.reading.foreign
        ]
        return found

    # --- plans --------------------------------------------------------------------------------------------------------

    def _plan(self, digest: str) -> Iterator[RecordFinding]:
        if digest in self.reading.damaged:
            yield fault(self.reading.damaged[digest], digest)
            return
        plan = self.reading.plan(digest)
        if not plan.journal.events and any(map(_is_of_a_reset, plan.before)):
            what = "its journal is empty" if digest in self.reading.journals else "its folder is missing"
            yield plan.fault(f"The audit log says that {plan.name} was started, but {what}.")
            return
        yield from self._events_in_log(plan)
        yield from _log_in_events(plan)
        yield from journal_quoted(plan)
        yield from journal_alike(plan)
        yield from self._plan_copy(plan)
        yield from self._approvals(plan)
        yield from how_it_ended(plan)

    def _events_in_log(self, plan: PlanReading) -> Iterator[RecordFinding]:
        """Find steps that the log lacks, unless the next step shows that the process was stopped there."""
        events = plan.journal.events
        for event, following in zip_longest(events, events[1:]):
            pack = event.pack if isinstance(event, EvidenceKept) else None
            if isinstance(event, EvidenceKept):
                self._manifests.setdefault(event.pack, event.manifest_sha256)
            what = logged_as(event)
            if what is None or entries_of(event, plan.logged):
                continue
            if following is None:
                yield plan.note(
                    f"{plan.opening} was interrupted before {what!r} was added to the audit log.", pack
                )
            elif not _shows_a_stop(following):
                yield plan.fault(
                    f"The journal of {plan.name} has {what!r}, but the audit log does not.", pack
                )

    def _plan_copy(self, plan: PlanReading) -> Iterator[RecordFinding]:
        """Check that the copy of the plan is of this plan, and there until its last pack is purged."""
        names = {name for name in (PLAN, SEALED, OUTLINE) if (plan.folder / name).exists()}
        is_begun = plan.state.opened is not None
        if is_begun and not names & {PLAN, SEALED} and not self._is_purged(plan):
            yield plan.fault(f"{plan.opening} was started, but its copy {PLAN} is missing.")
            return
        if is_begun and names == {SEALED}:
            yield plan.fault(f"{plan.opening} is sealed, but its {OUTLINE} is missing.")
        if not names and any(entry.get(OUTLINE_SHA256) for entry in plan.logged):
            yield plan.fault(f"The copy of {plan.name} was purged, but its {OUTLINE} is missing.")
        if not names & {PLAN, OUTLINE}:
            return
        try:
            copy = read_plan_copy(plan.folder)
            if SEALED in names and plan.unseal is not None:
                read_plan_copy(plan.folder, unseal=plan.unseal)  # which compares the digest
        except TrainingError as error:
            yield plan.fault(error.message)
            return
        if copy.digest != plan.digest:
            yield plan.fault(f"The copy of {plan.name} is that of another plan.")
            return
        yield from journal_planned(plan, copy)

    def _approvals(self, plan: PlanReading) -> Iterator[RecordFinding]:
        """Check that the approvals that the journal names are stored until the last pack is purged."""
        yield from approvals_quoted(plan)
        named = [
            event.approval
            for event in plan.journal.events
            if isinstance(event, Opened | Resumed) and event.approval
        ]
        kept = approvals.kept_in(plan.folder)
        missing = [one for one in named if (one.user_id, one.at.isoformat()) not in kept]
        if missing and not self._is_purged(plan):
            yield plan.fault(
                f"{plan.opening} was applied with an approval of {missing[0].user_id}, and the approval is missing."
            )

    def _is_purged(self, plan: PlanReading) -> bool:
        """Return whether the last pack of a plan was purged, and with it the copy of the plan and its approvals."""
        purges = [entry for entry in self.reading.after if entry.get("event") == PURGED]
        gone = {str(pack_of(entry).get("name")) for entry in purges}
        packs = {kept.pack for kept in plan.state.packs}
        packs |= {name for name in self.reading.packs if name.startswith(f"{plan.digest[:16]}-")}
        packs |= {str(pack_of(entry).get("name")) for entry in plan.entries(PURGED)}
        if not packs:  # it never kept one, so that its copy was purged alone
            return bool(plan.entries(COPY_PURGED))
        return packs <= gone

    # --- packs --------------------------------------------------------------------------------------------------------

    def _packs(self) -> Iterator[RecordFinding]:
        purged: dict[str, Entry] = {}
        for entry in self.reading.after:
            pack = pack_of(entry)
            name, sha256 = pack.get("name"), pack.get("manifest_sha256")
            if not isinstance(name, str):
                continue
            if entry.get("event") == PURGED:
                purged[name] = entry
            known = self._manifests.setdefault(name, sha256) if sha256 else None
            if known is not None and known != sha256:
                yield fault(
                    f"Two manifests of pack {name} are named by journal and audit log: one was changed.",
                    None,
                    name,
                )
        for name in sorted(self._manifests.keys() | self.reading.packs.keys()):
            yield from self._pack(name, self.reading.packs.get(name), purged.get(name))

    def _pack(self, name: str, pack: PackFolder | None, purged: Entry | None) -> Iterator[RecordFinding]:
        sha256 = self._manifests.get(name)
        if pack is None:
            if purged is None and name in self._of_journals:
                yield fault(f"Pack {name} is missing, but the audit log has no purge of it.", None, name)
            return
        if pack.problem is not None:
            yield fault(pack.problem, pack=name)
            return
        if purged is not None:
            yield note(
                f"Pack {name} exists, but the audit log says that it was purged on {str(purged.get('at'))[:10]}: "
                "the purge was interrupted, or the pack was restored. The next purge deletes it.",
                pack=name,
            )
            return
        if pack.is_being_purged:
            yield fault(
                f"The folder of pack {name} is named as if a purge had started, but the audit log has no purge of it. "
                f"Rename the folder to {name}.",
                pack=name,
            )
        elif sha256 is None:
            what = (
                "was never finished"
                if pack.manifest is None
                else "is neither in a journal nor in the audit log"
            )
            yield note(
                f"Pack {name} {what}: its writing was interrupted, or it comes from elsewhere.", pack=name
            )
        elif pack.sha256 is None:
            yield fault(f"Pack {name} was complete, but its {MANIFEST} is missing.", pack=name)
        elif pack.sha256 != sha256:
            yield fault(f"The {MANIFEST} of pack {name} is not the one that was written.", pack=name)
        else:
            yield from self._belongs(name, pack)

    def _belongs(self, name: str, pack: PackFolder) -> Iterator[RecordFinding]:
        manifest = pack.manifest
        if manifest is None or manifest.pseudonymised is not None:
            return
        plan = self._of_journals.get(name)
        if plan is not None and plan != manifest.plan_digest:
            yield fault(f"Pack {name} belongs to another plan than the journal that names it.", plan, name)

    @property
    def _of_journals(self) -> dict[str, str]:
        """Return the plan of every pack that was stored before a reset, by journal or log; copies may be anywhere."""
        named = {
            str(pack_of(entry).get("name")): str(entry.get("plan_digest"))
            for entry in self.reading.after
            if entry.get("event") == KEPT
        }
        for digest, journal in self.reading.journals.items():
            named |= {event.pack: digest for event in journal.events if isinstance(event, EvidenceKept)}
        return named


def _log_in_events(plan: PlanReading) -> Iterator[RecordFinding]:
    """Find steps in the log that are not in the journal, which is written first."""
    for entry in plan.before:
        what = entry.get("event")
        if what in (BEGUN, RESUMED, KEPT) and not any(
            entries_of(event, [entry]) for event in plan.journal.events
        ):
            yield plan.fault(
                f"The audit log has {what!r} of {plan.name} at {entry.get('at')}, but the journal does not.",
                pack_of(entry).get("name") if what == KEPT else None,
            )


def _shows_a_stop(following: Event) -> bool:
    """Return whether an event is the first after a process was stopped: a new start, or closing by hand."""
    return isinstance(following, Opened | Resumed) or (
        isinstance(following, Closed) and following.reason is not None
    )


def _is_of_a_reset(entry: Entry) -> bool:
    return entry.get("event") in OF_A_RESET and is_digest(entry.get("plan_digest"))
