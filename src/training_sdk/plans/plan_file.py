"""Plans on disk: readable JSON that only its owner can read, and that is refused once anything in it was changed."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import evolve

from training_sdk._core import codec
from training_sdk.api.progress import ProgressState
from training_sdk.errors import (
    DecodingError,
    EvidenceError,
    InvalidArgumentError,
    RecordsDamagedError,
    RecordsError,
)
from training_sdk.evidence.files import Unseal
from training_sdk.plans.digests import short
from training_sdk.plans.outline import FIELDS, OLD_FIELDS, PlanOutline, refusal
from training_sdk.plans.plan import FORM, OLDEST_FORM, EveryonePlan, ResetPlan
from training_sdk.records import disk, documents, plancopy
from training_sdk.records.plancopy import OUTLINE, PLAN, SEALED

LARGEST = 512 * 1024 * 1024


def save(plan: ResetPlan, path: str | PathLike[str]) -> None:
    """Write a plan to a new file."""
    disk.write_new(path, dumps(plan), "a plan")


def dumps(plan: ResetPlan) -> bytes:
    """A plan as the bytes of its file."""
    signature = {} if plan.signature is None else {"signature": plan.signature}
    document = {"digest": plan.digest, "phrase": plan.phrase, **signature, **plan.document()}
    return (json.dumps(document, ensure_ascii=True, indent=1) + "\n").encode("ascii")


def load(path: str | PathLike[str]) -> ResetPlan:
    """Read a plan back, whole and unchanged."""
    try:
        content = disk.read_input(path, LARGEST)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidArgumentError(f"the plan {Path(path)} cannot be read: {why}") from error
    return loads(content, str(Path(path)))


def loads(content: bytes, name: str) -> ResetPlan:
    """A plan from the bytes of its file; ``name`` is for messages."""
    document = _document(content, name)
    digest, phrase = document.pop("digest", None), document.pop("phrase", None)
    signature = document.pop("signature", None)
    if not isinstance(signature, str | None):
        raise InvalidArgumentError(f"{name} is not a whole plan: its signature is no text")
    form = document.get("form")
    if type(form) is not int or not OLDEST_FORM <= form <= FORM:
        raise InvalidArgumentError(
            f"{name} holds a plan of form {form!r}, and this version reads forms {OLDEST_FORM} to {FORM}. Plan again"
        )
    kind = EveryonePlan if document.get("scope") == "everyone" else ResetPlan
    try:
        plan = codec.structure_value({key: document[key] for key in document if key != "scope"}, kind)
    except DecodingError as error:
        raise InvalidArgumentError(f"{name} is not a whole plan: {error.message}") from None
    # Whatever the digest does not cover could be read by a person and not by this program.
    held = json.loads(json.dumps(plan.document()))
    if (plan.digest, plan.phrase, held) != (digest, phrase, document):
        raise InvalidArgumentError(
            f"{name} was changed since it was saved: its digest or its phrase no longer fits. Plan again, and leave "
            "the file as it is"
        )
    check_shape(plan)
    return plan if signature is None else evolve(plan, signature=signature)


def check_shape(plan: ResetPlan) -> None:
    """Refuse what planning never makes, such as a plan put together by hand, and what is left of a sealed one."""
    if isinstance(plan, PlanOutline):
        raise InvalidArgumentError(f"{refusal(plan)}. Nothing was sent")
    courses = [course.id for course in plan.courses]
    keys = [user.key for user in plan.users]
    known = set(courses)
    if not courses or len(known) < len(courses) or len(set(keys)) < len(keys):
        raise InvalidArgumentError(
            "the plan names a course or a person twice, or no course at all. Plan again"
        )
    if any(course_id not in known for course_id, _ in keys):
        raise InvalidArgumentError("the plan holds people of a course that it does not hold. Plan again")
    if any(key in set(keys) or key[0] not in known for key in plan.unassigned):
        raise InvalidArgumentError(
            "the plan leaves out people whom it holds, or of another course. Plan again"
        )


def _document(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > LARGEST:
        raise InvalidArgumentError(f"{name} is larger than {LARGEST // 1024**2} MiB, which no plan is")
    try:
        document = json.loads(content.decode("ascii"), object_pairs_hook=documents.once)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "digest" not in document:
        raise InvalidArgumentError(f"{name} is not a plan that plan.save(…) wrote")
    return document


def load_plan(folder: Path, *, unseal: Unseal | None = None) -> ResetPlan:
    """The plan in its folder: whole where it is in clear or can be unsealed, else its outline.

    Raises InvalidArgumentError or RecordsError if it is not what was written, EvidenceError if ``unseal`` fails.
    """
    if (folder / PLAN).exists() or not (folder / OUTLINE).exists():
        return load(folder / PLAN)
    path = folder / SEALED
    if unseal is None or not path.exists():
        return _load_outline(folder)
    try:
        content = unseal(path.read_bytes())
    except Exception as error:
        raise EvidenceError(f"the unseal hook failed for {path}: {error}") from error
    plan = loads(content, str(path))
    if plan.digest != folder.name:
        raise RecordsDamagedError(f"{path} holds another plan. Keep the file, and bring back a copy")
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
        raise RecordsError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, DecodingError) as error:
        raise RecordsDamagedError(f"{path} is not what was written: {error}") from None
    if form != plancopy.FORM or plan.digest != folder.name:
        raise RecordsDamagedError(
            f"{path} is not what was written: it has form {form!r} and is of plan #{short(plan.digest)}"
        )
    return plan


_UNKNOWN = {"name": "", "email": None, "score": None}


def _has_numbers(users: list[dict[str, Any]]) -> bool:
    return all("percent" in one and "completed_lessons" in one for one in users)


def _user(said: dict[str, Any]) -> dict[str, Any]:
    is_done = said.get("state") == ProgressState.COMPLETED
    return {"percent": 100.0 if is_done else 0.0, **said, **_UNKNOWN}
