"""The registry of an organisation's parts: how each is saved, loaded, copied, compared and checked.

`OrganisationState` is an organisation as documents hold it. Each of its fields is a part and says how the part is
handled; `PARTS` lists them in the order of documents. To add a part, add a field to `Organisation` and one to
`OrganisationState`, and fill it in `seeds/demo.py`. If its members can change, give them ``copy()`` and add their class
to `Part.copy`. Then run ``make record``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, get_args, get_type_hints

import attrs
from attrs import evolve, field, frozen

from mock_server.world.clock import Clock
from mock_server.world.codec import StateError, encode
from mock_server.world.courses import (
    Assigned,
    Course,
    CourseList,
    RapidRefresh,
    RefreshAnswer,
    RefreshAnswers,
)
from mock_server.world.ledger import Certificate
from mock_server.world.organisation import Leaderboard, Organisation
from mock_server.world.people import Group, PermissionSet, Person, Site
from mock_server.world.progress import Enrolment, Record

Json = Mapping[str, Any]
Compared = tuple[str, tuple[str, ...], Any]
"""Kind, key and value of one record that two documents are compared by."""


@frozen
class CourseState:
    """One course as documents hold it: its settings, its assignments, and the progress of each person."""

    course: Course
    assigned: Assigned
    enrolments: dict[str, Enrolment] = field(factory=dict)
    records: dict[str, Record] = field(factory=dict)
    reset_at: dict[str, datetime] = field(factory=dict)


@frozen
class Part:
    """The handling of one part of an organisation; this class handles entities by their id."""

    kind: str
    """The name of one member in messages and differences."""
    refers: Callable[[Any], Mapping[str, Iterable[str]]] = lambda _: {}
    """A function that returns the ids that a member refers to, by part."""
    name: str = ""
    """The name of the field, here and in documents."""
    entity: type[Any] = object
    defaults: Json = field(factory=dict)
    """The fields that a member of an older document may lack."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """Fields of `Organisation` that hold the part."""
        return (self.name,)

    def save(self, organisation: Organisation) -> Iterable[Any]:
        """Return the members as documents list them."""
        members: dict[str, Any] = getattr(organisation, self.name)
        return members.values()

    def load(self, organisation: Organisation, members: Iterable[Any]) -> None:
        """Put members into an organisation that has the parts before this one."""
        setattr(organisation, self.name, {each.id: each for each in members})

    def copy(self, source: Organisation, target: Organisation) -> None:
        """Put the same members into another organisation; share nothing that can change."""
        members: dict[str, Any] = getattr(source, self.name)
        if self.entity in (CourseList, RapidRefresh):
            members = {key: each.copy() for key, each in members.items()}
        setattr(target, self.name, dict(members))

    def snapshot(self, organisation: Organisation) -> Json:
        """Return the members, and what is derived from them, as plain JSON data."""
        return {self.name: encode(getattr(organisation, self.name))}

    def records(self, members: Iterable[Json]) -> Iterator[Compared]:
        """Yield the members of a document to compare; what an older document lacks takes its default."""
        for each in members:
            lacking = self.defaults.keys() - each.keys()
            yield self.kind, (each["id"],), {**each, **{name: self.defaults[name] for name in lacking}}

    def labels(self, members: Iterable[Json]) -> dict[str, str]:
        """Return the names that people know members of a document by, by id."""
        return {each["id"]: f'"{each["name"] if "name" in each else each["title"]}"' for each in members}

    def ids(self, members: Iterable[Any], where: str) -> set[str]:
        """Return the ids of members. Raises StateError if an id occurs twice."""
        return unique((each.id for each in members), where)

    def check(self, state: OrganisationState, known: Mapping[str, set[str]], where: str) -> None:
        """Raise StateError for a member that refers to an id that is not ``known``, by part."""
        for number, each in enumerate(getattr(state, self.name)):
            for part, ids in self.refers(each).items():
                if missing := set(ids) - known[part]:
                    listed = ", ".join(sorted(missing))
                    raise StateError(f"{where}[{number}]: There is no {_KINDS[part]} {listed}.")


class _People(Part):
    def labels(self, members: Iterable[Json]) -> dict[str, str]:
        return {each["id"]: each["email"] or f"{each['first_name']} {each['last_name']}" for each in members}

    def check(self, state: OrganisationState, known: Mapping[str, set[str]], where: str) -> None:
        for number, each in enumerate(state.people):
            if each.organisation_id != state.id:
                raise StateError(f"{where}[{number}] belongs to {each.organisation_id}, not to {state.id}.")
        super().check(state, known, where)


class _Courses(Part):
    """Courses with their assignments and progress. Rosters and tallies are computed again when loaded."""

    @property
    def attributes(self) -> tuple[str, ...]:
        return "courses", "assigned", "progress"

    def save(self, organisation: Organisation) -> Iterable[Any]:
        for course_id, course in organisation.courses.items():
            progress, assigned = organisation.progress[course_id], organisation.assigned[course_id]
            yield CourseState(course, assigned, progress.enrolments, progress.records, progress.reset_at)

    def load(self, organisation: Organisation, members: Iterable[Any]) -> None:
        people = organisation.people.values()
        for each in sorted(members, key=lambda each: each.course.id):
            organisation.append_course(each.course)
            organisation.assigned[each.course.id] = each.assigned
            progress = organisation.progress[each.course.id]
            progress.records.update(each.records)
            progress.reset_at.update(each.reset_at)
            progress.fill(each.enrolments.items(), _roster(people, each.assigned))

    def copy(self, source: Organisation, target: Organisation) -> None:
        target.courses = dict(source.courses)
        target.assigned = {course_id: each.copy() for course_id, each in source.assigned.items()}
        target.progress = source.progress.copy()

    def snapshot(self, organisation: Organisation) -> Json:
        partitions = organisation.progress.courses.items()
        derived = {"rosters": "roster", "tallies": "tally", **{each: each for each in _BY_USER}}
        return {
            "courses": encode(organisation.courses),
            "assigned": encode(organisation.assigned),
            **{
                name: {course_id: encode(getattr(each, attribute)) for course_id, each in partitions}
                for name, attribute in derived.items()
            },
        }

    def records(self, members: Iterable[Json]) -> Iterator[Compared]:
        for each in members:
            course_id = each["course"]["id"]
            yield "course", (course_id,), each["course"]
            yield "assigned", (course_id,), each["assigned"]
            for name, kind in _BY_USER.items():
                for user_id, value in each.get(name, {}).items():
                    yield kind, (course_id, user_id), value

    def labels(self, members: Iterable[Json]) -> dict[str, str]:
        return super().labels(each["course"] for each in members)

    def ids(self, members: Iterable[Any], where: str) -> set[str]:
        courses = [each.course for each in members]
        found = super().ids(courses, where)
        slides = (slide.id for each in courses for lesson in each.lessons for slide in lesson.slides)
        unique(slides, f"{where}: The list of slides")
        return found

    def check(self, state: OrganisationState, known: Mapping[str, set[str]], where: str) -> None:
        for number, each in enumerate(state.courses):
            for name in _BY_USER:
                if missing := getattr(each, name).keys() - known["people"]:
                    listed = ", ".join(sorted(missing))
                    raise StateError(f"{where}[{number}]: There is no user {listed}.")
            if missing := set(_roster(state.people, each.assigned)) - each.enrolments.keys():
                listed = ", ".join(sorted(missing))
                raise StateError(
                    f"{where}[{number}].enrolments lacks {listed}, although the course is assigned to them."
                )


_BY_USER = {"enrolments": "enrolment", "records": "record", "reset_at": "reset mark"}


class _Certificates(Part):
    def save(self, organisation: Organisation) -> Iterable[Any]:
        return (each for several in organisation.certificates.values() for each in several)

    def load(self, organisation: Organisation, members: Iterable[Any]) -> None:
        for each in members:
            key = (each.course_id, each.user_id)
            organisation.certificates[key] = (*organisation.certificates.get(key, ()), each)

    def snapshot(self, organisation: Organisation) -> Json:
        return {
            "certificates": {"/".join(key): encode(each) for key, each in organisation.certificates.items()}
        }

    def records(self, members: Iterable[Json]) -> Iterator[Compared]:
        return ((self.kind, (each["number"],), each) for each in members)

    def labels(self, members: Iterable[Json]) -> dict[str, str]:
        return {}

    def ids(self, members: Iterable[Any], where: str) -> set[str]:
        return set()


class _RefreshAnswers(Part):
    def save(self, organisation: Organisation) -> Iterable[Any]:
        return organisation.refresh_answers.rows

    def load(self, organisation: Organisation, members: Iterable[Any]) -> None:
        organisation.refresh_answers = RefreshAnswers.of(members)

    def copy(self, source: Organisation, target: Organisation) -> None:
        target.refresh_answers = RefreshAnswers(list(source.refresh_answers.rows))

    def snapshot(self, organisation: Organisation) -> Json:
        return {"refresh_answers": encode(organisation.refresh_answers.rows)}

    def records(self, members: Iterable[Json]) -> Iterator[Compared]:
        for each in members:
            key = each["refresh_id"], each["user_id"], each["question_id"], each["answered_at"]
            yield self.kind, key, each

    def labels(self, members: Iterable[Json]) -> dict[str, str]:
        return {}

    def ids(self, members: Iterable[Any], where: str) -> set[str]:
        return unique(("/".join(each.key) for each in members), where)

    def check(self, state: OrganisationState, known: Mapping[str, set[str]], where: str) -> None:
        asked = {(each.id, question.id) for each in state.rapid_refreshes for question in each.questions}
        for number, each in enumerate(state.refresh_answers):
            if (each.refresh_id, each.question_id) not in asked or each.user_id not in known["people"]:
                raise StateError(f"{where}[{number}]: There is no such question, or no such user.")


def _part(how: Part) -> Any:
    return field(factory=tuple, metadata={"part": how})


def _courses_of(each: CourseList | Leaderboard) -> dict[str, Iterable[str]]:
    return {"courses": each.course_ids}


def _teams_of(each: Person) -> dict[str, Iterable[str]]:
    return {
        "permission_sets": each.permission_sets,
        "groups": each.groups | each.managed_groups,
        "sites": each.sites | each.managed_sites,
    }


@frozen
class OrganisationState:
    """One organisation as documents hold it: its id and name, and its parts."""

    id: str
    name: str
    people: tuple[Person, ...] = _part(_People("person", _teams_of))
    groups: tuple[Group, ...] = _part(Part("group"))
    sites: tuple[Site, ...] = _part(Part("site"))
    permission_sets: tuple[PermissionSet, ...] = _part(Part("permission set"))
    courses: tuple[CourseState, ...] = _part(_Courses("course"))
    certificates: tuple[Certificate, ...] = _part(_Certificates("certificate"))
    paths: tuple[CourseList, ...] = _part(Part("learning path", _courses_of))
    collections: tuple[CourseList, ...] = _part(Part("collection", _courses_of))
    rapid_refreshes: tuple[RapidRefresh, ...] = _part(Part("rapid refresh"))
    refresh_answers: tuple[RefreshAnswer, ...] = _part(_RefreshAnswers("rapid refresh answer"))
    leaderboards: tuple[Leaderboard, ...] = _part(Part("leaderboard", _courses_of))


def _registry() -> Iterator[Part]:
    hints = get_type_hints(OrganisationState)
    for each in attrs.fields(OrganisationState):
        if "part" in each.metadata:
            entity = get_args(hints[each.name])[0]
            yield evolve(each.metadata["part"], name=each.name, entity=entity, defaults=_defaults(entity))


def _defaults(entity: type[Any]) -> dict[str, Any]:
    found = {}
    for each in attrs.fields(entity):
        if each.default is not attrs.NOTHING:
            default: Any = each.default
            found[each.name] = encode(default.factory() if hasattr(default, "factory") else default)
    return found


PARTS = tuple(_registry())
_KINDS = {part.name: part.kind for part in PARTS}


def save(organisation: Organisation) -> OrganisationState:
    """Return an organisation as documents hold it."""
    members = {part.name: tuple(part.save(organisation)) for part in PARTS}
    return OrganisationState(organisation.id, organisation.name, **members)


def load(state: OrganisationState, clock: Clock) -> Organisation:
    """Make the organisation that a document holds."""
    organisation = Organisation(state.id, state.name, clock)
    for part in PARTS:
        part.load(organisation, getattr(state, part.name))
    return organisation


def copy(source: Organisation, clock: Clock) -> Organisation:
    """Make an organisation like another, with a clock of its own; the two share nothing that can change."""
    target = Organisation(source.id, source.name, clock)
    for part in PARTS:
        part.copy(source, target)
    return target


def snapshot(organisation: Organisation) -> Json:
    """Return an organisation as plain JSON data, with what is derived from its parts."""
    found: dict[str, Any] = {"name": organisation.name}
    for part in PARTS:
        found |= part.snapshot(organisation)
    return found


def validate(state: OrganisationState, where: str) -> None:
    """Raise StateError, naming the place, if an organisation contradicts itself."""
    known = {part.name: part.ids(getattr(state, part.name), f"{where}.{part.name}") for part in PARTS}
    for part in PARTS:
        part.check(state, known, f"{where}.{part.name}")


def unique(ids: Iterable[str], where: str) -> set[str]:
    """Return ids as a set. Raises StateError if an id occurs twice."""
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise StateError(f"{where} has {each} twice.")
        seen.add(each)
    return seen


def _roster(people: Iterable[Person], assigned: Assigned) -> list[str]:
    return sorted(each.id for each in people if assigned.since(each) is not None)
