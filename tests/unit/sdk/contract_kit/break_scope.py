"""Breaking R07 and R08: whom a reset means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server.api import resets
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import scope
from mock_server.wire import answers, fields, reading
from mock_server.world.organisation import Organisation
from unit.sdk.contract_kit.faulty_server import (
    altered,
    alters,
    breaks,
    counted_and_not_cleared,
    entered,
    handler_of,
    replaces,
)

WIDENS = "R07-scope-never-widens"
UNKNOWN, REPEATED = "R08-one-unknown-user-stops-all", "R08-repeated-and-too-many-ids"

Body = dict[str, Any]


def _reading(patch: pytest.MonkeyPatch, read: Callable[..., Any]) -> None:
    honest = scope.read
    patch.setattr(scope, "read", lambda policy, body: read(honest, policy, body))


def everyone(body: Body) -> Body:
    """What a body is taken for: everyone."""
    return {"courseId": body["courseId"], "allUsers": True}


def the_list(body: Body) -> Body:
    """What a body is taken for: its list, or the one user whom it names."""
    listed = body["userIds"]
    return {"courseId": body["courseId"], "userIds": listed.split(",") if isinstance(listed, str) else listed}


TAKEN: dict[str, tuple[Callable[[Body], bool], Callable[[Body], Body]]] = {
    "no_scope_is_everyone": (lambda body: body.keys() == {"courseId"}, everyone),
    "a_list_beside_everyone_counts": (lambda body: bool(body.get("userIds")) and _says(body, True), the_list),
    "a_list_beside_not_everyone_counts": (lambda body: "userIds" in body and _says(body, False), the_list),
    "no_list_beside_everyone_counts": (lambda body: _listed(body, None) and _says(body, True), everyone),
    "an_empty_list_beside_everyone_counts": (lambda body: _listed(body, []) and _says(body, True), everyone),
    "an_empty_list_is_everyone": (lambda body: _listed(body, []) and "allUsers" not in body, everyone),
    "null_is_everyone": (lambda body: _listed(body, None) and "allUsers" not in body, everyone),
    "a_list_of_null_is_everyone": (lambda body: _listed(body, [None]), everyone),
    "a_list_of_blanks_is_everyone": (lambda body: _listed(body, [""]), everyone),
    "a_text_is_a_list": (lambda body: _is_text(body) and "," not in body["userIds"], the_list),
    "commas_make_a_list": (lambda body: _is_text(body) and "," in body["userIds"], the_list),
    "everyone_may_be_null": (
        lambda body: body.keys() == {"courseId", "allUsers"} and _says(body, None),
        everyone,
    ),
    "not_everyone_is_everyone": (
        lambda body: body.keys() == {"courseId", "allUsers"} and _says(body, False),
        everyone,
    ),
    "one_is_true": (lambda body: body.get("allUsers") == 1 and body["allUsers"] is not True, everyone),
    "a_text_is_true": (lambda body: body.get("allUsers") == "true", everyone),
    "unknown_fields_are_dropped": (lambda body: "dryRun" in body, the_list),
    "a_list_of_another_name_is_everyone": (lambda body: "learnerIds" in body, everyone),
    "one_of_two_lists_counts": (lambda body: "user_ids" in body and "userIds" in body, the_list),
    "one_of_two_everyones_counts": (lambda body: "all_users" in body and "allUsers" in body, everyone),
    "one_of_two_courses_counts": (lambda body: "course_id" in body and "courseId" in body, the_list),
}
"""Bodies that mean nothing, and what a careless server takes each for."""


def _says(body: Body, value: object) -> bool:
    return "allUsers" in body and body["allUsers"] is value


def _listed(body: Body, value: object) -> bool:
    return "userIds" in body and body["userIds"] == value


def _is_text(body: Body) -> bool:
    return isinstance(body.get("userIds"), str)


def _enter_taken(name: str, fits: Callable[[Body], bool], takes: Callable[[Body], Body]) -> None:
    def read(honest: Any, policy: Any, body: Any) -> Any:
        is_taken = isinstance(body, dict) and "courseId" in body and fits(body)
        return honest(policy, takes(body) if is_taken else body)

    entered(name, lambda patch: _reading(patch, read), WIDENS)


for _name, _how in TAKEN.items():
    _enter_taken(_name, *_how)


def _enter_repeated(key: str) -> None:
    def spoil(patch: pytest.MonkeyPatch) -> None:
        honest = reading.strict_json
        repeated = f'"{key}"'.encode()
        patch.setattr(
            reading,
            "strict_json",
            lambda data, where: json.loads(data) if data.count(repeated) > 1 else honest(data, where),
        )

    entered(f"the_last_{key}_counts", spoil, WIDENS)


for _name in ("userIds", "courseId", "allUsers"):
    _enter_repeated(_name)


@replaces(scope, "find", UNKNOWN, "R08-one-user-of-others-stops-all")
def unknown_users_are_passed_over(honest: Any, organisation: Organisation, asked: Any) -> Any:
    return honest(organisation, scope.Scope(asked.course_id, None))


@breaks("R08-one-user-of-others-stops-all")
def users_of_others_are_passed_over(patch: pytest.MonkeyPatch) -> None:
    honest = scope.find

    def handler(call: Any) -> Any:
        others = {
            user_id
            for each in call.world.organisations.values()
            for user_id in each.people
            if each is not call.organisation
        }

        def find(organisation: Organisation, asked: Any) -> Any:
            known = [user_id for user_id in asked.user_ids or () if user_id not in others]
            return honest(organisation, scope.Scope(asked.course_id, known))

        patch.setattr(scope, "find", find)
        return handler_of(resets.NAME)(call)

    altered(patch, resets.NAME, handler=handler)


def _naming(patch: pytest.MonkeyPatch, named: int) -> None:
    honest = scope.find

    def find(organisation: Organisation, asked: Any) -> Any:
        try:
            return honest(organisation, asked)
        except RefusedError as refusal:
            if refusal.reason is Reason.USER_NOT_FOUND:
                ids = refusal.metadata["ids"].split(", ")[:named]
                raise RefusedError(refusal.reason, f"Unknown: {ids}.") from None
            raise

    patch.setattr(scope, "find", find)


@breaks(UNKNOWN, "R08-one-user-of-others-stops-all")
def unknown_ids_are_not_named(patch: pytest.MonkeyPatch) -> None:
    _naming(patch, 0)


@breaks(UNKNOWN)
def the_first_unknown_id_alone_is_named(patch: pytest.MonkeyPatch) -> None:
    _naming(patch, 1)


@replaces(scope, "find", UNKNOWN)
def the_known_are_reset_beside_a_404(honest: Any, organisation: Organisation, asked: Any) -> Any:
    try:
        return honest(organisation, asked)
    except RefusedError as refusal:
        if refusal.reason is Reason.USER_NOT_FOUND and len(asked.user_ids) > 2:
            organisation.progress[asked.course_id].put(asked.user_ids[0], None)
        raise


@breaks(REPEATED)
def lists_may_be_endless(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fields, "MAX_IDS", 10_000)
    _reading(patch, lambda honest, policy, body: honest(evolve(policy, max_users_per_reset=5000), body))


@breaks(REPEATED)
def lists_are_short(patch: pytest.MonkeyPatch) -> None:
    _reading(patch, lambda honest, policy, body: honest(evolve(policy, max_users_per_reset=500), body))


@alters(resets.NAME, "handler", REPEATED)
def repeated_ids_count_as_sent(call: Any) -> Any:
    answer = handler_of(resets.NAME)(call)
    sent = len(call.body.get("userIds") or ())
    return answers.ok({"usersUpdated": 2}) if sent == 2 != len(set(call.body["userIds"])) else answer


def _repeated_do_nothing(patch: pytest.MonkeyPatch, times: int) -> None:
    sent: list[str] = []

    def read(honest: Any, policy: Any, body: Any) -> Any:
        listed = body.get("userIds") if isinstance(body, dict) else None
        sent[:] = listed if isinstance(listed, list) and len(listed) == times else []
        return honest(policy, body)

    _reading(patch, read)
    counted_and_not_cleared(patch, lambda *_: len(sent) > len(set(map(str, sent))))


@breaks(REPEATED)
def an_id_sent_twice_does_nothing(patch: pytest.MonkeyPatch) -> None:
    _repeated_do_nothing(patch, 2)


@breaks(REPEATED)
def an_id_sent_a_thousand_times_does_nothing(patch: pytest.MonkeyPatch) -> None:
    _repeated_do_nothing(patch, 1000)
