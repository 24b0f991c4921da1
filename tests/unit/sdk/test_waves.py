"""Waves: the first moment that pause, hours, days and zone allow; also where clocks are changed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import InvalidArgumentError
from training_sdk._core.flow import Sleep
from training_sdk.resets.waves import EVERY_DAY, WEEKDAYS, Waves, wait_until
from unit.sdk.fakes import START, FakeDriver, answer

ZONES = (
    "Europe/Zurich",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/St_Johns",
    "UTC",
)
CHANGES = (
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2026, 4, 4, tzinfo=UTC),
)
OFFICE = Waves(50, every=timedelta(hours=1), between=(time(8), time(17)), days=WEEKDAYS, zone="Europe/Zurich")
MINUTE = timedelta(minutes=1)

quarter = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30, 45)))
hours = st.none() | st.tuples(quarter, quarter).filter(lambda pair: pair[0] != pair[1])
days = st.sets(st.sampled_from(EVERY_DAY), min_size=1)
near_changes = st.builds(
    lambda change, minutes: change + minutes * MINUTE, st.sampled_from(CHANGES), st.integers(-2880, 2880)
)
waves = st.builds(
    Waves,
    size=st.just(10),
    every=st.integers(0, 3000).map(lambda minutes: timedelta(minutes=minutes)),
    between=hours,
    days=days,
    zone=st.sampled_from(ZONES),
)


def shown(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def stands(plan: Waves, moment: datetime) -> bool:
    """What ``allows`` must say, told from the wall clock in words of its own."""
    local = shown(moment, plan.zone or "UTC")
    begin, end = plan.between or (time(0), time(0))
    evening = EVERY_DAY[local.weekday()] in plan.days
    morning_after = EVERY_DAY[(local - timedelta(days=1)).weekday()] in plan.days
    if begin == end:
        return evening
    if begin < end:
        return evening and begin <= local.time() < end
    return (evening and local.time() >= begin) or (morning_after and local.time() < end)


@given(waves, near_changes, st.none() | near_changes)
def test_the_next_wave_begins_after_the_pause(plan: Waves, now: datetime, last: datetime | None) -> None:
    start = plan.next_start(now, last)
    assert start >= now
    assert last is None or start >= last + plan.every
    assert stands(plan, start)
    assert start <= max(now, last + plan.every if last else now) + timedelta(days=15)


@given(waves, near_changes)
def test_no_minute_that_would_do_is_let_pass(plan: Waves, now: datetime) -> None:
    start = plan.next_start(now)
    minute = now
    while minute < start:
        assert not stands(plan, minute)
        minute += 5 * MINUTE


@given(waves, near_changes)
def test_what_may_begin_begins_at_once_and_asking_again_changes_nothing(plan: Waves, now: datetime) -> None:
    start = plan.next_start(now)
    assert plan.next_start(start) == start
    assert plan.allows(now) == (start == now)


@pytest.mark.parametrize(
    ("now", "last", "start"),
    [
        ("2026-11-27T09:00Z", None, "2026-11-27T09:00Z"),  # a Friday, within
        ("2026-11-27T09:00Z", "2026-11-27T08:30Z", "2026-11-27T09:30Z"),  # the pause
        ("2026-11-27T16:00Z", None, "2026-11-30T07:00Z"),  # 17:00 is excluded; over the week end
        ("2026-11-27T15:30Z", "2026-11-27T15:30Z", "2026-11-30T07:00Z"),
        ("2026-03-27T16:00Z", None, "2026-03-30T06:00Z"),  # summer time began on the Sunday between
        ("2026-10-23T15:00Z", None, "2026-10-26T07:00Z"),  # and ended
    ],
)
def test_office_hours(now: str, last: str | None, start: str) -> None:
    read = datetime.fromisoformat
    assert OFFICE.next_start(read(now), read(last) if last else None) == read(start)


def test_an_hour_that_the_clock_jumps_over_begins_with_the_jump() -> None:
    plan = Waves(1, between=(time(2, 15), time(4)), zone="Europe/Zurich")
    start = plan.next_start(datetime(2026, 3, 29, 0, 30, tzinfo=UTC))
    assert (start, shown(start, "Europe/Zurich").time()) == (datetime(2026, 3, 29, 1, tzinfo=UTC), time(3))


def test_an_hour_that_comes_twice_is_used_twice_and_nothing_between() -> None:
    plan = Waves(1, between=(time(1), time(2, 30)), zone="Europe/Zurich")
    before_the_change = datetime(2026, 10, 25, 0, 40, tzinfo=UTC)  # 02:40 in summer time
    assert plan.next_start(before_the_change) == datetime(2026, 10, 25, 1, tzinfo=UTC)  # 02:00 again


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    plan = Waves(1, between=(time(22), time(6)), days=("fri",), zone="UTC")
    assert plan.allows(datetime(2026, 11, 28, 5, 59, tzinfo=UTC))
    assert plan.next_start(datetime(2026, 11, 28, 6, tzinfo=UTC)) == datetime(2026, 12, 4, 22, tzinfo=UTC)


def test_a_day_that_a_country_left_out_is_no_obstacle() -> None:
    plan = Waves(1, days=("fri",), zone="Pacific/Apia")  # there was no Friday 30 December 2011 in Samoa
    start = plan.next_start(datetime(2011, 12, 30, 12, tzinfo=UTC))
    assert shown(start, "Pacific/Apia") == datetime(2012, 1, 6)


def test_without_hours_and_days_only_the_pause_counts() -> None:
    plan = Waves(100, every=timedelta(minutes=10))
    assert plan.next_start(START) == START
    assert plan.next_start(START, START) == START + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"size": 0}, "size"),
        ({"size": 1, "zone": ZoneInfo("Europe/Zurich")}, "zone must be a name"),
        ({"size": True}, "size"),
        ({"size": 2.5}, "size"),
        ({"every": 60}, "every"),
        ({"every": timedelta(seconds=-1)}, "every"),
        ({"between": (8, 17), "zone": "UTC"}, "between"),
        ({"between": (time(8),), "zone": "UTC"}, "between"),
        ({"between": (time(8), time(8)), "zone": "UTC"}, "between"),
        ({"between": (time(8, tzinfo=UTC), time(9)), "zone": "UTC"}, "between"),
        ({"between": (time(8), time(17))}, "zone"),
        ({"days": WEEKDAYS}, "zone"),
        ({"days": (), "zone": "UTC"}, "days"),
        ({"days": "mon", "zone": "UTC"}, "days"),
        ({"days": ("Monday",), "zone": "UTC"}, "days"),
        ({"zone": "Europe/Atlantis"}, "zone"),
        ({"zone": "../etc/passwd"}, "zone"),
        ({"zone": 1}, "zone"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        Waves(**{"size": 10, **wrong})


@pytest.mark.parametrize("times", [(datetime(2026, 1, 1),), (START, datetime(2026, 1, 1))])
def test_times_must_name_their_zone(times: tuple[datetime, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="zone"):
        OFFICE.next_start(*times)


def test_waves_are_values() -> None:
    again: Waves = pickle.loads(pickle.dumps(OFFICE))
    assert (again, hash(again)) == (OFFICE, hash(OFFICE))
    assert again.next_start(START) == OFFICE.next_start(START)


# --- waiting for it --------------------------------------------------------------------------------------------------


def waited(hours: float, **options: Any) -> list[Sleep]:
    puppet = FakeDriver(lambda request: answer())
    puppet.run(wait_until(START + timedelta(hours=hours), "the next wave", **options))
    return puppet.slept


@given(st.floats(-5, 100))
def test_waiting_ends_at_the_moment_and_looks_up_every_hour(hours: float) -> None:
    slept = waited(hours)
    assert all(0 < sleep.seconds <= 3600 for sleep in slept)
    assert sum(sleep.seconds for sleep in slept) == pytest.approx(max(0, hours) * 3600, abs=0.01)
    assert [sleep.why for sleep in slept] == ["the next wave", *[""] * (len(slept) - 1)][: len(slept)], (
        "said once"
    )
    assert all(sleep.planned for sleep in slept)


def test_it_looks_up_more_often_if_asked_and_never_less() -> None:
    assert [sleep.seconds for sleep in waited(0.5, at_most=1000)] == [1000, 800]
    assert max(sleep.seconds for sleep in waited(3, at_most=1e9)) == 3600


def test_a_clock_that_is_set_meanwhile_is_heeded() -> None:
    def set_forward(sleep: Sleep) -> None:
        puppet.clock += 7200

    puppet = FakeDriver(lambda request: answer(), on_sleep=set_forward)
    puppet.run(wait_until(START + timedelta(hours=3), "the next wave"))
    assert [sleep.seconds for sleep in puppet.slept] == [3600]
