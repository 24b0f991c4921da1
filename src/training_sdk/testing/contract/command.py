"""The command line of the contract tests: ``python -m training_sdk.testing.contract --base-url URL``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NoReturn

import attrs

from training_sdk._core.text import confirms, inline, number, visible
from training_sdk.cli.output import write
from training_sdk.cli.streams import run_with_streams
from training_sdk.errors import InvalidArgumentError, ReadOnlyError
from training_sdk.testing.contract import environment
from training_sdk.testing.contract.environment import SECRET
from training_sdk.testing.contract.findings import (
    BROKEN,
    HOLDS,
    KIT_FAILED,
    NOT_CHECKED,
    CannotRunError,
    CheckResult,
    Ending,
    Report,
)
from training_sdk.testing.contract.runner import CheckRun, StopSignals, all_checks, run
from training_sdk.testing.contract.wire import Wire

NARROWEST, WIDEST = 60, 160
LONGEST = 400
_RULE, _RESULT, _GAP = 4, 11, 2


def as_table(report: Report, width: int = 100) -> str:
    """Return one row per check (rule, statement, result, observation), then a summary."""
    width = min(max(width, NARROWEST), WIDEST)
    rest = width - _RULE - _RESULT - 3 * _GAP
    says = rest * 2 // 5
    widths = (_RULE, says, _RESULT, rest - says)
    lines = [*_row(("rule", "statement", "result", "observation"), widths), " ".join(["─" * width])]
    for each in report.findings:
        told = f"{each.says} ({each.provenance})"
        lines += _row((each.rule, told, each.result, _seen(each)), widths)
    endings = [textwrap.fill(_cut(each), width) for each in _verdict(report)]
    return "\n".join([*lines, "", *endings])


def _seen(finding: CheckResult) -> str:
    if finding.result == BROKEN:
        told = (("sent", finding.sent), ("expected", finding.expected), ("received", finding.came))
        return "\n".join(f"{what} {_cut(text)}" for what, text in told)
    return _cut(finding.seen)


def _cut(text: str) -> str:
    """Return a text of limited length without terminal escapes, because it may come from the server."""
    plain = inline(text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"


def _row(cells: tuple[str, str, str, str], widths: tuple[int, int, int, int]) -> Iterator[str]:
    columns = [
        [piece for line in cell.splitlines() or [""] for piece in textwrap.wrap(line, width) or [""]]
        for cell, width in zip(cells, widths, strict=True)
    ]
    for row in range(max(map(len, columns))):
        pieces = (column[row] if row < len(column) else "" for column in columns)
        padded = (piece.ljust(width) for piece, width in zip(pieces, widths, strict=True))
        yield (" " * _GAP).join(padded).rstrip()


def _verdict(report: Report) -> Iterator[str]:
    """Yield the paragraphs of the summary: findings, the tested organisation, and problems at the end."""
    results = [
        f"{report.count(HOLDS)} hold",
        *(f"{report.count(each)} {each}" for each in (BROKEN, NOT_CHECKED)),
    ]
    if report.count(KIT_FAILED):
        results.append(f"in {report.count(KIT_FAILED)} the contract tests failed")
    none = "Nothing is broken" if report.count(HOLDS) else "Nothing was checked"
    ended = f"Broken: {', '.join(report.broken)}" if report.broken else none
    yield f"{ended}. {number(len(report.findings), 'check')} at {report.base_url} – {', '.join(results)}."
    if report.world:
        yield f"Tested: {report.world}."
    if report.stopped:
        yield f"Stopped: {report.stopped}"
    yield from report.left


def as_json(report: Report) -> str:
    """Return the same as one JSON document, in ASCII, so that every terminal can print a server's texts."""
    told = {
        "base_url": report.base_url,
        "world": report.world,
        "broken": list(report.broken),
        "stopped": report.stopped,
        "left_behind": list(report.left),
        "exit_code": int(report.exit_code),
        "findings": [attrs.asdict(each) for each in report.findings],
    }
    return json.dumps(told, indent=1)


PROGRAM = "python -m training_sdk.testing.contract"

