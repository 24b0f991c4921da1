"""The audit log: who did what, when and why, and any change of it found."""

from __future__ import annotations

import csv
import getpass
import io
import json
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import InvalidArgumentError, RecordsDamagedError, RecordsUnwritableError
from training_sdk._core.text import fingerprint
from training_sdk.records import chain
from training_sdk.records.audit import COLUMNS, AuditLog, Quoted, os_user
from training_sdk.records.chain import START, Head, Lines, encode_line
from unit.sdk.records import children

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
TOKEN = "scapi-0123456789"
ENTRIES = 6


def facts(number: int) -> dict[str, Any]:
    return {
        "who": {"token_fingerprint": fingerprint(TOKEN), "user_id": f"u{number}", "organisation_id": "o-1"},
        "base_url": "https://api.example",
        "plan_digest": "ab" * 32 if number % 2 else "cd" * 32,
        "reason": "yearly, „Stapler“\nand more",
        "ticket": f"T-{number}",
        "counts": {"resets": number},
        "outcomes": {"reset": number, "unknown": 0},
        "pack": {"name": f"pack-{number}", "manifest_sha256": f"{number}" * 64},
        "approval": None,
    }


def fill(path: Path, number: int = ENTRIES) -> list[Head]:
    log = AuditLog(path)
    return [log.append("reset ended", at=AT + timedelta(hours=n), **facts(n)) for n in range(1, number + 1)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[Head]]:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    heads = fill(path)
    return path, path.read_bytes(), heads


# --- what an entry says ------------------------------------------------------------------------------------------


