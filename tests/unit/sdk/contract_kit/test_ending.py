"""How the kit ends when something goes away half-way: what was found stays, and what is left behind is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import httpx
import pytest

from mock_server import MockTraining
from mock_server.control import worlds
from training_sdk.testing.contract import CannotRunError, Report, Wire, command, run
from training_sdk.testing.contract.command import as_json, as_table
from training_sdk.testing.contract.environment import NAMES, ContractConfig
from training_sdk.testing.contract.findings import Ending
from training_sdk.testing.contract.rules import webhooks
from training_sdk.testing.contract.runner import CheckRun, StopSignals, all_checks

FORKLIFT = "Forklift basics"
FEED = "/training/v1/feed/training-course-progress"
Answer = Callable[[httpx.Request], httpx.Response]


class Between(httpx.BaseTransport):
    """The reference server, with something between it and the kit."""

    def __init__(
        self, mock: MockTraining, instead: Callable[[httpx.Request, Answer], httpx.Response]
    ) -> None:
        self._honest = mock.transport()
        self._instead = instead
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        return self._instead(request, self._honest.handle_request)

    def wire(self, *, secret: str = "") -> Wire:
        return Wire.to("http://127.0.0.1:9", http_client=httpx.Client(transport=self), secret=secret)


def one_check(wire: Wire) -> CheckRun:
    """The first check, not made yet."""
    making = CheckRun.of(wire, read_only=False)
    making.checks = making.checks[:1]
    return making


def made(wire: Wire) -> Report:
    making = one_check(wire)
    making.make(given=None, allowed=lambda title: False)
    return making.report()


def of_worlds(request: httpx.Request, method: str) -> bool:
    return request.method == method and request.url.path.startswith("/_mock/worlds")


def deleting(answer: httpx.Response | Exception) -> Callable[[httpx.Request, Answer], httpx.Response]:
    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if not of_worlds(request, "DELETE"):
            return honest(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return instead


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(500, text="no"), "answered 500 no"),
        (httpx.ReadError("gone"), "the connection broke"),
        (httpx.ReadTimeout("slow"), "no answer in time"),
        (httpx.ConnectError("refused"), "could not connect"),
    ],
    ids=["refused", "cut", "hangs", "gone"],
)
def test_a_world_not_removed_is_named_with_the_remedy(answer: httpx.Response | Exception, said: str) -> None:
    mock = MockTraining.demo()
    report = made(Between(mock, deleting(answer)).wire())
    assert [each.result for each in report.findings] == ["holds"]
    (kept,) = mock.worlds.all()
    (left,) = report.left
    assert said in left
    assert left.endswith(f"curl -X DELETE http://127.0.0.1:9/_mock/worlds/{kept.id}")
    assert kept.id in as_table(report)
    assert json.loads(as_json(report))["left_behind"] == [left]
    assert report.exit_code == Ending.NOT_CLEAN


def without_policy(mock: MockTraining, answers: Callable[[dict[str, object]], object]) -> Report:
    """The kit against a server that drops the policy asked for, and says this of the policy it has."""

    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if not of_worlds(request, "POST"):
            return honest(request)
        content = {key: value for key, value in json.loads(request.content).items() if key != "policy"}
        made = honest(httpx.Request("POST", request.url, json=content))
        return httpx.Response(made.status_code, json=answers(json.loads(made.read())))

    return run(Between(mock, instead).wire(), only=("R02", "R10", "R15", "R18"))


@pytest.mark.parametrize(
    "answers",
    [
        lambda made: made,
        lambda made: {key: value for key, value in made.items() if key != "policy"},
        lambda made: made | {"policy": {"everyone_permission": "Training: Administration", "absent": "no"}},
        lambda made: made | {"policy": ["absent"]},
    ],
    ids=["its own", "none", "other values", "no object"],
)
def test_a_dropped_policy_is_not_checked_or_broken(answers: Callable[[dict[str, object]], object]) -> None:
    mock = MockTraining.demo()
    report = without_policy(mock, answers)
    demanding = {each.name for each in all_checks() if each.policy}
    missed = {each.check: each.seen for each in report.findings if each.result == "not checked"}
    assert missed.keys() == demanding & {each.check for each in report.findings}
    assert len(missed) == 5
    assert {each.result for each in report.findings if each.check not in missed} == {"holds"}
    assert all("does not name" in seen for seen in missed.values())
    assert mock.worlds.all() == ()


def test_no_check_more_pays_for_a_world_whose_removal_hangs() -> None:
    between = Between(MockTraining.demo(), deleting(httpx.ReadTimeout("slow")))
    report = run(between.wire())
    assert (report.count("holds"), len(report.left), report.exit_code) == (1, 1, Ending.STOPPED)
    assert sum(each.startswith("DELETE") for each in between.asked) == 1


def test_how_to_remove_it_names_the_secret_and_does_not_tell_it() -> None:
    report = made(Between(MockTraining.demo(), deleting(httpx.Response(500))).wire(secret="s" * 32))
    assert "-H X-Training-Mock-Secret:$TRAINING_MOCK_SECRET" in report.left[0]
    assert "s" * 32 not in as_table(report) + as_json(report)


def test_a_server_that_is_full_says_itself_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    mock = MockTraining.demo()
    monkeypatch.setattr(worlds, "MAX_WORLDS", 0)
    with pytest.raises(CannotRunError) as told:
        made(Between(mock, lambda request, honest: honest(request)).wire())
    assert str(told.value).startswith(
        "No organisation could be created: There is no room for one more world: the limits are 0 worlds"
    )
    assert str(told.value).endswith("Delete worlds that are no longer needed: DELETE /_mock/worlds/{id}.")


@pytest.mark.parametrize("message", [None, 7, ""], ids=repr)
def test_one_that_says_nothing_is_told_by_its_reason(message: object) -> None:
    full = {"message": message, "details": [{"reason": "WORLDS_EXHAUSTED"}]}
    with pytest.raises(CannotRunError, match=r"^No organisation could be created: 429 WORLDS_EXHAUSTED\.$"):
        made(Between(MockTraining.demo(), lambda *_: httpx.Response(429, json=full)).wire())


@pytest.mark.parametrize("tokens", [None, [], [{"name": "admin"}], "x"], ids=repr)
def test_a_world_without_tokens_is_removed_again(tokens: object) -> None:
    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        answer = honest(request)
        if not of_worlds(request, "POST"):
            return answer
        return httpx.Response(201, json=json.loads(answer.read()) | {"tokens": tokens})

    mock = MockTraining.demo()
    with pytest.raises(CannotRunError, match="contains no tokens"):
        made(Between(mock, instead).wire())
    assert mock.worlds.all() == ()


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("slow"), httpx.ReadError("cut"), None], ids=repr)
def test_a_world_that_may_have_been_made_is_said(lost: Exception | None) -> None:
    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        answer = honest(request)
        if lost is not None:
            raise lost
        return httpx.Response(201, json=json.loads(answer.read()) | {"id": 7})

    mock = MockTraining.demo()
    with pytest.raises(
        CannotRunError, match=r"Left behind: possibly an organisation, .* GET /_mock/worlds lists them\.$"
    ):
        made(Between(mock, instead).wire())
    assert len(mock.worlds.all()) == 1


def after(number: int, fault: Exception) -> Callable[[httpx.Request, Answer], httpx.Response]:
    """An honest server that has gone after so many requests."""
    count = iter(range(10_000))

    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if next(count) >= number:
            raise fault
        return honest(request)

    return instead


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow")], ids=repr)
def test_a_service_that_goes_away_leaves_what_was_found(fault: Exception) -> None:
    between = Between(MockTraining.demo(), after(60, fault))
    report = run(between.wire())
    assert report.count("holds") > 3
    assert report.count("not checked") == len(report.findings) - report.count("holds")
    assert report.exit_code == Ending.STOPPED
    assert f"{report.count('holds')} of {len(report.findings)} checks were made" in report.stopped
    assert f"Stopped: {report.stopped[:30]}" in as_table(report)
    assert len(between.asked) <= 62  # one more, and the DELETE of its world: no time-out is paid twice


def test_the_first_time_out_is_the_last() -> None:
    between = Between(MockTraining.demo(), after(0, httpx.ReadTimeout("slow")))
    with pytest.raises(CannotRunError, match="no answer in time"):
        run(between.wire(), read_only=True, given=ContractConfig({"admin": "a-token-that-is-told"}))
    assert between.asked == [f"GET {FEED}"]


def given(mock: MockTraining) -> ContractConfig:
    tokens = {str(each["name"]): str(each["token"]) for each in mock.tokens()}
    return ContractConfig(
        {each: tokens[each] for each in NAMES if each in tokens}, mock.world.course(FORKLIFT).id
    )


def test_who_may_have_been_reset_is_said() -> None:
    mock = MockTraining.demo()
    wire = Between(mock, after(150, httpx.ConnectError("refused"))).wire()
    report = run(wire, given=given(mock), allowed=lambda title: True)
    assert report.stopped.endswith(f"checks were made. People in {FORKLIFT!r} may have been reset.")
    assert FORKLIFT in report.world
    wire = Between(mock, after(5, httpx.ConnectError("refused"))).wire()
    assert "reset" not in run(wire, given=given(mock), read_only=True).stopped


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_webhook_is_removed_also_where_making_it_was_answered_otherwise(is_removed: bool) -> None:
    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if request.url.path.startswith("/webhooks/v1/webhooks/") and not is_removed:
            return httpx.Response(500)
        answer = honest(request)
        created = request.method == "POST" and request.url.path == "/webhooks/v1/webhooks"
        return httpx.Response(201, content=answer.read()) if created else answer

    mock = MockTraining.demo()
    between = Between(mock, instead)
    report = run(between.wire(), given=given(mock), allowed=lambda title: True, only=("R24",))
    assert [(each.result, each.expected) for each in report.findings] == [("broken", "200")]
    left = [
        f"Left behind: the webhook {each}. Remove it: DELETE /webhooks/v1/webhooks/{each}"
        for each in mock.world.webhooks
    ]
    assert list(report.left) == left
    assert len(left) == (not is_removed)


def test_a_course_that_is_none_is_named() -> None:
    mock = MockTraining.demo()
    told = ContractConfig(given(mock).tokens, "65f0c0ffee00000000000001")
    with pytest.raises(CannotRunError, match=r"does not see the course '65f0c0ffee00000000000001'"):
        run(Between(mock, after(99, ValueError())).wire(), given=told, allowed=lambda title: True)


def test_no_token_is_told_that_a_server_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        said = request.headers.get("authorization", "") + request.headers.get("x-training-mock-secret", "")
        if "courseprogress" not in request.url.path:
            return honest(request)
        return httpx.Response(200, json={"usersUpdated": 7, "you": said, "cut": "x" * 200 + said})

    monkeypatch.setattr(webhooks, "PATIENCE", 0.3)
    mock = MockTraining.demo()
    secret = "s3cret-of-the-server-that-is-long"
    report = run(Between(mock, instead).wire(secret=secret))
    assert report.count("broken") > 10
    shown = as_table(report, 160) + as_json(report)
    assert "Bearer ***" in shown
    assert not re.search(r"mock_[0-9a-f]{4}", shown)
    assert "s3cret" not in shown


def test_a_letter_that_no_encoding_has_can_be_printed_as_json() -> None:
    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if "courseprogress" not in request.url.path:
            return honest(request)
        return httpx.Response(200, content=b'{"usersUpdated": 1, "is": "\\ud800", "and": "\xe2\x94\x80"}')

    report: Report = run(Between(MockTraining.demo(), instead).wire(), only=("R01",))
    assert report.broken == ("R01",)
    assert as_json(report).isascii()
    assert "\\ud800" in json.dumps(json.loads(as_json(report)))


def test_a_signal_ends_no_request_that_makes_or_removes_a_world() -> None:
    """It comes while the first world is made: the check is not begun, the world is removed, and the end is orderly."""
    mock, stopping = MockTraining.demo(), StopSignals()

    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if of_worlds(request, "POST"):
            stopping._take(15, None)
        return honest(request)

    between = Between(mock, instead)
    making = CheckRun.of(between.wire(), read_only=False)
    making.interruptible = stopping.allowed
    with pytest.raises(KeyboardInterrupt):
        making.make(given=None, allowed=lambda title: False)
    assert [each.partition(" ")[0] for each in between.asked] == ["POST", "DELETE"]
    assert (stopping.asked, mock.worlds.all(), making.leftovers) == ("SIGTERM", (), ())


def test_a_second_signal_waits_for_nothing_and_what_stays_is_said() -> None:
    mock, stopping = MockTraining.demo(), StopSignals()

    def instead(request: httpx.Request, honest: Answer) -> httpx.Response:
        if of_worlds(request, "DELETE"):
            stopping._take(2, None)
            stopping._take(2, None)
        return honest(request)

    making = one_check(Between(mock, instead).wire())
    making.interruptible = stopping.allowed
    with pytest.raises(KeyboardInterrupt):
        making.make(given=None, allowed=lambda title: False)
    making.stop("Interrupted by SIGINT.")
    report = making.report()
    (kept,) = mock.worlds.all()
    assert kept.id in report.left[0]
    assert report.exit_code == Ending.STOPPED


@pytest.mark.parametrize(
    "arguments", [["--json"], ["--js", "--base-url", "http://127.0.0.1:1", "--rule", "X"]]
)
def test_wrong_options_are_reported_in_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for told in (arguments, arguments[1:]):
        with pytest.raises(SystemExit) as ended:
            command.main(told)
        assert ended.value.code == 2
        out, err = capsys.readouterr()
        assert "usage:" in err
        if told == arguments:
            said = json.loads(out)
            assert said["exit_code"] == 2
            assert said["error"] in err
        else:
            assert out == ""
