"""The report of a reset: one outcome for each person in the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import PurePath

from attrs import evolve, frozen

from training_sdk._core.model import Key
from training_sdk._core.text import (
    MOST_IN_HTML,
    inline,
    notebook_html,
    paragraphs_html,
    sentence,
    table_html,
    visible,
)
from training_sdk.approval.approvals import Approved
from training_sdk.errors import IncompleteResetError, TrainingError
from training_sdk.evidence.answers import SURVEYS
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import (
    EVERYONE,
    LOOK_INTO_IT,
    MOST_SHOWN,
    courses,
    number,
    others,
    shown,
    shown_of,
    who,
)

SENT_WITHOUT_EFFECT = "sent without effect, and not sent again"
"""The detail of people whose request is known to have changed nothing."""

PENDING_PROOF = "accepted and not yet seen: the proof is pending"
"""The detail of people whom a proof has reset as far as the service says, and which is still looked for."""
FAILED_PROOF = "accepted, and not seen when the proof ended"
"""The detail of people whom a proof that failed has reset as far as the service says, and only so."""


REACHED_OTHERS = "REACHED_OTHERS"
"""The ``reason`` of errors about a plan whose requests may have reset people outside it."""
NO_SECOND_CALL = "NO_SECOND_CALL"
"""The ``reason`` of the error where another call for everyone would reach people again."""

STOPPED = (
    "A reset was stopped by this: {counts}. The attribute report shows the result for each person. "
    "Continue with client.resets.resume(plan, confirm=…), which first reads back what may have arrived "
    "and resets no person twice."
)
STOPPED_AND_OTHERS = (
    "A reset was stopped by this: {counts}. The attribute report shows the result for each person. {others}"
)

LEFT_ALONE = {
    Code.MOVED: "changed since the plan was made",
    Code.IDENTITY_CHANGED: "the service has another name, e-mail or external id for this user id than the plan",
}
"""The detail of people who are skipped because they differ from the plan."""

LARGER = "the service counts more people as reset than were sent, so these may not be among them"
"""The detail of people whose request was answered with a larger count."""


@frozen
class UserOutcome:
    """The outcome of one person in one course.

    - ``outcome``: What is known of the reset.
    - ``detail``: The reason in words; None if it needs none.
    - ``code``: The reason for programs; None if it needs none.
    - ``error``: The class of the error that stopped it, such as ``PermissionDeniedError``, or None.
    """

    course_id: str
    user_id: str
    outcome: Outcome
    detail: str | None = None
    code: Code | None = None
    error: str | None = None

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    def __str__(self) -> str:
        if not self.detail:
            return str(self.outcome)
        is_sentence = self.detail[0].isupper()
        return inline(
            f"{self.outcome}. {sentence(self.detail)}" if is_sentence else f"{self.outcome}, {self.detail}"
        )


@frozen
class ResetReport:
    """The report of one reset: everyone in the plan, once per course, each with exactly one outcome.

    - ``plan``: The plan that was applied.
    - ``applied_by``: The user id of the owner of the token.
    - ``users``: The outcome of each person.
    - ``requests``: The ids in the answers of the service.
    - ``started_at``, ``finished_at``: UTC, by this machine's clock.
    - ``reason``, ``ticket``: As given for the audit log.
    - ``packs``: The folders of the evidence.
    - ``sent_ids``: The ids of the requests that were sent, in order, also without an answer; reports of older versions
      have none.

    A person who is reported as reset was accepted by the server. On a live service, the feed shows it up to 2 h later.
    """

    plan: ResetPlan
    applied_by: str
    users: tuple[UserOutcome, ...]
    requests: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    reason: str | None = None
    ticket: str | None = None
    packs: tuple[str, ...] = ()
    sent_ids: tuple[str, ...] = ()
    approved: Approved | None = None
    """The approver, and how far the approval was verified; None without an approval, or in an older report."""
    missing_lessons: tuple[Key, ...] = ()
    """Course and user of each person whose lessons are missing in the evidence; the caller accepted that."""
    reached_others: int = 0
    """The number of people outside the plan who may have been reset, as far as the service showed it."""
    others_seen: tuple[str, ...] = ()
    """The user ids of those people, as far as they were seen on the course after one call for everyone."""
    evidence_not_read: tuple[tuple[str, str], ...] = ()
    """The listings that could not be read as evidence, each with the reason, such as ``("survey answers", "status
    403")``. Only survey answers are missing then; lessons were read person by person instead."""

    def without_unseen(self, keys: Collection[Key], why: str) -> ResetReport:
        """Return the report of a proof that was accepted, with these people as not seen at 0 %."""
        users = (
            evolve(user, outcome=Outcome.UNKNOWN, code=Code.NOT_SEEN, detail=why)
            if user.outcome is Outcome.RESET and user.key in keys
            else user
            for user in self.users
        )
        return evolve(self, users=tuple(users))

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """The number of people by outcome; the sum is the number of people in the plan, once per course."""
        return {outcome: sum(user.outcome is outcome for user in self.users) for outcome in Outcome}

    @property
    def facts(self) -> Mapping[str, str]:
        """Texts by name for a page about the reset: who, when, why, plan digest, ids of requests, and evidence."""
        start, end = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (self.started_at, self.finished_at))
        found = {
            "Reason": inline(self.reason or "–"),
            "Ticket": inline(self.ticket or "–"),
            "Approved by": "" if self.approved is None else str(self.approved),
            "Applied by": inline(self.applied_by),
            "From, to": f"{start} – {end} UTC",
            "Plan": self.plan.digest,
            "Requests": self._requests,
            "Sent without an answer": _some(self._unanswered) if self._unanswered else "",
            "Evidence": _some([PurePath(pack).name for pack in self.packs]) if self.packs else "",
        }
        return {name: text for name, text in found.items() if text}

    @property
    def _unanswered(self) -> list[str]:
        return [one for one in self.sent_ids if one not in self.requests]

    @property
    def reset_count(self) -> int:
        """The number of people whose progress the server cleared by its answers, once per course."""
        return self.counts[Outcome.RESET]

    @property
    def is_complete(self) -> bool:
        """True if every target was reset, and no other person."""
        return not self.not_reset and not self.reached_others

    @property
    def not_reset(self) -> int:
        """The number of targets that are not known to have been reset, once per course."""
        targets = {user.key for user in self.plan.targets}
        return sum(user.key in targets and user.outcome is not Outcome.RESET for user in self.users)

    def raise_for_incomplete(self) -> None:
        """Raise IncompleteResetError, with this report, unless every target was reset and no other person."""
        if self.reached_others:
            raise IncompleteResetError(
                f"{others(self.reached_others)}.\n{self}", reason=REACHED_OTHERS, report=self
            )
        if not self.is_complete:
            left = f"{self.not_reset} of {number(len(self.plan.targets), 'reset')}"
            raise IncompleteResetError(
                f"{left} {'is' if self.not_reset == 1 else 'are'} not known to have happened.\n{self}",
                report=self,
            )

    def __str__(self) -> str:
        return self.listing(MOST_SHOWN)

    def listing(self, page: int) -> str:
        """Return the text of ``str``. It lists all targets if there are at most ``page``."""
        lines = [f"{self._headline} (requests {self._requests})"]
        lines += [f"  {line}" for line in self._about_others]
        if self.reason or self.ticket:
            lines.append(f"  Reason: {inline(self.reason or '–')}, ticket: {inline(self.ticket or '–')}")
        if self.approved is not None:
            lines.append(f"  Approved by {self.approved}")
        if self._unanswered:
            lines.append(f"  Sent without an answer: {_some(self._unanswered)}")
        lines += [f"  Evidence: {inline(pack)}" for pack in self.packs]
        if self.missing_lessons:
            lines.append(f"  {self._about_missing_lessons}")
        lines += [f"  {line}" for line in self._about_not_read]
        if self.plan.scope == "everyone":
            lines.append(f"  {EVERYONE}")
        lines += [f"  {line}" for line in self._people(page)]
        return visible("\n".join(lines))

    def __repr__(self) -> str:
        return visible(f"<ResetReport: {shown(courses(self.plan.courses))}: {self._counts}>")

    def _repr_html_(self) -> str:
        targets = self._targets()
        rows = ((self._named(user), user.outcome, user.detail) for user in targets)
        below = [*_left_over(targets, MOST_IN_HTML), *self._besides]
        beside = [*self._about_others, *below, *([EVERYONE] if self.plan.scope == "everyone" else [])]
        beside += [self._about_missing_lessons] if self.missing_lessons else []
        beside += self._about_not_read
        beside += [f"{name}: {text}" for name, text in self.facts.items()]
        table = table_html(("person", "outcome", "why"), rows)
        return notebook_html(f"{paragraphs_html([self._headline])}{table}{paragraphs_html(beside)}")

    @property
    def _about_others(self) -> list[str]:
        lines = [f"{others(self.reached_others)}. {LOOK_INTO_IT}"] if self.reached_others else []
        if self.others_seen:
            seen = f"Seen on the course, but not in the plan: {_some(self.others_seen)}"
            lines.append(f"{seen}. The call did not reset people who were assigned after it.")
        return lines

    @property
    def _about_missing_lessons(self) -> str:
        missing = frozenset(self.missing_lessons)
        names = [self._named(user) for user in self.users if user.key in missing]
        more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
        return f"The evidence lacks completed lessons (accepted) of: {', '.join(names[:MOST_SHOWN])}{more}."

    @property
    def _about_not_read(self) -> list[str]:
        lacking = [f"{name} ({why})" for name, why in self.evidence_not_read if name == SURVEYS]
        by_person = [f"{name} ({why})" for name, why in self.evidence_not_read if name != SURVEYS]
        return [
            *([f"The evidence lacks {inline(lacking[0])}, which could not be read."] if lacking else []),
            *(
                [
                    "The evidence was read person by person, because the service does not serve "
                    f"{inline(', '.join(by_person))}."
                ]
                if by_person
                else []
            ),
        ]

    @property
    def _counts(self) -> str:
        return ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)

    @property
    def _requests(self) -> str:
        return _some(self.requests)

    @property
    def _headline(self) -> str:
        """The courses, and the number of targets by outcome."""
        targets = self._targets()
        counts = Counter(user.outcome for user in targets)
        said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        return f"{shown(courses(self.plan.courses))}: {said or 'no person was to be reset'}"

    def _targets(self) -> list[UserOutcome]:
        """Return the targets, people who were not reset first."""
        targets = {user.key for user in self.plan.targets}
        return sorted((user for user in self.users if user.key in targets), key=_urgency)

    def _people(self, page: int) -> list[str]:
        """Return a line for each of the first targets, then the number of others and of people who were not targets."""
        targets = self._targets()
        most = shown_of(len(targets), page)
        lines = [f"- {self._named(user)}: {user}" for user in targets[:most]]
        return [*lines, *_left_over(targets, most), *self._besides]

    @property
    def _besides(self) -> list[str]:
        """One line with the number of people in scope who were not targets."""
        targets = {user.key for user in self.plan.targets}
        others = [user for user in self.users if user.key not in targets]
        left_out = sum(user.code is Code.LEFT_OUT for user in others)
        idle = len(others) - left_out
        parts = [
            *([f"{left_out} left out ({self.plan.selection} only)"] if left_out else []),
            *([f"{idle} with nothing to reset"] if idle else []),
        ]
        return [f"In scope, but not to be reset: {', '.join(parts)}."] if parts else []

    def _named(self, user: UserOutcome) -> str:
        names, titles = self._names
        name = names[user.key]
        return f"{name}, {titles[user.course_id]!r}" if len(titles) > 1 else name

    @cached_property
    def _names(self) -> tuple[dict[Key, str], dict[str, str]]:
        names = {user.key: who(user) for user in self.plan.users}
        return names, {course.id: shown(course.title) for course in self.plan.courses}


