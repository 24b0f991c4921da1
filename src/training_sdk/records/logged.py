"""What the audit log says of a plan, held against its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training_sdk.records.chain import Head
from training_sdk.records.journal_state import JournalState, Standing

BEGUN, RESUMED, KEPT = "reset begun", "reset resumed", "evidence kept"
"""Entries of the audit log that follow an event of the journal."""
ENDED, STOPPED = "reset ended", "reset stopped"
CLOSED = "plan closed"
"""A person closed the plan."""
PROOF_FAILED = "proof failed"
PURGED, COPY_PURGED = "evidence purged", "plan copy purged"
JOURNAL = "journal"
"""Where an entry quotes the head of the journal."""


def counted(entry: Mapping[str, Any], standing: Standing) -> int:
    """How many people an entry counts who stand so."""
    outcomes = entry.get("outcomes")
    number = outcomes.get(standing.value) if isinstance(outcomes, Mapping) else None
    return number if type(number) is int else 0


def unseen_in_proof(entries: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Course and user id of people whose reset was accepted, and whom a failed proof did not see at 0 %."""
    failed = [entry for entry in entries if entry["event"] == PROOF_FAILED]
    if not failed:
        return frozenset()
    last = failed[-1]
    # An older log names people who were not seen only where nothing at all was.
    unseen = last.get("unseen", last["affected"] if last["proof_failed"] == "NOT_SEEN" else [])
    return frozenset((course_id, user_id) for course_id, user_id in unseen)


def quotes_other(entry: Mapping[str, Any], heads: Sequence[Head]) -> bool:
    """Whether an entry quotes another journal than the one with these heads; older entries quote none."""
    quoted = entry.get(JOURNAL)
    if not isinstance(quoted, Mapping):
        return False
    number = quoted.get("n")
    if type(number) is not int or not 0 < number <= len(heads):
        return True
    return heads[number - 1].hash != quoted.get("hash")


def contradicts(entries: Sequence[Mapping[str, Any]], state: JournalState, heads: Sequence[Head]) -> bool:
    """Whether these entries about a plan contradict its journal: it was changed, lost or shortened.

    In an honest directory each entry follows its event, so the entries must be read before the journal.
    """
    events = [entry.get("event") for entry in entries]
    is_begun = BEGUN in events or RESUMED in events
    has_ended = any(counted(entry, one) for entry in entries for one in (Standing.RESET, Standing.UNKNOWN))
    return (
        (state.opened is None and is_begun)
        or events.count(KEPT) > len(state.packs)
        or (has_ended and not state.has_sent)
        or any(quotes_other(entry, heads) for entry in entries)
    )
