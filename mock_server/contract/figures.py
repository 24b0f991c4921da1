"""The shapes of analytics, all of them assumed: their paths are published and no more."""

from __future__ import annotations

from mock_server.wire.schema import (
    Schema,
    answer,
    choice,
    date_or_none,
    flag,
    many,
    numbered,
    percent,
    text,
    whole,
)
from mock_server.world.courses import SlideKind

_SCORE: Schema = {"type": "number", "minimum": 0}
_STANDING = {
    "totalUsers": whole(),
    "openedCount": whole(),
    "completedCount": whole(),
    "completionPercent": percent(),
    "averageScore": _SCORE,
}
_SLIDE = {
    "courseId": text(),
    "lessonId": text(),
    "slideId": text(),
    "slideTitle": text("Of a question or a survey, what is asked."),
    "slideType": choice(SlideKind),
}

FIGURES: dict[str, Schema] = {
    "CourseStatistics": answer("A", {"courseId": text(), "courseTitle": text(), **_STANDING}),
    "LessonProgress": answer(
        "A",
        {
            "courseId": text(),
            "lessonId": text(),
            "lessonTitle": text(),
            "opened": flag(),
            "openedDateTime": date_or_none(),
            "completed": flag(),
            "completedDateTime": date_or_none(),
            "percentageCompleted": percent(),
            "score": whole(),
        },
    ),
    "LessonAttempt": answer(
        "A",
        {
            "id": {"type": "string", "format": "uuid"},
            "userId": text(),
            "courseId": text(),
            "lessonId": text(),
            "startedDateTime": date_or_none(),
            "completedDateTime": date_or_none(),
            "score": whole(),
            "success": flag(),
        },
    ),
    "LessonStatistics": answer(
        "A", {"courseId": text(), "lessonId": text(), "lessonTitle": text(), **_STANDING}
    ),
    "LessonEvent": answer(
        "A",
        {
            "userId": text(),
            "courseId": text(),
            "lessonId": text(),
            "lessonTitle": text(),
            "eventType": choice(["opened", "completed"]),
            "eventDateTime": date_or_none(),
        },
    ),
    "SlideStatistics": answer(
        "A", {**_SLIDE, "viewedCount": whole(), "answeredCount": whole(), "correctCount": whole()}
    ),
    "UserSlide": answer(
        "A",
        {
            **_SLIDE,
            "viewed": flag(),
            "viewedDateTime": date_or_none(),
            "answered": flag(),
            "correct": flag("Whether a question was answered rightly."),
        },
    ),
    "SurveyQuestion": answer(
        "A",
        {
            "id": text(),
            "courseId": text(),
            "lessonId": text(),
            "question": text(),
            "answerType": choice(["text", "choice"]),
            "options": many(text(), "What there is to choose from; none for text."),
        },
    ),
    "SurveyAnswer": answer(
        "A",
        {
            "questionId": text(),
            "userId": text(),
            "courseId": text(),
            "lessonId": text(),
            "answer": text(),
            "answeredDateTime": date_or_none(),
        },
    ),
    "RapidRefreshAnswer": answer(
        "A",
        {
            "rapidRefreshId": text(),
            "questionId": text(),
            "userId": text(),
            "answer": text(),
            "correct": flag(),
            "answeredDateTime": date_or_none(),
        },
    ),
    "RapidRefreshAnswers": numbered("RapidRefreshAnswer", "A"),
    "CourseStatisticsPage": numbered("CourseStatistics", "A"),
    "LessonProgressPage": numbered("LessonProgress", "A"),
    "LessonAttempts": numbered("LessonAttempt", "A"),
    "LessonStatisticsPage": numbered("LessonStatistics", "A"),
    "LessonEvents": numbered("LessonEvent", "A"),
    "SlideStatisticsPage": numbered("SlideStatistics", "A"),
    "UserSlides": numbered("UserSlide", "A"),
    "SurveyQuestions": numbered("SurveyQuestion", "A"),
    "SurveyAnswers": numbered("SurveyAnswer", "A"),
}
