"""What a world must be, worked out anew from its raw records.

Written against the rules and the plain data of ``world.snapshot()``, sharing no code with the server: who is on a
roster, how far somebody is by their attempts, submissions, posts and hand-ins alone, what the analytics say, and what
a reset leaves of a world.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

Json = dict[str, Any]

ACTIVE, GUEST = "USER_ACTIVE_STATUS_ACTIVE", "SUBSCRIPTION_SEAT_TYPE_COLLABORATOR"


STOCK_PHRASES = {"Done.", "assessor", "assignment.pdf"}
"""What a learner who completes a whole course leaves in its lessons: nothing that could be told from the next one's."""


def wire_date(at: datetime) -> str:
    """A moment as the wire writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def is_assigned(organisation: Json, course_id: str, person: Json) -> bool:
    """R10: directly, through a group, through a site or by universal access; never the deactivated and guests."""
    to = organisation["assigned"][course_id]
    ways = {person["id"]} & to["users"].keys()
    ways |= set(person["groups"]) & to["groups"].keys() | set(person["sites"]) & to["sites"].keys()
    able = person["status"] == ACTIVE and person["seat"] != GUEST
    return able and bool(ways or to["universal"])


def roster(organisation: Json, course_id: str) -> list[str]:
    """The users a course is assigned to, in order."""
    people = organisation["people"].values()
    return sorted(person["id"] for person in people if is_assigned(organisation, course_id, person))


def lesson_from_traces(lesson: Json, record: Json) -> tuple[list[str], int] | None:
    """The moments at which a lesson was completed, and its score, by what was left there; None for nothing."""
    least = lesson["minimum_score"]
    mine = {
        kind: [trace for trace in record[kind] if trace["lesson_id"] == lesson["id"]]
        for kind in ("attempts", "submissions", "posts", "hand_ins")
    }
    done = [trace["completed_at"] for trace in mine["attempts"] if trace["score"] >= least]
    done += [
        trace["submitted_at"]
        for trace in mine["submissions"]
        if trace["signed_off_by"] and (trace["mark"] is None or trace["mark"] >= least)
    ]
    done += [trace["posted_at"] for trace in mine["posts"]]
    done += [trace["handed_in_at"] for trace in mine["hand_ins"]]
    scores = [trace["score"] for trace in mine["attempts"]]
    scores += [trace["mark"] or 0 for trace in mine["submissions"] + mine["hand_ins"]]
    is_opened = any(mine.values()) or bool(surveys_answered(lesson, record))
    return (done, max(scores, default=0)) if is_opened else None


def surveys_answered(lesson: Json, record: Json) -> set[str]:
    """The surveys of a lesson that somebody has answered."""
    asked = {slide["id"] for slide in lesson["slides"] if slide["kind"] == "survey"}
    return {seen["slide_id"] for seen in record["slides"] if seen["answer"]} & asked


def slide_from_traces(slide: Json, lesson: Json, record: Json) -> tuple[bool, bool, bool]:
    """Whether a slide was viewed, answered, and answered rightly, by what else was left in its lesson."""
    done = (lesson_from_traces(lesson, record) or ([], 0))[0]
    tried = any(trace["lesson_id"] == lesson["id"] for trace in record["attempts"])
    worked = bool(done) or any(
        trace["lesson_id"] == lesson["id"]
        for kind in ("attempts", "submissions", "posts", "hand_ins")
        for trace in record[kind]
    )
    if slide["kind"] == "survey":
        answered = slide["id"] in surveys_answered(lesson, record)
        return worked or answered, answered, False
    is_question = slide["kind"] == "question"
    return worked, is_question and (tried or bool(done)), is_question and bool(done)


def figures_from_traces(course: Json, record: Json | None) -> Json:
    """What the feed must say of somebody, dates of opening and completion as truth values."""
    if record is None:
        return {"opened": False, "completed": False, "lessons": 0, "percent": 0.0, "score": 0}
    found = [lesson_from_traces(lesson, record) for lesson in course["lessons"]]
    done = sum(bool(each and each[0]) for each in found)
    scores = [each[1] for each in found if each and each[1]]
    return {
        "opened": True,
        "completed": done == len(found),
        "lessons": done,
        "percent": round(100 * done / len(found), 2),
        "score": round(fmean(scores)) if scores else 0,
    }


def statistics(organisation: Json, course_id: str) -> Json:
    """R14: the figures of a course, from the traces of everybody on its roster."""
    course, records = organisation["courses"][course_id], organisation["records"][course_id]
    people = roster(organisation, course_id)
    rows = [figures_from_traces(course, records.get(user_id)) for user_id in people]
    completed, opened = sum(row["completed"] for row in rows), [row for row in rows if row["opened"]]
    return {
        "courseId": course_id,
        "courseTitle": course["title"],
        "totalUsers": len(rows),
        "openedCount": len(opened),
        "completedCount": completed,
        "completionPercent": round(100 * completed / len(rows), 2) if rows else 0.0,
        "averageScore": round(fmean(row["score"] for row in opened), 2) if opened else 0.0,
    }


def lesson_statistics(organisation: Json, course_id: str) -> list[Json]:
    """R14: the figures of every lesson of a course, from the traces of everybody on its roster."""
    people, records = roster(organisation, course_id), organisation["records"][course_id]
    found = []
    for lesson in organisation["courses"][course_id]["lessons"]:
        left = [lesson_from_traces(lesson, records[each]) for each in people if each in records]
        opened = [each for each in left if each]
        completed = sum(bool(each[0]) for each in opened)
        found.append(
            {
                "courseId": course_id,
                "lessonId": lesson["id"],
                "lessonTitle": lesson["title"],
                "totalUsers": len(people),
                "openedCount": len(opened),
                "completedCount": completed,
                "completionPercent": round(100 * completed / len(people), 2) if people else 0.0,
                "averageScore": round(fmean(each[1] for each in opened), 2) if opened else 0.0,
            }
        )
    return found


def slide_counts(organisation: Json, course_id: str) -> list[tuple[str, int, int, int]]:
    """R14: by how many every slide of a course was viewed, answered and answered rightly, from the traces."""
    records = organisation["records"][course_id]
    rows = [records[each] for each in roster(organisation, course_id) if each in records]
    found = []
    for lesson in organisation["courses"][course_id]["lessons"]:
        for slide in lesson["slides"]:
            left = [slide_from_traces(slide, lesson, row) for row in rows]
            viewed, answered, right = (sum(each[n] for each in left) for n in range(3))
            found.append((slide["id"], viewed, answered, right))
    return found


def rankings(organisation: Json, board: Json) -> list[tuple[int, str, int, bool]]:
    """R14: rank, user, points and whether they have done nothing, from the traces in the courses of a board."""
    found: list[tuple[int, str, bool]] = []
    for user_id, person in organisation["people"].items():
        rows = [
            figures_from_traces(organisation["courses"][each], organisation["records"][each][user_id])
            for each in board["course_ids"]
            if is_assigned(organisation, each, person) and user_id in organisation["records"][each]
        ]
        if person["status"] == ACTIVE and person["seat"] != GUEST:
            found.append((-sum(row["score"] for row in rows), user_id, not rows))
    points = [each[0] for each in sorted(found)]
    return [(1 + points.index(score), user_id, -score, idle) for score, user_id, idle in sorted(found)]


def recorded(organisation: Json, course_id: str, eligibility: str) -> list[str]:
    """R09: the users on the roster whose progress a reset clears."""
    records = organisation["records"][course_id]
    fits = [user_id for user_id in roster(organisation, course_id) if user_id in records]
    return [user_id for user_id in fits if eligibility == "recorded" or records[user_id]["completed_at"]]


def recorded_absent(organisation: Json, course_id: str, eligibility: str) -> list[str]:
    """R10: the users not on the roster whose progress would reappear when they return."""
    records = organisation["records"][course_id]
    away = [user_id for user_id in records if user_id not in roster(organisation, course_id)]
    return [user_id for user_id in away if eligibility == "recorded" or records[user_id]["completed_at"]]


def recounted(organisation: Json, course_id: str) -> Json:
    """What the kept counters of a course must be."""
    rows = [organisation["records"][course_id].get(user_id) for user_id in roster(organisation, course_id)]
    kept = [row for row in rows if row is not None]
    return {
        "opened": sum(bool(row["opened_at"]) for row in kept),
        "completed": sum(bool(row["completed_at"]) for row in kept),
        "recorded": len(kept),
        "score_sum": sum(row["score"] for row in kept),
    }


def after_reset(
    before: Json,
    organisation_id: str,
    course_id: str,
    user_ids: Sequence[str],
    absent: Sequence[str],
    now: datetime,
) -> Json:
    """R10 to R20: the whole world after a reset, but for the audit log and the ids of the notifications."""
    world = deepcopy(before)
    organisation = world["organisations"][organisation_id]
    due, status = organisation["courses"][course_id]["due"], organisation["courses"][course_id]["status"]
    is_told = status == "Published" or world["policy"]["unpublished_notifications"] == "sent"
    for user_id in (*user_ids, *absent):
        del organisation["records"][course_id][user_id]
        organisation["reset_at"][course_id][user_id] = now.isoformat()
        if world["policy"]["old_certificate"] == "hidden":
            organisation["certificates"].pop(f"{course_id}/{user_id}", None)
    for user_id in user_ids:
        enrolment = organisation["enrolments"][course_id][user_id]
        enrolment["modified_at"] = now.isoformat()
        if due["kind"] == "relative":
            enrolment["due_at"] = wire_date(now + timedelta(days=due["days"]))
        if is_told and organisation["people"][user_id]["notifications"]:
            world["outbox"].append(
                {
                    "id": ...,
                    "organisation_id": organisation_id,
                    "user_id": user_id,
                    "course_id": course_id,
                    "sent_at": wire_date(now),
                    "kind": "course assigned",
                }
            )
    organisation["tallies"][course_id] = recounted(organisation, course_id)
    return world


def differences(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    """Where two pieces of plain data differ, by path."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in found.keys() | expected.keys():
            yield from differences(found.get(name), expected.get(name), f"{where}/{name}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from differences(one, other, f"{where}/{number}")
    elif found != expected:
        yield f"{where}: found {found!r}, expected {expected!r}"


def texts(value: Any) -> Iterator[str]:
    """Every text in plain data, but for ids of lessons, which stay."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "lesson_id":
                yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str) and value:
        yield value
