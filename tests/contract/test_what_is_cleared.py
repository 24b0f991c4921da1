"""R12 to R17, R20, R21, R25: what a reset clears, and what it leaves alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from contract.acts import reset
from contract.everything import check_that_nothing_is_left_out, everything, ledgers
from contract.plant import (
    ARCHIVED,
    FORKLIFT,
    NOTIFIED,
    NOW,
    RECORDED,
    Plant,
    nothing_changes,
    state,
)
from contract.stage import Stage, confirming, reason, typed
from mock_server.mock import TokenName
from mock_server.world.clock import to_text
from training_sdk import Outcome, StalePlanError


def _texts(value: Any) -> Iterator[str]:
    """Every text in plain data that can be told from others: ids, dates, what people wrote."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "lesson_id":
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and value:
        yield value


def _past(plant: Plant, course: str, name: str) -> set[str]:
    """What is recorded of somebody in a course and nowhere else: ids, dates, words, certificates."""
    organisation = state(plant.mock)["organisations"][plant.mock.world.main.id]
    course_id, user_id = plant.courses[course], plant.id(name)
    recorded = [organisation["records"][course_id][user_id]]
    recorded += [
        {"number": each["number"], "issued_at": each["issued_at"]}
        for each in organisation["certificates"].get(f"{course_id}/{user_id}", [])
    ]
    own, all_there_is = Counter(_texts(recorded)), Counter(_texts(state(plant.mock)))
    return {text for text, times in own.items() if times == all_there_is[text]}


def test_R15_nobody_gets_the_past_from_any_endpoint(stage: Stage, plant: Plant) -> None:
    check_that_nothing_is_left_out()
    past = {name: _past(plant, FORKLIFT, name) for name in RECORDED}
    for name, texts in past.items():
        assert any(text.encode() in b"".join(everything(plant.mock, "admin").values()) for text in texts), (
            name
        )
    reset(stage, plant)
    tokens: tuple[TokenName, ...] = ("admin", "manager", "teamlead", "learner", "resetter", "outsider")
    for who in tokens:
        for asked, answer in everything(plant.mock, who).items():
            shown = {name: text for name in RECORDED for text in past[name] if text.encode() in answer}
            assert shown == {}, (who, asked)
    assert not any(text.encode() in ledgers(plant.mock) for texts in past.values() for text in texts)
    # Nor is it put aside anywhere in the world, from where a later endpoint could show it.
    kept = set(_texts(plant.mock.world.snapshot()))
    assert not any(texts & kept for texts in past.values())


def test_R16_nothing_else_is_touched(stage: Stage, plant: Plant) -> None:
    """The whole world afterwards is the one before with exactly what the rules say changed in it."""
    expected = state(plant.mock)
    main = expected["organisations"][plant.mock.world.main.id]
    course = plant.forklift
    for user_id in plant.ids("anna", "cleo"):
        del main["records"][course][user_id]
        main["certificates"].pop(f"{course}/{user_id}", None)
        main["reset_at"][course][user_id] = NOW.isoformat()
        main["enrolments"][course][user_id] |= {
            "modified_at": NOW.isoformat(),
            "due_at": to_text(NOW + timedelta(days=30)),
        }
    # ben, who has completed with 83, and dora, who has only opened it, are left.
    main["tallies"][course] |= {"opened": 2, "completed": 1, "recorded": 2, "score_sum": 83}
    reset(stage, plant, "anna", "cleo", "emil")
    found = state(plant.mock)
    told = [(message["user_id"], message["course_id"]) for message in found["outbox"]]
    assert told == [(user_id, course) for user_id in plant.ids("anna", "cleo")]
    assert len(found.pop("idempotency")) == 1
    assert found | {"outbox": []} == {name: part for name, part in expected.items() if name != "idempotency"}


def test_R21_nobody_without_progress_is_reset_told_or_counted(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan(plant.forklift, plant.ids("emil"))
    assert typed(plan).startswith('reset "Forklift basics" for 0 users #')
    with nothing_changes(plant.mock):
        report = client.resets.apply(plan, confirm=typed(plan))
        assert stage.reset(
            {"courseId": plant.forklift, "userIds": plant.ids("emil")}, confirming(FORKLIFT, 0)
        ).json() == {"usersUpdated": 0}
    assert report.is_complete
    assert report.counts[Outcome.NOTHING_TO_RESET] == 1
    reset(stage, plant)
    with nothing_changes(plant.mock):
        again = stage.reset({"courseId": plant.forklift, "allUsers": True}, confirming(FORKLIFT, 0))
    assert again.json() == {"usersUpdated": 0}
    assert len(plant.mock.outbox) == len(NOTIFIED)


def test_R25_everyone_by_one_call_of_the_server(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.courses[ARCHIVED])
    report = client.resets.apply(plan, confirm=typed(plan), server_side=True)
    (sent,) = stage.tap.resets
    assert sent.body == b'{"courseId":"%b","allUsers":true}' % plant.courses[ARCHIVED].encode()
    assert report.reset_count == 1


def test_R12_a_reset_is_atomic_even_when_the_last_check_fails(stage: Stage, plant: Plant) -> None:
    client = stage.client()
    plan = client.resets.plan_everyone(plant.forklift)
    plant.mock.world.complete_course(FORKLIFT, plant.id("dora"))
    with nothing_changes(plant.mock), pytest.raises(StalePlanError, match="Dora Müller"):
        client.resets.apply(plan, confirm=typed(plan))
    with nothing_changes(plant.mock):
        body = {"courseId": plant.forklift, "userIds": plant.ids(*RECORDED)}
        assert reason(stage.reset(body, confirming(FORKLIFT, 3))) == "CONFIRMATION_MISMATCH"
