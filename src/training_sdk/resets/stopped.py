"""What stops a reset: the SDK's own errors and whatever comes from outside, each with the account of everyone."""

from __future__ import annotations

from typing import NoReturn

from training_sdk._core.flow import Flow
from training_sdk.errors import TrainingError
from training_sdk.plans.wording import LOOK_INTO_IT, others
from training_sdk.resets.report import ResetReport

STOPPED = (
    "A reset was stopped by this: {counts}. The attribute report says what became of everyone. Go on with "
    "client.resets.resume(plan, confirm=…), which first reads back what may have arrived; nobody is reset twice"
)


STOPPED_AND_OTHERS = (
    "A reset was stopped by this: {counts}. The attribute report says what became of everyone. {others}"
)


def carrying(problem: BaseException, report: ResetReport) -> BaseException:
    """The error to raise, with the account of everyone: what is no TrainingError gets it as attribute and note."""
    if isinstance(problem, TrainingError):
        return problem.with_report(report)
    vars(problem)["report"] = report
    counts = ", ".join(f"{number} {outcome}" for outcome, number in report.counts.items() if number)
    if report.reached_others:
        said = f"{others(report.reached_others)}. {LOOK_INTO_IT}"
        problem.add_note(STOPPED_AND_OTHERS.format(counts=counts, others=said))
    else:
        problem.add_note(STOPPED.format(counts=counts))
    return problem


def report_of(problem: BaseException) -> ResetReport | None:
    """The account that came with an error or an interruption, if one did."""
    found = getattr(problem, "report", None)
    return found if isinstance(found, ResetReport) else None


def raise_as(told: BaseException, problem: BaseException) -> NoReturn:
    """Raise what is to be said of a problem: the problem itself, or an error that tells more."""
    if told is problem:
        raise problem
    raise told from (problem.__cause__ if type(told) is type(problem) else problem)


def trying(flow: Flow[None], told: BaseException) -> Flow[BaseException]:
    """Run a step that must not hide the error that is about to be raised; the error to raise."""
    try:
        yield from flow
    except Exception as trouble:
        told.add_note(f"Besides, the records could not be kept: {trouble}")
    except GeneratorExit:
        raise
    except BaseException as stop:  # a second Ctrl-C: it is in a hurry, and still carries the account
        report = report_of(told)
        return stop if report is None else carrying(stop, report)
    return told
