"""Worlds of any size, and records of the past for them and for the demo.

Every course is assigned to every learner, so the feed has users x courses rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from attrs import define, field

from mock_server.world import clock
from mock_server.world.courses import (
    Course,
    Lesson,
    LessonKind,
    Slide,
    SlideKind,
    SlideProgress,
    with_slides_done,
    with_survey_answer,
)
from mock_server.world.people import Group, Person
from mock_server.world.progress import (
    AssessmentSubmission,
    Attempt,
    DiscussionPost,
    HandIn,
    LessonProgress,
    Record,
)
from mock_server.world.seeds.builder import OrganisationBuilder, WorldBuilder, add_staff
from mock_server.world.world import Ids

_PACE = timedelta(hours=3)
_LESSON_SECONDS = 420
_OPINION = "Kurz und verständlich."


@define
class _Traces:
    """Traces of lessons, collected for one record."""

    lessons: list[LessonProgress] = field(factory=list)
    attempts: list[Attempt] = field(factory=list)
    submissions: list[AssessmentSubmission] = field(factory=list)
    posts: list[DiscussionPost] = field(factory=list)
    hand_ins: list[HandIn] = field(factory=list)
    slides: tuple[SlideProgress, ...] = ()

    def leave(self, ids: Ids, lesson: Lesson, at: str, score: int, *, done: bool) -> None:
        """Add the traces of one lesson, according to its kind, and of its slides."""
        self._work_through(lesson, at, score, done=done)
        if lesson.kind is LessonKind.ASSESSMENT:
            submission = AssessmentSubmission(ids.uuid("submission"), lesson.id, at, score)
            signed = AssessmentSubmission(submission.id, lesson.id, at, score, "Jonas Krüger", at)
            self.submissions.append(signed if done else submission)
        elif lesson.kind is LessonKind.DISCUSSION:
            self.posts.append(
                DiscussionPost(ids.uuid("post"), lesson.id, at, "Rückspiegel zuerst, dann los.")
            )
        elif lesson.kind is LessonKind.ASSIGNMENT:
            self.hand_ins.append(HandIn(ids.uuid("hand-in"), lesson.id, at, "gefährdungsbeurteilung.pdf"))
        else:
            self.attempts.append(Attempt(ids.uuid("attempt"), lesson.id, at, at, score, done))
        self.lessons.append(
            LessonProgress(lesson.id, at, at if done else "", 100.0 if done else 0.0, score if done else 0)
        )

    def _work_through(self, lesson: Lesson, at: str, score: int, *, done: bool) -> None:
        """Add progress on the slides; a user who completes the lesson with an even score answers its surveys."""
        self.slides = with_slides_done(self.slides, lesson.slides, at, right=done)
        for slide in lesson.slides:
            if slide.kind is SlideKind.SURVEY and done and score % 2 == 0:
                answer = slide.options[score % len(slide.options)] if slide.options else _OPINION
                self.slides = with_survey_answer(self.slides, slide, at, answer)


def past_record(
    ids: Ids,
    course: Course,
    start: datetime,
    done: Iterable[Lesson] = (),
    *,
    score: int = 90,
    touched: Iterable[Lesson] = (),
) -> Record:
    """Return the record of a user who started at a moment, completed some lessons and only tried others."""
    traces, at = _Traces(), start
    finished = list(done)
    for lesson in finished:
        at += _PACE
        traces.leave(ids, lesson, clock.to_text(at), score, done=True)
    for lesson in touched:
        at += _PACE
        traces.leave(ids, lesson, clock.to_text(at), score, done=False)
    record = Record(
        modified_at=at,
        opened_at=clock.to_text(start),
        completed_lessons=len(finished),
        progress_percent=round(100 * len(finished) / len(course.lessons), 2) if course.lessons else 0.0,
        score=score if finished else 0,
        time_spent_seconds=_LESSON_SECONDS * len(finished),
        lessons=tuple(traces.lessons),
        attempts=tuple(traces.attempts),
        submissions=tuple(traces.submissions),
        posts=tuple(traces.posts),
        hand_ins=tuple(traces.hand_ins),
        slides=traces.slides,
    )
    return record.completed(course, at) if finished and len(finished) == len(course.lessons) else record


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
    made = [_course(org, group, number) for number in range(1, courses + 1)]
    for course in made:
        _begin(builder, course, people)
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


def _course(org: OrganisationBuilder, group: Group, number: int) -> Course:
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
    return course


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
