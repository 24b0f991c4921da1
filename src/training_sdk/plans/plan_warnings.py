"""Warnings of a plan: look-alike titles, unpublished courses, learning paths, due dates that have passed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from attrs import field, frozen

from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._core.text import MOST_NAMED, hidden_characters, sentence
from training_sdk.api.courses import Course, CourseStatus, DueBy
from training_sdk.api.learning_paths import LearningPathDetail, all_paths, get_path
from training_sdk.errors import (
    DecodingError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    ServerError,
    TrainingError,
)
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.wording import few, number, shown, some, who

ALIKE = 0.85
"""Titles with at least this similarity are easily confused, such as two that differ by "(2025)" at the end."""
UNREADABLE = (PermissionDeniedError, NotFoundError, NotSupportedError, ServerError, DecodingError)
"""Errors of a learning path that do not stop planning: only warnings need the path."""


RECENT = timedelta(days=30)
"""The time after a reset in which another reset of the same person gets a warning."""


@frozen
class Fact:
    """A fact about a course of a plan, and the warning about it.

    Warnings are compared by facts: the beginning says the course and the kind, ``others`` which other courses or
    paths. So every version must keep the beginnings, and the marks by which it names others.
    """

    beginning: str
    rest: str
    others: Mapping[str, str] = field(factory=dict)
    """The full name of each other course or path, by the mark that identifies it in a warning."""

    @property
    def warning(self) -> str:
        """The warning as a sentence."""
        return self.beginning + self.rest

    def missing_in(self, warnings: Iterable[str]) -> str | None:
        """Return the part of this fact that no warning states, or None. Others that are only counted count."""
        same = [warning for warning in warnings if _capital(warning).startswith(self.beginning)]
        if not same:
            return self.warning
        unnamed = [name for mark, name in self.others.items() if not any(mark in one for one in same)]
        counted = max(int(found[1]) if (found := _MORE.search(one)) else 0 for one in same)
        return self.beginning + ", ".join(unnamed) if len(unnamed) > counted else None


def _capital(warning: str) -> str:
    """Return a warning with a capital letter: those in plans of earlier versions begin with a small one."""
    return warning[:1].upper() + warning[1:]


def warnings_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return the warning about each fact."""
    return tuple(fact.warning for fact in facts)


_MORE = re.compile(r" and ([0-9]{1,6}) more: [^:]*$")


def facts_of_courses(planned: Sequence[Course], catalogue: Iterable[Course]) -> list[Fact]:
    """Return facts: hidden characters in titles, courses that are not published, and courses with similar titles."""
    everything = [(course, _plain(course.title)) for course in catalogue]
    facts: list[Fact] = []
    for course in planned:
        if hidden := hidden_characters(course.title):
            facts.append(Fact(f"The title of {course.title!r} ({course.id}) contains ", f"{hidden}."))
        if course.status != CourseStatus.PUBLISHED and (course.status or not course.is_published):
            status = course.status or "status unknown"
            facts.append(
                Fact(f"{course.title!r} is not published ", f"({status}), so people cannot retake it yet.")
            )
        if alike := _alike(course, everything):
            others = {f"({one.id}, ": named([one]) for one in alike}
            facts.append(
                Fact(
                    f"{course.title!r} ({course.id}) looks like ",
                    f"{named(alike)}: check that it is the right course.",
                    others,
                )
            )
    return facts


def facts_of_due_dates(planned: Sequence[Course], users: Iterable[PlannedReset], now: datetime) -> list[Fact]:
    """Return the courses whose due date has passed for targets: they would be overdue at once after a reset.

    Only a relative due date starts again.
    """
    kinds = {course.id: course.due_by for course in planned}
    passed: dict[str, list[datetime]] = {course.id: [] for course in planned}
    for user in users:
        if user.is_target and user.due_at is not None and user.due_at < now:
            passed[user.course_id].append(user.due_at)
    facts: list[Fact] = []
    for course in planned:
        dates = passed[course.id]
        if not dates or kinds[course.id] == DueBy.RELATIVE:
            continue
        if kinds[course.id] == DueBy.STATIC:
            effect = "A reset does not change a fixed due date, so they are overdue immediately"
        else:
            effect = (
                "A reset does not change a due date that does not count from the assignment, and then they are "
                "overdue immediately"
            )
        facts.append(
            Fact(
                f"{course.title!r}: the due date of ",
                f"{number(len(dates), 'person', 'people')} to be reset has passed (the latest on "
                f"{max(dates):%Y-%m-%d}). {effect}. Change the due date of the course first.",
            )
        )
    return facts


