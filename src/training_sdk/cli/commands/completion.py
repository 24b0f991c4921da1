"""``completion``: what makes a shell complete commands and options."""

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
    from training_sdk.cli.program import NAME, program  # which knows this module

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"this version of click knows no completion for {shell}")
    Output().plain(found(program, {}, NAME, "_TRAINING_SDK_COMPLETE").source())
