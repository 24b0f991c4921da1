"""Collecting evidence before a reset: every answer about the people to be reset, and the tables made of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil
from pathlib import Path

from attrs import define, field

from training_sdk._core import argument_checks
from training_sdk._core.flow import Flow, Moment, Now, RunLocally
from training_sdk._core.listing import Calls
from training_sdk._core.model import Key
from training_sdk._version import __version__
from training_sdk.api.analytics import (
    CourseStatistics,
    LessonStatistics,
    lesson_attempts,
    lesson_events,
    lesson_figures,
    lessons_of_user,
    statistics,
    survey_answers,
)
from training_sdk.api.pagination import LARGEST_PAGE
from training_sdk.api.progress import progress_rows
from training_sdk.errors import (
    APIStatusError,
    AuthenticationError,
    DecodingError,
    NotFoundError,
    RateLimitError,
)
from training_sdk.evidence.answers import SURVEYS, read_answer
from training_sdk.evidence.files import Seal
from training_sdk.evidence.pack import Head, Pack
from training_sdk.evidence.reading import (
    Answered,
    RecordedCalls,
    Step,
    TooManyPagesError,
    incomplete,
    read_step,
    refuse_gaps,
    refuse_missing_lessons,
    refuse_without_surveys,
    why_not_read,
)
from training_sdk.evidence.tables import digest_of_row, key_of
from training_sdk.evidence.writing import PackContext, Writer

TOOL = f"training-sdk {__version__}"

Progress = Callable[[int, int, str], None]
"""Called with the number of listings read, their total, and the next one. The total grows while they are read."""

EVENTS, LESSONS, ATTEMPTS = "lesson events", "lesson statistics", "attempts by course"


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
    require_surveys: bool = False,
) -> Flow[Pack]:
    """Write a pack about the users of each course into a new folder, and return it with their progress rows.

    ``calls`` may be of any kind; what they believe and refuse holds here too. The progress rows are read last, so that
    they are the freshest. ``seal`` gets the bytes of each file and returns those to be kept. With
    ``accept_missing_lessons`` fewer lessons may be listed than the rows say are completed; the pack names the people.
    With ``require_surveys`` survey answers that cannot be read are an error; otherwise the manifest says so.

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
        reading = _Collection(RecordedCalls.of(calls, inner=calls), writer, progress, require_surveys)
        yield from reading.run()
        refuse_gaps(writer.tables)
        if not accept_missing_lessons:
            refuse_missing_lessons(writer.tables, reading.missing)
        pack: Pack = yield RunLocally(writer.finish, "evidence: put the manifest in place")
        return pack
    finally:
        writer.close()