def about_recent(users: Iterable[PlannedReset], now: datetime) -> tuple[str, ...]:
    """Return a warning about targets that this machine reset recently, as when a notebook runs again."""
    recent = [
        user
        for user in users
        if user.is_target and user.last_reset_at is not None and now - user.last_reset_at < RECENT
    ]
    if not recent:
        return ()
    names = {user.user_id: who(user) for user in recent}
    last = max(user.last_reset_at for user in recent if user.last_reset_at is not None)
    people = number(len(names), "person", "people")
    return (
        f"This machine reset {people} of this plan less than {RECENT.days} days ago (the last on {last:%Y-%m-%d}): "
        f"{some([*names.values()])}. Check that they must be reset again.",
    )


def about_absent(
    planned: Sequence[Course], rows: Mapping[str, Container[str]], reset_before: Iterable[Key]
) -> tuple[str, ...]:
    """Return warnings about people that this machine reset in a course and that are not in its progress feed now."""
    away = {course.id: 0 for course in planned}
    for course_id, user_id in reset_before:
        if course_id in away and user_id not in rows[course_id]:
            away[course_id] += 1
    return tuple(
        f"The feed does not list {number(away[course.id], 'person', 'people')} whom this machine reset in "
        f"{course.title!r} before: unassigned, deactivated, guests, or deleted. This plan does not clear what they "
        "completed after that reset. It reappears when they return."
        for course in planned
        if away[course.id]
    )


@frozen
class Paths:
    """The learning paths that this token sees. ``unread`` has a warning for each path whose courses are not known."""

    details: tuple[LearningPathDetail, ...] = ()
    unread: tuple[str, ...] = ()


def read_paths(calls: Calls, needed: Collection[str] = ()) -> Flow[Paths]:
    """Return every learning path with its courses. A path that cannot be read is an error only if it is ``needed``."""
    details: list[LearningPathDetail] = []
    unread: list[str] = []
    try:
        listed = yield from all_paths(calls)
    except UNREADABLE as error:
        if needed:
            raise
        return Paths(unread=(_not_known("a learning path", error),))
    for path in listed:
        try:
            details.append((yield from get_path(calls, path.id)))
        except UNREADABLE as error:
            if path.id in needed:
                raise
            unread.append(_not_known(f"the learning path {shown(path.title)!r} ({path.id})", error))
    return Paths(tuple(details), tuple(unread))


def _not_known(which: str, error: TrainingError) -> str:
    return f"It is not known whether {which} contains these courses: {sentence(error.message)}"


def about_paths(planned: Sequence[Course], paths: Paths) -> tuple[str, ...]:
    """Return warnings about learning paths that have courses of a plan, or may have them."""
    more = len(paths.unread) - MOST_NAMED
    rest = (
        (
            f"It is not known whether {number(more, 'other learning path')} "
            f"{'contains' if more == 1 else 'contain'} these courses.",
        )
        if more > 0
        else ()
    )
    return (*warnings_of(facts_of_paths(planned, paths)), *paths.unread[:MOST_NAMED], *rest)


def facts_of_paths(planned: Sequence[Course], paths: Paths) -> list[Fact]:
    """Return the learning paths that have courses of a plan, as far as this token sees paths."""
    facts: list[Fact] = []
    for course in planned:
        holding = [path for path in paths.details if any(one.id == course.id for one in path.courses)]
        if holding:
            titles = [repr(shown(path.title)) for path in holding]
            facts.append(
                Fact(
                    f"{course.title!r} is part of the learning path ",
                    f"{few(titles)}: progress in it decreases too.",
                    {title: title for title in titles},
                )
            )
    return facts


def named(courses: Sequence[Course]) -> str:
    """Return a few courses by title, id and status."""
    return few(f"{shown(one.title)!r} ({one.id}, {one.status or 'status unknown'})" for one in courses)


def _alike(course: Course, everything: Sequence[tuple[Course, str]]) -> list[Course]:
    title = _plain(course.title)
    matcher = SequenceMatcher(b=title, autojunk=False)
    return [
        other for other, text in everything if other.id != course.id and _looks_like(title, text, matcher)
    ]


def _looks_like(title: str, text: str, matcher: SequenceMatcher[str]) -> bool:
    if title and text and (text.startswith(f"{title} ") or title.startswith(f"{text} ")):
        return True
    matcher.set_seq1(text)
    # The two cheap bounds come first: most titles are not similar.
    bounds = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
    return all(bound() >= ALIKE for bound in bounds)


def _plain(title: str) -> str:
    """Return a title for comparison: without letter case, accents and repeated spaces."""
    decomposed = unicodedata.normalize("NFKD", shown(title).casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
