"""What the pages show of ``training-sdk`` is what it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

from docs import _generate
from docs._generate.commands import all_commands
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.group import NAME, program
from training_sdk.cli.profiles import KEYS
from training_sdk.cli.program import run

PAGES = [_generate.ROOT / "README.md", *sorted(_generate.DOCS.rglob("*.md"))]
FENCES = [
    (page, token.content.replace("\\\n", " "))
    for page in PAGES
    if "_build" not in page.parts
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8"))
    if token.type == "fence" and token.info.startswith(("console", "sh", "bash"))
]
SHOWN = [
    (page, line)
    for page, text in FENCES
    for line in text.splitlines()
    if line.removeprefix("$ ").startswith(f"{NAME} ")
]
DUE = [text for _, text in FENCES if f"$ {NAME} due " in text]
REFERENCE = _generate.expand((_generate.DOCS / "reference" / "command-line.md").read_text(encoding="utf-8"))


def test_the_pages_show_commands() -> None:
    assert len(SHOWN) > 20


@pytest.mark.parametrize(("page", "line"), SHOWN, ids=lambda value: getattr(value, "stem", None))
def test_what_a_page_types_is_taken(page: Path, line: str) -> None:
    words = shlex.split(line.removeprefix("$ "), comments=True)[1:]
    end = next((place for place, word in enumerate(words) if word in (">", "|", "&&")), len(words))
    context = click.Context(program, info_name=NAME)
    command: click.Command = program
    rest = words[:end]
    while isinstance(command, click.Group) and rest:
        found = command.get_command(context, rest[0])
        if found is None and command.invoke_without_command:
            break
        assert found is not None, f"{page}: {line}"
        command, rest = found, rest[1:]
    command.make_context(NAME, rest, parent=context)  # which raises for what it does not take


@pytest.mark.parametrize("text", DUE)
def test_what_a_page_types_for_a_recertification_finds_somebody(
    text: str, stage_at: Callable[[datetime], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = re.findall(rf"^\$ {NAME} (due .*)$", text, re.MULTILINE)
    frozen = re.search(r"--now (\S+)", text)
    stage_at(datetime.fromisoformat(f"{frozen[1] if frozen else '2026-12-01'}T09:00:00+00:00"))
    Path("hold.txt").write_text("anna.oezdemir@nordwerk.example\n", encoding="utf-8")
    assert run(shlex.split(line)) == 0
    assert re.search(r": [1-9]\d* due, ", capsys.readouterr().out)


def test_the_reference_has_every_command_option_and_code() -> None:
    for name, command in all_commands():
        section = REFERENCE.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert section, name
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name not in ("profile", "help"):
                assert any(f"`{option}" in REFERENCE for option in parameter.opts), (name, parameter)
    for code in ExitCode:
        assert f"| {code.value} | `{code.name}` |" in REFERENCE


def test_the_table_of_profile_keys_is_whole() -> None:
    table = REFERENCE.partition("| Key | Value |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(KEYS)
