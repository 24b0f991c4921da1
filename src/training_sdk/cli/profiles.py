"""Profiles: for each organisation its address, the source of its token, and the team's limits.

A file of profiles may contain tokens, and it names the command that returns a token. Therefore only its owner may
read or change it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field, frozen

from training_sdk._core import urls
from training_sdk._core.text import Secret, hidden, sentence
from training_sdk.cli.arguments import duration
from training_sdk.errors import InvalidArgumentError
from training_sdk.evidence.files import Unseal
from training_sdk.records import storage
from training_sdk.records.journal import PROCESSING_TIME
from training_sdk.records.state import expanded, usual_folder
from training_sdk.safeguards import DEFAULT_PLAN_LIFETIME, Safeguards

FILE_VARIABLE = "TRAINING_SDK_PROFILES"
NAME_VARIABLE = "TRAINING_SDK_PROFILE"
TOKEN_VARIABLE = "SAFETYCULTURE_API_TOKEN"  # noqa: S105 - the name of a variable
PATIENCE = 60.0
"""Seconds that a token command may take; it may ask for a passphrase."""
LARGEST = 1024 * 1024
HOLDS_TOKEN = "It may contain a token: if another person may have read it, renew the token"  # noqa: S105 - a message

NO_PROFILE = "none"
"""Name for no profile at all: only the environment is used."""

SOURCES = ("token", "token_command", "token_file", "token_env")
_TEXTS = ("base_url", "token", "token_file", "token_env", "state_dir", "four_eyes", "allowed_signers")
_DURATIONS = ("plan_lifetime", "processing_time")
_LISTS = ("token_command", "unseal_command", "protected_courses")
_TRUTHS = ("read_only", "allow_insecure_http", "signed_plans")
_NUMBERS = ("max_users",)
KEYS = (*_TEXTS, *_LISTS, *_TRUTHS, *_NUMBERS, *_DURATIONS)


@frozen
class Profile:
    """One organisation and the settings for it; all of them are optional."""

    name: str | None = None
    base_url: str | None = None
    token: Secret | None = field(default=None, converter=hidden)
    token_command: tuple[str, ...] = field(default=(), repr=False)
    unseal_command: tuple[str, ...] = ()
    token_file: Path | None = None
    token_env: str | None = None
    protected_courses: tuple[str, ...] = ()
    max_users: int | None = None
    plan_lifetime: timedelta = DEFAULT_PLAN_LIFETIME
    processing_time: timedelta = PROCESSING_TIME
    four_eyes: Any = None
    allowed_signers: Path | None = None
    signed_plans: bool = False
    state_dir: Path | None = None
    read_only: bool = False
    allow_insecure_http: bool = False

    def find_token(self) -> Secret:
        """Return the token from the source in the profile, otherwise from the environment.

        The token is never printed.
        """
        if self.token is not None:
            return self.token
        if self.token_command:
            return _from_command(self)
        if self.token_file is not None:
            return Secret(_read_private(self.token_file, "The token file").strip())
        variable = self.token_env or TOKEN_VARIABLE
        if not os.environ.get(variable):
            raise InvalidArgumentError(
                f"There is no token. Set {variable}, or name a source in a profile ({', '.join(SOURCES)}).",
                reason="NO_TOKEN",
            )
        return Secret(os.environ[variable])

    @property
    def token_source(self) -> str:
        """Description of the token's source."""
        source = next((name for name in SOURCES if getattr(self, name)), None)
        if source is None:
            return f"the environment variable {TOKEN_VARIABLE}"
        return f"{source} of profile {self.name!r}"

    @property
    def has_token_source(self) -> bool:
        """True if the profile names the source of the token; otherwise the environment is the source."""
        return any(getattr(self, name) for name in SOURCES)

    def check_service(self, address: str | None, what: str) -> None:
        """Raise InvalidArgumentError if an address is not the service to which the profile's token belongs."""
        own = self.base_url or urls.LIVE
        if not address or not self.has_token_source:
            return
        if _service(address, what) == _service(own, f"the base URL of profile {self.name!r}"):
            return
        raise InvalidArgumentError(
            f"{what} is {urls.without_secrets(address)}, but the token of profile {self.name!r} is for "
            f"{urls.without_secrets(own)}. Nothing was sent. Leave one of them out: to work without a profile, pass "
            f"--profile {NO_PROFILE} or set {NAME_VARIABLE}={NO_PROFILE}.",
            reason="SERVICE_MISMATCH",
        )

    @property
    def unseal(self) -> Unseal | None:
        """Hook that decrypts records with the profile's command; None if the profile names no command."""
        return partial(_unsealed, self.unseal_command) if self.unseal_command else None

    @property
    def safeguards(self) -> Safeguards:
        """Limits of the profile."""
        return Safeguards(
            protected_courses=self.protected_courses,
            max_users=self.max_users,
            plan_lifetime=self.plan_lifetime,
            processing_time=self.processing_time,
            four_eyes=self.four_eyes,
            allowed_signers=self.allowed_signers,
            signed_plans=self.signed_plans,
        )


