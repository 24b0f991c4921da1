"""The tokens of a world by name: the world itself knows only their digests."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mock_server.rules.access import actor_of
from mock_server.world.argument_checks import check_argument
from mock_server.world.people import digest

if TYPE_CHECKING:
    from mock_server.world.world import World


class NamedTokens:
    """The tokens of a world with their names."""

    def __init__(self, world: World, by_name: Mapping[str, str]) -> None:
        self._world = world
        self.replace(by_name)

    def replace(self, by_name: Mapping[str, str]) -> None:
        """Replace all names and tokens; the digests in the world stay as they are."""
        self.by_name = dict(by_name)
        self.names = {token: name for name, token in by_name.items()}
        """Names by token."""

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
