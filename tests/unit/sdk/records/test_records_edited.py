"""A journal that is edited and chained again, an edited outline and an edited approval contradict the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from training_sdk import RecordsDamagedError
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.program import run as command
from training_sdk.local_plans.record_check import check_records
from training_sdk.records.chain import RESERVED, START, Lines, encode_line, head_of, next_entry
from training_sdk.records.state import StateDirectory
from unit.sdk.evidence.past import seal as closing
from unit.sdk.machine import Machine
from unit.sdk.records.first_form import unpacked
from unit.sdk.records.test_record_check import (
    applied,
    faults,
    found,
    plan_folder,
    purged,
    twice_begun,
)

Entries = list[dict[str, Any]]
OTHER_TIME = "2020-01-01T00:00:00+00:00"


def rewrite(folder: Path, change: Callable[[Entries], object], path: Path | None = None) -> None:
    """Change the entries of the one journal, or of another file, and make a flawless chain of them."""
    path = path or plan_folder(folder) / "journal.jsonl"
    entries = [
        {name: value for name, value in entry.items() if name not in RESERVED} for entry in Lines(path).read()
    ]
    change(entries)
    head, lines = START, b""
    for entry in entries:
        new = next_entry(entry, head)
        head, lines = head_of(new), lines + encode_line(new)
    path.write_bytes(lines)


def entry_of(entries: Entries, event: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["event"] == event)


def other(value: object) -> object:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return OTHER_TIME if "T" in value and ":" in value else f"{value}x"
        case list():
            return [*value[:-1], "user_other"]
        case Mapping():
            return {**value, "skipped": 1}
    return "other"


def test_an_edit_of_any_fact_in_a_journal_that_is_chained_again_is_found(tmp_path: Path) -> None:
    folder = applied(tmp_path / "state")
    path = plan_folder(folder) / "journal.jsonl"
    written = path.read_bytes()
    places = [
        (number, name)
        for number, entry in enumerate(Lines(path).read())
        for name in entry
        if name not in (*RESERVED, "event")
    ]
    assert len(places) > 25
    for number, name in places:

        def change(entries: Entries, number: int = number, name: str = name) -> None:
            entries[number][name] = other(entries[number][name])

        rewrite(folder, change)
        assert faults(folder), f"line {number + 1}: {name}"
        path.write_bytes(written)
    assert found(folder) == ()


def journal(event: str, **facts: object) -> Callable[[Path], None]:
    """An edit of a journal that is chained again."""

    def attack(folder: Path) -> None:
        rewrite(folder, lambda entries: entry_of(entries, event).update(facts))

    return attack


def another_person(folder: Path) -> None:
    rewrite(folder, lambda entries: entry_of(entries, "intent")["user_ids"].append("user_other"))


def somebody_else_skipped(folder: Path) -> None:
    def change(entries: Entries) -> None:
        intent = entry_of(entries, "intent")
        gone = intent["user_ids"].pop()
        skipped = {"event": "skipped", "course_id": intent["course_id"], "codes": {gone: "MOVED"}}
        entries.insert(entries.index(intent), skipped)
        entry_of(entries, "answered")["count"] -= 1

    rewrite(folder, change)


OLD = {
    "base_url": journal("opened", base_url="https://elsewhere.test"),
    "applied_by": journal("opened", applied_by="user_other"),
    "organisation": journal("opened", organisation_id="other"),
    "token": journal("opened", token_fingerprint="other"),
    "reason": journal("opened", reason="another"),
    "ticket": journal("opened", ticket="another"),
    "kind of server": journal("opened", reference_server=False),
    "time of the evidence": journal("evidence", at=OTHER_TIME),
    "request id": journal("answered", request_id="another"),
    "another person": another_person,
    "somebody else was skipped": somebody_else_skipped,
}


@pytest.mark.parametrize("attack", OLD.values(), ids=OLD)
def test_an_edit_is_found_without_a_quoted_journal(attack: Callable[[Path], None], tmp_path: Path) -> None:
    folder = unpacked("closed", tmp_path)
    attack(folder)
    assert faults(folder)


def test_a_time_that_goes_back_is_noted_where_the_log_quotes_no_journal(tmp_path: Path) -> None:
    folder = unpacked("closed", tmp_path)
    journal("sent", at=OTHER_TIME)(folder)
    (note,) = found(folder)
    assert note.is_note
    assert "earlier than the one before" in note.message


# --- copies that name nobody, and approvals ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["sealed", "purged"])
@pytest.mark.parametrize("name", ["phrase", "read_at", "selection"])
def test_an_edited_outline_is_found(how: str, name: str, tmp_path: Path) -> None:
    folder = applied(tmp_path / "state", seal=closing if how == "sealed" else None)
    if how == "purged":
        purged(folder)
    assert found(folder) == ()
    edit(plan_folder(folder) / "outline.json", lambda said: said.update({name: other(said[name])}))
    assert faults(folder)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(path.read_bytes())
    change(said)
    path.write_text(json.dumps(said, indent=1) + "\n")


@pytest.mark.parametrize("number", [0, 1])
def test_people_of_an_edited_outline_are_found(number: int, tmp_path: Path) -> None:
    folder = applied(tmp_path / "state", seal=closing)
    path = plan_folder(folder) / "outline.json"
    edit(path, lambda said: said["users"][number].update(state="completed", completed_at=OTHER_TIME))
    assert faults(folder)


def test_the_name_in_a_stored_approval_is_found(tmp_path: Path) -> None:
    folder = twice_begun(tmp_path / "state")
    assert found(folder) == ()
    edit(plan_folder(folder) / "approval.json", lambda said: said["approver"].update(name="Somebody Else"))
    (fault,) = faults(folder)
    assert "approval.json" in fault


def test_an_edited_outline_of_a_sealed_approval_is_found(tmp_path: Path) -> None:
    folder = twice_begun(tmp_path / "state", seal=closing)
    assert found(folder) == ()
    edit(plan_folder(folder) / "approval.outline.json", lambda said: said.update(compared="other"))
    (fault,) = faults(folder)
    assert "approval.outline.json" in fault


@pytest.mark.parametrize("name", ["plan.json.sealed", "approval.json.sealed"])
def test_an_edit_inside_what_is_sealed_is_found_where_it_can_be_opened(name: str, tmp_path: Path) -> None:
    folder = twice_begun(tmp_path / "state", seal=closing)
    state = StateDirectory.open(folder)
    assert check_records(state, unseal=closing) == ()
    path = plan_folder(folder) / name
    said = json.loads(closing(path.read_bytes()))
    said["approver" if "approver" in said else "origin"]["user_id"] = "user_other"
    path.write_bytes(closing(json.dumps(said, indent=1).encode() + b"\n"))
    (fault,) = check_records(state, unseal=closing)
    assert not fault.is_note
    assert name in fault.message

    def broken(sealed: bytes) -> bytes:
        raise OSError("no key")

    assert all("no key" in one.message for one in check_records(state, unseal=broken))


# --- what may not be gone on with -------------------------------------------------------------------------------------


def test_nothing_is_sent_by_a_journal_that_was_edited(machine: Machine) -> None:
    """R21: an edit that turns "unknown" into "refused" would have people sent twice."""
    plan = machine.plan(0, 1)
    machine.lose(plan, arrives=True)
    sent = len(machine.lines())
    rewrite(machine.state, lambda entries: entry_of(entries, "opened").update(reason="another"))
    with pytest.raises(RecordsDamagedError, match=r"was changed, shortened or lost.*Nothing was sent"):
        machine.resume(plan)
    assert len(machine.lines()) == sent
    assert any("audit log quotes" in str(one) for one in check_records(StateDirectory.open(machine.state)))


# --- a damaged log ----------------------------------------------------------------------------------------------------


def altered(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"test", b"best"), *lines[1:]]


LOGS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "altered": altered,
    "a line is missing": lambda lines: lines[1:],
    "no JSON": lambda lines: [b"what is this\n", *lines],
    "all of it": lambda lines: [b"what is this\n"],
}


@pytest.mark.parametrize("damage", LOGS.values(), ids=LOGS)
def test_packs_are_verified_beside_a_damaged_log(
    damage: Callable[[list[bytes]], list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = applied(tmp_path / "state")
    log = folder / "audit.jsonl"
    log.write_bytes(b"".join(damage(log.read_bytes().splitlines(keepends=True))))
    monkeypatch.setenv("TRAINING_SDK_STATE_DIR", str(folder))
    monkeypatch.setenv("TRAINING_SDK_PROFILES", "")
    for is_changed in (False, True):
        if is_changed:
            table = next((folder / "evidence").glob("*/*.csv"))
            table.write_bytes(table.read_bytes() + b"x")
        assert command(["evidence", "verify", "--json"]) == ExitCode.RECORDS
        said = json.loads(capsys.readouterr().out)
        assert said["log"]
        (pack,) = said["packs"]
        assert bool(pack["findings"]) is is_changed
        assert command(["evidence", "verify"]) == ExitCode.RECORDS
        assert "FAULT: The audit log is damaged: line 1:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["base_url", "reference_server", "reason", "ticket"])
@pytest.mark.parametrize("event", ["evidence kept", "reset ended"])
def test_a_changed_place_or_reason_in_a_rechained_log_is_found(event: str, name: str, tmp_path: Path) -> None:
    folder = applied(tmp_path / "state")

    def change(entries: Entries) -> None:
        entry = entry_of(entries, event)
        entry[name] = other(entry[name])

    rewrite(folder, change, folder / "audit.jsonl")
    assert any("another server, reason or ticket" in one for one in faults(folder))
