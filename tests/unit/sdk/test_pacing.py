"""The arithmetic of the pace: never over the limit, never for ever, whatever clocks and servers say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk._core.argument_checks import family_of
from training_sdk._core.flow import Moment
from training_sdk._core.text import fingerprint
from training_sdk.records import request_budget
from training_sdk.records.request_budget import PUBLISHED, Limits, Usage

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SMALL = Limits(catalogue=3, general=5, window=10.0, margin=1.0)
gaps = st.lists(st.floats(0, 15, allow_nan=False), min_size=1, max_size=60)


def moment(monotonic: float, wall: float) -> Moment:
    return Moment(monotonic, START + timedelta(seconds=wall))


def departures(pauses: list[float], limit: int) -> list[float]:
    """When requests go out that come in after these pauses, each waiting as it is told."""
    spent, now, gone = Usage(), 0.0, []
    for pause in pauses:
        now += pause
        spent, wait = request_budget.reserve(
            request_budget.aged(spent, pause, SMALL.period), limit, SMALL.period
        )
        gone.append(now + wait)
    return gone


@given(gaps, st.integers(1, 5))
def test_no_window_ever_holds_more_than_the_limit(pauses: list[float], limit: int) -> None:
    gone = departures(pauses, limit)
    for first in gone:
        assert sum(first <= one < first + SMALL.window for one in gone) <= limit


@given(gaps)
def test_requests_go_in_the_order_in_which_they_came(pauses: list[float]) -> None:
    gone = departures(pauses, 3)
    assert all(later - sooner > -1e-6 for sooner, later in pairwise(gone))


def test_up_to_the_limit_nobody_waits_and_then_until_the_first_is_a_window_old() -> None:
    assert departures([0, 1, 1, 1, 0, 0], 3) == [0, 1, 2, 11, 12, 13]


@given(gaps, st.integers(1, 5), st.floats(0, 20))
def test_reservations_are_plausible_and_expire_in_time(pauses: list[float], limit: int, later: float) -> None:
    spent = Usage()
    for pause in pauses:
        spent, _ = request_budget.reserve(
            request_budget.aged(spent, pause, SMALL.period), limit, SMALL.period
        )
        assert request_budget.plausible(spent, limit, SMALL.period)
    assert request_budget.plausible(request_budget.aged(spent, later, SMALL.period), limit, SMALL.period)
    assert request_budget.aged(spent, 10_000, SMALL.period) == Usage()


@pytest.mark.parametrize(
    "spent", [Usage((1e6,)), Usage((3.0, 1.0)), Usage((), 1e6), Usage((), -1.0), Usage((0.0, 23.0))]
)
def test_what_would_keep_everybody_waiting_is_not_plausible(spent: Usage) -> None:
    assert not request_budget.plausible(spent, 3, SMALL.period)


# --- clocks ----------------------------------------------------------------------------------------------------------


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_time_never_passes_backwards_or_faster_than_a_right_clock(mono: float, wall: float) -> None:
    passed = request_budget.elapsed(moment(0, 0), moment(mono, wall))
    sensible = [span for span in (mono, wall) if span >= 0]
    assert passed == min(sensible, default=0)


@pytest.mark.parametrize(
    ("mono", "wall", "passed"),
    [
        (5, 5, 5),
        (5, -3595, 5),  # set back by an hour: neither blocks nor frees
        (5, 3605, 5),  # set forward by an hour: frees nothing
        (-900, 30, 30),  # the machine was started again
        (-900, -30, 0),  # and its clock set back as well
    ],
)
def test_a_clock_that_jumps_costs_and_frees_nothing(mono: float, wall: float, passed: float) -> None:
    assert request_budget.elapsed(moment(0, 0), moment(mono, wall)) == passed


# --- what the server says --------------------------------------------------------------------------------------------

used = st.lists(st.floats(-10.9, 0), max_size=5).map(lambda times: Usage(tuple(sorted(times))))


@given(used, st.integers(0, 9), st.floats(0, 10))
def test_no_more_go_out_than_the_window_has_left(spent: Usage, remaining: int, reset: float) -> None:
    spent = request_budget.with_server_count(spent, SMALL, 5, remaining, reset)
    free = 0
    while True:
        spent, wait = request_budget.reserve(spent, 5, SMALL.period)
        if wait >= reset:
            break
        free += 1
    assert free <= remaining


@given(used, st.integers(0, 99), st.floats(0, 10))
def test_an_answer_frees_nothing(spent: Usage, remaining: int, reset: float) -> None:
    _, before = request_budget.reserve(spent, 5, SMALL.period)
    _, after = request_budget.reserve(
        request_budget.with_server_count(spent, SMALL, 5, remaining, reset), 5, SMALL.period
    )
    assert after >= before


@pytest.mark.parametrize(
    ("asked", "wait"), [(4.0, 5.0), (0.0, 1.0), (86_400.0, SMALL.period), (None, request_budget.SILENT)]
)
def test_a_refusal_stops_everybody_for_a_window_at_most(asked: float | None, wait: float) -> None:
    assert (
        request_budget.reserve(request_budget.with_refusal(Usage(), SMALL, asked), 5, SMALL.period)[1] == wait
    )


def test_of_two_refusals_the_longer_one_counts() -> None:
    assert (
        request_budget.with_refusal(request_budget.with_refusal(Usage(), SMALL, 6.0), SMALL, 2.0).closed
        == 7.0
    )


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/training/courses/v1", 200),
        ("/training/courses/v1/c/assignments", 200),
        ("/training/collections/v1", 200),
        ("/training/paths/v1/p", 200),
        ("/training/individualleaderboards/v1", 200),
        ("/training/rapid-refresh/v1", 200),
        ("/training/lessons/v1/l", 800),
        ("/training/v1/feed/training-course-progress", 800),
        ("/training/something-new/v1", 800),
        ("/accounts/user/v1/user:WhoAmI", 800),
        ("/training", 800),
        ("/", 800),
    ],
)
def test_a_request_of_ones_own_counts_by_its_path(path: str, limit: int) -> None:
    assert PUBLISHED.of(family_of(path)) == limit


def test_a_fingerprint_tells_tokens_apart_and_does_not_hold_them() -> None:
    assert fingerprint("secret-a") != fingerprint("secret-b")
    assert "secret" not in fingerprint("secret-a")
