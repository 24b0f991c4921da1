"""Which tests prove which rule: read off the names of the tests, without importing them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from attrs import frozen

NOT_BUILT = "not-built"

_RULE = re.compile(r"(?<![A-Za-z0-9])R(\d\d)(?!\d)")
_HEADING = re.compile(r"^### (R\d\d) ", re.MULTILINE)
_ASKED = re.compile(r"^<!-- generate: tests (R\d\d)(?: (\S+))? -->$", re.MULTILINE)


@frozen(order=True)
class Proof:
    """One test: where it stands and what it is called, its class included."""

    file: Path
    name: str

    def shown(self, root: Path) -> str:
        """As pytest takes it on its command line."""
        return f"{self.file.relative_to(root).as_posix()}::{self.name}"

    def linked(self, root: Path) -> str:
        """The same as a link to the file, which the build takes along."""
        return f"{{download}}`{self.shown(root)} <../../{self.file.relative_to(root).as_posix()}>`"


@cache
def scan(folder: Path) -> Mapping[str, tuple[Proof, ...]]:
    """The tests by rule; one whose name carries several numbers counts for each."""
    found: dict[str, list[Proof]] = {}
    for file in sorted(folder.rglob("*.py")):
        for name in _tests(ast.parse(file.read_text(encoding="utf-8"))):
            for number in dict.fromkeys(_RULE.findall(name.replace("_", " "))):
                found.setdefault(f"R{number}", []).append(Proof(file, name))
    return {rule: tuple(proofs) for rule, proofs in sorted(found.items())}


def _tests(tree: ast.Module) -> Iterator[str]:
    """Names of test functions, those in test classes with the class before them."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from (f"{node.name}::{name}" for name in _functions(node.body))
    yield from _functions(tree.body)


def _functions(body: Iterable[ast.stmt]) -> Iterator[str]:
    functions = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return (function.name for function in functions if function.name.startswith("test_"))


def section(rule: str, found: Mapping[str, tuple[Proof, ...]], root: Path, mark: str = "") -> str:
    """The tests of one rule, folded up, each with a link to its file; for a page two folders below the root."""
    proofs = found.get(rule, ())
    if mark == NOT_BUILT:
        return ":::{note}\nNot built yet.\n:::"
    if not proofs:
        return "*No test carries this number.*"
    many = "1 test" if len(proofs) == 1 else f"{len(proofs)} tests"
    names = "\n".join(f"- {proof.linked(root)}" for proof in proofs)
    return f'<details class="proofs"><summary>{many}</summary>\n\n{names}\n\n</details>'


def complaints(page: str, found: Mapping[str, tuple[Proof, ...]]) -> list[str]:
    """What is wrong with the page of rules: a rule without a test, or one called unbuilt that has some."""
    asked = dict(_ASKED.findall(page))
    headed = _HEADING.findall(page)
    wrong = [f"{rule} has a heading and no list of tests" for rule in headed if rule not in asked]
    wrong += [f"{rule} is tested and stands on no page" for rule in found if rule not in headed]
    for rule, mark in asked.items():
        if mark == NOT_BUILT and rule in found:
            wrong.append(f"{rule} is called not built, yet has tests")
        elif mark != NOT_BUILT and rule not in found:
            wrong.append(f"{rule} has no test: none carries its number in its name")
    return wrong
