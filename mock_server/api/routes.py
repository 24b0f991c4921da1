"""All operations, and the router that finds the one of a request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Annotated

from mock_server.api import (
    analytics,
    assignments,
    courses,
    groups,
    leaderboards,
    lesson_progress,
    paths,
    permission_sets,
    progress,
    rapid_refreshes,
    resets,
    slides,
    users,
    webhooks,
)
from mock_server.api.operation import FeedMetadata, Operation
from mock_server.refusal import Reason, RefusedError
from mock_server.rules.access import Family
from mock_server.wire import answers, reading
from mock_server.wire.message import Response
from mock_server.wire.schema import Format, answer


@answer("P")
class OtherFeed:
    """A feed of another service, without rows."""

    metadata: FeedMetadata
    data: list[
        Annotated[
            dict[str, object],
            Format(
                {"type": "object", "description": "A row of another service that is not part of Training."}
            ),
        ]
    ]


def empty_feed() -> Response:
    """Answer a feed without rows."""
    return answers.ok(OtherFeed(FeedMetadata(None, None, 0), []))


def _operations(*nouns: ModuleType) -> tuple[Operation, ...]:
    """Return the operations of these modules, in the order in which they are written."""
    return tuple(each for noun in nouns for each in vars(noun).values() if isinstance(each, Operation))


def _not_served(template: str, name: str = "") -> Operation:
    """Return a feed that is not part of Training; without a name, ``/feed/group_users`` is FeedGroupUsers."""
    name = name or "".join(word.capitalize() for word in re.findall("[a-z]+", template))
    summary = f"{name}. It is not part of Training, and is served only with the policy `other_feeds=empty`."
    return Operation(
        name, f"GET {template}", "P", Family.SELF, OtherFeed, noun="other feeds", summary=summary
    )


# Feeds that the vendor's bulk exporter reads (P): known, so that a script finds out what is missing here.
_ELSEWHERE = (
    *("inspections", "inspection_items", "templates", "template_permissions"),
    *("schedules", "schedule_assignees", "schedule_occurrences"),
    *("actions", "action_assignees", "action_timeline_items"),
    *("issues", "issue_assignees", "issue_timeline_items", "assets"),
)

OPERATIONS = (
    *_operations(users, courses, paths, rapid_refreshes, leaderboards, assignments),
    *_operations(progress, analytics, lesson_progress, slides),
    *_operations(groups, permission_sets, resets, webhooks),
    *(_not_served(f"/feed/{each}") for each in _ELSEWHERE),
    _not_served("/accounts/history/v2/feed/activity_log_events", "FeedActivityLogEvents"),
    _not_served("/inductions/v1/feed/onboarding-progress", "FeedOnboardingProgress"),
)


_LIKENESS = 0.6
# The time of the comparison grows with the square of the length.
_LONGEST = 300
_TYPO = 0.8
"""Likeness of a service's name that was mistyped."""
_LISTED = " All operations are listed at /openapi.json."


