"""Evidence of listings that end early: read again, one whole reading in the pack, or an error and no pack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import define

from training_sdk import EvidenceError
from training_sdk._core.flow import Request, Response
from training_sdk._core.listing import Count
from training_sdk.evidence import FindingKind, open_pack, pseudonymise, read_manifest, verify_pack
from unit.sdk.evidence.past import ATTEMPTS, FEED, STATISTICS, Past, Told, keep, lines, past, seal, targets
from unit.sdk.fakes import COURSE, answer, user_id

LESSONS = f"/training/analytics/v1/users/{user_id(1)}/lessons/progress"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pack"


@define
class Capped(Past):
    """Gives at most 2 attempts a page, and counts the offset in pages of the size asked for."""

    def _answer(self, request: Request) -> Response:
        if request.path != ATTEMPTS:
            return super()._answer(request)
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
        found, size = self._attempts(query), int(query["pageSize"])
        begin = (int(query["page"]) - 1) * size
        return answer({"totalCount": len(found), "items": found[begin : begin + min(size, 2)]})


def test_a_service_that_caps_pages_and_not_the_offset_leaves_no_gap(folder: Path) -> None:
    pack = keep(Capped(past(9).rows), targets(1, 2, 3, 4, 5), folder)
    assert pack.manifest.counts["attempts"] == 15
    sizes = [
        one["target"].rpartition("=")[2]
        for one in lines(pack, "raw/index.jsonl")
        if ATTEMPTS in one["target"]
    ]
    assert set(sizes) == {"2"}
    assert verify_pack(folder) == ()


def changed(change: Callable[[dict[str, Any]], None], times: int) -> Callable[[Response], Response]:
    """The true answer, changed so many times."""
    left = iter(range(times))

    def spoil(response: Response) -> Response:
        document = json.loads(response.body)
        if next(left, None) is not None:
            change(document)
        return answer(document)

    return spoil


def test_statistics_of_the_courses_are_whole_whatever_the_service_counts(folder: Path) -> None:
    organisation = past()

    def count_more(response: Response) -> Response:
        return answer({**json.loads(response.body), "totalCount": 300})

    organisation.spoilt[STATISTICS] = count_more
    pack = keep(organisation, targets(1, 2, also=[2]), folder)
    assert pack.manifest.counts["statistics"] == 2
    assert verify_pack(folder) == ()


def lose_one(document: dict[str, Any]) -> None:
    document["items"] = document["items"][:-1]


def lose_all(document: dict[str, Any]) -> None:
    document.update(items=[], totalCount=0)


def lose_rows(document: dict[str, Any]) -> None:
    document.update(data=[], metadata={})


SHORT: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "fewer lessons than counted": (LESSONS, lose_one),
    "fewer attempts than counted": (ATTEMPTS, lose_one),
    "no statistics": (STATISTICS, lose_all),
    "no row": (FEED, lose_rows),
}


@pytest.mark.parametrize("name", SHORT)
def test_a_reading_that_is_short_is_read_once_more_and_stored_once(folder: Path, name: str) -> None:
    path, change = SHORT[name]
    organisation = past()
    organisation.spoilt[path] = changed(change, 2 if change is lose_one else 1)  # also with the smaller page
    pack = keep(organisation, targets(1), folder)
    plain = keep(past(), targets(1), folder.with_name("plain"))
    assert pack.manifest.counts == plain.manifest.counts
    for file in ("rows", "lessons", "attempts", "statistics"):
        assert lines(pack, f"{file}.jsonl") == lines(plain, f"{file}.jsonl")
    assert verify_pack(folder) == ()


@pytest.mark.parametrize("name", SHORT)
def test_a_reading_that_stays_short_is_no_evidence(folder: Path, name: str) -> None:
    path, change = SHORT[name]
    organisation = past()
    organisation.spoilt[path] = changed(change, 99)
    with pytest.raises(EvidenceError, match="The evidence is incomplete") as caught:
        keep(organisation, targets(1), folder)
    assert caught.value.reason == "EVIDENCE_INCOMPLETE"
    assert "Nothing was sent" in str(caught.value)
    assert not (folder / "manifest.json").exists()
    first = next(request for request in organisation.sent if request.path == path)
    assert organisation.sent.count(first) == 2


def test_answers_that_were_mixed_up_do_not_reach_the_pack(folder: Path) -> None:
    organisation = past()
    strange = iter([True])

    def mix_up(response: Response) -> Response:
        document = json.loads(response.body)
        if next(strange, False):
            document = {
                "totalCount": 1,
                "items": [{**one, "courseId": "other"} for one in document["items"][:1]],
            }
        return answer(document)

    organisation.spoilt[LESSONS] = mix_up
    pack = keep(organisation, targets(1), folder)
    assert b'"other"' not in b"".join(each.read_bytes() for each in (folder / "raw").iterdir())
    assert {one["courseId"] for one in lines(pack, "lessons.jsonl")} == {COURSE}
    assert verify_pack(folder) == ()


def test_rows_shown_twice_in_the_place_of_others_are_named_as_that(folder: Path) -> None:
    def repeat(response: Response) -> Response:
        document = json.loads(response.body)
        rows = [one for one in document["data"] if one["user_id"] != user_id(2)]
        return answer({**document, "data": [*rows, *rows[:1]]})

    organisation = past(3)
    organisation.spoilt[FEED] = repeat
    with pytest.raises(
        EvidenceError, match="shows 1 row twice, so the order of its pages may change"
    ) as caught:
        keep(organisation, targets(0, 1, 2), folder)
    assert "unknown" not in str(caught.value)
    assert caught.value.info.metadata == (("missing", f"{COURSE}/{user_id(2)}"),)


# --- lessons that rows say are completed -----------------------------------------------------------------------------


def lessons(*completed: dict[str, Any]) -> Response:
    items = [
        {"courseId": COURSE, "lessonId": f"lesson-{number}", **one} for number, one in enumerate(completed)
    ]
    return answer({"totalCount": len(items), "items": items})


def twice(response: Response) -> Response:
    """The same with its first item once more, as at the border of two pages."""
    document = json.loads(response.body)
    return answer({**document, "items": [*document["items"], document["items"][0]]})


DONE = {"completed": True}
GAPS: dict[str, tuple[Response, str]] = {
    "none": (lessons(), "0 of 3"),
    "fewer": (lessons(DONE, DONE), "2 of 3"),
    "not completed": (lessons({}, {"completed": False, "percentageCompleted": "0"}, DONE, {}), "1 of 3"),
    "no date as year 1 or 1970": (
        lessons(
            DONE, {"completedDateTime": "0001-01-01T00:00:00Z"}, {"completedDateTime": "1970-01-01T00:00:00Z"}
        ),
        "1 of 3",
    ),
    "one of them twice": (twice(lessons(DONE, DONE)), "2 of 3"),
    "of nobody": (answer({"code": 5, "message": "not found"}, 404), "0 of 3"),
}


@pytest.mark.parametrize("name", GAPS)
def test_lessons_that_are_missing_are_an_error_that_names_the_people(folder: Path, name: str) -> None:
    organisation, (response, said) = past(), GAPS[name]
    organisation.spoilt[LESSONS] = response
    with pytest.raises(EvidenceError, match="lists fewer lessons") as caught:
        keep(organisation, targets(1, 2), folder)
    assert f"{user_id(1)!r} in course {COURSE!r} ({said})" in caught.value.message
    assert caught.value.info.metadata == (("missing", f"{COURSE}/{user_id(1)}"),)
    assert "accept_missing_lessons=True" in caught.value.message
    assert "unknown" not in caught.value.message
    assert not (folder / "manifest.json").exists()


def test_lessons_that_are_not_found_of_somebody_without_any_are_said_apart(folder: Path) -> None:
    organisation = past()
    organisation.spoilt[LESSONS] = answer({"code": 5, "message": "not found"}, 404)
    begun = next(one for one in organisation.rows if one["user_id"] == user_id(1))
    begun.update(completed_at="", completed_lessons=0, progress_percent=10.0)
    with pytest.raises(EvidenceError, match=r"does not find \(404\) the lessons of") as caught:
        keep(organisation, targets(1, 2), folder)
    assert "fewer lessons" not in caught.value.message
    assert caught.value.info.metadata == (("missing", f"{COURSE}/{user_id(1)}"),)
    assert "accept_missing_lessons=True" in caught.value.message


@pytest.mark.parametrize("seal_it", [False, True])
@pytest.mark.parametrize("name", GAPS)
def test_accepted_gaps_are_written_in_the_manifest(folder: Path, name: str, seal_it: bool) -> None:
    organisation, (response, _) = past(), GAPS[name]
    organisation.spoilt[LESSONS] = response
    hook = seal if seal_it else None
    pack = keep(organisation, targets(1, 2), folder, accept_missing_lessons=True, seal=hook)
    assert pack.missing_lessons == ((COURSE, user_id(1)),)
    assert json.loads((folder / "manifest.json").read_bytes())["missing_lessons"] == 1
    assert open_pack(folder, unseal=hook) == pack
    assert verify_pack(folder, manifest_sha256=pack.manifest_sha256, unseal=hook) == ()


@pytest.mark.parametrize(
    "form",
    [
        {"completed": True},
        {"percentageCompleted": 100},
        {"percentageCompleted": "100"},
        {"completedDateTime": "2026-01-02T00:00:00Z"},
        {"completed_date_time": "2026-01-02t00:00:00"},
    ],
)
def test_a_completed_lesson_is_known_in_every_form(folder: Path, form: dict[str, Any]) -> None:
    organisation = past()
    organisation.rows[1]["completed_lessons"] = "3"
    organisation.spoilt[LESSONS] = lessons(form, form, {}, form)
    assert keep(organisation, targets(1, 2), folder).manifest.missing_lessons == 0


def test_who_has_no_row_is_not_excused_by_accepting_missing_lessons(folder: Path) -> None:
    with pytest.raises(EvidenceError, match=r"no progress row of .*These users are unknown, deactivated"):
        keep(past(), targets(1, 90), folder, accept_missing_lessons=True)


# --- verifying -------------------------------------------------------------------------------------------------------


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Put a manifest in the place of another, as an older version or an attacker would have written it."""
    said = json.loads((folder / "manifest.json").read_bytes())
    change(said)
    (folder / "manifest.json").write_bytes(json.dumps(said, indent=1, sort_keys=True).encode() + b"\n")


