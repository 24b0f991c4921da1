"""Users: the user of the token, and the users of the organisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from training_sdk._core import argument_checks, codec
from training_sdk._core.flow import Flow, Request
from training_sdk._core.listing import Calls, Filter, Paginator
from training_sdk._core.model import Model, OpenEnum
from training_sdk._core.operation import Bound, D, listing, operation
from training_sdk.api import pagination


class UserStatus(OpenEnum):
    """The status of a user. A deactivated user cannot sign in and is assigned to no course."""

    ACTIVE = "USER_ACTIVE_STATUS_ACTIVE"
    DEACTIVATED = "USER_ACTIVE_STATUS_DEACTIVATED"


class SeatType(OpenEnum):
    """The seat of a user. The web app calls a collaborator a guest."""

    PREMIUM = "SUBSCRIPTION_SEAT_TYPE_PREMIUM"
    LITE = "SUBSCRIPTION_SEAT_TYPE_LITE"
    COLLABORATOR = "SUBSCRIPTION_SEAT_TYPE_COLLABORATOR"
    SERVICE_USER = "SUBSCRIPTION_SEAT_TYPE_SERVICE_USER"
    SUPPORT = "SUBSCRIPTION_SEAT_TYPE_SUPPORT"


@frozen
class Me(Model):
    """The user of the token, and their organisation (published)."""

    user_id: str
    organisation_id: str
    firstname: str | None = None
    lastname: str | None = None


@frozen
class User(Model):
    """A user of the organisation (third-party)."""

    user_id: str
    org_id: str | None = None
    status: UserStatus | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    username: str | None = None
    seat_type: SeatType | None = None
    timezone: str | None = None
    locale: str | None = None
    created_at: datetime | None = None


@frozen
class FeedUser(Model):
    """A user as the feed of users has them (published); ``id`` is their user id."""

    id: str
    organisation_id: str | None = None
    email: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    active: bool | None = None
    seat_type: SeatType | None = None
    created_at: datetime | None = None
    last_seen_at: datetime | None = None


WHO_AM_I = Request("GET", "/accounts/user/v1/user:WhoAmI")
LARGEST_PAGE = 200

read_me = codec.decoder(Me)


@frozen
class _Users:
    users: tuple[User, ...] = ()
    next_page_token: str | None = None


class Users(Bound[D]):
    """``client.users``"""

    @operation
    def me(self) -> Flow[Me]:
        """Return the user of this token, and their organisation.

        REST: ``GET /accounts/user/v1/user:WhoAmI`` (published).
        """
        return self._calls.call(WHO_AM_I, read_me)

    @listing
    def list(
        self,
        *,
        ids: Iterable[str] | None = None,
        usernames: Iterable[str] | None = None,
        statuses: Iterable[UserStatus | str] | None = None,
        seat_types: Iterable[SeatType | str] | None = None,
    ) -> Paginator[User]:
        """List all users, or those who match every given filter.

        Arguments:

        - ``ids``: User ids.
        - ``usernames``: User names.
        - ``statuses``: UserStatus members or their values.
        - ``seat_types``: SeatType members or their values.

        An empty list is an error.

        Raises PermissionDeniedError if the token's user lacks the permission "Platform management: Users" or
        "Training: Administration".

        REST: ``POST /users/v1/users/list`` (third-party; it only reads, and is sent again like a GET).
        """
        filters: dict[str, tuple[str, ...]] = {}
        if ids is not None:
            filters["user_ids"] = argument_checks.some_ids(ids, "ids")
        if usernames is not None:
            filters["usernames"] = argument_checks.texts(usernames, "usernames")
        if statuses is not None:
            filters["statuses"] = argument_checks.members(statuses, UserStatus, "statuses")
        if seat_types is not None:
            filters["seat_types"] = argument_checks.members(seat_types, SeatType, "seat_types")
        return found_users(self._calls, filters)

    @listing
    def feed(self) -> Paginator[FeedUser]:
        """List all users of the feed, also deactivated ones. ``list`` can filter, and has more fields.

        Raises PermissionDeniedError if the token's user lacks the permission "Platform management: Users" or
        "Training: Administration".

        REST: ``GET /feed/users`` (published).
        """
        return feed_users(self._calls)


def feed_users(calls: Calls) -> Paginator[FeedUser]:
    """Return the users of ``users.feed``."""
    return pagination.feed(calls, "/feed/users", FeedUser, query=(), identify=lambda user: user.id)


def found_users(calls: Calls, filters: Mapping[str, Sequence[str]]) -> Paginator[User]:
    """Return the users that fit every filter, or all of them where there is none."""
    chosen = {"filters": filters} if filters else {"list_all": True}

    def keep(user: User) -> bool:
        facts = {
            "user_ids": user.user_id,
            "usernames": user.username,
            "statuses": user.status,
            "seat_types": user.seat_type,
        }
        return all(facts[name] in allowed for name, allowed in filters.items())

    ids = filters.get("user_ids")
    by_id = (Filter[User]("user_ids", (ids,), lambda user: user.user_id),) if ids else ()
    return pagination.token_pages(
        calls,
        "/users/v1/users/list",
        _Users,
        {**chosen, "page_size": LARGEST_PAGE},
        items=lambda answer: answer.users,
        keep=keep,
        filters=by_id,
    )
