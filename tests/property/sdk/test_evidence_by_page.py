"""Evidence of histories that the reference server has generated: by the page it says what it says person by person."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.large_plan import large_world
from mock_server import MockTraining
from mock_server.wire.message import Request
from training_sdk import TrainingClient
from training_sdk.evidence import history, verify_pack
from training_sdk.evidence.collecting import collect
from training_sdk.evidence.pack import Pack
from unit.sdk.evidence.past import DIGEST, EVENTS, PLAN, everything, lessons_of, lines

RESET = "/training/courseprogress/v1/reset"
MOST_PEOPLE = 12


class WithoutEvents(httpx.BaseTransport):
    """A service that lists no events by course."""

    def __init__(self, service: httpx.BaseTransport) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer 501 to what it does not list."""
        if request.url.path == EVENTS:
            return httpx.Response(501, json={"code": 12, "message": "not here"})
        return self._service.handle_request(request)


def evidence(mock: MockTraining, transport: httpx.BaseTransport, folder: Path) -> Pack:
    """Return a pack about everybody in every course."""
    courses = mock.world.main.progress.courses
    everybody = {course_id: list(each.roster) for course_id, each in courses.items()}
    with httpx.Client(transport=transport) as http:
        client = TrainingClient(mock.token("admin"), base_url="http://127.0.0.1:1", http_client=http)
        flow = collect(
            *(client._calls, everybody, folder),
            plan_digest=DIGEST,
            plan_document=PLAN,
            organisation_id="role_1",
            reference_server=True,
            accept_missing_lessons=True,
        )
        return client._driver.run(flow)


def reset(mock: MockTraining, course: str, user: str) -> None:
    """Reset one person in one course."""
    title = mock.world.course(course).title
    headers = {
        "authorization": f"Bearer {mock.token('admin')}",
        "user-agent": "test",
        "content-type": "application/json",
        "reset-confirmation": json.dumps({"courseTitle": title, "users": 1}),
    }
    body = json.dumps({"courseId": course, "userIds": [user]}).encode()
    answer = mock.handle(Request("POST", RESET, "", tuple(headers.items()), body))
    assert answer.status in (200, 412), answer.body  # 412: there is nothing to reset


def act(mock: MockTraining, course: str, user: str, what: str, score: int) -> None:
    """Let a person do something in a course, whatever state they are in."""
    world = mock.world
    lessons = world.course(course).lessons
    match what:
        case "open":
            world.open(course, user)
        case "lesson":
            world.complete_lesson(course, user, lessons[score % len(lessons)].id, score=score)
        case "complete":
            world.complete_course(course, user, score=score)
        case "reset":
            reset(mock, course, user)
        case "all":
            for each in mock.world.main.progress.courses[course].roster:
                world.complete_course(course, each, score=score)


ACTS = st.tuples(
    st.integers(0, 1),
    st.integers(0, MOST_PEOPLE - 1),
    st.sampled_from(["open", "lesson", "complete", "all", "reset"]),
    st.integers(0, 100),
)


def lived(mock: MockTraining, acts: list[tuple[int, int, str, int]]) -> MockTraining:
    """Return an organisation after its people have done all this."""
    rosters = mock.world.main.progress.courses
    ids = [*rosters]
    for course, person, what, score in acts:
        course_id = ids[course % len(ids)]
        roster = [*rosters[course_id].roster]
        act(mock, course_id, roster[person % len(roster)], what, score)
    return mock


PEOPLE = st.integers(8, MOST_PEOPLE)
ORGANISATIONS = st.one_of(
    # Courses with a discussion and an assessment, which leave no attempt.
    st.builds(
        lambda users, seed: MockTraining.generate(users=users, courses=2, seed=seed),
        PEOPLE,
        st.integers(0, 99),
    ),
    # Courses whose lessons all do, completed by everybody.
    st.builds(large_world, PEOPLE, st.integers(1, 2)),
)


def said(pack: Pack) -> Any:
    """Return all that a pack says about people, whichever way their lessons were read."""
    told = [
        name for name in ("attempts.jsonl", "rows.jsonl", "surveys.jsonl") if (pack.folder / name).exists()
    ]
    completions = [
        (one.course_id, one.user_id, one.completed_at, one.score) for one in history([pack.folder])
    ]
    missing = pack.manifest.missing_lessons
    return (
        lessons_of(pack),
        completions,
        missing,
        {name: sorted(map(str, lines(pack, name))) for name in told},
    )


@settings(deadline=None, max_examples=30)
@given(mock=st.builds(lived, ORGANISATIONS, st.lists(ACTS, max_size=8)))
def test_a_generated_history_is_the_same_by_the_page_and_person_by_person(mock: MockTraining) -> None:
    with TemporaryDirectory() as place:
        paged = evidence(mock, mock.transport(), Path(place) / "paged")
        alone = evidence(mock, WithoutEvents(mock.transport()), Path(place) / "alone")
        assert alone.manifest.lessons_by_page == 0
        assert said(paged) == said(alone)
        assert verify_pack(paged.folder) == verify_pack(alone.folder) == ()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """A pack of people whose lessons were read by the page, and one whose were read alone."""
    mock = lived(large_world(MOST_PEOPLE, 2), [(0, 1, "reset", 0), (0, 1, "open", 0)])
    pack = evidence(mock, mock.transport(), tmp_path_factory.mktemp("packs") / "pack")
    assert pack.manifest.lessons_by_page == len(pack.rows) - 1
    return pack


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_changed_bit_of_a_pack_by_the_page_is_found(mixed: Pack, data: st.DataObject) -> None:
    file = mixed.folder / data.draw(st.sampled_from(sorted(everything(mixed.folder))))
    whole = file.read_bytes()
    place, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(whole)
    changed[place] ^= 1 << bit
    try:
        file.write_bytes(changed)
        found = verify_pack(mixed.folder, manifest_sha256=mixed.manifest_sha256)
    finally:
        file.write_bytes(whole)
    assert file.relative_to(mixed.folder).as_posix() in {finding.file for finding in found}
