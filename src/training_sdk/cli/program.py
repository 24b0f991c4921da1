"""A run of the program, and its reaction to every error and signal that ends one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from training_sdk.cli.error_messages import marks_of, notes_of
from training_sdk.cli.exit_codes import ExitCode, code_for, code_for_stop
from training_sdk.cli.group import NAME, NoCommandError, program
from training_sdk.cli.output import Output, of_report, write
from training_sdk.cli.session import Invocation
from training_sdk.cli.streams import standard_streams
from training_sdk.errors import AuthenticationError, ErrorInfo, TrainingError
from training_sdk.reports.report import report_of


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
        out.warn(f"For help: {where} --help")
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
        message = "Interrupted." if has_sent else "Interrupted. Nothing was sent."
        code = code_for_stop(stop, report)
    known = {} if report is None else {"report": of_report(report)}
    if report is not None:
        out.say(report)
    _report(out, stop, message, code, **known)
    if isinstance(stop, AuthenticationError):
        out.warn(f"The token came from {invocation.token_source}. Put a valid one there, then try again.")
    if code == ExitCode.OUTPUT_LOST and invocation.recorded:
        out.warn(invocation.recorded)
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
