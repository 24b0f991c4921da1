"""Breaking R16: a reset that touches something else as well. All of them leave resets of everyone alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from mock_server.world.organisation import Organisation
from mock_server.world.progress import Record
from unit.sdk.contract_kit.faulty_server import LISTED, after_reset, breaks, changed, entered

TOUCHED, STATE = "R16-nothing-else-is-touched", "R16-nothing-else-in-the-state"
EVERYONE = "R16-everyone-of-one-course"

More = Callable[[Organisation, Any, dict[str, Record]], None]


def _of_a_list(patch: pytest.MonkeyPatch, more: More) -> None:
    """Something more happens at every reset of a list."""

    def then(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        if 0 < len(was) <= LISTED:
            more(organisation, course, was)

    after_reset(patch, then)


def _enter(more: More, *checks: str) -> None:
    entered(more.__name__, lambda patch: _of_a_list(patch, more), *checks)


def other_courses_are_reset(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    for course_id, progress in organisation.progress.courses.items():
        for user_id in was if course_id != course.id else ():
            if progress.has(user_id):
                progress.put(user_id, None)


def somebody_else_is_unassigned(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    progress = organisation.progress[course.id]
    progress.leave([user_id for user_id in progress.roster if user_id not in was][-1])


def attempts_of_others_are_wiped(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    changed(organisation, course.id, *was, attempts=())


def posts_of_others_are_wiped(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    changed(organisation, course.id, *was, posts=(), submissions=(), hand_ins=())


def own_lessons_elsewhere_are_wiped(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _elsewhere(organisation, course, was, lessons=())


def own_attempts_elsewhere_are_wiped(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _elsewhere(organisation, course, was, attempts=())


def _elsewhere(organisation: Organisation, course: Any, was: dict[str, Record], **lost: Any) -> None:
    for course_id, progress in organisation.progress.courses.items():
        if course_id != course.id:
            changed(organisation, course_id, *(each for each in progress.records if each not in was), **lost)


def certificates_of_others_go(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    for key in [key for key in organisation.certificates if key[0] == course.id and key[1] not in was]:
        del organisation.certificates[key]


def certificates_elsewhere_go(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    for key in [key for key in organisation.certificates if key[0] != course.id]:
        del organisation.certificates[key]


def learning_paths_go(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    organisation.paths.clear()


def learning_paths_lose_the_course(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _without(organisation.paths, course.id)


def collections_lose_the_course(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _without(organisation.collections, course.id)


def _without(lists: dict[str, Any], course_id: str) -> None:
    for key, each in list(lists.items()):
        kept = tuple(other for other in each.course_ids if other != course_id)
        lists[key] = evolve(each, course_ids=kept)


def groups_are_left(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _people(organisation, was, groups=frozenset())


def sites_are_left(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _people(organisation, was, sites=frozenset())


def people_get_another_timezone(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _people(organisation, was, timezone="Pacific/Apia")


def people_are_no_longer_notified(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    _people(organisation, organisation.people.keys() - was.keys(), notifications=False)


def _people(organisation: Organisation, users: Any, **changes: Any) -> None:
    """Past `put_person`, by which their assignments would follow."""
    for user_id in users:
        organisation.people[user_id] = evolve(organisation.people[user_id], **changes)
    organisation._pairs.clear()


def assignments_become_direct(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    roster, now = organisation.progress[course.id].roster, organisation.clock.now()
    organisation.assigned[course.id] = evolve(
        organisation.assigned[course.id],
        users=dict.fromkeys(roster, now),
        groups={},
        sites={},
        universal=None,
    )


def other_courses_are_renamed(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
    """Those alone that no learning path and no collection shows."""
    lists = [*organisation.paths.values(), *organisation.collections.values()]
    listed = {course.id, *(course_id for each in lists for course_id in each.course_ids)}
    for each in [each for each in organisation.courses.values() if each.id not in listed]:
        organisation.put_course(evolve(each, description="Gone."))


def lessons_of_other_courses_are_renamed(
    organisation: Organisation, course: Any, was: dict[str, Record]
) -> None:
    for each in [each for each in organisation.courses.values() if each.id != course.id]:
        lessons = tuple(evolve(lesson, description="Gone.") for lesson in each.lessons)
        organisation.put_course(evolve(each, lessons=lessons))


for _more in (
    other_courses_are_reset,
    attempts_of_others_are_wiped,
    own_lessons_elsewhere_are_wiped,
    own_attempts_elsewhere_are_wiped,
    learning_paths_go,
    learning_paths_lose_the_course,
    collections_lose_the_course,
    groups_are_left,
    sites_are_left,
    people_get_another_timezone,
    other_courses_are_renamed,
    lessons_of_other_courses_are_renamed,
):
    _enter(_more, TOUCHED, STATE)
for _more in (
    posts_of_others_are_wiped,
    certificates_of_others_go,
    certificates_elsewhere_go,
    people_are_no_longer_notified,
    assignments_become_direct,
):
    _enter(_more, STATE)


_enter(somebody_else_is_unassigned, TOUCHED)


def _of_everyone(patch: pytest.MonkeyPatch, more: More) -> None:
    def then(organisation: Organisation, course: Any, was: dict[str, Record]) -> None:
        if len(was) > LISTED:
            more(organisation, course, was)

    after_reset(patch, then)


@breaks(EVERYONE)
def everyone_is_reset_in_other_courses_too(patch: pytest.MonkeyPatch) -> None:
    _of_everyone(patch, other_courses_are_reset)


@breaks(EVERYONE)
def everyone_loses_their_attempts_elsewhere(patch: pytest.MonkeyPatch) -> None:
    _of_everyone(patch, own_attempts_elsewhere_are_wiped)
