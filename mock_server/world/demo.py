"""The demo world."""

from __future__ import annotations

from datetime import UTC, datetime

from mock_server.world.builder import WorldBuilder


def build_demo(now: datetime | None = None) -> WorldBuilder:
    """Nordwerk Logistik, the same every time but for the clock."""
    builder = WorldBuilder(seed="demo", now=now, since=datetime(2026, 1, 5, 8, tzinfo=UTC))
    org = builder.organisation("Nordwerk Logistik")
    admin = org.person(
        "Katrin",
        "Sørensen",
        "k.soerensen@nordwerk.example",
        permission_sets=[org.permission_sets["Administrator"]],
    )
    for name in ("admin", "manager", "teamlead", "learner", "outsider", "resetter"):
        builder.token(name, admin)
    builder.token("revoked", admin, revoked=True)
    return builder
