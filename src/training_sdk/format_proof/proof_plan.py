"""The plan of a format proof: the test course, the person to be reset, and the control persons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property, reduce

import attrs
from attrs import frozen

from training_sdk._core.model import Key
from training_sdk._core.text import visible
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.format_proof.proofs import ProofScope, Way
from training_sdk.plans import wording
from training_sdk.plans.plan import ResetPlan, phrase_tail, plain_of_form
from training_sdk.plans.planned import PlannedReset
from training_sdk.plans.reset_effect import NAMES, NO_KEPT_FIELDS, EffectRules, KeptFields, has_lost
from training_sdk.reset_format import ResetFormat


@frozen
class ProofPlan:
    """The plan of ``client.resets.plan_proof``: the one reset that would be sent, and the rows that must not change.

    - ``reset``: The plan of that reset.
    - ``witnesses``: The rows that must not change: other people in the course, and all its people in other courses.
    - ``format``: The format to prove.
    - ``way``: ``"listed"``, or ``"everyone"`` for the call that resets everyone on the course.
    - ``refused_with``: The id of a user who is not on the course and is named last, for the proof of a refusal; None
      otherwise.
    """

    reset: ResetPlan
    witnesses: tuple[PlannedReset, ...]
    format: ResetFormat
    way: Way
    refused_with: str | None = None

    @property
    def ground(self) -> ProofScope:
        """The scope of the proof."""
        return ProofScope.of(self.reset.origin, self.format, server_side=self.way == "everyone")

    @property
    def people(self) -> tuple[str, ...]:
        """The user ids of everyone on the course."""
        course = self.reset.course.id
        rows = (*self.reset.users, *self.witnesses)
        return tuple(dict.fromkeys(row.user_id for row in rows if row.course_id == course))

    @property
    def watched(self) -> tuple[str, ...]:
        """The user ids of everyone whose rows are read: the people on the course, and ``refused_with``."""
        return self.people if self.refused_with is None else (*self.people, self.refused_with)

    @property
    def other_courses(self) -> tuple[str, ...]:
        """The other courses, by id, in which the people to be reset have progress that a reset would clear.

        Progress means lessons, percent or a completion. The opening time does not count: it might stay after a reset.
        """
        reset = {user.user_id for user in self.reset.targets}
        kept = (
            one.course_id
            for one in self.witnesses
            if one.user_id in reset and (one.completed_at or one.completed_lessons or one.percent)
        )
        return tuple(dict.fromkeys(course_id for course_id in kept if course_id != self.reset.course.id))

    @property
    def has_completed(self) -> bool:
        """True if a person to be reset has completed the course; the proof then affects a completion."""
        return any(one.completed_at for one in self.reset.targets)

    @property
    def completions_elsewhere(self) -> bool:
        """True if a person to be reset has completed another course."""
        reset = {user.user_id for user in self.reset.targets}
        course = self.reset.course.id
        return any(
            one.completed_at and one.user_id in reset and one.course_id != course for one in self.witnesses
        )

    @property
    def completions_beside(self) -> bool:
        """True if a control person has completed the course; always true if the call resets everyone."""
        course = self.reset.course.id
        return self.way == "everyone" or any(
            one.completed_at and one.course_id == course for one in self.witnesses
        )

    @property
    def is_wide_enough(self) -> bool:
        """True if the proof can detect a service that resets too much, also one that resets completed people only."""
        is_covered = self.completions_elsewhere and self.completions_beside
        return bool(self.other_courses) and (is_covered or not self.has_completed)

    @cached_property
    def _digest(self) -> str:
        document = {
            "reset": self.reset.digest,
            "witnesses": [plain_of_form(one, self.reset.form) for one in self.witnesses],
            "format": attrs.asdict(self.format),
            "way": self.way,
            **({} if self.refused_with is None else {"refused_with": self.refused_with}),
        }
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def digest(self) -> str:
        """The SHA-256, in hex, of everything in the plan."""
        return self._digest

    @property
    def phrase(self) -> str:
        """The phrase to type, such as ``prove on "Proof of resets" with "Ann Example" #a1b2-c3d4-e5f6-0718``."""
        title = wording.courses(self.reset.courses)
        mark = f"#{phrase_tail(self.digest, self.reset.form)}"
        if self.way == "everyone":
            return f"prove everyone on {title} for {self.reset.people} users {mark}"
        (person,) = self.reset.users
        if self.refused_with is not None:
            name = wording.shown(person.name) or person.user_id
            return f'prove a refusal on {title} with "{name}" and {self.refused_with} {mark}'
        return f'prove on {title} with "{wording.shown(person.name) or person.user_id}" {mark}'

    def __str__(self) -> str:
        course = self.reset.course
        whom = "everyone on the course" if self.way == "everyone" else "one person"
        effect = f"The proof resets {whom}, which cannot be undone:"
        if self.refused_with is not None:
            effect = (
                f"One request names the person below and then {self.refused_with}, who is not on the course. The "
                "service is expected to refuse it. If it accepts the request, or refuses it after a part, it resets "
                "this person, and may clear earlier progress of that user in this course. That cannot be undone:"
            )
        lines = [
            f"Proof on {wording.shown(course.title)!r} ({course.id}) at {self.reset.origin.base_url}, organisation "
            f"{self.reset.origin.organisation_id}. {effect}",
            *(f"  - {user}" for user in self.reset.targets),
            "A service that does not know the format may reset everyone on this course. These rows must not change:",
            *(f"  - {self._place(one)}{one}" for one in self.witnesses),
            "To continue, type:",
            f"  {self.phrase}",
        ]
        return visible("\n".join(lines))

    def __repr__(self) -> str:
        return visible(f"<ProofPlan: {self.phrase}>")

    def _place(self, row: PlannedReset) -> str:
        return "" if row.course_id == self.reset.course.id else f"in course {row.course_id}: "


