"""Packs, people and courses as they are typed, and files that are never written over another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mock_server import MockTraining
from training_sdk.cli import main
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.evidence import packs_in
from training_sdk.records.events import Event, Intent
from training_sdk.records.journal import Journal
from unit.sdk.cli.conftest import Run

COURSE = "6908610029087ab67fa50c2e"
TITLE = "Forklift basics"
SIOBHAN = "siobhan.doyle@nordwerk.example"


@pytest.fixture
def pack(run: Run, tmp_path: Path) -> Path:
    """The pack of one reset."""
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    assert run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[0] == 0
    (folder,) = packs_in(tmp_path / "state" / "evidence")
    return folder


def test_the_past_is_found_by_id_e_mail_and_title_and_a_slip_is_no_empty_past(run: Run, pack: Path) -> None:
    (whole,) = run("evidence", "history")[1]["completions"]
    for options in (
        ("--user", SIOBHAN.upper()),
        ("--user", whole["user_id"]),
        ("--course", TITLE),
        ("--course", COURSE, "--user", SIOBHAN),
    ):
        code, found, _ = run("evidence", "history", *options)
        assert (code, found["completions"]) == (0, [whole]), options
    for options in (
        ("--user", "siobhan.doyl@nordwerk.example"),
        ("--user", "user_00000000000000000000000000000000"),
        ("--user", ""),
        ("--course", "Forklift"),
        ("--course", ""),
    ):
        code, found, said = run("evidence", "history", *options)
        assert code == ExitCode.FAILED, options
        assert "No pack contains" in found["error"]["message"]
        assert "0 completions" not in said
    assert len(run("evidence", "history")[1]["completions"]) == 1


def test_a_pack_that_was_lost_is_named_where_its_completions_are_looked_for(run: Run, pack: Path) -> None:
    for name, said in (
        ("manifest.json", "its manifest.json is missing"),
        ("", f"Pack {pack.name} is missing"),
    ):
        away = pack.parent.parent / "away"
        (pack / name).rename(away)
        code, found, told = run("evidence", "history")
        assert (code, found["completions"]) == (ExitCode.RECORDS, [])
        assert said in told
        code, _, told = run("evidence", "history", "--user", SIOBHAN)
        assert code == ExitCode.FAILED
        assert said in told
        away.rename(pack / name)
    assert run("evidence", "history")[0] == 0


def test_without_names_somebody_is_found_by_id_and_key(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"a key that only tests ever use..")
    (tmp_path / "key").chmod(0o600)
    (whole,) = run("evidence", "history")[1]["completions"]
    assert run("evidence", "pseudonymise", pack.name, "copy", "--key-file", "key")[0] == 0
    ask = ("evidence", "history", "copy", "--key-file", "key", "--user")
    assert len(run(*ask, whole["user_id"])[1]["completions"]) == 1
    assert run(*ask, SIOBHAN)[0] == ExitCode.FAILED


def test_a_pack_is_named_by_folder_name_or_digest(run: Run, pack: Path, tmp_path: Path) -> None:
    (listed,) = run("evidence", "list")[1]["packs"]
    for name in (str(pack), pack.name, listed["plan_digest"][:12], "#" + listed["plan_digest"][:6]):
        code, found, _ = run("evidence", "verify", name)
        assert (code, [Path(one["pack"]).name for one in found["packs"]]) == (0, [pack.name]), name
    (tmp_path / "photos").mkdir()
    for name in ("nothing-of-the-kind", "photos"):
        code, found, _ = run("evidence", "verify", name)
        assert (code, "There is no pack" in found["error"]["message"]) == (ExitCode.USAGE, True)
    next(pack.glob("rows*")).unlink()
    assert run("evidence", "verify", pack.name)[0] == ExitCode.RECORDS


def test_a_pack_after_which_nothing_was_sent_is_listed_as_such(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each attempt that stops between its evidence and its request leaves one."""
    _, planned, _ = run("plan", "--course", COURSE, "--user", SIOBHAN, "--save", "plan.json")
    apply = ("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])
    note = Journal.note

    def stop(journal: Journal, event: Event) -> None:
        if isinstance(event, Intent):
            raise KeyboardInterrupt
        note(journal, event)

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "note", stop)
        for _ in range(2):
            assert run(*apply)[0] == ExitCode.INTERRUPTED
    assert run(*apply)[0] == 0
    packs = run("evidence", "list")[1]["packs"]
    assert [one["sent_after_it"] for one in packs] == [False, False, True]
    assert main(["evidence", "list"]) == 0
    assert capsys.readouterr().out.count("nothing") == 2
    (tmp_path / "state" / "plans" / planned["digest"] / "journal.jsonl").unlink()
    assert {one["sent_after_it"] for one in run("evidence", "list")[1]["packs"]} == {None}


