"""Commands in this process, against the demo organisation on a socket."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import pytest
from attrs import evolve

from mock_server import MockTraining
from training_sdk import ResetInterruptedError, ResetPlan, Safeguards, TrainingClient
from training_sdk.approval.four_eyes import check_signed
from training_sdk.cli import main
from training_sdk.cli.commands import apply, due
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.group import program
from training_sdk.errors import InvalidArgumentError
from training_sdk.evidence import pack, packs_in
from training_sdk.records import storage
from training_sdk.records.audit import AuditLog
from training_sdk.records.state import StateDirectory
from training_sdk.resets import preflight
from training_sdk.resets.request_result import ResultHandler
from unit.sdk.approving import Keys, public
from unit.sdk.cli.conftest import Run, stopped_after
from unit.sdk.fakes import FakeDriver, answer, tail

COURSE = "6908610029087ab67fa50c2e"
SIOBHAN = "siobhan.doyle@nordwerk.example"


def reset(run: Run) -> None:
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    assert run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[0] == 0


def test_packs_are_purged_by_their_phrase(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reset(run)
    (folder,) = packs_in(tmp_path / "state" / "evidence")
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o644)
    for what in ("open to others", "too simple"):
        code, _, _ = run("evidence", "pseudonymise", str(folder), "copy", "--key-file", "key")
        assert (code, (tmp_path / "copy").exists()) == (ExitCode.USAGE, False), what
        key.chmod(0o600)
    key.write_bytes(b"a key that only tests ever use..")
    code, made, _ = run("evidence", "pseudonymise", str(folder), "copy", "--key-file", "key")
    assert code == 0
    assert not any(SIOBHAN.encode() in path.read_bytes() for path in Path(made["pack"]).iterdir())
    assert run("evidence", "verify", "copy")[0] == 0
    assert run("evidence", "pseudonymise", str(folder), "copy", "--key-file", "key")[0] == ExitCode.RECORDS
    assert run("evidence", "purge", "--older-than", "1")[1]["packs"][0]["purged"] is False
    _age(monkeypatch, days=3)
    code, dry, _ = run("evidence", "purge", "--older-than", "2", "--dry-run")
    identity = [folder.name, sha256((folder / "manifest.json").read_bytes()).hexdigest()]
    digest = sha256(json.dumps([identity]).encode()).hexdigest()
    assert (code, dry["phrase"]) == (0, f"purge 1 pack older than 2 days #{tail(digest)}")
    for wrong in ([], ["--confirm", "purge"], ["--confirm", "purge 1 pack older than 2 days"]):
        assert run("evidence", "purge", "--older-than", "2", *wrong)[0] == ExitCode.NOT_CONFIRMED
    assert folder.exists()
    code, gone, _ = run("evidence", "purge", "--older-than", "2", "--confirm", dry["phrase"])
    assert (code, gone["packs"][0]["purged"], folder.exists()) == (0, True, False)
    assert run("audit", "verify")[0] == 0
    events = [entry["event"] for entry in run("audit", "show")[1]["entries"]]
    assert "evidence purged" in events


def test_refused_plans_close_by_hand(run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("manager"))  # who may read, and not reset
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    assert run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[0] == ExitCode.DENIED
    assert run("plan", "--everyone", "close", "plan.json", "--reason", "no right")[0] == ExitCode.USAGE
    assert run("plan", "close", "plan.json")[0] == ExitCode.USAGE
    calls = len(mock.calls)
    code, said, _ = run("plan", "close", planned["digest"][:8], "--reason", "no right")
    assert (code, said["closed"]["plan_digest"]) == (0, planned["digest"])
    assert said["closed"]["standings"] == {"refused": 1}
    assert len(mock.calls) == calls
    assert run("resume", "plan.json", "--confirm", planned["phrase"])[0] == ExitCode.NOTHING_SENT
    assert run("audit", "show")[1]["entries"][-1]["reason"] == "no right"
    assert run("report", "plan.json")[1]["unfinished"] is None
    assert run("audit", "verify")[0] == 0


def test_records_name_the_server_and_which_one_is_for_rehearsals(
    run: Run,
    mock: MockTraining,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    live = "https://api.safetyculture.io"
    log = AuditLog(StateDirectory.open().audit)
    log.append("reset begun", base_url=live, reference_server=False, plan_digest="a" * 64)
    log.append("plan closed", plan_digest="a" * 64)
    log.append("approved by the board")
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    applied = run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[1]
    url = os.environ["SAFETYCULTURE_BASE_URL"]
    assert (applied["report"]["base_url"], applied["report"]["reference_server"]) == (url, True)
    listed = run("report", "--list")[1]["reports"]
    assert [(one["base_url"], one["reference_server"]) for one in listed] == [(url, True)]

    def shown(*command: str) -> list[str]:
        assert main([*command]) == 0
        return capsys.readouterr().out.splitlines()

    user = planned["plan"]["users"][0]["user_id"]
    mock.world.complete_course(COURSE, user)
    warnings = run("plan", "--course", COURSE, "--user", user)[1]["plan"]["warnings"]
    assert any("This machine reset 1 person of this plan less than 30 days ago" in one for one in warnings)
    practice = f"{url} (reference server)"
    assert [practice in line for line in shown("report", "--list")[2:]] == [True]
    assert [practice in line for line in shown("evidence", "list")[2:]] == [True]
    _age(monkeypatch, days=3)
    command = ("evidence", "purge", "--older-than", "2")
    run(*command, "--confirm", run(*command, "--dry-run")[1]["phrase"])
    rows = shown("audit", "show")[2:]
    assert "1 person, 1 reset, 1 in scope" in rows[3]
    assert [live in row for row in rows[:3]] == [True, True, False]
    assert not any("(reference server)" in row for row in rows[:3])
    assert "evidence purged" in rows[-1]
    assert all(practice in row for row in rows[3:])
    exported = shown("audit", "export")
    column = exported[0].split(",").index("reference_server")
    assert [row.split(",")[column] for row in exported[1:4]] == ["false", "", ""]
    assert practice in shown("audit", "show", "--plan", planned["digest"][:8], "--since", "2026-01-01")[-1]


def begun_and_not_sent(run: Run, tmp_path: Path) -> str:
    """The digest of a plan whose application was killed before its first request."""
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    assert run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[0] == 0
    folder = tmp_path / "state" / "plans" / planned["digest"]
    (folder / "report.json").unlink()
    steps = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    first = next(number for number, step in enumerate(steps) if '"event":"intent"' in step)
    (folder / "journal.jsonl").write_text("".join(steps[:first]))
    log = tmp_path / "state" / "audit.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if '"event":"reset ended"' not in line))
    return str(planned["digest"])


def test_a_report_ends_with_5_only_if_something_may_have_been_sent(run: Run, tmp_path: Path) -> None:
    digest = begun_and_not_sent(run, tmp_path)
    for named in ("plan.json", digest):
        code, said, _ = run("report", named)
        assert (code, said["unfinished"]["requests"]) == (0, 0)
        assert said["unfinished"]["advice"].startswith("Nothing was sent. Apply it: training-sdk apply")
        assert "training-sdk plan close" in said["unfinished"]["advice"]
    assert run("report", "--list")[0] == 0
    with storage.locked(tmp_path / "state" / "plans" / digest / "journal.jsonl", 1):
        code, said, _ = run("report", digest)
        assert said["unfinished"]["under_way"]
        assert code == ExitCode.INCOMPLETE  # it may be sending at this moment


def test_a_plan_of_which_nothing_was_sent_does_not_end_with_5(run: Run, mock: MockTraining) -> None:
    begun = ("--everyone", "--state", "in progress")
    _, planned, _ = run("plan", "--course", COURSE, *begun, "--save", "plan.json")
    people = ResetPlan.load("plan.json").targets
    for person in people:
        mock.world.complete_course(COURSE, person.user_id)
    confirmed = ("--reason", "test", "--confirm", planned["phrase"])
    code, said, _ = run("apply", "plan.json", *confirmed, "--tolerance", str(len(people)))
    assert (code, said["report"]["sent_ids"]) == (ExitCode.NOTHING_SENT, [])
    assert not [*mock.calls.of("reset")]


@pytest.mark.parametrize(
    "before",
    [
        ("--course", COURSE),
        ("--score-below", "0"),
        ("--everyone",),
        ("--save", "other.json"),
        ("--check-people", "people.csv"),
    ],
)
def test_what_a_plan_takes_is_refused_before_close_by_name(run: Run, before: tuple[str, ...]) -> None:
    code, said, _ = run("plan", *before, "close", "plan.json", "--reason", "x")
    assert code == ExitCode.USAGE
    assert before[0] in said["error"]["message"]
    assert "plan close" in said["error"]["message"]


def test_common_options_may_precede_close(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = begun_and_not_sent(run, tmp_path)
    monkeypatch.delenv("TRAINING_SDK_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    profiles = tmp_path / "profiles.toml"
    profiles.write_text("[profiles.acme]\nstate_dir = 'state'\n")
    profiles.chmod(0o600)
    acme = ("--profiles", str(profiles), "--profile", "acme")
    close = ("close", digest[:16], "--reason", "never happened")
    assert run("plan", *close)[0] == ExitCode.USAGE  # there is nothing in the default directory
    state = ("--state-dir", str(tmp_path / "state"))
    code, said, _ = run("plan", *state, "close", *close[1:], "--state-dir", str(tmp_path / "elsewhere"))
    assert code == ExitCode.USAGE
    assert "--state-dir" in said["error"]["message"]
    assert run("plan", "--profiles", str(profiles), "--profile", "no", *close)[0] == ExitCode.USAGE
    assert run("plan", *acme, *close)[1]["closed"]["plan_digest"] == digest
    assert run("plan", *state, *close)[0] == ExitCode.NOTHING_SENT  # found there, and closed already


SECRET = "scapi_" + "s3cr3t" * 6


@pytest.mark.parametrize("option", ["--reason", "--ticket"])
@pytest.mark.parametrize(
    "command", [("apply", "plan.json"), ("prove", "--course", COURSE, "--person", SIOBHAN)]
)
def test_a_token_typed_for_the_audit_log_is_refused_before_anything_is_opened(
    run: Run, tmp_path: Path, mock: MockTraining, command: tuple[str, ...], option: str
) -> None:
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    texts = {"--reason": "yearly", "--ticket": "T-1", option: f"with {SECRET}"}
    calls = len(mock.calls)
    typed = [part for pair in texts.items() for part in pair]
    code, said, _ = run(*command, *typed, "--confirm", planned["phrase"])
    assert (code, said["error"]["class"]) == (ExitCode.USAGE, "InvalidArgumentError")
    assert option in said["error"]["message"]
    assert SECRET not in json.dumps(said)
    assert len(mock.calls) == calls
    assert not (tmp_path / "state").exists() or not any((tmp_path / "state" / "plans").glob("*"))


def _age(monkeypatch: pytest.MonkeyPatch, *, days: int) -> None:
    """Let packs be older than they are."""
    parse = pack.parse_manifest

    def older(data: bytes, folder: Path) -> pack.Manifest:
        manifest = parse(data, folder)
        apart = timedelta(days=days)
        read_at = pack.ReadAt(manifest.read_at.first - apart, manifest.read_at.last - apart)
        return evolve(manifest, read_at=read_at)

    monkeypatch.setattr(pack, "parse_manifest", older)


def test_a_changed_byte_of_evidence_or_audit_log_ends_with_6(run: Run, tmp_path: Path) -> None:
    reset(run)
    assert run("evidence", "verify")[0] == run("audit", "verify")[0] == 0
    (folder,) = packs_in(tmp_path / "state" / "evidence")
    rows = folder / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b"100", b"101", 1))
    code, found, _ = run("evidence", "verify")
    assert code == ExitCode.RECORDS
    assert found["packs"][0]["in_audit_log"] is True
    assert found["packs"][0]["findings"]
    log = tmp_path / "state" / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"test"', b'"best"', 1))
    assert run("audit", "verify")[0] == run("audit", "show")[0] == ExitCode.RECORDS
    assert run("doctor")[0] == ExitCode.FAILED


def test_due_people_are_planned_without_those_on_hold_and_not_twice(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hold.txt").write_text(f"{SIOBHAN}\n")
    rule = ("due", "--course", COURSE, "--months", "1", "--zone", "Europe/Zurich")
    code, found, _ = run(*rule, "--hold", "hold.txt", "--save", "plan.json", "--card", "card.html")
    assert code == 0
    assert [case["email"] for case in found["due"]["held"]] == [SIOBHAN]
    planned = {user["email"] for user in found["plan"]["plan"]["users"]}
    assert planned == {case["email"] for case in found["due"]["due"]}
    assert planned
    assert SIOBHAN not in planned
    assert SIOBHAN not in (tmp_path / "card.html").read_text()
    assert run("apply", "plan.json", "--reason", "yearly", "--confirm", found["plan"]["phrase"])[0] == 0
    assert run(*rule, "--hold", "hold.txt")[1]["due"]["due"] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "user_id,date\nuser_x,2020-13-01\n",
            "line 2: '2020-13-01' is not a date. Write it as in 2019-06-10",
        ),
        (
            "user_id;date;\nuser_x;10.06.2019;\n",
            ("line 2: '10.06.2019' is not a date. Write it as in 2019-06-10"),
        ),
        ("user_id,date\nuser_x,2020-12-01\nuser_y,\n", "line 3: a user id or a date is missing"),
        ("user_id,date\nuser_y\n", "line 2: The row has 1 cell, and the header has 2 cells"),
        ("user_id;date;\nuser_x;2020-12-01;x\n", "line 2: Cell 3 is filled, and its column has no name"),
        ("user_id,date,date\nuser_x,2020-12-01,\n", "line 1: the columns must be user_id and date"),
        ("sep=;\nuser_id;date\n", "line 1: 'sep=' is a line for Excel. Delete it"),
        ("\ufeff\ufeffuser_id;date\n", "line 1: It begins with two byte order marks"),
        (
            "user_id,date\nuser_x,2020-12-01\nuser_x,2020-12-02\n",
            "line 3: this person is listed before with a different date",
        ),
        ("", "line 1: the columns must be user_id and date"),
        ("user_id,date\n", "contains no dates"),
    ],
)
def test_a_file_of_dates_is_read_like_a_file_of_people(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "days.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgumentError) as refused:
        due._dates(tmp_path / "days.csv")
    assert told in refused.value.message
    for sound in ("User_ID;date;\r\n user_x;2019-06-10;\r\n;;\r\n", "date\tuser_id\n2019-06-10\tuser_x\n"):
        (tmp_path / "days.csv").write_text(sound, encoding="utf-8-sig")
        assert due._dates(tmp_path / "days.csv") == {"user_x": date(2019, 6, 10)}


def test_people_who_train_again_at_once_do_not_contradict_their_reset(run: Run, mock: MockTraining) -> None:
    records = mock.world.main.progress[COURSE].records.items()
    midway = [user_id for user_id, one in records if one.opened_at and not one.completed_at][:2]
    people = [word for one in (SIOBHAN, *midway) for word in ("--user", one)]
    _, planned, _ = run("plan", "--course", COURSE, *people, "--save", "plan.json")
    assert run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[0] == 0
    siobhan = next(one["user_id"] for one in planned["plan"]["users"] if one["email"] == SIOBHAN)
    mock.clock.advance(timedelta(minutes=1))
    for again in (siobhan, midway[0]):
        mock.world.complete_course(COURSE, again)
    mock.world.open(COURSE, midway[1])
    code, seen, _ = run("verify", "plan.json")
    assert (code, seen["verified"], seen["retrained"]) == (0, True, 3)
    assert {one["state"] for one in seen["people"]} == {"verified"}
    assert sorted(one["code"] for one in seen["people"]) == [
        "BEGUN_AGAIN",
        "COMPLETE_AGAIN",
        "COMPLETE_AGAIN",
    ]


@pytest.mark.parametrize("closed", [False, True])
def test_unfinished_plans_do_not_verify(run: Run, closed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    run("plan", "--course", COURSE, "--everyone", "--save", "dp.json")
    plan, sent = stopped_after("dp.json", 2), 2
    total = len(plan.targets)
    digest = plan.digest[:16]
    if closed:
        assert run("plan", "close", digest, "--reason", "stop here")[0] == 0
    for named in ("dp.json", digest):
        code, seen, _ = run("verify", named)
        assert (code, seen["verified"], seen["finished"]) == (ExitCode.INCOMPLETE, False, closed)
        assert (seen["never_sent"], seen["counts"]["verified"]) == (total - sent, sent)
        capsys.readouterr()
        assert main(["verify", named]) == ExitCode.INCOMPLETE
        said = capsys.readouterr().out
        advice = "The plan is closed. Plan again" if closed else f"Continue with training-sdk resume {named}"
        assert f"{total - sent} of {total} resets were never sent. {advice}" in said
        assert "client." not in said
    events = [entry["event"] for entry in run("audit", "show", "--plan", digest)[1]["entries"]]
    assert events.count("reset not verified") == 4
    assert "reset verified" not in events
    if not closed:
        assert run("resume", "dp.json", "--confirm", plan.phrase)[0] == 0
        assert run("verify", "dp.json")[0] == 0
        events = [entry["event"] for entry in run("audit", "show", "--plan", digest)[1]["entries"]]
        assert events.count("reset verified") == 1


def test_a_profile_that_cannot_write_resets_nobody(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles.toml"
    profiles.write_text("default = 'a'\n[profiles.a]\nread_only = true\n")
    profiles.chmod(0o600)
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    confirmed = ("--reason", "test", "--confirm", planned["phrase"], "--profiles", str(profiles))
    code, said, _ = run("apply", "plan.json", *confirmed)
    assert (code, said["error"]["class"]) == (ExitCode.NOTHING_SENT, "ReadOnlyError")
    assert not [*mock.calls.of("reset")]


def test_a_token_of_a_profile_goes_to_no_other_address(run: Run, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles.toml"
    profiles.write_text("[profiles.a]\nbase_url = 'https://api.example.org'\ntoken = 'scapi_x'\n")
    profiles.chmod(0o600)
    elsewhere = ("--profile", "a", "--profiles", str(profiles), "--base-url", "http://127.0.0.1:1")
    code, said, _ = run("courses", *elsewhere)
    assert code == ExitCode.USAGE
    assert "the token of profile 'a' is for https://api.example.org" in said["error"]["message"]


def test_who_is_named_in_a_file_and_by_option_is_one_person(run: Run, tmp_path: Path) -> None:
    assert run("plan", "--people-template")[1]["template"].startswith("user_id,email")
    (tmp_path / "people.csv").write_text(f"email;note;\n{SIOBHAN};x;\n")
    checked = {"file": "people.csv", "problems": [], "people": 1, "courses": [], "duplicates": []}
    assert run("plan", "--check-people", "people.csv")[:2] == (0, checked)
    code, planned, _ = run("plan", "--course", COURSE, "--people", "people.csv", "--user", SIOBHAN.upper())
    assert (code, planned["people"], planned["saved"]) == (0, 1, None)


def test_a_file_with_other_headers(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = f"E-Mail;Kurs;Ort\n{SIOBHAN};{COURSE};Leeds\n{SIOBHAN.upper()};{COURSE};Leeds\nurs@x.example;c2;\n"
    (tmp_path / "people.csv").write_text(rows)
    code, checked, _ = run("plan", "--check-people", "people.csv")
    assert code == ExitCode.USAGE
    assert "Map others with --column or columns" in checked["problems"][0]
    named = ("--column", "email=E-Mail", "--column", "note=Ort")
    course = ("--column", "course_id=Kurs")
    code, checked, _ = run("plan", "--check-people", "people.csv", *named, *course)
    assert (code, checked["people"], checked["courses"]) == (0, 2, [COURSE, "c2"])
    assert "(line 3) more than once (first in line 2)" in checked["duplicates"][0]
    assert main(["plan", "--check-people", "people.csv", *named, *course]) == 0
    told = capsys.readouterr()
    assert "people.csv can be used: 2 people in 2 courses, 1 duplicate" in told.err
    assert "line 3" in told.out
    (tmp_path / "people.csv").write_text("".join(rows.splitlines(True)[:3]))
    code, planned, _ = run("plan", "--people", "people.csv", *named, *course)
    assert (code, planned["people"]) == (0, 1)
    for wrong in ("email", "mail=E-Mail", "email= "):
        code, said, _ = run("plan", "--check-people", "people.csv", "--column", wrong)
        assert (code, "NAME=HEADER" in said["error"]["message"]) == (ExitCode.USAGE, True)
    code, said, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, *named)
    assert (code, "--people" in said["error"]["message"]) == (ExitCode.USAGE, True)


def test_the_contract_kit_is_reached(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contract", "--help"]) == 0
    assert "--read-only" in capsys.readouterr().out
    assert main(["contract", "--nonsense"]) == ExitCode.USAGE


def test_a_plan_is_signed_on_saving_and_only_then(run: Run, tmp_path: Path) -> None:
    key = Keys(tmp_path).make("planner", "-t", "ed25519")
    who = ("--course", COURSE, "--user", SIOBHAN)
    assert run("plan", *who, "--key", str(key))[0] == ExitCode.USAGE
    assert run("plan", *who, "--save", "plan.json", "--key", str(key))[0] == 0
    plan = ResetPlan.load("plan.json")
    (tmp_path / "allowed_signers").write_text(f"{plan.origin.user_id} {public(key)}\n")
    rules = Safeguards(allowed_signers=tmp_path / "allowed_signers", signed_plans=True)
    FakeDriver(lambda request: answer()).run(check_signed(plan, rules))
    assert run("plan", *who, "--save", "other.json")[0] == 0
    profile = f"[profiles.a]\nsigned_plans = true\nallowed_signers = '{tmp_path / 'allowed_signers'}'\n"
    (tmp_path / "profiles.toml").write_text(f"default = 'a'\n{profile}")
    (tmp_path / "profiles.toml").chmod(0o600)
    asked = (
        "--profiles",
        "profiles.toml",
        "--reason",
        "test",
        "--confirm",
        ResetPlan.load("other.json").phrase,
    )
    code, said, _ = run("apply", "other.json", *asked)
    assert code == ExitCode.NOTHING_SENT, said


def main_of_click_8_1_0(*given: Any, **options: Any) -> Any:
    try:
        return click.Group.main(program, *given, **options)
    except click.Abort as abort:
        try:
            raise abort.__context__ or abort
        except KeyboardInterrupt:
            raise click.Abort from None


@pytest.mark.parametrize("when", ["half-way", "after its end", "after its end, with click 8.1.0"])
def test_an_interrupt_without_a_report_never_says_that_nothing_was_sent(
    run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    confirm = ("--confirm", planned["phrase"])
    with monkeypatch.context() as patched:
        if "8.1.0" in when:
            patched.setattr(program, "main", main_of_click_8_1_0)
        if when == "half-way":
            patched.setattr(ResultHandler, "resolve_failure", interrupt)
            patched.setattr(ResultHandler, "note_answer", interrupt)
            patched.setattr(ResultHandler, "close_after", interrupt)
        else:
            patched.setattr(apply, "of_report", interrupt)
        code, said, _ = run("apply", "plan.json", "--reason", "test", *confirm)
    assert len([*mock.calls.of("reset")]) == 1
    assert code == ExitCode.INCOMPLETE
    assert said["error"]["message"] == "Interrupted."
    (outcome,) = {user["outcome"] for user in said["report"]["users"]}
    assert outcome == "reset"  # the account in memory has the answer, also where the journal lacks it
    assert run("resume", "plan.json", *confirm)[0] == (0 if when == "half-way" else ExitCode.NOTHING_SENT)


def test_an_early_interrupt_sends_nothing(
    run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    monkeypatch.setattr(preflight, "refuse_new_warnings", interrupt)
    code, said, _ = run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])
    assert code == ExitCode.INTERRUPTED
    assert said["error"]["message"] == "Interrupted. Nothing was sent."
    assert not [*mock.calls.of("reset")]


def test_commands_take_a_short_digest(
    run: Run, mock: MockTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    plan = ResetPlan.load("plan.json")
    with pytest.raises(ResetInterruptedError), TrainingClient() as client:
        client.resets.apply(plan, confirm=plan.phrase, stop=lambda: True)
    named = f"#{tail(plan.digest)}"
    confirm = ("--confirm", plan.phrase)
    Path("plan.json").unlink()
    for wrong in (named.upper(), f"#{'0' * 16}", tail("0" * 64), "plan.json"):
        assert run("resume", wrong, *confirm)[0] == ExitCode.USAGE
    assert run("resume", named, "--confirm", plan.phrase[:-1])[0] == ExitCode.NOT_CONFIRMED
    assert not [*mock.calls.of("reset")]
    assert main(["resume", named, *confirm]) == ExitCode.DONE
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert (
        first
        == "So far 0 requests sent for 0 people: 0 with a known result, 0 unknown. Left to send: 1. The plan was:"
    )
    assert second.startswith("Plan to reset 1 person")
    assert run("resume", named, *confirm)[0] == ExitCode.NOTHING_SENT
    for spelt in (named, named[1:], plan.digest, plan.digest[:16]):
        assert run("report", spelt)[1]["report"]["plan_digest"] == plan.digest
    assert run("verify", named)[1]["verified"] is True
    assert run("audit", "show", "--plan", named)[1]["entries"]
