"""Groups and sites, and their members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk._core.listing import Calls, Paginator
from training_sdk._core.model import Model, may_omit
from training_sdk._core.operation import Bound, D, listing
from training_sdk.api import pagination


@frozen
class Group(Model):
    """A group of users (published). Two groups may have the same name."""

    id: str
    name: str = field(metadata=may_omit(""))
    organisation_id: str | None = None


@frozen
class GroupMember(Model):
    """The membership of one user in one group (published)."""

    user_id: str
    group_id: str
    organisation_id: str | None = None


@frozen
class Site(Model):
    """A place of work (published). ``parent_id`` is the site above it, or None. Two sites may have the same name."""

    id: str
    name: str = field(metadata=may_omit(""))
    organisation_id: str | None = None
    deleted: bool = False
    parent_id: str | None = None
    creator_id: str | None = None
    site_uuid: str | None = None
    meta_label: str | None = None


@frozen
class SiteMember(Model):
    """The membership of one user in one site (published). ``member_id`` is the user id."""

    site_id: str
    member_id: str

    @property
    def user_id(self) -> str:
        """The value of ``member_id``."""
        return self.member_id


class Groups(Bound[D]):
    """``client.groups``"""

    @listing
    def list(self) -> Paginator[Group]:
        """List the organisation's groups.

        Raises PermissionDeniedError if the token's user lacks the permission "Platform management: Users" or
        "Training: Administration".

        REST: ``GET /feed/groups`` (published).
        """
        return list_groups(self._calls)

    @listing
    def members(self, *, group_ids: Iterable[str] | None = None) -> Paginator[GroupMember]:
        """List the members of all groups, or of those in ``group_ids``. An empty list is an error.

        The feed has no filter, so all of it is read and the client filters it. Permissions as for ``list``.

        REST: ``GET /feed/group_users`` (published).
        """
        return group_members(self._calls, argument_checks.optional_ids(group_ids, "group_ids"))


def list_groups(calls: Calls) -> Paginator[Group]:
    """Return the groups of ``groups.list``, for naming people by their group as well."""
    return pagination.feed(calls, "/feed/groups", Group, query=(), identify=lambda group: group.id)


def group_members(calls: Calls, group_ids: Sequence[str] | None) -> Paginator[GroupMember]:
    """Return the members of ``groups.members``, for naming people by their group as well."""
    wanted = None if group_ids is None else frozenset(group_ids)
    return pagination.feed(
        calls,
        "/feed/group_users",
        GroupMember,
        query=(),
        keep=lambda member: wanted is None or member.group_id in wanted,
        identify=lambda member: (member.group_id, member.user_id),
    )


class Sites(Bound[D]):
    """``client.sites``"""

    @listing
    def list(self) -> Paginator[Site]:
        """List the organisation's sites, also deleted ones.

        Raises PermissionDeniedError if the token's user lacks the permission "Platform management: Users" or
        "Training: Administration".

        REST: ``GET /feed/sites?include_deleted=true`` (published).
        """
        return list_sites(self._calls)

    @listing
    def members(self, *, site_ids: Iterable[str] | None = None) -> Paginator[SiteMember]:
        """List the members of all sites, or of those in ``site_ids``. An empty list is an error.

        The feed has no filter, so all of it is read and the client filters it. A member of a site is not a member of
        the site above it. Permissions as for ``list``.

        REST: ``GET /feed/site_members`` (published).
        """
        return site_members(self._calls, argument_checks.optional_ids(site_ids, "site_ids"))


def list_sites(calls: Calls) -> Paginator[Site]:
    """Return the sites of ``sites.list``, for naming people by their site as well."""
    return pagination.feed(
        calls,
        "/feed/sites",
        Site,
        query=(("include_deleted", "true"),),
        identify=lambda site: site.id,
    )


def site_members(calls: Calls, site_ids: Sequence[str] | None) -> Paginator[SiteMember]:
    """Return the members of ``sites.members``, for naming people by their site as well."""
    wanted = None if site_ids is None else frozenset(site_ids)
    return pagination.feed(
        calls,
        "/feed/site_members",
        SiteMember,
        query=(),
        keep=lambda member: wanted is None or member.site_id in wanted,
        identify=lambda member: (member.site_id, member.member_id),
    )
