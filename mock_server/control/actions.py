"""Changes over ``/_mock/``: the clock and the lag, the script of faults, and what learners do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import fields_dict

from mock_server.control.faults import Fault
from mock_server.learner_actions import LateWriteError, LiveWorld, NotAssignedError
from mock_server.refusal import Reason, RefusedError, invalid
from mock_server.wire import answers, reading
from mock_server.wire.fields import Fields
from mock_server.wire.message import Request, Response
from mock_server.world import clock
from mock_server.world.codec import encode
from mock_server.world.progress import Record

if TYPE_CHECKING:
    from mock_server.mock import MockTraining


_FURTHEST = 100 * 366 * 86_400
_CHANGES = "freeze (a date, or true for now), resume: true, advance (seconds), lag (seconds)"


def get_clock(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/clock: ``{now, frozen, lag}``; lag in seconds."""
    with mock.world.lock:
        now, frozen = mock.clock.now(), mock.clock.is_frozen
    lag = int(mock.lag.total_seconds())
    return answers.ok({"now": clock.to_text(now), "frozen": frozen, "lag": lag})


def set_clock(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/clock with one of freeze, resume, advance and lag; answers as GET does."""
    body = _object(request)
    if len(body) != 1:
        raise invalid(f"Send exactly one of {_CHANGES}.")
    ((name, value),) = body.items()
    with mock.world.lock:
        try:
            _change(mock, name, value)
        except (ValueError, OverflowError) as fault:
            raise invalid(str(fault), name[:100]) from None
    return get_clock(mock, request)


def _change(mock: MockTraining, name: str, value: object) -> None:
    match name, value:
        case "freeze", True:
            mock.clock.freeze()
        case "freeze", str():
            mock.clock.freeze(_moment(value))
        case "resume", True:
            mock.clock.resume()
        case "advance", int() | float() if not isinstance(value, bool) and abs(value) <= _FURTHEST:
            if value < 0:
                raise ValueError(
                    f"advance must be at least 0, not {value:g}. Set an earlier moment with freeze."
                )
            mock.clock.advance(timedelta(seconds=value))
        case "lag", int() if not isinstance(value, bool) and abs(value) <= _FURTHEST:
            mock.lag = timedelta(seconds=value)
        case _:
            raise ValueError(
                f"{name[:100]!r} with this value is not a change of the clock. Send one of {_CHANGES}."
            )


def _moment(text: str) -> datetime:
    try:
        return clock.parse(text)
    except ValueError:
        message = f"freeze must be true or a date with time and zone, such as 2026-11-30T09:00:00Z, not {text[:100]!r}."
        raise ValueError(message) from None


def get_faults(mock: MockTraining, _request: Request) -> Response:
    """GET /_mock/faults: ``{seed, faults, struck}``."""
    return answers.ok(mock.faults.described())


def add_fault(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/faults with the fields of a fault, of which ``kind`` is required; answers as GET does."""
    body = _object(request)
    known = fields_dict(Fault)
    unknown = [name for name in body if name not in known]
    if unknown or "kind" not in body:
        more = ", ".join(name for name in known if name != "kind")
        wrong = f" It has no field {', '.join(unknown)[:300]}." if unknown else ""
        raise invalid(f"A fault must have kind, and may have {more}.{wrong}")
    try:
        mock.faults.add(**body)
    except (ValueError, TypeError) as fault:
        raise invalid(str(fault)) from None
    return get_faults(mock, request)


def replay_faults(mock: MockTraining, request: Request) -> Response:
    """PUT /_mock/faults with ``{"seed": N}``: start the same script again with this random seed."""
    body = _object(request)
    seed = body.get("seed")
    if set(body) != {"seed"} or type(seed) is not int:
        raise invalid('Send {"seed": N}, a whole number.', "seed")
    mock.faults.replay(seed)
    return get_faults(mock, request)


def clear_faults(mock: MockTraining, request: Request) -> Response:
    """DELETE /_mock/faults: an empty script."""
    mock.faults.clear()
    return get_faults(mock, request)


def _object(request: Request) -> dict[str, Any]:
    body = reading.json_body(request)
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    return body


_NUMBERS = ("score", "seconds", "mark")
_ACTIONS = (
    LiveWorld.open,
    LiveWorld.complete_lesson,
    LiveWorld.complete_course,
    LiveWorld.submit_assessment,
    LiveWorld.post_to_discussion,
    LiveWorld.hand_in_assignment,
    LiveWorld.answer_survey,
)
ACTIONS: dict[str, Callable[..., Record]] = {each.__name__.replace("_", "-"): each for each in _ACTIONS}


def act(mock: MockTraining, request: Request) -> Response:
    """POST /_mock/learners/{action}: let a learner act; the answer is their record in the course afterwards.

    The fields are the parameters of the action in Python. 400 for a malformed or unknown value, 409 if the course is
    not assigned to them or the write is too late (R22).
    """
    name = request.path.rpartition("/")[2]
    if name not in ACTIONS:
        raise RefusedError(Reason.UNKNOWN_PATH, f"Learners cannot do that; they can {', '.join(ACTIONS)}.")
    _, *parameters = inspect.signature(ACTIONS[name]).parameters.values()
    fields = Fields.read(reading.json_body(request), tuple(each.name for each in parameters))
    given = {
        each.name: _argument(fields, each.name)
        for each in parameters
        if each.default is each.empty or fields.has(each.name)
    }
    try:
        record = ACTIONS[name](mock.world, **given)
    except NotAssignedError as fault:
        raise RefusedError(Reason.NOT_ASSIGNED, str(fault)) from None
    except LateWriteError as fault:
        raise RefusedError(Reason.LATE_WRITE, str(fault)) from None
    except (LookupError, ValueError) as fault:
        raise invalid(str(fault.args[0])) from None
    return answers.ok({"record": encode(record)})


def _argument(fields: Fields, name: str) -> Any:
    if name in ("course", "user"):
        return fields.id(name)
    if not fields.has(name):
        raise invalid(f"{name} must be given.", name)
    if name in _NUMBERS:
        return fields.number(name, 0, 0, 10**9)
    text = fields.text(name)
    if name != "made_at":
        return text
    try:
        return clock.parse(text)
    except (ValueError, OverflowError):
        raise invalid("made_at must be a date such as 2026-01-31T09:00:00Z.", "made_at") from None
