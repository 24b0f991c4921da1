"""``courses``, ``paths``, ``groups``, ``sites``, ``progress`` and ``whoami``: lists of what a token can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from operator import attrgetter

import click
from attrs import define, field

from training_sdk._core.model import EPOCH
from training_sdk._core.text import mailbox
from training_sdk.api.courses import Course
from training_sdk.api.groups import Group, Site
from training_sdk.api.learning_paths import LearningPath
from training_sdk.api.progress import CompletionStatus, ProgressRow, ProgressState
from training_sdk.cli.arguments import course_ids
from training_sdk.cli.listings import (
    EXPORTER,
    Destination,
    Pages,
    Shown,
    has_formula,
    lists,
    write_items,
    write_listing,
    written_to,
)
from training_sdk.cli.output import Output, plain
from training_sdk.cli.session import (
    NOT_KNOWN,
    Session,
    about_restricted_catalogue,
    about_restricted_view,
    with_session,
)
from training_sdk.client import TrainingClient
from training_sdk.errors import NotFoundError, PermissionDeniedError, TrainingError
from training_sdk.plans.reading import about_narrow_view
from training_sdk.plans.wording import number

STATUSES = {
    "all": CompletionStatus.ALL,
    "completed": CompletionStatus.COMPLETED,
    "not-completed": CompletionStatus.NON_COMPLETED,
}
PUBLISHED = {True: "yes", False: "no", None: ""}


@click.command()
@click.option("--search", metavar="TEXT", help="Only courses whose title the server matches with this text.")
@lists()
def courses(session: Session, search: str | None, to: Destination) -> None:
    """List courses, with the ids by which other commands name them."""
    shown = Shown[Course](
        "courses",
        {
            "id": attrgetter("id"),
            "title": attrgetter("title"),
            "status": attrgetter("status"),
            "lessons": attrgetter("lesson_count"),
        },
        "course",
    )
    client = session.client()
    narrow = partial(about_restricted_catalogue, client)
    write_listing(session.out, Pages(client.courses.list(search=search)), shown, to, narrow)


@click.command()
@lists()
def paths(session: Session, to: Destination) -> None:
    """List learning paths, which plan --path names by id or title."""
    shown = Shown[LearningPath](
        "paths",
        {
            "id": attrgetter("id"),
            "title": attrgetter("title"),
            "published": lambda one: PUBLISHED[one.is_published],
        },
        "learning path",
    )
    client = session.client()
    narrow = partial(about_restricted_catalogue, client)
    write_listing(session.out, Pages(client.paths.list()), shown, to, narrow)


@click.command()
@lists()
def groups(session: Session, to: Destination) -> None:
    """List groups, with the ids by which plan --group names them."""
    shown = Shown[Group]("groups", {"id": attrgetter("id"), "name": attrgetter("name")}, "group")
    write_listing(session.out, Pages(session.client().groups.list()), shown, to)


@click.command()
@lists()
def sites(session: Session, to: Destination) -> None:
    """List sites, with the ids by which plan --site names them."""
    shown = Shown[Site](
        "sites",
        {
            "id": attrgetter("id"),
            "name": attrgetter("name"),
            "belongs to": attrgetter("parent_id"),
            "state": lambda one: "deleted" if one.deleted else "",
        },
        "site",
    )
    write_listing(session.out, Pages(session.client().sites.list()), shown, to)


@click.command()
@click.option("--course", metavar="ID|TITLE", help="Only this course.")
@click.option("--user", metavar="ID|E-MAIL", help="Only this person.")
@click.option("--status", type=click.Choice([*STATUSES]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="List at most N rows.")
@lists(EXPORTER)
def progress(
    session: Session, course: str | None, user: str | None, status: str, limit: int | None, to: Destination
) -> None:
    """List progress. On a live service this is up to 2 h old.

    --format exporter-csv writes people in every state, also those who have not completed, whom the vendor's exporter
    leaves out. The file holds personal data, and texts as they are: it is for programs, not for a spreadsheet.
    """
    client = session.client()
    course_id = course_ids(client, [course])[0] if course is not None else None
    wanted = mailbox(user or "")
    is_address = "@" in wanted
    rows = client.progress.list(
        course_id=course_id, user_id=None if is_address else user, status=STATUSES[status]
    )
    tally = Tally()
    pages = Pages(
        rows,
        keep=(lambda row: mailbox(row.user_email or "") == wanted) if is_address else None,
        limit=limit,
        seen=tally.add if to.format == EXPORTER else lambda page: None,
        if_empty=None
        if user is None
        else NotFoundError(
            f"The progress feed shows no person {user!r} here, or this token may not see the person."
        ),
    )

    def narrow() -> tuple[str, ...]:
        is_whole = to.format == EXPORTER and limit is None and status == "all"
        found = (*about_restricted_view(client), *(tally.missing_people(client) if is_whole else ()))
        return tuple(dict.fromkeys(found))

    restrictions = narrow if user is None else tuple
    if to.format != EXPORTER:
        write_listing(session.out, pages, PROGRESS, to, restrictions)
    elif write_items(session.out, pages, PROGRESS, to):
        tally.report(session.out, to)
        session.out.warn_each(restrictions())


PROGRESS = Shown[ProgressRow](
    "progress",
    {
        "course": lambda row: row.course_title or row.course_id,
        "user id": attrgetter("user_id"),
        "name": attrgetter("user_name"),
        "e-mail": attrgetter("user_email"),
        "state": attrgetter("state"),
        "%": attrgetter("progress_percent"),
        "completed (UTC)": attrgetter("completed_at"),
        "score": attrgetter("score"),
        "due (UTC)": attrgetter("due_at"),
    },
    "row",
)


@define
class Tally:
    """The note about an export: the number of rows by state, and the people who have rows."""

    states: Counter[ProgressState] = field(factory=Counter)
    risky: int = 0
    """Rows with a text that a spreadsheet would run as a formula."""
    rows: dict[str, dict[str, ProgressRow]] = field(factory=dict)
    """A row by course and user, without what nobody asks for here, so that most rows are one object."""
    shared: dict[ProgressRow, ProgressRow] = field(factory=dict)

    def add(self, page: Sequence[ProgressRow]) -> None:
        """Count the rows of a page."""
        for row in page:
            self.states[row.state] += 1
            self.risky += has_formula(row)
            opened, completed = row.opened_at and EPOCH, row.completed_at and EPOCH
            known = ProgressRow("", "", opened, completed, int(row.has_recorded_progress), 0)
            self.rows.setdefault(row.course_id, {})[row.user_id] = self.shared.setdefault(known, known)

    def report(self, out: Output, to: Destination) -> None:
        """Print the number of rows in each state."""
        counts = ", ".join(f"{self.states[state]} {state}" for state in ProgressState)
        out.note(f"{number(self.states.total(), 'row')}: {counts}{written_to(to)}")
        if self.risky:
            out.warn(
                f"Warning: A spreadsheet would interpret texts in {number(self.risky, 'row')} as formulas. Do not open "
                "the file in one."
            )

    def missing_people(self, client: TrainingClient) -> tuple[str, ...]:
        """Return warnings about courses that have more people than the file, by the statistics.

        A rehearsal would use the file as the whole organisation. The file is written, so no failed reading is an error.
        """
        try:
            return client._driver.run(about_narrow_view(client._calls, self.rows, "this file"))
        except PermissionDeniedError:  # another warning says so
            return ()
        except TrainingError:
            return (NOT_KNOWN,)


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
