"""Options of a server: its world, its secret and the names by which clients may call it.

``training-mock serve`` and ``mock_server.asgi:app`` share them.
"""

from __future__ import annotations

import argparse
import gc
import os
import stat
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mock_server.mock import MockTraining
from mock_server.policy import Policy
from mock_server.refusal import check_host_name
from mock_server.terminal_text import CommandError, visible
from mock_server.transports.serving import SECRET_VARIABLE

_LARGEST_SECRET = 64 * 1024


class UsageError(CommandError):
    """Options that cannot be used; the message names the remedy."""


def add_access(group: argparse._ArgumentGroup) -> None:
    """Add the options that say who may call a server."""
    group.add_argument(
        "--allow-host",
        action="append",
        type=_host,
        default=[],
        metavar="NAME",
        help="one more host name by which clients may call the server; repeatable",
    )
    group.add_argument(
        "--allow-webhook-host",
        action="append",
        default=[],
        type=_host,
        metavar="NAME",
        help="a host to which webhooks may be delivered; repeatable. Without a secret, this machine is always allowed",
    )
    group.add_argument(
        "--secret-file",
        type=Path,
        metavar="PATH",
        help="file with the secret of the control plane. Needed for an address beyond loopback, and with --progress"
        f" or --evidence. The environment variable {SECRET_VARIABLE} can hold it instead. Requests below /_mock/ must"
        " have it in the header X-Training-Mock-Secret",
    )


def add_world(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a world and its policy."""
    group = parser.add_argument_group("organisation and policy")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--seed", choices=("demo",), help="a ready-made organisation (the default)")
    source.add_argument("--users", type=_size, metavar="N", help="generate an organisation of N users")
    source.add_argument(
        "--progress",
        "--exporter-csv",
        type=Path,
        metavar="CSV",
        help="load the vendor exporter's training_course_progresses.csv",
    )
    source.add_argument(
        "--evidence",
        type=Path,
        metavar="FOLDER",
        help="load an evidence pack, which was stored before a reset",
    )
    group.add_argument("--courses", type=_size, metavar="N", help="with --users: N courses (default 12)")
    group.add_argument(
        "--random-seed",
        type=int,
        metavar="INT",
        help="with --users: the seed of the generated data (default 0)",
    )
    group.add_argument(
        "--now",
        type=_moment,
        metavar="TIME",
        help="stop the clock at this time, such as 2027-03-01 or 2027-03-01T09:00:00+01:00 (default: the clock runs)",
    )
    group.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"choose how a rule works that the vendor's documents leave open; repeatable. {Policy.choices()}",
    )


def _host(text: str) -> str:
    try:
        return check_host_name("The value", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"The value must be a time such as 2027-03-01 or 2027-03-01T09:00:00Z, not {text!r}."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"The value must be a whole number from 1, not {text!r}.")
    return int(text)


def secret_of(arguments: argparse.Namespace) -> str | None:
    """Return the secret of the control plane: of the file that was named, else of the environment."""
    path: Path | None = arguments.secret_file
    if path is None:
        return os.environ.get(SECRET_VARIABLE)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            content = file.read(_LARGEST_SECRET) if stat.S_ISREG(mode) else b""
        if not stat.S_ISREG(mode):
            raise UsageError(f"The secret file {path} cannot be read: it is not a regular file.")
        if os.name == "posix" and mode & 0o077:
            raise UsageError(
                f"Other users can read or change the secret file {path}. Restrict its permissions: chmod 600 {path}"
            )
        return content.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"The secret file {path} cannot be read: {reason}.") from None


def served_world(arguments: argparse.Namespace, secret: str | None) -> MockTraining:
    """Return the world to serve. UsageError for people of a file without a secret.

    Without a secret, every user of this machine can ask a server on loopback for its tokens.
    """
    mock = world_of(arguments)
    gc.freeze()  # it stays: to search a large world for garbage would stop the server for a second each time
    if secret is None and mock.world.is_loaded:
        raise UsageError(
            f"{arguments.progress or arguments.evidence} may contain data of real people, and every user of this"
            " machine can call the server. The control plane, which returns the tokens, needs a secret. Nothing was"
            " served. Write a secret into a file of your own, (umask 077; openssl rand -hex 24 > mock.secret), and add"
            f" --secret-file mock.secret, or set the environment variable {SECRET_VARIABLE}."
        )
    return mock


def world_of(arguments: argparse.Namespace) -> MockTraining:
    """Return the world that the options choose."""
    policy = _policy(arguments.policy)
    if arguments.users is None and (arguments.courses is not None or arguments.random_seed is not None):
        raise UsageError("--courses and --random-seed are for a generated organisation. Add --users N.")
    if arguments.progress is not None or arguments.evidence is not None:
        return _of_a_file(arguments, policy)
    if arguments.users is not None:
        return MockTraining.generate(
            users=arguments.users,
            courses=12 if arguments.courses is None else arguments.courses,
            seed=arguments.random_seed or 0,
            policy=policy,
            now=arguments.now,
        )
    return MockTraining.demo(policy=policy, now=arguments.now)


def _policy(pairs: Sequence[str]) -> Policy:
    try:
        return Policy.from_pairs(pairs)
    except ValueError as error:
        raise UsageError(f"--policy: {error}") from None


def _of_a_file(arguments: argparse.Namespace, policy: Policy) -> MockTraining:
    """Load a world from a file; say before and after what is loaded, on standard error, since it may take long."""
    from mock_server import rehearsal
    from mock_server.world.seeds.evidence_pack import BEGUN, MANIFEST
    from mock_server.world.seeds.exporter_csv import CompletedOnlyWarning
    from mock_server.world.seeds.exporter_rows import ExporterCsvError

    is_pack = arguments.progress is None
    source: Path = arguments.evidence if is_pack else arguments.progress
    load = MockTraining.from_evidence if is_pack else MockTraining.from_exporter_csv
    if source.exists():
        tell(f"Loading {source}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CompletedOnlyWarning)  # said below, as a line
            mock = load(source, policy=policy, now=arguments.now)
    except ExporterCsvError as error:
        folder = source if source.is_dir() else source.parent
        meant = not is_pack and any((folder / each).exists() for each in (MANIFEST, BEGUN))
        hint = (
            f"\n  The file is part of an evidence pack. Load the pack with --evidence {folder}"
            if meant
            else ""
        )
        raise UsageError(f"{error}{hint}") from None
    for line in rehearsal.loaded(mock, str(source), is_pack=is_pack):
        tell(line)
    return mock


def tell(line: str) -> None:
    """Print a line for people to standard error."""
    print(visible(f"training-mock: {line}"), file=sys.stderr, flush=True)
