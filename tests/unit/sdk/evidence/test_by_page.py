"""Lessons read by the page: the same history with fewer requests, and person by person wherever there is a doubt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from training_sdk import EvidenceError, NotSupportedError
from training_sdk._core.flow import Request, Response
from training_sdk.evidence import history, open_pack, pseudonymise, read_manifest, verify_pack
from training_sdk.evidence.pack import Pack
from unit.sdk.evidence.past import (
    ATTEMPTS,
    EVENTS,
    FEED,
    FIRE,
    LESSONS,
    SURVEYS,
    Change,
    Paged,
    Told,
    everything,
    keep,
    lessons_of,
    lines,
    paged,
    past,
    seal,
    targets,
)
from unit.sdk.fakes import COURSE, answer, row, user_id

EVERYBODY = targets(*range(6), also=range(6))
KEY = b"a key that only tests ever use.."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pack"


def by_person(
    organisation: Paged, folder: Path, whom: dict[str, list[str]] = EVERYBODY, **options: Any
) -> Pack:
    """A pack of a service without pages of events."""
    organisation.spoilt[EVENTS] = answer({"code": 12, "message": "no"}, 501)
    try:
        return keep(organisation, whom, folder, **options)
    finally:
        del organisation.spoilt[EVENTS]


def walked(organisation: Paged) -> set[str]:
    """The people whose lessons were read on their own."""
    return {
        request.path.split("/")[5]
        for request in organisation.sent
        if request.path.endswith("/lessons/progress")
    }


def test_people_who_have_completed_are_read_by_the_page(folder: Path) -> None:
    organisation = paged()
    pack = keep(organisation, EVERYBODY, folder)
    assert walked(organisation) == set()
    assert (pack.manifest.lessons_by_page, pack.manifest.not_read, pack.manifest.missing_lessons) == (
        12,
        {},
        0,
    )
    assert {one["source"] for one in lines(pack, "lessons.jsonl")} == {"events and attempts"}
    assert verify_pack(folder, manifest_sha256=pack.manifest_sha256) == ()
    assert open_pack(folder) == pack
    feeds = [request.target for request in organisation.sent if request.path == FEED]
    assert len(feeds) == len(set(feeds))  # every row is read once


def test_either_kind_of_pack_says_the_same(folder: Path) -> None:
    other = by_person(paged(), folder.with_name("other"))
    pack = keep(paged(), EVERYBODY, folder)
    assert (other.manifest.lessons_by_page, other.manifest.not_read) == (0, {"lesson events": "status 501"})
    assert lessons_of(pack) == lessons_of(other)
    assert pack.rows == other.rows
    for name in ("attempts", "rows", "surveys", "statistics"):
        assert lines(pack, f"{name}.jsonl") == lines(other, f"{name}.jsonl")
    assert without_packs(pack) == without_packs(other)
    assert verify_pack(other.folder) == ()


def without_packs(pack: Pack) -> list[Any]:
    return [(one.course_id, one.user_id, one.completed_at, one.score) for one in history([pack.folder])]


def test_few_people_of_a_course_are_read_person_by_person(folder: Path) -> None:
    organisation = paged()
    pack = keep(organisation, targets(1, 2), folder)
    assert walked(organisation) == {user_id(1), user_id(2)}
    assert EVENTS not in {request.path for request in organisation.sent}
    assert pack.manifest.lessons_by_page == 0


def test_pages_that_would_take_more_requests_than_people_are_not_read(folder: Path) -> None:
    """Pages of 3 items, where the figures of the course announce one page of 1000."""
    organisation = paged(40)
    organisation.size = 3
    pack = keep(organisation, targets(*range(20)), folder)
    events = [request for request in organisation.sent if request.path == EVENTS]
    assert len(events) == 21  # the first is asked for 1000 items, and read again in pages of 3
    assert pack.manifest.lessons_by_page == 0
    assert len(walked(organisation)) == 20
    assert verify_pack(folder) == ()


# --- doubts ----------------------------------------------------------------------------------------------------------


def of(items: list[dict[str, Any]], number: int = 1) -> list[dict[str, Any]]:
    """The items of a person."""
    return [one for one in items if one["userId"] == user_id(number)]


def change(**fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda items: of(items)[0].update(fields)


DOUBTS: dict[str, tuple[str, Change]] = {
    "a lesson without an event": (EVENTS, lambda items: items.remove(of(items)[1])),
    "an event twice": (EVENTS, lambda items: items.append(of(items)[0])),
    "an event of another kind": (EVENTS, change(eventType="reopened")),
    "an event without a time": (EVENTS, change(eventDateTime="")),
    "an event without a zone": (EVENTS, change(eventDateTime="2026-01-02T00:00:00")),
    "an event of before an earlier reset": (EVENTS, change(eventDateTime="2025-12-31T23:59:59Z")),
    "opened after it was completed": (EVENTS, change(eventDateTime="2026-01-03T00:00:00Z")),
    "an event of another lesson": (EVENTS, change(lessonId="lesson-9")),
    "an event of another person": (EVENTS, change(userId=user_id(2))),
    "an event of another course": (EVENTS, change(courseId=FIRE)),
    "an attempt of before an earlier reset": (ATTEMPTS, change(startedDateTime="2025-12-31T23:59:59Z")),
    "a lesson without an attempt": (ATTEMPTS, lambda items: items.remove(of(items)[0])),
    "an attempt without success alone": (ATTEMPTS, change(success=False)),
    "an attempt without a score": (ATTEMPTS, change(score=None)),
    "an attempt without a result": (ATTEMPTS, change(success=None)),
    "an attempt that did not end": (ATTEMPTS, change(completedDateTime=None)),
    "scores that do not make the course's": (ATTEMPTS, change(score=10)),
    "a lesson that the course no longer has": (LESSONS, lambda items: items.pop()),
    "a new lesson": (LESSONS, lambda items: items.append({**items[0], "lessonId": "lesson-9"})),
    "a lesson of the course twice": (LESSONS, lambda items: items.append(items[0])),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_any_doubt_means_person_by_person(folder: Path, name: str) -> None:
    path, doubt = DOUBTS[name]
    organisation = paged()
    organisation.doubts[path] = doubt
    pack = keep(organisation, EVERYBODY, folder)
    assert user_id(1) in walked(organisation)
    truth = by_person(paged(), folder.with_name("truth"))
    assert lessons_of(pack) == lessons_of(truth)
    assert without_packs(pack) == without_packs(truth)
    assert verify_pack(folder) == ()


ROWS: dict[str, dict[str, Any]] = {
    "in progress": {"completed_at": "", "completed_lessons": 2, "progress_percent": 66.7},
    "completed by hand": {"completed_lessons": 2},
    "a revised course": {"total_lessons": 4},
    "not all of it": {"progress_percent": 99.0},
    "begun again since": {"opened_at": "2026-01-01T12:00:00Z"},
    "no date": {"opened_at": ""},
    "no score": {"score": None},
    "counts as text": {"completed_lessons": "3", "total_lessons": "3"},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_is_not_wholly_complete_means_person_by_person(folder: Path, name: str) -> None:
    """The others of the course are still read by the page."""
    organisation = paged()
    plain = keep(paged(), EVERYBODY, folder.with_name("plain"))
    stored = [dict(one) for one in organisation.rows]

    def show(response: Response) -> Response:
        document = json.loads(response.body)
        for one in document["data"]:
            if one["user_id"] == user_id(1) and one["course_id"] == COURSE:
                one.update(ROWS[name])
        return answer(document)

    organisation.spoilt[FEED] = show
    pack = keep(organisation, EVERYBODY, folder)
    assert walked(organisation) == {user_id(1)}
    assert pack.manifest.lessons_by_page == 11
    assert organisation.rows == stored
    assert lessons_of(pack) == lessons_of(plain)
    assert verify_pack(folder) == ()


def test_a_person_whose_row_changes_while_it_is_read_is_read_alone(folder: Path) -> None:
    """One person is read alone, so the rows are read twice; another's is different the second time."""
    organisation = paged()
    organisation.rows[0]["completed_lessons"] = 2
    feeds = iter(range(1000))

    def show(response: Response) -> Response:
        document = json.loads(response.body)
        late = next(feeds) >= 4  # both courses take two pages
        for one in document["data"]:
            if late and one["user_id"] == user_id(3):
                one["time_spent_seconds"] = 77
        return answer(document)

    organisation.spoilt[FEED] = show
    pack = keep(organisation, EVERYBODY, folder)
    assert walked(organisation) == {user_id(0), user_id(3)}
    assert pack.manifest.lessons_by_page == 9
    assert pack.rows[COURSE, user_id(3)].time_spent_seconds == 77
    assert verify_pack(folder) == ()


