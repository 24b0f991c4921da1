"""One server, many worlds: each with tokens of its own, bounded in number, and none sees another."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import pytest

from mock_server import MockTraining, Policy
from mock_server.control import worlds
from mock_server.wire.message import Request, Response

WHO_AM_I = "/accounts/user/v1/user:WhoAmI"
RESET = "/training/courseprogress/v1/reset"
JSON = (("content-type", "application/json"),)


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


def ask(
    mock: MockTraining, method: str, path: str, body: object = None, token: str | None = None, **headers: str
) -> tuple[int, Any]:
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    sent += (("user-agent", "tests/1"),)
    sent += (("authorization", f"Bearer {token}"),) if token else ()
    sent += JSON if body is not None else ()
    data = b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    response: Response = mock.handle(Request(method, path, query, sent, data))
    return response.status, json.loads(response.body)


def new_world(mock: MockTraining, body: object = None) -> dict[str, Any]:
    status, made = ask(mock, "POST", worlds.PATH, body)
    assert status == 201, made
    found: dict[str, Any] = made
    return found


def token(world: dict[str, Any], name: str = "admin") -> str:
    (found,) = [each["token"] for each in world["tokens"] if each["name"] == name]
    return str(found)


def test_a_world_has_tokens_that_no_other_has(mock: MockTraining) -> None:
    made = [new_world(mock), new_world(mock)]
    tokens = [each["token"] for world in (*made, {"tokens": mock.tokens()}) for each in world["tokens"]]
    assert len(set(tokens)) == len(tokens) == 24
    assert {each["organisation_id"] for each in made} == {mock.world.main.id}
    assert ask(mock, "GET", WHO_AM_I, token=token(made[0]))[0] == 200
    assert ask(mock, "GET", WHO_AM_I, token=token(made[0], "revoked"))[0] == 401


def test_a_listed_token_opens_what_it_says(mock: MockTraining) -> None:
    for each in ask(mock, "GET", "/_mock/tokens")[1]["tokens"]:
        status, answer = ask(mock, "GET", WHO_AM_I, token=each["token"])
        if each["name"] in ("revoked", "expired"):
            assert status == 401
        else:
            assert answer["user_id"] == each["user_id"]


def test_the_token_selects_the_world_and_nothing_leaks(mock: MockTraining) -> None:
    one, other = new_world(mock), new_world(mock)
    course = mock.world.course("Forklift basics")
    feed = f"/training/v1/feed/training-course-progress?course_id={course.id}"
    before = [ask(mock, "GET", feed, token=each) for each in (token(other), mock.token("admin"))]
    confirmation = json.dumps({"courseTitle": course.title, "users": 37})
    status, done = ask(
        mock,
        "POST",
        RESET,
        {"courseId": course.id, "allUsers": True},
        token(one),
        reset_confirmation=confirmation,
    )
    assert (status, done) == (200, {"usersUpdated": 37})
    assert [ask(mock, "GET", feed, token=each) for each in (token(other), mock.token("admin"))] == before
    assert ask(mock, "GET", feed, token=token(one)) != before[0]
    assert mock.audit == ()


def test_the_control_plane_goes_by_the_token_too(mock: MockTraining) -> None:
    made = new_world(mock)
    assert ask(mock, "GET", "/_mock/tokens", token=token(made))[1]["tokens"] == made["tokens"]
    assert ask(mock, "GET", "/_mock/tokens")[1]["tokens"] == mock.tokens()
    # Worlds do not nest: whatever token, the list is the server's.
    inner = ask(mock, "POST", worlds.PATH, token=token(made))[1]
    assert [each["id"] for each in ask(mock, "GET", worlds.PATH)[1]["worlds"]] == [made["id"], inner["id"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/_mock/tokens", None),
        ("GET", "/_mock/calls", None),
        ("GET", "/_mock/audit", None),
        ("GET", "/_mock/nowhere", None),
        ("POST", "/_mock/faults", {"kind": "error"}),
        ("DELETE", "/_mock/faults", None),
        ("POST", "/_mock/clock", {"advance": 3600}),
        ("POST", "/_mock/marks", {"name": "start"}),
        ("POST", "/_mock/learners/open", {}),
        ("PUT", "/_mock/state", {}),
    ],
)
@pytest.mark.parametrize("beside", [0, 1])
def test_unknown_token_no_world(
    mock: MockTraining, method: str, path: str, body: object, beside: int
) -> None:
    for _ in range(beside):
        new_world(mock)
    deleted = new_world(mock)
    ask(mock, "DELETE", f"{worlds.PATH}/{deleted['id']}")
    before = mock.state()
    for stranger in ("mock_typo", token(deleted), "two words"):
        status, answer = ask(mock, method, path, body, stranger)
        assert (status, answer["details"][0]["reason"]) == (401, "UNAUTHENTICATED")
        assert "Send no Authorization header for its first world" in answer["message"]
    twice = (("authorization", f"Bearer {mock.token('admin')}"),) * 2
    assert mock.handle(Request(method, path, headers=twice)).status == 401
    assert mock.handle(Request(method, path, headers=(("authorization", "Basic x"),))).status == 401
    assert (mock.faults.script, dict(mock.marks), mock.diff(before)) == ((), {}, ())


def test_what_is_the_servers_own_asks_for_no_token(mock: MockTraining) -> None:
    for path in ("/_mock/health", "/openapi.json", worlds.PATH):
        assert ask(mock, "GET", path, token="mock_typo")[0] == 200


def test_a_token_that_opens_nothing_still_selects_its_world(mock: MockTraining) -> None:
    made = new_world(mock)
    for name in ("revoked", "expired"):
        assert ask(mock, "GET", "/_mock/tokens", token=token(made, name))[1]["tokens"] == made["tokens"]
        assert ask(mock, "GET", "/_mock/tokens", token=mock.token(name))[1]["tokens"] == mock.tokens()


def test_the_list_names_no_token(mock: MockTraining) -> None:
    made = new_world(mock, {"seed": "generated", "users": 5, "courses": 2, "randomSeed": 3})
    assert (made["users"], made["courses"], made["seed"]) == (5 + 7, 2, "generated")
    listed = ask(mock, "GET", worlds.PATH)[1]
    assert listed == {"worlds": [{key: value for key, value in made.items() if key != "tokens"}]}


def test_a_world_takes_policy_and_moment(mock: MockTraining) -> None:
    made = new_world(mock, {"policy": {"confirmation": "off"}, "now": "2027-01-31T10:00:00+01:00"})
    course = mock.world.course("Forklift basics").id
    body = {"courseId": course, "allUsers": True}
    assert ask(mock, "POST", RESET, body, token(made))[0] == 200
    assert ask(mock, "POST", RESET, body, mock.token("admin"))[0] == 428
    (kept,) = mock.worlds.all()
    assert kept.mock.audit[0].at.isoformat() == "2027-01-31T09:00:00+00:00"


def test_a_world_decides_as_the_server_was_told_to_unless_it_is_told_otherwise() -> None:
    mock = MockTraining.demo(policy=Policy(eligibility="completed", confirmation="off"))
    mock.lag = timedelta(minutes=30)  # of the first world alone, and later
    assert new_world(mock)["policy"] == {"eligibility": "completed", "confirmation": "off"}
    generated = {"seed": "generated", "users": 5, "courses": 2}
    assert new_world(mock, generated)["policy"] == {"eligibility": "completed", "confirmation": "off"}
    told = new_world(mock, {"policy": {"confirmation": "required", "late_writes": "accepted"}})
    asked = {"confirmation": "required", "late_writes": "accepted"}
    assert told["policy"] == {"eligibility": "completed", **asked}, "with what was asked for, usual or not"
    assert [each.mock.policy.eligibility for each in mock.worlds.all()] == ["completed"] * 3
    assert not any(each.mock.lag for each in mock.worlds.all())
    course = mock.world.course("Forklift basics").id
    body = {"courseId": course, "allUsers": True}
    assert ask(mock, "POST", RESET, body, token(told))[0] == 428
    assert ask(mock, "POST", RESET, body, mock.token("admin"))[0] == 200


def test_a_server_that_was_told_nothing_names_no_switch(mock: MockTraining) -> None:
    assert new_world(mock)["policy"] == {}


def test_a_deleted_world_is_gone(mock: MockTraining) -> None:
    made, other = new_world(mock), new_world(mock)
    assert ask(mock, "DELETE", f"{worlds.PATH}/{made['id']}") == (200, {"deleted": made["id"]})
    assert ask(mock, "GET", WHO_AM_I, token=token(made))[0] == 401
    assert ask(mock, "GET", WHO_AM_I, token=token(other))[0] == 200
    status, answer = ask(mock, "DELETE", f"{worlds.PATH}/{made['id']}")
    assert (status, answer["details"][0]["reason"]) == (404, "WORLD_NOT_FOUND")


def test_a_moment_outside_the_years_of_a_clock_is_refused_by_naming_them(mock: MockTraining) -> None:
    status, answer = ask(mock, "POST", worlds.PATH, {"now": "1960-01-01T00:00:00Z"})
    assert (status, answer["details"][0]["reason"]) == (400, "INVALID_ARGUMENT")
    assert "1970 to 8999" in answer["message"]


def test_worlds_are_bounded_in_number(mock: MockTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "MAX_WORLDS", 2)
    first, _ = new_world(mock), new_world(mock)
    status, answer = ask(mock, "POST", worlds.PATH)
    assert (status, answer["details"][0]["reason"]) == (429, "WORLDS_EXHAUSTED")
    assert "DELETE /_mock/worlds/{id}" in answer["message"]
    ask(mock, "DELETE", f"{worlds.PATH}/{first['id']}")
    new_world(mock)


def test_worlds_are_bounded_in_rows(mock: MockTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "MAX_ROWS_TOGETHER", 25)
    body = {"seed": "generated", "users": 5, "courses": 4}
    new_world(mock, body)
    assert ask(mock, "POST", worlds.PATH, body)[0] == 429
    new_world(mock)


def test_parallel_workers_share_a_server_without_meeting(mock: MockTraining) -> None:
    """Each makes a world, resets everyone in it, looks, and deletes it; over real sockets, all at once."""
    course = mock.world.course("Forklift basics")
    with mock.serve() as server:

        def send(method: str, path: str, token: str = "", body: object = None, **headers: str) -> Any:
            data = None if body is None else json.dumps(body).encode()
            head = {name.replace("_", "-"): value for name, value in headers.items()}
            head |= {"authorization": f"Bearer {token}"} if token else {}
            head |= dict(JSON) if body is not None else {}
            with urlopen(UrlRequest(server.url + path, data, head, method=method)) as answer:
                return json.load(answer)

        def work(_: int) -> list[int]:
            counts = []
            for _ in range(3):
                made = send("POST", worlds.PATH, body={})
                body = {"courseId": course.id, "allUsers": True}
                for users in (37, 0):
                    said = json.dumps({"courseTitle": course.title, "users": users})
                    answer = send("POST", RESET, token(made), body, reset_confirmation=said)
                    counts.append(answer["usersUpdated"])
                send("DELETE", f"{worlds.PATH}/{made['id']}")
            return counts

        with ThreadPoolExecutor(8) as pool:
            seen = list(pool.map(work, range(8)))
    assert seen == [[37, 0] * 3] * 8
    assert mock.worlds.all() == ()
    assert mock.audit == ()


def state_of_a_stranger() -> tuple[dict[str, Any], str]:
    """The state of a world of some other server, and its administrator's token."""
    stranger = MockTraining.generate(users=3, courses=1, seed=9)
    return stranger.state(), stranger.token("admin")


