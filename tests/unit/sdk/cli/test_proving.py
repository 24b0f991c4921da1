"""``prove``: the second step, about a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract.hours import quick_hours
from mock_server import MockTraining, Policy
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import scope
from mock_server.world.courses import Assigned, Course
from mock_server.world.organisation import Organisation
from training_sdk.cli.exit_codes import ExitCode
from unit.sdk.cli.conftest import Run

PERSON = "user1@generated.example"


@pytest.fixture
def mock() -> MockTraining:
    return MockTraining.generate(users=5, courses=3, policy=Policy(plays="live"))


def refusing(find: Callable[[Organisation, scope.Scope], Course]) -> Callable[..., Course]:
    """The same, and 404 for a list with somebody who is not on the course."""

    def found(organisation: Organisation, asked: scope.Scope) -> Course:
        there = organisation.progress[asked.course_id]
        if not all(there.has(user) for user in asked.user_ids or ()):
            raise RefusedError(Reason.USER_NOT_FOUND, "One of them is not on the course.", {})
        return find(organisation, asked)

    return found


def test_a_refusal_follows_the_format(run: Run, mock: MockTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = quick_hours(monkeypatch)
    hours.on_wait.append(mock.clock.advance)
    organisation, course = mock.world.main, next(iter(mock.world.main.courses))
    roster, since = organisation.progress[course].roster, mock.clock.now()
    (absent,) = (user for user in roster if mock.world.record(course, user) is None)
    others = [user for user in roster if user != absent]
    organisation.assign(course, Assigned(dict.fromkeys(others, since), {}, {}))
    shown: list[Any] = []

    def typed(_: object, phrase: str, *given: object, **named: object) -> str:
        shown.append(phrase)
        return phrase

    monkeypatch.setattr("training_sdk.cli.commands.verify.confirmed", typed)
    prove = ("prove", "--course", course, "--person", PERSON, "--reason", "first reset here")
    code, said, _ = run(*prove)
    assert (code, said["proof"]["refusals_without_effect"]) == (ExitCode.DONE, [])
    mock.world.complete_course(course, said["proof"]["person"])
    with monkeypatch.context() as checked:
        checked.setattr(scope, "find", refusing(scope.find))
        code, said, text = run(*prove, "--refused-with", absent)
    assert (code, said["proof"]["refusals_without_effect"]) == (ExitCode.DONE, [404])
    assert "expected to refuse it" in text
    assert absent in shown[1]
    code, said, _ = run(*prove, "--refused-with", absent)
    assert (code, said["error"]["reason"]) == (ExitCode.INCOMPLETE, "NOT_REFUSED")


def test_what_cannot_be_meant_is_said_in_options(run: Run, mock: MockTraining) -> None:
    course = next(iter(mock.world.main.courses))
    whole = ("prove", "--course", course, "--server-side", "--reason", "first", "--refused-with", "user_1")
    code, said, _ = run(*whole)
    assert (code, said["error"]["message"].count("--refused-with")) == (ExitCode.USAGE, 1)
    code, said, _ = run(
        "prove", "--course", course, "--person", PERSON, "--reason", "x", "--refused-with", "no"
    )
    assert code == ExitCode.USAGE
    assert "--refused-with" in said["error"]["message"]
