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
from training_sdk._flow import Request, Response
from training_sdk.evidence import verify_pack
from unit.sdk.evidence.past import ATTEMPTS, FEED, STATISTICS, Past, keep, lines, past, targets
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
    with pytest.raises(EvidenceError, match="the evidence is incomplete") as caught:
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
