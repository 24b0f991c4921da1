"""The requests of a reset: whom they reach, how they are divided, their body, and the count in the answer.

``ListedPeople`` and ``EveryoneOnCourse`` have each difference between requests that list people and one call that
resets everyone on a course (``server_side=True``).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from attrs import Attribute, evolve, field, frozen

from training_sdk._core import argument_checks, codec, urls
from training_sdk._core.flow import Request, Response
from training_sdk._core.model import Key
from training_sdk.api.pagination import chunked
from training_sdk.api.progress import ProgressRow
from training_sdk.approval.approvals import Approval
from training_sdk.errors import DecodingError, ErrorInfo, InvalidArgumentError, Remedy, TrainingError
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import PlannedCourse, PlannedReset
from training_sdk.plans.wording import COMPLETED_ONLY, number, who
from training_sdk.records.journal_state import APPLIED, NOT_APPLIED, UNDECIDED, JournalState
from training_sdk.resets.waves import Waves, restored
from training_sdk.safeguards import ResetFormat, Safeguards, is_function, is_truth

T = TypeVar("T")


class ListedPeople:
    """Requests that list the people whom they reset, and reach only these."""

    skips_changed = True
    """True if people whose progress has changed can be skipped."""
    is_read_back = False
    """True if the feed must show, before the end of the run, whom a request has reset."""

    def split(self, people: Sequence[T], wave: int, most: int) -> Iterator[tuple[Sequence[T], bool]]:
        """Divide the people of one course into requests, each with whether it begins a wave."""
        for whole in chunked(people, wave):
            for place, part in enumerate(chunked(whole, most)):
                yield part, place == 0

    def body(self, form: ResetFormat, course_id: str, user_ids: Sequence[str]) -> dict[str, Any]:
        """Return the body of a request."""
        return form.listed(course_id, user_ids)

    def refusals_without_effect(self, listed: int, proven: Collection[int]) -> frozenset[int] | None:
        """Return the statuses of refusals that are certain to have had no effect; None for all of them."""
        return frozenset(proven) if listed > 1 else None

    def to_compare(
        self, course: Sequence[PlannedReset], left: Sequence[PlannedReset], idle: Sequence[PlannedReset]
    ) -> Sequence[PlannedReset]:
        """Return who must be as planned before a request, of everyone planned on its course."""
        return [*left, *idle]

    def to_read(self, user_ids: Sequence[str]) -> Sequence[str] | None:
        """Return whose rows are read; None for the whole course."""
        return user_ids

    def unplanned(self, rows: Mapping[Key, ProgressRow], planned: Collection[Key]) -> dict[Key, str]:
        """Return the people outside the plan whom a request would reach, with their names."""
        return {}

    def after_acceptance(self, count: int | None) -> tuple[Outcome, str | None, Code | None]:
        """Return the outcome of people whose request was accepted with this count."""
        if count is None:
            return Outcome.UNKNOWN, "accepted, but not counted in the answer", Code.COUNT_UNKNOWN
        return Outcome.RESET, None, None

    def certain(self, verdicts: Mapping[str, str]) -> dict[str, str]:
        """Return what reading back has shown of one request, as far as it is certain."""
        return dict(verdicts)

    def may_repeat(self, named: int, targets: int) -> bool:
        """Return whether a request that named so many of the targets would reach the same people again."""
        return True

    def sendable(
        self, free: Sequence[PlannedReset], targets: Sequence[PlannedReset]
    ) -> tuple[list[PlannedReset], list[PlannedReset]]:
        """Divide the people who are left to do into those who can be sent, and those who cannot."""
        return list(free), []


class EveryoneOnCourse(ListedPeople):
    """One call for a course resets everyone on it: no person can be skipped, and the server decides whom it resets."""

    skips_changed = False
    is_read_back = True

    def split(self, people: Sequence[T], wave: int, most: int) -> Iterator[tuple[Sequence[T], bool]]:
        """Return one request for all of them."""
        yield people, True

    def body(self, form: ResetFormat, course_id: str, user_ids: Sequence[str]) -> dict[str, Any]:
        """Return the body, which has no list of people."""
        return form.for_everyone(course_id)

    def refusals_without_effect(self, listed: int, proven: Collection[int]) -> frozenset[int] | None:
        """Return no status: a service could refuse the call after it has reset some people."""
        return frozenset()

    def to_compare(
        self, course: Sequence[PlannedReset], left: Sequence[PlannedReset], idle: Sequence[PlannedReset]
    ) -> Sequence[PlannedReset]:
        """Return everyone planned on the course, whom the call reaches."""
        return course

    def to_read(self, user_ids: Sequence[str]) -> Sequence[str] | None:
        """Return None: the whole course is read."""
        return None

    def unplanned(self, rows: Mapping[Key, ProgressRow], planned: Collection[Key]) -> dict[Key, str]:
        """Return the people on the course who are not in the plan."""
        return {key: who(PlannedReset.of(row)) for key, row in rows.items() if key not in planned}

    def after_acceptance(self, count: int | None) -> tuple[Outcome, str | None, Code | None]:
        """Return unknown: the result is read back."""
        return Outcome.UNKNOWN, "accepted for everyone, but not read back yet", Code.NOT_SEEN

    def certain(self, verdicts: Mapping[str, str]) -> dict[str, str]:
        """Return the verdicts; if one person is reset, the call took effect, and the others are undecided."""
        return without_not_applied(verdicts) if APPLIED in verdicts.values() else dict(verdicts)

    def may_repeat(self, named: int, targets: int) -> bool:
        """Return whether all targets were named: older versions left people out whom the call would reach."""
        return named >= targets

    def sendable(
        self, free: Sequence[PlannedReset], targets: Sequence[PlannedReset]
    ) -> tuple[list[PlannedReset], list[PlannedReset]]:
        """Divide them by whether everyone in their course is left to do: one call would reach the others again."""
        keys = {user.key for user in free}
        held = {user.course_id for user in targets if user.key not in keys}
        return (
            [user for user in free if user.course_id not in held],
            [user for user in free if user.course_id in held],
        )


def without_not_applied(verdicts: Mapping[str, str]) -> dict[str, str]:
    """Return the verdicts with "not applied" as undecided."""
    return {user_id: UNDECIDED if said == NOT_APPLIED else said for user_id, said in verdicts.items()}


LISTED, EVERYONE = ListedPeople(), EveryoneOnCourse()


MOST_PER_REQUEST = 1000
"""The largest number of people in one request."""

NOBODY_COMPLETED = (
    "None of them had completed the course: the service may reset only people who have completed the course. "
    "Prove the format with a person who has completed the course."
)
UNDIVIDED = ErrorInfo(
    "One call for everyone of a course cannot be divided into requests. Nothing was sent.",
    argument="per_request",
    remedy=Remedy("undivided", "Leave out server_side or per_request."),
)


def checked_per_request(number: object, *, server_side: bool = False) -> int | None:
    """Return the number of people in one request, or None. Raises InvalidArgumentError."""
    if number is None:
        return None
    if type(number) is not int or not 1 <= number <= MOST_PER_REQUEST:
        raise argument_checks.refusal(
            "per_request", f"must be a number of people from 1 to {MOST_PER_REQUEST}, not {number!r}."
        )
    if server_side:
        raise InvalidArgumentError(UNDIVIDED)
    return number


def is_count(_: object, attribute: Attribute[int], value: object) -> None:
    """Raise InvalidArgumentError for a value that is not a number of people."""
    if type(value) is not int or value < 0:
        problem = f"must be a number of people from 0 up, not {value!r}."
        raise argument_checks.refusal(attribute.name, problem)


@frozen
class Order:
    """A confirmed plan, and the options for sending it."""

    plan: ResetPlan
    format: ResetFormat
    reason: str | None = None
    ticket: str | None = None
    server_side: bool = False
    tolerance: int = field(default=0, validator=is_count)
    nonce: str = field(factory=lambda: secrets.token_hex(16))
    """The random input of the idempotency keys of this application: applying a plan again does not repeat keys."""
    safeguards: Safeguards = field(factory=Safeguards)
    approval: Approval | None = None
    waves: Waves | None = None
    per_request: int | None = None
    """The largest number of people in one request; None for the largest allowed number."""
    accept_missing_lessons: bool = field(default=False, validator=is_truth)
    """True if evidence may lack lessons that the progress rows say are completed."""
    require_surveys: bool = field(default=False, validator=is_truth)
    """True if evidence may not lack survey answers."""
    named_last: tuple[str, ...] = ()
    """Users outside the plan whom each request names last, and who cannot be reset: for a proof of refusals."""
    stop: Callable[[], bool] | None = field(default=None, validator=is_function)
    on_progress: Callable[[Progress], None] | None = field(default=None, validator=is_function)

    @property
    def recipients(self) -> ListedPeople:
        """The people that its requests reach."""
        return EVERYONE if self.server_side else LISTED


def order_as_started(order: Order, state: JournalState) -> Order:
    """Return the order with the settings of the journal; waves in the order take precedence."""
    opened = state.opened
    if opened is None:
        raise TrainingError("The journal has no beginning.")
    if opened.server_side and order.per_request is not None:
        raise InvalidArgumentError(
            "This plan was started as one call for everyone of a course, which cannot be divided into requests.",
            argument="per_request",
            remedy=Remedy("undivided_resume", "Leave out per_request."),
        )
    waves = order.waves
    if waves is None and opened.waves is not None:
        waves = restored(opened.waves)
    return evolve(
        order,
        nonce=opened.nonce,
        reason=opened.reason,
        ticket=opened.ticket,
        server_side=opened.server_side,
        tolerance=opened.tolerance,
        accept_missing_lessons=order.accept_missing_lessons or opened.accept_missing_lessons,
        require_surveys=order.require_surveys or opened.require_surveys,
        waves=waves,
        per_request=order.per_request or opened.chunk_size,
    )


@frozen
class Progress:
    """The progress of a reset: ``done`` of ``total`` people, once per course, in the step ``what``."""

    what: str
    done: int
    total: int


@frozen
class ResetRequest:
    """The people of one request, all of one course."""

    number: int
    course: PlannedCourse
    people: tuple[PlannedReset, ...]
    begins_wave: bool = True
    again: bool = False
    """Sent before without an answer; the reference server recognises it if it is sent exactly as it was."""


@frozen
class _Answer:
    users_updated: int | None = None


def _count_in(response: Response) -> int | None:
    """Return the count in an answer; None for an answer without one, an empty body, null, or an empty list."""
    if not response.body.strip():
        return None
    said = codec.loads(response)
    return codec.structure({} if said is None or said == [] else said, _Answer, response).users_updated


def divide(
    order: Order, people: Sequence[PlannedReset] | None = None, *, first: int = 0
) -> list[ResetRequest]:
    """Divide the targets, or these of them, by course into requests, numbered from ``first``."""
    wave = MOST_PER_REQUEST if order.waves is None else min(MOST_PER_REQUEST, order.waves.size)
    most = min(wave, order.per_request or wave)
    by_course: dict[str, list[PlannedReset]] = {course.id: [] for course in order.plan.courses}
    for user in order.plan.targets if people is None else people:
        by_course[user.course_id].append(user)
    parts = [
        (course, tuple(part), begins)
        for course in order.plan.courses
        if (here := by_course[course.id])
        for part, begins in order.recipients.split(here, wave, most)
    ]
    return [
        ResetRequest(number, course, part, begins)
        for number, (course, part, begins) in enumerate(parts, first)
    ]


def request_for(
    order: Order,
    reset_request: ResetRequest,
    people: Sequence[PlannedReset],
    *,
    reference: bool,
    without_effect: Collection[int] = (),
) -> Request:
    """Return the HTTP request; only the reference server gets the two headers that no other knows.

    A service could refuse it after it has reset some of several people. A refusal of several listed people is certain
    to have had no effect only if its status is ``without_effect`` by the proof of the service.
    """
    course = reset_request.course
    listed = [*(user.user_id for user in people), *order.named_last]
    recipients = order.recipients
    body = codec.dumps(recipients.body(order.format, course.id, listed))
    headers: tuple[tuple[str, str], ...] = ()
    if reference:
        headers = (
            ("reset-confirmation", json.dumps({"courseTitle": course.title, "users": len(people)})),
            ("idempotency-key", key_for(order, body)),
        )
    return Request(
        "POST",
        urls.RESET_PATH,
        body=body,
        headers=headers,
        repeatable=False,
        final_refusals=recipients.refusals_without_effect(len(listed), without_effect),
    )


def key_for(order: Order, body: bytes) -> str:
    """Return the idempotency key: the same people sent again by the same application have the same key."""
    return hashlib.sha256(order.nonce.encode("ascii") + body).hexdigest()[:32]


def read_reset_count(
    response: Response, people: Sequence[PlannedReset], *, besides: int = 0, silent: bool = False
) -> int | None:
    """Return the number of people that the server reset, by its answer; None if it is known to be ``silent`` about it.

    ``besides`` is the number of other people whom the request named.

    The number may be larger than the number that was sent. Raises DecodingError if it is smaller, with a hint if the
    service seems to reset completed people only.
    """
    updated, expected = _count_in(response), len(people) + besides
    if (updated is None and silent) or (updated is not None and updated >= expected):
        return updated
    said = "has no count" if updated is None else f"counts {number(updated, 'person', 'people')} as reset"
    completed = sum(user.completed_at is not None for user in people)
    hint = ""
    if updated == completed:
        hint = (
            f" This is the number of people who had completed the course. {COMPLETED_ONLY}"
            if updated
            else f" {NOBODY_COMPLETED}"
        )
    raise DecodingError(
        f"{number(expected, 'person was', 'people were')} sent, and the answer {said}.{hint}",
        request_id=response.request_id,
    )
