"""The list of arguments in a docstring, as a table with their defaults in the reference."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from typing import Any

from training_sdk.plans.wording import span

HEADING = "Arguments:"
_ITEM = re.compile(r"- ``(?P<name>\w+)``: (?P<text>.*)")


def described(doc: str) -> dict[str, str]:
    """The arguments that a docstring lists, with what it says of each."""
    _, heading, rest = doc.partition(f"{HEADING}\n\n")
    found: dict[str, str] = {}
    name = ""
    for line in rest.partition("\n\n")[0].splitlines() if heading else ():
        if item := _ITEM.fullmatch(line):
            name = item["name"]
            found[name] = item["text"]
        else:
            found[name] += f" {line.strip()}"
    return found


def as_table(doc: str, what: Any) -> str:
    """A docstring with a table in the place of its list of arguments."""
    listed = described(doc)
    if not listed:
        return doc
    before, _, rest = doc.partition(f"{HEADING}\n\n")
    _, _, after = rest.partition("\n\n")
    return f"{before}{_table(listed, what)}\n\n{after}"


def _table(listed: dict[str, str], what: Any) -> str:
    parameters = inspect.signature(what).parameters
    rows = [(f"``{name}``", _default(parameters[name]), text) for name, text in listed.items()]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for first, *others in (("Argument", "Default", "Meaning"), *rows):
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(lines)


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, timedelta):
        return span(value)
    return f"``{value!r}``" if value or value in (None, False, 0) else "none"


def process(_: object, kind: str, name: str, what: Any, options: object, lines: list[str]) -> None:
    """Called by Sphinx for each docstring: changes its lines in place."""
    lines[:] = as_table("\n".join(lines), what).split("\n")