def _urgency(user: UserOutcome) -> int:
    """Return the place of a target in a list: unclear or changed people, then those not reached, then those reset."""
    if user.outcome is Outcome.RESET:
        return 2
    return int(user.code in (Code.NOT_SENT, Code.INTERRUPTED))


def _left_over(targets: Sequence[UserOutcome], most: int) -> list[str]:
    """Return a line with the number of targets that are not shown, and how many of these were not reset."""
    rest = targets[most:]
    missed = sum(user.outcome is not Outcome.RESET for user in rest)
    if not rest:
        return []
    return [f"… and {len(rest)} more{f', {missed} of them not reset' if missed else ''}"]


def _some(ids: Sequence[str]) -> str:
    """Return the first of these ids, and the number of others."""
    more = len(ids) - MOST_SHOWN
    return ", ".join(map(inline, ids[:MOST_SHOWN])) + (f" and {more} more" if more > 0 else "") or "none"


def attach_report(problem: BaseException, report: ResetReport) -> BaseException:
    """Return the error to raise, with the report: as attribute and note if it is no TrainingError."""
    if isinstance(problem, TrainingError):
        return problem.with_report(report)
    vars(problem)["report"] = report
    counts = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items() if number)
    if report.reached_others:
        said = f"{others(report.reached_others)}. {LOOK_INTO_IT}"
        problem.add_note(STOPPED_AND_OTHERS.format(counts=counts, others=said))
    else:
        problem.add_note(STOPPED.format(counts=counts))
    return problem


def report_of(problem: BaseException) -> ResetReport | None:
    """Return the report that an error or an interrupt carries, or None."""
    found = getattr(problem, "report", None)
    return found if isinstance(found, ResetReport) else None
