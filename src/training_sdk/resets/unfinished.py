"""A plan whose application has started and not ended: its report by the journal, and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from attrs import evolve, frozen

from training_sdk._core.model import Key
from training_sdk.approval.approvals import approved_before
from training_sdk.errors import RecordsDamagedError
from training_sdk.evidence.files import Unseal
from training_sdk.format_proof import pending
from training_sdk.local_plans.plan_records import PlanRecords, refuse_lost
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import COMMANDS, LOOK_INTO_IT, ShellCommands, number, others
from training_sdk.records import storage
from training_sdk.records.audit import CLOSED, unseen_in_proof
from training_sdk.records.events import Event, Intent, Opened, Resumed, Sent, SkippedUsers
from training_sdk.records.journal import (
    FILE,
    Journal,
    JournalCopy,
    RequestsInFlight,
    journal_processing_time,
    minute_text,
    read_journal,
)
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.reports.report import FAILED_PROOF, PENDING_PROOF, ResetReport
from training_sdk.resets.outcomes import tracker_from_journal
from training_sdk.resets.reset_request import Order, order_as_started
from training_sdk.safeguards import ResetFormat, Safeguards


@frozen
class Unfinished:
    """The state of an application that was cut short, or is under way; numbers count people once per course."""

    report: ResetReport
    """The report by the journal. ``finished_at`` is the time of the last step."""
    begun_at: datetime
    requests: int
    """Requests that were sent."""
    people_sent: frozenset[Key]
    """The people in the sent requests."""
    unknown: int
    """People whose result is uncertain."""
    left: int
    """People who are still to be sent; also those whose request was refused, which ``resume`` sends again."""
    under_way: str | None
    """The process that is applying the plan at the moment."""
    settled_at: datetime | None
    """The time from which on a live service shows the results of unknown people; None if there is none to wait for."""
    is_proof: bool
    """The plan is that of a format proof."""
    has_expired: bool
    server_side: bool = False
    """The request was the one for everyone of a course."""
    refused_with: str | None = None
    """The user whom the service had to refuse, in a proof of refusals."""
    is_closed_by_log: bool = False
    """A person closed it by the audit log, and was stopped before the journal had its end."""
    commands: ShellCommands = COMMANDS
    """The commands that ``advice`` names."""

    @property
    def sent(self) -> int:
        """The number of people in requests that were sent."""
        return len(self.people_sent)

    @property
    def settled(self) -> int:
        """The number of people in sent requests with a known result."""
        return self.sent - self.unknown

    @property
    def advice(self) -> str:
        """The next step for the user, with the command."""
        if self.under_way:
            return f"Wait: {self.under_way} is applying it now."
        digest = self.report.plan.short_digest
        reached = self.report.reached_others
        if self.is_closed_by_log:
            look = f" {others(reached)}. {LOOK_INTO_IT}" if reached else ""
            return (
                "Closing this plan by hand was interrupted, so nothing more is sent for it. To end it, "
                f"close it again: {self.commands.close(digest)}.{look}"
            )
        if reached:
            return f"{others(reached)}, so nothing more is sent for this plan. {LOOK_INTO_IT}"
        close = f"close it: {self.commands.close(digest)}"
        if self.is_proof and self.sent:
            return self._look_again
        if not self.sent:
            again = "Plan again, and " if self.has_expired else f"Apply it: {self.commands.apply()}. Or "
            return f"Nothing was sent. {again}{close}."
        steps = [
            f"Resume it: {self.commands.resume(digest)}. It reads back first and resets no person twice."
        ]
        if self.unknown and self.settled_at is not None:
            steps.append(f"The unknown results are certain from {minute_text(self.settled_at)} on.")
        if not self.unknown and not self.has_expired:
            steps.append(f"If the progress of the people left has changed since, {close}, and plan again.")
        if self.has_expired:
            steps.append(
                f"The plan has expired, so nothing more is sent. When no result is unknown, {close}."
            )
        return " ".join(steps)

    @property
    def _look_again(self) -> str:
        """The advice for a proof whose request was sent."""
        when = "" if self.settled_at is None else f", not before {minute_text(self.settled_at)}"
        plan, refused = self.report.plan, self.refused_with
        command = prove_command(
            plan, server_side=self.server_side, refused_with=refused, commands=self.commands
        )
        what = "its request was accepted" if refused is None else "its request was sent"
        return (
            f"The proof is pending: {what}, and the effect is not seen yet. Look again with {command}{when}. "
            "It sends nothing again."
        )

    @property
    def so_far(self) -> str:
        """A summary: the number of people in sent requests, and the people who are left."""
        sent = f"{number(self.requests, 'request')} sent for {number(self.sent, 'person', 'people')}"
        return (
            f"{sent}: {self.settled} with a known result, {self.unknown} unknown. Left to send: {self.left}."
        )

    def __str__(self) -> str:
        report = self.report
        return (
            f"NOT FINISHED. Started at {self.begun_at:%Y-%m-%d %H:%M:%S} UTC by {report.applied_by}, last step at "
            f"{report.finished_at:%Y-%m-%d %H:%M:%S} UTC.\n"
            f"  {self.so_far}\n"
            f"  {self.advice}"
        )


def prove_command(
    plan: ResetPlan,
    *,
    server_side: bool,
    refused_with: str | None = None,
    commands: ShellCommands = COMMANDS,
) -> str:
    """Return the command that reads again the effect of the proof with this plan."""
    whom = ["--server-side"] if server_side else ["--person", next(user.user_id for user in plan.targets)]
    if refused_with is not None:
        whom += ["--refused-with", refused_with]
    return commands.prove("--course", plan.course.id, *whom)


def has_begun(folder: Path) -> bool:
    """Return whether applying a plan has started, by its folder; True also if its records are damaged."""
    try:
        return (folder / report_file.REPORT).is_file() or bool(read_journal(folder))
    except RecordsDamagedError:
        return True


def find_begun(state: StateDirectory, digest: str) -> Path | None:
    """Return the folder of the plan whose digest begins so, if applying it has begun; None if there is none.

    Raises InvalidArgumentError if there is more than one, RecordsDamagedError if only the audit log knows of it.
    """
    names = (FILE, report_file.REPORT)
    folder = next((found for name in names if (found := report_file.find_folder(state, digest, name))), None)
    if folder is not None and has_begun(folder):
        return folder
    refuse_lost(state, digest)
    return None


def report_in(
    state: StateDirectory,
    folder: Path,
    now: datetime,
    plan: ResetPlan | None = None,
    *,
    unseal: Unseal | None = None,
) -> tuple[ResetReport, Unfinished | None]:
    """Return the report of a plan that has begun; before its end, the report by its journal.

    ``plan`` is the plan with names where its copy there is sealed or purged; ``unseal`` opens a sealed approval. A
    report that was written before the last step would not be up to date. So with a plan that was closed by hand.

    Raises RecordsDamagedError where the audit log contradicts the journal, or the journal cannot be read.
    """
    records = PlanRecords.read(state, folder.name)
    if (lost := records.lost()) is not None:
        raise RecordsDamagedError(lost.damage)
    entries, journal = records.entries, records.journal
    closed = journal.state().closed
    if closed is not None and closed.reason is not None:
        return report_of(state, folder, journal, now, plan, unseal=unseal), None
    unfinished = read_unfinished(state, folder, now, plan, unseal=unseal, journal=journal)
    if unfinished is not None:
        is_closed = any(entry["event"] == CLOSED for entry in entries)
        return unfinished.report, evolve(unfinished, is_closed_by_log=is_closed)
    report = report_file.load(folder, plan, unseal=unseal)
    return report.without_unseen(unseen_in_proof(entries), FAILED_PROOF), None


def read_unfinished(
    state: StateDirectory,
    folder: Path,
    now: datetime,
    plan: ResetPlan | None = None,
    *,
    unseal: Unseal | None = None,
    journal: JournalCopy | None = None,
) -> Unfinished | None:
    """Return the state of an unfinished plan by its folder; None if it never started, or has ended.

    A proof ends when its effect was seen, not when its request was answered. ``journal`` is read unless it is given.

    Raises RecordsDamagedError, naming the file.
    """
    journal = JournalCopy.read(folder) if journal is None else journal
    found = journal.state()
    if found.opened is None:
        return None
    is_proof = pending.is_pending(state, folder.name)
    if found.closed is not None and (found.closed.reason is not None or not is_proof):
        return None
    report = report_of(state, folder, journal, now, plan, unseal=unseal)
    if is_proof:
        report = report.without_unseen({user.key for user in report.users}, PENDING_PROOF)
    unknown = [user.key for user in report.users if user.outcome is Outcome.UNKNOWN]
    is_live = not found.opened.reference_server
    left = (Code.NOT_SENT,) if is_proof else (Code.NOT_SENT, Code.REFUSED)
    return Unfinished(
        report,
        begun_at=found.opened.at,
        requests=sum(isinstance(event, Sent) for event in journal.events),
        people_sent=_sent(journal.events),
        unknown=len(unknown),
        left=sum(user.code in left for user in report.users),
        under_way=storage.holder_of(folder / FILE),
        settled_at=RequestsInFlight.of(journal.events, found).settled_at(*unknown) if is_live else None,
        is_proof=is_proof,
        has_expired=now > report.plan.expires_at,
        server_side=found.opened.server_side,
        refused_with=pending.refused_with(state, folder.name) if is_proof else None,
    )


def report_of(
    state: StateDirectory,
    folder: Path,
    journal: Journal | JournalCopy,
    now: datetime,
    plan: ResetPlan | None = None,
    *,
    unseal: Unseal | None = None,
) -> ResetReport:
    """Return the report of an application that has begun, as its journal has it; it ends with the last step."""
    found = journal.state()
    kept = read_plan_copy(folder) if plan is None else plan
    safeguards = Safeguards(processing_time=journal_processing_time(found))
    order = order_as_started(Order(kept, ResetFormat(), safeguards=safeguards), found)
    packs = [str(state.path / "evidence" / one.pack) for one in found.packs]
    tracker = tracker_from_journal(order, _applied_by(journal.events), journal, packs, now)
    if found.opened is not None:
        tracker.approved = approved_before(journal.events, found.opened.organisation_id, folder, unseal)
    return tracker.report(_last(journal.events))


def _applied_by(events: Sequence[Event]) -> str:
    return [event.applied_by for event in events if isinstance(event, Opened | Resumed)][-1]


def _last(events: Sequence[Event]) -> datetime:
    """Return the time of the last step; two kinds of events have no time."""
    return [event.at for event in events if not isinstance(event, Intent | SkippedUsers)][-1]


def _sent(events: Sequence[Event]) -> frozenset[Key]:
    """Return the people who were in a request that was sent."""
    people: dict[int, Intent] = {}
    sent: set[Key] = set()
    for event in events:
        if isinstance(event, Intent):
            people[event.chunk] = event
        elif isinstance(event, Sent):
            intent = people[event.chunk]
            sent |= {(intent.course_id, user_id) for user_id in intent.user_ids}
    return frozenset(sent)
