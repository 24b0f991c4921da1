"""Groups and sites, and who is in them."""

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
    """A group of people (published). Two groups may have one name."""

    id: str
    name: str = field(metadata=may_omit(""))
    organisation_id: str | None = None


@frozen
class GroupMember(Model):
    """One person's place in one group (published)."""

    user_id: str
    group_id: str
    organisation_id: str | None = None


@frozen
class Site(Model):
    """A place of work (published); ``parent_id`` is the site it belongs to, if any. Two sites may have one name."""

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
    """One person's place at one site (published); ``member_id`` is their user id."""

    site_id: str
    member_id: str

    @property
    def user_id(self) -> str:
        """``member_id``, by the name that it has everywhere else."""
        return self.member_id


class Groups(Bound[D]):
    """``client.groups``"""

    @listing
    def list(self) -> Paginator[Group]:
        """List the organisation's groups.

        Needs "Platform management: Users" or "Training: Administration"; otherwise PermissionDeniedError.

        REST: ``GET /feed/groups`` (published).
        """
        return list_groups(self._calls)

    @listing
    def members(self, *, group_ids: Iterable[str] | None = None) -> Paginator[GroupMember]:
        """List who is in which group: in all of them, or in those named. An empty list of groups is refused.

        The feed knows no filter, so it is read whole and filtered here. Rights as for ``list``.

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
        """List the organisation's sites, deleted ones included.

        Needs "Platform management: Users" or "Training: Administration"; otherwise PermissionDeniedError.

        REST: ``GET /feed/sites?include_deleted=true`` (published).
        """
        return list_sites(self._calls)

    @listing
    def members(self, *, site_ids: Iterable[str] | None = None) -> Paginator[SiteMember]:
        """List who belongs to which site: to all of them, or to those named. An empty list of sites is refused.

        The feed knows no filter, so it is read whole and filtered here. Members of a site below are not members of the
        one above. Rights as for ``list``.

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
