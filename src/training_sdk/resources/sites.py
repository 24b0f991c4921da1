"""Sites, and who belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training_sdk._core import argument_checks, pagination
from training_sdk._core.listing import Calls, Walk
from training_sdk._core.operation import Bound, D, listing
from training_sdk.models.groups import Site, SiteMember


class Sites(Bound[D]):
    """``client.sites``"""

    @listing
    def list(self) -> Walk[Site]:
        """List the organisation's sites, deleted ones included.

        Needs "Platform management: Users" or "Training: Administration"; otherwise PermissionDeniedError.

        REST: ``GET /feed/sites?include_deleted=true`` (published).
        """
        return sites(self._calls)

    @listing
    def members(self, *, site_ids: Iterable[str] | None = None) -> Walk[SiteMember]:
        """List who belongs to which site: to all of them, or to those named. An empty list of sites is refused.

        The feed knows no filter, so it is read whole and filtered here. Members of a site below are not members of the
        one above. Rights as for ``list``.

        REST: ``GET /feed/site_members`` (published).
        """
        return site_members(self._calls, argument_checks.optional_ids(site_ids, "site_ids"))


def sites(calls: Calls) -> Walk[Site]:
    """The walk behind ``sites.list``, for naming people by their site as well."""
    return pagination.fed(
        calls,
        "/feed/sites",
        Site,
        query=(("include_deleted", "true"),),
        keep=lambda _: True,
        identify=lambda site: site.id,
    )


def site_members(calls: Calls, site_ids: Sequence[str] | None) -> Walk[SiteMember]:
    """The walk behind ``sites.members``, for naming people by their site as well."""
    wanted = None if site_ids is None else frozenset(site_ids)
    return pagination.fed(
        calls,
        "/feed/site_members",
        SiteMember,
        query=(),
        keep=lambda member: wanted is None or member.site_id in wanted,
        identify=lambda member: (member.site_id, member.member_id),
    )
