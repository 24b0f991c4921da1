"""``courses``, ``paths``, ``groups``, ``sites``, ``progress`` and ``whoami``: lists of what a token can read."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from io import StringIO
from itertools import islice
from pathlib import Path

import click

from training_sdk._core.text import mailbox, text_cell
from training_sdk.api.progress import CompletionStatus, ProgressRow, ProgressState
from training_sdk.cli.arguments import course_ids
from training_sdk.cli.commands.plan import FILE
from training_sdk.cli.output import Output, plain, refuse_existing, write_new
from training_sdk.cli.session import Session, with_session
from training_sdk.client import TrainingClient
from training_sdk.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError
from training_sdk.plans.course_rows import about_narrow_view
from training_sdk.plans.wording import number

COLUMNS = (
    *("opened_at", "completed_at", "total_lessons", "completed_lessons", "course_id", "course_external_id"),
    *("course_title", "user_email", "user_first_name", "user_last_name", "user_id", "user_external_id"),
    *("progress_percent", "score", "due_at"),
)
TEXTS = (
    *("course_id", "course_external_id", "course_title", "user_email", "user_first_name", "user_last_name"),
    *("user_id", "user_external_id"),
)


def exporter_csv(rows: Iterable[ProgressRow]) -> str:
    """Return the rows in the exporter's format; texts are unchanged, so that the file can be loaded again."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # with it a lone \r in a text is quoted
    writer.writerow(COLUMNS)
    writer.writerows([_cells(row) for row in rows])
    return text.getvalue().encode("utf-8", "backslashreplace").decode()


def has_formula(row: ProgressRow) -> bool:
    """Return True if a spreadsheet could interpret a text of this row as a formula."""
    texts = [getattr(row, name) or "" for name in TEXTS]
    return any(text_cell(text) != text for text in texts)


def _cells(row: ProgressRow) -> list[object]:
    total = row.completed_lessons if row.total_lessons is None else row.total_lessons
    filled = {
        "opened_at": _date(row.opened_at),
        "completed_at": _date(row.completed_at),
        "due_at": _date(row.due_at),
        "total_lessons": total,
        "completed_lessons": row.completed_lessons,
        "progress_percent": _number(row.progress_percent),
        "score": row.score or 0,
    }
    return [filled[name] if name in filled else getattr(row, name) or "" for name in COLUMNS]


