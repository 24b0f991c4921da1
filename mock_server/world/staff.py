"""Staff for a world whose people are given: they own its tokens and are assigned to nothing."""

from __future__ import annotations

from datetime import datetime

from mock_server.world.builder import OrganisationBuilder, WorldBuilder
from mock_server.world.people import Permission, PermissionSet, Person


def add_staff(builder: WorldBuilder, organisation: OrganisationBuilder, *, expired_at: datetime) -> None:
    """Add one person for every token name, the outsider as administrator of a second organisation."""
    sets = organisation.permission_sets
    trainer = organisation.permission_set("Training manager", "Runs training.", {Permission.TRAINING})
    resetter = organisation.permission_set("User manager", "Looks after users.", {Permission.USERS})
    roles = {
        "admin": sets["Administrator"],
        "manager": trainer,
        "teamlead": sets["Manager"],
        "resetter": resetter,
        "learner": sets["Standard"],
    }
    for name, permission_set in roles.items():
        builder.token(name, _member(organisation, name, permission_set))
    former = _member(organisation, "former", sets["Administrator"])
    builder.token("revoked", former, revoked=True)
    builder.token("expired", former, expires_at=expired_at)
    other = builder.organisation("Another organisation")
    builder.token("outsider", _member(other, "outsider", other.permission_sets["Administrator"]))


def _member(organisation: OrganisationBuilder, role: str, permission_set: PermissionSet) -> Person:
    return organisation.person(
        "Mock", role.capitalize(), f"{role}@mock.invalid", permission_sets=[permission_set]
    )
