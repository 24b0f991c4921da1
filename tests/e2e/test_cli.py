"""``training-sdk`` as real processes against a real server: what it prints, what it sends, and what it ends with."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pytest

from e2e.fork_server import warm
from e2e.training_sdk_process import PATIENCE, SDK, Desk, Server
from training_sdk.cli.exit_codes import ExitCode

COURSE = "6908610029087ab67fa50c2e"
TITLE = "Forklift basics"
SIOBHAN = "siobhan.doyle@nordwerk.example"
RESET = "ResetCourseProgress"


def test_from_plan_to_audit_log(desk: Desk) -> None:
    phrase = desk.plan("--course", TITLE, "--user", SIOBHAN, "--card", "card.html")
    assert SIOBHAN in (desk.folder / "card.html").read_text()
    shown = desk.run("show", "plan.json", "--all")
    assert shown.code == 0
    assert phrase in shown.out
    done = desk.run("apply", "plan.json", "--reason", "near miss", "--ticket", "INC-1", "--confirm", phrase)
    assert (done.code, desk.server.resets()) == (0, 1), done
    assert "1 reset" in done.out
    assert "state/evidence/" in done.out
    progress = desk.run("progress", "--course", COURSE, "--user", SIOBHAN, "--json").document["progress"]
    assert [(row["completed_at"], row["progress_percent"]) for row in progress] == [(None, 0)]
    seen = desk.run("verify", "plan.json", "--json").document
    assert (seen["verified"], seen["counts"]["verified"]) == (True, 1)
    digest = desk.run("show", "plan.json", "--json").document["digest"]
    assert desk.run("report", digest[:8], "--json").document["report"]["complete"] is True
    assert len(desk.run("report", "--list", "--json").document["reports"]) == 1
    assert desk.run("evidence", "verify").code == 0
    (past,) = desk.run("evidence", "history", "--course", COURSE, "--json").document["completions"]
    assert past["user_email"] == SIOBHAN
    assert desk.run("audit", "verify").code == 0
    entries = desk.run("audit", "show", "--plan", digest[:8], "--json").document["entries"]
    assert [entry["event"] for entry in entries][:3] == ["reset begun", "evidence kept", "reset ended"]
    assert {entry["ticket"] for entry in entries} == {"INC-1"}
    assert desk.run("audit", "export").out.count("near miss") == len(entries) == 4


def test_each_exit_code_is_met(desk: Desk, server: Server) -> None:
    phrase = desk.plan("--course", COURSE, "--user", SIOBHAN)
    apply = ("apply", "plan.json", "--reason", "test", "--confirm", phrase)
    met = {}
    met[ExitCode.DENIED] = desk.run("courses", SAFETYCULTURE_API_TOKEN="mock_wrong_token_0000")
    met[ExitCode.CONNECTION] = desk.run(
        "courses", "--max-retry", "0.2", SAFETYCULTURE_BASE_URL="http://127.0.0.1:1"
    )
    met[ExitCode.FAILED] = desk.run("plan", "--course", "no such course", "--everyone")
    assert desk.run("courses", SAFETYCULTURE_API_TOKEN="").code == ExitCode.DENIED
    met[ExitCode.USAGE] = desk.run("plan", "--course", COURSE)
    met[ExitCode.NOT_CONFIRMED] = desk.run(*apply[:-2])
    state = desk.folder / "unsafe"
    state.mkdir()
    state.chmod(0o777)
    met[ExitCode.RECORDS] = desk.run(*apply, "--state-dir", str(state))
    nobody = ("due", "--course", COURSE, "--years", "90", "--zone", "UTC", "--save", "nobody.json")
    met[ExitCode.NOBODY_DUE] = desk.run(*nobody)
    server.control("POST", "faults", {"kind": "drop", "operation": RESET, "when": "after"})
    met[ExitCode.INCOMPLETE] = desk.run(*apply)
    met[ExitCode.NOTHING_SENT] = desk.run(*apply)
    met[ExitCode.LAPSED] = desk.run(*nobody)
    assert {code: done.code for code, done in met.items()} == {code: int(code) for code in met}, met
    elsewhere = {
        ExitCode.DONE,
        ExitCode.INTERRUPTED,
        ExitCode.OTHERS_REACHED,
        ExitCode.OUTPUT_LOST,
    }  # these have tests of their own
    assert met.keys() == {*ExitCode} - elsewhere
    for code in (ExitCode.INCOMPLETE, ExitCode.NOTHING_SENT):
        assert "training-sdk resume plan.json" in met[code].err
    assert "reads back" in met[ExitCode.INCOMPLETE].err
    assert server.resets() == 1
    resumed = desk.run("resume", "plan.json", "--confirm", phrase, "--json")
    assert (resumed.code, server.resets()) == (ExitCode.DONE, 1), resumed
    assert resumed.document["report"]["complete"] is True


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C.UTF-8"},
        {"LANG": "de_DE.UTF-8"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "LC_ALL": "POSIX"},
        {"COLUMNS": "20"},
    ],
    ids=str,
)
def test_no_locale_and_no_width_ends_a_command(desk: Desk, locale: dict[str, str]) -> None:
    for arguments in (["progress", "--course", COURSE], ["doctor"]):
        done = desk.run(*arguments, **locale)
        assert done.code == 0, done


def test_a_table_in_a_pipe_is_as_wide_as_columns_says(desk: Desk) -> None:
    whole = desk.run("progress", "--course", COURSE).out.splitlines()
    assert max(map(len, whole)) > 100
    for width in (100, 60):
        found = desk.run("progress", "--course", COURSE, COLUMNS=str(width)).out.splitlines()
        assert max(map(len, found)) <= width, found
    for ignored in ("", "0", "-1", "wide", "9" * 5000):
        assert desk.run("progress", "--course", COURSE, COLUMNS=ignored).out.splitlines() == whole


def test_whoever_reads_may_go_away(desk: Desk) -> None:
    for command in ("courses", "progress --json", "progress"):
        piped = f"{shlex.join(warm('training_sdk.cli'))} {command} | head -1"
        done = subprocess.run(
            ["/bin/bash", "-c", f"{piped}; echo code ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            env=desk.environment(),
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert "Broken" not in done.stderr
        assert done.stdout.endswith("code 0\n"), done


def test_a_missing_extra_is_one_line() -> None:
    script = (
        "import sys, importlib.util as u; f = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'rich' else f(name, *a); "
        "from training_sdk.cli import main; sys.exit(main(['--help']))"
    )
    done = subprocess.run([SDK[0], "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "In a checkout of the SDK: pip install '.[cli]'" in done.stderr


def test_help_and_completion_need_neither_token_nor_server(desk: Desk) -> None:
    script = (
        "import sys; from training_sdk.cli import main; main(['--help']); "
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([SDK[0], "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "training_sdk.cli.group" in loaded
    assert not {"jinja2", "training_sdk.cli.commands", "training_sdk.cli.effect_card"} & loaded
    for shell in ("bash", "zsh", "fish"):
        assert "training-sdk" in desk.run("completion", shell).out
    completed = subprocess.run(
        SDK,
        capture_output=True,
        text=True,
        check=False,
        env=desk.environment(
            _TRAINING_SDK_COMPLETE="bash_complete", COMP_WORDS="training-sdk re", COMP_CWORD="1"
        ),
    )
    assert {line.partition(",")[2] for line in completed.stdout.split()} == {"resume", "report"}


# --- somebody at a terminal ---------------------------------------------------------------------------------------


class Terminal:
    """A command at a terminal, as somebody sees it."""

    def __init__(self, desk: Desk, *arguments: str, **environment: str) -> None:
        self.screen, other = pty.openpty()
        os.set_blocking(self.screen, False)
        self.process = subprocess.Popen(
            [*SDK, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=desk.folder,
            env=desk.environment(TERM="xterm-256color", **environment),
            start_new_session=True,
            preexec_fn=_own_terminal,
        )
        os.close(other)
        self.seen = ""

    def until(self, text: str, *, times: int = 1) -> str:
        """Read until this is seen, so many times, wherever its lines are broken."""
        deadline = time.monotonic() + PATIENCE
        while self._times(text) < times and time.monotonic() < deadline:
            self._read()
        assert self._times(text) >= times, self.seen
        return self.seen

    def _times(self, text: str) -> int:
        return max(self.seen.count(text), " ".join(self.seen.split()).count(text))

    def while_it_runs(self, holds: Callable[[], bool]) -> None:
        """Read until something holds, with the command still at work."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self.process.poll() is None, self.seen
            assert time.monotonic() < deadline, self.seen
            self._read()

    def type(self, text: str | bytes) -> None:
        os.write(self.screen, text.encode() if isinstance(text, str) else text)

    def end(self) -> int:
        """What it ended with."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read()
        self._read()
        os.close(self.screen)
        code = self.process.poll()
        if code is None:
            self.process.kill()
        assert code is not None, self.seen
        assert "Traceback" not in self.seen
        return code

    def _read(self) -> None:
        try:
            self.seen += os.read(self.screen, 65536).decode("utf-8", "replace")
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # the other side was closed
            time.sleep(0.01)


def _own_terminal() -> None:
    """Make the terminal that of the new session, so that Ctrl-C reaches it."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_the_phrase_is_typed_at_a_prompt_after_slips(desk: Desk) -> None:
    phrase = desk.plan("--course", COURSE, "--user", SIOBHAN)
    terminal = Terminal(desk, "apply", "plan.json", "--reason", "test")
    terminal.until("> ")
    terminal.type("yes\n")
    terminal.until("Try again (2 attempts left)")
    assert desk.server.resets() == 0
    terminal.type(f"  {phrase} \n")
    assert terminal.end() == ExitCode.DONE
    assert "1 reset" in terminal.seen
    assert desk.server.resets() == 1


