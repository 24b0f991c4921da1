"""The organisation of a check: its users, its feed, and the control plane if there is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from attrs import define, field

from training_sdk.errors import TrainingError
from training_sdk.testing.contract.findings import BrokenRuleError, NotCheckedError, first_difference
from training_sdk.testing.contract.wire import RESET, USERS, Answer, Told, Wire, unused_hex

Json = dict[str, Any]
Row = dict[str, Any]
"""Row of the progress feed with names in snake_case."""
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
    """Return a record with names in snake_case; the live service uses both spellings."""
    return Told((_snake(name), value) for name, value in record.items())


def is_recorded(row: Row) -> bool:
    """R09: return True if progress is recorded, as far as the feed can show it."""
    return any(row.get(name) for name in RECORDED)


@define
class World:
    """One organisation, accessed with its tokens. Data is read again each time."""

    wire: Wire
    tokens: Mapping[str, str] = field(repr=False)
    is_own: bool = False
    """True if the contract tests have made it for one check, with a control plane: any change is allowed."""
    course_id: str = ""
    """Course for the checks; "" to let each check choose one."""
    last: str = ""
    """Latest request and answer."""
    noted: str = ""
    """Latest request that changed something or was refused: shown by a check whose rule holds."""

    # --- speaking ---------------------------------------------------------------------------------------------------

    def token(self, who: str) -> str:
        """Return a user's token; "" for no user. Raises NotCheckedError if there is no token of that kind."""
        if who and who not in self.tokens:
            raise NotCheckedError(f"There is no token of the kind {who!r}.")
        return self.tokens[who] if who else ""

    def send(self, method: str, path: str, who: str = "admin", **parts: Any) -> Answer:
        """Send as this user, or without a token for ``who=""``."""
        answer = self.wire.send(method, path, self.token(who), who=who or "nobody", **parts)
        self.last = f"{answer.sent} → {answer.status} {answer.reason}".rstrip()
        if answer.status != 200 or path == RESET:
            self.noted = self.last
        return answer

    def get(self, path: str, who: str = "admin", **query: object) -> Json:
        """Return the JSON object at a path."""
        return self.send("GET", path, who, query=query).object()

    def control(self, method: str, path: str, body: object = None) -> Json:
        """Call the control plane of this organisation. Raises NotCheckedError without one."""
        return self.controlled(method, path, body).object()

    def controllable(self) -> None:
        """Raise NotCheckedError without a control plane, before a check that needs one resets a person."""
        if not self.is_own:
            raise NotCheckedError(
                "This check needs a control plane (POST /_mock/worlds), and the server has none."
            )

    def controlled(self, method: str, path: str, body: object = None) -> Answer:
        """Call the control plane; return the answer. Raises NotCheckedError if the operation is missing."""
        self.controllable()
        answer = self.wire.control(method, path, self.token("admin"), body=body)
        if answer.status in (404, 405, 501):
            raise NotCheckedError(f"The control plane has no {method} /_mock/{path}.")
        if path.startswith("learners/"):
            self.last = f"{answer.sent} → {answer.status} {answer.reason}".rstrip()
        return answer

    def act(self, action: str, course: str, user: str, **details: object) -> Json:
        """Let a learner act, and return what is recorded for them then."""
        body = {"course": course, "user": user, **details}
        record: Json = self.control("POST", f"learners/{action}", body)["record"]
        return record

    # --- reading ----------------------------------------------------------------------------------------------------

    def rows(self, who: str = "admin", **query: object) -> list[Row]:
        """Return all pages of the progress feed."""
        return self._pages(FEED, self.get(FEED, who, **query), who)

    def _pages(self, path: str, answer: Json, who: str = "admin") -> list[Row]:
        """Return all pages of a feed from its first answer; nothing for an empty one."""
        found: list[Row] = []
        for _ in range(MOST_PAGES):
            found += [snake(row) for row in answer["data"]] if answer else []
            following = answer.get("metadata", {}).get("next_page") or ""
            if not following:
                return found
            answer = self.get(self._following(path, following), who)
        raise BrokenRuleError(f"GET {path}", "an end", f"{MOST_PAGES} pages and more")

    def _following(self, path: str, next_page: str) -> str:
        """Return the address of the next page; refuse another server, because the token belongs to this one only."""
        try:
            return self.wire.base_url.next_target(next_page, path)
        except TrainingError as error:
            raise BrokenRuleError(f"GET {path}", "a next_page on the same host", error.message) from None

    def row(self, course: str, user: str, who: str = "admin") -> Row:
        """Return a user's row in a course."""
        found = [row for row in self.rows(who, course_id=course, user_id=user) if _is_of(row, course, user)]
        if len(found) != 1:
            raise BrokenRuleError(
                f"GET {FEED} for user {user} in course {course}", "one row", f"{len(found)} rows"
            )
        return found[0]

    def courses(self, who: str = "admin") -> list[Course]:
        """Return all courses that a user sees."""
        return self._numbered(COURSES, who)

    def statistics(self, who: str = "admin") -> dict[str, Json]:
        """Return the statistics of every course, by its id."""
        return {each["courseId"]: each for each in self._numbered(f"{ANALYTICS}/courses/statistics", who)}

    def listed(self, path: str) -> Json:
        """Return the object at a path; empty if the implementation does not have it."""
        answer = self.send("GET", path)
        return {} if answer.status in (404, 405, 501) else answer.object()

    def fed(self, path: str) -> list[Json]:
        """Return all pages of a feed of people; nothing if the implementation does not have it."""
        return self._pages(path, self.listed(path))

    def every_attempt(self) -> list[Json]:
        """Return every attempt of every user."""
        return self._numbered(f"{ANALYTICS}/lessons/attempts", "admin")

    def kept(self) -> Json:
        """Return organisations and notifications from the control plane's state document; nothing without one.

        Other parts of the document can change although no person's data has changed.
        """
        if not self.is_own:
            return {}
        try:
            state = self.control("GET", "state")
        except NotCheckedError:
            return {}
        return {name: state[name] for name in ("organisations", "outbox") if name in state}

    def lessons(self, course: str, user: str, who: str = "admin") -> list[Json]:
        """Return a user's progress in the lessons of a course."""
        path = f"{ANALYTICS}/users/{user}/lessons/progress"
        return [each for each in self._numbered(path, who) if each["courseId"] == course]

    def attempts(self, course: str, user: str, who: str = "admin") -> list[Json]:
        """Return a user's attempts at the lessons of a course."""
        asked = self._numbered(f"{ANALYTICS}/lessons/attempts", who, userId=user, courseId=course)
        return [each for each in asked if (each["courseId"], each["userId"]) == (course, user)]

    def slides(self, course: str, user: str) -> list[Json]:
        """Return the slides of a course that a user has viewed or answered; none on a service without such figures."""
        path, noted = f"{ANALYTICS}/users/{user}/slides/statistics", self.noted
        status = self.send("GET", path, query={"page": 1, "pageSize": 1}).status
        self.noted = noted  # an operation that is missing is no exchange to tell of
        listed = [] if status in (404, 405, 501) else self._numbered(path, "admin", courseId=course)
        seen = [each for each in listed if each.get("viewed") or each.get("answered")]
        return [each for each in seen if each.get("courseId") == course]

    def _numbered(self, path: str, who: str, **query: object) -> list[Json]:
        """Return all pages of a listing with numbered pages."""
        found: list[Json] = []
        for page in range(1, MOST_PAGES):
            answer = self.get(path, who, page=page, pageSize=1000, **query)
            found += answer["items"]
            if not answer["items"] or len(found) >= answer.get("totalCount", 0):
                return found
        raise BrokenRuleError(f"GET {path}", "an end", f"{MOST_PAGES} pages and more")

    def people(self, who: str = "admin") -> list[Json]:
        """Return all people in a user's organisation."""
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
        """Return a user's id."""
        return str(snake(self.get(WHO_AM_I, who))["user_id"])

    # --- choosing ---------------------------------------------------------------------------------------------------

    def course(self, **wanted: str) -> Course:
        """Return the course for a check; in its own organisation, the one with these fields and most completions."""
        courses = {each["id"]: each for each in self.courses()}
        if self.course_id:
            chosen = courses.get(self.course_id)
            if chosen is None or any(chosen.get(name) != value for name, value in wanted.items()):
                raise NotCheckedError(f"The course of the checks has other properties than {_said(wanted)}.")
            return chosen
        wanted = wanted or {"status": "Published", "dueBy": "relative"}
        fits = {key for key, each in courses.items() if all(each.get(n) == v for n, v in wanted.items())}
        done = [row["course_id"] for row in self.rows() if row["completed_at"] and row["course_id"] in fits]
        if not done:
            raise NotCheckedError(f"No person has completed a course with {_said(wanted)}.")
        return courses[max(sorted(set(done)), key=done.count)]

    def needs_own(self, because: str = "This check changes assignments") -> None:
        """Skip the check in an organisation that the contract tests did not create."""
        if not self.is_own:
            raise NotCheckedError(f"{because}, so it needs an organisation that the contract tests created.")

    def completion(self, **wanted: str) -> tuple[Course, Row]:
        """Return the course of the checks, or one with these properties, and the row of one who has completed it."""
        course = self.course(**wanted)
        return course, self.completed(course)[0]

    def completed(self, course: Course, number: int = 1) -> list[Row]:
        """Return learners who have completed a course and were not reset, so each check gets its own people."""
        return self._take(course, number, "have completed", lambda row: bool(row["completed_at"]))

    def begun(self, course: Course) -> Row:
        """Return a learner who has started a course and not completed it."""
        return self._take(
            course,
            1,
            "have started and not completed",
            lambda row: is_recorded(row) and not row["completed_at"],
        )[0]

    def not_begun(self, course: Course) -> Row:
        """Return a learner who is assigned to a course and has no recorded progress."""
        return self._take(course, 1, "have not begun", lambda row: not is_recorded(row))[0]

    def _take(self, course: Course, number: int, what: str, fits: Any) -> list[Row]:
        found = [
            row for row in self.rows(course_id=course["id"]) if row["course_id"] == course["id"] and fits(row)
        ]
        spared = self._spared()
        found.sort(key=lambda row: row["user_id"] in spared)
        if len(found) < number:
            raise NotCheckedError(
                f"Learners who {what} {course['title']!r}: {number} required, {len(found)} found."
            )
        return found[:number]

    def _spared(self) -> set[str]:
        """Return the owner of the learner's token. R15 needs this learner, so other checks choose them last."""
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
        """Request a reset of these users, or of everyone for None; ``count`` confirms the number, None leaves it out.

        ``fields`` replace those of the body.
        """
        scope: Json = {"allUsers": True} if users is None else {"userIds": list(users)}
        body = {"courseId": course["id"], **scope, **fields}
        confirmed = [] if count is None else [confirming(course["title"], count)]
        return self.send("POST", RESET, who, body=body, headers=(*confirmed, *headers))

    def cleared(self, course: Course, *rows: Row) -> None:
        """Reset these learners, so that the effects can be checked. Raises NotCheckedError if that is not possible."""
        self.reset(course, [row["user_id"] for row in rows], len(rows)).needed()
        try:
            self.gone(course, *rows)
        except BrokenRuleError as fault:
            raise NotCheckedError(f"A plain reset has no effect, which rule R09 checks: {fault}") from None

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Check that nothing changes inside the block: no row, no attempt, and no part of the state document."""
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
        """Raise BrokenRuleError, with the first difference, unless both are the same."""
        if before != after:
            raise BrokenRuleError(told, f"{what} as before", first_difference(before, after)[:MOST_TOLD])

    def takes_effect(self, course: Course, users: Sequence[str] | None, *reset: Row) -> None:
        """Check that a reset counts these learners and really resets each of them.

        R12 checks how much progress is removed. Here it is enough that some progress is removed.
        """
        updated(self.reset(course, users, len(reset)), len(reset))
        self.gone(course, *reset)

    def gone(self, course: Course, *reset: Row) -> None:
        """Check that the row of each of these learners has changed, whatever the 200 says."""
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
        """Return the id of a user who does not exist."""
        return f"user_{unused_hex(32)}"


def confirming(title: str, users: object) -> tuple[str, str]:
    """Return the header that confirms a reset."""
    return "reset-confirmation", json.dumps({"courseTitle": title, "users": users})


def recorded(row: Row) -> list[Any]:
    """Return the recorded progress of a row."""
    return [row.get(name) for name in RECORDED]


def _is_of(row: Row, course: str, user: str) -> bool:
    return bool(row["course_id"] == course and row["user_id"] == user)


def _said(wanted: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {value}" for name, value in wanted.items())


def updated(answer: Answer, number: int) -> None:
    """Check that a 200 returns how many users were reset; the field may be absent for zero."""
    said = answer.object()
    if said.get("usersUpdated", said.get("usersupdated", 0)) != number:
        raise BrokenRuleError(answer.sent, f"usersUpdated {number}", answer.came)
