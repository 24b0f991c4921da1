"""The records of one application: journal, evidence, and entries in the audit log."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import define, field

from training_sdk._core import codec
from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk.api.progress import ProgressRow
from training_sdk.approval.approvals import (
    Approval,
    Approved,
    approval_bytes,
    approval_noted,
    approved_before,
    find_approval,
)
from training_sdk.errors import TrainingError
from training_sdk.evidence.collecting import collect
from training_sdk.evidence.files import Seal, Unseal, sealed
from training_sdk.evidence.pack import Pack, refuse_old
from training_sdk.format_proof import pending
from training_sdk.format_proof.proofs import ProofScope, withdraw_proof
from training_sdk.local_plans.admission import (
    approvals_in,
    check_may_apply,
    origin_lock,
    quote_begun,
    quote_journal,
    refuse_overlapping,
    refuse_second_time,
    resets_elsewhere,
)
from training_sdk.outcome import Outcome
from training_sdk.plans.outline import PlanOutline
from training_sdk.plans.plan import FORM, ResetPlan, plan_bytes
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.records import approvals, plan_copy
from training_sdk.records.audit import BEGUN, ENDED, KEPT, RESUMED, STOPPED, AuditLog
from training_sdk.records.events import Closed, Event, EvidenceKept, Resumed
from training_sdk.records.journal import Journal, JournalCopy
from training_sdk.records.journal_state import JournalState
from training_sdk.records.state import StateDirectory
from training_sdk.records.tokens import redacted
from training_sdk.reports import report_file
from training_sdk.reports.report import ResetReport
from training_sdk.resets.preflight import Preflight
from training_sdk.resets.reset_request import Order


@define
class Recorder:
    """Writes the records into the state directory, which is opened at the first write."""

    path: str | PathLike[str] | None
    fingerprint: str | None
    evidence_lifetime: timedelta
    resuming: bool = False
    seal: Seal | None = None
    unseal: Unseal | None = None
    _found: Approval | None = None
    """The approval that was found beside the journal."""
    _preflight: Preflight | None = None
    """The order, and where it is carried out, once the records are open."""
    approved: Approved | None = field(default=None, init=False)
    """The approver of the plan, now or when it was started."""
    _journal: Journal | None = None
    _log: AuditLog | None = None
    _state: StateDirectory | None = None
    _who: dict[str, Any] = field(factory=dict)
    _pack: Pack | None = None
    packs: list[str] = field(factory=list, init=False)
    """The folders of the evidence written so far."""
    missing_lessons: dict[Key, None] = field(factory=dict, init=False)
    """Course and user of those whose lessons are not all in the evidence written so far."""
    not_read: dict[str, str] = field(factory=dict, init=False)
    """The listings that were not read for the evidence written so far, each with the reason."""
    _has_ended: bool = False

    @property
    def journal(self) -> Journal:
        """The journal, once it is open."""
        if self._journal is None:
            raise TrainingError("The journal is not open.")
        return self._journal

    def open(self, preflight: Preflight) -> Flow[None]:
        """Claim the plan for this process alone, and note who begins what and why."""
        now: Moment = yield Now()
        self._preflight = preflight
        order, here, approved = preflight.order, preflight.here, preflight.approved
        plan = order.plan
        if self._journal is None:
            yield from self.claim_plan(plan)
        self._identify(here)
        self.approved = approved or approved_before(
            self.journal.events, here.organisation_id, self._folder(plan)
        )
        new = order.approval if approved is not None and order.approval != self._found else None
        if self.journal.state().has_sent:
            kept = None if approved is None else approved.kept
            if new is not None:
                yield RunLocally(lambda: self._keep_approval(plan, new), "records: approval")
            seconds = order.safeguards.processing_time.total_seconds()
            yield from self.note(Resumed(now.utc, here.user_id, kept, seconds))
            yield self._audit(RESUMED, order, at=now.utc, **quote_begun(plan, new))
            return
        yield RunLocally(lambda: self._begin(now.utc, new), "journal: opened")
        counts = {"people": plan.people, "resets": len(plan.targets), "in scope": len(plan.users)}
        yield self._audit(BEGUN, order, at=now.utc, counts=counts, **quote_begun(plan, new))

    def _check_process(self) -> None:
        """Raise RecordsLockedError in a forked process, whose parent continues to write about the same plan."""
        if self._journal is not None:
            self._journal.check_process()

    def _keep_approval(self, plan: ResetPlan, approval: Approval) -> None:
        self._check_process()
        quoted = approvals_in(self._audit_log.entries(plan_digest=plan.digest))
        approvals.keep(self._folder(plan), approval_bytes(approval), self._sealing, quoted)

    def kept_approval(self, plan: ResetPlan) -> Flow[Approval | None]:
        """Return the approval that the journal names last, as it is stored beside it; it is not verified."""
        self._found = yield RunLocally(
            lambda: find_approval(self._folder(plan), approval_noted(self.journal.events), self.unseal),
            "records: look for the approval",
        )
        return self._found

    def attach(self, here: Origin) -> None:
        """Open the audit log alone, for a line about a plan that this process does not hold."""
        self._log = AuditLog(StateDirectory.open(self.path).audit)
        self._identify(here)

    def remark(
        self, event: str, about: Order | ResetReport, here: Origin, at: datetime, **facts: Any
    ) -> Flow[None]:
        """Write a line to the audit log about a plan that this process need not hold."""
        yield RunLocally(lambda: self.attach(here), "records: open the audit log")
        yield self._audit(event, about, at=at, **facts)

    def _identify(self, here: Origin) -> None:
        self._who = {
            "token_fingerprint": self.fingerprint,
            "user_id": here.user_id,
            "organisation_id": here.organisation_id,
        }

    def refuse(self, plan: ResetPlan) -> Flow[None]:
        """Raise if the plan may not be applied, before anything is asked or written."""
        if plan.form < FORM:  # all others are looked at when the plan is claimed, under its lock
            found = yield RunLocally(
                lambda: JournalCopy.of_plan(StateDirectory.existing(self.path), plan.digest).state(),
                "journal",
            )
            refuse_second_time(found, plan, resuming=False)

    def claim_plan(self, plan: ResetPlan) -> Flow[JournalState]:
        """Claim the plan for this process alone; return the state of its journal. Raises if it may not be applied."""
        state: JournalState = yield RunLocally(lambda: self._claim_plan(plan), "records: take the plan")
        return state

    def _claim_plan(self, plan: ResetPlan) -> JournalState:
        self._check_process()
        state = StateDirectory.open(self.path)
        folder = state.plan_folder(plan.digest)
        self._state, self._log, self._journal = state, AuditLog(state.audit), Journal.open(folder)
        found = self.journal.state()
        self.packs = [str(state.evidence / kept.pack) for kept in found.packs]
        self.missing_lessons = dict.fromkeys(found.missing_lessons)
        self.not_read = dict(found.not_read)
        is_proof = found.closed is not None and pending.is_pending(state, plan.digest)
        check_may_apply(self._audit_log, self.journal, plan, resuming=self.resuming, is_proof=is_proof)
        if found.opened is not None:
            self._keep_copy(plan, folder)
        return found

    def _keep_copy(self, plan: ResetPlan, folder: Path) -> None:
        if isinstance(plan, PlanOutline):
            return
        document = plan_bytes(plan)
        if self._sealing is not None:
            plan_copy.write_plan_copy(folder, document, self._sealing(document, folder / plan_copy.SEALED))
            approvals.seal_all(folder, self._sealing)
        elif not ((folder / plan_copy.SEALED).exists() and (folder / plan_copy.OUTLINE).exists()):
            plan_copy.write_plan_copy(folder, document, None)

    @property
    def _sealing(self) -> approvals.Seal | None:
        seal = self.seal
        return None if seal is None else lambda content, path: sealed(content, seal, path)

    def refuse_overlapping(self, people: Collection[Key], now: datetime) -> Flow[None]:
        """Raise OverlappingPlanError where it is not known what another plan did to these people."""

        def refuse() -> None:
            with origin_lock(self._directory, self._started.here):
                self._refuse_overlapping(people, now)

        yield RunLocally(refuse, "records: look at other plans")

    def _refuse_overlapping(self, people: Collection[Key], now: datetime) -> None:
        order, here = self._started.order, self._started.here
        wait = order.safeguards.processing_time
        refuse_overlapping(self._directory, order.plan, people, here, now, wait)

    def resets_elsewhere(self, people: Collection[Key]) -> Flow[Mapping[Key, datetime]]:
        """Return when another plan on this machine last reset these people."""
        plan, here = self._started.order.plan, self._started.here
        found: Mapping[Key, datetime] = yield RunLocally(
            lambda: resets_elsewhere(self._directory, plan.digest, people, here),
            "records: look at other plans",
        )
        return found

    def _begin(self, at: datetime, approval: Approval | None) -> None:
        plan = self._started.order.plan
        # Until it is noted, another process could begin with the same people.
        with origin_lock(self._directory, self._started.here):
            self._refuse_overlapping({user.key for user in plan.targets}, at)
            self._keep_copy(plan, self._folder(plan))  # a plan that is refused leaves no names on disk
            if approval is not None:
                self._keep_approval(plan, approval)
            approved = None if self.approved is None else self.approved.kept
            self.journal.note(self._started.opened(at, self.fingerprint, approved))

    def gather(self, calls: Calls, people: Sequence[PlannedReset]) -> Flow[Mapping[Key, ProgressRow]]:
        """Write the evidence about these people, and return their rows."""
        self.journal.check_process()
        now: Moment = yield Now()
        targets: dict[str, list[str]] = {}
        for user in people:
            targets.setdefault(user.course_id, []).append(user.user_id)
        order = self._started.order
        plan = order.plan
        pack = yield from collect(
            calls,
            targets,
            self._place(plan, now.utc),
            plan_digest=plan.digest,
            plan_document=plan_bytes(plan),
            organisation_id=plan.origin.organisation_id,
            reference_server=plan.origin.reference_server,
            audit_head=self._audit_log.head(),
            seal=order.safeguards.seal,
            accept_missing_lessons=order.accept_missing_lessons,
            require_surveys=order.require_surveys,
        )
        self._pack = pack
        self.packs.append(str(pack.folder))
        self.missing_lessons |= dict.fromkeys(pack.missing_lessons)
        not_read = pack.manifest.not_read or {}
        self.not_read |= not_read
        noted = EvidenceKept(
            now.utc,
            pack.folder.name,
            pack.manifest_sha256,
            pack.missing_lessons,
            tuple(not_read.items()),
        )
        yield from self.note(noted)
        gap: dict[str, Any] = {"missing_lessons": len(pack.missing_lessons)} if pack.missing_lessons else {}
        gap |= {"not_read": not_read} if not_read else {}
        named = {"name": pack.folder.name, "manifest_sha256": pack.manifest_sha256}
        yield self._audit(KEPT, order, at=now.utc, pack=named, **gap)
        return pack.rows

    def refresh(self, calls: Calls, people: Sequence[PlannedReset]) -> Flow[Mapping[Key, ProgressRow] | None]:
        """Write the evidence about these people again if it has grown too old, and return their rows then."""
        self.journal.check_process()
        now: Moment = yield Now()
        pack = self._pack
        if pack is None or pack.age(now.utc) > self.evidence_lifetime:
            return (yield from self.gather(calls, people))
        refuse_old(pack, now.utc, self.evidence_lifetime)
        return None

    def note(self, event: Event) -> Flow[None]:
        """Write an event to the journal."""
        yield RunLocally(lambda: self.journal.note(event), f"journal: {type(event).__name__.lower()}")

    def has_noted(self, event: Event) -> bool:
        """Return whether this is the last event in the journal, also after an interrupt."""
        return self.journal.events[-1] == event

    def withdraw_proof(self, report: ResetReport) -> Flow[None]:
        """Withdraw the proof of a service that reset more people than were sent, and add that to the audit log."""
        order = self._started.order
        if order.plan.origin.reference_server:  # it has none
            return
        ground = ProofScope.of(order.plan.origin, order.format, server_side=order.server_side)
        now: Moment = yield Now()
        yield RunLocally(lambda: withdraw_proof(self._directory, ground), "proofs: withdraw")
        facts = {"proof": ground.name, "reached_others": report.reached_others}
        yield self._audit("proof withdrawn", report, at=now.utc, requests=list(report.requests), **facts)

    def close(self, report: ResetReport, error: BaseException | None) -> Flow[None]:
        """Write the report, and close the journal if nothing is left to be resumed."""
        if (
            self._has_ended
        ):  # the journal alone could not be closed; a second report would contradict the first
            return
        self._check_process()
        now: Moment = yield Now()
        saved = report_file.dumps(report)
        yield RunLocally(lambda: report_file.save(report, self._folder(report.plan)), "records: report")
        counts = {outcome.value: number for outcome, number in report.counts.items()}
        yield self._audit(
            ENDED if error is None else STOPPED,
            report,
            at=now.utc,
            outcomes=counts,
            reached_others=report.reached_others,
            requests=list(report.requests),
            report_sha256=hashlib.sha256(saved).hexdigest(),
            error=None if error is None else type(error).__name__,
        )
        if error is None:
            self._has_ended = True
            if not report.counts[Outcome.UNKNOWN]:  # last of all: what is missing before it, resuming adds
                yield from self.note(Closed(now.utc, counts))

    def release(self) -> None:
        """Close the journal, so that another process can take the plan."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()

    @property
    def _started(self) -> Preflight:
        if self._preflight is None:
            raise TrainingError("The records are not open.")
        return self._preflight

    @property
    def _audit_log(self) -> AuditLog:
        if self._log is None:
            raise TrainingError("The audit log is not open.")
        return self._log

    @property
    def _directory(self) -> StateDirectory:
        if self._state is None:
            raise TrainingError("The state directory is not open.")
        return self._state

    def _place(self, plan: ResetPlan, at: datetime) -> Path:
        wanted = place = self._directory.evidence_folder(plan.digest, at)
        numbers = itertools.count(2)  # the clock may stop, or be set back
        while place.exists():
            place = wanted.with_name(f"{wanted.name}-{next(numbers)}")
        return place

    def _folder(self, plan: ResetPlan) -> Path:
        return self._directory.plan_folder(plan.digest)

    def _audit(self, event: str, about: Order | ResetReport, *, at: datetime, **facts: Any) -> RunLocally:
        """Return the effect that writes a line to the audit log and flushes it to disk."""
        said = {
            "who": self._who,
            "base_url": about.plan.origin.base_url,
            "reference_server": about.plan.origin.reference_server,
            "plan_digest": about.plan.digest,
            "reason": about.reason,
            "ticket": about.ticket,
            "courses": [course.id for course in about.plan.courses],
            "approval": None if self.approved is None else codec.plain(self.approved.kept),
            **({} if self._journal is None else quote_journal(self._journal.heads)),
            **facts,
        }
        # A server's ids must not stop the end from being written; reason and ticket were refused before.
        said = redacted(said, self.fingerprint)

        def append() -> None:
            self._check_process()
            self._audit_log.append(event, at=at, **said)

        return RunLocally(append, f"audit log: {event}")
