"""The command line of the kit: ``python -m training_sdk.testing.contract --base-url URL``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence

from training_sdk.errors import InvalidArgumentError, ReadOnlyError
from training_sdk.testing.contract import given, runner, table
from training_sdk.testing.contract.outcome import CannotRunError, Report
from training_sdk.testing.contract.wire import Wire

SECRET = "TRAINING_MOCK_SECRET"  # noqa: S105 - the name of a variable
CANNOT_RUN, MISUSED = 3, 2

WARNING = """\
The checks reset people's progress in {title!r}, for good, and everyone's in the end.
Play on an organisation that is there for it. Type the title of the course to go on: """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kit. 0: nothing is broken; 1: something is; 2: misused; 3: nothing could be checked."""
    asked = _parser().parse_args(arguments)
    try:
        report = check(
            asked.base_url,
            tokens=asked.tokens,
            read_only=asked.read_only,
            only=asked.rule,
            allowed=_typed if asked.allow_resets else _not_allowed,
            allow_insecure_http=asked.allow_insecure_http,
        )
    except (InvalidArgumentError, ReadOnlyError) as error:
        print(f"contract: {error.message}", file=sys.stderr)
        return MISUSED
    except CannotRunError as error:
        print(f"contract: {error}", file=sys.stderr)
        return CANNOT_RUN
    width = shutil.get_terminal_size((120, 24)).columns
    print(table.as_json(report) if asked.json else table.as_table(report, width))
    return report.exit_code


def check(
    base_url: str,
    *,
    tokens: str | None = None,
    read_only: bool = False,
    only: Sequence[str] = (),
    allowed: Callable[[str], bool] = lambda title: False,
    allow_insecure_http: bool = False,
) -> Report:
    """Check the implementation at an address; ``tokens`` is the path of a file. Errors as `runner.run` has them."""
    told = given.read(tokens) if tokens else None
    secret = os.environ.get(SECRET, "")
    wire = Wire.to(base_url, secret=secret, read_only=read_only, allow_insecure_http=allow_insecure_http)
    try:
        return runner.run(wire, read_only=read_only, given=told, only=only, allowed=allowed)
    finally:
        wire.close()


def _typed(title: str) -> bool:
    """Whether somebody at the keyboard types the title of the course."""
    print(WARNING.format(title=title), end="", file=sys.stderr, flush=True)
    try:
        return input() == title
    except EOFError:
        return False


def _not_allowed(title: str) -> bool:
    raise InvalidArgumentError(
        f"the checks reset people's progress in {title!r}: say --allow-resets, or --read-only for those that read"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training_sdk.testing.contract",
        description="Check an implementation of the training API against the rules of a course reset, from outside. "
        "Where it has the reference server's control plane, every check plays in a world made for it.",
        epilog="Exit codes: 0 nothing is broken, 1 something is, 2 misused, 3 nothing could be checked. Tokens come "
        "from the file, from variables it names, or from SAFETYCULTURE_API_TOKEN; never from an option.",
    )
    parser.add_argument("--base-url", required=True, metavar="URL", help="where the implementation is")
    parser.add_argument(
        "--read-only", action="store_true", help="only what changes nothing: for live services"
    )
    parser.add_argument(
        "--tokens", metavar="FILE", help="JSON or TOML with tokens and a course, without a control plane"
    )
    parser.add_argument(
        "--allow-resets", action="store_true", help="with --tokens: really reset people in that course"
    )
    parser.add_argument(
        "--rule", action="append", default=[], choices=RULES, metavar="R00", help="only this rule; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--allow-insecure-http", action="store_true", help="send tokens unencrypted beyond this machine"
    )
    return parser


RULES = tuple(dict.fromkeys(sorted(each.rule for each in runner.all_checks())))
