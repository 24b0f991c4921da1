"""Breaking R22 to R25: what follows."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server.doors import webhooks as outgoing
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import (
    audit,
    late_writes,
    scope,
    webhooks,
)
from mock_server.world.organisation import Organisation
from unit.sdk.contract_kit.spoiling import Break, after_reset, nothing


def late_writes_are_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(late_writes, "check", nothing)


def resets_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "done", nothing)


def refusals_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "refused", nothing)


def the_log_keeps_the_past(patch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    honest = audit.done

    def done(world: Any, token: Any, request_id: str, asked: Any, users: Any, outcome: str = "done") -> None:
        honest(world, token, request_id, asked, users, f"{outcome}, was completed {kept[-1:]}")

    after_reset(patch, lambda _o, _c, was: kept.extend(each.completed_at for each in was.values()))
    patch.setattr(audit, "done", done)


def no_event_is_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(webhooks, "for_reset", lambda *_: [])


def one_event_for_all(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.for_reset
    patch.setattr(webhooks, "for_reset", lambda *them: honest(*them)[:1])


def events_are_signed_by_somebody_else(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.signature
    patch.setattr(outgoing, "signature", lambda key, payload: honest(f"not {key}", payload))


def drafts_are_refused(patch: pytest.MonkeyPatch) -> None:
    honest = scope.find

    def find(organisation: Organisation, asked: Any) -> Any:
        course = honest(organisation, asked)
        if not course.is_published:
            raise RefusedError(Reason.COURSE_NOT_FOUND, "It is not published.")
        return course

    patch.setattr(scope, "find", find)


BREAKS: dict[Break, tuple[str, ...]] = {
    late_writes_are_taken: ("R22-late-writes",),
    resets_are_not_written_down: ("R23-audit-log",),
    refusals_are_not_written_down: ("R23-audit-log",),
    the_log_keeps_the_past: ("R23-audit-log",),
    no_event_is_sent: ("R24-webhooks",),
    one_event_for_all: ("R24-webhooks",),
    events_are_signed_by_somebody_else: ("R24-webhooks",),
    drafts_are_refused: ("R25-drafts-and-archived-courses",),
}
