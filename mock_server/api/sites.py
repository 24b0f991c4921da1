"""Sites and the feeds of sites and their members."""

from __future__ import annotations

from mock_server.api.listing import FEED, FeedMetadata, feed
from mock_server.api.operation import Call, Operation, Parameter
from mock_server.refusal import Reason
from mock_server.rules.permissions import Family
from mock_server.wire.answer_class import answer, field
from mock_server.wire.message import Response
from mock_server.wire.schema import flag
from mock_server.world.people import Site


@answer("P")
class FeedSite:
    """A row of the feed of sites."""

    id: str
    name: str
    creator_id: str
    organisation_id: str
    deleted: bool
    site_uuid: str
    meta_label: str = field('The kind of place, such as "location".')
    parent_id: str


@answer("P")
class FeedSites:
    """A page of the feed of sites."""

    metadata: FeedMetadata
    data: list[FeedSite]


@answer("P")
class FeedSiteMember:
    """A row of the feed of memberships in sites."""

    site_id: str
    member_id: str


@answer("P")
class FeedSiteMembers:
    """A page of the feed of memberships in sites."""

    metadata: FeedMetadata
    data: list[FeedSiteMember]


@Operation(
    "FeedSites",
    "GET /feed/sites",
    "P",
    Family.PEOPLE,
    FeedSites,
    parameters=(
        *FEED,
        Parameter("include_deleted", flag("True to list deleted sites too.")),
        Parameter("show_only_leaf_nodes", flag("True to list only sites without a site below them.")),
    ),
    refusals=(Reason.PERMISSION_DENIED,),
)
def feed_sites(call: Call) -> Response:
    """List sites.

    Deleted ones are listed if asked for, and only those without a site below them if asked for.
    """
    organisation, with_deleted = call.organisation, call.query.flag("include_deleted")
    sites = {id: site for id, site in organisation.sites.items() if with_deleted or not site.deleted}
    parents = (
        {site.parent_id for site in sites.values()} if call.query.flag("show_only_leaf_nodes") else set()
    )
    found = sorted(sites.keys() - parents)
    return feed(call, FeedSites, found, lambda site: _site(organisation.id, sites[site]))


def _site(organisation_id: str, site: Site) -> FeedSite:
    return FeedSite(
        id=site.id,
        name=site.name,
        creator_id=site.creator_id,
        organisation_id=organisation_id,
        deleted=site.deleted,
        site_uuid=site.id,
        meta_label=site.meta_label,
        parent_id=site.parent_id,
    )


@Operation(
    "FeedSiteMembers",
    "GET /feed/site_members",
    "P",
    Family.PEOPLE,
    FeedSiteMembers,
    noun="sites",
    parameters=FEED,
    refusals=(Reason.PERMISSION_DENIED,),
)
def feed_site_members(call: Call) -> Response:
    """List site members."""
    pairs = call.organisation.memberships("sites")
    return feed(call, FeedSiteMembers, pairs, lambda pair: FeedSiteMember(pair[1], pair[0]))