def _service(address: str, name: str) -> object:
    return urls.service_of(urls.parse_base_url(address, allow_insecure_http=True, name=name))


def default_path() -> Path | None:
    """Return the default path of the file of profiles; None for a user without a home directory."""
    from platformdirs import user_config_path

    folder = usual_folder(user_config_path)
    return folder and folder / "profiles.toml"


def find_profile(name: str | None, path: str | None) -> Profile:
    """Return the profile with this name, or the file's default; an empty profile if there is no file and no name.

    The name ``none`` returns an empty profile, and no file is read. Raises InvalidArgumentError for a file that
    others may read, and for settings that cannot be used.
    """
    chosen = name or os.environ.get(NAME_VARIABLE) or None
    if chosen == NO_PROFILE:
        return Profile()
    named_file = path or os.environ.get(FILE_VARIABLE) or None
    if named_file:
        file = expanded(named_file, "--profiles" if path else FILE_VARIABLE)
        return _chosen(_load(file), chosen, file)
    usual_file = default_path()
    if usual_file is not None and _is_there(usual_file):
        return _chosen(_load(usual_file), chosen, usual_file)
    if chosen:
        no_home = "this user has no home directory"
        why = f"there is no file {usual_file}" if usual_file else no_home
        raise InvalidArgumentError(
            f"There is no profile {chosen!r}: {why}. Name the file with --profiles or {FILE_VARIABLE}."
        )
    return Profile()


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:
        # Such as a HOME of another user. The limits of a profile must not be left out unseen.
        raise InvalidArgumentError(
            f"The file of profiles {file} cannot be read: {error.strerror}. Nothing was sent. Set HOME to a directory "
            f"of this user, or name another file with {FILE_VARIABLE}, or pass --profile {NO_PROFILE}."
        ) from None


def _chosen(document: Mapping[str, Any], name: str | None, file: Path) -> Profile:
    unknown = sorted(document.keys() - {"default", "profiles"})
    profiles = document.get("profiles", {})
    if (
        unknown
        or not isinstance(profiles, dict)
        or not all(isinstance(one, dict) for one in profiles.values())
    ):
        what = f"{unknown[0]!r} is unknown" if unknown else "profiles must be tables"
        raise InvalidArgumentError(
            f"{file}: {what}. The file may contain 'default' and tables such as [profiles.acme]."
        )
    if NO_PROFILE in profiles:
        raise InvalidArgumentError(f"{file}: {NO_PROFILE!r} means no profile. Give the profile another name.")
    wanted = name or document.get("default")
    if wanted is None:
        if not profiles:
            return Profile()
        raise InvalidArgumentError(
            f"{file} names no default. Choose a profile with --profile: {', '.join(sorted(profiles))}."
        )
    if wanted not in profiles:
        raise InvalidArgumentError(
            f"{file} has no profile {wanted!r}. It has {', '.join(sorted(profiles)) or 'none'}."
        )
    return _profile(wanted, profiles[wanted], file)


def _profile(name: str, table: Mapping[str, Any], file: Path) -> Profile:
    where = f"{file}, profile {name!r}"
    for key, value in table.items():
        _check(key, value, where)
    sources = [key for key in SOURCES if key in table]
    if len(sources) > 1:
        raise InvalidArgumentError(
            f"{where}: {' and '.join(sources)} are given, and only one source of the token is allowed. Leave one out."
        )
    values: dict[str, Any] = {key: tuple(value) if key in _LISTS else value for key, value in table.items()}
    for key in ("token_file", "allowed_signers", "state_dir"):
        if key in values:
            values[key] = file.parent / expanded(values[key], f"{where}: {key}")
    for key in _DURATIONS:
        if key in values:
            values[key] = duration(values[key])
    return Profile(name=name, **values)


