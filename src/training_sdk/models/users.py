"""People: the one a token belongs to, and the users of the organisation."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from training_sdk.models.base import Model, OpenEnum


class UserStatus(OpenEnum):
    """Whether a user can sign in; a deactivated one is assigned to nothing."""

    ACTIVE = "USER_ACTIVE_STATUS_ACTIVE"
    DEACTIVATED = "USER_ACTIVE_STATUS_DEACTIVATED"


class SeatType(OpenEnum):
    """The seat a user occupies; a collaborator is what the web app calls a guest."""

    PREMIUM = "SUBSCRIPTION_SEAT_TYPE_PREMIUM"
    LITE = "SUBSCRIPTION_SEAT_TYPE_LITE"
    COLLABORATOR = "SUBSCRIPTION_SEAT_TYPE_COLLABORATOR"
    SERVICE_USER = "SUBSCRIPTION_SEAT_TYPE_SERVICE_USER"
    SUPPORT = "SUBSCRIPTION_SEAT_TYPE_SUPPORT"


@frozen
class Me(Model):
    """The user whose token this is, and their organisation (published)."""

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
