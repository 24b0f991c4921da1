"""Groups, their users, and the feeds of both."""

from __future__ import annotations

from typing import Annotated

from mock_server.api.operation import FEED, Call, FeedMetadata, Link, Operation, Parameter, feed, window
from mock_server.refusal import Reason, not_found
from mock_server.rules.access import Family
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import Format, answer, choice, field, flag
from mock_server.world.people import Person, Seat, Site, Status

_STATUSES = {Status.ACTIVE: "active", Status.DEACTIVATED: "inactive"}
"""The statuses of a group's users (A)."""


@answer("T", is_component=False)
class Group:
    """A group in the older list."""

    id: str
    name: str


@answer("T")
class Groups:
    """All groups."""

    groups: list[Group]


@answer("T")
class UserOfGroup:
    """A user of a group."""

    user_id: str
    id: str = field("The same as user_id.")
    firstname: str
    lastname: str
    email: str
    status: Annotated[str, Format(choice(_STATUSES.values()))] = field("The values are assumed.", mark="A")
    seat_type: Seat


@answer("T")
class UsersOfGroup:
    """A page of the users of a group."""

    users: list[UserOfGroup]
    total: int = field("The number of users on all pages.")
    offset: int
    limit: int


@answer("P")
class FeedGroup:
    """A row of the feed of groups."""

    id: str
    organisation_id: str
    name: str


@answer("P")
class FeedGroups:
    """A page of the feed of groups."""

    metadata: FeedMetadata
    data: list[FeedGroup]


@answer("P")
class FeedGroupUser:
    """A row of the feed of memberships in groups."""

    user_id: str
    group_id: str
    organisation_id: str


@answer("P")
class FeedGroupUsers:
    """A page of the feed of memberships in groups."""

    metadata: FeedMetadata
    data: list[FeedGroupUser]


_STATUS = Parameter(
    "status", choice(_STATUSES.values(), "Users with this status only. The values are assumed.")
)


@Operation(
    "ListGroups",
    "GET /groups",
    "T",
    Family.PEOPLE,
    Groups,
    links=(
        Link(
            "Users",
            "ListUsersOfGroup",
            "The users of the first group.",
            {"groupId": "$response.body#/groups/0/id"},
        ),
    ),
)
def list_groups(call: Call) -> Response:
    """List groups. An older operation that many scripts use."""
    groups = call.organisation.groups
    return answers.ok(Groups([Group(each, groups[each].name) for each in sorted(groups)]))


@Operation(
    "ListUsersOfGroup",
    "GET /groups/{groupId}/users",
    "T",
    Family.PEOPLE,
    UsersOfGroup,
    parameters=(*FEED, _STATUS),
    refusals=(Reason.GROUP_NOT_FOUND,),
)
def list_users(call: Call) -> Response:
    """List the users of a group. An older operation that many scripts use."""
    group_id, people = call.path_id("groupId"), call.organisation.people
    offset, limit = window(call)
    statuses = list(_STATUSES.values())
    wanted = [call.query.choice("status", statuses)] if "status" in call.query.values else statuses
    if group_id not in call.organisation.groups:
        raise not_found(Reason.GROUP_NOT_FOUND, "group", group_id)
    members = [
        people[each] for each in call.organisation.people_in_order() if group_id in people[each].groups
    ]
    found = [each for each in members if _STATUSES[each.status] in wanted]
    users = list(map(_user_of_group, found[offset : offset + limit]))
    return answers.ok(UsersOfGroup(users, len(found), offset, limit))


def _user_of_group(person: Person) -> UserOfGroup:
    return UserOfGroup(
        user_id=person.id,
        id=person.id,
        firstname=person.first_name,
        lastname=person.last_name,
        email=person.email,
        status=_STATUSES[person.status],
        seat_type=person.seat,
    )


@Operation("FeedGroups", "GET /feed/groups", "P", Family.PEOPLE, FeedGroups, parameters=FEED)
def feed_groups(call: Call) -> Response:
    """List groups."""
    own, groups = call.organisation.id, call.organisation.groups
    return feed(call, FeedGroups, sorted(groups), lambda each: FeedGroup(each, own, groups[each].name))


@Operation(
    "FeedGroupUsers",
    "GET /feed/group_users",
    "P",
    Family.PEOPLE,
    FeedGroupUsers,
    noun="groups",
    parameters=FEED,
)
def feed_group_users(call: Call) -> Response:
    """List group users."""
    own, pairs = call.organisation.id, call.organisation.memberships("groups")
    return feed(call, FeedGroupUsers, pairs, lambda pair: FeedGroupUser(*pair, own))


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
)
def feed_site_members(call: Call) -> Response:
    """List site members."""
    pairs = call.organisation.memberships("sites")
    return feed(call, FeedSiteMembers, pairs, lambda pair: FeedSiteMember(pair[1], pair[0]))
