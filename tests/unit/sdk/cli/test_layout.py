"""Text and tables on a narrow terminal: nothing that people copy is cut, and pages hold everybody who fits."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from training_sdk.cli.layout import table_text, wrapped
from training_sdk.cli.output import Output

ID = "user_1ecb9b055b33ac92fffe7673dfca5111"
ADDRESS = "chiara.laeubli@nordwerk.example"
COLUMNS = ("course", "user id", "name", "e-mail", "state", "completed (UTC)")
ROW = ("Forklift basics", ID, "Chiara Läubli", ADDRESS, "not started", "2026-03-16 07:54")
PHRASE = 'reset "Forklift basics for everybody in the warehouse" for 37 users #a1b2-c3d4-e5f6-0718'


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_ids_addresses_and_words_are_whole_at_every_width(width: int) -> None:
    text = table_text(COLUMNS, [ROW, ROW], width=width)
    for whole in (*" ".join(ROW).split(), ID, ADDRESS):
        assert text.count(whole) >= 2, text
    longest = max(map(len, text.splitlines()))
    assert longest <= max(width, len("completed (UTC)") + 2 + len(ID))


def test_a_table_that_fits_is_a_table_and_one_that_does_not_is_blocks() -> None:
    assert (
        len(table_text(("id", "title"), [(ID, "a title of several words")] * 2, width=80).splitlines()) == 4
    )
    narrowed = table_text(("id", "title"), [(ID, "a title of several words")], width=60).splitlines()
    assert [line.startswith(ID) for line in narrowed] == [False, False, True, False]
    assert max(map(len, narrowed)) <= 60
    blocks = table_text(COLUMNS, [ROW, (*ROW[:3], "", *ROW[4:])], width=40)
    assert f"user id          {ID}\n" in blocks
    assert blocks.count("e-mail") == 1
    assert blocks.count("\n\n") == 1


words = st.lists(st.text("abcäöü日本@-.", min_size=1, max_size=30), min_size=1, max_size=4).map(" ".join)


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=3), st.integers(10, 90))
def test_no_word_is_lost_or_cut(rows: list[tuple[str, str, str]], width: int) -> None:
    text = table_text(("one", "two", "three"), rows, width=width)
    found = text.split()
    for row in rows:
        for cell in row:
            assert set(cell.split()) <= set(found)


@given(st.lists(st.text("ab日本", min_size=1, max_size=4), min_size=2, max_size=20), st.integers(30, 60))
def test_a_column_of_wide_characters_is_wrapped_by_its_width(cell: list[str], width: int) -> None:
    text = table_text(("name", "id"), [(" ".join(cell), "x" * 10)], width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert [word for word in text.split() if word in cell] == cell


@given(words, st.integers(10, 90))
def test_wrapping_keeps_every_word_and_its_order(text: str, width: int) -> None:
    assert wrapped(f"  - {text}", width).split() == ["-", *text.split()]


def test_what_is_copied_stays_on_its_line() -> None:
    for line in (f"  {PHRASE}", f"  training-sdk apply {'x' * 50} --reason TEXT --ticket TEXT"):
        assert wrapped(line, 40) == line
    assert max(map(len, wrapped("a word " * 40, 40).splitlines())) <= 40


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_a_phrase_in_a_table_and_a_command_in_a_sentence_are_never_broken(width: int) -> None:
    what = PHRASE.rpartition(" #")[0]
    rows = [("2031-01-10 09:00", "a1b2-c3d4-e5f6-0718", what, "near miss in bay 4")]
    text = table_text(("finished (UTC)", "plan", "what", "reason"), rows, width=width)
    assert what in text
    assert max(len(line) for line in text.splitlines() if what not in line) <= max(width, 40)
    command = "training-sdk plan close a1b2-c3d4-e5f6-0718 --reason TEXT"
    for told in (
        f"  Nothing was sent. Or close it: {command}, and plan again.",
        f"- Then `{command}` ends it: {command}",
    ):
        lines = wrapped(told, width).splitlines()
        assert sum(line.count(command) for line in lines) == told.count(command), lines
        assert " ".join(" ".join(lines).split()) == " ".join(told.split())
        assert all(len(line) <= max(width, len(command) + 6) for line in lines), lines


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Crowd:
    """So many people, listed if they fit on the page."""

    def listing(self, page: int) -> str:
        return f"page {page}"


@pytest.mark.parametrize(("everyone", "page"), [(False, "page 24"), (True, "page 9")])
def test_a_terminal_shows_one_page_or_all(monkeypatch: pytest.MonkeyPatch, everyone: bool, page: str) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((80, 24)))
    screen, pipe = Terminal(), io.StringIO()
    Output(False, screen, screen, everyone=everyone).say(Crowd())
    assert screen.getvalue().startswith(page)
    Output(False, pipe, pipe).say(Crowd())
    assert pipe.getvalue() == "page 10\n"
