"""``plan`` and ``show``: the people whom a reset would reach, and the progress that it would clear."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from training_sdk._core.text import sentence
from training_sdk.cli.arguments import (
    a_moment,
    course_ids,
    headers,
    no_secret,
    path_ids,
    people_from,
    where_from,
)
from training_sdk.cli.effect_card import write_card
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import Output, is_terminal, of_plan, plain, refuse_existing
from training_sdk.cli.session import ALL, Session, about_restricted_view, with_session
from training_sdk.client import TrainingClient
from training_sdk.errors import InvalidArgumentError, TrainingError
from training_sdk.local_plans.closing import close_plan, find_digest
from training_sdk.plans.people import People
from training_sdk.plans.people_file import check_csv, merge
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.wording import number, short_digest, typed_digest
from training_sdk.records.state import StateDirectory
from training_sdk.resets.unfinished import report_in

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(path_type=Path, dir_okay=False)

CONFIRM = click.option("--confirm", metavar="PHRASE", help="The phrase of the plan; a terminal asks for it.")
APPROVAL = click.option(
    "--approval", type=FILE, metavar="FILE", help="The file with the approval of a second person."
)
CARD = click.option(
    "--card",
    type=FILE,
    metavar="CARD.html",
    help="Write the effect card, a one-page HTML summary, to this new file.",
)
EVERYONE = click.option(
    "--all",
    "everyone",
    is_flag=True,
    help="List all people, then all users in scope with their ids in a table.",
)
WHO = (
    click.option(
        "--user",
        "users",
        multiple=True,
        metavar="ID|E-MAIL",
        help="A person to reset, by user id or e-mail; repeatable.",
    ),
    click.option(
        "--external-id",
        "external_ids",
        multiple=True,
        metavar="ID",
        help="A person to reset, by external id; repeatable.",
    ),
    click.option(
        "--group", "groups", multiple=True, metavar="ID|NAME", help="All members of this group; repeatable."
    ),
    click.option(
        "--site", "sites", multiple=True, metavar="ID|NAME", help="All members of this site; repeatable."
    ),
    click.option(
        "--people",
        "files",
        multiple=True,
        type=FILE,
        metavar="FILE.csv",
        help="The people listed in this CSV file; repeatable.",
    ),
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="NAME=HEADER",
        callback=headers,
        help="A column of the file under another header, such as email=E-Mail; note=HEADER is ignored. Repeatable.",
    ),
    click.option(
        "--everyone", is_flag=True, help="Everyone assigned to the courses. This is never the default."
    ),
)
WHICH = (
    click.option(
        "--only", type=click.Choice(["completed"]), help="Only people who have completed the course."
    ),
    click.option(
        "--state",
        type=click.Choice(["completed", "in progress"]),
        help="Only people whose progress is in this state.",
    ),
    click.option(
        "--completed-before", type=a_moment, metavar="DATE", help="Only completions before this day or time."
    ),
    click.option(
        "--completed-after", type=a_moment, metavar="DATE", help="Only completions after this day or time."
    ),
    click.option(
        "--due-before",
        type=a_moment,
        metavar="DATE",
        help="Only people whose due date is before this day or time.",
    ),
    click.option("--score-below", type=float, metavar="N", help="Only scores below N, from 0 to 100."),
    click.option(
        "--zone",
        metavar="ZONE",
        help="The time zone of the days above, such as Europe/Berlin; required with a day.",
    ),
)
KEEP = (
    click.option(
        "--save",
        type=FILE,
        metavar="PLAN.json",
        help="Save the plan to this new file, so that it can be applied.",
    ),
    CARD,
    click.option(
        "--key",
        type=FILE,
        metavar="PATH",
        help="Sign the saved plan with this SSH key, named by its file or its .pub file.",
    ),
)

WHY = (
    click.option(
        "--reason", required=True, metavar="TEXT", callback=no_secret, help="The reason, for the audit log."
    ),
    click.option(
        "--ticket", metavar="TEXT", callback=no_secret, help="The ticket of the decision, for the audit log."
    ),
)


def options(*groups: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Combine several options, in the order in which --help shows them."""

    def decorate(function: F) -> F:
        for option in reversed([one for group in groups for one in group]):
            function = option(function)
        return function

    return decorate


