"""The control plane's operations, through ``handle()``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mock_server import MockTraining, __version__
from mock_server.wire.message import Request, Response


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.demo()


def ask(mock: MockTraining, path: str, method: str = "GET", query: str = "") -> Response:
    return mock.handle(Request(method, path, query))


def reason(response: Response) -> str:
    body: dict[str, Any] = json.loads(response.body)
    said: str = body["details"][0]["reason"]
    return said


def test_health_needs_no_token_and_names_the_version(mock: MockTraining) -> None:
    response = ask(mock, "/_mock/health", query="probe=1")
    assert response.status == 200
    assert json.loads(response.body) == {"status": "ok", "version": __version__}
    assert ("x-training-mock", __version__) in response.headers


def test_tokens_lists_every_token_with_owner_and_permissions(mock: MockTraining) -> None:
    listed = {each["name"]: each for each in json.loads(ask(mock, "/_mock/tokens").body)["tokens"]}
    assert {"admin", "manager", "teamlead", "learner", "outsider", "revoked"} <= set(listed)
    for name, each in listed.items():
        assert set(each) == {"name", "token", "user_id", "organisation_id", "permissions"}
        assert each["token"] == mock.token(name)
    assert listed["manager"]["permissions"] == ["Training: Administration"]
    assert "Platform management: Users" in listed["admin"]["permissions"]
    assert listed["learner"]["permissions"] == []
    assert listed["outsider"]["organisation_id"] != listed["admin"]["organisation_id"]


def test_a_listed_token_opens_what_it_says(mock: MockTraining) -> None:
    for each in json.loads(ask(mock, "/_mock/tokens").body)["tokens"]:
        headers = (("user-agent", "tests/1"), ("authorization", f"Bearer {each['token']}"))
        answer = mock.handle(Request("GET", "/accounts/user/v1/user:WhoAmI", headers=headers))
        if each["name"] in ("revoked", "expired"):
            assert answer.status == 401
        else:
            assert json.loads(answer.body)["user_id"] == each["user_id"]


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "OPTIONS", "PURGE"])
@pytest.mark.parametrize("path", ["/_mock/health", "/_mock/tokens"])
def test_another_method_is_405_and_says_which_is_taken(mock: MockTraining, path: str, method: str) -> None:
    response = ask(mock, path, method)
    assert (response.status, reason(response)) == (405, "METHOD_NOT_ALLOWED")
    assert ("allow", "GET, HEAD") in response.headers


@pytest.mark.parametrize(
    "path", ["/_mock/", "/_mock/health/", "/_mock/Health", "/_mock/%68ealth", "/_mock/x", "/_mock//"]
)
def test_another_path_is_404_and_says_which_there_are(mock: MockTraining, path: str) -> None:
    response = ask(mock, path)
    assert (response.status, reason(response)) == (404, "UNKNOWN_PATH")
    assert b"/_mock/tokens" in response.body


def test_no_other_spelling_reaches_the_control_plane(mock: MockTraining) -> None:
    for path in (
        "/%5Fmock/tokens",
        "//_mock/tokens",
        "/x/../_mock/tokens",
        "/_MOCK/tokens",
        "/_mock%2Ftokens",
    ):
        response = ask(mock, path)
        assert response.status in (400, 401, 404), path
        assert b"token" not in response.body or response.status == 401
