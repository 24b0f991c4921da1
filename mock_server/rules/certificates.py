"""R19: a completion issues a certificate, and a reset hides it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from mock_server.world import clock
from mock_server.world.ledger import Certificate

if TYPE_CHECKING:
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


def issue(world: World, organisation: Organisation, course: Course, user_id: str) -> None:
    """Issue a certificate for a completion that just happened, if the course gives any."""
    if not course.certificate:
        return
    issued_at = clock.to_text(world.clock.now())
    certificate = Certificate(world.ids.certificate(), organisation.id, course.id, user_id, issued_at)
    key = (course.id, user_id)
    organisation.certificates[key] = (*organisation.certificates.get(key, ()), certificate)


def shown(world: World) -> tuple[Certificate, ...]:
    """Return every certificate that is not hidden, oldest first."""
    found = [
        each
        for organisation in world.organisations.values()
        for several in organisation.certificates.values()
        for each in several
    ]
    return tuple(sorted(found, key=lambda each: (each.issued_at, each.number)))


def withdraw(world: World, organisation: Organisation, course: Course, user_ids: Sequence[str]) -> None:
    """Hide the certificates of completions that are reset, unless the policy keeps them."""
    if world.policy.old_certificate == "hidden":
        for key in organisation.certificates.keys() & zip(repeat(course.id), user_ids):
            organisation.certificates.pop(key)
