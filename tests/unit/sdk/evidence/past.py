"""An organisation with a past, and packs of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from attrs import define, field

from training_sdk._core.flow import Request, Response
from training_sdk._core.listing import Calls
from training_sdk.evidence.collecting import collect
from training_sdk.evidence.pack import Pack
from training_sdk.evidence.purging import Purged, purge
from training_sdk.records.audit import AuditLog
from training_sdk.records.journal import is_closed
from training_sdk.records.state import StateDirectory
from unit.sdk.fakes import CALLS, COURSE, FakeDriver, answer, row, user_id

FIRE = "f12ef12ef12ef12ef12ef12e"
DIGEST = "ab" * 32
PLAN = '{"plan": "of Zoë"}\n'.encode()
FEED = "/training/v1/feed/training-course-progress"
STATISTICS = "/training/analytics/v1/courses/statistics"
SURVEYS = "/training/analytics/v1/surveys/answers"
EVENTS = "/training/analytics/v1/lessons/progress/events"
LESSONS = "/training/analytics/v1/lessons/statistics"
ATTEMPTS = "/training/analytics/v1/lessons/attempts"
PAGE = 3
"""Items on a page, so that everything takes several."""


def zipped(key: bytes) -> Any:
    """A hook that nobody should use for anything but tests: it is its own inverse."""
    return lambda data: bytes(byte ^ key[place % len(key)] for place, byte in enumerate(data))


seal = zipped(b"\xa5\x5a\x77")


def purge_state(state: StateDirectory, at: datetime, **options: Any) -> tuple[Purged, ...]:
    """Purge the packs of a state directory that are older than a day at this time."""
    closed = partial(is_closed, state)
    return purge(
        state.evidence, timedelta(days=1), at, log=AuditLog(state.audit), is_closed=closed, **options
    )


@define
class Past:
    """Courses, each with the rows of its people; lessons and attempts follow from the rows."""

    rows: list[dict[str, Any]]
    sent: list[Request] = field(factory=list)
    bodies: list[bytes] = field(factory=list)
    again: list[dict[str, Any]] = field(factory=list)
    """Rows that the feed shows once more."""
    spoilt: dict[str, Any] = field(factory=dict)
    """By path: an answer, or something to be done with the true one."""
    size: int = PAGE
    """Items on a numbered page."""

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        response = self._answer(request)
        spoil = self.spoilt.get(request.path)
        if spoil is not None:
            response = spoil(response) if callable(spoil) else spoil
        self.bodies.append(response.body)
        return response

    @property
    def whole(self) -> list[tuple[Request, bytes]]:
        """What was asked and answered, without the pages of 1000 that came as pages of 3 and were asked for again."""
        answered = list(zip(self.sent, self.bodies, strict=True))
        again = [request.target.endswith(f"page=1&pageSize={PAGE}") for request in self.sent[1:]]
        return [each for each, is_dropped in zip(answered, [*again, False], strict=True) if not is_dropped]

    def _answer(self, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
        if request.path == FEED:
            return self._feed(query)
        if request.path == STATISTICS:
            return self._numbered(self._statistics(), query)
        if request.path == ATTEMPTS:
            return self._numbered(self._attempts(query), query)
        if request.path == SURVEYS:
            return self._numbered(self._surveys(query), query)
        return self._numbered(self._lessons(unquote(request.path.split("/")[5]), query), query)

    def _feed(self, query: Mapping[str, str]) -> Response:
        found = _chosen([*self.rows, *self.again], course_id=query["course_id"], user_id=query.get("user_id"))
        start = int(query.get("offset", 0))
        rest = {name: value for name, value in query.items() if name != "offset"}
        after = "&".join(f"{name}={value}" for name, value in rest.items())
        more = f"{FEED}?{after}&offset={start + PAGE}" if start + PAGE < len(found) else ""
        # Spaces and digits that no program would write again: only the bytes themselves keep them.
        text = json.dumps({"metadata": {"next_page": more}, "data": found[start : start + PAGE]}, indent=1)
        body = text.replace(
            '"progress_percent": 33.3', '"progress_percent": 33.330000000000000000001'
        ).encode()
        return answer(body=body)

    def _numbered(self, items: list[dict[str, Any]], query: Mapping[str, str]) -> Response:
        start = (int(query["page"]) - 1) * self.size
        return answer({"totalCount": len(items), "items": items[start : start + self.size]})

    def _statistics(self) -> list[dict[str, Any]]:
        return [
            {
                "courseId": course_id,
                "totalUsers": 9,
                "completedCount": 0,
                "courseTitle": f"=About {course_id}",
            }
            for course_id in dict.fromkeys(one["course_id"] for one in self.rows)
        ]

    def _attempts(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found = _chosen(self.rows, course_id=query["courseId"], user_id=query.get("userId"))
        return [
            {
                "id": f"{one['user_id']}-{number}",
                "userId": one["user_id"],
                "courseId": one["course_id"],
                "lessonId": f"lesson-{number}",
                "startedDateTime": one["opened_at"],
                "completedDateTime": one["completed_at"],
                "score": 80,
                "success": True,
            }
            for one in found
            for number in range(int(one["completed_lessons"]))
        ]

    def _surveys(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "questionId": "question-1",
                "userId": one["user_id"],
                "courseId": one["course_id"],
                "lessonId": "lesson-1",
                "answer": "Zoë asks: why so long?",
                "answeredDateTime": one["completed_at"],
            }
            for one in _chosen(self.rows, course_id=query["courseId"], user_id=query.get("userId"))
            if one["completed_at"]
        ]

    def _lessons(self, user: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found = _chosen(self.rows, course_id=query.get("courseId"), user_id=user)
        return [
            {"courseId": one["course_id"], "lessonId": f"lesson-{number}", "percentageCompleted": 100.0}
            for one in found
            for number in range(3)
        ]


def _chosen(rows: Sequence[dict[str, Any]], **wanted: str | None) -> list[dict[str, Any]]:
    return [one for one in rows if all(value in (None, one[name]) for name, value in wanted.items())]


def past(people: int = 5) -> Past:
    """Two courses: everyone is in the first, the even ones in the second too; 0 has been nowhere yet."""
    first = [row(number) for number in range(people)]
    first[0] |= {
        "opened_at": "",
        "completed_at": "",
        "completed_lessons": 0,
        "progress_percent": 0.0,
        "score": 0,
    }
    first[-1] |= {"user_last_name": "=cmd()", "completed_at": "", "progress_percent": 33.3, "new_field": [1]}
    second = [
        row(number, course_id=FIRE, completed_at="2025-05-05T05:05:05.5Z") for number in range(0, people, 2)
    ]
    return Past(first + second)


def targets(*numbers: int, also: Sequence[int] = ()) -> dict[str, list[str]]:
    """These people of the first course, and those of the second."""
    found = {COURSE: [user_id(number) for number in numbers]}
    return found | ({FIRE: [user_id(number) for number in also]} if also else {})


def keep(
    organisation: Past,
    whom: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    calls: Calls = CALLS,
    puppet: FakeDriver | None = None,
    **settings: Any,
) -> Pack:
    """A pack, written without a network."""
    flow = collect(
        calls,
        whom,
        folder,
        plan_digest=settings.pop("plan_digest", DIGEST),
        plan_document=PLAN,
        organisation_id="role_1",
        reference_server=True,
        **settings,
    )
    return (puppet or FakeDriver(organisation, cost=1.0)).run(flow)


def lines(pack: Pack, name: str) -> list[dict[str, Any]]:
    """What a JSONL file of a pack says."""
    return [json.loads(line) for line in (pack.folder / name).read_bytes().splitlines()]


def everything(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Told:
    """An audit log that only remembers."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def append(self, event: str, /, **facts: Any) -> object:
        """Remember."""
        self.entries.append({"event": event, **facts})
        return None


