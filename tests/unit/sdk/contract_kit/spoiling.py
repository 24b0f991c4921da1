"""How a reference server is spoilt: what the ways of breaking a rule share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server import app
from mock_server.operations.routing import Router
from mock_server.operations.table import OPERATIONS
from mock_server.rules import (
    reset,
)
from mock_server.world.organisation import Organisation
from mock_server.world.progress import Record

Break = Callable[[pytest.MonkeyPatch], None]


def nothing(*_: Any, **__: Any) -> None:
    """What a rule does that has been forgotten."""


def altered(patch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    """Another handler, or other rights, for one operation."""
    assert name in {each.name for each in OPERATIONS}
    table = [evolve(each, **changes) if each.name == name else each for each in OPERATIONS]
    patch.setattr(app, "_ROUTER", Router(table))


def after_reset(patch: pytest.MonkeyPatch, then: Callable[..., None]) -> None:
    """Do something more whenever people are reset; ``then`` gets the records that were cleared as well."""
    honest = reset.reset

    def spoiled(world: Any, organisation: Organisation, course: Any, user_ids: Any) -> None:
        progress = organisation.progress[course.id]
        was = {user_id: progress.records[user_id] for user_id in user_ids}
        honest(world, organisation, course, user_ids)
        then(organisation, course, was)

    patch.setattr(reset, "reset", spoiled)


def left_behind(patch: pytest.MonkeyPatch, keep: Callable[[Record], dict[str, Any]]) -> None:
    """A reset that forgets to clear some fields."""

    def put_back(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for user_id, record in was.items():
            left = Record(modified_at=record.modified_at, **keep(record))
            organisation.progress[course.id].put(user_id, left)

    after_reset(patch, put_back)
