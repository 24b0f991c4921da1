"""Messages of the SDK's errors for the command line: with options and commands in place of parameters and methods."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

import click

from training_sdk._core.text import sentence, visible
from training_sdk.errors import TrainingError
from training_sdk.plans.wording import GO_ON, ShellCommands
from training_sdk.reports.report import STOPPED

OPTIONS = {"key": "--key-file", "max_retry_seconds": "--max-retry", "refused_with": "--refused-with"}
"""The options of parameters that have another name on the command line, where a command has none of that name."""

REMEDIES = {
    "approve": "Have another person run training-sdk sign {plan}, and pass the file with --approval.",
    "deleted_lessons": "Plan again without them, or continue without their lessons with --accept-missing-lessons.",
    "https": "Use https, or write allow_insecure_http = true in the profile.",
    "leave_out_server_side": "Leave out --server-side.",
    "missing_lessons": "Try again later, or accept the gap with --accept-missing-lessons; evidence and report then "
    "name these people.",
    "no_home": "Name a directory that stays with --state-dir or TRAINING_SDK_STATE_DIR.",
    "one_per_request": "Where a request names one person (--per-request 1), a refusal is certain to have had no "
    "effect, and a 429 is waited for.",
    "plan_again": "Plan again.",
    "plan_everyone": "Leave out --server-side, or use a plan made with --everyone, without --only and without "
    "criteria.",
    "close_again": "Closing it was interrupted. Close it again: {close}.",
    "close_lost": "Restore a copy of plans/{folder} and resume it. If there is none, find out their result and close "
    "it: {close}.",
    "prove_pending": "To look again, run training-sdk prove with the same course and person. Nothing is sent again. "
    "Plan nothing for these people before the proof has ended.",
    "prove": "To look again, run training-sdk prove with the same course and person. Nothing is sent again.",
    "prove_afterwards": "Only then prove the format again on a test course with training-sdk prove.",
    "prove_again": "Prove the format again on a test course with training-sdk prove.",
    "prove_first": "Prove the format on a test course first with training-sdk prove, or use the web app there.",
    "prove_format_alone": "Prove the format without --refused-with first.",
    "prove_same_again": "Continue with training-sdk prove and the same course and person. Nothing is sent again.",
    "prove_with_token": "Or prove the format again with this one.",
    "evidence_key": "To search it for a user, pass its key with --key-file, or leave the pack out.",
    "read_phrase": "Read the text above the prompt, or show the plan again, and type the phrase at its end.",
    "read_only": "The profile says read_only = true, or SAFETYCULTURE_READ_ONLY is set. Use a profile that can write, "
    "if that is what you mean.",
    "resume_as_one_user": "Continue as one user: {resume}.",
    "resume": (
        "Continue with {resume}, which first reads back what may have arrived and resets no person twice."
    ),
    "retry_longer": "Raise --max-retry to wait longer.",
    "sealed_approval": "Pass the file with --approval, or name the command that opens it in the profile: "
    "unseal_command.",
    "approve_signed": "Approve the plan again with training-sdk sign … --key ….",
    "sign_plan": "Have the planner make it signed: training-sdk plan … --save … --key ….",
    "skip_changed": "Plan again, or skip them with --tolerance {tolerance}.",
    "skip_unassigned": "--skip-unassigned leaves people out of the courses that they are not in.",
    "state_dir": "Or name a directory that stays with --state-dir or TRAINING_SDK_STATE_DIR. Not below /tmp: other "
    "users share it, and it is cleared, with the journals of resets whose result is still open.",
    "surveys": "Use a token that may read them, or continue without them: leave out --require-surveys.",
    "token": "Set SAFETYCULTURE_API_TOKEN, or name a source of the token in a profile.",
    "token_text": "If it was pasted with a line break, set it again without.",
    "undivided_resume": "Leave out --per-request.",
    "undivided": "Leave out --server-side or --per-request.",
    "unseal": "Name the command that opens it in the profile: unseal_command.",
    "use_dicts": "Use --json, which keeps numbers of any size.",
    "wait_for_server": "To wait for a server that is starting, set --max-retry.",
    "waves_zone": "Pass your time zone, such as --waves-zone Europe/Zurich.",
    "find_due_again": "Run training-sdk due again.",
    "widen_selection": "Change --only or the criteria, or name other people.",
    "assign_people": "Assign people to the course, or wait until the feed shows them (up to 2 h).",
    "whom_to_prove": "Name the person with --person, or pass --server-side without --person.",
    "zone": "Pass --zone UTC or your own, such as --zone Europe/Zurich.",
}
"""The remedies of errors, by the key that the SDK gives them."""


def message_of(error: TrainingError, options: Mapping[str, str], commands: ShellCommands) -> str:
    """Return the message of an error without status and ids.

    ``options`` are those of the command by the names of their parameters. ``commands`` are for the plan that was named.
    """
    message, remedy = sentence(error.info.message), error.remedy
    if error.argument is not None and (option := option_of(error.argument, options)) is not None:
        name = error.argument.rpartition(" ")[2]
        # A name without an underscore is also a word: it is the parameter where the message begins with it.
        place = r"(?<![\w.'-])" if "_" in name else r"\A(?:[Aa]n? \w+ (?:in|of) )?"
        message = re.sub(rf"({place}){re.escape(name)}(?![\w'(])", rf"\g<1>{option}", message, count=1)
    if remedy is None:
        return message
    values = dict(remedy.values)
    known = {
        "plan": commands.plan,
        "resume": commands.resume(),
        "close": commands.close(values.get("digest", "")),
    }
    known |= values
    return f"{message} {REMEDIES[remedy.key].format_map(known)}"


def text_of(error: TrainingError, options: Mapping[str, str], commands: ShellCommands) -> str:
    """Return the message of an error with status and ids."""
    return visible(message_of(error, options, commands)) + marks_of(error)


def marks_of(error: TrainingError) -> str:
    """Return status, reason and request id as they are printed behind a message; empty without any."""
    return str(error).removeprefix(visible(error.message))


def option_of(argument: str, options: Mapping[str, str]) -> str | None:
    """Return the option for the parameter that an error names, as ``zone`` or ``an id in courses``; None for others."""
    name = argument.rpartition(" ")[2]
    return options.get(name) or OPTIONS.get(name)


def options_of(command: click.Command) -> dict[str, str]:
    """Return a command's options by the names of their parameters; those of waves also without their prefix."""
    named = {str(one.name): one.opts[0] for one in command.params if isinstance(one, click.Option)}
    waves = {
        name.removeprefix("waves_"): option for name, option in named.items() if name.startswith("waves_")
    }
    return {**waves, **named}


