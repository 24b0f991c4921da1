"""``due``: people who must renew a completion."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from training_sdk._core.text import widely
from training_sdk.api.progress import ProgressRow
from training_sdk.cli.arguments import a_moment, course_ids
from training_sdk.cli.commands.due_inputs import Past, past_of, read_lines, time_at
from training_sdk.cli.commands.plan import FILE, KEEP, options, refuse_key_alone, signed
from training_sdk.cli.effect_card import write_card
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import of_plan, plain, refuse_existing
from training_sdk.cli.session import ALL, Session, about_restricted_view, with_session
from training_sdk.client import TrainingClient
from training_sdk.errors import EvidenceError, InvalidArgumentError, PermissionDeniedError
from training_sdk.plans import people_file
from training_sdk.plans.plan import ResetPlan
from training_sdk.plans.reading import about_narrow_view
from training_sdk.plans.wording import number
from training_sdk.recertification import (
    Anniversary,
    BeforeExpiry,
    Due,
    FixedDate,
    FromCompletion,
    Rule,
    who_is_due,
)
from training_sdk.recertification.due import Held
from training_sdk.recertification.rules import day as civil_day
from training_sdk.recertification.rules import day_of, refuse_future, zone_called

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.DOTALL)

RULES = (
    click.option(
        "--years",
        type=int,
        metavar="N",
        help="Renew N years after completion; can be combined with --months and --days.",
    ),
    click.option("--months", type=int, metavar="N", help="Renew this long after completion."),
    click.option("--days", type=int, metavar="N", help="Renew this long after completion."),
    click.option("--fixed-date", metavar="MM-DD", help="Renew on this day of every year."),
    click.option(
        "--before-expiry",
        type=int,
        metavar="DAYS",
        help="Renew this many days before the completion expires.",
    ),
    click.option(
        "--anniversaries",
        type=FILE,
        metavar="FILE.csv",
        help="Renew on the day of each person in this file: user_id,date.",
    ),
    click.option(
        "--first-completion",
        is_flag=True,
        help="Renew on the day of the first completion, which evidence may show.",
    ),
)

DATES = frozenset({"user_id", "date"})
"""Columns of a file of dates."""


@click.command()
@click.option(
    "--course",
    "courses",
    multiple=True,
    required=True,
    metavar="ID|TITLE",
    help="A course, by id or exact title; repeatable.",
)
@options(RULES)
@click.option(
    "--zone", required=True, metavar="ZONE", help="The time zone of the days, such as Europe/Berlin."
)
@click.option("--on", type=a_moment, metavar="DATE", help="List who is due on this day. [default: today]")
@click.option(
    "--warn",
    type=click.IntRange(min=0),
    default=0,
    metavar="DAYS",
    help="Warn this many days before the due date. [default: 0]",
)
@click.option(
    "--grace",
    type=click.IntRange(min=0),
    default=0,
    metavar="DAYS",
    help="Reset this many days after the due date. [default: 0]",
)
@click.option(
    "--hold", type=FILE, metavar="FILE", help="The people who are never due: ids or e-mails, one per line."
)
@click.option(
    "--allow-unknown-holds",
    is_flag=True,
    help="Plan although an entry of the hold list matches no person in these courses.",
)
@options(KEEP, ALL)
@with_session
def due(
    session: Session,
    courses: tuple[str, ...],
    zone: str,
    on: date | None,
    warn: int,
    grace: int,
    hold: Path | None,
    allow_unknown_holds: bool,
    save: Path | None,
    card: Path | None,
    key: Path | None,
    **given: Any,
) -> ExitCode:
    """List people who must renew a completion, and plan their reset with --save. No person is reset or notified.

    With --save the exit code is 9 if no person is due: then there is no file. It is 12 if people have lapsed and no
    plan was saved. If a plan was saved, it is 0, and the lapsed people are named on stderr. A list for a day after
    today is for reading only: --save is refused.
    """
    _check_files(save, card, key)
    entries = () if hold is None else read_hold(hold)
    client = session.client()
    where = zone_called(zone)
    today, day = _days(client, where, on, save)
    ids = course_ids(client, courses)
    past = past_of(session, client)
    rows = _rows(client, ids)
    about_view = _about_view(client, rows)
    found = who_is_due(
        chain.from_iterable(here.values() for here in rows.values()),
        _rule(past, **given),
        on=day,
        zone=where,
        warn=warn,
        grace=grace,
        hold=_held(client, entries),
        already=past.resets,
        history=past.completions,
        in_doubt=past.in_doubt,
    )
    if save is not None and not allow_unknown_holds:
        _refuse_unknown_holds(hold, found.held_nobody)
    made = None
    if save is not None and found.due:
        made = signed(client.resets.plan_due(found), key)
        made.save(save)
        session.invocation.recorded = f"The plan is in {save}."
        write_card(card, made, client=client)
    _tell(session, found, (*about_view, *past.warnings), today, made, save)
    if made is not None:
        return ExitCode.DONE
    nobody = ExitCode.DONE if save is None else ExitCode.NOBODY_DUE
    return ExitCode.LAPSED if found.lapsed else nobody


def _days(client: TrainingClient, zone: ZoneInfo, on: date | None, save: Path | None) -> tuple[date, date]:
    """Return today in the zone by the service's clock, and the requested day; with --save it cannot be after today."""
    now = time_at(client)
    today = day_of(now, zone)
    day = today if on is None else civil_day(on, zone, "--on")
    if save is not None:
        refuse_future(day, zone, now, "To look at that day, leave out --save. To plan, leave out --on.")
    return today, day


