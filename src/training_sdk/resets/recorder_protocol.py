"""What is kept of a reset while it runs: the seam between sending and the records on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from training_sdk._core.flow import Flow
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk.api.progress import ProgressRow
from training_sdk.approval.approvals import Approved
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.planned import Origin, PlannedReset
from training_sdk.records.events import Event
from training_sdk.resets.report import ResetReport
from training_sdk.resets.reset_request import Order


class Keeper(ABC):
    """Keeps journal, evidence and audit log of one application; every step is a flow and has ended when it returns."""

    @abstractmethod
    def refuse(self, plan: ResetPlan) -> Flow[None]:
        """Raise if the plan may not be applied, before anything is asked or written."""

    @abstractmethod
    def open(self, order: Order, here: Origin, approved: Approved | None) -> Flow[None]:
        """Take the plan for this process alone. Raises if it is taken, or was applied before."""

    @abstractmethod
    def gather(
        self, calls: Calls, order: Order, people: Sequence[PlannedReset]
    ) -> Flow[Mapping[Key, ProgressRow]]:
        """Write the evidence about these people, and return how they stand."""

    @abstractmethod
    def refresh(
        self, calls: Calls, order: Order, people: Sequence[PlannedReset]
    ) -> Flow[Mapping[Key, ProgressRow] | None]:
        """Gather evidence about these people anew if what there is has grown too old; then how they stand."""

    @abstractmethod
    def note(self, event: Event) -> Flow[None]:
        """Write an event to the journal, so that it is on the disk when this returns."""

    def has_noted(self, event: Event) -> bool:
        """Whether this is the last event in the journal; True where no journal is kept."""
        return True

    def withdraw_proof(self, order: Order, report: ResetReport) -> Flow[None]:
        """Withdraw the proof of a service that reset more people than were sent; nothing where none is kept."""
        yield from ()

    @abstractmethod
    def close(self, report: ResetReport, error: BaseException | None) -> Flow[None]:
        """Write how it ended, and with which account."""

    @abstractmethod
    def release(self) -> None:
        """Let go of the plan, whatever happened."""

    @property
    @abstractmethod
    def packs(self) -> Sequence[str]:
        """The folders of the evidence written so far."""

    @property
    def missing_lessons(self) -> Sequence[Key]:
        """Course and user of those whose lessons are not all in the evidence written so far."""
        return ()
