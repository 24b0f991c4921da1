"""Breaking R29: in what order."""

from __future__ import annotations

from typing import Any

from mock_server import app
from mock_server.api import resets
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import confirmation, scope
from mock_server.rules.access import Reach
from unit.sdk.contract_kit.faulty_server import alters, replaces


@replaces(confirmation, "read", "R29-order-of-checks")
def the_confirmation_comes_first(honest: Any, headers: Any) -> Any:
    if not headers:
        raise RefusedError(Reason.CONFIRMATION_REQUIRED, "Confirm.")
    return honest(headers)


@alters(resets.NAME, "rights", "R29-order-of-checks")
def fields_come_before_rights(world: Any, actor: Any, body: Any) -> Reach:
    scope.read(world.policy, body)
    return scope.rights(world, actor, body)


@replaces(app, "_take_steps", "R29-order-of-checks")
def faults_come_before_rights(honest: Any, exchange: Any) -> Any:
    exchange.read_content()
    if isinstance(exchange.body, RefusedError):
        raise exchange.body
    return honest(exchange)
