"""The assignments of a course: a list of changes, not a replacement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from mock_server.api.operation import Call, Operation
from mock_server.refusal import Reason, RefusedError, invalid, not_found
from mock_server.rules.access import Family
from mock_server.rules.rate_limits import FEW
from mock_server.wire import answers
from mock_server.wire.fields import Fields
from mock_server.wire.message import Response
from mock_server.wire.schema import Schema, answer, choice, flag, many, nullable, sent_id, sent_object
from mock_server.world.courses import Assigned
from mock_server.world.organisation import Organisation

_FIELDS = ("assignments", "universalAccess", "clearAllUsers", "clearAllGroups", "clearAllSites")
_USER, _GROUP, _SITE = "ASSIGNMENT_TYPE_USER", "ASSIGNMENT_TYPE_GROUP", "ASSIGNMENT_TYPE_SITE"
_MOST = 1000


@frozen
class _Change:
    kind: str
    id: str
    is_assigned: bool


@answer("T")
class AssignmentsUpdated:
    """The numbers of users, groups and sites that are assigned now and were not before, or the reverse."""

    usersUpdated: int
    groupsUpdated: int
    sitesUpdated: int


_CHANGE = sent_object(
    "T",
    {
        "id": sent_id("A user, group or site."),
        "type": choice((_USER, _GROUP, _SITE)),
        "isAssigned": flag(),
    },
    ("id", "type", "isAssigned"),
)
_BODY: Schema = {
    **sent_object(
        "T",
        {
            "assignments": nullable(
                many(_CHANGE, maxItems=_MOST),
                "A list of changes, not a replacement. Each id may occur once. Missing or null means an empty list.",
            ),
            "universalAccess": flag("True to assign everyone, false to end that."),
            **{name: flag() for name in _FIELDS[2:]},
        },
    ),
    "minProperties": 1,
}


@Operation(
    "UpdateCourseAssignments",
    "PUT /training/courses/v1/{courseId}/assignments",
    "T",
    Family.ASSIGN,
    AssignmentsUpdated,
    per_minute=FEW,
    body=_BODY,
    refusals=(
        Reason.COURSE_NOT_FOUND,
        Reason.USER_NOT_FOUND,
        Reason.GROUP_NOT_FOUND,
        Reason.SITE_NOT_FOUND,
    ),
)
def update_assignments(call: Call) -> Response:
    """Change the assignments of a course."""
    course_id = call.path_id("courseId")
    fields = call.fields(call.body, _FIELDS)
    if not fields.values:
        raise invalid(f"The body has no change. Send at least one of {', '.join(_FIELDS)}.", "assignments")
    changes = _changes(call, fields)
    flags = {name: fields.flag(name) for name in _FIELDS[2:]}
    universal = fields.flag("universalAccess") if fields.has("universalAccess") else None
    if course_id not in call.organisation.courses:
        raise not_found(Reason.COURSE_NOT_FOUND, "course", course_id)
    _all_exist(call.organisation, changes)
    before = call.organisation.assigned[course_id]
    now = call.world.clock.now()
    after = Assigned(
        _changed({} if flags["clearAllUsers"] else before.users, changes, _USER, now),
        _changed({} if flags["clearAllGroups"] else before.groups, changes, _GROUP, now),
        _changed({} if flags["clearAllSites"] else before.sites, changes, _SITE, now),
        before.universal if universal is None else ((before.universal or now) if universal else None),
    )
    call.organisation.assign(course_id, after)
    return answers.ok(
        AssignmentsUpdated(
            usersUpdated=_differing(before.users, after.users),
            groupsUpdated=_differing(before.groups, after.groups),
            sitesUpdated=_differing(before.sites, after.sites),
        )
    )


def _changes(call: Call, fields: Fields) -> list[_Change]:
    """The changes listed; an absent list, or null, is an empty one."""
    read: dict[tuple[str, str], _Change] = {}
    listed = fields.items("assignments", _MOST) if fields.values.get("assignments") is not None else []
    for number, item in enumerate(listed):
        entry = call.fields(item, ("id", "type", "isAssigned"), f"assignments[{number}].")
        if not entry.has("isAssigned"):
            raise invalid(f"isAssigned must be given in assignments[{number}].", "isAssigned")
        change = _Change(
            entry.choice("type", (_USER, _GROUP, _SITE)), entry.id("id"), entry.flag("isAssigned")
        )
        if read.setdefault((change.kind, change.id), change) is not change:
            raise invalid(
                f"assignments must contain each id once, and {change.id} occurs twice.",
                f"assignments[{number}].id",
            )
    return list(read.values())


def _all_exist(organisation: Organisation, changes: list[_Change]) -> None:
    kinds: list[tuple[str, Mapping[str, object], Reason]] = [
        (_USER, organisation.people, Reason.USER_NOT_FOUND),
        (_GROUP, organisation.groups, Reason.GROUP_NOT_FOUND),
        (_SITE, organisation.sites, Reason.SITE_NOT_FOUND),
    ]
    for kind, existing, reason in kinds:
        unknown = [change.id for change in changes if change.kind == kind and change.id not in existing]
        if unknown:
            listed = ", ".join(unknown)
            raise RefusedError(
                reason, f"These ids are unknown: {listed}. Nothing was changed.", {"ids": listed}
            )


def _changed(
    before: dict[str, datetime], changes: list[_Change], kind: str, now: datetime
) -> dict[str, datetime]:
    after = dict(before)
    for change in changes:
        if change.kind == kind and change.is_assigned:
            after.setdefault(change.id, now)
        elif change.kind == kind:
            after.pop(change.id, None)
    return after


def _differing(before: dict[str, datetime], after: dict[str, datetime]) -> int:
    return len(before.keys() ^ after.keys())
