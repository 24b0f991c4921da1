"""What became visible of a reset: everyone who may have been reset, each pending, verified or contradicted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from training_sdk._visible import visible
from training_sdk.errors import IncompleteResetError
from training_sdk.models.keys import Key
from training_sdk.models.progress import ProgressRow
from training_sdk.resets.plan import PlannedReset
from training_sdk.resets.report import Outcome, ResetReport
from training_sdk.resets.wording import MOST_SHOWN, courses, shown


class Seen(StrEnum):
    """What the read side shows of somebody who was reset, or may have been."""

    PENDING = "pending"
    """Nothing yet that would tell."""
    VERIFIED = "verified"
    """They were seen at 0 %."""
    CONTRADICTED = "contradicted"
    """Something is recorded of them; the code says whether it is the old progress or new."""


class SeenCode(StrEnum):
    """Why somebody is not verified, for programs."""

    NOT_SEEN_YET = "NOT_SEEN_YET"
    """They stand as before, and a live service may still be showing the past."""
    NOT_SHOWN = "NOT_SHOWN"
    """The feed has no row of them: unassigned or deactivated meanwhile. What was recorded reappears if they return."""
    LESSONS_RECORDED = "LESSONS_RECORDED"
    """The feed shows them at 0 %, and their lessons do not."""
    STILL_RECORDED = "STILL_RECORDED"
    """The old progress is still there, longer after the reset than a live service shows the past."""
    BEGUN_AGAIN = "BEGUN_AGAIN"
    """The reset took effect, and they have begun the course since."""
    COMPLETE_AGAIN = "COMPLETE_AGAIN"
    """The reset took effect, and they have completed the course since."""


FINAL = {
    SeenCode.NOT_SEEN_YET: SeenCode.STILL_RECORDED,
    SeenCode.LESSONS_RECORDED: SeenCode.LESSONS_RECORDED,
}
"""What these turn into once nothing can be late any more; then they contradict."""


@frozen
class PersonSeen:
    """What was seen of one person in one course, last at ``at`` (UTC)."""

    course_id: str
    user_id: str
    state: Seen
    code: SeenCode | None
    at: datetime

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    @property
    def took_effect(self) -> bool:
        """Whether the reset was seen to have happened, whatever they have done since."""
        return self.state is Seen.VERIFIED or self.code in (SeenCode.BEGUN_AGAIN, SeenCode.COMPLETE_AGAIN)


@frozen
class Verification:
    """What became visible of a reset, for everyone in ``report`` who was reset or may have been. Times are UTC.

    ``lessons_read`` is of how many of them the lessons were read as well as the feed.
    """

    report: ResetReport
    people: tuple[PersonSeen, ...]
    started_at: datetime
    finished_at: datetime
    lessons_read: int

    @property
    def counts(self) -> Mapping[Seen, int]:
        """How many are in which state; once per course."""
        return {state: sum(one.state is state for one in self.people) for state in Seen}

    @property
    def is_verified(self) -> bool:
        """Whether everyone was seen at 0 %."""
        return all(one.state is Seen.VERIFIED for one in self.people)

    @property
    def left_unknown(self) -> int:
        """Of how many the report does not know whether they were reset; verifying leaves that as it is."""
        return self.report.counts[Outcome.UNKNOWN]

    def raise_for_unverified(self) -> None:
        """Raise IncompleteResetError, carrying the report, unless everyone was seen at 0 %."""
        if not self.is_verified:
            left = len(self.people) - self.counts[Seen.VERIFIED]
            raise IncompleteResetError(
                f"{left} of {len(self.people)} resets are not verified:\n{self}",
                reason="NOT_VERIFIED",
                report=self.report,
            )

    def __str__(self) -> str:
        said = ", ".join(f"{number} {state}" for state, number in self.counts.items() if number)
        lines = [f"{shown(courses(self.report.plan.courses))}: {said}"]
        names = {user.key: shown(user.name) or user.user_id for user in self.report.plan.users}
        others = [one for one in self.people if one.state is not Seen.VERIFIED]
        lines += [
            f"  - {names[one.key]}: {one.state}{f' ({one.code})' if one.code else ''}"
            for one in others[:MOST_SHOWN]
        ]
        if len(others) > MOST_SHOWN:
            lines.append(f"  … and {len(others) - MOST_SHOWN} more")
        if self.left_unknown:
            lines.append(
                f"  {self.left_unknown} are unknown in the report, and stay so here: client.resets.resume settles it"
            )
        return visible("\n".join(lines))

    def __repr__(self) -> str:
        return f"<Verification: {str(self).splitlines()[0]}>"


def judge(
    planned: PlannedReset, row: ProgressRow | None, *, reset_at: datetime, is_settled: bool
) -> tuple[Seen, SeenCode | None]:
    """What a row of the feed says of somebody who was to be reset at a time, and who stood so when it was planned.

    Only a reset takes away when somebody opened a course, so one that was opened later was reset in between.
    """
    if row is None:
        return Seen.PENDING, SeenCode.NOT_SHOWN
    if not row.has_recorded_progress:
        return Seen.VERIFIED, None
    if row.opened_at is not None and row.opened_at > (planned.opened_at or reset_at):
        return Seen.CONTRADICTED, SeenCode.COMPLETE_AGAIN if row.completed_at else SeenCode.BEGUN_AGAIN
    return settled(SeenCode.NOT_SEEN_YET, is_settled=is_settled)


def settled(code: SeenCode, *, is_settled: bool) -> tuple[Seen, SeenCode]:
    """Pending for this reason, or contradicted where nothing can be late any more."""
    if is_settled and code in FINAL:
        return Seen.CONTRADICTED, FINAL[code]
    return Seen.PENDING, code
