"""Where half cannot be asked, no rule is said to hold: other organisations, moving ones, and what `unchanged` sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx
import pytest
from attrs import evolve

from mock_server import MockTraining, Policy
from training_sdk.testing.contract import Report, Wire, run
from training_sdk.testing.contract.environment import ContractConfig
from training_sdk.testing.contract.findings import BrokenRuleError
from training_sdk.testing.contract.rules.scope import like
from training_sdk.testing.contract.world import World
from unit.sdk.contract_kit.break_isolation import everyone_is_reset_in_other_courses_too
from unit.sdk.contract_kit.faulty_server import changed

FORKLIFT = "Forklift basics"
FEED = "/training/v1/feed/training-course-progress"
Meanwhile = Callable[[httpx.Request], object]


class Without(httpx.BaseTransport):
    """A server without some paths; something may happen there after each request."""

    def __init__(self, mock: MockTraining, *missing: str, meanwhile: Meanwhile = lambda _: None) -> None:
        self._inner = mock.transport()
        self._missing, self._meanwhile = missing, meanwhile

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith(self._missing or "?"):
            return httpx.Response(404, json={})
        answer = self._inner.handle_request(request)
        self._meanwhile(request)
        return answer


def wire(transport: httpx.BaseTransport) -> Wire:
    return Wire.to("http://127.0.0.1:9", http_client=httpx.Client(transport=transport))


def given(mock: MockTraining, only: Sequence[str]) -> Report:
    """What is said of a server without a control plane, of these rules."""
    told = ContractConfig({"admin": mock.token("admin")}, mock.world.course(FORKLIFT).id)
    return run(wire(Without(mock, "/_mock/")), given=told, only=only, allowed=lambda _: True)


def results(report: Report) -> dict[str, str]:
    return {each.check: each.result for each in report.findings}


@pytest.mark.parametrize("title", [FORKLIFT, "安全講習 2026", "安全講習", "ß", "A"])
def test_no_title_is_taken_for_another_that_is_itself(title: str) -> None:
    assert title not in like(title)
    assert len(set(like(title))) >= 4


def test_a_title_without_letter_case_is_confirmed_as_it_is() -> None:
    mock = MockTraining.demo()
    course = mock.world.course(FORKLIFT)
    mock.world.main.put_course(evolve(course, title="安全講習 2026"))
    told = ContractConfig({"admin": mock.token("admin")}, course.id)
    report = run(wire(Without(mock, "/_mock/")), given=told, only=["R06"], allowed=lambda _: True)
    assert set(results(report).values()) == {"holds"}, report
    assert not mock.world.main.progress[course.id].reset_at


def test_an_organisation_with_nothing_in_it_keeps_no_rule() -> None:
    empty = {
        FEED: {"data": [], "metadata": {}},
        "/users/v1/users/list": {"users": []},
        "/accounts/user/v1/user:WhoAmI": {"user_id": "u"},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        body = empty.get(request.url.path, {"items": [], "totalCount": 0})
        return httpx.Response(200, json=body)

    report = run(
        wire(httpx.MockTransport(answer)),
        read_only=True,
        given=ContractConfig({"admin": "t"}),
        only=["R09", "R10", "R14"],
    )
    assert set(results(report).values()) == {"not checked"}, report


def test_figures_of_people_who_learn_meanwhile_are_not_called_wrong() -> None:
    mock = MockTraining.demo()
    course = mock.world.course(FORKLIFT).id
    progress = mock.world.main.progress[course]
    idle = [each for each in progress.roster if each not in progress.records]

    def learn(request: httpx.Request) -> None:
        if request.url.path == FEED and idle:
            mock.world.complete_course(course, idle.pop())

    told = ContractConfig({"admin": mock.token("admin")})
    report = run(wire(Without(mock, meanwhile=learn)), read_only=True, given=told, only=["R14"])
    assert results(report) == {"R14-figures-equal-the-feed": "not checked"}, report
    assert "People are learning now" in report.findings[0].seen


@pytest.mark.parametrize(
    ("path", "check"),
    [("learners", "R22-late-writes"), ("outbox", "R18-notifications"), ("audit", "R23-audit-log")],
)
def test_a_control_plane_that_lacks_something_breaks_nothing(path: str, check: str) -> None:
    report = run(wire(Without(MockTraining.demo(), f"/_mock/{path}")), only=[check[:3]])
    assert results(report)[check] == "not checked", report
    assert report.broken == ()


def test_everyone_is_nobody_once_all_have_been_reset() -> None:
    mock = MockTraining.demo()
    course = mock.world.course(FORKLIFT).id
    for user in list(mock.world.main.progress[course].records):
        mock.world.main.progress[course].put(user, None)
    assert results(given(mock, ["R09"]))["R09-everyone-is-everyone-with-progress"] == "not checked"


def test_a_treacherous_server_keeps_nothing_that_was_not_asked() -> None:
    mock = MockTraining.demo(policy=Policy(plays="treacherous"))
    report = results(given(mock, ["R06", "R07", "R09"]))
    assert report["R09-everyone-is-everyone-with-progress"] != "holds"
    assert report["R07-scope-never-widens"] != "holds"


def test_a_reset_of_everyone_answers_for_other_courses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    mock = MockTraining.demo()
    everyone_is_reset_in_other_courses_too(monkeypatch)
    report = results(given(mock, ["R09", "R16"]))
    assert report["R09-everyone-is-everyone-with-progress"] == "broken"
    assert report["R16-everyone-of-one-course"] == "not checked"


CHANGES: dict[str, Callable[[MockTraining, str], object]] = {
    "a row": lambda mock, course: changed(mock.world.main, course, score=1),
    "a row of another course": lambda mock, _: changed(
        mock.world.main, mock.world.course("Data protection in 20 minutes").id, score=1
    ),
    "attempts": lambda mock, course: changed(mock.world.main, course, attempts=()),
    "posts": lambda mock, course: changed(mock.world.main, course, posts=()),
    "certificates": lambda mock, _: mock.world.main.certificates.clear(),
    "learning paths": lambda mock, _: mock.world.main.paths.clear(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_unchanged_sees_whatever_changes(what: str) -> None:
    mock = MockTraining.demo()
    world = World(wire(mock.transport()), {"admin": mock.token("admin")}, is_own=True)
    with world.unchanged():
        world.rows()
    with pytest.raises(BrokenRuleError, match="as before"), world.unchanged():
        CHANGES[what](mock, mock.world.course(FORKLIFT).id)


@pytest.mark.parametrize("what", ["a row", "a row of another course", "attempts"])
def test_unchanged_sees_rows_and_attempts_without_a_control_plane(what: str) -> None:
    mock = MockTraining.demo()
    world = World(wire(Without(mock, "/_mock/")), {"admin": mock.token("admin")})
    with pytest.raises(BrokenRuleError, match="as before"), world.unchanged():
        CHANGES[what](mock, mock.world.course(FORKLIFT).id)
