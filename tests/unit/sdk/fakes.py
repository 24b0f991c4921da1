"""What the SDK's tests run against instead of a server: a driver without a network, and an organisation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from attrs import define, evolve, field, frozen

from training_sdk import AsyncListing, AsyncTrainingClient, Listing, TrainingClient, TrainingError
from training_sdk._core.flow import DrawToken, Flow, Moment, Now, Request, Response, RunLocally, Sleep
from training_sdk._core.listing import Calls
from training_sdk._core.urls import BaseUrl

T = TypeVar("T")

ORIGIN = "https://api.example.test"
TOKEN = "scapi_secret_0123456789abcdef"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SETTINGS: dict[str, Any] = {"base_url": ORIGIN, "pace": False}
CALLS = Calls(BaseUrl(ORIGIN), max_retry_seconds=90.0)
COURSE = "c0ffee00c0ffee00c0ffee00"
RESET = "/training/courseprogress/v1/reset"

Answer = Callable[[Request], Response]


def user_id(number: int) -> str:
    return f"user_{number:032x}"


def tail(digest: str) -> str:
    """The first 64 bits of a digest, as they are read and typed."""
    return f"{digest[:4]}-{digest[4:8]}-{digest[8:12]}-{digest[12:16]}"


def answer(
    value: Any = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes | None = None,
) -> Response:
    """A response with a JSON value, or with these very bytes."""
    content = json.dumps(value).encode() if body is None else body
    return Response(status, tuple((headers or {}).items()), content, "req-1")


@define
class FakeDriver:
    """A driver with a clock of its own and no network. A wait costs all of its jitter, a request ``cost`` seconds."""

    answer: Answer
    cost: float = 0.0
    on_sleep: Callable[[Sleep], None] = lambda sleep: None
    clock: float = 0.0
    sent: list[Request] = field(factory=list)
    slept: list[Sleep] = field(factory=list)

    def run(self, flow: Flow[T]) -> T:
        step: Callable[[Any], Any] = flow.send
        value: Any = None
        while True:
            try:
                effect = step(value)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                value, step = self._perform(effect), flow.send
            except BaseException as problem:
                value, step = problem, flow.throw

    def _perform(self, effect: object) -> object:
        if isinstance(effect, Now):
            return Moment(self.clock, START + timedelta(seconds=self.clock))
        if isinstance(effect, Sleep):
            self.slept.append(effect)
            self.on_sleep(effect)
            self.clock += effect.seconds + effect.jitter
            return None
        if isinstance(effect, RunLocally):
            return effect.action()
        if isinstance(effect, DrawToken):
            return TOKEN
        assert isinstance(effect, Request)
        self.sent.append(effect)
        self.clock += self.cost
        return self.answer(effect)


@define
class Recorded:
    """Answers that note what was asked, of the SDK's own requests or of a library's."""

    answer: Callable[[Any], Any]
    sent: list[Any] = field(factory=list)

    def __call__(self, request: Any) -> Any:
        self.sent.append(request)
        return self.answer(request)


def script(*steps: Response | BaseException) -> Answer:
    """Answers in order; the last one goes on for ever."""
    left = list(steps)

    def reply(request: Request) -> Response:
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, BaseException):
            raise step
        return step

    return reply


# --- an organisation that answers what planning and resetting ask --------------------------------------------------


def row(number: int, **other: Any) -> dict[str, Any]:
    """A feed row of someone who has completed the course, unless told otherwise."""
    return {
        "course_id": COURSE,
        "user_id": user_id(number),
        "opened_at": "2026-01-01T00:00:00Z",
        "completed_at": "2026-01-02T00:00:00Z",
        "completed_lessons": 3,
        "total_lessons": 3,
        "progress_percent": 100.0,
        "score": 90,
        "user_first_name": "Zoë",
        "user_last_name": f"No. {number}",
        "user_email": f"user{number}@example.test",
        **other,
    }


CLEARED = {"opened_at": "", "completed_at": "", "completed_lessons": 0, "progress_percent": 0.0, "score": 0}


def untouched(number: int) -> dict[str, Any]:
    """A feed row of someone who has not begun."""
    return row(number, **CLEARED)


@define
class Organisation:
    """One course and its people; ``sent`` is the log of requests, ``reference`` whether it identifies itself."""

    rows: list[dict[str, Any]]
    title: str = "Forklift basics"
    reference: bool = True
    organisation_id: str = "role_1"
    counted: int | None = None
    may_read: bool = True
    on_reset: Answer | None = None
    before: Callable[[Request], None] = lambda request: None
    course: dict[str, Any] = field(factory=dict)
    other_courses: list[dict[str, Any]] = field(factory=list)
    sent: list[Request] = field(factory=list)

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        self.before(request)
        answering = (
            self._lessons if request.path.endswith("/lessons/progress") else self._routes()[request.path]
        )
        return self._marked(answering(request))

    def _routes(self) -> dict[str, Answer]:
        return {
            "/accounts/user/v1/user:WhoAmI": self._who,
            "/training/courses/v1": self._courses,
            "/training/v1/feed/training-course-progress": self._feed,
            "/training/analytics/v1/courses/statistics": self._statistics,
            "/training/analytics/v1/lessons/attempts": lambda _: answer({"totalCount": 0, "items": []}),
            "/training/analytics/v1/surveys/answers": lambda _: answer({"totalCount": 0, "items": []}),
            "/training/paths/v1": lambda _: answer({"totalCount": 0, "items": []}),
            RESET: self.on_reset or self.reset,
        }

    @property
    def resets(self) -> list[Request]:
        """The resets that were sent, in order."""
        return [request for request in self.sent if request.path == RESET]

    @property
    def people_sent(self) -> list[list[str]]:
        """The users that each reset named."""
        return [json.loads(request.body or b"")["userIds"] for request in self.resets]

    def reset(self, request: Request) -> Response:
        """Do as told, and say how many were reset."""
        people = json.loads(request.body or b"").get("userIds")
        targets = [
            one for one in self.rows if one["opened_at"] and (people is None or one["user_id"] in people)
        ]
        for one in targets:
            one.update(CLEARED)
        return answer({"usersUpdated": len(targets)})

    def _marked(self, response: Response) -> Response:
        return evolve(response, is_reference=self.reference)

    def _who(self, request: Request) -> Response:
        return answer({"user_id": "user_admin", "organisation_id": self.organisation_id})

    def _courses(self, request: Request) -> Response:
        courses = [{"id": COURSE, "title": self.title, **self.course}, *self.other_courses]
        return answer({"totalCount": len(courses), "items": courses})

    def _feed(self, request: Request) -> Response:
        wanted = parse_qs(urlsplit(request.target).query).get("user_id")
        data = [one for one in self.rows if wanted is None or one["user_id"] in wanted]
        return answer({"metadata": {"next_page": None}, "data": data})

    def _lessons(self, request: Request) -> Response:
        who = request.path.split("/")[-3]
        course = parse_qs(urlsplit(request.target).query).get("courseId")
        lessons = [
            {"courseId": one["course_id"], "lessonId": f"l{number}", "opened": True, "completed": True}
            for one in self.rows
            if one["user_id"] == who and (course is None or one["course_id"] in course)
            for number in range(one["completed_lessons"])
        ]
        return answer({"totalCount": len(lessons), "items": lessons})

    def _statistics(self, request: Request) -> Response:
        if not self.may_read:
            return answer({"code": 7, "message": "no"}, 403)
        total = len(self.rows) if self.counted is None else self.counted
        item = {"courseId": COURSE, "totalUsers": total, "completedCount": 0}
        return answer({"totalCount": 1, "items": [item]})


# --- the same question to both clients ------------------------------------------------------------------------------

Handler = Callable[[httpx.Request], httpx.Response]


@frozen
class Asker:
    """Asks a client of one colour over a fake wire; listings come back as lists."""

    backend: str
    """"sync", "asyncio" or "trio"."""

    def __call__(self, handler: Handler, use: Callable[[Any], Any], **options: Any) -> Any:
        if self.backend == "sync":
            return self._sync(handler, use, options)
        return anyio.run(self._async, handler, use, options, backend=self.backend)

    def _sync(self, handler: Handler, use: Callable[[Any], Any], options: dict[str, Any]) -> Any:
        with httpx.Client(transport=httpx.MockTransport(handler)) as http:
            client = TrainingClient(**{"token": TOKEN, "http_client": http, **SETTINGS, **options})
            found = use(client)
            return list(found) if isinstance(found, Listing) else found

    async def _async(self, handler: Handler, use: Callable[[Any], Any], options: dict[str, Any]) -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
            client = AsyncTrainingClient(**{"token": TOKEN, "http_client": http, **SETTINGS, **options})
            found = use(client)
            return [item async for item in found] if isinstance(found, AsyncListing) else await found


def marks_for(request: httpx.Request) -> dict[str, str]:
    """The headers by which the reference server identifies itself in the answer to this very request."""
    target, request_id = request.url.raw_path.decode("ascii"), request.headers["x-request-id"]
    text = f"{request.method}\n{target}\n{request_id}"
    return {
        "x-training-mock": "1",
        "x-training-mock-identity": hashlib.sha256(text.encode("ascii")).hexdigest(),
    }


def over_the_wire(reply: Answer) -> Handler:
    """An httpx handler from an answer to the SDK's own request."""

    def handle(request: httpx.Request) -> httpx.Response:
        said = reply(
            Request(
                request.method,
                request.url.raw_path.decode("ascii"),
                request.content or None,
                tuple(request.headers.items()),
            )
        )
        marks = marks_for(request) if said.is_reference else {}
        return httpx.Response(said.status, headers=[*said.headers, *marks.items()], content=said.body)

    return handle