def _date(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


STATUSES = {
    "all": CompletionStatus.ALL,
    "completed": CompletionStatus.COMPLETED,
    "not-completed": CompletionStatus.NON_COMPLETED,
}

TABLE, EXPORTER = "table", "exporter-csv"


@click.command()
@click.option("--search", metavar="TEXT", help="Only courses whose title the server matches with this text.")
@with_session
def courses(session: Session, search: str | None) -> None:
    """List courses, with the ids by which other commands name them."""
    found = list(session.client().courses.list(search=search))
    columns = ("id", "title", "status", "lessons")
    session.out.listing(
        "courses",
        found,
        columns,
        lambda one: (one.id, one.title, one.status or "", one.lesson_count),
        "course",
    )


@click.command()
@with_session
def paths(session: Session) -> None:
    """List learning paths, which plan --path names by id or title."""
    found = list(session.client().paths.list())
    columns, published = ("id", "title", "published"), {True: "yes", False: "no", None: ""}
    session.out.listing(
        "paths", found, columns, lambda one: (one.id, one.title, published[one.is_published]), "learning path"
    )


@click.command()
@with_session
def groups(session: Session) -> None:
    """List groups, with the ids by which plan --group names them."""
    found = list(session.client().groups.list())
    session.out.listing("groups", found, ("id", "name"), lambda one: (one.id, one.name), "group")


@click.command()
@with_session
def sites(session: Session) -> None:
    """List sites, with the ids by which plan --site names them."""
    found = list(session.client().sites.list())
    columns = ("id", "name", "belongs to", "state")
    session.out.listing(
        "sites",
        found,
        columns,
        lambda one: (one.id, one.name, one.parent_id, "deleted" if one.deleted else ""),
        "site",
    )


@click.command()
@click.option("--course", metavar="ID|TITLE", help="Only this course.")
@click.option("--user", metavar="ID|E-MAIL", help="Only this person.")
@click.option("--status", type=click.Choice([*STATUSES]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="List at most N rows.")
@click.option(
    "--format",
    "format_",
    type=click.Choice([TABLE, EXPORTER]),
    default=TABLE,
    show_default=True,
    help="A table, or the 15 columns of the vendor's exporter, which training-mock loads.",
)
@click.option(
    "--output",
    type=FILE,
    metavar="FILE.csv",
    help="With exporter-csv: the new file. [default: standard output]",
)
@with_session
def progress(
    session: Session,
    course: str | None,
    user: str | None,
    status: str,
    limit: int | None,
    format_: str,
    output: Path | None,
) -> None:
    """List who stands where. On a live service this is up to 2 h old.

    --format exporter-csv writes people in every state, also those who have not completed, whom the vendor's exporter
    leaves out. The file holds personal data, and texts as they are: it is for programs, not for a spreadsheet.
    """
    if format_ == TABLE and output is not None:
        raise InvalidArgumentError(f"--output is for --format {EXPORTER}; a table goes to standard output")
    if format_ == EXPORTER and session.out.json:
        raise InvalidArgumentError(f"--format {EXPORTER} writes CSV; leave --json out")
    refuse_existing(output, "an export")
    client = session.client()
    course_id = course_ids(client, [course])[0] if course is not None else None
    wanted = mailbox(user or "")
    rows = client.progress.list(
        course_id=course_id, user_id=None if "@" in wanted else user, status=STATUSES[status]
    )
    fitting = (row for row in rows if "@" not in wanted or mailbox(row.user_email or "") == wanted)
    found = list(islice(fitting, limit))
    if not found and user is not None:
        raise NotFoundError(
            f"the progress feed shows nobody called {user!r} here, or this token may not see them"
        )
    if format_ == EXPORTER:
        _export(session.out, found, output)
        if user is None and limit is None and status == "all":
            _warn_of_missing_people(session.out, client, found)
        return
    session.out.listing(
        "progress",
        found,
        ("course", "user id", "name", "e-mail", "state", "%", "completed (UTC)", "score", "due (UTC)"),
        lambda row: (
            *(row.course_title or row.course_id, row.user_id, row.user_name, row.user_email, row.state),
            *(row.progress_percent, row.completed_at, row.score, row.due_at),
        ),
        "row",
    )


def _warn_of_missing_people(out: Output, client: TrainingClient, found: Sequence[ProgressRow]) -> None:
    """Warn about people who are missing in the file because this token cannot see them.

    A rehearsal would take the file for the whole organisation.
    """
    rows: dict[str, dict[str, ProgressRow]] = {}
    for row in found:
        rows.setdefault(row.course_id, {})[row.user_id] = row
    try:
        warnings = client._driver.run(about_narrow_view(client._calls, rows, "this file"))
    except PermissionDeniedError:
        warnings = ("this token may not read other people's progress, so the file is not the organisation",)
    for warning in warnings:
        out.warn(f"Warning: {warning}")


def _export(out: Output, rows: Sequence[ProgressRow], output: Path | None) -> None:
    """Write rows as the vendor's exporter does, and say how many there are in each state."""
    text = exporter_csv(rows)
    if output is None:
        out.plain(text)
    else:
        write_new(output, text, "an export")
    states = Counter(row.state for row in rows)
    counts = ", ".join(f"{states[state]} {state}" for state in ProgressState)
    out.note(f"{number(len(rows), 'row')}: {counts}{f'. They are in {output}' if output else ''}")
    if risky := sum(map(has_formula, rows)):
        out.warn(
            f"Warning: a spreadsheet would take texts in {number(risky, 'row')} for formulas. Do not open it in one."
        )


@click.command()
@with_session
def whoami(session: Session) -> None:
    """Show whose token this is, for which organisation and server, and where it comes from. Only reads."""
    client = session.client()
    me = client.users.me()
    profile = session.profile
    session.out.document(
        {
            "me": plain(me),
            "base_url": client.base_url,
            "profile": profile.name,
            "token_source": profile.token_source,
        }
    )
    name = " ".join(part for part in (me.firstname, me.lastname) if part)
    rows = (
        ("name", name),
        ("user id", me.user_id),
        ("organisation id", me.organisation_id),
        ("server", client.base_url),
        ("profile", profile.name or "none"),
        ("token from", profile.token_source),
    )
    session.out.table(("what", "value"), rows)
