"""Courses and their lessons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen

from training_sdk._core import argument_checks, codec, urls
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Calls, Paginator
from training_sdk._core.model import Model, OpenEnum, duration_or_nothing, has_other_fields, may_omit
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk._core.text import confirms, difference
from training_sdk.api import pagination
from training_sdk.errors import ConfirmationError, InvalidArgumentError, NotFoundError


class CourseStatus(OpenEnum):
    """The status of a course."""

    DRAFT = "Draft"
    SCHEDULED = "Scheduled"
    PUBLISHED = "Published"
    ARCHIVED = "Archived"


class DueBy(OpenEnum):
    """The kind of due date of a course: none, one date for all, or a period after the assignment."""

    NOT_SPECIFIED = "notSpecified"
    STATIC = "static"
    RELATIVE = "relative"


@frozen
class OriginalCourse(Model):
    """The original of a translated course."""

    id: str
    external_id: str | None = None


def _object_or_nothing(value: Any) -> Any:
    """Return an object; None for one in which everything is empty."""
    return value if type(value) is not dict or any(value.values()) else None


@frozen
class Course(Model):
    """A course (observed on the live service by a third party). ``duration`` is in seconds."""

    id: str
    title: str = field(metadata=may_omit(""))
    external_id: str | None = None
    description: str | None = None
    status: CourseStatus | None = None
    locale: str | None = None
    is_mandatory: bool | None = None
    due_by: DueBy | None = None
    duration: float | None = field(default=None, metadata={"tidy": duration_or_nothing})
    thumbnail_url: str | None = None
    created_datetime: datetime | None = None
    modified_datetime: datetime | None = None
    translation_original_course: OriginalCourse | None = field(
        default=None, metadata={"also": ("TranslationOriginalCourse",), "tidy": _object_or_nothing}
    )
    logo_url: str | None = None
    branding_image_url: str | None = None
    is_published: bool | None = None
    lesson_count: int | None = field(default=None, metadata={"also": ("LessonCount",)})
    published_version_number: int | None = None


@frozen
class Lesson(Model):
    """A lesson (third-party).

    ``courses.lessons`` returns ``status`` and ``minimum_score``; ``courses.lesson`` returns the two dates.
    """

    id: str
    title: str = field(metadata=may_omit(""))
    external_id: str | None = None
    description: str | None = None
    status: str | None = None
    minimum_score: float | None = None
    created_datetime: datetime | None = None
    modified_datetime: datetime | None = None


@frozen
class AssignmentResult(Model):
    """The numbers of changed assignments (third-party). The server leaves out numbers that are 0."""

    users_updated: int = 0
    groups_updated: int = 0
    sites_updated: int = 0


MOST_CHANGES = 1000


@frozen
class _Lessons:
    lessons: tuple[Lesson, ...] = field(metadata=may_omit([], unless=has_other_fields))


class Courses(Bound[D]):
    """``client.courses``"""

    @listing
    def list(self, *, search: str | None = None, ids: Iterable[str] | None = None) -> Paginator[Course]:
        """List all courses, or those that match.

        Arguments:

        - ``search``: A text that the server compares with the titles.
        - ``ids``: The ids of the courses to list. An unknown id is left out; an empty list is an error.

        REST: ``GET /training/courses/v1`` (observed on the live service; page size assumed).
        """
        return _courses(
            self._calls,
            argument_checks.optional_text(search, "search"),
            argument_checks.optional_ids(ids, "ids"),
        )

    @operation
    def get(self, course_id: str) -> Flow[Course]:
        """Return one course.

        Raises NotFoundError if there is no such course or this token cannot see it: then the server's list is empty.

        REST: ``GET /training/courses/v1?courseIds=…`` (observed on the live service).
        """
        return get_course(self._calls, argument_checks.one_id(course_id, "course_id"))

    @operation
    def lessons(self, course_id: str) -> Flow[tuple[Lesson, ...]]:
        """Return the lessons of a course, in their order in the course.

        REST: ``GET /training/courses/v1/{courseId}/lessons`` (third-party).
        """
        path = urls.path(
            "/training/courses/v1/{id}/lessons", id=argument_checks.one_id(course_id, "course_id")
        )
        decode = codec.decoder(_Lessons)
        request = Request("GET", path, limit="catalogue")
        return self._calls.call(request, lambda response: decode(response).lessons)

    @operation
    def lesson(self, lesson_id: str) -> Flow[Lesson]:
        """Return one lesson with the dates of its creation and last change.

        REST: ``GET /training/lessons/v1/{id}`` (third-party).
        """
        path = urls.path("/training/lessons/v1/{id}", id=argument_checks.one_id(lesson_id, "lesson_id"))
        return self._calls.call(Request("GET", path), codec.decoder(Lesson))

    @operation
    def update_assignments(
        self,
        course_id: str,
        *,
        add_users: Iterable[str] = (),
        remove_users: Iterable[str] = (),
        add_groups: Iterable[str] = (),
        remove_groups: Iterable[str] = (),
        add_sites: Iterable[str] = (),
        remove_sites: Iterable[str] = (),
        universal_access: bool | None = None,
        clear_all_users: bool = False,
        clear_all_groups: bool = False,
        clear_all_sites: bool = False,
        confirm: str | None = None,
    ) -> Flow[AssignmentResult]:
        """Change the assignments of a course. Assignments that are not named stay as they are.

        Arguments:

        - ``course_id``: The id of the course.
        - ``add_users``: The ids of users to assign.
        - ``remove_users``: The ids of users whose assignment is removed.
        - ``add_groups``: The ids of groups to assign.
        - ``remove_groups``: The ids of groups whose assignment is removed.
        - ``add_sites``: The ids of sites to assign.
        - ``remove_sites``: The ids of sites whose assignment is removed.
        - ``universal_access``: True assigns the course to everyone in the organisation, False ends that.
        - ``clear_all_users``: Remove the assignments of all users. Needs ``confirm``.
        - ``clear_all_groups``: Remove the assignments of all groups. Needs ``confirm``.
        - ``clear_all_sites``: Remove the assignments of all sites. Needs ``confirm``.
        - ``confirm``: The exact title of the course.

        The six lists have at most 1000 ids together. The request is never sent twice.

        Raises, and then nothing was changed:

        - ``InvalidArgumentError``: There is nothing to change, there are too many changes, or one id is in both lists.
        - ``ConfirmationError``: ``confirm`` is missing or is not the title of the course.
        - ``ReadOnlyError``: The client is read-only.

        Raises OutcomeUnknownError if the answer was lost: the request may have taken effect.

        REST: ``PUT /training/courses/v1/{courseId}/assignments`` (third-party).
        """
        self._calls.refuse_to_write("courses.update_assignments")
        course = argument_checks.one_id(course_id, "course_id")
        changes = [
            *_changes("USER", add_users, remove_users),
            *_changes("GROUP", add_groups, remove_groups),
            *_changes("SITE", add_sites, remove_sites),
        ]
        clears = {
            "clearAllUsers": argument_checks.yes_or_no(clear_all_users, "clear_all_users"),
            "clearAllGroups": argument_checks.yes_or_no(clear_all_groups, "clear_all_groups"),
            "clearAllSites": argument_checks.yes_or_no(clear_all_sites, "clear_all_sites"),
        }
        body: dict[str, Any] = {"assignments": changes} | {
            name: True for name, chosen in clears.items() if chosen
        }
        if universal_access is not None:
            body["universalAccess"] = argument_checks.yes_or_no(universal_access, "universal_access")
        _refuse_nothing_or_too_much(body)
        clearing = any(clears.values())
        if clearing and confirm is None:
            raise ConfirmationError(
                "A clear_all_… option removes the assignment of everyone. Nothing was sent. "
                "Pass the course's title as confirm.",
                argument="confirm",
            )
        return _update(self._calls, course, body, confirm if clearing else None)


def _courses(calls: Calls, search: str | None, ids: Sequence[str] | None) -> Paginator[Course]:
    return pagination.pages_by_ids(
        calls,
        "/training/courses/v1",
        Course,
        ids,
        identify=lambda course: course.id,
        query=[("searchTerm", search)],
        limit="catalogue",
    )


def all_courses(calls: Calls, ids: Sequence[str] | None = None) -> Flow[tuple[Course, ...]]:
    """Return every course, or those with these ids, for planning a reset."""
    return _courses(calls, None, ids).gather()


def get_course(calls: Calls, course_id: str) -> Flow[Course]:
    """Return one course, for this resource and for planning a reset."""
    found = yield from _courses(calls, None, (course_id,)).gather()
    if not found:
        raise NotFoundError(
            f"There is no course {course_id!r} in this organisation, or this token cannot see it.",
            status=404,
            reason="COURSE_NOT_FOUND",
        )
    return found[0]


def _changes(kind: str, add: Iterable[str], remove: Iterable[str]) -> Sequence[dict[str, Any]]:
    name = kind.lower() + "s"
    adding, removing = (
        argument_checks.any_ids(add, f"add_{name}"),
        argument_checks.any_ids(remove, f"remove_{name}"),
    )
    both = sorted(set(adding) & set(removing))
    if both:
        raise InvalidArgumentError(
            f"{both[0]!r} must be in add_{name} or in remove_{name}, not in both.", argument=f"add_{name}"
        )
    return [
        {"id": one, "type": f"ASSIGNMENT_TYPE_{kind}", "isAssigned": assigned}
        for ids, assigned in ((adding, True), (removing, False))
        for one in ids
    ]


def _refuse_nothing_or_too_much(body: dict[str, Any]) -> None:
    if len(body["assignments"]) > MOST_CHANGES:
        raise InvalidArgumentError(
            f"{len(body['assignments'])} changes are too many for one request. Send at most {MOST_CHANGES} at once."
        )
    if not body["assignments"] and len(body) == 1:
        raise InvalidArgumentError(
            "There is nothing to change. Name users, groups or sites to add or remove."
        )


def _update(
    calls: Calls, course_id: str, body: dict[str, Any], confirm: str | None
) -> Flow[AssignmentResult]:
    if confirm is not None:
        course = yield from get_course(calls, course_id)
        if not confirms(confirm, course.title):
            said = (
                f"confirm is {confirm!r}, but course {course_id!r} is called {course.title!r}.",
                difference(confirm, course.title),
            )
            raise ConfirmationError(f"{' '.join(filter(None, said))} Nothing was sent.", argument="confirm")
    path = urls.path("/training/courses/v1/{id}/assignments", id=course_id)
    request = Request("PUT", path, body=codec.dumps(body), repeatable=False, limit="catalogue")
    return (yield from calls.call(request, codec.decoder(AssignmentResult)))
