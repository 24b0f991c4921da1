"""What the journal leaves out: too much of anything, the reference server's own pages, and tokens in any spelling."""

from __future__ import annotations

from sys import getsizeof
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mock_server import MockTraining, app
from mock_server.api.openapi import PATH as CONTRACT
from mock_server.control import journal
from mock_server.mock import TokenName
from mock_server.wire.message import Request, Response
from unit.mock_server.core.speaker import AGENT, COURSES, WHO


def ask(mock: MockTraining, authorization: str, path: str = WHO, query: str = "", pad: str = "") -> int:
    headers = (AGENT, ("authorization", authorization), ("x-pad", pad))
    return mock.handle(Request("GET", path, query, headers)).status


@pytest.mark.parametrize("where", ["pad", "query", "path"])
def test_memory_bounds_everywhere(mock: MockTraining, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 50_000)
    for number in range(20):
        given = {
            "pad": {"pad": "x" * 10_000},
            "query": {"query": "x" * 10_000},
            "path": {"path": "/" + "x" * 10_000},
        }
        ask(mock, "Bearer none", **given[where])
        kept = mock.calls.seen
        texts = [each.path + each.query + "".join(map("".join, each.headers)) for each in kept]
        assert sum(map(len, texts)) <= 50_000
        assert kept[-1].number == number + 1
    assert mock.calls.dropped == 20 - len(mock.calls) >= 15


def test_one_long_header_query_or_path_is_cut(mock: MockTraining) -> None:
    long = "x" * (journal.MAX_BODY + 1)
    ask(mock, "Bearer none", path=f"/{long}", query=long, pad=long)
    (made,) = mock.calls
    assert {len(made.path), len(made.query), len(made.header("x-pad") or "")} == {journal.MAX_BODY}


@given(
    before=st.integers(0, journal.MAX_BODY + 10),
    length=st.integers(1, 200),
    times=st.integers(1, 400),
    behind=st.integers(0, 400),
)
@example(
    before=0, length=59, times=200, behind=0
)  # a body that is little more than the token, again and again
def test_no_part_of_a_token_is_left_at_a_cut(before: int, length: int, times: int, behind: int) -> None:
    sent = "0123456789abcdef" * length
    kept = journal.Journal()
    body = b"x" * before + sent.encode() * times + b"y" * behind
    headers = (("authorization", f"Bearer {sent}"),)
    kept.record(Request("POST", "/", "", headers, body), Response(200, (), body), {})
    for shown in (kept.once().body, kept.once().answer):
        assert b"0123" not in shown.data
        assert shown.is_cut or shown.data == b"x" * before + b"***" * times + b"y" * behind
        assert len(shown.data) <= journal.MAX_BODY


def test_memory_is_bounded_although_masked(mock: MockTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_BYTES", 500_000)
    for _ in range(50):
        ask(mock, "Bearer none", path=f"/mock_%30{'0' * 8}%F0%9F%98%80" + "x" * 9_000)
    shown = [each.path for each in mock.calls.seen]
    assert shown
    assert all("\N{GRINNING FACE}" in each for each in shown)
    assert sum(map(getsizeof, shown)) <= 500_000


def test_a_request_made_by_hand_neither_hides_the_others_nor_changes_later(mock: MockTraining) -> None:
    headers: Any
    body: Any
    headers, body = [("authorization", "Bearer \udc80" + "x" * 20)], bytearray(b"as it came")
    mock.handle(Request("GET", WHO, "", headers, body))
    headers[0], body[:2] = ("authorization", "other"), b"AS"
    text: Any = "no bytes"
    with pytest.raises(TypeError):
        mock.handle(Request("GET", WHO, "", (), text))
    (made,) = mock.calls
    assert (made.header("authorization"), made.body.data) == ("Bearer ***", b"as it came")


def test_an_exchange_in_a_traceback_shows_no_token(mock: MockTraining) -> None:
    token = mock.token("admin")
    request = Request("GET", WHO, "", (AGENT, ("authorization", f"Bearer {token}")))
    assert token not in repr(app.Exchange(mock.world, request, "r-1"))


@pytest.mark.parametrize("form", ["Bearer {} ", "bearer  {}", " Bearer {}"])
def test_blanks_around_a_token_hide_neither_its_name_nor_the_path(mock: MockTraining, form: str) -> None:
    token = mock.token("admin")
    assert ask(mock, form.format(token), query=f"a={token}") in (200, 400)
    (made,) = mock.calls
    assert (made.path, made.query, made.token) == (WHO, "a=***", "admin")
    assert token not in repr(made)


@pytest.mark.parametrize("token", ["us", "a", "", "/"])
def test_what_is_too_short_for_a_token_leaves_the_path_legible(mock: MockTraining, token: str) -> None:
    ask(mock, f"Bearer {token}")
    ask(mock, token)
    assert [(each.path, each.token) for each in mock.calls] == [(WHO, "")] * 2


@pytest.mark.parametrize("name", ["admin", "learner"])
def test_a_percent_encoded_token_is_hidden_too(mock: MockTraining, name: TokenName) -> None:
    token = mock.token(name)
    for spelled in (
        token.replace("_", "%5F"),
        token.replace("_", "%5f"),
        "".join(f"%{ord(c):02X}" for c in token),
    ):
        ask(
            mock,
            f"Bearer {mock.token('admin')}",
            path=f"{COURSES}/{spelled}",
            query=f"q={spelled}&r=1",
            pad=spelled,
        )
    for made in mock.calls:
        assert (made.path, made.query, made.header("x-pad")) == (f"{COURSES}/***", "q=***&r=1", "***")


def test_what_is_encoded_and_no_secret_stays_as_it_was_sent(mock: MockTraining) -> None:
    ask(mock, f"Bearer {mock.token('admin')}", path="/a%20b", query="q=%C3%A9")
    (made,) = mock.calls
    assert (made.path, made.query) == ("/a%20b", "q=%C3%A9")


def test_the_contract_is_read_without_a_trace(mock: MockTraining) -> None:
    assert mock.handle(Request("GET", CONTRACT)).status == 200
    mock.calls.never()
