"""Verifying a reset: read progress and analytics until they show its effect. Nothing is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from os import PathLike

from attrs import define, evolve, field, frozen

from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls
from training_sdk._core.model import Key
from training_sdk.api.analytics import lessons_of_user
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import DecodingError, InvalidArgumentError, NotFoundError
from training_sdk.outcome import Outcome
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.plans.planner import no_kept_fields
from training_sdk.plans.reading import check_same_origin, kept_fields_here, read_origin, read_rows
from training_sdk.plans.reset_effect import (
    NO_KEPT_FIELDS,
    EffectRules,
    KeptFields,
    LessonsState,
    RowState,
    ask_lessons,
    resets_completed_only,
)
from training_sdk.plans.wording import COMPLETED_ONLY, short_digest, typed_digest
from training_sdk.records.journal import (
    PROCESSING_TIME,
    JournalCopy,
    RequestsInFlight,
    Since,
    journal_processing_time,
    waiting_time,
)
from training_sdk.records.journal_state import JournalState
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report import REACHED_OTHERS, ResetReport
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import Progress, is_count
from training_sdk.resets.unfinished import find_begun, report_in
from training_sdk.resets.verification_result import (
    PersonSeen,
    Verification,
    VerificationCode,
    VerificationState,
    judge,
    judge_lessons,
    settled,
    trained_again,
)
from training_sdk.resets.waves import wait_until
from training_sdk.safeguards import is_function

SLOWING = 3 / 2
SLOWEST = 6
"""Each wait is so much longer than the one before, up to so many times the first."""
TELLS_NO_MORE = (VerificationCode.NOT_SHOWN, VerificationCode.CANNOT_TELL)
MAY_BE_RESET = (Outcome.RESET, Outcome.UNKNOWN)


@frozen
class VerificationOptions:
    """Deadline, interval, and the number of people whose lessons are read too."""

    deadline: timedelta
    every: timedelta
    lessons: int = field(validator=is_count)
    on_progress: Callable[[Progress], None] | None = field(default=None, validator=is_function)
    processing_time: Callable[[Origin], timedelta] = lambda here: PROCESSING_TIME
    """For how long the service that was found may work on what it has accepted, as far as client and proofs know."""


def wait_until_verified(
    calls: Calls,
    report: ResetReport | str,
    watch: VerificationOptions,
    recorder: Recorder,
    find_kept_fields: Callable[[Origin], KeptFields] = no_kept_fields,
) -> Flow[Verification]:
    """Read until no person is pending whom another reading could settle, or until the deadline."""
    whole, journal, in_flight = yield RunLocally(lambda: _whole(recorder.path, report), "records: the report")
    is_finished = journal.closed is not None or (journal.opened is None and not whole.not_reset)
    people = _people(whole)
    here = yield from read_origin(calls)
    check_same_origin(whole.plan, here)
    kept_fields = KeptFields()
    if not here.reference_server:
        here.check_clock()
        kept_fields = yield RunLocally(lambda: find_kept_fields(here.origin), "proofs: what resets leave")
    yield RunLocally(
        lambda: recorder.attach(here), "records: open the audit log"
    )  # what cannot be logged is not begun
    known = yield RunLocally(lambda: watch.processing_time(here), "proofs: look for one")
    if journal.opened is not None:
        known = max(known, journal_processing_time(journal))
    wait = waiting_time(known)
    return (
        yield from VerificationRun(
            calls, whole, people, watch, recorder, here, is_finished, wait, in_flight, kept_fields
        ).run()
    )


def _whole(
    state_dir: str | PathLike[str] | None, report: ResetReport | str
) -> tuple[ResetReport, JournalState, RequestsInFlight]:
    """The report, and what the journal of its plan says here, of the requests too."""
    whole = saved_report(state_dir, report) if isinstance(report, str) else report
    copy = JournalCopy.of_plan(StateDirectory.existing(state_dir), whole.plan.digest)
    journal = copy.state()
    whole = evolve(whole, reached_others=max(whole.reached_others, journal.reached_others))
    return whole, journal, RequestsInFlight.of(copy.events, journal)


def saved_report(state_dir: str | PathLike[str] | None, digest: str) -> ResetReport:
    """Return the report of a plan by its digest, which may be whole or the tail of its phrase.

    Raises InvalidArgumentError if there is none on this machine, or more than one.
    """
    state = StateDirectory.existing(state_dir)
    beginning = typed_digest(digest)
    if beginning is None:
        raise InvalidArgumentError(
            f"digest must be the digest of a plan, such as a1b2-c3d4-e5f6-0718, not {digest[:80]!r}."
        )
    folder = None if state is None else find_begun(state, beginning)
    if state is None or folder is None:
        raise InvalidArgumentError(
            f"There is no report of plan #{short_digest(beginning)}: it was not applied on this machine."
        )
    return report_in(state, folder, datetime.now(UTC))[0]


def _people(report: ResetReport) -> tuple[PlannedReset, ...]:
    ended = {user.key: user.outcome for user in report.users}
    people = tuple(user for user in report.plan.targets if ended[user.key] in MAY_BE_RESET)
    if not people:
        raise InvalidArgumentError(
            "No person in this report was reset, so there is nothing to verify.",
            reason=REACHED_OTHERS if report.reached_others else None,
        )
    return people


@define
class VerificationRun:
    """One wait until the effect of a reset becomes visible."""

    calls: Calls
    report: ResetReport
    people: tuple[PlannedReset, ...]
    watch: VerificationOptions
    recorder: Recorder
    here: Origin
    is_finished: bool
    wait: timedelta
    """The time after a request in which the read side may show delayed data."""
    in_flight: RequestsInFlight
    kept_fields: KeptFields = NO_KEPT_FIELDS
    seen: dict[Key, PersonSeen] = field(factory=dict)
    lessons_read: int = 0

    def run(self) -> Flow[Verification]:
        """Read, wait, and read the pending people again."""
        started: Moment = yield Now()
        deadline, wait = started.utc + self.watch.deadline, self.watch.every
        while True:
            yield from self._look()
            now: Moment = yield Now()
            yield from self._tell()
            if now.utc >= deadline or not self._is_worth_waiting(now.utc):
                break
            later = [moment for moment in (deadline, *self._pending_until()) if moment > now.utc]
            yield from wait_until(
                min(now.utc + wait, *later), "Waiting until the service shows the effect of the reset"
            )
            wait = min(wait * SLOWING, self.watch.every * SLOWEST)
        found = Verification(
            self.report,
            tuple(self.seen[user.key] for user in self.people),
            started.utc,
            now.utc,
            self.lessons_read,
            self.is_finished,
            self._notes(),
        )
        yield from self._record(found)
        return found

    def _notes(self) -> tuple[str, ...]:
        """Return notes about ignored kept_fields, and about a service that resets completed people only."""
        seen = {key: one.state for key, one in self.seen.items()}
        reset = [user for user in self.people if seen[user.key] is VerificationState.VERIFIED]
        left = [user for user in self.people if seen[user.key] is VerificationState.CONTRADICTED]
        is_selective = len(reset) + len(left) == len(self.people) and resets_completed_only(reset, left)
        return (*self.kept_fields.notes, *((COMPLETED_ONLY,) if is_selective else ()))

    def _look(self) -> Flow[None]:
        pending = [user for user in self.people if self._is_pending(user.key)]
        sample = self._sample()
        for course in self.report.plan.courses:
            here = [user for user in pending if user.course_id == course.id]
            if here:
                yield from self._look_at(course.id, here, sample)

    def _look_at(self, course_id: str, people: Sequence[PlannedReset], sample: frozenset[Key]) -> Flow[None]:
        now: Moment = yield Now()  # before reading, so that an early reading never counts as a late one
        try:
            user_ids = [user.user_id for user in people]
            rows = yield from read_rows(self.calls, course_id, user_ids)
            kept_fields = yield from kept_fields_here(self.calls, course_id, user_ids, rows, self.kept_fields)
        except DecodingError as error:
            yield from self._leave_pending(people, error)
            return
        rules = EffectRules.of(
            self.report.plan, reference_server=self.here.reference_server, kept_fields=kept_fields
        )
        for user in people:
            row, is_settled = rows.get(user.user_id), now.utc >= self._settled_at(user)
            row_state = rules.row_state(user, row, self._since(user).last)
            state, code = judge(row_state, row, is_settled=is_settled)
            if row_state is RowState.CLEARED and user.key in sample:
                state, code = yield from self._look_at_lessons(user, is_settled=is_settled)
            elif code is VerificationCode.CANNOT_TELL or (
                row_state in (RowState.RETRAINED, RowState.COMPLETED_SINCE) and not rules.opening_is_first
            ):
                state, code = yield from self._ask_lessons(user, row, (state, code), is_settled=is_settled)
            self.seen[user.key] = PersonSeen(course_id, user.user_id, state, code, now.utc)

    def _since(self, user: PlannedReset) -> Since:
        """Return the times of the first and last request for a person; without a journal, of the application."""
        return self.in_flight.since(user.key) or Since(self.report.started_at, self.report.finished_at)

    def _settled_at(self, user: PlannedReset) -> datetime:
        """Return when the data of a person can no longer be delayed."""
        return self._since(user).last + self.wait

    def _pending_until(self) -> set[datetime]:
        return {self._settled_at(user) for user in self.people if self._is_pending(user.key)}

    def _leave_pending(self, people: Sequence[PlannedReset], error: DecodingError) -> Flow[None]:
        """Leave people pending whose listing was incomplete; raise any other error."""
        if error.reason != LISTING_INCOMPLETE:
            raise error
        now: Moment = yield Now()
        for user in people:
            self.seen[user.key] = PersonSeen(
                *user.key, VerificationState.PENDING, VerificationCode.NOT_WHOLE, now.utc
            )

    def _look_at_lessons(
        self, user: PlannedReset, *, is_settled: bool
    ) -> Flow[tuple[VerificationState, VerificationCode | None]]:
        try:
            lessons = yield from lessons_of_user(self.calls, user.user_id, user.course_id).gather()
        except NotFoundError:
            return VerificationState.PENDING, VerificationCode.NOT_SHOWN
        except DecodingError as error:
            if error.reason != LISTING_INCOMPLETE:
                raise
            return VerificationState.PENDING, VerificationCode.NOT_WHOLE
        state, code = judge_lessons(lessons, reset_at=self._since(user).first, is_settled=is_settled)
        self.lessons_read += state is VerificationState.VERIFIED
        return state, code

    def _ask_lessons(
        self,
        user: PlannedReset,
        row: ProgressRow | None,
        otherwise: tuple[VerificationState, VerificationCode | None],
        *,
        is_settled: bool,
    ) -> Flow[tuple[VerificationState, VerificationCode | None]]:
        """Decide by the lessons for a person whose row does not show whether the earlier progress is gone."""
        if self.watch.lessons == 0 or row is None:
            return otherwise
        old = yield from ask_lessons(self.calls, user, row, self._since(user))
        if old is LessonsState.UNKNOWN:
            return otherwise
        if old is not LessonsState.GONE:
            return settled(VerificationCode.LESSONS_RECORDED, is_settled=is_settled)
        self.lessons_read += 1
        return VerificationState.VERIFIED, trained_again(row)

    def _sample(self) -> frozenset[Key]:
        """Return whose lessons are read: everyone's, or a sample spread evenly over the plan."""
        most = self.watch.lessons
        if most == 0:
            return frozenset()
        step = -(-len(self.people) // most)
        return frozenset(user.key for user in self.people[::step])

    def _is_pending(self, key: Key) -> bool:
        return key not in self.seen or self.seen[key].state is VerificationState.PENDING

    def _is_worth_waiting(self, now: datetime) -> bool:
        """Return whether another reading could show more, once no data can be delayed any more."""
        pending = [user for user in self.people if self._is_pending(user.key)]
        return not all(
            now >= self._settled_at(user) and self.seen[user.key].code in TELLS_NO_MORE for user in pending
        )

    def _tell(self) -> Flow[None]:
        tell = self.watch.on_progress
        if tell is not None:
            done = sum(one.state is not VerificationState.PENDING for one in self.seen.values())
            yield RunLocally(lambda: tell(Progress("verify", done, len(self.people))), "tell how far it is")

    def _record(self, found: Verification) -> Flow[None]:
        counts = {state.value: number for state, number in found.counts.items()}
        codes = [one.code for one in found.people if one.code]
        facts = {
            "verification": counts,
            "codes": {code.value: codes.count(code) for code in sorted(set(codes))},
            "lessons_read": found.lessons_read,
            "never_sent": found.never_sent,
            "unknown": found.left_unknown,
            "reached_others": found.report.reached_others,
            "finished": found.is_finished,
        }
        event = "reset verified" if found.is_verified else "reset not verified"
        yield from self.recorder.remark(event, self.report, self.here, found.finished_at, **facts)
