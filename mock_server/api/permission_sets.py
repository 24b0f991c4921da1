"""Permission sets."""

from __future__ import annotations

from mock_server.api.operation import Call, Operation
from mock_server.rules.access import Family
from mock_server.wire import answers
from mock_server.wire.message import Response
from mock_server.wire.schema import answer, field, sent_object, sent_text, whole
from mock_server.world import people as world

_PAGE, _LAST = 100, 10**9


@answer("T", is_component=False)
class Identifier:
    """Id, name and description of a permission set."""

    id: str
    type: str
    name: str
    description: str
    allowed_seat_types: list[world.Seat]


@answer("T")
class PermissionSet:
    """A permission set."""

    identifier: Identifier
    permissions: dict[str, bool] = field("Every permission by name. True if the set contains it.")


@answer("T", is_component=False)
class PermissionSetInList:
    """A permission set in the list."""

    permission_set: PermissionSet


@answer("T")
class PermissionSets:
    """A part of the permission sets."""

    permission_sets: list[PermissionSetInList]


@Operation(
    "ListPermissionSets",
    "POST /permissions/v1/permission_sets",
    "T",
    Family.PERMISSION_SETS,
    PermissionSets,
    noun="permission sets",
    body=sent_object(
        "T",
        {
            "limit": whole("The default of 100 is assumed.", 1, _PAGE),
            "offset": whole("", 0, _LAST),
            "search": sent_text("Part of a name."),
        },
    ),
)
def list_permission_sets(call: Call) -> Response:
    """List permission sets."""
    fields = call.fields(call.body, ("limit", "offset", "search"))
    limit = fields.number("limit", _PAGE, 1, _PAGE)
    offset = fields.number("offset", 0, 0, _LAST)
    search = fields.text("search").casefold()
    found = [each for each in call.organisation.permission_sets.values() if search in each.name.casefold()]
    page = found[offset : offset + limit]
    return answers.ok(PermissionSets([PermissionSetInList(_permission_set(each)) for each in page]))


def _permission_set(held: world.PermissionSet) -> PermissionSet:
    identifier = Identifier(
        id=held.id,
        type="PERMISSION_SET_TYPE_CUSTOM" if held.custom else "PERMISSION_SET_TYPE_DEFAULT",
        name=held.name,
        description=held.description,
        allowed_seat_types=list(held.seats),
    )
    return PermissionSet(identifier, {each.value: each in held.permissions for each in world.Permission})