def test_lessons_of_a_person_whose_row_changes_are_counted_once(folder: Path) -> None:
    """All courses of one person are read together, and one of them, which the pages cover, changes meanwhile."""
    third = "c" * 24
    organisation = Paged(
        [row(n, course_id=course) for course in (COURSE, FIRE, third) for n in range(6)], size=1000
    )
    for one in organisation.rows:
        if one["user_id"] == user_id(0) and one["course_id"] != COURSE:
            one["completed_lessons"] = 2
    feeds = iter(range(1000))

    def show(response: Response) -> Response:
        document = json.loads(response.body)
        late = next(feeds) >= 6
        for one in document["data"]:
            if late and one["course_id"] == COURSE:
                one["completed_lessons"] = 4 if one["user_id"] == user_id(0) else 3
                one["time_spent_seconds"] = 77
        return answer(document)

    organisation.spoilt[FEED] = show
    whom = {**EVERYBODY, third: EVERYBODY[COURSE]}
    pack = keep(organisation, whom, folder, accept_missing_lessons=True)
    assert pack.missing_lessons == ((COURSE, user_id(0)),)
    listed = [(one["courseId"], one["userId"], one["lessonId"]) for one in lines(pack, "lessons.jsonl")]
    assert len(listed) == len(set(listed)) == 3 * 6 * 3
    assert verify_pack(folder) == ()


