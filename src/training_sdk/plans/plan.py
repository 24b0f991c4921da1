"""A reset as it would be: frozen, reviewable, and named by a phrase that fits no other plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal

from attrs import Attribute, evolve, field, frozen

from training_sdk._core import codec
from training_sdk._core.model import Key as Key
from training_sdk._core.printable import visible
from training_sdk._core.urls import service_name
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.approval import ssh
from training_sdk.errors import InvalidArgumentError
from training_sdk.plans import digests, wording

FORM = 3
"""The form of a plan made today: which fields are digested and saved, and how long the tail of its phrase is."""
OLDEST_FORM = 2
"""The first form that is still read. A plan keeps the form it was made in, and with it its digest and phrase."""
NEVER = 2**31
"""The form of fields that no digest covers."""
SHORT_TAIL = 2
"""The last form whose phrase ended with only 24 bits of the digest."""
SIGNATURE_NAMESPACE = "training-sdk-plan"
"""Keeps the signature of an approval from passing for that of a plan, and the other way round."""

Scope = Literal["users", "everyone"]
Only = Literal["completed"]


def since(form: int, default: Any) -> Any:
    """A field that plans of earlier forms do not hold; it is not in their digest, nor in their file."""
    return field(default=default, metadata={"since": form})


def plain_of_form(value: Any, form: int) -> dict[str, Any]:
    """A value as plain JSON data, with the fields that plans of this form hold."""

    def is_held(attribute: Attribute[Any], held: Any) -> bool:
        said = attribute.metadata
        return said.get("since", 0) <= form and bool(held or not said.get("unless_empty"))

    return codec.plain(value, is_held)


def short_digest(digest: str, form: int) -> str:
    """A digest as a phrase of this form ends with it."""
    return digest[: digests.OLD_DIGITS] if form <= SHORT_TAIL else digests.short(digest)


@frozen
class Origin:
    """Where a plan was made: server, organisation, whose token, and whether it was the reference server."""

    base_url: str
    organisation_id: str
    user_id: str
    reference_server: bool

    def is_same_organisation(self, base_url: object, organisation_id: object) -> bool:
        """Whether these name the same organisation of the same service; the vendor's hosts are one service."""
        here = (service_name(self.base_url), self.organisation_id)
        return isinstance(base_url, str) and here == (service_name(base_url), organisation_id)


@frozen
class PlannedCourse:
    """One course of a plan, as it was called when the plan was made."""

    id: str
    title: str
    external_id: str | None = None
    status: str | None = None


