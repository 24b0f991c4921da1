"""The guard on the reset path, and next pages, against whatever can be written."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import DecodingError, InvalidArgumentError
from training_sdk._core.urls import (
    BaseUrl,
    checked_request_path,
    is_reset_path,
    parse_base_url,
    refuse_reset_path,
)
from unit.sdk.fakes import RESET

SEGMENTS = RESET.strip("/").split("/")
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


def _spell(letter: str, how: int, nested: int) -> str:
    if how == 1:
        return letter.upper()
    if how == 2:
        escaped = f"%{ord(letter):02x}"
        return escaped.replace("%", "%" + "25" * nested) if nested else escaped
    if how == 3:
        return letter.translate(FULL_WIDTH)
    return letter


@st.composite
def disguises(draw: st.DrawFn) -> str:
    """The reset path as a lenient router might still read it."""
    parts = []
    for segment in SEGMENTS:
        spelled = "".join(_spell(one, draw(st.integers(0, 3)), draw(st.integers(0, 4))) for one in segment)
        noise = draw(st.sampled_from(["", "./", "/", "x/../", "%2e/", "x/%2e%2e/", ".;x/"]))
        params = draw(st.sampled_from(["", ";a", ";a=b;c", "%3ba"]))
        slash = draw(st.sampled_from(["/", "//", "%2f", "%252F", "\\", "%5c", "／"]))
        parts.append(slash + noise + spelled + params)
    return (
        draw(st.sampled_from(["", "/x/..", "/."]))
        + "".join(parts)
        + draw(st.sampled_from(["", "/", "?x", "#x", ";y"]))
    )


@given(disguises())
def test_every_disguise_of_the_reset_path_is_seen_through(disguise: str) -> None:
    with pytest.raises(InvalidArgumentError, match="resets"):
        refuse_reset_path(disguise)


@given(disguises(), st.integers(1, 3))
def test_a_prefix_that_begins_the_path_does_not_hide_its_end(disguise: str, cut: int) -> None:
    prefix = "/" + "/".join(SEGMENTS[:cut])
    rest = "/" + "/".join(SEGMENTS[cut:])
    with pytest.raises(InvalidArgumentError):
        refuse_reset_path(prefix + rest)
    with pytest.raises(DecodingError):
        BaseUrl("https://a.test", prefix).next_target(rest, "/other")


@given(st.text())
def test_the_guard_and_the_path_check_never_break(text: str) -> None:
    is_reset_path(text)
    try:
        sent = checked_request_path("/" + text)
    except InvalidArgumentError:
        return
    assert sent.isascii()
    assert sent.isprintable()
    assert " " not in sent


@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: "/" + text),
        st.text().map(lambda text: "https://a.test/" + text),
    )
)
def test_a_next_page_stays_on_its_host_or_is_not_followed(next_page: str) -> None:
    base = BaseUrl("https://a.test", "/p")
    try:
        found = base.next_target(next_page, "/feed")
    except DecodingError:
        return
    sent = urlsplit(str(base) + quote(found, safe="/%?&=:@"))
    assert (sent.scheme, sent.netloc) == ("https", "a.test")
    assert sent.path.startswith("/p/")


@given(st.text(), st.booleans())
def test_a_base_url_is_usable_or_refused_in_words(text: str, allowed: bool) -> None:
    for candidate in (text, "https://" + text, "http://localhost/" + text):
        try:
            base = parse_base_url(candidate, allow_insecure_http=allowed)
        except InvalidArgumentError:
            continue
        assert urlsplit(str(base)).hostname
