"""Learning paths and collections: all, or for learners those that are published and assigned to them."""

from __future__ import annotations

from mock_server.api.courses import Course, Courses, course_answer
from mock_server.api.operation import FIRST_ID, PAGE, Call, Link, NumberedPage, Operation, numbered, the_one
from mock_server.refusal import Reason
from mock_server.rules import access
from mock_server.rules.access import Family
from mock_server.rules.rate_limits import FEW
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import answer, field


@answer("T")
class PathInList:
    """A learning path in a list."""

    id: str
    title: str
    isPublished: bool


@answer("T")
class Paths(NumberedPage):
    """A page of learning paths."""

    items: list[PathInList]


@answer("T")
class Path(PathInList):
    """A learning path by itself."""

    courses: list[Course] = field("The courses of the path, in order.", mark="A")


@answer("A")
class Collection(PathInList):
    """A collection in a list."""


@answer("A")
class Collections(NumberedPage):
    """A page of collections."""

    items: list[Collection]


@Operation(
    "ListPaths",
    "GET /training/paths/v1",
    "T",
    Family.CATALOGUE,
    Paths,
    per_minute=FEW,
    parameters=PAGE,
    links=(Link("Path", "GetPath", "The first learning path and its courses.", {"pathId": FIRST_ID}),),
)
def list_paths(call: Call) -> Response:
    """List learning paths. Learners see paths that are published and assigned to them."""
    found = access.visible_lists(call.actor, call.reach, call.organisation.paths)
    return numbered(call, Paths, found, lambda path: PathInList(path.id, path.title, path.is_published))


@Operation(
    "GetPath",
    "GET /training/paths/v1/{pathId}",
    "A",
    Family.CATALOGUE,
    Path,
    per_minute=FEW,
    refusals=(Reason.PATH_NOT_FOUND,),
    links=(
        Link(
            "Lessons",
            "ListLessonsOfCourse",
            "The lessons of its first course.",
            {"courseId": "$response.body#/courses/0/id"},
        ),
    ),
)
def get_path(call: Call) -> Response:
    """Show a learning path and its courses, in order."""
    seen = access.visible_lists(call.actor, call.reach, call.organisation.paths)
    path = the_one(call.path_id("pathId"), seen, Reason.PATH_NOT_FOUND, "learning path")
    courses = access.visible_courses_of(call.actor, call.reach, path)
    return answers.ok(Path(path.id, path.title, path.is_published, list(map(course_answer, courses))))


@Operation(
    "ListCollections",
    "GET /training/collections/v1",
    "A",
    Family.CATALOGUE,
    Collections,
    per_minute=FEW,
    parameters=PAGE,
    links=(
        Link(
            "Courses",
            "ListCoursesOfCollection",
            "The courses of the first collection.",
            {"courseCollectionId": FIRST_ID},
        ),
    ),
)
def list_collections(call: Call) -> Response:
    """List collections of courses. Learners see collections that are published and assigned to them."""
    found = access.visible_lists(call.actor, call.reach, call.organisation.collections)
    return numbered(call, Collections, found, lambda each: Collection(each.id, each.title, each.is_published))


@Operation(
    "ListCoursesOfCollection",
    "GET /training/collections/v1/{courseCollectionId}/courses",
    "A",
    Family.CATALOGUE,
    Courses,
    per_minute=FEW,
    parameters=PAGE,
    refusals=(Reason.COLLECTION_NOT_FOUND,),
)
def list_courses(call: Call) -> Response:
    """List the courses of a collection."""
    seen = access.visible_lists(call.actor, call.reach, call.organisation.collections)
    wanted = call.path_id("courseCollectionId")
    collection = the_one(wanted, seen, Reason.COLLECTION_NOT_FOUND, "collection")
    return numbered(
        call, Courses, access.visible_courses_of(call.actor, call.reach, collection), course_answer
    )
