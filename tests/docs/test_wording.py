"""Pages, help and messages use the wording of the style sheet: literal words, and a person or thing as the subject."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import jupytext
import pytest
from markdown_it import MarkdownIt

from docs import _generate
from docs._generate import notebook
from docs._generate.commands import all_commands
from mock_server.cli import _parser
from training_sdk import errors

BANNED = {
    "name the person": re.compile(r"\b(?:(?:some|any|no|every)body|(?:who|what|whom)ever)\b", re.IGNORECASE),
    "a clause is no subject": re.compile(r"(?:^|[.:|] )(?:What|Who|Whom|Whose|How|Whether) [a-z][^.?|]*\."),
    "things are stored or listed": re.compile(r"\b(?:stands?|stood|lies|lie|lay)\b", re.IGNORECASE),
    "name who reports or calls": re.compile(
        r"\b(?:is|are|was|were|be|been) (?:told|heard|asked|said)\b", re.IGNORECASE
    ),
    "negate the verb": re.compile(r"(?<!there )\b(?:is|are) (?:none\b|no (?!longer\b)[a-z])", re.IGNORECASE),
    "progress changes": re.compile(r"\b(?:moved (?:since|after|between)|(?:has|have|had) moved)\b"),
    "again": re.compile(r"\b(?:anew|once more)\b", re.IGNORECASE),
    "in plain words": re.compile(
        r"\b(?:half-way|at one stroke|for ever|for good|save for|but for|mend(?:s|ed|ing)?|one's)\b",
        re.IGNORECASE,
    ),
}
"""What the style sheet bans, by what to do instead."""

BAD = {
    "name the person": "Whoever has moved is left alone.",
    "a clause is no subject": "Read it. What became of everyone is recorded.",
    "things are stored or listed": "All of it lies in the state directory.",
    "name who reports or calls": "`stop` is asked before each request.",
    "negate the verb": "An approval is one of this plan, or it is none.",
    "progress changes": "One person moved since the plan was made.",
    "again": "Once more, the plan is read.",
    "in plain words": "It stopped half-way.",
}
GOOD = (
    "There is no course with this id.",
    "Who may approve a plan?",
    "People who are no longer assigned are skipped.",
    "The plan is no longer valid, and everyone can read why.",
)
FOLDERS = ("start", "how-to", "reference", "explanation", "decisions")
PAGES = [
    *(_generate.ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(_generate.DOCS / name for name in ("index.md", "tutorial.md")),
    *(page for name in FOLDERS for page in sorted((_generate.DOCS / name).glob("*.md"))),
]
SOURCES = (_generate.ROOT / "src" / "training_sdk", _generate.ROOT / "mock_server")
ADDRESS = re.compile(r"\([\w-]+\)=")
NO_PROSE = ("world/seeds/demo_data.py", "wire/schema.py")
"""Parts of the reference server whose texts are data of people, or code that is generated."""
SENTENCES = (
    *("_core", "api", "approval", "cli", "cli/commands", "evidence", "format_proof", "frames", "local_plans"),
    *("plans", "recertification", "records", "reports", "resets", "*.py"),
)
"""Parts of the SDK whose errors are checked to be full sentences; each part is added when it passes."""
ERRORS = {
    name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)
}
SERVER_ERRORS = {
    *("AskingError", "LateWriteError", "LiveError", "NoAnswerError", "NotAssignedError", "ProtocolError"),
    *("RefusedError", "RehearsalError", "ServeError", "StateError", "UsageError", "invalid"),
    *("AttributeError", "LookupError", "OSError", "TypeError", "ValueError"),
}
"""The errors and refusals of the reference server, with those of Python that it raises."""
OPENING = re.compile(r"[A-Z0-9…'`$-]|[\w.]*[\w\]=)] must |[a-z]+[._][\w.]*[ =(]")
"""The start of a sentence: a capital letter, a value, an option, or a parameter that must be something."""


def banned(text: str) -> list[str]:
    """Each phrase of a text that the style sheet bans, with what to do instead."""
    return [f"{rule}: …{found[0][:90]}…" for rule, each in BANNED.items() for found in each.finditer(text)]


def written(page: Path) -> str:
    """The text of a page, with its generated parts."""
    text = page.read_text(encoding="utf-8")
    return _generate.expand(text) if page.is_relative_to(_generate.DOCS) else text


def prose(text: str) -> Iterator[str]:
    """The paragraphs, headings and cells of a page, without its code and the addresses of its sections."""
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "inline":
            words = (
                each.content or " "
                for each in token.children or ()
                if each.type not in ("code_inline", "html_inline")
            )
            yield ADDRESS.sub("", "".join(words))


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module: strings of several words that are no docstrings, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    apart = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr | ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node and (isinstance(node, ast.JoinedStr) or part is node.value)
        if isinstance(part, ast.Constant | ast.JoinedStr)
    } | {id(part) for node in ast.walk(tree) if _is_check(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) not in apart and isinstance(node, ast.Constant | ast.JoinedStr):
            text = _text(node)
            if " " in text:
                yield node.lineno, text


def _is_check(node: ast.AST) -> bool:
    """Whether this is the decorator of a contract test, which has the title of a rule."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(each.value) if isinstance(each, ast.Constant) else _put_in(each) for each in node.values
        )
    text = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
    return text if isinstance(text, str) else ""


