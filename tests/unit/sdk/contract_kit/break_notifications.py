"""Breaking R18, R19, R22 and R24: who is told, certificates, late writes, webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pytest
from attrs import evolve

from mock_server import learner_actions
from mock_server.api import resets
from mock_server.control import actions
from mock_server.learner_actions import LateWriteError
from mock_server.rules import completion, reset, scope, webhooks
from mock_server.transports import webhooks as outgoing
from mock_server.wire import answers
from unit.sdk.contract_kit.faulty_server import LISTED, breaks, entered, nothing, replaces

TOLD, EVERYONE = "R18-notifications", "R18-notifications-of-everyone"
CERTIFICATES, UNDESERVED = "R19-certificates", "R19-no-undeserved-certificates"
LATE, EVENTS = "R22-late-writes", "R24-webhooks"


@breaks(TOLD, EVERYONE)
def nobody_is_notified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reset, "notifications_of", lambda *_: [])


@breaks(TOLD, EVERYONE)
def everybody_is_notified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reset, "recipients", lambda _, user_ids: list(user_ids))


def _notifying(patch: pytest.MonkeyPatch, change: Callable[[list[Any], Any], list[Any]]) -> None:
    """Other messages than those that should be sent; ``change`` gets them and the organisation."""
    honest = reset.notifications_of
    patch.setattr(reset, "notifications_of", lambda *them: change(list(honest(*them)), them[1]))


@breaks(TOLD, EVERYONE)
def everybody_is_notified_twice(patch: pytest.MonkeyPatch) -> None:
    _notifying(patch, lambda messages, _: [*messages, *messages])


@breaks(TOLD, EVERYONE)
def everybody_is_notified_of_another_course(patch: pytest.MonkeyPatch) -> None:
    def more(messages: list[Any], organisation: Any) -> list[Any]:
        return [
            *messages,
            *(evolve(each, course_id=_another(organisation, each.course_id)) for each in messages),
        ]

    _notifying(patch, more)


def _another(organisation: Any, course_id: str) -> str:
    return next(str(each) for each in organisation.courses if each != course_id)


@breaks(EVERYONE)
def nobody_is_notified_of_a_reset_of_everyone(patch: pytest.MonkeyPatch) -> None:
    _notifying(patch, lambda messages, _: messages if len(messages) <= LISTED else [])


@breaks(TOLD)
def those_with_nothing_are_notified_beside_others(patch: pytest.MonkeyPatch) -> None:
    idle: list[str] = []
    asked, told = scope.eligible, reset.notifications_of

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = asked(policy, progress, ids)
        idle[:] = [user_id for user_id in ids or () if found and user_id not in found]
        return found

    patch.setattr(resets, "eligible", eligible)
    patch.setattr(
        reset,
        "notifications_of",
        lambda world, organisation, course, users: told(world, organisation, course, [*users, *idle]),
    )


@breaks("R19-certificates")
def old_certificates_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(completion, "withdraw_certificates", nothing)


@breaks("R19-certificates")
def no_new_certificates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(completion, "issue_certificate", nothing)


@replaces(completion, "issue_certificate", "R19-no-undeserved-certificates")
def certificates_for_every_course(
    honest: Any, world: Any, organisation: Any, course: Any, user_id: str
) -> None:
    honest(world, organisation, evolve(course, certificate=True), user_id)


@breaks(CERTIFICATES)
def certificates_of_the_second_stay(patch: pytest.MonkeyPatch) -> None:
    """Of two who are reset."""
    listed: list[str] = []
    asked, honest = scope.eligible, completion.withdraw_certificates

    def eligible(*them: Any) -> list[str]:
        listed[:] = asked(*them)
        return list(listed)

    def withdraw(world: Any, organisation: Any, course: Any, user_ids: Any) -> None:
        honest(world, organisation, course, [each for each in user_ids if each in listed[:1]])

    patch.setattr(resets, "eligible", eligible)
    patch.setattr(completion, "withdraw_certificates", withdraw)


def _issuing_again(patch: pytest.MonkeyPatch, *kept: str) -> None:
    """Another certificate has these of the first one."""
    issue, withdraw = completion.issue_certificate, completion.withdraw_certificates
    first: dict[tuple[str, str], Any] = {}

    def withdrawn(world: Any, organisation: Any, course: Any, user_ids: Any) -> None:
        for key in [(course.id, user_id) for user_id in user_ids]:
            if key in organisation.certificates:
                (first[key],) = organisation.certificates[key]
        withdraw(world, organisation, course, user_ids)

    def issued(world: Any, organisation: Any, course: Any, user_id: str) -> None:
        issue(world, organisation, course, user_id)
        key = (course.id, user_id)
        if key in first:
            (made,) = organisation.certificates[key]
            same = {name: getattr(first[key], name) for name in kept}
            organisation.certificates[key] = (evolve(made, **same),)

    patch.setattr(completion, "withdraw_certificates", withdrawn)
    patch.setattr(completion, "issue_certificate", issued)


@breaks(CERTIFICATES)
def the_number_is_the_old_one(patch: pytest.MonkeyPatch) -> None:
    _issuing_again(patch, "number")


@breaks(CERTIFICATES)
def the_date_is_the_old_one(patch: pytest.MonkeyPatch) -> None:
    _issuing_again(patch, "issued_at")


def _issuing_early(patch: pytest.MonkeyPatch, fits: Callable[[Any], bool]) -> None:
    """A certificate for whoever acts, though they are not done; ``fits`` is asked with the record."""
    honest = learner_actions.write

    def write(desk: Any, change: Any) -> Any:
        record = honest(desk, change)
        if not record.completed_at and fits(record):
            completion.issue_certificate(desk.world, desk.organisation, desk.course, desk.person.id)
        return record

    patch.setattr(learner_actions, "write", write)


@breaks(UNDESERVED)
def certificates_for_opening(patch: pytest.MonkeyPatch) -> None:
    _issuing_early(patch, lambda record: record.completed_lessons == 0)


@breaks(UNDESERVED)
def certificates_for_a_lesson(patch: pytest.MonkeyPatch) -> None:
    _issuing_early(patch, lambda record: record.completed_lessons > 0)


@breaks(LATE)
def late_writes_are_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(learner_actions, "check_late_write", nothing)


def _late_action(name: str, takes: Callable[..., Any]) -> Callable[..., Any]:
    """A learner's action as ``takes`` has it: it gets the honest one, and what is given."""
    honest = actions.ACTIONS[name]
    return wraps(honest)(partial(takes, honest))


