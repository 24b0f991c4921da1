"""One organisation with all its data; no other organisation is reachable from it (R03)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from attrs import define, evolve, field, frozen

from mock_server.world.clock import Clock
from mock_server.world.courses import (
    Assigned,
    Course,
    CourseList,
    DueKind,
    RapidRefresh,
    RefreshAnswers,
)
from mock_server.world.ledger import Certificate
from mock_server.world.people import Group, PermissionSet, Person, Site
from mock_server.world.progress import Enrolment
from mock_server.world.progress_table import PageCache, ProgressTable


@frozen
class Leaderboard:
    """A leaderboard of individuals over some courses. Its dates are only shown; points are the present ones."""

    id: str
    name: str
    start_date: str
    end_date: str
    course_ids: tuple[str, ...] = ()
    learner_access: bool = True
    """True if learners see it."""


@define(eq=False, repr=False)
class Organisation:
    """People, courses and everything recorded of them. Entities are frozen; write through the methods."""

    id: str
    name: str
    clock: Clock
    people: dict[str, Person] = field(factory=dict)
    groups: dict[str, Group] = field(factory=dict)
    sites: dict[str, Site] = field(factory=dict)
    permission_sets: dict[str, PermissionSet] = field(factory=dict)
    courses: dict[str, Course] = field(factory=dict)
    assigned: dict[str, Assigned] = field(factory=dict)
    paths: dict[str, CourseList] = field(factory=dict)
    collections: dict[str, CourseList] = field(factory=dict)
    rapid_refreshes: dict[str, RapidRefresh] = field(factory=dict)
    refresh_answers: RefreshAnswers = field(factory=RefreshAnswers)
    leaderboards: dict[str, Leaderboard] = field(factory=dict)
    progress: ProgressTable = field(factory=ProgressTable)
    certificates: dict[tuple[str, str], tuple[Certificate, ...]] = field(factory=dict)
    """By course id and user id; only the certificates that are shown (R19)."""
    people_changes: int = 0
    """Version of the people: rises with every added or changed person."""
    _order: list[str] = field(factory=list)
    _pairs: dict[str, list[tuple[str, str]]] = field(factory=dict)

    def people_in_order(self) -> list[str]:
        """Return the sorted ids of all people; people are never removed, so their number tells if it is current."""
        if len(self._order) != len(self.people):
            self._order = sorted(self.people)
        return self._order

    def memberships(self, kind: Literal["groups", "sites"]) -> list[tuple[str, str]]:
        """Return pairs of user and group, or site, sorted; cached until a person changes."""
        if kind not in self._pairs:
            self._pairs[kind] = [
                (user_id, each)
                for user_id in self.people_in_order()
                for each in sorted(getattr(self.people[user_id], kind))
            ]
        return self._pairs[kind]

    def put_person(self, person: Person) -> None:
        """Add or replace a person; assignments follow status, seat, groups and sites at once."""
        self.people[person.id] = person
        self.people_changes += 1
        self._pairs.clear()
        for course_id in self.courses:
            self._refresh(course_id, person)
            self.progress[course_id].forget_rows(person.id)

    def put_course(self, course: Course) -> None:
        """Add or replace a course."""
        if course.id in self.assigned:
            self.courses[course.id] = course
            self.progress[course.id].follow_course()
            return
        last = next(reversed(self.courses), "")
        self.append_course(course)
        if course.id < last:  # ids sort by age, so this is rare
            self.sort_courses()

    def append_course(self, course: Course) -> None:
        """Add a new course at the end; after many, call `sort_courses` once."""
        self.courses[course.id] = course
        self.assigned[course.id] = Assigned.nobody()
        self.progress.append_course(course.id)

    def sort_courses(self) -> None:
        """Sort the courses and their progress by course id."""
        self.courses = dict(sorted(self.courses.items()))
        self.progress.sort_courses()

    def assign(self, course_id: str, assigned: Assigned) -> None:
        """Replace a course's assignments; the roster follows at once."""
        self.assigned[course_id] = assigned
        for person in self.people.values():
            self._refresh(course_id, person)

    def _refresh(self, course_id: str, person: Person) -> None:
        progress, now = self.progress[course_id], self.clock.now()
        if self.assigned[course_id].since(person) is None:
            progress.leave(person.id)
        elif person.id not in progress.enrolments:
            progress.enrol(person.id, Enrolment(now, now, self.courses[course_id].due.date_for(now)))
        elif not progress.has(person.id):
            self.restart_due_date(course_id, person.id)

    def restart_due_date(self, course_id: str, user_id: str) -> None:
        """R20: restart a due date relative to the assignment; a fixed one stays."""
        (restarted,) = self.restarted(course_id, [user_id])
        self.progress[course_id].enrol(user_id, restarted)

    def restarted(self, course_id: str, user_ids: Sequence[str]) -> list[Enrolment]:
        """R20: return the enrolments of users with the due date restarted, all at the same moment."""
        due, now = self.courses[course_id].due, self.clock.now()
        before = list(map(self.progress[course_id].enrolments.__getitem__, user_ids))
        date = due.date_for(now) if due.kind is DueKind.RELATIVE else None
        # People who share an enrolment, as in a generated organisation, share the new one.
        restarted = {
            key: Enrolment(each.assigned_at, now, each.due_at if date is None else date, each.identity)
            for key, each in {id(each): each for each in before}.items()
        }
        return [restarted[id(each)] for each in before]

    def as_of(self, moment: datetime) -> Organisation:
        """Return the organisation with its progress at a moment in the past; people, courses and rights are today's."""
        table = self.progress
        courses = {
            course_id: progress
            if progress.lag_history is None
            else progress.lag_history.as_of(progress, moment)
            for course_id, progress in table.courses.items()
        }
        for course_id, progress in courses.items():
            if progress is not table.courses[course_id]:
                table.row_cache.watch(progress)
        # The past has pages of its own: its versions are not those of the present.
        return evolve(self, progress=evolve(table, courses=courses, page_cache=PageCache()))