def _check_files(save: Path | None, card: Path | None, key: Path | None) -> None:
    """Refuse options that need --save without it, and files that exist already."""
    if card is not None and save is None:
        raise InvalidArgumentError("--card shows a plan. Name the file of the plan with --save.")
    refuse_key_alone(key, save)
    refuse_existing(save, "a plan")
    refuse_existing(card, "an effect card")


def _tell(
    session: Session,
    found: Due,
    warnings: Sequence[str],
    today: date,
    made: ResetPlan | None,
    save: Path | None,
) -> None:
    """Show the people who are due, the plan that was made for them, and the limits of the list."""
    plan = None if made is None else of_plan(made, str(save))
    session.out.document({"due": of_due(found, today), "plan": plan, "warnings": list(warnings)})
    session.out.say(found)
    _note(session, found, warnings, today)
    if made is not None:
        if found.lapsed:
            session.out.warn("The exit code is 0, because a plan was saved. Without --save it is 12.")
        session.out.say(made)
        session.out.note(f"The plan is in {save}. To carry it out:\n  {session.commands(save).apply()}")
    elif save is not None:
        session.out.note("No person is due, so there is nothing to plan, and nothing was saved.")


def _note(session: Session, found: Due, warnings: Sequence[str], today: date) -> None:
    """Show the limits of the list: what it cannot show, and what it must not be used for."""
    session.out.warn_each(warnings)
    if found.on > today:
        session.out.warn(f"This list is for {found.on}, and today is {today}. It cannot be planned.")
    if found.lapsed:
        many = number(len(found.lapsed), "person has", "people have")
        session.out.warn(f"{many} lapsed: no valid completion until they train.")


def _refuse_unknown_holds(hold: Path | None, unknown: Sequence[Held]) -> None:
    """Refuse entries that match no person: a misspelt entry would plan the reset of the person to hold back."""
    if unknown:
        entries = "".join(
            f"\n  {one if isinstance(one, str) else ', '.join(map(str, one))}" for one in unknown
        )
        raise InvalidArgumentError(
            f"{number(len(unknown), 'entry', 'entries')} of the hold list {hold} "
            f"{'names' if len(unknown) == 1 else 'name'} no person in the progress of these courses, so "
            f"nothing was saved. Correct the list, or pass --allow-unknown-holds:{entries}"
        )


def read_hold(path: Path) -> tuple[str, ...]:
    """Return the entries, one per line; ``#`` starts a comment at the start of a line or after white space.

    Raises InvalidArgumentError for a file without entries: it would hold nobody back.
    """
    lines = read_lines(path, "The hold list")
    entries = tuple(entry for line in lines if (entry := _COMMENT.sub("", line).strip()))
    if not entries:
        raise InvalidArgumentError(
            f"The hold list {path} contains no people. If that is intended, leave --hold out."
        )
    return entries


def _held(client: TrainingClient, entries: Sequence[str]) -> tuple[Held, ...]:
    """Return the entries as people, or as (course id, person) if a known course comes before a comma."""
    known: set[str] = set()
    if any("," in entry for entry in entries):
        known = {widely(course.id) for course in client.courses.list()}
    held: list[Held] = []
    for entry in entries:
        course, _, person = (part.strip() for part in entry.partition(","))
        held.append((course, person) if person and widely(course) in known else entry)
    return tuple(held)


def _rows(client: TrainingClient, ids: Iterable[str]) -> dict[str, dict[str, ProgressRow]]:
    """Return the rows of the feed by course and user."""
    return {one: {row.user_id: row for row in client.progress.list(course_id=one)} for one in ids}


