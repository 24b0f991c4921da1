"""Interrupts at every line of the SDK from the moment a reset has arrived: what is said of people is never too good.

The first interrupt falls right behind the arrival, or not at all; the next one in any line that runs after it.
"""

from __future__ import annotations

import gc
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest
from attrs import define, field

import training_sdk
from training_sdk import Outcome, ResetPlan, ResetReport, TrainingClient
from training_sdk.records.audit import AuditLog
from training_sdk.records.journal import read_journal
from training_sdk.records.journal_state import JournalState, PersonState, replay
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.reports.report import report_of
from unit.sdk.fakes import RESET, SETTINGS, TOKEN, Organisation, answer, over_the_wire, row, untouched
from unit.sdk.resetting import just_planned

# An interrupt between opening a file and its with-statement leaves the file to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

SOURCE = str(Path(training_sdk.__file__).parent)
FAST = 24
"""How many lines, spread over all that run, are tried in the fast lane."""
MANY = 300
"""How many in the heavy lane; all of them would take too long."""
EXTENT = [FAST, pytest.param(MANY, marks=pytest.mark.heavy)]

Place = tuple[str, int]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Nothing that a test has left open is collected in a later one."""
    yield
    gc.collect()


@define
class Lines:
    """Counts the lines of the SDK that run once it is armed, and interrupts at one of them."""

    at: int | None = None
    is_armed: bool = False
    passed: list[Place] = field(factory=list)
    fired: bool = False

    def arm(self) -> None:
        """Begin with the next line, in the frames that run already as well."""
        self.is_armed = True
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename.startswith(SOURCE):
                frame.f_trace = self._line
            frame = frame.f_back
        sys.settrace(self.trace)

    def trace(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        """What ``sys.settrace`` takes."""
        return self._line if frame.f_code.co_filename.startswith(SOURCE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        if event == "line" and self.is_armed:
            self.passed.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.passed) - 1 == self.at:
                self.is_armed = False
                self.fired = True
                raise KeyboardInterrupt("at this line")
        return self._line


@define
class Attempt:
    """One application, interrupted once or twice, and what it has left."""

    organisation: Organisation
    plan: ResetPlan
    folder: Path
    error: BaseException | None
    lines: Lines

    @property
    def where(self) -> tuple[Any, ...]:
        """The line of the interrupt, for messages."""
        return self.lines.passed[-1]

    @property
    def plan_folder(self) -> Path:
        return self.folder / "plans" / self.plan.digest

    @property
    def journal(self) -> JournalState:
        return replay(read_journal(self.plan_folder))

    def reports(self) -> Iterator[ResetReport]:
        """The report that the error carries and the one that was saved."""
        attached = None if self.error is None else report_of(self.error)
        if attached is not None:
            yield attached
        if (self.plan_folder / "report.json").exists():
            yield report_file.load(self.plan_folder)

    def logged(self) -> Iterator[Counter[str]]:
        """The outcomes that the audit log counts."""
        for entry in AuditLog(StateDirectory.open(self.folder).audit).entries():
            if "outcomes" in entry:
                yield Counter(entry["outcomes"])


def attempt(folder: Path, lines: Lines, *, first: BaseException | None = None, status: int = 200) -> Attempt:
    shutil.rmtree(folder, ignore_errors=True)
    organisation = Organisation([row(one) for one in range(3)] + [untouched(99)])
    plan = just_planned(organisation)
    wire = over_the_wire(organisation)
    if status != 200:
        organisation.on_reset = lambda _: answer({"message": "no"}, status)

    def handle(request: httpx.Request) -> httpx.Response:
        said = wire(request)
        if request.url.path == RESET:
            lines.arm()
            if first is not None:
                raise first
        return said

    error: BaseException | None = None
    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        client = TrainingClient(TOKEN, http_client=http, state_dir=folder, **SETTINGS)
        before = sys.gettrace()
        try:
            client.resets.apply(plan, confirm=plan.phrase)
        except BaseException as problem:
            error = problem
        finally:
            sys.settrace(before)
    lines.is_armed = False
    return Attempt(organisation, plan, folder, error, lines)


def points(passed: list[Place], most: int) -> list[int]:
    """The lines to interrupt at: all, or so many spread over the lines that are not repetitions of another one."""
    if len(passed) <= most:
        return [*range(len(passed))]
    seen: dict[Place, int] = {}
    for number, place in enumerate(passed):
        seen.setdefault(place, number)
    firsts = [*seen.values()]
    return firsts[:: max(1, len(firsts) // most)]


def sweep(folder: Path, most: int, **how: Any) -> Iterator[Attempt]:
    """The same application with an interrupt at one line after the other."""
    passed = attempt(folder, Lines(), **fresh(how)).lines.passed
    assert len(passed) > 100
    for number in points(passed, most):
        made = attempt(folder, Lines(at=number), **fresh(how))
        if made.lines.fired:  # how many lines run differs a little from one time to the next
            yield made


def fresh(how: dict[str, Any]) -> dict[str, Any]:
    """The same with an interrupt that nobody has raised yet."""
    return {name: type(value)() if isinstance(value, BaseException) else value for name, value in how.items()}


def outcomes(report: ResetReport, plan: ResetPlan) -> set[Outcome]:
    """How it ended for those who are reset by the plan."""
    targets = {user.key for user in plan.targets}
    return {user.outcome for user in report.users if (user.course_id, user.user_id) in targets}


def holds(made: Attempt, allowed: set[Outcome]) -> None:
    """Nobody's outcome is any other than one of these: in the report, the saved one, the log."""
    for report in made.reports():
        assert outcomes(report, made.plan) <= allowed, made.where
        assert len(outcomes(report, made.plan)) == 1, made.where
    for counts in made.logged():
        said = {Outcome(name) for name, number in counts.items() if number} - {Outcome.NOTHING_TO_RESET}
        assert said <= allowed, made.where


