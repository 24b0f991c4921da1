"""One organisation with all that belongs to it; nothing of another is reachable from here (R03)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import define, evolve, field

from mock_server.world.clock import Clock
from mock_server.world.courses import (
    Assigned,
    Course,
    CourseList,
    DueKind,
    Leaderboard,
    RapidRefresh,
    RefreshAnswers,
)
from mock_server.world.ledger import Certificate
from mock_server.world.people import Group, PermissionSet, Person, Site
from mock_server.world.progress import Enrolment
from mock_server.world.progress_table import ProgressTable


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
    """By course id and user id; only those that are shown (R19)."""
    people_changes: int = 0
    """Goes up whenever somebody comes or changes."""
    _order: list[str] = field(factory=list)
    _pairs: dict[str, list[tuple[str, str]]] = field(factory=dict)

    def people_in_order(self) -> list[str]:
        """Their ids, sorted; nobody ever leaves, so that their number says whether it is true still."""
        if len(self._order) != len(self.people):
            self._order = sorted(self.people)
        return self._order

    def memberships(self, kind: Literal["groups", "sites"]) -> list[tuple[str, str]]:
        """User and group or site, for everyone in one, in order; kept until somebody changes."""
        if kind not in self._pairs:
            self._pairs[kind] = [
                (user_id, each)
                for user_id in self.people_in_order()
                for each in sorted(getattr(self.people[user_id], kind))
            ]
        return self._pairs[kind]

    def put_person(self, person: Person) -> None:
        """Add or replace somebody; their assignments follow their status, seat, groups and sites at once."""
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
        if course.id < last:  # ids sort by age, so that mostly there is nothing to do
            self.sort_courses()

    def append_course(self, course: Course) -> None:
        """Add a course that is not there yet, behind all others; after many, `sort_courses` once."""
        self.courses[course.id] = course
        self.assigned[course.id] = Assigned.nobody()
        self.progress.append_course(course.id)

    def sort_courses(self) -> None:
        """Put the courses, and what is recorded in them, in the order of their ids."""
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
        """R20: start a due date that is relative to assignment anew; a fixed one stays."""
        self.progress[course_id].enrol(user_id, self.restarted(course_id, user_id))

    def restarted(self, course_id: str, user_id: str) -> Enrolment:
        """R20: somebody's enrolment as it will be once their due date has started anew."""
        due, now = self.courses[course_id].due, self.clock.now()
        before = self.progress[course_id].enrolments[user_id]
        date = due.date_for(now) if due.kind is DueKind.RELATIVE else before.due_at
        return evolve(before, due_at=date, modified_at=now)

    def as_of(self, moment: datetime) -> Organisation:
        """Return the organisation with its progress at a moment in the past; people, courses and rights are today's."""
        table = self.progress
        courses = {
            course_id: progress
            if progress.lag_history is None
            else progress.lag_history.as_of(progress, moment)
            for course_id, progress in table.courses.items()
        }
        return evolve(self, progress=evolve(table, courses=courses))
