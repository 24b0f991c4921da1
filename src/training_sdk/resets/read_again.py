"""Reading everyone again: once with the evidence, and last of all before each request, with no wait after it.

People whose progress or identity has changed since the plan are skipped, or stop the reset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from attrs import define, field

from training_sdk._core.flow import (
    DrawToken,
    Family,
    Flow,
    Moment,
    Now,
    Pace,
    Request,
    Response,
    noting_waits,
)
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk.api.pagination import LARGEST_PAGE
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import APITimeoutError, OutcomeUnknownError
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.changes import all_cleared, change_of, changed_people, check_course, refuse_changed
from training_sdk.plans.planned import PlannedCourse, PlannedReset
from training_sdk.plans.reading import check_origin, check_same_user, kept_fields_here, read_origin, read_rows
from training_sdk.plans.reset_effect import EffectRules, RowState
from training_sdk.plans.wording import LOOK_INTO_IT, RESUME, number, some, who
from training_sdk.records.events import ReadBack, SkippedUsers
from training_sdk.records.journal_state import APPLIED, UNDECIDED
from training_sdk.reports.report import LEFT_ALONE, REACHED_OTHERS
from training_sdk.resets.outcomes import OutcomeTracker
from training_sdk.resets.preflight import Preflight
from training_sdk.resets.recorder import Recorder
from training_sdk.resets.reset_request import ResetRequest

T = TypeVar("T")

MOST_LOOKS = 3


@define
class Rereader:
    """Reads the people of a plan again, and knows who was skipped because they have changed."""

    preflight: Preflight
    recorder: Recorder
    tracker: OutcomeTracker
    changed: dict[Key, str] = field(factory=dict)
    """The people who are skipped, with their names."""
    idle: Sequence[PlannedReset] = ()
    """People of the present course with nothing to reset, until they have been read again."""
    on_course: frozenset[str] = frozenset()
    """The user ids of everyone on the course at the last reading."""

    def left_of(self, request: ResetRequest) -> tuple[PlannedReset, ...]:
        """Return the people of a request who are not skipped."""
        return tuple(user for user in request.people if user.key not in self.changed)

    def before_request(self, request: ResetRequest) -> Flow[Preflight]:
        """Read for the last time before a request; return the calls by which it must follow at once."""
        people = sum(not user.left_out for user in self._planned_in(request.course))
        look = partial(self._look, request)
        _, there = yield from read_without_waiting(self.preflight, slots_for(people), look)
        self.idle = ()
        return there

    def _look(self, request: ResetRequest, preflight: Preflight) -> Flow[None]:
        """Ask whose token it is that the request will carry, and read the people again.

        A token that a function returns may have become another organisation's or user's, above all while a wave
        was waited for.
        """
        here = yield from read_origin(preflight.plain)
        check_origin(self.preflight.order.plan, here, is_proved=preflight.proof is not None)
        check_same_user(self.preflight.here, here)
        planned = self._planned_in(request.course)
        people = self.preflight.order.recipients.to_compare(planned, self.left_of(request), self.idle)
        yield from self.read(preflight.calls, request.course, people)

    def _planned_in(self, course: PlannedCourse) -> list[PlannedReset]:
        return [user for user in self.preflight.order.plan.users if user.course_id == course.id]

    def unchanged(self, people: Sequence[PlannedReset]) -> Flow[list[PlannedReset]]:
        """Read these people again; return those whose progress is as planned."""
        for course in self.preflight.order.plan.courses:
            here = [user for user in people if user.course_id == course.id]
            yield from self.read(self.preflight.calls, course, here)
        return [user for user in people if user.key not in self.changed]

    def read(self, calls: Calls, course: PlannedCourse, people: Sequence[PlannedReset]) -> Flow[None]:
        """Read these people of a course again, and skip those who have changed. Raises StalePlanError for too many."""
        if not people:
            return
        yield from check_course(calls, course)
        recipients = self.preflight.order.recipients
        found = yield from read_rows(calls, course.id, recipients.to_read([user.user_id for user in people]))
        self.on_course = frozenset(found)
        rows = {(course.id, user_id): row for user_id, row in found.items()}
        planned = {user.key for user in self._planned_in(course)}
        yield from self.compare(people, rows, recipients.unplanned(rows, planned))

    def compare(
        self,
        people: Sequence[PlannedReset],
        rows: Mapping[Key, ProgressRow],
        unplanned: Mapping[Key, str] | None = None,
    ) -> Flow[None]:
        """Skip the people whose rows differ from the plan. Raises StalePlanError where too many do.

        ``unplanned`` are people outside the plan whom the request would reach.
        """
        order, kept_fields, tracker = self.preflight.order, self.preflight.kept_fields, self.tracker
        skips = order.recipients.skips_changed
        names = {**changed_people(people, rows, kept_fields), **(unplanned or {})}
        new = {key: name for key, name in names.items() if not (skips and key in self.changed)}
        if not new:
            return
        self.changed |= new
        # A person whose result is unknown may have been changed by that very request, and stays unknown.
        unknown = {key for key, user in tracker.outcomes.items() if user.outcome is Outcome.UNKNOWN}
        gone = [user for user in people if user.key in new and user.key not in unknown]
        codes = {user.key: change_of(user, rows.get(user.key), kept_fields) or Code.MOVED for user in gone}
        for user in gone:
            code = codes[user.key]
            tracker.set_outcome([user], Outcome.SKIPPED, LEFT_ALONE[code], code)
        if len(self.changed) > order.tolerance or not skips:
            refuse_changed(
                order.plan,
                self.changed,
                cleared=all_cleared(people, rows, kept_fields),
                renamed=[key for key, code in codes.items() if code is Code.IDENTITY_CHANGED],
                may_skip=skips and not (tracker.sent_ids or tracker.requests),
            )
        for course_id in {user.course_id for user in gone}:
            here = {user.user_id: codes[user.key].value for user in gone if user.course_id == course_id}
            yield from self.recorder.note(SkippedUsers(course_id, here))

    def read_back(self, request: ResetRequest) -> Flow[None]:
        """Read the course back after one call for everyone: the server decided whom it reset, not the plan.

        A live service shows it up to 2 h later, so there it stays unknown until it is verified.
        """
        targets, course_id, calls = request.people, request.course.id, self.preflight.calls
        known = self.preflight.kept_fields
        rows = yield from read_rows(calls, course_id, None)
        kept_fields = yield from kept_fields_here(
            calls, course_id, [user.user_id for user in targets], rows, known
        )
        rules = EffectRules.of(self.preflight.order.plan, kept_fields=kept_fields)
        cleared = [
            user
            for user in targets
            if rules.row_state(user, rows.get(user.user_id), None) is RowState.CLEARED
        ]
        seen = {user.user_id for user in cleared}
        verdicts = {user.user_id: APPLIED if user.user_id in seen else UNDECIDED for user in targets}
        strangers = [row for user_id, row in rows.items() if user_id not in self.on_course]
        others = tuple(row.user_id for row in strangers)
        now: Moment = yield Now()
        yield from self.recorder.note(ReadBack(now.utc, request.number, verdicts, known.notes, others))
        self.tracker.set_outcome(cleared, Outcome.RESET)
        if strangers:
            self.tracker.note_others(others)
            names = some([who(PlannedReset.of(row)) for row in strangers])
            raise OutcomeUnknownError(
                "The server accepted a reset of everyone, and people who are not in the plan came into "
                f"{request.course.title!r} meanwhile: {names}. They may have been reset too. {LOOK_INTO_IT}",
                reason=REACHED_OTHERS,
                metadata=tuple(("user_id", user_id) for user_id in others),
            )
        if len(cleared) < len(targets) and self.preflight.here.reference_server:
            raise OutcomeUnknownError(
                f"The server accepted a reset of everyone, but the feed shows only {len(cleared)} of "
                f"{number(len(targets), 'person', 'people')} of the plan at 0 %. Read the progress of the others again."
            )


@define(eq=False)
class ReservedPace(Pace):
    """A pace whose requests are reserved in advance, so that none waits between a reading and the request after it."""

    inner: Pace
    left: Counter[Family] = field(factory=Counter)
    used: Counter[Family] = field(factory=Counter)

    def take(self, number: Mapping[Family, int]) -> Flow[None]:
        """Reserve this number of requests in each family of limits."""
        for family, turns in number.items():
            for _ in range(turns):
                yield from self.inner.acquire(Request("GET", "", limit=family))
                self.left[family] += 1

    def acquire(self, request: Request) -> Flow[float]:
        """Take a reserved request at once while any is left; then wait as usual."""
        self.used[request.limit] += 1
        if self.left[request.limit]:
            self.left[request.limit] -= 1
            return 0.0
        return (yield from self.inner.acquire(request))

    def observe(self, request: Request, response: Response) -> None:
        """Note the limits in an answer."""
        self.inner.observe(request, response)

    def flush(self) -> Flow[None]:
        """Do nothing: the next request passes on the limits that were noted."""
        yield from ()


def slots_for(people: int) -> Counter[Family]:
    """Return the number of requests to reset this number of people: WhoAmI, course, pages of the feed, the reset."""
    return Counter({"general": 2 + people // LARGEST_PAGE + 1, "catalogue": 1})


def read_without_waiting(
    preflight: Preflight, turns: Counter[Family], look: Callable[[Preflight], Flow[T]]
) -> Flow[tuple[T, Preflight]]:
    """Read with one token and reserved requests; return the result, and the preflight whose calls send the request.

    If the reading had to wait (for the rate limit, a 429 or a 503), it is repeated, three times in all. Then
    APITimeoutError is raised, and nothing was sent.
    """
    for _ in range(MOST_LOOKS):
        pace = ReservedPace(preflight.calls.pace)
        yield from pace.take(turns)
        token = yield DrawToken()
        found, has_waited = yield from noting_waits(look(preflight.by(token, pace)))
        if not has_waited:
            return found, preflight.by(token, preflight.calls.pace)
        pace.used["general"] += 1  # the request
        turns = turns | pace.used
    raise APITimeoutError(
        f"This client had to wait {MOST_LOOKS} times in a row between WhoAmI, the last reading and the request, so the "
        "reading was too old. Nothing was sent for these people. Try again when the service answers without delay.",
        reason="NO_QUIET_MOMENT",
        remedy=RESUME,
    )
