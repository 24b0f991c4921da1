"""Servers that deliver webhooks to no host here: not checked where the receiver's address is refused, else broken."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import MockTraining
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules import webhooks
from unit.sdk.contract_kit.test_broken_servers import checked

HOOKS = ("R21-nothing-to-reset-is-no-event", "R24-webhooks")
REMEDY = "This server delivers webhooks to no host of this machine. Start it with serve --allow-webhook-host 127.0.0.1."


def ended(mock: MockTraining) -> dict[str, tuple[str, str]]:
    """How the checks of webhooks ended, and what was seen."""
    report = checked(mock, "R21", "R24")
    return {each.check: (each.result, each.seen) for each in report.findings if each.check in HOOKS}


def test_a_server_that_delivers_to_no_host_here_is_not_called_broken() -> None:
    mock = MockTraining.demo()
    mock.webhooks.close()
    assert ended(mock) == dict.fromkeys(HOOKS, ("not checked", REMEDY))
    assert checked(mock, "R21", "R24").exit_code == 0  # the rest of R21 holds
    mock.webhooks.allow("elsewhere")
    assert ended(mock) == dict.fromkeys(HOOKS, ("not checked", REMEDY))


def test_what_the_kit_says_then_helps() -> None:
    mock = MockTraining.demo()
    mock.webhooks.close()
    mock.webhooks.allow(REMEDY.rpartition(" ")[2].rstrip("."))
    assert {result for result, _ in ended(mock).values()} == {"holds"}


REFUSALS = {
    "without-a-field": invalid("No webhook is delivered, to 127.0.0.1 or elsewhere."),
    "of-another-field": invalid("trigger_events: 127.0.0.1 is told of nothing.", "trigger_events"),
    "of-every-address": invalid("url: there are no webhooks.", "url"),
    "of-the-caller": RefusedError(Reason.PERMISSION_DENIED, "127.0.0.1 may not.", {"field": "url"}),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_server_that_refuses_all_webhooks_is_broken(refusal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> str:
        raise REFUSALS[refusal]

    mock = MockTraining.demo()
    monkeypatch.setattr(webhooks, "check_url", refused)
    assert {result for result, _ in ended(mock).values()} == {"broken"}