def _put_in(part: ast.expr) -> str:
    quoted = isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
    return "'…'" if quoted else "…"


def modules() -> list[Path]:
    left = [SOURCES[1] / name for name in NO_PROSE]
    return [
        path
        for source in SOURCES
        for path in sorted(source.rglob("*.py"))
        if not any(path.is_relative_to(each) for each in left)
    ]


def helps() -> Iterator[tuple[str, str]]:
    for name, command in all_commands():
        context = click.Context(command, info_name=name)
        yield name, " ".join(command.get_help(context).split())
    yield from _helps(_parser())


def _helps(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    yield parser.prog, " ".join(parser.format_help().split())
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _helps(each)


@pytest.mark.parametrize("rule", BANNED)
def test_each_rule_finds_its_bad_sentence(rule: str) -> None:
    assert [found for found in banned(BAD[rule]) if found.startswith(rule)]


@pytest.mark.parametrize("text", GOOD)
def test_plain_sentences_pass(text: str) -> None:
    assert not banned(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_uses_plain_words(page: Path) -> None:
    assert [found for text in prose(written(page)) for found in banned(text)] == []


@pytest.mark.parametrize("path", notebook.SCRIPTS, ids=lambda path: path.stem)
def test_a_notebook_uses_plain_words(path: Path) -> None:
    cells = jupytext.read(path, fmt="py:percent").cells
    texts = [text for cell in cells if cell.cell_type == "markdown" for text in prose(cell.source)]
    assert len(texts) > 4
    assert [found for text in texts for found in banned(text)] == []


def test_help_uses_plain_words() -> None:
    shown = dict(helps())
    assert len(shown) > 30
    assert {name: found for name, text in shown.items() if (found := banned(text))} == {}


def test_messages_use_plain_words() -> None:
    found = [
        f"{path.relative_to(_generate.ROOT)}:{line}: {each}"
        for path in modules()
        for line, text in messages(path)
        for each in banned(text)
    ]
    assert found == []


def test_messages_are_collected_without_docstrings(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""Nobody reads it."""\nNAME = f"Nobody {1} has"\nraise ValueError("so " "nobody did")\n'
    )
    assert list(messages(path)) == [(2, "Nobody … has"), (3, "so nobody did")]


def raised(path: Path, kinds: set[str] = ERRORS) -> Iterator[tuple[int, str]]:
    """The messages with which a module makes errors, with their lines; "…" for what is put in.

    A value in quotes at the end of a message is "'…'": it needs a full stop, while a text that is put in has its own.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
            for each in node.args[: 2 if node.func.id == "RefusedError" else 1]:
                found = texts.get(each.id) if isinstance(each, ast.Name) else each
                if isinstance(found, ast.Constant | ast.JoinedStr) and " " in (text := _text(found)):
                    yield node.lineno, text


def faults(text: str) -> list[str]:
    """The ways in which a message is not a full sentence."""
    opens, ends = OPENING.match(text), text.endswith((".", "?", "…"))
    return [*([] if opens else [f"no capital: {text}"]), *([] if ends else [f"no full stop: {text}"])]


def test_errors_are_full_sentences(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        'WHY = "it failed."\nraise RecordsError(WHY)\nraise RecordsError(f"It is {1!r}")\n'
        'raise RecordsError(f"path must be text: {why}")\nraise ValueError("no")\n'
    )
    assert [each for _, text in raised(path) for each in faults(text)] == [
        "no capital: it failed.",
        "no full stop: It is '…'",
    ]
    found = [
        f"{path.relative_to(_generate.ROOT)}:{line}: {each}"
        for part in SENTENCES
        for path in ((SOURCES[0] / part).glob("*.py") if "*" not in part else SOURCES[0].glob(part))
        for line, text in raised(path)
        for each in faults(text)
    ]
    assert found == []


def test_errors_of_the_server_are_full_sentences() -> None:
    found = [
        (path, line, text) for path in SOURCES[1].rglob("*.py") for line, text in raised(path, SERVER_ERRORS)
    ]
    assert len(found) > 150
    assert [f"{path.name}:{line}: {each}" for path, line, text in found for each in faults(text)] == []


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """The docstrings of a module's public classes and functions, by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) or node.name.startswith("_"):
            continue
        if text := ast.get_docstring(node):
            yield node.name, text


def test_public_docstrings_begin_with_a_verb_or_a_noun(tmp_path: Path) -> None:
    clause = re.compile(r"(?:What|Who|Whom|Whose|Where|How|Which|When|Whether)(?:ever)?\b")
    path = tmp_path / "module.py"
    path.write_text('def read():\n    """What is read."""\n')
    assert [bool(clause.match(text)) for _, text in docstrings(path)] == [True]
    found = [
        f"{path.name}: {name}: {text[:60]}"
        for source in SOURCES
        for path in source.rglob("*.py")
        for name, text in docstrings(path)
        if clause.match(text)
    ]
    assert found == []
