"""What looks like a token is kept out of the records, however long the text it hides in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from growth import assert_proportionate
from training_sdk.errors import InvalidArgumentError
from training_sdk.records.tokens import refuse_tokens

JWT = "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"


@pytest.mark.parametrize("text", [JWT, f"it was {JWT}!", f"key-{JWT}", f"eyJ-{JWT}", f"a.{JWT}"])
def test_a_signed_token_is_refused_wherever_it_stands(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="looks like a token"):
        refuse_tokens({"reason": text}, None)


@pytest.mark.parametrize("text", ["eyJhbGciOiJI.eyJzdWIi", "xeyJhbGciOiJI.eyJzdWIiOiIx.", "eyJ.eyJ.eyJ."])
def test_half_a_token_is_none(text: str) -> None:
    refuse_tokens({"reason": text}, None)


@pytest.mark.parametrize(
    "text",
    [
        lambda length: "-eyJ" * (length // 4),
        lambda length: "eyJaaaaaaaa." + "-eyJ" * (length // 4),
        lambda length: "bearer" + " " * length,
        lambda length: "bearer " + "a" * length,
    ],
)
def test_a_long_text_is_looked_through_in_proportion(text: Callable[[int], str]) -> None:
    def look(length: int) -> None:
        with contextlib.suppress(InvalidArgumentError):
            refuse_tokens({"reason": text(length)}, None)

    assert_proportionate(look)
