"""Courses and their lessons: all, or for learners those that are published and assigned to them."""

from __future__ import annotations

from mock_server.api.operation import (
    FIRST_ID,
    PAGE,
    Call,
    Link,
    NumberedPage,
    Operation,
    Parameter,
    numbered,
    the_one,
)
from mock_server.refusal import Reason
from mock_server.rules import access
from mock_server.rules.access import Family
from mock_server.rules.rate_limits import FEW
from mock_server.wire import answers
from mock_server.wire.fields import MAX_IDS
from mock_server.wire.message import Response
from mock_server.wire.schema import COURSE_ID, DateOrNone, answer, field, many, sent_id, sent_text
from mock_server.world import courses as world


@answer("O", is_component=False)
class OriginalCourse:
    """The course that a course is a translation of."""

    id: str
    externalId: str


@answer("O")
class Course:
    """A course; two names begin with a capital, as seen live."""

    id: str = field("24 hexadecimal digits.")
    externalId: str
    title: str
    description: str
    status: world.CourseStatus
    locale: str
    isMandatory: bool
    dueBy: world.DueKind = field("The kind of due date.")
    duration: int = field("Seconds.")
    thumbnailUrl: str
    createdDatetime: DateOrNone
    modifiedDatetime: DateOrNone
    TranslationOriginalCourse: OriginalCourse | None
    logoUrl: str
    brandingImageUrl: str
    isPublished: bool
    LessonCount: int
    publishedVersionNumber: int


@answer("O")
class Courses(NumberedPage):
    """A page of courses."""

    items: list[Course]


@answer("T")
class LessonOfCourse:
    """A lesson in the list of its course."""

    id: str
    externalId: str
    title: str
    description: str
    status: str
    minimumScore: int


@answer("T")
class LessonsOfCourse:
    """The lessons of a course."""

    lessons: list[LessonOfCourse]


@answer("T")
class Lesson:
    """A lesson by itself."""

    id: str
    title: str
    description: str
    created_datetime: DateOrNone
    modified_datetime: DateOrNone
    external_id: str


def course_answer(course: world.Course) -> Course:
    """Return a course as lists show it."""
    return Course(
        id=course.id,
        externalId=course.external_id,
        title=course.title,
        description=course.description,
        status=course.status,
        locale=course.locale,
        isMandatory=course.is_mandatory,
        dueBy=course.due.kind,
        duration=course.duration,
        thumbnailUrl=course.thumbnail_url,
        createdDatetime=course.created_at,
        modifiedDatetime=course.modified_at,
        TranslationOriginalCourse=OriginalCourse(course.translation_of, "")
        if course.translation_of
        else None,
        logoUrl=course.logo_url,
        brandingImageUrl=course.branding_image_url,
        isPublished=course.is_published,
        LessonCount=len(course.lessons),
        publishedVersionNumber=course.published_version,
    )


_COURSE_IDS = many(
    sent_id("A course.", but=",", example=COURSE_ID),
    "A repeated parameter, or one with commas.",
    minItems=1,
    maxItems=MAX_IDS,
)
COURSE_IDS = Parameter("courseIds", _COURSE_IDS)


@Operation(
    "ListCourses",
    "GET /training/courses/v1",
    "O",
    Family.CATALOGUE,
    Courses,
    per_minute=FEW,
    parameters=(
        *PAGE,
        COURSE_IDS,
        Parameter("searchTerm", sent_text("Part of a title, in upper or lower case.")),
    ),
    links=(
        Link("Lessons", "ListLessonsOfCourse", "The lessons of the course.", {"courseId": FIRST_ID}),
        Link(
            "Assignments", "UpdateCourseAssignments", "The assignments of the course.", {"courseId": FIRST_ID}
        ),
        Link(
            "Progress",
            "ListTrainingCourseProgress",
            "The progress of users in the course.",
            {"course_id": FIRST_ID},
        ),
        Link(
            "LessonStatistics",
            "GetLessonStatistics",
            "The statistics of its lessons.",
            {"courseId": FIRST_ID},
        ),
        Link(
            "SlideStatistics", "GetSlideStatistics", "The statistics of its slides.", {"courseId": FIRST_ID}
        ),
        Link(
            "Surveys",
            "ListSurveyQuestionDefinitions",
            "The questions of its surveys.",
            {"courseId": FIRST_ID},
        ),
        Link(
            "Preview",
            "PreviewReset",
            "The effect of a reset of everyone in the course.",
            body={"courseId": FIRST_ID, "allUsers": True},
        ),
    ),
)
def list_courses(call: Call) -> Response:
    """List courses. Learners see courses that are published and assigned to them."""
    wanted = call.query.ids("courseIds")
    search = call.query.text("searchTerm").casefold()
    found = [
        course
        for course in access.visible_courses(call.actor, call.reach)
        if (wanted is None or course.id in wanted) and search in course.title.casefold()
    ]
    return numbered(call, Courses, found, course_answer)


@Operation(
    "ListLessonsOfCourse",
    "GET /training/courses/v1/{courseId}/lessons",
    "T",
    Family.CATALOGUE,
    LessonsOfCourse,
    per_minute=FEW,
    refusals=(Reason.COURSE_NOT_FOUND,),
    links=(Link("Lesson", "GetLesson", "One of the lessons.", {"id": "$response.body#/lessons/0/id"}),),
)
def list_lessons(call: Call) -> Response:
    """List the lessons of a course."""
    courses = access.visible_courses(call.actor, call.reach)
    course = the_one(call.path_id("courseId"), courses, Reason.COURSE_NOT_FOUND, "course")
    return answers.ok(LessonsOfCourse([_lesson_of_course(lesson) for lesson in course.lessons]))


def _lesson_of_course(lesson: world.Lesson) -> LessonOfCourse:
    return LessonOfCourse(
        id=lesson.id,
        externalId=lesson.external_id,
        title=lesson.title,
        description=lesson.description,
        status=lesson.status,
        minimumScore=lesson.minimum_score,
    )


@Operation(
    "GetLesson",
    "GET /training/lessons/v1/{id}",
    "T",
    Family.CATALOGUE,
    Lesson,
    refusals=(Reason.LESSON_NOT_FOUND,),
)
def get_lesson(call: Call) -> Response:
    """Show a lesson."""
    courses = access.visible_courses(call.actor, call.reach)
    lessons = (lesson for course in courses for lesson in course.lessons)
    return answers.ok(_lesson(the_one(call.path_id("id"), lessons, Reason.LESSON_NOT_FOUND, "lesson")))


def _lesson(lesson: world.Lesson) -> Lesson:
    return Lesson(
        id=lesson.id,
        title=lesson.title,
        description=lesson.description,
        created_datetime=lesson.created_at,
        modified_datetime=lesson.created_at,
        external_id=lesson.external_id,
    )
