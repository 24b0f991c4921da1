"""Checks of the code base itself: every operation, on both clients, keeps the same promises."""

from __future__ import annotations

import inspect
import itertools
import pkgutil
import pydoc
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen

import training_sdk
from training_sdk import (
    AsyncTrainingClient,
    ConfirmationError,
    InvalidArgumentError,
    TrainingClient,
    TrainingError,
)
from training_sdk._core.argument_checks import family_of
from training_sdk._core.operation import Listed, Operation
from training_sdk.api.analytics import Analytics
from training_sdk.api.courses import Courses
from training_sdk.api.groups import Groups, Sites
from training_sdk.api.leaderboards import Leaderboards
from training_sdk.api.learning_paths import Collections, Paths
from training_sdk.api.permissions import Permissions
from training_sdk.api.progress import Progress
from training_sdk.api.rapid_refreshes import RapidRefreshes
from training_sdk.api.users import Users
from training_sdk.api.webhooks import Webhooks
from training_sdk.client import _Client
from training_sdk.reset_operations import Resets
from unit.sdk.fakes import (
    CALLS,
    COURSE,
    ORIGIN,
    TOKEN,
    Asker,
    FakeDriver,
    Recorded,
    answer,
    over_the_wire,
    refused_wire,
)

RESOURCES: dict[str, type[Any]] = {
    "users": Users,
    "courses": Courses,
    "progress": Progress,
    "analytics": Analytics,
    "permissions": Permissions,
    "paths": Paths,
    "collections": Collections,
    "groups": Groups,
    "sites": Sites,
    "rapid_refreshes": RapidRefreshes,
    "leaderboards": Leaderboards,
    "webhooks": Webhooks,
    "resets": Resets,
    "": _Client,
}


@frozen
class Op:
    """One operation, and where to find it on a client."""

    resource: str
    name: str
    descriptor: Any
    """An Operation or a Listed; typed loosely, for a typed one would be asked for its value here."""

    def of(self, client: Any) -> Callable[..., Any]:
        owner = getattr(client, self.resource) if self.resource else client
        found: Callable[..., Any] = getattr(owner, self.name)
        return found

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.descriptor._function)

    def __str__(self) -> str:
        return f"{self.resource}.{self.name}".lstrip(".")


OPERATIONS = [
    Op(resource, name, member)
    for resource, kind in RESOURCES.items()
    for name, member in inspect.getmembers_static(kind)
    if isinstance(member, Operation | Listed)
]
each_operation = pytest.mark.parametrize("op", OPERATIONS, ids=str)


def test_the_operations_are_those_that_are_promised() -> None:
    assert {str(op) for op in OPERATIONS} == {
        *("users.me", "users.list", "permissions.list", "request", "courses.list", "courses.get"),
        *("courses.lessons", "courses.lesson", "courses.update_assignments", "progress.list"),
        *("progress.table", "analytics.course_statistics", "analytics.lesson_progress"),
        *("analytics.attempts", "paths.list", "paths.get", "collections.list", "collections.courses"),
        *("groups.list", "groups.members", "sites.list", "sites.members", "users.feed"),
        *("analytics.lesson_statistics", "analytics.lesson_events", "analytics.user_lesson_events"),
        *("analytics.slide_statistics", "analytics.user_slides", "analytics.survey_questions"),
        *("analytics.survey_answers", "analytics.rapid_refresh_answers", "rapid_refreshes.list"),
        *("rapid_refreshes.get", "leaderboards.list", "leaderboards.rankings", "webhooks.list"),
        *("webhooks.get", "webhooks.create", "webhooks.delete", "webhooks.secret"),
        *("webhooks.renew_secret", "resets.plan", "resets.plan_everyone", "resets.plan_due"),
        *("resets.approve", "resets.apply", "resets.resume", "resets.plan_proof", "resets.prove_format"),
        "resets.wait_until_verified",
    }


def test_no_resource_of_a_client_is_left_out_here() -> None:
    resources = {name for name in _Client.__annotations__ if not name.startswith("_")}
    assert set(RESOURCES) - {""} == resources


