"""The rows of an organisation that a user can see (R03 to R05): their own, those of their teams, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mock_server.rules.permissions import Reach
from mock_server.world.courses import CourseList, RapidRefresh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mock_server.rules.authentication import Actor
    from mock_server.world.courses import Course

L = TypeVar("L", CourseList, RapidRefresh)


def users(actor: Actor, reach: Reach) -> set[str] | None:
    """Return ids of the users whose rows an actor sees; None for all."""
    if reach is Reach.ALL:
        return None
    return {actor.id} | (team(actor) if reach is Reach.TEAMS else set())


def team(actor: Actor) -> set[str]:
    """Return ids of the users of the groups and sites that an actor manages."""
    groups, sites = actor.person.managed_groups, actor.person.managed_sites
    return {
        person.id
        for person in actor.organisation.people.values()
        if not (groups.isdisjoint(person.groups) and sites.isdisjoint(person.sites))
    }


def courses(actor: Actor, reach: Reach) -> list[Course]:
    """Return the courses that an actor sees: all, or the published ones assigned to them."""
    every = actor.organisation.courses.values()
    return [course for course in every if reach is Reach.ALL or _is_theirs(actor, course)]


def assigned_lists(actor: Actor, reach: Reach, lists: Mapping[str, L]) -> list[L]:
    """Return paths, collections or rapid refreshes that an actor sees, by id: all, or those published and assigned."""
    return [
        each
        for _, each in sorted(lists.items())
        if reach is Reach.ALL or (each.is_published and each.assigned.since(actor.person) is not None)
    ]


def courses_of(actor: Actor, reach: Reach, held: CourseList) -> list[Course]:
    """Return the courses of a learning path or collection that an actor sees, in its order."""
    seen = {course.id: course for course in courses(actor, reach)}
    return [seen[course_id] for course_id in held.course_ids if course_id in seen]


def _is_theirs(actor: Actor, course: Course) -> bool:
    return course.is_published and actor.organisation.progress[course.id].has(actor.id)
