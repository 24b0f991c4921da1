"""How a reference server is spoilt: what the ways of breaking a rule share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server import app
from mock_server.api.operation import Handler
from mock_server.api.routes import OPERATIONS, Router
from mock_server.rules import reset
from mock_server.world.organisation import Organisation
from mock_server.world.progress import Record

Break = Callable[[pytest.MonkeyPatch], None]

BREAKS: dict[Break, tuple[str, ...]] = {}
"""Every way of breaking a rule, and the checks that must notice it: all of that one rule."""

LISTED = 3
"""As many learners as the kit resets by a list, at most; more are everyone."""


def breaks(*checks: str) -> Callable[[Break], Break]:
    """Enter a function as a way of breaking a rule, which exactly these checks notice."""

    def entered(spoil: Break) -> Break:
        BREAKS[spoil] = checks
        return spoil

    return entered


def entered(name: str, spoil: Break, *checks: str) -> None:
    """Enter a way of breaking a rule that is one of a table."""
    spoil.__name__ = name
    breaks(*checks)(spoil)


def wrap(patch: pytest.MonkeyPatch, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace an attribute by what ``make`` returns for the honest one."""
    patch.setattr(owner, name, make(getattr(owner, name)))


def replaces(owner: Any, name: str, *checks: str) -> Callable[[Any], Any]:
    """Enter a function that takes the place of another one and gets that as its first argument."""

    def entering(instead: Any) -> Any:
        entered(instead.__name__, lambda patch: wrap(patch, owner, name, _bound(instead)), *checks)
        return instead

    return entering


def _bound(instead: Any) -> Callable[[Any], Any]:
    def bind(honest: Any) -> Any:
        return lambda *them, **named: instead(honest, *them, **named)

    return bind


def alters(operation: str, part: str, *checks: str) -> Callable[[Any], Any]:
    """Enter a function as another handler, or as other rights, of one operation."""

    def entering(instead: Any) -> Any:
        entered(instead.__name__, lambda patch: altered(patch, operation, **{part: instead}), *checks)
        return instead

    return entering


def adds_to_reset(*checks: str) -> Callable[[Any], Any]:
    """Enter a function that is called after each reset with the records that were cleared."""

    def entering(then: Any) -> Any:
        entered(then.__name__, lambda patch: after_reset(patch, then), *checks)
        return then

    return entering


def nothing(*_: Any, **__: Any) -> None:
    """What a rule does that has been forgotten."""


def handler_of(name: str) -> Handler:
    """The handler of an operation as it is."""
    found = next(each.handler for each in OPERATIONS if each.name == name)
    assert found is not None
    return found


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


def counted_and_not_cleared(
    patch: pytest.MonkeyPatch, fits: Callable[[Organisation, Any, str], bool]
) -> None:
    """A reset that answers success and leaves some as they were; ``fits`` is asked before it."""
    kept: list[str] = []
    honest = reset.reset

    def spoiled(world: Any, organisation: Organisation, course: Any, user_ids: Any) -> None:
        kept[:] = [user_id for user_id in user_ids if fits(organisation, course, user_id)]
        honest(world, organisation, course, user_ids)

    def put_back(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for user_id in kept:
            organisation.progress[course.id].put(user_id, was[user_id])

    patch.setattr(reset, "reset", spoiled)
    after_reset(patch, put_back)


def left_behind(patch: pytest.MonkeyPatch, keep: Callable[[Record], dict[str, Any]]) -> None:
    """A reset that forgets to clear some fields."""

    def put_back(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for user_id, record in was.items():
            left = Record(modified_at=record.modified_at, **keep(record))
            organisation.progress[course.id].put(user_id, left)

    after_reset(patch, put_back)


def changed(organisation: Organisation, course_id: str, *but: str, **fields: Any) -> None:
    """Change these fields in the records of a course, save for some users'."""
    progress = organisation.progress[course_id]
    for user_id, record in list(progress.records.items()):
        if user_id not in but:
            progress.put(user_id, evolve(record, **fields))
