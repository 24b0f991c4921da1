"""Going on with a reset that stopped half-way: what is open is read back first, and nobody is ever sent twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve

from training_sdk._flow import Flow, Moment, Now
from training_sdk._pages import Calls
from training_sdk.errors import TrainingError
from training_sdk.models.progress import ProgressRow
from training_sdk.records.events import Event, ReadBack, Sent
from training_sdk.records.folding import (
    APPLIED,
    NOT_APPLIED,
    UNDECIDED,
    Chunk,
    ChunkFate,
    JournalState,
    Standing,
)
from training_sdk.resets.account import Account
from training_sdk.resets.applying import Arrival, FindProof, Run, arrive
from training_sdk.resets.plan import PlannedReset
from training_sdk.resets.planning import read_rows
from training_sdk.resets.recording import Recorder
from training_sdk.resets.report import Code, Outcome, ResetReport
from training_sdk.resets.sending import Order, Piece, pieces

LAG = timedelta(hours=2)
"""How old the feed of a live service may be (published)."""
MARGIN = timedelta(minutes=15)
"""Added to it, for a warehouse that is late."""


def resume_plan(calls: Calls, order: Order, keeper: Recorder, find_proof: FindProof) -> Flow[ResetReport]:
    """Go on with the plan of an order, whose other settings are those of its journal."""
    try:
        state = yield from keeper.take(order.plan)
        order = as_begun(order, state)
        arrival = yield from arrive(calls, order, find_proof)
        if (
            not state.has_sent
        ):  # it stopped before anything was sent: so it begins anew, under the same settings
            order = evolve(order, nonce=Order(order.plan, order.format).nonce)
        yield from keeper.open(order, arrival.here, arrival.approved)
        resumption = Resumption(arrival, order, keeper, account_so_far(order, arrival.here.user_id, keeper))
        return (yield from resumption.run.to_the_end(resumption.find_work()))
    finally:
        keeper.release()


def as_begun(order: Order, state: JournalState) -> Order:
    """The order under the settings that the journal holds."""
    opened = state.opened
    if opened is None:
        raise TrainingError("the journal has no beginning")
    return evolve(
        order,
        nonce=opened.nonce,
        reason=opened.reason,
        ticket=opened.ticket,
        server_side=opened.server_side,
        tolerance=opened.tolerance,
    )


def account_so_far(order: Order, applied_by: str, keeper: Recorder) -> Account:
    """The account of an application that has begun, with nobody settled yet."""
    state = keeper.journal.state()
    begun = state.opened
    account = Account(order, applied_by, begun.at if begun else order.plan.read_at)
    account.packs = list(keeper.packs)
    account.requests = [chunk.request_id for chunk in state.chunks.values() if chunk.request_id]
    return account


@define
class Resumption:
    """Brings the account to where the journal and reading back say that it is, and finds what is left to do."""

    arrival: Arrival
    order: Order
    keeper: Recorder
    account: Account

    @property
    def run(self) -> Run:
        """What does the work that is found."""
        return Run(self.arrival, self.order, self.keeper, self.account)

    def find_work(self) -> Flow[Sequence[Piece]]:
        """Read back every request whose fate is open; whoever is known not to have been reset is left to do."""
        sent_at = times_sent(self.keeper.journal.events)
        self._settle(self.keeper.journal.state())  # whatever stops this, the account says what is known
        for chunk in self.keeper.journal.state().to_read_back:
            yield from self._read_back(chunk, sent_at[chunk.number])
        state = self.keeper.journal.state()
        self._settle(state)
        left = [
            user
            for user in self.order.plan.targets
            if state.standing(*user.key) in (Standing.UNSENT, Standing.REFUSED)
        ]
        return pieces(self.order, left, first=max(state.chunks, default=-1) + 1)

    def _read_back(self, chunk: Chunk, sent_at: datetime) -> Flow[None]:
        rows = yield from read_rows(self.arrival.calls, chunk.course_id, chunk.user_ids)
        now: Moment = yield Now()
        # The reference server knows the idempotency key, so nothing that is sent again there takes effect twice.
        is_settled = self.arrival.proof is None or now.utc >= sent_at + LAG + MARGIN
        planned = {user.user_id: user for user in self.order.plan.targets_in(chunk.course_id)}
        state = self.keeper.journal.state()
        verdicts = {
            user_id: verdict_on(planned[user_id], rows.get(user_id), is_settled=is_settled)
            for user_id in chunk.user_ids
            if state.is_open(chunk, user_id)
        }
        if self.order.server_side and APPLIED in verdicts.values():
            # One call for everyone takes effect for all or for none, so whoever is not seen cleared is no proof.
            verdicts = {who: UNDECIDED if said == NOT_APPLIED else said for who, said in verdicts.items()}
        yield from self.keeper.note(ReadBack(now.utc, chunk.number, verdicts))

    def _settle(self, state: JournalState) -> None:
        by_key = {key: chunk for chunk in state.chunks.values() for key in chunk.people}
        for user in self.order.plan.targets:
            standing = state.standing(*user.key)
            if standing is Standing.RESET:
                self.account.settle([user], Outcome.RESET)
            elif standing is Standing.SKIPPED:
                code = Code(state.codes[user.key])
                self.account.settle([user], Outcome.SKIPPED, "moved since the plan was made", code)
            elif standing is Standing.UNKNOWN:
                self._leave_unknown(user, by_key[user.key])
            else:
                self.account.reopen(user)

    def _leave_unknown(self, user: PlannedReset, chunk: Chunk) -> None:
        silent = chunk.fate is ChunkFate.ANSWERED or chunk.message is None
        code = Code.NOT_SEEN if silent else Code.ANSWER_LOST
        detail = (
            "sent, and reading back does not tell (yet) whether it took effect; a live service may show it up to "
            f"{LAG + MARGIN} later"
        )
        self.account.settle([user], Outcome.UNKNOWN, detail, code)


def verdict_on(planned: PlannedReset, row: ProgressRow | None, *, is_settled: bool) -> str:
    """What a row of the feed says of somebody who may have been reset.

    Nothing recorded, or begun at another time, means applied: only a reset takes away when somebody opened a course.
    Everything as before means not applied, but not before the feed can no longer be showing the past. Anything else is
    for a person to decide.
    """
    if row is None:
        return UNDECIDED
    if not row.has_recorded_progress:
        return APPLIED
    if PlannedReset.of(row).standing == planned.standing:
        return NOT_APPLIED if is_settled else UNDECIDED
    if planned.opened_at is not None and row.opened_at is not None and row.opened_at > planned.opened_at:
        return APPLIED
    return UNDECIDED


def times_sent(events: Sequence[Event]) -> Mapping[int, datetime]:
    """When each request was sent."""
    return {event.chunk: event.at for event in events if isinstance(event, Sent)}
