"""The program: its commands, and its reaction to every error and signal that ends one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click
from attrs import frozen

from training_sdk._version import __version__
from training_sdk.cli.error_messages import marks_of, notes_of
from training_sdk.cli.exit_codes import ExitCode, code_for, code_for_stop
from training_sdk.cli.output import Output, of_report, write
from training_sdk.cli.session import Group, Invocation, NoCommandError
from training_sdk.cli.streams import standard_streams
from training_sdk.errors import AuthenticationError, ErrorInfo, TrainingError
from training_sdk.reports.report import report_of

NAME = "training-sdk"


@frozen
class Entry:
    """Command that is imported only when it runs, with its line in the list of commands."""

    module: str
    help: str
    attribute: str = ""


COMMANDS = {
    "courses": Entry("listing", "List courses."),
    "paths": Entry("listing", "List learning paths."),
    "groups": Entry("listing", "List groups."),
    "sites": Entry("listing", "List sites."),
    "progress": Entry("listing", "List who stands where in which course."),
    "plan": Entry("plan", "Plan a reset, and change nothing."),
    "due": Entry("due", "Say who has to renew a completion, and plan it."),
    "show": Entry("plan", "Show a saved plan."),
    "sign": Entry("sign", "Approve somebody else's plan."),
    "apply": Entry("apply", "Carry out a plan, once."),
    "resume": Entry("apply", "Go on with a plan that stopped half-way."),
    "verify": Entry("verify", "Wait until a reset is seen in progress and analytics."),
    "report": Entry("report", "Show what became of everyone in a plan."),
    "prove": Entry("verify", "Prove the format of a reset on a sacrificial course."),
    "evidence": Entry("evidence", "Verify, search, pseudonymise and purge evidence."),
    "audit": Entry("audit", "Verify, show and export the audit log."),
    "whoami": Entry("listing", "Show whose token is in use, and where."),
    "doctor": Entry("doctor", "Check token, rights, clock, records and the live wire."),
    "contract": Entry("tools", "Check an implementation against the rules, from outside."),
    "completion": Entry("tools", "Print the script for shell completion."),
}
"""Commands in the order in which they are normally used."""


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


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code."""
    with standard_streams():
        out, invocation = Output("--json" in arguments), Invocation()
        return int(_code_if_lost(_run(list(arguments), out, invocation), out, invocation))


def _code_if_lost(code: int, out: Output, invocation: Invocation) -> int:
    """Return the exit code of a command that ended with ``code``, and warn if output could not be written.

    A reader that has gone, as in ``| head``, has read enough, unless the command recorded what it did.
    """
    failure = out.failure
    if failure is None or (isinstance(failure, BrokenPipeError) and not invocation.recorded):
        return code
    out.warn(f"{NAME}: The output could not be written: {failure.strerror}. {invocation.recorded}".rstrip())
    return ExitCode.OUTPUT_LOST if code == ExitCode.DONE else code


def _run(arguments: list[str], out: Output, invocation: Invocation) -> int:
    try:
        ended: Any = program.main(arguments, prog_name=NAME, standalone_mode=False, obj=invocation)
    except NoCommandError as error:
        write(out.stderr, error.format_message() + "\n")
        return ExitCode.USAGE
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else NAME
        _report(out, error, error.format_message(), ExitCode.USAGE)
        out.warn(f"See {where} --help")
        return ExitCode.USAGE
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return _report(out, error, what, ExitCode.FAILED)
    except (TrainingError, click.Abort, KeyboardInterrupt) as error:
        out.everyone = invocation.everyone
        return _report_end(error, out, invocation)
    return ended if isinstance(ended, int) else ExitCode.DONE


def _report_end(stop: BaseException, out: Output, invocation: Invocation) -> int:
    """Report the error or Ctrl-C that ended a command, and the outcome of everyone where people were reset."""
    if isinstance(stop, TrainingError):
        report = stop.report
        message, code = invocation.message_of(stop), code_for(stop)
    else:
        # Click turns Ctrl-C into an error of its own. Click 8.1.0 raises it from None, and keeps Ctrl-C as context.
        causes = (stop.__cause__, stop.__context__, stop)
        stop = next((one for one in causes if isinstance(one, KeyboardInterrupt)), KeyboardInterrupt())
        report = report_of(stop)
        has_sent = report is not None or hasattr(stop, "__notes__")
        message = "interrupted" if has_sent else "interrupted; nothing was sent"
        code = code_for_stop(stop, report)
    known = {} if report is None else {"report": of_report(report)}
    if report is not None:
        out.say(report)
    _report(out, stop, message, code, **known)
    if isinstance(stop, AuthenticationError):
        out.warn(f"The token came from {invocation.token_source}. Put a valid one there, then try again.")
    for note in notes_of(stop, invocation.commands, "" if report is None else str(report)):
        out.warn(note)
    return code


def _report(out: Output, error: BaseException, message: str, code: int, **known: Any) -> int:
    """Print an error on stderr, with ``--json`` also as the document, and return the exit code."""
    info = error.info if isinstance(error, TrainingError) else ErrorInfo(message)
    out.warn(f"{NAME}: {message}{marks_of(error) if isinstance(error, TrainingError) else ''}")
    facts = {"reason": info.reason, "status": info.status, "request_id": info.request_id}
    end = {"class": type(error).__name__, "message": message, **facts, "exit_code": int(code)}
    out.document({"error": end, **known})
    return code
