"""Reference servers with one rule switched off: each function breaks the rule that its entry names, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server import app
from mock_server.doors import webhooks as outgoing
from mock_server.operations import resets
from mock_server.operations.routing import Router
from mock_server.operations.table import OPERATIONS
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules import (
    audit,
    authentication,
    certificates,
    completion,
    confirmation,
    eligibility,
    idempotency,
    late_writes,
    learning,
    notifications,
    permissions,
    reset,
    scope,
    visibility,
    webhooks,
)
from mock_server.rules.permissions import Family, Reach
from mock_server.wire import fields
from mock_server.world.courses import Assigned, CourseStatus, DueKind
from mock_server.world.ledger import Notification
from mock_server.world.organisation import Organisation
from mock_server.world.people import Permission, Person
from mock_server.world.progress import CourseProgress, Record

Break = Callable[[pytest.MonkeyPatch], None]

NONE, OWN, ALL = Reach.NONE, Reach.OWN, Reach.ALL


def _nothing(*_: Any, **__: Any) -> None:
    """What a rule does that has been forgotten."""


def _altered(patch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    """Another handler, or other rights, for one operation."""
    assert name in {each.name for each in OPERATIONS}
    table = [evolve(each, **changes) if each.name == name else each for each in OPERATIONS]
    patch.setattr(app, "_ROUTER", Router(table))


def _after_reset(patch: pytest.MonkeyPatch, then: Callable[..., None]) -> None:
    """Do something more whenever people are reset; ``then`` gets the records that were cleared as well."""
    honest = reset.reset

    def spoiled(world: Any, organisation: Organisation, course: Any, user_ids: Any) -> None:
        progress = organisation.progress[course.id]
        was = {user_id: progress.records[user_id] for user_id in user_ids}
        honest(world, organisation, course, user_ids)
        then(organisation, course, was)

    patch.setattr(reset, "reset", spoiled)


def _left_behind(patch: pytest.MonkeyPatch, keep: Callable[[Record], dict[str, Any]]) -> None:
    """A reset that forgets to clear some fields."""

    def put_back(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for user_id, record in was.items():
            left = Record(modified_at=record.modified_at, **keep(record))
            organisation.progress[course.id].put(user_id, left)

    _after_reset(patch, put_back)


# --- who may ------------------------------------------------------------------------------------------------------


def managers_reset_listed_users(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(permissions._TABLE, Family.RESET_USERS, (ALL, ALL, NONE, NONE))


def the_permission_is_not_named(patch: pytest.MonkeyPatch) -> None:
    honest = permissions.require

    def require(actor: Any, policy: Any, *families: Family) -> Reach:
        try:
            return honest(actor, policy, *families)
        except RefusedError as refusal:
            if Permission.TRAINING in actor.permissions and families == (Family.RESET_USERS,):
                raise RefusedError(refusal.reason, "You may not.") from None
            raise

    patch.setattr(scope, "require", require)


def managers_reset_everyone(patch: pytest.MonkeyPatch) -> None:
    honest = permissions.reach

    def reach(actor: Any, family: Family, policy: Any) -> Reach:
        manages = family is Family.RESET_EVERYONE and Permission.TRAINING in actor.permissions
        return ALL if manages else honest(actor, family, policy)

    patch.setattr(permissions, "reach", reach)


def revoked_tokens_still_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(authentication, "is_valid", lambda *_: True)


def nobody_is_an_administrator(patch: pytest.MonkeyPatch) -> None:
    honest = authentication.authenticate

    def authenticate(world: Any, authorization: Any) -> Any:
        if authorization:
            return honest(world, authorization)
        token = next(iter(world.tokens.values()))
        return token, authentication.actor_of(world, token)

    patch.setattr(app, "authenticate", authenticate)


def courses_of_others_are_listed(patch: pytest.MonkeyPatch) -> None:
    honest = visibility.courses
    seen: list[Any] = []

    def courses(actor: Any, reach: Reach) -> list[Any]:
        own = honest(actor, reach)
        if len(own) > len(seen):
            seen[:] = own
        return [*own, *seen] if actor.person.first_name == "Rosalind" else own

    patch.setattr(visibility, "courses", courses)


def learners_reset_themselves(patch: pytest.MonkeyPatch) -> None:
    def rights(world: Any, actor: Any, body: Any) -> Reach:
        return ALL if body.get("userIds") == [actor.id] else scope.rights(world, actor, body)

    _altered(patch, resets.NAME, rights=rights)


def refusals_say_what_exists(patch: pytest.MonkeyPatch) -> None:
    def rights(world: Any, actor: Any, body: Any) -> Reach:
        try:
            return scope.rights(world, actor, body)
        except RefusedError:
            if isinstance(body, dict) and isinstance(body.get("userIds"), list):
                scope.find(actor.organisation, scope.read(world.policy, body))
            raise

    _altered(patch, resets.NAME, rights=rights)


def leaders_see_everyone(patch: pytest.MonkeyPatch) -> None:
    honest = visibility.users

    def users(actor: Any, reach: Reach) -> set[str] | None:
        return None if reach is Reach.TEAMS else honest(actor, reach)

    patch.setattr(visibility, "users", users)


def learners_see_figures(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(permissions._TABLE, Family.ANALYTICS, (NONE, ALL, Reach.TEAMS, OWN))


# --- what it takes ------------------------------------------------------------------------------------------------


def no_confirmation_is_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(confirmation, "check", _nothing)


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
    patch.setattr(idempotency, "replay", _nothing)


def a_key_answers_anything(patch: pytest.MonkeyPatch) -> None:
    honest = idempotency.fingerprint
    patch.setattr(idempotency, "fingerprint", lambda *_: honest(b"", ()))


# --- what it does -------------------------------------------------------------------------------------------------


def scores_stay(patch: pytest.MonkeyPatch) -> None:
    _left_behind(patch, lambda was: {"score": was.score, "time_spent_seconds": was.time_spent_seconds})


def attempts_stay(patch: pytest.MonkeyPatch) -> None:
    _left_behind(patch, lambda was: {"attempts": was.attempts})


def submissions_stay(patch: pytest.MonkeyPatch) -> None:
    _left_behind(patch, lambda was: {"submissions": was.submissions})


def posts_stay(patch: pytest.MonkeyPatch) -> None:
    _left_behind(patch, lambda was: {"posts": was.posts})


def figures_stand_still(patch: pytest.MonkeyPatch) -> None:
    honest = CourseProgress.put

    def put(self: CourseProgress, user_id: str, record: Any) -> None:
        kept = evolve(self.tally)
        honest(self, user_id, record)
        self.tally = kept

    patch.setattr(CourseProgress, "put", put)


def the_past_comes_back_with_the_assignment(patch: pytest.MonkeyPatch) -> None:
    archive: dict[tuple[int, str], Record] = {}
    honest = CourseProgress.enrol

    def keep(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        at = id(organisation.progress[course.id])
        archive.update({(at, user_id): record for user_id, record in was.items()})

    def enrol(self: CourseProgress, user_id: str, enrolment: Any) -> None:
        returns = not self.has(user_id)
        honest(self, user_id, enrolment)
        record = archive.get((id(self), user_id))
        if returns and record is not None:
            self.put(user_id, record)

    _after_reset(patch, keep)
    patch.setattr(CourseProgress, "enrol", enrol)


def learners_still_see_their_past(patch: pytest.MonkeyPatch) -> None:
    archive: dict[str, Record] = {}
    (operation,) = (each for each in OPERATIONS if each.name == "ListLessonAttempts")

    def show(call: Any) -> Any:
        assert operation.handler is not None
        record = archive.get(call.actor.id) if call.reach is OWN else None
        if record is None:
            return operation.handler(call)
        progress = call.organisation.progress[call.query.id("courseId")]
        progress.put(call.actor.id, record)
        try:
            return operation.handler(call)
        finally:
            progress.put(call.actor.id, None)

    _after_reset(patch, lambda _organisation, _course, was: archive.update(was))
    _altered(patch, operation.name, handler=show)


def other_courses_are_reset_too(patch: pytest.MonkeyPatch) -> None:
    def more(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        for course_id, progress in organisation.progress.courses.items():
            for user_id in was if course_id != course.id else ():
                if progress.has(user_id):
                    progress.put(user_id, None)

    _after_reset(patch, more)


def somebody_else_is_unassigned(patch: pytest.MonkeyPatch) -> None:
    def leave(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        progress = organisation.progress[course.id]
        others = [user_id for user_id in progress.roster if user_id not in was]
        if was and others:
            progress.leave(others[-1])

    _after_reset(patch, leave)


def the_course_is_unpublished(patch: pytest.MonkeyPatch) -> None:
    def unpublish(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        organisation.put_course(evolve(course, status=CourseStatus.DRAFT))

    _after_reset(patch, unpublish)


def nobody_is_notified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notifications, "for_reset", lambda *_: [])


def everybody_is_notified(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notifications, "recipients", lambda _, user_ids: list(user_ids))


def old_certificates_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certificates, "withdraw", _nothing)


def no_new_certificates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certificates, "issue", _nothing)


def certificates_for_every_course(patch: pytest.MonkeyPatch) -> None:
    honest = certificates.issue

    def issue(world: Any, organisation: Any, course: Any, user_id: str) -> None:
        honest(world, organisation, evolve(course, certificate=True), user_id)

    patch.setattr(certificates, "issue", issue)


def relative_due_dates_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Organisation,
        "restarted",
        lambda self, course_id, user_id: self.progress[course_id].enrolments[user_id],
    )


def fixed_due_dates_go(patch: pytest.MonkeyPatch) -> None:
    honest = Organisation.restarted

    def restarted(self: Organisation, course_id: str, user_id: str) -> Any:
        made = honest(self, course_id, user_id)
        return evolve(made, due_at="") if self.courses[course_id].due.kind is DueKind.STATIC else made

    patch.setattr(Organisation, "restarted", restarted)


def nothing_to_reset_is_refused(patch: pytest.MonkeyPatch) -> None:
    honest = eligibility.eligible

    def eligible(policy: Any, progress: Any, ids: Any) -> list[str]:
        found = honest(policy, progress, ids)
        if ids and not found and all(map(progress.has, ids)):
            raise invalid("Nothing to reset.")
        return found

    patch.setattr(resets, "eligible", eligible)


def those_with_nothing_are_notified(patch: pytest.MonkeyPatch) -> None:
    def handler(call: Any) -> Any:
        answer = resets.reset_progress(call)
        if answer.body == b'{"usersUpdated":0}':
            course_id, (user_id, *_) = call.body["courseId"], call.body["userIds"]
            told = Notification("n", call.organisation.id, user_id, course_id, "2026-12-01T12:00:00.000Z")
            call.world.outbox.append(told)
        return answer

    _altered(patch, resets.NAME, handler=handler)


# --- what follows -------------------------------------------------------------------------------------------------


def late_writes_are_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(late_writes, "check", _nothing)


def resets_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "done", _nothing)


def refusals_are_not_written_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "refused", _nothing)


def the_log_keeps_the_past(patch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    honest = audit.done

    def done(world: Any, token: Any, request_id: str, asked: Any, users: Any, outcome: str = "done") -> None:
        honest(world, token, request_id, asked, users, f"{outcome}, was completed {kept[-1:]}")

    _after_reset(patch, lambda _o, _c, was: kept.extend(each.completed_at for each in was.values()))
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


# --- in what order ------------------------------------------------------------------------------------------------


def the_confirmation_comes_first(patch: pytest.MonkeyPatch) -> None:
    honest = confirmation.read

    def read(headers: Any) -> Any:
        if not headers:
            raise RefusedError(Reason.CONFIRMATION_REQUIRED, "Confirm.")
        return honest(headers)

    patch.setattr(confirmation, "read", read)


def fields_come_before_rights(patch: pytest.MonkeyPatch) -> None:
    def rights(world: Any, actor: Any, body: Any) -> Reach:
        scope.read(world.policy, body)
        return scope.rights(world, actor, body)

    _altered(patch, resets.NAME, rights=rights)


def faults_come_before_rights(patch: pytest.MonkeyPatch) -> None:
    honest = app._perform

    def perform(world: Any, incoming: Any, *, is_repeat: bool) -> Any:
        if isinstance(incoming.body, RefusedError):
            raise incoming.body
        return honest(world, incoming, is_repeat=is_repeat)

    patch.setattr(app, "_perform", perform)


BREAKS: dict[Break, str] = {
    managers_reset_listed_users: "R01",
    the_permission_is_not_named: "R01",
    managers_reset_everyone: "R02",
    revoked_tokens_still_open: "R03",
    nobody_is_an_administrator: "R03",
    courses_of_others_are_listed: "R03",
    learners_reset_themselves: "R04",
    refusals_say_what_exists: "R04",
    leaders_see_everyone: "R05",
    learners_see_figures: "R05",
    no_confirmation_is_asked: "R06",
    titles_need_not_be_exact: "R06",
    numbers_need_not_be_true: "R06",
    an_empty_list_is_everyone: "R07",
    unknown_fields_are_dropped: "R07",
    unknown_users_are_passed_over: "R08",
    lists_may_be_endless: "R08",
    only_completions_are_reset: "R09",
    posts_open_nothing: "R09",
    everyone_but_one: "R09",
    guests_are_assigned: "R10",
    groups_assign_nobody: "R10",
    keys_mean_nothing: "R11",
    a_key_answers_anything: "R11",
    scores_stay: "R12",
    attempts_stay: "R12",
    submissions_stay: "R13",
    posts_stay: "R13",
    figures_stand_still: "R14",
    the_past_comes_back_with_the_assignment: "R15",
    learners_still_see_their_past: "R15",
    other_courses_are_reset_too: "R16",
    somebody_else_is_unassigned: "R16",
    the_course_is_unpublished: "R17",
    nobody_is_notified: "R18",
    everybody_is_notified: "R18",
    old_certificates_stay: "R19",
    no_new_certificates: "R19",
    certificates_for_every_course: "R19",
    relative_due_dates_stay: "R20",
    fixed_due_dates_go: "R20",
    nothing_to_reset_is_refused: "R21",
    those_with_nothing_are_notified: "R21",
    late_writes_are_taken: "R22",
    resets_are_not_written_down: "R23",
    refusals_are_not_written_down: "R23",
    the_log_keeps_the_past: "R23",
    no_event_is_sent: "R24",
    one_event_for_all: "R24",
    events_are_signed_by_somebody_else: "R24",
    drafts_are_refused: "R25",
    the_confirmation_comes_first: "R29",
    fields_come_before_rights: "R29",
    faults_come_before_rights: "R29",
}
"""Every way of breaking a rule, and the rule that it breaks: the checks of that one fail and no others."""
