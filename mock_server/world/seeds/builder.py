"""Build a world, piece by piece.

    builder = WorldBuilder(seed="any text", now=None)            # seed=None: random ids and tokens
    org = builder.organisation("Nordwerk Logistik")               # the first one is the main organisation
    site = org.site("Hamburg")
    anna = org.person("Anna", "Özdemir", "anna@example.org", sites=(site,))
    course = org.course("Forklift basics", lessons=4, certificate=True)
    org.assign(course, users=(anna,))                             # and groups=, sites=, everyone=True
    org.enrol(course.id, anna.id, assigned_at, due_at=text, identity=Identity(...))   # overrides, optional
    org.record(course.id, anna.id, Record(...))                   # the record
    builder.token("learner", anna)
    mock = MockTraining(builder.build(policy, LiveWorld), builder.tokens)

Each call returns the frozen entity: Site, Group, PermissionSet, Person, Course. Given ids stay unchanged. Nothing is
checked here; a loader checks its rows first. ``build`` computes the rosters, so calls may come in any order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from attrs import evolve

from mock_server.policy import Policy
from mock_server.world import clock
from mock_server.world.clock import Clock
from mock_server.world.courses import (
    Assigned,
    Course,
    CourseList,
    Lesson,
    RapidRefresh,
    RefreshAnswer,
    RefreshQuestion,
    Slide,
    SlideKind,
)
from mock_server.world.ledger import Certificate
from mock_server.world.organisation import Leaderboard, Organisation
from mock_server.world.people import Group, Permission, PermissionSet, Person, Seat, Site, Token, digest
from mock_server.world.progress import Enrolment, Record
from mock_server.world.world import Ids, World

W = TypeVar("W", bound=World)
_E = TypeVar("_E", PermissionSet, Site, Group, CourseList, RapidRefresh, Leaderboard)
CourseListRow = tuple[str, Iterable[Course], Mapping[str, Any]]
"""Title, courses, and the keywords of `OrganisationBuilder.path`."""


def _put(members: dict[str, _E], made: _E) -> _E:
    members[made.id] = made
    return made


class OrganisationBuilder:
    """Builder of one organisation."""

    def __init__(self, organisation: Organisation, ids: Ids, since: datetime) -> None:
        self.organisation = organisation
        self._ids = ids
        self._since = since
        self._enrolments: dict[str, dict[str, Enrolment]] = {}
        self.permission_sets = self._default_permission_sets()

    def _default_permission_sets(self) -> dict[str, PermissionSet]:
        everything = frozenset(Permission)
        return {
            name: self.permission_set(name, description, permissions, seats, custom=False)
            for name, description, permissions, seats in (
                ("Administrator", "Every permission.", everything, (Seat.FULL,)),
                ("Manager", "Looks after teams.", frozenset({Permission.TEAMS}), (Seat.FULL,)),
                ("Standard", "Works and learns.", frozenset[Permission](), (Seat.FULL, Seat.LITE)),
                ("Basic", "Learns.", frozenset[Permission](), (Seat.LITE,)),
                ("Guest", "Visits.", frozenset[Permission](), (Seat.GUEST,)),
            )
        }

    def permission_set(
        self,
        name: str,
        description: str,
        permissions: Iterable[Permission],
        seats: tuple[Seat, ...] = (Seat.FULL,),
        *,
        custom: bool = True,
    ) -> PermissionSet:
        """Add a permission set; ``permission_sets`` has the five default ones."""
        made = PermissionSet(
            self._ids.uuid("permission set"), name, description, frozenset(permissions), seats, custom
        )
        return _put(self.organisation.permission_sets, made)

    def site(self, name: str, parent: Site | None = None, *, deleted: bool = False) -> Site:
        """Add a site."""
        made = Site(self._ids.uuid("site"), name, parent.id if parent else "", deleted)
        return _put(self.organisation.sites, made)

    def group(self, name: str) -> Group:
        """Add a group."""
        return _put(self.organisation.groups, Group(self._ids.role(), name))

    def person(
        self,
        first_name: str,
        last_name: str,
        email: str,
        *,
        id: str | None = None,
        groups: Iterable[Group] = (),
        sites: Iterable[Site] = (),
        permission_sets: Iterable[PermissionSet] = (),
        managed_groups: Iterable[Group] = (),
        managed_sites: Iterable[Site] = (),
        **fields: Any,
    ) -> Person:
        """Add a person; further keywords are fields of `Person`."""
        fields.setdefault("created_at", clock.to_text(self._since))
        made = Person(
            self._ids.user() if id is None else id,
            self.organisation.id,
            first_name,
            last_name,
            email,
            **fields,
        )
        return self.change(
            made,
            groups=groups,
            sites=sites,
            permission_sets=permission_sets,
            managed_groups=managed_groups,
            managed_sites=managed_sites,
        )

    def change(self, person: Person, **ids: Iterable[PermissionSet | Group | Site]) -> Person:
        """Replace the ``permission_sets``, ``managed_groups`` or ``managed_sites`` of a person."""
        sets: dict[str, Any] = {name: frozenset(each.id for each in several) for name, several in ids.items()}
        changed = self.organisation.people[person.id] = evolve(person, **sets)
        return changed

    def course(
        self,
        title: str,
        *,
        id: str | None = None,
        created: datetime | None = None,
        lessons: int | Iterable[Lesson] = (),
        **fields: Any,
    ) -> Course:
        """Add a course; ``lessons`` may be a number of plain ones. Further keywords are fields of `Course`."""
        at = self._since if created is None else created
        text = clock.to_text(at)
        plain = range(1, lessons + 1) if isinstance(lessons, int) else ()
        made = Course(
            id=self._ids.content(at) if id is None else id,
            title=title,
            created_at=text,
            modified_at=fields.pop("modified_at", text),
            lessons=tuple(self.lesson(f"Lesson {n}", at) for n in plain)
            if isinstance(lessons, int)
            else tuple(lessons),
            **fields,
        )
        if made.id in self.organisation.courses:
            self.organisation.put_course(made)
        else:
            self.organisation.append_course(made)
        return made

    def lesson(self, title: str, created: datetime | None = None, **fields: Any) -> Lesson:
        """Make a lesson for `course`; further keywords are fields of `Lesson`."""
        at = self._since if created is None else created
        return Lesson(self._ids.content(at), title, clock.to_text(at), **fields)

    def slide(self, title: str, kind: SlideKind = SlideKind.CONTENT, *options: str) -> Slide:
        """Make a slide for `lesson`; the first option of a question is the right one."""
        # Ids of a kind of their own, so that those of courses and lessons stay what they are.
        right = options[0] if kind is SlideKind.QUESTION else ""
        return Slide(self._ids.uuid("slide"), title, kind, options, right)

    def assign(self, course: Course, **to: Any) -> None:
        """Assign a course, in addition to what is assigned already; see ``_assigned`` for the keywords."""
        before, added = self.organisation.assigned[course.id], self._assigned(**to)
        self.organisation.assigned[course.id] = Assigned(
            before.users | added.users,
            before.groups | added.groups,
            before.sites | added.sites,
            added.universal or before.universal,
        )

    def _assigned(
        self,
        *,
        users: Iterable[Person] = (),
        groups: Iterable[Group] = (),
        sites: Iterable[Site] = (),
        everyone: bool = False,
        at: datetime | None = None,
    ) -> Assigned:
        """Assignments to people, groups, sites or everyone, since a moment."""
        since = self._since if at is None else at
        return Assigned(
            {user.id: since for user in users},
            {group.id: since for group in groups},
            {site.id: since for site in sites},
            since if everyone else None,
        )

    def path(self, title: str, courses: Iterable[Course], *, published: bool = True, **to: Any) -> CourseList:
        """Add a learning path of these courses, in order, assigned as a course is."""
        return _put(self.organisation.paths, self._course_list("path", title, courses, published, **to))

    def collection(
        self, title: str, courses: Iterable[Course], *, published: bool = True, **to: Any
    ) -> CourseList:
        """Add a collection of courses, assigned as a course is."""
        made = self._course_list("collection", title, courses, published, **to)
        return _put(self.organisation.collections, made)

    def _course_list(
        self, kind: str, title: str, courses: Iterable[Course], published: bool, **to: Any
    ) -> CourseList:
        # Ids of a kind of their own, so that those of courses and lessons stay the same.
        ids = tuple(course.id for course in courses)
        return CourseList(self._ids.uuid(kind), title, ids, published, self._assigned(**to))

    def rapid_refresh(
        self, title: str, questions: Mapping[str, Sequence[str]], *, published: bool = True, **to: Any
    ) -> RapidRefresh:
        """Add a rapid refresh of these questions, each with its options, the right one first; assigned as a path is."""
        made = RapidRefresh(
            self._ids.uuid("rapid refresh"),
            title,
            clock.to_text(self._since),
            tuple(
                RefreshQuestion(self._ids.uuid("refresh question"), question, tuple(options), options[0])
                for question, options in questions.items()
            ),
            published,
            self._assigned(**to),
        )
        return _put(self.organisation.rapid_refreshes, made)

    def refresh_answer(self, refresh: RapidRefresh, person: Person, answer: str, at: datetime) -> None:
        """Record a user's answer to each question that has it among its options."""
        for put in refresh.questions:
            if answer in put.options:
                given = RefreshAnswer(
                    refresh.id, put.id, person.id, answer, answer == put.right, clock.to_text(at)
                )
                self.organisation.refresh_answers.add(given)

    def leaderboard(
        self,
        name: str,
        courses: Iterable[Course],
        start: datetime,
        end: datetime,
        *,
        learner_access: bool = True,
    ) -> Leaderboard:
        """Add a leaderboard over these courses."""
        made = Leaderboard(
            self._ids.uuid("leaderboard"),
            name,
            clock.to_text(start),
            clock.to_text(end),
            tuple(course.id for course in courses),
            learner_access,
        )
        return _put(self.organisation.leaderboards, made)

    def lists(
        self,
        paths: Iterable[CourseListRow] = (),
        collections: Iterable[CourseListRow] = (),
        contest: tuple[str, Iterable[Course], datetime, datetime] | None = None,
    ) -> None:
        """Add learning paths, then collections, then a leaderboard over some courses for some time."""
        for add, rows in ((self.path, paths), (self.collection, collections)):
            for title, courses, to in rows:
                add(title, courses, **to)
        if contest is not None:
            self.leaderboard(*contest)

    def enrol(self, course_id: str, user_id: str, enrolment: Enrolment) -> None:
        """Set an enrolment that differs from the default: due date, or identity from a file."""
        self._enrolments.setdefault(course_id, {})[user_id] = enrolment

    def record(self, course_id: str, user_id: str, record: Record) -> None:
        """Record a person's progress in a course; a completion gets its certificate if the course gives any."""
        self.organisation.progress[course_id].records[user_id] = record
        if record.completed_at and self.organisation.courses[course_id].certificate:
            number, org = self._ids.certificate(), self.organisation
            made = Certificate(number, org.id, course_id, user_id, record.completed_at)
            org.certificates[course_id, user_id] = (made,)

    def finish(self) -> None:
        """Sort the courses and compute every roster."""
        self.organisation.sort_courses()
        for course_id in self.organisation.courses:
            self.organisation.progress[course_id].fill(self._roster(course_id))

    def _roster(self, course_id: str) -> Iterable[tuple[str, Enrolment]]:
        stated = self._enrolments.get(course_id, {})
        due, assigned = self.organisation.courses[course_id].due, self.organisation.assigned[course_id]
        plain: dict[datetime, Enrolment] = {}
        for person in self.organisation.people.values():
            since = assigned.since(person)
            if since is None:
                continue
            if since not in plain:
                plain[since] = Enrolment(since, since, due.date_for(since))
            yield person.id, stated.get(person.id, plain[since])