# --- ids --------------------------------------------------------------------------------------------------------------

BAD_IDS = [
    *("", " ", "\t", ".", "..", "/", "a/b", "../x", "a\\b", "a\nb", "a\x00b", "a\x7fb", "a\x9fb", "\ud800"),
    *("x" * 129, "x" * 10_000, None, 7, 1.5, True, b"abc", ["a"], object()),
]
ID_LISTS = {
    *("users", "ids", "course_ids", "group_ids", "site_ids", "add_users", "remove_users", "add_groups"),
    *("remove_groups", "add_sites", "remove_sites"),
}
IDS = {
    *("course_id", "user_id", "lesson_id", "path_id", "collection_id"),
    *("leaderboard_id", "rapid_refresh_id", "webhook_id"),
}
VALID: dict[str, Any] = dict.fromkeys(IDS, "x") | {
    "users": ["u"],
    "courses": "x",
    "url": "https://x.test/",
    "events": ["E"],
}


def parameters(names: set[str]) -> Iterator[Any]:
    for op in OPERATIONS:
        for name in op.signature.parameters:
            if name in names:
                yield pytest.param(op, name, id=f"{op}-{name}")


def test_every_parameter_that_sounds_like_an_id_is_checked_here() -> None:
    named = {name for op in OPERATIONS for name in op.signature.parameters}
    assert {name for name in named if name.endswith(("id", "ids"))} == IDS | {
        *("ids", "course_ids", "group_ids", "site_ids")
    }
    assert named >= ID_LISTS


def required(op: Op) -> dict[str, Any]:
    wanted = [name for name, one in op.signature.parameters.items() if one.default is one.empty]
    return {name: VALID[name] for name in wanted if name in VALID}


@pytest.mark.parametrize(("op", "name"), list(parameters(IDS)))
def test_an_id_that_is_none_is_refused_at_the_call(op: Op, name: str, both: list[Any]) -> None:
    optional = op.signature.parameters[name].default is None
    for client, bad in itertools.product(both, BAD_IDS):
        if bad is not None or not optional:
            with pytest.raises(InvalidArgumentError, match=name):
                op.of(client)(**{**required(op), name: bad})


@pytest.mark.parametrize(("op", "name"), list(parameters(ID_LISTS)))
def test_a_list_with_an_id_that_is_none_is_refused_at_the_call(op: Op, name: str, both: list[Any]) -> None:
    for client, bad in itertools.product(both, BAD_IDS):
        with pytest.raises(InvalidArgumentError, match=name):
            op.of(client)(**{**required(op), name: ["fine", bad]})


@pytest.mark.parametrize(
    ("op", "name"), list(parameters(ID_LISTS | {"usernames", "statuses", "seat_types", "events"}))
)
def test_what_is_no_list_is_refused_where_a_list_belongs(op: Op, name: str, both: list[Any]) -> None:
    for client, bad in itertools.product(both, ["user_1", b"user_1", 7, True, object()]):
        with pytest.raises(InvalidArgumentError, match=name):
            op.of(client)(**{**required(op), name: bad})


@pytest.fixture(scope="module")
def both() -> Iterator[list[Any]]:
    """Both clients, on a wire that refuses everything."""
    transport = httpx.MockTransport(refused_wire)
    with httpx.Client(transport=transport) as http:
        yield [
            TrainingClient(TOKEN, base_url=ORIGIN, http_client=http),
            AsyncTrainingClient(TOKEN, base_url=ORIGIN, http_client=httpx.AsyncClient(transport=transport)),
        ]


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.resource not in ("", "resets")], ids=str)
def test_every_request_counts_towards_the_limit_of_its_path(op: Op) -> None:
    puppet = FakeDriver(lambda _: answer({}, 404))
    asked = op.descriptor._function(RESOURCES[op.resource](None, CALLS), **arguments(op))
    with pytest.raises(TrainingError):
        puppet.run(asked.step(asked.start()) if isinstance(op.descriptor, Listed) else asked)
    assert [request.limit for request in puppet.sent] == [family_of(puppet.sent[0].path)]


