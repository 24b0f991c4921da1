"""The jobs of the guide for CI: sound by their vendors' schemas, and their steps run as they stand.

What stands for the runner is small: it has a user's repository in a directory, runs a job's lines there one step after
the other with the variables that the job gives them, and at the end ends what they left running. A service is a real
process with the container file's command.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from attrs import field, frozen
from ruamel.yaml import YAML

from docs import _generate

PAGE = (_generate.DOCS / "how-to" / "other-languages.md").read_text(encoding="utf-8")
DOCKERFILE = (_generate.ROOT / "container" / "Dockerfile").read_text(encoding="utf-8")
PROCESS, CONTAINER, GITLAB = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCHEMAS = [
    pytest.param(PROCESS, "vendor.github-workflows", id="process"),
    pytest.param(CONTAINER, "vendor.github-workflows", id="container"),
    pytest.param(GITLAB, "vendor.gitlab-ci", id="gitlab"),
]

# The user's own tests: they ask whatever address the job told them. Only a service's name leads anywhere.
ASK = """#!/bin/sh
set -eu
ask() { curl --silent --noproxy '*' $WAY --output answer --write-out '%{http_code}' "$@"; }
test "$(ask "$SAFETYCULTURE_BASE_URL/_mock/health")" = 200
test "$(ask --request POST "$SAFETYCULTURE_BASE_URL/_mock/worlds")" = "$WITHOUT_SECRET"
test -z "${TRAINING_MOCK_SECRET-}" && exit
test "$(ask --request POST --header "X-Training-Mock-Secret: $TRAINING_MOCK_SECRET" \\
  "$SAFETYCULTURE_BASE_URL/_mock/worlds")" = 201
"""


@frozen
class Step:
    """What a job has run, and the variables it is given."""

    script: str
    env: dict[str, str]


@frozen
class Service:
    """A container beside the job: its name in the network, and its variables."""

    name: str
    env: dict[str, str]


@frozen
class Job:
    """What both vendors' jobs come down to."""

    steps: list[Step]
    service: Service | None = field(default=None)


def github(text: str) -> Job:
    (job,) = YAML(typ="safe").load(text)["jobs"].values()
    steps = [Step(each["run"], each.get("env", {})) for each in job["steps"] if "run" in each]
    services = [Service(name, each["env"]) for name, each in job.get("services", {}).items()]
    return Job(steps, *services)


def gitlab(text: str) -> Job:
    """A job's variables reach its services too."""
    (job,) = YAML(typ="safe").load(text).values()
    (service,) = job["services"]
    return Job(
        [Step("\n".join(job["script"]), job["variables"])], Service(service["alias"], job["variables"])
    )


def test_no_job_takes_a_secret_that_a_pull_request_from_a_fork_lacks() -> None:
    assert "secrets." not in PROCESS + CONTAINER + GITLAB


# --- what stands for the runner ----------------------------------------------------------------------------------


