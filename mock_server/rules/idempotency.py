"""R11: idempotency keys. The same reset sent twice takes effect once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from mock_server.refusal import Reason, RefusedError, invalid

if TYPE_CHECKING:
    from mock_server.world.ledger import IdempotencyKeys, Slot
    from mock_server.world.people import Token

HEADER = "idempotency-key"
_KEY = re.compile(r"[!-~]{1,255}")


def slot(token: Token, operation: str, key: str) -> Slot:
    """Return the scope of a key: actor, operation and key."""
    return token.organisation_id, token.user_id, operation, key


def read(headers: Sequence[str]) -> str | None:
    """Return the key of a request, None without one; 400 unless it is 1 to 255 visible ASCII characters, sent once."""
    if not headers:
        return None
    if len(headers) > 1 or not _KEY.fullmatch(headers[0]):
        raise invalid(
            "Idempotency-Key must be 1 to 255 visible ASCII characters, sent once.", "Idempotency-Key"
        )
    return headers[0]


def fingerprint(body: bytes, confirmations: Sequence[str]) -> str:
    """Return the checksum of body and confirmation, which a repetition must have in common."""
    parts = [body, *(each.encode() for each in confirmations)]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


def replay(keys: IdempotencyKeys, slot: Slot, content: str, *, is_repeat: bool) -> bytes | None:
    """Return the stored answer, None for a new key; 409 while the first request runs, 422 for other content."""
    if is_repeat:
        raise RefusedError(
            Reason.IDEMPOTENCY_KEY_IN_FLIGHT,
            "The first request with this Idempotency-Key is still running. Send this request again later.",
        )
    if slot not in keys.kept:
        return None
    first, body = keys.kept[slot]
    if first != content:
        raise RefusedError(
            Reason.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used with another body or confirmation. Use a new key.",
        )
    return body
