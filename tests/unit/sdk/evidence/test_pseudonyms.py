"""Pseudonyms: nobody's name stays, the same person is the same, and the original can go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training_sdk import EvidenceError, InvalidArgumentError
from training_sdk.evidence import open_pack, pseudonym, pseudonymise, read_manifest, verify_pack
from training_sdk.evidence.answers import SOURCE, TABLES
from training_sdk.evidence.pack import Pack
from training_sdk.evidence.pseudonyms import _FREE_TEXT, _PERSONAL
from unit.sdk.evidence.past import Told, everything, keep, lines, past, seal, targets
from unit.sdk.fakes import user_id

KEY = b"none of these is random, truly"


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    organisation = past()
    for number, one in enumerate(organisation.rows):
        one["user_external_id"] = f"NW-{number}"
    return keep(organisation, targets(0, 1, 4, also=[4]), tmp_path / "pack")


def test_no_name_and_no_id_of_a_person_is_left(pack: Pack) -> None:
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=Told())
    texts = set(map(str, pack.folder.rglob("*")))
    assert texts
    for name, content in everything(copy.folder).items():
        for word in (b"user_0", b"Zo", b"No. ", b"cmd()", b"example.test", b"NW-"):
            if not (name == "manifest.json" and word == b"example.test"):  # the base URL's
                assert word not in content, name
    assert set(everything(copy.folder)) == {
        *("manifest.json", "begun.json", "targets.jsonl"),
        *(
            f"{name}.{kind}"
            for name in ("rows", "lessons", "attempts", "statistics", "surveys")
            for kind in ("jsonl", "csv")
        ),
    }
    assert verify_pack(copy.folder, manifest_sha256=copy.manifest_sha256) == ()


def test_the_log_names_both_packs(pack: Pack) -> None:
    told = Told()
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=told)
    assert told.entries == [
        {
            "event": "evidence pseudonymised",
            "pack": {"name": "copy", "manifest_sha256": copy.manifest_sha256},
            "original": {"name": pack.folder.name, "manifest_sha256": pack.manifest_sha256},
            "plan_digest": pack.manifest.plan_digest,
        }
    ]


def test_what_is_no_name_stays_as_it_was(pack: Pack) -> None:
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=Told())
    kept = ("course_id", "opened_at", "completed_at", "completed_lessons", "progress_percent", "score")
    assert [[one[name] for name in kept] for one in lines(copy, "rows.jsonl")] == [
        [one[name] for name in kept] for one in lines(pack, "rows.jsonl")
    ]
    assert (copy.folder / "statistics.csv").read_bytes() == (pack.folder / "statistics.csv").read_bytes()
    assert {**copy.manifest.counts, "answers": 0} == {**pack.manifest.counts, "answers": 0}


def test_the_same_person_has_the_same_pseudonym_by_the_same_key(pack: Pack) -> None:
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=Told())
    other = pseudonymise(pack.folder, pack.folder.with_name("other"), b"another sixteen!", log=Told())
    expected = {pseudonym(user_id(number), KEY) for number in (0, 1, 4)}
    assert {one["user_id"] for one in lines(copy, "rows.jsonl")} == expected
    assert {one["user_id"] for one in lines(copy, "targets.jsonl")} == expected
    assert {one["user_id"] for one in lines(copy, "lessons.jsonl")} == expected
    assert not {one["user_id"] for one in lines(other, "rows.jsonl")} & expected
    assert KEY.hex() not in (copy.folder / "manifest.json").read_text()


def test_people_of_one_name_cannot_be_counted(pack: Pack) -> None:
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=Told())
    firsts = {one["user_id"]: one["user_first_name"] for one in lines(copy, "rows.jsonl")}
    assert len(set(firsts.values())) == len(firsts) == 3


def test_the_manifest_names_the_original_and_what_was_left_out(pack: Pack) -> None:
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=Told())
    made = read_manifest(copy.folder).pseudonymised
    assert made is not None
    assert made.original_manifest_sha256 == pack.manifest_sha256
    assert made.left_out == ("raw", "plan.json", "rows.new_field", "surveys.answer")
    assert (copy.manifest.read_at, copy.manifest.plan_digest) == (
        pack.manifest.read_at,
        "",
    )


def test_a_sealed_pack_is_opened_for_it(tmp_path: Path) -> None:
    pack = keep(past(), targets(1), tmp_path / "sealed", seal=seal)
    with pytest.raises(EvidenceError, match="Pass unseal="):
        pseudonymise(pack.folder, tmp_path / "copy", KEY, log=Told())
    assert not (tmp_path / "copy").exists()
    copy = pseudonymise(pack.folder, tmp_path / "copy", KEY, unseal=seal, log=Told())
    assert not copy.manifest.sealed
    assert verify_pack(copy.folder) == ()


def test_only_a_pack_that_is_as_it_was_written_is_pseudonymised_and_once(pack: Pack) -> None:
    copy = pseudonymise(pack.folder, pack.folder.with_name("copy"), KEY, log=Told())
    with pytest.raises(EvidenceError, match="pseudonymised already"):
        pseudonymise(copy.folder, pack.folder.with_name("third"), KEY, log=Told())
    with pytest.raises(EvidenceError, match="exists, and a pack is never written over"):
        pseudonymise(pack.folder, copy.folder, KEY, log=Told())
    with pytest.raises(EvidenceError, match="progress cannot be read"):
        open_pack(copy.folder)
    (pack.folder / "raw" / "000001.answers").write_text(json.dumps({"items": []}))
    with pytest.raises(EvidenceError, match="not as it was written"):
        pseudonymise(pack.folder, pack.folder.with_name("third"), KEY, log=Told())
    assert not pack.folder.with_name("third").exists()


@pytest.mark.parametrize(
    "key",
    [
        *(b"", b"short", "text" * 10, None, 16, b"\0" * 32, b"k" * 16 + b"\n", b"password" * 4),
        *(bytes(range(32)), b"0123456789abcdef"),
    ],
)
def test_a_key_that_could_be_guessed_is_refused(pack: Pack, key: object) -> None:
    with pytest.raises(InvalidArgumentError, match="random bytes"):
        pseudonymise(pack.folder, pack.folder.with_name("copy"), key, log=Told())  # type: ignore[arg-type]  # the mistake under test
    assert not pack.folder.with_name("copy").exists()


ABOUT_NOBODY = {
    *("course_id", "course_external_id", "course_title", "lesson_id", "lesson_title", "question_id"),
    *(
        "opened_at",
        "completed_at",
        "completed_lessons",
        "total_lessons",
        "progress_percent",
        "score",
        "due_at",
    ),
    *("time_spent_seconds", "completion_expiry_date", "opened", "opened_date_time", "completed"),
    *("completed_date_time", "percentage_completed", "success", "started_date_time", "event_type"),
    *("event_date_time", "answered_date_time", "total_users", "opened_count", "completed_count"),
    *("completion_percent", "average_score", SOURCE),
}


def test_each_column_is_replaced_or_says_nothing_about_a_person() -> None:
    columns = {column for table in TABLES for column in table.columns}
    assert columns == ABOUT_NOBODY | _PERSONAL.keys() | set(_FREE_TEXT), "add it to _PERSONAL or ABOUT_NOBODY"
