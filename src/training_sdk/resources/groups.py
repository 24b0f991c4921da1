"""Groups, and who is in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training_sdk._core import argument_checks, pagination
from training_sdk._core.listing import Calls, Walk
from training_sdk._core.operation import Bound, D, listing
from training_sdk.models.groups import Group, GroupMember


class Groups(Bound[D]):
    """``client.groups``"""

    @listing
    def list(self) -> Walk[Group]:
        """List the organisation's groups.

        Needs "Platform management: Users" or "Training: Administration"; otherwise PermissionDeniedError.

        REST: ``GET /feed/groups`` (published).
        """
        return groups(self._calls)

    @listing
    def members(self, *, group_ids: Iterable[str] | None = None) -> Walk[GroupMember]:
        """List who is in which group: in all of them, or in those named. An empty list of groups is refused.

        The feed knows no filter, so it is read whole and filtered here. Rights as for ``list``.

        REST: ``GET /feed/group_users`` (published).
        """
        return group_members(self._calls, argument_checks.optional_ids(group_ids, "group_ids"))


def groups(calls: Calls) -> Walk[Group]:
    """The walk behind ``groups.list``, for naming people by their group as well."""
    return pagination.fed(
        calls, "/feed/groups", Group, query=(), keep=lambda _: True, identify=lambda group: group.id
    )


def group_members(calls: Calls, group_ids: Sequence[str] | None) -> Walk[GroupMember]:
    """The walk behind ``groups.members``, for naming people by their group as well."""
    wanted = None if group_ids is None else frozenset(group_ids)
    return pagination.fed(
        calls,
        "/feed/group_users",
        GroupMember,
        query=(),
        keep=lambda member: wanted is None or member.group_id in wanted,
        identify=lambda member: (member.group_id, member.user_id),
    )
