"""The command line ``training-mock``: serve a world until told to stop, or print the contract."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, get_args

from mock_server import rehearsal
from mock_server._version import __version__
from mock_server.argument_checks import check_host_name
from mock_server.compare.comparison import compare
from mock_server.compare.printing import as_json, as_table
from mock_server.compare.reader import TOKEN_VARIABLE, LiveError, Reader
from mock_server.control_client import AskingError, add_asking, exports, token_of
from mock_server.mock import MockTraining, TokenName
from mock_server.openapi import served_document
from mock_server.policy import Policy
from mock_server.rehearsal import RehearsalError
from mock_server.terminal_text import show_logs, visible
from mock_server.transports.serving import SECRET_VARIABLE, ServeError
from mock_server.world.seeds.evidence_pack import BEGUN, MANIFEST
from mock_server.world.seeds.exporter_csv import CompletedOnlyWarning
from mock_server.world.seeds.exporter_rows import ExporterCsvError

_USAGE_ERROR = 2
_OPEN_FILES = 65_536
_LARGEST_SECRET = 64 * 1024
_INTERRUPTED = 130
# Windows delivers no signal to a thread that waits without end.
_LOOK_UP = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 after a clean stop, 2 for anything that has to be mended first.

    130 when interrupted before serving began.
    """
    show_logs()
    try:
        arguments = _parser().parse_args(argv)
        return _COMMANDS[arguments.command](arguments)
    except (_UsageError, ServeError, ExporterCsvError, LiveError, RehearsalError, AskingError) as error:
        print(visible(f"training-mock: {error}"), file=sys.stderr)
        return _USAGE_ERROR
    except KeyboardInterrupt:
        return _INTERRUPTED


class _UsageError(Exception):
    """Arguments that cannot be meant; the message names the remedy."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and whose help is not lost without a word."""

    def error(self, message: str) -> NoReturn:
        self.exit(_USAGE_ERROR, f"{self.prog}: {message}; see {self.prog} --help\n")

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
        help="serve a world until SIGINT or SIGTERM",
        description="Serve a world. Its tokens are never printed here: training-mock token asks for one.",
        allow_abbrev=False,
    )
    _add_address(command)
    _add_world(command)
    add_asking(commands)
    commands.add_parser(
        "openapi",
        help="print the OpenAPI document of the wire",
        description="Print the OpenAPI 3.1 document that a server has at /openapi.json.",
        allow_abbrev=False,
    )
    _add_compare(
        commands.add_parser(
            "compare",
            help="hold a live tenant's answers beside our own",
            description="Read a live tenant (GET only, this host only) and say where its answers differ from ours."
            f" The token is read from {TOKEN_VARIABLE}. Only names and types of fields are printed, no values."
            " Exit code: 0 nothing worse than a note, 1 warnings or errors, 2 it could not be read.",
            allow_abbrev=False,
        )
    )
    _add_rehearse(
        commands.add_parser(
            "rehearse",
            help="run a script against a server of its own and say what it would have done",
            description="Run a command with SAFETYCULTURE_BASE_URL and SAFETYCULTURE_API_TOKEN set to a fresh server,"
            " for this command alone, and print what it asked and what has changed. The exit code is the command's, or"
            " 128 and the number of the signal that ended it.",
            allow_abbrev=False,
        )
    )
    return parser


