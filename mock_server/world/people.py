"""People, permission sets, groups, sites and tokens."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from attrs import frozen


class Status(StrEnum):
    """Status of a person."""

    ACTIVE = "USER_ACTIVE_STATUS_ACTIVE"
    DEACTIVATED = "USER_ACTIVE_STATUS_DEACTIVATED"


class Seat(StrEnum):
    """Seat type of a person."""

    FULL = "SUBSCRIPTION_SEAT_TYPE_PREMIUM"
    LITE = "SUBSCRIPTION_SEAT_TYPE_LITE"
    GUEST = "SUBSCRIPTION_SEAT_TYPE_COLLABORATOR"
    SERVICE = "SUBSCRIPTION_SEAT_TYPE_SERVICE_USER"
    SUPPORT = "SUBSCRIPTION_SEAT_TYPE_SUPPORT"


class Permission(StrEnum):
    """Permissions that matter for training."""

    USERS = "Platform management: Users"
    TRAINING = "Training: Administration"
    TEAMS = "Training: Manage teams"
    GROUPS = "Platform management: Groups"
    SITES = "Platform management: Sites"
    INTEGRATIONS = "Platform management: Integrations"


@frozen
class PermissionSet:
    """Named set of permissions."""

    id: str
    name: str
    description: str
    permissions: frozenset[Permission] = frozenset()
    seats: tuple[Seat, ...] = (Seat.FULL,)
    custom: bool = True


@frozen
class Group:
    """A group of people."""

    id: str
    name: str


@frozen
class Site:
    """Place of work."""

    id: str
    name: str
    parent_id: str = ""
    deleted: bool = False
    creator_id: str = ""
    meta_label: str = "location"
    """Kind of place."""


@frozen
class Person:
    """Person in an organisation."""

    id: str
    organisation_id: str
    first_name: str
    last_name: str
    email: str
    created_at: str
    external_id: str = ""
    status: Status = Status.ACTIVE
    seat: Seat = Seat.FULL
    timezone: str = "Europe/Berlin"
    locale: str = "de-DE"
    notifications: bool = True
    groups: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    permission_sets: frozenset[str] = frozenset()
    managed_groups: frozenset[str] = frozenset()
    managed_sites: frozenset[str] = frozenset()
    last_seen_at: str = ""

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def can_learn(self) -> bool:
        """R10: deactivated users and guests are assigned to nothing."""
        return self.status is Status.ACTIVE and self.seat is not Seat.GUEST


@frozen
class Token:
    """Owner and validity of an API token; the token itself is not stored."""

    user_id: str
    organisation_id: str
    expires_at: datetime | None = None
    revoked: bool = False


def digest(token: str) -> str:
    """Return the SHA-256 by which a token is looked up."""
    return sha256(token.encode()).hexdigest()
