"""The kit is tested by servers that break one rule each: exactly the checks of that rule fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mock_server import MockTraining
from training_sdk.testing.contract import Report, Wire, run
from training_sdk.testing.contract.rules import follow
from training_sdk.testing.contract.runner import all_checks
from unit.sdk.contract_kit.breaks import BREAKS
from unit.sdk.contract_kit.spoiling import Break
from unit.sdk.contract_kit.test_reading import SPOILT

RULES = [f"R{number:02}" for number in (*range(1, 26), 29)]


def checked(mock: MockTraining) -> Report:
    """What the kit says of a server, in the same process."""
    with httpx.Client(transport=mock.transport()) as http:
        return run(Wire.to("http://127.0.0.1:9", http_client=http))


def test_the_reference_server_keeps_every_rule() -> None:
    report = checked(MockTraining.demo())
    assert {each.result for each in report.findings} == {"holds"}, report
    assert sorted({each.rule for each in report.findings}) == RULES
    assert report.exit_code == 0


def lanes() -> Iterator[Any]:
    """Of each rule one break, the same every time, in the fast lane; all others in the heavy one."""
    seen: set[str] = set()
    for spoil, (first, *_) in BREAKS.items():
        rule = first[:3]
        marks = [pytest.mark.heavy] if rule in seen else []
        seen.add(rule)
        yield pytest.param(spoil, marks=marks, id=f"{rule}-{spoil.__name__}")


@pytest.mark.parametrize("spoil", list(lanes()))
def test_a_server_that_breaks_one_rule_fails_its_checks_and_no_others(
    spoil: Break, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock = MockTraining.demo()  # built before anything is broken, for it is forked from then on
    monkeypatch.setattr(follow, "PATIENCE", 0.3)
    spoil(monkeypatch)
    report = checked(mock)
    broken = [each for each in report.findings if each.result == "broken"]
    assert {each.check for each in broken} == set(BREAKS[spoil]), broken
    assert all(each.sent and each.expected and each.came for each in broken)
    assert report.exit_code == 1


def test_what_a_break_breaks_is_one_rule_and_every_rule_has_one() -> None:
    broken = [{check[:3] for check in checks} for checks in BREAKS.values()]
    assert {len(rules) for rules in broken} == {1}
    assert sorted(set().union(*broken)) == RULES


def test_every_check_fails_for_some_server() -> None:
    noticed = {check for checks in BREAKS.values() for check in checks}
    by_reading = {each.name for each in all_checks(read_only=True)}
    assert noticed | by_reading == {each.name for each in all_checks()}
    assert {name for checks in SPOILT.values() for name in checks} == by_reading