def _add_rehearse(command: argparse.ArgumentParser) -> None:
    _add_world(command)
    names = [name for name in get_args(TokenName) if name not in ("outsider", "revoked", "expired")]
    command.add_argument("--token", choices=names, default="admin", help="whose token (default %(default)s)")
    command.add_argument(
        "script", nargs="+", metavar="COMMAND", help="after --, such as: -- python my_script.py"
    )


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--live", required=True, metavar="URL", help="scheme and host, such as https://api.safetyculture.io"
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _add_address(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("where")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    group.add_argument("--port", type=int, default=8765, help="0 picks a free one (default %(default)s)")
    group.add_argument(
        "--allow-host",
        action="append",
        type=_host,
        default=[],
        metavar="NAME",
        help="a further name that clients may call the server by; repeatable",
    )
    group.add_argument(
        "--allow-webhook-host",
        action="append",
        default=[],
        type=_host,
        metavar="NAME",
        help="a host that webhooks may be delivered to; repeatable. Without a secret this machine is one in any case",
    )
    group.add_argument(
        "--engine",
        choices=("auto", "uvicorn", "stdlib"),
        default="auto",
        help="auto: uvicorn where it is installed, else the standard library's",
    )
    group.add_argument(
        "--secret-file",
        type=Path,
        metavar="PATH",
        help="file with the secret of the control plane, which an address beyond loopback needs, and a world of a"
        f" file, --progress or --evidence (or the environment variable {SECRET_VARIABLE}); requests below /_mock/ send"
        " it in the header X-Training-Mock-Secret",
    )


def _add_world(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("what")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--seed", choices=("demo",), help="a ready-made organisation (the default)")
    source.add_argument("--users", type=_size, metavar="N", help="generate an organisation of so many users")
    source.add_argument(
        "--progress",
        "--exporter-csv",
        type=Path,
        metavar="CSV",
        help="load the vendor exporter's training_course_progresses.csv",
    )
    source.add_argument(
        "--evidence", type=Path, metavar="FOLDER", help="load an evidence pack, as it was kept before a reset"
    )
    group.add_argument(
        "--courses", type=_size, metavar="N", help="with --users: so many courses (default 12)"
    )
    group.add_argument(
        "--random-seed", type=int, metavar="INT", help="with --users: another seed, another world"
    )
    group.add_argument(
        "--now",
        type=_moment,
        metavar="TIME",
        help="stop the clock there, such as 2027-03-01 or 2027-03-01T09:00:00+01:00; by default it runs",
    )
    group.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"decide a rule that the sources leave open; repeatable. {Policy.choices()}",
    )


def _host(text: str) -> str:
    try:
        return check_host_name("NAME", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2027-03-01, or 2027-03-01T09:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    _allow_connections()
    secret = _secret(arguments.secret_file)
    mock = _world(arguments)
    if secret is None:
        _refuse_open(mock, arguments)
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
    _print(token_of(arguments.name, arguments.url, _secret(arguments.secret_file)))
    return 0


def _env(arguments: argparse.Namespace) -> int:
    _print(exports(arguments.name, arguments.url, _secret(arguments.secret_file), arguments.shell))
    return 0


def _openapi(_: argparse.Namespace) -> int:
    _print(json.dumps(served_document(), indent=2))
    return 0


def _print(text: str) -> None:
    try:
        print(visible(text), flush=True)
    except OSError as error:
        # Python would flush once more on its way out, and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # a reader that has gone has seen enough
            raise _UsageError(f"the output could not be written: {error.strerror}") from None


def _compare(arguments: argparse.Namespace) -> int:
    comparison = compare(Reader.to(arguments.live, os.environ.get(TOKEN_VARIABLE, "")))
    _print(as_json(comparison) if arguments.json else as_table(comparison))
    return 1 if comparison.is_alarming else 0


def _secret(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(SECRET_VARIABLE)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            content = file.read(_LARGEST_SECRET) if stat.S_ISREG(mode) else b""
        if not stat.S_ISREG(mode):
            raise _UsageError(f"the secret file {path} cannot be read: it is not a regular file")
        if os.name == "posix" and mode & 0o077:
            raise _UsageError(
                f"others can read {path} or write to it, and it holds a secret: chmod 600 {path}"
            )
        return content.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise _UsageError(f"the secret file {path} cannot be read: {reason}") from None


def _refuse_open(mock: MockTraining, arguments: argparse.Namespace) -> None:
    """Refuse to serve real people without a secret: every local user can ask a server on loopback for its tokens."""
    if not mock.world.is_loaded:
        return
    raise _UsageError(
        f"{arguments.progress or arguments.evidence} may hold data of real people, and every user of this machine can"
        " call the server. The control plane, which hands out the tokens, needs a secret. Nothing was served. Write"
        " one into a file of your own, (umask 077; openssl rand -hex 24 > mock.secret), and add --secret-file"
        f" mock.secret, or set the environment variable {SECRET_VARIABLE}"
    )


def _policy(pairs: Sequence[str]) -> Policy:
    try:
        return Policy.from_pairs(pairs)
    except ValueError as error:
        raise _UsageError(f"--policy: {error}") from None


def _world(arguments: argparse.Namespace) -> MockTraining:
    policy = _policy(arguments.policy)
    if arguments.users is None and (arguments.courses is not None or arguments.random_seed is not None):
        raise _UsageError("--courses and --random-seed shape a generated organisation: give --users as well")
    if arguments.progress is not None:
        return _exported(arguments.progress, policy, arguments.now)
    if arguments.evidence is not None:
        return _loaded(
            arguments.evidence,
            lambda: MockTraining.from_evidence(arguments.evidence, policy=policy, now=arguments.now),
            is_pack=True,
        )
    if arguments.users is not None:
        return MockTraining.generate(
            users=arguments.users,
            courses=12 if arguments.courses is None else arguments.courses,
            seed=arguments.random_seed or 0,
            policy=policy,
            now=arguments.now,
        )
    return MockTraining.demo(policy=policy, now=arguments.now)


def _exported(path: Path, policy: Policy, now: datetime | None) -> MockTraining:
    try:
        return _loaded(path, lambda: MockTraining.from_exporter_csv(path, policy=policy, now=now))
    except ExporterCsvError as error:
        folder = path if path.is_dir() else path.parent
        if not any((folder / each).exists() for each in (MANIFEST, BEGUN)):
            raise
        raise _UsageError(
            f"{error}\n  it stands in an evidence pack: load that with --evidence {folder}"
        ) from None


def _loaded(source: Path, load: Callable[[], MockTraining], *, is_pack: bool = False) -> MockTraining:
    """Say what is being loaded, as it may take a while, and then what was; beside what a program reads."""
    if source.exists():
        _tell(f"loading {source}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CompletedOnlyWarning)  # said below, as a line
        mock = load()
    for line in rehearsal.loaded(mock, str(source), is_pack=is_pack):
        _tell(line)
    return mock


def _tell(line: str) -> None:
    print(visible(f"training-mock: {line}"), file=sys.stderr, flush=True)


def _rehearse(arguments: argparse.Namespace) -> int:
    mock = _world(arguments)
    before = mock.state()
    source = arguments.progress or arguments.evidence
    is_pack = source is not None and source == arguments.evidence
    warned = () if source is None else rehearsal.completed_only(mock, str(source), is_pack=is_pack)
    ending = rehearsal.run(mock, arguments.script, arguments.token)
    try:
        _print(rehearsal.story(mock, before, ending, warned))
    except _UsageError as error:
        _tell(str(error))
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
