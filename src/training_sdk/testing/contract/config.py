"""Settings for an implementation without a control plane: a small file with tokens and a course.

A token is stored in the file, which nobody else may be able to read, or in an environment variable, as ``"$NAME"``.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError
from training_sdk.records import storage

NAMES = ("admin", "manager", "teamlead", "learner", "outsider", "revoked", "expired", "resetter")
LARGEST = 1024 * 1024
ENVIRONMENT = "SAFETYCULTURE_API_TOKEN"


@frozen
class ContractConfig:
    """Tokens by kind, and the course for the checks."""

    tokens: Mapping[str, str] = field(repr=False)
    course: str = ""


def from_environment() -> ContractConfig | None:
    """Return a configuration with an administrator's token from the environment; None without one."""
    token = os.environ.get(ENVIRONMENT)
    return ContractConfig({"admin": argument_checks.token(token).reveal()}) if token else None


def read(path: str | os.PathLike[str]) -> ContractConfig:
    """Read a JSON or TOML file. Raises InvalidArgumentError, with the remedy, if it cannot be used."""
    file = Path(path)
    data, mode = _parsed(file)
    tokens, course = data.get("tokens"), data.get("course", "")
    kinds = list(tokens) if isinstance(tokens, dict) else []
    unknown = [*(data.keys() - {"tokens", "course"}), *(each for each in kinds if each not in NAMES)]
    if not isinstance(tokens, dict) or "admin" not in kinds or unknown or not isinstance(course, str):
        raise InvalidArgumentError(
            f"{file} must contain tokens: an admin and any of {', '.join(NAMES[1:])}. It may contain a course id."
            + (f" It must not contain {', '.join(map(repr, unknown))}." if unknown else "")
        )
    return ContractConfig({name: _token(file, mode, name, value) for name, value in tokens.items()}, course)


def _parsed(file: Path) -> tuple[dict[str, Any], int]:
    """Return the content of a file and its mode; refuse a pipe, because others could write tokens to it."""
    try:
        content, status = storage.read_regular(file, LARGEST)
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
        text = content.decode("utf-8")
        data = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{file} cannot be read as JSON or TOML: {error}") from None
    if not isinstance(data, dict):
        raise InvalidArgumentError(f"{file} must contain an object with tokens.")
    return data, status.st_mode


def _token(file: Path, mode: int, name: str, value: object) -> str:
    if isinstance(value, str) and value.startswith("$"):
        return str(argument_checks.token(os.environ.get(value[1:]) or _missing(name, value[1:])).reveal())
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise InvalidArgumentError(
            f"{file} contains tokens, and other users can read it. Run chmod 600 {file}"
        )
    return str(argument_checks.token(value).reveal())


def _missing(name: str, variable: str) -> str:
    raise InvalidArgumentError(
        f"The token {name!r} is read from the variable {variable}, which is not set. Set it."
    )
