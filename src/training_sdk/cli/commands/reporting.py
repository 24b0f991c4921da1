"""``report``: what became of everyone, out of this machine's records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from training_sdk.cli.commands.planning import FILE, write_card
from training_sdk.cli.documents import of_report
from training_sdk.cli.files import refuse_existing
from training_sdk.cli.session import Session, with_session
from training_sdk.errors import InvalidArgumentError
from training_sdk.records.state import StateDirectory
from training_sdk.resets import reportfile
from training_sdk.resets.digests import short, typed
from training_sdk.resets.plan import ResetPlan
from training_sdk.resets.report import ResetReport
from training_sdk.resets.wording import number


@click.command()
@click.argument("plan", required=False, metavar="PLAN.json|DIGEST")
@click.option(
    "--list", "everything", is_flag=True, help="List the plans that were applied from this machine."
)
@click.option("--all", "everyone", is_flag=True, help="List everybody, and not the first ten.")
@click.option(
    "--card", type=FILE, metavar="CARD.html", help="Write the effect card with what became of everyone."
)
@with_session
def report(session: Session, plan: str | None, everything: bool, everyone: bool, card: Path | None) -> None:
    """Show the last report of a plan that was applied from this machine. Needs no server."""
    if everything is (plan is not None):
        raise InvalidArgumentError("name a plan, by its file or digest, or say --list")
    if plan is None:
        _list(session)
        return
    refuse_existing(card, "an effect card")
    found = find_report(session.state(), plan)
    write_card(card, found.plan, found)
    session.out.document({"report": of_report(found)})
    session.out.say(found)
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


def find_report(state: StateDirectory, named: str) -> ResetReport:
    """The report of a plan that is named by its file, or by its digest as the phrase ends with it."""
    return reportfile.load(_folder(state, named))


def _folder(state: StateDirectory, named: str) -> Path:
    digest = digest_typed(named) or ResetPlan.load(named).digest
    folder = reportfile.find_folder(state, digest, reportfile.REPORT)
    if folder is None:
        raise InvalidArgumentError(
            f"no plan #{short(digest)} was applied from this machine; see training-sdk report --list"
        )
    return folder


def digest_typed(named: str) -> str | None:
    """The beginning of a digest, if that is what was typed and not the name of a file."""
    return None if Path(named).exists() else typed(named)


def _folders(state: StateDirectory) -> Iterator[Path]:
    root = state.path / "plans"
    if root.is_dir():
        yield from (folder for folder in sorted(root.iterdir()) if (folder / reportfile.REPORT).is_file())


def _list(session: Session) -> None:
    state = session.state()
    found = sorted(map(reportfile.load, _folders(state)), key=lambda one: one.finished_at)
    session.out.document(
        {"reports": [{**of_report(one), "users": None, "phrase": one.plan.phrase} for one in found]}
    )
    session.out.table(
        ("finished (UTC)", "plan", "what", "complete", "reason"),
        (
            (
                *(one.finished_at, one.plan.short_digest, one.plan.phrase.rpartition(" #")[0]),
                *("yes" if one.is_complete else "NO", one.reason),
            )
            for one in found
        ),
    )
    session.out.note(f"{number(len(found), 'report')} in {state.path}")
