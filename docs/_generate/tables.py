"""Tables made from the code: reasons, errors, policies, operations, rights, settings."""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from unittest.mock import patch

import attrs

import mock_server
import training_sdk
from mock_server import cli
from mock_server.api.routes import OPERATIONS
from mock_server.control.naming import SHORT
from mock_server.policy import AnswerForm, Behaviour, Policy
from mock_server.refusal import Reason
from mock_server.rules.access import Actor, Family, Reach, reach
from mock_server.world.people import Permission
from training_sdk._core.flow import NoAnswerError, NotDeliveredError, Request, Response, TransportError
from training_sdk._core.send_policy import RETRIED_STATUSES, SendDecision, judge_failure, judge_status
from training_sdk.errors import STATUS_ERRORS, OutcomeUnknownError, TrainingError, status_error_class

_OTHER_STATUSES = {302: "a redirect (never followed)", 405: "any other 4xx", 505: "any other 5xx"}
"""One of each kind that has no class or rule of its own."""

PROVENANCE = {"P": "published", "O": "observed", "T": "third party", "A": "**assumed**"}

_REACH = {Reach.NONE: "–", Reach.OWN: "own", Reach.TEAMS: "their teams", Reach.ALL: "all"}
_MEMBER = "any member"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def reasons() -> str:
    """Every reason the reference server gives, with its status and what the SDK raises for it."""
    return table(
        ("Reason", "Status and error", "Meaning"),
        (
            (
                f"`{reason.name}`",
                f"{reason.status} `{status_error_class(reason.status).__name__}`",
                reason.description,
            )
            for reason in Reason
        ),
    )


def errors() -> str:
    """The tree of everything the SDK raises, as its module draws it."""
    drawn = re.search(
        r"^    TrainingError\n(    .*\n)+", inspect.getdoc(training_sdk.errors) or "", re.MULTILINE
    )
    if drawn is None:
        raise LookupError("training_sdk.errors does not draw a tree any more")
    return f"```text\n{inspect.cleandoc(drawn[0].replace('``', ''))}\n```"


def send_rules() -> str:
    """The next step for a request by its answer, from the rules for sending."""
    failures: dict[str, TransportError] = {
        "not delivered: no connection": NotDeliveredError("no connection"),
        "no answer, or a part of one": NoAnswerError("half an answer"),
    }
    rows = {what: _next_steps(partial(judge_failure, failure=each)) for what, each in failures.items()}
    alike: dict[tuple[str, str], list[str]] = {}
    for status in sorted({*STATUS_ERRORS, *RETRIED_STATUSES, *_OTHER_STATUSES}):
        steps = _next_steps(partial(judge_status, response=Response(status, (), b"")))
        alike.setdefault(steps, []).append(_OTHER_STATUSES.get(status, str(status)))
    rows |= {", ".join(statuses): steps for steps, statuses in alike.items()}
    head = ("Result of the request", "Read", "Reset, or another change")
    return table(head, ((what, *steps) for what, steps in rows.items()))


def _next_steps(judge: Callable[[Request], SendDecision]) -> tuple[str, str]:
    """The next step for a read, and for a change."""
    reading, change = (judge(Request("GET", "/")), judge(Request("POST", "/", repeatable=False)))
    return _next_step(reading), _next_step(change)


def _next_step(verdict: SendDecision) -> str:
    if verdict.again:
        return "tried again"
    return "`OutcomeUnknownError`" if isinstance(verdict.error, OutcomeUnknownError) else "raised"


def error_classes() -> list[type[TrainingError]]:
    """Every class of the tree that is public."""
    public = (getattr(training_sdk, name) for name in training_sdk._MODULES)
    return [each for each in public if isinstance(each, type) and issubclass(each, TrainingError)]


def policies() -> str:
    """Every switch of a world: its values, its default, and what it decides."""
    said = _documented(Policy)
    hints = get_type_hints(Policy)
    return table(
        ("Policy", "Values", "Decision"),
        (
            (f"`{each.name}`", _values(hints[each.name], each.default), said[each.name])
            for each in attrs.fields(Policy)
        ),
    )


def _values(kind: Any, default: object) -> str:
    """The values of a switch, the default in bold."""
    if default == ():
        return "names, **none**"
    if get_origin(kind) is not Literal:
        return f"**`{default}`**"
    return ", ".join(f"**`{value}`**" if value == default else f"`{value}`" for value in get_args(kind))


def behaviours() -> str:
    """Every behaviour of a live service that a world emulates."""
    return table(("Behaviour", "Effect"), ((f"`{each}`", each.description) for each in Behaviour))


def answer_forms() -> str:
    """Every legal form in which a world writes its answers."""
    return table(("Form", "Answer"), ((f"`{each}`", each.description) for each in AnswerForm))


def _documented(cls: type) -> dict[str, str]:
    """The text below each field of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{cls.__name__} is not a class")
    said: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            said[field.target.id] = str(text.value.value)
    return said


def operations() -> str:
    """Every operation of the HTTP API, and if the reference server serves it."""
    return table(
        ("Operation", "Mark", "Reference server"),
        (
            (
                f"{each.name}<br>`{each.method} {each.template}`",
                PROVENANCE[each.provenance],
                "served" if each.handler is not None else "501",
            )
            for each in OPERATIONS
        ),
    )


def short_names() -> str:
    """The short names of operations that faults and request log accept."""
    return table(
        ("Short name", "Operation"), ((f"`{short}`", f"`{name}`") for short, name in sorted(SHORT.items()))
    )


def rights() -> str:
    """The permissions of each kind of owner, from the rule that decides them."""
    actor = _nobody()
    holders: dict[str, frozenset[Permission]] = {
        f'"{permission.value}"': frozenset((permission,))
        for permission in (Permission.USERS, Permission.TRAINING, Permission.TEAMS)
    }
    holders[_MEMBER] = frozenset()
    rows = [
        (
            family.value,
            *(
                _REACH[reach(attrs.evolve(actor, permissions=held), family, Policy())]
                for held in holders.values()
            ),
        )
        for family in Family
    ]
    return table(("Operations", *holders), rows)


def _nobody() -> Actor:
    """A person of the demo organisation, whose permissions are then replaced."""
    world = mock_server.MockTraining.demo().world
    return Actor(world.users[0], world.main, frozenset())


def environment_variables() -> set[str]:
    """The names of every environment variable that the code reads."""
    folders = (Path(package.__path__[0]) for package in (training_sdk, mock_server))
    texts = (file.read_text(encoding="utf-8") for folder in folders for file in folder.rglob("*.py"))
    return {
        name
        for text in texts
        for name in re.findall(r'"((?:SAFETYCULTURE|TRAINING_MOCK|TRAINING_SDK)_[A-Z_]+)"', text)
    }


def serve_options() -> str:
    """What ``training-mock serve --help`` prints on a terminal of 100 columns."""
    printed = StringIO()
    with suppress(SystemExit), redirect_stdout(printed), patch.dict(os.environ, COLUMNS="100", NO_COLOR="1"):
        cli.main(["serve", "--help"])
    return f"```text\n{printed.getvalue().strip()}\n```"
