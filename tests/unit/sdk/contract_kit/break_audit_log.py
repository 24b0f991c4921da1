"""Breaking R23: what is on record."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mock_server.refusal import Reason
from mock_server.rules import audit
from mock_server.wire import answers
from mock_server.world.ledger import AuditEntry
from unit.sdk.contract_kit.faulty_server import LISTED, after_reset, breaks, entered, nothing, replaces

LOG, EVERYONE = "R23-audit-log", "R23-everyone-is-written-down"
NO_PAST = "R23-the-log-holds-no-past"


@breaks(LOG, EVERYONE)
def resets_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "done", nothing)


@replaces(audit, "done", EVERYONE)
def resets_of_everyone_are_not_written_down(
    honest: Any, world: Any, token: Any, request_id: str, asked: Any, users: Any, outcome: str = "done"
) -> None:
    if len(users) <= LISTED:
        honest(world, token, request_id, asked, users, outcome)


@breaks(EVERYONE)
def of_everyone_nobody_is_named(patch: pytest.MonkeyPatch) -> None:
    _entries(patch, lambda entry: {"user_ids": () if entry["everyone"] else entry["user_ids"]})


def _enter_refused(reason: Reason) -> None:
    def spoil(patch: pytest.MonkeyPatch) -> None:
        honest = audit.refused
        patch.setattr(
            audit,
            "refused",
            lambda *them: None if them[-1].reason is reason else honest(*them),
        )

    entered(f"{reason.name}_is_not_written_down", spoil, LOG)


for _reason in (
    Reason.PERMISSION_DENIED,
    Reason.COURSE_NOT_FOUND,
    Reason.CONFIRMATION_MISMATCH,
    Reason.CONFIRMATION_REQUIRED,
):
    _enter_refused(_reason)


def _entries(patch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Every entry says something else."""
    honest = AuditEntry
    patch.setattr(audit, "AuditEntry", lambda **entry: honest(**(entry | change(entry))))


def _enter_entry(name: str, change: Callable[[dict[str, Any]], dict[str, Any]], *checks: str) -> None:
    entered(name, lambda patch: _entries(patch, change), *checks)


_enter_entry("another_actor_is_named", lambda _: {"actor_id": "user_0"}, LOG, EVERYONE)
_enter_entry("another_course_is_named", lambda _: {"course_id": "0" * 24}, LOG, EVERYONE)
_enter_entry("nobody_is_named", lambda _: {"user_ids": ()}, LOG, EVERYONE)
_enter_entry(
    "one_too_many_is_named", lambda entry: {"user_ids": (*entry["user_ids"], "user_0")}, LOG, EVERYONE
)
_enter_entry("it_was_another_day", lambda entry: {"at": entry["at"] - timedelta(days=999)}, LOG, EVERYONE)
_enter_entry("everything_ends_alike", lambda _: {"outcome": "asked for"}, LOG)
_enter_entry("a_request_has_no_id", lambda _: {"request_id": "?"}, LOG, EVERYONE)


@replaces(audit, "_write", LOG)
def earlier_entries_are_forgotten(honest: Any, world: Any, *them: Any, **more: Any) -> None:
    """All but the latest five, of which the check needs each."""
    honest(world, *them, **more)
    del world.audit[:-5]


def _keeping(patch: pytest.MonkeyPatch, what: Callable[[Any], object]) -> None:
    """The outcome of a reset says something of what was there."""
    kept: list[object] = []
    honest = audit.done

    def done(world: Any, token: Any, request_id: str, asked: Any, users: Any, outcome: str = "done") -> None:
        honest(world, token, request_id, asked, users, f"{outcome}, was {kept[-1:]}")

    after_reset(patch, lambda _, __, was: kept.extend(map(what, was.values())))
    patch.setattr(audit, "done", done)


def _enter_keeping(name: str, what: Callable[[Any], object]) -> None:
    entered(name, lambda patch: _keeping(patch, what), NO_PAST)


_enter_keeping("the_log_keeps_the_completion", lambda was: was.completed_at)
_enter_keeping("the_log_keeps_the_opening", lambda was: was.opened_at)
_enter_keeping("the_log_keeps_the_score", lambda was: was.score)
_enter_keeping("the_log_keeps_the_time_spent", lambda was: was.time_spent_seconds)


@breaks(NO_PAST)
def the_log_keeps_the_completion_in_dates_with_an_offset(patch: pytest.MonkeyPatch) -> None:
    """Every date of every answer ends in +00:00, which says the same as Z."""
    honest = answers.raw_ok
    patch.setattr(answers, "raw_ok", lambda body: honest(re.sub(rb"(\d\d:\d\d\.\d{3})Z", rb"\1+00:00", body)))
    _keeping(patch, lambda was: was.completed_at)
