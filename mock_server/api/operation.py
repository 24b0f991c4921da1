"""Operations, the calls that their handlers receive, and the pages in which they list their rows."""

from __future__ import annotations

import inspect
from base64 import urlsafe_b64encode
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import attrs
from attrs import evolve, frozen

from mock_server.policy import Behaviour
from mock_server.refusal import Reason, RefusedError, not_found
from mock_server.rules import access
from mock_server.rules.access import Actor, Family, Reach, is_for_some, require
from mock_server.rules.rate_limits import MANY
from mock_server.wire import answers
from mock_server.wire.fields import Fields, Params, check_id
from mock_server.wire.message import Request, Response
from mock_server.wire.schema import COURSE_ID, USER_ID, Mark, Schema, answer, field, sent_id, whole
from mock_server.world.courses import Course
from mock_server.world.organisation import Organisation
from mock_server.world.people import Token
from mock_server.world.progress import CourseProgress
from mock_server.world.progress_table import CountRows, rows_after
from mock_server.world.world import World


@frozen
class Call:
    """One request to one operation that has passed the checks common to all operations."""

    world: World
    operation: Operation
    token: Token
    actor: Actor
    reach: Reach
    path: dict[str, str]
    query: Params
    body: object
    request: Request
    request_id: str
    is_repeat: bool = False
    """R11: a request with the same Idempotency-Key was still running when this one arrived."""

    @property
    def organisation(self) -> Organisation:
        """The organisation of the token, the only one that this call can see (R03)."""
        return self.actor.organisation

    def fields(self, given: object, allowed: tuple[str, ...], where: str = "") -> Fields:
        """Read an object in the body, or the body itself; the policy decides about unknown fields."""
        return Fields.read(given, allowed, where, lenient=self.world.policy.is_lenient)

    def path_id(self, name: str) -> str:
        """Return an id from the path."""
        return check_id(self.path[name], name)


Handler = Callable[[Call], Response]
Rights = Callable[[World, Actor, object], Reach]


def _rights(given: Family | Rights) -> Rights:
    """Return a function that requires the rights of a family for any body; return other rights unchanged."""
    if not isinstance(given, Family):
        return given
    return lambda world, actor, _: require(actor, world.policy, given)


@frozen
class Parameter:
    """A parameter of the query."""

    name: str
    """The spelling in the vendor's reference."""
    schema: Schema
    required: bool = False
    mark: Mark | None = None
    """The mark of a parameter that is better known than its operation."""


COURSE = Parameter("courseId", sent_id("Rows of one course only.", example=COURSE_ID))
USER = Parameter("userId", sent_id("Rows of one user only.", example=USER_ID))


@frozen
class Link:
    """A value in the answer of one operation that a request of another operation needs."""

    name: str
    operation: str
    description: str
    parameters: dict[str, str] = attrs.field(factory=dict)
    """Values as runtime expressions of OpenAPI."""
    body: object = None


_WAREHOUSE = ("/training/analytics/", "/training/v1/feed/")


@frozen
class Operation:
    """One operation: its path, request and answer. Used as a decorator, it gets its handler."""

    name: str
    request: str
    """Method and path, as in "GET /groups/{groupId}/users"."""
    provenance: Mark
    """The mark of the path or of the shape: the less certain of the two."""
    rights: Family | Rights
    """The rights to call it: those of the family in the table of permissions, or as the function says."""
    answer: type
    """The class of its answer."""
    per_minute: int = MANY
    """Requests of a user per minute, together with those of all operations with this limit."""
    parameters: tuple[Parameter, ...] = ()
    headers: dict[str, Schema] = attrs.field(factory=dict)
    """Request headers that only this operation reads, each with description and schema."""
    body: Schema | None = None
    """The schema of the JSON body; None for an operation without one."""
    refusals: tuple[Reason, ...] = ()
    """Reasons in addition to those of every operation."""
    links: tuple[Link, ...] = ()
    noun: str = ""
    """The subject of the operation, if the path does not name it."""
    audited: bool = False
    """R23: the audit log records each call, accepted or refused."""
    reference_only: bool = False
    """True if no live service has this operation."""
    always_strict: bool = False
    """True if a lenient world also rejects unknown fields and parameters: ignoring one could widen the scope (R07)."""
    handler: Handler | None = None
    """None for an operation that is not part of Training: 501 with its name."""
    summary: str = ""
    """The first paragraph of the handler's docstring."""
    method: str = attrs.field(init=False)
    template: str = attrs.field(init=False)
    query: tuple[str, ...] = attrs.field(init=False)
    """The names of the parameters."""
    require: Rights = attrs.field(init=False)
    """Return how far the rights of an actor reach; 403 if they do not."""
    lagged: bool = attrs.field(init=False)
    """Answers from the warehouse, which may show the past (P): the progress feed and all analytics."""

    def __attrs_post_init__(self) -> None:
        method, _, template = self.request.partition(" ")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "query", tuple(each.name for each in self.parameters))
        object.__setattr__(self, "require", _rights(self.rights))
        object.__setattr__(self, "lagged", template.startswith(_WAREHOUSE))

    def __call__(self, handler: Handler) -> Operation:
        """Return this operation with a handler; the first paragraph of its docstring is the summary."""
        summary, _, _ = (inspect.getdoc(handler) or "").partition("\n\n")
        return evolve(self, handler=handler, summary=summary)

    @property
    def may_be_denied(self) -> bool:
        """True if there are actors without the right to call it."""
        return not isinstance(self.rights, Family) or is_for_some(self.rights)

    @property
    def takes_body(self) -> bool:
        """True if the request has a JSON body."""
        return self.body is not None