def _about_view(client: TrainingClient, rows: Mapping[str, Mapping[str, ProgressRow]]) -> tuple[str, ...]:
    """Return warnings if people are missing in the list.

    Raises PermissionDeniedError if the feed may show only the owner of the token.
    """
    try:
        narrow = client._driver.run(about_narrow_view(client._calls, rows, "this list"))
    except PermissionDeniedError:
        me = client.users.me().user_id
        if all(user_id == me for here in rows.values() for user_id in here):
            raise
        return ("This token may not read the statistics, so it is not known whether it sees everyone.",)
    return (*narrow, *about_restricted_view(client))


def _rule(
    past: Past,
    *,
    years: int | None,
    months: int | None,
    days: int | None,
    fixed_date: str | None,
    before_expiry: int | None,
    anniversaries: Path | None,
    first_completion: bool,
) -> Rule:
    """Return the one rule that was given."""
    period: dict[str, Any] = {
        name: number for name, number in (("years", years), ("months", months), ("days", days)) if number
    }
    chosen: list[Rule] = [
        *([FromCompletion(**period)] if period else []),
        *([_fixed(fixed_date)] if fixed_date is not None else []),
        *([BeforeExpiry(before_expiry)] if before_expiry is not None else []),
        *([Anniversary(_dates(anniversaries))] if anniversaries is not None else []),
        *([_first_completions(past)] if first_completion else []),
    ]
    if len(chosen) != 1:
        raise InvalidArgumentError(
            "Give exactly one rule: a period (--years, --months, --days), --fixed-date, --before-expiry, "
            "--anniversaries or --first-completion."
        )
    return chosen[0]


def _fixed(text: str) -> FixedDate:
    month, hyphen, day = text.partition("-")
    if not (hyphen and month.isascii() and month.isdigit() and day.isascii() and day.isdigit()):
        raise InvalidArgumentError(
            f"--fixed-date {text!r} is not a day of the year. Write 03-01 for 1 March."
        )
    try:
        return FixedDate(int(month), int(day))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"--fixed-date {text!r} is not a day of the year: {error.message}"
        ) from None


def _date_of(row: Mapping[str, str]) -> tuple[str, date]:
    """Return a user id and its date. Raises ValueError if one is missing, or the date is not in ISO 8601."""
    user_id, text = row["user_id"].strip(), row["date"].strip()
    if not (user_id and text):
        raise ValueError("a user id or a date is missing.")
    try:
        return user_id, date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a date. Write it as in 2019-06-10.") from None


def _dates(path: Path) -> dict[str, date]:
    """Return the dates of a CSV file, by user id."""
    dates: dict[str, date] = {}
    begins = 1
    try:
        rows = people_file.records("".join(read_lines(path, "The file of dates")), DATES)
        begins, cells = next((row for row in rows if any(map(str.strip, row[1]))), (1, [""]))
        header = [*map(people_file.folded, cells)]
        if left := people_file.left_by_excel(header):
            raise ValueError(left)
        if sorted(filter(None, header)) != sorted(DATES):
            raise ValueError("the columns must be user_id and date.")
        for line, row in rows:
            begins = line
            if any(map(str.strip, row)):
                user_id, when = _date_of(people_file.named_cells(header, row))
                if dates.setdefault(user_id, when) != when:
                    raise ValueError("this person is listed before with a different date.")
    except csv.Error as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error}") from None
    except ValueError as error:
        raise InvalidArgumentError(f"{path}, line {begins}: {error}") from None
    if not dates:
        raise InvalidArgumentError(f"{path} contains no dates.")
    return dates


def _first_completions(past: Past) -> Anniversary:
    """Return the rule by first completions.

    Raises EvidenceError for a pack that cannot be read, because it might contain the first completion.
    """
    if past.unread_packs:
        raise EvidenceError(
            f"The first completions are not known, because an evidence pack cannot be read: {past.unread_packs[0]}"
        )
    return Anniversary.of_first_completion(past.completions)


def of_due(due: Due, today: date) -> dict[str, Any]:
    """Return the people who are due, and the others in the list, as JSON data; ``today`` is today's date."""
    return {
        "on": due.on.isoformat(),
        "today": today.isoformat(),
        "zone": due.zone,
        "rule": due.rule,
        "not_due": due.not_due,
        "held_nobody": plain(due.held_nobody),
        **{standing.value.replace(" ", "_"): plain(cases) for standing, cases in due.listed.items()},
    }