def test_bytes_that_are_no_text_are_a_wrong_answer_and_the_prompt_asks_again(desk: Desk) -> None:
    phrase = desk.plan("--course", COURSE, "--user", SIOBHAN)
    for locale in ("C.UTF-8", "C"):
        terminal = Terminal(desk, "apply", "plan.json", "--reason", "test", LC_ALL=locale, PYTHONUTF8="0")
        for count, typed in enumerate((b"reset \xff\xfe\n", b"\xc3\x28\n", b"\xc3\n"), 1):
            terminal.until("Type the phrase", times=count)
            assert desk.server.resets() == 0
            terminal.type(typed)
            terminal.until("which is not text in this terminal's encoding", times=count)
        assert terminal.end() == ExitCode.NOT_CONFIRMED
        assert "0xFF" in terminal.seen
        assert "0xC3" in terminal.seen
        assert "Nothing was sent" in terminal.seen
    terminal = Terminal(desk, "apply", "plan.json", "--reason", "test", LC_ALL="C.UTF-8", PYTHONUTF8="0")
    terminal.until("> ")
    terminal.type(b"\xff\n")
    terminal.until("2 attempts left")
    assert desk.server.resets() == 0
    terminal.type(f"{phrase}\n")
    assert terminal.end() == ExitCode.DONE
    assert desk.server.resets() == 1


