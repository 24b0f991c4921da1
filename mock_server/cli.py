"""The command line ``training-mock``: serve a world until a signal stops it, compare, rehearse, print the contract."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, get_args

from mock_server._version import __version__
from mock_server.control.client import add_asking, exports, token_of
from mock_server.mock import TokenName
from mock_server.startup import UsageError, add_access, add_world, secret_of, served_world, tell, world_of
from mock_server.terminal_text import CommandError, show_logs, visible
from mock_server.transports.common import ServeError

_USAGE_ERROR = 2
_OPEN_FILES = 65_536
_INTERRUPTED = 130
# Windows delivers no signal to a thread that waits without end.
_LOOK_UP = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0 after a clean stop, 2 for anything that must be fixed first.

    130 when interrupted before serving began.
    """
    show_logs()
    try:
        arguments = _parser().parse_args(argv)
        return _COMMANDS[arguments.command](arguments)
    except (CommandError, ServeError) as error:
        print(visible(f"training-mock: {error}"), file=sys.stderr)
        return _USAGE_ERROR
    except KeyboardInterrupt:
        return _INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and that reports output that cannot be written."""

    def error(self, message: str) -> NoReturn:
        said = f"{message[0].upper()}{message[1:].rstrip('.')}."
        self.exit(_USAGE_ERROR, f"{self.prog}: {said} See {self.prog} --help.\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help or the version to standard output, which argparse would pass over where it fails."""
        if file is None or file is not sys.stdout:
            super()._print_message(message, file)
        else:
            _print(message.removesuffix("\n"))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="training-mock",
        description="The reference server of SafetyCulture Training: in memory, made for tests.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"training-mock {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="serve | token | env | openapi | compare | rehearse"
    )
    command = commands.add_parser(
        "serve",
        help="serve a simulated organisation until SIGINT or SIGTERM",
        description="Serve a simulated organisation. This command never prints its tokens; training-mock token prints"
        " one of a running server.",
        allow_abbrev=False,
    )
    _add_address(command)
    add_world(command)
    add_asking(commands)
    commands.add_parser(
        "openapi",
        help="print the OpenAPI document of the HTTP API",
        description="Print the OpenAPI 3.1 document that a server returns at /openapi.json.",
        allow_abbrev=False,
    )
    _add_compare(
        commands.add_parser(
            "compare",
            help="compare the answers of a live service with those of this server",
            description="Read a live service (GET only, one host only) and list how its answers differ from those of"
            " this server. The token is read from SAFETYCULTURE_API_TOKEN. Only names and types of fields are"
            " printed, no values. Exit code: 0 if there are notes at most, 1 if there are warnings or errors, 2 if the"
            " service cannot be read.",
            allow_abbrev=False,
        )
    )
    _add_rehearse(
        commands.add_parser(
            "rehearse",
            help="run a script against a server of its own and list its requests and changes",
            description="Run a command with SAFETYCULTURE_BASE_URL and SAFETYCULTURE_API_TOKEN set to a new server for"
            " this command only. Then print its requests and all changes. The exit code is that of the command, or"
            " 128 plus the number of the signal that ended it.",
            allow_abbrev=False,
        )
    )
    return parser


def _add_rehearse(command: argparse.ArgumentParser) -> None:
    add_world(command)
    names = [name for name in get_args(TokenName) if name not in ("outsider", "revoked", "expired")]
    command.add_argument(
        "--token", choices=names, default="admin", help="name of the token (default %(default)s)"
    )
    command.add_argument(
        "script",
        nargs="+",
        metavar="COMMAND",
        help="command to run, after --, such as: -- python my_script.py",
    )


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--live", required=True, metavar="URL", help="scheme and host, such as https://api.safetyculture.io"
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_address(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("address and access")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    group.add_argument(
        "--port", type=int, default=8765, help="port to listen on; 0 for any free port (default %(default)s)"
    )
    group.add_argument(
        "--engine",
        choices=("auto", "uvicorn", "stdlib"),
        default="auto",
        help="HTTP server: auto and stdlib are the built-in server, uvicorn is less strict"
        " (default %(default)s)",
    )
    add_access(group)


def _serve(arguments: argparse.Namespace) -> int:
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    _allow_connections()
    secret = secret_of(arguments)
    mock = served_world(arguments, secret)
    stop = threading.Event()
    # Before the first word to the outside: who reads that line may send the signal at once.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with mock.serve(
        host=arguments.host,
        port=arguments.port,
        engine=arguments.engine,
        secret=secret,
        allow_hosts=tuple(arguments.allow_host),
    ) as server:
        for host in arguments.allow_webhook_host:
            mock.webhooks.allow(host)
        _print(f"training-mock listening on {server.address}")
        while not stop.wait(_LOOK_UP):
            pass
    return 0


def _allow_connections() -> None:
    """Every connection is an open file, of which a shell often grants 1024: take what the system grants."""
    if sys.platform == "win32":  # knows no such limit
        return
    import resource

    granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _OPEN_FILES)
    if granted != resource.RLIM_INFINITY and granted < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _token(arguments: argparse.Namespace) -> int:
    _print(token_of(arguments.name, arguments.url, secret_of(arguments)))
    return 0


def _env(arguments: argparse.Namespace) -> int:
    _print(exports(arguments.name, arguments.url, secret_of(arguments), arguments.shell))
    return 0


def _openapi(_: argparse.Namespace) -> int:
    from mock_server.api.openapi import served_document

    _print(json.dumps(served_document(), indent=2))
    return 0


def _print(text: str) -> None:
    try:
        print(visible(text), flush=True)
    except OSError as error:
        # Python would flush again at exit, and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader that has gone has seen enough
            raise UsageError(f"The output could not be written: {error.strerror}.") from None


def _compare(arguments: argparse.Namespace) -> int:
    from mock_server.compare.comparison import as_json, as_table, compare
    from mock_server.compare.reader import TOKEN_VARIABLE, Reader

    comparison = compare(Reader.to(arguments.live, os.environ.get(TOKEN_VARIABLE, "")))
    _print(as_json(comparison) if arguments.json else as_table(comparison))
    return 1 if comparison.is_alarming else 0


def _rehearse(arguments: argparse.Namespace) -> int:
    from mock_server import rehearsal

    mock = world_of(arguments)
    before = mock.state()
    source = arguments.progress or arguments.evidence
    is_pack = source is not None and source == arguments.evidence
    warned = () if source is None else rehearsal.completed_only(mock, str(source), is_pack=is_pack)
    ending = rehearsal.run(mock, arguments.script, arguments.token)
    try:
        _print(rehearsal.story(mock, before, ending, warned))
    except UsageError as error:
        tell(str(error))
        return ending.code or _USAGE_ERROR
    return ending.code


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": _serve,
    "token": _token,
    "env": _env,
    "openapi": _openapi,
    "compare": _compare,
    "rehearse": _rehearse,
}
