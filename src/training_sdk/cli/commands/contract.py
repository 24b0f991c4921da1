"""``contract``: the kit that checks an implementation from outside."""

from __future__ import annotations

import click

from training_sdk.cli.codes import ExitCode

CANNOT_RUN = 3
"""How the kit says that nothing could be checked; here 3 is something else."""


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def contract(arguments: tuple[str, ...]) -> ExitCode:
    """Check an implementation against the rules of a reset; the options are the kit's own."""
    from training_sdk.testing.contract import command

    try:
        ended = command.main(list(arguments))
    except SystemExit as end:  # argparse ends the process itself, after --help and slips
        ended = int(end.code or 0)
    return ExitCode.FAILED if ended == CANNOT_RUN else ExitCode(ended)
