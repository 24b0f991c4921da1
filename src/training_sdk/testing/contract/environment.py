"""Environments of the checks: organisations made over the control plane, or the one that a file of tokens gives."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen

from training_sdk._core import argument_checks
from training_sdk.errors import InvalidArgumentError
from training_sdk.records import storage
from training_sdk.testing.contract.findings import (
    BrokenRuleError,
    CannotRunError,
    HangingError,
    NotCheckedError,
)
from training_sdk.testing.contract.wire import Answer, Wire
from training_sdk.testing.contract.world import FEED, World

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


def read_config(path: str | os.PathLike[str]) -> ContractConfig:
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


NOON = "2026-12-01T12:00:00Z"
"""Time in the organisations that the contract tests make: their clocks stop until a check advances them."""
WORLDS = "/_mock/worlds"
TOKEN, SECRET = "SAFETYCULTURE_API_TOKEN", "TRAINING_MOCK_SECRET"
SECRET_REQUIRED = "CONTROL_SECRET_REQUIRED"  # noqa: S105 - a reason
EXHAUSTED = "WORLDS_EXHAUSTED"


class Environment(Protocol):
    """Place where the checks run."""

    @property
    def told(self) -> str:
        """Description of the organisation that is tested."""

    @property
    def course(self) -> str:
        """Title of the course in which real people are reset; "" if none are."""

    def one(self, policy: Mapping[str, str]) -> AbstractContextManager[World]:
        """Return the organisation for one check, with these policies.

        Raises CannotRunError if there is none, NotCheckedError if there is none with these policies.
        """


@frozen
class GivenOrganisation:
    """The one organisation whose tokens are given, for every check."""

    world: World
    course: str = ""

    @property
    def told(self) -> str:
        """Description of the organisation that is tested."""
        if self.course:
            return f"the organisation of the tokens, with its course {self.course!r}"
        return "the organisation of the tokens, read only"

    def one(self, policy: Mapping[str, str]) -> AbstractContextManager[World]:
        """Return the same organisation every time. Raises NotCheckedError for a check that needs a policy."""
        if policy:
            raise NotCheckedError(
                "This check needs an organisation that the contract tests created, with the policy "
                f"{_switches(policy)}."
            )
        return nullcontext(self.world)


@define
class CreatedWorlds:
    """Simulated organisations made over the control plane, each for one check."""

    wire: Wire
    policy: str = ""
    """Policies that the server says its organisations have."""
    course: str = ""
    _lost: str = ""
    """Reason why no more organisations are requested."""

    @contextmanager
    def one(self, policy: Mapping[str, str]) -> Iterator[World]:
        """Yield an organisation, which is deleted afterwards.

        Raises CannotRunError if none can be made, NotCheckedError if the server refuses or ignores these policies.
        """
        made = self._made(policy)
        tokens = _tokens(made)
        try:
            if not tokens:
                raise CannotRunError(f"The answer to POST {WORLDS} contains no tokens for the organisation.")
            if policy:
                _check_taken(policy, made.get("policy"))
            else:
                self.policy = _switches(made.get("policy"))
            self.wire.tokens.update(tokens.values())
            yield World(self.wire, tokens, is_own=True)
        finally:
            self._remove(made["id"])
            self.wire.tokens.difference_update(tokens.values())

    @property
    def told(self) -> str:
        """Description of the organisations that are tested."""
        switches = f", with the server's policy {self.policy}" if self.policy else ""
        return (
            f"a new demo organisation for each check{switches}, created by POST {WORLDS}; not the served one"
        )

    def _made(self, policy: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the answer that names the organisation. Raises CannotRunError if it names none, and for a refusal."""
        if self._lost:
            raise CannotRunError(self._lost)
        asked = f"POST {WORLDS}"
        try:
            wanted = {"seed": "demo", "now": NOON} | ({"policy": dict(policy)} if policy else {})
            answer = self.wire.control("POST", "worlds", body=wanted)
        except (BrokenRuleError, HangingError) as fault:
            self.wire.left.append(
                f"possibly an organisation, because {asked} got no answer. GET {WORLDS} lists them."
            )
            raise CannotRunError(f"No organisation could be created: {fault}") from None
        except KeyboardInterrupt:
            self.wire.left.append(
                f"possibly an organisation, because {asked} was interrupted. GET {WORLDS} lists them."
            )
            raise
        made = _object(answer)
        if 200 <= answer.status < 300 and isinstance(made.get("id"), str):
            return made
        if 200 <= answer.status < 300 and made:
            self.wire.left.append(
                f"possibly an organisation, because the answer to {asked} has no id. GET {WORLDS} lists them."
            )
        if policy and answer.status == 400:
            raise NotCheckedError(
                f"No organisation with the policy {_switches(policy)} can be created: {answer.came}"
            )
        raise CannotRunError(_no_world(answer, self.wire.secret))

    def _remove(self, world_id: str) -> None:
        """Delete an organisation; note a failure instead of raising it, so that the findings are not lost."""
        came = "interrupted"
        try:
            answer = self.wire.control("DELETE", f"worlds/{world_id}")
            came = "" if answer.status in (200, 204, 404) else f"answered {answer.came}"
        except BrokenRuleError as fault:
            came = f"not answered ({fault.came})"
        except CannotRunError as fault:
            came, self._lost = f"not answered ({fault})", str(fault)
        finally:
            if came:
                secret = f" -H X-Training-Mock-Secret:${SECRET}" if self.wire.secret else ""
                url = f"{self.wire.base_url}{WORLDS}/{world_id}"
                self.wire.left.append(
                    f"the organisation {world_id}, whose DELETE was {came}. Remove it: curl -X DELETE{secret} {url}"
                )