# --- a service with pages of events ----------------------------------------------------------------------------------

LESSON_IDS = ("lesson-0", "lesson-1", "lesson-2")
Change = Callable[[list[dict[str, Any]]], object]


@define
class Paged(Past):
    """The same with everybody's lessons as the service holds them, in listings of one person and in pages of a course.

    ``doubts`` change what one of the pages lists; the listing of a person stays as it is, and so does the feed.
    """

    doubts: dict[str, Change] = field(factory=dict)
    """By path."""

    def _answer(self, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
        listings = {EVENTS: self._events, ATTEMPTS: self._attempts, LESSONS: self._lesson_statistics}
        if request.path not in listings:
            return super()._answer(request)
        items = listings[request.path](query)
        if (doubt := self.doubts.get(request.path)) is not None:
            doubt(items)
        return self._numbered(items, query)

    def _statistics(self) -> list[dict[str, Any]]:
        done = Counter(one["course_id"] for one in self.rows if one["completed_at"])
        return [{**one, "completedCount": done[one["courseId"]]} for one in super()._statistics()]

    def _lesson_statistics(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        done = len(_chosen(self.rows, course_id=query["courseId"]))
        return [
            {
                "courseId": query["courseId"],
                "lessonId": lesson,
                "lessonTitle": f"About {lesson}",
                "totalUsers": done,
            }
            | {"openedCount": done, "completedCount": done}
            for lesson in LESSON_IDS
        ]

    def _reached(self, one: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The lessons of one row, as the service lists them for the person."""
        done = int(one["completed_lessons"])
        return [
            {
                "courseId": one["course_id"],
                "lessonId": lesson,
                "lessonTitle": f"About {lesson}",
                "opened": number < done,
                "openedDateTime": one["opened_at"] if number < done else "",
                "completed": number < done,
                "completedDateTime": one["completed_at"] if number < done else "",
                "percentageCompleted": 100.0 if number < done else 0.0,
                "score": one["score"] if number < done else 0,
            }
            for number, lesson in enumerate(LESSON_IDS)
        ]

    def _lessons(self, user: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found = _chosen(self.rows, course_id=query.get("courseId"), user_id=user)
        return [lesson for one in found for lesson in self._reached(one)]

    def _events(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            {
                "userId": one["user_id"],
                "courseId": one["course_id"],
                "lessonId": lesson["lessonId"],
                "lessonTitle": lesson["lessonTitle"],
                "eventType": kind,
                "eventDateTime": lesson[f"{kind}DateTime"],
            }
            for one in _chosen(self.rows, course_id=query["courseId"])
            for lesson in self._reached(one)
            for kind in ("opened", "completed")
            if lesson[kind]
        ]

    def _attempts(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{**each, "score": self._score(each)} for each in super()._attempts(query)]

    def _score(self, attempt: Mapping[str, Any]) -> Any:
        (one,) = _chosen(self.rows, course_id=attempt["courseId"], user_id=attempt["userId"])
        return one["score"]


def paged(people: int = 6) -> Paged:
    """Two courses that everyone has completed."""
    return Paged([row(n, course_id=course) for course in (COURSE, FIRE) for n in range(people)], size=1000)


def lessons_of(pack: Pack) -> list[dict[str, Any]]:
    """The lessons in a pack, in one order, whichever way they were read."""
    found = [
        {name: value for name, value in one.items() if name != "source"}
        for one in lines(pack, "lessons.jsonl")
    ]
    return sorted(found, key=lambda one: (one["courseId"], one["userId"], one["lessonId"]))
