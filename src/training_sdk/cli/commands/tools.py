"""``completion`` and ``contract``: tools around the SDK."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from training_sdk.cli.output import Output

WHERE = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/training-sdk.fish",
}


@click.command()
@click.argument("shell", type=click.Choice([*WHERE]))
def completion(shell: str) -> None:
    """Print the script that completes training-sdk in a shell.

    \b
    bash, zsh:  eval "$(training-sdk completion bash)"   in ~/.bashrc or ~/.zshrc
    fish:       training-sdk completion fish > ~/.config/fish/completions/training-sdk.fish
    """
    from training_sdk.cli.group import NAME, program  # which knows this module

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"The installed version of click has no completion for {shell}.")
    Output().plain(found(program, {}, NAME, "_TRAINING_SDK_COMPLETE").source())


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def contract(arguments: tuple[str, ...]) -> int:
    """Check an implementation against the rules of a reset; it has options and exit codes of its own."""
    from training_sdk.testing.contract import command

    try:
        return command.main(list(arguments), program="training-sdk contract")
    except SystemExit as end:  # argparse ends the process itself, after --help and slips
        return int(end.code or 0)
