"""Rehearsals that are ended from outside, and scripts that are: nothing stays behind, and the story is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

ASK = """
import os, signal, sys, time, urllib.request
ask = urllib.request.Request(os.environ["SAFETYCULTURE_BASE_URL"] + "/accounts/user/v1/user:WhoAmI")
ask.add_header("Authorization", "Bearer " + os.environ["SAFETYCULTURE_API_TOKEN"])
urllib.request.urlopen(ask).read()
records = os.environ["TRAINING_SDK_STATE_DIR"]
open(os.path.join(records, "audit.jsonl"), "w").write("somebody")
print(os.getpid(), records, flush=True)
"""
WAITS = ASK + "time.sleep(600)"
STUBBORN = "import signal\nfor each in (1, 2, 15): signal.signal(each, signal.SIG_IGN)\n" + WAITS
ENDS_WELL = (
    "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('tidied', flush=True), sys.exit(0)))\n"
    + WAITS
)


@contextmanager
def rehearsing(*command: str) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """A rehearsal without a terminal whose script has asked one thing; with the script's process and records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mock_server", "rehearse", "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        pid, _, records = process.stdout.readline().strip().partition(" ")
        assert (Path(records) / "audit.jsonl").exists()
        yield process, int(pid), Path(records)
    finally:
        process.kill()
        process.communicate()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_rehearsal_that_is_ended_stops_its_script_tells_the_story_and_leaves_nothing(name: str) -> None:
    number = signal.Signals[name]
    with rehearsing(sys.executable, "-c", WAITS) as (process, pid, records):
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert f"{name} ended the rehearsal and stopped the script: exit code {128 + number}." in out
        assert "WhoAmI -> 200: 1" in out
        assert "mock_server" not in err
        assert not is_running(pid)
        assert not records.exists()


def test_what_a_script_has_started_is_stopped_with_it() -> None:
    shell = f'"{sys.executable}" -c "$0"; echo never'
    with rehearsing("sh", "-c", shell, WAITS) as (process, pid, records):
        process.terminate()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 143
        assert "never" not in out
        assert not is_running(pid)
        assert not records.exists()


def test_a_script_may_tidy_up_before_it_ends() -> None:
    with rehearsing(sys.executable, "-c", ENDS_WELL) as (process, pid, _):
        process.terminate()
        out, _ = process.communicate(timeout=60)
        assert out.index("tidied") < out.index("SIGTERM ended the rehearsal")
        assert process.returncode == 143
        assert not is_running(pid)


def test_a_script_that_will_not_end_is_killed() -> None:
    with rehearsing(sys.executable, "-c", STUBBORN) as (process, pid, records):
        process.terminate()
        out, _ = process.communicate(timeout=60)
        assert "SIGTERM ended the rehearsal" in out
        assert not is_running(pid)
        assert not records.exists()


def test_a_script_ended_by_a_signal_is_told_as_shells_tell_it() -> None:
    with rehearsing(sys.executable, "-c", WAITS) as (process, pid, _):
        os.kill(pid, signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        assert "The script was ended by SIGKILL: exit code 137." in out
        assert "WhoAmI -> 200: 1" in out
        assert process.returncode == 137


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    script = ASK + "os.kill(os.getppid(), signal.SIGHUP); time.sleep(1); sys.exit(3)"
    command = f'trap "" HUP; exec "{sys.executable}" -m mock_server rehearse -- "{sys.executable}" -c "$0"'
    done = subprocess.run(
        ["sh", "-c", command, script], capture_output=True, text=True, start_new_session=True
    )
    assert done.returncode == 3, done.stderr


@pytest.mark.parametrize("command", [["rehearse", "--", sys.executable, "-c", "pass"], ["openapi"]])
def test_a_reader_that_has_seen_enough_is_no_trouble(command: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mock_server", *command], stdout=write, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
