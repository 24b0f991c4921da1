"""``doctor``: check settings, the HTTP API of the service, and this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import click
from attrs import define, field, frozen

from training_sdk._core import codec, model
from training_sdk._core.flow import Request, Response
from training_sdk._core.listing import Paginator
from training_sdk._core.model import Model, OpenEnum
from training_sdk._core.operation import Listing
from training_sdk._core.text import number
from training_sdk.api.courses import Lesson
from training_sdk.api.users import WHO_AM_I, Me, read_me
from training_sdk.cli.commands.doctor_checks import (
    CheckResult,
    Severity,
    check_address,
    check_clock,
    check_identity,
    check_machine,
    check_network,
    check_rights,
    error,
    note,
    ok,
    warning,
)
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.output import plain
from training_sdk.cli.session import Session, is_allowed, with_session
from training_sdk.client import TrainingClient
from training_sdk.errors import (
    DecodingError,
    InvalidArgumentError,
    NotSupportedError,
    PermissionDeniedError,
    TrainingError,
)

PATIENCE = 10.0
"""Seconds of retries for a server that does not answer; short, because the user waits for the result."""

SUBJECTS = {"NO_TOKEN": "token", "PROXY_UNUSABLE": "proxy", "CERTIFICATES_UNUSABLE": "certificates"}
"""Setting that is wrong, by the reason of the error."""

MANY = {"ok": "ok"}
"""Words without a plural."""

WIRE = "wire"
RATE_LIMIT = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
ENVELOPE = {
    *("items", "totalCount", "total_count", "data", "metadata", "users", "lessons", "permission_sets"),
    *("next_page_token", "nextPageToken"),
}
"""Known fields around the items of a page."""

LEFT_TO_LESSON = ("created_datetime", "modified_datetime")
"""Fields that only a single lesson has; the lessons of a course come without them."""


@click.command()
@with_session
def doctor(session: Session) -> ExitCode:
    """Check address, token, permissions, clock, HTTP API and the records of this machine. Only reads.

    Every difference from what the SDK expects of the service is listed. Ends with 1 if anything is an error.
    """
    checks = [*_service(session), *check_machine(session.state_dir)]
    counts = {standing.value: sum(one.standing is standing for one in checks) for standing in Severity}
    session.out.document({"checks": plain(checks), "counts": counts})
    session.out.table(
        ("area", "subject", "", "result"),
        ((one.area, one.subject, one.standing, one.detail) for one in checks),
    )
    session.out.note(f"{', '.join(number(found, name, MANY.get(name)) for name, found in counts.items())}.")
    return ExitCode.FAILED if counts[Severity.ERROR] else ExitCode.DONE


def _service(session: Session) -> Iterator[CheckResult]:
    profile = session.profile
    yield note("settings", "profile", profile.name or "None; only the environment is used.")
    try:
        client = session.client(max_retry=PATIENCE)
    except InvalidArgumentError as problem:
        yield error(
            "settings", SUBJECTS.get(problem.reason or "", "settings"), session.invocation.message_of(problem)
        )
        return
    yield from check_address(client.base_url)
    yield from check_network(client.base_url)
    wire = Wire(client)
    try:
        seen = wire.identity()
    except TrainingError as problem:
        yield error("service", "token", f"WhoAmI failed: {session.invocation.text_of(problem)}")
        return
    me = seen.me
    yield from check_identity(me, seen.response)
    yield check_clock(seen.response, datetime.now(UTC))
    yield from check_rights(*rights(wire))
    yield from check_wire(wire, me.user_id)


@frozen
class WireSample:
    """Answer of the service, and the value that was read from it."""

    response: Response
    items: tuple[Model, ...]


@frozen
class Identified:
    """Owner of the token, and the answer that names them."""

    response: Response
    me: Me


@define
class Wire:
    """Answers of one service."""

    client: TrainingClient
    answers: list[tuple[str, Response]] = field(factory=list)

    def identity(self) -> Identified:
        """Return the owner of the token. Raises the errors of the client."""

        def read(response: Response) -> Identified:
            self.answers.append(("WhoAmI", response))
            return Identified(response, read_me(response))

        return self.client._driver.run(self.client._calls.call(WHO_AM_I, read))

    def listing(self, of: Listing[Any]) -> WireSample:
        """Return the first page of a listing, with the same request that the SDK sends."""
        walk = of._walk
        if not isinstance(walk, Paginator):
            raise TypeError(f"{of!r} is not read by one kind of request")
        return self._ask(walk.first.request, lambda response: walk.read(walk.first, response).items)

    def lessons(self, course_id: str) -> WireSample:
        """Return the lessons of a course, which are not split into pages."""

        def read(response: Response) -> tuple[Model, ...]:
            document = codec.loads(response)
            found = document.get("lessons") if isinstance(document, dict) else None
            return codec.structure(found, tuple[Lesson, ...], response)

        return self._ask(Request("GET", f"/training/courses/v1/{course_id}/lessons", limit="catalogue"), read)

    def _ask(self, request: Request, read: Callable[[Response], tuple[Any, ...]]) -> WireSample:
        def both(response: Response) -> WireSample:
            self.answers.append((f"{request.method} {request.path}", response))
            return WireSample(response, read(response))

        return self.client._driver.run(self.client._calls.call(request, both))


def rights(wire: Wire) -> tuple[bool | None, bool | None]:
    """Return whether the token may read the statistics, and whether it may list users."""
    client = wire.client
    return is_allowed(lambda: wire.listing(client.analytics.course_statistics())), is_allowed(
        lambda: wire.listing(client.users.list())
    )


def check_wire(wire: Wire, me: str) -> Iterator[CheckResult]:
    """Check every listing that the SDK reads, except webhooks, and report differences from what it expects."""
    client = wire.client
    course = ""
    for name, listing in _listings(client, me):
        try:
            seen = wire.listing(listing)
        except TrainingError as problem:
            yield _refused(name, problem)
            continue
        yield _described(name, seen)
        if name == "courses" and seen.items:
            course = getattr(seen.items[0], "id", "")
    if course:
        try:
            yield _described("lessons of a course", wire.lessons(course), LEFT_TO_LESSON)
        except TrainingError as problem:
            yield _refused("lessons of a course", problem)
    yield from _headers(wire.answers)


def _listings(client: TrainingClient, me: str) -> Iterator[tuple[str, Listing[Any]]]:
    yield "courses", client.courses.list()
    yield "progress feed", client.progress.list()
    yield "course statistics", client.analytics.course_statistics()
    yield "lesson progress", client.analytics.lesson_progress(me)
    yield "attempts", client.analytics.attempts(user_id=me)
    yield "lesson statistics", client.analytics.lesson_statistics()
    yield "lesson events", client.analytics.lesson_events()
    yield "lesson events of a user", client.analytics.user_lesson_events(me)
    yield "slide statistics", client.analytics.slide_statistics()
    yield "slides of a user", client.analytics.user_slides(me)
    yield "survey questions", client.analytics.survey_questions()
    yield "survey answers", client.analytics.survey_answers()
    yield "rapid refresh answers", client.analytics.rapid_refresh_answers()
    yield "rapid refreshes", client.rapid_refreshes.list()
    yield "leaderboards", client.leaderboards.list()
    yield "users", client.users.list()
    yield "feed of users", client.users.feed()
    yield "permission sets", client.permissions.list()
    yield "learning paths", client.paths.list()
    yield "collections", client.collections.list()
    yield "groups", client.groups.list()
    yield "members of groups", client.groups.members()
    yield "sites", client.sites.list()
    yield "members of sites", client.sites.members()


def _refused(name: str, problem: TrainingError) -> CheckResult:
    if isinstance(problem, PermissionDeniedError):
        return note(WIRE, name, f"This token may not read it: {problem}")
    if isinstance(problem, NotSupportedError):
        return warning(WIRE, name, f"The server does not offer it: {problem}")
    what = "It is not what the SDK expects" if isinstance(problem, DecodingError) else "It cannot be read"
    return error(WIRE, name, f"{what}: {problem}")


def _described(name: str, seen: WireSample, elsewhere: Collection[str] = ()) -> CheckResult:
    differences = list(differing(seen, elsewhere))
    if differences:
        return warning(
            WIRE, name, f"{number(len(seen.items), 'item')} read. Differences: {'; '.join(differences)}."
        )
    if not seen.items:
        return note(WIRE, name, "It is readable and empty, so its fields could not be checked.")
    return ok(WIRE, name, f"{number(len(seen.items), 'item')} read, as the SDK expects.")


def differing(seen: WireSample, elsewhere: Collection[str] = ()) -> Iterator[str]:
    """Yield the differences of an answer from what the SDK expects: new or missing fields, and new values.

    ``elsewhere``: fields of the model that another answer contains.
    """
    document = json.loads(seen.response.body)
    around = set(document) - ENVELOPE if isinstance(document, dict) else set()
    if around and _entries(document):
        yield f"unknown fields around the items: {', '.join(sorted(around))}"
    unknown, values = _surprises(seen.items)
    if unknown:
        yield f"unknown fields: {', '.join(unknown)}"
    if values:
        yield f"unknown values: {', '.join(values)}"
    missing = [name for name in _missing(_entries(document), seen.items) if name not in elsewhere]
    if missing:
        yield f"fields that are always missing: {', '.join(missing)}"


def _surprises(items: Sequence[Model]) -> tuple[list[str], list[str]]:
    fields: dict[str, None] = {}
    values: dict[str, None] = {}
    for item in items:
        for path, value in _walk(item, ""):
            if isinstance(value, OpenEnum):
                if not value.is_known:
                    values[f"{path} = {value.value!r}"] = None
            else:
                fields[path] = None
    return list(fields), list(values)


def _walk(model: Model, path: str) -> Iterator[tuple[str, object]]:
    """Yield the unknown fields of a model and its nested models, and all their values of open enums."""
    for name in model.extra:
        yield f"{path}{name}", None
    for attribute in attrs.fields(type(model)):
        value = getattr(model, attribute.name)
        if isinstance(value, OpenEnum):
            yield f"{path}{attribute.name}", value
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Model):
                yield from _walk(one, f"{path}{attribute.name}.")


def _entries(document: Any) -> list[Mapping[str, Any]]:
    """Return the items of a page before they are converted."""
    if not isinstance(document, dict):
        return []
    lists = [value for value in document.values() if isinstance(value, list)]
    found = [one for one in (lists[0] if lists else ()) if isinstance(one, dict)]
    return [one["permission_set"] if one.keys() == {"permission_set"} else one for one in found]


def _missing(entries: Sequence[Mapping[str, Any]], items: Sequence[Model]) -> list[str]:
    """Return the fields of the model that no item has. A field that may be left out when empty is no fault."""
    if not entries or not items:
        return []
    spellings = model.spellings(type(items[0]))
    seen = {spellings[key] for entry in entries for key in entry if key in spellings}
    return [name for name in dict.fromkeys(spellings.values()) if name not in seen]


def _headers(answers: Sequence[tuple[str, Response]]) -> Iterator[CheckResult]:
    """Check the response headers that the SDK uses."""
    limited = [name for name, answer in answers if any(answer.header(one) for one in RATE_LIMIT)]
    if limited:
        yield ok(WIRE, "rate limits", f"{len(limited)} of {len(answers)} answers announce them.")
    else:
        yield note(WIRE, "rate limits", "No answer announces them. The SDK respects the published ones.")
    kinds = {(answer.header("content-type") or "none").partition(";")[0] for _, answer in answers}
    if kinds - {"application/json"}:
        yield warning(WIRE, "content type", f"Not only application/json: {', '.join(sorted(kinds))}.")
    without = [name for name, answer in answers if not (answer.header("x-request-id") or answer.request_id)]
    if without:
        yield note(
            WIRE,
            "request ids",
            f"{len(without)} of {len(answers)} answers have none that support could search for.",
        )
    marks = {answer.is_reference for _, answer in answers}
    if marks == {True, False}:
        where = ", ".join(name for name, answer in answers if not answer.is_reference)
        yield error(
            WIRE,
            "who answers",
            f"Some answers are those of the reference server, and others are not: {where}.",
        )
