"""What is saved and read back is the same in every respect, also where it is told apart by identity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from training_sdk import InvalidArgumentError, ResetPlan
from training_sdk.api.progress import ProgressState
from training_sdk.outcome import Code, Outcome
from training_sdk.plans.plan import parse_plan, plan_bytes
from training_sdk.reports import report_file
from unit.sdk.fakes import Organisation, row, untouched
from unit.sdk.resetting import apply, planned


def saved(folder: Path, plan: ResetPlan) -> ResetPlan:
    plan.save(folder / "plan.json")
    return ResetPlan.load(folder / "plan.json")


def test_a_plan_that_was_loaded_resets_the_same_people_and_no_others(tmp_path: Path) -> None:
    organisation = Organisation([row(1), untouched(2), row(3, completed_at="", progress_percent=40.0)])
    plan = planned(organisation)
    loaded = saved(tmp_path, plan)
    assert loaded == plan
    assert [user.state for user in loaded.users] == [user.state for user in plan.users]
    assert {type(user.state) for user in loaded.users} == {ProgressState}
    assert loaded.targets == plan.targets != plan.users
    assert (loaded.phrase, loaded.counts, loaded.losses) == (plan.phrase, plan.counts, plan.losses)
    assert str(loaded) == str(plan)
    assert apply(organisation, loaded).is_complete
    assert organisation.people_sent == [[user.user_id for user in plan.targets]]


def test_a_report_that_was_loaded_counts_as_the_one_that_was_saved(tmp_path: Path) -> None:
    organisation = Organisation([row(1), row(2), untouched(3)])
    plan = planned(organisation)
    organisation.rows[0]["score"] = 1
    report = apply(organisation, plan, tolerance=1)
    report_file.save(report, tmp_path)
    (tmp_path / report_file.PLAN).write_bytes(plan_bytes(plan))
    loaded = report_file.load(tmp_path)
    assert loaded == report
    assert loaded.counts == report.counts
    assert [loaded.counts[one] for one in (Outcome.RESET, Outcome.SKIPPED, Outcome.NOTHING_TO_RESET)] == [
        1
    ] * 3
    assert loaded.is_complete is report.is_complete is False
    assert {type(user.outcome) for user in loaded.users} == {Outcome}
    assert [user.code for user in loaded.users if user.code is Code.MOVED] == [Code.MOVED]


def test_a_report_of_an_older_version_holds_no_sent_ids(tmp_path: Path) -> None:
    organisation = Organisation([row(1)])
    plan = planned(organisation)
    report = apply(organisation, plan)
    assert len(report.sent_ids) == 1
    document = json.loads(report_file.dumps(report))
    assert document.pop("sent_ids") == list(report.sent_ids)
    (tmp_path / report_file.REPORT).write_text(json.dumps(document))
    (tmp_path / report_file.PLAN).write_bytes(plan_bytes(plan))
    assert report_file.load(tmp_path) == evolve(report, sent_ids=())


def test_a_plan_whose_phrase_was_edited_in_its_file_is_refused() -> None:
    plan = planned(Organisation([row(1), row(2)]))
    text = plan_bytes(plan).decode().replace("for 2 users", "for 1 user")
    with pytest.raises(InvalidArgumentError, match="its digest or its phrase no longer fits"):
        parse_plan(text.encode(), "plan.json")


def test_a_state_that_no_plan_knows_is_refused() -> None:
    text = plan_bytes(planned(Organisation([row(1)]))).decode().replace('"completed"', '"finished"', 1)
    with pytest.raises(InvalidArgumentError, match="finished"):
        parse_plan(text.encode(), "plan.json")


@pytest.mark.parametrize("twice", [True, False], ids=["a person twice", "a course that is not listed"])
def test_a_plan_of_impossible_shape_is_not_loaded_though_its_digest_fits(twice: bool) -> None:
    plan = planned(Organisation([row(1), row(2)]))
    more = plan.users[0] if twice else evolve(plan.users[0], course_id="another")
    content = plan_bytes(evolve(plan, users=(*plan.users, more)))
    with pytest.raises(
        InvalidArgumentError, match="a person twice" if twice else "of a course that it does not have"
    ):
        parse_plan(content, "plan.json")
