"""Fresh worlds from one that was built once: what is frozen is shared, every container is copied.

Building the demo world takes some seven milliseconds, copying its containers a small part of one. Fields that a world
only fills while it lives begin empty, as they do in a world just built.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from attrs import evolve

from mock_server.policy import Policy
from mock_server.world.clock import Clock
from mock_server.world.courses import Assigned, CourseList
from mock_server.world.ids import Ids
from mock_server.world.organisation import Organisation
from mock_server.world.progress import CourseProgress, ProgressTable
from mock_server.world.refreshes import RapidRefresh, RefreshAnswers
from mock_server.world.world import World

W = TypeVar("W", bound=World)
L = TypeVar("L", CourseList, RapidRefresh)


def fork(built: World, policy: Policy, now: datetime | None, kind: type[W]) -> W:
    """A world like one that was just built and in which nothing has happened yet, sharing nothing that changes."""
    clock, ids = Clock(now), Ids("")
    ids.restore(*built.ids.state())
    organisations = {each.id: _organisation(each, clock) for each in built.organisations.values()}
    return kind(
        policy=policy,
        clock=clock,
        ids=ids,
        main=organisations[built.main.id],
        organisations=organisations,
        tokens=dict(built.tokens),
    )


def _organisation(built: Organisation, clock: Clock) -> Organisation:
    return Organisation(
        id=built.id,
        name=built.name,
        clock=clock,
        people=dict(built.people),
        groups=dict(built.groups),
        sites=dict(built.sites),
        permission_sets=dict(built.permission_sets),
        courses=dict(built.courses),
        assigned={course_id: _assigned(each) for course_id, each in built.assigned.items()},
        progress=ProgressTable(
            {course_id: _course(each) for course_id, each in built.progress.courses.items()}
        ),
        paths=_assigned_lists(built.paths),
        collections=_assigned_lists(built.collections),
        rapid_refreshes=_assigned_lists(built.rapid_refreshes),
        refresh_answers=RefreshAnswers(list(built.refresh_answers.rows)),
        leaderboards=dict(built.leaderboards),
        certificates=dict(built.certificates),
    )


def _assigned(built: Assigned) -> Assigned:
    return Assigned(dict(built.users), dict(built.groups), dict(built.sites), built.universal)


def _assigned_lists(built: dict[str, L]) -> dict[str, L]:
    return {each.id: evolve(each, assigned=_assigned(each.assigned)) for each in built.values()}


def _course(built: CourseProgress) -> CourseProgress:
    return CourseProgress(
        roster=list(built.roster),
        enrolments=dict(built.enrolments),
        records=dict(built.records),
        tally=evolve(built.tally),
    )
