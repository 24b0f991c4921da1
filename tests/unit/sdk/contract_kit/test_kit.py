"""The kit's own parts: how a check ends, what the table shows, and servers that answer nonsense."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from mock_server import MockTraining
from training_sdk.errors import ReadOnlyError
from training_sdk.testing.contract import CannotRunError, CheckResult, Report, Wire, run
from training_sdk.testing.contract.checks import Check, check
from training_sdk.testing.contract.command import as_json, as_table
from training_sdk.testing.contract.environment import ContractConfig
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError, Result
from training_sdk.testing.contract.wire import Answer
from training_sdk.testing.contract.world import World
from unit.sdk.fakes import Recorded

LONG = "x" * 5000


def wire(answer: Callable[[httpx.Request], httpx.Response]) -> Wire:
    return Wire.to("http://127.0.0.1:9", http_client=httpx.Client(transport=httpx.MockTransport(answer)))


def ending(body: Callable[[World], None]) -> CheckResult:
    made: Check = check("R01", "says", "article")(body)
    return made.made(World(wire(lambda _: httpx.Response(200, json={})), {"admin": "t"}))


def raises(error: Exception) -> Callable[[World], None]:
    def body(world: World) -> None:
        raise error

    return body


def test_a_check_is_named_after_its_rule_and_function_and_says_how_it_ended() -> None:
    def some_name(world: World) -> None:
        world.send("GET", "/one")

    found = ending(some_name)
    assert (found.check, found.result, found.seen) == ("R01-some-name", "holds", "GET /one as admin → 200")
    found = ending(raises(BrokenRuleError("this", "that", "those")))
    assert (found.result, found.sent, found.expected, found.came) == ("broken", "this", "that", "those")
    found = ending(raises(NotCheckedError("no world")))
    assert (found.result, found.seen) == ("not checked", "no world.")


def shown(body: Callable[[World], object], answer: object) -> CheckResult:
    """How a check of a server ends that always gives this answer."""

    def asks(world: World) -> None:
        body(world)

    made: Check = check("R01", "says", "article")(asks)
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return made.made(World(wire(lambda _: httpx.Response(200, content=content)), {"admin": "t"}))


ODD: list[object] = [
    *({}, [], 7, {"data": None}, {"data": 7}, {"data": [1]}, {"data": [[]]}, {"data": ["x"]}),
    *(b"<html>", b"[" * 100_000 + b"]" * 100_000, b'{"data": [{"course_id": "' + b"\xff" + b'"}]}'),
]


@pytest.mark.parametrize("answer", ODD, ids=lambda answer: str(answer)[:20])
def test_an_answer_of_another_form_is_broken_and_no_traceback(answer: object) -> None:
    found = shown(lambda world: world.row("c", "u"), answer)
    assert found.result == "broken", found
    assert found.sent.startswith("GET /training/v1/feed")
    assert found.expected
    assert found.came


def test_a_field_that_is_missing_is_named() -> None:
    found = shown(lambda world: world.get("/x")["data"][0]["title"], {"data": [{"id": 1}]})
    assert (found.result, found.came) == ("broken", "an object without 'title'")


@pytest.mark.parametrize(
    "error", [KeyError("data"), TypeError("x"), IndexError("y"), RuntimeError("z")], ids=repr
)
def test_a_fault_of_the_kit_itself_is_not_blamed_on_the_server(error: Exception) -> None:
    found = ending(raises(error))
    assert found.result == "kit failed"
    assert f"{type(error).__name__}: {error} (test_kit.py:" in found.seen
    assert Report("http://x", (found, finding("R02", "holds", ""))).exit_code == 5


def test_what_ends_every_check_is_no_finding_of_one() -> None:
    for end in (CannotRunError("gone"), ReadOnlyError("no")):
        with pytest.raises(type(end)):
            ending(raises(end))


def answered(status: int, body: object) -> Answer:
    return Answer("GET /", status, (), body if isinstance(body, bytes) else json.dumps(body).encode())


def test_what_came_is_told_by_status_and_reason() -> None:
    refused = answered(403, {"details": [{"reason": "PERMISSION_DENIED"}]})
    assert refused.expect(403, "PERMISSION_DENIED").came == "403 PERMISSION_DENIED"
    for status, reason in ((200, ""), (403, "OTHER")):
        with pytest.raises(BrokenRuleError) as told:
            refused.expect(status, reason)
        assert (told.value.expected, told.value.came) == (
            f"{status} {reason}".strip(),
            "403 PERMISSION_DENIED",
        )
    odd: list[object] = [b"<html>", {"details": 7}, [], {"details": [{}]}]
    assert [answered(500, each).reason for each in odd] == [""] * 4
    with pytest.raises(BrokenRuleError, match="an answer in JSON"):
        answered(200, b"<html>").json()
    with pytest.raises(NotCheckedError, match="rate limit"):
        answered(429, {}).expect(200)


def test_an_error_that_is_of_no_form_blames_nothing_and_says_nothing() -> None:
    named = {"message": "No s3cret-word.", "details": [7, {}, {"metadata": {"field": "url"}}]}
    said = Answer("GET /", 400, (), json.dumps(named).encode(), frozenset({"s3cret-word"}))
    assert (said.blamed, said.message) == ("url", "No ***.")
    odd: list[object] = [b"<html>", b"[" * 100_000, [], 7, {"message": 7, "details": {"metadata": 7}}]
    metadata: list[object] = [7, [], {}, {"field": 7}]
    odd += [{"details": [{"metadata": each}]} for each in metadata]
    assert {(answered(400, each).blamed, answered(400, each).message) for each in odd} == {("", "")}


def finding(rule: str, result: Result, seen: str) -> CheckResult:
    return CheckResult(f"{rule}-x", rule, "A rule.", "article", result, seen, seen, "two", "three")


@pytest.mark.parametrize("width", [10, 60, 100, 1000])
def test_the_table_keeps_to_its_width_and_shows_everything_it_can(width: int) -> None:
    findings = (
        finding("R01", "holds", "GET /"),
        finding("R02", "broken", LONG),
        finding("R03", "not checked", "why"),
    )
    text = as_table(Report("http://x", findings), width)
    assert max(map(len, text.splitlines())) <= max(60, min(width, 160))
    assert [line[:3] for line in text.splitlines() if line[:1] == "R"] == ["R01", "R02", "R03"]
    for said in (
        "GET /",
        "expected two",
        "received three",
        "why",
        "Broken: R02.",
        "1 hold, 1 broken, 1 not checked",
    ):
        assert said in text or said in " ".join(text.split())
    assert text.count("x" * 20) < 300


def test_a_server_cannot_write_escapes_to_the_terminal() -> None:
    text = as_table(Report("http://x", (finding("R02", "broken", "\x1b[2Jgone\x07"),)))
    assert not set(text) & {"\x1b", "\x07"}
    assert "[2Jgone" in text


def test_json_holds_what_the_table_cuts() -> None:
    report = Report("http://x", (finding("R02", "broken", LONG),))
    assert json.loads(as_json(report))["findings"][0]["sent"] == LONG


def test_the_exit_code_is_of_the_worst() -> None:
    ends: dict[tuple[Result, ...], int] = {
        ("holds",): 0,
        ("holds", "not checked"): 0,
        ("not checked",): 3,
        (): 3,
        ("holds", "broken"): 1,
    }
    for results, code in ends.items():
        assert Report("http://x", tuple(finding("R01", each, "") for each in results)).exit_code == code


NONSENSE = {
    "the service does not accept the administrator's token": httpx.Response(401),
    "may not read the feed": httpx.Response(403),
    "redirects to https://elsewhere.example": httpx.Response(
        302, headers={"location": "https://elsewhere.example"}
    ),
    "as admin was 500": httpx.Response(500),
    "Check the base URL.": httpx.Response(200, text="<html>Sign in</html>"),
    "as admin was 200 []": httpx.Response(200, json=[]),
    ' was 200 {"data":7}': httpx.Response(200, content=b'{"data":7}'),
}


@pytest.mark.parametrize("said", NONSENSE)
@pytest.mark.parametrize("read_only", [True, False], ids=["read-only", "resets"])
def test_where_nothing_can_be_read_no_rule_is_called_broken(said: str, read_only: bool) -> None:
    asked: list[httpx.Request] = []

    def nonsense(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = NONSENSE[said]
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    given = ContractConfig({"admin": "a-token-that-is-told"}, "c")
    with pytest.raises(CannotRunError, match="Nothing was checked") as told:
        run(wire(nonsense), read_only=read_only, given=given, allowed=lambda title: True)
    assert said in str(told.value)
    assert len(asked) == 1
    with pytest.raises(CannotRunError, match="No organisation could be created"):
        run(wire(nonsense))


@pytest.mark.parametrize(
    "host", ["https://api.safetyculture.io", "https://API.SafetyCulture.io.", "https://x.safetyculture.com"]
)
def test_the_vendors_own_service_is_never_played_with(host: str) -> None:
    wire = Recorded(lambda _: httpx.Response(200, json={"data": [], "users": []}))
    made = Wire.to(host, http_client=httpx.Client(transport=httpx.MockTransport(wire)))
    with pytest.raises(CannotRunError, match="Use only --read-only with a live service"):
        run(made, given=ContractConfig({"admin": "t"}, "c"), allowed=lambda title: True)
    with pytest.raises(CannotRunError, match="Use only --read-only with a live service"):
        run(made)
    with pytest.raises(CannotRunError, match="set SAFETYCULTURE_API_TOKEN"):
        run(made, read_only=True)
    with pytest.raises(CannotRunError, match="must not receive the secret"):
        made.control("GET", "tokens")
    assert wire.sent == []


@pytest.mark.parametrize("read_only", [True, False])
def test_the_control_plane_never_gets_the_secret(read_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "a-token-that-is-none")
    wire = Recorded(lambda _: httpx.Response(401))
    http = httpx.Client(transport=httpx.MockTransport(wire))
    with pytest.raises(CannotRunError):
        run(
            Wire.to("https://api.safetyculture.io", http_client=http, secret="s3cret-word"),
            read_only=read_only,
        )
    assert [each.url.path for each in wire.sent] == ["/training/v1/feed/training-course-progress"] * read_only
    assert not any("s3cret-word" in str(each.headers) for each in wire.sent)


def test_a_feed_is_followed_on_its_own_host_only() -> None:
    asked: list[str] = []

    def away(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        page = {"data": [], "metadata": {"next_page": "https://elsewhere.example/training/v1/feed"}}
        return httpx.Response(200, json=page)

    with pytest.raises(BrokenRuleError, match="a next_page on the same host"):
        World(wire(away), {"admin": "t"}).rows()
    assert asked == ["127.0.0.1"]


def test_no_token_is_in_what_is_told() -> None:
    mock = MockTraining.demo()
    with httpx.Client(transport=mock.transport()) as http:
        made = Wire.to("http://127.0.0.1:9", http_client=http, secret="s3cret-word")
        report = run(made, read_only=True)
        assert "s3cret-word" not in repr(made)
        given = ContractConfig({"admin": mock.token("admin")})
        assert mock.token("admin") not in repr(given)
        assert mock.token("admin") not in repr(World(made, given.tokens))
    told = as_table(report) + as_json(report)
    assert not [each for each in mock.tokens() if each["token"] in told]
