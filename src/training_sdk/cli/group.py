"""The group of all commands. It imports no command, so that the list of commands and the version come at once."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from training_sdk._version import __version__
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.streams import run_with_streams

NAME = "training-sdk"


class Entry(NamedTuple):
    """Command that is imported only when it runs, with its line in the list of commands."""

    module: str
    help: str
    attribute: str = ""


COMMANDS = {
    "courses": Entry("listing", "List courses."),
    "paths": Entry("listing", "List learning paths."),
    "groups": Entry("listing", "List groups."),
    "sites": Entry("listing", "List sites."),
    "progress": Entry("listing", "List the progress of people in courses."),
    "plan": Entry("plan", "Plan a reset, and change nothing."),
    "due": Entry("due", "List people who must renew a completion, and plan their reset."),
    "show": Entry("plan", "Show a saved plan."),
    "sign": Entry("sign", "Approve a plan that another person made."),
    "apply": Entry("apply", "Apply a plan, once."),
    "resume": Entry("apply", "Continue a plan that was interrupted."),
    "verify": Entry("verify", "Wait until a reset is seen in progress and analytics."),
    "report": Entry("report", "Show the result of a plan for each person."),
    "prove": Entry("verify", "Verify the request format of a live service on a test course."),
    "evidence": Entry("evidence", "Verify, search, pseudonymise and purge evidence."),
    "audit": Entry("audit", "Verify, show and export the audit log."),
    "whoami": Entry("listing", "Show whose token is in use, and where."),
    "doctor": Entry("doctor", "Check token, permissions, clock, records and the service."),
    "contract": Entry("tools", "Check an implementation against the rules, from outside."),
    "completion": Entry("tools", "Print the script for shell completion."),
}
"""Commands in the order in which they are normally used."""


class NoCommandError(click.UsageError):
    """Error: a group of commands was named without a command; the message is the help."""


class Group(click.Group):
    """Group that reports a missing command as an error in every version of click; click 8.1 exits with 0."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments. Raises NoCommandError if there are none and a command is needed."""
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            raise NoCommandError(ctx.get_help(), ctx)
        return super().parse_args(ctx, args)


class Lazy(Group):
    """A group whose commands are imported when they are run: the list of commands needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of use."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"training_sdk.cli.commands.{entry.module}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=Lazy,
    name=NAME,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None},
    epilog="The token comes from SAFETYCULTURE_API_TOKEN or a profile, never from an option. Exit codes: "
    + " · ".join(f"{code.value} {code.name.lower().replace('_', ' ')}" for code in ExitCode),
)
@click.version_option(__version__, prog_name=NAME)
def program() -> None:
    """Plan, confirm, apply and verify resets of course progress in SafetyCulture Training (unofficial)."""


def is_about_program(arguments: Sequence[str]) -> bool:
    """Return whether arguments ask for the help or the version of the program, and for no command."""
    return list(arguments) in (["--help"], ["-h"], ["--version"])


def show(arguments: Sequence[str]) -> int:
    """Print the help or the version, and return the exit code."""

    def printed() -> int:
        program.main(list(arguments), prog_name=NAME, standalone_mode=False)
        return ExitCode.DONE

    return run_with_streams(printed, NAME, ExitCode.OUTPUT_LOST, logs=False)
