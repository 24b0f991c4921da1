"""What the command line says where the SDK speaks Python, and what it refuses before anybody types a phrase."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from mock_server import MockTraining
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import LONGEST_RULE, Output
from training_sdk.cli.remedies import in_commands, notes_of
from training_sdk.format_proof.proof_run import GO_ON
from training_sdk.plans.plan import ResetPlan
from training_sdk.resets.report import STOPPED

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
PYTHON = re.compile(r"client\.|\(…\)|\w+=[\w'…]|\.strip\(\)")


@pytest.fixture
def mock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MockTraining:
    made = MockTraining.demo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", made.token("admin"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(tmp_path / "state"))
    return made


@pytest.mark.parametrize(
    ("python", "command"),
    [
        (
            "Go on with client.resets.resume(plan, confirm=…), which",
            "training-sdk resume 'my plan.json', which",
        ),
        ("client.resets.resume settles it", "training-sdk resume 'my plan.json' settles it"),
        ("on the course (client.resets.prove_format), or", "(training-sdk prove)"),
        ("say zone='UTC' or your own", "--zone UTC"),
        ("between and days need a zone, such as zone='Europe/Zurich'", "--waves-zone"),
        ("use https, or say allow_insecure_http=True", "allow_insecure_http = true in the profile"),
        ("was a trailing newline read from a file? Use .strip()", "Set it again"),
        ("not a plan that plan.save(…) wrote", "training-sdk plan --save"),
        (
            "Nothing was sent. Have the planner sign it: plan.sign(key)",
            "Nothing was sent. Have the planner make it signed: training-sdk plan … --save … --key …",
        ),
        ("needs a signed one. To sign, approve with key=….", "approve with training-sdk sign … --key …"),
        ("none is named (allowed_signers=…)", "(allowed_signers)"),
        ("it is not what approval.save(…) wrote", "it is not what training-sdk sign wrote"),
        ("its time is not spelt as approval.save(…) does", "as training-sdk sign does"),
        ("search it for a user, pass key=, or leave it out", "--key-file"),
        ("is sealed. Pass unseal=, the hook that opens what the seal hook closed", "(unseal_command)"),
        (STOPPED.format(counts="1 unknown"), "What became of everyone is shown above"),
        (GO_ON, "run training-sdk prove again with the same course"),
    ],
)
def test_advice_in_python_becomes_a_command(python: str, command: str) -> None:
    said = in_commands(f"x: {python}", Path("my plan.json"))
    assert command in said
    assert not PYTHON.search(said)


RESUME = "It stopped half-way:\n  training-sdk resume 'my plan.json'"


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ([STOPPED.format(counts="2 unknown"), STOPPED.format(counts="1 unknown"), RESUME], [RESUME]),
        ([STOPPED.format(counts="1 unknown"), GO_ON], [in_commands(GO_ON)]),
        (["the report says this", "it does not say this", RESUME], ["it does not say this", RESUME]),
        ([GO_ON, GO_ON], [in_commands(GO_ON)]),
        (
            [STOPPED.format(counts="2 unknown"), STOPPED.format(counts="1 unknown")],
            [in_commands(STOPPED.format(counts="1 unknown"), Path("my plan.json"))],
        ),
        ([], []),
    ],
)
def test_what_to_do_is_said_once(notes: list[str], told: list[str]) -> None:
    stop = KeyboardInterrupt()
    for note in notes:
        stop.add_note(note)
    assert notes_of(stop, Path("my plan.json"), "… the report says this …") == told


def test_an_interruption_that_only_its_notes_tell_of_may_have_reset_somebody(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proof whose report cannot be read says what to do in a note alone."""
    for notes, code in (((GO_ON,), ExitCode.INCOMPLETE), ((), ExitCode.INTERRUPTED)):

        def interrupted(*_: object, notes: tuple[str, ...] = notes, **__: object) -> None:
            stop = KeyboardInterrupt()
            for note in notes:
                stop.add_note(note)
            raise stop

        monkeypatch.setattr("training_sdk.cli.commands.listing.courses.callback", interrupted)
        assert main(["courses"]) == code
        said = capsys.readouterr().err
        assert ("nothing was sent" in said) is (not notes)
        assert ("training-sdk prove" in said) is bool(notes)


