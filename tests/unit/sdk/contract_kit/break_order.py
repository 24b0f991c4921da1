"""Breaking R29: in what order."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import app
from mock_server.api import resets
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import (
    confirmation,
    scope,
)
from mock_server.rules.permissions import Reach
from unit.sdk.contract_kit.spoiling import altered, breaks


@breaks("R29-order-of-checks")
def the_confirmation_comes_first(patch: pytest.MonkeyPatch) -> None:
    honest = confirmation.read

    def read(headers: Any) -> Any:
        if not headers:
            raise RefusedError(Reason.CONFIRMATION_REQUIRED, "Confirm.")
        return honest(headers)

    patch.setattr(confirmation, "read", read)


@breaks("R29-order-of-checks")
def fields_come_before_rights(patch: pytest.MonkeyPatch) -> None:
    def rights(world: Any, actor: Any, body: Any) -> Reach:
        scope.read(world.policy, body)
        return scope.rights(world, actor, body)

    altered(patch, resets.NAME, rights=rights)


@breaks("R29-order-of-checks")
def faults_come_before_rights(patch: pytest.MonkeyPatch) -> None:
    honest = app._perform

    def perform(world: Any, incoming: Any, *, is_repeat: bool) -> Any:
        if isinstance(incoming.body, RefusedError):
            raise incoming.body
        return honest(world, incoming, is_repeat=is_repeat)

    patch.setattr(app, "_perform", perform)
