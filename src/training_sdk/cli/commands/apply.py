"""``apply`` and ``resume``: the only commands that reset people."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import click

from training_sdk.approval.approvals import Approval, check_lifetime
from training_sdk.cli.arguments import a_duration, hours
from training_sdk.cli.commands.plan import APPROVAL, CONFIRM, FILE, WHY, options
from training_sdk.cli.commands.report import digest_typed
from training_sdk.cli.exit_codes import ExitCode, code_for_report
from training_sdk.cli.interaction import confirmed, stoppable, telling
from training_sdk.cli.output import of_report
from training_sdk.cli.session import ALL, Session, with_session
from training_sdk.errors import (
    IncompleteResetError,
    InvalidArgumentError,
    PermissionDeniedError,
    StalePlanError,
    TrainingError,
)
from training_sdk.format_proof import pending
from training_sdk.local_plans.admission import refuse_second_time
from training_sdk.local_plans.plan_records import refuse_lost
from training_sdk.outcome import Outcome
from training_sdk.plans.outline import check_whole, read_plan_copy
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import ShellCommands, short_digest
from training_sdk.records.journal import FILE as JOURNAL
from training_sdk.records.journal import JournalCopy
from training_sdk.records.journal_state import JournalState
from training_sdk.records.state import StateDirectory
from training_sdk.reports import report_file
from training_sdk.reports.report import LEFT_ALONE, NO_SECOND_CALL, ResetReport, report_of
from training_sdk.resets.reset_request import MOST_PER_REQUEST
from training_sdk.resets.unfinished import read_unfinished, report_in
from training_sdk.resets.waves import EVERY_DAY, Waves

ACCEPT_MISSING_LESSONS = click.option(
    "--accept-missing-lessons",
    is_flag=True,
    help="Continue although the evidence lacks lessons that were completed.",
)
REQUIRE_SURVEYS = click.option(
    "--require-surveys",
    is_flag=True,
    help="Stop if survey answers, which a reset clears, cannot be read as evidence.",
)
HOW = (
    APPROVAL,
    click.option(
        "--per-request",
        type=click.IntRange(1, MOST_PER_REQUEST),
        metavar="N",
        help="The most people in one request. [default: all people of a course, up to 1000]",
    ),
    ACCEPT_MISSING_LESSONS,
    REQUIRE_SURVEYS,
    click.option("--waves-size", type=int, metavar="N", help="Send in waves of at most N people."),
    click.option(
        "--waves-every",
        type=a_duration,
        metavar="TIME",
        help="The time from the start of one wave to the next, such as 1h.",
    ),
    click.option(
        "--waves-between",
        type=hours,
        metavar="HOURS",
        help="Start waves only between these hours, such as 08:00-17:00.",
    ),
    click.option("--waves-days", metavar="DAYS", help="Start waves only on these days, such as mon,tue,fri."),
    click.option(
        "--waves-zone", metavar="ZONE", help="The time zone of these hours and days, such as Europe/Zurich."
    ),
)


@click.command()
@click.argument("plan", type=FILE, metavar="PLAN.json")
@options(WHY)
@CONFIRM
@click.option(
    "--tolerance",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Continue if the progress of at most N people has changed since the plan; they are skipped.",
)
@click.option(
    "--server-side",
    is_flag=True,
    help="Make one call that resets everyone of a course, instead of a list of people.",
)
@options(HOW, ALL)
@with_session
def apply(session: Session, plan: Path, confirm: str | None, **given: Any) -> ExitCode:
    """Apply a plan, once. It cannot be undone.

    The command shows the plan and asks for its phrase. Evidence is written before anything is sent.
    """
    how = {name: given.pop(name) for name in ("reason", "ticket", "tolerance", "server_side")}

    def carry_out(loaded: ResetPlan, phrase: str, extras: dict[str, Any]) -> ResetReport:
        client = session.client(may_write=True)
        return client.resets.apply(loaded, confirm=phrase, **how, **extras)

    return _reset(session, plan, ResetPlan.load(plan), confirm, given, carry_out)


@click.command()
@click.argument("plan", type=FILE, metavar="PLAN.json|DIGEST")
@CONFIRM
@options(HOW, ALL)
@with_session
def resume(session: Session, plan: Path, confirm: str | None, **given: Any) -> ExitCode:
    """Continue a plan that was interrupted, on the machine where it began.

    It first reads back requests that may have arrived. It resets no person twice. DIGEST is the end of the phrase,
    such as a1b2-c3d4-e5f6-0718, or the whole digest."""

    def carry_out(loaded: ResetPlan, phrase: str, extras: dict[str, Any]) -> ResetReport:
        resets = session.client(may_write=True).resets
        return resets.resume(loaded, confirm=phrase, unseal=session.profile.unseal, **extras)

    loaded = _begun_plan(session, plan)
    return _reset(session, plan, loaded, confirm, given, carry_out, resuming=True)


def _begun_plan(session: Session, named: Path) -> ResetPlan:
    """Return the plan in this file, or the started plan with this digest on this machine."""
    digest = digest_typed(str(named))
    if digest is None:
        return ResetPlan.load(named)
    state = session.state()
    folder = report_file.find_folder(state, digest, JOURNAL)
    if folder is None:
        _refuse_lost(session, digest)
        raise InvalidArgumentError(
            f"The records in {state.path} do not show that plan #{short_digest(digest)} was ever applied. Name its "
            "file, or the state directory that was used to apply it."
        )
    plan = read_plan_copy(folder, unseal=session.profile.unseal)
    check_whole(plan)
    return plan


def _refuse_lost(session: Session, beginning: str) -> None:
    """Raise RecordsDamagedError for a plan that has started by the audit log alone."""
    state = StateDirectory.existing(session.state_dir)
    if state is not None:
        refuse_lost(state, beginning)


def _reset(
    session: Session,
    plan: Path,
    loaded: ResetPlan,
    confirm: str | None,
    given: dict[str, Any],
    carry_out: Callable[[ResetPlan, str, dict[str, Any]], ResetReport],
    *,
    resuming: bool = False,
) -> ExitCode:
    out = session.out
    # What would be refused is refused before the plan is read and its phrase is typed.
    before = journal_of(session, loaded)
    if resuming and before.opened is None:
        _refuse_lost(session, loaded.digest)
    is_proof = before.closed is not None and _is_pending_proof(session, loaded)
    refuse_second_time(before, loaded, resuming=resuming, is_proof=is_proof)
    if not resuming:
        check_lifetime(loaded, datetime.now(UTC), session.profile.safeguards.plan_lifetime)
    approval = given.pop("approval")
    extras = {
        "approval": None if approval is None else Approval.load(approval),
        "per_request": given.pop("per_request"),
        "accept_missing_lessons": given.pop("accept_missing_lessons"),
        "require_surveys": given.pop("require_surveys"),
        "waves": _waves(**given),
    }
    show = out.show if confirm is None else out.say
    if resuming and (so_far := _so_far(session, loaded)):
        show(f"So far {so_far} The plan was:")
    show(loaded)
    phrase = (
        confirmed(out, loaded.phrase, confirm) if loaded.targets or confirm is not None else loaded.phrase
    )
    try:
        with stoppable(out) as stop, telling(out) as tell:
            report = carry_out(loaded, phrase, {**extras, "stop": stop, "on_progress": tell})
        name_report(session, loaded.digest)
        out.document({"report": of_report(report)})
        out.say(report)
    except BaseException as error:
        journal = journal_of(session, loaded)
        if journal != before or report_of(error) is not None:
            name_report(session, loaded.digest)
            _attach_report(error, session, journal, loaded)
            error.add_note(_how_to_go_on(error, journal, session.commands()))
        raise
    if report.not_reset:
        out.warn("Not everyone in the plan is known to have been reset. See above.")
    return code_for_report(report)


def journal_of(session: Session, plan: ResetPlan) -> JournalState:
    """Return the state of a plan on this machine from its journal."""
    return JournalCopy.of_plan(StateDirectory.existing(session.state_dir), plan.digest).state()


def _so_far(session: Session, plan: ResetPlan) -> str:
    """Return how far the plan was applied; empty if it never started."""
    state = StateDirectory.existing(session.state_dir)
    if state is None:
        return ""
    unfinished = read_unfinished(state, state.path / "plans" / plan.digest, datetime.now(UTC), plan)
    return "" if unfinished is None else unfinished.so_far


def name_report(session: Session, digest: str) -> None:
    """Name the record of each person's result, in case the output cannot be written."""
    state = StateDirectory.existing(session.state_dir)
    folder = None if state is None else state.path / "plans" / digest
    if folder is not None and folder.is_dir():
        saved = folder / report_file.REPORT
        where, see = saved if saved.is_file() else folder, session.commands().report(short_digest(digest))
        session.invocation.recorded = f"The result for each person is recorded in {where}: {see}"


