"""Whether a plan may be applied or resumed on this machine, by its journal and the audit log."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

from training_sdk._core.model import Key
from training_sdk._core.urls import service_name
from training_sdk.errors import (
    AlreadyAppliedError,
    InvalidArgumentError,
    OverlappingPlanError,
    RecordsDamagedError,
    StalePlanError,
)
from training_sdk.format_proof import pending
from training_sdk.local_plans.lost import LostPlan, entries_by_plan, lost_plans
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.plan import FORM, ResetPlan
from training_sdk.plans.planned import Origin
from training_sdk.plans.wording import LOOK_INTO_IT, close_command, others, short_digest, some, who
from training_sdk.records import storage
from training_sdk.records.audit import CLOSED, AuditLog, contradicts, unseen_in_proof
from training_sdk.records.in_flight import PROCESSING_TIME, Flights, until
from training_sdk.records.journal import FILE, Journal, read_journal
from training_sdk.records.journal_state import JournalState, Standing, fold
from training_sdk.records.state import StateDirectory
from training_sdk.records.storage import make_folder
from training_sdk.resets.report import REACHED_OTHERS
from training_sdk.resets.report_file import LastResets, last_resets


def refuse_taking(
    log: AuditLog, journal: Journal, plan: ResetPlan, *, resuming: bool, is_proof: bool
) -> None:
    """Raise unless a plan may be applied, or resumed, by its journal and by the log; see the functions below."""
    state = journal.state()
    if state.opened is None:  # before it is called a plan that never began
        refuse_contradiction(log, journal, plan)
        refuse_second_time(state, plan, resuming=resuming, is_proof=is_proof)
    else:
        refuse_second_time(state, plan, resuming=resuming, is_proof=is_proof)
        refuse_contradiction(log, journal, plan)


def refuse_contradiction(log: AuditLog, journal: Journal, plan: ResetPlan) -> None:
    """Raise where the audit log contradicts the journal of a plan: the journal was changed, lost or shortened.

    Raises AlreadyAppliedError for a plan that was closed by hand, whatever its journal says, else RecordsDamagedError,
    also where the log itself is not as it was written.
    """
    entries = log.entries(plan_digest=plan.digest)
    if any(entry.get("event") == CLOSED for entry in entries):
        again = ""
        if journal.state().opened is not None and journal.state().closed is None:
            again = f". Closing it was interrupted: close it again: {close_command(plan.short_digest)}"
        raise AlreadyAppliedError(
            f"this plan (#{plan.short_digest}) was closed by hand, and cannot be applied or resumed any more. Nothing "
            f"was sent. Plan again{again}"
        )
    if contradicts(entries, journal.state(), journal.heads):
        raise RecordsDamagedError(
            f"the audit log contradicts the journal of plan #{plan.short_digest}, which was changed, shortened or "
            f"lost. Nothing was sent. Bring back a copy of plans/{plan.digest}"
        )


def refuse_second_time(
    state: JournalState, plan: ResetPlan, *, resuming: bool, is_proof: bool = False
) -> None:
    """Raise unless a plan may be applied, or resumed, that stands in the journal as this.

    ``is_proof`` is whether it is the plan of a proof that is pending.
    """
    reason = REACHED_OTHERS if state.reached_others else None
    if state.closed is not None and state.closed.reason is not None:
        raise AlreadyAppliedError(
            f"this plan (#{plan.short_digest}) was closed by hand on {state.closed.at:%Y-%m-%d %H:%M} UTC, and cannot "
            "be applied or resumed any more. Nothing was sent. Plan again",
            reason=reason,
        )
    if state.closed is not None and is_proof:
        raise AlreadyAppliedError(
            f"this is the plan (#{plan.short_digest}) of a proof that is pending: its request was accepted, and what "
            "it did was not seen yet. Nothing was sent. Prove the format again with the same course and person to look "
            "again (client.resets.prove_format), and plan nothing for these people before the proof has ended",
            reason=reason,
        )
    if state.closed is not None:
        raise AlreadyAppliedError(
            f"this plan (#{plan.short_digest}) was applied on {state.closed.at:%Y-%m-%d %H:%M} UTC, and a plan is "
            "applied once. Nothing was sent. Plan again if these people are to be reset once more",
            reason=reason,
        )
    if resuming and state.opened is None:
        raise InvalidArgumentError(
            f"applying this plan (#{plan.short_digest}) never began with these records, so there is nothing to resume. "
            "If it was applied with another state directory, resume it with that one. Apply it only if it never was"
        )
    if state.reached_others and not resuming:
        raise AlreadyAppliedError(
            f"{others(state.reached_others)} when this plan (#{plan.short_digest}) was applied. Nothing more was sent. "
            f"{LOOK_INTO_IT}",
            reason=reason,
        )
    if state.has_sent and not resuming:
        raise AlreadyAppliedError(
            f"applying this plan (#{plan.short_digest}) has begun before and did not come to its end. Nothing was "
            "sent. Go on with client.resets.resume(plan, confirm=…), which reads back first what had happened"
        )
    if plan.form < FORM and not resuming:
        raise StalePlanError(
            f"an older version made this plan (#{plan.short_digest}), and other plans could have the same phrase. "
            "Nothing was sent. Plan again",
            reason="PLAN_FORM_OLD",
        )


SECONDS_TO_LOOK = 10.0
_ANY_TIME = datetime.max.replace(tzinfo=UTC)


@frozen
class OtherPlan:
    """Another plan of the same organisation on the same server, as its journal says."""

    folder: Path
    state: JournalState
    flights: Flights

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"#{short_digest(self.folder.name)}"

    def reset_at(self, person: Key) -> datetime | None:
        """When it reset somebody, by its own journal."""
        latest = self.flights.latest(person)
        is_reset = self.state.standing(*person) is Standing.RESET
        return latest.sent_at if is_reset and latest else None

    def may_have_reset_at(self, person: Key) -> datetime | None:
        """When it sent last for somebody whom it has reset, may have reset, or may yet reset."""
        latest = self.flights.latest(person)
        standing = self.state.standing(*person)
        counts = standing in (Standing.RESET, Standing.UNKNOWN) or self.flights.open(person, None)
        return latest.sent_at if latest and counts else None

    def in_doubt(self, people: Collection[Key], now: datetime) -> list[Key]:
        """Whom it may have reset, or may yet reset: resuming it finds out.

        Somebody who stays unknown after a reading that came late enough is for a person to decide: a new plan is that.
        """
        return [
            key
            for key in people
            if (self.state.standing(*key) is Standing.UNKNOWN and self.flights.open(key, None))
            or (self.state.standing(*key) is not Standing.RESET and self.flights.open(key, now))
        ]

    def just_reset(self, people: Collection[Key], now: datetime) -> dict[Key, datetime]:
        """Whom it reset on a live service so lately that the feed may not show it yet, and from when on it does."""
        if self.state.opened is None or self.state.opened.reference_server:
            return {}
        found: dict[Key, datetime] = {}
        for key in people:
            settled_at = self.flights.settled_at(key)
            if self.state.standing(*key) is Standing.RESET and settled_at is not None and now < settled_at:
                found[key] = settled_at
        return found

    def about_to_send(self, people: Collection[Key]) -> list[Key]:
        """Whom a process that is applying it right now has still to send."""
        if self.state.closed is not None or storage.holder_of(self.folder / FILE) is None:
            return []
        targets = {user.key for user in read_plan_copy(self.folder).targets}
        ended = (Standing.RESET, Standing.SKIPPED)
        return [key for key in people if key in targets and self.state.standing(*key) not in ended]


def origin_lock(state: StateDirectory, here: Origin) -> AbstractContextManager[None]:
    """Be the only process that looks at the other plans of an organisation, and begins one of its own."""
    where = f"{service_name(here.base_url)}\n{here.organisation_id}"
    name = hashlib.sha256(where.encode()).hexdigest()[:32]
    return storage.locked(make_folder(state.path / "origins") / f"{name}.json", SECONDS_TO_LOOK)


def other_plans(
    state: StateDirectory,
    digest: str,
    here: Origin,
    *,
    unreadable: list[str] | None = None,
    processing_time: timedelta | None = None,
) -> Iterator[OtherPlan]:
    """Every other plan whose application has begun there, by its journal; the longer ``processing_time`` counts.

    A damaged journal is passed over; ``unreadable`` takes what is wrong with it. See ``lost_plans``.
    """
    for folder in state.plan_folders:
        if folder.name == digest or not (folder / FILE).is_file():
            continue
        try:
            events = read_journal(folder)
            found = fold(events)
        except RecordsDamagedError as error:
            if unreadable is not None:
                unreadable.append(error.message)
            continue
        opened = found.opened
        if opened and here.is_same_organisation(opened.base_url, opened.organisation_id):
            yield OtherPlan(folder, found, Flights.of(events, found, processing_time))


def refuse_overlapping(
    state: StateDirectory,
    plan: ResetPlan,
    people: Collection[Key],
    here: Origin,
    now: datetime,
    processing_time: timedelta | None = None,
) -> None:
    """Raise OverlappingPlanError where it is not known what another plan did to these people, or does just now."""
    for other in other_plans(state, plan.digest, here, processing_time=processing_time):
        if doubted := other.in_doubt(people, now):
            why = f"it is open whether plan {other.name} reset {{people}}. Resume that one first"
            raise _overlap(plan, doubted, why)
        if just := other.just_reset(people, now):
            when = until(max(just.values()))
            why = f"plan {other.name} has reset {{people}}, and the service may show the past until {when}. Wait"
            raise _overlap(plan, list(just), why)
        if waiting := other.about_to_send(people):
            why = f"plan {other.name}, which is being applied just now, is about to reset {{people}}. Let it end"
            raise _overlap(plan, waiting, why)
    for lost in lost_plans(state, plan.digest, here, now, processing_time or PROCESSING_TIME):
        _refuse_lost(lost, plan, people, now)


def _refuse_lost(lost: LostPlan, plan: ResetPlan, people: Collection[Key], now: datetime) -> None:
    """Raise OverlappingPlanError where only the log can tell what a plan did to these people, and does not."""
    among = lost.among(people)
    if among and lost.is_open:
        raise _overlap(
            plan,
            among,
            f"the journal of plan {lost.name} {lost.what}, and the audit log does not say whether it reset {{people}}. "
            f"Bring back a copy of plans/{lost.digest} and resume it. If there is none, find out what became of them "
            f"and close it: training-sdk plan close {short_digest(lost.digest)} --reason …",
        )
    if among and lost.may_have_reset and now < lost.settled_at:
        when = until(lost.settled_at)
        why = f"plan {lost.name}, whose journal {lost.what}, may have reset {{people}}, and the service may show the"
        raise _overlap(plan, among, f"{why} past until {when}. Wait")


def resets_elsewhere(
    state: StateDirectory, digest: str, people: Collection[Key], here: Origin
) -> Mapping[Key, datetime]:
    """When another plan last reset, or may have reset, whom of these people."""
    found: dict[Key, datetime] = {}
    for other in other_plans(state, digest, here):
        for key in people:
            if (at := other.may_have_reset_at(key)) is not None:
                found[key] = max(at, found.get(key, at))
    for lost in lost_plans(state, digest, here):
        if lost.may_have_reset:
            at = _ANY_TIME if lost.is_open else lost.last_at
            found |= {key: max(at, found.get(key, at)) for key in lost.among(people)}
    return found


def resets_known(state: StateDirectory, here: Origin) -> LastResets:
    """When this machine last reset each person there, by the reports and the journals that can be read.

    A report is as old as the last orderly end: what a killed process has reset since is in the journal alone.
    """
    noted = LastResets("a journal")
    is_unseen = _unseen_in_proofs(state, noted.unreadable)
    found = last_resets(state, here, pass_over=True, is_unseen=is_unseen)
    for other in other_plans(state, "", here, unreadable=noted.unreadable):
        for key in other.state.users:
            if (at := other.reset_at(key)) is not None and not is_unseen(other.folder.name, key):
                noted[key] = max(at, noted.get(key, at))
    found.add(noted)
    return found


def resets_begun(state: StateDirectory, here: Origin) -> tuple[LastResets, dict[Key, datetime]]:
    """When this machine last reset each person there, by the records that can be read; apart, who may have been.

    The journal knows when each person was sent; the report only when everything had ended.
    """
    noted, in_doubt = LastResets("a journal"), dict[Key, datetime]()
    is_unseen = _unseen_in_proofs(state, noted.unreadable)
    for other in other_plans(state, "", here, unreadable=noted.unreadable):
        for key, standing in other.state.users.items():
            latest = other.flights.latest(key)
            if standing in (Standing.RESET, Standing.UNKNOWN) and latest is not None:
                is_reset = standing is Standing.RESET and not is_unseen(other.folder.name, key)
                into = noted if is_reset else in_doubt
                into[key] = max(latest.sent_at, into.get(key, latest.sent_at))
    found = last_resets(state, here, pass_over=True, is_unseen=is_unseen)
    for key in noted:
        found.pop(key, None)
    found.add(noted)
    return found, in_doubt


def _unseen_in_proofs(state: StateDirectory, unreadable: list[str]) -> Callable[[str, Key], bool]:
    """Whether the proof with a plan is pending or failed, and did not see somebody reset whom the service counted.

    ``unreadable`` takes what is wrong with records of proofs or the log, which then say so of nobody.
    """
    failed: dict[str, frozenset[Key]] = {}
    open_ended: frozenset[str] = frozenset()
    try:
        open_ended = pending.plans(state)
        failed = {digest: unseen_in_proof(entries) for digest, entries in entries_by_plan(state).items()}
    except RecordsDamagedError as error:
        unreadable.append(error.message)
    return lambda digest, person: digest in open_ended or person in failed.get(digest, ())


def _overlap(plan: ResetPlan, keys: Sequence[Key], why: str) -> OverlappingPlanError:
    names = {user.key: who(user) for user in plan.users}
    return OverlappingPlanError(
        f"{why.replace('{people}', some([names[key] for key in keys]))}. Nothing was sent for them",
        metadata=tuple(("user_id", user_id) for _, user_id in keys),
    )
