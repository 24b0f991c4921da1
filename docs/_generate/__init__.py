"""Parts of pages that are made from the code, so that they always match the code.

A page asks for one with a line of its own: ``<!-- generate: NAME ARGUMENTS -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from docs._generate import commands, contract, differences, notebook, proofs, speed, tables

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent

MARK = "<!-- generate:"

_MARKER = re.compile(r"^<!-- generate: (?P<name>[a-z-]+)(?P<arguments>( [\w./-]+)*) -->$", re.MULTILINE)
_ANY_MARKER = re.compile(r"<!--\s*generate\b.*")

_PARTS: dict[str, Callable[..., str]] = {
    "capitals": differences.capitals,
    "commands": commands.commands,
    "command-list": commands.command_list,
    "common-options": commands.common_options,
    "contract": contract.contract,
    "errors": tables.errors,
    "exit-codes": commands.exit_codes,
    "next-steps": commands.next_steps,
    "findings": differences.findings,
    "notebook": lambda path: notebook.to_markdown(notebook.execute(DOCS / path)),
    "operations": tables.operations,
    "policies": tables.policies,
    "behaviours": tables.behaviours,
    "answer-forms": tables.answer_forms,
    "reasons": tables.reasons,
    "rights": tables.rights,
    "send-rules": tables.send_rules,
    "serve-options": tables.serve_options,
    "short-names": tables.short_names,
    "speed": speed.speed,
    "unsure-fields": differences.unsure_fields,
    "unsure-operations": differences.unsure_operations,
    "tests": lambda rule, *marks: proofs.section(rule, proofs.scan(ROOT / "tests"), ROOT, *marks),
}


@frozen
class UnknownPartError(Exception):
    """A page asks for a part that does not exist."""

    marker: str

    def __str__(self) -> str:
        return f"{self.marker!r} asks for a part that is not one of {', '.join(_PARTS)}"


def expand(text: str) -> str:
    """A page with every marker replaced by its generated part."""

    def part(match: re.Match[str]) -> str:
        if match["name"] not in _PARTS:
            raise UnknownPartError(match[0])
        return _PARTS[match["name"]](*match["arguments"].split())

    expanded = _MARKER.sub(part, text)
    if left_over := _ANY_MARKER.search(expanded):
        raise UnknownPartError(left_over[0])
    return expanded
