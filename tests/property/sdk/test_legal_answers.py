"""A documented answer, turned into each legal variant of itself, gives the same model."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from opponent.styles import FIELDS, dressed, style_of
from training_sdk import Course, CourseStatistics, LessonAttempt, LessonProgress, ProgressRow
from training_sdk._core import codec
from training_sdk.api.pagination import _Fed, _Numbered
from unit.sdk.fakes import answer

DATES = st.one_of(
    st.just(""),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    ),
    st.just("2026-01-01T00:00:00.5Z"),
)
FIGURES = st.sampled_from([0, 0.0, 12.5, 33, 100.0])
COUNTS = st.integers(0, 12)
NAMES = st.text(max_size=5)
IDS = st.text("abcdef0123456789", min_size=3, max_size=5).map(lambda text: f"x{text}")
STYLES = st.lists(st.sampled_from(list(FIELDS)), unique=True).map(style_of)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row of the feed; one that looks completed has the date of it."""
    row = {
        "course_id": draw(IDS),
        "user_id": draw(IDS),
        "opened_at": draw(DATES),
        "completed_at": draw(DATES),
        "total_lessons": 12,
        "completed_lessons": draw(COUNTS),
        "progress_percent": draw(FIGURES),
        "score": draw(FIGURES),
        "course_title": draw(NAMES),
        "user_email": draw(NAMES),
        "due_at": draw(DATES),
        "time_spent_seconds": draw(FIGURES),
    }
    if row["completed_lessons"] == 12 or row["progress_percent"] == 100:
        row["completed_at"] = row["completed_at"] or "2026-01-01T00:00:00.5Z"
    return row


LESSONS = st.fixed_dictionaries(
    {
        "courseId": IDS,
        "lessonId": IDS,
        "lessonTitle": NAMES,
        "opened": st.booleans(),
        "openedDateTime": DATES,
        "completed": st.booleans(),
        "completedDateTime": DATES,
        "percentageCompleted": FIGURES,
        "score": FIGURES,
    }
)
ATTEMPTS = st.fixed_dictionaries(
    {"id": IDS, "userId": IDS, "courseId": IDS, "lessonId": IDS, "startedDateTime": DATES, "score": FIGURES}
)
STATISTICS = st.fixed_dictionaries(
    {"courseId": IDS, "totalUsers": COUNTS, "completedCount": COUNTS, "averageScore": FIGURES}
)
COURSES = st.fixed_dictionaries(
    {"id": IDS, "title": NAMES, "duration": FIGURES, "isPublished": st.booleans(), "LessonCount": COUNTS}
)
ITEMS = {
    ProgressRow: rows(),
    LessonProgress: LESSONS,
    LessonAttempt: ATTEMPTS,
    CourseStatistics: STATISTICS,
    Course: COURSES,
}


@st.composite
def listings(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """One page of a listing, and what it is to be read as."""
    model = draw(st.sampled_from(list(ITEMS)))
    items = draw(st.lists(ITEMS[model], max_size=3))
    generic: Any = _Fed if model is ProgressRow else _Numbered
    if model is ProgressRow:
        return generic[model], {
            "metadata": {"next_page": draw(st.sampled_from([None, "", "/x"]))},
            "data": items,
        }
    return generic[model], {"totalCount": len(items), "items": items}


def meaning(value: Any) -> Any:
    """What is read, where nothing, zero and empty are one."""
    if attrs.has(type(value)):
        return {one.name: meaning(getattr(value, one.name)) for one in attrs.fields(type(value))}
    if isinstance(value, tuple):
        return [meaning(each) for each in value]
    return value or None


@given(listings(), STYLES)
def test_legal_variants_give_the_same_model(
    listing: tuple[Any, dict[str, Any]], style: frozenset[str]
) -> None:
    shape, document = listing
    plain = codec.structure(document, shape, answer())
    assert meaning(codec.structure(dressed(document, style), shape, answer())) == meaning(plain)
