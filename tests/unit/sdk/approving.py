"""Two users with their keys, and an organisation that answers who they are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from training_sdk import Approval, Origin, PlannedCourse, PlannedReset, ProgressState, ResetPlan
from training_sdk._core.flow import Flow, Request, Response
from training_sdk._core.listing import Calls
from training_sdk.approval.approvals import Approved, Kind
from training_sdk.approval.four_eyes import approve, check_approval, require_approval
from training_sdk.plans.reading import read_origin
from training_sdk.safeguards import Safeguards
from unit.sdk.fakes import CALLS, ORIGIN, START, FakeDriver, answer

APPLIER, APPROVER, THIRD = (f"user_{letter * 32}" for letter in "abc")
ACTIVE, SEAT = "USER_ACTIVE_STATUS_ACTIVE", "SUBSCRIPTION_SEAT_TYPE_PREMIUM"
NOW = START + timedelta(minutes=10)


ANN: dict[str, Any] = {
    "course_id": "c",
    "user_id": APPLIER,
    "opened_at": "2026-01-01T00:00:00Z",
    "completed_at": "2026-03-01T08:00:00Z",
    "completed_lessons": 0,
    "total_lessons": 3,
    "progress_percent": 100.0,
    "score": 90,
    "user_first_name": "Ann",
    "user_last_name": "",
}
"""The row of the person in the plan."""


def some_plan(title: str = "Forklift basics", **other: Any) -> ResetPlan:
    person = PlannedReset("c", APPLIER, "Ann", None, ProgressState.COMPLETED, 100.0, START, 90)
    made: dict[str, Any] = {
        "courses": (PlannedCourse("c", title),),
        "selection": None,
        "users": (person,),
        "read_at": START,
        "expires_at": START + timedelta(days=2),
        "origin": Origin(ORIGIN, "role_1", APPLIER, True),
    }
    return ResetPlan(**{**made, **other})


@define
class Staff:
    """Answers WhoAmI as one user, the users list and the progress feed.

    ``listable`` is whether that one may list users, ``sees`` whether they see the progress of others; ``rows`` are the
    rows of the feed, ``counted`` is how many people the statistics count.
    """

    me: str = APPROVER
    organisation: str = "role_1"
    reference: bool = True
    listable: bool = True
    sees: bool = True
    rows: list[dict[str, Any]] = field(factory=lambda: [ANN])
    counted: int = 1
    users: dict[str, dict[str, Any]] = field(factory=lambda: {one: {} for one in (APPLIER, APPROVER, THIRD)})
    sent: list[Request] = field(factory=list)

    def __call__(self, request: Request) -> Response:
        self.sent.append(request)
        said = self._said(request)
        return evolve(said, is_reference=self.reference)

    def _said(self, request: Request) -> Response:
        if request.path.endswith("WhoAmI"):
            names = {"firstname": "Zoë", "lastname": "O'Brien"}
            return answer({"user_id": self.me, "organisation_id": self.organisation, **names})
        if request.path == "/training/v1/feed/training-course-progress":
            return answer({"metadata": {"next_page": None}, "data": self.rows if self.sees else []})
        if request.path == "/training/analytics/v1/courses/statistics":
            one = {"courseId": "c", "totalUsers": self.counted, "completedCount": 0}
            return answer({"totalCount": 1, "items": [one]}) if self.sees else answer({}, 403)
        assert request.path == "/users/v1/users/list", request
        if not self.listable:
            return answer({"code": 7, "message": "no"}, 403)
        asked = json.loads(request.body or b"")["filters"]["user_ids"]
        known = {"status": ACTIVE, "seat_type": SEAT}
        found = [{"user_id": one, **known, **facts} for one, facts in self.users.items() if one in asked]
        return answer({"users": found, "next_page_token": ""})


def approved(plan: ResetPlan, key: Path | None, staff: Staff | None = None, **other: Any) -> Approval:
    """An approval by the approver."""
    confirm = other.pop("confirm", plan.phrase)
    return FakeDriver(staff or Staff()).run(
        approve(CALLS, plan, Safeguards(), confirm=confirm, key=key, **other)
    )


def checked(plan: ResetPlan, approval: object, signers: Path | None, **other: Any) -> Approved:
    """The check by itself, a few minutes later, by the applier, under the strict rule."""
    rule: Kind = other.pop("rule", "signed")
    guards = Safeguards(four_eyes=rule, allowed_signers=signers)
    return FakeDriver(Staff()).run(
        check_approval(plan, approval, guards, **{"applied_by": APPLIER, "now": NOW, **other})
    )


def required(
    plan: ResetPlan,
    approval: object,
    signers: Path | None,
    *,
    staff: Staff,
    rule: Kind = "signed",
    calls: Calls = CALLS,
) -> Approved:
    """What applying asks for, with the applier's own token."""
    guards = Safeguards(four_eyes=rule, allowed_signers=signers)

    def flow() -> Flow[Approved]:
        here = yield from read_origin(calls)
        return (yield from require_approval(calls, plan, approval, guards, here))

    return FakeDriver(staff).run(flow())


@frozen
class Keys:
    """Key pairs made by ssh-keygen, one directory for all of them."""

    folder: Path

    def make(self, name: str, *options: str, passphrase: str = "") -> Path:
        path = self.folder / name
        made = ["ssh-keygen", "-q", "-N", passphrase, "-C", "", "-f", str(path), *options]
        subprocess.run(made, check=True, stdin=subprocess.DEVNULL)
        return path

    def signers(self, *lines: tuple[str, Path], name: str = "allowed_signers") -> Path:
        """A file that lists these keys; what stands before the key may hold options too."""
        return written(self.folder / name, (f"{who} {public(key)}" for who, key in lines))


def public(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text().strip()


def written(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return path


def stamp(at: datetime) -> str:
    """A time as a file of allowed signers spells it: local."""
    return f"{at.astimezone():%Y%m%d%H%M%S}"
