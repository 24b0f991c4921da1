"""From the list of who is due to a plan: a renewal that came in between is never cleared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from mock_server import MockTraining
from training_sdk import InvalidArgumentError, TrainingClient
from training_sdk.outcome import Code, Outcome
from training_sdk.recertification import Due, FromCompletion, who_is_due

COURSE = "6908610029087ab67fa50c2e"


@pytest.fixture
def client(mock: MockTraining) -> Iterator[TrainingClient]:
    with (
        httpx.Client(transport=mock.transport()) as http,
        TrainingClient(mock.token("admin"), http_client=http) as one,
    ):
        yield one


def found(client: TrainingClient, mock: MockTraining) -> Due:
    return found_on(client, mock.clock.now())


def found_on(client: TrainingClient, on: date, zone: str = "UTC") -> Due:
    due = who_is_due(client.progress.list(course_id=COURSE), FromCompletion(days=1), on=on, zone=zone)
    assert len(due.due) > 1
    return due


def renew(client: TrainingClient, mock: MockTraining, user_id: str) -> None:
    plan = client.resets.plan(COURSE, [user_id])
    client.resets.apply(plan, confirm=plan.phrase)
    mock.clock.advance(timedelta(hours=1))
    mock.world.complete_course(COURSE, user_id)


def test_people_who_renewed_are_planned_and_not_reset(client: TrainingClient, mock: MockTraining) -> None:
    due = found(client, mock)
    who = due.due[0].user_id
    renew(client, mock, who)
    before = {row.user_id: row for row in client.progress.list(course_id=COURSE)}[who]
    plan = client.resets.plan_due(due)
    assert {user.user_id: user.left_out for user in plan.users} == {
        case.user_id: "RENEWED" if case.user_id == who else None for case in due.due
    }
    assert who not in {user.user_id for user in plan.targets}
    assert plan.selection == "still due"
    assert any(
        warning.startswith("1 person in the list of due people no longer has") for warning in plan.warnings
    )
    report = client.resets.apply(plan, confirm=plan.phrase)
    outcomes = {one.user_id: (one.outcome, one.code, one.detail) for one in report.users}
    assert outcomes.pop(who) == (Outcome.SKIPPED, Code.LEFT_OUT, "left out: still due only")
    assert {outcome for outcome, _, _ in outcomes.values()} == {Outcome.RESET}
    assert {row.user_id: row for row in client.progress.list(course_id=COURSE)}[who] == before


def test_people_reset_since_are_left_out_as_well(client: TrainingClient, mock: MockTraining) -> None:
    due = found(client, mock)
    who = due.due[0].user_id
    once = client.resets.plan(COURSE, [who])
    client.resets.apply(once, confirm=once.phrase)
    mock.world.open(COURSE, who)
    plan = client.resets.plan_due(due)
    assert [user.user_id for user in plan.users if user.left_out == "RENEWED"] == [who]


def test_if_all_have_renewed_no_plan_is_made(client: TrainingClient, mock: MockTraining) -> None:
    due = found(client, mock)
    for case in due.due:
        renew(client, mock, case.user_id)
    with pytest.raises(
        InvalidArgumentError, match="still due in 'Forklift basics', so there is nothing to plan"
    ):
        client.resets.plan_due(due)


def test_without_renewals_all_are_targets(client: TrainingClient, mock: MockTraining, tmp_path: Path) -> None:
    due = found(client, mock)
    plan = client.resets.plan_due(due)
    assert [user.user_id for user in plan.targets] == [case.user_id for case in due.due]
    assert not any("found due" in warning for warning in plan.warnings)
    plan.save(tmp_path / "plan.json")
    assert type(plan).load(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("days", [1, 400])
def test_no_plan_is_made_of_a_future_list(client: TrainingClient, mock: MockTraining, days: int) -> None:
    mock.clock.freeze(datetime(2031, 1, 10, 9, tzinfo=UTC))
    later = found_on(client, date(2031, 1, 10) + timedelta(days=days))
    asked = len(mock.calls)
    with pytest.raises(InvalidArgumentError, match="today is 2031-01-10 in UTC"):
        client.resets.plan_due(later)
    assert [call.operation for call in [*mock.calls][asked:]] == ["WhoAmI"]


def test_today_is_the_day_in_the_zone_of_the_list(client: TrainingClient, mock: MockTraining) -> None:
    mock.clock.freeze(datetime(2031, 1, 10, 12, tzinfo=UTC))
    tomorrow = date(2031, 1, 11)
    client.resets.plan_due(found_on(client, tomorrow, "Pacific/Kiritimati"))
    client.resets.plan_due(found_on(client, date(2031, 1, 2), "Pacific/Pago_Pago"))
    with pytest.raises(InvalidArgumentError, match="today is 2031-01-10 in Pacific/Pago_Pago"):
        client.resets.plan_due(found_on(client, tomorrow, "Pacific/Pago_Pago"))


@pytest.mark.parametrize("header", [None, "yesterday", f"Mon, 01 Jan {'9' * 11} 00:00:00 GMT"])
def test_without_a_service_time_the_local_clock_counts(mock: MockTraining, header: str | None) -> None:
    class Timeless(httpx.BaseTransport):
        inner = mock.transport()

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = self.inner.handle_request(request)
            del answer.headers["date"]
            if header is not None:
                answer.headers["date"] = header
            return answer

    mock.clock.freeze(datetime(2031, 1, 10, 9, tzinfo=UTC))
    with httpx.Client(transport=Timeless()) as http:
        client = TrainingClient(mock.token("admin"), http_client=http)
        due = found_on(client, date(2031, 1, 10))
        with pytest.raises(InvalidArgumentError, match="a list for a later day cannot become a plan"):
            client.resets.plan_due(due)
        client.resets.plan_due(found_on(client, datetime.now(UTC).date()))
