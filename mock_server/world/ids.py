"""Ids in the vendor's form, the same ones for the same seed, whatever order the kinds are asked for in."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from itertools import count
from uuid import UUID


class Ids:
    """Hands out new ids of every kind. Two instances with one seed hand out the same ones."""

    def __init__(self, seed: str) -> None:
        self._key = blake2b(seed.encode(), digest_size=32).digest()
        self._counters: dict[str, count[int]] = {}

    def _number(self, kind: str) -> int:
        return next(self._counters.setdefault(kind, count(1)))

    def derive(self, name: str, digits: int) -> str:
        """Hexadecimal digits (at most 64) that depend on the seed and the name alone."""
        return blake2b(name.encode(), key=self._key, digest_size=32).hexdigest()[:digits]

    def _next(self, kind: str, digits: int) -> str:
        return self.derive(f"{kind}/{self._number(kind)}", digits)

    def user(self) -> str:
        """``user_`` and 32 digits."""
        return f"user_{self._next('user', 32)}"

    def role(self) -> str:
        """``role_`` and 32 digits: organisations and groups."""
        return f"role_{self._next('role', 32)}"

    def content(self, created: datetime) -> str:
        """24 digits for a course or lesson; they begin with the time of its making, so they sort by age."""
        return f"{int(created.timestamp()):08x}{self._next('content', 16)}"

    def uuid(self, kind: str) -> str:
        """A dashed UUID: sites, permission sets, attempts, notifications."""
        return str(UUID(self._next(kind, 32)))

    def certificate(self) -> str:
        """A certificate's number; none is given out twice."""
        number = self._number("certificate")
        return f"TC-{number:06d}-{self.derive(f'certificate/{number}', 6).upper()}"

    def request(self) -> str:
        """An id for a request that came without one."""
        return f"req-{self._next('request', 24)}"
