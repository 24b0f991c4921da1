"""What look like a token is kept out of the records, however long the text it hides in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from growth import assert_proportionate
from training_sdk._core.text import fingerprint
from training_sdk.errors import InvalidArgumentError
from training_sdk.records.tokens import REDACTED, redacted, refuse_tokens, refuse_typed

JWT = "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"


@pytest.mark.parametrize("text", [JWT, f"it was {JWT}!", f"key-{JWT}", f"eyJ-{JWT}", f"a.{JWT}"])
def test_a_signed_token_is_refused_wherever_it_stands(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="look like a token"):
        refuse_tokens({"reason": text}, None)


@pytest.mark.parametrize("text", ["eyJhbGciOiJI.eyJzdWIi", "xeyJhbGciOiJI.eyJzdWIiOiIx.", "eyJ.eyJ.eyJ."])
def test_half_a_token_is_none(text: str) -> None:
    """A whole one is an error, as above."""
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


@pytest.mark.parametrize(
    "text", ["{}", "it was {}.", "token={}", "https://x.example/?key={}&b=1", "--reason:{}"]
)
def test_the_token_in_use_is_found_wherever_it_stands(text: str) -> None:
    token = "k7" * 20
    with pytest.raises(InvalidArgumentError, match="ticket must not look like a token") as caught:
        refuse_typed(fingerprint(token), reason=None, ticket=text.format(token))
    assert token not in str(caught.value)
    refuse_typed(fingerprint(token), reason="the token of Ms Token", ticket=None)


def test_what_a_server_says_is_redacted_and_everything_else_stays() -> None:
    said = {"ids": ["a", JWT, {"password": "x", "n": 1}], "at": None, JWT: 2.5, "user": "scapi_" + "a" * 20}
    assert redacted(said, None) == {
        "ids": ["a", REDACTED, {"password": REDACTED, "n": 1}],
        "at": None,
        REDACTED: 2.5,
        "user": REDACTED,
    }
    refuse_tokens(redacted({name: said[name] for name in ("at", "user", JWT)}, None), None)
