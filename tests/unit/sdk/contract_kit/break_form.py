"""Breaking R06 to R11: what it takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server.operations import resets
from mock_server.rules import (
    completion,
    confirmation,
    eligibility,
    idempotency,
    learning,
    scope,
)
from mock_server.wire import fields
from mock_server.world.courses import Assigned
from mock_server.world.organisation import Organisation
from mock_server.world.people import Person
from unit.sdk.contract_kit.spoiling import Break, nothing


def no_confirmation_is_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(confirmation, "check", nothing)


def titles_need_not_be_exact(patch: pytest.MonkeyPatch) -> None:
    honest = confirmation.check

    def check(given: Any, title: str, users: int) -> None:
        if given is not None and given.course_title.strip().casefold() == title.casefold():
            given = confirmation.Confirmation(title, given.users)
        honest(given, title, users)

    patch.setattr(confirmation, "check", check)


def numbers_need_not_be_true(patch: pytest.MonkeyPatch) -> None:
    honest = confirmation.check

    def check(given: Any, title: str, users: int) -> None:
        honest(given and confirmation.Confirmation(given.course_title, users), title, users)

    patch.setattr(confirmation, "check", check)


def forms_need_not_be_exact(patch: pytest.MonkeyPatch) -> None:
    honest = confirmation.read

    def read(headers: Any) -> Any:
        given = json.loads(headers[0]) if headers and headers[0].startswith("{") else {}
        if "users" not in given:
            return honest(headers)
        return confirmation.Confirmation(given["courseTitle"], int(given["users"]))

    patch.setattr(confirmation, "read", read)


def _reading(patch: pytest.MonkeyPatch, read: Callable[..., Any]) -> None:
    honest = scope.read
    patch.setattr(scope, "read", lambda policy, body: read(honest, policy, body))


def an_empty_list_is_everyone(patch: pytest.MonkeyPatch) -> None:
    def read(honest: Any, policy: Any, body: Any) -> Any:
        if isinstance(body, dict) and body.get("userIds") == []:
            return scope.Scope(body["courseId"], None)
        return honest(policy, body)

    _reading(patch, read)


def unknown_fields_are_dropped(patch: pytest.MonkeyPatch) -> None:
    known = ("courseId", "userIds", "allUsers", "course_id", "user_ids", "all_users")

    def read(honest: Any, policy: Any, body: Any) -> Any:
        if isinstance(body, dict):
            body = {name: value for name, value in body.items() if name in known}
        return honest(policy, body)

    _reading(patch, read)


def unknown_users_are_passed_over(patch: pytest.MonkeyPatch) -> None:
    honest = scope.find

    def find(organisation: Organisation, asked: Any) -> Any:
        return honest(organisation, scope.Scope(asked.course_id, None))

    patch.setattr(scope, "find", find)


def lists_may_be_endless(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fields, "MAX_IDS", 10_000)
    _reading(patch, lambda honest, policy, body: honest(evolve(policy, max_users_per_reset=5000), body))


def only_completions_are_reset(patch: pytest.MonkeyPatch) -> None:
    honest = eligibility.eligible
    patch.setattr(
        resets,
        "eligible",
        lambda policy, progress, ids: honest(evolve(policy, eligibility="completed"), progress, ids),
    )


def posts_open_nothing(patch: pytest.MonkeyPatch) -> None:
    honest = completion.opened
    patch.setattr(learning, "opened", lambda *them: evolve(honest(*them), opened_at=""))


def everyone_but_one(patch: pytest.MonkeyPatch) -> None:
    honest = eligibility.eligible

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = honest(policy, progress, ids)
        return found if ids is not None else found[:-1]

    patch.setattr(resets, "eligible", eligible)


def guests_are_assigned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Person, "can_learn", property(lambda _: True))


def groups_assign_nobody(patch: pytest.MonkeyPatch) -> None:
    honest = Assigned.since
    patch.setattr(Assigned, "since", lambda self, person: honest(evolve(self, groups={}), person))


def keys_mean_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(idempotency, "replay", nothing)


def a_key_answers_anything(patch: pytest.MonkeyPatch) -> None:
    honest = idempotency.fingerprint
    patch.setattr(idempotency, "fingerprint", lambda *_: honest(b"", ()))


BREAKS: dict[Break, tuple[str, ...]] = {
    no_confirmation_is_asked: ("R06-no-confirmation", "R06-untrue-confirmation"),
    titles_need_not_be_exact: ("R06-untrue-confirmation",),
    numbers_need_not_be_true: ("R06-untrue-confirmation",),
    forms_need_not_be_exact: ("R06-malformed-confirmation",),
    an_empty_list_is_everyone: ("R07-scope-never-widens",),
    unknown_fields_are_dropped: ("R07-scope-never-widens",),
    unknown_users_are_passed_over: ("R08-one-unknown-user-stops-all",),
    lists_may_be_endless: ("R08-repeated-and-too-many-ids",),
    only_completions_are_reset: (
        "R09-recorded-progress-is-what-counts",
        "R09-a-lone-post-counts",
        "R09-everyone-is-everyone-with-progress",
    ),
    posts_open_nothing: ("R09-a-lone-post-counts",),
    everyone_but_one: ("R09-everyone-is-everyone-with-progress",),
    guests_are_assigned: ("R10-ways-of-being-assigned", "R10-guests-and-deactivated"),
    groups_assign_nobody: ("R10-ways-of-being-assigned",),
    keys_mean_nothing: ("R11-repeated-keys",),
    a_key_answers_anything: ("R11-repeated-keys",),
}
