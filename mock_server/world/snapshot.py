"""The whole state as plain JSON data, record by record, for comparing before and after."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


def snapshot(world: World) -> dict[str, Any]:
    """Every record of the world. Left out: the present moment, and the counters behind new ids."""
    with world.lock:
        return {
            "policy": plain(world.policy),
            "organisations": {each.id: _organisation(each) for each in world.organisations.values()},
            "tokens": plain(world.tokens),
            "outbox": plain(world.outbox),
            "webhooks": plain(world.webhooks),
            "webhook_secrets": plain(world.webhook_secrets),
            "audit": plain(world.audit),
            "queued": plain(world.queued),
            "idempotency": {"/".join(slot): list(kept[:1]) for slot, kept in world.keys.kept.items()},
        }


def _organisation(organisation: Organisation) -> dict[str, Any]:
    courses = organisation.progress.courses.items()
    return {
        "name": organisation.name,
        "people": plain(organisation.people),
        "groups": plain(organisation.groups),
        "sites": plain(organisation.sites),
        "permission_sets": plain(organisation.permission_sets),
        "courses": plain(organisation.courses),
        "assigned": plain(organisation.assigned),
        "paths": plain(organisation.paths),
        "collections": plain(organisation.collections),
        "rapid_refreshes": plain(organisation.rapid_refreshes),
        "refresh_answers": plain(organisation.refresh_answers.rows),
        "leaderboards": plain(organisation.leaderboards),
        "rosters": {course_id: list(progress.roster) for course_id, progress in courses},
        "enrolments": {course_id: plain(progress.enrolments) for course_id, progress in courses},
        "records": {course_id: plain(progress.records) for course_id, progress in courses},
        "reset_at": {course_id: plain(progress.reset_at) for course_id, progress in courses},
        "tallies": {course_id: plain(progress.tally) for course_id, progress in courses},
        "certificates": {"/".join(key): plain(value) for key, value in organisation.certificates.items()},
    }


def plain(value: Any) -> Any:
    """Entities, containers and scalars as JSON knows them; sets in order."""
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    names = _names(kind)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Set):
        return sorted(plain(each) for each in value)
    return [plain(each) for each in value]


_SCALARS = frozenset({str, int, float, bool, type(None)})


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a class of entities; None of any other. Asked for every value of a world, so kept."""
    return tuple(each.name for each in attrs.fields(kind)) if attrs.has(kind) else None
