"""WhoAmI, users, groups, sites and permission sets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from mock_server.api.call import Call, Handler
from mock_server.api.paging import FEED, default_size, feed, window
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.wire import answers, shapes
from mock_server.wire.message import Response
from mock_server.wire.shapes import Json
from mock_server.world.people import Permission, Person, Seat, Status

_PAGE = 200
_MOST_FILTERS = 1000


def who_am_i(call: Call) -> Response:
    """GET /accounts/user/v1/user:WhoAmI."""
    person = call.actor.person
    return answers.ok(
        {
            "user_id": person.id,
            "organisation_id": person.organisation_id,
            "firstname": person.first_name,
            "lastname": person.last_name,
        }
    )


def list_users(call: Call) -> Response:
    """POST /users/v1/users/list."""
    fields = call.fields(call.body, ("page_size", "page_token", "list_all", "filters"))
    size = fields.number("page_size", default_size(call, _PAGE), 1, _PAGE)
    after = fields.text("page_token")
    if fields.has("filters") == fields.flag("list_all"):
        raise invalid("Send either list_all: true or filters, one of the two.", "filters")
    fits = _filter(call, fields.values["filters"]) if fields.has("filters") else (lambda _: True)
    people, order = call.organisation.people, call.organisation.people_in_order()
    # The token is the last id of the page before, so that people who come or go shift nothing.
    rest = (people[order[at]] for at in range(bisect_right(order, after), len(order)))
    found = (person for person in rest if fits(person))
    page = list(islice(found, size + 1))
    more = page[size - 1].id if len(page) > size else ""
    return answers.ok({"users": [shapes.user(each) for each in page[:size]], "next_page_token": more})


def _filter(call: Call, given: object) -> Callable[[Person], bool]:
    """People who fit every filter given; a filter without any would mean everyone, and is refused."""
    fields = call.fields(given, ("user_ids", "usernames", "statuses", "seat_types"), "filters.")
    wanted: list[tuple[Callable[[Person], str], frozenset[str]]] = []
    if fields.has("user_ids"):
        wanted.append((lambda person: person.id, frozenset(fields.ids("user_ids", _MOST_FILTERS))))
    if fields.has("usernames"):
        names = fields.texts("usernames", _MOST_FILTERS)
        wanted.append((lambda person: person.email, frozenset(names)))
    if fields.has("statuses"):
        wanted.append((lambda person: person.status, frozenset(fields.choices("statuses", list(Status)))))
    if fields.has("seat_types"):
        wanted.append((lambda person: person.seat, frozenset(fields.choices("seat_types", list(Seat)))))
    if not wanted:
        raise invalid("filters is empty; send list_all: true for everyone.", "filters")
    return lambda person: all(of(person) in allowed for of, allowed in wanted)


Feed = tuple[Sequence[Any], Callable[[Any], Json]]
"""What stands in a feed, in order, and how one of it is written."""


def _users(call: Call) -> Feed:
    organisation = call.organisation
    people = organisation.people
    return organisation.people_in_order(), lambda user_id: shapes.feed_user(people[user_id])


def _groups(call: Call) -> Feed:
    organisation = call.organisation
    groups = organisation.groups
    return sorted(groups), lambda group: shapes.feed_group(organisation.id, groups[group])


def _group_users(call: Call) -> Feed:
    organisation = call.organisation
    return organisation.memberships("groups"), lambda pair: {
        "user_id": pair[0],
        "group_id": pair[1],
        "organisation_id": organisation.id,
    }


SITES_QUERY = ("include_deleted", "show_only_leaf_nodes")


def _sites(call: Call) -> Feed:
    """Sites; deleted ones if asked for, and only those without a site below them if asked for."""
    organisation, with_deleted = call.organisation, call.query.flag("include_deleted")
    sites = {id: site for id, site in organisation.sites.items() if with_deleted or not site.deleted}
    parents = (
        {site.parent_id for site in sites.values()} if call.query.flag("show_only_leaf_nodes") else set()
    )
    return sorted(sites.keys() - parents), lambda site: shapes.feed_site(organisation.id, sites[site])


def _site_members(call: Call) -> Feed:
    return call.organisation.memberships("sites"), lambda pair: {"site_id": pair[1], "member_id": pair[0]}


FEEDS: dict[str, Callable[[Call], Feed]] = {
    "/feed/users": _users,
    "/feed/groups": _groups,
    "/feed/group_users": _group_users,
    "/feed/sites": _sites,
    "/feed/site_members": _site_members,
}


def feed_of(template: str) -> Handler:
    """GET /feed/users, groups, group_users, sites, site_members."""
    return lambda call: feed(call, template, *FEEDS[template](call))


def list_groups(call: Call) -> Response:
    """GET /groups."""
    groups = call.organisation.groups
    return answers.ok({"groups": [{"id": each, "name": groups[each].name} for each in sorted(groups)]})


GROUP_QUERY = (*FEED, "status")


def users_of_group(call: Call) -> Response:
    """GET /groups/{groupId}/users."""
    group_id, people = call.path_id("groupId"), call.organisation.people
    offset, limit = window(call)
    statuses = list(shapes.GROUP_STATUSES.values())
    wanted = [call.query.choice("status", statuses)] if "status" in call.query.values else statuses
    if group_id not in call.organisation.groups:
        raise RefusedError(Reason.GROUP_NOT_FOUND, f"There is no group {group_id}.", {"ids": group_id})
    members = [
        people[each] for each in call.organisation.people_in_order() if group_id in people[each].groups
    ]
    found = [each for each in members if shapes.GROUP_STATUSES[each.status] in wanted]
    users = [shapes.group_user(each) for each in found[offset : offset + limit]]
    return answers.ok({"users": users, "total": len(found), "offset": offset, "limit": limit})


def permission_sets(call: Call) -> Response:
    """POST /permissions/v1/permission_sets."""
    fields = call.fields(call.body, ("limit", "offset", "search"))
    limit = fields.number("limit", 100, 1, 100)
    offset = fields.number("offset", 0, 0, 10**9)
    search = fields.text("search").casefold()
    names = [permission.value for permission in Permission]
    found = [each for each in call.organisation.permission_sets.values() if search in each.name.casefold()]
    page = found[offset : offset + limit]
    return answers.ok({"permission_sets": [shapes.permission_set(each, names) for each in page]})
