"""Sound requests for everything the server knows: what the fuzz lane begins with."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from attrs import evolve, frozen

from mock_server import MockTraining
from mock_server.api.routes import OPERATIONS
from mock_server.wire.message import Request, Response

RESET = "/training/courseprogress/v1/reset"
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
COURSE, PEOPLE = "Forklift basics", 3
_HOOK = {"url": "http://127.0.0.1:9/hook", "trigger_events": ["TRIGGER_EVENT_TRAINING_COURSE_RESET"]}
_QUERY = {
    "page": "1",
    "pageSize": "5",
    "limit": "5",
    "offset": "0",
    "searchTerm": "basics",
    "completion_status": "COMPLETION_STATUS_ALL",
    "modified_after": "2026-01-01T00:00:00Z",
    "status": "active",
    "include_deleted": "true",
    "show_only_leaf_nodes": "false",
}


@frozen
class Seed:
    """A request in parts, so that each can be tampered with by itself."""

    name: str
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""

    @property
    def line(self) -> bytes:
        return f"{self.method} {self.target} HTTP/1.1".encode()

    def head(self, *framing: tuple[bytes, bytes]) -> bytes:
        """Request line and headers, with those that frame the body behind."""
        lines = [self.line, *(name + b": " + value for name, value in (*self.headers, *framing))]
        return b"\r\n".join([*lines, b"", b""])

    def render(self) -> bytes:
        """As an honest client sends it."""
        framing = [(b"content-length", str(len(self.body)).encode())] if self.body else []
        return self.head(*framing) + self.body


def sound(name: str, method: str, target: str, token: str, document: object = None) -> Seed:
    """A request that carries everything it should."""
    headers = [
        (b"host", b"localhost"),
        (b"user-agent", b"fuzz/1"),
        (b"authorization", f"Bearer {token}".encode()),
    ]
    if document is None:
        return Seed(name, method, target, tuple(headers))
    headers.append((b"content-type", b"application/json"))
    return Seed(name, method, target, tuple(headers), json.dumps(document).encode())


def seeds(mock: MockTraining) -> tuple[Seed, ...]:
    """One sound request, at least, for every operation and every route of the control plane."""
    token = mock.token("admin")
    return (*_vendors(mock, token), *_controls(mock, token))


def reset(mock: MockTraining) -> Seed:
    """A reset that is carried out: some people who have made progress in one course."""
    course = mock.world.course(COURSE)
    progress = mock.world.main.progress[course.id]
    users = [
        user for user in progress.roster if (record := progress.records.get(user)) and record.is_recorded
    ]
    made = sound(
        "ResetCourseProgress",
        "POST",
        RESET,
        mock.token("admin"),
        {"courseId": course.id, "userIds": users[:PEOPLE]},
    )
    confirmation = json.dumps({"courseTitle": course.title, "users": PEOPLE}).encode()
    return evolve(made, headers=(*made.headers, (b"reset-confirmation", confirmation)))


def _vendors(mock: MockTraining, token: str) -> list[Seed]:
    ids, bodies = _ids(mock), _bodies(mock)
    found = [reset(mock)]
    for operation in OPERATIONS:
        if operation.name != found[0].name:
            own = {"id": ids["lessonId"]} if operation.name == "GetLesson" else {}
            path = re.sub("{(.+?)}", partial(_filled, ids | own), operation.template)
            query = "&".join(f"{name}={quote(_QUERY.get(name) or ids[name])}" for name in operation.query)
            target = f"{path}?{query}" if query else path
            found.append(sound(operation.name, operation.method, target, token, bodies.get(operation.name)))
    return found


def _filled(ids: dict[str, str], parameter: re.Match[str]) -> str:
    return ids[parameter[1]]


def _ids(mock: MockTraining) -> dict[str, str]:
    """A value for every parameter that names something."""
    main, course = mock.world.main, mock.world.course(COURSE)
    (hook,) = mock.world.webhooks
    user = next(iter(main.progress[course.id].roster))
    return {
        **dict.fromkeys(("courseId", "courseIds", "course_id"), course.id),
        **dict.fromkeys(("userId", "user_id"), user),
        "groupId": next(iter(main.groups)),
        "pathId": next(iter(main.paths)),
        "courseCollectionId": next(iter(main.collections)),
        "rapidRefreshId": _first(mock, "/training/rapid-refresh/v1"),
        "leaderboardId": _first(mock, "/training/individualleaderboards/v1"),
        "lessonId": course.lessons[0].id,
        "id": hook,
    }


def _first(mock: MockTraining, path: str) -> str:
    """The id of what stands first in a list."""
    answer = ask(mock, sound("", "GET", path, mock.token("admin")))
    return str(json.loads(answer.body)["items"][0]["id"])


def ask(mock: MockTraining, seed: Seed) -> Response:
    """Put a request to a world directly."""
    headers = tuple((name.decode(), value.decode()) for name, value in seed.headers)
    path, _, query = seed.target.partition("?")
    return mock.handle(Request(seed.method, path, query, headers, seed.body))


def _bodies(mock: MockTraining) -> dict[str, Any]:
    ids = _ids(mock)
    change = {"id": ids["userId"], "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True}
    return {
        "UpdateCourseAssignments": {"assignments": [change]},
        "ListUsers": {"page_size": 2, "filters": {"user_ids": [ids["userId"]]}},
        "ListPermissionSets": {},
        "PreviewReset": {"courseId": ids["courseId"], "allUsers": True},
        "CreateWebhook": _HOOK,
        "CreateWebhookToken": {},
    }


def _controls(mock: MockTraining, token: str) -> list[Seed]:
    ids = _ids(mock)
    learner = {"course": ids["courseId"], "user": ids["userId"]}
    lesson = {**learner, "lesson": ids["lessonId"]}
    asked: list[tuple[str, str, object]] = [
        *(("GET", f"/_mock/{name}", None) for name in _READ),
        ("GET", "/_mock/calls?status=200&operation=GetLesson&token=admin", None),
        ("GET", "/openapi.json", None),
        ("PUT", "/_mock/state", MockTraining.generate(users=2, courses=1, now=NOW).state()),
        ("POST", "/_mock/marks", {"name": "here"}),
        *((method, "/_mock/marks/kept", None) for method in ("GET", "POST", "DELETE")),
        ("POST", "/_mock/clock", {"advance": 60}),
        ("POST", "/_mock/clock", {"freeze": "2026-11-30T09:00:00Z"}),
        ("POST", "/_mock/clock", {"lag": 60}),
        ("POST", "/_mock/faults", {"kind": "error", "operation": "GetLesson", "times": 1, "after": 2}),
        ("PUT", "/_mock/faults", {"seed": 7}),
        ("DELETE", "/_mock/faults", None),
        ("DELETE", "/_mock/calls", None),
        ("POST", "/_mock/worlds", None),
        (
            "POST",
            "/_mock/worlds",
            {"seed": "generated", "users": 2, "courses": 1, "policy": {"confirmation": "off"}},
        ),
        ("POST", "/_mock/learners/open", learner),
        ("POST", "/_mock/learners/complete-lesson", {**lesson, "score": 90, "seconds": 60}),
        ("POST", "/_mock/learners/complete-course", {**learner, "score": 90}),
    ]
    return [sound(f"{method} {path}", method, path, token, document) for method, path, document in asked]


_READ = (
    *(
        "health",
        "tokens",
        "state",
        "marks",
        "clock",
        "faults",
        "outbox",
        "certificates",
        "audit",
        "deliveries",
    ),
    *("calls", "worlds"),
)


def prepared() -> MockTraining:
    """The demo world, its clock frozen, with what some of the requests ask for: a webhook and a mark."""
    mock = MockTraining.demo(now=NOW)
    made = sound("CreateWebhook", "POST", "/webhooks/v1/webhooks", mock.token("admin"), _HOOK)
    assert ask(mock, made).status == 200
    mock.marks["kept"] = mock.state()
    return mock


KNOWN = seeds(prepared())
"""The same for every world that is prepared, for ids and tokens are."""