def arguments(op: Op) -> dict[str, Any]:
    """Something for every parameter that must be given, and somebody to add where nothing else would change."""
    given = {"add_users": ["u"]} if "add_users" in op.signature.parameters else {}
    return required(op) | given


# --- signatures and docs ----------------------------------------------------------------------------------------------


@each_operation
def test_every_operation_says_what_it_does_and_which_call_it_is(op: Op) -> None:
    doc = inspect.getdoc(op.descriptor) or ""
    first = doc.splitlines()[0]
    assert first.endswith((".", ":"))
    if op.resource:
        assert "REST: " in doc
        assert any(
            word in doc.lower() for word in ("published", "observed", "third-party", "assumed", "whoami")
        )


@each_operation
def test_both_clients_show_the_same_truthful_signature(op: Op, both: list[Any]) -> None:
    sync, asynchronous = (inspect.signature(op.of(client)) for client in both)
    assert sync.parameters == asynchronous.parameters
    assert "self" not in sync.parameters
    model = str(op.signature.return_annotation).partition("[")[2].removesuffix("]")
    if isinstance(op.descriptor, Listed):
        assert (sync.return_annotation, asynchronous.return_annotation) == (
            f"Listing[{model}]",
            f"AsyncListing[{model}]",
        )
    else:
        assert (sync.return_annotation, asynchronous.return_annotation) == (
            model,
            f"Coroutine[Any, Any, {model}]",
        )
    for client in both:
        assert inspect.getdoc(op.of(client)) == inspect.getdoc(op.descriptor)
        assert op.of(client).__name__ == op.name
        assert op.of(client) == op.of(client)


@each_operation
def test_help_shows_parameters_and_documentation(op: Op) -> None:
    shown = pydoc.plain(pydoc.render_doc(getattr(RESOURCES[op.resource], op.name)))
    for name in op.signature.parameters:
        assert name in shown
    assert (inspect.getdoc(op.descriptor) or "").splitlines()[0] in shown


def test_an_operation_taken_from_the_class_works_as_a_method_does() -> None:
    me = {"user_id": "u", "organisation_id": "o"}
    with httpx.Client(transport=httpx.MockTransport(over_the_wire(lambda _: answer(me)))) as http:
        client = TrainingClient(TOKEN, base_url=ORIGIN, http_client=http)
        assert Users.me(client.users) == client.users.me()


