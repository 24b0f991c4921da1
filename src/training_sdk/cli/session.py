"""Parts that all commands share: options, profile, client and output."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
from attrs import define, evolve, field

from training_sdk.cli.error_messages import carried_options, message_of, options_of, text_of
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import Output
from training_sdk.cli.profiles import Profile, find_profile
from training_sdk.client import TrainingClient
from training_sdk.client_options import BASE_URL_VARIABLE, allowed_address
from training_sdk.errors import InvalidArgumentError, PermissionDeniedError, TrainingError
from training_sdk.evidence import packs_in
from training_sdk.plans.wording import COMMANDS, ShellCommands
from training_sdk.records.state import StateDirectory


@define
class Invocation:
    """Facts about one run of the program that its messages need, including the message of a final error."""

    options: dict[str, str] = field(factory=dict)
    """The options of the command, by the names of their parameters."""
    commands: ShellCommands = COMMANDS
    """The commands that messages advise: with the plan that was named and the options that they repeat."""
    token_source: str = ""
    everyone: bool = False
    """True if to list all people, however many they are."""
    recorded: str = ""
    """Sentence that names the record of what the command did; empty until it is recorded."""

    def message_of(self, error: TrainingError) -> str:
        """Return the message of an error, without status and ids."""
        return message_of(error, self.options, self.commands)

    def text_of(self, error: TrainingError) -> str:
        """Return the message of an error, with status and ids."""
        return text_of(error, self.options, self.commands)


@define
class Session:
    """One run of one command."""

    out: Output
    profile: Profile
    base_url: str | None = None
    own_state_dir: Path | None = None
    max_retry: float | None = None
    invocation: Invocation = field(factory=Invocation)
    _clients: list[TrainingClient] = field(factory=list)

    def client(self, *, may_write: bool = False, max_retry: float | None = None) -> TrainingClient:
        """Return a client of the profile. It cannot write unless the command resets people.

        ``max_retry``: seconds for retries, unless --max-retry is given. Without both, the client gives up after 10 s
        if the server does not answer.
        """
        profile = self.profile
        address = self._address()  # before a token is asked for
        client = TrainingClient(
            profile.find_token().reveal(),
            base_url=address,
            allow_insecure_http=profile.allow_insecure_http,
            read_only=profile.read_only or not may_write,
            safeguards=profile.safeguards,
            state_dir=self.state_dir,
            max_retry_seconds=max_retry if self.max_retry is None else self.max_retry,
        )
        self._clients.append(client)
        return client

    def _address(self) -> str | None:
        """Return the address of the service.

        Raises InvalidArgumentError if the profile's token does not belong there.
        """
        profile, environment = self.profile, os.environ.get(BASE_URL_VARIABLE)
        profile.check_service(self.base_url, "--base-url")
        profile.check_service(environment, BASE_URL_VARIABLE)
        # A token of the environment goes where the environment says.
        of_environment = None if profile.has_token_source else environment
        named = (
            (self.base_url, "--base-url"),
            (of_environment, BASE_URL_VARIABLE),
            (profile.base_url, f"the base URL of profile {profile.name!r}"),
        )
        address, name = next(((address, name) for address, name in named if address), (None, ""))
        if address is not None:
            allowed_address(address, allow_insecure_http=profile.allow_insecure_http, name=name)
        return address

    @property
    def state_dir(self) -> Path | None:
        """Directory of the records from the option or the profile; None if neither names one."""
        return self.own_state_dir or self.profile.state_dir

    def state(self) -> StateDirectory:
        """Return the existing state directory. Raises InvalidArgumentError if there is none yet."""
        found = StateDirectory.existing(self.state_dir)
        if found is None:
            raise InvalidArgumentError(
                "There is no state directory: no plan was applied on this machine yet. Apply a plan first, or name the "
                "directory with --state-dir or TRAINING_SDK_STATE_DIR."
            )
        return found

    def packs(self) -> tuple[Path, ...]:
        """Return the folders of the evidence packs of this machine."""
        state = StateDirectory.existing(self.state_dir)
        if state is None or not (state.path / "evidence").is_dir():
            return ()
        return packs_in(state.evidence)

    def commands(self, plan: Path | str | None = None) -> ShellCommands:
        """Return the commands that messages advise, about a plan file or that of the command line."""
        commands = self.invocation.commands
        return commands if plan is None else evolve(commands, plan=shlex.quote(str(plan)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()


_OPTIONS = (
    click.option("--profile", metavar="NAME", help='The profile to use; "none" works without a profile.'),
    click.option("--profiles", metavar="FILE", help="The file of profiles, instead of the default one."),
    click.option("--base-url", metavar="URL", help="The base URL of the server, if no profile names one."),
    click.option(
        "--state-dir",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="The directory of plans, journals, evidence and the audit log.",
    ),
    click.option(
        "--max-retry",
        type=float,
        metavar="SECONDS",
        help="Retry for at most this time. [default: 90 s; 10 s if no server has answered yet]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document for programs."),
)


_COMMON = ("profile", "profiles", "base_url", "state_dir", "max_retry", "as_json")


def _common(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that all commands share, from those given to the command or to its group.

    Raises InvalidArgumentError if they contradict each other.
    """
    before = {} if context.parent is None else context.parent.params
    found: dict[str, Any] = {}
    for name in _COMMON:
        own, earlier = given.pop(name), before.get(name)
        is_given, was_given = (value is not None and value is not False for value in (own, earlier))
        if is_given and was_given and own != earlier:
            raise InvalidArgumentError(
                f"--{name.replace('_', '-')} is {str(earlier)!r} before {context.info_name!r}, and {str(own)!r} after "
                "it. Nothing was done. Leave one out."
            )
        found[name] = own if is_given or not was_given else earlier
    return found


