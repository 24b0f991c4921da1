"""Applying a plan: prove where we are, keep the evidence, read everyone again, send explicit ids, account for all."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from attrs import define, field

from training_sdk._core.flow import Flow, Moment, Now, Request, Response, RunLocally, Sleep
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.send_policy import TryAgainError, out_of_time
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import EvidenceError, OutcomeUnknownError, ResetInterruptedError
from training_sdk.plans.changes import (
    all_cleared,
    change_of,
    changed_people,
    check_course,
    refuse_changed,
    refuse_new_warnings,
)
from training_sdk.plans.course_rows import read_rows, traces_here
from training_sdk.plans.origin import check_origin, check_same_user, read_origin
from training_sdk.plans.planned import PlannedCourse, PlannedReset
from training_sdk.plans.wording import LOOK_INTO_IT, number, some, who
from training_sdk.records.events import Intent, ReadBack, SkippedUsers
from training_sdk.records.journal_state import APPLIED, UNDECIDED
from training_sdk.resets.outcomes import OutcomeTracker
from training_sdk.resets.preflight import (
    FindProof,
    Preflight,
    check_schedule,
    run_preflight,
    with_proven_processing_time,
)
from training_sdk.resets.read_again import read_without_waiting, slots_for
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.report import LEFT_ALONE, REACHED_OTHERS, Code, Outcome, ResetReport
from training_sdk.resets.reset_request import (
    Order,
    Progress,
    ResetRequest,
    divide,
    key_for,
    request_for,
    updated_by,
)
from training_sdk.resets.safeguards import check_lifetime
from training_sdk.resets.settling import Answer, InFlight, StopHandler, raise_instead
from training_sdk.resets.waves import wait_until
from training_sdk.verification.reset_effect import EffectRules, Sign

T = TypeVar("T")
SECONDS_BETWEEN_PROOFS = 60.0
"""Another process may withdraw the proof that this one relies on."""
log = logging.getLogger("training_sdk")


def apply_plan(calls: Calls, order: Order, recorder: Recorder, find_proof: FindProof) -> Flow[ResetReport]:
    """Send a confirmed plan. Raises with a report of what had been done wherever it stops half-way."""
    work = divide(order)
    for reset_request in work:  # none may turn out to be impossible when others have been sent
        request_for(order, reset_request, reset_request.people, reference=True)
    yield from recorder.refuse(order.plan)
    preflight = yield from run_preflight(calls, order, find_proof)
    order = with_proven_processing_time(order, preflight.proof)
    yield from refuse_new_warnings(preflight.calls, order.plan, preflight.traces)
    now: Moment = yield Now()
    check_schedule(order, work, now.utc)
    try:
        yield from recorder.open(order, preflight.here, preflight.approved)
        started: Moment = yield Now()
        tracker = OutcomeTracker(order, preflight.here.user_id, started.utc)
        tracker.approved = preflight.approved
        return (yield from Run(preflight, order, recorder, tracker).to_the_end(_at_once(work)))
    finally:
        recorder.release()


@define
class Run:
    """One application of a plan, or its resumption."""

    preflight: Preflight
    order: Order
    recorder: Recorder
    tracker: OutcomeTracker
    moved: dict[Key, str] = field(factory=dict)
    last_start: datetime | None = None
    has_sent: bool = False
    resumes: bool = False
    """Somebody was reset before, or may have been: so not everyone stands as planned any more, and none should."""
    idle: list[PlannedReset] = field(factory=list)
    """Those of the present course who have nothing to reset, as long as they have not been read again."""
    last_seen: frozenset[str] = frozenset()
    """Everyone on the course at the last reading."""
    stops: StopHandler = field(init=False)
    proof_checked_at: float = field(default=-math.inf, init=False)
    """By the monotonic clock."""

    def __attrs_post_init__(self) -> None:
        self.stops = StopHandler(self.tracker, self.recorder)

    def to_the_end(self, find_work: Flow[Sequence[ResetRequest]]) -> Flow[ResetReport]:
        """Find out what is to be done, do it, and write how it ended, however it did."""
        return (yield from self.stops.carried(self._to_the_end(find_work)))

    def _to_the_end(self, find_work: Flow[Sequence[ResetRequest]]) -> Flow[ResetReport]:
        try:
            work = yield from find_work
            ended = {user.outcome for user in self.tracker.outcomes.values()}
            self.resumes = not ended.isdisjoint((Outcome.RESET, Outcome.UNKNOWN))
            yield from self._prepare(work)
            for course in self.order.plan.courses:
                yield from self._course(
                    course, [reset_request for reset_request in work if reset_request.course.id == course.id]
                )
            finished: Moment = yield Now()
            report = self.tracker.report(finished.utc)
            yield from self.recorder.close(report, None)
            self.recorder.release()
        except GeneratorExit:
            raise
        except BaseException as problem:
            raise_instead((yield from self.stops.close_after(problem)), problem)
        return report

    def _prepare(self, work: Sequence[ResetRequest]) -> Flow[None]:
        """Write the evidence, and see at once whether too many have moved."""
        people = [user for reset_request in work for user in reset_request.people]
        if not people:
            return
        if self.recorder.packs:  # a resume that ends here for who has moved writes no other pack
            people = yield from self._not_moved(people)
        try:
            yield from self._gather(people)
        except EvidenceError as error:
            if error.reason != "EVIDENCE_INCOMPLETE":
                raise
            # Whoever is no longer there has moved: that is for the tolerance to judge. Any other gap stops it.
            left = yield from self._not_moved(people)
            if len(left) == len(people):
                raise
            yield from self._gather(left)
        yield from _acting(partial(self._tell, "evidence"))

    def _not_moved(self, people: Sequence[PlannedReset]) -> Flow[list[PlannedReset]]:
        """Read these people again; who of them stands as planned."""
        for course in self.order.plan.courses:
            here = [user for user in people if user.course_id == course.id]
            yield from self._read_again(self.preflight.calls, course, here)
        return [user for user in people if user.key not in self.moved]

    def _gather(self, people: Sequence[PlannedReset]) -> Flow[None]:
        if people:
            rows = yield from self.recorder.gather(self.preflight.calls, self.order, people)
            self._note_evidence()
            yield from self._leave_out(people, changed_people(people, rows, self.preflight.traces), rows)

    def _note_evidence(self) -> None:
        self.tracker.packs = list(self.recorder.packs)
        self.tracker.missing_lessons = tuple(self.recorder.missing_lessons)

    def _course(self, course: PlannedCourse, work: Sequence[ResetRequest]) -> Flow[None]:
        # Whoever was named and has begun since would otherwise be reported as having nothing to reset.
        self.idle = [] if self.resumes else [user for user in self._in_scope(course) if not user.is_target]
        for reset_request in work:
            yield from self._piece(reset_request)
        if self.idle and not self._by_one_call(work):  # there was no request with which they could be read
            yield from self._read_again(self.preflight.calls, course, self.idle)
        if self.order.server_side and self.has_sent and work:
            yield from self._read_back(work[0])

    def _by_one_call(self, work: Sequence[ResetRequest]) -> bool:
        return self.order.server_side and bool(work)

    def _in_scope(self, course: PlannedCourse) -> list[PlannedReset]:
        return [user for user in self.order.plan.users if user.course_id == course.id and not user.left_out]

    def _piece(self, reset_request: ResetRequest) -> Flow[None]:
        """Send one piece, however often it takes; nothing is waited for between the last look and the request."""
        yield from self._guarded(reset_request.people, self._wait_for_wave(reset_request))
        waited = 0.0
        while True:
            people, there = yield from self._guarded(reset_request.people, self._look_up(reset_request))
            if not people:
                return
            again = yield from self._send(reset_request, people, there)
            if again is None:
                return
            waited += yield from self._wait_to_try_again(people, again, waited)

    def _look_up(self, reset_request: ResetRequest) -> Flow[tuple[tuple[PlannedReset, ...], Preflight]]:
        """All that comes before a request: whether to go on, evidence, turns, who asks, the last reading."""
        now: Moment = yield Now()
        self._check_stop()
        check_lifetime(self.order.plan, now.utc, self.order.safeguards.plan_lifetime)
        if not self._left_of(reset_request):
            return (), self.preflight
        rows = yield from self.recorder.refresh(
            self.preflight.calls, self.order, self._left_of(reset_request)
        )
        self._note_evidence()
        if rows is not None:
            yield from self._leave_out(
                self._left_of(reset_request),
                changed_people(self._left_of(reset_request), rows, self.preflight.traces),
                rows,
            )
        there = self.preflight
        if self._left_of(reset_request):
            yield from self._check_proof()
            turns = slots_for(len(self._in_scope(reset_request.course)))
            _, there = yield from read_without_waiting(
                self.preflight, turns, partial(self._last_look, reset_request)
            )
            self.idle = []
        people = self._left_of(reset_request)
        if reset_request.again and people != reset_request.people:
            people = ()  # it may only be sent as it was
        self._check_stop()
        return people, there

    def _check_proof(self) -> Flow[None]:
        """Raise UnconfirmedFormatError if the proof was withdrawn since; journals are read once a minute at most."""
        now: Moment = yield Now()
        if now.monotonic >= self.proof_checked_at + SECONDS_BETWEEN_PROOFS:
            yield from self.preflight.check_proof(self.order)
            self.proof_checked_at = now.monotonic

    def _last_look(self, reset_request: ResetRequest, preflight: Preflight) -> Flow[None]:
        """Ask whose token it is that the request will carry, and read everyone again.

        A token that is drawn anew each time may have become another organisation's or user's, above all while a wave
        was waited for. A call for everyone reaches all people on the course, so everyone is compared before each.
        """
        here = yield from read_origin(preflight.plain)
        check_origin(self.order.plan, here, is_proved=preflight.proof is not None)
        check_same_user(self.preflight.here, here)
        everyone = [user for user in self.order.plan.users if user.course_id == reset_request.course.id]
        some_of_them = [*self._left_of(reset_request), *self.idle]
        people = everyone if self.order.server_side else some_of_them
        yield from self._read_again(preflight.calls, reset_request.course, people)

    def _left_of(self, reset_request: ResetRequest) -> tuple[PlannedReset, ...]:
        return tuple(user for user in reset_request.people if user.key not in self.moved)

    def _check_stop(self) -> None:
        if self.order.stop():
            raise ResetInterruptedError("the reset was stopped before this was sent, as it was asked to")

    def _wait_for_wave(self, reset_request: ResetRequest) -> Flow[None]:
        """Wait until the next wave, or more of this one, may go out, listening for a stop."""
        waves = self.order.waves
        if waves is None:
            return
        now: Moment = yield Now()
        start = waves.next_start(now.utc, self.last_start if reset_request.begins_wave else None)
        why = f"the next wave goes out at {start:%Y-%m-%d %H:%M} UTC"
        yield from wait_until(start, why, check=self._check_stop if self.order.is_stoppable else None)
        if reset_request.begins_wave:
            self.last_start = start

    def _wait_to_try_again(
        self, people: Sequence[PlannedReset], again: TryAgainError, waited: float
    ) -> Flow[float]:
        """Wait as the server asks, after a request that is known to have had no effect; for how long.

        Only these waits count towards the time for trying: the readings between them have bounds of their own.
        """
        now: Moment = yield Now()
        most = self.preflight.calls.max_retry_seconds
        left = most - waited
        if again.wait > left:
            error = out_of_time(again.error, again.wait, most)
            raise self.stops.give_up(people, error, now.utc) from again.error.__cause__
        jitter = min(again.wait / 4, left - again.wait)
        yield from self._guarded(people, _doing(Sleep(again.wait, jitter=jitter, why=str(again.error))))
        slept: Moment = yield Now()
        return slept.monotonic - now.monotonic

    def _read_again(self, calls: Calls, course: PlannedCourse, people: Sequence[PlannedReset]) -> Flow[None]:
        """Read these people just before they are sent, and leave out those who moved, or stop."""
        if not people:
            return
        yield from check_course(calls, course)
        everyone = self.order.server_side
        found = yield from read_rows(
            calls, course.id, None if everyone else [user.user_id for user in people]
        )
        rows = {(course.id, user_id): row for user_id, row in found.items()}
        self.last_seen = frozenset(found)
        names = changed_people(people, rows, self.preflight.traces)
        if everyone:  # a call for everyone would reach those too whom the plan does not know
            planned = {user.user_id for user in self.order.plan.users if user.course_id == course.id}
            names |= {
                (course.id, row.user_id): who(PlannedReset.of(row))
                for row in rows.values()
                if row.user_id not in planned
            }
        yield from self._leave_out(people, names, rows)

    def _leave_out(
        self,
        people: Sequence[PlannedReset],
        names: Mapping[Key, str],
        rows: Mapping[Key, ProgressRow],
    ) -> Flow[None]:
        known = () if self.order.server_side else self.moved.keys()  # no call for everyone leaves anybody out
        new = {key: name for key, name in names.items() if key not in known}
        if not new:
            return
        self.moved |= new
        # Who is unknown from an earlier request may have been moved by just that, and stays unknown.
        unknown = {key for key, user in self.tracker.outcomes.items() if user.outcome is Outcome.UNKNOWN}
        gone = [user for user in people if user.key in new and user.key not in unknown]
        changes = {
            user.key: change_of(user, rows.get(user.key), self.preflight.traces) or Code.MOVED
            for user in gone
        }
        for user in gone:
            code = changes[user.key]
            self.tracker.settle([user], Outcome.SKIPPED, LEFT_ALONE[code], code)
        if len(self.moved) > self.order.tolerance or self.order.server_side:
            renamed = [key for key, code in changes.items() if code is Code.IDENTITY_CHANGED]
            may_skip = not (self.order.server_side or self.tracker.sent_ids or self.tracker.requests)
            refuse_changed(
                self.order.plan,
                self.moved,
                cleared=all_cleared(people, rows, self.preflight.traces),
                renamed=renamed,
                may_skip=may_skip,
            )
        for course_id in {user.course_id for user in gone}:
            codes = {user.user_id: changes[user.key].value for user in gone if user.course_id == course_id}
            yield from self.recorder.note(SkippedUsers(course_id, codes))

    def _request(self, reset_request: ResetRequest, people: Sequence[PlannedReset]) -> Request:
        reference, proof = self.preflight.here.reference_server, self.preflight.proof
        known = () if proof is None else proof.refusals_without_effect
        return request_for(self.order, reset_request, people, reference=reference, without_effect=known)

    def _send(
        self, reset_request: ResetRequest, people: tuple[PlannedReset, ...], there: Preflight
    ) -> Flow[TryAgainError | None]:
        """Send these people of a piece; every step is in the journal before the next one is taken."""
        yield from self._guarded(people, _acting(partial(self._tell, "sending")))
        request = self._request(reset_request, people).numbered()
        key = key_for(self.order, request.body or b"")
        ids = tuple(user.user_id for user in people)
        last = self.order.named_last
        may_count = self.order.server_side and self.preflight.may_count_everyone
        here = len(self.last_seen) if may_count else None
        yield from self._guarded(
            people,
            self.recorder.note(Intent(reset_request.number, reset_request.course.id, ids, key, last, here)),
        )
        flight = self.stops.in_flight = InFlight(
            reset_request, people, request, named_last=last, in_course=here
        )
        flight.others_before = self.tracker.reached_others
        yield from self._guarded(people, self.stops.note_sent(flight))
        try:
            accept = partial(self._accept, flight)
            yield from there.calls.call(request, accept, once=flight.attempt)
            yield from self.stops.note_answer(flight)
            flight.refuse_larger_count()
        except GeneratorExit:
            raise
        except TryAgainError as again:
            yield from self._guarded(people, self.stops.note_refused(flight, again.error))
            self.stops.in_flight = None
            return again
        except BaseException as problem:
            raise_instead((yield from self.stops.settle(flight, problem)), problem)
        finally:
            self.has_sent = True
        self.stops.in_flight = None
        yield from _acting(partial(self._tell, "reset"))
        return None

    def _accept(self, flight: InFlight, answer: Response) -> None:
        """Settle the people of a request from its answer."""
        besides = len(flight.named_last)
        count = updated_by(answer, flight.people, besides=besides, silent=self.preflight.is_silent)
        flight.answer = Answer(count, answer.request_id)  # first of all: an interrupt may fall after it
        self.stops.settle_accepted(flight)

    def _read_back(self, reset_request: ResetRequest) -> Flow[None]:
        """After one call for everyone, believe only what can be seen: the server decided whom it reset, not the plan.

        A live service shows it up to 2 h later, so there it stays unknown until it is verified.
        """
        targets = reset_request.people
        rows = yield from read_rows(self.preflight.calls, reset_request.course.id, None)
        user_ids = [user.user_id for user in targets]
        calls, known = self.preflight.calls, self.preflight.traces
        traces = yield from traces_here(calls, reset_request.course.id, user_ids, rows, known)
        rules = EffectRules.of(self.order.plan, traces=traces)
        cleared = [user for user in targets if rules.sign(user, rows.get(user.user_id), None) is Sign.CLEARED]
        seen = {user.user_id for user in cleared}
        verdicts = {user.user_id: APPLIED if user.user_id in seen else UNDECIDED for user in targets}
        strangers = [row for user_id, row in rows.items() if user_id not in self.last_seen]
        now: Moment = yield Now()
        notes, others = self.preflight.traces.notes, tuple(row.user_id for row in strangers)
        yield from self.recorder.note(ReadBack(now.utc, reset_request.number, verdicts, notes, others))
        self.tracker.settle(cleared, Outcome.RESET)
        if strangers:
            self.tracker.note_others(others)
            names = some([who(PlannedReset.of(row)) for row in strangers])
            raise OutcomeUnknownError(
                f"the server accepted a reset of everyone, and meanwhile people who are not in the plan have come into "
                f"{reset_request.course.title!r}: {names}. They may have been reset too. {LOOK_INTO_IT}",
                reason=REACHED_OTHERS,
                metadata=tuple(("user_id", row.user_id) for row in strangers),
            )
        if len(cleared) < len(targets) and self.preflight.here.reference_server:
            raise OutcomeUnknownError(
                f"the server accepted a reset of everyone, but the feed shows only {len(cleared)} of "
                f"{number(len(targets), 'person', 'people')} of the plan at 0 %. Read the others' progress back"
            )

    def _guarded(self, people: Sequence[PlannedReset], flow: Flow[T]) -> Flow[T]:
        return (yield from self.stops.guarded(people, flow))

    def _tell(self, what: str) -> None:
        if self.order.on_progress is not None:
            settled = (Outcome.RESET, Outcome.UNKNOWN, Outcome.FAILED)
            done = sum(self.tracker.outcomes[user.key].outcome in settled for user in self.order.plan.targets)
            try:
                self.order.on_progress(Progress(what, done, len(self.order.plan.targets)))
            except Exception:  # a broken progress bar is no reason to stop half-way
                log.warning("on_progress failed", exc_info=True)


def _at_once(value: T) -> Flow[T]:
    """A flow that needs nothing."""
    yield from ()
    return value


def _acting(action: Callable[[], None]) -> Flow[None]:
    yield RunLocally(action, "tell how far it is")


def _doing(effect: Sleep) -> Flow[None]:
    yield effect
