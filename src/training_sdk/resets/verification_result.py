"""The result of a verification: each person who may have been reset is pending, verified or contradicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from attrs import field, frozen

from training_sdk._core.model import Key
from training_sdk._core.text import MOST_IN_HTML, inline, notebook_html, paragraphs_html, table_html, visible
from training_sdk.api.analytics import LessonProgress
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import IncompleteResetError
from training_sdk.outcome import Outcome
from training_sdk.plans.reset_effect import RowState
from training_sdk.plans.wording import (
    COMMANDS,
    LOOK_INTO_IT,
    MOST_SHOWN,
    ShellCommands,
    courses,
    number,
    others,
    shown,
    shown_of,
    who,
)
from training_sdk.reports.report import (
    LEFT_ALONE,
    PENDING_PROOF,
    REACHED_OTHERS,
    SENT_WITHOUT_EFFECT,
    ResetReport,
    UserOutcome,
)


class VerificationState(StrEnum):
    """The state of a person who was reset, or may have been, by the read side."""

    PENDING = "pending"
    """The data does not show the result yet."""
    VERIFIED = "verified"
    """They were seen at 0 %, or have started or completed the course again since; the code shows which."""
    CONTRADICTED = "contradicted"
    """The old progress is still recorded."""


Seen = VerificationState
"""The earlier name of ``VerificationState``."""


class VerificationCode(StrEnum):
    """The reason why a person is not verified, or their progress since the reset, for programs."""

    NOT_SEEN_YET = "NOT_SEEN_YET"
    """They are as before, and a live service may still show delayed data."""
    NOT_SHOWN = "NOT_SHOWN"
    """The feed has no row of them: unassigned or deactivated meanwhile. Their progress reappears if they return."""
    NOT_WHOLE = "NOT_WHOLE"
    """A listing had fewer items than the service counts, so it proves nothing. Verify again."""
    CANNOT_TELL = "CANNOT_TELL"
    """Their progress changed since, and nothing shows whether the reset came before. Reading again does not help."""
    LESSONS_RECORDED = "LESSONS_RECORDED"
    """Lessons of before are recorded, though the feed shows them at 0 % or trained again."""
    STILL_RECORDED = "STILL_RECORDED"
    """The old progress is still there, longer after the reset than the data of a live service is delayed."""
    BEGUN_AGAIN = "BEGUN_AGAIN"
    """The reset took effect, and they have begun the course since."""
    COMPLETE_AGAIN = "COMPLETE_AGAIN"
    """The reset took effect, and they have completed the course since."""


SeenCode = VerificationCode
"""The earlier name of ``VerificationCode``."""


FINAL = {
    VerificationCode.NOT_SEEN_YET: VerificationCode.STILL_RECORDED,
    VerificationCode.LESSONS_RECORDED: VerificationCode.LESSONS_RECORDED,
}
"""The codes that replace these once no data can be delayed any more; the person is then contradicted."""


@frozen
class PersonSeen:
    """The state of one person in one course, last read at ``at`` (UTC)."""

    course_id: str
    user_id: str
    state: VerificationState
    code: VerificationCode | None
    at: datetime

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    @property
    def took_effect(self) -> bool:
        """True if the reset was seen to have taken effect, even if the person has new progress since."""
        return self.state is VerificationState.VERIFIED


@frozen
class Verification:
    """The verification of everyone in ``report`` who was reset or may have been. Times are UTC.

    ``lessons_read`` is the number of people whose lessons were read, in addition to the feed. ``is_finished`` is True
    if the plan was applied to its end when the report was read.
    """

    report: ResetReport
    people: tuple[PersonSeen, ...]
    started_at: datetime
    finished_at: datetime
    lessons_read: int
    is_finished: bool = True
    notes: tuple[str, ...] = ()
    """Sentences about fields that the service keeps after a reset, and whether it resets completed people only."""
    commands: ShellCommands | None = field(default=None, repr=False, eq=False)
    """The commands that the text names; None for the methods of the client."""

    @property
    def counts(self) -> Mapping[VerificationState, int]:
        """The number of people by state, once per course."""
        return {state: sum(one.state is state for one in self.people) for state in VerificationState}

    @property
    def retrained(self) -> tuple[PersonSeen, ...]:
        """The people who are verified because they have started or completed the course again since the reset."""
        return tuple(
            one for one in self.people if one.state is VerificationState.VERIFIED and one.code is not None
        )

    @property
    def is_verified(self) -> bool:
        """True if the plan ended, reset exactly its targets, and everyone was seen at 0 % or with newer progress."""
        seen = all(one.state is VerificationState.VERIFIED for one in self.people)
        return seen and self.is_finished and self.report.is_complete

    @property
    def never_sent(self) -> int:
        """The number of targets that no request contained, without those that changed since the plan was made."""
        return sum(user.outcome is Outcome.SKIPPED and user.code not in LEFT_ALONE for user in self._targets)

    @property
    def left_unknown(self) -> int:
        """The number of people whose result is unknown in the report; verifying does not change it."""
        return self.report.counts[Outcome.UNKNOWN]

    def raise_for_unverified(self) -> None:
        """Raise IncompleteResetError, with the report, unless everyone in the plan is verified."""
        if self.report.reached_others:
            raise IncompleteResetError(
                f"{others(self.report.reached_others)}.\n{self}", reason=REACHED_OTHERS, report=self.report
            )
        if not self.is_verified:
            reset = {user.key for user in self._targets if user.outcome is Outcome.RESET}
            verified = sum(
                one.state is VerificationState.VERIFIED and one.key in reset for one in self.people
            )
            total = len(self.report.plan.targets)
            raise IncompleteResetError(
                f"{total - verified} of {number(total, 'reset')} not verified.\n{self}",
                reason="NOT_VERIFIED",
                report=self.report,
            )

    def __str__(self) -> str:
        return self.listing(MOST_SHOWN)

    def listing(self, page: int) -> str:
        """Return the text of ``str``, with all people who are not verified if there are at most ``page``."""
        lines = [self._headline]
        names = {user.key: who(user) for user in self.report.plan.users}
        others = [one for one in self.people if one.state is not VerificationState.VERIFIED]
        most = shown_of(len(others), page)
        lines += [
            f"  - {names[one.key]}: {one.state}{f' ({one.code})' if one.code else ''}"
            for one in others[:most]
        ]
        if len(others) > most:
            lines.append(f"  … and {len(others) - most} more")
        lines += [f"  {inline(line)}" for line in (*self._not_reset(), *self.notes)]
        return visible("\n".join(lines))

    def _repr_html_(self) -> str:
        names = {user.key: who(user) for user in self.report.plan.users}
        people = sorted(self.people, key=lambda one: one.state is VerificationState.VERIFIED)
        rows = ((names[one.key], one.course_id, one.state, one.code, one.at) for one in people)
        table = table_html(("person", "course", "state", "code", "read at (UTC)"), rows)
        left = len(people) - MOST_IN_HTML
        below = [*([f"… and {left} more"] if left > 0 else []), *self._not_reset(), *self.notes]
        return notebook_html(f"{paragraphs_html([self._headline])}{table}{paragraphs_html(below)}")

    @property
    def _headline(self) -> str:
        said = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        since = ", ".join(f"{count} {what}" for what, count in self._since.items() if count)
        again = f" (trained again since: {since})" if since else ""
        return f"{shown(courses(self.report.plan.courses))}: {said}{again}"

    @property
    def _targets(self) -> tuple[UserOutcome, ...]:
        targets = {user.key for user in self.report.plan.targets}
        return tuple(user for user in self.report.users if user.key in targets)

    def _not_reset(self) -> Iterator[str]:
        """Yield a line for each reason why people of the plan are not known to have been reset, with the remedy."""
        total = len(self.report.plan.targets)
        again, digest = "Plan again for those who are left.", self.report.plan.short_digest
        shell = self.commands or COMMANDS
        named = digest if shell.plan == COMMANDS.plan else ""
        resume = shell.resume(named) if self.commands else "client.resets.resume(plan, confirm=…)"
        remedy = f"The plan is closed. {again}" if self.is_finished else f"Continue with {resume}."
        if not self.is_finished and not self.left_unknown:
            remedy += f" If their progress has changed since, close the plan: {shell.close(named)}. {again}"
        if self.report.reached_others:
            yield f"{others(self.report.reached_others)}. {LOOK_INTO_IT}"
            remedy = again = "Nothing more is sent for this plan."
        refused = sum(user.outcome is Outcome.FAILED for user in self._targets)
        changed = sum(user.code in LEFT_ALONE for user in self._targets)
        in_vain = sum(user.detail == SENT_WITHOUT_EFFECT for user in self._targets)
        proofs = sum(user.detail == PENDING_PROOF for user in self._targets)
        for count, what, advice in (
            (
                proofs,
                PENDING_PROOF,
                "Prove the format again with the same course and person. Nothing is sent again.",
            ),
            (self.never_sent - in_vain, "never sent", remedy),
            (in_vain, "sent without effect", remedy),
            (refused, "refused by the service", remedy),
            (
                self.left_unknown - proofs,
                "left unknown in the report, and verifying does not change that",
                remedy,
            ),
            (changed, "skipped because the progress or the person changed after the plan was made", again),
        ):
            if count:
                yield f"{count} of {number(total, 'reset')} {'was' if count == 1 else 'were'} {what}. {advice}"
        if not self.report.not_reset and not self.is_finished:
            yield f"The plan was not applied to its end. {remedy}"

    @property
    def _since(self) -> Mapping[str, int]:
        codes = [one.code for one in self.retrained]
        return {
            "begun": codes.count(VerificationCode.BEGUN_AGAIN),
            "completed": codes.count(VerificationCode.COMPLETE_AGAIN),
        }

    def __repr__(self) -> str:
        return f"<Verification: {str(self).splitlines()[0]}>"


def judge(
    row_state: RowState, row: ProgressRow | None, *, is_settled: bool
) -> tuple[VerificationState, VerificationCode | None]:
    """Return the state of a person by the feed alone."""
    if row_state is RowState.NO_ROW:
        return VerificationState.PENDING, VerificationCode.NOT_SHOWN
    if row_state is RowState.CLEARED:
        return VerificationState.VERIFIED, None
    if row_state is RowState.RETRAINED:
        return VerificationState.VERIFIED, trained_again(row)
    if row_state in (RowState.UNCLEAR, RowState.COMPLETED_SINCE, RowState.LIKE_BEFORE) and is_settled:
        return VerificationState.PENDING, VerificationCode.CANNOT_TELL
    return settled(VerificationCode.NOT_SEEN_YET, is_settled=is_settled)


def trained_again(row: ProgressRow | None) -> VerificationCode:
    """Return the code for progress since the reset."""
    is_complete = row is not None and row.completed_at is not None
    return VerificationCode.COMPLETE_AGAIN if is_complete else VerificationCode.BEGUN_AGAIN


def judge_lessons(
    lessons: Sequence[LessonProgress], *, reset_at: datetime, is_settled: bool
) -> tuple[VerificationState, VerificationCode | None]:
    """Return the state by the lessons of a person at 0 % in the feed: lessons opened after the reset are new."""
    recorded = [lesson for lesson in lessons if lesson.completed or lesson.percentage_completed]
    if not recorded:
        return VerificationState.VERIFIED, None
    if all(lesson.opened_date_time and lesson.opened_date_time > reset_at for lesson in recorded):
        return VerificationState.VERIFIED, VerificationCode.BEGUN_AGAIN
    return settled(VerificationCode.LESSONS_RECORDED, is_settled=is_settled)


def settled(code: VerificationCode, *, is_settled: bool) -> tuple[VerificationState, VerificationCode]:
    """Return pending with this code, or contradicted once no data can be delayed any more."""
    if is_settled and code in FINAL:
        return VerificationState.CONTRADICTED, FINAL[code]
    return VerificationState.PENDING, code
