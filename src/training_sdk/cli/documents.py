"""What ``--json`` prints: plain data, with the names that the values have in Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import attrs

from training_sdk._core.model import Extra
from training_sdk.cli.remedies import as_given
from training_sdk.local_plans.unfinished import Unfinished
from training_sdk.plans.plan import ResetPlan
from training_sdk.recertification.due import Due
from training_sdk.resets.report import ResetReport


def plain(value: Any) -> Any:
    """A frozen value as JSON data, whatever is in it."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))
        return {
            one.name: plain(getattr(value, one.name))
            for one in fields
            if one.init and not one.name.startswith("_")
        }
    if isinstance(value, Extra | Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def of_plan(plan: ResetPlan, saved: str | None = None) -> dict[str, Any]:
    """A plan, what it would clear, and the phrase to be typed."""
    return {
        "digest": plan.digest,
        "phrase": plan.phrase,
        "people": plan.people,
        "resets": len(plan.targets),
        "notifications": plan.notifications,
        "counts": plain(plan.counts),
        "target_counts": plain(plan.target_counts),
        "losses": plain(plan.losses),
        "saved": saved,
        "plan": plan.document(),
    }


def of_report(report: ResetReport) -> dict[str, Any]:
    """What became of everyone."""
    return {
        "plan_digest": report.plan.digest,
        "base_url": report.plan.origin.base_url,
        "reference_server": report.plan.origin.reference_server,
        "complete": report.is_complete,
        "reached_others": report.reached_others,
        "others_seen": list(report.others_seen),
        "counts": plain(report.counts),
        "applied_by": report.applied_by,
        "reason": report.reason,
        "ticket": report.ticket,
        "started_at": report.started_at.isoformat(),
        "finished_at": report.finished_at.isoformat(),
        "requests": list(report.requests),
        "sent_ids": list(report.sent_ids),
        "packs": list(report.packs),
        "missing_lessons": [
            {"course_id": course_id, "user_id": user_id} for course_id, user_id in report.missing_lessons
        ],
        "approved": plain(report.approved),
        "users": plain(report.users),
    }


def of_unfinished(found: Unfinished | None) -> dict[str, Any] | None:
    """What is known of an application that did not come to its end; None for one that did."""
    if found is None:
        return None
    return {
        "begun_at": found.begun_at.isoformat(),
        "last_step_at": found.report.finished_at.isoformat(),
        "requests": found.requests,
        "sent": found.sent,
        "settled": found.settled,
        "unknown": found.unknown,
        "left": found.left,
        "under_way": found.under_way,
        "advice": as_given(found.advice),
    }


def of_due(due: Due, today: date) -> dict[str, Any]:
    """Who is due, and who else is listed; ``today`` is the day on which it was asked."""
    return {
        "on": due.on.isoformat(),
        "today": today.isoformat(),
        "zone": due.zone,
        "rule": due.rule,
        "not_due": due.not_due,
        "held_nobody": plain(due.held_nobody),
        **{standing.value.replace(" ", "_"): plain(cases) for standing, cases in due.listed.items()},
    }
