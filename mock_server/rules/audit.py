"""R23: the audit log has every reset that a known user requested, done or refused.

A request with an unknown token is not logged: it has no user, and could fill the log. A request with an expired or
revoked token is logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mock_server.rules.scope import COURSE, EVERYONE, USERS, Scope
from mock_server.wire.fields import camel
from mock_server.world.ledger import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mock_server.refusal import RefusedError
    from mock_server.world.people import Token
    from mock_server.world.world import World

_MAX_IDS = 20
"""Ids that are logged of a refused request: the owner of an expired token can send any number."""
_MAX_ID = 128
_Scope = tuple[str, bool, tuple[str, ...]]
"""Course, everyone and users of a request."""


def done(
    world: World,
    token: Token,
    request_id: str,
    asked: Scope,
    user_ids: Sequence[str],
    outcome: str = "done",
    absent_ids: Sequence[str] = (),
    status: int = 200,
) -> None:
    """Log a reset that succeeded: all users it was for, and all whose progress it cleared.

    The scope is the one that the server understood; a server that emulates a live one may understand another.
    """
    listed = tuple(user_ids if asked.user_ids is None else dict.fromkeys(asked.user_ids))
    scope = (asked.course_id, asked.user_ids is None, listed)
    _write(world, token, request_id, scope, outcome, status, tuple(user_ids), tuple(absent_ids))


def refused(world: World, token: Token, request_id: str, asked: object, refusal: RefusedError) -> None:
    """Log a refused reset as far as it could be read; of many users, their number and the first ones."""
    _write(world, token, request_id, _scope(asked), refusal.reason.name, refusal.reason.status, most=_MAX_IDS)


def _write(
    world: World,
    token: Token,
    request_id: str,
    scope: _Scope,
    outcome: str,
    status: int,
    reset_ids: tuple[str, ...] = (),
    absent_ids: tuple[str, ...] = (),
    most: int | None = None,
) -> None:
    course_id, everyone, user_ids = scope
    world.audit.append(
        AuditEntry(
            at=world.clock.now(),
            organisation_id=token.organisation_id,
            actor_id=token.user_id,
            request_id=request_id,
            course_id=course_id,
            everyone=everyone,
            user_ids=user_ids[:most],
            users_asked=len(user_ids),
            outcome=outcome,
            status=status,
            users_updated=len(reset_ids),
            reset_ids=reset_ids,
            absent_ids=absent_ids,
        )
    )


def _scope(body: object) -> _Scope:
    """Return course, everyone and users of a body in any form."""
    named = {camel(key): value for key, value in body.items()} if isinstance(body, dict) else {}
    course, users = named.get(COURSE), named.get(USERS)
    listed = users if isinstance(users, list) else []
    return (
        course[:_MAX_ID] if isinstance(course, str) else "",
        named.get(EVERYONE) is True,
        tuple(dict.fromkeys(each[:_MAX_ID] for each in listed if isinstance(each, str))),
    )
