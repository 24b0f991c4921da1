"""The world that a check plays in: who may speak, what its feed shows, and the control plane where there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from attrs import define, field

from training_sdk.errors import TrainingError
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError
from training_sdk.testing.contract.wire import RESET, USERS, Answer, Told, Wire, unused_hex

Json = dict[str, Any]
Row = dict[str, Any]
"""A row of the progress feed, its names in snake_case."""
Course = dict[str, Any]

FEED = "/training/v1/feed/training-course-progress"
COURSES = "/training/courses/v1"
PATHS = "/training/paths/v1"
COLLECTIONS = "/training/collections/v1"
ANALYTICS = "/training/analytics/v1"
PREVIEW = f"{RESET}:preview"
WHO_AM_I = "/accounts/user/v1/user:WhoAmI"

RECORDED = (
    "opened_at",
    "completed_at",
    "completed_lessons",
    "progress_percent",
    "score",
    "time_spent_seconds",
)
INVALID = "INVALID_ARGUMENT"
KEY = "idempotency-key"
MOST_PAGES = 10_000
MOST_TOLD = 300

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


@lru_cache(maxsize=1024)
def _snake(name: str) -> str:
    return _HUMP.sub(r"_\1", name).lower()


def snake(record: Mapping[str, Any]) -> Json:
    """A record with its names in snake_case: the live wire writes both."""
    return Told((_snake(name), value) for name, value in record.items())


def is_recorded(row: Row) -> bool:
    """R09: whether anything is recorded, as far as the feed can show it."""
    return any(row.get(name) for name in RECORDED)


@define
class World:
    """One world, by its tokens. What is read is read anew each time."""

    wire: Wire
    tokens: Mapping[str, str] = field(repr=False)
    is_own: bool = False
    """The kit has made it for one check, with a control plane: anything may be done to it."""
    course_id: str = ""
    """The course to play with; "" for whichever suits the check."""
    last: str = ""
    """The latest exchange."""
    noted: str = ""
    """The latest that was more than a look: what a check says when its rule holds."""

    # --- speaking ---------------------------------------------------------------------------------------------------

    def token(self, who: str) -> str:
        """Somebody's token; "" for nobody. NotCheckedError where there is none of that kind."""
        if who and who not in self.tokens:
            raise NotCheckedError(f"there is no token of the kind {who!r}")
        return self.tokens[who] if who else ""

    def send(self, method: str, path: str, who: str = "admin", **parts: Any) -> Answer:
        """Send as somebody, or with ``who=""`` as nobody."""
        answer = self.wire.send(method, path, self.token(who), who=who or "nobody", **parts)
        self.last = f"{answer.sent} → {answer.status} {answer.reason}".rstrip()
        if answer.status != 200 or path == RESET:
            self.noted = self.last
        return answer

    def get(self, path: str, who: str = "admin", **query: object) -> Json:
        """The JSON object at a path."""
        return self.send("GET", path, who, query=query).object()

    def control(self, method: str, path: str, body: object = None) -> Json:
        """Ask the control plane of this world. NotCheckedError without one."""
        return self.controlled(method, path, body).object()

    def controllable(self) -> None:
        """NotCheckedError without a control plane: for checks that would have reset somebody before they notice."""
        if not self.is_own:
            raise NotCheckedError("this needs a control plane (POST /_mock/worlds), and there is none")

    def controlled(self, method: str, path: str, body: object = None) -> Answer:
        """The same, whatever it answers."""
        self.controllable()
        answer = self.wire.control(method, path, self.token("admin"), body=body)
        if answer.status in (404, 405, 501):
            raise NotCheckedError(f"the control plane has no {method} /_mock/{path}")
        if path.startswith("learners/"):
            self.last = f"{answer.sent} → {answer.status} {answer.reason}".rstrip()
        return answer

    def act(self, action: str, course: str, user: str, **details: object) -> Json:
        """Let a learner act, and answer what is recorded of them then."""
        body = {"course": course, "user": user, **details}
        record: Json = self.control("POST", f"learners/{action}", body)["record"]
        return record

    # --- reading ----------------------------------------------------------------------------------------------------

    def rows(self, who: str = "admin", **query: object) -> list[Row]:
        """The progress feed, all of its pages."""
        return self._pages(FEED, self.get(FEED, who, **query), who)

    def _pages(self, path: str, answer: Json, who: str = "admin") -> list[Row]:
        """A feed from its first answer on; nothing for none."""
        found: list[Row] = []
        for _ in range(MOST_PAGES):
            found += [snake(row) for row in answer["data"]] if answer else []
            following = answer.get("metadata", {}).get("next_page") or ""
            if not following:
                return found
            answer = self.get(self._following(path, following), who)
        raise BrokenRuleError(f"GET {path}", "an end", f"{MOST_PAGES} pages and more")

    def _following(self, path: str, next_page: str) -> str:
        """The token goes to this address only, also where a page points elsewhere."""
        try:
            return self.wire.base_url.next_target(next_page, path)
        except TrainingError as error:
            raise BrokenRuleError(f"GET {path}", "a next_page on the same host", error.message) from None

    def row(self, course: str, user: str, who: str = "admin") -> Row:
        """Somebody's row in a course."""
        found = [row for row in self.rows(who, course_id=course, user_id=user) if _is_of(row, course, user)]
        if len(found) != 1:
            raise BrokenRuleError(
                f"GET {FEED} for user {user} in course {course}", "one row", f"{len(found)} rows"
            )
        return found[0]

    def courses(self, who: str = "admin") -> list[Course]:
        """Every course that somebody sees."""
        return self._numbered(COURSES, who)

    def statistics(self, who: str = "admin") -> dict[str, Json]:
        """The statistics of every course, by its id."""
        return {each["courseId"]: each for each in self._numbered(f"{ANALYTICS}/courses/statistics", who)}

    def listed(self, path: str) -> Json:
        """What is at a path, and nothing where the implementation does not have it."""
        answer = self.send("GET", path)
        return {} if answer.status in (404, 405, 501) else answer.object()

    def fed(self, path: str) -> list[Json]:
        """A feed of people, all of its pages; nothing where the implementation does not have it."""
        return self._pages(path, self.listed(path))

    def every_attempt(self) -> list[Json]:
        """Every attempt of everybody."""
        return self._numbered(f"{ANALYTICS}/lessons/attempts", "admin")

    def kept(self) -> Json:
        """What the control plane's state document holds of organisations and notifications; nothing without one.

        Its other parts may change although nothing has happened to anybody.
        """
        if not self.is_own:
            return {}
        try:
            state = self.control("GET", "state")
        except NotCheckedError:
            return {}
        return {name: state[name] for name in ("organisations", "outbox") if name in state}

    def lessons(self, course: str, user: str, who: str = "admin") -> list[Json]:
        """How far somebody is in the lessons of a course."""
        path = f"{ANALYTICS}/users/{user}/lessons/progress"
        return [each for each in self._numbered(path, who) if each["courseId"] == course]

    def attempts(self, course: str, user: str, who: str = "admin") -> list[Json]:
        """Somebody's attempts at the lessons of a course."""
        asked = self._numbered(f"{ANALYTICS}/lessons/attempts", who, userId=user, courseId=course)
        return [each for each in asked if (each["courseId"], each["userId"]) == (course, user)]

    def slides(self, course: str, user: str) -> list[Json]:
        """The slides of a course that somebody has viewed or answered; none on a service without such figures."""
        path, noted = f"{ANALYTICS}/users/{user}/slides/statistics", self.noted
        status = self.send("GET", path, query={"page": 1, "pageSize": 1}).status
        self.noted = noted  # an operation that is missing is no exchange to tell of
        listed = [] if status in (404, 405, 501) else self._numbered(path, "admin", courseId=course)
        seen = [each for each in listed if each.get("viewed") or each.get("answered")]
        return [each for each in seen if each.get("courseId") == course]

    def _numbered(self, path: str, who: str, **query: object) -> list[Json]:
        """A listing in numbered pages, all of them."""
        found: list[Json] = []
        for page in range(1, MOST_PAGES):
            answer = self.get(path, who, page=page, pageSize=1000, **query)
            found += answer["items"]
            if not answer["items"] or len(found) >= answer.get("totalCount", 0):
                return found
        raise BrokenRuleError(f"GET {path}", "an end", f"{MOST_PAGES} pages and more")

    def people(self, who: str = "admin") -> list[Json]:
        """Everybody in somebody's organisation."""
        found: list[Json] = []
        token = ""
        for _ in range(MOST_PAGES):
            asked = {"list_all": True, "page_size": 200} | ({"page_token": token} if token else {})
            answer = self.send("POST", USERS, who, body=asked).object()
            found += [snake(each) for each in answer["users"]]
            token = answer.get("next_page_token") or ""
            if not token:
                return found
        raise BrokenRuleError(f"POST {USERS}", "an end", f"{MOST_PAGES} pages and more")

    def me(self, who: str = "admin") -> str:
        """Somebody's user id."""
        return str(snake(self.get(WHO_AM_I, who))["user_id"])

    # --- choosing ---------------------------------------------------------------------------------------------------

    def course(self, **wanted: str) -> Course:
        """The course to play with; one of its own world with these fields, which has most completions."""
        courses = {each["id"]: each for each in self.courses()}
        if self.course_id:
            chosen = courses.get(self.course_id)
            if chosen is None or any(chosen.get(name) != value for name, value in wanted.items()):
                raise NotCheckedError(f"the course to play with is none with {_said(wanted)}")
            return chosen
        wanted = wanted or {"status": "Published", "dueBy": "relative"}
        fits = {key for key, each in courses.items() if all(each.get(n) == v for n, v in wanted.items())}
        done = [row["course_id"] for row in self.rows() if row["completed_at"] and row["course_id"] in fits]
        if not done:
            raise NotCheckedError(f"nobody has completed a course with {_said(wanted)}")
        return courses[max(sorted(set(done)), key=done.count)]

    def completed(self, course: Course, number: int = 1) -> list[Row]:
        """Learners who have completed a course; whoever is reset has not, so that no check gets another's."""
        return self._take(course, number, "have completed", lambda row: bool(row["completed_at"]))

    def begun(self, course: Course) -> Row:
        """A learner who has begun a course and not completed it."""
        return self._take(
            course, 1, "are half-way", lambda row: is_recorded(row) and not row["completed_at"]
        )[0]

    def not_begun(self, course: Course) -> Row:
        """A learner who is assigned to a course and has nothing recorded."""
        return self._take(course, 1, "have not begun", lambda row: not is_recorded(row))[0]

    def _take(self, course: Course, number: int, what: str, fits: Any) -> list[Row]:
        found = [
            row for row in self.rows(course_id=course["id"]) if row["course_id"] == course["id"] and fits(row)
        ]
        spared = self._spared()
        found.sort(key=lambda row: row["user_id"] in spared)
        if len(found) < number:
            raise NotCheckedError(
                f"{number} learners who {what} {course['title']!r} are needed; there are {len(found)}"
            )
        return found[:number]

    def _spared(self) -> set[str]:
        """Where all checks share one world, whoever the learner's token belongs to comes last: R15 needs them."""
        if self.is_own or "learner" not in self.tokens:
            return set()
        answer = self.wire.send("GET", WHO_AM_I, self.tokens["learner"], who="learner")
        return {str(snake(answer.object()).get("user_id"))} if answer.status == 200 else set()

    # --- resetting --------------------------------------------------------------------------------------------------

    def reset(
        self,
        course: Course,
        users: Sequence[str] | None,
        count: int | None = None,
        *,
        who: str = "admin",
        headers: Sequence[tuple[str, str]] = (),
        **fields: object,
    ) -> Answer:
        """Ask for a reset of these users, or of everyone with None; ``count`` confirms, None leaves it out.

        ``fields`` replace those of the body.
        """
        scope: Json = {"allUsers": True} if users is None else {"userIds": list(users)}
        body = {"courseId": course["id"], **scope, **fields}
        confirmed = [] if count is None else [confirming(course["title"], count)]
        return self.send("POST", RESET, who, body=body, headers=(*confirmed, *headers))

    def cleared(self, course: Course, *rows: Row) -> None:
        """Reset these learners, for a check of what follows. NotCheckedError if that cannot be done."""
        answer = self.reset(course, [row["user_id"] for row in rows], len(rows))
        if answer.status != 200:
            raise NotCheckedError(f"a plain reset is refused: {answer.came}")
        try:
            self.gone(course, *rows)
        except BrokenRuleError as fault:
            raise NotCheckedError(f"a plain reset does nothing, which is R09's matter: {fault}") from None

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing changes inside: no row or attempt of anybody, nor anything that the state document shows."""
        before = self._seen()
        yield
        told = self.noted or self.last
        for what, after in self._seen().items():
            self.same(told, what, before[what], after)

    def _seen(self) -> dict[str, Any]:
        return {
            "the rows": self.rows(),
            "the attempts": self.every_attempt(),
            "the state document": self.kept(),
        }

    def same(self, told: str, what: str, before: Any, after: Any) -> None:
        """BrokenRuleError, with the first thing that differs, unless both are the same."""
        if before != after:
            raise BrokenRuleError(told, f"{what} as before", _difference(before, after)[:MOST_TOLD])

    def takes_effect(self, course: Course, users: Sequence[str] | None, *reset: Row) -> None:
        """A reset that counts these learners, and really resets every one of them.

        How much of somebody's progress goes is R12's matter: here it is enough that something has.
        """
        updated(self.reset(course, users, len(reset)), len(reset))
        self.gone(course, *reset)

    def gone(self, course: Course, *reset: Row) -> None:
        """None of these learners' rows is as it was, for all that a 200 has said."""
        told = self.noted or self.last
        now = {row["user_id"]: row for row in self.rows(course_id=course["id"])}
        kept = [
            row for row in reset if row["user_id"] in now and recorded(now[row["user_id"]]) == recorded(row)
        ]
        if kept:
            raise BrokenRuleError(
                told,
                f"that {len(reset)} learners are reset",
                f"{len(kept)} have all their progress: {kept[:1]}",
            )

    def unknown_user(self) -> str:
        """The id of a user who does not exist."""
        return f"user_{unused_hex(32)}"


