"""The state directory: this user's journals, audit log, evidence and proofs, closed to other users."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from attrs import frozen
from platformdirs import user_state_path

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError, RecordsUnsafeError, RecordsUnwritableError, Remedy
from training_sdk.records.storage import make_folder, writing

VARIABLE = "TRAINING_SDK_STATE_DIR"
ELSEWHERE = f"or name a directory of your own: {VARIABLE}."
PERMANENT = Remedy(
    "state_dir",
    f"Or name a directory that stays, by state_dir=… or {VARIABLE}. Not below /tmp: other users share it, and it is "
    "cleared, with the journals of resets whose result is still open.",
)
NO_HOME = Remedy("no_home", f"Name a directory that stays, by state_dir=… or {VARIABLE}.")

_DIGEST = re.compile(r"[0-9a-f]{64}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@frozen
class StateDirectory:
    """A directory that only the user can enter (POSIX: mode 0700), and the paths in it."""

    path: Path

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None) -> StateDirectory:
        """Open the state directory, and create it with mode 0700 if it is missing.

        ``path`` is the directory; by default the value of ``TRAINING_SDK_STATE_DIR``, or else the user's state
        directory.

        Raises:

        - ``RecordsUnsafeError``: Other users can enter the directory, or it belongs to another user.
        - ``InvalidArgumentError``: ``path`` is not a path, or is a file.
        - ``RecordsUnwritableError``: The directory cannot be created.
        """
        chosen = _chosen(path)
        with _advised():
            return cls._opened(chosen)

    @classmethod
    def _opened(cls, chosen: Path) -> StateDirectory:
        with writing(chosen):
            _refuse_foreign_link(chosen)
        if chosen.exists() and not chosen.is_dir():
            raise InvalidArgumentError(
                f"The state directory {chosen} is a file. Move it away, {ELSEWHERE}", argument="state_dir"
            )
        make_folder(chosen)
        with writing(chosen):
            _refuse_open_to_others(chosen)
        return cls(chosen)

    @classmethod
    def existing(cls, path: str | os.PathLike[str] | None = None) -> StateDirectory | None:
        """Open the directory as ``open`` does if it exists; return None, and create nothing, if it does not."""
        chosen = _chosen(path)
        with _advised(), writing(chosen):
            is_there = chosen.exists()
        return cls.open(path) if is_there else None

    @staticmethod
    def obstacle(path: str | os.PathLike[str] | None = None) -> Path | None:
        """Return the file or read-only folder that prevents creating the directory; None if nothing does."""
        above = next(each for each in _chosen(path).parents if each.exists())
        return None if above.is_dir() and os.access(above, os.W_OK | os.X_OK) else above

    @property
    def audit(self) -> Path:
        """The file of the audit log."""
        return self.path / "audit.jsonl"

    @property
    def plans(self) -> Path:
        """The folder that holds a folder for every plan; created on first use."""
        return make_folder(self.path / "plans")

    @property
    def plan_folders(self) -> list[Path]:
        """The folders of plans, sorted by digest. Anything else beside them, such as a backup copy, is left out."""
        root = self.path / "plans"
        if not root.is_dir():
            return []
        return [path for path in sorted(root.iterdir()) if is_digest(path.name) and path.is_dir()]

    @property
    def evidence(self) -> Path:
        """The folder that holds the evidence packs; created on first use."""
        return make_folder(self.path / "evidence")

    @property
    def proofs(self) -> Path:
        """The folder of the proofs of a reset's format; created on first use."""
        return make_folder(self.path / "proofs")

    @property
    def budgets(self) -> Path:
        """The folder of the request budgets that processes share; created on first use."""
        return make_folder(self.path / "budgets")

    def plan_folder(self, digest: str) -> Path:
        """Return the folder of one plan, with its journal; it is created. ``digest`` is ``plan.digest``, whole."""
        return make_folder(self.plans / _checked(digest))

    def evidence_folder(self, digest: str, at: datetime) -> Path:
        """Return the folder for an evidence pack of a plan that is begun at this time (aware); it is not created."""
        if at.tzinfo is None:
            raise InvalidArgumentError("at must have a time zone.", argument="at")
        return self.evidence / f"{_checked(digest)[:16]}-{at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def is_digest(value: object) -> bool:
    """Return whether this is the digest of a plan, whole."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise argument_checks.refusal("digest", f"must be 64 hexadecimal digits, not {digest[:80]!r}.")
    return digest


def _chosen(path: str | os.PathLike[str] | None) -> Path:
    given: object = os.environ.get(VARIABLE) if path is None else path
    if given is None:
        return usual_folder(user_state_path) or _refuse_homeless()
    name = VARIABLE if path is None else "the state directory"
    text: object = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise InvalidArgumentError(
            f"{name} must be a path, not {type(given).__name__}.", argument="state_dir"
        )
    if not text.strip() or "\0" in text:
        raise InvalidArgumentError(
            f"{name} must not be empty or have a NUL. Leave it out for the default place.",
            argument="state_dir",
        )
    return expanded(text, name).absolute()


def usual_folder(find: Callable[..., Path]) -> Path | None:
    """Return the SDK's folder in a user directory, by such as ``platformdirs.user_state_path``; None without a home."""
    with suppress(RuntimeError):
        path = find("training-sdk", appauthor=False)
        if path.is_absolute():  # an old platformdirs leaves "~": a folder of that name in the current one
            return path
    return None


def expanded(path: str, name: str) -> Path:
    """Return the path with ``~`` replaced. Raises InvalidArgumentError, naming the setting, if that home is unknown."""
    with suppress(RuntimeError):
        found = Path(path).expanduser()
        if not path.startswith("~") or found.is_absolute():
            return found
    raise InvalidArgumentError(
        f"{name} is {path[:200]!r}, and this machine knows no home directory {Path(path).parts[0][:200]!r}. "
        "Write the path in full.",
        reason="NO_HOME",
        argument=name,
    )


def _refuse_homeless() -> NoReturn:
    raise InvalidArgumentError(
        "This user has no home directory (HOME is not set to an absolute path, and the system names none), so there "
        "is no default place for journals, evidence and the audit log. Nothing was changed.",
        reason="NO_HOME",
        argument="state_dir",
        remedy=NO_HOME,
    )


@contextmanager
def _advised() -> Iterator[None]:
    """Add to a refusal of the operating system where records can be stored instead."""
    try:
        yield
    except RecordsUnwritableError as error:
        raise RecordsUnwritableError(error.message, remedy=PERMANENT) from error.__cause__


def _refuse_foreign_link(path: Path) -> None:
    if sys.platform != "win32" and path.is_symlink() and path.lstat().st_uid not in (os.geteuid(), 0):
        raise RecordsUnsafeError(
            f"The state directory {path} is a symbolic link that another user made. Remove it, {ELSEWHERE}"
        )


def _refuse_open_to_others(path: Path) -> None:
    if sys.platform == "win32":  # no modes; the user's profile is closed to others
        return
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise RecordsUnsafeError(
            f"The state directory {path} belongs to another user (uid {found.st_uid}). Run as that user, {ELSEWHERE}"
        )
    if found.st_mode & _OTHERS:
        raise RecordsUnsafeError(
            f"Other users can enter the state directory {path} (mode {stat.S_IMODE(found.st_mode):o}), and it holds "
            f"names and progress of people. Close it: chmod 700 '{path}', {ELSEWHERE}"
        )
