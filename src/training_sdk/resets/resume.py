"""Resuming an interrupted reset: a lost answer is settled by reading back first, and no person is reset twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import define, evolve, field

from training_sdk._core.flow import Flow, Moment, Now
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk.api.progress import ProgressRow
from training_sdk.approval.approvals import check_lifetime, end_of
from training_sdk.errors import (
    IncompleteResetError,
    StalePlanError,
)
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.reading import kept_fields_here, read_rows
from training_sdk.plans.reset_effect import (
    EffectRules,
    LessonsState,
    RowState,
    ask_lessons,
    resets_completed_only,
    shows_lessons,
)
from training_sdk.plans.wording import LOOK_INTO_IT, number, others, who
from training_sdk.records.events import ReadBack, Sent
from training_sdk.records.journal import RequestsInFlight, Since, minute_text
from training_sdk.records.journal_state import (
    APPLIED,
    NOT_APPLIED,
    UNDECIDED,
    JournalState,
    PersonState,
    RecordedRequest,
)
from training_sdk.reports.report import LEFT_ALONE, NO_SECOND_CALL, REACHED_OTHERS, ResetReport
from training_sdk.resets.outcomes import OutcomeTracker, resumed_tracker, settle_by_journal
from training_sdk.resets.preflight import (
    FindProof,
    Preflight,
    run_preflight,
)
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import (
    Order,
    ResetRequest,
    divide,
    key_for,
    order_as_started,
    request_for,
    without_not_applied,
)
from training_sdk.resets.reset_run import Run

ONE_CALL_REACHES_ALL = (
    "Others in the course were reset or may have been reset, or their progress changed. One call for "
    "everyone would reach them again, so it is not sent. Make a new plan that names the people who are left."
)


def resume_plan(calls: Calls, order: Order, recorder: Recorder, find_proof: FindProof) -> Flow[ResetReport]:
    """Resume the plan of an order; its other settings are those of its journal."""
    try:
        state = yield from recorder.claim_plan(order.plan)
        order = order_as_started(order, state)
        if order.approval is None and order.safeguards.four_eyes is not None:
            order = evolve(order, approval=(yield from recorder.kept_approval(order.plan)))
        preflight = yield from run_preflight(calls, order, find_proof, resuming=state.has_sent)
        if not state.has_sent:  # so it is begun again, under the same settings
            order = evolve(preflight.order, nonce=Order(order.plan, order.format).nonce)
            preflight = evolve(preflight, order=order)
            yield from preflight.check_start(divide(order))
        yield from recorder.open(preflight)
        tracker = resumed_tracker(preflight.order, preflight.here.user_id, recorder)
        resumption = Resumption(preflight, recorder, tracker)
        return (yield from resumption.make_run().to_the_end(resumption.find_sendable()))
    finally:
        recorder.release()


@define
class Resumption:
    """One resumption: restores the outcomes from the journal and by reading back, and finds the people who are left."""

    preflight: Preflight
    recorder: Recorder
    tracker: OutcomeTracker
    _elsewhere: Mapping[Key, datetime] = field(factory=dict, init=False)
    _blocked: Sequence[PlannedReset] = field(factory=tuple, init=False)
    """People who are left and cannot be sent: a call for everyone would reach others in the course again."""

    @property
    def order(self) -> Order:
        """The plan and its options, with the settings of the journal."""
        return self.preflight.order

    def make_run(self) -> Run:
        """Return the run that sends the rest, from the state of the journal."""
        journal = self.recorder.journal
        names = {user.key: who(user) for user in self.order.plan.users}
        sent = [event.at for event in journal.events if isinstance(event, Sent)]
        run = Run(self.preflight, self.recorder, self.tracker, last_start=max(sent, default=None))
        run.rereader.changed |= {
            key: names[key] for key, code in journal.state().codes.items() if code in LEFT_ALONE
        }
        return run

    def find_sendable(self) -> Flow[Sequence[ResetRequest]]:
        """Do the same as ``find_requests``. Raises if people are left who may not be sent any more."""
        work = yield from self.find_requests()
        left = [user.key for reset_request in work for user in reset_request.people]
        if waiting := len(left) + len(self._blocked):
            self._refuse_after_others(waiting)
        self._refuse_by_one_call(work)
        if left:
            now: Moment = yield Now()
            yield from self.preflight.check_proof(resuming=True)
            self._check_lifetime(now.utc)
            yield from self.recorder.refuse_overlapping(left, now.utc)
        return work

    def _refuse_by_one_call(self, work: Sequence[ResetRequest]) -> None:
        """Raise IncompleteResetError if calls for everyone that must not be made are all that is left.

        Otherwise the report has it as the detail of the people who are left.
        """
        for user in self._blocked:
            self.tracker.set_outcome([user], Outcome.SKIPPED, ONE_CALL_REACHES_ALL, Code.NOT_SENT)
        if self._blocked and not work:
            raise IncompleteResetError(
                f"{number(len(self._blocked), 'reset was', 'resets were')} not sent. {ONE_CALL_REACHES_ALL} Then close "
                "this plan.",
                reason=NO_SECOND_CALL,
            )

    def _refuse_after_others(self, left: int) -> None:
        """Raise IncompleteResetError if a request of this plan may have reset people outside it."""
        if count := self.recorder.journal.state().reached_others:
            raise IncompleteResetError(
                f"{others(count)} by this plan, so nothing more is sent for it. Earlier requests were read back. "
                f"{number(left, 'reset was', 'resets were')} not sent. {LOOK_INTO_IT}",
                reason=REACHED_OTHERS,
            )

    def _check_lifetime(self, now: datetime) -> None:
        try:
            check_lifetime(self.order.plan, now, self.order.safeguards.plan_lifetime)
        except StalePlanError as error:
            if not self._has_expired(now):
                raise
            message = (
                f"The plan expired at {self._end:%Y-%m-%d %H:%M:%S} UTC. Earlier requests were read back, and "
                "nothing more was sent. Plan again for those who are left."
            )
            in_flight = self._flights()
            unknown = [
                user.key
                for user in self.order.plan.targets
                if self.tracker.outcomes[user.key].outcome is Outcome.UNKNOWN
            ]
            if unknown and (settled_at := in_flight.settled_at(*unknown)):
                message += (
                    f" The result of {number(len(unknown), 'reset')} is not known: do not plan these people again "
                    f"before {minute_text(settled_at)}, and resume this plan again then."
                )
            raise StalePlanError(evolve(error.info, message=message)) from None

    @property
    def _end(self) -> datetime:
        return end_of(self.order.plan, self.order.safeguards.plan_lifetime)

    def _has_expired(self, now: datetime) -> bool:
        return now > self._end

    def find_requests(self) -> Flow[Sequence[ResetRequest]]:
        """Read back each request with an uncertain result; return requests for the people who were not reset."""
        self._elsewhere = yield from self.recorder.resets_elsewhere(
            {user.key for user in self.order.plan.targets}
        )
        state = self.recorder.journal.state()
        for recorded in state.requests.values():
            if people := self._doubted(state, recorded):
                yield from self._read_back(recorded, people)
                settle_by_journal(self.tracker, self.recorder.journal, None)  # also if the next one fails
        now: Moment = yield Now()
        settle_by_journal(self.tracker, self.recorder.journal, now.utc)
        return self._left(now.utc)

    def _doubted(self, state: JournalState, recorded: RecordedRequest) -> tuple[str, ...]:
        """Return the user ids whose latest request is this one and whose result is uncertain."""
        in_flight = self._flights()
        return tuple(
            user_id
            for user_id in recorded.user_ids
            if self._is_doubted(state, in_flight, recorded, (recorded.course_id, user_id))
        )

    def _is_doubted(
        self, state: JournalState, in_flight: RequestsInFlight, recorded: RecordedRequest, key: Key
    ) -> bool:
        if state.last[key] != recorded.number:
            return False
        if state.users[key] is PersonState.UNKNOWN:
            return True
        flight = in_flight.of_request(recorded.number, key)
        if flight is None or state.users[key] is not PersonState.UNSENT:
            return False
        # In older journals, or read back too early.
        return recorded.is_accepted or flight in in_flight.open(key, None)

    def _flights(self) -> RequestsInFlight:
        journal = self.recorder.journal
        return RequestsInFlight.of(journal.events, journal.state(), self.order.safeguards.processing_time)

    def _read_back(self, recorded: RecordedRequest, people: Sequence[str]) -> Flow[None]:
        """Note in the journal what the feed shows of a request, of these of its people."""
        now: Moment = yield Now()  # before reading, so that an early reading never counts as a late one
        recipients, calls = self.order.recipients, self.preflight.calls
        rows = yield from read_rows(calls, recorded.course_id, recipients.to_read(recorded.user_ids))
        latest = self._flights().latest(*recorded.people)
        is_late = latest is None or now.utc >= latest.settled_at
        kept_fields = yield from kept_fields_here(
            calls, recorded.course_id, recorded.user_ids, rows, self.preflight.kept_fields
        )
        is_reference = self.preflight.here.reference_server
        rules = EffectRules.of(self.order.plan, reference_server=is_reference, kept_fields=kept_fields)
        verdicts, is_left = yield from self._verdicts(recorded, people, rules, rows)
        if NOT_APPLIED in verdicts.values() and not is_late:
            everyone = set(verdicts.values()) == {NOT_APPLIED} and len(people) == len(recorded.user_ids)
            if not (everyone and self._may_repeat(recorded, now.utc)):
                verdicts = without_not_applied(verdicts)
        verdicts = recipients.certain(verdicts)
        was_in_vain = set(verdicts.values()) == {NOT_APPLIED} and len(people) == len(recorded.user_ids)
        tells = APPLIED in verdicts.values() or (is_late and not was_in_vain)
        in_place = is_left and is_late
        strangers = (
            self._strangers(recorded, rows, in_place=in_place) if recipients.is_read_back and tells else ()
        )
        self.tracker.note_others(strangers)
        yield from self.recorder.note(
            ReadBack(now.utc, recorded.number, verdicts, kept_fields.notes, strangers)
        )

    def _verdicts(
        self,
        recorded: RecordedRequest,
        people: Sequence[str],
        rules: EffectRules,
        rows: Mapping[str, ProgressRow],
    ) -> Flow[tuple[dict[str, str], bool]]:
        """Return the verdict on each person, and whether the feed shows that one was not reset."""
        planned = {user.user_id: user for user in self.order.plan.targets_in(recorded.course_id)}
        in_flight = self._flights()
        verdicts: dict[str, str] = {}
        is_left = False
        for user_id in people:
            key, row = (recorded.course_id, user_id), rows.get(user_id)
            since = in_flight.since(key)
            row_state = rules.row_state(planned[user_id], row, since.last if since else None)
            verdict = yield from self._verdict(rules, planned[user_id], row, since)
            is_left = is_left or verdict == NOT_APPLIED or row_state is RowState.STILL_THERE
            if verdict == NOT_APPLIED and in_flight.has_accepted(key):
                verdict = UNDECIDED  # the service may still carry it out later
            verdicts[user_id] = verdict
        reset = [planned[one] for one in recorded.user_ids if self._is_reset(recorded, one, verdicts)]
        left = [planned[one] for one, verdict in verdicts.items() if verdict != APPLIED]
        if resets_completed_only(reset, left):
            verdicts = without_not_applied(verdicts)  # each resume would send them again without effect
        return verdicts, is_left

    def _verdict(
        self, rules: EffectRules, planned: PlannedReset, row: ProgressRow | None, since: Since | None
    ) -> Flow[str]:
        """Return the verdict on one person by their row, or by their lessons where the row does not decide."""
        row_state = rules.row_state(planned, row, since.last if since else None)
        verdict = VERDICTS.get(row_state, UNDECIDED)
        is_plain = row_state is RowState.RETRAINED and rules.opening_is_first
        if row_state in VERDICTS_OF_LESSONS and row and since and not is_plain:
            old = yield from ask_lessons(self.preflight.calls, planned, row, since)
            verdict = VERDICTS_OF_LESSONS[row_state].get(old, UNDECIDED)
        if (
            row is None
            and row_state is RowState.CLEARED
            and (yield from shows_lessons(self.preflight.calls, planned))
        ):
            return UNDECIDED
        other = self._elsewhere.get(planned.key)
        if verdict == APPLIED and other and since and other > since.last:
            return UNDECIDED  # it may have been the other plan that did it
        return verdict

    def _strangers(
        self, recorded: RecordedRequest, rows: Mapping[str, ProgressRow], *, in_place: bool
    ) -> tuple[str, ...]:
        """Return people outside the plan without progress whom a call for everyone may have reset, and not yet counted.

        There are none if the answer counted exactly the targets, all people of the plan are still on the course, and
        none of them is seen not to be reset: then no other can have been reset ``in_place`` of one of them.
        """
        journal, course_id = self.recorder.journal, recorded.course_id
        requests = journal.state().requests
        known = {user.user_id for user in self.order.plan.users if user.course_id == course_id}
        if recorded.count == recorded.named and known <= rows.keys() and not in_place:
            return ()
        for event in journal.events:
            if isinstance(event, ReadBack) and requests[event.chunk].course_id == course_id:
                known.update(event.others)
        counted = sum(
            recorded.reached_others for recorded in requests.values() if recorded.course_id == course_id
        )
        without = self.preflight.kept_fields.without
        found = [
            user_id
            for user_id, row in rows.items()
            if user_id not in known and not without(row).has_recorded_progress
        ]
        return tuple(found[counted:])

    def _is_reset(self, recorded: RecordedRequest, user_id: str, verdicts: Mapping[str, str]) -> bool:
        person_state = self.recorder.journal.state().person_state(recorded.course_id, user_id)
        return verdicts.get(user_id) == APPLIED or person_state is PersonState.RESET

    def _may_repeat(self, recorded: RecordedRequest, now: datetime) -> bool:
        """Return whether the same request may be sent again at once: the reference server recognises it by its key.

        It does so only for the same user, and only if nothing else that names these people is under way.
        """
        if not self.preflight.here.reference_server or self._has_expired(now):
            return False
        targets = self.order.plan.targets_in(recorded.course_id)
        if not self.order.recipients.may_repeat(len(recorded.people), len(targets)):
            return False
        in_flight = self._flights()
        under_way = {
            one.recorded.number: one for key in recorded.people for one in in_flight.open(key, now)
        }.values()
        if any(
            one.by != self.preflight.here.user_id
            or one.recorded.user_ids != recorded.user_ids
            or one.recorded.key != recorded.key
            for one in under_way
        ):
            return False
        reset_request = self._again(recorded, recorded.number)
        request = request_for(self.order, reset_request, reset_request.people, reference=True)
        return key_for(self.order, request.body or b"") == recorded.key

    def _again(self, recorded: RecordedRequest, number: int) -> ResetRequest:
        (course,) = (one for one in self.order.plan.courses if one.id == recorded.course_id)
        planned = {user.user_id: user for user in self.order.plan.targets_in(recorded.course_id)}
        return ResetRequest(
            number, course, tuple(planned[user_id] for user_id in recorded.user_ids), again=True
        )

    def _left(self, now: datetime) -> list[ResetRequest]:
        """Return the requests that are left: those that may be in flight unchanged, and the others divided as usual."""
        state, in_flight = self.recorder.journal.state(), self._flights()
        left = {
            user.key: user
            for user in self.order.plan.targets
            if state.person_state(*user.key) in (PersonState.UNSENT, PersonState.REFUSED)
            and not in_flight.has_accepted(user.key)
        }
        first = max(state.requests, default=-1) + 1
        found: list[ResetRequest] = []
        for recorded in (flight.recorded for flight in reversed(in_flight.all)):
            is_open = any(one.recorded is recorded for one in in_flight.open(recorded.people[0], now))
            if is_open and left.keys() >= set(recorded.people) and self._may_repeat(recorded, now):
                found.append(self._again(recorded, first + len(found)))
                left = {key: user for key, user in left.items() if key not in recorded.people}
        free = [user for key, user in left.items() if not in_flight.open(key, now)]
        free, self._blocked = self.order.recipients.sendable(free, self.order.plan.targets)
        return [*found, *divide(self.order, free, first=first + len(found))]


VERDICTS = {RowState.CLEARED: APPLIED, RowState.RETRAINED: APPLIED, RowState.AS_BEFORE: NOT_APPLIED}
"""The verdict by the row of a person who may have been reset, once the feed is current; a person decides the rest.

A person counts as retrained only if all earlier lessons are gone. A new completion alone proves nothing.
"""
VERDICTS_OF_LESSONS: Mapping[RowState, Mapping[LessonsState, str]] = {
    RowState.LIKE_BEFORE: {LessonsState.GONE: APPLIED, LessonsState.ALL_LEFT: NOT_APPLIED},
    RowState.RETRAINED: {LessonsState.GONE: APPLIED, LessonsState.UNKNOWN: APPLIED},
    RowState.COMPLETED_SINCE: {LessonsState.GONE: APPLIED},
    RowState.UNCLEAR: {LessonsState.GONE: APPLIED},
}
"""The verdict by whether the earlier lessons are gone, for rows that do not decide."""
