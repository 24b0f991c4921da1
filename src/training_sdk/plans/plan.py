"""The plan of a reset: frozen, reviewable, and confirmed by a phrase that matches no other plan; and its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from attrs import Attribute, evolve, field, frozen

from training_sdk import ssh_signatures
from training_sdk._core import codec
from training_sdk._core.model import Key
from training_sdk._core.text import sentence, visible
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.errors import DecodingError, InvalidArgumentError
from training_sdk.frames.methods import Rows
from training_sdk.plans import wording
from training_sdk.plans.planned import (
    BeforeAfter,
    Losses,
    Origin,
    PlannedCourse,
    PlannedReset,
    before_and_after,
)
from training_sdk.records import storage

FORM = 3
"""The form of a plan made today: which fields are digested and saved, and how long the tail of its phrase is."""
OLDEST_FORM = 2
"""The oldest form that is still read. A plan read from a file keeps its form, its digest and its phrase."""
NEVER = 2**31
"""The form of fields that no digest covers."""
SHORT_TAIL = 2
"""The last form whose phrase ended with only 24 bits of the digest."""
LARGEST = 512 * 1024 * 1024
"""Bytes of the file of a plan."""
SIGNATURE_NAMESPACE = "training-sdk-plan"
"""Differs from that of approvals, so that the signature of an approval is not valid for a plan."""

Scope = Literal["users", "everyone"]
Only = Literal["completed"]


def plain_of_form(value: Any, form: int) -> dict[str, Any]:
    """Return a value as plain JSON data, with the fields that plans of this form have.

    The metadata ``since`` of a field is the first form that has it: it is not in digests and files of earlier forms.
    """

    def is_held(attribute: Attribute[Any], held: Any) -> bool:
        said = attribute.metadata
        return said.get("since", 0) <= form and bool(held or not said.get("unless_empty"))

    return codec.plain(value, is_held)


def phrase_tail(digest: str, form: int) -> str:
    """Return a digest as a phrase of this form ends with it."""
    return digest[: wording.OLD_DIGITS] if form <= SHORT_TAIL else wording.short_digest(digest)


@frozen
class ResetPlan:
    """The plan of a reset, made by ``client.resets.plan`` and ``plan_everyone``: people, courses, and their progress.

    - ``courses``: The courses, with their titles when the plan was made.
    - ``selection``: The criteria of ``only``, ``where`` or ``plan_due`` in words; None without criteria.
    - ``users``: Everyone in scope, once per course. ``targets`` are those whose progress would be cleared.
    - ``read_at``, ``expires_at``: The time of the reading and the end of the plan, in UTC.
    - ``origin``: The server, the organisation and the owner of the token.
    - ``warnings``: Sentences to read before you confirm the plan.
    - ``form``: The form of its file. A plan of an earlier version keeps its form. It can be read and resumed, but not
      applied.
    - ``unassigned``: Course and user ids of people who were named, and left out of this course because the feed has no
      row for them there (``skip_unassigned``).
    - ``signature``: The signature of the planner, if ``sign`` was called. It signs the digest and is not part of it.
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
        """``"users"`` if people were named, or ``"everyone"`` for an EveryonePlan."""
        return "users"

    @property
    def course(self) -> PlannedCourse:
        """The course of a plan with one course. Raises InvalidArgumentError if it has several."""
        if len(self.courses) > 1:
            raise InvalidArgumentError(f"This plan has {len(self.courses)} courses. Use plan.courses.")
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
        """The number of different people who would be reset; a target counts once per course, a person once."""
        return len({user.user_id for user in self.targets})

    @property
    def counts(self) -> Mapping[ProgressState, int]:
        """The number of people in scope in each progress state, also of those not to be reset; once per course."""
        return {state: sum(user.state is state for user in self.users) for state in ProgressState}

    @property
    def target_counts(self) -> Mapping[ProgressState, int]:
        """The number of targets in each progress state, once per course: what a reset would clear."""
        return {state: sum(user.state is state for user in self.targets) for state in ProgressState}

    @property
    def losses(self) -> Losses:
        """The sum of what would be cleared."""
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
        """The largest number of "course assigned" notifications; people who switched theirs off get none."""
        return len(self.targets)

    @property
    def mid_course(self) -> tuple[PlannedReset, ...]:
        """The targets who are in the middle of the course and would start again."""
        return tuple(user for user in self.targets if user.state is ProgressState.IN_PROGRESS)

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of everything in the plan. It differs after any change."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.digested).hexdigest()

    @property
    def digested(self) -> bytes:
        """The bytes of the digest: the whole plan as canonical JSON."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":")).encode("ascii")

    def document(self) -> dict[str, Any]:
        """Return the plan as plain JSON data of its form, which is digested and saved."""
        return {"form": self.form, "scope": self.scope, **plain_of_form(self, self.form)}

    @property
    def phrase(self) -> str:
        """The confirmation phrase: ``reset "Forklift basics" for 37 users #a1b2-c3d4-e5f6-0718``, case-sensitive."""
        users = wording.number(self.people, "user")
        return f"reset {wording.courses(self.courses)} for {users} #{self.short_digest}"

    @property
    def short_digest(self) -> str:
        """The tail of the phrase; ``report``, ``verify`` and ``resume`` accept it as well."""
        return phrase_tail(self.digest, self.form)

    def lifetime_left(self, now: datetime) -> timedelta:
        """Return the time until the plan expires; negative once it has expired."""
        return self.expires_at - now

    def sign(self, key: str | PathLike[str], *, interactive: bool = False) -> ResetPlan:
        """Return the same plan, signed with an SSH key.

        Arguments:

        - ``key``: The file of the private key, or the ``.pub`` file of a key in an SSH agent.
        - ``interactive``: True lets ``ssh-keygen`` ask for a passphrase on the terminal.

        A client with ``allowed_signers`` among its safeguards verifies the signature when it approves and applies.
        With ``signed_plans`` it accepts no unsigned plan. Raises ApprovalError if ssh-keygen cannot sign.
        """
        terms, namespace = self.signed_terms, SIGNATURE_NAMESPACE
        return evolve(
            self,
            signature=ssh_signatures.sign(terms, Path(key), namespace=namespace, interactive=interactive),
        )

    @property
    def signed_terms(self) -> bytes:
        """The bytes that a planner signs: digest of the plan, user and organisation, as canonical JSON."""
        made = self.origin
        terms = {"plan_digest": self.digest, "planner": made.user_id, "organisation_id": made.organisation_id}
        return json.dumps(terms, sort_keys=True, separators=(",", ":")).encode("ascii")

    def save(self, path: str | PathLike[str]) -> None:
        """Write the plan to a new file that only its owner can read: it contains names and progress.

        Raises InvalidArgumentError if the file exists or cannot be written.
        """
        storage.write_new(path, plan_bytes(self), "a plan")

    @staticmethod
    def load(path: str | PathLike[str]) -> ResetPlan:
        """Read a saved plan. Raises InvalidArgumentError if it is not a plan, or was changed since it was saved."""
        return _read_plan(path)

    def before_and_after(self, rows: Iterable[ProgressRow]) -> Rows[BeforeAfter]:
        """Return each target with its progress by this plan and by ``rows``, such as those of ``progress.list``.

        The result is rows that become a frame: ``plan.before_and_after(rows).to_pandas()``. Rows of other people
        and courses are ignored. Rows of a live service are up to 2 h old.
        """
        return before_and_after(self, rows)

    def __str__(self) -> str:
        return self.listing(wording.MOST_SHOWN)

    def listing(self, page: int) -> str:
        """Return the text of ``str``. It lists all targets if there are at most ``page``."""
        return visible(wording.plan(self, page))

    def __repr__(self) -> str:
        users = wording.number(self.people, "user")
        return visible(f"<ResetPlan: {wording.courses(self.courses)}, {users}, digest {self.short_digest}>")

    def _repr_html_(self) -> str:
        return wording.plan_html(self)


