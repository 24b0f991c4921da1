"""The vendor's shapes, each written in one place. P, O, T, A: published, observed, third party's, assumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any
from uuid import UUID

from mock_server.wire.answers import to_json
from mock_server.world.courses import (
    Course,
    CourseList,
    Leaderboard,
    Lesson,
    Ranking,
    RapidRefresh,
    RefreshAnswer,
    Slide,
    SlideProgress,
)
from mock_server.world.organisation import Organisation
from mock_server.world.people import Group, PermissionSet, Person, Site, Status
from mock_server.world.progress import (
    Attempt,
    Enrolment,
    LessonProgress,
    LessonTally,
    Record,
    SlideTally,
    Tally,
)

Json = dict[str, Any]


def course(course: Course) -> Json:
    """A course (O); two names begin with a capital, as seen live."""
    original = {"id": course.translation_of, "externalId": ""} if course.translation_of else None
    return {
        "id": course.id,
        "externalId": course.external_id,
        "title": course.title,
        "description": course.description,
        "status": course.status,
        "locale": course.locale,
        "isMandatory": course.is_mandatory,
        "dueBy": course.due.kind,
        "duration": course.duration,
        "thumbnailUrl": course.thumbnail_url,
        "createdDatetime": course.created_at,
        "modifiedDatetime": course.modified_at,
        "TranslationOriginalCourse": original,
        "logoUrl": course.logo_url,
        "brandingImageUrl": course.branding_image_url,
        "isPublished": course.is_published,
        "LessonCount": len(course.lessons),
        "publishedVersionNumber": course.published_version,
    }


def lesson_of_course(lesson: Lesson) -> Json:
    """A lesson in the list of its course (T)."""
    return {
        "id": lesson.id,
        "externalId": lesson.external_id,
        "title": lesson.title,
        "description": lesson.description,
        "status": lesson.status,
        "minimumScore": lesson.minimum_score,
    }


def lesson(lesson: Lesson) -> Json:
    """A lesson by itself (T), in snake_case."""
    return {
        "id": lesson.id,
        "title": lesson.title,
        "description": lesson.description,
        "created_datetime": lesson.created_at,
        "modified_datetime": lesson.created_at,
        "external_id": lesson.external_id,
    }


def course_list(held: CourseList) -> Json:
    """A learning path (T) or a collection (A) in a list."""
    return {"id": held.id, "title": held.title, "isPublished": held.is_published}


def path(held: CourseList, courses: Iterable[Course]) -> Json:
    """A learning path by itself; that its courses are in it, in order, is assumed (A)."""
    return {**course_list(held), "courses": [course(each) for each in courses]}


_NOTHING = {
    "opened_at": "",
    "completed_at": "",
    "completed_lessons": 0,
    "progress_percent": 0.0,
    "score": 0,
    "time_spent_seconds": 0,
    "completion_expiry_date": "",
}
"""What a row says where nothing has begun, or after a reset (A)."""


def progress_row(course: Course, person: Person, enrolment: Enrolment, record: Record | None) -> Json:
    """A row of the progress feed (P)."""
    figures = _NOTHING if record is None else {name: getattr(record, name) for name in _NOTHING}
    stated = enrolment.identity
    return {
        **figures,
        "total_lessons": stated.total_lessons if stated else len(course.lessons),
        "course_id": course.id,
        "course_external_id": stated.course_external_id if stated else course.external_id,
        "course_title": stated.course_title if stated else course.title,
        "user_email": stated.user_email if stated else person.email,
        "user_first_name": stated.user_first_name if stated else person.first_name,
        "user_last_name": stated.user_last_name if stated else person.last_name,
        "user_id": person.id,
        "user_external_id": stated.user_external_id if stated else person.external_id,
        "due_at": enrolment.due_at,
    }


def progress_fragment(organisation: Organisation, course_id: str, user_id: str) -> bytes:
    """A row of the progress feed as JSON, kept until something in it changes."""
    progress = organisation.progress[course_id]
    fragment = progress.fragments.get(user_id)
    if fragment is None:
        row = progress_row(
            organisation.courses[course_id],
            organisation.people[user_id],
            progress.enrolments[user_id],
            progress.records.get(user_id),
        )
        fragment = to_json(row)
        organisation.progress.row_cache.keep(progress, user_id, fragment)
    return fragment


def course_statistics(course: Course, total: int, tally: Tally) -> Json:
    """The figures of a course (A); the score is the mean over users with recorded progress."""
    return {
        "courseId": course.id,
        "courseTitle": course.title,
        "totalUsers": total,
        "openedCount": tally.opened,
        "completedCount": tally.completed,
        "completionPercent": round(100 * tally.completed / total, 2) if total else 0.0,
        "averageScore": round(tally.score_sum / tally.recorded, 2) if tally.recorded else 0.0,
    }


def lesson_progress(course: Course, lesson: Lesson, progress: LessonProgress | None) -> Json:
    """How far a user is in a lesson (A); one never opened stands there with zeros."""
    return {
        "courseId": course.id,
        "lessonId": lesson.id,
        "lessonTitle": lesson.title,
        "opened": progress is not None,
        "openedDateTime": progress.opened_at if progress else "",
        "completed": bool(progress and progress.completed_at),
        "completedDateTime": progress.completed_at if progress else "",
        "percentageCompleted": progress.percent if progress else 0.0,
        "score": progress.score if progress else 0,
    }


def attempt(course_id: str, user_id: str, attempt: Attempt) -> Json:
    """One try at a lesson (A). Records may be shared, so its id is made of theirs and whose it is, unless it is own."""
    whose = f"{course_id}/{user_id}/{attempt.id}".encode()
    return {
        "id": attempt.id if attempt.has_own_id else str(UUID(blake2b(whose, digest_size=16).hexdigest())),
        "userId": user_id,
        "courseId": course_id,
        "lessonId": attempt.lesson_id,
        "startedDateTime": attempt.started_at,
        "completedDateTime": attempt.completed_at,
        "score": attempt.score,
        "success": attempt.success,
    }


def lesson_statistics(course: Course, lesson: Lesson, tally: LessonTally) -> Json:
    """The figures of a lesson (A); the score is the mean over users who have opened it."""
    return {
        "courseId": course.id,
        "lessonId": lesson.id,
        "lessonTitle": lesson.title,
        "totalUsers": tally.users,
        "openedCount": tally.opened,
        "completedCount": tally.completed,
        "completionPercent": round(100 * tally.completed / tally.users, 2) if tally.users else 0.0,
        "averageScore": round(tally.score_sum / tally.opened, 2) if tally.opened else 0.0,
    }


Event = tuple[Lesson, str, str]
"""A lesson, what became of it ("opened" or "completed"), and when."""


def lesson_event(course: Course, user_id: str, event: Event) -> Json:
    """A lesson opened or completed (A)."""
    lesson, kind, at = event
    return {
        "userId": user_id,
        "courseId": course.id,
        "lessonId": lesson.id,
        "lessonTitle": lesson.title,
        "eventType": kind,
        "eventDateTime": at,
    }


def _slide(course: Course, lesson: Lesson, slide: Slide) -> Json:
    return {
        "courseId": course.id,
        "lessonId": lesson.id,
        "slideId": slide.id,
        "slideTitle": slide.title,
        "slideType": slide.kind,
    }


def slide_statistics(course: Course, lesson: Lesson, slide: Slide, tally: SlideTally) -> Json:
    """The figures of a slide (A)."""
    return {
        **_slide(course, lesson, slide),
        "viewedCount": tally.viewed,
        "answeredCount": tally.answered,
        "correctCount": tally.correct,
    }


def user_slide(course: Course, lesson: Lesson, slide: Slide, seen: SlideProgress | None) -> Json:
    """What a user has seen and answered of a slide (A); one never viewed stands there with nothing."""
    return {
        **_slide(course, lesson, slide),
        "viewed": seen is not None,
        "viewedDateTime": seen.viewed_at if seen else "",
        "answered": bool(seen and seen.answered_at),
        "correct": bool(seen and seen.correct),
    }


def survey_question(course: Course, lesson: Lesson, slide: Slide) -> Json:
    """What a survey asks (A)."""
    return {
        "id": slide.id,
        "courseId": course.id,
        "lessonId": lesson.id,
        "question": slide.title,
        "answerType": "choice" if slide.options else "text",
        "options": list(slide.options),
    }


def survey_answer(course: Course, user_id: str, lesson: Lesson, seen: SlideProgress) -> Json:
    """An answer to a survey (A)."""
    return {
        "questionId": seen.slide_id,
        "userId": user_id,
        "courseId": course.id,
        "lessonId": lesson.id,
        "answer": seen.answer,
        "answeredDateTime": seen.answered_at,
    }


def rapid_refresh(refresh: RapidRefresh) -> Json:
    """A rapid refresh in a list (A)."""
    return {
        "id": refresh.id,
        "title": refresh.title,
        "isPublished": refresh.is_published,
        "questionCount": len(refresh.questions),
        "createdDatetime": refresh.created_at,
    }


def rapid_refresh_with_questions(refresh: RapidRefresh) -> Json:
    """A rapid refresh by itself (A), without the right answers."""
    questions = [
        {"id": each.id, "question": each.question, "options": list(each.options)}
        for each in refresh.questions
    ]
    return {**rapid_refresh(refresh), "questions": questions}


def refresh_answer(given: RefreshAnswer) -> Json:
    """An answer in a rapid refresh (A)."""
    return {
        "rapidRefreshId": given.refresh_id,
        "questionId": given.question_id,
        "userId": given.user_id,
        "answer": given.answer,
        "correct": given.correct,
        "answeredDateTime": given.answered_at,
    }


def leaderboard(board: Leaderboard) -> Json:
    """A leaderboard in a list (T)."""
    return {
        "id": board.id,
        "name": board.name,
        "startDate": board.start_date,
        "endDate": board.end_date,
        "learnerAccess": board.learner_access,
    }


def rankings(board: Leaderboard, ranked: Iterable[Ranking], people: Mapping[str, Person]) -> Json:
    """Who stands where on a leaderboard (T)."""
    return {
        "leaderboardId": board.id,
        "leaderboardName": board.name,
        "rankings": [
            {
                "rank": each.rank,
                "participantId": each.user_id,
                "participantName": people[each.user_id].name,
                "totalScore": each.score,
                "isNotAttempted": each.is_not_attempted,
            }
            for each in ranked
        ],
    }


def user(person: Person) -> Json:
    """A user in the users list (T)."""
    return {
        "user_id": person.id,
        "org_id": person.organisation_id,
        "status": person.status,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "username": person.email,
        "seat_type": person.seat,
        "timezone": person.timezone,
        "locale": person.locale,
        "created_at": person.created_at,
    }


def feed_user(person: Person) -> Json:
    """A row of /feed/users (P)."""
    return {
        "id": person.id,
        "organisation_id": person.organisation_id,
        "email": person.email,
        "firstname": person.first_name,
        "lastname": person.last_name,
        "active": person.status is Status.ACTIVE,
        "last_seen_at": person.last_seen_at,
        "seat_type": person.seat,
        "created_at": person.created_at,
    }


GROUP_STATUSES = {Status.ACTIVE: "active", Status.DEACTIVATED: "inactive"}
"""How the users of a group have their status (A)."""


def group_user(person: Person) -> Json:
    """A user of a group (T)."""
    return {
        "user_id": person.id,
        "id": person.id,
        "firstname": person.first_name,
        "lastname": person.last_name,
        "email": person.email,
        "status": GROUP_STATUSES[person.status],
        "seat_type": person.seat,
    }


def feed_group(organisation_id: str, group: Group) -> Json:
    """A row of /feed/groups (P)."""
    return {"id": group.id, "organisation_id": organisation_id, "name": group.name}


def feed_site(organisation_id: str, site: Site) -> Json:
    """A row of /feed/sites (P)."""
    return {
        "id": site.id,
        "name": site.name,
        "creator_id": site.creator_id,
        "organisation_id": organisation_id,
        "deleted": site.deleted,
        "site_uuid": site.id,
        "meta_label": site.meta_label,
        "parent_id": site.parent_id,
    }


def permission_set(held: PermissionSet, names: list[str]) -> Json:
    """A permission set with every permission, held or not (T)."""
    identifier = {
        "id": held.id,
        "type": "PERMISSION_SET_TYPE_CUSTOM" if held.custom else "PERMISSION_SET_TYPE_DEFAULT",
        "name": held.name,
        "description": held.description,
        "allowed_seat_types": list(held.seats),
    }
    return {
        "permission_set": {
            "identifier": identifier,
            "permissions": {name: name in held.permissions for name in names},
        }
    }
