"""Ask a running server for a token: ``training-mock token`` and ``training-mock env``."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from mock_server.mock import TokenName
from mock_server.terminal_text import CommandError, inline
from mock_server.transports.common import VENDOR_HOSTS
from mock_server.transports.guard import HEADER
from mock_server.transports.serving import LAST_PORT, SECRET_VARIABLE

DEFAULT_URL = "http://127.0.0.1:8765"
Shell: TypeAlias = Literal["sh", "powershell"]
_URL_VARIABLE = "SAFETYCULTURE_BASE_URL"
_NAMES = ", ".join(get_args(TokenName))
_PATIENCE = 10.0
_LARGEST = 4 * 1024 * 1024


_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


class AskingError(CommandError):
    """A running server did not give its tokens; the message names the remedy."""


def add_asking(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the commands ``token`` and ``env`` to those of ``training-mock``."""
    token = commands.add_parser(
        "token",
        help="print a token of a running server",
        description="Ask a running server for the token with this name, and print it.",
        allow_abbrev=False,
    )
    token.add_argument(
        "name", metavar="NAME", choices=get_args(TokenName), help=f"name of the token, one of {_NAMES}"
    )
    environment = commands.add_parser(
        "env",
        help="print the environment variables for a running server",
        description="Print the commands that set the environment variables of training-sdk for a running server. Run"
        ' eval "$(training-mock env)".',
        allow_abbrev=False,
    )
    environment.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        default="admin",
        choices=get_args(TokenName),
        help=f"name of the token, one of {_NAMES} (default admin)",
    )
    environment.add_argument(
        "--shell",
        choices=get_args(Shell),
        default="sh",
        help="shell that runs the commands (default %(default)s)",
    )
    for command in (token, environment):
        _add_server(command)


def _add_server(command: argparse.ArgumentParser) -> None:
    """Add the options that name a running server and its secret."""
    address = command.add_mutually_exclusive_group()
    address.add_argument(
        "--port",
        type=_on_this_machine,
        dest="url",
        default=argparse.SUPPRESS,
        metavar="N",
        help="port of a server on this machine, as given to training-mock serve --port",
    )
    address.add_argument(
        "--url",
        default=os.environ.get(_URL_VARIABLE) or DEFAULT_URL,
        metavar="URL",
        help=f"address of the server (default: {_URL_VARIABLE}, or {DEFAULT_URL})",
    )
    command.add_argument(
        "--secret-file",
        type=Path,
        metavar="PATH",
        help=f"file with the secret of the control plane (default: the environment variable {SECRET_VARIABLE})",
    )


def _on_this_machine(port: str) -> str:
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= LAST_PORT:
        raise argparse.ArgumentTypeError(
            f"The value must be a whole number from 1 to {LAST_PORT}, not {port!r}."
        )
    return f"http://127.0.0.1:{int(port)}"


_ELSEWHERE = (
    "Check that training-mock serve runs at this address, or name its address: --port N or --url URL."
)


def token_of(name: str, url: str, secret: str | None) -> str:
    """The token with this name on a running server. Raises AskingError."""
    tokens = _tokens(url, secret)
    if name not in tokens:
        raise AskingError(f"There is no token {name!r} on {url}. The tokens are {', '.join(tokens)}.")
    if not _TOKEN.fullmatch(tokens[name]):
        raise AskingError(
            f"The token {name!r} on {url} has characters that no bearer token has and that a shell might run. It was "
            "not printed. Check that training-mock serve runs at this address."
        )
    return tokens[name]


def exports(name: str, url: str, secret: str | None, shell: Shell) -> str:
    """The commands of a shell that lead ``training-sdk`` and scripts to a running server, as the owner of a token.

    Their records go to a folder in the working directory, apart from those of live resets. Raises AskingError.
    """
    values = (
        ("SAFETYCULTURE_BASE_URL", url),
        ("SAFETYCULTURE_API_TOKEN", token_of(name, url, secret)),
        ("TRAINING_SDK_PROFILE", "none"),
    )
    if shell == "powershell":
        quoted = ((variable, value.replace("'", "''")) for variable, value in values)
        lines = [f"$env:{variable} = '{value}'" for variable, value in quoted]
        return "\n".join([*lines, "$env:TRAINING_SDK_STATE_DIR = Join-Path $PWD.ProviderPath 'practice'"])
    lines = [f"export {variable}={shlex.quote(value)}" for variable, value in values]
    return "\n".join([*lines, 'export TRAINING_SDK_STATE_DIR="$PWD/practice"'])


def _tokens(url: str, secret: str | None) -> dict[str, str]:
    if "@" in url or "?" in url or "#" in url:
        raise AskingError(
            "--url must have scheme, host, port and path only: no user, password, query or fragment."
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise AskingError(f"--url must be the address of a server, such as {DEFAULT_URL}, not {url!r}.")
    if parts.hostname.rstrip(".") in VENDOR_HOSTS:
        raise AskingError(
            f"{url} is the vendor's service. Nothing was sent. Name the address of training-mock serve, such as "
            f"--url {DEFAULT_URL}."
        )
    return _listed(url, secret)


def _listed(url: str, secret: str | None) -> dict[str, str]:
    """Ask the server. Raises AskingError."""
    # Imported here, because a server that is started has no need of them.
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

    class NoRedirect(HTTPRedirectHandler):
        """Follows no redirect: the secret of the control plane is for one server only."""

        def redirect_request(self, *_: Any, **__: Any) -> None:
            """None leaves the answer as it is: an error."""

    asked = Request(f"{url.rstrip('/')}/_mock/tokens", headers={HEADER: secret} if secret else {})  # noqa: S310
    try:
        with build_opener(ProxyHandler({}), NoRedirect()).open(asked, timeout=_PATIENCE) as answer:
            listed = json.loads(answer.read(_LARGEST))["tokens"]
        return {str(one["name"]): str(one["token"]) for one in _dictionaries(listed)}
    except HTTPError as error:
        if error.code in (401, 403):
            raise AskingError(
                f"{url} requires the secret of its control plane. Add --secret-file PATH, or set TRAINING_MOCK_SECRET."
            ) from None
        raise AskingError(f"{url} answered with status {error.code}. {_ELSEWHERE}") from None
    except (OSError, HTTPException) as error:
        is_system = isinstance(error, OSError)  # an HTTPException may quote the answer
        why = inline(str(getattr(error, "reason", error))) if is_system else "its answer is not HTTP"
        raise AskingError(f"{url} cannot be reached: {why}. {_ELSEWHERE}") from None
    except (ValueError, KeyError, TypeError):
        raise AskingError(f"{url} lists no tokens. {_ELSEWHERE}") from None


def _dictionaries(listed: Sequence[object]) -> list[dict[str, object]]:
    return [one for one in listed if isinstance(one, dict)]
