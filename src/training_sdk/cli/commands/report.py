"""``report``: the result of each person, from the records of this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from training_sdk.cli.commands.plan import EVERYONE, FILE
from training_sdk.cli.effect_card import write_card
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import of_report, plain, refuse_existing
from training_sdk.cli.session import Session, with_session
from training_sdk.errors import InvalidArgumentError, RecordsDamagedError, TrainingError
from training_sdk.local_plans.plan_records import PlanRecords, entries_by_plan
from training_sdk.plans.outline import check_whole, read_plan_copy
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import LOOK_INTO_IT, number, others, server, short_digest, typed_digest
from training_sdk.records.journal import JournalCopy
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report import ResetReport
from training_sdk.resets.unfinished import Unfinished, find_begun, has_begun, report_in


@click.command()
@click.argument("plan", required=False, metavar="PLAN.json|DIGEST")
@click.option(
    "--list",
    "everything",
    is_flag=True,
    help="List the plans that were applied from this machine, also unfinished ones.",
)
@EVERYONE
@click.option(
    "--card",
    type=FILE,
    metavar="CARD.html",
    help="Write the effect card with the outcome of each person to this new file.",
)
@with_session
def report(
    session: Session, plan: str | None, everything: bool, everyone: bool, card: Path | None
) -> ExitCode:
    """Show the result of a plan that was applied from this machine. Needs no server.

    If the plan has not ended, it shows what is known and what to do. The exit code is 5 if something was sent or may
    have been, and 10 if people outside the plan may have been reset. With --list it is 0, also if plans have not ended.
    DIGEST is the end of the phrase, such as a1b2-c3d4-e5f6-0718, or the whole digest.
    """
    if everything is (plan is not None):
        raise InvalidArgumentError("Name a plan by its file or digest, or pass --list.")
    if plan is None:
        _list(session)
        return ExitCode.DONE
    refuse_existing(card, "an effect card")
    found, unfinished = _found(session, plan)
    if card is not None:
        check_whole(found.plan)
    write_card(card, found.plan, found)
    journal = JournalCopy.of_plan(session.state(), found.plan.digest).state()
    closed = journal.closed if journal.closed is not None and journal.closed.reason is not None else None
    if journal.opened is None:
        session.out.warn(
            "Warning: The journal of this plan is missing, so only the report is shown. Restore a copy of "
            f"plans/{found.plan.digest}"
        )
    session.out.document({**_document(found, unfinished), "closed": plain(closed)})
    if unfinished is not None:
        session.out.say(unfinished)
    if closed is not None:
        session.out.say(f"Closed by hand at {closed.at:%Y-%m-%d %H:%M:%S} UTC. Reason: {closed.reason}")
    session.out.say(found.listing(sys.maxsize) if everyone else found)
    if everyone:
        people = {user.key: user for user in found.plan.users}
        session.out.table(
            ("course id", "user id", "name", "outcome", "code", "why"),
            (
                (one.course_id, one.user_id, people[one.key].name, one.outcome, one.code, one.detail)
                for one in found.users
            ),
        )
    if card is not None:
        session.out.note(f"The effect card is in {card}.")
    if found.reached_others:
        return ExitCode.OTHERS_REACHED
    may_have_sent = unfinished is not None and (unfinished.requests or unfinished.under_way)
    return ExitCode.INCOMPLETE if may_have_sent else ExitCode.DONE


def find_report(session: Session, named: str) -> ResetReport:
    """Return the report of a plan that is named by its file, or by its digest as the phrase ends with it.

    If the copy of the plan is encrypted or purged, names come from the file or the profile's command; otherwise ids
    are shown.
    """
    return _found(session, named)[0]


def find_folder(session: Session, named: str) -> Path:
    """Return the folder of a plan, named by its file or its digest. Raises InvalidArgumentError if it never started."""
    digest = digest_typed(named)
    return _folder(session, ResetPlan.load(named).digest if digest is None else digest)


def _found(session: Session, named: str) -> tuple[ResetReport, Unfinished | None]:
    state, digest = session.state(), digest_typed(named)
    given = ResetPlan.load(named) if digest is None else None
    folder = _folder(session, given.digest if given is not None else str(digest))
    plan = read_plan_copy(folder, unseal=session.profile.unseal) if given is None else given
    found, unfinished = report_in(state, folder, datetime.now(UTC), plan, unseal=session.profile.unseal)
    commands = session.commands(named if digest is None else "PLAN.json")
    return found, unfinished and evolve(unfinished, commands=commands)


def _document(found: ResetReport, unfinished: Unfinished | None) -> dict[str, Any]:
    return {"report": _told(found, unfinished), "unfinished": of_unfinished(unfinished)}


def _told(found: ResetReport, unfinished: Unfinished | None) -> dict[str, Any]:
    return of_report(found) if unfinished is None else {**of_report(found), "finished_at": None}


def _folder(session: Session, digest: str) -> Path:
    state = session.state()
    folder = find_begun(state, digest)
    if folder is None:
        raise InvalidArgumentError(
            f"The records in {state.path} have no plan #{short_digest(digest)}. To list the plans: "
            f"{session.commands().report('--list')}"
        )
    return folder


def digest_typed(named: str) -> str | None:
    """Return the beginning of a digest if the text is one, and None if it is the name of a file."""
    return None if Path(named).exists() else typed_digest(named)


def _folders(state: StateDirectory) -> Iterator[Path]:
    """Yield the folders of the plans that have started, as far as their files show it."""
    yield from filter(has_begun, state.plan_folders)


def _lost(state: StateDirectory, listed: set[str]) -> Iterator[str]:
    """Yield the damage of each plan that has started by the audit log and is not ``listed``."""
    try:
        by_plan = entries_by_plan(state)
    except RecordsDamagedError as error:
        if not listed:  # otherwise each listed plan reports it
            yield error.message
        return
    for digest, entries in by_plan.items():
        if digest not in listed and (lost := PlanRecords.read(state, digest, entries).lost()):
            yield lost.damage


def _list(session: Session) -> None:
    state = session.state()
    found: list[tuple[ResetReport, Unfinished | None]] = []
    unread: list[str] = []
    for folder in _folders(state):
        try:
            one, unfinished = report_in(state, folder, datetime.now(UTC))
            found.append((one, unfinished and evolve(unfinished, commands=session.commands())))
        except TrainingError as error:  # one damaged plan must not hide the others
            unread.append(f"Plan #{short_digest(folder.name)} cannot be read: {error.message}")
    unread += _lost(state, {folder.name for folder in _folders(state)})
    found.sort(key=lambda one: one[0].finished_at)
    session.out.document(
        {
            "reports": [
                {
                    **_told(*one),
                    "users": None,
                    "phrase": one[0].plan.phrase,
                    "unfinished": of_unfinished(one[1]),
                }
                for one in found
            ],
            "unread": unread,
        }
    )
    session.out.table(
        ("finished (UTC)", "plan", "what", "complete", "reason", "server"),
        (
            (
                "NOT FINISHED" if unfinished else one.finished_at,
                *(one.plan.short_digest, one.plan.phrase.rpartition(" #")[0]),
                *("yes" if one.is_complete and not unfinished else "NO", one.reason),
                server(one.plan.origin.base_url, is_reference=one.plan.origin.reference_server),
            )
            for one, unfinished in found
        ),
    )
    for one, unfinished in found:
        if unfinished is not None:
            session.out.say(f"\nPlan #{one.plan.short_digest}: {unfinished}")
        elif one.reached_others:
            session.out.say(f"\nPlan #{one.plan.short_digest}: {others(one.reached_others)}. {LOOK_INTO_IT}")
    for why in unread:
        session.out.warn(f"Warning: {why}")
    open_ends = sum(unfinished is not None for _, unfinished in found)
    ended = number(len(found) - open_ends, "report")
    session.out.note(f"{ended}, {open_ends} not finished, in {state.path}.")


def of_unfinished(found: Unfinished | None) -> dict[str, Any] | None:
    """Return what is known of a reset that did not finish; None for one that finished."""
    if found is None:
        return None
    return {
        "begun_at": found.begun_at.isoformat(),
        "last_step_at": found.report.finished_at.isoformat(),
        "requests": found.requests,
        "sent": found.sent,
        "settled": found.settled,
        "unknown": found.unknown,
        "left": found.left,
        "under_way": found.under_way,
        "advice": found.advice,
    }
