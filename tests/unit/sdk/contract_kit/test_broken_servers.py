"""The kit is tested by servers that break one rule each: exactly the checks of that rule fail."""

from __future__ import annotations

import httpx
import pytest

from mock_server import MockTraining
from rules import RULES
from training_sdk.testing.contract import Report, Wire, run
from training_sdk.testing.contract.rules import webhooks
from training_sdk.testing.contract.runner import all_checks
from unit.sdk.contract_kit.breaks import BREAKS
from unit.sdk.contract_kit.faulty_server import Break
from unit.sdk.contract_kit.test_reading import SPOILT


def checked(mock: MockTraining, *only: str) -> Report:
    """What the kit says of a server, in the same process."""
    with httpx.Client(transport=mock.transport()) as http:
        return run(Wire.to("http://127.0.0.1:9", http_client=http), only=only)


def test_the_reference_server_keeps_every_rule() -> None:
    report = checked(MockTraining.demo())
    assert {each.result for each in report.findings} == {"holds"}, report
    assert sorted({each.rule for each in report.findings}) == RULES
    assert report.exit_code == 0


def named(spoil: Break) -> str:
    return f"{rule(spoil)}-{spoil.__name__}"


def rule(spoil: Break) -> str:
    return BREAKS[spoil][0][:3]


def seen_broken(spoil: Break, patch: pytest.MonkeyPatch, *only: str) -> set[str]:
    """The checks that fail for a server that is broken this way, of all or of these rules."""
    mock = MockTraining.demo()  # built before anything is broken, for it is forked from then on
    patch.setattr(webhooks, "PATIENCE", 0.3)
    spoil(patch)
    report = checked(mock, *only)
    broken = [each for each in report.findings if each.result == "broken"]
    assert all(each.sent and each.expected and each.came for each in broken)
    assert report.exit_code == 1, report
    return {each.check for each in broken}


@pytest.mark.parametrize("spoil", BREAKS, ids=named)
def test_a_server_that_breaks_a_rule_fails_its_checks(spoil: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen_broken(spoil, monkeypatch, rule(spoil)) == set(BREAKS[spoil])


WORST = {rule(spoil): spoil for spoil in sorted(BREAKS, key=lambda spoil: len(BREAKS[spoil]))}
"""The break of each rule that fails the most checks."""


@pytest.mark.heavy
@pytest.mark.parametrize("spoil", WORST.values(), ids=named)
def test_a_server_that_breaks_one_rule_fails_no_check_of_another(
    spoil: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All checks against one broken server for each rule, since each of these takes seconds."""
    assert seen_broken(spoil, monkeypatch) == set(BREAKS[spoil])


def test_what_a_break_breaks_is_one_rule_and_every_rule_has_one() -> None:
    broken = [{check[:3] for check in checks} for checks in BREAKS.values()]
    assert {len(rules) for rules in broken} == {1}
    assert sorted(set().union(*broken)) == RULES


def test_every_check_fails_for_some_server() -> None:
    noticed = {check for checks in BREAKS.values() for check in checks}
    by_reading = {each.name for each in all_checks(read_only=True)}
    assert noticed | by_reading == {each.name for each in all_checks()}
    assert {name for checks in SPOILT.values() for name in checks} == by_reading
