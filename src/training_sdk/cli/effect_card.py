"""The effect card: a one-page summary of a plan that the person who approves it can sign, also on paper."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen
from markupsafe import Markup

from training_sdk._core.model import Key
from training_sdk._core.text import visible
from training_sdk.api.progress import ProgressState
from training_sdk.cli.output import write_new
from training_sdk.client import TrainingClient
from training_sdk.errors import InvalidArgumentError, PermissionDeniedError
from training_sdk.outcome import Outcome
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import PlannedCourse, PlannedReset
from training_sdk.plans.wording import EVERYONE, number, others, shown
from training_sdk.reports.report import ResetReport, UserOutcome

if TYPE_CHECKING:
    from jinja2 import Template

MOST_LISTED = 2000
"""Largest number of people named on a card (about fifty printed pages). The others are counted; the plan lists them."""


@frozen
class Section:
    """One course on the card: the data that a reset clears, and the people."""

    course: PlannedCourse
    people: tuple[PlannedReset, ...]
    unlisted: int
    resets: int
    completed: int
    in_progress: int
    untouched: int
    left_out: int


def effect_card(plan: ResetPlan, report: ResetReport | None = None, *, planner: str | None = None) -> str:
    """Render a plan, or the result of applying it, as one HTML page without scripts or external files.

    ``planner``: the name to show for the person who made the plan; the plan itself contains only their id. Raises
    InvalidArgumentError if the report belongs to another plan.
    """
    if report is not None and report.plan.digest != plan.digest:
        raise InvalidArgumentError("The report and the card are of different plans.")
    return _template().render(
        plan=plan,
        report=report,
        planner=planner,
        sections=_sections(plan),
        several=len(plan.courses) > 1,
        outcomes=_outcomes(report),
        counts=_counts(report),
        absent=EVERYONE,
        hours=plan.losses.time_spent_seconds / 3600,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # slow to import, and only a card needs it

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_visible
    )
    environment.filters["shown"] = lambda text: shown(text or "")
    environment.filters["number"] = number
    environment.filters["others"] = others
    return environment.from_string(
        files("training_sdk.cli").joinpath("card.html.j2").read_text(encoding="utf-8")
    )


def _visible(value: object) -> object:
    """Return a value for the page; text is returned without invisible characters."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _sections(plan: ResetPlan) -> list[Section]:
    in_scope: dict[str, list[PlannedReset]] = {course.id: [] for course in plan.courses}
    for user in plan.users:
        in_scope[user.course_id].append(user)
    room = MOST_LISTED
    made: list[Section] = []
    for course in plan.courses:
        section = _section(course, in_scope[course.id], room)
        room -= len(section.people)
        made.append(section)
    return made


def _section(course: PlannedCourse, users: Sequence[PlannedReset], room: int) -> Section:
    targets = sorted((user for user in users if user.is_target), key=_as_in_a_register)
    completed = sum(user.state is ProgressState.COMPLETED for user in targets)
    left_out = sum(user.left_out is not None for user in users)
    return Section(
        course=course,
        people=tuple(targets[:room]),
        unlisted=max(len(targets) - room, 0),
        resets=len(targets),
        completed=completed,
        in_progress=len(targets) - completed,
        untouched=len(users) - len(targets) - left_out,
        left_out=left_out,
    )


def _as_in_a_register(user: PlannedReset) -> tuple[str, str]:
    """Return the sort key of a person; it sorts Ö next to O, as readers expect, and not after Z."""
    letters = unicodedata.normalize("NFKD", shown(user.name))
    return "".join(each for each in letters if not unicodedata.combining(each)).casefold(), user.user_id


def _outcomes(report: ResetReport | None) -> Mapping[Key, UserOutcome]:
    return {} if report is None else {user.key: user for user in report.users}


def _counts(report: ResetReport | None) -> Mapping[Outcome, int]:
    return {} if report is None else {outcome: number for outcome, number in report.counts.items() if number}


def write_card(
    path: Path | None, made: ResetPlan, report: Any = None, *, client: TrainingClient | None = None
) -> None:
    """Write the effect card if one was requested."""
    if path is not None:
        planner = None if client is None else _planner(client, made)
        write_new(path, effect_card(made, report, planner=planner), "an effect card")


def _planner(client: TrainingClient, made: ResetPlan) -> str | None:
    """Return name and e-mail of the person who just made a plan, if their token may read them."""
    me = client.users.me()
    if me.user_id != made.origin.user_id:
        return None
    try:
        email = next((user.email for user in client.users.list(ids=[me.user_id])), None)
    except PermissionDeniedError:
        email = None
    name = " ".join(part for part in (me.firstname, me.lastname) if part)
    return " ".join(part for part in (name, f"<{email}>" if email else "") if part) or None