@frozen(repr=False)
class EveryonePlan(ResetPlan):
    """A plan for everyone assigned whom the token sees. Only ``client.resets.plan_everyone`` makes one.

    It is a separate type, so that an empty list can never become a plan for everyone.
    """

    @property
    def scope(self) -> Scope:
        """``"everyone"``"""
        return "everyone"


# --- plans in files ---


def plan_bytes(plan: ResetPlan) -> bytes:
    """Return a plan as the bytes of its file."""
    signature = {} if plan.signature is None else {"signature": plan.signature}
    document = {"digest": plan.digest, "phrase": plan.phrase, **signature, **plan.document()}
    return (json.dumps(document, ensure_ascii=True, indent=1) + "\n").encode("ascii")


def _read_plan(path: str | PathLike[str]) -> ResetPlan:
    """Read a plan back, whole and unchanged."""
    try:
        content = storage.read_input(path, LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidArgumentError(f"The plan {Path(path)} cannot be read: {sentence(str(why))}") from error
    return parse_plan(content, str(Path(path)))


def parse_plan(content: bytes, name: str) -> ResetPlan:
    """Return the plan in the bytes of a file; ``name`` is for messages."""
    document = _document(content, name)
    digest, phrase = document.pop("digest", None), document.pop("phrase", None)
    signature = document.pop("signature", None)
    if not isinstance(signature, str | None):
        raise InvalidArgumentError(f"{name} is not a whole plan: its signature must be text.")
    form = document.get("form")
    if type(form) is not int or not OLDEST_FORM <= form <= FORM:
        raise InvalidArgumentError(
            f"{name} contains a plan of form {form!r}, and this version reads forms {OLDEST_FORM} to {FORM}. "
            "Plan again."
        )
    kind = EveryonePlan if document.get("scope") == "everyone" else ResetPlan
    try:
        plan = codec.structure_value({key: document[key] for key in document if key != "scope"}, kind)
    except DecodingError as error:
        raise InvalidArgumentError(f"{name} is not a whole plan: {sentence(error.message)}") from None
    # The digest must cover everything: a person could read what this program ignores.
    held = json.loads(json.dumps(plan.document()))
    if (plan.digest, plan.phrase, held) != (digest, phrase, document):
        raise InvalidArgumentError(
            f"{name} was changed since it was saved: its digest or its phrase no longer fits. Plan again, and leave "
            "the file as it is."
        )
    check_shape(plan)
    return plan if signature is None else evolve(plan, signature=signature)


def check_shape(plan: ResetPlan) -> None:
    """Raise InvalidArgumentError for a plan that planning never makes, such as one written by hand."""
    courses = [course.id for course in plan.courses]
    keys = [user.key for user in plan.users]
    known = set(courses)
    if not courses or len(known) < len(courses) or len(set(keys)) < len(keys):
        raise InvalidArgumentError(
            "The plan names a course or a person twice, or no course at all. Plan again."
        )
    if any(course_id not in known for course_id, _ in keys):
        raise InvalidArgumentError("The plan has people of a course that it does not have. Plan again.")
    if any(key in set(keys) or key[0] not in known for key in plan.unassigned):
        raise InvalidArgumentError(
            "The plan leaves out people that it has, or people of a course that it does not have. Plan again."
        )


def _document(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > LARGEST:
        raise InvalidArgumentError(f"{name} is larger than {LARGEST // 1024**2} MiB, the limit for plans.")
    try:
        document = json.loads(content.decode("ascii"), object_pairs_hook=storage.refuse_duplicates)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "digest" not in document:
        raise InvalidArgumentError(f"{name} is not a saved plan.")
    return document