def test_a_decomposed_title_is_confirmed_by_the_composed_letters_of_a_keyboard(
    desk: Desk, whole_world: Any
) -> None:
    title = "Stra\u00dfe u\u0308berqueren"
    text = json.dumps(whole_world).replace(json.dumps(TITLE), json.dumps(title))
    desk.server.control("PUT", "state", json.loads(text))
    phrase = desk.plan("--course", COURSE, "--user", SIOBHAN)
    assert "u\u0308berqueren" in phrase
    terminal = Terminal(desk, "apply", "plan.json", "--reason", "test", LC_ALL="C.UTF-8")
    terminal.until("> ")
    terminal.type(f"{phrase.replace(chr(0x308), '')}\n")
    terminal.until("Character 15 is U+0075 (LATIN SMALL LETTER U) instead of U+00FC")
    assert "uotation" not in terminal.seen.partition("The phrase is wrong")[2]
    terminal.type(f"{normalize('NFC', phrase)}\n")
    assert terminal.end() == ExitCode.DONE, terminal.seen
    assert desk.server.resets() == 1
    assert desk.server.control("GET", "calls")["calls"]


def test_three_slips_or_ctrl_d_are_not_confirmed_and_ctrl_c_is_an_interruption(desk: Desk) -> None:
    desk.plan("--course", COURSE, "--user", SIOBHAN)
    for typed, code in (
        ("y\ny\ny\n", ExitCode.NOT_CONFIRMED),
        ("\x04", ExitCode.NOT_CONFIRMED),
        ("\x03", ExitCode.INTERRUPTED),
    ):
        terminal = Terminal(desk, "apply", "plan.json", "--reason", "test")
        terminal.until("> ")
        terminal.type(typed)
        assert terminal.end() == code
        assert "Nothing was sent" in terminal.seen
    assert desk.server.resets() == 0


