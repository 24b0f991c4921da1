"""The people that a request reaches: those that it lists, or everyone on the course.

``server_side=True`` chooses the second. Each difference between the two is one method here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from training_sdk._core.model import Key
from training_sdk.api.pagination import chunked
from training_sdk.api.progress import ProgressRow
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.wording import who
from training_sdk.records.journal_state import APPLIED, NOT_APPLIED, UNDECIDED

if TYPE_CHECKING:
    from training_sdk.reset_format import ResetFormat

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