def confirming(title: str, users: object) -> tuple[str, str]:
    """The header that confirms a reset."""
    return "reset-confirmation", json.dumps({"courseTitle": title, "users": users})


def recorded(row: Row) -> list[Any]:
    """What is recorded in a row."""
    return [row.get(name) for name in RECORDED]


def _difference(before: Any, after: Any) -> str:
    """The first thing that differs, for a person to read."""
    if isinstance(before, dict) and isinstance(after, dict):
        name = next(each for each in (*before, *after) if before.get(each) != after.get(each))
        return f"{name}: {_difference(before.get(name), after.get(name))}"
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return next(_difference(was, now) for was, now in zip(before, after, strict=True) if was != now)
    if isinstance(before, list) and isinstance(after, list):
        odd = [each for each in before if each not in after] or [each for each in after if each not in before]
        return f"{len(after)} instead of {len(before)}, such as {json.dumps(odd[:1])}"
    return f"{json.dumps(after)} instead of {json.dumps(before)}"


def _is_of(row: Row, course: str, user: str) -> bool:
    return bool(row["course_id"] == course and row["user_id"] == user)


def _said(wanted: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {value}" for name, value in wanted.items())


def updated(answer: Answer, number: int) -> None:
    """A 200 that says how many users were reset; zero may be absent."""
    said = answer.object()
    if said.get("usersUpdated", said.get("usersupdated", 0)) != number:
        raise BrokenRuleError(answer.sent, f"usersUpdated {number}", answer.came)
