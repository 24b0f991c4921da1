"""The body of an answer while it comes in, bounded in time and size; and what its failures say at their root."""

from __future__ import annotations

import re
import time

from training_sdk._core.flow import NoAnswerError
from training_sdk._core.text import inline

LARGEST_ANSWER = 256 * 1024 * 1024
LONGEST_SAID = 200
_QUOTED = re.compile(r"""[\s:=,(\[]*(?:\bbytearray\(|\bb["']|(?<!\w)["']).*""", re.DOTALL)


class Body:
    """Collects an answer within its time and size; a client from outside may bound each read only."""

    def __init__(self, deadline: float, request_id: str) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._deadline = deadline
        self._request_id = request_id
        self.status: int | None = None
        """That of the answer, once its head is in."""

    def begin(self, encoding: str, status: int) -> None:
        """Refuse an answer packed more than once, of which one small piece could unpack to fill the memory."""
        self.status = status
        if "," in encoding:
            raise NoAnswerError("the answer is encoded more than once", request_id=self._request_id)

    def add(self, chunk: bytes) -> None:
        """Add to it. Raises NoAnswerError once it is too much or too late."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > LARGEST_ANSWER:
            raise NoAnswerError(f"the answer exceeds {LARGEST_ANSWER} bytes", request_id=self._request_id)
        if time.monotonic() > self._deadline:
            raise NoAnswerError(
                "the answer was still coming in when time ran out", timeout=True, request_id=self._request_id
            )

    def whole(self) -> bytes:
        """Everything that came."""
        return b"".join(self._chunks)


def bounded(text: str) -> str:
    """The first part of what a library says of an error, on one line."""
    return inline(text[:LONGEST_SAID])


def unquoted(text: str) -> str:
    """What a library says of an answer up to where it quotes the answer, which may hold personal data."""
    return bounded(_QUOTED.sub("", text))


def root_of(error: BaseException) -> str:
    """What the deepest cause of an error says; under trio httpx's own error says nothing."""
    said = ""
    cause: BaseException | None = error
    while cause is not None:
        said = str(cause) or said
        cause = cause.__cause__ or cause.__context__
    return said
