"""Values typed on the command line: dates, durations, courses, people and evidence packs, by id or by name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import click

from training_sdk._core.text import mailbox
from training_sdk.api.courses import Course
from training_sdk.api.learning_paths import LearningPath
from training_sdk.client import TrainingClient
from training_sdk.errors import (
    InvalidArgumentError,
    NotFoundError,
    RecordsDamagedError,
)
from training_sdk.evidence import history
from training_sdk.evidence.files import Unseal
from training_sdk.evidence.pack import is_file_of_a_pack
from training_sdk.plans.people import People, Where
from training_sdk.plans.people_file import KNOWN as COLUMNS
from training_sdk.plans.people_file import Named
from training_sdk.plans.wording import shown
from training_sdk.records.events import EvidenceKept, Sent
from training_sdk.records.journal import JournalCopy
from training_sdk.records.state import StateDirectory
from training_sdk.records.tokens import refuse_typed

Titled: TypeAlias = Course | LearningPath
MOST_SUGGESTED = 5
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def duration(text: str) -> timedelta | None:
    """Return a span of time such as 90s, 15m, 2h or 1d; None if the text is not one."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit()) or len(number) > 6:
        return None
    return timedelta(**{_UNITS[unit]: int(number)})


def a_moment(value: str) -> date:
    """Return a date, or a datetime with a time zone, from text in ISO 8601."""
    try:
        return date.fromisoformat(value) if len(value) == 10 else _with_zone(datetime.fromisoformat(value))
    except ValueError as error:
        why = "" if "isoformat" in str(error) else f" ({error})"
        raise click.BadParameter(
            f"{value!r} is not a date{why}. Write 2026-12-31, or 2026-12-31T09:00:00+01:00."
        ) from None


