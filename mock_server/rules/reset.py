"""What a reset does (R10, R12 to R17, R20, R21): all of it or nothing, and no way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mock_server.rules import certificates, notifications

if TYPE_CHECKING:
    from mock_server.world.courses import Course
    from mock_server.world.organisation import Organisation
    from mock_server.world.world import World


def reset(
    world: World,
    organisation: Organisation,
    course: Course,
    user_ids: Sequence[str],
    absent: Sequence[str] = (),
) -> None:
    """Clear the progress of these eligible users, and of these absent ones. Call it under the world's lock.

    A record holds everything that is cleared, so dropping it drops all of it (R12, R13), and nothing else is
    near (R16); nothing is put aside (R15). Whatever could fail is done before the first change. An absent user is
    not assigned: there is no due date to start anew (R20) and no notification to send (R18).
    """
    messages = notifications.for_reset(world, organisation, course, user_ids)
    progress, now = organisation.progress[course.id], world.clock.now()
    enrolments = {user_id: organisation.restarted(course.id, user_id) for user_id in user_ids}
    for user_id in (*user_ids, *absent):
        progress.put(user_id, None)
        progress.reset_at[user_id] = now
        certificates.withdraw(world, organisation, course, user_id)
    for user_id, enrolment in enrolments.items():
        progress.enrol(user_id, enrolment)
    world.outbox.extend(messages)