def notes_of(error: BaseException, commands: ShellCommands, shown: str) -> list[str]:
    """Return the notes of an error, each once, without those that are in the text ``shown``.

    The SDK's advice after a stop is left out where another note names the command to go on with.
    """
    begins, _, rest = STOPPED.partition("{counts}. ")
    where_it_is, _, resume = rest.partition(". ")
    notes = dict.fromkeys(note for note in getattr(error, "__notes__", ()) if note not in shown)
    notes = dict.fromkeys(note.replace(where_it_is, _SHOWN) for note in notes)
    advice = [note for note in notes if note.startswith(begins) and note.endswith(resume)]
    others = [_PROOF if note == GO_ON else note for note in notes if note not in advice]
    ways = ("resume", "prove", "plan close")
    if not advice or any(f"training-sdk {way}" in note for note in others for way in ways):
        return others
    counts = advice[-1].partition(". ")[0]
    go_on = REMEDIES["resume"].format(resume=commands.resume())
    return [*others, f"{counts}. {_SHOWN}. {go_on}"]


_SHOWN = "The result for each person is shown above"
_PROOF = f"This was a proof. {REMEDIES['prove_same_again']}"
_CARRIED = ("profile", "profiles", "base_url", "state_dir")


def carried_options(common: Mapping[str, object]) -> str:
    """Return the options that advised commands repeat, quoted: those that name the service and the records.

    Without them a command that is pasted would look for the plan among other records.
    """
    named = {name: str(common[name]) for name in _CARRIED if common.get(name)}
    if "@" in named.get("base_url", ""):  # it may contain a password
        del named["base_url"]
    return shlex.join(
        word for name, value in named.items() for word in (f"--{name.replace('_', '-')}", value)
    )
