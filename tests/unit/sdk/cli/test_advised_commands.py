"""Commands that messages advise, with the files and options that were typed."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mock_server import MockTraining
from training_sdk import (
    IncompleteResetError,
    InvalidArgumentError,
    NotFoundError,
    TrainingClient,
)
from training_sdk.cli import main
from training_sdk.cli.commands.apply import _how_to_go_on
from training_sdk.cli.error_messages import carried_options
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import RESUME, ShellCommands
from training_sdk.records.journal import JournalCopy
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report import NO_SECOND_CALL
from unit.sdk.cli.conftest import stopped_after

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"
PATH = "Warehouse induction"


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(demo_site: None, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; its exit code and all that people read."""

    def ran(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(arguments)
        told = capsys.readouterr()
        return code, told.out + told.err

    return ran


def test_a_stale_plan_of_which_nothing_was_sent_is_not_to_be_resumed(run: Run, mock: MockTraining) -> None:
    run("plan", "--course", COURSE, "--everyone", "--state", "in progress", "--save", "my plan.json")
    plan = ResetPlan.load("my plan.json")
    for person in plan.targets[:2]:
        mock.world.complete_course(COURSE, person.user_id)
    apply = ("apply", "my plan.json", "--reason", "test", "--confirm", plan.phrase)
    code, said = run(*apply)
    assert code == ExitCode.NOTHING_SENT
    assert "Plan again, or skip them with --tolerance 2" in said
    assert "training-sdk apply 'my plan.json' --reason TEXT --tolerance 2" in said
    assert "training-sdk plan close 'my plan.json'" in said
    assert "resume" not in said
    assert "half-way" not in said
    code, said = run("report", "my plan.json")
    assert "training-sdk apply 'my plan.json'" in said
    assert "PLAN.json" not in said
    assert run(*apply, "--tolerance", "2")[0] == ExitCode.INCOMPLETE
    assert len([*mock.calls.of("reset")]) == 1


def test_a_closed_plan_and_its_report_name_who_is_left_and_the_closing(run: Run, mock: MockTraining) -> None:
    run("plan", "--course", COURSE, "--everyone", "--save", "plan.json")
    plan = stopped_after("plan.json")
    left = plan.targets[-1]
    code, said = run("plan", "close", "plan.json", "--reason", "no more this year")
    assert code == ExitCode.DONE
    assert f"{left.name} <{left.email}>: skipped, not sent" in said
    assert f"training-sdk report {plan.short_digest}" in said
    code, said = run("report", "plan.json")
    assert "Closed by hand at " in said
    assert "no more this year" in said


def test_advised_commands_repeat_the_options_that_name_the_records(run: Run, mock: MockTraining) -> None:
    with mock.serve(port=0) as another:
        where = ("--state-dir", "other records", "--base-url", another.url, "--profile", "none")
        repeated = f"--profile none --base-url {another.url} --state-dir 'other records'"
        code, said = run("plan", *where, "--course", COURSE, "--user", SIOBHAN, "--save", "my plan.json")
        assert f"training-sdk apply {repeated} 'my plan.json' --reason TEXT" in said
        plan = ResetPlan.load("my plan.json")
        mock.faults.add("drop", operation="ResetCourseProgress", when="after")
        code, said = run("apply", *where, "my plan.json", "--reason", "test", "--confirm", plan.phrase)
        assert code == ExitCode.INCOMPLETE
        assert f"  training-sdk resume {repeated} 'my plan.json'\n" in said
        for listing in (["my plan.json"], ["--list"], ["my plan.json", "--json"]):
            code, said = run("report", *listing, *where)
            assert f"training-sdk resume {repeated} {plan.short_digest}. It" in said.replace("\n    ", " ")
        assert run("report", f"{plan.short_digest}.", *where)[0] == ExitCode.INCOMPLETE  # with its full stop
        code, said = run("resume", "my plan.json", "--confirm", plan.phrase)  # among the usual records
        assert code == ExitCode.USAGE
        assert "with another state directory" in said
        words = shlex.split(f"resume {repeated} {plan.short_digest}")
        code, said = run(*words, "--confirm", plan.phrase)
        assert code == ExitCode.DONE
    code, said = run("report", plan.short_digest, "--state-dir", "other records")
    assert code == ExitCode.DONE
    assert run("apply", "my plan.json", "--reason", "test")[1].count("other records") == 0


@pytest.mark.parametrize(
    ("common", "carried"),
    [
        ({"base_url": "http://me:geheim@127.0.0.1:9", "state_dir": Path("a b")}, "--state-dir 'a b'"),
        ({"base_url": None, "max_retry": 3.0, "as_json": True}, ""),
    ],
)
def test_advised_commands_repeat_the_options_and_no_password(common: dict[str, object], carried: str) -> None:
    assert carried_options(common) == carried


EVERYONE = ("plan", "--course", COURSE, "--everyone")
FIXED = ("due", "--course", COURSE, "--zone", "UTC", "--fixed-date")
UNREACHABLE = ("courses", "--base-url", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("arguments", "option", "python"),
    [
        ((*EVERYONE, "--completed-before", "2026-01-01"), "--completed-before", "completed_before"),
        ((*EVERYONE, "--score-below", "0"), "--score-below must be", "score_below"),
        ((*FIXED, "02-40"), "--fixed-date '02-40'", "\nday"),
        (("courses", "--max-retry", "-1"), "--max-retry must be", "max_retry_seconds"),
        (("courses", "--base-url", "nowhere"), "--base-url", "base_url"),
        ((*UNREACHABLE, "--max-retry", "0"), "Raise --max-retry", "max_retry"),
    ],
)
def test_errors_name_typed_options(run: Run, arguments: tuple[str, ...], option: str, python: str) -> None:
    code, said = run(*arguments)
    assert code in (ExitCode.USAGE, ExitCode.CONNECTION)
    assert option in said
    assert python not in said


def test_doctor_options(run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SAFETYCULTURE_BASE_URL", "http://127.0.0.1:9")
    code, said = run("doctor", "--max-retry", "0")
    assert code == ExitCode.FAILED
    assert "Check that the server is running" in " ".join(said.split())
    assert "Raise --max-retry to wait longer." in " ".join(said.split())
    assert run("courses", "--max-retry", "1")[0] == ExitCode.CONNECTION
    last_resort = logging.lastResort
    assert last_resort is not None
    lines = [last_resort.format(record) for record in caplog.records if "Trying again" in record.getMessage()]
    assert lines
    assert all("base_url" not in line and "--base-url) is right" in line for line in lines)


def test_https_where_nobody_speaks_tls_is_named(run: Run) -> None:
    address = os.environ["SAFETYCULTURE_BASE_URL"].replace("http://", "https://")
    code, said = run("whoami", "--base-url", address)
    assert code == ExitCode.CONNECTION
    assert "The server there does not speak TLS. Check the base URL" in said


def test_a_learning_path_is_named_by_its_title(run: Run, mock: MockTraining) -> None:
    with TrainingClient() as client:
        (path,) = [one for one in client.paths.list() if one.title == PATH]
    plans = [run("plan", "--path", named, "--everyone")[1] for named in (PATH, path.id)]
    assert plans[0].splitlines()[0] == plans[1].splitlines()[0]
    assert "Plan to reset" in plans[0]
    code, said = run("plan", "--path", "Warehouse", "--everyone")
    assert code == ExitCode.FAILED
    assert path.id in said


def test_a_title_in_place_of_a_course_id_gets_a_hint(run: Run) -> None:
    with (
        TrainingClient() as client,
        pytest.raises(NotFoundError, match=f"'{COURSE}' is the id of 'Forklift basics'"),
    ):
        client.resets.plan_everyone("Forklift basics")


def test_where_another_plan_has_done_the_rest_the_way_out_is_to_close_this_one(run: Run) -> None:
    run("plan", "--course", COURSE, "--everyone", "--save", "big plan.json")
    plan = stopped_after("big plan.json")
    run("plan", "--course", COURSE, "--user", plan.targets[-1].user_id, "--save", "rest.json")
    rest = ResetPlan.load("rest.json")
    code, said = run("apply", "rest.json", "--reason", "test", "--confirm", rest.phrase)
    assert code == ExitCode.DONE, said
    for _ in range(2):
        code, said = run("resume", "big plan.json", "--confirm", plan.phrase)
        assert code == ExitCode.INCOMPLETE
        assert "none of them has any progress left" in said
        assert "training-sdk resume" not in said
        assert "training-sdk plan close 'big plan.json' --reason TEXT" in said
    for command in (("report", "big plan.json"), ("verify", "big plan.json", "--deadline", "0s")):
        assert "training-sdk plan close" in run(*command)[1]
    assert run("plan", "close", "big plan.json", "--reason", "done by another")[0] == ExitCode.DONE


def test_closing_names_the_plan_as_it_was_typed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise InvalidArgumentError("it is open", remedy=RESUME)

    monkeypatch.setattr("training_sdk.cli.commands.plan.close_plan", refused)
    run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "my plan.json")
    phrase = ResetPlan.load("my plan.json").phrase
    run("apply", "my plan.json", "--reason", "test", "--confirm", phrase)  # so that there are records
    assert "training-sdk resume 'my plan.json'" in run("plan", "close", "my plan.json", "--reason", "x")[1]


def test_a_plan_for_nobody_asks_for_no_phrase(run: Run) -> None:
    with TrainingClient() as client:
        idle = next(row for row in client.progress.list(course_id=COURSE) if not row.has_recorded_progress)
    _, said = run("plan", "--course", COURSE, "--user", idle.user_id, "--save", "plan.json")
    assert "there is nothing to confirm" in said
    assert "To continue, type" not in said
    assert "To apply it" not in said
    assert "add --save" not in run("plan", "--course", COURSE, "--user", idle.user_id)[1]
    assert "no person was to be reset" in run("apply", "plan.json", "--reason", "test")[1]
    assert run("apply", "plan.json", "--reason", "test", "--confirm", "other")[0] != ExitCode.DONE


def test_a_refused_token_names_its_source(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "mock_0000")
    code, said = run("courses")
    assert code == ExitCode.DENIED
    assert "The token came from the environment variable SAFETYCULTURE_API_TOKEN" in said
    assert "mock_0000" not in said


def test_a_key_that_no_signer_file_lists_is_warned_of_when_signing(
    run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("listed", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    plan = ResetPlan.load("plan.json")
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("manager"))
    with TrainingClient() as client:
        me = client.users.me().user_id
    signers = tmp_path / "signers"
    signers.write_text(f"{me} {(tmp_path / 'listed.pub').read_text()}")
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(f'default = "a"\n[profiles.a]\nallowed_signers = "{signers}"\n')
    for file in (signers, profiles):
        file.chmod(0o600)
    for key, warned in (("listed", False), ("other", True)):
        sign = ("sign", "plan.json", "--key", key, "--confirm", plan.phrase, "--save", f"{key}.json")
        code, said = run(*sign, "--profiles", str(profiles))
        assert code == ExitCode.DONE, said
        assert ("does not accept this approval" in said) is warned


def test_json_prints_problems_only_on_stderr(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    who = ("--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    assert main(["plan", *who, "--json"]) == ExitCode.DONE
    phrase = ResetPlan.load("plan.json").phrase
    for arguments in (
        ("courses",),
        ("show", "plan.json"),
        ("apply", "plan.json", "--reason", "test", "--confirm", phrase),
        ("report", "plan.json"),
        ("report", "--list"),
        ("verify", "plan.json"),
    ):
        assert main([*arguments, "--json"]) == ExitCode.DONE
    assert capsys.readouterr().err == ""
    assert main(["apply", "plan.json", "--reason", "test", "--json"]) == ExitCode.NOTHING_SENT
    assert "applied once" in capsys.readouterr().err


def test_all_lists_everybody_in_a_plan_while_it_is_applied(run: Run) -> None:
    run("plan", "--course", COURSE, "--everyone", "--save", "plan.json")
    plan = ResetPlan.load("plan.json")
    apply = ("apply", "plan.json", "--reason", "test", "--confirm", plan.phrase)
    code, said = run(*apply, "--all")
    assert code == ExitCode.DONE
    assert all(said.count(str(user.email)) == 2 for user in plan.targets)
    assert " more" not in said
    assert "… and 27 more" in run("show", "plan.json")[1]
    assert " more" not in run("show", "plan.json", "--all")[1]


def test_whoami_names_the_owner_of_the_token_and_the_server(run: Run, mock: MockTraining) -> None:
    with TrainingClient() as client:
        me, url = client.users.me(), client.base_url
    code, said = run("whoami")
    assert code == ExitCode.DONE
    for known in (me.user_id, me.organisation_id, url, str(me.lastname), "SAFETYCULTURE_API_TOKEN"):
        assert known in said
    assert mock.token("admin") not in said


def test_a_member_of_a_site_has_a_user_id_as_everybody_else(run: Run) -> None:
    with TrainingClient() as client:
        member = next(iter(client.sites.members()))
        (user,) = client.users.list(ids=[member.user_id])
    assert member.user_id == member.member_id == user.user_id


def test_closing_is_named_if_no_second_call_may_be_made(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    run("plan", "--course", COURSE, "--everyone", "--save", "all.json")
    plan = ResetPlan.load("all.json")
    mock.faults.add("drop", operation="ResetCourseProgress", when="before", times=None)
    order = ("--confirm", plan.phrase, "--max-retry", "1")
    run("apply", "all.json", "--reason", "test", "--server-side", *order)
    journal = JournalCopy.of_plan(StateDirectory.open(tmp_path / "state"), plan.digest).state()
    said = _how_to_go_on(
        IncompleteResetError("no", reason=NO_SECOND_CALL), journal, ShellCommands(plan="all.json")
    )
    assert "Nothing more is sent for this plan" in said
    assert "training-sdk plan close all.json --reason TEXT" in said
