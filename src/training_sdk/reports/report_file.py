"""Reports on disk, stored with the journal and the plan that they report on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from attrs import frozen

from training_sdk._core.codec import common_fields
from training_sdk._core.model import Key
from training_sdk.approval.approvals import approved_by
from training_sdk.errors import InvalidArgumentError, RecordsDamagedError, RecordsError
from training_sdk.evidence.files import Unseal
from training_sdk.outcome import Outcome
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import LastResets, Origin
from training_sdk.plans.wording import short_digest
from training_sdk.records import storage
from training_sdk.records.events import ApprovalKept
from training_sdk.records.plan_copy import PLAN as PLAN
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report import ResetReport, UserOutcome

FORM = 1
REPORT = "report.json"


@frozen
class SavedReport:
    """A report without its plan, which is stored in its own file."""

    form: int
    plan_digest: str
    origin: Origin
    applied_by: str
    users: tuple[UserOutcome, ...]
    requests: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    reason: str | None
    ticket: str | None
    packs: tuple[str, ...]
    sent_ids: tuple[str, ...] = ()
    """Older reports do not hold them."""
    approval: ApprovalKept | None = None
    """Without the name, which is in the approval."""
    missing_lessons: tuple[Key, ...] = ()
    """Older reports do not hold them."""
    reached_others: int = 0
    """Older reports do not hold it."""
    others_seen: tuple[str, ...] = ()
    """Older reports do not hold them."""
    evidence_not_read: tuple[tuple[str, str], ...] = ()
    """Older reports do not hold them."""


def dumps(report: ResetReport) -> bytes:
    """Return the bytes of the file of a report."""
    plan = report.plan
    saved = SavedReport(
        form=FORM,
        plan_digest=plan.digest,
        origin=plan.origin,
        approval=None if report.approved is None else report.approved.kept,
        **common_fields(report, SavedReport),
    )
    return storage.document_bytes(saved)


def save(report: ResetReport, folder: Path) -> None:
    """Store a report in the folder of its plan; it replaces an earlier one."""
    storage.write_whole(folder / REPORT, dumps(report))


def load(folder: Path, plan: ResetPlan | None = None, *, unseal: Unseal | None = None) -> ResetReport:
    """Return the latest report in the folder of a plan, with the plan, by default the plan that is stored there.

    ``unseal`` opens a sealed approval, for the approver's name.

    Raises RecordsDamagedError if it is incomplete, or does not list exactly the people of the plan.
    """
    saved = read(folder)
    of = read_plan_copy(folder) if plan is None else plan
    _check_of(of, saved, folder / REPORT)
    approved = approved_by(saved.approval, saved.origin.organisation_id, folder, unseal)
    return ResetReport(plan=of, approved=approved, **common_fields(saved, ResetReport))


def _check_of(plan: ResetPlan, saved: SavedReport, path: Path) -> None:
    """Raise RecordsDamagedError unless a report is of this plan, and has one outcome for everyone in it."""
    if saved.plan_digest != plan.digest:
        what = f"it is the report of plan #{short_digest(saved.plan_digest)}"
    elif sorted(user.key for user in saved.users) != sorted(user.key for user in plan.users):
        what = "its people are not those of the plan"
    else:
        return
    raise RecordsDamagedError(
        f"{path} is not what was written for plan #{short_digest(plan.digest)}: {what}. Keep the file, and restore "
        "a copy."
    )


def find_folder(state: StateDirectory, digest: str, file: str) -> Path | None:
    """Return the folder with a file of this name whose plan digest begins with ``digest``; None if there is none.

    Raises InvalidArgumentError if there is more than one.
    """
    found = [
        folder
        for folder in state.plan_folders
        if folder.name.startswith(digest) and (folder / file).is_file()
    ]
    if len(found) > 1:
        raise InvalidArgumentError(f"{len(found)} plans begin with #{digest}. Write more of the digest.")
    return found[0] if found else None


def last_resets(
    state: StateDirectory,
    origin: Origin,
    *,
    pass_over: bool = False,
    is_unseen: Callable[[str, Key], bool] = lambda digest, person: False,
) -> LastResets:
    """Return the time of the last reset of each person in this organisation, by the reports on this machine.

    ``is_unseen`` returns true for a person whose reset by a proof was not seen; such a person is left out.

    Raises RecordsError for a report that cannot be read; with ``pass_over``, lists it in ``unreadable``.
    """
    found = LastResets()
    for folder in _reported(state):
        try:
            saved = read(folder)
        except RecordsError as error:
            if not pass_over:
                raise
            found.unreadable.append(error.message)
            continue
        if not origin.is_same_organisation(saved.origin.base_url, saved.origin.organisation_id):
            continue
        for user in saved.users:
            if user.outcome is Outcome.RESET and not is_unseen(folder.name, user.key):
                found[user.key] = max(saved.finished_at, found.get(user.key, saved.finished_at))
    return found


def _reported(state: StateDirectory) -> list[Path]:
    return [folder for folder in state.plan_folders if (folder / REPORT).is_file()]


def read(folder: Path) -> SavedReport:
    """Return the latest report in the folder of a plan, without the plan. Raises RecordsError if it cannot be read."""
    path = folder / REPORT
    saved = storage.read_document(path, SavedReport)
    if saved is None:
        raise RecordsError(f"There is no report in {folder}: the plan was not applied on this machine.")
    if saved.form != FORM:
        raise RecordsDamagedError(f"{path} has form {saved.form}, and this version reads form {FORM}.")
    return saved
