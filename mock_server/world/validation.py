"""What of a state document would later fail far from its cause: ids and tokens that stand twice or nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mock_server.world.codec import StateError
from mock_server.world.people import digest

if TYPE_CHECKING:
    from mock_server.world.courses import CourseList, Leaderboard
    from mock_server.world.state import CourseState, OrganisationState, State


def validate(state: State) -> None:
    """StateError, naming the place, for a document that contradicts itself."""
    organisations = _once((each.id for each in state.organisations), "$.organisations")
    if state.main not in organisations:
        raise StateError(f"$.main: there is no organisation {state.main}")
    for number, each in enumerate(state.organisations):
        _check(each, f"$.organisations[{number}]")
    _check_tokens(state)
    _check_queue(state)
    _once((each.id for each in state.webhooks), "$.webhooks")
    for number, hook in enumerate(state.webhooks):
        if hook.organisation_id not in organisations:
            raise StateError(f"$.webhooks[{number}]: there is no organisation {hook.organisation_id}")


def _check_tokens(state: State) -> None:
    known = {(each.id, person.id) for each in state.organisations for person in each.people}
    for key, token in state.tokens.items():
        if (token.organisation_id, token.user_id) not in known:
            raise StateError(f"$.tokens.{key}: there is no user {token.user_id} in its organisation")
    for name, text in state.token_names.items():
        if digest(text) not in state.tokens:
            raise StateError(f"$.token_names.{name}: this token is not among the tokens")


def _check_queue(state: State) -> None:
    people = {(each.id, person.id) for each in state.organisations for person in each.people}
    courses = {(each.id, found.course.id) for each in state.organisations for found in each.courses}
    for number, each in enumerate(state.queued):
        if (each.organisation_id, each.course_id) not in courses:
            raise StateError(f"$.queued[{number}]: there is no course {each.course_id} in its organisation")
        for user_id in (each.user_id, each.actor_id):
            if (each.organisation_id, user_id) not in people:
                raise StateError(f"$.queued[{number}]: there is no user {user_id} in its organisation")


def _check(state: OrganisationState, where: str) -> None:
    people = _once((each.id for each in state.people), f"{where}.people")
    courses = _once((each.course.id for each in state.courses), f"{where}.courses")
    _check_lists(state.paths, courses, f"{where}.paths")
    _check_lists(state.collections, courses, f"{where}.collections")
    _check_lists(state.leaderboards, courses, f"{where}.leaderboards")
    _check_refreshes(state, people, where)
    _check_people(state, where)
    _once(
        (slide.id for each in state.courses for lesson in each.course.lessons for slide in lesson.slides),
        f"{where}: slides of courses",
    )
    for number, each in enumerate(state.courses):
        for kind in (each.enrolments, each.records, each.reset_at):
            if missing := kind.keys() - people:
                raise StateError(f"{where}.courses[{number}]: there is no user {', '.join(sorted(missing))}")
        if missing := set(roster(state, each)) - each.enrolments.keys():
            listed = ", ".join(sorted(missing))
            raise StateError(f"{where}.courses[{number}].enrolments lacks {listed}, to whom it is assigned")


def _check_people(state: OrganisationState, where: str) -> None:
    sets = _once((each.id for each in state.permission_sets), f"{where}.permission_sets")
    groups = _once((each.id for each in state.groups), f"{where}.groups")
    sites = _once((each.id for each in state.sites), f"{where}.sites")
    for number, person in enumerate(state.people):
        if person.organisation_id != state.id:
            raise StateError(f"{where}.people[{number}] belongs to {person.organisation_id}, not {state.id}")
        for kind, named, there in (
            ("permission set", person.permission_sets, sets),
            ("group", person.groups | person.managed_groups, groups),
            ("site", person.sites | person.managed_sites, sites),
        ):
            if unknown := named - there:
                listed = ", ".join(sorted(unknown))
                raise StateError(f"{where}.people[{number}]: there is no {kind} {listed}")


def _check_lists(lists: Sequence[CourseList | Leaderboard], courses: set[str], where: str) -> None:
    _once((each.id for each in lists), where)
    for number, each in enumerate(lists):
        if missing := set(each.course_ids) - courses:
            raise StateError(f"{where}[{number}]: there is no course {', '.join(sorted(missing))}")


def _check_refreshes(state: OrganisationState, people: set[str], where: str) -> None:
    _once((each.id for each in state.rapid_refreshes), f"{where}.rapid_refreshes")
    _once(("/".join(each.key) for each in state.refresh_answers), f"{where}.refresh_answers")
    asked = {(each.id, question.id) for each in state.rapid_refreshes for question in each.questions}
    for number, each in enumerate(state.refresh_answers):
        if (each.refresh_id, each.question_id) not in asked or each.user_id not in people:
            raise StateError(f"{where}.refresh_answers[{number}]: there is no such question, or no such user")


def _once(ids: Iterable[str], where: str) -> set[str]:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise StateError(f"{where} has {each} twice")
        seen.add(each)
    return seen


def roster(state: OrganisationState, course: CourseState) -> list[str]:
    """Ids of those to whom a course is assigned, in order."""
    return sorted(each.id for each in state.people if course.assigned.since(each) is not None)
