"""Judging from rows: whatever learners do meanwhile, a reset that never arrived is not said to have taken effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from attrs import define, field
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training_sdk.api.analytics import LessonProgress
from training_sdk.api.progress import ProgressRow
from training_sdk.plans.outline import FIELDS, OLD_FIELDS
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.reset_effect import (
    EffectRules,
    KeptFields,
    LessonsState,
    RowState,
    ask_lessons,
    has_lost,
    lessons_tell,
)
from training_sdk.records.journal import Since
from training_sdk.records.journal_state import APPLIED, NOT_APPLIED
from training_sdk.resets.resume import VERDICTS
from training_sdk.resets.verification_result import VerificationState, judge
from unit.sdk.fakes import CALLS, FakeDriver, answer

LESSONS = 4
SENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH, HOUR = timedelta(days=30), timedelta(hours=1)

Opening = Literal["first", "last"]
"""What a service shows as ``opened_at``."""
Act = Literal["look", "learn", "complete"]
ACTS = st.sampled_from(["look", "learn", "complete"])


@define
class Learner:
    """One person in one course, who never does again what is done."""

    opening: Opening
    opened_at: datetime | None = None
    completed_at: datetime | None = None
    lessons: int = 0
    score: int = field(default=0)

    def act(self, act: Act, at: datetime) -> None:
        if self.opened_at is None or self.opening == "last":
            self.opened_at = at
        if act != "look" and self.completed_at is None:
            self.lessons = LESSONS if act == "complete" else self.lessons + 1
            self.score = 20 * self.lessons
            self.completed_at = at if self.lessons == LESSONS else None

    def reset(self, keeps: tuple[str, ...] = ()) -> None:
        kept = {name: getattr(self, name) for name in keeps}
        self.opened_at, self.completed_at, self.lessons, self.score = None, None, 0, 0
        for name, value in kept.items():
            setattr(self, name, value)

    @property
    def row(self) -> ProgressRow:
        percent = 100 * self.lessons / LESSONS
        return ProgressRow(
            "c", "u", self.opened_at, self.completed_at, self.lessons, percent, score=self.score
        )


@define
class Story:
    """What somebody did before and after a request that took effect or did not."""

    opening: Opening
    before: list[Act]
    after: list[Act]
    took_effect: bool
    keeps: tuple[str, ...] = ()

    def play(self) -> tuple[PlannedReset, ProgressRow]:
        learner = Learner(self.opening)
        for number, act in enumerate(self.before):
            learner.act(act, SENT - MONTH + number * HOUR)
        planned = PlannedReset.of(learner.row)
        if self.took_effect:
            learner.reset(self.keeps)
        for number, act in enumerate(self.after, 1):
            learner.act(act, SENT + number * HOUR)
        return planned, learner.row


STORIES = st.builds(
    Story,
    st.sampled_from(["first", "last"]),
    st.lists(ACTS, min_size=1, max_size=4),
    st.lists(ACTS, max_size=4),
    st.booleans(),
)


@given(story=STORIES, fields=st.sampled_from([PlannedReset.STANDING, FIELDS, OLD_FIELDS]))
@settings(max_examples=300)
def test_no_verdict_is_wrong_whatever_the_opening_date_means(story: Story, fields: tuple[str, ...]) -> None:
    planned, row = story.play()
    row_state = EffectRules(fields).row_state(planned, row, SENT)
    verdict = VERDICTS.get(row_state)
    assert verdict != APPLIED or story.took_effect
    assert verdict != NOT_APPLIED or not story.took_effect
    state, _ = judge(row_state, row, is_settled=True)
    assert state is not VerificationState.CONTRADICTED or not story.took_effect
    if row_state is not RowState.COMPLETED_SINCE or story.opening == "first":
        assert state is not VerificationState.VERIFIED or story.took_effect


@given(
    story=STORIES,
    fields=st.sampled_from([PlannedReset.STANDING, FIELDS, OLD_FIELDS]),
    keeps=st.sampled_from([("score",), ("opened_at",), ("score", "opened_at")]),
    vanishes=st.booleans(),
)
@settings(max_examples=300)
def test_no_verdict_is_wrong_where_a_service_keeps_something(
    story: Story, fields: tuple[str, ...], keeps: tuple[str, ...], vanishes: bool
) -> None:
    story.keeps = keeps
    planned, row = story.play()
    kept_fields = KeptFields(keeps, row_vanishes=vanishes)
    shown = None if vanishes and not kept_fields.without(row).has_recorded_progress else row
    assume(kept_fields.without(planned_row(planned)).has_recorded_progress)
    row_state = EffectRules(fields, kept_fields=kept_fields).row_state(planned, shown, SENT)
    verdict = VERDICTS.get(row_state)
    assert verdict != APPLIED or story.took_effect
    assert verdict != NOT_APPLIED or not story.took_effect
    if story.took_effect and not story.after:
        assert verdict == APPLIED
    state, _ = judge(row_state, row, is_settled=True)
    assert state is not VerificationState.CONTRADICTED or not story.took_effect


def planned_row(planned: PlannedReset) -> ProgressRow:
    return ProgressRow(
        "c",
        "u",
        planned.opened_at,
        planned.completed_at,
        planned.completed_lessons,
        planned.percent,
        score=planned.score,
    )


@pytest.mark.parametrize(
    ("had", "counted", "minutes", "old"),
    [
        (2, 2, [60, 120], LessonsState.GONE),
        (2, 2, [-60, 120], LessonsState.SOME_LEFT),
        (2, 2, [-60, None], LessonsState.SOME_LEFT),
        (2, 2, [-60, -120], LessonsState.ALL_LEFT),
        (2, 2, [120], LessonsState.UNKNOWN),  # one is not listed, and may be the old one
        (2, 1, [120], LessonsState.GONE),
        (2, 2, [120, None], LessonsState.UNKNOWN),
        (2, 2, [120, -2], LessonsState.UNKNOWN),  # the clocks may differ
        (2, 2, [120, 2], LessonsState.UNKNOWN),
        (2, 2, [120, 6], LessonsState.GONE),
        (2, 1, [-2], LessonsState.UNKNOWN),
        (2, 1, [-6], LessonsState.ALL_LEFT),
        (2, 0, [], LessonsState.UNKNOWN),
        (0, 2, [60, 120], LessonsState.UNKNOWN),  # nothing was there that could be gone
        (0, 2, [-60, 120], LessonsState.SOME_LEFT),
    ],
)
def test_when_lessons_tell(had: int, counted: int, minutes: list[int | None], old: LessonsState) -> None:
    planned = PlannedReset.of(ProgressRow("c", "u", SENT - MONTH, None, had, 25.0 * had))
    row = ProgressRow("c", "u", SENT + HOUR, None, counted, 25.0 * counted)
    lessons = [
        LessonProgress(
            "c",
            f"l{number}",
            opened_date_time=SENT - MONTH,
            completed=True,
            completed_date_time=None if one is None else SENT + timedelta(minutes=one),
        )
        for number, one in enumerate(minutes)
    ]
    assert lessons_tell(planned, row, lessons, Since(SENT, SENT)) is old


def test_lessons_between_two_requests_are_neither_old_nor_new() -> None:
    planned = PlannedReset.of(ProgressRow("c", "u", SENT - MONTH, None, 1, 25.0))
    lesson = LessonProgress("c", "l", completed=True, completed_date_time=SENT + HOUR)
    row = ProgressRow("c", "u", SENT - MONTH, None, 1, 25.0)
    assert lessons_tell(planned, row, [lesson], Since(SENT, SENT + 2 * HOUR)) is LessonsState.UNKNOWN
    assert lessons_tell(planned, row, [lesson], Since(SENT, SENT)) is LessonsState.GONE


def test_only_known_fields_are_ever_disregarded() -> None:
    with pytest.raises(ValueError, match="'completed_at'"):
        KeptFields(("score", "completed_at"))
    assert KeptFields(("opened_at",)).joined(KeptFields(("score",), row_vanishes=True)) == KeptFields(
        ("score", "opened_at"), row_vanishes=True
    )


@given(story=STORIES)
def test_where_only_a_reset_takes_the_opening_away_everybody_is_settled(story: Story) -> None:
    story.opening = "first"
    planned, row = story.play()
    row_state = EffectRules(opening_is_first=True).row_state(planned, row, SENT)
    assert (VERDICTS.get(row_state) == APPLIED) == story.took_effect
    assert (row_state is RowState.STILL_THERE or VERDICTS.get(row_state) == NOT_APPLIED) != story.took_effect


@given(story=STORIES)
def test_opening_alone_settles_by_nothing_recorded_only(story: Story) -> None:
    story.before = ["look"]
    planned, row = story.play()
    verdict = VERDICTS.get(EffectRules().row_state(planned, row, SENT))
    assert (verdict == APPLIED) == (not row.has_recorded_progress)


@given(story=STORIES)
def test_whoever_was_not_reset_has_lost_nothing(story: Story) -> None:
    story.took_effect = False
    planned, row = story.play()
    assert not has_lost(planned, row)


@given(story=STORIES)
def test_whoever_was_reset_and_has_less_has_lost_it(story: Story) -> None:
    story.took_effect = True
    planned, row = story.play()
    less = row.completed_lessons < planned.completed_lessons or not row.has_recorded_progress
    assert has_lost(planned, row) or not less


@pytest.mark.parametrize("minutes", [-60, 60])
def test_what_was_opened_before_the_request_is_no_proof_of_it(minutes: int) -> None:
    """Somebody was reset elsewhere and began again before this request, which would have taken that away."""
    learner = Learner("first")
    learner.act("complete", SENT - MONTH)
    planned = PlannedReset.of(learner.row)
    learner.reset()
    learner.act("learn", SENT + timedelta(minutes=minutes))
    row_state = EffectRules().row_state(planned, learner.row, SENT)
    assert row_state is (RowState.UNCLEAR if minutes < 0 else RowState.RETRAINED)


def test_without_a_row_nothing_is_known() -> None:
    planned, _ = Story("first", ["complete"], [], False).play()
    assert VERDICTS.get(EffectRules().row_state(planned, None, SENT)) is None


def test_a_listing_of_lessons_that_is_not_whole_tells_nothing() -> None:
    planned = PlannedReset.of(ProgressRow("c", "u", None, None, 2, 50.0))
    row = ProgressRow("c", "u", None, None, 2, 50.0)
    puppet = FakeDriver(lambda _: answer({"totalCount": 3, "items": []}))
    told = puppet.run(ask_lessons(CALLS, planned, row, Since(SENT, SENT)))
    assert told is LessonsState.UNKNOWN
