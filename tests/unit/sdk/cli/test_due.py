"""``due``: for which day a plan is made, and people who were reset or have lapsed are never merely "not due"."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import evolve

from mock_server import MockTraining
from training_sdk import PermissionDeniedError, Safeguards, TrainingClient
from training_sdk._core.listing import Page
from training_sdk._core.operation import Listing
from training_sdk.api.progress import ProgressRow
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.reports import report_file
from unit.sdk.cli.conftest import Run

COURSE = "6908610029087ab67fa50c2e"
DUE = ("due", "--course", COURSE, "--months", "1", "--zone", "Europe/Zurich")
TODAY = date(2031, 1, 10)
"""By the clock of the service, where that is not the clock of this machine."""


def stop_the_clock(mock: MockTraining, hour: int) -> None:
    mock.clock.freeze(datetime(TODAY.year, TODAY.month, TODAY.day, hour, tzinfo=UTC))


def counts(document: Any) -> dict[str, int]:
    found = document["due"]
    lists = ("due", "lapsed", "already_reset", "unclear")
    return {name: len(found[name]) for name in lists} | {"not_due": found["not_due"]}


def reset_whoever_is_due(run: Run) -> int:
    code, document, _ = run(*DUE, "--save", "first.json")
    assert code == ExitCode.DONE
    confirmed = ("--reason", "renewal", "--confirm", document["plan"]["phrase"])
    assert run("apply", "first.json", *confirmed)[0] == 0
    return len(document["due"]["due"])


# --- whom the token sees ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["resetter", "learner"])
def test_a_token_that_may_not_read_others_does_not_find_that_nobody_is_due(
    run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch, token: Literal["resetter", "learner"]
) -> None:
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token(token))
    for more in ((), ("--save", "plan.json")):
        code, document, _ = run(*DUE, *more)
        assert (code, document["error"]["reason"]) == (ExitCode.DENIED, "READ_PERMISSION_MISSING")
        assert "Training: Administration" in document["error"]["message"]
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("admin"))

    def refuse(*_: object) -> None:
        raise PermissionDeniedError("no statistics", status=403)

    monkeypatch.setattr(sys.modules["training_sdk.cli.commands.due"], "about_narrow_view", refuse)
    assert "not known whether it sees everyone" in run(*DUE)[1]["warnings"][0]


def test_a_list_and_an_export_of_fewer_people_than_the_course_has_say_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ("progress", "--course", COURSE, "--format", "exporter-csv", "--output")
    assert run(*DUE)[1]["warnings"] == []
    whole = Listing.pages

    def narrow(self: Listing[Any]) -> Iterator[Page[Any]]:
        for page in whole(self):
            rows = isinstance(page.items[0], ProgressRow)
            yield evolve(page, items=page.items[:12]) if rows else page

    monkeypatch.setattr(Listing, "pages", narrow)
    (warning,) = run(*DUE)[1]["warnings"]
    assert warning == (
        f"Course {COURSE!r} has 41 people, and this token sees the progress of 12. The others are not in this list."
    )
    capsys.readouterr()
    assert main([*export, "narrow.csv"]) == 0
    assert warning.replace("this list", "this file") in capsys.readouterr().err


def test_an_export_by_a_token_that_sees_one_person_is_called_no_organisation(
    run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export = ("progress", "--format", "exporter-csv", "--output")
    assert main([*export, "whole.csv"]) == 0
    assert "Warning" not in capsys.readouterr().err
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", mock.token("learner"))
    assert main([*export, "own.csv"]) == 0
    assert (
        "Warning: This token sees the progress of its owner only: the service refuses"
        in capsys.readouterr().err
    )


# --- the day ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["2031-01-11", "2035-01-01", "2031-01-10T23:30:00Z"])
def test_no_plan_is_made_of_a_future_list(run: Run, mock: MockTraining, tmp_path: Path, on: str) -> None:
    stop_the_clock(mock, 9)
    code, document, _ = run(*DUE, "--on", on, "--save", "plan.json", "--card", "card.html")
    assert code == ExitCode.USAGE
    assert "today is 2031-01-10 in Europe/Zurich" in document["error"]["message"]
    assert document["error"]["message"].endswith(
        "To look at that day, leave out --save. To plan, leave out --on."
    )
    assert not (tmp_path / "plan.json").exists()
    assert not (tmp_path / "card.html").exists()
    assert not [*mock.calls.of("progress")]  # refused before anybody was looked at


def test_a_list_for_a_later_day_says_that_it_is_for_looking(run: Run, mock: MockTraining) -> None:
    stop_the_clock(mock, 9)
    code, document, said = run(*DUE, "--on", "2035-01-01")
    assert (code, document["due"]["on"], document["due"]["today"]) == (0, "2035-01-01", "2031-01-10")
    assert "This list is for 2035-01-01, and today is 2031-01-10. It cannot be planned." in said
    assert "for looking only" not in run(*DUE)[2]


@pytest.mark.parametrize(
    ("zone", "on", "code"),
    [
        ("Pacific/Kiritimati", "2031-01-11", ExitCode.DONE),  # 14 hours ahead: it is tomorrow there
        ("Pacific/Kiritimati", "2031-01-12", ExitCode.USAGE),
        ("Etc/UTC", "2031-01-10", ExitCode.DONE),
        ("Etc/UTC", "2031-01-11", ExitCode.USAGE),
        ("Pacific/Pago_Pago", "2031-01-10", ExitCode.DONE),
        ("Pacific/Pago_Pago", "2031-01-11", ExitCode.USAGE),
    ],
)
def test_today_is_that_of_the_zone(run: Run, mock: MockTraining, zone: str, on: str, code: ExitCode) -> None:
    stop_the_clock(mock, 12)
    rule = ("due", "--course", COURSE, "--months", "1", "--zone", zone)
    assert run(*rule, "--on", on, "--save", "plan.json")[0] == code
    if code == ExitCode.DONE:
        assert run(*rule)[1]["due"]["on"] == on  # without --on it is today


def test_an_earlier_day_is_allowed_since_planning_looks_again(run: Run, mock: MockTraining) -> None:
    stop_the_clock(mock, 9)
    code, document, _ = run(*DUE, "--on", "2031-01-01", "--save", "plan.json")
    assert (code, document["due"]["on"]) == (0, "2031-01-01")


# --- whoever was reset -----------------------------------------------------------------------------------------------


def test_people_reset_before_are_in_a_separate_list(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    mock.lag = timedelta(hours=2)
    people = reset_whoever_is_due(run)
    code, document, _ = run(*DUE)
    assert counts(document)["already_reset"] == people
    assert (code, counts(document)["due"], counts(document)["lapsed"]) == (0, 0, 0)
    assert all("which the feed does not show yet" in one["why"] for one in document["due"]["already_reset"])
    elsewhere = run(*DUE, "--state-dir", str(tmp_path / "other"))[1]
    assert (counts(elsewhere)["due"], counts(elsewhere)["already_reset"]) == (people, 0)


@pytest.mark.parametrize("days", [0, 1, 40, 400])
def test_reset_people_lapse_and_do_not_vanish(
    run: Run, mock: MockTraining, tmp_path: Path, days: int
) -> None:
    people = reset_whoever_is_due(run)
    mock.clock.advance(timedelta(days=days))
    code, document, said = run(*DUE, "--save", "second.json")
    assert (code, counts(document)["lapsed"], counts(document)["due"]) == (ExitCode.LAPSED, people, 0)
    assert {one["lapsed_days"] - days for one in document["due"]["lapsed"]} <= {0, 1}  # 1 at midnight
    assert not (tmp_path / "second.json").exists()
    assert f"{people} people have lapsed" in said
    assert run(*DUE)[0] == ExitCode.LAPSED


def test_a_saved_plan_ends_with_0_and_names_lapsed_people(run: Run, mock: MockTraining) -> None:
    people = reset_whoever_is_due(run)
    mock.clock.advance(timedelta(days=1))
    lapsed_ids = {one["user_id"] for one in run(*DUE)[1]["due"]["lapsed"]}
    somebody = sorted(lapsed_ids)[0]
    mock.world.complete_course(COURSE, somebody)
    mock.clock.advance(timedelta(days=40))
    code, document, said = run(*DUE, "--save", "second.json")
    assert (code, [one["user_id"] for one in document["due"]["due"]]) == (0, [somebody])
    assert counts(document)["lapsed"] == people - 1
    assert f"{people - 1} people have lapsed" in said
    assert "The exit code is 0, because a plan was saved. Without --save it is 12" in said


@pytest.mark.parametrize("lost", ["reports", "reports and journals"])
def test_records_alone_show_lapsed_people(run: Run, mock: MockTraining, tmp_path: Path, lost: str) -> None:
    people = reset_whoever_is_due(run)
    for report in (tmp_path / "state" / "plans").glob("*/report.json"):
        report.unlink()
    if lost == "reports and journals":
        shutil.rmtree(tmp_path / "state" / "plans")
    mock.clock.advance(timedelta(days=3))
    document = run(*DUE)[1]
    assert counts(document)["lapsed"] == people
    known = {3, 4} if lost == "reports" else {None}
    assert {one["lapsed_days"] for one in document["due"]["lapsed"]} <= known


def test_a_pack_that_cannot_be_read_is_warned_of_and_hides_nobody_else(run: Run, tmp_path: Path) -> None:
    people = reset_whoever_is_due(run)
    (rows,) = (tmp_path / "state" / "evidence").glob("*/rows.jsonl")
    rows.write_bytes(rows.read_bytes()[:-10])
    code, document, said = run(*DUE)
    assert (code, counts(document)["lapsed"]) == (ExitCode.LAPSED, people)
    (warning,) = document["warnings"]
    assert warning.startswith("1 evidence pack cannot be read")
    assert rows.parent.name in warning
    assert "Warning: 1 evidence pack cannot be read" in said


@pytest.mark.parametrize("when", ["before", "after"])
def test_people_whose_answer_was_lost_are_not_called_reset(run: Run, mock: MockTraining, when: str) -> None:
    _, document, _ = run(*DUE, "--save", "plan.json")
    people = len(document["due"]["due"])
    mock.faults.add("drop", operation="reset", when=when)
    confirmed = ("--reason", "renewal", "--confirm", document["plan"]["phrase"])
    assert run("apply", "plan.json", *confirmed)[0] == ExitCode.INCOMPLETE
    seen = counts(run(*DUE)[1])
    # Without effect they are still complete, and somebody has to resume; nobody is planned a second time.
    assert seen["lapsed" if when == "after" else "unclear"] == people
    assert (seen["already_reset"], seen["due"]) == (0, 0)


def test_people_of_a_killed_reset_have_lapsed(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    _, document, _ = run(*DUE, "--save", "plan.json")
    people = len(document["due"]["due"])
    mock.faults.add("drip", operation="reset", seconds=20)  # between the pieces of the answer
    apply = ["apply", "plan.json", "--reason", "renewal", "--confirm", document["plan"]["phrase"]]
    with subprocess.Popen([sys.executable, "-m", "training_sdk.cli", *apply], cwd=tmp_path) as process:
        while not [one for one in mock.audit if one.outcome == "done"]:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    assert not [*(tmp_path / "state" / "plans").glob("*/report.json")]
    document = run(*DUE)[1]
    assert (counts(document)["lapsed"], counts(document)["due"]) == (people, 0)
    assert {one["lapsed_days"] for one in document["due"]["lapsed"]} <= {0, 1}


def test_a_reset_counts_from_its_own_request(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    reset_whoever_is_due(run)
    (folder,) = (tmp_path / "state" / "plans").iterdir()
    report = report_file.load(folder)
    report_file.save(evolve(report, finished_at=report.finished_at + timedelta(hours=6)), folder)
    mock.clock.advance(timedelta(hours=1))
    mock.world.complete_course(COURSE, report.plan.targets[0].user_id)
    document = run(*DUE)[1]
    assert counts(document)["lapsed"] == len(report.plan.targets) - 1
    assert (counts(document)["already_reset"], counts(document)["unclear"]) == (0, 0)


# --- records that cannot be read -------------------------------------------------------------------------------------


def shifted(data: bytes) -> bytes:
    """A seal that opens itself."""
    return bytes(byte ^ 0x55 for byte in data)


def a_sealed_pack(mock: MockTraining, url: str, tmp_path: Path) -> str:
    """Reset somebody with a client that seals; the arguments that name the profile which opens the seal."""
    state = tmp_path / "state"
    guards = Safeguards(seal=shifted)
    with TrainingClient(mock.token("admin"), base_url=url, state_dir=state, safeguards=guards) as client:
        plan = client.resets.plan_everyone(COURSE, only="completed")
        assert client.resets.apply(plan, confirm=plan.phrase, reason="renewal").is_complete
    script = "import sys; sys.stdout.buffer.write(bytes(b ^ 0x55 for b in sys.stdin.buffer.read()))"
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(f"[profiles.opens]\nunseal_command = {json.dumps([sys.executable, '-c', script])}\n")
    profiles.chmod(0o600)
    return str(profiles)


def test_sealed_packs_are_opened_by_the_profile_command(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    profiles = a_sealed_pack(mock, os.environ["SAFETYCULTURE_BASE_URL"], tmp_path)
    opens = ("--profiles", profiles, "--profile", "opens")
    shutil.rmtree(tmp_path / "state" / "plans")  # only the evidence knows who had completed
    people = len({one["user_id"] for one in run("evidence", "history", *opens)[1]["completions"]})
    assert people > 0

    code, document, said = run(*DUE, *opens)
    assert (code, document["warnings"]) == (ExitCode.LAPSED, [])
    assert counts(document)["lapsed"] == people
    assert "Warning" not in said
    first = ("due", "--course", COURSE, "--first-completion", "--zone", "Europe/Zurich")
    assert run(*first, *opens)[0] in (ExitCode.DONE, ExitCode.LAPSED)

    code, document, said = run(*DUE)
    assert (code, counts(document)["lapsed"]) == (ExitCode.DONE, 0)
    assert "unseal_command" in said
    assert "unseal=" not in said
    code, document, _ = run(*first)
    assert code == ExitCode.RECORDS
    assert "unseal_command" in document["error"]["message"]


def test_an_unseal_command_that_fails_is_a_warning(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    profiles = a_sealed_pack(mock, os.environ["SAFETYCULTURE_BASE_URL"], tmp_path)
    script = [sys.executable, "-c", "raise SystemExit(3)"]
    Path(profiles).write_text(f"[profiles.opens]\nunseal_command = {json.dumps(script)}\n")
    code, document, _ = run(*DUE, "--profiles", profiles, "--profile", "opens")
    assert code == ExitCode.LAPSED  # by the journal
    assert "ended with 3" in document["warnings"][0]


@pytest.mark.parametrize(
    ("damaged", "others"),
    [(["report.json"], True), (["journal.jsonl"], True), (["report.json", "journal.jsonl"], False)],
)
def test_a_report_or_journal_that_cannot_be_read_is_a_warning(
    run: Run, mock: MockTraining, tmp_path: Path, damaged: list[str], *, others: bool
) -> None:
    people = reset_whoever_is_due(run)
    mock.clock.advance(timedelta(days=1))
    (folder,) = (tmp_path / "state" / "plans").iterdir()
    for name in damaged:
        (folder / name).write_bytes(b"{}\n{}\n")
    shutil.rmtree(tmp_path / "state" / "evidence")
    code, document, said = run(*DUE)
    assert len(document["warnings"]) == len(damaged)
    for name in damaged:
        assert any(str(folder / name) in one for one in document["warnings"]), document["warnings"]
        kind = name.partition(".")[0]
        assert f"Warning: A {kind} on this machine cannot be read" in said
    # What the other file knows still counts.
    assert (code, counts(document)["lapsed"]) == ((ExitCode.LAPSED, people) if others else (0, 0))
