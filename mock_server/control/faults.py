"""The script of faults: which request triggers which fault, how often or how likely; the same for the same seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, get_args

from attrs import Factory, asdict, define, field, fields_dict, frozen

from mock_server.api.operation import Operation
from mock_server.api.routes import OPERATIONS
from mock_server.control.naming import close, known_operation, listed
from mock_server.refusal import check_argument

if TYPE_CHECKING:
    from mock_server.world.world import World

Kind = Literal[
    "rate_limited",
    "error",
    "drop",
    "slow",
    "drip",
    "cut",
    "truncated",
    "not_json",
    "wrong_content_type",
    "duplicate_page",
    "repeating_cursor",
    "endless_cursor",
    "rights_removed",
    "token_revoked",
    "user_deactivated",
    "course_archived",
    "learner_writes",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_BY_NAME = {operation.name: operation for operation in OPERATIONS}
_EITHER_SIDE = (
    "error",
    "drop",
    "rights_removed",
    "token_revoked",
    "user_deactivated",
    "course_archived",
    "learner_writes",
)
_OF_A_COURSE = ("course_archived", "learner_writes")
_OF_A_USER = ("user_deactivated", "learner_writes")
_CURSORS = ("repeating_cursor", "endless_cursor")
_TIMED = ("rate_limited", "slow", "drip")
_REFUSALS = (403, 404, 501)
_STATUSES = (*_REFUSALS, 500, 502, 503, 504)
_LONGEST = 3600.0
_HISTORY = 10_000


def _has_cursor(operation: Operation) -> bool:
    return "/feed/" in operation.template or operation.name == "ListUsers"


def _fits(kind: str, operation: Operation) -> bool:
    """Return whether this operation can trigger a fault of this kind."""
    if kind in _CURSORS:
        return _has_cursor(operation)
    return (
        kind != "duplicate_page"
        or _has_cursor(operation)
        or not {"page", "offset"}.isdisjoint(operation.query)
    )


def _operation(name: str) -> str:
    """Return the operation id; an unknown name is returned unchanged, for the checks to report."""
    try:
        return known_operation(name) if name else name
    except (LookupError, TypeError):
        return name


@frozen
class Fault:
    """One line of the script of faults. Raises ValueError, with the remedy, if no request can trigger it."""

    kind: Kind
    operation: str = field(default="", converter=_operation)
    """The operation id or short name, as for ``mock.calls.of``; "" for every operation that can have this kind."""
    times: int | None = 1
    """The number of requests that trigger it, from 1; None for no limit."""
    after: int = 0
    """The number of matching requests that pass first."""
    probability: float = 1.0
    """The probability that a matching request triggers it: above 0, at most 1."""
    when: Literal["before", "after"] = "before"
    """The moment of the fault: before or after the request has its effect."""
    seconds: float | None = None
    """Seconds: the ``Retry-After`` of a 429 (None: without), the delay of slow (5) or between pieces of drip (0.5)."""
    status: int | None = field(
        default=Factory(lambda self: 503 if self.kind == "error" else None, takes_self=True)
    )
    """The status of an error: 403, 404, or 500 to 504, by default 503. 502 and 504 look like those of a gateway.

    403, 404 and 501 refuse the operation before it has an effect, as a service does that does not offer it.
    """
    course: str = ""
    """Id or title of the course that course_archived and learner_writes change."""
    user: str = ""
    """Id or e-mail address of the user whom user_deactivated and learner_writes change."""

    def __attrs_post_init__(self) -> None:
        for fault in _wrong(self):
            raise ValueError(f"Fault {self.kind!r}: {fault}")


def _wrong(fault: Fault) -> list[str]:
    """Return a message for each invalid field of a fault."""
    checks = [
        (fault.kind in KINDS, _kinds(fault.kind)),
        *_operation_checks(fault),
        (
            _whole(fault.times, 1) or fault.times is None,
            "times must be a whole number from 1, or None (in JSON null) for no limit.",
        ),
        (_whole(fault.after, 0), "after must be a whole number from 0."),
        (
            _between(fault.probability, 0, 1) and fault.probability > 0,
            "probability must be above 0 and at most 1.",
        ),
        (fault.when in ("before", "after"), 'when must be "before" or "after".'),
        (fault.when == "before" or fault.kind in _EITHER_SIDE, 'when must be "before" for this kind.'),
        (
            fault.seconds is None or _between(fault.seconds, 0, _LONGEST),
            f"seconds must be from 0 to {_LONGEST:.0f}.",
        ),
        (fault.seconds is None or fault.kind in _TIMED, f"seconds is allowed for {listed(_TIMED)} only."),
        (fault.status is None or fault.kind == "error", "status is allowed for error only."),
        (
            fault.kind != "error" or (_whole(fault.status, 0) and fault.status in _STATUSES),
            "status must be 403, 404, 500, 501, 502, 503 or 504.",
        ),
        (
            fault.when == "before" or fault.status not in _REFUSALS,
            'status 403, 404 or 501 means that nothing was done. Use when="before".',
        ),
        (_text(fault.course, required=fault.kind in _OF_A_COURSE), _NAMES),
        (_text(fault.user, required=fault.kind in _OF_A_USER), _NAMES),
    ]
    return [said for is_right, said in checks if not is_right]


def _kinds(kind: object) -> str:
    near = close(kind, KINDS) if isinstance(kind, str) else []
    return f"kind must be one of {listed(KINDS)}.{f' Did you mean {near[0]}?' if near else ''}"


def _operation_checks(fault: Fault) -> list[tuple[bool, str]]:
    if fault.operation == "":
        return []
    try:
        operation = _BY_NAME[known_operation(fault.operation)]
    except (LookupError, TypeError) as unknown:
        return [(False, str(unknown.args[0]))]
    return [
        (
            _fits(fault.kind, operation),
            f"{operation.name} has no pages of this kind. Name an operation that lists something.",
        )
    ]


_NAMES = "course_archived needs course, user_deactivated needs user, learner_writes needs both; no other kind has them."


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _text(value: object, *, required: bool) -> bool:
    return isinstance(value, str) and bool(value) == required


def _between(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


@frozen
class Struck:
    """One fault that was triggered."""

    kind: Kind
    operation: str
    request: int
    """Number of the request since the script began, counted from 1."""


@define(eq=False)
class _Line:
    fault: Fault
    random: Random
    met: int = 0
    struck: int = 0

    def strikes(self, operation: Operation) -> bool:
        """Return whether a request triggers it, and count it."""
        if self.fault.operation not in ("", operation.name) or not _fits(self.fault.kind, operation):
            return False
        self.met += 1
        spent = self.fault.times is not None and self.struck >= self.fault.times
        if self.met <= self.fault.after or spent or self.random.random() >= self.fault.probability:
            return False
        self.struck += 1
        return True


def check_target(world: World, fault: Fault) -> None:
    """Raise LookupError if course or user of a fault does not exist, or the course is not assigned to the user."""
    with world.lock:
        course = world.course(fault.course) if fault.course else None
        person = world.user(fault.user) if fault.user else None
        if course and person and not world.main.progress[course.id].has(person.id):
            raise LookupError(
                f"{course.title!r} is not assigned to {person.email or person.id}. Name a user who is assigned."
            )


@define(eq=False)
class Faults:
    """The script of faults of a world, ``mock.faults``. Every method is safe across threads."""

    check: Callable[[Fault], None] | None = None
    """Called with every fault before it is added; raises LookupError for an unknown course or user."""
    _seed: int = 0
    _lines: list[_Line] = field(factory=list)
    _history: deque[Struck] = field(factory=lambda: deque(maxlen=_HISTORY))
    _requests: int = 0
    _lock: Lock = field(factory=Lock)

    def add(self, kind: Kind, **fields: Any) -> Fault:
        """Add a fault to the script.

        - ``kind``: The kind of the fault.
        - ``fields``: Other fields of `Fault`.

        Raises TypeError or ValueError if the fault is not valid, if its course or user does not exist, or if the course
        is not assigned to the user.
        """
        for name in fields.keys() - fields_dict(Fault).keys():
            near = close(name, fields_dict(Fault))
            raise TypeError(f"A fault has no field {name!r}.{f' Did you mean {near[0]}?' if near else ''}")
        fault = Fault(kind, **fields)
        if self.check is not None:
            try:
                self.check(fault)
            except LookupError as unknown:
                raise ValueError(f"Fault {kind!r}: {unknown.args[0]}") from None
        with self._lock:
            self._lines.append(self._line(fault, len(self._lines)))
        return fault

    def clear(self) -> None:
        """Empty the script and the history of triggered faults."""
        with self._lock:
            self._lines.clear()
            self._history.clear()
            self._requests = 0

    def replay(self, seed: int | None = None) -> None:
        """Start the same script again. ``seed``, a whole number, replaces the random seed."""
        if seed is not None:
            check_argument("seed", seed, int, "a whole number, such as 7")
        with self._lock:
            self._seed = self._seed if seed is None else seed
            self._lines = [self._line(line.fault, place) for place, line in enumerate(self._lines)]
            self._history.clear()
            self._requests = 0

    def _line(self, fault: Fault, place: int) -> _Line:
        # A random generator for each line, so that adding or removing another line changes nothing for this one.
        return _Line(fault, Random(f"{self._seed}/{place}"))  # noqa: S311 - not a secret

    @property
    def script(self) -> tuple[Fault, ...]:
        """Every line of the script, also those that are used up."""
        with self._lock:
            return tuple(line.fault for line in self._lines)

    @property
    def struck(self) -> tuple[Struck, ...]:
        """The triggered faults, oldest first, at most the last 10,000."""
        with self._lock:
            return tuple(self._history)

    def described(self) -> dict[str, Any]:
        """Return seed, script and triggered faults as plain JSON data."""
        with self._lock:
            return {
                "seed": self._seed,
                "faults": [{**asdict(line.fault), "struck": line.struck} for line in self._lines],
                "struck": [asdict(each) for each in self._history],
            }

    def strike(self, operation: Operation | None) -> tuple[Fault, ...]:
        """Return the faults that a request to this operation triggers, in the script's order."""
        if not self._lines or operation is None:
            return ()
        with self._lock:
            self._requests += 1
            found = tuple(line.fault for line in self._lines if line.strikes(operation))
            self._history.extend(Struck(each.kind, operation.name, self._requests) for each in found)
            return found