def _as_if_now(honest: Any, *them: Any, **given: Any) -> Any:
    return honest(*them, **{name: value for name, value in given.items() if name != "made_at"})


def _and_refused(honest: Any, *them: Any, **given: Any) -> Any:
    try:
        return honest(*them, **given)
    except LateWriteError:
        _as_if_now(honest, *them, **given)
        raise


def _enter_late(action: str) -> None:
    def taken(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(actions.ACTIONS, action, _late_action(action, _as_if_now))

    def refused_and_taken(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(actions.ACTIONS, action, _late_action(action, _and_refused))

    entered(f"late_{action}_is_taken", taken, LATE)
    entered(f"late_{action}_is_refused_and_taken", refused_and_taken, LATE)


for _action in ("open", "complete-course", "submit-assessment", "post-to-discussion", "hand-in-assignment"):
    _enter_late(_action)


@breaks(LATE)
def who_came_too_late_once_is_never_heard_again(patch: pytest.MonkeyPatch) -> None:
    honest = learner_actions.check_late_write
    refused: set[tuple[int, str]] = set()

    def check(policy: Any, progress: Any, user_id: str, made_at: Any) -> None:
        key = (id(progress), user_id)
        if key in refused:
            raise LateWriteError("Never again.")
        try:
            honest(policy, progress, user_id, made_at)
        except LateWriteError:
            refused.add(key)
            raise

    patch.setattr(learner_actions, "check_late_write", check)


@breaks(EVENTS)
def no_event_is_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(webhooks, "for_reset", lambda *_: [])


@breaks(EVENTS)
def one_event_for_all(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.for_reset
    patch.setattr(webhooks, "for_reset", lambda *them: honest(*them)[:1])


@breaks(EVENTS)
def events_are_signed_by_somebody_else(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.signature
    patch.setattr(outgoing, "signature", lambda key, payload: honest(f"not {key}", payload))


@breaks(EVENTS)
def events_for_those_with_nothing_beside_others(patch: pytest.MonkeyPatch) -> None:
    honest = scope.eligible
    idle: list[str] = []

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = honest(policy, progress, ids)
        idle[:] = [user_id for user_id in ids or () if found and user_id not in found]
        return found

    told = webhooks.for_reset
    patch.setattr(resets, "eligible", eligible)
    patch.setattr(
        webhooks,
        "for_reset",
        lambda world, actor, course, users: told(world, actor, course, [*users, *idle]),
    )


@breaks(EVENTS)
def events_are_signed_with_a_letter_beyond_ascii(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.signature
    patch.setattr(outgoing, "signature", lambda key, payload: f"\xe9{honest(key, payload)[1:]}")


@breaks(EVENTS)
def events_are_no_json(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.body
    patch.setattr(outgoing, "body", lambda message: honest(message)[:-1])


@breaks(EVENTS)
def events_are_a_list(patch: pytest.MonkeyPatch) -> None:
    honest = webhooks.body
    patch.setattr(outgoing, "body", lambda message: b"[%b]" % honest(message))


def _enter_event(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Every event says something else, and is signed as it is."""

    def spoil(patch: pytest.MonkeyPatch) -> None:
        honest = webhooks.body

        def body(message: Any) -> bytes:
            event = json.loads(honest(message))
            change(event)
            return answers.to_json(event)

        patch.setattr(outgoing, "body", body)

    entered(name, spoil, EVENTS)


_enter_event("events_tell_the_score", lambda event: event["data"]["details"].update(score=97))
_enter_event("events_tell_the_completion", lambda event: event["data"].update(was={"completedAt": "then"}))
_enter_event("events_name_another_type", lambda event: event["event"].update(event_types=["OTHER"]))
_enter_event("events_name_another_course", lambda event: event["resource"].update(id="0" * 24))
_enter_event("events_name_no_course", lambda event: event["data"]["details"].pop("course_id"))
_enter_event(
    "events_name_another_actor", lambda event: event["event"].update(triggered_by={"user": "nobody"})
)
_enter_event("events_lack_the_resource", lambda event: event.pop("resource"))
_enter_event("events_name_the_resource_alone", lambda event: event.update(resource="COURSE"))
_enter_event("events_name_no_user", lambda event: event["data"]["details"].pop("user_id"))
_enter_event("events_name_numbers_as_users", lambda event: event["data"]["details"].update(user_id=7))


@breaks("R18-no-notifications-of-unpublished-courses")
def drafts_and_archived_courses_notify_too(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reset, "sends_notifications", lambda *_: True)