@frozen
class Observation:
    """One reading of these people's rows, by key; ``cleared`` are targets, the other two are witnesses.

    A cleared target may keep ``kept_fields``. ``lost`` are witnesses with less progress than before, which only a reset
    takes away. ``moved`` are other people who are not as planned, and targets who are neither as before nor cleared.
    """

    cleared: tuple[Key, ...]
    unchanged: tuple[Key, ...]
    """The targets who are as before: the feed may not show the reset yet."""
    lost: tuple[Key, ...]
    moved: tuple[Key, ...]
    kept_fields: KeptFields = NO_KEPT_FIELDS
    """The fields that a reset left in the rows of the cleared people."""

    @classmethod
    def of(cls, plan: ProofPlan, rows: Mapping[Key, ProgressRow]) -> Observation:
        """Return the observation of these rows."""
        cleared: dict[Key, KeptFields] = {}
        unchanged: list[Key] = []
        lost: list[Key] = []
        moved: list[Key] = []
        rules = EffectRules.of(plan.reset)
        may_vanish = _shows_nobody_without_progress(plan, rows)
        for target in plan.reset.targets:
            row = rows.get(target.key)
            if row is not None and rules.stands(target, row):
                unchanged.append(target.key)
            elif (kept_fields := _left_of(target, rows, may_vanish=may_vanish)) is not None:
                cleared[target.key] = kept_fields
            else:
                moved.append(target.key)
        kept_fields = reduce(KeptFields.joined, cleared.values(), NO_KEPT_FIELDS)
        # Of others on the course it is known by now what stays, and some had nothing else.
        bare = [key for key in unchanged if not kept_fields.without(rows[key]).has_recorded_progress]
        cleared |= dict.fromkeys(bare, kept_fields)
        unchanged = [key for key in unchanged if key not in cleared]
        for witness in plan.witnesses:
            row = rows.get(witness.key)
            is_here = witness.course_id == plan.reset.course.id  # where the row of the person reset vanished
            may_be_gone = kept_fields.row_vanishes and (is_here or _is_elsewhere(witness, rows))
            if (row is None and may_be_gone) or (row is not None and has_lost(witness, row)):
                lost.append(witness.key)
            elif row is None or not rules.stands(witness, row):
                moved.append(witness.key)
        return cls(tuple(cleared), tuple(unchanged), tuple(lost), tuple(moved), kept_fields)


def _left_of(target: PlannedReset, rows: Mapping[Key, ProgressRow], *, may_vanish: bool) -> KeptFields | None:
    """Return what a reset left of a person's row; None if it does not look reset.

    A field stays if it is as before while everything else is gone, of which there must have been something. A row
    has vanished if no person has one without progress, and the person is listed in another course; otherwise they left.
    """
    row = rows.get(target.key)
    if row is None:
        return KeptFields(row_vanishes=True) if may_vanish and _is_elsewhere(target, rows) else None
    same = (name for name in NAMES if getattr(target, name) and getattr(row, name) == getattr(target, name))
    kept_fields = KeptFields(tuple(same))
    rest = {*PlannedReset.STANDING} - {"state", *kept_fields.fields}
    had_more = any(getattr(target, name) for name in rest)
    return None if kept_fields.without(row).has_recorded_progress or not had_more else kept_fields


def _shows_nobody_without_progress(plan: ProofPlan, rows: Mapping[Key, ProgressRow]) -> bool:
    before = (*plan.reset.users, *plan.witnesses)
    return all(one.state is not ProgressState.NOT_STARTED for one in before) and all(
        row.has_recorded_progress for row in rows.values()
    )


def _is_elsewhere(person: PlannedReset, rows: Mapping[Key, ProgressRow]) -> bool:
    return any(user_id == person.user_id and course_id != person.course_id for course_id, user_id in rows)