def test_an_entry_says_who_what_when_and_why(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    assert (log.head(), log.entries(), log.verify()) == (START, (), ())
    head = log.append("reset ended", at=AT, **facts(1))
    (entry,) = log.entries()
    who = {"os_user": os_user(), **facts(1)["who"]}
    assert entry == {
        **facts(1),
        "event": "reset ended",
        "at": "2026-03-01T09:00:00+00:00",
        "who": who,
        "n": 1,
        "prev": START.hash,
        "hash": head.hash,
    }
    assert log.head() == head == Head(1, entry["hash"])
    assert log.verify() == ()
    assert log.manifests() == {"pack-1": "1" * 64}
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_an_entry_without_a_time_says_now(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    before = datetime.now(UTC)
    log.append("pack purged")
    (entry,) = log.entries(since=before, until=datetime.now(UTC) + timedelta(seconds=1))
    assert entry["who"] == {"os_user": os_user()}


def test_the_user_comes_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os_user()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert os_user() == real
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert os_user() == "uid 4000000"


@pytest.mark.parametrize("problem", [ImportError, KeyError, OSError])  # by the version of Python
def test_a_missing_user_name_is_no_error(monkeypatch: pytest.MonkeyPatch, problem: type[Exception]) -> None:
    def getuser() -> str:
        raise problem("no user name")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(getpass, "getuser", getuser)
    assert os_user() == "unknown user"


@pytest.mark.parametrize(
    "leak",
    [
        {"reason": f"I used {TOKEN}, sorry"},
        {"other": [{"deep": f"'{TOKEN}'"}]},
        {"other": {TOKEN: 1}},
        {"reason": "Authorization: Bearer abc123def456ghi789"},
        {"reason": "mock_" + "a1" * 24},
        {"token": "hunter2"},
        {"who": {"password": "x"}},
        {"reason": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x"},
    ],
)
def test_what_looks_like_a_token_is_never_kept(tmp_path: Path, leak: dict[str, Any]) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises(InvalidArgumentError, match="must not look like a token") as caught:
        log.append("reset begun", **{**facts(1), **leak, "who": {**facts(1)["who"], **leak.get("who", {})}})
    assert TOKEN not in str(caught.value)
    assert not log.path.exists()


@pytest.mark.parametrize(
    "reason",
    [
        "renew the crane bearer certificate",
        "token ring, password policy: course 12",
        "ab" * 32,
        "",
        "broken \udcff text: \udcff\udcff\udcff\udcff\udcff\udcff\udcff\udcff",
    ],
)
def test_ordinary_words_are_kept(tmp_path: Path, reason: str) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.append("reset begun", **{**facts(1), "reason": reason})
    assert log.entries()[0]["reason"] == reason


@pytest.mark.parametrize("name", chain.RESERVED)
def test_what_the_chain_sets_cannot_be_said(tmp_path: Path, name: str) -> None:
    extra: dict[str, Any] = {name: 1}
    with pytest.raises(InvalidArgumentError, match=name):
        AuditLog(tmp_path / "audit.jsonl").append("x", **extra)


def test_entries_by_time_and_plan(filled: tuple[Path, bytes, list[Head]]) -> None:
    path, content, _ = filled
    path.write_bytes(content)
    log = AuditLog(path)
    two, four = AT + timedelta(hours=2), AT + timedelta(hours=4)
    assert [entry["n"] for entry in log.entries(since=two, until=four)] == [2, 3]
    assert [entry["n"] for entry in log.entries(plan_digest="ab" * 32, since=two)] == [3, 5]
    with pytest.raises(InvalidArgumentError, match="since"):
        log.entries(since=datetime(2026, 1, 1))


# --- what is found -----------------------------------------------------------------------------------------------


@given(st.data())
def test_any_changed_byte_is_found(filled: tuple[Path, bytes, list[Head]], data: st.DataObject) -> None:
    path, content, _ = filled
    place = data.draw(st.integers(0, len(content) - 1))
    byte = bytes([data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))])
    kind = data.draw(st.sampled_from(["change", "remove", "add"]))
    changed = {"change": byte, "remove": b"", "add": byte + content[place : place + 1]}[kind]
    path.write_bytes(content[:place] + changed + content[place + 1 :])
    findings = AuditLog(path).verify()
    assert findings
    lines = [finding.line for finding in findings if finding.line is not None]
    assert not lines or min(lines) == content[:place].count(b"\n") + 1 or findings[-1].is_note


@given(st.data())
def test_any_changed_line_is_found(filled: tuple[Path, bytes, list[Head]], data: st.DataObject) -> None:
    path, content, heads = filled
    lines = content.splitlines(keepends=True)
    first = data.draw(st.integers(0, ENTRIES - 2))
    second = data.draw(st.integers(first + 1, ENTRIES - 1))
    kind = data.draw(st.sampled_from(["removed", "repeated", "swapped", "altered", "inserted"]))
    if kind == "removed":
        del lines[first]
    elif kind == "repeated":
        lines.insert(data.draw(st.integers(0, ENTRIES)), lines[first])
    elif kind == "swapped":
        lines[first], lines[second] = lines[second], lines[first]
    else:  # by somebody who knows how hashes are made
        before = heads[first - 1] if first else START
        forged = encode_line(chain.next_entry({"event": "nothing happened", "at": AT.isoformat()}, before))
        lines[first : first + (kind == "altered")] = [forged]
    path.write_bytes(b"".join(lines))
    assert [finding for finding in AuditLog(path).verify() if not finding.is_note]


@given(st.integers(0, ENTRIES), st.lists(st.integers(0, ENTRIES), max_size=4))
def test_packs_find_a_cut_end(filled: tuple[Path, bytes, list[Head]], kept: int, quotes: list[int]) -> None:
    path, content, heads = filled
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:kept]))
    packs = [Quoted(f"pack-{n}", heads[n - 1] if n else START) for n in quotes]
    findings = AuditLog(path).verify(packs)
    beyond = [n for n in quotes if n > kept]
    assert [finding.message for finding in findings] == [
        f"the end is missing: pack-{n} refers to entry {n}, but the log ends with entry {kept}"
        for n in beyond
    ]


def test_a_log_that_was_written_anew_is_found_by_the_packs(tmp_path: Path) -> None:
    heads = fill(tmp_path / "audit.jsonl")
    anew = AuditLog(tmp_path / "anew.jsonl")
    for n in range(1, ENTRIES + 1):
        anew.append("reset ended", at=AT, **facts(n))
    assert anew.verify() == ()
    (finding,) = anew.verify([Quoted("pack-3", heads[2])])
    assert str(finding) == "entry 3 is not the entry to which pack-3 refers: the log was written again"


def test_findings_name_the_line_and_what_is_wrong(filled: tuple[Path, bytes, list[Head]]) -> None:
    path, content, heads = filled
    lines = content.splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[3:]]) + b'{"to')
    assert [str(finding) for finding in AuditLog(path).verify([Quoted("pack-2", heads[1])])] == [
        "line 2: lines are missing before it: 2 to 3",
        "entry 2 is missing, to which pack-2 refers",
        "4 bytes follow the last entry: a write that was interrupted",
    ]
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"T-2", b"T-9"), *lines[2:]]))
    assert [finding.line for finding in AuditLog(path).verify()] == [2]
    with pytest.raises(RecordsDamagedError, match=r"audit\.jsonl, line 2"):
        AuditLog(path).entries()


