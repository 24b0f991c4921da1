"""Slides: their figures, what users have seen of them, and what surveys ask and were answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from attrs import define

from mock_server.api.operation import (
    COURSE,
    PAGE,
    USER,
    Call,
    Link,
    NumberedPage,
    Operation,
    courses_asked,
    courses_of_user,
    figures,
    members,
    numbered,
    recorded,
)
from mock_server.refusal import Reason
from mock_server.rules.access import Family
from mock_server.rules.completion import lessons_of
from mock_server.wire.message import Response
from mock_server.wire.schema import DateOrNone, answer, field
from mock_server.world.courses import Course, Lesson, Slide, SlideKind, SlideProgress
from mock_server.world.progress import CourseProgress


@answer("A")
class SlideOfCourse:
    """A slide and where it is; subclasses add its figures."""

    courseId: str
    lessonId: str
    slideId: str
    slideTitle: str = field("The title of the slide; for a question or a survey, its text.")
    slideType: SlideKind


@answer("A")
class SlideStatistics(SlideOfCourse):
    """The figures of a slide."""

    viewedCount: int
    answeredCount: int
    correctCount: int


@answer("A")
class SlideStatisticsPage(NumberedPage):
    """A page of the figures of slides."""

    items: list[SlideStatistics]


@answer("A")
class UserSlide(SlideOfCourse):
    """The progress of a user on a slide."""

    viewed: bool
    viewedDateTime: DateOrNone
    answered: bool
    correct: bool = field("True if the question was answered correctly.")


@answer("A")
class UserSlides(NumberedPage):
    """A page of a user's slides."""

    items: list[UserSlide]


@answer("A")
class SurveyQuestion:
    """The question of a survey."""

    id: str
    courseId: str
    lessonId: str
    question: str
    answerType: Literal["text", "choice"]
    options: list[str] = field("The options; empty for a question that accepts text.")


@answer("A")
class SurveyQuestions(NumberedPage):
    """A page of the questions of surveys."""

    items: list[SurveyQuestion]


@answer("A")
class SurveyAnswer:
    """An answer to a survey."""

    questionId: str
    userId: str
    courseId: str
    lessonId: str
    answer: str
    answeredDateTime: DateOrNone


@answer("A")
class SurveyAnswers(NumberedPage):
    """A page of answers to surveys."""

    items: list[SurveyAnswer]


@define
class SlideTally:
    """Counts over the users who have viewed a slide."""

    viewed: int = 0
    answered: int = 0
    correct: int = 0

    def count(self, seen: SlideProgress) -> None:
        """Add the view and answer of one user."""
        self.viewed += 1
        self.answered += bool(seen.answered_at)
        self.correct += bool(seen.correct)


_Tallies = dict[str, SlideTally]
_Place = tuple[Course, Lesson, Slide]


def _places(courses: Iterable[Course]) -> Iterator[_Place]:
    return (
        (course, lesson, slide) for course in courses for lesson in course.lessons for slide in lesson.slides
    )


@Operation(
    "GetSlideStatistics",
    "GET /training/analytics/v1/slides/statistics",
    "A",
    Family.ANALYTICS,
    SlideStatisticsPage,
    parameters=(*PAGE, COURSE),
)
def get_slide_statistics(call: Call) -> Response:
    """Show the statistics of slides."""
    team = members(call)
    counted: dict[str, _Tallies] = {}  # to ask for those of a course once a page, not once a row

    def row(place: _Place) -> SlideStatistics:
        course, lesson, slide = place
        if course.id not in counted:
            counted[course.id] = figures(call, "slides", course, team, _count)
        tally = counted[course.id][slide.id]
        return SlideStatistics(
            courseId=course.id,
            lessonId=lesson.id,
            slideId=slide.id,
            slideTitle=slide.title,
            slideType=slide.kind,
            viewedCount=tally.viewed,
            answeredCount=tally.answered,
            correctCount=tally.correct,
        )

    return numbered(call, SlideStatisticsPage, list(_places(courses_asked(call))), row)