def test_a_pack_that_is_short_does_not_verify(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    organisation = past()
    organisation.spoilt[ATTEMPTS] = answer({"totalCount": 60, "items": []})
    with monkeypatch.context() as patch:
        patch.setattr(Count, "problem", None)
        keep(organisation, targets(1), folder)
    (finding,) = verify_pack(folder)
    assert (finding.kind, finding.file) == (FindingKind.CONTRADICTION, "raw/index.jsonl")
    assert "lists 0 items, but counts 60" in finding.message


def test_a_manifest_that_hides_missing_lessons_does_not_verify(folder: Path) -> None:
    organisation = past()
    organisation.spoilt[LESSONS] = lessons(DONE)
    keep(organisation, targets(1), folder, accept_missing_lessons=True)
    rewritten(folder, lambda said: said.update(missing_lessons=0))
    (finding,) = verify_pack(folder)
    assert "it counts 0 targets with missing lessons, but the files show 1" in finding.message


def test_a_pack_from_before_the_check_still_verifies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    organisation = past()
    organisation.spoilt[LESSONS] = lessons(DONE)
    organisation.spoilt[ATTEMPTS] = answer({"totalCount": 60, "items": []})
    with monkeypatch.context() as patch:
        patch.setattr(Count, "problem", None)
        keep(organisation, targets(1), folder, accept_missing_lessons=True)
    rewritten(folder, lambda said: said.pop("missing_lessons"))
    assert read_manifest(folder).missing_lessons is None
    assert verify_pack(folder) == ()
    assert open_pack(folder).missing_lessons == ()
    assert b"missing_lessons" not in read_manifest(folder).to_bytes()


def test_a_copy_without_names_says_how_many_lack_lessons(folder: Path) -> None:
    organisation = past()
    organisation.spoilt[LESSONS] = lessons(DONE)
    keep(organisation, targets(1, 2), folder, accept_missing_lessons=True)
    copy = folder.with_name("copy")
    pseudonymise(folder, copy, b"a key that only tests ever use..", log=Told())
    assert read_manifest(copy).missing_lessons == 1
    assert verify_pack(copy) == ()
