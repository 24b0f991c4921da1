"""Comparing how a plan ended by its journal, the audit log and its report."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from training_sdk.errors import RecordsDamagedError, TrainingError
from training_sdk.format_proof import pending
from training_sdk.local_plans.record_reading import Entry, Reading, RecordFinding, at, fault, name_of, note
from training_sdk.plans.wording import LOOK_INTO_IT, number, others
from training_sdk.records.audit import BEGUN, CLOSED, ENDED, RESUMED, STOPPED
from training_sdk.records.events import Answered, Closed, Lost, Refused, RefusedInDoubt, Sent
from training_sdk.records.journal_state import JournalState, Standing
from training_sdk.records.state import StateDirectory
from training_sdk.resets import report_file
from training_sdk.resets.report import Outcome


def how_it_ended(
    reading: Reading, digest: str, state: JournalState, *, is_whole: bool = True
) -> Iterator[RecordFinding]:
    """Everything that the records say of the end of one plan and that does not fit together.

    A journal that is not ``is_whole`` contradicts the log, so nothing is noted of how far it came.
    """
    logged = [entry for entry in reading.after if entry.get("plan_digest") == digest]
    ends = [entry for entry in logged if entry.get("event") in (ENDED, STOPPED)]
    report = reading.reports.get(digest)
    yield from _outcomes(digest, state, ends)
    if is_whole:
        yield from _standing(reading.state, digest, state, logged)
    if ends and report is None:
        yield fault(
            f"the audit log has a report of plan {name_of(digest)}, and the report is missing", digest
        )
    elif report is not None:
        yield from _report(reading, digest, state, logged, report)


def _standing(
    directory: StateDirectory, digest: str, state: JournalState, logged: Sequence[Entry]
) -> Iterator[RecordFinding]:
    """The log ends as the journal does; how far a plan or proof came that is not at its end."""
    is_closed = any(entry.get("event") == CLOSED for entry in logged)
    try:
        is_proof = state.has_sent and pending.is_pending(directory, digest)
    except RecordsDamagedError as error:
        yield fault(error.message, digest)
        return
    if is_proof:
        yield note(
            f"the proof with plan {name_of(digest)} is pending. Prove it again: nothing is sent again", digest
        )
    if state.closed is not None:
        yield from _closed(digest, state.closed, logged)
    elif is_proof:
        return
    elif state.opened is not None:
        yield note(_unfinished(digest, state, is_closed=is_closed), digest)
    elif not is_closed:
        yield note(f"plan {name_of(digest)} was opened and not begun; nothing was sent", digest)


def _outcomes(digest: str, state: JournalState, ends: Sequence[Entry]) -> Iterator[RecordFinding]:
    """Nobody may be counted as reset in the log who is not reset by the journal.

    A reset that is stopped between an answer and its line in the journal knows more than the journal does.
    """
    counts = Counter(state.users.values())
    reset, unknown = counts[Standing.RESET], counts[Standing.UNKNOWN]
    for entry in ends:
        counted = _counts(entry.get("outcomes")).get(Outcome.RESET.value, 0)
        if counted <= reset:
            continue
        said = f"the audit log counts {number(counted, 'reset')} by plan {name_of(digest)}, and its journal has {reset}"
        if entry["event"] != STOPPED or counted > reset + unknown:
            yield fault(f"{said}: the end of the journal is missing", digest)
        elif state.closed is None:
            yield note(f"{said} and {unknown} unknown: it was stopped while the answer was noted", digest)


def _closed(digest: str, closed: Closed, logged: Sequence[Entry]) -> Iterator[RecordFinding]:
    """The log ends as the journal does; after that end nothing in it may say otherwise."""
    what = ENDED if closed.reason is None else CLOSED
    matching = [number for number, entry in enumerate(logged) if _is_end(entry, what, closed)]
    if not matching:
        yield fault(
            f"the journal of plan {name_of(digest)} is closed, and the audit log has no end with the same outcomes",
            digest,
        )
        return
    for entry in logged[matching[-1] + 1 :]:
        is_end = entry.get("event") in (ENDED, STOPPED)
        if is_end and entry.get("outcomes") != dict(closed.counts):
            yield fault(
                f"plan {name_of(digest)} had come to its end, and the audit log has {entry['event']!r} with other "
                f"outcomes after it, at {entry.get('at')}",
                digest,
            )


def _is_end(entry: Entry, what: str, closed: Closed) -> bool:
    return (
        entry.get("event") == what
        and entry.get("reason") == (closed.reason or entry.get("reason"))
        and at(entry) == closed.at
        and entry.get("outcomes") == dict(closed.counts)
    )


def _report(
    reading: Reading, digest: str, state: JournalState, logged: Sequence[Entry], report: bytes
) -> Iterator[RecordFinding]:
    """The report is the one whose digest is in the log, unless the process was stopped between the two."""
    ends = [entry for entry in logged if entry.get("event") in (ENDED, STOPPED)]
    if ends and ends[-1].get("report_sha256") == hashlib.sha256(report).hexdigest():
        if state.closed is not None and state.closed.reason is None:
            yield from _of_the_end(reading, digest, state, state.closed)
        return
    since = logged[logged.index(ends[-1]) + 1 :] if ends else logged
    goes_on = any(entry.get("event") in (BEGUN, RESUMED) for entry in since)
    is_finished = state.closed is not None and state.closed.reason is None
    if goes_on and not is_finished:
        yield from _unlogged_report(reading, digest, state)
    else:
        yield fault(
            f"the report of plan {name_of(digest)} is not the one whose SHA-256 is in the audit log: it was changed",
            digest,
        )


def _of_the_end(
    reading: Reading, digest: str, state: JournalState, closed: Closed
) -> Iterator[RecordFinding]:
    """The report says of everyone what the journal says, and names the same requests."""
    try:
        saved = report_file.read(reading.state.path / "plans" / digest)
    except TrainingError as error:
        yield fault(error.message, digest)
        return
    counts = Counter(user.outcome.value for user in saved.users)
    if dict(counts) != _counts(closed.counts) or saved.plan_digest != digest:
        yield fault(
            f"the report of plan {name_of(digest)} has other outcomes than the end of its journal", digest
        )
        return
    reset = {user.key for user in saved.users if user.outcome is Outcome.RESET}
    skipped = {user.key: user.code for user in saved.users if user.outcome is Outcome.SKIPPED}
    if reset != {key for key, standing in state.users.items() if standing is Standing.RESET} or any(
        skipped.get(key) != code for key, code in state.codes.items()
    ):
        yield fault(
            f"the report of plan {name_of(digest)} has another outcome for somebody than its journal", digest
        )
    events = reading.journals[digest]
    sent = [event.request_id for event in events if isinstance(event, Sent) and event.request_id]
    answered = {
        event.request_id for event in events if isinstance(event, Answered | Refused | RefusedInDoubt | Lost)
    }
    if (saved.sent_ids and list(saved.sent_ids) != sent) or not answered >= {*saved.requests}:
        yield fault(f"the report of plan {name_of(digest)} has other request ids than its journal", digest)


def _unlogged_report(reading: Reading, digest: str, state: JournalState) -> Iterator[RecordFinding]:
    try:
        saved = report_file.read(reading.state.path / "plans" / digest)
    except TrainingError as error:
        yield fault(error.message, digest)
        return
    wrong = [
        user
        for user in saved.users
        if user.outcome is Outcome.RESET
        and state.standing(*user.key) not in (Standing.RESET, Standing.UNKNOWN)
    ]
    if wrong or saved.plan_digest != digest:
        yield fault(
            f"the report of plan {name_of(digest)} names people as reset whom its journal does not know as reset",
            digest,
        )
    else:
        yield note(
            f"the report of plan {name_of(digest)} is not in the audit log: it was interrupted there", digest
        )


def _counts(said: object) -> dict[str, int]:
    """Counts by outcome that are not 0; what is no count is left out."""
    if not isinstance(said, Mapping):
        return {}
    return {str(name): number for name, number in said.items() if type(number) is int and number}


def _unfinished(digest: str, state: JournalState, *, is_closed: bool) -> str:
    if is_closed:
        return f"plan {name_of(digest)} was closed by hand in the audit log, and its journal has no end. Close it again"
    if not state.has_sent:
        return f"plan {name_of(digest)} was begun and is not at its end; nothing was sent"
    counts = Counter(state.users.values())
    said = ", ".join(f"{counts[standing]} {standing.value}" for standing in Standing if counts[standing])
    if state.reached_others:
        return f"plan {name_of(digest)} is not at its end ({said}). {others(state.reached_others)}. {LOOK_INTO_IT}"
    return f"plan {name_of(digest)} is not at its end ({said}). Resume it"
