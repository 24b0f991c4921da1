"""Comparing what a journal says, and what is kept beside it, with the audit log and with the plan."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from training_sdk._core import codec
from training_sdk.evidence.files import Unseal
from training_sdk.local_plans.record_reading import Entry, Reading, RecordFinding, at, fault, name_of, note
from training_sdk.plans.plan import ResetPlan
from training_sdk.records import approvals
from training_sdk.records.audit import BEGUN, ENDED, KEPT, RESUMED, STOPPED, contradicts, quotes_other
from training_sdk.records.chain import Head
from training_sdk.records.events import Event, EvidenceKept, Intent, Opened, Resumed, SkippedUsers
from training_sdk.records.journal_state import JournalState
from training_sdk.records.plan_copy import OUTLINE
from training_sdk.records.tokens import redacted
from training_sdk.resets.quoting import APPROVAL, APPROVAL_OUTLINE, PLAN_OUTLINE

_MISSING = object()
_OF_EVERY_LINE = ("base_url", "reference_server", "reason", "ticket")


def journal_quoted(
    digest: str, state: JournalState, heads: Sequence[Head], logged: Sequence[Entry]
) -> Iterator[RecordFinding]:
    """Every head of the journal that the log quotes is in the journal; ``logged`` was read before it."""
    other = next((entry for entry in logged if quotes_other(entry, heads)), None)
    if other is not None:
        yield fault(
            f"the journal of plan {name_of(digest)} is not the one that the audit log quotes in {other.get('event')!r} "
            f"at {other.get('at')}: it was changed or shortened",
            digest,
        )
    elif contradicts(logged, state, heads):
        yield fault(
            f"the audit log contradicts the journal of plan {name_of(digest)}: it was changed or shortened",
            digest,
        )


def journal_alike(reading: Reading, digest: str, events: Sequence[Event]) -> Iterator[RecordFinding]:
    """Who began or resumed the plan, where and why, and when evidence was kept: in the log as in the journal."""
    logged = [entry for entry in reading.after if entry.get("plan_digest") == digest]
    opened: Opened | None = None
    for event in events:
        if isinstance(event, Opened):
            opened = event
        facts = _facts(event, opened)
        for entry in _entries_of(event, logged):
            differing = sorted(
                name for name, said in facts.items() if _said(entry, name) not in (said, _MISSING)
            )
            if differing:
                yield fault(
                    f"the journal of plan {name_of(digest)} and {entry['event']!r} in the audit log at "
                    f"{entry.get('at')} differ: {', '.join(differing)}",
                    digest,
                )
    yield from _ends_alike(digest, events, logged)
    yield from _in_order(digest, events)


def _ends_alike(digest: str, events: Sequence[Event], logged: Sequence[Entry]) -> Iterator[RecordFinding]:
    """Evidence and the end are logged of the same place, and with the same reason and ticket, as a beginning."""
    begun = [_facts(event, event) for event in events if isinstance(event, Opened)]
    for entry in logged if begun else ():
        said = {name: _said(entry, name) for name in _OF_EVERY_LINE}
        if entry.get("event") in (KEPT, ENDED, STOPPED) and not any(
            all(value in (facts.get(name), _MISSING) for name, value in said.items()) for facts in begun
        ):
            yield fault(
                f"{entry['event']!r} of plan {name_of(digest)} in the audit log at {entry.get('at')} has another "
                "server, reason or ticket than the journal",
                digest,
            )


def journal_planned(reading: Reading, digest: str, plan: ResetPlan) -> Iterator[RecordFinding]:
    """The journal sends and skips people of the plan only, where the plan was made; the log counts as the plan does."""
    targets, everyone = {user.key for user in plan.targets}, {user.key for user in plan.users}
    strangers: set[tuple[str, str]] = set()
    for event in reading.journals.get(digest, ()):
        match event:
            case Intent():
                strangers |= {(event.course_id, one) for one in event.user_ids} - targets
            case SkippedUsers():
                strangers |= {(event.course_id, one) for one in event.codes} - everyone
            case Opened() if (event.base_url, event.organisation_id) != (
                plan.origin.base_url,
                plan.origin.organisation_id,
            ):
                yield fault(
                    f"the journal of plan {name_of(digest)} is of another place than the plan", digest
                )
            case _:
                pass
    if strangers:
        who = ", ".join(sorted({user_id for _, user_id in strangers}))
        yield fault(
            f"the journal of plan {name_of(digest)} names people who are not in the plan: {who}", digest
        )
    yield from _copy_alike(reading, digest, plan)


def _copy_alike(reading: Reading, digest: str, plan: ResetPlan) -> Iterator[RecordFinding]:
    begun = [
        entry
        for entry in reading.after
        if entry.get("plan_digest") == digest and entry.get("event") in (BEGUN, RESUMED)
    ]
    counts = {"people": plan.people, "resets": len(plan.targets), "in scope": len(plan.users)}
    for entry in begun:
        if (
            entry.get("courses") != [course.id for course in plan.courses]
            or entry.get("counts", counts) != counts
        ):
            yield fault(
                f"the copy of plan {name_of(digest)} has other courses or people than {entry['event']!r} in the audit "
                f"log at {entry.get('at')}",
                digest,
            )
            return
    of_plan = [entry for entry in reading.after if entry.get("plan_digest") == digest]
    yield from _file_quoted(reading, digest, OUTLINE, {entry.get(PLAN_OUTLINE) for entry in of_plan})


def approvals_quoted(reading: Reading, digest: str) -> Iterator[RecordFinding]:
    """Approvals, and what is in clear of sealed ones, are as when the plan was applied with them."""
    quoted: dict[tuple[object, object, str], set[object]] = {}
    for entry in reading.after:
        approval = entry.get("approval")
        if entry.get("plan_digest") == digest and isinstance(approval, Mapping):
            for name in (APPROVAL, APPROVAL_OUTLINE):
                identity = approval.get("user_id"), approval.get("at"), name
                quoted.setdefault(identity, set()).add(entry.get(name))
    folder = reading.state.path / "plans" / digest
    for path, (user_id, moment) in approvals.files_in(folder).items():
        name = APPROVAL_OUTLINE if path.name.endswith(approvals.OUTLINE) else APPROVAL
        yield from _file_quoted(reading, digest, path.name, quoted.get((user_id, moment, name), set()))
    if reading.unseal is not None:
        for path, (user_id, moment) in approvals.sealed_files(folder).items():
            known = quoted.get((user_id, moment, APPROVAL), set())
            yield from _file_quoted(reading, digest, path.name, known, reading.unseal)
    for path in approvals.sealed_alone(folder):
        yield note(
            f"{path.name} of plan {name_of(digest)} has no outline that can be read, so nobody is named by it: its "
            "writing was interrupted, or it comes from elsewhere",
            digest,
        )


def _file_quoted(
    reading: Reading, digest: str, name: str, quoted: set[Any], unseal: Unseal | None = None
) -> Iterator[RecordFinding]:
    """A file, if it is there, has one of the digests that the log quotes; older lines quote none."""
    path = reading.state.path / "plans" / digest / name
    known = quoted - {None}
    if not known or not path.is_file():
        return
    try:
        content = path.read_bytes() if unseal is None else unseal(path.read_bytes())
    except Exception as error:  # whatever a hook of the user raises
        yield fault(f"{name} of plan {name_of(digest)} cannot be opened: {error}", digest)
        return
    if hashlib.sha256(content).hexdigest() not in known:
        yield fault(
            f"{name} of plan {name_of(digest)} is not the one whose SHA-256 is in the audit log: it was changed",
            digest,
        )


def _facts(event: Event, opened: Opened | None) -> dict[str, object]:
    """What an event and its line in the log both say, by the name in the log."""
    match event:
        case Opened() | Resumed() if opened is not None:
            approval = {} if event.approval is None else {"approval": codec.plain(event.approval)}
            said = {
                "user_id": event.applied_by,
                "organisation_id": opened.organisation_id,
                "base_url": opened.base_url,
                "reference_server": opened.reference_server,
                "reason": opened.reason,
                "ticket": opened.ticket,
                **approval,
            }
            if isinstance(event, Opened):
                said["token_fingerprint"] = event.token_fingerprint
            facts: dict[str, object] = redacted(said, opened.token_fingerprint)
            return facts
        case EvidenceKept():
            return {"at": event.at.isoformat()}
    return {}


def _entries_of(event: Event, logged: Sequence[Entry]) -> list[Entry]:
    """The lines that the log got for an event."""
    match event:
        case Opened() | Resumed():
            what = BEGUN if isinstance(event, Opened) else RESUMED
            return [entry for entry in logged if entry.get("event") == what and at(entry) == event.at]
        case EvidenceKept():
            pack = {"name": event.pack, "manifest_sha256": event.manifest_sha256}
            return [entry for entry in logged if entry.get("event") == KEPT and entry.get("pack") == pack]
    return []


def _said(entry: Entry, name: str) -> object:
    who = entry.get("who")
    of_whom = who if name in ("user_id", "organisation_id", "token_fingerprint") else entry
    return of_whom.get(name, _MISSING) if isinstance(of_whom, Mapping) else _MISSING


def _in_order(digest: str, events: Sequence[Event]) -> Iterator[RecordFinding]:
    """Times go forward; a clock that was put back is no fault."""
    times = [moment for event in events if (moment := getattr(event, "at", None)) is not None]
    if any(later < earlier for earlier, later in pairwise(times)):
        yield note(
            f"the journal of plan {name_of(digest)} has a step that is earlier than the one before: the clock of this "
            "machine was put back, or the time was changed",
            digest,
        )