@click.group(invoke_without_command=True)
@click.option(
    "--course",
    "courses",
    multiple=True,
    metavar="ID|TITLE",
    help="A course, by id or exact title; repeatable.",
)
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="ID|TITLE",
    help="All courses of this learning path, by id or exact title; repeatable.",
)
@options(WHO, WHICH, KEEP, ALL)
@click.option(
    "--skip-unassigned",
    is_flag=True,
    help="Skip people in courses to which they are not assigned; a person who is in none of them is an error.",
)
@click.option("--people-template", is_flag=True, help="Print the header of a file for --people, and stop.")
@click.option(
    "--check-people",
    type=FILE,
    metavar="FILE.csv",
    help="Check a file for --people: count its people, name duplicates and problems, and stop.",
)
@with_session
def plan(session: Session, **given: Any) -> ExitCode | None:
    """Plan a reset, and show the loss of each person. Nothing is changed; a saved plan can be applied once.

    Name people, or pass --everyone: an empty selection never means everyone.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        _refuse_options_of_plan(context, context.invoked_subcommand, given)
        return None
    if given.pop("people_template"):
        session.out.document({"template": People.csv_template()})
        if not session.out.json:
            session.out.plain(People.csv_template())
        return ExitCode.DONE
    if (file := given.pop("check_people")) is not None:
        return _check(session.out, file, given["columns"])
    key = given.pop("key")
    refuse_key_alone(key, given["save"])
    keep(session, signed(_make(session, **given), key), given["save"], given["card"])
    return None


def _refuse_options_of_plan(context: click.Context, command: str, given: Collection[str]) -> None:
    """Refuse options of ``plan`` before the name of another command, which would ignore them."""
    typed_here = [
        option.opts[0]
        for option in context.command.params
        if option.name in given and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if typed_here:
        raise InvalidArgumentError(
            f"The command plan {command} has no option {', '.join(typed_here)}. Nothing was done. Write the options "
            f"of {command} after its name; training-sdk plan {command} --help lists them."
        )


@plan.command()
@click.argument("plan", metavar="PLAN.json|DIGEST")
@options(WHY, ALL)
@with_session
def close(session: Session, plan: str, reason: str, ticket: str | None) -> None:
    """Close a plan that never started or cannot continue. Then its evidence can be purged. Needs no server.

    The plan can then not be applied or resumed. A plan that may have reset people is refused: resume it first. DIGEST
    is the end of the phrase, such as a1b2-c3d4-e5f6-0718, or the whole digest.
    """
    state = session.state()
    beginning = None if Path(plan).exists() else typed_digest(plan)
    digest = ResetPlan.load(plan).digest if beginning is None else find_digest(state, beginning)
    wait = session.profile.processing_time
    closed = close_plan(state, digest, reason=reason, ticket=ticket, processing_time=wait)
    session.invocation.recorded = (
        "The plan is closed. To see the result for each person: "
        f"{session.commands().report(short_digest(digest))}"
    )
    session.out.document({"closed": plain(closed)})
    how = ", ".join(f"{count} {standing}" for standing, count in closed.standings.items())
    session.out.say(f"Plan #{short_digest(digest)} is closed: {how or 'nothing was sent'}.")
    if closed.standings:
        session.out.say(_left_by(session, state, digest, plan if beginning is None else None))
    session.out.note(f"{number(len(closed.packs), 'pack')} of this plan can be purged when old enough.")


def _left_by(session: Session, state: StateDirectory, digest: str, file: str | None) -> str:
    """Return the result of each person in a closed plan, and the command that shows it again."""
    see = f"To see it again: {session.commands().report(short_digest(digest))}"
    try:
        plan = None if file is None else ResetPlan.load(file)
        folder = state.path / "plans" / digest
        found, _ = report_in(state, folder, datetime.now(UTC), plan, unseal=session.profile.unseal)
    except TrainingError as error:  # closing has succeeded all the same
        return f"The report cannot be shown: {sentence(session.invocation.message_of(error))} {see}"
    return f"{session.out.listed(found)}\n{see}"


def _check(out: Output, file: Path, columns: Mapping[str, str]) -> ExitCode:
    """Print the content of a people file; an e-mail and an id of one person count as two people here."""
    found = check_csv(file, columns)
    problems = list(found.problems)
    entries, duplicates = merge(found.entries)
    people = len({one.key[:2] for one in entries})
    courses = {one.course_id for one in entries} - {None}
    counted = {"people": people, "courses": sorted(map(str, courses)), "duplicates": list(duplicates)}
    out.document({"file": str(file), "problems": problems, **counted})
    for line in (*problems, *duplicates):
        out.say(f"{file}: {line}")
    verdict = f"has {number(len(problems), 'problem')}" if problems else "can be used"
    where = f" in {number(len(courses), 'course')}" if courses else ""
    held = f"{number(people, 'person', 'people')}{where}, {number(len(duplicates), 'duplicate')}"
    out.note(f"{file} {verdict}: {held}.")
    return ExitCode.USAGE if problems else ExitCode.DONE


def _make(
    session: Session,
    *,
    courses: tuple[str, ...],
    paths: tuple[str, ...],
    everyone: bool,
    skip_unassigned: bool,
    only: Any,
    zone: str | None,
    save: Path | None,
    card: Path | None,
    **given: Any,
) -> ResetPlan:
    refuse_existing(save, "a plan")
    refuse_existing(card, "an effect card")
    people = people_from(
        *(given.pop(name) for name in ("users", "external_ids", "groups", "sites", "files", "columns"))
    )
    if everyone and people is not None:
        raise InvalidArgumentError("--everyone and named people exclude each other. Leave one out.")
    if not everyone and people is None:
        raise InvalidArgumentError(
            "No people are named. Pass --user, --external-id, --group, --site or --people, or --everyone."
        )
    if everyone and skip_unassigned:
        raise InvalidArgumentError("--skip-unassigned is for named people. Leave it out with --everyone.")
    where = where_from(zone, **given)
    if not courses and not paths and not (people and people.course_ids):
        raise InvalidArgumentError("No course is named. Pass --course or --path.")
    client = session.client()
    ids = course_ids(client, courses) if courses else ()
    paths = path_ids(client, paths)
    if people is None:
        whole = (*ids, *_courses_of(client, paths))
        made = client.resets.plan_everyone(whole, only=only, where=where)
        session.out.warn_each(about_restricted_view(client))
        return made
    if not ids and not paths:
        ids = people.course_ids
    return client.resets.plan(
        ids, people, only=only, where=where, paths=paths, skip_unassigned=skip_unassigned
    )


def _courses_of(client: TrainingClient, paths: tuple[str, ...]) -> list[str]:
    return [course.id for path in paths for course in client.paths.get(path).courses]


def refuse_key_alone(key: Path | None, save: Path | None) -> None:
    """Refuse a key if no plan is saved that it could sign."""
    if key is not None and save is None:
        raise InvalidArgumentError("--key signs the saved plan. Name the file of the plan with --save.")


def signed(made: ResetPlan, key: Path | None) -> ResetPlan:
    """Return the plan, signed if there is a key; ssh-keygen may ask for a passphrase at a terminal."""
    if key is None:
        return made
    return made.sign(key, interactive=is_terminal(sys.stdin) and is_terminal(sys.stderr))


def keep(session: Session, made: ResetPlan, save: Path | None, card: Path | None) -> None:
    """Save a plan and its card, and show it."""
    out = session.out
    if save is not None:
        made.save(save)
        session.invocation.recorded = f"The plan is in {save}."
    if card is not None:
        write_card(card, made, client=session.client())
    out.document(of_plan(made, str(save) if save else None))
    out.say(made)
    if card is not None:
        out.note(f"The effect card is in {card}.")
    if not made.targets:
        out.note("No person has progress to reset, so there is nothing to apply.")
    elif save is None:
        out.note("The plan was not saved, so it cannot be applied. To save it, add --save PLAN.json")
    else:
        out.note(f"The plan is in {save}. To apply it:\n  {session.commands(save).apply()}")


@click.command()
@click.argument("plan", type=FILE, metavar="PLAN.json")
@EVERYONE
@CARD
@with_session
def show(session: Session, plan: Path, everyone: bool, card: Path | None) -> None:
    """Show a saved plan: who, what would be lost, and the phrase to type. Needs no server."""
    loaded = ResetPlan.load(plan)
    write_card(card, loaded)
    session.out.document(of_plan(loaded, str(plan)))
    session.out.say(loaded.listing(sys.maxsize) if everyone else loaded)
    if everyone:
        titles = {course.id: course.title for course in loaded.courses}
        session.out.table(
            ("course", "user id", "name", "e-mail", "state", "%", "completed (UTC)", "score", "left out"),
            (
                (
                    *(titles[one.course_id], one.user_id, one.name, one.email, one.state, one.percent),
                    *(one.completed_at, one.score, one.left_out),
                )
                for one in loaded.users
            ),
        )
    if card is not None:
        session.out.note(f"The effect card is in {card}.")
