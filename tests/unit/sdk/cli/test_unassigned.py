"""People who are in only some of the courses of a plan, and people who were named wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_server import MockTraining
from training_sdk import InvalidArgumentError, NotFoundError, TrainingClient
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.plans.plan import ResetPlan
from unit.sdk.cli.conftest import Run

COURSE = "6908610029087ab67fa50c2e"


def two_courses(client: TrainingClient) -> tuple[str, str, str]:
    """A course, somebody who is in it and not in the other, and the other."""
    people = {row.user_id for row in client.progress.list(course_id=COURSE) if row.completed_at}
    for course in client.courses.list():
        there = {row.user_id for row in client.progress.list(course_id=course.id)}
        if there & people and people - there:
            return course.id, min(people - there), min(people & there)
    raise AssertionError("everybody is everywhere")


def test_people_in_one_of_two_courses_are_left_out_of_the_other_and_written_into_the_plan(run: Run) -> None:
    with TrainingClient() as client:
        other, missing, both = two_courses(client)
        who = ("--course", COURSE, "--course", other, "--user", missing, "--user", both)
        code, said, _ = run("plan", *who)
        assert code == ExitCode.FAILED
        assert "--skip-unassigned" in said["error"]["message"]
        code, said, _ = run("plan", *who, "--skip-unassigned", "--save", "plan.json")
        assert code == ExitCode.DONE
        assert said["plan"]["unassigned"] == [[other, missing]]
        plan = ResetPlan.load("plan.json")
        assert plan.unassigned == ((other, missing),)
        assert (other, missing) not in {user.key for user in plan.users}
        assert "Left out, because they are unassigned or have nothing recorded there: " in str(plan)
        assert client.resets.apply(plan, confirm=plan.phrase).is_complete
        with pytest.raises(NotFoundError, match="USER_NOT_IN_COURSE"):
            client.resets.plan([COURSE, other], [both, "user_nobody"], skip_unassigned=True)


def test_who_was_left_out_is_part_of_the_digest(run: Run, tmp_path: Path) -> None:
    with TrainingClient() as client:
        other, missing, both = two_courses(client)
        plan = client.resets.plan([COURSE, other], [missing, both], skip_unassigned=True)
    plan.save("plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    del document["unassigned"]
    (tmp_path / "changed.json").write_text(json.dumps(document))
    with pytest.raises(InvalidArgumentError, match="was changed since it was saved"):
        ResetPlan.load("changed.json")


def test_a_plan_that_leaves_nobody_out_is_written_as_before(run: Run, tmp_path: Path) -> None:
    run("plan", "--course", COURSE, "--everyone", "--save", "plan.json")
    assert "unassigned" not in json.loads((tmp_path / "plan.json").read_text())
    code, said, _ = run("plan", "--course", COURSE, "--everyone", "--skip-unassigned")
    assert code == ExitCode.USAGE
    assert "Leave it out with --everyone" in said["error"]["message"]


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("siobhan.doile@nordwerk.example", "'siobhan.doyle@nordwerk.example'"),
        ("siobhan.doyle@nordwrk.exmple", "'siobhan.doyle@nordwerk.example'"),
        ("Siobhán Doyle", "Names such as 'Siobhán Doyle' are not accepted"),
        ("Siobhan Doyle", "are not accepted. Name people by user id, e-mail or external id"),
    ],
)
def test_a_person_named_wrongly_gets_a_hint(run: Run, mock: MockTraining, named: str, hint: str) -> None:
    code, said, _ = run("plan", "--course", COURSE, "--user", named)
    assert code == ExitCode.FAILED
    assert hint in said["error"]["message"]
    assert "skip" not in said["error"]["message"]


def test_an_address_of_somebody_else_in_the_same_domain_is_no_hint(run: Run) -> None:
    """Most of an address is its domain: two people of one organisation are alike in it."""
    courses = ("--course", "69119b805b2f049a0d70b07b", "--course", "69104a003dcdd587f52bb7ef")
    code, said, _ = run("plan", *courses, "--user", "reto.buehler@nordwerk.example")
    assert code == ExitCode.FAILED
    assert said["error"]["message"].startswith("Email 'reto.buehler@nordwerk.example' cannot be found: ")
    assert "is most similar" not in said["error"]["message"]
