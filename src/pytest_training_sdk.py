"""The pytest plugin: a simulated organisation for each test, clients, a server, and a report of requests on failure.

pytest finds it through its entry point, so there is nothing to import. It is outside of both packages and imports them
late, when a test uses a fixture: an installed plugin that is not used costs no time, and coverage is measured from the
first line on.
"""

from __future__ import annotations

import inspect
import os
import re
import uuid
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mock_server import MockTraining
    from mock_server.control.calls import Exchange
    from mock_server.transports.serving import Server
    from training_sdk import AsyncTrainingClient, TrainingClient
    from training_sdk.testing.contract.checks import Check
    from training_sdk.testing.contract.findings import CheckResult
    from training_sdk.testing.contract.wire import Wire
    from training_sdk.testing.contract.world import World

MARKERS = (
    'training_world(seed="demo", *, now=None, users=50, courses=12, random_seed=0): the simulated organisation of'
    ' training_mock: "demo", or "generated" with these numbers; now (a datetime, or text such as'
    ' "2026-11-30T09:00:00Z") stops its clock.',
    "training_policy(**switches): the rules of the organisation where the sources differ, such as"
    ' eligibility="completed". Several markers are combined; the nearest one wins.',
    "training_lag(lag): the age of feed and analytics, a timedelta of 0 to 2 h.",
    'training_faults(kind, **details): a fault of the server, with the arguments of mock.faults.add, such as "error",'
    ' operation="ListCourses", times=2. Several markers are combined.',
)

_BASE_URL = os.environ.get("SAFETYCULTURE_ONLY_BASE_URL") or "https://api.safetyculture.io"
"""Any address works, because no client of a fixture sends over a network."""
_TOKEN = "SAFETYCULTURE_API_TOKEN"  # noqa: S105 - the name of a variable
_RECORDS = "TRAINING_SDK_STATE_DIR"
_OPTION = "--training-base-url"
_WORLD = pytest.StashKey["MockTraining"]()
_KEPT = pytest.StashKey[Path]()
_WIRE: pytest.StashKey[Wire] = pytest.StashKey()
_SHAPING = frozenset({"training_world", "training_policy", "training_lag", "training_faults"})
_SHOWN = 30
_LONGEST = 300

