"""What the SDK advises in Python, said as the option or command that does it here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

from training_sdk.resets.report import STOPPED

_PLAN = "PLAN.json"

_CARRIED = ("profile", "profiles", "base_url", "state_dir")
"""What says which service and which records a command is about."""

_given: ContextVar[str] = ContextVar("_given", default="")

_ADVISED = re.compile(
    r"training-sdk (?:resume|apply|report|verify|prove|plan close)(?= (?:PLAN\.json|--list|--course|[0-9a-f-]{16}))"
)

_ADVICE = STOPPED.partition("{")[0]
"""How the SDK's own advice after a stop begins."""

_SAID = (
    ("The attribute report says what became of everyone", "What became of everyone is shown above"),
    (
        "This was a proof: prove it again with the same plan to go on. It is not sent again",
        "This was a proof. To go on, run training-sdk prove again with the same course and person. Nothing is sent "
        "again",
    ),
    ("client.resets.resume(plan, confirm=…)", "{resume}"),
    ("client.resets.resume", "{resume}"),
    (
        "Have somebody else run client.resets.approve(…) on the plan, and pass approval=…",
        "Have somebody else run training-sdk sign {plan}, and pass the file with --approval",
    ),
    (
        "Have the planner sign it: plan.sign(key)",
        "Have the planner make it signed: training-sdk plan … --save … --key …",
    ),
    ("approve with key=…", "approve with training-sdk sign … --key …"),
    ("none is named (allowed_signers=…)", "the profile names none (allowed_signers)"),
    ("it is not what approval.save(…) wrote", "it is not what training-sdk sign wrote"),
    ("is not spelt as approval.save(…) does", "is not spelt as training-sdk sign does"),
    (
        "Prove it again with the same plan to go on waiting",
        "Prove it again with the same course and person to go on waiting",
    ),
    ("client.resets.prove_format", "training-sdk prove"),
    ("client.resets.plan_proof(…)", "training-sdk prove"),
    ("client.resets.plan(…) and client.resets.apply(…)", "training-sdk plan and apply"),
    ("not a plan that plan.save(…) wrote", "not a plan that training-sdk plan --save wrote"),
    ("say zone='UTC' or your own", "say --zone UTC or your own, such as --zone Europe/Zurich"),
    (
        "between and days need a zone, such as zone='Europe/Zurich'",
        "--waves-between and --waves-days need a zone: --waves-zone Europe/Zurich",
    ),
    (
        "use https, or say allow_insecure_http=True",
        "use https, or write allow_insecure_http = true in the profile",
    ),
    (
        "was a trailing newline read from a file? Use .strip()",
        "was it pasted with a line break? Set it again without",
    ),
    ("it was made with read_only=True, or", "the profile says read_only = true, or"),
    (
        "Use a client that may write, if that is what you mean",
        "Use a profile that may write, if that is meant",
    ),
    ("by state_dir=… or TRAINING", "by --state-dir or TRAINING"),
    ("per_request=1", "--per-request 1"),
    ("accept_missing_lessons=True", "--accept-missing-lessons"),
    (
        "server_side=True makes one call for everyone of a course, so per_request",
        "--server-side makes one call for everyone of a course, so --per-request",
    ),
    (
        "Name further columns with columns={header: name}; one that is named note is ignored",
        "Name further columns with --column, such as --column email='E-Mail'; one that is named note is ignored",
    ),
    (", which columns={header: name} names", ", which --column names"),
    ("skip_unassigned=True leaves", "--skip-unassigned leaves"),
    ("or skip them with tolerance=", "or skip them with --tolerance "),
    ("server_side=True resets", "--server-side resets"),
    ("plan_everyone(…) without 'only' or 'where'", "--everyone without --only and without criteria"),
    ("or nobody with server_side=True", "or nobody with --server-side"),
    ("pass key=, or leave it out", "pass --key-file, or leave it out"),
    (
        "Pass unseal=, the hook that opens what the seal hook closed",
        "Name the command that opens it in the profile (unseal_command)",
    ),
)
"""Longer phrases first: a part of one must not be replaced before it."""


def in_commands(message: str, plan: Path | None = None, options: Mapping[str, str] | None = None) -> str:
    """Return a message of the SDK with the options and commands that it means.

    ``plan`` is the file that was named. ``options`` are those of the command, by the name of their value in Python.
    """
    message = as_given(message)
    for python, command in _SAID:
        if python in message:
            known = {"resume": resume_command(plan), "plan": shlex.quote(str(plan or _PLAN))}
            message = message.replace(python, command.format(**known))
    if plan is not None:
        message = message.replace(_PLAN, shlex.quote(str(plan)))
    return _with_options(message, {**_OTHER_NAMES, **(options or {})})


def _with_options(message: str, options: Mapping[str, str]) -> str:
    """Name options in place of Python's names; a name without underscore only as the subject of the message."""
    for name, option in options.items():
        where = rf"(?<![\w.'-]){name}(?![\w'(])" if "_" in name else rf"\A{name}(?= (?:must|is|holds|\S*'))"
        message = re.sub(where, option, message)
    return message


_OTHER_NAMES = {"base_url": "--base-url", "max_retry_seconds": "--max-retry"}
"""What options mean that have another name in Python, or that no single command has."""


def notes_of(error: BaseException, plan: Path | None, shown: str) -> list[str]:
    """The notes of an error in the words of the command line, each once, without those that are in the text ``shown``.

    The SDK's advice after a stop is left out where another note names the command to go on with.
    """
    notes = {note: in_commands(note, plan) for note in getattr(error, "__notes__", ()) if note not in shown}
    advice = [said for note, said in notes.items() if note.startswith(_ADVICE)]
    others = [said for note, said in notes.items() if not note.startswith(_ADVICE)]
    if any(f"training-sdk {way}" in said for said in others for way in ("resume", "prove", "plan close")):
        return others
    return [*others, *advice[-1:]]


def carry(common: Mapping[str, object]) -> None:
    """Have the commands that are advised from now on name the service and the records that these options name.

    Without them a command that is pasted would look for the plan among other records.
    """
    named = {name: str(common[name]) for name in _CARRIED if common.get(name)}
    if "@" in named.get("base_url", ""):  # a password may stand there
        del named["base_url"]
    words = (word for name, value in named.items() for word in (f"--{name.replace('_', '-')}", value))
    _given.set(shlex.join(words))


def as_given(text: str) -> str:
    """Return the advice of the SDK with the options that the commands in it have to repeat."""
    given = _given.get()
    return _ADVISED.sub(lambda found: f"{found[0]} {given}", text) if given else text


def resume_command(plan: Path | None) -> str:
    """What goes on with a plan, to be pasted into a shell."""
    return _command("resume", plan)


def apply_command(plan: Path | None, *more: str) -> str:
    """What applies a plan, to be pasted into a shell."""
    return " ".join([_command("apply", plan), "--reason TEXT", *more])


def close_command(plan: Path | None) -> str:
    """What closes a plan, to be pasted into a shell."""
    return f"{_command('plan close', plan)} --reason TEXT"


def report_command(plan: Path | None) -> str:
    """What says what became of a plan, to be pasted into a shell."""
    return _command("report", plan)


def _command(name: str, plan: Path | None) -> str:
    words = ("training-sdk", name, _given.get(), shlex.quote(str(plan or _PLAN)))
    return " ".join(filter(None, words))
