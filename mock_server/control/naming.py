"""Names of operations (ids or short names, in any case) and of tokens, and the tokens by their names."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mock_server.api.routes import OPERATIONS, Router
from mock_server.refusal import RefusedError, check_argument
from mock_server.rules.access import actor_of
from mock_server.world.people import digest

if TYPE_CHECKING:
    from mock_server.world.world import World


SHORT = {
    "reset": "ResetCourseProgress",
    "preview": "PreviewReset",
    "progress": "ListTrainingCourseProgress",
    "courses": "ListCourses",
    "assignments": "UpdateCourseAssignments",
}
"""Short names. A word that could mean several operations, such as "users", is not one."""

_NAMES = tuple(operation.name for operation in OPERATIONS)
_KNOWN = {name.casefold(): name for name in _NAMES} | SHORT
_ROUTER = Router(OPERATIONS)


_LONGEST_KEPT = 200
"""The longest path that is cached: clients can send any number of them."""


def operation_name(method: str, path: str) -> str:
    """Return the operation of a request, "" for none."""
    is_short = len(method) + len(path) <= _LONGEST_KEPT
    return _remembered(method, path) if is_short else _looked_up(method, path)


@lru_cache(maxsize=1024)
def _remembered(method: str, path: str) -> str:
    return _looked_up(method, path)


def _looked_up(method: str, path: str) -> str:
    try:
        return _ROUTER.find(method, path)[0].name
    except RefusedError:
        return ""


def known_operation(name: str) -> str:
    """Return the operation id for a name. LookupError with suggestions for an unknown name; TypeError for no text."""
    given = check_argument(
        "operation", name, str, 'a name such as "ResetCourseProgress" or "reset"'
    ).casefold()
    if given in _KNOWN:
        return _KNOWN[given]
    said = f"There is no operation {name[:100]!r}."
    meant = [each for each in _NAMES if given in _parts(each)]
    if len(meant) > 1:
        raise LookupError(f"{said} Name one of these: {listed(meant)}.")
    near = meant or [_KNOWN[each] for each in close(given, _KNOWN)]
    raise LookupError(f"{said} {f'Did you mean {near[0]}?' if near else f'There are {listed(_NAMES)}.'}")


@lru_cache(maxsize=1024)
def _parts(name: str) -> frozenset[str]:
    """Return all runs of words in a name: ``FeedGroupUsers`` has users, groupusers and so on."""
    words = re.findall("[A-Z][a-z]*", name)
    ends = range(1, len(words) + 1)
    return frozenset("".join(words[start:end]).casefold() for end in ends for start in range(end))


def known_token(name: str, names: Iterable[str]) -> str:
    """Return the name of a token, "" for none. LookupError for an unknown name; it does not repeat a token."""
    check_argument("token", name, str, 'the name of a token, such as "admin"')
    there = sorted({*names} - {""})
    if not name or name in there:
        return name
    near = close(name, there)
    if near:
        raise LookupError(f"There is no token {name!r}. Did you mean {near[0]}?")
    raise LookupError(
        "No token has this name. Give the name of a token, not the token itself. The names are "
        f"{listed(there) or 'none'}."
    )


def close(name: str, names: Iterable[str]) -> list[str]:
    """Return the nearest name, if any is near."""
    return get_close_matches(name[:100], [*names], n=1)


def listed(names: Iterable[str]) -> str:
    """Return names as a list with commas."""
    return ", ".join(names)


class NamedTokens:
    """The tokens of a world with their names."""

    def __init__(self, world: World, by_name: Mapping[str, str]) -> None:
        self._world = world
        self.replace(by_name)

    def replace(self, by_name: Mapping[str, str]) -> None:
        """Replace all names and tokens; the digests in the world stay as they are."""
        self.by_name = dict(by_name)
        self.names = {token: name for name, token in by_name.items()}
        """Names by token, in a dict that never changes: the journal reads it later."""

    def known(self) -> frozenset[str]:
        """Return the names."""
        return frozenset(self.by_name)

    def token(self, name: str) -> str:
        """Return a token by its name. Raises LookupError, with the known names, for an unknown one."""
        check_argument("name", name, str, 'the name of a token, such as "admin"')
        if name not in self.by_name:
            raise LookupError(
                f"There is no token {name!r}. The tokens are {', '.join(sorted(self.by_name))}."
            )
        return self.by_name[name]

    def draw(self) -> None:
        """Replace every token by a random one, in the world too."""
        with self._world.lock:
            drawn = {name: f"mock_{secrets.token_hex(24)}" for name in self.by_name}
            known = self._world.tokens
            self._world.tokens = {
                digest(drawn[name]): known[digest(old)] for name, old in self.by_name.items()
            }
            self.replace(drawn)

    def described(self) -> list[dict[str, Any]]:
        """Return every token with its owner and permissions."""
        with self._world.lock:
            return [self._described(name, token) for name, token in self.by_name.items()]

    def _described(self, name: str, token: str) -> dict[str, Any]:
        actor = actor_of(self._world, self._world.tokens[digest(token)])
        return {
            "name": name,
            "token": token,
            "user_id": actor.id,
            "organisation_id": actor.organisation.id,
            "permissions": sorted(actor.permissions),
        }
