"""Raw requests to a world, as a door would hand them in, and answers that are easy to ask."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

from mock_server import MockTraining
from mock_server.wire.message import Request

RESET = "/training/courseprogress/v1/reset"
PREVIEW = f"{RESET}:preview"
FEED = "/training/v1/feed/training-course-progress"
STATISTICS = "/training/analytics/v1/courses/statistics"
ATTEMPTS = "/training/analytics/v1/lessons/attempts"
COURSES = "/training/courses/v1"
WHO = "/accounts/user/v1/user:WhoAmI"
FORKLIFT = "Forklift basics"
ANNA = "anna.oezdemir@nordwerk.example"
JSON_TYPE = ("content-type", "application/json")
AGENT = ("user-agent", "tests/1")


@frozen
class Answer:
    """One answer, decoded."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])

    @property
    def reason(self) -> str:
        return str(self.json["details"][0]["reason"])

    @property
    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = self.json["details"][0]["metadata"]
        return found


@frozen
class Speaker:
    """Somebody with a token."""

    mock: MockTraining
    token: str | None = "admin"

    def send(
        self,
        method: str,
        path: str,
        query: str = "",
        *,
        body: object = None,
        raw: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        too_large: bool = False,
        agent: tuple[tuple[str, str], ...] = (AGENT,),
    ) -> Answer:
        """``body`` goes as JSON with its content type; ``raw`` goes as it is."""
        sent = [*agent, *headers]
        if self.token is not None:
            sent.append(("authorization", f"Bearer {self.mock._tokens.by_name.get(self.token, self.token)}"))
        if body is not None:
            raw = json.dumps(body).encode()
        if body is not None:
            sent.append(JSON_TYPE)
        request = Request(method, path, query, tuple(sent), raw or b"", too_large)
        response = self.mock.handle(request)
        return Answer(response.status, dict(response.headers), response.body)

    def get(self, path: str, query: str = "") -> Answer:
        return self.send("GET", path, query)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return self.send("POST", path, body=body, headers=named)

    def reset(
        self, course: str, users: list[str] | None, confirm: tuple[str, int] | None, **headers: str
    ) -> Answer:
        """A reset of these users, or of everyone; course and users by id."""
        whom: dict[str, object] = {"allUsers": True} if users is None else {"userIds": users}
        if confirm is not None:
            headers["reset_confirmation"] = confirmation(*confirm)
        return self.post(RESET, {"courseId": course, **whom}, **headers)

    def rows(self, query: str = "") -> list[dict[str, Any]]:
        """Every row of the progress feed that this token sees."""
        rows, more = [], f"{FEED}?{query}"
        while more:
            path, _, asked = more.partition("?")
            answer = self.get(path, asked)
            assert answer.status == 200, answer.body
            rows += answer.json["data"]
            more = answer.json["metadata"]["next_page"]
        return rows


def confirmation(title: str, users: int) -> str:
    return json.dumps({"courseTitle": title, "users": users})


def course_id(mock: MockTraining, title: str = FORKLIFT) -> str:
    return mock.world.course(title).id


def user_of(mock: MockTraining, token: str) -> str:
    """The user id behind a token's name."""
    return next(str(each["user_id"]) for each in mock.tokens() if each["name"] == token)


def recorded(mock: MockTraining, title: str = FORKLIFT) -> list[str]:
    """Ids of everyone assigned with recorded progress, straight from the world."""
    progress = mock.world.main.progress[course_id(mock, title)]
    return [each for each in progress.roster if each in progress.records]


def changed(before: Any, after: Any, path: str = "") -> set[str]:
    """Paths of all that differs between two snapshots."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        return {found for key in keys for found in changed(before.get(key), after.get(key), f"{path}/{key}")}
    return set() if before == after else {path}
