"""A live service and a reference server at once, as real processes have them: which of the two is spoken to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from attrs import frozen

from e2e.fork_server import run_forked, warm
from mock_server import MockTraining, Policy

RESET = "POST /training/courseprogress/v1/reset"
LIVE_TOKEN = "scapi_live_0123456789abcdef"


@frozen
class Live:
    """A service that looks live, and a home whose default profile is for it."""

    mock: MockTraining
    url: str
    home: Path

    def environment(self, **more: str) -> Mapping[str, str]:
        ours = ("SAFETYCULTURE_", "TRAINING_SDK_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        own = {"XDG_CONFIG_HOME": str(self.home), "HOME": str(self.home), "LIVE_URL": self.url}
        return kept | own | {"TRAINING_SDK_STATE_DIR": str(self.home / "state")} | more

    def profile(self, text: str) -> None:
        folder = self.home / "training-sdk"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "profiles.toml"
        file.touch(mode=0o600)
        file.write_text(f'default = "live"\n[profiles.live]\n{text}\n')


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    mock = MockTraining.generate(users=5, courses=3, policy=Policy(plays="live"))
    with mock.serve() as server:
        found = Live(mock, server.url, tmp_path / "home")
        found.profile(f'base_url = "{server.url}"\ntoken = "{mock.token("admin")}"')
        yield found


def run(live: Live, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=live.environment(**environment)
    )


def command(live: Live, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_forked("training_sdk.cli", arguments, cwd=live.home, env=live.environment(**environment))


def rehearse(live: Live, *script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(live, *warm("mock_server"), "rehearse", "--", *script, **environment)


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[tuple[MockTraining, str]]:
    mock = MockTraining.demo()
    with mock.serve() as server:
        yield mock, server.url


def test_environment_and_profile_that_name_two_services_are_refused(
    live: Live, rehearsal: tuple[MockTraining, str]
) -> None:
    mock, url = rehearsal
    there = {"SAFETYCULTURE_BASE_URL": url, "SAFETYCULTURE_API_TOKEN": mock.token("admin")}
    before = len(mock.calls)
    refused = command(live, "courses", **there)
    assert refused.returncode == 2
    for said in (live.url, url, "--profile none", "TRAINING_SDK_PROFILE=none", "Nothing was sent"):
        assert said in refused.stderr
    assert f"SAFETYCULTURE_BASE_URL is {url}, but the token of profile 'live' is for {live.url}" in (
        command(live, "doctor", **there).stdout
    )
    assert (len(live.mock.calls), len(mock.calls)) == (0, before)
    by_option = command(live, "courses", "--profile", "none", **there)
    by_variable = command(live, "courses", TRAINING_SDK_PROFILE="none", **there)
    for done in (by_option, by_variable):
        assert done.returncode == 0, done.stderr
        assert "Forklift basics" in done.stdout
    assert len(live.mock.calls) == 0


def test_the_token_of_a_profile_without_an_address_goes_to_the_vendor_only(
    live: Live, rehearsal: tuple[MockTraining, str]
) -> None:
    mock, url = rehearsal
    before = len(mock.calls)
    live.profile(f'token = "{LIVE_TOKEN}"')
    assert command(live, "courses", SAFETYCULTURE_BASE_URL=url).returncode == 2
    assert command(live, "courses", "--base-url", url).returncode == 2
    assert len(mock.calls) == before


def test_a_profile_without_a_token_source_is_no_disagreement(
    live: Live, rehearsal: tuple[MockTraining, str]
) -> None:
    mock, url = rehearsal
    live.profile(f'base_url = "{live.url}"\nmax_users = 5')
    there = {"SAFETYCULTURE_BASE_URL": url, "SAFETYCULTURE_API_TOKEN": mock.token("admin")}
    done = command(live, "courses", **there)
    assert done.returncode == 0, done.stderr
    assert "Forklift basics" in done.stdout
    assert len(live.mock.calls) == 0


def test_a_rehearsal_of_the_command_line_does_not_speak_to_the_live_service(live: Live) -> None:
    done = rehearse(live, *warm("training_sdk.cli"), "courses")
    assert done.returncode == 0, done.stderr
    assert "ListCourses -> 200" in done.stdout
    assert "Forklift basics" in done.stdout
    assert len(live.mock.calls) == 0


REACHING = {
    "in code": "TrainingClient(token, base_url=live).users.me()",
    "async": "asyncio.run(AsyncTrainingClient(token, base_url=live).users.me())",
    "the vendor's": "TrainingClient(token, base_url='https://api.safetyculture.io').users.me()",
    "the environment cleared": "os.environ.pop('SAFETYCULTURE_BASE_URL'); TrainingClient(token).users.me()",
    "another environment": "os.environ['SAFETYCULTURE_BASE_URL'] = live; TrainingClient(token).users.me()",
    "the contract kit": "Wire.to(live).send('GET', '/accounts/user/v1/user:WhoAmI', token)",
}


@pytest.mark.parametrize("way", REACHING)
def test_no_client_of_a_rehearsed_script_reaches_another_address(live: Live, way: str) -> None:
    script = f"""
import asyncio, os
from training_sdk import AsyncTrainingClient, InvalidArgumentError, TrainingClient
from training_sdk.testing.contract import Wire
live, token = os.environ["LIVE_URL"], "{live.mock.token("admin")}"
try:
    {REACHING[way]}
except InvalidArgumentError as refused:
    print(refused.reason)
"""
    done = rehearse(live, sys.executable, "-c", script)
    assert "OTHER_SERVICE" in done.stdout, done.stderr
    assert len(live.mock.calls) == 0


@pytest.mark.parametrize("options", [("--profile", "live"), ("--base-url",)])
def test_no_option_of_a_rehearsed_command_reaches_another_address(
    live: Live, options: tuple[str, ...]
) -> None:
    named = (*options, live.url) if options == ("--base-url",) else options
    done = rehearse(live, *warm("training_sdk.cli"), "courses", *named)
    assert done.returncode == 2
    assert len(live.mock.calls) == 0
    live.profile(f'base_url = "{live.url}"')  # no token source: the environment's address goes first
    again = rehearse(live, *warm("training_sdk.cli"), "courses", *named)
    assert again.returncode == (2 if "--base-url" in named else 0), again.stderr
    assert len(live.mock.calls) == 0


def test_a_rehearsed_script_that_unsets_the_profile_variable_is_refused_too(live: Live) -> None:
    done = rehearse(live, "env", "-u", "TRAINING_SDK_PROFILE", *warm("training_sdk.cli"), "courses")
    assert done.returncode == 2
    gone = ("env", "-u", "TRAINING_SDK_PROFILE", "-u", "SAFETYCULTURE_BASE_URL")
    assert rehearse(live, *gone, *warm("training_sdk.cli"), "courses").returncode == 2
    assert len(live.mock.calls) == 0
