"""What most tests do on the way to what they prove."""

from __future__ import annotations

from contract.plant import FORKLIFT, Plant
from contract.stage import Stage, typed
from training_sdk import ProgressRow, ResetReport


def reset(stage: Stage, plant: Plant, *names: str, course: str = FORKLIFT) -> ResetReport:
    """Plan, type and apply through the SDK: those named, or everyone."""
    client, course_id = stage.client(), plant.courses[course]
    whom = plant.ids(*names)
    plan = client.resets.plan(course_id, whom) if whom else client.resets.plan_everyone(course_id)
    return client.resets.apply(plan, confirm=typed(plan))


def row_of(stage: Stage, plant: Plant, name: str, course: str = FORKLIFT) -> ProgressRow:
    """Somebody's row of a course, as the progress feed has it."""
    (row,) = stage.client().progress.list(course_id=plant.courses[course], user_id=plant.id(name))
    return row
