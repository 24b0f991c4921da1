"""The figures of a course worked out anew from the raw records, sharing nothing with the counters they check."""

from __future__ import annotations

from mock_server.world.organisation import Organisation


def recount(organisation: Organisation, course_id: str) -> dict[str, int]:
    """What the kept counters of a course must be, by walking over everybody."""
    assigned = organisation.assigned[course_id]
    people = [p.id for p in organisation.people.values() if assigned.since(p) is not None]
    records = organisation.progress[course_id].records
    rows = [records[user_id] for user_id in people if user_id in records]
    return {
        "total": len(people),
        "opened": sum(1 for row in rows if row.opened_at != ""),
        "completed": sum(1 for row in rows if row.completed_at != ""),
        "recorded": sum(1 for row in rows if row.is_recorded),
        "score_sum": sum(row.score for row in rows),
    }
