"""The README and the quick starts are short, and run as they are written."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
import sys
import tomllib
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs import _generate
from training_sdk import Code, Outcome

START = _generate.DOCS / "start"
README = _generate.ROOT / "README.md"
PHRASE = re.compile(r'reset "Forklift basics" for 1 user #(?:[0-9a-f]{4}-){3}[0-9a-f]{4}')
INSTALLS = ("python3 -m venv ", ".venv/bin/pip install ", "source ")
"""These lines make the environment in which the suite already runs."""


def fences(page: Path, language: str) -> list[str]:
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [each.content for each in tokens if each.type == "fence" and each.info == language]


def typed(page: Path) -> list[str]:
    """The lines that a reader types, without the installation."""
    lines = "".join(fences(page, "console")).splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [each for each in commands if not each.startswith(INSTALLS)]


def environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SAFETYCULTURE_", "TRAINING_"))
    }
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
    }


def test_the_readme_has_350_to_450_words() -> None:
    assert 350 <= len(README.read_text(encoding="utf-8").split()) <= 450


@pytest.mark.parametrize("name", ["reset-by-script", "reset-by-command-line", "test-a-script"])
def test_a_quick_start_has_about_300_words(name: str) -> None:
    assert 240 <= len((START / f"{name}.md").read_text(encoding="utf-8").split()) <= 360


def test_the_quick_start_with_a_script_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    page = START / "reset-by-script.md"
    (source,) = fences(page, "python")
    shown, ending = fences(page, "text")
    (tmp_path / "first_reset.py").write_text(source, encoding="utf-8")
    assert typed(page) == [".venv/bin/python first_reset.py"]
    with subprocess.Popen(
        [sys.executable, "-u", "first_reset.py"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        phrase = next(found[0] for line in process.stdout if (found := PHRASE.search(line)))
        assert PHRASE.search(shown)
        printed, _ = process.communicate(f"{phrase}\n")
    assert process.returncode == 0
    assert OutputChecker().check_output(ending, printed.removeprefix("> "), ELLIPSIS), printed
    assert (tmp_path / "practice").is_dir()


def test_the_quick_start_with_a_test_passes(tmp_path: Path) -> None:
    page = START / "test-a-script.md"
    (source,) = fences(page, "python")
    (tmp_path / "test_retrain.py").write_text(source, encoding="utf-8")
    (line,) = typed(page)
    words = [sys.executable, *line.split()[1:]]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert "3 passed" in done.stdout, done.stdout


def test_the_quick_start_with_commands_ends_with_everyone_verified(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    lines = [line.replace("8765", port) for line in typed(START / "reset-by-command-line.md")]
    serve, variables = lines[:2]
    assert serve.endswith(f"--port {port} &")
    lines[1] = variables.replace("training-mock env", f"training-mock env --port {port}")
    # A reader waits until the server has said that it listens.
    lines.insert(1, f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done")
    printed, code = in_a_terminal("\n".join(["set -em", *lines]), tmp_path)
    assert code == 0, printed
    assert '"Forklift basics": 1 verified' in printed
    assert "Siobhán Doyle <siobhan.doyle@nordwerk.example>: reset" in printed


def in_a_terminal(script: str, home: Path) -> tuple[str, int]:
    """Run a script in a terminal; where it asks for a phrase, type the one that it has printed."""
    ours, theirs = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=home,
        env=environment() | {"COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    printed, answered = "", False
    while chunk := read(ours):
        printed += chunk
        if not answered and printed.endswith("> ") and (phrases := PHRASE.findall(printed)):
            os.write(ours, f"{phrases[-1]}\n".encode())
            answered = True
    os.close(ours)
    return printed, shell.wait()


def read(terminal: int) -> str:
    """Read what was printed; empty at the end, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:
        return ""


def test_the_page_about_installing_has_every_extra() -> None:
    project = tomllib.loads((_generate.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shown = re.findall(r"'\.\[(\w+)\]'", (START / "install.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(project["optional-dependencies"])


def test_the_glossary_has_25_terms_in_order() -> None:
    rows = re.findall(
        r"^\| (?!Term|-)([^|]+?) \| ([^|]+) \|", (START / "glossary.md").read_text("utf-8"), re.MULTILINE
    )
    terms = [term.casefold() for term, _ in rows]
    assert terms == sorted(set(terms))
    assert len(terms) == 25
    german = {word for _, word in rows if word != "–"}
    assert german >= {"Nutzer", "Kurs", "Schulungen", "Qualifikationen", "Zurücksetzen", "Berechtigung"}


def test_the_cheat_sheet_has_every_outcome_and_code() -> None:
    text = (START / "cheat-sheet.md").read_text(encoding="utf-8")
    rows = text.partition("## Outcomes")[2]
    assert set(re.findall(r"`([A-Z_]+)`", rows)) == set(Code)
    assert set(re.findall(r"^\| ([a-z ]+) \|", rows, re.MULTILINE)) == set(Outcome)
