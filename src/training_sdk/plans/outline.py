"""Outlines: a plan without names, stored where the whole copy was encrypted, or purged with its evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from attrs import frozen

from training_sdk._core import codec
from training_sdk._core.text import sentence, sentence_of, visible
from training_sdk.api.progress import ProgressState
from training_sdk.errors import (
    DecodingError,
    EvidenceError,
    InvalidArgumentError,
    RecordsDamagedError,
    RecordsError,
)
from training_sdk.evidence.files import Unseal
from training_sdk.plans.plan import ResetPlan, Scope, check_shape, parse_plan
from training_sdk.plans.wording import short_digest
from training_sdk.records import plan_copy
from training_sdk.records.plan_copy import OUTLINE, PLAN, SEALED

OLD_FIELDS = ("state", "completed_at", "opened_at")
"""The fields of the progress state in an outline of an earlier version."""
FIELDS = (*OLD_FIELDS, "percent", "completed_lessons")
"""The fields of the progress state in an outline of this version."""


@frozen(repr=False)
class PlanOutline(ResetPlan):
    """The ids, states, dates and titles of a plan, for reports. Names are empty; it cannot be applied or resumed.

    ``known_fields`` are the fields of the progress state that it has.
    """

    known_digest: str = ""
    known_phrase: str = ""
    known_scope: Scope = "users"
    known_fields: tuple[str, ...] = OLD_FIELDS

    @property
    def scope(self) -> Scope:
        """The scope of the whole plan."""
        return self.known_scope

    @property
    def digest(self) -> str:
        """The digest of the whole plan."""
        return self.known_digest

    @property
    def phrase(self) -> str:
        """The phrase of the whole plan."""
        return self.known_phrase

    def document(self) -> NoReturn:
        """Raise InvalidArgumentError: the whole plan is not here."""
        raise InvalidArgumentError(refusal(self))

    def listing(self, page: int) -> str:
        """The text of ``str``: there are no names to list."""
        return str(self)

    def __str__(self) -> str:
        return visible(f"{self.phrase} (its names are sealed or purged)")


def refusal(plan: PlanOutline) -> str:
    """Return the reason why an outline cannot replace the plan, and what to do."""
    return (
        f"The copy of plan #{plan.short_digest} on this machine is sealed or purged, and its outline has no "
        "names. Nothing was sent. Load the plan from its own file or, if its copy is sealed, pass the hook that opens "
        "it (unseal; in a profile: unseal_command)."
    )


def check_whole(plan: ResetPlan) -> None:
    """Raise InvalidArgumentError for an outline, and for a plan that planning never makes."""
    if isinstance(plan, PlanOutline):
        raise InvalidArgumentError(refusal(plan))
    check_shape(plan)


def read_plan_copy(folder: Path, *, unseal: Unseal | None = None) -> ResetPlan:
    """Return the plan stored in a folder: the whole plan if it is in clear or can be unsealed, else its outline.

    Raises InvalidArgumentError or RecordsError if it is not what was written, EvidenceError if ``unseal`` fails.
    """
    if (folder / PLAN).exists() or not (folder / OUTLINE).exists():
        return ResetPlan.load(folder / PLAN)
    path = folder / SEALED
    if unseal is None or not path.exists():
        return _load_outline(folder)
    try:
        content = unseal(path.read_bytes())
    except Exception as error:
        raise EvidenceError(f"The unseal hook failed for {path}: {sentence_of(error)}") from error
    plan = parse_plan(content, str(path))
    if plan.digest != folder.name:
        raise RecordsDamagedError(f"{path} contains another plan. Keep the file, and restore a copy.")
    return plan


def _load_outline(folder: Path) -> PlanOutline:
    path = folder / OUTLINE
    try:
        document = json.loads(path.read_bytes())
        form, said = document.pop("outline"), {**document, "users": [_user(one) for one in document["users"]]}
        for name in ("digest", "phrase", "scope"):
            said[f"known_{name}"] = said.pop(name)
        said["known_fields"] = list(FIELDS if _has_numbers(document["users"]) else OLD_FIELDS)
        plan = codec.structure_value(said, PlanOutline)
    except OSError as error:
        raise RecordsError(f"Cannot read {path}: {sentence(error.strerror or str(error))}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, DecodingError) as error:
        raise RecordsDamagedError(f"{path} is not what was written: {sentence(str(error))}") from None
    if form != plan_copy.FORM or plan.digest != folder.name:
        raise RecordsDamagedError(
            f"{path} is not what was written: it has form {form!r} and is of plan #{short_digest(plan.digest)}."
        )
    return plan


_UNKNOWN = {"name": "", "email": None, "score": None}


def _has_numbers(users: list[dict[str, Any]]) -> bool:
    return all("percent" in one and "completed_lessons" in one for one in users)


def _user(said: dict[str, Any]) -> dict[str, Any]:
    is_done = said.get("state") == ProgressState.COMPLETED
    return {"percent": 100.0 if is_done else 0.0, **said, **_UNKNOWN}
