"""Comparing the records of one plan: journal, audit log, report, copy of the plan and approvals."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from training_sdk._core import codec
from training_sdk._core.text import sentence_of
from training_sdk.errors import RecordsDamagedError, TrainingError
from training_sdk.evidence.files import Unseal
from training_sdk.format_proof import pending
from training_sdk.local_plans.admission import APPROVAL, APPROVAL_OUTLINE, PLAN_OUTLINE
from training_sdk.local_plans.record_reading import Entry, PlanReading, RecordFinding, at, entries_of
from training_sdk.outcome import Outcome
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import LOOK_INTO_IT, number, others
from training_sdk.records import approvals
from training_sdk.records.audit import BEGUN, CLOSED, ENDED, KEPT, RESUMED, STOPPED, contradicts, quotes_other
from training_sdk.records.events import (
    Answered,
    Closed,
    Event,
    EvidenceKept,
    Intent,
    Lost,
    Opened,
    Refused,
    RefusedInDoubt,
    Resumed,
    Sent,
    SkippedUsers,
)
from training_sdk.records.journal_state import PersonState
from training_sdk.records.plan_copy import OUTLINE
from training_sdk.records.tokens import redacted
from training_sdk.reports import report_file

_MISSING = object()
_OF_EVERY_ENTRY = ("base_url", "reference_server", "reason", "ticket")

# --- journal and log --------------------------------------------------------------------------------------------------


def journal_quoted(plan: PlanReading) -> Iterator[RecordFinding]:
    """Find a head of the journal that the log quotes and the journal does not have."""
    other = next((entry for entry in plan.before if quotes_other(entry, plan.journal.heads)), None)
    if other is not None:
        yield plan.fault(
            f"The journal of {plan.name} is not the one that the audit log quotes in {other.get('event')!r} at "
            f"{other.get('at')}: it was changed or shortened."
        )
    elif contradicts(plan.before, plan.state, plan.journal.heads):
        yield plan.fault(
            f"The audit log contradicts the journal of {plan.name}: it was changed or shortened."
        )


def journal_alike(plan: PlanReading) -> Iterator[RecordFinding]:
    """Find differences between journal and log in who began or resumed the plan, where, why and with what evidence."""
    opened: Opened | None = None
    for event in plan.journal.events:
        if isinstance(event, Opened):
            opened = event
        facts = _facts(event, opened)
        for entry in entries_of(event, plan.logged):
            differing = sorted(
                name for name, value in facts.items() if _value(entry, name) not in (value, _MISSING)
            )
            if differing:
                yield plan.fault(
                    f"The journal of {plan.name} and {entry['event']!r} in the audit log at {entry.get('at')} differ: "
                    f"{', '.join(differing)}."
                )
    yield from _ends_alike(plan)
    yield from _in_order(plan)


def _ends_alike(plan: PlanReading) -> Iterator[RecordFinding]:
    """Check that evidence and end have the server, reason and ticket of a beginning."""
    begun = [_facts(event, event) for event in plan.journal.events if isinstance(event, Opened)]
    for entry in plan.entries(KEPT, ENDED, STOPPED) if begun else ():
        logged = {name: _value(entry, name) for name in _OF_EVERY_ENTRY}
        if not any(
            all(value in (facts.get(name), _MISSING) for name, value in logged.items()) for facts in begun
        ):
            yield plan.fault(
                f"{entry['event']!r} of {plan.name} in the audit log at {entry.get('at')} has another server, reason "
                "or ticket than the journal."
            )


def _in_order(plan: PlanReading) -> Iterator[RecordFinding]:
    """Note times that go back; a clock that was set back is not a fault."""
    times = [moment for event in plan.journal.events if (moment := getattr(event, "at", None)) is not None]
    if any(later < earlier for earlier, later in pairwise(times)):
        yield plan.note(
            f"The journal of {plan.name} has a step that is earlier than the one before: the clock of this machine "
            "was set back, or the time was changed."
        )


def _facts(event: Event, opened: Opened | None) -> dict[str, object]:
    """Return the facts that an event and its entry in the log both hold, by their names in the log."""
    match event:
        case Opened() | Resumed() if opened is not None:
            approval = {} if event.approval is None else {"approval": codec.plain(event.approval)}
            found = {
                "user_id": event.applied_by,
                "organisation_id": opened.organisation_id,
                "base_url": opened.base_url,
                "reference_server": opened.reference_server,
                "reason": opened.reason,
                "ticket": opened.ticket,
                **approval,
            }
            if isinstance(event, Opened):
                found["token_fingerprint"] = event.token_fingerprint
            facts: dict[str, object] = redacted(found, opened.token_fingerprint)
            return facts
        case EvidenceKept():
            return {"at": event.at.isoformat()}
    return {}


def _value(entry: Entry, name: str) -> object:
    who = entry.get("who")
    of_whom = who if name in ("user_id", "organisation_id", "token_fingerprint") else entry
    return of_whom.get(name, _MISSING) if isinstance(of_whom, Mapping) else _MISSING


# --- the copy of the plan and the approvals ---------------------------------------------------------------------------


def journal_planned(reading: PlanReading, plan: ResetPlan) -> Iterator[RecordFinding]:
    """Find people in the journal who are not in the plan, another place, and other counts in the log."""
    targets, everyone = {user.key for user in plan.targets}, {user.key for user in plan.users}
    strangers: set[tuple[str, str]] = set()
    place = plan.origin.base_url, plan.origin.organisation_id
    for event in reading.journal.events:
        match event:
            case Intent():
                strangers |= {(event.course_id, one) for one in event.user_ids} - targets
            case SkippedUsers():
                strangers |= {(event.course_id, one) for one in event.codes} - everyone
            case Opened() if (event.base_url, event.organisation_id) != place:
                yield reading.fault(
                    f"The journal of {reading.name} has another server or organisation than the plan."
                )
            case _:
                pass
    if strangers:
        who = ", ".join(sorted({user_id for _, user_id in strangers}))
        yield reading.fault(f"The journal of {reading.name} names people who are not in the plan: {who}.")
    yield from _copy_alike(reading, plan)


def _copy_alike(reading: PlanReading, plan: ResetPlan) -> Iterator[RecordFinding]:
    courses = [course.id for course in plan.courses]
    counts = {"people": plan.people, "resets": len(plan.targets), "in scope": len(plan.users)}
    for entry in reading.entries(BEGUN, RESUMED):
        if entry.get("courses") != courses or entry.get("counts", counts) != counts:
            yield reading.fault(
                f"The copy of {reading.name} has other courses or people than {entry['event']!r} in the audit log at "
                f"{entry.get('at')}."
            )
            return
    yield from _file_quoted(reading, OUTLINE, {entry.get(PLAN_OUTLINE) for entry in reading.logged})


def approvals_quoted(plan: PlanReading) -> Iterator[RecordFinding]:
    """Find approvals, and outlines of sealed ones, that are not as when the plan was applied with them."""
    quoted: dict[tuple[object, object, str], set[object]] = {}
    for entry in plan.logged:
        approval = entry.get("approval")
        if isinstance(approval, Mapping):
            for name in (APPROVAL, APPROVAL_OUTLINE):
                identity = approval.get("user_id"), approval.get("at"), name
                quoted.setdefault(identity, set()).add(entry.get(name))
    for path, (user_id, moment) in approvals.files_in(plan.folder).items():
        name = APPROVAL_OUTLINE if path.name.endswith(approvals.OUTLINE) else APPROVAL
        yield from _file_quoted(plan, path.name, quoted.get((user_id, moment, name), set()))
    if plan.unseal is not None:
        for path, (user_id, moment) in approvals.sealed_files(plan.folder).items():
            known = quoted.get((user_id, moment, APPROVAL), set())
            yield from _file_quoted(plan, path.name, known, plan.unseal)
    for path in approvals.sealed_alone(plan.folder):
        yield plan.note(
            f"{path.name} of {plan.name} has no outline that can be read, so it names no people: its "
            "writing was interrupted, or it comes from elsewhere."
        )


def _file_quoted(
    plan: PlanReading, name: str, quoted: set[Any], unseal: Unseal | None = None
) -> Iterator[RecordFinding]:
    """Check that a file, if it is there, has one of the digests that the log quotes; older entries quote none."""
    path = plan.folder / name
    known = quoted - {None}
    if not known or not path.is_file():
        return
    try:
        content = path.read_bytes() if unseal is None else unseal(path.read_bytes())
    except Exception as error:  # whatever a hook of the user raises
        yield plan.fault(f"{name} of {plan.name} cannot be opened: {sentence_of(error)}")
        return
    if hashlib.sha256(content).hexdigest() not in known:
        yield plan.fault(
            f"{name} of {plan.name} is not the one whose SHA-256 is in the audit log: it was changed."
        )


# --- the end ----------------------------------------------------------------------------------------------------------


def how_it_ended(plan: PlanReading) -> Iterator[RecordFinding]:
    """Find differences between journal, log and report in the end of a plan."""
    ends = plan.entries(ENDED, STOPPED)
    yield from _outcomes(plan, ends)
    if not contradicts(plan.before, plan.state, plan.journal.heads):  # else its state shows nothing
        yield from _progress(plan)
    if ends and plan.report is None:
        yield plan.fault(f"The audit log has a report of {plan.name}, but the report is missing.")
    elif plan.report is not None:
        yield from _report(plan, ends, plan.report)


def _progress(plan: PlanReading) -> Iterator[RecordFinding]:
    """Check the end of the log, and note the progress of a plan or proof that has not ended."""
    state = plan.state
    is_closed = bool(plan.entries(CLOSED))
    try:
        is_proof = state.has_sent and pending.is_pending(plan.directory, plan.digest)
    except RecordsDamagedError as error:
        yield plan.fault(error.message)
        return
    if is_proof:
        yield plan.note(f"The proof with {plan.name} is pending. Prove it again. Nothing is sent again.")
    if state.closed is not None:
        yield from _closed(plan, state.closed)
    elif is_proof:
        return
    elif state.opened is not None:
        yield plan.note(_unfinished(plan, is_closed=is_closed))
    elif not is_closed:
        yield plan.note(f"{plan.opening} was opened but not started. Nothing was sent.")


def _outcomes(plan: PlanReading, ends: Sequence[Entry]) -> Iterator[RecordFinding]:
    """Find more resets counted in the log than there are in the journal.

    A reset that is stopped between an answer and its entry in the journal knows more than the journal does.
    """
    counts = Counter(plan.state.users.values())
    reset, unknown = counts[PersonState.RESET], counts[PersonState.UNKNOWN]
    for entry in ends:
        counted = _counts(entry.get("outcomes")).get(Outcome.RESET.value, 0)
        if counted <= reset:
            continue
        text = f"The audit log counts {number(counted, 'reset')} by {plan.name}, and its journal has {reset}"
        if entry["event"] != STOPPED or counted > reset + unknown:
            yield plan.fault(f"{text}: the end of the journal is missing.")
        elif plan.state.closed is None:
            yield plan.note(f"{text} and {unknown} unknown: it was stopped while the answer was noted.")


def _closed(plan: PlanReading, closed: Closed) -> Iterator[RecordFinding]:
    """Check that the log has the end of the journal, and no other outcomes after it."""
    what = ENDED if closed.reason is None else CLOSED
    matching = [number for number, entry in enumerate(plan.logged) if _is_end(entry, what, closed)]
    if not matching:
        yield plan.fault(
            f"The journal of {plan.name} is closed, but the audit log has no end with the same outcomes."
        )
        return
    for entry in plan.logged[matching[-1] + 1 :]:
        if entry.get("event") in (ENDED, STOPPED) and entry.get("outcomes") != dict(closed.counts):
            yield plan.fault(
                f"{plan.opening} had ended, but the audit log has {entry['event']!r} with other outcomes after it, at "
                f"{entry.get('at')}."
            )


def _is_end(entry: Entry, what: str, closed: Closed) -> bool:
    return (
        entry.get("event") == what
        and entry.get("reason") == (closed.reason or entry.get("reason"))
        and at(entry) == closed.at
        and entry.get("outcomes") == dict(closed.counts)
    )


def _report(plan: PlanReading, ends: Sequence[Entry], report: bytes) -> Iterator[RecordFinding]:
    """Check that the log has the digest of the report, unless the process was stopped between the two."""
    closed = plan.state.closed
    is_finished = closed is not None and closed.reason is None
    is_logged = bool(ends) and ends[-1].get("report_sha256") == hashlib.sha256(report).hexdigest()
    since = plan.logged[plan.logged.index(ends[-1]) + 1 :] if ends else plan.logged
    goes_on = any(entry.get("event") in (BEGUN, RESUMED) for entry in since)
    if not is_logged and (is_finished or not goes_on):
        yield plan.fault(
            f"The report of {plan.name} is not the one whose SHA-256 is in the audit log: it was changed."
        )
        return
    if is_logged and not is_finished:
        return
    try:
        saved = report_file.read(plan.folder)
    except TrainingError as error:
        yield plan.fault(error.message)
        return
    if is_logged and closed is not None:
        yield from _of_the_end(plan, saved, closed)
    else:
        yield _unlogged_report(plan, saved)


def _of_the_end(plan: PlanReading, saved: report_file.SavedReport, closed: Closed) -> Iterator[RecordFinding]:
    """Check that the report has the outcomes and the requests of the journal."""
    counts = Counter(user.outcome.value for user in saved.users)
    if dict(counts) != _counts(closed.counts) or saved.plan_digest != plan.digest:
        yield plan.fault(f"The report of {plan.name} has other outcomes than the end of its journal.")
        return
    reset = {user.key for user in saved.users if user.outcome is Outcome.RESET}
    skipped = {user.key: user.code for user in saved.users if user.outcome is Outcome.SKIPPED}
    if reset != {
        key for key, person_state in plan.state.users.items() if person_state is PersonState.RESET
    } or any(skipped.get(key) != code for key, code in plan.state.codes.items()):
        yield plan.fault(f"The report of {plan.name} has another outcome for a person than its journal.")
    events = plan.journal.events
    sent = [event.request_id for event in events if isinstance(event, Sent) and event.request_id]
    answered = {
        event.request_id for event in events if isinstance(event, Answered | Refused | RefusedInDoubt | Lost)
    }
    if (saved.sent_ids and list(saved.sent_ids) != sent) or not answered >= {*saved.requests}:
        yield plan.fault(f"The report of {plan.name} has other request ids than its journal.")


def _unlogged_report(plan: PlanReading, saved: report_file.SavedReport) -> RecordFinding:
    reset = [user.key for user in saved.users if user.outcome is Outcome.RESET]
    known = (PersonState.RESET, PersonState.UNKNOWN)
    if saved.plan_digest != plan.digest or any(plan.state.person_state(*key) not in known for key in reset):
        return plan.fault(
            f"The report of {plan.name} names people as reset whom its journal does not show as reset."
        )
    return plan.note(f"The report of {plan.name} is not in the audit log: writing was interrupted there.")


def _counts(outcomes: object) -> dict[str, int]:
    """Return the counts by outcome that are not 0; anything that is no count is left out."""
    if not isinstance(outcomes, Mapping):
        return {}
    return {str(name): number for name, number in outcomes.items() if type(number) is int and number}


def _unfinished(plan: PlanReading, *, is_closed: bool) -> str:
    state = plan.state
    if is_closed:
        return (
            f"{plan.opening} was closed by hand in the audit log, but its journal has no end. Close it again."
        )
    if not state.has_sent:
        return f"{plan.opening} was started and did not end. Nothing was sent."
    counts = Counter(state.users.values())
    text = ", ".join(
        f"{counts[person_state]} {person_state.value}" for person_state in PersonState if counts[person_state]
    )
    if state.reached_others:
        return f"{plan.opening} did not end ({text}). {others(state.reached_others)}. {LOOK_INTO_IT}"
    return f"{plan.opening} did not end ({text}). Resume it."
