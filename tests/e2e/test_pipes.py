"""Files that are pipes or devices: an input is read once and bounded; a secret in one is refused, and nothing waits."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.fork_server import warm
from e2e.training_sdk_process import PATIENCE, Desk, Server, serving
from training_sdk.cli.exit_codes import ExitCode

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
SLOW = "{{ cat {}; sleep 0.3; cat {}; }}"
"""A command that writes two files, the second one later: a single read gets the first alone."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def desk(server: Server, tmp_path: Path) -> Desk:
    return Desk(tmp_path, server)


def bash(desk: Desk, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in bash: words that begin with ``<(`` are process substitutions, all others are quoted."""
    line = " ".join(
        one if one.startswith("<(") else shlex.quote(one) for one in (*warm("training_sdk.cli"), *words)
    )
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=desk.folder,
        env=desk.environment(**environment),
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_process_substitution_is_an_input_file_like_any_other(desk: Desk) -> None:
    """R05: what comes late out of a pipe is not left out, neither people nor holds."""
    for name, text in (
        ("first", f"email\n{SIOBHAN}\n"),
        ("second", "anna.oezdemir@nordwerk.example\n"),
        ("hold", f"nobody\n{SIOBHAN}\n"),
        ("days", "user_id,date\n"),
    ):
        (desk.folder / name).write_text(text)
    people = f"<({SLOW.format('first', 'second')})"
    done = bash(desk, "plan", "--course", COURSE, "--people", people, "--save", "plan.json")
    assert done.returncode == 0, done
    assert "Plan to reset 2 people" in done.stdout
    rule = ("due", "--course", COURSE, "--zone", "UTC")
    for hold, allowed in ((f"<({SLOW.format('second', 'hold')})", 0), ("<(:)", ExitCode.USAGE)):
        due = bash(desk, *rule, "--months", "1", "--hold", hold)
        assert due.returncode == allowed
        assert allowed or f"{SIOBHAN}>, 'Forklift basics'" in due.stdout.partition("On the hold list")[2]
    dates = bash(desk, *rule, "--anniversaries", "<(cat days; sleep 0.3; echo user_1,2026-01-01)")
    assert dates.returncode == 0, dates
    shown = bash(desk, "show", "<(cat plan.json)")
    assert shown.returncode == 0
    phrase = shown.stdout.partition("type:")[2].strip()
    assert bash(desk, "sign", "<(cat plan.json)", "--confirm", phrase).returncode == ExitCode.USAGE
    save = ("--save", "plan.approval.json")
    assert bash(desk, "sign", "<(cat plan.json)", "--confirm", phrase, *save).returncode == 0
    reset = ("apply", "<(cat plan.json)", "--reason", "test", "--confirm", phrase)
    done = bash(desk, *reset, "--approval", "<(sleep 0.3; cat plan.approval.json)")
    assert done.returncode == 0, done
    assert "2 reset" in done.stdout
    again = bash(desk, *reset)
    assert again.returncode == ExitCode.NOTHING_SENT
    assert "/dev/fd" not in again.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--course", COURSE, "--people", "/dev/zero"),
        ("due", "--course", COURSE, "--zone", "UTC", "--months", "9", "--hold", "/dev/zero"),
        ("due", "--course", COURSE, "--zone", "UTC", "--anniversaries", "/dev/zero"),
    ],
    ids=lambda words: words[-2],
)
def test_a_device_without_end_is_refused_in_bounded_memory(desk: Desk, words: tuple[str, ...]) -> None:
    command = shlex.join((*warm("training_sdk.cli"), *words))
    line = f"ulimit -v 1500000; exec {command}"
    done = subprocess.run(
        ["/bin/bash", "-c", line],
        capture_output=True,
        text=True,
        cwd=desk.folder,
        env=desk.environment(),
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert "larger than 64 MiB" in done.stderr


def test_profiles_tokens_and_keys_in_a_pipe_are_refused_and_nothing_waits(desk: Desk) -> None:
    os.mkfifo(desk.folder / "pipe", 0o600)
    profile = '[profiles.a]\nbase_url = "http://127.0.0.1:1"\n'
    (desk.folder / "profiles.toml").write_text(f'{profile}token_file = "pipe"\n')
    (desk.folder / "profiles.toml").chmod(0o600)
    (desk.folder / "plan.json").write_text("{}")
    for words in (
        ("courses", "--profiles", "pipe", "--profile", "a"),
        ("courses", "--profiles", f"<(printf %s {shlex.quote(profile)})", "--profile", "a"),
        ("evidence", "history", "--key-file", "pipe"),
        ("evidence", "history", "--key-file", "<(head -c 32 /dev/zero)"),
        ("contract", "--base-url", desk.server.url, "--tokens", "pipe"),
    ):
        done = bash(desk, *words)
        assert done.returncode == ExitCode.USAGE, (words, done)
        assert "not a regular file" in done.stderr, (words, done.stderr)


def test_the_reference_server_reads_a_pipe_once_and_a_device_without_end_not_at_all(desk: Desk) -> None:
    header = (
        "course_id,course_title,course_external_id,user_id,user_first_name,user_last_name,user_email,user_external_id,"
        "opened_at,completed_at,total_lessons,completed_lessons,progress_percent,score,due_at"
    )
    mock = shlex.join([*warm("mock_server"), "serve", "--port", "0"])
    os.mkfifo(desk.folder / "pipe", 0o600)
    for source, said in (
        (f"--exporter-csv <(echo {header}; sleep 0.3; echo c,C,,u,A,B,a@x.example,,,,1,x,0,,)", "line 2"),
        ("--exporter-csv /dev/zero", "larger|a line of more than"),
        ("--secret-file pipe", "not a regular file"),
    ):
        done = subprocess.run(
            ["/bin/bash", "-c", f"ulimit -v 3000000; {mock} {source} < /dev/null"],
            capture_output=True,
            text=True,
            cwd=desk.folder,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 2, done
        assert re.search(said, done.stderr), done.stderr
        assert "Traceback" not in done.stderr
