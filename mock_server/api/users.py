"""Users: the token's owner, the users list and the feed of users."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import islice

from mock_server.api.operation import FEED, Call, FeedMetadata, Link, Operation, default_size, feed
from mock_server.refusal import invalid
from mock_server.rules.access import Family
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import (
    MAX_TEXT,
    DateOrNone,
    Schema,
    answer,
    choice,
    constant,
    many,
    sent_id,
    sent_object,
    sent_text,
    whole,
)
from mock_server.world.people import Person, Seat, Status

_PAGE = 200
_MOST_FILTERS = 1000


@answer("P")
class WhoAmI:
    """The token's owner."""

    user_id: str
    organisation_id: str
    firstname: str
    lastname: str


@answer("T")
class User:
    """A user in the users list."""

    user_id: str
    org_id: str
    status: Status
    first_name: str
    last_name: str
    email: str
    username: str
    seat_type: Seat
    timezone: str
    locale: str
    created_at: DateOrNone


@answer("T")
class Users:
    """A page of the users list."""

    users: list[User]
    next_page_token: str


@answer("P")
class FeedUser:
    """A row of the feed of users."""

    id: str
    organisation_id: str
    email: str
    firstname: str
    lastname: str
    active: bool
    last_seen_at: DateOrNone
    seat_type: Seat
    created_at: DateOrNone


@answer("P")
class FeedUsers:
    """A page of the feed of users."""

    metadata: FeedMetadata
    data: list[FeedUser]


_PAGE_FIELDS = {
    "page_size": whole("The default of 200 is assumed.", 1, _PAGE),
    "page_token": sent_text(""),
}
_FILTERS: Schema = {
    **sent_object(
        "T",
        {
            "user_ids": many(sent_id("A user."), minItems=1, maxItems=_MOST_FILTERS),
            "usernames": many(
                {"type": "string", "maxLength": MAX_TEXT, "pattern": sent_text("")["pattern"]},
                maxItems=_MOST_FILTERS,
            ),
            "statuses": many(choice(Status), maxItems=len(Status)),
            "seat_types": many(choice(Seat), maxItems=len(Seat)),
        },
    ),
    "minProperties": 1,
    "description": "Users who match every filter.",
}
_WHICH_USERS: Schema = {
    "description": "All users, or those who match the filters.",
    "oneOf": [
        sent_object("T", {**_PAGE_FIELDS, "list_all": constant(True)}, ("list_all",)),
        sent_object("T", {**_PAGE_FIELDS, "filters": _FILTERS, "list_all": constant(False)}, ("filters",)),
    ],
}
_OWN_ID = "$response.body#/user_id"
_FIRST_USER = "$response.body#/users/0/user_id"


@Operation(
    "WhoAmI",
    "GET /accounts/user/v1/user:WhoAmI",
    "P",
    Family.SELF,
    WhoAmI,
    noun="users",
    links=(
        Link(
            "OwnLessonProgress",
            "GetUserLessonProgress",
            "The progress of the token's owner in lessons.",
            {"userId": _OWN_ID},
        ),
        Link("OwnRows", "ListTrainingCourseProgress", "The rows of the token's owner.", {"user_id": _OWN_ID}),
        Link(
            "OwnLessonEvents",
            "ListUserLessonProgressEvents",
            "The events of the token's owner in lessons.",
            {"userId": _OWN_ID},
        ),
        Link(
            "OwnSlides",
            "GetUserSlideStatistics",
            "The progress of the token's owner on slides.",
            {"userId": _OWN_ID},
        ),
        Link("OwnAttempts", "ListLessonAttempts", "The attempts of the token's owner.", {"userId": _OWN_ID}),
    ),
)
def who_am_i(call: Call) -> Response:
    """Show the owner of the token."""
    person = call.actor.person
    return answers.ok(WhoAmI(person.id, person.organisation_id, person.first_name, person.last_name))


@Operation(
    "ListUsers",
    "POST /users/v1/users/list",
    "T",
    Family.PEOPLE,
    Users,
    body=_WHICH_USERS,
    links=(
        Link(
            "RapidRefreshAnswers",
            "ListRapidRefreshAnswers",
            "The answers of the user in rapid refreshes.",
            {"userId": _FIRST_USER},
        ),
        Link(
            "Lessons",
            "GetUserLessonProgress",
            "The progress of the user in lessons.",
            {"userId": _FIRST_USER},
        ),
    ),
)
def list_users(call: Call) -> Response:
    """List users."""
    fields = call.fields(call.body, ("page_size", "page_token", "list_all", "filters"))
    size = fields.number("page_size", default_size(call, _PAGE), 1, _PAGE)
    after = fields.text("page_token")
    if fields.has("filters") == fields.flag("list_all"):
        raise invalid("Send exactly one of list_all: true and filters.", "filters")
    fits = _filter(call, fields.values["filters"]) if fields.has("filters") else (lambda _: True)
    people, order = call.organisation.people, call.organisation.people_in_order()
    # The token is the last id of the page before, so that people who come or go shift nothing.
    rest = (people[order[at]] for at in range(bisect_right(order, after), len(order)))
    found = (person for person in rest if fits(person))
    page = list(islice(found, size + 1))
    more = page[size - 1].id if len(page) > size else ""
    return answers.ok(Users(list(map(_user, page[:size])), more))


def _filter(call: Call, given: object) -> Callable[[Person], bool]:
    """Return a test for every filter given; a filter without any would mean everyone, and is refused."""
    fields = call.fields(given, ("user_ids", "usernames", "statuses", "seat_types"), "filters.")
    wanted: list[tuple[Callable[[Person], str], frozenset[str]]] = []
    if fields.has("user_ids"):
        wanted.append((lambda person: person.id, frozenset(fields.ids("user_ids", _MOST_FILTERS))))
    if fields.has("usernames"):
        names = fields.texts("usernames", _MOST_FILTERS)
        wanted.append((lambda person: person.email, frozenset(names)))
    if fields.has("statuses"):
        wanted.append((lambda person: person.status, frozenset(fields.choices("statuses", list(Status)))))
    if fields.has("seat_types"):
        wanted.append((lambda person: person.seat, frozenset(fields.choices("seat_types", list(Seat)))))
    if not wanted:
        raise invalid("filters must not be empty. Send list_all: true to list everyone.", "filters")
    return lambda person: all(of(person) in allowed for of, allowed in wanted)


def _user(person: Person) -> User:
    return User(
        user_id=person.id,
        org_id=person.organisation_id,
        status=person.status,
        first_name=person.first_name,
        last_name=person.last_name,
        email=person.email,
        username=person.email,
        seat_type=person.seat,
        timezone=person.timezone,
        locale=person.locale,
        created_at=person.created_at,
    )


@Operation("FeedUsers", "GET /feed/users", "P", Family.PEOPLE, FeedUsers, parameters=FEED)
def feed_users(call: Call) -> Response:
    """List users."""
    people = call.organisation.people
    order = call.organisation.people_in_order()
    return feed(call, FeedUsers, order, lambda user_id: _feed_user(people[user_id]))


def _feed_user(person: Person) -> FeedUser:
    return FeedUser(
        id=person.id,
        organisation_id=person.organisation_id,
        email=person.email,
        firstname=person.first_name,
        lastname=person.last_name,
        active=person.status is Status.ACTIVE,
        last_seen_at=person.last_seen_at,
        seat_type=person.seat,
        created_at=person.created_at,
    )
