"""Learners acting over ``/_mock/learners/…``, as `mock.world` lets them act in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mock_server.learner_actions import LiveWorld
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.rules.late_writes import LateWriteError
from mock_server.rules.learning import NotAssignedError
from mock_server.wire import answers, reading
from mock_server.wire.fields import Fields
from mock_server.wire.message import Request, Response
from mock_server.world import clock
from mock_server.world.codec import encode
from mock_server.world.progress import Record

if TYPE_CHECKING:
    from mock_server.mock import MockTraining

PATH = "/_mock/learners"
_NUMBERS = ("score", "seconds", "mark")
_NEEDED = {"complete-lesson": ("lesson", ", as an id or a title"), "answer-survey": ("answer", "")}

# What each takes beside course, user and made_at.
ACTIONS: dict[str, tuple[Callable[..., Record], tuple[str, ...]]] = {
    "open": (LiveWorld.open, ()),
    "complete-lesson": (LiveWorld.complete_lesson, ("lesson", "score", "seconds")),
    "complete-course": (LiveWorld.complete_course, ("score",)),
    "submit-assessment": (LiveWorld.submit_assessment, ("lesson", "mark", "signed_off_by")),
    "post-to-discussion": (LiveWorld.post_to_discussion, ("lesson", "text")),
    "hand-in-assignment": (LiveWorld.hand_in_assignment, ("lesson", "file_name", "mark")),
    "answer-survey": (LiveWorld.answer_survey, ("answer", "question")),
}


def act(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/learners/{action}: let a learner act; answers what is recorded of them in the course then.

    400 for what is not of its form or does not exist, 409 where the course is not assigned to them or the write
    comes too late (R22).
    """
    name = request.path.rpartition("/")[2]
    if name not in ACTIONS:
        raise RefusedError(Reason.UNKNOWN_PATH, f"Learners cannot do that; they can {', '.join(ACTIONS)}.")
    action, extra = ACTIONS[name]
    fields = Fields.read(reading.json_body(request), ("course", "user", "made_at", *extra))
    course, user = fields.id("course"), fields.id("user")
    given = {each: _argument(fields, each) for each in ("made_at", *extra) if fields.has(each)}
    needed, how = _NEEDED.get(name, ("", ""))
    if needed and needed not in given:
        raise invalid(f"{needed} must be given{how}.", needed)
    try:
        record = action(mock.world, course, user, **given)
    except NotAssignedError as fault:
        raise RefusedError(Reason.NOT_ASSIGNED, str(fault)) from None
    except LateWriteError as fault:
        raise RefusedError(Reason.LATE_WRITE, str(fault)) from None
    except (LookupError, ValueError) as fault:
        raise invalid(str(fault.args[0])) from None
    return answers.ok({"record": encode(record)})


def _argument(fields: Fields, name: str) -> Any:
    if name in _NUMBERS:
        return fields.number(name, 0, 0, 10**9)
    text = fields.text(name)
    if name != "made_at":
        return text
    try:
        return clock.parse(text)
    except (ValueError, OverflowError):
        raise invalid("made_at must be a date such as 2026-01-31T09:00:00Z.", "made_at") from None