def test_real_errors_speak_of_options(
    mock: MockTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.json").write_text("{}")
    plan = ("plan", "--course", COURSE, "--everyone")
    with mock.serve(port=0) as server:
        url = ("--base-url", server.url)
        for arguments, remedy in (
            (("show", "no.json"), "training-sdk plan --save"),
            ((*plan, "--completed-before", "2026-01-01", *url), "--zone UTC"),
            (("courses", "--base-url", "http://training.example.org"), "allow_insecure_http = true"),
        ):
            capsys.readouterr()
            assert main(arguments) == ExitCode.USAGE
            said = capsys.readouterr().err
            assert remedy in said
            assert not PYTHON.search(said), said
        monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "mock token")
        assert main(["courses", *url]) == ExitCode.USAGE
        assert "Set it again" in capsys.readouterr().err


def test_what_cannot_be_applied_is_said_before_the_plan_is_shown(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        assert main(["plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json"]) == 0
        plan = ResetPlan.load("plan.json")
        past = datetime.now(UTC) - timedelta(days=9)
        evolve(plan, read_at=past, expires_at=past + timedelta(hours=1)).save("old.json")
        apply = ("apply", "plan.json", "--reason", "test", "--confirm", plan.phrase)

        def refused(*arguments: str) -> tuple[int, str]:
            capsys.readouterr()
            code, told = main(arguments), capsys.readouterr()
            assert told.out == ""
            return code, told.err

        code, said = refused("resume", "plan.json")
        assert (code, "never began" in said) == (ExitCode.USAGE, True)
        code, said = refused("apply", "old.json", "--reason", "test")
        assert (code, "expired" in said) == (ExitCode.NOTHING_SENT, True)
        assert main(apply) == 0
        for again in (apply[:-2], ("resume", "plan.json")):
            code, said = refused(*again)
            assert (code, "applied once" in said) == (ExitCode.NOTHING_SENT, True)


def test_groups_sites_and_paths_are_listed(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        for command in ("groups", "sites", "paths"):
            assert main([command]) == 0
            told = capsys.readouterr()
            rows = len(told.out.splitlines()) - 2
            assert rows > 0
            assert told.err.startswith(f"{rows} ")


def test_nobody_due_has_a_code_of_its_own_where_a_file_was_asked_for(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    due = ("due", "--course", COURSE, "--years", "90", "--zone", "UTC")
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        assert main(due) == ExitCode.DONE
        assert main([*due, "--save", "due.json"]) == ExitCode.NOBODY_DUE
    assert not (tmp_path / "due.json").exists()


def test_the_planner_who_signs_is_warned(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        assert main(["plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json"]) == 0
        sign = ("sign", "plan.json", "--confirm", ResetPlan.load("plan.json").phrase, "--save")
        capsys.readouterr()
        assert main([*sign, "own.json"]) == 0
        assert "Warning: this token" in capsys.readouterr().err
        monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("manager"))
        assert main([*sign, "other.json"]) == 0
        assert "Warning: this token" not in capsys.readouterr().err


def test_the_rule_of_a_table_in_a_pipe_is_bounded_and_no_row_is() -> None:
    out = io.StringIO()
    Output(False, out, io.StringIO()).table(("a", "b"), [("x" * 500, "y")])
    header, *rest = out.getvalue().splitlines()
    assert header.startswith("a")
    assert "x" * 500 in rest[-1]
    assert all(len(line) <= LONGEST_RULE for line in rest[:-1])


def test_the_card_names_the_planner_and_counts_in_english(
    mock: MockTraining, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with mock.serve(port=0) as server:
        monkeypatch.setenv("SAFETYCULTURE_BASE_URL", server.url)
        plan = ("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json", "--card", "card.html")
        assert main(plan) == 0
    card = (tmp_path / "card.html").read_text()
    who = re.search(r"Planned by</th><td>([^<]+)<br>", card)
    assert who is not None
    assert "&lt;" in who[1]
    assert "@" in who[1]
    assert "<li>1 completion with" in card
    assert "1 completions" not in card