@pytest.mark.parametrize("most", EXTENT)
def test_a_second_interrupt_never_makes_people_skipped_who_were_sent(tmp_path: Path, most: int) -> None:
    """The first interrupt has lost the answer, so everybody stays unknown whatever the second one cuts off."""
    tried = reported = 0
    for made in sweep(tmp_path / "state", most, first=KeyboardInterrupt("first")):
        holds(made, {Outcome.UNKNOWN})
        assert set(made.journal.users.values()) == {PersonState.UNKNOWN}, made.where
        assert isinstance(made.error, KeyboardInterrupt), made.where
        tried += 1
        reported += report_of(made.error) is not None
    assert tried >= FAST - 4
    assert reported / tried > 0.9


@pytest.mark.parametrize("most", EXTENT)
def test_an_interrupt_after_the_answer_leaves_report_and_journal_equal(tmp_path: Path, most: int) -> None:
    named = {Outcome.RESET: PersonState.RESET, Outcome.UNKNOWN: PersonState.UNKNOWN}
    tried = 0
    for made in sweep(tmp_path / "state", most):
        assert made.organisation.resets, made.where
        holds(made, {Outcome.RESET, Outcome.UNKNOWN})
        standings = set(made.journal.users.values())
        for report in made.reports():
            assert {named[one] for one in outcomes(report, made.plan)} == standings, made.where
        if made.journal.closed is None:
            assert made.error is not None
            assert report_of(made.error) is not None, made.where
        tried += 1
    assert tried >= FAST - 4


@pytest.mark.parametrize("most", EXTENT)
@pytest.mark.parametrize("status", [403, 409, 500])
def test_an_interrupt_after_a_refusal_claims_no_more(tmp_path: Path, status: int, most: int) -> None:
    """A 500 or 409 says nothing of what became of the request: no interrupt may make it "not sent"."""
    known = status == 403
    allowed = {Outcome.FAILED, Outcome.SKIPPED, Outcome.UNKNOWN} if known else {Outcome.UNKNOWN}
    for made in sweep(tmp_path / "state", most, status=status):
        holds(made, allowed)
        if known and made.journal.requests[0].state == "refused":
            holds(made, {Outcome.FAILED, Outcome.SKIPPED})
