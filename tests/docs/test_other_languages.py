"""The examples in other languages, run as they stand; and what can be said of the container file without a daemon."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from docs import _generate
from mock_server import MockTraining

PAGE = (_generate.DOCS / "how-to" / "other-languages.md").read_text(encoding="utf-8")
DOCKERFILE = (_generate.ROOT / "container" / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (_generate.ROOT / "container" / "Dockerfile.dockerignore").read_text(encoding="utf-8")


def example(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(params=["", "open sesame"], ids=["open", "with a secret"])
def secret(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(mock: MockTraining, command: list[str], text: str, secret: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with mock.serve(secret=secret or None) as server:
        env = os.environ | ({"TRAINING_MOCK_SECRET": secret} if secret else {})
        env |= {
            "SAFETYCULTURE_BASE_URL": server.url,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        done = subprocess.run(command, input=text, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_javascript_example_resets_and_sees_what_changed(secret: str) -> None:
    mock = MockTraining.demo()
    said = run(mock, ["node", "--input-type=module", "-"], example("javascript"), secret)
    (entry,) = mock.audit
    reset = entry.users_updated
    assert said == f"{reset} users reset, {reset} records cleared\n"
    assert reset > 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_example_says_who_it_is(secret: str) -> None:
    mock = MockTraining.demo()
    said = run(mock, ["sh", "-eu"], example("sh"), secret)
    assert '"user_id"' in said
    assert mock.calls.of("WhoAmI").once().status == 200


def test_the_container_copies_what_the_build_needs_and_runs_without_rights() -> None:
    copied = {
        word for line in re.findall(r"^COPY (.*)", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "src", "mock_server"}
    assert all((_generate.ROOT / each).exists() for each in copied)
    assert DOCKERFILE.index("USER training") < DOCKERFILE.index("ENTRYPOINT")
    assert "SECRET=" not in DOCKERFILE
    for each in copied:
        assert f"!{each}" in IGNORED.split()