@frozen
class PlannedReset:
    """One person in one course of a plan, and how they stood. ``percent`` is 0–100.

    ``left_out`` says why this person is in scope and yet not to be reset. ``last_reset_at`` is when this machine last
    reset them in this course, as far as its own records go.
    """

    course_id: str
    user_id: str
    name: str
    email: str | None
    state: ProgressState
    percent: float
    completed_at: datetime | None
    score: int | float | None
    opened_at: datetime | None = None
    completed_lessons: int = 0
    time_spent_seconds: float | None = None
    due_at: datetime | None = None
    external_id: str | None = None
    left_out: str | None = None
    last_reset_at: datetime | None = None

    STANDING: ClassVar[tuple[str, ...]] = (
        *("state", "percent", "completed_at", "score"),
        *("opened_at", "completed_lessons", "time_spent_seconds"),
    )
    """The fields that say how somebody stands."""

    @classmethod
    def of(
        cls, row: ProgressRow, *, left_out: str | None = None, last_reset_at: datetime | None = None
    ) -> PlannedReset:
        """From a row of the progress feed."""
        return cls(
            row.course_id,
            row.user_id,
            row.user_name,
            row.user_email,
            row.state,
            row.progress_percent,
            row.completed_at,
            row.score,
            row.opened_at,
            row.completed_lessons,
            row.time_spent_seconds,
            row.due_at,
            row.user_external_id,
            left_out,
            last_reset_at,
        )

    @property
    def key(self) -> Key:
        """Course and user."""
        return self.course_id, self.user_id

    @property
    def is_target(self) -> bool:
        """Whether this person's progress would be cleared: something is recorded, and they are not left out."""
        return self.left_out is None and self.state is not ProgressState.NOT_STARTED

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name, e-mail and external id, as a person who reads the plan knows somebody; empty where there is none."""
        return self.name or "", self.email or "", self.external_id or ""

    @property
    def standing(self) -> tuple[object, ...]:
        """The progress that must not have changed between plan and reset."""
        return tuple(getattr(self, name) for name in self.STANDING)

    def __str__(self) -> str:
        return visible(wording.person(self))


@frozen
class Losses:
    """What a plan would clear, as far as the progress feed shows it; ``time_spent_seconds`` is the sum.

    Attempts, answers to surveys, practical assessments, discussions and assignments go as well. No published listing
    counts the latter three, so no number is given for them.
    """

    people: int
    resets: int
    completions: int
    lessons: int
    scores: int
    time_spent_seconds: float


@frozen
class ResetPlan:
    """Who would lose what in which courses; made by ``client.resets.plan`` and ``plan_everyone``, read-only.

    ``users`` holds everyone in scope, once per course; ``targets`` those whose progress would be cleared.
    ``selection`` says in words whom ``only``, ``where`` or ``plan_due`` leaves in. Times are UTC. ``form`` is that of
    its file: a plan of an earlier version keeps its own, is read and resumed, and is not applied. ``unassigned`` are
    people who were named and left out of a course, by course and user id, because the feed has no row for them there
    (``skip_unassigned``). ``signature`` is the planner's, if ``sign`` was called; it is of the digest and no part of
    it.
    """

    courses: tuple[PlannedCourse, ...]
    selection: str | None
    users: tuple[PlannedReset, ...]
    read_at: datetime
    expires_at: datetime
    origin: Origin
    warnings: tuple[str, ...] = ()
    form: int = FORM
    unassigned: tuple[Key, ...] = field(default=(), metadata={"unless_empty": True})
    signature: str | None = field(default=None, repr=False, metadata={"since": NEVER})

    @property
    def scope(self) -> Scope:
        """Whom the plan is for: ``"users"`` that were named, or ``"everyone"``, which is an EveryonePlan."""
        return "users"

    @property
    def course(self) -> PlannedCourse:
        """The course of a plan that holds one. Raises InvalidArgumentError if it holds several."""
        if len(self.courses) > 1:
            raise InvalidArgumentError(f"this plan holds {len(self.courses)} courses; see plan.courses")
        return self.courses[0]

    @property
    def targets(self) -> tuple[PlannedReset, ...]:
        """The people whose progress would be cleared, once per course."""
        return self._targets

    @cached_property
    def _targets(self) -> tuple[PlannedReset, ...]:
        return tuple(user for user in self.users if user.is_target)

    def targets_in(self, course_id: str) -> tuple[PlannedReset, ...]:
        """The people whose progress would be cleared in one course."""
        return tuple(user for user in self.targets if user.course_id == course_id)

    @property
    def people(self) -> int:
        """How many different people would be reset; with several courses fewer than there are targets."""
        return len({user.user_id for user in self.targets})

    @property
    def counts(self) -> Mapping[ProgressState, int]:
        """How many in scope stand where, those who would not be reset included; once per course."""
        return {state: sum(user.state is state for user in self.users) for state in ProgressState}

    @property
    def target_counts(self) -> Mapping[ProgressState, int]:
        """The number of targets in each progress state, once per course: what a reset would clear."""
        return {state: sum(user.state is state for user in self.targets) for state in ProgressState}

    @property
    def losses(self) -> Losses:
        """What would be cleared, counted."""
        targets = self.targets
        return Losses(
            people=self.people,
            resets=len(targets),
            completions=sum(user.completed_at is not None for user in targets),
            lessons=sum(user.completed_lessons for user in targets),
            scores=sum(bool(user.score) for user in targets),
            time_spent_seconds=sum(user.time_spent_seconds or 0.0 for user in targets),
        )

    @property
    def notifications(self) -> int:
        """The most "course assigned" notifications that may go out; people who switched theirs off get none."""
        return len(self.targets)

    @property
    def mid_course(self) -> tuple[PlannedReset, ...]:
        """Those among the targets who are in the middle of the course and would start again."""
        return tuple(user for user in self.targets if user.state is ProgressState.IN_PROGRESS)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of everything in the plan. Change anything and it is another plan."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.digested).hexdigest()

    @property
    def digested(self) -> bytes:
        """What is digested: the whole plan as JSON in one spelling only."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":")).encode("ascii")

    def document(self) -> dict[str, Any]:
        """The plan as plain JSON data of its form: what is digested, and what is saved."""
        return {"form": self.form, "scope": self.scope, **plain_of_form(self, self.form)}

    @property
    def phrase(self) -> str:
        """What has to be typed: ``reset "Forklift basics" for 37 users #a1b2-c3d4-e5f6-0718``. Letter case counts."""
        users = wording.number(self.people, "user")
        return f"reset {wording.courses(self.courses)} for {users} #{self.short_digest}"

    @property
    def short_digest(self) -> str:
        """The tail of the phrase, by which ``report``, ``verify`` and ``resume`` know the plan as well."""
        return short_digest(self.digest, self.form)

    def lifetime_left(self, now: datetime) -> timedelta:
        """How long it may still be applied; negative once it has expired."""
        return self.expires_at - now

    def sign(self, key: str | PathLike[str], *, interactive: bool = False) -> ResetPlan:
        """The same plan, signed by its planner with an SSH key, or with the ``.pub`` file of one that an agent holds.

        ``ssh-keygen`` may ask on the terminal only if ``interactive``. A client with ``allowed_signers`` among its
        safeguards verifies it when it approves and applies; with ``signed_plans`` it takes no other plan. Raises
        ApprovalError if ssh-keygen cannot sign.
        """
        terms, namespace = self.signed_terms, SIGNATURE_NAMESPACE
        return evolve(
            self, signature=ssh.sign(terms, Path(key), namespace=namespace, interactive=interactive)
        )

    @property
    def signed_terms(self) -> bytes:
        """What a planner signs: which plan it is, and whose token made it, as JSON in one spelling only."""
        made = self.origin
        terms = {"plan_digest": self.digest, "planner": made.user_id, "organisation_id": made.organisation_id}
        return json.dumps(terms, sort_keys=True, separators=(",", ":")).encode("ascii")

    def save(self, path: str | PathLike[str]) -> None:
        """Write the plan to a new file that only its owner can read: it holds names and progress.

        Raises InvalidArgumentError if the file exists or cannot be written.
        """
        from training_sdk.plans import plan_file

        plan_file.save(self, path)

    @staticmethod
    def load(path: str | PathLike[str]) -> ResetPlan:
        """Read a saved plan. Raises InvalidArgumentError if it is none, or was changed since it was saved."""
        from training_sdk.plans import plan_file

        return plan_file.load(path)

    def __str__(self) -> str:
        return self.listing(wording.MOST_SHOWN)

    def listing(self, page: int) -> str:
        """The text of ``str``, with every target in it if there are at most ``page``."""
        return visible(wording.plan(self, page))

    def __repr__(self) -> str:
        return visible(f"<ResetPlan: {self.phrase}>")

    def _repr_html_(self) -> str:
        return visible(wording.plan_html(self))


@frozen(repr=False)
class EveryonePlan(ResetPlan):
    """A plan for everyone assigned whom the token sees; made by ``client.resets.plan_everyone`` alone.

    A type of its own, so that no list that happens to be empty can become one.
    """

    @property
    def scope(self) -> Scope:
        """``"everyone"``"""
        return "everyone"