class Router:
    """Templates by their number of segments; literal ones are tried before those with a parameter."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_length: dict[int, list[tuple[list[str], Operation]]] = {}
        self._literal: dict[tuple[str, str], Operation] = {}
        """By method and path: templates without parameters, which most requests have."""
        for operation in operations:
            parts = operation.template.split("/")[1:]
            self._by_length.setdefault(len(parts), []).append((parts, operation))
            if "{" not in operation.template:
                self._literal[operation.method, operation.template] = operation
        for each in self._by_length.values():
            each.sort(key=lambda entry: sum(part.startswith("{") for part in entry[0]))
        self._services = sorted({_service(parts) for parts, each in self._entries() if each.handler})
        self._words_of_training = {
            part for parts, _ in self._entries() if parts[0] == _TRAINING for part in parts[1:]
        }

    def _entries(self) -> Iterator[tuple[list[str], Operation]]:
        return (entry for entries in self._by_length.values() for entry in entries)

    def _service_meant(self, segments: Sequence[str]) -> str:
        """Return the service of a path, even if it is mistyped or missing; "" if it is not served here."""
        named = _service(segments)[:_LONGEST]
        if named in self._services:
            return named
        for near in get_close_matches(named, self._services, n=1, cutoff=_TYPO):
            return near
        return _TRAINING if {*map(str.lower, segments[:1])} & self._words_of_training else ""

    def _hint(self, segments: Sequence[str]) -> str:
        """Return a hint at the probable path, within the service of the given one."""
        service = self._service_meant(segments)
        if not service:
            return f" The path is not part of Training. This server has the services {', '.join(self._services)}."
        return self._nearest(service, segments)

    def _nearest(self, service: str, segments: Sequence[str]) -> str:
        """Return the most similar operation, and the first difference from it; "" if none is similar."""
        if len("/".join(segments)) > _LONGEST:
            return ""
        filled: dict[str, list[Operation]] = {}
        for parts, operation in self._entries():
            if _service(parts) == service:
                filled.setdefault("/".join(_filled(parts, segments)).lower(), []).append(operation)
        close = get_close_matches("/".join(segments).lower(), filled, n=1, cutoff=_LIKENESS)
        close = close or _sharing(service, segments, filled)
        if not close:
            return ""
        template = filled[close[0]][0].template
        methods = ", ".join(sorted(each.method for each in filled[close[0]] if each.template == template))
        return f" The nearest operation is {methods} {template}: {_difference(template.split('/')[1:], segments)}."

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """Return the operation and its path parameters; 404 for an unknown path, 405 for another method."""
        literal = self._literal.get((method, path))
        if literal is not None:
            return literal, {}
        segments = reading.segments(path)
        found = [
            (operation, dict(zip(parts, segments, strict=True)))
            for parts, operation in self._by_length.get(len(segments), ())
            if all(_fits(part, segment) for part, segment in zip(parts, segments, strict=True))
        ]
        if not found:
            refusal = unknown_path()
            refusal.hint = self._hint(segments) + _LISTED
            raise refusal
        template = found[0][0].template
        methods = {operation.method: entry for entry in found if (operation := entry[0]).template == template}
        wanted = "GET" if method == "HEAD" else method
        if wanted in methods:
            operation, named = methods[wanted]
            return operation, {part[1:-1]: value for part, value in named.items() if part.startswith("{")}
        refusal = RefusedError(
            Reason.METHOD_NOT_ALLOWED, f"{template} does not support the method {method[:20]}."
        )
        allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
        refusal.headers = (("allow", allowed),)
        refusal.hint = f" Use {allowed}.{_LISTED}"
        raise refusal


def unknown_path() -> RefusedError:
    """Return a refusal with 404 for a path that no operation has."""
    return RefusedError(Reason.UNKNOWN_PATH, "No operation has this path.")


_TRAINING = "training"


def _service(segments: Sequence[str]) -> str:
    """Return the service of a path: ``training``, ``feed``, ``accounts/user``."""
    parts = 2 if segments[:1] == ["accounts"] else 1
    return "/".join(segments[:parts]).lower()


def _sharing(service: str, segments: Sequence[str], paths: Iterable[str]) -> list[str]:
    """Return the shortest path with one of these segments, the longest segment first; ``/courses`` has no beginning."""
    for segment in sorted(
        {each.lower() for each in segments if len(each) > len("v1") and each.lower() != service},
        key=len,
        reverse=True,
    ):
        found = [path for path in paths if segment in path.split("/")]
        if found:
            return [min(found, key=len)]
    return []


def _filled(parts: Sequence[str], segments: Sequence[str]) -> list[str]:
    """Return a template whose parameters are replaced by the segments that were sent."""
    sent = [*segments, *parts[len(segments) :]]
    return [segment if part.startswith("{") else part for part, segment in zip(parts, sent, strict=False)]


def _difference(parts: Sequence[str], segments: Sequence[str]) -> str:
    for number, (part, segment) in enumerate(zip(parts, segments, strict=False), 1):
        if not _fits(part, segment):
            return f"segment {number} must be {part!r}, not {segment!r}"
    if len(segments) > len(parts):
        return f"segment {segments[len(parts)]!r} is not part of it"
    return f"segment {parts[len(segments)]!r} is missing"


def _fits(part: str, segment: str) -> bool:
    return bool(segment) if part.startswith("{") else part == segment
