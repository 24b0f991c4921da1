"""The program: which commands there are, and what becomes of whatever ends one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from training_sdk._version import __version__
from training_sdk.cli.exit_codes import ExitCode, code_for, code_for_stop
from training_sdk.cli.output import Output, write
from training_sdk.cli.remedies import carry, in_commands, notes_of
from training_sdk.cli.session import Group, Named, NoCommandError
from training_sdk.cli.streams import standard_streams
from training_sdk.errors import AuthenticationError, TrainingError

if TYPE_CHECKING:
    from training_sdk.resets.report import ResetReport

NAME = "training-sdk"


@frozen
class Entry:
    """A command that is imported only when it is run, and what the list of commands says of it."""

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
"""In the order of the work."""


class Lazy(Group):
    """A group whose commands are imported when they are run: the list of commands needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the work."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = import_module(f"training_sdk.cli.commands.{entry.module}")
        found: click.Command = getattr(module, cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing anything."""
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
    """Run the program; the exit code."""
    with standard_streams():
        out, named = Output("--json" in arguments), Named()
        try:
            return int(_code_if_lost(_run(list(arguments), out, named), out, named))
        finally:
            carry({})  # the next run in this process has options of its own


def _code_if_lost(code: int, out: Output, named: Named) -> int:
    """The exit code of a command that ended with ``code``, after a line on output that could not be written.

    A reader that has gone, as in ``| head``, has read enough, unless the command recorded what it did.
    """
    failure = out.failure
    if failure is None or (isinstance(failure, BrokenPipeError) and not named.recorded):
        return code
    out.warn(f"{NAME}: The output could not be written: {failure.strerror}. {named.recorded}".rstrip())
    return ExitCode.OUTPUT_LOST if code == ExitCode.DONE else code


def _run(arguments: list[str], out: Output, named: Named) -> int:
    try:
        ended: Any = program.main(arguments, prog_name=NAME, standalone_mode=False, obj=named)
    except TrainingError as error:
        return _told(error, out, named)
    except NoCommandError as error:
        write(out.stderr, error.format_message() + "\n")
        return ExitCode.USAGE
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else NAME
        _tell(out, type(error).__name__, error.format_message(), ExitCode.USAGE)
        out.warn(f"See {where} --help")
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt) as stop:
        out.everyone = named.everyone
        return _stopped(stop, out, named.plan)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _tell(out, type(error).__name__, what, ExitCode.FAILED)
        return ExitCode.FAILED
    return ended if isinstance(ended, int) else ExitCode.DONE


def _told(error: TrainingError, out: Output, named: Named) -> int:
    """Say what ended the command, and what became of everyone where people were reset."""
    code = code_for(error)
    out.everyone = named.everyone
    known = _accounted(error.report, out)
    message = in_commands(error.message, named.plan, named.options)
    _tell(out, type(error).__name__, message, code, error=error, **known)
    if isinstance(error, AuthenticationError):
        out.warn(f"The token came from {named.token_source}. Put a valid one there, then try again.")
    _note(error, out, named.plan, error.report)
    return code


def _stopped(stop: BaseException, out: Output, plan: Path | None) -> int:
    """The same of Ctrl-C, which Click turns into an error of its own."""
    # Click 8.1.0 raises its own error from None; what it was about is its context still.
    causes = (stop.__cause__, stop.__context__)
    asked = next((one for one in causes if isinstance(one, KeyboardInterrupt)), stop)
    report: ResetReport | None = getattr(asked, "report", None)
    code = code_for_stop(asked, report)
    has_sent = report is not None or hasattr(asked, "__notes__")
    message = "interrupted" if has_sent else "interrupted; nothing was sent"
    _tell(out, "KeyboardInterrupt", message, code, **_accounted(report, out))
    _note(asked, out, plan, report)
    return code


def _accounted(report: ResetReport | None, out: Output) -> dict[str, Any]:
    if report is None:
        return {}
    from training_sdk.cli.output import of_report

    out.say(report)
    return {"report": of_report(report)}


def _note(error: BaseException, out: Output, plan: Path | None, report: ResetReport | None) -> None:
    for note in notes_of(error, plan, "" if report is None else str(report)):
        out.warn(note)


def _tell(
    out: Output, kind: str, message: str, code: int, *, error: TrainingError | None = None, **known: Any
) -> None:
    out.warn(f"{NAME}: {message}{str(error).removeprefix(error.message) if error else ''}")
    said = {
        "class": kind,
        "message": message,
        "reason": error and error.reason,
        "status": error and error.status,
        "request_id": error and error.request_id,
        "exit_code": int(code),
    }
    out.document({"error": said, **known})