def short(response: Response) -> Response:
    document = json.loads(response.body)
    return answer({**document, "items": document["items"][:-1]})


REFUSED = [
    *(answer({"code": 0, "message": "no"}, status) for status in (403, 404, 501, 400)),
    answer(body=b"<html>"),
]


@pytest.mark.parametrize("response", [*REFUSED, short], ids=["403", "404", "501", "400", "html", "short"])
@pytest.mark.parametrize("path", [EVENTS, LESSONS])
def test_a_service_without_pages_is_read_person_by_person(folder: Path, path: str, response: Any) -> None:
    organisation = paged()
    organisation.spoilt[path] = response
    pack = keep(organisation, EVERYBODY, folder)
    (name,) = read_manifest(folder).not_read or {}
    assert name == {EVENTS: "lesson events", LESSONS: "lesson statistics"}[path]
    assert pack.manifest.lessons_by_page == 0
    assert lessons_of(pack) == lessons_of(keep(paged(), EVERYBODY, folder.with_name("plain")))
    assert verify_pack(folder) == ()


@pytest.mark.parametrize("status", [403, 404, 501])
def test_attempts_that_are_not_served_by_course_are_read_person_by_person(folder: Path, status: int) -> None:
    @define
    class OfOnePerson(Paged):
        def _answer(self, request: Request) -> Response:
            if request.path == ATTEMPTS and "userId" not in request.target:
                return answer({"code": 0, "message": "no"}, status)
            return super()._answer(request)

    organisation = OfOnePerson(paged().rows, size=1000)
    pack = keep(organisation, EVERYBODY, folder)
    assert pack.manifest.not_read == {"attempts by course": f"status {status}"}
    plain = keep(paged(), EVERYBODY, folder.with_name("plain"))
    assert sorted(map(str, lines(pack, "attempts.jsonl"))) == sorted(map(str, lines(plain, "attempts.jsonl")))
    assert lessons_of(pack) == lessons_of(plain)
    assert verify_pack(folder) == ()


def test_attempts_that_are_not_served_at_all_are_no_evidence(folder: Path) -> None:
    organisation = paged()
    organisation.spoilt[ATTEMPTS] = answer({"code": 12, "message": "no"}, 501)
    with pytest.raises(NotSupportedError):
        keep(organisation, EVERYBODY, folder)
    assert not (folder / "manifest.json").exists()


# --- arbitrary histories ---------------------------------------------------------------------------------------------

WHEN = st.sampled_from(
    ["2026-01-01T00:00:00Z", "2026-01-01T12:00:00.1234567Z", "2026-01-02T00:00:00+01:00", ""]
)


@st.composite
def people_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for course in (COURSE, FIRE):
        for number in range(6):
            done = draw(st.sampled_from([0, 1, 3, 3, 3, 3]))
            completed = draw(WHEN) if done == 3 else ""
            rows.append(
                row(
                    number,
                    course_id=course,
                    opened_at=draw(WHEN) if done else "",
                    completed_at=completed,
                    completed_lessons=done,
                    progress_percent=100.0 if completed else round(100 * done / 3, 2),
                    score=draw(st.sampled_from([0, 50, 80, 100, 85.5])) if done else 0,
                )
            )
    return rows


def meddle(data: st.DataObject) -> Callable[[list[dict[str, Any]]], None]:
    """A change of what a page lists; the same one each time that it is asked for."""
    what, place, other = (data.draw(st.integers(0, last)) for last in (5, 40, 40))

    def changed(items: list[dict[str, Any]]) -> None:
        if not items:
            return
        one, two = items[place % len(items)], items[other % len(items)]
        match what:
            case 0:
                items.remove(one)
            case 1:
                items.append(one)
            case 2:
                one["userId"] = two.get("userId")
            case 3:
                one["courseId"] = FIRE
            case 4:
                one["lessonId"] = two["lessonId"]
            case 5:
                items.reverse()

    return changed


