"""``contract``: the kit that checks an implementation from outside."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def contract(arguments: tuple[str, ...]) -> int:
    """Check an implementation against the rules of a reset; the options and exit codes are the kit's own."""
    from training_sdk.testing.contract import command

    try:
        return command.main(list(arguments), program="training-sdk contract")
    except SystemExit as end:  # argparse ends the process itself, after --help and slips
        return int(end.code or 0)
