"""Run the checks: each in its own organisation if there is a control plane, else all in the given one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

from attrs import define, field

from training_sdk._core.text import sentence
from training_sdk.testing.contract.checks import Check
from training_sdk.testing.contract.environment import (
    ContractConfig,
    CreatedWorlds,
    Environment,
    GivenOrganisation,
    given_course,
    looked_at,
    readable,
)
from training_sdk.testing.contract.findings import (
    NOT_CHECKED,
    CannotRunError,
    CheckResult,
    NotCheckedError,
    Report,
)
from training_sdk.testing.contract.rules import CHECKS
from training_sdk.testing.contract.wire import Wire

__all__ = ["CheckRun", "Making", "all_checks", "readable", "run"]

VENDORS = (
    "This is the vendor's own service. The checks would reset people there by requests whose format is not verified, "
    "and one of them may mean everyone. Use only --read-only with a live service."
)


def all_checks(*, read_only: bool = False) -> tuple[Check, ...]:
    """Return all checks, or those that change nothing, in the order in which they are made."""
    return tuple(each for each in CHECKS if each.reads_only or not read_only)


def run(
    wire: Wire,
    *,
    read_only: bool = False,
    given: ContractConfig | None = None,
    only: Sequence[str] = (),
    allowed: Callable[[str], bool] = lambda title: False,
) -> Report:
    """Make the checks, or those of the rules in ``only``, and return the result of each, by rule.

    With ``given``, the checks run in that organisation and reset people in its course if ``allowed`` returns true for
    the course's title. Without it, they run in organisations that they create with ``POST /_mock/worlds``.

    Raises CannotRunError if neither is possible. If the service fails later, the report says so and contains the
    results so far.
    """
    making = CheckRun.of(wire, read_only=read_only, only=only)
    making.make(given=given, allowed=allowed)
    return making.report()


@define
class CheckRun:
    """Checks in progress: the results so far remain, whatever ends the run."""

    wire: Wire
    checks: Sequence[Check]
    read_only: bool
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext
    """Context around each step that a signal may interrupt."""
    found: list[CheckResult] = field(factory=list)
    stopped: str = ""
    _ground: Environment | None = None

    @classmethod
    def of(cls, wire: Wire, *, read_only: bool, only: Sequence[str] = ()) -> CheckRun:
        """Return the checks of these rules, none of them made yet."""
        checks = [each for each in all_checks(read_only=read_only) if not only or each.rule in only]
        return cls(wire, checks, read_only)

    def make(self, *, given: ContractConfig | None, allowed: Callable[[str], bool]) -> None:
        """Make the checks in order, until the service fails. Raises CannotRunError if it fails before the first."""
        if self.wire.is_vendors and not self.read_only:
            raise CannotRunError(VENDORS)
        self._ground = self._found_ground(given, allowed)
        for each in self.checks:
            try:
                with self._ground.one(each.policy) as world, self.interruptible():
                    self.found.append(each.made(world))
            except NotCheckedError as reason:
                self.found.append(each.ended(NOT_CHECKED, sentence(str(reason))))
            except CannotRunError as fault:
                if not self.found:
                    raise CannotRunError("\n".join((sentence(str(fault)), *self.leftovers))) from fault
                self.stop(str(fault))
                return

    def _found_ground(self, given: ContractConfig | None, allowed: Callable[[str], bool]) -> Environment:
        if given is None and not self.read_only:
            return CreatedWorlds(self.wire)
        with self.interruptible():
            if given is None or self.read_only:
                return GivenOrganisation(looked_at(readable(self.wire, given)))
            return given_course(self.wire, given, allowed)

    def stop(self, why: str) -> None:
        """Record why no further checks are made, and what the last one may have done."""
        course = self._ground.course if self._ground else ""
        touched = not all(each.reads_only for each in self.checks[: len(self.found) + 1])
        risk = f" People in {course!r} may have been reset." if course and touched else ""
        self.stopped = f"{sentence(why)} {len(self.found)} of {len(self.checks)} checks were made.{risk}"

    @property
    def leftovers(self) -> tuple[str, ...]:
        """Sentences about the data that is left behind."""
        return tuple(f"Left behind: {each}" for each in self.wire.left)

    @property
    def litter(self) -> tuple[str, ...]:
        """The earlier name of ``leftovers``."""
        return self.leftovers

    def report(self) -> Report:
        """Return the result of each check, by rule; the others are not checked."""
        rest = [
            each.ended(NOT_CHECKED, "The run stopped before this check ended.")
            for each in self.checks[len(self.found) :]
        ]
        findings = tuple(sorted((*self.found, *rest), key=lambda each: each.rule))
        world = self._ground.told if self._ground else ""
        return Report(str(self.wire.base_url), findings, world, self.stopped, self.leftovers)


Making = CheckRun
"""The earlier name of ``CheckRun``."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@define
class StopSignals:
    """Signal handler that records the first signal, and raises KeyboardInterrupt only where that is allowed."""

    asked: str = ""
    """Name of the signal that came; "" for none."""
    _may_raise: bool = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals. Only the main thread can; in another thread nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._take) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a signal end the block at once; an earlier signal ends it when it is entered."""
        try:
            self._may_raise = True
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._may_raise = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        """Record the first signal; let a second one end everything at once, because the user does not want to wait."""
        again, self.asked = bool(self.asked), self.asked or signal.Signals(number).name
        if again or self._may_raise:
            self._may_raise = False
            raise KeyboardInterrupt