# --- lists: whose rows are asked for, and the page of them that is answered -------------------------------------------


_LARGEST = 1000
_DEFAULT_SIZE = 25
_CAP = 25
_LAST = 10**9
FIRST_ID = "$response.body#/items/0/id"
"""The id of the first row of a numbered page, as the expression of a link."""


class HasId(Protocol):
    """An entity with an id."""

    @property
    def id(self) -> str:
        """Its id."""


_T = TypeVar("_T")
_Row = TypeVar("_Row")
_I = TypeVar("_I", bound=HasId)

PAGE = (
    Parameter("page", whole("The number of the page, from 1. A page after the last one is empty.", 1, _LAST)),
    Parameter("pageSize", whole("Items on a page. The default is 25.", 1, _LARGEST)),
)
FEED = (
    Parameter("limit", whole("Rows on a page. The default of 1000 is assumed.", 1, _LARGEST)),
    Parameter("offset", whole("Rows to skip.", 0, _LAST)),
)


@answer("A")
class NumberedPage:
    """A numbered page of a list; a subclass has its ``items``."""

    totalCount: int = field("The number of items on all pages.")


@answer("P", is_component=False)
class NextPage:
    """The next page of a feed."""

    next_page: str | None = field(
        "Relative path with query of the next page. Use it unchanged. Null on the last page."
    )
    next_page_token: str | None = field("Opaque. Null on the last page.", mark="A")


@answer("P", is_component=False)
class FeedMetadata(NextPage):
    """The next page of a small feed, and the number of rows that remain."""

    remaining_records: int


def numbered(
    call: Call,
    page: Callable[[int, list[_Row]], object],
    items: Sequence[_T],
    row: Callable[[_T], _Row],
) -> Response:
    """Answer a numbered page, counted from 1; one past the end is empty."""
    return numbered_part(call, page, len(items), lambda start: map(row, items[start:]))


def numbered_part(
    call: Call,
    page: Callable[[int, list[_Row]], object],
    total: int,
    rows_after: Callable[[int], Iterable[_Row]],
) -> Response:
    """Answer a numbered page of ``total`` rows; ``rows_after`` returns the rows from a position on."""
    number = call.query.number("page", 1, 1, _LAST)
    size = call.query.number("pageSize", default_size(call, _DEFAULT_SIZE), 1, _LARGEST)
    start = (number - 1) * size
    if Behaviour.CAPS_PAGE_SIZE in call.world.policy.emulates:
        size = min(size, _CAP)
    part = islice(rows_after(start), size) if start < total else ()
    return answers.ok(page(total, list(part)))


def default_size(call: Call, most: int) -> int:
    """Return the number of rows on a page if the request does not state it, at most ``most``."""
    return min(most, call.world.policy.default_page_size)


def window(call: Call) -> tuple[int, int]:
    """Return offset and limit of a feed's page."""
    limit = call.query.number("limit", default_size(call, _LARGEST), 1, _LARGEST)
    return call.query.number("offset", 0, 0, _LAST), limit


def next_page(call: Call, offset: int | None) -> tuple[str | None, str | None]:
    """Return path and token of a feed's next page, which begins at ``offset``; both are null at its end.

    The path is relative and keeps every parameter of this request (P). The token is opaque (A): no parameter takes it.
    """
    if offset is None:
        return None, None
    query = [(name, value) for name, (value, *_) in call.query.values.items() if name != "offset"]
    token = urlsafe_b64encode(f"offset:{offset}".encode()).decode().rstrip("=")
    return f"{call.operation.template}?{urlencode([*query, ('offset', str(offset))])}", token


