"""What is recorded of people in courses: frozen records, replaced and never changed."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from mock_server.world.courses import SlideProgress


@frozen
class LessonProgress:
    """How far somebody is in one lesson; absent for a lesson never opened."""

    lesson_id: str
    opened_at: str
    completed_at: str = ""
    percent: float = 0.0
    score: int = 0


@frozen
class Attempt:
    """One try at a lesson."""

    id: str
    """Unique within its record."""
    lesson_id: str
    started_at: str
    completed_at: str
    score: int
    success: bool
    has_own_id: bool = False
    """Whether its id came from elsewhere and stands on the wire as it is: its record is nobody else's."""


@frozen
class AssessmentSubmission:
    """A practical assessment as submitted, with its mark (0 to 100) and sign-off where they are given."""

    id: str
    lesson_id: str
    submitted_at: str
    mark: int | None = None
    signed_off_by: str = ""
    signed_off_at: str = ""


@frozen
class DiscussionPost:
    """A contribution to a course's discussion."""

    id: str
    lesson_id: str
    posted_at: str
    text: str


@frozen
class HandIn:
    """An assignment handed in."""

    id: str
    lesson_id: str
    handed_in_at: str
    file_name: str
    mark: int | None = None


@frozen
class Record:
    """All that is recorded of one person in one course; what a reset clears is exactly this."""

    modified_at: datetime
    opened_at: str = ""
    completed_at: str = ""
    completed_lessons: int = 0
    progress_percent: float = 0.0
    """0 to 100."""
    score: int = 0
    time_spent_seconds: int = 0
    completion_expiry_date: str = ""
    lessons: tuple[LessonProgress, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    submissions: tuple[AssessmentSubmission, ...] = ()
    posts: tuple[DiscussionPost, ...] = ()
    hand_ins: tuple[HandIn, ...] = ()
    slides: tuple[SlideProgress, ...] = ()

    @property
    def is_recorded(self) -> bool:
        """R09: whether anything is recorded, so far as the feed can show it."""
        return bool(
            self.opened_at
            or self.completed_at
            or self.completed_lessons
            or self.progress_percent
            or self.score
            or self.time_spent_seconds
        )

    def lesson(self, lesson_id: str) -> LessonProgress | None:
        """Progress in one lesson, None where it was never opened."""
        return next((lesson for lesson in self.lessons if lesson.lesson_id == lesson_id), None)


@frozen
class Identity:
    """What a row loaded from a file says of its course and person; it may differ from the master data."""

    course_title: str
    course_external_id: str
    user_email: str
    user_first_name: str
    user_last_name: str
    user_external_id: str
    total_lessons: int


@frozen
class Enrolment:
    """Somebody's place in a course; a reset keeps it, save for a relative due date (R16, R20)."""

    assigned_at: datetime
    modified_at: datetime
    due_at: str = ""
    identity: Identity | None = None
