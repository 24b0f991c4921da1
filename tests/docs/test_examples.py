"""Every example in the README and on the pages runs, and prints what stands below it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from doctest import ELLIPSIS, OutputChecker
from functools import cache
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from markdown_it import MarkdownIt

from docs import _generate
from mock_server import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(_generate.DOCS.rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
NOT_RUN = (
    *("text", "json", "yaml", "toml", "javascript", "typescript", "powershell", "{toctree}"),
    *("{literalinclude}", "{eval-rst}"),
)
"""Fences that are no example of Python or of a POSIX shell; JavaScript and TypeScript are run by tests of their own."""

TAKEN_FOR_GRANTED = ("cd", "curl", "export", "git", "source")
"""Commands that the shell or the reader's machine has; this one need not."""


@frozen
class Example:
    """One fenced block: its first line in the page, its language, and the output that stands right below it.

    A word after the language names a package that the block needs and nothing else of ours does.
    """

    page: Path
    line: int
    language: str
    source: str
    output: str | None = None
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def examples(page: Path) -> tuple[Example, ...]:
    """The fences of a page; a block of text right below Python is what that prints."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    found: list[Example] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "fence":
            assert token.map is not None
            printed = after.content if after and after.type == "fence" and after.info == "text" else None
            language, _, needs = token.info.partition(" ")
            found.append(Example(page, token.map[0] + 2, language, token.content, printed, needs))
    return tuple(found)


def pages_with(*languages: str) -> list[Any]:
    """The pages that have an example in one of these languages, as parameters."""
    chosen = [page for page in PAGES if any(each.language in languages for each in examples(page))]
    return [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in chosen]


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs_and_prints_what_the_page_says(page: Path, printed: Callable[[], str]) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(page):
        if example.language == "python" and not example.needs:
            # Blank lines before it, so that a traceback names the line of the page.
            exec(compile("\n" * (example.line - 1) + example.source, page, "exec"), namespace)
            run_new_tests(namespace, example)
            compare(example, printed())
    records = Path(os.environ["TRAINING_SDK_STATE_DIR"])
    written = sorted(str(path.relative_to(records)) for path in records.rglob("*") if path.is_file())
    assert written == [], f'{page} writes into the reader\'s own records: use state_dir="practice"'


NEEDY = [
    pytest.param(
        example,
        id=example.needs,
        marks=pytest.mark.skipif(
            find_spec(example.needs) is None, reason=f"{example.needs} is not installed"
        ),
    )
    for page in PAGES
    for example in examples(page)
    if example.language == "python" and example.needs
]


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize("example", NEEDY)
def test_python_with_a_library_of_its_own_runs(example: Example, printed: Callable[[], str]) -> None:
    assert example.output, f"{example} has nothing that it could be compared with"
    exec(compile("\n" * (example.line - 1) + example.source, example.page, "exec"), {"__name__": "__main__"})
    compare(example, printed())


def run_new_tests(namespace: dict[str, Any], example: Example) -> None:
    """Run the tests that an example defines, each once."""
    tests = [namespace.pop(name) for name in [*namespace] if name.startswith("test_")]
    if any(signature(test).parameters for test in tests):
        run_by_pytest(example)
        return
    for test in tests:
        test()


def run_by_pytest(example: Example) -> None:
    """Run tests that ask for fixtures as a reader would, which is why their block stands for itself."""
    Path("test_example.py").write_text(example.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "test_example.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{example}\n{done.stdout}"


def compare(example: Example, text: str) -> None:
    if example.output is not None:
        fits = OutputChecker().check_output(example.output, text, ELLIPSIS)
        assert fits, f"{example} prints\n{text}\nand the page says\n{example.output}"


@pytest.mark.parametrize("page", pages_with("console", "sh", "shell", "bash"))
def test_commands_exist(page: Path) -> None:
    for example in examples(page):
        if example.language in ("console", "sh", "shell", "bash"):
            for line in commands(example):
                assert is_known(shlex.split(line, comments=True)), f"{example}: there is no command {line!r}"


def commands(example: Example) -> Iterator[str]:
    """What one would type: after the prompt in a console, every line of a script; \\ joins lines."""
    lines = example.source.replace("\\\n", " ").splitlines()
    if example.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        assert lines, f"{example} has no line that begins with '$ '"
    return (line for line in lines if line.strip() and not line.startswith("#"))


def is_known(words: list[str]) -> bool:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    match words:
        case ["training-mock", *arguments]:
            return is_taken(arguments)
        case ["eval", substituted]:
            return is_known(shlex.split(substituted.removeprefix("$(").removesuffix(")")))
        case ["make", *targets]:
            made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            return all("=" in target or target in made for target in targets)
        case [program, "-m", module, *_] if Path(program).name.startswith("python"):
            return find_spec(module) is not None
        case [program, *_] if program not in TAKEN_FOR_GRANTED:
            beside_python = Path(sys.executable).with_name(Path(program).name)
            return beside_python.exists() or shutil.which(program) is not None
    return bool(words)


def is_taken(arguments: list[str]) -> bool:
    """Whether the command line of the reference server takes these, up to where a shell would redirect or go on."""
    end = next(
        (place for place, word in enumerate(arguments) if word in (">", "|", "&", "&&")), len(arguments)
    )
    try:
        cli._parser().parse_args(arguments[:end])
    except SystemExit as ended:
        return ended.code == 0
    return True


POSIX = re.compile(r"""^(?:\$ )?export |\$[A-Z{(]|&$| > |\\$|'[^'\n]*"[^'\n]*'""", re.MULTILINE)
"""Variables, background jobs, redirections, continued lines and quotes within quotes: PowerShell has others."""


@pytest.mark.parametrize("page", pages_with("console", "sh", "shell", "bash"))
def test_what_only_a_posix_shell_understands_is_there_for_powershell(page: Path) -> None:
    shells = [
        each for each in examples(page) if each.language in ("console", "sh", "shell", "bash", "powershell")
    ]
    alone = [
        str(each)
        for each, after in zip(shells, [*shells[1:], None], strict=True)
        if each.language != "powershell"
        and POSIX.search(each.source)
        and getattr(after, "language", "") != "powershell"
    ]
    assert alone == []


def test_no_example_escapes() -> None:
    known = ("python", "console", "sh", "shell", "bash", *NOT_RUN)
    fences = [each for page in PAGES for each in examples(page)]
    assert [str(each) for each in fences if each.language not in known] == []
    assert sum(each.language == "python" for each in fences) > 20