def _count(course: Course, progress: CourseProgress, users: Iterable[str]) -> _Tallies:
    found = {slide.id: SlideTally() for _, _, slide in _places([course])}
    for user_id in users:
        for _, slide, seen in _seen(course, progress, user_id):
            if seen is not None:
                found[slide.id].count(seen)
    return found


def _seen(
    course: Course, progress: CourseProgress, user_id: str
) -> Iterator[tuple[Lesson, Slide, SlideProgress | None]]:
    """Yield every slide that counts for a user, in order, with what the user has seen of it."""
    record = progress.records.get(user_id)
    seen = {each.slide_id: each for each in record.slides} if record else {}
    for lesson in lessons_of(course, progress.enrolments[user_id]):
        for slide in lesson.slides:
            yield lesson, slide, seen.get(slide.id)


@Operation(
    "GetUserSlideStatistics",
    "GET /training/analytics/v1/users/{userId}/slides/statistics",
    "A",
    Family.PROGRESS,
    UserSlides,
    parameters=(*PAGE, COURSE),
    refusals=(Reason.USER_NOT_FOUND,),
)
def user_slides(call: Call) -> Response:
    """List the progress of a user on slides."""
    user_id, courses = courses_of_user(call)
    table = call.organisation.progress
    rows = [(course, *each) for course in courses for each in _seen(course, table[course.id], user_id)]
    return numbered(call, UserSlides, rows, lambda row: _user_slide(*row))


def _user_slide(course: Course, lesson: Lesson, slide: Slide, seen: SlideProgress | None) -> UserSlide:
    return UserSlide(
        courseId=course.id,
        lessonId=lesson.id,
        slideId=slide.id,
        slideTitle=slide.title,
        slideType=slide.kind,
        viewed=seen is not None,
        viewedDateTime=seen.viewed_at if seen else "",
        answered=bool(seen and seen.answered_at),
        correct=bool(seen and seen.correct),
    )


# --- surveys ----------------------------------------------------------------------------------------------------------


@Operation(
    "ListSurveyQuestionDefinitions",
    "GET /training/analytics/v1/surveys/questionDefinitions",
    "A",
    Family.ANALYTICS,
    SurveyQuestions,
    parameters=(*PAGE, COURSE),
    links=(
        Link(
            "Answers",
            "ListSurveyAnswers",
            "The answers to surveys.",
            {"courseId": "$response.body#/items/0/courseId"},
        ),
    ),
)
def survey_questions(call: Call) -> Response:
    """List the questions of surveys."""
    found = [place for place in _places(courses_asked(call)) if place[2].kind is SlideKind.SURVEY]
    return numbered(call, SurveyQuestions, found, lambda place: _question(*place))


def _question(course: Course, lesson: Lesson, slide: Slide) -> SurveyQuestion:
    return SurveyQuestion(
        id=slide.id,
        courseId=course.id,
        lessonId=lesson.id,
        question=slide.title,
        answerType="choice" if slide.options else "text",
        options=list(slide.options),
    )


@Operation(
    "ListSurveyAnswers",
    "GET /training/analytics/v1/surveys/answers",
    "A",
    Family.PROGRESS,
    SurveyAnswers,
    parameters=(*PAGE, USER, COURSE),
)
def survey_answers(call: Call) -> Response:
    """List answers to surveys."""
    courses = [course for course in courses_asked(call) if course.surveys]
    return recorded(call, SurveyAnswers, "survey answers", courses, _answers, _answer)


_Answered = tuple[Lesson, SlideProgress]


def _answers(course: Course, progress: CourseProgress, user_id: str) -> Sequence[_Answered]:
    seen = _seen(course, progress, user_id) if user_id in progress.records else ()
    return [
        (lesson, each)
        for lesson, slide, each in seen
        if each is not None and slide.kind is SlideKind.SURVEY and each.answered_at
    ]


def _answer(course: Course, user_id: str, answered: _Answered) -> SurveyAnswer:
    lesson, seen = answered
    return SurveyAnswer(
        questionId=seen.slide_id,
        userId=user_id,
        courseId=course.id,
        lessonId=lesson.id,
        answer=seen.answer,
        answeredDateTime=seen.answered_at,
    )
