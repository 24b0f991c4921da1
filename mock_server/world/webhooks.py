"""Webhooks: who wants to be told, and what is still to be sent."""

from __future__ import annotations

from attrs import field, frozen

RESET_EVENT = "TRIGGER_EVENT_TRAINING_COURSE_RESET"


@frozen
class Webhook:
    """One subscription of an organisation."""

    id: str
    organisation_id: str
    url: str
    trigger_events: tuple[str, ...]
    created_at: str


@frozen
class Message:
    """One event on its way to one webhook: somebody's progress in a course was reset (R24)."""

    webhook: Webhook
    secret: str = field(repr=False)
    date_triggered: str
    actor_id: str
    course_id: str
    course_title: str
    user_id: str