class WorldBuilder:
    """Builder of a world."""

    def __init__(
        self, *, seed: str | None, now: datetime | None = None, since: datetime | None = None
    ) -> None:
        self._is_loaded = seed is None
        self.ids = Ids(secrets.token_hex(16) if seed is None else seed)
        self._clock = Clock(now)
        self._since = self._clock.now() if since is None else since
        self._organisations: list[OrganisationBuilder] = []
        self._tokens: dict[str, Token] = {}
        self.tokens: dict[str, str] = {}
        """Tokens by name; the world keeps digests only."""

    @property
    def main(self) -> OrganisationBuilder:
        """The first organisation."""
        return self._organisations[0]

    def organisation(self, name: str) -> OrganisationBuilder:
        """Add an organisation; the first one is the main one."""
        made = OrganisationBuilder(Organisation(self.ids.role(), name, self._clock), self.ids, self._since)
        self._organisations.append(made)
        return made

    def token(
        self, name: str, person: Person, *, expires_at: datetime | None = None, revoked: bool = False
    ) -> None:
        """Give a person a token under a name."""
        self.tokens[name] = f"mock_{self.ids.derive(f'token/{name}', 48)}"
        self._tokens[digest(self.tokens[name])] = Token(
            person.id, person.organisation_id, expires_at, revoked
        )

    def build(self, policy: Policy, kind: type[W]) -> W:
        """Return the finished world, an instance of ``kind``. Call it once: the world takes over the entities."""
        for each in self._organisations:
            each.finish()
        organisations = [each.organisation for each in self._organisations]
        return kind(
            policy=policy,
            clock=self._clock,
            ids=self.ids,
            main=organisations[0],
            organisations={each.id: each for each in organisations},
            tokens=self._tokens,
            is_loaded=self._is_loaded,
        )


def add_staff(builder: WorldBuilder, organisation: OrganisationBuilder, *, expired_at: datetime) -> None:
    """Add one person for every token name, in no course; the outsider administrates a second organisation."""
    sets = organisation.permission_sets
    trainer = organisation.permission_set("Training manager", "Runs training.", {Permission.TRAINING})
    resetter = organisation.permission_set("User manager", "Looks after users.", {Permission.USERS})
    roles = {
        "admin": sets["Administrator"],
        "manager": trainer,
        "teamlead": sets["Manager"],
        "resetter": resetter,
        "learner": sets["Standard"],
    }
    for name, permission_set in roles.items():
        builder.token(name, _member(organisation, name, permission_set))
    former = _member(organisation, "former", sets["Administrator"])
    builder.token("revoked", former, revoked=True)
    builder.token("expired", former, expires_at=expired_at)
    other = builder.organisation("Another organisation")
    builder.token("outsider", _member(other, "outsider", other.permission_sets["Administrator"]))


def _member(organisation: OrganisationBuilder, role: str, permission_set: PermissionSet) -> Person:
    return organisation.person(
        "Mock", role.capitalize(), f"{role}@mock.invalid", permission_sets=[permission_set]
    )
