"""Criteria on the feed's rows: strict bounds, days of a zone, and nobody who lacks the value."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from training_sdk import InvalidArgumentError, ProgressRow, Where
from training_sdk._core.codec import structure_value
from unit.sdk.fakes import CLEARED, row

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def standing(**facts: Any) -> ProgressRow:
    dated = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in facts.items()
    }
    return structure_value(row(1, **dated), ProgressRow)


@pytest.mark.parametrize(
    ("when", "before", "after"),
    [(NEW_YEAR - TICK, True, False), (NEW_YEAR, False, False), (NEW_YEAR + TICK, False, True)],
)
def test_before_and_after_are_strict(when: datetime, before: bool, after: bool) -> None:
    completed = standing(completed_at=when)
    assert Where(completed_before=NEW_YEAR).matches(completed) is before
    assert Where(completed_after=NEW_YEAR).matches(completed) is after
    assert Where(due_before=NEW_YEAR).matches(standing(due_at=when)) is before


def test_a_date_is_a_day_of_its_zone() -> None:
    day = date(2025, 1, 1)
    midnight = datetime(2024, 12, 31, 23, tzinfo=UTC)  # in Berlin
    for zone in ("Europe/Berlin", ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=1))):
        before, after = Where(completed_before=day, zone=zone), Where(completed_after=day, zone=zone)
        for when, is_before, is_after in (
            (midnight - TICK, True, False),
            (midnight, False, False),
            (midnight + timedelta(days=1) - TICK, False, False),
            (midnight + timedelta(days=1), False, True),
        ):
            assert before.matches(standing(completed_at=when)) is is_before
            assert after.matches(standing(completed_at=when)) is is_after


def test_a_day_of_23_hours_ends_when_it_ends() -> None:
    after = Where(completed_after=date(2025, 3, 30), zone="Europe/Berlin")
    ends = datetime(2025, 3, 30, 22, tzinfo=UTC)
    assert not after.matches(standing(completed_at=ends - TICK))
    assert after.matches(standing(completed_at=ends))


def test_scores_are_strictly_below() -> None:
    below = Where(score_below=80)
    assert [below.matches(standing(score=score)) for score in (0, 79, 80, 100)] == [True, True, False, False]
    assert not below.matches(standing(score=None))


def test_states() -> None:
    done, begun = standing(), standing(completed_at="", progress_percent=50.0)
    assert [Where(state="completed").matches(one) for one in (done, begun)] == [True, False]
    assert [Where(state="in progress").matches(one) for one in (done, begun)] == [False, True]


ALL = [
    Where(completed_before=NEW_YEAR),
    Where(completed_after=NEW_YEAR),
    Where(score_below=80),
    Where(due_before=NEW_YEAR),
    Where(state="completed"),
    Where(state="in progress"),
]


@pytest.mark.parametrize("where", ALL, ids=str)
def test_who_lacks_the_value_or_all_progress_is_never_chosen(where: Where) -> None:
    assert not where.matches(standing(**CLEARED, due_at="2020-01-01T00:00:00Z"))
    if where.state is None:
        begun = {"completed_at": "", "score": None, "due_at": ""}
        assert not where.matches(standing(**begun))


def test_every_criterion_has_to_hold() -> None:
    both = Where(completed_before=NEW_YEAR, score_below=80)
    early, late = NEW_YEAR - TICK, NEW_YEAR
    assert both.matches(standing(completed_at=early, score=79))
    assert not both.matches(standing(completed_at=late, score=79))
    assert not both.matches(standing(completed_at=early, score=80))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"zone": "UTC"},
        {"completed_before": datetime(2025, 1, 1)},
        {"completed_before": date(2025, 1, 1)},
        {"completed_before": "2025-01-01"},
        {"completed_before": NEW_YEAR, "zone": "UTC"},
        {"completed_before": date(2025, 1, 1), "zone": "Mars/Olympus"},
        {"completed_before": date(2025, 1, 1), "zone": "../etc"},
        {"completed_before": date(2025, 1, 1), "zone": "Europe"},
        {"completed_before": date(2025, 1, 1), "zone": ""},
        {"completed_after": date.max, "zone": "UTC"},
        {"due_before": date.min, "zone": "Asia/Tokyo"},
        {"completed_after": NEW_YEAR, "completed_before": NEW_YEAR},
        {"completed_after": date(2025, 1, 1), "completed_before": date(2025, 1, 2), "zone": "UTC"},
        {"completed_before": NEW_YEAR, "state": "in progress"},
        {"state": "not started"},
        {"state": True},
        {"score_below": 0},
        {"score_below": 101},
        {"score_below": True},
        {"score_below": "80"},
        {"score_below": float("nan")},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        Where(**wrong)


def test_it_reads_as_a_sentence() -> None:
    assert str(Where(completed_before=date(2025, 1, 1), zone="UTC", score_below=80.0)) == (
        "completed before 2025-01-01 UTC, score below 80"
    )
    assert str(Where(state="completed", due_before=NEW_YEAR, score_below=62.5)) == (
        "completed, score below 62.5, due before 2025-01-01 00:00:00+00:00"
    )


def test_it_is_plain_frozen_data() -> None:
    where = Where(completed_before=date(2025, 1, 1), zone="Europe/Berlin")
    again = pickle.loads(pickle.dumps(where))
    assert again == where
    assert hash(again) == hash(where)
    assert again.matches(standing(completed_at=NEW_YEAR - timedelta(days=9)))