def around(**variables: str) -> dict[str, str]:
    """This machine's variables without those that a user's job would not have."""
    ours = re.compile(r"SAFETYCULTURE_|TRAINING_|PYTHON|VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not ours.match(name)}
    return kept | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | variables


def words(instruction: str) -> list[str]:
    """The words of the container file's instruction, which is its last of that name."""
    return [
        str(each)
        for each in json.loads(re.findall(rf"{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])
    ]


@contextmanager
def serving(service: Service) -> Iterator[dict[str, str]]:
    """A process with the image's command, here alone; the variables with which its name leads to it."""
    program, command, *options = [*words("ENTRYPOINT"), *words("CMD")]
    inside = options[options.index("--port") + 1]
    assert program == "training-mock"
    server = subprocess.Popen(
        [sys.executable, "-m", "mock_server", command, *options, "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=around(**service.env),
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        address = line.removeprefix("training-mock listening on http://").strip()
        assert address != line.strip(), "the service did not start"
        yield {"WAY": f"--connect-to {service.name}:{inside}:{address}", "WITHOUT_SECRET": "403"}
    finally:
        server.terminate()
        server.communicate()


def run(job: Job, home: Path, **variables: str) -> None:
    """Run the job's steps in a user's repository, as a runner does; the first that fails ends it."""
    home.mkdir()
    tests = home / "run-your-tests.sh"
    tests.write_text(ASK, encoding="utf-8")
    tests.chmod(0o755)
    (home / "training-sdk").symlink_to(_generate.ROOT)
    with ExitStack() as end:
        way = end.enter_context(serving(job.service)) if job.service else {"WAY": "", "WITHOUT_SECRET": "201"}
        for step in job.steps:
            log = end.enter_context((home / "log").open("w"))
            env = around(**way, **variables) | step.env
            shell = subprocess.Popen(
                ["bash", "-e", "-c", step.script],
                cwd=home,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            end.callback(end_group, shell.pid)
            assert shell.wait() == 0, f"{step.script}\n{(home / 'log').read_text()}"


def end_group(leader: int) -> None:
    """End what a step left running in the background."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)


def elsewhere(text: str) -> str:
    """The text with the port at which a process listens changed to one that is free here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return text.replace("8765", str(free.getsockname()[1]))


# --- the schemas -------------------------------------------------------------------------------------------------


def complaints(text: str, schema: str, folder: Path) -> str:
    """What the vendor's schema has against a text; nothing if that is nothing."""
    file = folder / "ci.yml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env=around())
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(("text", "schema"), SCHEMAS)
def test_every_job_is_sound_by_its_vendors_schema(text: str, schema: str, tmp_path: Path) -> None:
    assert complaints(text, schema, tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "schema", "right", "wrong"),
    [
        pytest.param(PROCESS, "vendor.github-workflows", "runs-on:", "run-on:", id="process"),
        pytest.param(
            CONTAINER, "vendor.github-workflows", "        image:", "        picture:", id="container"
        ),
        pytest.param(GITLAB, "vendor.gitlab-ci", "      alias:", "      als:", id="gitlab"),
    ],
)
def test_a_misspelt_job_is_refused(text: str, schema: str, right: str, wrong: str, tmp_path: Path) -> None:
    assert text.count(right) == 1
    assert "Schema validation errors" in complaints(text.replace(right, wrong), schema, tmp_path)


# --- the steps ---------------------------------------------------------------------------------------------------

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
@pytest.mark.parametrize("job", [github(CONTAINER), gitlab(GITLAB)], ids=["github", "gitlab"])
def test_the_jobs_with_a_service_reach_it_by_its_name_and_with_its_secret(job: Job, tmp_path: Path) -> None:
    assert job.service
    run(job, tmp_path / "home")


@needs_curl
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("http://training-mock:8765", "http://training-mock:8766", id="port"),
        pytest.param("http://training-mock:8765", "http://mock:8765", id="name"),
        pytest.param("alias: training-mock", "alias: training", id="alias"),
        pytest.param("TRAINING_MOCK_SECRET:", "TRAINING_SECRET:", id="secret"),
        pytest.param("./run-your-tests.sh", "./run-our-tests.sh", id="script"),
    ],
)
def test_a_job_that_lies_fails(right: str, wrong: str, tmp_path: Path) -> None:
    assert GITLAB.count(right) == 1
    with pytest.raises(AssertionError, match=r"run-(y)?our-tests\.sh"):
        run(gitlab(GITLAB.replace(right, wrong)), tmp_path / "home")


@pytest.mark.heavy
@needs_curl
def test_the_job_with_a_process_installs_it_and_reaches_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "python", with_pip=True)
    path = f"{tmp_path / 'python' / 'bin'}:{os.environ['PATH']}"
    run(github(elsewhere(PROCESS)), tmp_path / "home", PATH=path)
