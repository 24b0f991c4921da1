"""Finding the plan of this machine that caused a webhook event about a reset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk._core.model import Key
from training_sdk.api.webhooks import WebhookEvent
from training_sdk.errors import InvalidArgumentError, RecordsDamagedError
from training_sdk.local_plans.plan_records import LostPlan, PlanRecords, read_records
from training_sdk.records.events import Intent, Opened, Resumed, Sent
from training_sdk.records.journal import LARGEST_DIFFERENCE, journal_processing_time
from training_sdk.records.journal_state import PersonState
from training_sdk.records.state import StateDirectory


@frozen
class PlannedRequest:
    """The request of a plan of this machine that a reset event belongs to."""

    plan_digest: str
    course_id: str
    user_id: str
    applied_by: str
    """The user whose token it carried."""
    sent_at: datetime
    sent_id: str | None
    """The ``X-Request-ID`` under which it was sent; None in a journal of an older version."""
    standing: PersonState
    """The state of the person in the journal now. REFUSED, with an event, means that the refusal was not true."""
    reason: str | None
    ticket: str | None


def plan_of_event(
    event: WebhookEvent, state_dir: str | os.PathLike[str] | None = None
) -> PlannedRequest | None:
    """Find the request of this machine that caused a reset event; None if no plan here did.

    None is a reason to ask: a person was reset by another machine, another program, the web app, or outside of a plan.
    A request fits if it named this person in this course, and the user who caused the event sent it in this
    organisation. It was sent before the event, by no more than the processing time of the plan; 5 minutes more are
    allowed on both sides. A second reset of the person by the same user within that time cannot be distinguished from
    the first. With a reference server times are not compared, because it may have another clock. ``state_dir`` is that
    of the client that resets.

    A request is on the disk before it is sent, so this also works while ``apply`` is under way. It reads all journals.

    Raises InvalidArgumentError for an event that is about something else or does not say whom and when, and
    RecordsDamagedError if no readable plan fits and one that cannot be read may.
    """
    key, at = _asked(event)
    state = StateDirectory.existing(state_dir)
    if state is None:
        return None
    found: list[PlannedRequest] = []
    unreadable: list[LostPlan] = []
    for records in read_records(state):
        if (lost := records.lost()) is None:
            found += _requests(records, event, key, at)
        elif _may_be_of(lost, event, key, at):
            unreadable.append(lost)
    if not found and unreadable:
        raise RecordsDamagedError(
            f"The event may belong to a plan that cannot be read: {unreadable[0].damage}"
        )
    return max(found, key=lambda one: one.sent_at, default=None)


def _asked(event: WebhookEvent) -> tuple[Key, datetime]:
    if not event.is_reset:
        kinds = ", ".join(event.event.event_types) or "nothing"
        raise InvalidArgumentError(f"event must be about a reset, not about {kinds}.", argument="event")
    course_id, user_id, at = event.course_id, event.user_id, event.event.date_triggered
    if course_id is None or user_id is None or at is None:
        raise argument_checks.refusal(
            "event",
            "must have the course, the person and the time of the reset. Check its data: their form is "
            "assumed.",
        )
    return (course_id, user_id), argument_checks.moment(at, "date_triggered")


def _requests(records: PlanRecords, event: WebhookEvent, key: Key, at: datetime) -> Iterator[PlannedRequest]:
    """Return the requests in the journal of a plan that fit."""
    state = records.journal.state()
    longest = journal_processing_time(state) + LARGEST_DIFFERENCE
    opened: Opened | None = None
    named: dict[int, str] = {}
    by = ""
    for one in records.journal.events:
        match one:
            case Opened():
                opened, by = one, one.applied_by
            case Resumed():
                by = one.applied_by
            case Intent():
                users = [user_id for user_id in one.user_ids if _is_same(user_id, key[1])]
                named.pop(one.chunk, None)
                if one.course_id == key[0] and users:
                    named[one.chunk] = users[0]
            case Sent() if one.chunk in named and opened is not None and _is_by(event, opened, by):
                if opened.reference_server or -LARGEST_DIFFERENCE <= at - one.at <= longest:
                    user_id = named[one.chunk]
                    yield PlannedRequest(
                        records.digest, key[0], user_id, by, one.at, one.request_id,
                        state.person_state(key[0], user_id), opened.reason, opened.ticket,
                    )  # fmt: skip
            case _:
                pass


def _is_by(event: WebhookEvent, opened: Opened, user_id: str) -> bool:
    """Return whether an event is of the organisation and the user of a plan, as far as it says so."""
    actor, organisation = event.event.triggered_by.user, event.organisation_id
    return (not actor or _is_same(actor, user_id)) and (
        organisation is None or _is_same(organisation, opened.organisation_id)
    )


def _may_be_of(lost: LostPlan, event: WebhookEvent, key: Key, at: datetime) -> bool:
    """Return whether a plan whose journal cannot be used may have caused an event, by the log and its copy."""
    organisation = event.organisation_id
    of = {(entry.get("who") or {}).get("organisation_id") for entry in lost.entries} - {None}
    if organisation is not None and of and not any(_is_same(organisation, str(one)) for one in of):
        return False
    times = [datetime.fromisoformat(entry["at"]) for entry in lost.entries]
    is_before = bool(times) and at < min(times) - LARGEST_DIFFERENCE
    is_after = not lost.is_open and at > lost.settled_at + LARGEST_DIFFERENCE
    in_time = lost.is_reference or not (is_before or is_after)
    in_one_spelling = (key[0], f"user_{_bare(key[1])}")
    return in_time and bool(lost.among([key, in_one_spelling]))


def _is_same(one: str, other: str) -> bool:
    return _bare(one) == _bare(other)


def _bare(identity: str) -> str:
    """Return an id in one spelling: webhooks may write a UUID with hyphens, and all else a prefix and 32 digits."""
    for prefix in ("role_", "user_"):
        identity = identity.removeprefix(prefix)
    return identity.replace("-", "").lower()