def _is_pending_proof(session: Session, plan: ResetPlan) -> bool:
    state = StateDirectory.existing(session.state_dir)
    return state is not None and pending.is_pending(state, plan.digest)


def is_open(journal: JournalState) -> bool:
    """Return True if a plan has started and is not finished."""
    return journal.opened is not None and journal.closed is None


def _attach_report(error: BaseException, session: Session, journal: JournalState, plan: ResetPlan) -> None:
    """Add a report from the records to an interrupt that has none, if a request was sent."""
    state = StateDirectory.existing(session.state_dir)
    if isinstance(error, Exception) or report_of(error) is not None or state is None or not journal.has_sent:
        return
    with suppress(TrainingError):
        vars(error)["report"], _ = report_in(
            state, state.path / "plans" / plan.digest, datetime.now(UTC), plan
        )


def _how_to_go_on(error: BaseException, journal: JournalState, commands: ShellCommands) -> str:
    """Return advice for an error that occurred after the journal was started."""
    if journal.reached_others:
        return (
            f"Nothing more is sent for this plan. To see the result for each person:\n  {commands.report()}"
        )
    if not is_open(journal):
        return f"The plan is complete all the same. To see the result for each person:\n  {commands.report()}"
    if not journal.has_sent:
        return _after_nothing_sent(error, commands)
    if _has_had_its_day(error):
        return (
            "The result of each person who was sent is known, and the rest cannot be sent with this plan. "
            f"Close it, and make a new plan if people are left to reset:\n  {commands.close()}"
        )
    if isinstance(error, IncompleteResetError) and error.reason == NO_SECOND_CALL:
        return (
            f"Nothing more is sent for this plan. Look again at the people who are unknown:\n  {commands.resume()}\n"
            f"Or close it, and plan again for those who are left:\n  {commands.close()}"
        )
    if isinstance(error, PermissionDeniedError):
        return f"The reset stopped before its end. With another token:\n  {commands.resume()}"
    where = "is shown above" if report_of(error) is not None else f"is in {commands.report()}"
    return (
        f"The reset stopped before its end. The result for each person {where}. The next command first "
        f"reads back unknown results, and then continues. It resets no person twice:\n  {commands.resume()}"
    )


