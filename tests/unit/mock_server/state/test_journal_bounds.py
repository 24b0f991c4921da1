"""What the journal leaves out: too much of anything, the reference server's own pages, and tokens in any spelling."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from sys import getsizeof
from typing import Any

import pytest
from attrs import evolve
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
    length=st.integers(1, 400),
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


LONG = [
    b"x" * (journal.MAX_BODY + 200) + b"mock_0123456789abcdef",
    b"mock_0123456789abcdef" * 5000,
    b"k" * 100_000,
    b"y" * journal.MAX_BODY,
    b"",
]
"""Bodies that many exchanges share, as they share a page that is cached."""


@given(
    st.lists(st.tuples(st.sampled_from(LONG), st.sampled_from([8, 100, 5000]), st.booleans()), max_size=40)
)
def test_a_shared_body_is_shown_as_if_each_exchange_had_its_own(sent: list[tuple[bytes, int, bool]]) -> None:
    shared, apart = journal.Journal(), []
    for number, (body, length, is_read) in enumerate(sent, 1):
        request = Request("POST", "/", "", (("authorization", "k" * length),), body)
        alone = journal.Journal()
        for each in (alone, shared):
            each.record(request, Response(200, (), body), {})
        apart.append(evolve(alone.once(), number=number))
        if is_read:
            assert shared.seen[-1] == apart[-1]
    assert list(shared) == apart


def traced(work: Callable[[], object]) -> int:
    """Return the bytes that are allocated and not freed by a piece of work."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pages", [1, 5, 30, 400])
@pytest.mark.parametrize("is_read", [False, True])
def test_no_body_is_kept_beyond_the_bound(monkeypatch: pytest.MonkeyPatch, pages: int, is_read: bool) -> None:
    bound = 4_000_000
    monkeypatch.setattr(journal, "MAX_BYTES", bound)
    kept = journal.Journal()

    def serve() -> None:
        for turn in range(400):
            if turn % pages == turn:
                cached.append(b"%d" % turn + b"p" * 150_000)
            kept.record(Request("GET", WHO), Response(200, (), cached[turn % pages]), {})
            if is_read and turn % 50 == 0:
                assert kept.seen[-1].number == turn + 1
        cached.clear()

    cached: list[bytes] = []
    assert traced(serve) < bound + 1200 * len(kept)
    assert kept.dropped + len(kept) == 400


def test_one_giant_answer_takes_no_room_from_the_others() -> None:
    kept = journal.Journal()
    for body in [b"small"] * 20 + [b"g" * (journal.MAX_BYTES + 1), b"small"]:
        kept.record(Request("GET", WHO), Response(200, (), body), {})
    assert [each.answer.is_cut for each in kept] == [False] * 20 + [True, False]


def test_a_page_that_is_served_again_and_again_is_copied_once() -> None:
    kept, page = journal.Journal(), b"p" * 500_000

    def serve() -> None:
        for _ in range(100):
            kept.record(Request("GET", WHO), Response(200, (), page), {})

    assert traced(serve) < 2 * journal.MAX_BODY + 100 * 1500
    assert [len(each.answer.data) for each in kept] == [journal.MAX_BODY] * 100


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
