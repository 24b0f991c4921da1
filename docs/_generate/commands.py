"""The commands and exit codes of ``training-sdk``, made from the program itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from docs._generate.tables import table
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.group import COMMANDS, NAME, program
from training_sdk.cli.session import with_session

SHELLS = "Print the script that completes training-sdk in a shell; each script says how to install it."


def exit_codes() -> str:
    """Every exit code."""
    rows = ((str(code.value), f"`{code.name}`", _in_code(code.meaning)) for code in ExitCode)
    return table(("Code", "Name", "Meaning"), rows)


NEXT_STEPS = {
    ExitCode.DONE: "nothing",
    ExitCode.FAILED: "read the message; look at `report`",
    ExitCode.USAGE: "correct the option, file or setting",
    ExitCode.NOT_CONFIRMED: "nothing was sent: type the phrase of this plan",
    ExitCode.NOTHING_SENT: "nothing was sent: read the message, then plan again",
    ExitCode.INCOMPLETE: "people were or may have been reset: `report`, then `resume`",
    ExitCode.RECORDS: "free disk space or correct permissions; look at `report`",
    ExitCode.DENIED: "use a token with the permission that the message names",
    ExitCode.CONNECTION: "nothing was changed: `doctor`, then try again",
    ExitCode.NOBODY_DUE: "nothing: no person is due",
    ExitCode.OTHERS_REACHED: "**stop**: people outside the plan may have been reset",
    ExitCode.OUTPUT_LOST: "make room; after a reset, `report` shows the result",
    ExitCode.LAPSED: "look at the people who lapsed",
    ExitCode.INTERRUPTED: "nothing was sent: run the command again",
}
"""The next step after each exit code, on one line."""


def command_list() -> str:
    """Every command with its line in the help; those of a group in one row."""
    context = click.Context(program)
    rows = [
        (_typed(name, program.get_command(context, name)), entry.help) for name, entry in COMMANDS.items()
    ]
    return table(("Command", "Task"), rows)


def _typed(name: str, command: click.Command | None) -> str:
    below = [*command.commands] if isinstance(command, click.Group) else []
    return " ".join([f"`{name}`", *(f"· `{each}`" for each in below)])


def next_steps() -> str:
    """Every exit code with what to do next."""
    rows = ((str(code.value), f"`{code.name}`", NEXT_STEPS[code]) for code in ExitCode)
    return table(("Code", "Name", "What to do"), rows)


def commands() -> str:
    """Every command with its options, without those that all have."""
    return "\n\n".join(_section(name, command) for name, command in all_commands())


def common_options() -> str:
    """The options that all commands have."""
    context = click.Context(program)
    return _options(context, _common())


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its name on the command line, without groups."""
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield name, command
            yield from ((f"{name} {each}", one) for each, one in command.commands.items())
        elif command is not None:
            yield name, command


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"{NAME} {name}")
    common = {one.name for one in _common()}
    own = [one for one in command.params if one.name not in common]
    words = " ".join(command.collect_usage_pieces(context))
    said = (command.help or "").replace("\b", "")
    text = (
        " ".join(line.strip() for line in said.splitlines() if line.strip())
        if name != "completion"
        else SHELLS
    )
    parts = [f"### {name}", text, f"`{NAME} {name} {words}`"]
    listed = _options(context, [one for one in own if isinstance(one, click.Option)])
    return "\n\n".join([*parts, *([listed] if listed else [])])


def _options(context: click.Context, params: list[click.Parameter] | list[click.Option]) -> str:
    records = (one.get_help_record(context) for one in params)
    rows = [(f"`{_escaped(record[0])}`", _escaped(record[1])) for record in records if record]
    return table(("Option", "Meaning"), rows) if rows else ""


def _in_code(text: str) -> str:
    """A text in a cell of a Markdown table, with its options and pipes as code."""
    return _escaped(re.sub(r"--\w[\w-]*|\| \w+", r"`\g<0>`", text))


def _escaped(text: str) -> str:
    """A text in a cell of a Markdown table."""
    return text.replace("|", "\\|")


def _common() -> list[click.Parameter]:
    @click.command()
    @with_session
    def bare(_: object) -> None:
        """Nothing of its own."""

    return bare.params
