"""A small organisation in which every rule of a reset has somebody to apply to, known by their first names.

"Forklift basics" is assigned to the crew: anna and ben have completed it, cleo has begun, dora has only posted to the
discussion, emil has not begun; gus is a guest and dirk deactivated, both with progress from before; fay is not
assigned. Ben has notifications switched off. Another organisation has a course and a learner of the same names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from mock_server import MockTraining, Policy
from mock_server.learner_actions import LiveWorld
from mock_server.world.clock import to_text
from mock_server.world.courses import (
    Course,
    CourseStatus,
    Due,
    DueKind,
    LessonKind,
    Slide,
    SlideKind,
    SlideProgress,
)
from mock_server.world.people import Permission, Person, Seat, Status
from mock_server.world.progress import LessonProgress, Record
from mock_server.world.seeds.builder import OrganisationBuilder, WorldBuilder

BEGAN = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
FORKLIFT, FIRE, DRAFT, ARCHIVED = (
    "Forklift basics",
    "Fire safety",
    "Ladungssicherung",
    "Forklift basics (2019)",
)

INDUCTION, SAFETY, HIDDEN = "Induction", "Safety", "Hidden"
"""A learning path, a collection, and one of either that a learner sees nothing of: unpublished, or of another site."""

QUIZ = "Ways out"
"""A rapid refresh for the crew; anna and ben have answered."""

CUP = "Safety cup"
"""A leaderboard over "Forklift basics" and "Fire safety"."""

SURVEY = "What was unclear?"
"""Asked in the first lesson of "Forklift basics"; anna and cleo have answered."""

RECORDED = ("anna", "ben", "cleo", "dora")
"""Those with recorded progress in "Forklift basics"."""
NOTIFIED = ("anna", "cleo", "dora")
"""Those of them whose notifications are on."""


@frozen
class Plant:
    """The organisation, and who is who in it."""

    mock: MockTraining
    people: dict[str, str]
    courses: dict[str, str]

    def id(self, name: str) -> str:
        """The user id of somebody."""
        return self.people[name]

    def ids(self, *names: str) -> list[str]:
        """The user ids of several."""
        return [self.people[name] for name in names]

    def names(self, ids: Any) -> set[str]:
        """Who these user ids are."""
        known = {user_id: name for name, user_id in self.people.items()}
        return {known[user_id] for user_id in ids}

    @property
    def forklift(self) -> str:
        """The id of the course that everything is shown on."""
        return self.courses[FORKLIFT]

    def path(self, title: str = INDUCTION) -> str:
        """The id of a learning path of the main organisation."""
        return next(each.id for each in self.mock.world.main.paths.values() if each.title == title)

    def collection(self, title: str = SAFETY) -> str:
        """The id of a collection of the main organisation."""
        return next(each.id for each in self.mock.world.main.collections.values() if each.title == title)

    def rapid_refresh(self, title: str = QUIZ) -> str:
        """The id of a rapid refresh of the main organisation."""
        return self.mock.world.rapid_refresh(title).id

    def leaderboard(self, name: str = CUP) -> str:
        """The id of a leaderboard of the main organisation."""
        return next(each.id for each in self.mock.world.main.leaderboards.values() if each.name == name)

    def later(self, **by: float) -> None:
        """Let time go by."""
        self.mock.world.clock.advance(timedelta(**by))


def state(mock: MockTraining) -> dict[str, Any]:
    """The whole world but for the audit log, which also grows by what is refused."""
    return {name: part for name, part in mock.world.snapshot().items() if name != "audit"}


@contextmanager
def nothing_changes(mock: MockTraining) -> Iterator[None]:
    """What happens inside leaves the world as it was."""
    before = state(mock)
    yield
    assert state(mock) == before


def grow(policy: Policy | None = None) -> Plant:
    """A new plant, the same every time, in which it is now NOW."""
    builder = WorldBuilder(seed="plant", now=BEGAN)
    people, courses = _nordwerk(builder)
    people["stranger"], courses["foreign"] = _neighbour(builder)
    mock = MockTraining(builder.build(policy or Policy(), LiveWorld), builder.tokens)
    _history(mock)
    mock.world.clock.freeze(NOW)
    return Plant(mock, people, courses)


def _nordwerk(builder: WorldBuilder) -> tuple[dict[str, str], dict[str, str]]:
    org = builder.organisation("Nordwerk")
    crew, night, harbour = org.group("Crew"), org.group("Night shift"), org.site("Harbour")
    people = _staff(builder, org, night.id, harbour.id)
    for name in ("anna", "ben", "cleo", "dora", "emil", "gus", "dirk", "fay"):
        groups = [crew] if name != "fay" else []
        people[name] = org.person(
            name.capitalize(),
            "Müller",
            f"{name}@nordwerk.example",
            external_id=f"NW-{name}",
            groups=[*groups, *([night] if name in ("anna", "gus") else [])],
            sites=[harbour] if name == "dora" else [],
            notifications=name != "ben",
            permission_sets=[org.permission_sets["Standard"]],
        )
    builder.token("learner", people["anna"])
    forklift = _forklift(org)
    fire = org.course(
        FIRE, lessons=2, certificate=True, due=Due(DueKind.STATIC, at="2026-12-31T22:59:59.000Z")
    )
    draft = org.course(DRAFT, lessons=2, status=CourseStatus.DRAFT)
    archived = org.course(ARCHIVED, lessons=1, status=CourseStatus.ARCHIVED, certificate=True)
    org.assign(forklift, groups=[crew])
    org.assign(fire, everyone=True)
    org.assign(draft, users=[people["anna"], people["ben"]])
    org.assign(archived, sites=[harbour], users=[people["ben"]])
    org.path(INDUCTION, [fire, draft, forklift], groups=[crew])
    org.path(HIDDEN, [forklift], groups=[crew], published=False)
    org.collection(SAFETY, [forklift, archived, fire], everyone=True)
    org.collection(HIDDEN, [fire], sites=[harbour])
    org.leaderboard(CUP, [forklift, fire], BEGAN, NOW)
    org.leaderboard(HIDDEN, [fire], BEGAN, NOW, learner_access=False)
    quiz = org.rapid_refresh(QUIZ, {"Which exit?": ("The north gate", "The lift")}, groups=[crew])
    org.rapid_refresh(HIDDEN, {"When?": ("Now", "Later")}, groups=[crew], published=False)
    org.refresh_answer(quiz, people["anna"], "The north gate", BEGAN)
    org.refresh_answer(quiz, people["ben"], "The lift", BEGAN)
    ids = {course.title: course.id for course in (forklift, fire, draft, archived)}
    return {name: person.id for name, person in people.items()}, ids


def _staff(builder: WorldBuilder, org: OrganisationBuilder, group: str, site: str) -> dict[str, Person]:
    sets = org.permission_sets
    trainer = org.permission_set("Training manager", "Runs training.", [Permission.TRAINING])
    resetter = org.permission_set("User manager", "Looks after users.", [Permission.USERS])
    staff: dict[str, Person] = {}
    for token, name, held in (
        ("admin", "ada", sets["Administrator"]),
        ("manager", "max", trainer),
        ("teamlead", "tom", sets["Manager"]),
        ("resetter", "rita", resetter),
    ):
        reach: dict[str, Any] = {}
        if token == "teamlead":
            reach = {
                "managed_groups": [org.organisation.groups[group]],
                "managed_sites": [org.organisation.sites[site]],
            }
        staff[name] = org.person(
            name.capitalize(), "Staff", f"{name}@nordwerk.example", permission_sets=[held], **reach
        )
        builder.token(token, staff[name])
    builder.token("revoked", staff["ada"], revoked=True)
    builder.token("expired", staff["ada"], expires_at=BEGAN)
    return staff


def _forklift(org: OrganisationBuilder) -> Course:
    lessons = [
        org.lesson("Controls", slides=_slides(org)),
        org.lesson("Signs", kind=LessonKind.QUIZ, minimum_score=80),
        org.lesson("Driving test", kind=LessonKind.ASSESSMENT, minimum_score=70),
        org.lesson("Near misses", kind=LessonKind.DISCUSSION),
        org.lesson("Risk sheet", kind=LessonKind.ASSIGNMENT),
    ]
    due = Due(DueKind.RELATIVE, days=30)
    return org.course(
        FORKLIFT,
        lessons=lessons,
        certificate=True,
        due=due,
        external_id="NW-FL",
        completion_expires_months=12,
    )


def _slides(org: OrganisationBuilder) -> tuple[Slide, ...]:
    return (
        org.slide("The dashboard"),
        org.slide("Which lever lifts?", SlideKind.QUESTION, "The left one", "The right one"),
        org.slide(SURVEY, SlideKind.SURVEY),
    )


def _neighbour(builder: WorldBuilder) -> tuple[str, str]:
    org = builder.organisation("Nordwerk Ltd")
    outsider = org.person(
        "Olga", "Outside", "olga@ltd.example", permission_sets=[org.permission_sets["Administrator"]]
    )
    stranger = org.person("Anna", "Müller", "anna@ltd.example")
    asked = org.slide(SURVEY, SlideKind.SURVEY)
    course = org.course(FORKLIFT, lessons=[org.lesson("Lesson 1", slides=(asked,))], certificate=True)
    org.assign(course, users=[stranger])
    org.path(INDUCTION, [course], everyone=True)
    org.collection(SAFETY, [course], everyone=True)
    org.leaderboard(CUP, [course], BEGAN, NOW)
    quiz = org.rapid_refresh(QUIZ, {"Which way?": ("Left", "Right")}, everyone=True)
    org.refresh_answer(quiz, stranger, "Right", BEGAN)
    at = to_text(BEGAN)
    answered = SlideProgress(asked.id, at, "Ask at the other gate.", at)
    reached = LessonProgress(course.lessons[0].id, at, at, 100.0, 99)
    record = Record(BEGAN, at, at, 1, 100.0, 99, lessons=(reached,), slides=(answered,))
    org.record(course.id, stranger.id, record)
    builder.token("outsider", outsider)
    return stranger.id, course.id


def _history(mock: MockTraining) -> None:
    """What everybody did since, an hour apart."""
    world = mock.world
    steps: list[tuple[Any, ...]] = [
        (world.complete_course, FORKLIFT, "anna", {"score": 91}),
        (world.complete_course, FORKLIFT, "ben", {"score": 83}),
        (world.complete_lesson, FORKLIFT, "cleo", {"lesson": "Controls", "score": 77}),
        (world.complete_lesson, FORKLIFT, "cleo", {"lesson": "Signs", "score": 40}),
        (world.submit_assessment, FORKLIFT, "cleo", {"mark": 66}),
        (world.hand_in_assignment, FORKLIFT, "cleo", {"file_name": "cleos-risk-sheet.pdf", "mark": 58}),
        (world.post_to_discussion, FORKLIFT, "dora", {"text": "A pallet fell in bay 4."}),
        (world.complete_course, FORKLIFT, "gus", {"score": 88}),
        (world.complete_course, FORKLIFT, "dirk", {"score": 87}),
        (world.complete_course, FIRE, "anna", {"score": 95}),
        (world.complete_course, FIRE, "ben", {"score": 71}),
        (world.open, FIRE, "emil", {}),
        (world.complete_course, DRAFT, "anna", {"score": 62}),
        (world.complete_course, ARCHIVED, "ben", {"score": 61}),
        (world.answer_survey, FORKLIFT, "anna", {"answer": "The horn is hard to reach."}),
        (world.answer_survey, FORKLIFT, "cleo", {"answer": "Which pedal is which."}),
    ]
    for action, course, name, details in steps:
        world.clock.advance(timedelta(hours=1, milliseconds=7))
        action(course, f"{name}@nordwerk.example", **details)
    world.update_user("gus@nordwerk.example", seat=Seat.GUEST)
    world.update_user("dirk@nordwerk.example", status=Status.DEACTIVATED)
