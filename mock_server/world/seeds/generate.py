"""Worlds of any size: every course is assigned to every learner, so the feed has users x courses rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mock_server.world.courses import Course, LessonKind, Slide, SlideKind
from mock_server.world.people import Group, Person
from mock_server.world.seeds.builder import OrganisationBuilder, WorldBuilder, add_staff
from mock_server.world.seeds.history import past_record

_SINCE = datetime(2026, 1, 5, 8, tzinfo=UTC)
_FIRST = (
    "Ada",
    "Björn",
    "Chloë",
    "Dörte",
    "Emre",
    "Freya",
    "Günther",
    "Hannah",
    "Ilse",
    "Jörg",
    "Klára",
    "Łukasz",
)
_LAST = ("Ahrens", "Böhm", "Clarke", "Döring", "Evans", "Fuchs", "Größl", "Hughes", "İnan", "Jäger", "Köhler")
_TOPICS = ("Forklifts", "Fire safety", "Erste Hilfe", "Ladungssicherung", "Manual handling", "Datenschutz")
_WEEKS = 30
_ANSWERING = 1000
"""Most users who have answered the rapid refresh."""
_IN_A_PATH, _IN_A_COLLECTION = 5, 100
_DONE = (0, 2, 4, 4)
"""Completed lessons of four: half of the users who started have completed."""
_LESSONS = (LessonKind.CONTENT, LessonKind.QUIZ, LessonKind.DISCUSSION, LessonKind.ASSESSMENT)


def build_generated(users: int, courses: int, seed: int, *, now: datetime | None = None) -> WorldBuilder:
    """Return a world of this size, the same for the same arguments. Raises ValueError for a number below 1.

    The owners of the tokens are extra people without courses.
    """
    if users < 1 or courses < 1:
        raise ValueError(f"A generated world needs at least 1 user and 1 course, not {users} and {courses}.")
    builder = WorldBuilder(seed=f"generated/{seed}", now=now, since=_SINCE)
    org = builder.organisation(f"Generated organisation {seed}")
    group, team = org.group("Learners"), org.group("Every second learner")
    people = [
        org.person(
            _FIRST[number % len(_FIRST)],
            _LAST[number // len(_FIRST) % len(_LAST)],
            f"user{number}@generated.example",
            external_id=f"EXT-{number}",
            groups=(group, team) if number % 2 else (group,),
            notifications=number % 4 != 3,
        )
        for number in range(1, users + 1)
    ]
    made = []
    for number in range(1, courses + 1):
        lessons = [
            org.lesson(
                f"{kind.value.capitalize()} {number}",
                kind=kind,
                slides=_slides(org, number) if kind is LessonKind.CONTENT else (),
            )
            for kind in _LESSONS
        ]
        course = org.course(
            f"{_TOPICS[number % len(_TOPICS)]} {number}",
            created=_SINCE + timedelta(minutes=number),
            lessons=lessons,
            certificate=number % 5 == 1,
        )
        org.assign(course, groups=(group,), at=_SINCE)
        _begin(builder, course, people)
        made.append(course)
    _lists(org, group, made)
    _quiz(org, group, people)
    add_staff(builder, org, expired_at=_SINCE)
    # The learner is one of the learners; the team of the team lead is every second learner.
    builder.token("learner", people[0])
    lead = org.person(
        "Terry",
        "Teamlead",
        "terry@generated.example",
        managed_groups=(team,),
        permission_sets=(org.permission_sets["Manager"],),
    )
    builder.token("teamlead", lead)
    return builder


def _lists(org: OrganisationBuilder, group: Group, made: list[Course]) -> None:
    to = {"groups": (group,)}
    first, second = made[:_IN_A_PATH], made[::2][:_IN_A_PATH]
    org.lists(
        [("Induction", first, to), ("Every second course", second, to)],
        [("Everything", made[:_IN_A_COLLECTION], to)],
        ("Contest", first, _SINCE, _SINCE + timedelta(days=7 * _WEEKS)),
    )


def _quiz(org: OrganisationBuilder, group: Group, people: list[Person]) -> None:
    quiz = org.rapid_refresh("Quiz", {"Ready?": ("Yes", "No"), "Sure?": ("Yes", "No")}, groups=(group,))
    for number, person in enumerate(people[:_ANSWERING]):
        org.refresh_answer(quiz, person, "No" if number % 3 else "Yes", _SINCE + timedelta(minutes=number))


def _slides(org: OrganisationBuilder, number: int) -> tuple[Slide, ...]:
    """Return one slide of each kind."""
    return (
        org.slide(f"Slide {number}"),
        org.slide(f"Question {number}?", SlideKind.QUESTION, "Right", "Wrong"),
        org.slide(f"How was lesson {number}?", SlideKind.SURVEY, "Good", "So-so", "Bad"),
    )


def _begin(builder: WorldBuilder, course: Course, people: list[Person]) -> None:
    """Start a course for about four in five of these people.

    Records are frozen and do not name their user, so people share them: this keeps large worlds small.
    """
    starts = [_SINCE + timedelta(days=7 * week, minutes=13 * week) for week in range(1, _WEEKS + 1)]
    shared = [
        past_record(builder.ids, course, start, course.lessons[:done], score=60 + 10 * done - week % 7)
        for week, start in enumerate(starts)
        for done in _DONE
    ]
    for person in people:
        draw = int(builder.ids.derive(f"{course.id}/{person.id}", 8), 16)
        if draw % 5:
            builder.main.record(course.id, person.id, shared[draw // 5 % len(shared)])
