"""Permission sets."""

from __future__ import annotations

from attrs import frozen

from training_sdk._core import argument_checks, pagination
from training_sdk._core.listing import Walk
from training_sdk._core.operation import Bound, D, listing
from training_sdk.models.permissions import PermissionSet

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
    def list(self, *, search: str | None = None) -> Walk[PermissionSet]:
        """List the organisation's permission sets and what each allows.

        Needs "Platform management: Users"; otherwise PermissionDeniedError.

        REST: ``POST /permissions/v1/permission_sets`` (third-party; it reads only, and is repeated like a GET).
        """
        chosen = argument_checks.optional_text(search, "search")
        return pagination.offset(
            self._calls,
            "/permissions/v1/permission_sets",
            _PermissionSets,
            {"search": chosen} if chosen else {},
            size=LARGEST_PAGE,
            items=lambda answer: tuple(entry.permission_set for entry in answer.permission_sets),
        )
