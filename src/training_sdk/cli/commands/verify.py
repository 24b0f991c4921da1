"""``verify`` and ``prove``: check the effect of a reset afterwards, and verify the request format in advance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from attrs import evolve

from training_sdk.approval.approvals import Approval
from training_sdk.cli.arguments import a_duration, course_ids
from training_sdk.cli.commands.apply import ACCEPT_MISSING_LESSONS, REQUIRE_SURVEYS, name_report
from training_sdk.cli.commands.plan import APPROVAL, WHY, options
from training_sdk.cli.commands.report import find_report
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.interaction import confirmed, telling
from training_sdk.cli.output import plain
from training_sdk.cli.session import ALL, Session, with_session
from training_sdk.errors import ProofFailedError
from training_sdk.format_proof.proofs import ProofPlan
from training_sdk.resets.unfinished import prove_command


@contextmanager
def _naming_the_way_on(session: Session, planned: ProofPlan) -> Iterator[None]:
    """Name the record of a proof; add the command that continues it to the error of a pending proof."""
    try:
        yield
    except ProofFailedError as error:
        if error.reason == "NOT_SEEN_YET":
            everyone, refused = planned.way == "everyone", planned.refused_with
            command = prove_command(
                planned.reset, server_side=everyone, refused_with=refused, commands=session.commands()
            )
            error.add_note(f"To look again:\n  {command}")
        raise
    finally:
        name_report(session, planned.reset.digest)


VERIFIED_WITHIN, PROVED_WITHIN, EVERY = "5h", "4h", "5m"


@click.command()
@click.argument("plan", metavar="PLAN.json|DIGEST")
@click.option(
    "--deadline",
    type=a_duration,
    metavar="TIME",
    default=VERIFIED_WITHIN,
    help="Give up after this time. [default: 5h]",
)
@click.option(
    "--every",
    type=a_duration,
    metavar="TIME",
    default=EVERY,
    help="Wait this long before the first look; later waits are longer. [default: 5m]",
)
@options(ALL)
@with_session
def verify(session: Session, plan: str, deadline: timedelta, every: timedelta) -> ExitCode:
    """Wait until progress and analytics show the effect of a reset. No person is reset.

    A live service shows it up to 2 h later. The exit code is 0 when everyone in the plan was reset and is seen at 0 %,
    or has started or completed the course again since. It is 5 if a person was never sent, and 10 if people outside
    the plan may have been reset. DIGEST is the end of the phrase, such as a1b2-c3d4-e5f6-0718, or the whole digest.
    """
    report = find_report(session, plan)
    name_report(session, report.plan.digest)
    client = session.client()
    with telling(session.out, "reading") as tell:
        seen = client.resets.wait_until_verified(report, deadline=deadline, every=every, on_progress=tell)
    session.out.document(
        {
            "plan_digest": report.plan.digest,
            "verified": seen.is_verified,
            "counts": plain(seen.counts),
            "retrained": len(seen.retrained),
            "unknown": seen.left_unknown,
            "reached_others": seen.report.reached_others,
            "never_sent": seen.never_sent,
            "finished": seen.is_finished,
            "lessons_read": seen.lessons_read,
            "notes": list(seen.notes),
            "people": plain(seen.people),
        }
    )
    session.out.say(session.out.listed(evolve(seen, commands=session.commands())))
    if seen.report.reached_others:
        return ExitCode.OTHERS_REACHED
    return ExitCode.DONE if seen.is_verified else ExitCode.INCOMPLETE


@click.command()
@click.option(
    "--course",
    required=True,
    metavar="ID|TITLE",
    help="The test course, whose progress is not needed: at most 5 people.",
)
@click.option("--person", metavar="ID|E-MAIL", help="The person who is reset.")
@click.option(
    "--server-side",
    is_flag=True,
    help="Verify the call for everyone instead. It resets everyone on the test course.",
)
@click.option(
    "--refused-with",
    metavar="ID",
    help="Prove that a refusal has no effect: also name this user, last, who is not on the course.",
)
@options(WHY)
@click.option(
    "--confirm", metavar="PHRASE", help="The phrase of a proof that has begun; a terminal asks for it."
)
@APPROVAL
@ACCEPT_MISSING_LESSONS
@REQUIRE_SURVEYS
@click.option(
    "--deadline",
    type=a_duration,
    metavar="TIME",
    default=PROVED_WITHIN,
    help="Give up after this time. [default: 4h]",
)
@with_session
def prove(
    session: Session,
    course: str,
    person: str | None,
    server_side: bool,
    refused_with: str | None,
    reason: str,
    ticket: str | None,
    confirm: str | None,
    approval: Path | None,
    accept_missing_lessons: bool,
    require_surveys: bool,
    deadline: timedelta,
) -> None:
    """Verify the request format of a live service on a test course, and unlock resets there.

    One person of the test course is reset permanently. The progress of everyone else there, and of the person in other
    courses, must not change. The person must have completed a lesson in another course. The phrase is new each time
    until the proof has started, so a person must type it the first time.

    --refused-with is a second step, after the proof of the format: one request names the person and then a user who
    cannot be reset. If it is refused and the person keeps their progress, later refusals of several people with this
    status are certain to have no effect.
    """
    client = session.client(may_write=True)
    (course_id,) = course_ids(client, [course])
    planned = client.resets.plan_proof(course_id, person, server_side=server_side, refused_with=refused_with)
    (session.out.show if confirm is None else session.out.say)(planned)
    phrase = confirmed(session.out, planned.phrase, confirm, what="The phrase of this proof")
    with telling(session.out, "reading") as tell, _naming_the_way_on(session, planned):
        proof = client.resets.prove_format(
            planned,
            confirm=phrase,
            reason=reason,
            ticket=ticket,
            approval=None if approval is None else Approval.load(approval),
            accept_missing_lessons=accept_missing_lessons,
            require_surveys=require_surveys,
            deadline=deadline,
            on_progress=tell,
        )
    session.out.document({"proof": plain(proof)})
    notes = "".join(f"\nNote: {note}." for note in proof.traces.notes)
    if proof.refusals_without_effect:
        statuses = ", ".join(map(str, proof.refusals_without_effect))
        notes += f"\nRefusals of several people with these statuses have no effect there: {statuses}."
    session.out.say(
        f"Proved on {proof.proved_at:%Y-%m-%d %H:%M} UTC: resets of this format are enabled there.{notes}"
    )
