"""The account of an application that has begun, as its journal has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from training_sdk._core.model import Key
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.wording import COMPLETED_ONLY, span
from training_sdk.records.events import ReadBack, Refused, Sent
from training_sdk.records.in_flight import Flights
from training_sdk.records.journal import Journal, JournalCopy
from training_sdk.records.journal_state import APPLIED, Chunk, ChunkFate, JournalState, Standing
from training_sdk.resets.outcomes import Account
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.report import LARGER, LEFT_ALONE, Code, Outcome
from training_sdk.resets.reset_effect import resets_completed_only
from training_sdk.resets.reset_request import Order


def account_so_far(order: Order, applied_by: str, keeper: Recorder) -> Account:
    """The account of an application that has begun, as its journal has it."""
    account = account_of(order, applied_by, keeper.journal, keeper.packs, None)
    account.approved = keeper.approved
    return account


def account_of(
    order: Order,
    applied_by: str,
    journal: Journal | JournalCopy,
    packs: Sequence[str],
    now: datetime | None,
) -> Account:
    """The same from a journal that this process need not hold, as far as is known at this time (None: at any)."""
    state = journal.state()
    begun = state.opened
    account = Account(order, applied_by, begun.at if begun else order.plan.read_at)
    account.packs = list(packs)
    account.missing_lessons = state.missing_lessons
    account.reached_others = state.reached_others
    account.others_seen = state.others_seen
    account.requests = [chunk.request_id for chunk in state.chunks.values() if chunk.request_id]
    for event in journal.events:
        if isinstance(event, Sent):
            account.note_sent(event.request_id)
    settle(account, journal, now)
    return account


def settle(account: Account, journal: Journal | JournalCopy, now: datetime | None) -> None:
    """Bring an account to where the journal says that it is, as far as that is known at this time (None: at any)."""
    state = journal.state()
    flights = Flights.of(journal.events, state, account.order.safeguards.processing_time)
    refused = {event.chunk: event for event in journal.events if isinstance(event, Refused)}
    disregarded = {
        (state.chunks[event.chunk].course_id, user_id): "read back; " + "; ".join(event.disregarded)
        for event in journal.events
        if isinstance(event, ReadBack) and event.disregarded
        for user_id, verdict in event.verdicts.items()
        if verdict == APPLIED
    }
    left_by_completion = _left_by_completion(account, state, flights)
    for user in account.order.plan.users:  # who had nothing to reset may have begun, and been skipped
        if user.left_out:
            continue
        standing = state.standing(*user.key)
        if standing is Standing.RESET:
            account.settle([user], Outcome.RESET, disregarded.get(user.key))
        elif standing is Standing.SKIPPED:
            code = Code(state.codes[user.key])
            account.settle([user], Outcome.SKIPPED, LEFT_ALONE.get(code), code)
        elif user.key in left_by_completion:
            account.settle([user], Outcome.UNKNOWN, COMPLETED_ONLY, Code.COMPLETED_ONLY)
        elif standing is Standing.UNKNOWN or flights.open(user.key, now) or flights.has_accepted(user.key):
            _leave_unknown(account, user, state.chunks[state.last[user.key]], flights.wait)
        elif standing is Standing.REFUSED:
            _leave_refused(account, user, refused[state.last[user.key]])
        else:
            account.reopen(user, was_sent=_was_in_vain(state, user))


def _left_by_completion(account: Account, state: JournalState, flights: Flights) -> frozenset[Key]:
    """Who had not completed and stayed as they were, where just the completed people of their request were reset."""
    planned = {user.key: user for user in account.order.plan.targets}
    found: set[Key] = set()
    for chunk in state.chunks.values():
        if chunk.fate is not ChunkFate.READ_BACK:
            continue
        here = [planned[key] for key in chunk.people if key in planned and state.last[key] == chunk.number]
        reset = [user for user in here if state.users[user.key] is Standing.RESET]
        left = [user for user in here if state.users[user.key] is Standing.UNKNOWN]
        is_known = len(reset) + len(left) == len(here) and not any(
            flights.open(user.key, None) for user in left
        )
        if is_known and resets_completed_only(reset, left):
            found |= {user.key for user in left}
    return frozenset(found)


def _was_in_vain(state: JournalState, user: PlannedReset) -> bool:
    """Whether the last request for a person was read back, and seen to have had no effect."""
    last = state.last.get(user.key)
    return last is not None and state.chunks[last].fate is ChunkFate.READ_BACK


def _leave_unknown(account: Account, user: PlannedReset, chunk: Chunk, wait: timedelta) -> None:
    if chunk.reached_others:
        account.settle([user], Outcome.UNKNOWN, LARGER, Code.COUNT_LARGER)
        return
    silent = chunk.fate is ChunkFate.ANSWERED or chunk.message is None
    code = Code.NOT_SEEN if silent else Code.ANSWER_LOST
    what = "sent"
    if chunk.is_doubtful_refusal:
        code, what = Code.REFUSAL_UNCERTAIN, "sent together with others and refused"
    detail = (
        f"{what}, and not known to have taken effect; a live service may show it up to {span(wait)} later"
    )
    if chunk.is_accepted:
        detail += (
            ". The service accepted it, so it is never sent again by itself; a new plan is for you to decide"
        )
    account.settle([user], Outcome.UNKNOWN, detail, code)


def _leave_refused(account: Account, user: PlannedReset, event: Refused) -> None:
    if event.code == Code.REFUSED:
        account.settle([user], Outcome.FAILED, event.message, Code.REFUSED, event.error)
    else:
        account.reopen(user, was_sent=True)