def test_ctrl_c_during_a_reset_stops_between_two_requests(desk: Desk, server: Server) -> None:
    phrase = desk.plan("--course", COURSE, "--everyone")
    server.control("POST", "faults", {"kind": "slow", "operation": RESET, "seconds": 1.5})
    terminal = Terminal(
        desk, "apply", "plan.json", "--reason", "test", "--confirm", phrase, "--waves-size", "5"
    )
    terminal.while_it_runs(lambda: server.resets() > 0)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("Stopping before the next request")
    assert terminal.end() == ExitCode.INCOMPLETE
    assert server.resets() == 1
    assert "5 reset" in terminal.seen
    assert "resume" in terminal.seen
    resumed = desk.run("resume", "plan.json", "--confirm", phrase, "--json")
    assert resumed.code == ExitCode.DONE
    counts = resumed.document["report"]["counts"]
    assert counts["failed"] == counts["unknown"] == 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_a_second_signal_ends_a_request_under_way_and_says_of_whom_it_is_unknown(
    desk: Desk, server: Server, by: signal.Signals
) -> None:
    phrase = desk.plan("--course", COURSE, "--user", SIOBHAN)
    server.control("POST", "faults", {"kind": "slow", "operation": RESET, "seconds": PATIENCE})
    terminal = Terminal(desk, "apply", "plan.json", "--reason", "test", "--confirm", phrase)
    terminal.while_it_runs(lambda: server.resets() > 0)  # so its answer is being waited for
    terminal.process.send_signal(by)
    terminal.until("Stopping before the next request")
    terminal.process.send_signal(by)
    assert terminal.end() == ExitCode.INCOMPLETE
    assert "1 unknown" in terminal.seen
    assert terminal.seen.count("training-sdk resume plan.json") == 1, terminal.seen
    assert " ".join(terminal.seen.split()).count("It resets no person twice") == 1, terminal.seen
    assert "attribute" not in terminal.seen
    server.control("DELETE", "faults")
    resumed = desk.run("resume", "plan.json", "--confirm", phrase, "--json")
    assert resumed.document["report"]["complete"] is True


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_a_signal_in_the_pause_between_two_waves_ends_it_with_a_report(
    desk: Desk, server: Server, by: signal.Signals
) -> None:
    phrase = desk.plan("--course", COURSE, "--everyone")
    waves = ("--waves-size", "5", "--waves-every", "1h")
    terminal = Terminal(desk, "apply", "plan.json", "--reason", "test", "--confirm", phrase, *waves)
    terminal.while_it_runs(lambda: server.resets() > 0)
    terminal.until("5/")
    terminal.process.send_signal(by)
    assert terminal.end() == ExitCode.INCOMPLETE
    assert server.resets() == 1
    assert "5 reset" in terminal.seen
    assert "training-sdk resume plan.json" in terminal.seen


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_after_kill_9_report_says_what_is_known_and_what_to_do(desk: Desk, server: Server) -> None:
    phrase = desk.plan("--course", COURSE, "--everyone")
    server.control("POST", "faults", {"kind": "slow", "operation": RESET, "after": 1, "seconds": PATIENCE})
    order = ("apply", "plan.json", "--reason", "yearly", "--confirm", phrase, "--waves-size", "5")
    applying = subprocess.Popen(
        [*SDK, *order],
        cwd=desk.folder,
        env=desk.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while server.resets() < 2:  # the second is answered late
        assert applying.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    under_way = desk.run("report", "plan.json", "--json").document
    assert under_way["unfinished"]["under_way"].startswith(f"process {applying.pid} ")
    assert under_way["unfinished"]["advice"].startswith("Wait: ")
    applying.kill()
    applying.wait()
    listed = desk.run("report", "--list", "--json").document["reports"]
    assert [one["unfinished"]["sent"] for one in listed] == [10]
    told = desk.run("report", "plan.json", "--json")
    assert told.code == ExitCode.INCOMPLETE
    said = told.document["unfinished"]
    assert (said["requests"], said["sent"], said["settled"], said["unknown"]) == (2, 10, 5, 5)
    assert said["under_way"] is None
    assert told.document["report"]["counts"]["reset"] == 5
    assert told.document["report"]["finished_at"] is None
    sent_ids = told.document["report"]["sent_ids"]
    calls = server.control("GET", "calls")["calls"]
    assert sent_ids == [
        call["request_id"] for call in calls if call["path"].endswith("courseprogress/v1/reset")
    ]
    text = desk.run("report", "plan.json")
    for part in (
        "NOT FINISHED",
        "2 requests sent for 10 people",
        "5 unknown",
        "training-sdk resume",
        sent_ids[1],
    ):
        assert part in text.out
    assert "NOT FINISHED" in desk.run("report", "--list").out
    server.control("DELETE", "faults")
    resumed = desk.run("resume", "plan.json", "--confirm", phrase, "--json")
    assert resumed.code == ExitCode.DONE
    assert resumed.document["report"]["sent_ids"][:2] == sent_ids
    ended = desk.run("report", "plan.json", "--json")
    assert (ended.code, ended.document["unfinished"]) == (ExitCode.DONE, None)
    assert [one["unfinished"] for one in desk.run("report", "--list", "--json").document["reports"]] == [None]