@pytest.mark.parametrize("start", [b"{ ", b'{"ticket":"T-99",', b'{"approval":null,"a'])
def test_an_entry_has_one_spelling_only(filled: tuple[Path, bytes, list[Head]], start: bytes) -> None:
    path, content, _ = filled
    lines = content.splitlines(keepends=True)
    skipped = b'{"a' if start.endswith(b'"a') else b"{"
    lines[1] = start + lines[1].removeprefix(skipped)
    assert json.loads(lines[1]) == json.loads(content.splitlines()[1]), "it reads the same"
    path.write_bytes(b"".join(lines))
    assert [finding.line for finding in AuditLog(path).verify()] == [2]


def test_nothing_is_added_behind_an_altered_end(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    fill(path)
    altered = path.read_bytes().replace(b"T-6", b"T-7")
    path.write_bytes(altered)
    with pytest.raises(RecordsDamagedError, match="line 6"):
        AuditLog(path).append("reset begun")
    assert path.read_bytes() == altered


def test_an_entry_that_names_no_time_is_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    Lines(path).append(chain.next_entry({"event": "x", "at": "yesterday"}, START))
    with pytest.raises(RecordsDamagedError, match=r"line 1, .* has no time"):
        AuditLog(path).entries()


# --- exported ----------------------------------------------------------------------------------------------------


def rows(log: AuditLog) -> list[dict[str, str]]:
    text = io.StringIO()
    log.export(text)
    return [*csv.DictReader(io.StringIO(text.getvalue(), newline=""))]


def test_csv_holds_everything(filled: tuple[Path, bytes, list[Head]], tmp_path: Path) -> None:
    path, content, heads = filled
    path.write_bytes(content)
    found = rows(AuditLog(path))
    assert [row["hash"] for row in found] == [head.hash for head in heads]
    assert [*found[0]] == [*COLUMNS]
    assert found[1]["reason"] == facts(2)["reason"]
    assert json.loads(found[1]["pack"]) == facts(2)["pack"]
    assert (found[1]["os_user"], found[1]["user_id"], found[1]["approval"]) == (os_user(), "u2", "")
    AuditLog(path).export(tmp_path / "out.csv")
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert tmp_path.joinpath("out.csv").read_text(encoding="utf-8").count("reset ended") == ENTRIES
    assert tmp_path.joinpath("out.csv").read_bytes().startswith(b"\xef\xbb\xbfline,")


def test_json_is_the_log(filled: tuple[Path, bytes, list[Head]], tmp_path: Path) -> None:
    path, content, _ = filled
    path.write_bytes(content)
    AuditLog(path).export(str(tmp_path / "out.json"), "json")
    assert json.loads(tmp_path.joinpath("out.json").read_text("utf-8")) == [*AuditLog(path).entries()]


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_fault_is_exported_with_its_line(filled: tuple[Path, bytes, list[Head]], format: Any) -> None:
    path, content, _ = filled
    path.write_bytes(content.replace(b'"T-3"', b'"T-8"').replace(b'{"approval":null,', b"{", 1))
    text = io.StringIO()
    AuditLog(path).export(text, format)
    assert text.getvalue().count("it was altered: its hash") == 2
    assert text.getvalue().count("T-") == ENTRIES


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    wrong: Any = "xml"
    with pytest.raises(InvalidArgumentError, match="'xml'"):
        AuditLog(tmp_path / "audit.jsonl").export(io.StringIO(), wrong)


# --- several at once, killed, full -------------------------------------------------------------------------------

APPENDING = """
from training_sdk.records.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    log.append("reset begun", number=number, process=sys.argv[3])
"""


def test_processes_that_append_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    writers = [children.start(APPENDING, path, 40, name) for name in "ab"]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    entries = AuditLog(path).entries()
    assert AuditLog(path).verify() == ()
    for name in "ab":
        assert [entry["number"] for entry in entries if entry["process"] == name] == [*range(40)]


def test_an_export_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path / "audit.jsonl", 1)
    with pytest.raises(RecordsUnwritableError, match="nowhere"):
        AuditLog(tmp_path / "audit.jsonl").export(tmp_path / "nowhere" / "out.csv")
