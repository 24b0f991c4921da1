"""Reading for plans and resets: server, organisation and user, and all rows of a course or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from attrs import evolve, frozen

from training_sdk._core.flow import ONLY_MARKED, Flow, Moment, Now, Request, Response
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls
from training_sdk._core.text import sentence
from training_sdk.api.analytics import CourseStatistics, statistics
from training_sdk.api.courses import Course
from training_sdk.api.progress import ProgressRow, progress_rows
from training_sdk.api.users import WHO_AM_I, Me, read_me
from training_sdk.errors import (
    ClockError,
    DecodingError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    PlanMismatchError,
    Remedy,
    TrainingError,
    UnconfirmedFormatError,
)
from training_sdk.plans.people_lookup import Rows
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.plans.reset_effect import KeptFields
from training_sdk.plans.wording import number
from training_sdk.records.journal import LARGEST_DIFFERENCE

UNCONFIRMED = (
    "{where} has not identified itself as the reference server, so nothing was sent. Only the path of a reset is "
    "published; the names of the fields in its body are assumed. A service that does not know the field that lists "
    "the users could drop it and reset everyone."
)
PROVE_THE_FORMAT = Remedy(
    "prove_first",
    "Prove the format on a test course first (client.resets.prove_format), or use the web app there.",
)
RESUME_AS_ONE_USER = Remedy(
    "resume_as_one_user", "Continue with a token of the first user: client.resets.resume(plan, confirm=…)."
)


@frozen
class CurrentOrigin(Origin):
    """The origin of a client's connection, from an answer to WhoAmI, and the clocks of both sides at that moment."""

    read_at: datetime
    """By this machine's clock, in UTC."""
    server_time: datetime | None = None
    """By the ``Date`` of the answer; None if it has none that can be read."""
    is_only_marked: bool = False
    """The answer had the header of the reference server, and not its identity."""

    @classmethod
    def of(cls, calls: Calls, me: Me, response: Response, read_at: datetime) -> CurrentOrigin:
        """Return the origin in an answer to WhoAmI."""
        return cls(
            str(calls.base_url),
            me.organisation_id,
            me.user_id,
            response.is_reference,
            read_at,
            response.date,
            response.is_only_marked,
        )

    @property
    def origin(self) -> Origin:
        """The part that a plan stores."""
        return Origin(self.base_url, self.organisation_id, self.user_id, self.reference_server)

    @property
    def time(self) -> datetime:
        """The time by the server; by this machine's clock if the answer has none."""
        return self.read_at if self.server_time is None else self.server_time

    def check_clock(self) -> None:
        """Raise ClockError if this machine's clock differs from the server's by more than LARGEST_DIFFERENCE."""
        apart = self.read_at - self.time
        if abs(apart) > LARGEST_DIFFERENCE:
            way = "ahead of" if apart > timedelta(0) else "behind"
            by = timedelta(seconds=round(abs(apart).total_seconds()))
            raise ClockError(
                f"This machine's clock is {by} {way} that of {self.base_url}, so this machine cannot tell "
                "what the service shows late. Nothing was sent. Set the clock.",
                reason="CLOCK_OFF",
            )


def read_origin(calls: Calls) -> Flow[CurrentOrigin]:
    """Return the owner of the token as ids, and the server that answers.

    REST: WhoAmI.
    """
    _, here = yield from read_me_and_origin(calls)
    return here


def read_me_and_origin(calls: Calls) -> Flow[tuple[Me, CurrentOrigin]]:
    """Return the owner of the token with the origin.

    REST: WhoAmI.
    """
    me, response = yield from calls.call(WHO_AM_I, lambda response: (read_me(response), response))
    now: Moment = yield Now()
    return me, CurrentOrigin.of(calls, me, response, now.utc)


def check_origin(plan: ResetPlan, here: Origin, *, is_proved: bool) -> None:
    """Raise unless the plan was made here, and on the reference server or a service whose format is proved."""
    check_same_origin(plan, here)
    if not here.reference_server and not is_proved:
        raise UnconfirmedFormatError(
            UNCONFIRMED.format(where=here.base_url) + _doubt(here), remedy=PROVE_THE_FORMAT
        )


def check_same_origin(plan: ResetPlan, here: Origin, *, done: str = "sent") -> None:
    """Raise PlanMismatchError, which says that nothing was ``done``, unless the plan was made here.

    Compared are the base URL, the organisation, and whether it is the reference server.
    """
    made = plan.origin
    for there, now, doubt in (
        (f"on {made.base_url}", f"on {here.base_url}", ""),
        (f"in organisation {made.organisation_id}", f"in organisation {here.organisation_id}", ""),
        (_kind(made), _kind(here), _doubt(here)),
    ):
        if there != now:
            raise PlanMismatchError(
                f"The plan was made {there}, but this client works {now}. Nothing was {done}.{doubt}"
            )


def check_same_user(begun: Origin, here: Origin) -> None:
    """Raise PlanMismatchError if the token belongs to another user than when this was begun."""
    if here.user_id != begun.user_id:
        raise PlanMismatchError(
            f"User {begun.user_id} started this, and the token now belongs to user {here.user_id}, so the records "
            "would name another user than the service. Nothing was sent for these people.",
            reason="TOKEN_OWNER_CHANGED",
            remedy=RESUME_AS_ONE_USER,
        )


