"""Collecting: whole or not at all, nothing but the targets in the tables, and every byte as it came."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import evolve, frozen

from training_sdk import (
    DecodingError,
    EvidenceError,
    InvalidArgumentError,
    PermissionDeniedError,
    ProgressRow,
    TrainingError,
    UnconfirmedFormatError,
)
from training_sdk._core.flow import Flow, Request, Response, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.urls import BaseUrl
from training_sdk.evidence import open_pack, read_manifest, refuse_old, verify_pack, writing
from training_sdk.evidence.collecting import collect
from training_sdk.evidence.pack import LogHead
from training_sdk.evidence.tables import csv_line
from training_sdk.plans.reading import ProvenCalls
from unit.sdk.evidence import past as past_module
from unit.sdk.evidence.past import (
    ATTEMPTS,
    DIGEST,
    FEED,
    FIRE,
    PLAN,
    STATISTICS,
    SURVEYS,
    everything,
    keep,
    lines,
    past,
    seal,
    targets,
)
from unit.sdk.fakes import COURSE, ORIGIN, START, FakeDriver, answer, row, user_id

T = TypeVar("T")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence" / "pack"


def test_a_pack_holds_every_answer_as_it_came(folder: Path) -> None:
    organisation = past()
    pack = keep(organisation, targets(0, 1, 2, 3, 4, also=[0, 2, 4]), folder)
    index = lines(pack, "raw/index.jsonl")
    requests, bodies = zip(*organisation.whole, strict=True)
    assert [answer_at(folder, one) for one in index] == list(bodies)
    assert [one["target"] for one in index] == [request.target for request in requests]
    assert [one["sha256"] for one in index] == [hashlib.sha256(each).hexdigest() for each in bodies]
    assert any(b"33.330000000000000000001" in body for body in bodies)
    assert {(one["method"], one["status"], one["request_id"]) for one in index} == {("GET", 200, "req-1")}
    assert (folder / "plan.json").read_bytes() == PLAN
    assert verify_pack(folder, manifest_sha256=pack.manifest_sha256) == ()


def answer_at(folder: Path, entry: Any) -> bytes:
    begin, end = int(entry["offset"]), int(entry["offset"] + entry["bytes"])
    return (folder / str(entry["file"])).read_bytes()[begin:end]


@pytest.mark.parametrize("seal", [None, lambda data: data[::-1] + b"!"])
def test_large_answers_go_to_another_file(folder: Path, monkeypatch: pytest.MonkeyPatch, seal: Any) -> None:
    monkeypatch.setattr(writing, "SEGMENT", 1000)
    organisation = past()
    pack = keep(organisation, targets(0, 1, 2, 3, 4, also=[0, 2, 4]), folder, seal=seal)
    files = [name for name in pack.manifest.files if ".answers" in name]
    lengths = [len(body) for _, body in organisation.whole]
    largest = max(lengths)
    sizes = [(folder / name).stat().st_size for name in files]
    assert len(files) > 2
    assert max(sizes) < 1000 + largest + 1
    assert sum(sizes) == sum(lengths) + (len(files) if seal else 0)
    unseal = None if seal is None else (lambda data: data[:-1][::-1])
    assert verify_pack(folder, manifest_sha256=pack.manifest_sha256, unseal=unseal) == ()


def test_the_tables_hold_the_targets_and_nobody_else(folder: Path) -> None:
    pack = keep(past(), targets(0, 1, 4, also=[0, 4]), folder)
    wanted = {(COURSE, user_id(each)) for each in (0, 1, 4)} | {(FIRE, user_id(each)) for each in (0, 4)}
    assert (
        {(one["course_id"], one["user_id"]) for one in lines(pack, "rows.jsonl")} == wanted == set(pack.rows)
    )
    assert {(one["courseId"], one["userId"]) for one in lines(pack, "lessons.jsonl")} == wanted
    assert {(one["courseId"], one["userId"]) for one in lines(pack, "attempts.jsonl")} == wanted - {
        (COURSE, user_id(0))
    }
    assert [one["courseId"] for one in lines(pack, "statistics.jsonl")] == [COURSE, FIRE]
    (last,) = [one for one in lines(pack, "rows.jsonl") if one.get("new_field")]
    assert pack.rows[COURSE, user_id(4)].extra["new_field"] == last["new_field"] == [1]
    assert pack.rows[COURSE, user_id(1)].score == 90
    assert pack.manifest.counts == {
        "targets": 5,
        "courses": 2,
        "users": 3,
        "rows": 5,
        "lessons": 15,
        "attempts": 12,
        "statistics": 2,
        "events": 0,
        "surveys": 3,
        "lesson_statistics": 0,
        "answers": len(lines(pack, "raw/index.jsonl")),
    }


def test_the_csv_files_say_the_same_and_no_spreadsheet_takes_a_cell_for_a_formula(folder: Path) -> None:
    pack = keep(past(), targets(1, 4), folder)
    for name in ("rows", "lessons", "attempts", "statistics"):
        text = (folder / f"{name}.csv").read_bytes().decode("utf-8-sig")
        read = list(csv.DictReader(io.StringIO(text, newline="")))
        assert len(read) == len(lines(pack, f"{name}.jsonl"))
    cells = list(csv.DictReader(io.StringIO((folder / "rows.csv").read_text(encoding="utf-8-sig"))))
    assert [one["user_last_name"] for one in cells] == ["No. 1", "'=cmd()"]
    assert [one["user_first_name"] for one in cells] == ["Zoë", "Zoë"]
    assert "'=About" in (folder / "statistics.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t1", "\r1", "\n1", "＝1"])
@pytest.mark.parametrize("form", [1, 2])
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe_and_a_number_none(text: str, form: int) -> None:
    ((cell, number),) = csv.reader(io.StringIO(csv_line([text, -1], form).decode(), newline=""))
    assert (cell, number) == (f"'{text}", "-1")


def test_the_manifest_says_when_what_and_what_it_cannot_know(folder: Path) -> None:
    pack = keep(past(), targets(1, 2), folder, audit_head=LogHead(7, "cd" * 32), tool="tool 1")
    said = json.loads((folder / "manifest.json").read_bytes())
    first, last = (pack.manifest.read_at.first, pack.manifest.read_at.last)
    assert START < first < last
    assert said["blind_window"]["since"] == (first - timedelta(hours=2)).isoformat().replace(
        "+00:00", ".000000Z"
    )
    assert pack.manifest.blind_window.until == last
    assert "2 hours" in said["blind_window"]["why"]
    assert (said["plan_digest"], said["tool"], said["form"]) == (DIGEST, "tool 1", 1)
    assert said["audit_log"] == {"n": 7, "hash": "cd" * 32}
    assert (said["base_url"], said["organisation_id"], said["reference_server"]) == (ORIGIN, "role_1", True)
    assert set(said["files"]) == set(everything(folder)) - {"manifest.json"}
    assert pack.manifest_sha256 == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert read_manifest(folder) == pack.manifest
    assert open_pack(folder) == pack


def test_a_manifest_names_nobody(folder: Path) -> None:
    keep(past(), targets(1, 2), folder)
    text = (folder / "manifest.json").read_text() + (folder / "begun.json").read_text()
    assert not any(word in text for word in ("user_0", "Zo", "example.test/user", "user1@"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_nobody_else_can_read_a_pack(folder: Path) -> None:
    old = os.umask(0)
    try:
        keep(past(), targets(1, 2), folder)
    finally:
        os.umask(old)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    assert {modes[path] for path in modes if path.is_dir()} == {0o700}
    assert {modes[path] for path in modes if path.is_file()} == {0o600}


# --- the fewest requests ---------------------------------------------------------------------------------------------


def asked(requests: list[Request], path: str) -> list[str]:
    return [
        request.target
        for request in requests
        if request.path == path and "page=1&pageSize=1000" in request.target
    ]


def test_a_single_person_is_asked_for_alone(folder: Path) -> None:
    organisation = past()
    keep(organisation, targets(1), folder)
    assert [request.path.split("/")[-1] for request in organisation.sent] == [
        *("statistics", "answers", "attempts", "progress", "training-course-progress")
    ]
    assert all(user_id(1) in request.target for request in organisation.sent[1:])
    assert all(f"courseId={COURSE}" in request.target for request in organisation.sent[1:4])


def test_each_person_is_walked_once_whatever_the_number_of_courses(folder: Path) -> None:
    organisation = past()
    keep(organisation, targets(0, 1, 2, 4, also=[0, 2, 4]), folder)
    walked = [request for request in organisation.sent if request.path.endswith("/lessons/progress")]
    first = [target for path in {each.path for each in walked} for target in asked(walked, path)]
    assert len(first) == 4
    assert [f"courseId={COURSE}" in target for target in first] == [user_id(1) in target for target in first]
    assert len(asked(organisation.sent, STATISTICS)) == 1
    assert len(asked(organisation.sent, ATTEMPTS)) == 2


def test_the_progress_rows_are_read_last(folder: Path) -> None:
    organisation = past()
    keep(organisation, targets(0, 1, 4, also=[0, 4]), folder)
    where = [request.path == FEED for request in organisation.sent]
    assert where == sorted(where)


def test_whoever_waits_is_told_how_far_it_is(folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    keep(past(), targets(1, 2, also=[2]), folder, progress=lambda *each: told.append(each))
    assert [done for done, _, _ in told] == list(range(10))
    assert {total for _, total, _ in told} == {9}


# --- whole, or not at all --------------------------------------------------------------------------------------------


def refused(folder: Path, error: type[TrainingError], act: Callable[[], object]) -> TrainingError:
    """The error, and that what lies there is known as incomplete."""
    with pytest.raises(error) as caught:
        act()
    assert not (folder / "manifest.json").exists()
    with pytest.raises(EvidenceError, match="never finished"):
        read_manifest(folder)
    assert [finding.kind.value for finding in verify_pack(folder)] == ["incomplete"]
    return caught.value


def test_targets_without_a_row_are_named(folder: Path) -> None:
    problem = refused(folder, EvidenceError, lambda: keep(past(), targets(1, 90, also=[2, 1]), folder))
    assert problem.info.metadata == (
        ("missing", f"{COURSE}/{user_id(90)}"),
        ("missing", f"{FIRE}/{user_id(1)}"),
    )
    assert problem.reason == "EVIDENCE_INCOMPLETE"
    assert user_id(90) in str(problem)


def test_a_course_without_statistics_is_named(folder: Path) -> None:
    organisation = past()
    organisation.spoilt[STATISTICS] = answer({"totalCount": 0, "items": []})
    problem = refused(folder, EvidenceError, lambda: keep(organisation, targets(1, 2), folder))
    assert problem.info.metadata == (("missing", COURSE),)


def test_someone_who_is_shown_twice_counts_once(folder: Path) -> None:
    organisation = past()
    organisation.again.append(dict(organisation.rows[1]))
    pack = keep(organisation, targets(1, 2), folder)
    assert pack.manifest.counts["rows"] == 2
    assert verify_pack(folder) == ()


def test_someone_who_is_shown_twice_with_different_progress_has_moved(folder: Path) -> None:
    organisation = past()
    organisation.again.append({**organisation.rows[1], "score": 3})
    problem = refused(folder, EvidenceError, lambda: keep(organisation, targets(1, 2), folder))
    assert "twice" in str(problem)


@pytest.mark.parametrize(
    ("path", "response", "error"),
    [
        (STATISTICS, answer({"code": 7, "message": "no"}, 403), PermissionDeniedError),
        (ATTEMPTS, answer(body=b"<html>"), DecodingError),
        (ATTEMPTS, answer({"totalCount": 1, "items": [{"id": 7}]}), DecodingError),
        (FEED, answer({"metadata": {}, "data": [{"course_id": COURSE}]}), DecodingError),
    ],
)
def test_unreadable_answers(folder: Path, path: str, response: Response, error: type[TrainingError]) -> None:
    organisation = past()
    organisation.spoilt[path] = response
    refused(folder, error, lambda: keep(organisation, targets(1, 2), folder))


def test_answers_are_believed_as_the_calls_believe_them(folder: Path) -> None:
    organisation = past()
    calls = ProvenCalls.of(Calls(BaseUrl(ORIGIN), 90.0))
    refused(folder, UnconfirmedFormatError, lambda: keep(organisation, targets(1), folder, calls=calls))
    assert len(organisation.sent) == 1
    assert not list((folder / "raw").glob("0*"))
    marked = past()
    for path in (
        STATISTICS,
        SURVEYS,
        FEED,
        ATTEMPTS,
        f"/training/analytics/v1/users/{user_id(1)}/lessons/progress",
    ):
        marked.spoilt[path] = lambda one: evolve(one, is_reference=True)
    keep(marked, targets(1), folder.with_name("other"), calls=calls)


def test_a_folder_that_is_there_is_never_written_into(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("mine")
    organisation = past()
    with pytest.raises(EvidenceError, match="exists, and a pack is never written over"):
        keep(organisation, targets(1), folder)
    assert everything(folder) == {"manifest.json": b"mine"}
    assert organisation.sent == []


@pytest.mark.parametrize("nobody", [{}, {COURSE: []}, {COURSE: [""]}, {"": ["u"]}])
def test_nobody_is_never_everyone(folder: Path, nobody: Any) -> None:
    organisation = past()
    with pytest.raises(InvalidArgumentError):
        keep(organisation, nobody, folder)
    assert not folder.exists()
    assert organisation.sent == []


class StopError(Exception):
    pass


@frozen
class Stopping:
    """A driver that breaks at one effect."""

    puppet: FakeDriver
    at: int

    def run(self, flow: Flow[T]) -> T:
        count = 0
        value: Any = None
        while True:
            try:
                effect = flow.send(value)
            except StopIteration as end:
                result: T = end.value
                return result
            if count == self.at:
                flow.throw(StopError())
            count += 1
            value = self.puppet._perform(effect)


def test_stopped_at_any_effect_a_pack_is_incomplete_and_no_file_stays_open(tmp_path: Path) -> None:
    at = 0
    while True:
        folder = tmp_path / f"{at}"
        driver: Any = Stopping(FakeDriver(past()), at)
        try:
            keep(past(), targets(1, 4, also=[4]), folder, puppet=driver)
            break
        except StopError:
            assert not (folder / "manifest.json").exists()
        if sys.platform == "linux":
            held = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
            assert not [name for name in held if name.startswith(str(tmp_path))]
        at += 1
    assert at > 20
    assert verify_pack(folder) == ()


def test_everything_written_is_an_effect_of_its_own(folder: Path) -> None:
    flow = collect(
        Calls(BaseUrl(ORIGIN), 90.0),
        targets(1),
        folder,
        plan_digest=DIGEST,
        plan_document=PLAN,
        organisation_id="role_1",
        reference_server=True,
    )
    puppet = FakeDriver(past())
    assert puppet.run(watched(flow, folder)).manifest.counts["targets"] == 1


def watched(flow: Flow[T], folder: Path) -> Flow[T]:
    """The same flow, which must not write while it runs itself."""
    value: Any = None
    while True:
        before = everything(folder)
        try:
            effect = flow.send(value)
        except StopIteration as end:
            assert everything(folder) == before
            result: T = end.value
            return result
        assert everything(folder) == before
        value = yield effect
        assert isinstance(effect, RunLocally) or everything(folder) == before


# --- sealed ----------------------------------------------------------------------------------------------------------


def test_of_a_sealed_pack_nothing_personal_ever_reaches_the_disk_in_clear(folder: Path) -> None:
    seen: set[bytes] = set()

    def spying(data: bytes) -> bytes:
        seen.update(everything(folder).values())
        sealed: bytes = seal(data)
        return sealed

    pack = keep(past(), targets(1, 4, also=[4]), folder, seal=spying)
    seen.update(everything(folder).values())
    assert not [data for data in seen if b"user_0" in data or "Zoë".encode() in data or b"Zo\\u00eb" in data]
    assert {name for name in everything(folder) if not name.endswith(".sealed")} == {
        "manifest.json",
        "begun.json",
    }
    assert verify_pack(folder, manifest_sha256=pack.manifest_sha256) == ()
    assert verify_pack(folder, unseal=seal) == ()
    assert open_pack(folder, unseal=seal) == pack
    plain = keep(past(), targets(1, 4, also=[4]), folder.with_name("plain"))
    for name, mark in plain.manifest.files.items():
        if name != "begun.json":
            stored = pack.manifest.files[name + ".sealed"].plain
            assert stored is not None
            assert (stored.sha256, stored.bytes) == (mark.sha256, mark.bytes)


def test_a_sealed_pack_cannot_be_read_without_its_hook(folder: Path) -> None:
    keep(past(), targets(1), folder, seal=seal)
    with pytest.raises(EvidenceError, match="Pass unseal="):
        open_pack(folder)
    with pytest.raises(EvidenceError, match="not what was written"):
        open_pack(folder, unseal=lambda data: data)
    with pytest.raises(EvidenceError, match="unseal hook failed"):
        open_pack(folder, unseal=lambda data: bytes(1 // 0))
    with pytest.raises(EvidenceError, match=r"unseal hook failed for .*: StopIteration\.$"):
        open_pack(folder, unseal=lambda data: next(iter([data][1:])))  # an error without a text


def broken(data: bytes) -> bytes:
    raise OSError("no such key")


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (broken, "no such key"),
        (lambda data: data, "the same bytes"),
        (lambda data: b"", "no bytes"),
        (lambda data: None, "NoneType"),
        (lambda data: "text", "str"),
    ],
)
@pytest.mark.parametrize("after", [0, 4])
def test_a_hook_must_seal_evidence(folder: Path, hook: Callable[[bytes], Any], said: str, after: int) -> None:
    calls = 0

    def late(data: bytes) -> Any:
        nonlocal calls
        calls += 1
        return hook(data) if calls > after else seal(data)

    problem = refused(folder, EvidenceError, lambda: keep(past(), targets(1, 2), folder, seal=late))
    assert problem.reason == "EVIDENCE_NOT_SEALED"
    assert said in str(problem)


# --- age -------------------------------------------------------------------------------------------------------------


def test_a_pack_that_is_too_old_or_from_the_future_is_refused(folder: Path) -> None:
    pack = keep(past(), targets(1), folder)
    read, limit = pack.manifest.read_at.last, timedelta(hours=1)
    assert pack.age(read + limit) == limit
    refuse_old(pack, read + limit, limit)
    for now in (read + limit + timedelta(seconds=1), read - timedelta(seconds=1)):
        with pytest.raises(EvidenceError) as caught:
            refuse_old(pack, now, limit)
        assert caught.value.reason == "EVIDENCE_TOO_OLD"


def test_the_rows_come_back_as_models(folder: Path) -> None:
    rows = keep(past(), targets(1, 2), folder).rows
    assert all(isinstance(one, ProgressRow) for one in rows.values())
    assert rows == open_pack(folder).rows
    assert rows[COURSE, user_id(1)].user_last_name == row(1)["user_last_name"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs a program that encrypts")
@pytest.mark.parametrize("password", ["right", "wrong"])
def test_a_program_can_seal_and_open_a_pack(folder: Path, password: str) -> None:
    pack = keep(past(), targets(1), folder, seal=openssl("-e", "right"))
    kinds = {finding.kind.value for finding in verify_pack(folder, unseal=openssl("-d", password))}
    assert kinds == (set() if password == "right" else {"contradiction"})
    assert verify_pack(folder, manifest_sha256=pack.manifest_sha256) == ()


def openssl(way: str, password: str) -> Callable[[bytes], bytes]:
    command = ["openssl", "enc", way, "-aes-256-cbc", "-iter", "1", "-pass", f"pass:{password}"]
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


def test_lessons_take_disk_space_and_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "PAGE", 1000)

    def peak(lessons: int) -> int:
        organisation = past(60)
        for number in range(60):
            path = f"/training/analytics/v1/users/{user_id(number)}/lessons/progress"
            items = [
                {"courseId": COURSE, "lessonId": f"{each:0500}", "completed": True} for each in range(lessons)
            ]
            said = answer({"totalCount": lessons, "items": items})
            organisation.spoilt[path] = lambda _, said=said: said
        tracemalloc.start()
        try:
            keep(organisation, targets(*range(60)), tmp_path / f"{lessons}")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(3), peak(200)
    on_disk = (tmp_path / "200" / "lessons.jsonl").stat().st_size
    assert on_disk > 6_000_000
    assert many - few < on_disk / 2