def _list_everyone(context: click.Context, _: click.Parameter, value: bool) -> None:
    invocation = context.find_object(Invocation)
    if invocation is not None and value:
        invocation.everyone = True


ALL = (
    click.option(
        "--all",
        is_flag=True,
        expose_value=False,
        callback=_list_everyone,
        help="List all people. By default a terminal lists them if they fit on a page, else the first ten.",
    ),
)
"""Options for commands that show a plan, a report or a verification."""


def _commands(given: Mapping[str, Any], common: Mapping[str, object]) -> ShellCommands:
    """Return the commands to advise about the plan that was named, as it was typed."""
    commands, plan = ShellCommands(carried_options(common)), given.get("plan")
    if plan is None or is_pipe(Path(plan)):
        return commands
    return evolve(commands, plan=shlex.quote(str(plan)))


def with_session(function: Callable[..., ExitCode | None]) -> Callable[..., ExitCode]:
    """Add the options that all commands share, and pass the command a session made from them."""

    @wraps(function)
    def called(**given: Any) -> ExitCode:
        context = click.get_current_context()
        common = _common(context, given)
        invocation = context.find_object(Invocation) or Invocation()
        profile = find_profile(common["profile"], common["profiles"])
        invocation.options = options_of(context.command)
        invocation.commands = _commands(given, common)
        invocation.token_source = profile.token_source
        with Session(
            Output(common["as_json"], everyone=invocation.everyone),
            profile,
            common["base_url"],
            common["state_dir"],
            common["max_retry"],
            invocation,
        ) as session:
            code = function(session, **given)
        return ExitCode.DONE if code is None else code

    decorated: Callable[..., ExitCode] = called
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def is_pipe(path: Path) -> bool:
    """Return True for a pipe or a device: it can be read only once."""
    return path.exists() and not path.is_file() and not path.is_dir()


def is_allowed(read: Callable[[], object]) -> bool | None:
    """Return whether the token may read something; None if the answer does not show that."""
    try:
        read()
    except PermissionDeniedError:
        return False
    except TrainingError:
        return None
    return True


def may_read_figures(client: TrainingClient) -> bool | None:
    """Return whether the token may read the statistics of courses, which shows whether it sees other people."""
    return is_allowed(lambda: next(iter(client.analytics.course_statistics().pages()), None))


def may_list_people(client: TrainingClient) -> bool | None:
    """Return whether the token may list users. Only its owner is asked for."""
    return is_allowed(lambda: next(iter(client.users.list(ids=[client.users.me().user_id]).pages()), None))


CHECK_SECONDS = 10.0
"""The longest time for retries of a check of permissions: the result that it is about is there already."""
TO_SEE_ALL = 'To include everything, use a token with "Training: Administration".'
NOT_KNOWN = (
    "It is not known whether this token sees everything, because the service did not answer the check of its "
    "permissions. Something may be missing in the result. Run training-sdk doctor."
)


def _for_checks(client: TrainingClient) -> TrainingClient:
    """Return a client that gives up a check of permissions sooner than what the command is for."""
    return client.with_options(max_retry_seconds=min(CHECK_SECONDS, client._options.max_retry_seconds))


def about_restricted_view(client: TrainingClient) -> tuple[str, ...]:
    """Return a warning if this token sees the progress of some people only.

    The service lists what the token may see, and does not tell that there is more. A token with "Platform management:
    Users" and "Training: Manage teams" reads the statistics and the users, and is not told from one that sees everyone.
    """
    client = _for_checks(client)
    figures = may_read_figures(client)
    if figures is False:
        return (
            "This token sees the progress of its owner only: the service refuses the statistics. "
            f"Other people are missing in the result. {TO_SEE_ALL}",
        )
    people = may_list_people(client)
    if people is False:
        return (
            "This token likely sees the people of its owner's teams only: the service refuses the list of users. "
            f"Other people are missing in the result. {TO_SEE_ALL}",
        )
    return () if figures and people else (NOT_KNOWN,)


def about_restricted_catalogue(client: TrainingClient) -> tuple[str, ...]:
    """Return a warning if this token sees some courses and learning paths only, as a learner's does."""
    client = _for_checks(client)
    figures = may_read_figures(client)
    people = None if figures else may_list_people(client)
    if figures or people:
        return ()
    if figures is None or people is None:
        return (NOT_KNOWN,)
    return (
        "This token likely sees only what is published and assigned to its owner: the service refuses the statistics "
        f"and the list of users. Other courses and learning paths are missing in the result. {TO_SEE_ALL}",
    )
