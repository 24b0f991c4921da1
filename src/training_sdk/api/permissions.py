"""Permission sets: named lists of permissions."""

from __future__ import annotations

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.listing import Paginator
from training_sdk._core.model import Extra, Model, may_omit
from training_sdk._core.operation import Bound, D, listing
from training_sdk.api import pagination


@frozen
class PermissionSetIdentifier(Model):
    """The name and kind of a permission set, and the seat types that can have it (third-party)."""

    id: str
    name: str = field(metadata=may_omit(""))
    type: str | None = None
    description: str | None = None
    allowed_seat_types: tuple[str, ...] = ()


@frozen
class PermissionSet(Model):
    """A permission set with its permissions (third-party)."""

    identifier: PermissionSetIdentifier
    permissions: Extra = field(factory=Extra, hash=False)

    def allows(self, permission: str) -> bool:
        """Return whether the set contains the permission with exactly this name."""
        return self.permissions.get(permission) is True


LARGEST_PAGE = 100


@frozen
class _Entry:
    permission_set: PermissionSet


@frozen
class _PermissionSets:
    permission_sets: tuple[_Entry, ...] = ()


class Permissions(Bound[D]):
    """``client.permissions``"""

    @listing
    def list(self, *, search: str | None = None) -> Paginator[PermissionSet]:
        """List the organisation's permission sets with their permissions.

        ``search`` is a text by which the server selects permission sets. Raises PermissionDeniedError if the token's
        user lacks the permission "Platform management: Users".

        REST: ``POST /permissions/v1/permission_sets`` (third-party; it only reads, and is sent again like a GET).
        """
        chosen = argument_checks.optional_text(search, "search")
        return pagination.offset_pages(
            self._calls,
            "/permissions/v1/permission_sets",
            _PermissionSets,
            {"search": chosen} if chosen else {},
            size=LARGEST_PAGE,
            items=lambda answer: tuple(entry.permission_set for entry in answer.permission_sets),
        )