def test_a_log_is_exported_to_a_new_file_only(run: Run, pack: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    assert run("audit", "show")[0] == 0
    for there in (b"mine", None):
        if there is not None:
            log.write_bytes(there)
        assert (main(["audit", "export", "--output", "log.csv"]) == 0) is (there is None)
        assert (log.read_bytes() == there) is (there is not None)
        assert log.read_bytes().startswith(b"\xef\xbb\xbfline,") is (there is None)
        log.unlink()
    assert main(["audit", "export", "--output", "no/such/log.csv"]) == ExitCode.USAGE


def test_a_directory_that_is_not_there_is_called_that(run: Run, tmp_path: Path) -> None:
    plan = ("plan", "--course", COURSE, "--user", SIOBHAN)
    for option in ("--save", "--card"):
        code, found, _ = run(*plan, option, "no/such/file")
        assert code == ExitCode.USAGE
        assert "the directory no/such does not exist" in found["error"]["message"]


def test_a_hold_that_names_nobody_saves_no_plan(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hold.txt").write_text(f"{SIOBHAN.replace('doyle', 'doyl')}\n{COURSE}, nobody@example.org\n")
    due = ("due", "--course", COURSE, "--months", "1", "--zone", "UTC", "--hold", "hold.txt")
    assert run(*due)[0] == 0
    code, found, _ = run(*due, "--save", "due.json")
    assert (code, (tmp_path / "due.json").exists()) == (ExitCode.USAGE, False)
    assert "2 entries" in found["error"]["message"]
    assert "siobhan.doyl@" in found["error"]["message"]
    assert f"{COURSE}, nobody@example.org" in found["error"]["message"]
    assert run(*due, "--save", "due.json", "--allow-unknown-holds")[0] == 0
    assert (tmp_path / "due.json").exists()


def test_what_comes_close_to_a_title_is_listed_with_its_status(run: Run) -> None:
    message = run("plan", "--course", "forklift", "--everyone")[1]["error"]["message"]
    assert f"\n  {COURSE}  {TITLE} (Published)" in message
    assert message.endswith("\nName one by its id.")


def test_reports_of_a_directory_that_is_not_there_are_refused(run: Run, tmp_path: Path) -> None:
    nowhere = ("--state-dir", str(tmp_path / "nosuch"))
    (one, _, _), (other, _, _) = run("report", "--list", *nowhere), run("report", "abcdef", *nowhere)
    assert one == other == ExitCode.USAGE


def change(mock: MockTraining, **fields: Any) -> None:
    """Give Siobhan another e-mail or external id."""
    person = mock.world.user(SIOBHAN)
    mock.world.main.people[person.id] = evolve(person, **fields)


@pytest.mark.parametrize("external_id", ["Doyle, Siobhan", "NW#EXT#7", "NW-7,2"])
def test_holds_may_have_commas_or_hash(
    run: Run, mock: MockTraining, tmp_path: Path, external_id: str
) -> None:
    """R05: nobody who must be held is in the plan, whatever their id holds."""
    change(mock, external_id=external_id)
    due = ("due", "--course", COURSE, "--months", "1", "--zone", "UTC", "--hold", "hold.txt")
    for line in (external_id, f"{COURSE}, {external_id}", f"{COURSE.upper()},{external_id} # on leave"):
        (tmp_path / "hold.txt").write_text(f"{line}\nno-course, {SIOBHAN}\n")
        code, found, _ = run(*due, "--allow-unknown-holds", "--save", f"{len(line)}.json")
        assert code == 0
        assert [one["email"] for one in found["due"]["held"]] == [SIOBHAN], line
        assert SIOBHAN not in {one["email"] for one in found["plan"]["plan"]["users"]}
        assert found["due"]["held_nobody"] == [f"no-course, {SIOBHAN}"]


def test_letters_that_fold_alike_are_two_mailboxes(run: Run, mock: MockTraining, tmp_path: Path) -> None:
    change(mock, email="max@strasse.example")
    other = "max@stra\u00dfe.example"
    (tmp_path / "people.csv").write_text(f"email\n{other}\n", encoding="utf-8")
    for options in (
        ("plan", "--course", COURSE, "--user", other),
        ("plan", "--course", COURSE, "--people", "people.csv"),
        ("progress", "--course", COURSE, "--user", other),
    ):
        code, found, _ = run(*options)
        assert code != 0, options
        assert repr(other) in found["error"]["message"], options
    _, planned, _ = run("plan", "--course", COURSE, "--user", "MAX@strasse.EXAMPLE", "--save", "plan.json")
    assert run("apply", "plan.json", "--reason", "test", "--confirm", planned["phrase"])[0] == 0
    assert run("evidence", "history", "--user", other)[0] == ExitCode.FAILED
    assert run("evidence", "history", "--user", "max@STRASSE.example")[0] == 0