def test_a_world_that_took_in_another_ones_state_is_opened_by_those_tokens(mock: MockTraining) -> None:
    made = new_world(mock)
    document, theirs = state_of_a_stranger()
    assert ask(mock, "PUT", "/_mock/state", document, token(made))[0] == 200
    # The old tokens are gone with the old state, and what they open is nobody's.
    assert ask(mock, "GET", WHO_AM_I, token=token(made))[0] == 401
    assert ask(mock, "GET", WHO_AM_I, token=theirs)[0] == 200
    titles = [each["title"] for each in ask(mock, "GET", "/training/courses/v1", token=theirs)[1]["items"]]
    assert titles == ["Fire safety 1"]
    assert ask(mock, "GET", WHO_AM_I, token=mock.token("admin"))[0] == 200
    assert ask(mock, "DELETE", f"{worlds.PATH}/{made['id']}")[0] == 200
    assert ask(mock, "GET", WHO_AM_I, token=theirs)[0] == 401


def test_a_state_whose_tokens_open_another_world_of_the_server_is_refused(mock: MockTraining) -> None:
    one, two = new_world(mock), new_world(mock)
    _, of_two = ask(mock, "GET", "/_mock/state", token=token(two))
    for who in (token(one), mock.token("admin")):
        status, answer = ask(mock, "PUT", "/_mock/state", of_two, who)
        assert status == 400
        assert "opens another world of this server" in answer["message"]
    assert ask(mock, "PUT", "/_mock/state", mock.state(), token(one))[0] == 400
    assert ask(mock, "PUT", "/_mock/state", of_two, token(two))[0] == 200
    assert ask(mock, "GET", WHO_AM_I, token=token(one))[0] == 200
