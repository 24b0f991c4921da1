"""R11: the same reset sent twice takes effect once."""

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
    """What a key stands for: this actor, this operation, this key."""
    return token.organisation_id, token.user_id, operation, key


def read(headers: Sequence[str]) -> str | None:
    """The key a request carries, None without one; 400 if it is not 1 to 255 visible ASCII characters, once."""
    if not headers:
        return None
    if len(headers) > 1 or not _KEY.fullmatch(headers[0]):
        raise invalid(
            "Idempotency-Key must be 1 to 255 visible ASCII characters, sent once.", "Idempotency-Key"
        )
    return headers[0]


def fingerprint(body: bytes, confirmations: Sequence[str]) -> str:
    """What has to be the same for a repetition: the body's bytes and the confirmation."""
    parts = [body, *(each.encode() for each in confirmations)]
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


def replay(keys: IdempotencyKeys, slot: Slot, content: str, *, is_repeat: bool) -> bytes | None:
    """The answer kept for this key, None for a new one; 409 while the first runs, 422 for other content."""
    if is_repeat:
        raise RefusedError(
            Reason.IDEMPOTENCY_KEY_IN_FLIGHT,
            "The first request with this Idempotency-Key is still running; send it again later.",
        )
    if slot not in keys.kept:
        return None
    first, body = keys.kept[slot]
    if first != content:
        raise RefusedError(
            Reason.IDEMPOTENCY_KEY_REUSED,
            "This Idempotency-Key was used with another body or confirmation; take a new key.",
        )
    return body
