"""Past progress, made at once instead of action by action, for worlds that begin with a history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from attrs import define, field

from mock_server.world import clock
from mock_server.world.courses import (
    Course,
    Lesson,
    LessonKind,
    SlideKind,
    SlideProgress,
    with_slides_done,
    with_survey_answer,
)
from mock_server.world.ids import Ids
from mock_server.world.progress import (
    AssessmentSubmission,
    Attempt,
    DiscussionPost,
    HandIn,
    LessonProgress,
    Record,
)

_PACE = timedelta(hours=3)
_LESSON_SECONDS = 420
_OPINION = "Kurz und verständlich."


@define
class _Traces:
    """Traces of lessons, collected for one record."""

    lessons: list[LessonProgress] = field(factory=list)
    attempts: list[Attempt] = field(factory=list)
    submissions: list[AssessmentSubmission] = field(factory=list)
    posts: list[DiscussionPost] = field(factory=list)
    hand_ins: list[HandIn] = field(factory=list)
    slides: tuple[SlideProgress, ...] = ()

    def leave(self, ids: Ids, lesson: Lesson, at: str, score: int, *, done: bool) -> None:
        """Add the traces of one lesson, according to its kind, and of its slides."""
        self._work_through(lesson, at, score, done=done)
        if lesson.kind is LessonKind.ASSESSMENT:
            submission = AssessmentSubmission(ids.uuid("submission"), lesson.id, at, score)
            signed = AssessmentSubmission(submission.id, lesson.id, at, score, "Jonas Krüger", at)
            self.submissions.append(signed if done else submission)
        elif lesson.kind is LessonKind.DISCUSSION:
            self.posts.append(
                DiscussionPost(ids.uuid("post"), lesson.id, at, "Rückspiegel zuerst, dann los.")
            )
        elif lesson.kind is LessonKind.ASSIGNMENT:
            self.hand_ins.append(HandIn(ids.uuid("hand-in"), lesson.id, at, "gefährdungsbeurteilung.pdf"))
        else:
            self.attempts.append(Attempt(ids.uuid("attempt"), lesson.id, at, at, score, done))
        self.lessons.append(
            LessonProgress(lesson.id, at, at if done else "", 100.0 if done else 0.0, score if done else 0)
        )

    def _work_through(self, lesson: Lesson, at: str, score: int, *, done: bool) -> None:
        """Add progress on the slides; a user who completes the lesson with an even score answers its surveys."""
        self.slides = with_slides_done(self.slides, lesson.slides, at, right=done)
        for slide in lesson.slides:
            if slide.kind is SlideKind.SURVEY and done and score % 2 == 0:
                answer = slide.options[score % len(slide.options)] if slide.options else _OPINION
                self.slides = with_survey_answer(self.slides, slide, at, answer)


def past_record(
    ids: Ids,
    course: Course,
    start: datetime,
    done: Iterable[Lesson] = (),
    *,
    score: int = 90,
    touched: Iterable[Lesson] = (),
) -> Record:
    """Return the record of a user who started at a moment, completed some lessons and only tried others."""
    traces, at = _Traces(), start
    finished = list(done)
    for lesson in finished:
        at += _PACE
        traces.leave(ids, lesson, clock.to_text(at), score, done=True)
    for lesson in touched:
        at += _PACE
        traces.leave(ids, lesson, clock.to_text(at), score, done=False)
    record = Record(
        modified_at=at,
        opened_at=clock.to_text(start),
        completed_lessons=len(finished),
        progress_percent=round(100 * len(finished) / len(course.lessons), 2) if course.lessons else 0.0,
        score=score if finished else 0,
        time_spent_seconds=_LESSON_SECONDS * len(finished),
        lessons=tuple(traces.lessons),
        attempts=tuple(traces.attempts),
        submissions=tuple(traces.submissions),
        posts=tuple(traces.posts),
        hand_ins=tuple(traces.hand_ins),
        slides=traces.slides,
    )
    return record.completed(course, at) if finished and len(finished) == len(course.lessons) else record