WARNING = """\
The checks permanently reset the progress of people in {title!r}, and in the end of everyone.
Use a test organisation only. To continue, type the title of the course: """


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Run the contract tests and return the exit code, as `Ending` has it. ``program`` is the name in the help."""
    return run_with_streams(lambda: _run(arguments, program), "contract", Ending.NOT_CLEAN)


def _run(arguments: Sequence[str] | None, program: str) -> int:
    told = sys.argv[1:] if arguments is None else arguments
    asked = _parser(program, in_json=any(_is_json(one) for one in told)).parse_args(told)
    stopping = StopSignals()
    with stopping.listening():
        try:
            report = _checked(asked, stopping)
        except (InvalidArgumentError, ReadOnlyError) as error:
            return _ended(asked, error.message, Ending.MISUSED)
        except CannotRunError as error:
            return _ended(asked, str(error), Ending.NOTHING_CHECKED)
        except Exception as error:
            write(sys.stderr, visible(traceback.format_exc()))
            return _ended(asked, f"The contract tests failed: {type(error).__name__}.", Ending.NOT_CLEAN)
        _print(asked, report)
        return report.exit_code


def _checked(asked: argparse.Namespace, stopping: StopSignals) -> Report:
    """Return the findings, also if a signal ended the run."""
    given_file = environment.read_config(asked.tokens) if asked.tokens else None
    with closing(_wire(asked.base_url, asked.read_only, asked.allow_insecure_http)) as wire:
        making = CheckRun.of(wire, read_only=asked.read_only, only=asked.rule)
        making.interruptible = stopping.allowed
        try:
            making.make(given=given_file, allowed=_typed if asked.allow_resets else _not_allowed)
        except KeyboardInterrupt:
            making.stop(f"Interrupted by {stopping.asked or 'SIGINT'}.")
        return making.report()


def _print(asked: argparse.Namespace, report: Report) -> None:
    width = shutil.get_terminal_size((120, 24)).columns
    write(sys.stdout, (as_json(report) if asked.json else as_table(report, width)) + "\n")


def _ended(asked: argparse.Namespace, message: str, ending: Ending) -> Ending:
    """Print why there are no findings; with --json also on standard output, where programs read it."""
    write(sys.stderr, f"contract: {visible(message)}\n")
    if asked.json:
        _say_in_json(message, ending)
    return ending


def _say_in_json(message: str, ending: Ending) -> None:
    write(sys.stdout, json.dumps({"error": message, "exit_code": int(ending)}, indent=1) + "\n")


def check(
    base_url: str,
    *,
    tokens: str | None = None,
    read_only: bool = False,
    only: Sequence[str] = (),
    allowed: Callable[[str], bool] = lambda title: False,
    allow_insecure_http: bool = False,
) -> Report:
    """Check the implementation at an address; ``tokens`` is the path of a file. Raises the errors of `runner.run`."""
    told = environment.read_config(tokens) if tokens else None
    with closing(_wire(base_url, read_only, allow_insecure_http)) as wire:
        return run(wire, read_only=read_only, given=told, only=only, allowed=allowed)


def _wire(base_url: str, read_only: bool, allow_insecure_http: bool) -> Wire:
    secret = os.environ.get(SECRET, "")
    return Wire.to(base_url, secret=secret, read_only=read_only, allow_insecure_http=allow_insecure_http)


def _typed(title: str) -> bool:
    """Return True if a person at the keyboard types the title of the course."""
    write(sys.stderr, WARNING.format(title=title))
    try:
        return confirms(input().strip(), title.strip())
    except (EOFError, UnicodeDecodeError):
        return False


def _not_allowed(title: str) -> bool:
    raise InvalidArgumentError(
        f"The checks reset people's progress in {title!r}. Pass --allow-resets to allow it, or --read-only to make "
        "only the checks that read."
    )


class _Parser(argparse.ArgumentParser):
    """Parser that reports wrong options on standard output too, for programs that read JSON there."""

    in_json = False

    def error(self, message: str) -> NoReturn:
        """Exit with the usage and the message."""
        if self.in_json:
            _say_in_json(message, Ending.MISUSED)
        super().error(message)


def _is_json(argument: str) -> bool:
    """Return True if an argument requests JSON; options may be abbreviated."""
    return len(argument) > len("--") and "--json".startswith(argument)


def _parser(program: str, *, in_json: bool = False) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description="Check an implementation of the training API against the rules of a course reset, from outside. "
        "If it has the control plane of the reference server, each check runs in a new organisation.",
        epilog="Exit codes: 0 no rule is broken, 1 a rule is broken, 2 an option or a file cannot be used, 3 nothing "
        "could be checked, 4 stopped by a signal or because the service failed, 5 the contract tests failed or left "
        "data behind. Tokens come from the file, from variables that it names, or from SAFETYCULTURE_API_TOKEN; the "
        f"secret of the control plane comes from {SECRET}. Neither comes from an option.",
    )
    parser.in_json = in_json
    parser.add_argument("--base-url", required=True, metavar="URL", help="the base URL of the implementation")
    parser.add_argument(
        "--read-only", action="store_true", help="make only the checks that change nothing, for live services"
    )
    parser.add_argument(
        "--tokens",
        metavar="FILE",
        help="a JSON or TOML file with tokens and a course, for a service without a control plane",
    )
    parser.add_argument(
        "--allow-resets",
        action="store_true",
        help="with --tokens: allow the checks to reset people in that course",
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        type=str.upper,
        choices=RULES,
        metavar="R00",
        help="check only this rule; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--allow-insecure-http",
        action="store_true",
        help="allow unencrypted requests, with tokens, to other machines",
    )
    return parser


RULES = tuple(dict.fromkeys(sorted(each.rule for each in all_checks())))