def _check(key: str, value: object, where: str) -> None:
    if isinstance(value, Secret):
        value = "a token" if isinstance(value.reveal(), str) and value.reveal() else None
    if key not in KEYS:
        raise InvalidArgumentError(f"{where}: {key!r} is unknown. Known are {', '.join(KEYS)}.")
    fits = {
        **dict.fromkeys(_TEXTS, ("text", isinstance(value, str) and bool(value))),
        **dict.fromkeys(_LISTS, ("a list of texts", _is_texts(value))),
        **dict.fromkeys(_TRUTHS, ("true or false", isinstance(value, bool))),
        **dict.fromkeys(_NUMBERS, ("a whole number", type(value) is int)),
        **dict.fromkeys(_DURATIONS, ('a span of time such as "12h" or "7d"', _is_duration(value))),
    }
    kind, is_right = fits[key]
    if not is_right:
        raise InvalidArgumentError(f"{where}: {key} must be {kind}, and not empty.")


def _is_duration(value: object) -> bool:
    return isinstance(value, str) and bool(duration(value))


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)


def _load(file: Path) -> Mapping[str, Any]:
    try:
        return _with_hidden_tokens(tomllib.loads(_read_private(file, "The file of profiles")))
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgumentError(f"{file} is not TOML: {sentence(str(error))}") from None


def _with_hidden_tokens(document: dict[str, Any]) -> Mapping[str, Any]:
    profiles = document.get("profiles")
    for table in profiles.values() if isinstance(profiles, dict) else ():
        if isinstance(table, dict) and "token" in table:
            table["token"] = Secret(table["token"])
    return document


def _read_private(path: Path, what: str) -> str:
    """Return the text of a file that the user owns and that nobody else may read or change (POSIX)."""
    try:
        return private_bytes(path, what, HOLDS_TOKEN).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"{what} {path} is not UTF-8 text.") from None


def private_bytes(path: Path, what: str, why: str) -> bytes:
    """Return the content of a file that the user owns and that nobody else may read or change (POSIX).

    ``why`` is part of the error: what other people could do with the file, and what to do if one of them may have
    read it.
    """
    try:
        content, status = storage.read_regular(path, LARGEST)
    except OSError as error:
        raise InvalidArgumentError(f"{what} {path} cannot be read: {error.strerror}.") from error
    if sys.platform != "win32":
        _refuse_open_to_others(status, path, what, why)
    if len(content) > LARGEST:
        raise InvalidArgumentError(f"{what} {path} is larger than {LARGEST} bytes.")
    return content


def _refuse_open_to_others(found: os.stat_result, path: Path, what: str, why: str) -> None:
    if sys.platform == "win32":
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise InvalidArgumentError(
            f"{what} {path} belongs to another user, so it is not used. Change its owner, or name another file."
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidArgumentError(
            f"{what} {path} can be read or changed by others (mode {stat.S_IMODE(found.st_mode):04o}). Close "
            f"it: chmod 600 '{path}'. {why}."
        )


def _unsealed(command: tuple[str, ...], sealed: bytes) -> bytes:
    """Decrypt bytes with the profile's command. Its output is personal data, so no error quotes it."""
    try:
        done = subprocess.run(command, input=sealed, stdout=subprocess.PIPE, timeout=PATIENCE, check=False)  # noqa: S603 - the profile, which only its owner may change, names it
    except subprocess.TimeoutExpired:
        raise InvalidArgumentError(
            f"The unseal command {command[0]!r} took longer than {PATIENCE:g} s."
        ) from None
    except OSError as error:
        raise InvalidArgumentError(
            f"The unseal command {command[0]!r} cannot be run: {error.strerror}."
        ) from None
    if done.returncode:
        raise InvalidArgumentError(f"The unseal command {command[0]!r} ended with {done.returncode}.")
    return done.stdout


def _from_command(profile: Profile) -> Secret:
    """Return the output of the token command. The output is a secret, so no error quotes it."""
    name = profile.token_command[0]
    try:
        code, printed = _run(profile)
    except subprocess.TimeoutExpired:
        raise InvalidArgumentError(f"The token command {name!r} took longer than {PATIENCE:g} s.") from None
    except OSError as error:
        raise InvalidArgumentError(f"The token command {name!r} cannot be run: {error.strerror}.") from None
    if code or not printed.reveal():
        how = f"ended with {code}" if code else "printed no text"
        raise InvalidArgumentError(
            f"The token command {name!r} {how}, so there is no token.", reason="NO_TOKEN"
        )
    return printed


def _run(profile: Profile) -> tuple[int, Secret]:
    """Run the token command; return its exit code and its output as text ("" if the output is not text)."""
    done = subprocess.run(profile.token_command, stdout=subprocess.PIPE, timeout=PATIENCE, check=False)  # noqa: S603 - see above
    try:
        return done.returncode, Secret(done.stdout.decode("utf-8").strip())
    except UnicodeDecodeError:
        return done.returncode, Secret("")
