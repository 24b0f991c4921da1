"""Verifying: whatever is done to a pack is found, down to a single bit, also by somebody who puts the digests right."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_sdk import EvidenceError
from training_sdk.evidence import (
    FindingKind,
    PackFinding,
    history,
    open_pack,
    pseudonymise,
    read_manifest,
    verify_pack,
)
from training_sdk.evidence.pack import Pack
from unit.sdk.evidence.past import Told, everything, keep, past, seal, targets

KEY = b"a key that only tests ever use.."
patient = settings(deadline=None, max_examples=50)  # each copies a pack; how long a disk takes is no fault
Change = Callable[[Path], None]


@pytest.fixture(scope="module", params=["plain", "sealed", "pseudonymised"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("packs") / "pack"
    pack = keep(past(), targets(1, 4, also=[4]), folder, seal=seal if request.param == "sealed" else None)
    return (
        pseudonymise(folder, folder.with_name("copy"), KEY, log=Told())
        if request.param == "pseudonymised"
        else pack
    )


@contextmanager
def copied(pack: Pack) -> Iterator[Path]:
    with TemporaryDirectory() as place:
        folder = Path(place) / "pack"
        shutil.copytree(pack.folder, folder)
        yield folder


def found(pack: Pack, change: Change, *, knowing: bool = True) -> tuple[PackFinding, ...]:
    """What is found after a change; ``knowing`` the digest that the audit log has."""
    with copied(pack) as folder:
        expected = pack.manifest_sha256 if knowing else None
        assert verify_pack(folder, manifest_sha256=expected, unseal=seal) == ()
        change(folder)
        return verify_pack(folder, manifest_sha256=expected, unseal=seal)


@patient
@given(data=st.data())
def test_any_changed_bit_of_any_file_is_found(original: Pack, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(everything(original.folder))))
    size = (original.folder / name).stat().st_size
    place, bit = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, 7))

    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1 << bit
        (folder / name).write_bytes(content)

    findings = found(original, flip)
    assert name in {finding.file for finding in findings}


@patient
@given(data=st.data())
def test_a_file_cut_short_or_grown_is_found(original: Pack, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(everything(original.folder))))
    content = (original.folder / name).read_bytes()
    other = data.draw(
        st.integers(0, len(content) - 1).map(lambda end: content[:end]) | st.just(content + b"\n")
    )
    findings = found(original, lambda folder: change_bytes(folder / name, other))
    assert name in {finding.file for finding in findings}


def change_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@patient
@given(data=st.data())
def test_a_file_that_is_gone_is_found(original: Pack, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(everything(original.folder))))
    findings = found(original, lambda folder: (folder / name).unlink(), knowing=False)
    kind = FindingKind.INCOMPLETE if name == "manifest.json" else FindingKind.MISSING
    assert (kind, name) in {(finding.kind, finding.file) for finding in findings}


@patient
@given(name=st.from_regex(r"[a-z0-9.]{1,12}", fullmatch=True), inside=st.sampled_from(["", "raw", "new"]))
def test_a_file_that_came_later_is_found(original: Pack, name: str, inside: str) -> None:
    path = Path(inside) / name
    if name in (".", "..") or path.as_posix() == "raw" or (original.folder / path).exists():
        return

    def add(folder: Path) -> None:
        (folder / inside).mkdir(exist_ok=True)
        (folder / path).write_bytes(b"")

    extra = {finding.file for finding in found(original, add) if finding.kind is FindingKind.EXTRA}
    assert path.as_posix() in extra


def test_a_link_in_the_place_of_a_file_is_found(original: Pack) -> None:
    def link(folder: Path) -> None:
        (folder / "begun.json").rename(folder.parent / "elsewhere")
        (folder / "begun.json").symlink_to(folder.parent / "elsewhere")

    (finding,) = found(original, link)
    assert (finding.kind, finding.file) == (FindingKind.CHANGED, "begun.json")


def test_a_folder_in_the_place_of_a_file_is_found(original: Pack) -> None:
    def swap(folder: Path) -> None:
        (folder / "begun.json").unlink()
        (folder / "begun.json").mkdir()

    assert {finding.file for finding in found(original, swap)} == {"begun.json"}


# --- somebody who puts the digests right -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return keep(past(), targets(1, 4, also=[4]), tmp_path_factory.mktemp("plain") / "pack")


def forged(folder: Path, name: str, change: Callable[[bytes], bytes], **said: Any) -> None:
    """A file changed, and the manifest made to fit."""
    data = change((folder / name).read_bytes())
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(folder, {**manifest, **said})


def rewrite(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / "manifest.json").write_bytes(json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n")


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def without_last_line(data: bytes) -> bytes:
    return b"".join(data.splitlines(keepends=True)[:-1])


FORGERIES = {
    "a score in the lines": ("rows.jsonl", replacing(b'"score":90', b'"score":91')),
    "a score in the table": ("rows.csv", replacing(b",90,", b",91,")),
    "a row less": ("rows.jsonl", without_last_line),
    "a lesson less": ("lessons.jsonl", without_last_line),
    "an attempt": ("attempts.csv", without_last_line),
    "statistics": ("statistics.jsonl", replacing(b'"totalUsers":9', b'"totalUsers":8')),
    "a target less": ("targets.jsonl", without_last_line),
    "an answer": ("raw/000001.answers", replacing(b'"totalUsers": 9', b'"totalUsers": 8')),
    "an answer less in the index": ("raw/index.jsonl", without_last_line),
    "an answer less at the beginning of the index": (
        "raw/index.jsonl",
        lambda data: data.partition(b"\n")[2],
    ),
    "an answer more than the index knows": ("raw/000001.answers", lambda data: data + b"{}"),
    "an answer cut short": ("raw/000001.answers", lambda data: data[:-1]),
    "an answer that begins elsewhere": ("raw/index.jsonl", replacing(b'"offset":0', b'"offset":1')),
    "no JSON": ("rows.jsonl", replacing(b"{", b"")),
    "no JSON in the index": ("raw/index.jsonl", replacing(b"{", b"")),
    "an index without names": ("raw/index.jsonl", replacing(b'"file"', b'"fill"')),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_file_contradicts_the_others_and_the_log(plain: Pack, name: str) -> None:
    file, change = FORGERIES[name]
    findings = found(plain, lambda folder: forged(folder, file, change), knowing=False)
    assert {finding.kind for finding in findings} == {FindingKind.CONTRADICTION}
    findings = found(plain, lambda folder: forged(folder, file, change))
    assert FindingKind.MANIFEST_CHANGED in {finding.kind for finding in findings}


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"targets": 1}},
        {"read_at": {"first": "2026-01-01T00:00:00.000000Z", "last": "2026-01-01T00:00:00.000000Z"}},
    ],
)
def test_a_manifest_that_says_otherwise_than_the_files_is_found(plain: Pack, change: dict[str, Any]) -> None:
    def edit(folder: Path) -> None:
        rewrite(folder, {**json.loads((folder / "manifest.json").read_bytes()), **change})

    assert {finding.kind for finding in found(plain, edit, knowing=False)} == {FindingKind.CONTRADICTION}


def test_only_the_digest_of_the_log_finds_a_consistent_forgery(plain: Pack) -> None:
    """What a pack by itself cannot prove, written down as a test: the plan is in no answer."""

    def forge(folder: Path) -> None:
        forged(folder, "plan.json", replacing(b"of", b"by"))

    assert found(plain, forge, knowing=False) == ()
    (finding,) = found(plain, forge)
    assert finding.kind is FindingKind.MANIFEST_CHANGED


@pytest.mark.parametrize(
    "change",
    [
        {"form": 2},
        {"form": "1"},
        {"plan_digest": None},
        {"read_at": {"first": "0001-01-01T00:00:00+05:00", "last": "9999-12-31T23:59:59-05:00"}},
        {"more": 1},
        {"files": {"../../etc/passwd": {"sha256": "", "bytes": 1}}},
        {"files": {"raw/index.jsonl.sealed": {"sha256": "", "bytes": 1}}},
    ],
)
def test_a_manifest_that_was_never_written_so_is_refused(plain: Pack, change: dict[str, Any]) -> None:
    with copied(plain) as folder:
        rewrite(folder, {**json.loads((folder / "manifest.json").read_bytes()), **change})
        (finding,) = verify_pack(folder)
        assert finding.kind is FindingKind.MANIFEST_CHANGED
        assert str(finding).startswith("manifest.json: ")
        for read in (read_manifest, open_pack, lambda path: history([path])):
            with pytest.raises(EvidenceError):
                read(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff"])
def test_a_manifest_that_is_none_is_refused(plain: Pack, content: bytes) -> None:
    findings = found(plain, lambda folder: change_bytes(folder / "manifest.json", content), knowing=False)
    assert [finding.kind for finding in findings] == [FindingKind.MANIFEST_CHANGED]


def test_an_answer_that_was_forged_is_not_read_as_evidence(plain: Pack) -> None:
    with copied(plain) as folder:
        change_bytes(folder / "rows.jsonl", b"")
        for read in (open_pack, lambda path: history([path])):
            with pytest.raises(EvidenceError, match="not what was written"):
                read(folder)


def test_a_folder_that_is_no_pack_is_said_to_be_none(tmp_path: Path) -> None:
    (finding,) = verify_pack(tmp_path)
    assert "is not an evidence pack" in finding.message
    (finding,) = verify_pack(tmp_path / "nowhere")
    assert finding.kind is FindingKind.INCOMPLETE


def test_the_form_of_a_pack_is_fixed(plain: Pack) -> None:
    """Packs are read years later. A change of a column needs a new form, and older forms are still read."""
    heads = {
        name: (plain.folder / f"{name}.csv").read_bytes().splitlines()[0].decode("utf-8-sig")
        for name in ("rows", "lessons", "attempts", "statistics", "surveys")
    }
    assert heads == {
        "rows": "course_id,course_external_id,course_title,user_id,user_external_id,user_email,user_first_name,"
        "user_last_name,opened_at,completed_at,completed_lessons,total_lessons,progress_percent,score,due_at,"
        "time_spent_seconds,completion_expiry_date",
        "lessons": "course_id,user_id,lesson_id,lesson_title,opened,opened_date_time,completed,completed_date_time,"
        "percentage_completed,score,source",
        "attempts": "course_id,user_id,lesson_id,id,started_date_time,completed_date_time,score,success",
        "statistics": "course_id,course_title,total_users,opened_count,completed_count,completion_percent,"
        "average_score",
        "surveys": "course_id,user_id,lesson_id,question_id,answer,answered_date_time",
    }
