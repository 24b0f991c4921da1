"""Ids in the vendor's form: the same seed gives the same ids of each kind, in any order of kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from hashlib import blake2b
from threading import Lock


class Ids:
    """Source of new ids of every kind; two instances with the same seed give the same ids."""

    def __init__(self, seed: str) -> None:
        self._set_key(blake2b(seed.encode(), digest_size=32).digest())
        self._counters = Counter[str]()
        # Request ids are taken outside the world's lock.
        self._lock = Lock()

    def _set_key(self, key: bytes) -> None:
        self._key = key
        self._keyed = blake2b(
            key=key, digest_size=32
        )  # copied for each id: to read the key takes as long as the id

    def _number(self, kind: str, many: int = 1) -> int:
        """Count this many ids of a kind; return the number of the last one."""
        with self._lock:
            self._counters[kind] += many
            return self._counters[kind]

    def state(self) -> tuple[str, dict[str, int]]:
        """Return the key in hexadecimal and the number of ids given of each kind: all that the next ids depend on."""
        with self._lock:
            return self._key.hex(), dict(self._counters)

    def restore(self, key: str, counters: Mapping[str, int]) -> None:
        """Continue as the instance that returned this `state`. Raises ValueError unless the key has 64 hex digits."""
        found = bytes.fromhex(key)
        if len(found) != len(self._key):
            raise ValueError("The key of the ids must be 64 hexadecimal digits.")
        with self._lock:
            self._set_key(found)
            self._counters = Counter(counters)

    def derive(self, name: str, digits: int) -> str:
        """Return hexadecimal digits (at most 64) that depend only on the seed and the name."""
        return _digits(self._keyed, name)[:digits]

    def _next(self, kind: str, digits: int) -> str:
        return self.derive(f"{kind}/{self._number(kind)}", digits)

    def user(self) -> str:
        """Return ``user_`` and 32 digits."""
        return f"user_{self._next('user', 32)}"

    def role(self) -> str:
        """Return ``role_`` and 32 digits, for organisations and groups."""
        return f"role_{self._next('role', 32)}"

    def content(self, created: datetime) -> str:
        """Return 24 digits for a course or lesson; they begin with its creation time, so ids sort by age."""
        return f"{int(created.timestamp()):08x}{self._next('content', 16)}"

    def uuid(self, kind: str) -> str:
        """Return a dashed UUID, for sites, permission sets, attempts and notifications."""
        (one,) = self.uuids(kind, 1)
        return one

    def uuids(self, kind: str, many: int) -> Iterator[str]:
        """Return so many dashed UUIDs. They are counted now, and each is made when it is read."""
        last = self._number(kind, many) if many else 0  # a kind without ids has no counter
        return map(partial(_uuid, self._keyed, kind), range(last - many + 1, last + 1))

    def certificate(self) -> str:
        """Return a new certificate number."""
        number = self._number("certificate")
        return f"TC-{number:06d}-{self.derive(f'certificate/{number}', 6).upper()}"

    def request(self) -> str:
        """Return an id for a request without one."""
        return f"req-{self._next('request', 24)}"


def _digits(keyed: blake2b, name: str) -> str:
    named = keyed.copy()
    named.update(name.encode())
    return named.hexdigest()


def _uuid(keyed: blake2b, kind: str, number: int) -> str:
    each = _digits(keyed, f"{kind}/{number}")
    return f"{each[:8]}-{each[8:12]}-{each[12:16]}-{each[16:20]}-{each[20:32]}"
