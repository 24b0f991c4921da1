"""Collecting evidence before a reset: every answer about the people to be reset, and the tables made of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, field, fields, frozen

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow, Moment, Now, Request, Response, RunLocally
from training_sdk._core.listing import LISTING_INCOMPLETE, Calls, Paginator
from training_sdk._core.model import Key
from training_sdk._core.send_policy import Attempt
from training_sdk._core.text import MOST_NAMED, number, sentence
from training_sdk._version import __version__
from training_sdk.api.analytics import lesson_attempts, lessons_of_user, statistics
from training_sdk.api.progress import progress_rows
from training_sdk.errors import DecodingError, EvidenceError, InvalidArgumentError, NotFoundError, Remedy
from training_sdk.evidence.files import Seal
from training_sdk.evidence.pack import Head, Pack
from training_sdk.evidence.tables import Tables
from training_sdk.evidence.writing import PackContext, Writer

T = TypeVar("T")

Answered = tuple[Request, Response, datetime]
"""A request, its answer, and when that came (UTC)."""


@frozen
class RecordedCalls(Calls):
    """The same calls with the same checks; each answer that they accept is stored until it is taken."""

    inner: Calls = field(kw_only=True)
    stored: list[Answered] = field(factory=list, kw_only=True, eq=False, repr=False)
    """In order, with compressed bodies: a listing of a large course may take many pages."""

    def call(
        self, request: Request, decode: Callable[[Response], T], *, once: Attempt | None = None
    ) -> Flow[T]:
        """Send, store what came back, and only then return what it says."""
        answers: list[Response] = []

        def read(response: Response) -> T:
            value = decode(response)
            answers.append(response)
            return value

        value = yield from self.inner.call(request, read, once=once)
        now: Moment = yield Now()
        answer = answers[-1]
        self.stored.append((request, evolve(answer, body=zlib.compress(answer.body, level=1)), now.utc))
        return value

    def forget(self, answers: int | None = None) -> None:
        """Drop the last answers, or all: what begins again is stored once."""
        del self.stored[0 if answers is None else len(self.stored) - answers :]

    def take(self) -> Iterator[Answered]:
        """Return the answers, which are stored no longer."""
        answers, self.stored[:] = list(self.stored), []
        for request, answer, at in answers:
            yield request, evolve(answer, body=zlib.decompress(answer.body)), at

    @classmethod
    def of(cls, calls: Calls) -> RecordedCalls:
        """Return these calls, with each answer stored."""
        settings = {each.name: getattr(calls, each.name) for each in fields(Calls)}
        return cls(**settings, inner=calls)


TOOL = f"training-sdk {__version__}"

Progress = Callable[[int, int, str], None]
"""Called with the number of listings read, their total, and the next one."""


@frozen
class _Step:
    """One listing to be read; whose evidence is missing where there is nothing to be found."""

    what: str
    walk: Paginator[Any]
    about: tuple[Key, ...] = field(default=(), repr=False)
    """For the lessons of a user: the course and user of each target that they are to be evidence of."""
    wanted: frozenset[str] = field(default=frozenset(), repr=False)
    """The items that the listing must show; it is read again if it does not."""
    names: Callable[[Any], str] = str
    """A function that returns the name of an item, in the form that ``wanted`` contains."""


def collect(
    calls: Calls,
    targets: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    plan_digest: str,
    plan_document: bytes,
    organisation_id: str,
    reference_server: bool,
    audit_head: Head | None = None,
    tool: str = TOOL,
    seal: Seal | None = None,
    progress: Progress | None = None,
    accept_missing_lessons: bool = False,
) -> Flow[Pack]:
    """Write a pack about the users of each course into a new folder, and return it with their progress rows.

    ``calls`` may be of any kind; what they believe and refuse holds here too. The progress rows are read last, so that
    they are the freshest. ``seal`` gets the bytes of each file and returns those to be kept. With
    ``accept_missing_lessons`` fewer lessons may be listed than the rows say are completed; the pack names the people.

    Raises EvidenceError if anything is missing, naming the targets in ``info.metadata`` as ``("missing",
    "course/user")``; RecordsUnwritableError if it cannot be written; and whatever the readings raise. Whatever it
    raises, the folder then has no manifest, which is how it is known as incomplete.
    """
    wanted = _checked(targets)
    occasion = PackContext(
        tool, plan_digest, str(calls.base_url), organisation_id, reference_server, audit_head
    )
    writer = Writer(folder, wanted, occasion, seal)
    try:
        begun: Moment = yield Now()
        yield RunLocally(lambda: writer.begin(plan_document, begun.utc), "evidence: begin a pack")
        missing = yield from _read_all(RecordedCalls.of(calls), writer, progress)
        _refuse_gaps(writer.tables)
        if not accept_missing_lessons:
            _refuse_missing_lessons(writer.tables, missing)
        pack: Pack = yield RunLocally(writer.finish, "evidence: put the manifest in place")
        return pack
    finally:
        writer.close()


def _checked(targets: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    if not targets:
        raise InvalidArgumentError(
            "targets is empty: there is nobody to collect evidence of", argument="targets"
        )
    return {
        argument_checks.one_id(course_id, "a course in targets"): frozenset(
            argument_checks.some_ids(users, "targets")
        )
        for course_id, users in targets.items()
    }


def _read_all(calls: RecordedCalls, writer: Writer, progress: Progress | None) -> Flow[dict[Key, None]]:
    """Read every listing to its end; the targets whose lessons the service says it does not have."""
    targets = writer.targets
    courses: dict[str, list[str]] = {}
    for course_id, users in targets.items():
        for user_id in sorted(users):
            courses.setdefault(user_id, []).append(course_id)
    total = 1 + 2 * len(targets) + len(courses)
    missing: dict[Key, None] = {}
    for done, step in enumerate(_steps(calls, targets, courses)):
        if progress is not None:
            yield RunLocally(partial(progress, done, total, step.what), "evidence: tell how far it is")
        try:
            yield from _read(step, calls, writer)
        except NotFoundError:
            if not step.about:
                raise
            missing |= dict.fromkeys(step.about)
    if progress is not None:
        yield RunLocally(partial(progress, total, total, "the manifest"), "evidence: tell how far it is")
    return missing


def _steps(
    calls: Calls, targets: Mapping[str, frozenset[str]], courses: Mapping[str, Sequence[str]]
) -> Iterator[_Step]:
    """Return the listings to be read, those that change most last."""
    yield _Step(
        "the statistics of the courses",
        statistics(calls, tuple(targets)),
        wanted=frozenset(targets),
        names=lambda found: found.course_id,
    )
    for user_id, theirs in courses.items():
        only = theirs[0] if len(theirs) == 1 else None
        about = tuple((course_id, user_id) for course_id in theirs)
        yield _Step("the lessons of a user", lessons_of_user(calls, user_id, only), about)
    for course_id, users in targets.items():
        walk = lesson_attempts(calls, course_id=course_id, user_id=_single(users))
        yield _Step("the attempts of a course", walk)
    for course_id, users in targets.items():
        yield _Step(
            "the progress rows of a course",
            progress_rows(calls, course_id=course_id, user_id=_single(users)),
            wanted=users,
            names=lambda row: row.user_id,
        )


def _single(users: frozenset[str]) -> str | None:
    """Return the only user; for several the whole course is read, which takes fewer requests."""
    return next(iter(users)) if len(users) == 1 else None


def _read(step: _Step, calls: RecordedCalls, writer: Writer) -> Flow[None]:
    """Read a listing, again if it lacks items, and store the answers of its last whole reading."""
    found: set[str] = set()

    def take(items: tuple[Any, ...]) -> None:
        found.update(map(step.names, items) if step.wanted else ())

    for is_second in (False, True):
        calls.forget()
        found.clear()
        try:
            yield from step.walk.read_whole(take, found.clear)
        except DecodingError as error:
            if error.reason != LISTING_INCOMPLETE:
                raise
            raise EvidenceError(
                f"the evidence is incomplete: {sentence(error.message)} Nothing was sent",
                reason="EVIDENCE_INCOMPLETE",
            ) from error
        if is_second or step.wanted <= found:
            break
    for request, answer, at in calls.take():
        yield RunLocally(partial(writer.keep, request, answer, at), "evidence: keep an answer")


def _refuse_gaps(tables: Tables) -> None:
    if missing := list(tables.missing()):
        why = (
            "They are unknown, deactivated, not assigned any more, or outside the teams that this token sees. Nothing "
            "was sent. Plan again"
        )
        if tables.repeated:
            why = (
                f"The feed shows {number(tables.repeated, 'row')} twice, so the order of its pages may change while "
                "they are read. Nothing was sent. Apply again later"
            )
        raise EvidenceError(
            f"the evidence is incomplete: there is no progress row of {_named(missing)}. {why}",
            reason="EVIDENCE_INCOMPLETE",
            metadata=_metadata(missing),
        )
    if courses := tables.courses_missing():
        raise EvidenceError(
            f"the evidence is incomplete: the statistics lack course {courses[0]!r}"
            f"{f' and {len(courses) - 1} more' if courses[1:] else ''}. Nothing was sent",
            reason="EVIDENCE_INCOMPLETE",
            metadata=tuple(("missing", course_id) for course_id in courses),
        )


def _refuse_missing_lessons(tables: Tables, unlisted: Mapping[Key, None]) -> None:
    counts = tables.lessons.missing
    not_found = [key for key in unlisted if key not in counts]
    if counts:
        also = f". The service does not find (404) the lessons of {_named(not_found)}" if not_found else ""
        raise EvidenceError(
            "the evidence is incomplete: fewer lessons are listed than the progress rows say are completed, of "
            f"{_named([*counts], counts)}. Completions that were imported have no lessons, courses that were published "
            f"again may have others, and a live service lists them up to 2 h late{also}. Nothing was sent",
            reason="EVIDENCE_INCOMPLETE",
            remedy=Remedy(
                "missing_lessons",
                "Try again later, or accept the gap with accept_missing_lessons=True; evidence and report then name "
                "these people.",
            ),
            metadata=_metadata([*dict.fromkeys([*unlisted, *counts])]),
        )
    if not_found:
        raise EvidenceError(
            f"the evidence is incomplete: the service does not find (404) the lessons of {_named(not_found)}. Their "
            "progress rows say that they have completed none. They may have been deleted. Nothing was sent",
            reason="EVIDENCE_INCOMPLETE",
            remedy=Remedy(
                "deleted_lessons",
                "Plan again without them, or go on without their lessons with accept_missing_lessons=True.",
            ),
            metadata=_metadata(not_found),
        )


def _metadata(missing: Sequence[Key]) -> tuple[tuple[str, str], ...]:
    return tuple(("missing", f"{course_id}/{user_id}") for course_id, user_id in missing)


def _named(missing: Sequence[Key], counts: Mapping[Key, tuple[int, int]] | None = None) -> str:
    def name(key: Key) -> str:
        course_id, user_id = key
        listed, said = (counts or {}).get(key, (0, 0))
        return f"{user_id!r} in course {course_id!r}{f' ({listed} of {said})' if said else ''}"

    shown = ", ".join(map(name, missing[:MOST_NAMED]))
    return shown if len(missing) <= MOST_NAMED else f"{shown} and {len(missing) - MOST_NAMED} more"
