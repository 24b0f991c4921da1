"""``training-mock`` as a real process: it starts, says so, serves, and ends without losing anything."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import fields, frozen

from e2e.fork_server import warm
from mock_server import MockTraining, Policy, __version__
from mock_server.world.seeds.exporter_rows import COLUMNS
from rawhttp import PATIENCE, Answer, connected, read_answer, request
from unit.sdk.wire import says, wire

AGENT = ("user-agent", "tests/1")
WHO = "/accounts/user/v1/user:WhoAmI"
ENGINES = ["stdlib", "uvicorn"]
SECRET = ("x-training-mock-secret", "open sesame")
SOUND_ROW = "2026-01-01T00:00:00.5Z,,3,1,c1,,Forklift basics,a@example.org,Ann,Özdemir,u1,,33.3,0,\n"


@frozen
class Running:
    """A running process, after its first line."""

    process: subprocess.Popen[str]
    line: str
    port: int

    def get(self, target: str, *headers: tuple[str, str]) -> Answer:
        with connected(self.port) as sock:
            sock.sendall(request("GET", target, (AGENT, *headers, ("connection", "close"))))
            return read_answer(sock)

    def tokens(self, *headers: tuple[str, str]) -> dict[str, str]:
        listed: list[dict[str, Any]] = json.loads(self.get("/_mock/tokens", *headers).body)["tokens"]
        return {each["name"]: each["token"] for each in listed}

    def rows(self, *headers: tuple[str, str]) -> list[dict[str, Any]]:
        bearer = ("authorization", f"Bearer {self.tokens(*headers)['admin']}")
        answer = self.get("/training/v1/feed/training-course-progress", bearer)
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code and everything that was printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, self.line + out, err


@contextlib.contextmanager
def running(
    *arguments: str, environment: dict[str, str] | None = None, address: str = r"127\.0\.0\.1"
) -> Iterator[Running]:
    process = subprocess.Popen(
        [*warm("mock_server"), "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(rf"training-mock listening on http://{address}:([0-9]+)\n", line)
        assert match, line + process.communicate(timeout=PATIENCE)[1]
        yield Running(process, line, int(match.group(1)))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that has run to its end."""
    return subprocess.run(
        [*warm("mock_server"), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | (environment or {}),
    )


def failed(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What a command that must fail prints, after the name of the program."""
    done = ended(*arguments, environment=environment)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("training-mock")
    assert "Traceback" not in done.stderr
    return done.stderr


WRITING = [
    ["openapi"],
    ["serve", "--port", "0"],
    ["rehearse", "true"],
    ["--help"],
    ["serve", "--help"],
    ["--version"],
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to fail on")
@pytest.mark.parametrize("arguments", WRITING)
def test_output_that_cannot_be_written_is_one_line_and_exit_code_2(arguments: Sequence[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*warm("mock_server"), *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    said = "training-mock: The output could not be written: No space left on device.\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("engine", ENGINES)
def test_it_says_where_it_listens_serves_and_ends_with_0(engine: str, number: signal.Signals) -> None:
    with running("--engine", engine) as server:
        health = server.get("/_mock/health")
        assert (health.status, json.loads(health.body)) == (200, {"status": "ok", "version": __version__})
        tokens = server.tokens()
        who = server.get(
            "/accounts/user/v1/user:WhoAmI?secret=query", ("authorization", f"Bearer {tokens['admin']}")
        )
        assert who.status == 400
        assert server.get("/%00\x7f", ("authorization", "Bearer wrong-token")).status >= 400
        code, out, err = server.end(number)
    assert (code, out, err) == (0, server.line, "")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_under_way_is_finished_before_it_ends(engine: str) -> None:
    body = json.dumps({"courseId": "c1", "userIds": ["u1"]}).encode()
    with running("--engine", engine) as server:
        bearer = ("authorization", f"Bearer {server.tokens()['admin']}")
        headers = (AGENT, bearer, ("content-type", "application/json"), ("content-length", str(len(body))))
        with connected(server.port) as sock, connected(server.port) as idle:
            sock.sendall(request("POST", "/training/courseprogress/v1/reset", headers))
            sock.sendall(body[:5])
            # An answer to somebody else shows that the server has had time to take the first part in.
            idle.sendall(request("GET", "/_mock/health"))
            assert read_answer(idle).status == 200
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            sock.sendall(body[5:])
            assert read_answer(sock).status == 404
        assert server.process.wait(PATIENCE) == 0


def test_idle_connections_do_not_keep_it_from_ending() -> None:
    with running() as server, connected(server.port) as idle:
        idle.sendall(request("GET", "/_mock/health"))
        assert read_answer(idle).status == 200
        assert server.end()[0] == 0


def test_the_console_script_does_the_same() -> None:
    script = Path(sys.executable).with_name("training-mock")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout) == (0, f"training-mock {__version__}\n")


def test_a_generated_world_is_the_same_for_the_same_numbers() -> None:
    arguments = ("--users", "5", "--courses", "2", "--random-seed", "7")
    with running(*arguments) as one, running(*arguments) as same, running(*arguments[:4]) as other:
        assert one.tokens() == same.tokens() != other.tokens()
        ids = [row["user_id"] for row in one.rows()]
        assert ids == [row["user_id"] for row in same.rows()] != [row["user_id"] for row in other.rows()]


def test_a_policy_reaches_the_world() -> None:
    with running("--policy", "confirmation=off", "--policy", "max_users_per_reset=1") as server:
        body = json.dumps({"courseId": "x", "userIds": ["a", "b"]}).encode()
        headers = (
            AGENT,
            ("authorization", f"Bearer {server.tokens()['admin']}"),
            ("content-type", "application/json"),
        )
        with connected(server.port) as sock:
            sock.sendall(request("POST", "/training/courseprogress/v1/reset", headers, body))
            assert read_answer(sock).status == 400


def test_an_export_is_served_and_its_tokens_are_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "training_course_progresses.csv"
    path.write_text(",".join(COLUMNS) + "\n" + SOUND_ROW, encoding="utf-8")
    with running("--progress", str(path), environment={"TRAINING_MOCK_SECRET": SECRET[1]}) as server:
        (row,) = server.rows(SECRET)
        assert (row["user_last_name"], row["opened_at"]) == ("Özdemir", "2026-01-01T00:00:00.5Z")
        tokens = server.tokens(SECRET)
        _, out, err = server.end()
    assert not [token for token in (*tokens.values(), SECRET[1]) if token in out + err]


CONTROL = (
    ("GET", "/_mock/tokens"),
    ("GET", "/_mock/state"),
    ("GET", "/_mock/calls"),
    ("GET", "/_mock/audit"),
    ("GET", "/_mock/outbox"),
    ("GET", "/_mock/certificates"),
    ("GET", "/_mock/deliveries"),
    ("GET", "/_mock/marks"),
    ("GET", "/_mock/worlds"),
    ("GET", "/_mock/clock"),
    ("GET", "/_mock/faults"),
    ("POST", "/_mock/worlds"),
    ("POST", "/_mock/marks"),
    ("PUT", "/_mock/state"),
    ("GET", "/%5Fmock/state"),
    ("GET", "//_mock/state"),
    ("GET", "/x/../_mock/state"),
    ("GET", "/_mock/unheard-of"),
)


def test_a_server_of_real_people_answers_no_other_user_of_this_machine(tmp_path: Path) -> None:
    """What is known of everybody who can reach loopback: the port, the package, and no secret."""
    path = tmp_path / "training_course_progresses.csv"
    path.write_text(",".join(COLUMNS) + "\n" + SOUND_ROW, encoding="utf-8")
    known = MockTraining.demo().token("admin")
    with running("--progress", str(path), environment={"TRAINING_MOCK_SECRET": SECRET[1]}) as server:
        for method, target in CONTROL:
            for given in ((), (("x-training-mock-secret", "guessed"),), (SECRET, SECRET)):
                with connected(server.port) as sock:
                    sock.sendall(request(method, target, (AGENT, *given, ("connection", "close"))))
                    answer = read_answer(sock)
                assert (answer.status, "Ann" in answer.body.decode()) == (403, False), (method, target, given)
        for bearer in ((), (("authorization", f"Bearer {known}"),)):
            answer = server.get("/training/v1/feed/training-course-progress", *bearer)
            assert (answer.status, "Ann" in answer.body.decode()) == (401, False)


@pytest.mark.parametrize("option", ["--progress", "--exporter-csv", "--evidence"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_file_of_real_people_is_not_served_without_a_secret(tmp_path: Path, option: str, host: str) -> None:
    path = tmp_path / "training_course_progresses.csv"
    path.write_text(",".join(COLUMNS) + "\n" + SOUND_ROW, encoding="utf-8")
    row = dict(zip(COLUMNS, SOUND_ROW.strip().split(","), strict=True))
    typed = {"total_lessons": 3, "completed_lessons": 1, "progress_percent": 33.3, "score": 0}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row | typed) + "\n", encoding="utf-8")
    given = str(tmp_path if option == "--evidence" else path)
    *_, printed = failed("serve", "--port", "0", "--host", host, option, given).splitlines()
    assert printed.startswith(
        f"training-mock: {given} may contain data of real people, and every user of this"
    )
    for said in ("Nothing was served.", "--secret-file", "TRAINING_MOCK_SECRET", "umask 077"):
        assert said in printed


@pytest.mark.parametrize("place", ["file", "environment"])
def test_with_a_secret_the_control_plane_asks_for_it_and_never_prints_it(tmp_path: Path, place: str) -> None:
    path = tmp_path / "secret"
    path.write_text("open sesame\n")
    path.chmod(0o600)
    arguments = ("--secret-file", str(path)) if place == "file" else ()
    environment = {"TRAINING_MOCK_SECRET": "open sesame"} if place == "environment" else None
    with running(*arguments, environment=environment) as server:
        assert server.get("/_mock/health").status == 200
        assert server.get("/_mock/tokens").status == 403
        assert server.get("/_mock/tokens", ("x-training-mock-secret", "open sesame")).status == 200
        code, out, err = server.end()
    assert (code, out, err) == (0, server.line, "")


def test_a_name_is_answered_to_only_when_it_is_allowed() -> None:
    named = request("GET", "/_mock/health", (("connection", "close"),), host="training-mock:80")
    for arguments, status in [((), 403), (("--allow-host", "training-mock"), 200)]:
        with running(*arguments) as server, connected(server.port) as sock:
            sock.sendall(named)
            assert read_answer(sock).status == status


WRONG: list[tuple[Sequence[str], str]] = [
    ([], "The following arguments are required: serve"),
    (["serv"], "invalid choice: 'serv'"),
    (["serve", "--prot", "1"], "Unrecognized arguments: --prot 1"),
    (["serve", "--po", "1"], "Unrecognized arguments: --po 1"),
    (["serve", "--port", "http"], "Argument --port: invalid int value: 'http'"),
    (
        ["serve", "--port", "70000"],
        "port must be a whole number from 1 to 65535, or 0 for any free port, not 70000.",
    ),
    (["serve", "--engine", "gunicorn"], "Argument --engine: invalid choice: 'gunicorn'"),
    (["serve", "--host", "no.such.host.invalid"], "The host 'no.such.host.invalid' cannot be resolved"),
    (
        ["serve", "--host", "0.0.0.0"],
        "Set a secret (--secret-file PATH, the environment variable TRAINING_MOCK_SECRET",
    ),
    (["serve", "--seed", "prod"], "Argument --seed: invalid choice: 'prod'"),
    (["serve", "--users", "0"], "Argument --users: The value must be a whole number from 1, not '0'."),
    (["serve", "--users", "-3"], "Argument --users: The value must be a whole number from 1, not '-3'."),
    (
        ["serve", "--courses", "3"],
        "--courses and --random-seed are for a generated organisation. Add --users N.",
    ),
    (
        ["serve", "--random-seed", "3"],
        "--courses and --random-seed are for a generated organisation. Add --users N.",
    ),
    (["serve", "--seed", "demo", "--users", "3"], "Argument --users: not allowed with argument --seed"),
    (["serve", "--users", "3", "--progress", "x.csv"], "not allowed with argument"),
    (
        ["serve", "--allow-host", "*"],
        "Argument --allow-host: The value must be a host name without scheme and port, such as localhost, not '*'",
    ),
    (
        ["serve", "--allow-host", "http://mock:80"],
        "Argument --allow-host: The value must be a host name without scheme and port, such as localhost, not 'http://mock:80'",
    ),
    (
        ["serve", "--allow-webhook-host", "*"],
        "Argument --allow-webhook-host: The value must be a host name without scheme and port",
    ),
    (["serve", "--policy", "mercy=yes"], "There is no policy 'mercy'. The policies are everyone_permission"),
    (
        ["serve", "--policy", "eligibility=all"],
        "eligibility must be one of 'recorded', 'completed', not 'all'.",
    ),
    (["serve", "--policy", "eligibility"], "A policy must have the form name=value, not 'eligibility'."),
    (["serve", "--progress", "missing.csv"], "missing.csv: The file cannot be read: No such file"),
    (["serve", "--secret-file", "missing"], "The secret file missing cannot be read: No such file"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_is_wrong_is_said_in_one_line_and_exit_code_2(arguments: Sequence[str], message: str) -> None:
    printed = failed(*arguments)
    assert message in printed
    assert printed.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text("open sesame\n")
    path.chmod(mode)
    printed = failed("serve", "--secret-file", str(path))
    assert printed == (
        f"training-mock: Other users can read or change the secret file {path}. Restrict its permissions: chmod 600"
        f" {path}\n"
    )


def test_beyond_loopback_it_says_so_and_nobody_knows_its_tokens() -> None:
    secret = ("x-training-mock-secret", "open sesame")
    environment = {"TRAINING_MOCK_SECRET": "open sesame"}
    arguments = ("--host", "0.0.0.0", "--allow-webhook-host", "receiver")
    with running(*arguments, environment=environment, address=r"0\.0\.0\.0") as server:
        listed = json.loads(server.get("/_mock/tokens", secret).body)["tokens"]
        ours = {each["name"]: each["token"] for each in listed}
        known = MockTraining.demo().token("admin")
        assert server.get(WHO, ("authorization", f"Bearer {known}")).status == 401
        bearer = ("authorization", f"Bearer {ours['admin']}")
        assert server.get(WHO, bearer).status == 200
        for host, status in (("127.0.0.1:9", 400), ("localhost", 400), ("receiver:9", 200)):
            hook = {"url": f"http://{host}/", "trigger_events": ["TRIGGER_EVENT_TRAINING_COURSE_RESET"]}
            headers = (AGENT, bearer, ("content-type", "application/json"))
            with connected(server.port) as sock:
                sock.sendall(request("POST", "/webhooks/v1/webhooks", headers, json.dumps(hook).encode()))
                assert read_answer(sock).status == status, host


def test_an_occupied_port_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert failed("serve", "--port", str(port)) == (
            f"training-mock: Port {port} on 127.0.0.1 is in use. Choose another port, or 0 for any free port.\n"
        )


def test_an_empty_secret_is_refused_rather_than_no_secret() -> None:
    printed = failed("serve", environment={"TRAINING_MOCK_SECRET": ""})
    assert "The secret must be printable ASCII, not empty" in printed


def test_everything_wrong_with_an_export_is_listed_and_nothing_is_served(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    broken = SOUND_ROW.replace("33.3", "101").replace("2026-01-01", "2026-02-30")
    path.write_text(",".join(COLUMNS) + "\n" + SOUND_ROW + broken + SOUND_ROW, encoding="utf-8")
    first, *printed = failed("serve", "--port", "0", "--progress", str(path)).splitlines()
    assert first == f"training-mock: Loading {path}."
    assert printed[0].startswith(f"training-mock: {path}: line 3, column opened_at: The value must be a date")
    assert printed[1].startswith(
        "  line 3, column progress_percent: The value must be a number from 0 to 100"
    )
    assert printed[2].startswith(
        "  line 4, column user_id: This user has a row in this course already, in line 2."
    )
    assert len(printed) == 3


def test_the_help_lists_every_policy_with_its_values() -> None:
    command = [sys.executable, "-m", "mock_server", "serve", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    said = re.sub(r"\s+", "", shown.stdout)
    for each in fields(Policy):
        assert f"{each.name}=" in said
    assert "requests=strict|lenient;" in said + ";"
    assert "lag_seconds=N(default0)" in said


def told(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """What a command prints that ends with 0."""
    done = ended(*arguments, environment=environment)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_a_token_and_what_to_export_are_printed_for_a_running_server(tmp_path: Path) -> None:
    here = tmp_path / 'it\'s "$(here)"'
    here.mkdir()
    with running("--now", "2027-03-01") as server:
        url, tokens = f"http://127.0.0.1:{server.port}", server.tokens()
        assert told("token", "manager", "--url", url) == f"{tokens['manager']}\n"
        assert told("token", "admin", environment={"SAFETYCULTURE_BASE_URL": url}) == f"{tokens['admin']}\n"
        assert told("env", "--port", str(server.port)) == told("env", "--url", url)
        assert told("token", "admin", "--port", str(server.port)) == f"{tokens['admin']}\n"
        script = told("env", "--url", url) + 'echo "$SAFETYCULTURE_BASE_URL $SAFETYCULTURE_API_TOKEN"'
        script += ' "$TRAINING_SDK_STATE_DIR"'
        shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, cwd=here)
        assert shown.stdout == f"{url} {tokens['admin']} {here}/practice\n"
        windows = told("env", "teamlead", "--shell", "powershell", "--url", url)
        assert f"$env:SAFETYCULTURE_API_TOKEN = '{tokens['teamlead']}'\n" in windows
        assert "$env:TRAINING_SDK_STATE_DIR = Join-Path $PWD.ProviderPath 'practice'\n" in windows
        answer = server.get("/_mock/health")
        assert ("date", "Mon, 01 Mar 2027 00:00:00 GMT") in [(n.lower(), v) for n, v in answer.headers]


def test_a_server_that_cannot_be_asked_for_a_token_is_named(tmp_path: Path) -> None:
    said = failed("token", "admin", "--url", "http://127.0.0.1:9")
    assert "Check that training-mock serve runs at this address" in said
    assert "--url URL" in said
    assert "must be the address of a server" in failed("token", "admin", "--url", "localhost:8765")
    for port in ("0", "70000", "http", "²"):
        said = failed("env", "--port", port)
        assert f"Argument --port: The value must be a whole number from 1 to 65535, not '{port}'." in said
    said = failed("env", "--port", "8766", "--url", "http://127.0.0.1:8766")
    assert "Argument --url: not allowed with argument --port" in said
    for vendor in ("https://api.safetyculture.io", "https://API.mitti.com.:443/"):
        said = failed("env", environment={"SAFETYCULTURE_BASE_URL": vendor, "TRAINING_MOCK_SECRET": "s" * 40})
        assert "is the vendor's service. Nothing was sent." in said
    with wire(says(b"ann@example.org\r\n\r\n")) as other:
        assert ": its answer is not HTTP" in failed("token", "admin", "--url", other.url)
    assert "invalid choice: 'nobody'" in failed("token", "nobody")
    assert "The value must be a time such as 2027-03-01 or 2027-03-01T09:00:00Z, not 'soon'." in failed(
        "serve", "--now", "soon"
    )
    with running(environment={"TRAINING_MOCK_SECRET": "s" * 40}) as server:
        url = f"http://127.0.0.1:{server.port}"
        assert "Add --secret-file PATH" in failed("token", "admin", "--url", url)
        token = told("token", "admin", "--url", url, environment={"TRAINING_MOCK_SECRET": "s" * 40})
        assert token.strip() == server.tokens(("x-training-mock-secret", "s" * 40))["admin"]