def feed(
    call: Call,
    page: Callable[[FeedMetadata, list[_Row]], object],
    rows: Sequence[_T],
    row: Callable[[_T], _Row],
) -> Response:
    """Answer a page of one of the small feeds, which say how many rows remain."""
    offset, limit = window(call)
    end = offset + limit
    following = next_page(call, end if end < len(rows) else None)
    metadata = FeedMetadata(*following, max(0, len(rows) - end))
    return answers.ok(page(metadata, list(map(row, rows[offset:end]))))


def users_asked(call: Call, name: str = "userId") -> list[str] | None:
    """Return the users that the request names and its owner may see, in order; None for everyone."""
    seen = access.visible_users(call.actor, call.reach)
    user_id = call.query.id(name)
    if user_id is not None:
        return [user_id] if seen is None or user_id in seen else []
    return None if seen is None else sorted(seen)


def the_one(wanted: str, among: Iterable[_I], reason: Reason, what: str) -> _I:
    """Return the item with this id; 404 for another, whether it is hidden or unknown (R04)."""
    for each in among:
        if each.id == wanted:
            return each
    raise not_found(reason, what, wanted)


def user_in_path(call: Call) -> str:
    """Return the user in the path. RefusedError for an unknown user, and for one whose rows the owner may not see."""
    user_id = call.path_id("userId")
    seen = access.visible_users(call.actor, call.reach)
    if user_id not in call.organisation.people or (seen is not None and user_id not in seen):
        # The same answer for a hidden and for an unknown user, or it would show which of the two it is (R04).
        raise RefusedError(
            Reason.USER_NOT_FOUND,
            f"There is no user {user_id}, or this token cannot see them. "
            'A token with the permission "Training: Administration" sees all users.',
            {"ids": user_id},
        )
    return user_id


def courses_asked(call: Call) -> list[Course]:
    """Return every course, or the one that the request names; none if it is unknown."""
    course_id, courses = call.query.id("courseId"), call.organisation.courses
    if course_id is None:
        return list(courses.values())
    return [courses[course_id]] if course_id in courses else []


def courses_of_user(call: Call) -> tuple[str, list[Course]]:
    """Return the user in the path, and those of the requested courses that are assigned to the user."""
    user_id, table = user_in_path(call), call.organisation.progress
    return user_id, [course for course in courses_asked(call) if table[course.id].has(user_id)]


def members(call: Call) -> tuple[str, ...] | None:
    """Return the users whose figures the owner may see, in order; None for everyone."""
    seen = access.visible_users(call.actor, call.reach)
    return None if seen is None else tuple(sorted(seen))


def figures(
    call: Call,
    what: str,
    course: Course,
    users: Sequence[str] | None,
    count: Callable[[Course, CourseProgress, Iterable[str]], _T],
) -> _T:
    """Return the result of ``count`` for these users of a course, cached under ``what`` until the course changes."""
    table = call.organisation.progress
    progress = table[course.id]
    return table.stats_cache.figures(
        (what, users), course.id, progress.state, lambda: count(course, progress, _on_roster(progress, users))
    )


def _on_roster(progress: CourseProgress, users: Sequence[str] | None) -> Iterable[str]:
    """Return those of these users (None: everyone) to whom the course is assigned."""
    return progress.roster if users is None else (each for each in users if progress.has(each))


def recorded(
    call: Call,
    page: Callable[[int, list[_Row]], object],
    question: str,
    courses: Iterable[Course],
    entries: Callable[[Course, CourseProgress, str], Sequence[_T]],
    row: Callable[[Course, str, _T], _Row],
) -> Response:
    """Return a numbered page of the entries that users have in these courses, by course and user.

    The number of entries of each user is cached by the ``question``.
    """
    users, table, known = users_asked(call), call.organisation.progress, call.organisation.courses
    asked: Hashable = (question, None if users is None else tuple(users))

    def count_rows(course: Course) -> CountRows:
        return lambda progress, user_id: len(entries(course, progress, user_id))

    found = [
        (each.id, table.page_index.rows(asked, each.id, table[each.id], users, count_rows(each)))
        for each in courses
    ]

    def after(offset: int) -> Iterator[_Row]:
        for course_id, user_id, skip in rows_after(found, offset):
            for entry in entries(known[course_id], table[course_id], user_id)[skip:]:
                yield row(known[course_id], user_id, entry)

    return numbered_part(call, page, sum(matching.total for _, matching in found), after)
