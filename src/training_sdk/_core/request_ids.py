"""Request ids that a service gives: shown and stored as text that can be printed, whatever the service sends."""

from __future__ import annotations

import re

from training_sdk.records.tokens import looks_secret

LONGEST = 200
_PLAIN = re.compile(r"[\x21-\x7e]{1,200}")


def request_id_of(given: str | None, sent: str, token: str) -> str:
    """Return the id under which support finds a request: the service's if it is plain, else ours with it in brackets.

    Plain is visible ASCII of at most 200 characters. Another id is escaped and cut, because support needs it; one that
    holds this client's ``token``, or looks like a secret, is not shown.
    """
    if not given:
        return sent
    if (token and token in given) or looks_secret(given):
        return f"{sent} (the service's own id looks like a secret and is not shown)"
    if _PLAIN.fullmatch(given):
        return given
    escaped = given[:LONGEST].encode("unicode_escape").decode("ascii")
    cut = "..." if len(given) > LONGEST or len(escaped) > LONGEST else ""
    return f"{sent} (the service's own id: '{escaped[:LONGEST]}{cut}')"
