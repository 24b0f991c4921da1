"""Text in CSV files that people open in a spreadsheet: no cell begins a formula, whichever separator it splits at."""

from __future__ import annotations

import json
import re
from typing import Any

_STARTS = "=+-@＝＋－＠"
_BREAKS = ";\t\r\n"
"""A spreadsheet set to semicolons or tabs begins a cell behind them, and a row behind a line break, quoted or not."""
_IGNORED = ' "\x00-\x1f\xa0\u200b-\u200f\u2060\ufeff'
"""What a spreadsheet may drop in front of a formula."""

_FIRST_FORM = (*_STARTS, "\t", "\r", "\n")
# A run is tried from its first character alone, so that a long one takes linear time.
_RUN = re.compile(rf"(?<![{_BREAKS}{_IGNORED}])[{_BREAKS}{_IGNORED}]++(?=[{re.escape(_STARTS)}])")


def first_form(value: Any) -> str:
    """A value as a cell of tables of form 1: safe where the separator is a comma."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FIRST_FORM) else text


def second_form(value: Any) -> str:
    """A value as a cell of tables of form 2: safe with comma, semicolon and tab.

    An apostrophe goes in front of whatever would begin a formula. JSON stays JSON: its semicolons are escaped.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return text_cell(value)
    return _json_cell(json.dumps(value))


def text_cell(text: str) -> str:
    """A text as a cell that no spreadsheet runs."""
    guarded = _RUN.sub(_guarded, text)
    return f"'{guarded}" if text.startswith(_FIRST_FORM) else guarded


def json_cell(value: Any) -> str:
    """Plain data as JSON in a cell that no spreadsheet runs."""
    text = _json_cell(json.dumps(value, ensure_ascii=False, sort_keys=True))
    return f"'{text}" if text.startswith(_FIRST_FORM) else text


def _guarded(run: re.Match[str]) -> str:
    begins_cell = run.start() == 0 or any(mark in run[0] for mark in _BREAKS)
    return f"{run[0]}'" if begins_cell else run[0]


def _json_cell(text: str) -> str:
    return text.replace(";", "\\u003b")
