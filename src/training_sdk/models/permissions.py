"""Permission sets: named bundles of what a user may do."""

from __future__ import annotations

from attrs import field, frozen

from training_sdk.models.base import Extra, Model, may_omit


@frozen
class PermissionSetIdentifier(Model):
    """What a permission set is called and which seats may hold it (third-party)."""

    id: str
    name: str = field(metadata=may_omit(""))
    type: str | None = None
    description: str | None = None
    allowed_seat_types: tuple[str, ...] = ()


@frozen
class PermissionSet(Model):
    """A permission set and the permissions it holds (third-party)."""

    identifier: PermissionSetIdentifier
    permissions: Extra = field(factory=Extra, hash=False)

    def allows(self, permission: str) -> bool:
        """Whether the set holds the permission of exactly this name."""
        return self.permissions.get(permission) is True
