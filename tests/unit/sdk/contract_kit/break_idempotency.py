"""Breaking R11: the same request twice takes effect once."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import app
from mock_server.api import resets
from mock_server.refusal import Reason, RefusedError
from mock_server.rules import access, idempotency
from mock_server.wire import answers
from mock_server.world.people import Permission
from unit.sdk.contract_kit.faulty_server import altered, breaks, handler_of, nothing, replaces

KEYS, NO_EFFECT = "R11-repeated-keys", "R11-a-repetition-does-nothing"
NOT_KEPT = "R11-refusals-are-not-kept"


@breaks(KEYS, NO_EFFECT)
def keys_mean_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(idempotency, "replay", nothing)


@breaks(KEYS)
def a_key_answers_anything(patch: pytest.MonkeyPatch) -> None:
    honest = idempotency.fingerprint
    patch.setattr(idempotency, "fingerprint", lambda *_: honest(b"", ()))


@breaks(KEYS)
def the_confirmation_may_differ(patch: pytest.MonkeyPatch) -> None:
    honest = idempotency.fingerprint
    patch.setattr(idempotency, "fingerprint", lambda body, _: honest(body, ()))


@breaks(KEYS)
def the_body_may_differ(patch: pytest.MonkeyPatch) -> None:
    honest = idempotency.fingerprint
    patch.setattr(idempotency, "fingerprint", lambda _, confirmations: honest(b"", confirmations))


@replaces(idempotency, "replay", KEYS)
def a_repetition_is_answered_in_other_bytes(honest: Any, *them: Any, **how: Any) -> Any:
    kept = honest(*them, **how)
    return kept and kept.replace(b":", b": ")


def _kept(patch: pytest.MonkeyPatch, reason: Reason) -> None:
    """A refusal for this reason comes again with its key, whatever is sent."""
    kept: dict[tuple[str, ...], RefusedError] = {}

    def handler(call: Any) -> Any:
        key = tuple(call.request.all_headers(idempotency.HEADER))
        is_used = any((slot[3],) == key for slot in call.world.keys.kept)
        if key in kept:
            raise kept[key]
        try:
            return handler_of(resets.NAME)(call)
        except RefusedError as refusal:
            if key and not is_used and refusal.reason is reason:
                kept[key] = refusal
            raise

    altered(patch, resets.NAME, handler=handler)


@breaks(NOT_KEPT)
def mismatches_are_kept(patch: pytest.MonkeyPatch) -> None:
    _kept(patch, Reason.CONFIRMATION_MISMATCH)


@breaks(NOT_KEPT)
def unknown_courses_are_kept(patch: pytest.MonkeyPatch) -> None:
    _kept(patch, Reason.COURSE_NOT_FOUND)


@breaks(NO_EFFECT)
def a_repetition_clears_again(patch: pytest.MonkeyPatch) -> None:
    honest = idempotency.replay
    replayed: list[bytes] = []

    def replay(*them: Any, **how: Any) -> bytes | None:
        kept = honest(*them, **how)
        replayed[:] = [kept] if kept is not None else []
        return kept

    def handler(call: Any) -> Any:
        replayed.clear()
        answer = handler_of(resets.NAME)(call)
        for user_id in call.body["userIds"] if replayed else ():
            call.organisation.progress[call.body["courseId"]].put(user_id, None)
        return answer

    patch.setattr(idempotency, "replay", replay)
    altered(patch, resets.NAME, handler=handler)


@breaks("R11-keys-of-one-organisation")
def keys_are_shared_by_organisations(patch: pytest.MonkeyPatch) -> None:
    def slot(token: Any, operation: str, key: str) -> tuple[str, str, str, str]:
        """Administrators stand for their organisation, in both; the resetter is somebody else."""
        return "", "resetter" if token.user_id in resetters else "", operation, key

    resetters: set[str] = set()
    honest = access.authenticate

    def authenticate(world: Any, authorization: Any) -> Any:
        token, actor = honest(world, authorization)
        if Permission.USERS in actor.permissions and Permission.TRAINING not in actor.permissions:
            resetters.add(token.user_id)
        return token, actor

    patch.setattr(app, "authenticate", authenticate)
    patch.setattr(idempotency, "slot", slot)


@breaks("R11-keys-of-one-actor")
def keys_are_shared_by_actors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        idempotency, "slot", lambda token, operation, key: (token.organisation_id, "", operation, key)
    )


@breaks("R11-no-right-to-a-repetition")
def a_repetition_needs_no_rights(patch: pytest.MonkeyPatch) -> None:
    def replay(exchange: Any) -> Any:
        request = exchange.request
        content = idempotency.fingerprint(request.body, request.all_headers("reset-confirmation"))
        for slot, (first, body) in exchange.world.keys.kept.items():
            if [slot[3]] == request.all_headers(idempotency.HEADER) and first == content:
                return answers.raw_ok(body)
        return None

    at = app.STEPS.index(app.check_served)
    patch.setattr(app, "STEPS", (*app.STEPS[:at], replay, *app.STEPS[at:]))