def _has_had_its_day(error: BaseException) -> bool:
    """Return True if a started plan can send nothing more and the result of every person is known."""
    if not isinstance(error, StalePlanError) or error.reason == "PLAN_FROM_THE_FUTURE":
        return False
    return error.report is not None and not error.report.counts[Outcome.UNKNOWN]


def _after_nothing_sent(error: BaseException, commands: ShellCommands) -> str:
    """Return advice for a started journal without a sent request: there is nothing to resume."""
    if not isinstance(error, StalePlanError):
        return f"Nothing was sent. Apply it again when the cause is gone:\n  {commands.apply()}"
    report = error.report
    changed = 0 if report is None else sum(one.code in LEFT_ALONE for one in report.users)
    if not changed or error.remedy is None or error.remedy.key != "skip_changed":
        return f"Nothing was sent. Plan again, and close this plan:\n  {commands.close()}"
    skip = commands.apply("--tolerance", str(changed))
    return (
        f"Nothing was sent. Skip the people who changed:\n  {skip}\n"
        f"Or plan again, and close this plan:\n  {commands.close()}"
    )


def _waves(
    *,
    waves_size: int | None,
    waves_every: timedelta | None,
    waves_between: tuple[time, time] | None,
    waves_days: str | None,
    waves_zone: str | None,
) -> Waves | None:
    if waves_size is None:
        if any(one is not None for one in (waves_every, waves_between, waves_days, waves_zone)):
            raise InvalidArgumentError(
                "The options --waves-… need --waves-size, the number of people in one wave."
            )
        return None
    days: Any = (
        EVERY_DAY if waves_days is None else tuple(day.strip() for day in waves_days.lower().split(","))
    )
    return Waves(
        waves_size, every=waves_every or timedelta(0), between=waves_between, days=days, zone=waves_zone
    )
