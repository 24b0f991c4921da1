"""The plan of a format proof, what a reading shows of it, and the proof as it is stored in the state directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property, reduce
from typing import Literal

import attrs
from attrs import Attribute, field, frozen

from training_sdk._core.model import Key
from training_sdk._core.text import visible
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.errors import RecordsDamagedError, UnconfirmedFormatError
from training_sdk.plans import wording
from training_sdk.plans.plan import ResetPlan, phrase_tail, plain_of_form
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.plans.reset_effect import NAMES, NO_KEPT_FIELDS, EffectRules, KeptFields, has_lost
from training_sdk.records import storage
from training_sdk.records.journal import processing_time_of
from training_sdk.records.state import StateDirectory
from training_sdk.safeguards import ResetFormat

Way = Literal["listed", "everyone"]

PROVABLE = (400, 403, 404)
"""The statuses of a refusal that may be about one of the people; others are about the request, or about later."""


@frozen
class ProofScope:
    """The scope of a proof: one server, organisation, format, and way (listed people, or everyone on the course)."""

    base_url: str
    organisation_id: str
    format: ResetFormat
    way: Way

    @classmethod
    def of(cls, origin: Origin, reset_format: ResetFormat, *, server_side: bool) -> ProofScope:
        """Return the scope of resets at this origin."""
        way: Way = "everyone" if server_side else "listed"
        return cls(origin.base_url, origin.organisation_id, reset_format, way)

    @property
    def name(self) -> str:
        """The name of its file: the same for the same scope, and for no other."""
        text = json.dumps(attrs.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


Ground = ProofScope
"""The earlier name of ``ProofScope``."""


def _provable(_: object, attribute: Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    if strange := [status for status in value if status not in PROVABLE]:
        raise ValueError(f"{attribute.name}: no proof shows {', '.join(map(str, strange))}.")


@frozen
class Proof:
    """The proof that a reset of listed people (or of everyone) reset these people and no other person.

    - ``ground``: The server, organisation, format and way that it is valid for.
    - ``proved_at``, ``proved_by``: The time in UTC, and the user id of the owner of the token.
    - ``course_id``: The test course.
    - ``person``: The user id of the person who was reset; None if everyone on the course was.
    - ``witnesses``: The user ids of the control persons, whose progress was seen to stay.
    - ``counted``: True if the answer contained the number of people who were reset.
    - ``traces``: The fields of a row that a reset keeps; in an older proof, none.
    - ``seen_after_seconds``: The time from the request until the effect was first seen; None in an older proof.
    - ``other_courses``: The other courses in which a person who was reset kept their progress; empty in a proof of an
      older version, which is not enough.
    - ``refusals_without_effect``: The statuses of refusals of several people that were seen to reset none of them;
      empty unless that was proved too.
    - ``completions_stayed``: True if completions of other people, and of the person in another course, were seen to
      stay. False if the person had not completed the course, which is enough. None in a proof of an older version,
      which is not enough.
    - ``counts_everyone``: True if the answer to the call for everyone also counted people with nothing to reset; None
      if that is not known.
    """

    ground: ProofScope
    proved_at: datetime
    proved_by: str
    course_id: str
    person: str | None
    witnesses: tuple[str, ...]
    counted: bool
    traces: KeptFields = NO_KEPT_FIELDS
    seen_after_seconds: float | None = None
    other_courses: tuple[str, ...] = ()
    refusals_without_effect: tuple[int, ...] = field(default=(), validator=_provable)
    completions_stayed: bool | None = None
    counts_everyone: bool | None = None

    @property
    def seen_after(self) -> timedelta:
        """The time from the request until its effect was first seen; zero in an older proof."""
        return processing_time_of(self.seen_after_seconds or 0.0)


def find_proof(state: StateDirectory, ground: ProofScope) -> Proof | None:
    """Return the proof for this scope on this machine, or None. Raises RecordsDamagedError if the file was changed."""
    path = state.path / "proofs" / f"{ground.name}.json"
    proof = storage.read_document(path, Proof)
    if proof is not None and proof.ground != ground:
        raise RecordsDamagedError(
            f"{path} is the proof of another scope. Nothing was sent. Prove the format again."
        )
    return proof


def kept_fields_at(
    find: Callable[[ProofScope], Proof | None], origin: Origin, reset_format: ResetFormat
) -> KeptFields:
    """Return what resets leave of a row there, by the proofs of both ways."""
    found = KeptFields()
    for server_side in (False, True):
        try:
            proof = find(ProofScope.of(origin, reset_format, server_side=server_side))
        except UnconfirmedFormatError:  # it is no longer valid, so it proves nothing
            continue
        found = found if proof is None else found.joined(proof.traces)
    return found


def save_proof(state: StateDirectory, proof: Proof) -> None:
    """Store a proof, in place of an earlier one for the same scope."""
    storage.write_document(state.proofs / f"{proof.ground.name}.json", proof)


def withdraw_proof(state: StateDirectory, ground: ProofScope) -> bool:
    """Withdraw the proof for this scope, which a later attempt has refuted; return whether there was one."""
    path = state.proofs / f"{ground.name}.json"
    with storage.writing(path):
        if not path.exists():
            return False
        path.unlink()
        storage.sync_folder(path.parent)
    return True


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
