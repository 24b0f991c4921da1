"""R11: an answer that is lost or unusable leaves the outcome unknown, is never asked for again, and is read back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Literal

import pytest

from contract.conftest import EVERY_PAIR
from contract.meddling import (
    bad_gateway,
    empty,
    html_page,
    miscounted,
    only_marked,
    redirect,
    truncated,
    unmarked,
)
from contract.plant import Plant
from contract.stage import RESET, Cut, Handle, Stage, typed
from mock_server.wire.answers import marks
from mock_server.wire.message import Request, Response
from training_sdk import (
    Outcome,
    OutcomeUnknownError,
    ResetPlan,
    ResetReport,
    TrainingClient,
)
from training_sdk.resets import reset_request

PAIRS = EVERY_PAIR


def _cut(when: Literal["before", "after"]) -> Cut:
    """A line that breaks at the second reset."""
    resets = count(1)
    return lambda request: when if request.url.path == RESET and next(resets) == 2 else None


def _accounted_for(report: ResetReport | None, plan: ResetPlan, **expected: set[str]) -> None:
    """Everyone in the plan has exactly one outcome, and these have these."""
    assert report is not None
    assert [user.user_id for user in report.users] == [user.user_id for user in plan.users]
    for outcome in Outcome:
        found = {user.user_id for user in report.users if user.outcome is outcome}
        assert found == expected.get(outcome.name.lower(), set()), outcome
    assert not report.is_complete


def _reset_in_truth(client: TrainingClient, course_id: str) -> set[str]:
    return {row.user_id for row in client.progress.list(course_id=course_id) if not row.has_recorded_progress}


@pytest.mark.parametrize("when", ["before", "after"])
def test_R11_a_lost_answer_is_an_unknown_outcome_and_is_settled_by_reading_back(
    stage: Stage, plant: Plant, monkeypatch: pytest.MonkeyPatch, when: Literal["before", "after"]
) -> None:
    monkeypatch.setattr(reset_request, "MOST_PER_REQUEST", 1)
    client = stage.client(cut=_cut(when))
    plan = client.resets.plan_everyone(plant.forklift)
    first, second, *rest = [user.user_id for user in plan.targets]
    with pytest.raises(OutcomeUnknownError, match="Read the progress back") as lost:
        client.resets.apply(plan, confirm=typed(plan))
    _accounted_for(
        lost.value.report,
        plan,
        reset={first},
        unknown={second},
        skipped=set(rest),
        nothing_to_reset=set(plant.ids("emil")),
    )
    assert len(stage.tap.resets) == (1 if when == "before" else 2), "it is never sent again"
    done = {first} if when == "before" else {first, second}
    assert _reset_in_truth(client, plant.forklift) == done | set(plant.ids("emil"))


@pytest.mark.parametrize(
    "answer",
    [bad_gateway, html_page, truncated, empty, miscounted, redirect, unmarked, only_marked],
    ids=lambda f: f.__name__,
)
def test_R11_an_answer_that_says_nothing_usable_is_an_unknown_outcome(
    stage: Stage, plant: Plant, answer: Callable[[Request, Handle], Response]
) -> None:
    client = stage.client(max_retry_seconds=0)
    plan = client.resets.plan(plant.forklift, plant.ids("anna", "emil"))
    stage.tap.meddle = lambda request, handle: (
        answer(request, handle) if request.path == RESET else handle(request)
    )
    with pytest.raises(OutcomeUnknownError) as unknown:
        client.resets.apply(plan, confirm=typed(plan))
    _accounted_for(
        unknown.value.report, plan, unknown=set(plant.ids("anna")), nothing_to_reset=set(plant.ids("emil"))
    )
    assert len(stage.tap.resets) == 1
    assert plant.id("anna") in _reset_in_truth(client, plant.forklift)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 501])
@pytest.mark.parametrize("header", [(), (("x-training-mock", "1"),)], ids=["unmarked", "only marked"])
def test_R11_a_refusal_without_the_identity_is_an_unknown_outcome(
    stage: Stage, plant: Plant, status: int, header: tuple[tuple[str, str], ...]
) -> None:
    def refused_by_another(request: Request, handle: Handle) -> Response:
        return Response(status, header) if request.path == RESET else handle(request)

    client = stage.client()
    plan = client.resets.plan(plant.forklift, plant.ids("anna"))
    stage.tap.meddle = refused_by_another
    with pytest.raises(OutcomeUnknownError, match="cannot be trusted") as unknown:
        client.resets.apply(plan, confirm=typed(plan))
    assert ("a gateway adds the header" in unknown.value.message) == bool(header)
    _accounted_for(unknown.value.report, plan, unknown=set(plant.ids("anna")))
    assert len(stage.tap.resets) == 1


def test_R11_a_reset_that_was_turned_away_unread_is_sent_again(stage: Stage, plant: Plant) -> None:
    def busy_at_first(request: Request, handle: Handle) -> Response:
        if request.path == RESET and len(stage.tap.resets) < 2:
            return Response(429, (*marks(request), ("retry-after", "0")))
        return handle(request)

    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    stage.tap.meddle = busy_at_first
    assert client.resets.apply(plan, confirm=typed(plan)).reset_count == 4
    assert len(stage.tap.resets) == 2
    assert len({request.header("idempotency-key") for request in stage.tap.resets}) == 1