def sync_client(reply: Answer) -> TrainingClient:
    """A client of a wire with these answers."""
    http = httpx.Client(transport=httpx.MockTransport(over_the_wire(reply)))
    return TrainingClient(TOKEN, base_url=ORIGIN, http_client=http)


def refused_wire(request: httpx.Request) -> httpx.Response:
    """A wire on which nothing may be sent."""
    raise AssertionError(f"nothing was to be sent, but {request.method} {request.url} was")


@contextmanager
def no_waiting() -> Iterator[list[float]]:
    """Both drivers wait no time at all, and the list says how long they would have."""
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)

    async def async_pause(seconds: float) -> None:
        waits.append(seconds)
        await anyio.lowlevel.checkpoint()

    with mock.patch("time.sleep", pause), mock.patch("anyio.sleep", async_pause):
        yield waits


def refusal(error: type[TrainingError], reason: str, said: str = "") -> Any:
    """A context that ends with this error for this very reason, with these words in its message."""
    return pytest.raises(error, match=rf"(?s){said}.*\b{reason}[),]")


def chain(error: BaseException | None) -> Iterable[BaseException]:
    """An error and everything it came from."""
    seen: list[BaseException] = []
    todo = [error]
    while todo:
        one = todo.pop()
        if one is not None and one not in seen:
            seen.append(one)
            todo += [one.__cause__, one.__context__]
    return seen
