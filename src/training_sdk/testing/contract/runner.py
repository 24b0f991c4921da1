"""Making the checks: each in a world of its own where there is a control plane, else all in the one that is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from training_sdk.testing.contract import given as givens
from training_sdk.testing.contract.checks import Check
from training_sdk.testing.contract.given import Given
from training_sdk.testing.contract.outcome import (
    BrokenRuleError,
    CannotRunError,
    Finding,
    NotCheckedError,
    Report,
)
from training_sdk.testing.contract.rules import assigned, effect, follow, form, order, reading, rights
from training_sdk.testing.contract.wire import Wire
from training_sdk.testing.contract.world import World

NOON = "2026-12-01T12:00:00Z"
"""When it is in the worlds that the kit makes: their clocks stand still, until a check moves them."""

Ground = Callable[[], AbstractContextManager[World]]
"""Where to get the world of one check."""


def all_checks(*, read_only: bool = False) -> tuple[Check, ...]:
    """Every check, or those that change nothing, in the order in which they are made."""
    rooms = (reading, rights, form, assigned, order, follow, effect)
    every = (each for room in rooms for each in room.CHECKS)
    return tuple(each for each in (*every, *form.LAST) if each.reads_only or not read_only)


def run(
    wire: Wire,
    *,
    read_only: bool = False,
    given: Given | None = None,
    only: Sequence[str] = (),
    allowed: Callable[[str], bool] = lambda title: False,
) -> Report:
    """Make the checks, or those of the rules in ``only``, and say what became of each, by rule.

    With ``given`` the checks play in that organisation, and reset people in its course if ``allowed``, which is asked
    with the course's title. Without it the kit makes worlds of its own, over ``POST /_mock/worlds``. CannotRunError if
    neither is possible.
    """
    checks = [each for each in all_checks(read_only=read_only) if not only or each.rule in only]
    ground = _ground(wire, read_only=read_only, given=given, allowed=allowed)
    found = [_made(each, ground) for each in checks]
    return Report(str(wire.base_url), tuple(sorted(found, key=lambda each: each.rule)))


def _made(check: Check, ground: Ground) -> Finding:
    with ground() as world:
        return check.made(world)


def _ground(wire: Wire, *, read_only: bool, given: Given | None, allowed: Callable[[str], bool]) -> Ground:
    if read_only:
        return _one(readable(wire, given))
    if given is None:
        with own_world(wire):  # once for nothing: is there a control plane at all?
            return lambda: own_world(wire)
    if wire.is_vendors:
        raise CannotRunError(
            "this is the vendor's own service: the checks reset people there by bodies that nobody has proved, one of "
            "which may mean everyone. Only --read-only is for live services"
        )
    if not given.course:
        raise CannotRunError(
            "name a course to play with in the file of tokens: the checks reset people in it"
        )
    world = World(wire, given.tokens, course_id=given.course)
    try:
        title = world.course()["title"]
    except (BrokenRuleError, NotCheckedError) as fault:
        raise CannotRunError(f"the course to play with cannot be read: {fault}") from None
    if not allowed(title):
        raise CannotRunError(f"nothing was sent that changes anything: resets in {title!r} were not allowed")
    return _one(world)


def _one(world: World) -> Ground:
    return lambda: nullcontext(world)


def readable(wire: Wire, given: Given | None) -> World:
    """A world for reading: by the tokens given, in the environment, or else listed by a control plane."""
    known = given or givens.from_environment() or _listed(wire)
    return World(wire, known.tokens, course_id=known.course)


def _listed(wire: Wire) -> Given:
    with _or_cannot_run("no token is given, and none listed"):
        listed = wire.control("GET", "tokens").object()["tokens"]
    return Given({each["name"]: each["token"] for each in listed})


@contextmanager
def own_world(wire: Wire) -> Iterator[World]:
    """A world made over the control plane, and deleted afterwards."""
    with _or_cannot_run("no world could be made"):
        answer = wire.control("POST", "worlds", body={"seed": "demo", "now": NOON})
        made = answer.expect(201).json()
        tokens = {each["name"]: each["token"] for each in made["tokens"]}
        path = f"worlds/{made['id']}"
    try:
        yield World(wire, tokens, is_own=True)
    finally:
        wire.control("DELETE", path)


@contextmanager
def _or_cannot_run(what: str) -> Iterator[None]:
    try:
        yield
    except (BrokenRuleError, NotCheckedError, KeyError, TypeError) as fault:
        raise CannotRunError(
            f"{what}: {fault}. An implementation without our control plane needs a file with tokens and a course"
        ) from None