def _kind(origin: Origin) -> str:
    return f"on {'the' if origin.reference_server else 'a service that is not the'} reference server"


def _doubt(here: Origin) -> str:
    return f" {sentence(ONLY_MARKED)}" if isinstance(here, CurrentOrigin) and here.is_only_marked else ""


# --- calls that check the server of each answer ---


@frozen
class ProvenCalls(Calls):
    """Calls that accept only answers of the reference server.

    WhoAmI alone proves too little: a gateway may route its path to one server and the training paths to another.
    """

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """Return an UnconfirmedFormatError if another server answers."""
        if response.is_reference:
            return None
        why = f" {sentence(ONLY_MARKED)}" if response.is_only_marked else ""
        if not request.repeatable:  # it has been sent, so the error must not say that nothing was sent
            return UnconfirmedFormatError(f"Another server than the reference server answered.{why}")
        where = f"The server that answers {request.path}"
        return UnconfirmedFormatError(UNCONFIRMED.format(where=where) + why, remedy=PROVE_THE_FORMAT)


@frozen
class LiveCalls(Calls):
    """Calls that refuse answers of the reference server: they prove nothing about a live service."""

    def doubt(self, request: Request, response: Response) -> TrainingError | None:
        """Return a PlanMismatchError if the reference server answers, or a server with its header."""
        if response.is_only_marked:
            return PlanMismatchError(
                f"The server that answers {request.path} cannot prove anything about a live service. "
                f"{sentence(ONLY_MARKED)}"
            )
        if response.is_reference:
            return PlanMismatchError(
                f"The reference server answered {request.path}, and it cannot prove anything about a live service. "
                "Check the base URL."
            )
        return None


# --- the rows of a course, and the number of its people ---


def read_rows(calls: Calls, course_id: str, user_ids: Sequence[str] | None) -> Flow[dict[str, ProgressRow]]:
    """Return the feed's rows of one course by user; the whole course is read unless ``user_ids`` has one user.

    Raises DecodingError (``LISTING_INCOMPLETE``) if some people are shown twice and others not at all, twice in a row.
    """
    single = user_ids[0] if user_ids is not None and len(user_ids) == 1 else None
    problem: str | None = None
    for _ in range(2):
        rows, repeated = yield from _read_once(calls, course_id, single)
        problem = (yield from _unstable(calls, course_id, rows, repeated)) if repeated else None
        if problem is None:
            return rows
    raise DecodingError(f"{problem} Nothing of it was used. Try again later.", reason=LISTING_INCOMPLETE)


def _read_once(calls: Calls, course_id: str, user_id: str | None) -> Flow[tuple[dict[str, ProgressRow], int]]:
    """Return the rows by user, and the number of rows that repeat a user."""
    found = yield from progress_rows(calls, course_id=course_id, user_id=user_id).gather()
    rows: dict[str, ProgressRow] = {}
    for row in found:
        known = rows.setdefault(row.user_id, row)
        if known is not row and PlannedReset.of(known) != PlannedReset.of(row):
            raise DecodingError(
                f"The progress feed shows user {row.user_id!r} twice, with different progress: it "
                "changed while it was read. Plan again."
            )
    return rows, len(found) - len(rows)


def _unstable(
    calls: Calls, course_id: str, rows: Mapping[str, ProgressRow], repeated: int
) -> Flow[str | None]:
    """Return the message if repeated rows replace rows of other people, else None.

    Rows that only repeat the end of the page before are no problem: the rows of all people come as well.
    """
    try:
        found = (yield from course_counts(calls, (course_id,))).get(course_id)
    except (PermissionDeniedError, NotFoundError, NotSupportedError):
        return None
    people, counted = len(rows), 0 if found is None else found.total_users
    if found is None or not people < counted <= people + repeated or others_have_nothing(found, rows):
        return None
    return (
        f"The progress feed shows {people} of the {counted} people in course {course_id!r}, and some of them twice: "
        "the order of its pages changed while they were read."
    )


def course_counts(calls: Calls, course_ids: Sequence[str]) -> Flow[dict[str, CourseStatistics]]:
    """Return the statistics of each course; they are read a second time if a course is missing."""
    counted: dict[str, CourseStatistics] = {}
    for _ in range(2):
        found = yield from statistics(calls, course_ids).gather()
        counted = {one.course_id: one for one in found}
        if counted.keys() >= set(course_ids):
            break
    return counted


def others_have_nothing(counted: CourseStatistics, rows: Mapping[str, ProgressRow]) -> bool:
    """Return whether people without a row have nothing recorded.

    They have not if no row is empty, and the rows have the numbers of people who opened and completed the course that
    the statistics count. Both are compared: it is assumed whether a completion counts as an opening.
    """
    opened = sum(row.opened_at is not None for row in rows.values())
    completed = sum(row.completed_at is not None for row in rows.values())
    return all(row.has_recorded_progress for row in rows.values()) and (
        counted.opened_count,
        counted.completed_count,
    ) == (opened, completed)


