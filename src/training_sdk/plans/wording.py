"""Texts about plans for terminals and notebooks, without anything that a terminal would act on; short digests."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

from attrs import frozen

from training_sdk._core.text import (
    MOST_IN_HTML,
    MOST_NAMED,
    inline,
    notebook_html,
    paragraphs_html,
    table_html,
)
from training_sdk._core.text import number as number
from training_sdk.errors import InvalidArgumentError, Remedy

if TYPE_CHECKING:
    from training_sdk.api.progress import ProgressState
    from training_sdk.plans.plan import ResetPlan
    from training_sdk.plans.planned import PlannedCourse, PlannedReset


RESUME = Remedy(
    "resume",
    "Continue with client.resets.resume(plan, confirm=…), which first reads back what may have arrived "
    "and resets no person twice.",
)
LOOK_AGAIN = Remedy(
    "prove_same_again",
    "Continue with client.resets.prove_format and the same course and person. Nothing is sent again.",
)


GO_ON = "This was a proof. To continue, prove it again with the same plan. Nothing is sent again."
"""A note on the error that stops a proof."""

LONGEST_TITLE = 80
MOST_SHOWN = 10
JOINERS = "\u200c\u200d"
LAG = "and up to 2 h older on a live service"
EVERYONE = (
    "People who are unassigned, deactivated or guests at the moment are not in this plan. They keep their progress "
    "and certificates, which reappear when they return. Reset them then."
)
"""A note in a plan for everyone: the product resets "all users assigned to that course", and no other users."""
COMPLETED_ONLY = (
    "The service seems to reset only people who have completed the course. Plan with "
    'only="completed" (--only completed), and prove the format with a person who has completed it.'
)
LOOK_INTO_IT = (
    "Find out from the service whom it reset, by the ids of the requests, before you send anything else."
)
"""The advice where people outside a plan may have been reset."""
ALSO_CLEARED = (
    "their attempts, answers to surveys, practical assessments, discussions and assignments, "
    "which cannot be counted in advance"
)


TYPE_THE_PHRASE = "A reset cannot be undone. To continue, type"


def shown(text: str) -> str:
    """Return a text that can be read and typed: on one line, white space collapsed, without invisible characters.

    Terminal escapes, invisible letters and marks that change the reading direction could make one course look like
    another, and cannot be typed. Joiners stay: emoji and some scripts need them.
    """
    return " ".join("".join(map(_visible, text)).split())


def _visible(letter: str) -> str:
    if letter in JOINERS:
        return letter
    kind = unicodedata.category(letter)
    return " " if kind in ("Cc", "Cs", "Zl", "Zp", "Zs") else "" if kind == "Cf" else letter


def courses(planned: Sequence[PlannedCourse]) -> str:
    """Return the courses of a plan, as its phrase names them."""
    return f'"{shown(planned[0].title)[:LONGEST_TITLE]}"' if len(planned) == 1 else f"{len(planned)} courses"


def person(user: PlannedReset) -> str:
    """Return one person of a plan, on one line."""
    done = f" on {user.completed_at:%Y-%m-%d}" if user.completed_at else f", {user.percent:g} %"
    score = f", score {user.score}" if user.score else ""
    again = f"; last reset on {user.last_reset_at:%Y-%m-%d}" if user.last_reset_at else ""
    return f"{who(user)}: {inline(user.state)}{done}{score}{again}"


def who(user: PlannedReset) -> str:
    """Return name and e-mail of a person, or the id if there is no e-mail: names are not unique."""
    return f"{shown(user.name)} <{inline(user.email or user.user_id)}>".strip()


def shown_of(count: int, page: int) -> int:
    """Return how many of these people are listed: all if they fit on a page, else the first ones."""
    return count if count <= page else MOST_SHOWN


def plan(planned: ResetPlan, page: int = MOST_SHOWN) -> str:
    """Return the text of a plan for the person who confirms it, with all targets if they fit on a page."""
    several = len(planned.courses) > 1
    lines = frame(planned, page)
    titles = {course.id: shown(course.title) for course in planned.courses}
    targets = planned.targets
    most = shown_of(len(targets), page)
    people = [
        f"  - {f'{titles.get(user.course_id)!r}: ' if several else ''}{user}" for user in targets[:most]
    ]
    if len(targets) > most:
        people.append(f"  … and {len(targets) - most} more")
    return "\n".join([lines[0], *people, *lines[1:], *_to_go_on(planned)])


def _to_go_on(planned: ResetPlan) -> list[str]:
    """Return the phrase on a separate line, so that it can be copied; none if there is nothing to confirm."""
    if not planned.targets:
        return ["No person would be reset, so there is nothing to confirm."]
    return [f"{TYPE_THE_PHRASE}:", f"  {planned.phrase}"]


def frame(planned: ResetPlan, page: int = MOST_SHOWN) -> list[str]:
    """Return the lines of a plan other than its targets: summary, losses, people not to be reset, and warnings."""
    whom = "everyone assigned whom this token sees" if planned.scope == "everyone" else "the users named"
    selection = f"; {planned.selection} only" if planned.selection else ""
    origin = planned.origin
    return [
        headline(planned, page),
        f"In scope: {whom} ({states(planned.counts)}){selection}.",
        *_named_in_vain(planned, page),
        _losses(planned),
        f"Read at {planned.read_at:%Y-%m-%d %H:%M:%S} UTC ({LAG}) from "
        f"{server(origin.base_url, is_reference=origin.reference_server)}, "
        f"organisation {origin.organisation_id}. The plan expires at {planned.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
        *([EVERYONE] if planned.scope == "everyone" else []),
        *_left_out_of_courses(planned, page),
        *(f"Warning: {shown(warning)}" for warning in planned.warnings),
    ]


def server(base_url: str, *, is_reference: bool) -> str:
    """Return a server by its base URL; the reference server is labelled."""
    return f"{inline(base_url)}{' (reference server)' if is_reference else ''}"


def _named_in_vain(planned: ResetPlan, page: int) -> list[str]:
    """Return a line with the people who were named and would not be reset, and why."""
    others = () if planned.scope == "everyone" else [user for user in planned.users if not user.is_target]
    if not others:
        return []
    titles = {course.id: f"{shown(course.title)!r}, " for course in planned.courses}
    named = (
        f"{who(user)} ({titles[user.course_id] if len(titles) > 1 else ''}{_why_not(planned, user)})"
        for user in others
    )
    return [f"Named, but not to be reset: {few(named, shown_of(len(others), page))}."]


def _why_not(planned: ResetPlan, user: PlannedReset) -> str:
    if user.left_out is None:
        return "nothing recorded"
    return f"{inline(user.state)}, {planned.selection} only" if planned.selection else "left out"


def _left_out_of_courses(planned: ResetPlan, page: int) -> list[str]:
    """Return a line with the people who are not in one course of the plan; all are in another, so names are known."""
    if not planned.unassigned:
        return []
    names = {user.user_id: who(user) for user in planned.users}
    titles = {course.id: shown(course.title) for course in planned.courses}
    left_out = few(
        (
            f"{names.get(user_id, inline(user_id))} ({titles[course_id]!r})"
            for course_id, user_id in planned.unassigned
        ),
        shown_of(len(planned.unassigned), page),
    )
    return [f"Left out, because they are unassigned or have nothing recorded there: {left_out}."]


def headline(planned: ResetPlan, page: int = MOST_SHOWN) -> str:
    """Return the first line: how many people would be reset in which courses, and their progress states."""
    people, resets = planned.people, len(planned.targets)
    if not resets:
        return f"Plan to reset no people in {_titles(planned, page)}."
    of_resets = f", {number(resets, 'reset')}," if resets != people else ""
    where = _titles(planned, page)
    counts = {state: count for state, count in planned.target_counts.items() if count}
    return f"Plan to reset {number(people, 'person', 'people')}{of_resets} in {where}: {states(counts)}."


def states(counts: Mapping[ProgressState, int]) -> str:
    """Return the number of people in each progress state."""
    return ", ".join(f"{people} {state}" for state, people in counts.items())


def _titles(planned: ResetPlan, page: int) -> str:
    said = [
        f"{shown(course.title)!r} ({inline(course.status or 'status unknown')}, {inline(course.id)})"
        for course in planned.courses[: shown_of(len(planned.courses), page)]
    ]
    more = len(planned.courses) - len(said)
    return ", ".join(said) + (f" and {number(more, 'more course')}" if more else "")


def _losses(planned: ResetPlan) -> str:
    losses = planned.losses
    if not losses.resets:
        return "Nothing would be lost: no person in scope has recorded progress."
    counted = (
        (losses.completions, "completion"),
        (losses.lessons, "completed lesson"),
        (losses.scores, "score"),
    )
    parts = [number(count, what) for count, what in counted if count]
    if losses.time_spent_seconds:
        parts.append(f"{losses.time_spent_seconds / 3600:.1f} h of time spent")
    begun = len(planned.mid_course)
    midway = f" In the middle of the course, and must start again: {begun}." if begun else ""
    whose = number(losses.people, "person", "people")
    return (
        f"A reset clears: {', '.join(parts) or 'the started progress'} of {whose}, and {ALSO_CLEARED}.{midway} "
        f"It sends at most {number(planned.notifications, 'notification')}."
    )


def span(time: timedelta) -> str:
    """Return a span of time as text: ``3 h 15 min``; in seconds below a minute."""
    minutes, seconds = divmod(round(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = (f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if count)
    return " ".join(parts) or "0 s"


def others(count: int) -> str:
    """Return a sentence, without full stop, about people outside a plan who may have been reset."""
    return f"At least {number(count, 'person', 'people')} outside the plan may have been reset"


def plan_html(planned: ResetPlan) -> str:
    """Return a plan as HTML for notebooks. The phrase is in parts: outputs are stored, and copied by programs."""
    titles = {course.id: shown(course.title) for course in planned.courses}
    head = ("course", "name", "e-mail or id", "state", "percent", "completed", "score", "last reset on")
    rows = (
        (
            titles.get(user.course_id, user.course_id),
            shown(user.name),
            user.email or user.user_id,
            user.state,
            f"{user.percent:g} %",
            f"{user.completed_at:%Y-%m-%d}" if user.completed_at else "",
            user.score or "",
            f"{user.last_reset_at:%Y-%m-%d}" if user.last_reset_at else "",
        )
        for user in planned.targets
    )
    left = len(planned.targets) - MOST_IN_HTML
    said = "<br>".join(map(escape, frame(planned, MOST_IN_HTML)))
    more = paragraphs_html([f"… and {left} more, in the targets of the plan."]) if left > 0 else ""
    return notebook_html(f"<p>{said}</p>{table_html(head, rows)}{more}{_phrase_html(planned)}")


def _phrase_html(planned: ResetPlan) -> str:
    if not planned.targets:
        return paragraphs_html(_to_go_on(planned))
    one = len(planned.courses) == 1
    course = ("TITLE", courses(planned.courses)[1:-1]) if one else ("COURSES", courses(planned.courses))
    parts = (course, ("USERS", number(planned.people, "user")), ("DIGEST", planned.short_digest))
    said = f"reset {'&quot;TITLE&quot;' if one else 'COURSES'} for USERS #DIGEST"
    table = table_html(("in place of", "type"), parts)
    return f"<p>{TYPE_THE_PHRASE}: <code>{said}</code></p>{table}"


def some(names: Iterable[str]) -> str:
    """Return a few names, quoted, and how many more."""
    return few(map(repr, names))


def few(parts: Iterable[str], most: int = MOST_NAMED) -> str:
    """Return the first parts, and how many more: ``a, b and 3 more``."""
    every = list(parts)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


GROUP = 4
GROUPS = 4
"""64 bits of the digest, so that a person cannot make another plan that begins with them."""

OLD_DIGITS = 6
"""The number of digits in a phrase of a plan of form 2 and before."""

_TYPED = re.compile(r"#?([0-9a-f]{4}(?:-[0-9a-f]{4})+|[0-9a-f]{6,64})\.?")
"""The full stop may be copied from the sentence around the digest."""


def short_digest(digest: str) -> str:
    """Return the first 64 bits of a digest, such as ``a1b2-c3d4-e5f6-0718``; all of a shorter one."""
    return "-".join(digest[at : at + GROUP] for at in range(0, min(len(digest), GROUP * GROUPS), GROUP))


def typed_digest(text: str) -> str | None:
    """Return the beginning of a typed digest as plain hexadecimal digits; None if the text is not a digest.

    It may be short or whole, with ``#`` and hyphens or without. Raises InvalidArgumentError for capital letters.
    """
    found = _TYPED.fullmatch(text)
    if found is not None:
        return found[1].replace("-", "")
    if _TYPED.fullmatch(text.lower()):
        raise InvalidArgumentError(
            f"{text!r} has capital letters, and a digest has none. Write it as it is shown: {text.lower()}"
        )
    return None


@frozen
class ShellCommands:
    """Commands of training-sdk about a plan, to be pasted into a shell."""

    options: str = ""
    """Options that each command has, quoted: the service and the records that it is about."""
    plan: str = "PLAN.json"
    """The file of the plan, quoted."""

    def apply(self, *more: str) -> str:
        """Return the command that applies the plan in the file."""
        return self._command("apply", self.plan, "--reason TEXT", *more)

    def resume(self, digest: str = "") -> str:
        """Return the command that resumes a plan: that in the file, unless a digest is given."""
        return self._command("resume", digest or self.plan)

    def report(self, digest: str = "") -> str:
        """Return the command that reports on a plan."""
        return self._command("report", digest or self.plan)

    def close(self, digest: str = "") -> str:
        """Return the command that closes a plan."""
        return self._command("plan close", digest or self.plan, "--reason TEXT")

    def prove(self, *words: str) -> str:
        """Return the command that proves the format with these words, unquoted."""
        return self._command("prove", shlex.join(words), "--reason TEXT")

    def _command(self, name: str, *words: str) -> str:
        return " ".join(filter(None, ("training-sdk", name, self.options, *words)))


COMMANDS = ShellCommands()
"""The commands without options, for the plan in PLAN.json."""