def _checked(targets: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    if not targets:
        raise argument_checks.refusal(
            "targets", "must not be empty: evidence is collected of the people in it."
        )
    return {
        argument_checks.one_id(course_id, "a course in targets"): frozenset(
            argument_checks.some_ids(users, "targets")
        )
        for course_id, users in targets.items()
    }


@define
class _Collection:
    """The readings of one pack, in order; the progress rows are the last, because they change most.

    The lessons of people who have completed are read by the page where that takes fewer requests. Their rows are then
    needed to decide about them. If anybody has to be read person by person, all rows are read once more afterwards.
    """

    calls: RecordedCalls
    writer: Writer
    progress: Progress | None
    require_surveys: bool
    missing: dict[Key, None] = field(factory=dict, init=False)
    """Course and user of those whose lessons the service does not find (404)."""
    _figures: dict[str, CourseStatistics] = field(factory=dict, init=False)
    _by_person: set[str] = field(factory=set, init=False)
    """The courses whose attempts are read person by person too."""
    _done: int = 0
    _total: int = 0

    @property
    def _targets(self) -> Mapping[str, frozenset[str]]:
        return self.writer.targets

    def run(self) -> Flow[None]:
        """Read every listing to its end."""
        people = {
            (course_id, user_id): None for course_id, users in self._targets.items() for user_id in users
        }
        self._total = 1 + 3 * len(self._targets) + len({user_id for _, user_id in people})
        yield from self._keep(
            Step(
                "the statistics of the courses",
                statistics(self.calls, tuple(self._targets)),
                frozenset(self._targets),
                lambda found: found.course_id,
                self._note_figures,
            )
        )
        paged = []
        for course_id, users in self._targets.items():
            yield from self._read_surveys(course_id, _single(users))
            if (yield from self._read_events(course_id, users)):
                paged.append(course_id)
            yield from self._read_attempts(course_id, _single(users))
        yield from self._read_rows_and_people(people, paged)
        yield RunLocally(self.writer.tables.derive_lessons, "evidence: derive lessons from pages")
        yield from self._tell("the manifest")

    def _note_figures(self, found: CourseStatistics) -> None:
        self._figures[found.course_id] = found

    # --- by course ---

    def _read_surveys(self, course_id: str, user_id: str | None) -> Flow[None]:
        walk = survey_answers(self.calls, course_id=course_id, user_id=user_id)
        yield from self._try(SURVEYS, Step("the survey answers of a course", walk))
        if self.require_surveys:
            refuse_without_surveys(self.writer.not_read)

    def _read_events(self, course_id: str, users: Collection[str]) -> Flow[bool]:
        """Read the lesson events of a course, and return whether its people can be read by the page.

        They are not read where they take more requests than the lessons of the people.
        """
        figures, most = self._figures.get(course_id), len(users) - 1  # one is for the statistics of lessons
        if figures is None or not figures.completed_count or _pages(2 * figures.completed_count) >= most:
            return False
        events: dict[str, int] = {}

        def note(lesson: LessonStatistics) -> None:
            events[lesson.lesson_id] = lesson.completed_count + (
                lesson.opened_count or lesson.completed_count
            )

        step = Step("the lessons of a course", lesson_figures(self.calls, course_id), note=note)
        if not (yield from self._try(LESSONS, step)) or _pages(sum(events.values())) > most:
            return False
        walk = lesson_events(self.calls, course_id=course_id)
        try:
            return (yield from self._try(EVENTS, Step("the events of a course", walk, most_pages=most)))
        except TooManyPagesError:
            return False

    def _read_attempts(self, course_id: str, user_id: str | None) -> Flow[None]:
        step = Step(
            "the attempts of a course", lesson_attempts(self.calls, course_id=course_id, user_id=user_id)
        )
        if user_id is not None:
            yield from self._keep(step)
        elif not (yield from self._try(ATTEMPTS, step, is_needed=True)):
            self._by_person.add(course_id)

    # --- people and rows ---

    def _read_rows_and_people(self, people: Mapping[Key, None], paged: Sequence[str]) -> Flow[None]:
        """Read the rows, and the lessons of the people whom no pages cover, or whose row changes meanwhile."""
        covered: dict[Key, bytes] = {}
        held: list[Answered] = []
        for course_id in paged:
            yield from self._read(self._rows(course_id))
            held += self.calls.stored
            covered |= self._covered()
        others = [key for key in people if key not in covered]
        self._total += len({user_id for _, user_id in others}) - len({user_id for _, user_id in people})
        if not others:
            self.calls.stored[:] = held
            yield from self._write()
            return
        self._total += len(paged)
        yield from self._read_people(others)
        del held[:]
        for course_id in self._targets:
            yield from self._keep(self._rows(course_id))
        rows, by_person = self.writer.tables.rows, self.writer.tables.by_person
        changed = [
            (course_id, user_id)
            for (course_id, user_id), row in covered.items()
            # Not those whose lessons in all courses were just read: what is listed twice would count twice.
            if rows.get((course_id, user_id), row) != row and ("", user_id) not in by_person
        ]
        self._total += len({user_id for _, user_id in changed})
        yield from self._read_people(changed)

    def _rows(self, course_id: str) -> Step:
        users = self._targets[course_id]
        walk = progress_rows(self.calls, course_id=course_id, user_id=_single(users))
        return Step("the progress rows of a course", walk, users, lambda row: row.user_id)

    def _covered(self) -> Iterator[tuple[Key, bytes]]:
        """Return the people whom the pages cover by the rows that were just read, with a digest of their row."""
        for request, answer, _ in self.calls.take():
            for row in read_answer(request.path, answer.body)[1]:
                if self.writer.tables.is_wanted("rows", row) and self.writer.tables.covers(row):
                    yield key_of(row), digest_of_row(row)

    def _read_people(self, people: Iterable[Key]) -> Flow[None]:
        """Read the lessons of people, all courses of one person together; attempts where no course lists them."""
        courses: dict[str, list[str]] = {}
        for course_id, user_id in sorted(people, key=lambda key: key[1]):
            courses.setdefault(user_id, []).append(course_id)
        for user_id, theirs in courses.items():
            only = theirs[0] if len(theirs) == 1 else None
            try:
                yield from self._keep(
                    Step("the lessons of a user", lessons_of_user(self.calls, user_id, only))
                )
            except NotFoundError:
                self.missing |= dict.fromkeys((course_id, user_id) for course_id in theirs)
            for course_id in filter(self._by_person.__contains__, theirs):
                walk = lesson_attempts(self.calls, course_id=course_id, user_id=user_id)
                yield from self._keep(Step("the attempts of a user", walk))

    # --- one listing ---

    def _try(self, name: str, step: Step, *, is_needed: bool = False) -> Flow[bool]:
        """Read a listing that a service may lack, and return whether it is whole; otherwise note why it is not.

        One that ``is_needed`` may be refused here, and must not be short: it is read in another way then.
        """
        try:
            yield from self._read(step)
        except (AuthenticationError, RateLimitError):
            raise
        except APIStatusError as error:
            if is_needed and error.status not in (403, 404, 501):
                raise
            self._note_not_read(name, error)
            return False
        except DecodingError as error:
            if is_needed:
                raise incomplete(error) from error
            self._note_not_read(name, error)
            return False
        yield from self._write()
        return True

    def _note_not_read(self, name: str, error: APIStatusError | DecodingError) -> None:
        self.calls.forget()
        self.writer.not_read.setdefault(name, why_not_read(error))

    def _keep(self, step: Step) -> Flow[None]:
        """Read a listing that evidence needs, and write its answers."""
        try:
            yield from self._read(step)
        except DecodingError as error:
            raise incomplete(error) from error
        yield from self._write()

    def _read(self, step: Step) -> Flow[None]:
        yield from self._tell(step.what)
        self._done += 1
        yield from read_step(step, self.calls)

    def _write(self) -> Flow[None]:
        for request, answer, at in self.calls.take():
            yield RunLocally(partial(self.writer.keep, request, answer, at), "evidence: keep an answer")

    def _tell(self, what: str) -> Flow[None]:
        if self.progress is not None:
            done, total = self._done, max(self._done, self._total)
            yield RunLocally(partial(self.progress, done, total, what), "evidence: tell how far it is")


def _single(users: Collection[str]) -> str | None:
    """Return the only user; for several the whole course is read, which takes fewer requests."""
    return next(iter(users)) if len(users) == 1 else None


def _pages(items: int) -> int:
    return max(1, ceil(items / LARGEST_PAGE))
