"""Whatever strikes whatever: an answer may be spoiled by the script, but never by a fault of ours."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.seeds import COURSE, NOW, Seed, ask, seeds
from mock_server import MockTraining, Policy
from mock_server.control.faults import KINDS, Kind
from mock_server.world.courses import Assigned
from mock_server.world.ledger import Webhook
from unit.mock_server.core.speaker import ANNA

OF_A_COURSE, OF_A_USER = ("course_archived", "learner_writes"), ("user_deactivated", "learner_writes")
EMPTY = "searchTerm=nothing&course_id=nowhere&courseId=nowhere&limit=1&offset=999&page=999&pageSize=1"
QUERIES = (None, "", EMPTY, "offset=x&limit=x&page=x", "offset=1&offset=2", "%ff=%00")
NOBODY = b'{"filters": {"usernames": ["nobody@x"]}}'
BODIES = (
    None,
    b"",
    b"{}",
    b"[]",
    b"null",
    NOBODY,
    b'{"pageToken": "~"}',
)


def prepared(plays: Any) -> MockTraining:
    mock = MockTraining.demo(now=NOW, policy=Policy(plays=plays, rate_limits="published"))
    mock.world.webhooks["w"] = Webhook("w", mock.world.main.id, "http://127.0.0.1:9/", (), "")
    return mock


def add(mock: MockTraining, kind: Kind, operation: str, **fields: Any) -> bool:
    """Whether the script takes this fault; most kinds fit few operations."""
    names = {"course": COURSE if kind in OF_A_COURSE else "", "user": ANNA if kind in OF_A_USER else ""}
    try:
        mock.faults.add(kind, operation=operation, times=None, **names, **fields)
    except ValueError:
        return False
    return True


def vendors(mock: MockTraining) -> list[Seed]:
    return [each for each in seeds(mock) if not each.target.startswith("/_mock")]


def afterwards(mock: MockTraining, what: str) -> None:
    """What may have happened between the writing of a script and its striking."""
    course = mock.world.course(COURSE)
    match what:
        case "clock set back behind a reset":
            mock.world.main.progress[course.id].reset_at[mock.world.user(ANNA).id] = NOW
            mock.clock.freeze(NOW.replace(year=2020))
        case "taken out of the course":
            mock.world.main.assign(course.id, Assigned({}, {}, {}))
        case "renamed":
            mock.world.update_course(COURSE, title="Reach trucks")
            mock.world.update_user(ANNA, email="")
        case "two of one name":
            with mock.world.lock:
                mock.world.main.put_course(evolve(course, id="f" * 24))
        case "no lessons left":
            mock.world.update_course(COURSE, lessons=())


EVENTS = (
    "nothing",
    "clock set back behind a reset",
    "taken out of the course",
    "renamed",
    "two of one name",
    "no lessons left",
)


def altered(seed: Seed, query: str | None, body: bytes | None) -> Seed:
    path, _, sound = seed.target.partition("?")
    asked = sound if query is None else query
    return evolve(seed, target=f"{path}?{asked}", body=seed.body if body is None else body)


def is_ours(answer: bytes) -> bool:
    return b"failed. See the log" in answer


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_fault_anywhere_is_our_fault(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    tried = set()
    with caplog.at_level(logging.ERROR, "mock_server"):
        for seed in vendors(prepared("reference")):
            mock = prepared("reference")
            if add(mock, kind, seed.name):
                tried.add(seed.name)
                for query, body in ((None, None), ("", None), (EMPTY, None), ("", seed.body and NOBODY)):
                    assert not is_ours(ask(mock, altered(seed, query, body)).body), (seed.name, query)
                assert {each.kind for each in mock.faults.struck} == {kind}
    assert tried >= {"ListUsers", "ListTrainingCourseProgress"}
    assert caplog.records == []


@pytest.mark.parametrize("what", EVENTS)
@pytest.mark.parametrize("kind", dict.fromkeys(OF_A_COURSE + OF_A_USER))
def test_a_fault_that_has_become_impossible_since_leaves_the_answer_alone(kind: Kind, what: str) -> None:
    mock = prepared("reference")
    (who,) = (each for each in vendors(mock) if each.name == "WhoAmI")
    assert add(mock, kind, who.name)
    afterwards(mock, what)
    assert ask(mock, who).status == 200
    assert [each.kind for each in mock.faults.struck] == [kind]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_nor_are_several_faults_after_whatever_has_happened_since(data: st.DataObject) -> None:
    mock = prepared(data.draw(st.sampled_from(("reference", "live"))))
    seed = data.draw(st.sampled_from(vendors(mock)))
    for kind in data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)):
        add(mock, kind, seed.name, when=data.draw(st.sampled_from(("before", "after"))))
    afterwards(mock, data.draw(st.sampled_from(EVENTS)))
    query, body = data.draw(st.sampled_from(QUERIES)), data.draw(st.sampled_from(BODIES))
    for _ in range(2):
        assert not is_ours(ask(mock, altered(seed, query, body)).body)
