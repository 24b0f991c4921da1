"""A user without HOME and without an entry in the passwd file, as in a container with an arbitrary user."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from e2e.training_sdk_process import PATIENCE, Server, serving

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
CAN_BECOME_ANOTHER = os.geteuid() == 0 and all(
    path.stat().st_mode & stat.S_IXOTH for path in (Path(sys.base_prefix), *Path(sys.base_prefix).parents)
)
"""Whether this process may change its user, and that user then finds Python itself."""
UID = 54_321 if CAN_BECOME_ANOTHER else os.getuid()
PROGRAM = """
import contextlib, io, json, os, pwd, sys
from importlib import import_module
main = getattr(import_module(sys.argv[1]), "main")
if {uid} != os.getuid():
    os.setgroups([]); os.setgid({uid}); os.setuid({uid})
else:
    def getpwuid(uid):
        raise KeyError(uid)
    pwd.getpwuid = getpwuid
ends = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    ends.append([code, out.getvalue(), err.getvalue()])
json.dump(ends, sys.stdout)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of that user, below one that all users may enter."""
    with tempfile.TemporaryDirectory() as name:
        if CAN_BECOME_ANOTHER:
            os.chown(name, UID, UID)
        yield Path(name)


def ends(module: str, commands: Sequence[str], folder: Path, environment: Mapping[str, str]) -> list[Any]:
    """How each of the commands ended, all of them in one process: exit code, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(uid=UID), module],
        input=json.dumps([[part.replace("\0", " ") for part in command.split()] for command in commands]),
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_reading_needs_no_home_and_records_name_the_remedy(server: Server, folder: Path) -> None:
    environment = {"SAFETYCULTURE_BASE_URL": server.url, "SAFETYCULTURE_API_TOKEN": server.tokens["admin"]}
    reading = ["--version", "whoami", "courses", f"progress --course {COURSE}", "completion bash"]
    recording = [
        f"plan --course {COURSE} --user {SIOBHAN} --save plan.json",
        f"due --course {COURSE} --years 1 --zone UTC",
        *(
            "report --list",
            "audit show",
            "audit verify",
            "audit head",
            "evidence verify",
            "evidence purge --older-than 9",
        ),
        *("verify plan.json", "--state-dir ~/state audit show", "--state-dir ~nobody-here/state audit show"),
    ]
    found = ends(
        "training_sdk.cli", [*reading, "doctor", *recording, "courses --profile acme"], folder, environment
    )
    assert [code for code, _, _ in found[: len(reading)]] == [0] * len(reading), found
    code, out, _ = found[len(reading)]
    assert (code, "no home directory" in out) == (1, True)  # an error among the others of doctor
    for command, (code, _, err) in zip(recording, found[len(reading) + 1 :], strict=False):
        assert (code, "Traceback" in err) == (2, False), (command, err)
        assert ("--state-dir or TRAINING_SDK_STATE_DIR" in err) is ("~" not in command), (command, err)
    assert (found[-1][0], "TRAINING_SDK_PROFILES" in found[-1][2]) == (2, True)
    assert not [*folder.iterdir()], "nothing is written, also not into a folder named ~"


def test_with_the_state_directory_named_everything_works(server: Server, folder: Path) -> None:
    environment = {
        "SAFETYCULTURE_BASE_URL": server.url,
        "SAFETYCULTURE_API_TOKEN": server.tokens["admin"],
        "TRAINING_SDK_STATE_DIR": str(folder / "state"),
    }
    ((code, out, err),) = ends(
        "training_sdk.cli",
        [f"plan --course {COURSE} --user {SIOBHAN} --save plan.json --json"],
        folder,
        environment,
    )
    assert code == 0, err
    phrase = json.loads(out)["phrase"].replace(" ", "\0")
    commands = [
        f"apply plan.json --reason Yearly --confirm {phrase} --json",
        *("report plan.json", "report --list", "audit show", "audit verify", "evidence verify", "doctor"),
        f"plan --course {COURSE} --everyone --save signed.json --key plan.json",
    ]
    *found, signed = ends("training_sdk.cli", commands, folder, environment)
    assert [code for code, _, _ in found] == [0] * len(found), found
    assert f"uid {UID}" in found[3][1]  # the audit log names the user
    assert (signed[0], "SSH_KEYGEN_NO_USER" in signed[2], "/etc/passwd" in signed[2]) == (4, True, True)


def test_the_reference_server_needs_no_home(server: Server, folder: Path) -> None:
    read = "import urllib.request,os;urllib.request.urlopen(os.environ['SAFETYCULTURE_BASE_URL']+'/openapi.json')"
    commands = [
        *("openapi", f"token admin --url {server.url}", f"env --url {server.url}"),
        f"rehearse -- {sys.executable} -c {read.replace(' ', chr(0))}",
    ]
    found = ends("mock_server.cli", commands, folder, {"TRAINING_SDK_STATE_DIR": str(folder / "state")})
    assert [code for code, _, _ in found] == [0] * len(commands), found