def no_secret(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a text for the audit log that looks like a token, before anything is opened."""
    refuse_typed(**{option.opts[0]: value})
    return value


def _with_zone(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("it names no time zone")
    return moment


def moment(value: date | None, at: time = time()) -> datetime | None:
    """Return a moment; for a date, that day in UTC at the time ``at``."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value, at, UTC)


def course_ids(client: TrainingClient, named: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of courses that are named by id or by exact title.

    Raises InvalidArgumentError, listing the ids, if several courses have the title; NotFoundError if none has it.
    """
    ids = [one for one in named if _ID.fullmatch(one)]
    known = {course.id for course in client.courses.list(ids=ids)} if ids else set()
    others = list(client.courses.list()) if any(one not in known for one in named) else []
    found = [one if one in known else _by_title(others, one, "course") for one in named]
    return tuple(dict.fromkeys(found))


def path_ids(client: TrainingClient, named: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of learning paths that are named by id or by exact title. Raises as ``course_ids`` does."""
    listed = list(client.paths.list()) if named else []
    known = {path.id for path in listed}
    found = [one if one in known else _by_title(listed, one, "path") for one in named]
    return tuple(dict.fromkeys(found))


def _by_title(listed: Sequence[Titled], title: str, option: Literal["course", "path"]) -> str:
    what = "learning path" if option == "path" else "course"
    if not title.strip():
        raise InvalidArgumentError(f"--{option} is empty. Name a {what} by its id or its exact title.")
    fitting = [one for one in listed if as_seen(one.title) == as_seen(title)]
    if len(fitting) == 1:
        return fitting[0].id
    if fitting:
        ids = "".join(f"\n  {one.id}  {_state(one)}" for one in fitting)
        raise InvalidArgumentError(
            f"{len(fitting)} {what}s have the title {title!r}. Name one by its id:{ids}"
        )
    near = _suggested(listed, title)
    like = f"Similar titles:{near}\nName one by its id." if near else f"To list them: training-sdk {option}s"
    raise NotFoundError(
        f"There is no {what} with the id or the exact title {title!r}. {like}",
        reason=f"{option.upper()}_NOT_FOUND",
    )


def _state(one: Titled) -> str:
    """Return the status of a course, or whether a learning path is published; empty if that is not known."""
    if isinstance(one, Course):
        return one.status or ""
    return {True: "published", False: "not published", None: ""}[one.is_published]


def as_seen(title: str) -> str:
    """Return a title so that titles which look the same compare equal: ü can be one character or two."""
    return unicodedata.normalize("NFC", shown(title))


def _suggested(courses: Iterable[Titled], title: str) -> str:
    """Return the titles that contain this title or are similar to it."""
    from difflib import get_close_matches

    titled = [(shown(course.title), course) for course in courses]
    wanted = title.casefold()
    titles = {one for one, _ in titled}
    near = {one for one in titles if wanted in one.casefold()} or {*get_close_matches(title, titles)}
    fitting = [(one, course) for one, course in titled if one in near]
    return "".join(
        f"\n  {course.id}  {one} ({_state(course) or 'status unknown'})"
        for one, course in fitting[:MOST_SUGGESTED]
    )


def headers(context: click.Context, option: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """Return the headers of a people file from NAME=HEADER, each with the field that it is read as."""
    named: dict[str, str] = {}
    for one in given:
        name, separator, header = one.partition("=")
        if not separator or name not in COLUMNS or not header.strip() or header in named:
            known = ", ".join(COLUMNS)
            raise click.BadParameter(
                f"{one!r} must be NAME=HEADER, such as email=E-Mail, each header once. The names are {known}."
            )
        named[header] = name
    return named


def people_from(
    users: Sequence[str],
    external_ids: Sequence[str],
    groups: Sequence[str],
    sites: Sequence[str],
    files: Sequence[Path],
    columns: Mapping[str, str] | None = None,
) -> People | None:
    """Return the people who are named; None if no person is named. The caller must refuse None."""
    if columns and not files:
        raise InvalidArgumentError("--column is for a file. Name the file with --people or --check-people.")
    parts: list[People] = [People.from_csv(file, columns=columns) for file in files]
    if users:
        parts.append(People.of(users, name="--user"))
    if external_ids or groups or sites:
        parts.append(People.named(external_ids=external_ids, groups=groups, sites=sites))
    if not parts:
        return None
    entries: dict[object, Named] = {}
    for part in parts:
        for one in part.entries:
            entries.setdefault(one.key, one)
    return People(
        tuple(entries.values()),
        tuple(dict.fromkeys(one for part in parts for one in part.groups)),
        tuple(dict.fromkeys(one for part in parts for one in part.sites)),
        tuple(warning for part in parts for warning in part.warnings),
    )


def where_from(zone: str | None, **criteria: Any) -> Where | None:
    """Return the criteria that are given; None if there are none."""
    given = {name: value for name, value in criteria.items() if value is not None}
    if not given:
        if zone is not None:
            raise InvalidArgumentError(
                "--zone is for dates, and no date is given. Leave --zone out, or give a date."
            )
        return None
    return Where(**given, zone=zone)


def chosen(named: Sequence[Path], kept: Sequence[Path], *, most: int | None = None) -> tuple[Path, ...]:
    """Return the named packs, or all stored packs if none is named.

    A pack is named by its folder, its name or the beginning of the name. Raises InvalidArgumentError for a name that
    fits no pack, or that fits more than ``most`` packs.
    """
    found: list[Path] = []
    for one in named:
        fitting = _fitting(one, kept)
        if not fitting:
            raise InvalidArgumentError(f"There is no pack {one}. training-sdk evidence list shows the packs.")
        if most is not None and len(fitting) > most:
            names = "".join(f"\n  {folder.name}" for folder in fitting)
            raise InvalidArgumentError(
                f"The names of {len(fitting)} packs begin with {one}. Write more of the name:{names}"
            )
        found += fitting
    return tuple(dict.fromkeys(found)) if named else tuple(kept)


def _fitting(named: Path, kept: Sequence[Path]) -> list[Path]:
    if named.is_dir():
        inside = [path.name for path in named.iterdir()]
        is_pack = any(is_file_of_a_pack(name, sealed) for name in inside for sealed in (False, True))
        return [named] if is_pack or named.resolve() in [one.resolve() for one in kept] else []
    start = str(named).removeprefix("#")
    return [folder for folder in kept if folder.name.startswith(start)]


def followed_by_a_request(state: StateDirectory, digest: str) -> Mapping[str, bool]:
    """Return for each pack of a plan, by name, whether a request was sent after it and before the next pack.

    Only packs that the journal of the plan names are included.
    """
    try:
        events = JournalCopy.of_plan(state, digest).events
    except RecordsDamagedError:
        return {}
    found: dict[str, bool] = {}
    latest = None
    for event in events:
        if isinstance(event, EvidenceKept):
            latest, found[event.pack] = event.pack, False
        elif isinstance(event, Sent) and latest is not None:
            found[latest] = True
    return found


def person_in(folders: Sequence[Path], named: str, key: bytes | None, unseal: Unseal | None = None) -> str:
    """Return the id of a person, named by id or e-mail, whose completion a pack contains. Raises NotFoundError."""
    wanted = named.strip()
    ids = {
        one.user_id
        for one in history(folders, key=key, unseal=unseal)
        if not one.pseudonymised
        and (one.user_id == wanted or mailbox(one.user_email or "") == mailbox(wanted))
    }
    if len(ids) > 1:
        raise InvalidArgumentError(
            f"{len(ids)} people have {named!r}. Name one by id: {', '.join(sorted(ids))}."
        )
    if ids:
        return ids.pop()
    if wanted and "@" not in wanted and history(folders, user=wanted, key=key, unseal=unseal):
        return wanted
    raise NotFoundError(
        f"No pack contains a completion of {named!r}. Name the person by id or e-mail. In packs without names, "
        "name the person by id, and pass --key-file.",
        reason="USER_NOT_FOUND",
    )


def course_in(folders: Sequence[Path], named: str, key: bytes | None, unseal: Unseal | None = None) -> str:
    """Return the id of a course, named by id or title, of which a pack contains completions. Raises NotFoundError."""
    known = {one.course_id: one.course_title or "" for one in history(folders, key=key, unseal=unseal)}
    if named.strip() in known:
        return named.strip()
    wanted = as_seen(named)
    fitting = [course_id for course_id, title in known.items() if wanted and as_seen(title) == wanted]
    if len(fitting) > 1:
        ids = "".join(f"\n  {one}" for one in fitting)
        raise InvalidArgumentError(
            f"{len(fitting)} courses have the title {named!r}. Name one by its id:{ids}"
        )
    if not fitting:
        listed = "".join(f"\n  {course_id}  {title}" for course_id, title in known.items())
        raise NotFoundError(
            f"No pack contains a completion of a course {named!r}. Courses in the packs:{listed or ' none'}",
            reason="COURSE_NOT_FOUND",
        )
    return fitting[0]


def a_duration(value: str) -> timedelta:
    """Return the span of time that was typed, such as 90s, 15m, 2h or 1d."""
    found = duration(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not a span of time. Write 90s, 15m, 2h or 1d.")
    return found


def hours(value: str) -> tuple[time, time]:
    """Return the two times of day that were typed, such as 08:00-17:00."""
    begin, _, end = value.partition("-")
    try:
        return time.fromisoformat(begin.strip()), time.fromisoformat(end.strip())
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a range of hours. Write 08:00-17:00.") from None