def test_a_subclass_may_override_an_operation_and_call_the_original() -> None:
    class Careful(TrainingClient):
        def request(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return super().request(*args, **kwargs)

    calls: list[Any] = []
    with httpx.Client(transport=httpx.MockTransport(over_the_wire(lambda _: answer({})))) as http:
        client = Careful(TOKEN, base_url=ORIGIN, http_client=http)
        for _ in range(2):
            client.request("GET", "/x")
    assert len(calls) == 2


@each_operation
def test_every_operation_has_its_types_tested_on_both_clients(op: Op) -> None:
    tested = (Path(__file__).parents[2] / "typing" / "good.py").read_text(encoding="utf-8")
    assert len(re.findall(rf"assert_type\(\s*client\.{op}\(", tested)) >= 2


# --- what users import ------------------------------------------------------------------------------------------------


def test_all_is_complete_sorted_and_reachable() -> None:
    names: list[str] = vars(training_sdk)["__all__"]
    assert list(names) == sorted(names)
    assert len(set(names)) == len(names)
    public = {
        name
        for name in vars(training_sdk)
        if not name.startswith("_") and not inspect.ismodule(vars(training_sdk)[name])
    }
    assert public <= set(names) <= set(dir(training_sdk))
    assert set(names) == {*training_sdk._MODULES, "__version__"}
    for name in names:
        assert getattr(training_sdk, name) is vars(training_sdk)[name]
    with pytest.raises(AttributeError, match="no attribute 'Curse'"):
        attrgetter("Curse")(training_sdk)


def test_a_resource_is_made_when_it_is_used_and_stays() -> None:
    client = TrainingClient("token", base_url="http://127.0.0.1:1")
    assert set(RESOURCES) - {""} <= set(dir(client))
    assert "courses" not in vars(client)
    assert client.courses is client.courses
    with pytest.raises(AttributeError, match="no attribute 'curses'"):
        attrgetter("curses")(client)


@pytest.mark.parametrize("name", training_sdk._MODULES)
def test_every_public_name_is_documented_down_to_its_methods(name: str) -> None:
    thing = getattr(training_sdk, name)
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items():
        if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{member}"


def test_every_error_is_public() -> None:
    from training_sdk import errors

    declared = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert declared <= set(training_sdk._MODULES)


def test_only_the_drivers_import_httpx() -> None:
    where = Path(training_sdk.__file__).parent
    users = {
        path.name
        for path in where.rglob("*.py")
        if "import httpx" in path.read_text() and "testing" not in path.parts
    }
    assert users == {"network.py"}


def test_every_module_imports_alone_and_says_what_it_is() -> None:
    for found in pkgutil.walk_packages(training_sdk.__path__, "training_sdk."):
        if ".testing" not in found.name and not found.name.endswith("__main__"):  # which runs
            assert import_module(found.name).__doc__ or found.name.endswith("_version"), found.name


# --- assignments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"add_users": ["a"], "remove_users": ["a"]},
        {"add_users": [f"u{n}" for n in range(1001)]},
        {"universal_access": "yes"},
        {"universal_access": 1},
        {"clear_all_users": "true"},
        {"clear_all_sites": 1},
    ],
)
def test_impossible_assignments_are_refused_at_the_call(wrong: dict[str, Any], both: list[Any]) -> None:
    for client in both:
        with pytest.raises(InvalidArgumentError):
            client.courses.update_assignments(COURSE, **wrong)


@pytest.mark.parametrize("clear", ["clear_all_users", "clear_all_groups", "clear_all_sites"])
def test_clearing_everyone_needs_the_title(ask: Asker, clear: str, both: list[Any]) -> None:
    for client in both:
        with pytest.raises(ConfirmationError, match="Pass the course's title as confirm"):
            client.courses.update_assignments(COURSE, **{clear: True})
    sent: list[tuple[str, bytes | None]] = []

    def reply(request: Any) -> Any:
        sent.append((request.method, request.body))
        return (
            answer({"totalCount": 1, "items": [{"id": COURSE, "title": "Forklift"}]})
            if request.method == "GET"
            else answer({})
        )

    def clearing(confirm: Any) -> Callable[[Any], Any]:
        return lambda client: client.courses.update_assignments(COURSE, **{clear: True}, confirm=confirm)

    for wrong in ("forklift", "", True, "Forklift "):
        with pytest.raises(ConfirmationError):
            ask(over_the_wire(reply), clearing(wrong))
    assert {method for method, _ in sent} == {"GET"}
    done = ask(over_the_wire(reply), clearing("Forklift"))
    assert done.users_updated == 0
    assert sent[-1][0] == "PUT"


def test_assignments_are_a_change_list(ask: Asker) -> None:
    wire = Recorded(lambda _: answer({"usersUpdated": 2}))
    done = ask(
        over_the_wire(wire),
        lambda client: client.courses.update_assignments(
            COURSE, add_users=["a", "a"], remove_groups=["g"], add_sites=["s"], universal_access=False
        ),
    )
    assert (done.users_updated, done.groups_updated) == (2, 0)
    assert [one.body for one in wire.sent] == [
        b'{"assignments":[{"id":"a","type":"ASSIGNMENT_TYPE_USER","isAssigned":true},'
        b'{"id":"g","type":"ASSIGNMENT_TYPE_GROUP","isAssigned":false},'
        b'{"id":"s","type":"ASSIGNMENT_TYPE_SITE","isAssigned":true}],"universalAccess":false}'
    ]