_T = TypeVar("_T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names a service to be checked."""
    parser.getgroup("training-sdk").addoption(
        _OPTION,
        metavar="URL",
        help="run the contract tests that change nothing against the service at this address, one test per check."
        f" The token comes from {_TOKEN}.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for each in MARKERS:
        config.addinivalue_line("markers", each)
    if config.getoption(_OPTION) and not os.environ.get(_TOKEN):
        raise pytest.UsageError(f"{_OPTION} needs a token. Set {_TOKEN}.")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the connection to the service."""
    wire = config.stash.get(_WIRE, None)
    if wire is not None:
        wire.close()


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose among the tests
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the checks of the contract kit that change nothing, if a service is named."""
    url = config.getoption(_OPTION)
    if url:
        world = _named_world(config, url)
        contract = TrainingContract.from_parent(
            session, name="training-contract", nodeid="training-contract", world=world
        )
        items += session.genitems(contract)  # not collect(): pytest counts what it generates itself


def _named_world(config: pytest.Config, url: str) -> World:
    from training_sdk.errors import InvalidArgumentError
    from training_sdk.testing.contract import Wire, runner
    from training_sdk.testing.contract.environment import from_environment

    try:
        wire = config.stash[_WIRE] = Wire.to(url, read_only=True)
        return runner.readable(wire, from_environment())
    except InvalidArgumentError as error:
        raise pytest.UsageError(f"{_OPTION}: {error.message}") from None


class _Service:
    """The service to check. Its first failure to be read is the result of all later checks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._fault: str | None = None

    def made(self, check: Check) -> CheckResult | str:
        """Return the finding of a check, or the reason why the service cannot be read."""
        from training_sdk.testing.contract import CannotRunError
        from training_sdk.testing.contract.environment import looked_at

        try:
            if self._fault is None:
                self._fault = ""
                looked_at(self._world)
            return self._fault or check.made(self._world)
        except CannotRunError as error:
            self._fault = str(error)
            return self._fault


class TrainingContract(pytest.Collector):
    """The rules, as far as they can be checked by reading."""

    def __init__(self, *, world: World, **known: Any) -> None:
        super().__init__(**known)
        self._service = _Service(world)

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one test per check."""
        from training_sdk.testing.contract import runner

        for each in runner.all_checks(read_only=True):
            yield TrainingRule.from_parent(self, name=each.name, check=each, service=self._service)


class TrainingRule(pytest.Item):
    """One check of one rule."""

    def __init__(self, *, check: Check, service: _Service, **known: Any) -> None:
        super().__init__(**known)
        self._check = check
        self._service = service

    def runtest(self) -> None:
        """Run the check; skip it, with the reason, if it cannot be run."""
        found = self._service.made(self._check)
        if isinstance(found, str):
            pytest.fail(found, pytrace=False)
        if found.result == "not checked":
            pytest.skip(found.seen)
        if found.result == "broken":
            said = (
                found.says,
                f"sent     {found.sent}",
                f"expected {found.expected}",
                f"received {found.came}",
            )
            pytest.fail(f"{found.rule} ({found.provenance}): " + "\n  ".join(said), pytrace=False)
        if found.result != "holds":
            pytest.fail(found.seen, pytrace=False)

    def reportinfo(self) -> tuple[str, None, str]:
        """Return the location: the contract kit, not a file of the user."""
        return "training-contract", None, f"training-contract::{self.name}"


@pytest.fixture
def training_mock(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MockTraining]:
    """A reference server with a world of its own, shaped by the markers training_world, _policy, _lag and _faults.

    Every client of the test stores its records (plans, evidence, audit log) in a directory of the test
    (TRAINING_SDK_STATE_DIR), apart from those of the user and of other tests.
    """
    mock = _new_world(request.node)
    request.node.stash[_WORLD] = mock
    name = re.sub(r"[^\w.-]+", "-", request.node.name)[:60]
    records = tmp_path_factory.getbasetemp() / "training-sdk" / f"{name}-{uuid.uuid4().hex[:8]}"
    request.node.stash[_KEPT] = records
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(_RECORDS, str(records))
        yield mock


@pytest.fixture
def training_client(training_mock: MockTraining) -> Iterator[TrainingClient]:
    """A TrainingClient of ``training_mock`` with the token of its administrator."""
    import httpx

    from training_sdk import TrainingClient

    with httpx.Client(transport=training_mock.transport()) as http:
        yield TrainingClient(training_mock.token("admin"), base_url=_BASE_URL, http_client=http)


@pytest.fixture
def async_training_client(training_mock: MockTraining) -> AsyncTrainingClient:
    """An AsyncTrainingClient of ``training_mock`` with the token of its administrator; nothing has to be closed.

    A test that awaits it needs a plugin that runs it: ``@pytest.mark.anyio``, or pytest-asyncio's marker.
    """
    import httpx

    from training_sdk import AsyncTrainingClient

    http = httpx.AsyncClient(transport=training_mock.transport())
    return AsyncTrainingClient(training_mock.token("admin"), base_url=_BASE_URL, http_client=http)


@pytest.fixture
def training_server(training_mock: MockTraining) -> Iterator[Server]:
    """``training_mock`` on a free port of this machine; its ``url`` is the base URL."""
    with training_mock.serve() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test with a marker for ``training_mock`` that does not use it: the marker would have no effect."""
    done = yield
    idle = [each.name for each in item.own_markers if each.name in _SHAPING]
    if idle and _WORLD not in item.stash:
        pytest.fail(
            f"The marker {idle[0]} configures training_mock, which this test does not use. Use the fixture, or remove "
            "the marker.",
            pytrace=False,
        )
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the requests of a failed test, and the changes in its organisation since it began."""
    report = yield
    mock = item.stash.get(_WORLD, None)
    if mock is not None and report.failed:
        for heading, make in (
            ("Requests to training_mock", lambda: _requests(mock)),
            ("Changes in training_mock since the test began", lambda: _changes(item, mock)),
        ):
            report.sections.append((heading, _in_any_case(make)))
        if item.stash[_KEPT].exists():
            report.sections.append(("Records stored by the SDK", str(item.stash[_KEPT])))
    return report


def _in_any_case(make: Callable[[], str]) -> str:
    """Return a section of the report, or the reason for its absence: an error here would end the whole run."""
    from mock_server.terminal_text import visible

    try:
        return visible(make())
    except (Exception, pytest.fail.Exception) as error:
        return f"not available: {error}"


def _new_world(node: pytest.Item) -> MockTraining:
    """Return the server for the markers of a test; the nearest policy wins, faults keep their order."""
    from mock_server import MockTraining, Policy
    from mock_server.control.faults import Fault

    switches: dict[str, Any] = {}
    for marker in _outermost_first(node, "training_policy"):
        switches |= _called("training_policy", _switches, *marker.args, **marker.kwargs)
    policy = _called("training_policy", Policy, **switches)
    world, lag = node.get_closest_marker("training_world"), node.get_closest_marker("training_lag")
    shape = _called("training_world", _shape, *world.args, **world.kwargs) if world else {}
    make = MockTraining.generate if "users" in shape else MockTraining.demo
    mock = _called("training_world", make, policy=policy, **shape)
    if lag is not None:
        _called("training_lag", partial(_set_lag, mock), *lag.args, **lag.kwargs)
    for marker in _outermost_first(node, "training_faults"):
        _fits("training_faults", Fault, *marker.args, **marker.kwargs)
        _called("training_faults", mock.faults.add, *marker.args, **marker.kwargs)
    return mock


def _outermost_first(node: pytest.Item, name: str) -> list[pytest.Mark]:
    return list(node.iter_markers(name))[::-1]


def _called(marker: str, call: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """Call a function with the arguments of a marker; fail the test with the reason alone if it refuses them."""
    _fits(marker, call, *args, **kwargs)
    try:
        return call(*args, **kwargs)
    except (TypeError, ValueError) as error:
        pytest.fail(f"{marker}: {error}", pytrace=False)


def _fits(marker: str, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """Fail the test, with the accepted names, unless the call accepts the arguments."""
    takes = inspect.signature(call)
    try:
        takes.bind(*args, **kwargs)
    except TypeError as error:
        pytest.fail(f"{marker}: {error}. It accepts {', '.join(takes.parameters)}.", pytrace=False)


def _switches(**switches: Any) -> dict[str, Any]:
    return switches


def _set_lag(mock: MockTraining, lag: timedelta) -> None:
    mock.lag = lag


def _shape(
    seed: str = "demo",
    *,
    now: datetime | str | None = None,
    users: int | None = None,
    courses: int | None = None,
    random_seed: int | None = None,
) -> dict[str, Any]:
    given = {"users": users, "courses": courses, "random_seed": random_seed}
    sizes = {name: size for name, size in given.items() if size is not None}
    if seed not in ("demo", "generated") or (seed == "demo" and sizes):
        raise ValueError(
            f'{seed!r} with {", ".join(sizes) or "nothing"} is not valid: "demo" accepts only now, "generated"'
            " also users, courses and random_seed."
        )
    if seed == "demo":
        return {"now": _moment(now)}
    random_seed = sizes.pop("random_seed", 0)
    return {"users": 50, "courses": 12, "now": _moment(now)} | sizes | {"seed": random_seed}


def _moment(now: datetime | str | None) -> datetime | None:
    if not isinstance(now, str):
        return now
    try:
        return datetime.fromisoformat(now)
    except ValueError:
        raise ValueError(
            f"now must be a date with a time zone, such as 2026-11-30T09:00:00Z, not {now!r}."
        ) from None


def _requests(mock: MockTraining) -> str:
    seen = mock.calls.seen
    earlier = len(seen) + mock.calls.dropped - len(seen[-_SHOWN:])
    lines = [f"... and {earlier} before these"] if earlier else []
    for each in seen[-_SHOWN:]:
        lines += [str(each), *_details(each)]
    return "\n".join(lines) or "none"


def _changes(node: pytest.Item, mock: MockTraining) -> str:
    """Return the differences from a new world with the same markers, made only for a test that failed."""
    from mock_server.world.differences import brief

    return "\n".join(map(_short, brief(mock.diff(_new_world(node).state()), _SHOWN))) or "none"


def _details(exchange: Exchange) -> Iterator[str]:
    """Yield the content of a request, and the answer of a refusal."""
    confirmation = exchange.header("reset-confirmation")
    if confirmation is not None:
        yield f"     confirmed {confirmation[:_LONGEST]}"
    if exchange.body.data:
        yield f"     sent {_short(exchange.body.text)}"
    if exchange.status >= 400:
        yield f"     {_short(exchange.answer.text)}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