def kept_fields_here(
    calls: Calls,
    course_id: str,
    user_ids: Sequence[str],
    rows: Mapping[str, ProgressRow],
    kept_fields: KeptFields,
) -> Flow[KeptFields]:
    """Return what resets leave of rows, checked against this reading.

    A listing may end too early. So a missing row counts as vanished only if, by the statistics, people without a row
    have nothing recorded.
    """
    missing = [user_id for user_id in user_ids if user_id not in rows]
    if not kept_fields.row_vanishes or not missing:
        return kept_fields
    everyone = (yield from read_rows(calls, course_id, None)) if len(user_ids) == 1 else rows
    fits = yield from missing_have_nothing(calls, course_id, missing, everyone)
    return kept_fields if fits else evolve(kept_fields, row_vanishes=False)


def missing_have_nothing(
    calls: Calls, course_id: str, missing: Sequence[str], everyone: Mapping[str, ProgressRow]
) -> Flow[bool | None]:
    """Return whether people without a row have nothing recorded, by feed and statistics; None if these are refused."""
    if not everyone.keys().isdisjoint(missing):
        return False
    try:
        counted = (yield from course_counts(calls, (course_id,))).get(course_id)
    except (PermissionDeniedError, NotFoundError, NotSupportedError):
        return None
    except DecodingError:
        return False
    return counted is not None and others_have_nothing(counted, everyone)


NO_READ_RIGHT = (
    "This token can neither plan a reset nor list due people. Both read other people's progress, which needs "
    '"Training: Administration" (everyone) or "Training: Manage teams" (the owner\'s teams). '
    'The right to reset, "Platform management: Users", does not include it.'
)


def people_counted(calls: Calls, course_ids: Sequence[str]) -> Flow[dict[str, CourseStatistics]]:
    """Return the statistics. Raises PermissionDeniedError without the right to read, which the feed does not show."""
    try:
        return (yield from course_counts(calls, course_ids))
    except PermissionDeniedError as error:
        raise PermissionDeniedError(NO_READ_RIGHT, status=403, reason="READ_PERMISSION_MISSING") from error


def sees_everyone(calls: Calls, course_id: str, rows: Mapping[str, ProgressRow]) -> Flow[bool]:
    """Return whether this token sees all people that the statistics count, or all who have anything recorded."""
    try:
        one = (yield from course_counts(calls, (course_id,))).get(course_id)
    except PermissionDeniedError:
        return False
    if one is None:
        return False
    # A count of 0 may be one that was left out.
    is_whole = len(rows) >= one.total_users and (one.total_users > 0 or not rows)
    return is_whole or others_have_nothing(one, rows)


def about_narrow_view(calls: Calls, rows: Rows, what: str) -> Flow[tuple[str, ...]]:
    """Return warnings about courses that have more people than this token sees, who are missing in a list or file.

    Raises PermissionDeniedError without the right to read: then the feed shows the owner of the token alone.
    """
    try:
        counted = yield from people_counted(calls, tuple(rows))
    except (NotFoundError, NotSupportedError):
        return ()
    return tuple(
        f"Course {course_id!r} has {number(one.total_users, 'person', 'people')}, and this token sees the progress of "
        f"{len(here)}. The others are not in {what}."
        for course_id, here in rows.items()
        if (one := counted.get(course_id))
        and one.total_users > len(here)
        and not others_have_nothing(one, here)
    )


def refuse_narrow_view(calls: Calls, courses: Sequence[Course], rows: Rows) -> Flow[tuple[str, ...]]:
    """Raise unless this token sees everyone, or everyone with recorded progress; in the latter case return warnings."""
    counted = yield from people_counted(calls, [course.id for course in courses])
    warnings: list[str] = []
    for course in courses:
        one, here = counted.get(course.id), rows[course.id]
        if one is None:
            raise DecodingError(
                f"The statistics lack course {course.title!r}, also at a second reading, so it is not known whether "
                "this token sees everyone. Nothing was sent. Plan again later, or name the people.",
                reason=LISTING_INCOMPLETE,
            )
        people, seen = one.total_users, len(here)
        counted_here = f"{course.title!r} has {number(people, 'person', 'people')}"
        if here and people == 0:
            raise DecodingError(
                f"The statistics count no people in {course.title!r} ($.items[*].totalUsers is 0 or "
                f"missing), and the progress feed shows {number(seen, 'person', 'people')}, so it is not "
                "known whether this token sees everyone. Nothing was sent. Plan again later, or name "
                "the people."
            )
        if people > seen:
            if not others_have_nothing(one, here):
                raise PermissionDeniedError(
                    f"{counted_here}, but this token sees the progress of {seen}, so a plan for everyone would leave "
                    "people out. Nothing was sent. Plan with a token that sees all of them.",
                    reason="NARROW_VIEW",
                )
            warnings.append(
                f"{counted_here}, and the feed has rows of {seen}. By the statistics, the others "
                "have nothing recorded. If they start now, they are not in this plan."
            )
    return tuple(warnings)