@settings(deadline=None, max_examples=40)
@given(data=st.data(), rows=people_rows())
def test_pages_give_the_history_of_person_by_person(data: st.DataObject, rows: list[dict[str, Any]]) -> None:
    organisation = Paged([dict(one) for one in rows], size=1000)
    for path in data.draw(st.sets(st.sampled_from([EVENTS, ATTEMPTS]))):
        organisation.doubts[path] = meddle(data)
    whom = targets(*range(6), also=range(data.draw(st.integers(1, 6))))
    with TemporaryDirectory() as place:
        pack = keep(organisation, whom, Path(place) / "pack", accept_missing_lessons=True)
        truth = by_person(Paged(rows, size=1000), Path(place) / "truth", whom, accept_missing_lessons=True)
        assert lessons_of(pack) == lessons_of(truth)
        assert without_packs(pack) == without_packs(truth)
        assert pack.manifest.missing_lessons == truth.manifest.missing_lessons
        assert verify_pack(pack.folder) == verify_pack(truth.folder) == ()


# --- what is kept of other people ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", [None, seal])
def test_nothing_about_other_people_of_the_course_reaches_the_disk(folder: Path, hook: Any) -> None:
    organisation = paged()
    pack = keep(organisation, targets(1, 2, 3, 4), folder, seal=hook)
    assert pack.manifest.lessons_by_page == 4
    strangers = [user_id(0).encode(), user_id(5).encode(), b"user5@"]
    for name, content in everything(folder).items():
        clear = hook(content) if hook and name.endswith(".sealed") else content
        assert not [word for word in strangers if word in clear], name
    assert verify_pack(folder, unseal=hook) == ()


def test_what_stays_of_an_answer_is_byte_for_byte_as_it_came(folder: Path) -> None:
    organisation = paged()
    keep(organisation, targets(0, 2, 3, 5), folder)
    raw = (folder / "raw/000001.answers").read_bytes()
    came = {
        request.target: body for request, body in zip(organisation.sent, organisation.bodies, strict=True)
    }
    cuts = 0
    for entry in map(json.loads, (folder / "raw/index.jsonl").read_bytes().splitlines()):
        kept, whole = raw[entry["offset"] : entry["offset"] + entry["bytes"]], came[entry["target"]]
        document, full = json.loads(kept), json.loads(whole)
        name = "data" if "data" in full else "items"
        assert {**full, name: None} == {**document, name: None}
        assert len(document[name]) + entry.get("cut", 0) == len(full[name])
        assert [one for one in full[name] if one in document[name]] == document[name]
        assert (kept == whole) == ("cut" not in entry)
        cuts += entry.get("cut", 0)
    assert cuts > 10


def test_a_copy_without_names_of_a_pack_by_the_page(folder: Path) -> None:
    keep(paged(), EVERYBODY, folder)
    copy = pseudonymise(folder, folder.with_name("copy"), KEY, log=Told())
    assert read_manifest(copy.folder).lessons_by_page == 12
    assert verify_pack(copy.folder) == ()
    for name, content in everything(copy.folder).items():
        assert not [n for n in range(6) if user_id(n).encode() in content], name
        assert b"why so long" not in content, name


# --- survey answers --------------------------------------------------------------------------------------------------


def test_survey_answers_are_kept(folder: Path) -> None:
    pack = keep(past(), targets(1, 2), folder)
    assert {one["userId"] for one in lines(pack, "surveys.jsonl")} == {user_id(1), user_id(2)}
    assert pack.manifest.counts["surveys"] == 2


@pytest.mark.parametrize("response", [*REFUSED, short], ids=["403", "404", "501", "400", "html", "short"])
def test_unreadable_survey_answers_are_reported_missing_or_stop(folder: Path, response: Any) -> None:
    organisation = past()
    organisation.spoilt[SURVEYS] = response
    pack = keep(organisation, targets(1, 2), folder)
    assert list(pack.manifest.not_read or ()) == ["survey answers"]
    assert pack.manifest.counts["surveys"] == 0
    assert verify_pack(folder) == ()
    with pytest.raises(EvidenceError, match=r"survey answers cannot be read .* Nothing was sent") as caught:
        keep(organisation, targets(1, 2), folder.with_name("other"), require_surveys=True)
    assert caught.value.reason == "SURVEYS_NOT_READ"
    assert "require_surveys=True" in caught.value.message
    assert not (folder.with_name("other") / "manifest.json").exists()


def test_a_manifest_that_hides_what_was_not_read_does_not_verify(folder: Path) -> None:
    organisation = paged()
    organisation.spoilt[SURVEYS] = answer({}, 403)
    keep(organisation, EVERYBODY, folder)
    said = json.loads((folder / "manifest.json").read_bytes())
    for name, value in {"not_read": {}, "lessons_by_page": 11}.items():
        (folder / "manifest.json").write_bytes(
            json.dumps(said | {name: value}, indent=1, sort_keys=True).encode() + b"\n"
        )
        assert [finding.kind for finding in verify_pack(folder)]