def _tokens(made: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {str(each["name"]): str(each["token"]) for each in made["tokens"]}
    except (KeyError, TypeError):
        return {}


def _check_taken(asked: Mapping[str, str], said: object) -> None:
    """Raise NotCheckedError unless the policy that the server returns contains each requested switch."""
    if not (isinstance(said, dict) and asked.items() <= said.items()):
        raise NotCheckedError(
            f"The server created an organisation, and its answer does not name the requested policy {_switches(asked)}."
        )


def _switches(policy: object) -> str:
    return ", ".join(f"{name}={value}" for name, value in policy.items()) if isinstance(policy, dict) else ""


def _object(answer: Answer) -> dict[str, Any]:
    try:
        made = answer.json()
    except BrokenRuleError:
        return {}
    return made if isinstance(made, dict) else {}


def _no_world(answer: Answer, secret: str) -> str:
    if answer.reason == SECRET_REQUIRED:
        return _about_the_secret(secret)
    if answer.reason == EXHAUSTED:
        return f"No organisation could be created: {answer.message or answer.came}"
    return (
        f"No organisation could be created: the answer to {answer.sent} was {answer.came}. For an implementation "
        "without a control plane, name a file with tokens and a course (--tokens)."
    )


def _about_the_secret(secret: str) -> str:
    which = f"The one in {SECRET} is wrong." if secret else f"Set {SECRET} to it."
    return f"The control plane requires the secret of the server ({SECRET_REQUIRED}). {which}"


def readable(wire: Wire, given: ContractConfig | None) -> World:
    """Return an organisation for reading: by the given tokens, by the environment, or from a control plane's list."""
    known = given or from_environment() or _listed(wire)
    wire.tokens.update(known.tokens.values())
    return World(wire, known.tokens, course_id=known.course)


def _listed(wire: Wire) -> ContractConfig:
    remedy = f"set {TOKEN} to the token of an administrator, or name a file with --tokens."
    if wire.is_vendors:
        raise CannotRunError(f"No token is given: {remedy}")
    try:
        answer = wire.control("GET", "tokens")
    except BrokenRuleError as fault:
        raise CannotRunError(str(fault)) from None
    tokens = _tokens(_object(answer)) if answer.status == 200 else {}
    if "admin" not in tokens:
        asked = f" {_about_the_secret(wire.secret)}" if answer.reason == SECRET_REQUIRED else ""
        raise CannotRunError(f"No token is given, and no control plane lists one: {remedy}{asked}")
    return ContractConfig(tokens)


def looked_at(world: World) -> World:
    """Return the same organisation.

    Raises CannotRunError if the admin cannot read its feed: all rules would seem broken.
    """
    try:
        answer = world.send("GET", FEED)
        fault = _unreadable(answer)
    except BrokenRuleError as broken:
        fault = str(broken)
    if fault:
        raise CannotRunError(f"Nothing was checked: {fault}")
    return world


def _unreadable(answer: Answer) -> str:
    """Return the reason why the feed cannot be read; "" if it can."""
    if answer.status == 401:
        return "the service does not accept the administrator's token. Set another one."
    said = f"the answer to {answer.sent} was {answer.came}"
    if answer.status == 403:
        return f"the administrator's token may not read the feed: {said}."
    if 300 <= answer.status < 400:
        where = dict(answer.headers).get("location", "elsewhere")
        return f"the service redirects to {where[:200]}: {said}. Check the base URL."
    if answer.status != 200:
        return f"the service does not show the feed: {said}."
    if not isinstance(_object(answer).get("data"), list):
        return f"another program than the training API answers: {said}. Check the base URL."
    return ""


def given_course(wire: Wire, given: ContractConfig, allowed: Callable[[str], bool]) -> GivenOrganisation:
    """Return the organisation whose tokens are given, and the course for the checks, once that is allowed."""
    world = looked_at(readable(wire, given))
    if not given.course:
        raise CannotRunError(
            "The file of tokens names no course. Name a test course in it: the checks reset people in this course."
        )
    try:
        found = [each["title"] for each in world.courses() if each["id"] == given.course]
    except (BrokenRuleError, NotCheckedError, LookupError) as fault:
        raise CannotRunError(f"The courses cannot be listed: {fault}") from None
    if not found:
        raise CannotRunError(
            f"The admin does not see the course {given.course!r} of the file of tokens. Correct the course or "
            "the token."
        )
    if not allowed(found[0]):
        raise CannotRunError(f"Resets in {found[0]!r} were not allowed. Nothing was changed.")
    return GivenOrganisation(world, found[0])
