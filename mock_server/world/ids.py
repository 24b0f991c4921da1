"""Ids in the vendor's form, the same ones for the same seed, whatever order the kinds are asked for in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from threading import Lock
from uuid import UUID


class Ids:
    """Hands out new ids of every kind. Two instances with one seed hand out the same ones."""

    def __init__(self, seed: str) -> None:
        self._key = blake2b(seed.encode(), digest_size=32).digest()
        self._counters = Counter[str]()
        # Request ids are asked for outside the world's lock.
        self._lock = Lock()

    def _number(self, kind: str) -> int:
        with self._lock:
            self._counters[kind] += 1
            return self._counters[kind]

    def state(self) -> tuple[str, dict[str, int]]:
        """The key in hex and how many of each kind were handed out: all that the next ids depend on."""
        with self._lock:
            return self._key.hex(), dict(self._counters)

    def restore(self, key: str, counters: Mapping[str, int]) -> None:
        """Go on as the instance whose `state` this was. ValueError if the key is not 64 hex digits."""
        found = bytes.fromhex(key)
        if len(found) != len(self._key):
            raise ValueError("the key of the ids must be 64 hexadecimal digits")
        with self._lock:
            self._key, self._counters = found, Counter(counters)

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
