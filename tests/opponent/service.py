"""A live service written from the public facts alone, with its own ledger and clock.

It shares no code with ``mock_server``, so a mistake there cannot hide one in the SDK.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import takewhile
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import define, evolve, field, frozen

from opponent.ledger import LESSONS, Key, Ledger, Record
from opponent.styles import dressed

RESET = "/training/courseprogress/v1/reset"
FEED = "/training/v1/feed/training-course-progress"
COURSES = "/training/courses/v1"
STATISTICS = "/training/analytics/v1/courses/statistics"
ATTEMPTS = "/training/analytics/v1/lessons/attempts"
WHO_AM_I = "/accounts/user/v1/user:WhoAmI"
ADMIN = "user_" + "a" * 32
ORGANISATION = "role_" + "b" * 32
NOTHING = object()
"""Stands for no body at all."""
SMALL = 3
CAP = 5
MOST_BEFORE_A_REFUSAL = 2
SILENT: dict[str, Any] = {
    "an empty answer": NOTHING,
    "a null answer": None,
    "an answer that is a list": [],
    "an answer without a count": {},
    "204": NOTHING,
}
"""What is in the answer to a reset without a count, by behaviour."""


@frozen
class Reply:
    """One answer."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(factory=dict)


@define
class Service(Ledger):
    """One organisation. ``lag`` is how far feed and analytics are behind."""

    lag: timedelta = timedelta(0)
    style: frozenset[str] = frozenset()
    """How answers are written, by the names in ``opponent.styles``."""
    refusal: int = 404
    """The status of a refusal after a part."""
    waited: Callable[[], timedelta] = timedelta
    """How long its client has waited so far."""
    waited_before_a_reset: list[int] = field(factory=list)
    """The requests for several people before which the client waited after its last reading."""
    _waited_until_the_reading: timedelta = timedelta(0)

    def shown(self, key: Key) -> Record:
        """The record as feed and analytics show it."""
        return self.record(key, self.now() - self.lag)

    # --- the wire --------------------------------------------------------------------------------------------------

    def handle(self, method: str, target: str, body: bytes) -> Reply:
        """Answer one request."""
        self.work_off()
        parts = urlsplit(target)
        query = {name: ",".join(values) for name, values in parse_qs(parts.query).items()}
        if method == "POST" and parts.path == RESET:
            return self._reset(json.loads(body))
        reply = self._read(method, parts.path, query)
        return evolve(reply, document=dressed(reply.document, self.style)) if reply.status == 200 else reply

    def _read(self, method: str, path: str, query: dict[str, str]) -> Reply:
        if method != "GET":
            return _refusal(404, 5, "Not Found")
        if path == WHO_AM_I:
            return Reply(
                200, {"user_id": ADMIN, "organisation_id": ORGANISATION, "firstname": "Ada", "lastname": "M"}
            )
        if path == FEED:
            self._waited_until_the_reading = self.waited()
            return self._feed(query)
        if path.startswith("/training/analytics/v1/users/"):
            return self._page(self._lessons_of(path.split("/")[5], query.get("courseId")), query)
        lists: dict[str, Callable[[dict[str, str]], list[dict[str, Any]]]] = {
            COURSES: self._courses,
            STATISTICS: self._statistics,
            ATTEMPTS: self._attempts,
            "/training/paths/v1": lambda _: [],
        }
        found = lists.get(path)
        return _refusal(404, 5, "Not Found") if found is None else self._page(found(query), query)

    def _page(self, items: list[dict[str, Any]], query: Mapping[str, str]) -> Reply:
        number, size = int(query.get("page", 1)), int(query.get("pageSize", 25))
        end = (number - 1) * size + (min(size, CAP) if "caps page sizes" in self.does else size)
        return Reply(200, {"totalCount": len(items), "items": items[(number - 1) * size : end]})

    def date(self) -> str:
        """The ``Date`` header."""
        return format_datetime(self.now().replace(microsecond=0), usegmt=True)

    def _reset(self, document: dict[str, Any]) -> Reply:
        self.resets += 1
        course_id = str(document.get("courseId"))
        if course_id not in self.courses:
            return _refusal(404, 5, "course not found")
        everyone = document.get("allUsers") is True
        listed = (
            list(self.courses[course_id]) if everyone else list(dict.fromkeys(document.get("userIds", [])))
        )
        if not listed or (not set(listed) <= set(self.people) and "refuses after a part" not in self.does):
            return _refusal(400, 3, "`user_ids`: value must contain known users")
        if len(listed) > 1 and self.waited() != self._waited_until_the_reading:
            self.waited_before_a_reset.append(self.resets)
        reached = listed
        if "refuses after a part" in self.does:
            reached = list(takewhile(self.people.__contains__, listed))[:MOST_BEFORE_A_REFUSAL]
        count = self.carry_out(course_id, reached)
        if len(reached) < len(listed):
            return _refusal(self.refusal, 5, "user cannot be reset")
        return self._said(count)

    def _said(self, count: int) -> Reply:
        """The answer to a reset of so many people."""
        status = 202 if "queues resets" in self.does else 200
        for name, document in SILENT.items():
            if name in self.does:
                return Reply(204 if name == "204" else status, document)
        return Reply(status, {"usersUpdated": count})

    def _feed(self, query: dict[str, str]) -> Reply:
        rows = [
            self._row(course_id, user_id)
            for course_id in self.courses
            for user_id in self.courses[course_id]
            if query.get("course_id", course_id) == course_id and query.get("user_id", user_id) == user_id
        ]
        if "lacks rows with nothing recorded" in self.does:
            rows = [row for row in rows if self.shown((row["course_id"], row["user_id"])) != Record()]
        if "an empty page before rows" in self.style and "begun" not in query:
            return self._fed([], {**query, "begun": "1"})
        repeats = "duplicates at page borders" in self.style
        begin, limit = int(query.get("offset", 0)), int(query.get("limit", 25))
        if repeats or "small pages" in self.style:
            limit = min(limit, SMALL)
        page = rows[begin : begin + limit]
        if repeats and begin:
            page.insert(0, {**rows[begin - 1], "course_title": "Renamed"})
        if begin + limit < len(rows):
            return self._fed(page, {**query, "offset": str(begin + limit)})
        if page and "ends feeds early" in self.does:
            return self._fed(page[:-1], None, remaining=1)
        # One that is as long as the page before could as well be full.
        names_itself = "a last page that names itself" in self.style and len(page) < limit
        return self._fed(page, query if names_itself else None)

    def _fed(
        self, rows: list[dict[str, Any]], following: dict[str, str] | None, remaining: int | None = None
    ) -> Reply:
        where = "" if "a bare query as next page" in self.style else FEED
        target = None if following is None else f"{where}?{urlencode(following)}"
        metadata: dict[str, Any] = {"next_page": target, "next_page_token": None}
        if remaining is not None:
            metadata["remaining_records"] = remaining
        return Reply(200, {"metadata": metadata, "data": rows})

    def _row(self, course_id: str, user_id: str) -> dict[str, Any]:
        record = self.shown((course_id, user_id))
        number = self.people.index(user_id)
        return {
            "opened_at": _text(record.opened_at),
            "completed_at": _text(record.completed_at),
            "total_lessons": LESSONS,
            "completed_lessons": len(record.lessons),
            "course_id": course_id,
            "course_external_id": "",
            "course_title": self._title(course_id),
            "user_email": f"person{number}@example.org",
            "user_first_name": "Person",
            "user_last_name": str(number),
            "user_id": user_id,
            "user_external_id": "",
            "progress_percent": 100 * len(record.lessons) / LESSONS,
            "score": self.score_of(record),
            "due_at": "",
        }

    def _courses(self, query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = query.get("courseIds", "")
        more: dict[str, Any] = {"duration": "1 h 5 min"} if "durations as text" in self.style else {}
        if "an empty original" in self.style:
            more["TranslationOriginalCourse"] = {}
        return [
            {
                **more,
                "id": each,
                "title": self._title(each),
                "status": "Published",
                "isPublished": True,
                "LessonCount": LESSONS,
            }
            for each in self.courses
            if not wanted or each in wanted.split(",")
        ]

    def _title(self, course_id: str) -> str:
        return f"Course {list(self.courses).index(course_id)}"

    def _statistics(self, query: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if "lacks statistics" in self.does:
            return found
        for course in self._courses({"courseIds": query.get("courseId", "")}):
            records = [self.shown((course["id"], user_id)) for user_id in self.courses[course["id"]]]
            complete = sum(record.completed_at is not None for record in records)
            found.append(
                {
                    "courseId": course["id"],
                    "courseTitle": course["title"],
                    "totalUsers": len(records),
                    "openedCount": sum(record.opened_at is not None for record in records),
                    "completedCount": complete,
                    "completionPercent": 100 * complete / len(records),
                    "averageScore": 0,
                }
            )
        return found

    def _lessons_of(self, user_id: str, course_id: str | None) -> list[dict[str, Any]]:
        found = []
        for each in self.courses if course_id is None else (course_id,):
            record = self.shown((each, user_id))
            for number in range("lacks a lesson" in self.does and bool(record.lessons), LESSONS):
                done = record.lessons[number] if number < len(record.lessons) else None
                found.append(
                    {
                        "courseId": each,
                        "lessonId": lesson_id(each, number),
                        "lessonTitle": f"Lesson {number}",
                        "opened": done is not None,
                        "openedDateTime": _text(done),
                        "completed": done is not None,
                        "completedDateTime": _text(done),
                        "percentageCompleted": 100 if done else 0,
                        "score": 80 if done else 0,
                    }
                )
        return found

    def _attempts(self, query: dict[str, str]) -> list[dict[str, Any]]:
        course_id = query["courseId"]
        return [
            {
                "id": f"attempt-{user_id}-{number}",
                "userId": user_id,
                "courseId": course_id,
                "lessonId": lesson_id(course_id, number),
                "startedDateTime": _text(done),
                "completedDateTime": _text(done),
                "score": 80,
                "success": True,
            }
            for user_id in self.courses[course_id]
            if query.get("userId", user_id) == user_id
            for number, done in enumerate(self.shown((course_id, user_id)).lessons)
        ]


def lesson_id(course_id: str, number: int) -> str:
    """The id of a lesson of a course."""
    return f"{number:02x}" + course_id[2:]


def _text(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _refusal(status: int, code: int, message: str) -> Reply:
    return Reply(status, {"code": code, "message": message, "details": []})
