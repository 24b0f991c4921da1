"""A gateway between client and service: its headers unlock nothing, and an honest one is no hindrance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import pytest

from e2e.gateway import Gateway, Headers, gateway
from mock_server import MockTraining, Policy
from training_sdk import (
    AsyncTrainingClient,
    Outcome,
    OutcomeUnknownError,
    PlanMismatchError,
    ResetFormat,
    TrainingClient,
    UnconfirmedFormatError,
)
from training_sdk.format_proof.proofs import ProofScope, save_proof
from training_sdk.records.state import StateDirectory
from unit.sdk.proving import proof_of

RESET = "/training/courseprogress/v1/reset"
CAUSES = "a gateway adds the header.*or the reference server is older than this client"
Meddle = Callable[[Headers, Headers], None]


def mark(asked: Headers, answer: Headers) -> None:
    """Add the reference server's mark."""
    answer["x-training-mock"] = "1.0.0"


def echo(asked: Headers, answer: Headers) -> None:
    """Add the mark, and answer with the request id that the client sent."""
    answer |= {"x-training-mock": "1.0.0", "x-request-id": asked["x-request-id"]}


def replace(asked: Headers, answer: Headers) -> None:
    """Add the mark, and answer with a request id of its own."""
    answer |= {"x-training-mock": "1.0.0", "x-request-id": "gateway-1"}


class Replay:
    """Add an identity that the reference server once gave, to another request for the same."""

    def __init__(self) -> None:
        self.given = ""

    def __call__(self, asked: Headers, answer: Headers) -> None:
        if not self.given:
            with MockTraining.demo().serve() as server:
                found = httpx.get(f"{server.url}/accounts/user/v1/user:WhoAmI", headers={"x-request-id": "1"})
            self.given = found.headers["x-training-mock-identity"]
        answer |= {"x-training-mock": "1.0.0", "x-training-mock-identity": self.given}


@pytest.fixture
def live() -> Iterator[tuple[MockTraining, str]]:
    """A live service, as far as anybody can tell, and its address."""
    mock = MockTraining.generate(users=5, courses=3, policy=Policy(plays="live"))
    with mock.serve() as server:
        yield mock, server.url


@pytest.fixture(params=[mark, echo, replace, Replay()], ids=["marks", "echoes", "replaces", "replays"])
def marking(request: pytest.FixtureRequest, live: tuple[MockTraining, str]) -> Iterator[Gateway]:
    """A gateway before the live service that adds the mark to every answer."""
    with gateway(live[1], on_answer=request.param) as found:
        yield found


def first_course(mock: MockTraining) -> str:
    return next(iter(mock.world.main.courses.values())).id


def client_of(mock: MockTraining, where: Gateway, **options: Any) -> TrainingClient:
    return TrainingClient(mock.token("admin"), base_url=where.url, max_retry_seconds=0, **options)


def test_a_mark_that_a_gateway_adds_unlocks_no_reset(
    live: tuple[MockTraining, str], marking: Gateway
) -> None:
    mock, _ = live
    before = mock.state()
    with client_of(mock, marking) as client:
        plan = client.resets.plan_everyone(first_course(mock))
        assert not plan.origin.reference_server
        with pytest.raises(UnconfirmedFormatError, match=CAUSES):
            client.resets.apply(plan, confirm=plan.phrase, reason="renewal")
    assert ("POST", RESET) not in marking.seen
    assert not mock.diff(before)


def test_a_plan_made_on_the_reference_server_is_not_applied_where_only_the_mark_is(
    live: tuple[MockTraining, str], marking: Gateway
) -> None:
    mock, _ = live
    with client_of(mock, marking) as client:
        plan = client.resets.plan_everyone(first_course(mock))
        document = plan.document()
        forged = type(plan)(
            **{name: getattr(plan, name) for name in ("courses", "selection", "users", "read_at")},
            expires_at=plan.expires_at,
            origin=type(plan.origin)(**{**document["origin"], "reference_server": True}),
            warnings=plan.warnings,
        )
        with pytest.raises(PlanMismatchError, match=CAUSES):
            client.resets.apply(forged, confirm=forged.phrase, reason="renewal")
    assert ("POST", RESET) not in marking.seen


def test_nothing_is_proved_through_a_gateway_that_adds_the_mark(
    live: tuple[MockTraining, str], marking: Gateway
) -> None:
    mock, _ = live
    with client_of(mock, marking) as client, pytest.raises(PlanMismatchError, match=CAUSES):
        client.resets.plan_proof(first_course(mock), person="user1@generated.example")
    assert ("POST", RESET) not in marking.seen


def test_a_refusal_with_the_mark_alone_proves_nothing_either(live: tuple[MockTraining, str]) -> None:
    mock, url = live
    with (
        gateway(url, on_answer=mark) as found,
        TrainingClient("wrong", base_url=found.url) as client,
        pytest.raises(PlanMismatchError, match=CAUSES),
    ):
        client.resets.plan_proof(first_course(mock), person="user1@generated.example")


def test_resume_sends_nothing_again_where_only_the_mark_is(
    live: tuple[MockTraining, str], marking: Gateway
) -> None:
    mock, _ = live
    with client_of(mock, marking) as client:
        plan = client.resets.plan_everyone(first_course(mock))
        ground = ProofScope.of(plan.origin, ResetFormat(), server_side=False)
        state = StateDirectory.open()
        save_proof(state, proof_of(ground, datetime.now(UTC)))
        mock.lag = timedelta(hours=1)  # so that the feed shows for long what was before
        marking.loses = lambda target: target == RESET
        with pytest.raises(OutcomeUnknownError):
            client.resets.apply(plan, confirm=plan.phrase, reason="renewal")
        marking.loses = lambda target: False
        for user in plan.targets:  # they learn again: what a second reset would take from them
            mock.world.complete_course(user.course_id, user.user_id)
        report = client.resets.resume(plan, confirm=plan.phrase)
    assert report.counts[Outcome.UNKNOWN] == len(plan.targets)
    assert marking.seen.count(("POST", RESET)) == 1
    assert all(mock.world.record(user.course_id, user.user_id) for user in plan.targets)


# --- an honest gateway before the reference server ---------------------------------------------------------------


def hide_id(asked: Headers, answer: Headers) -> None:
    """Answer with a request id of its own."""
    answer["x-request-id"] = "gateway-1"


@pytest.mark.parametrize("prefix", ["", "/training-api"])
@pytest.mark.parametrize("meddle", [lambda asked, answer: None, hide_id], ids=["plain", "own ids"])
def test_the_reference_server_is_known_through_an_honest_gateway(prefix: str, meddle: Meddle) -> None:
    mock = MockTraining.generate(users=4, courses=3)
    with (
        mock.serve() as server,
        gateway(server.url, prefix=prefix, on_answer=meddle) as found,
        client_of(mock, found) as client,
    ):
        plan = client.resets.plan_everyone(first_course(mock))
        report = client.resets.apply(plan, confirm=plan.phrase)
    assert report.is_complete


def test_a_gateway_that_sends_request_ids_of_its_own_hides_the_reference_server() -> None:
    def own(headers: Headers) -> None:
        headers["x-request-id"] = "gateway-1"

    mock = MockTraining.generate(users=4, courses=3)
    with (
        mock.serve() as server,
        gateway(server.url, on_request=own) as found,
        client_of(mock, found) as client,
    ):
        plan = client.resets.plan_everyone(first_course(mock))
        with pytest.raises(UnconfirmedFormatError, match=CAUSES):
            client.resets.apply(plan, confirm=plan.phrase, reason="renewal")


# --- the vendor's hosts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["api.safetyculture.io", "API.SafetyCulture.com.", "api.mitti.com", "eu.mitti.com"]
)
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_no_identity_is_believed_from_a_host_of_the_vendor_over_the_network(
    host: str, colour: Literal["sync", "async"]
) -> None:
    """The true reference server answers under the vendor's name, to a client that somebody else made."""
    mock = MockTraining.generate(users=4, courses=3)
    course = first_course(mock)
    options: dict[str, Any] = {"base_url": f"http://{host}", "allow_insecure_http": True, "pace": False}

    def sync(proxy: str) -> None:
        with httpx.Client(proxy=proxy) as http:
            client = TrainingClient(mock.token("admin"), http_client=http, **options)
            plan = client.resets.plan_everyone(course)
            client.resets.apply(plan, confirm=plan.phrase, reason="renewal")

    async def asynchronous(proxy: str) -> None:
        async with httpx.AsyncClient(proxy=proxy) as http:
            client = AsyncTrainingClient(mock.token("admin"), http_client=http, **options)
            plan = await client.resets.plan_everyone(course)
            await client.resets.apply(plan, confirm=plan.phrase, reason="renewal")

    with mock.serve() as server, gateway(server.url) as found, pytest.raises(UnconfirmedFormatError):
        sync(found.url) if colour == "sync" else asyncio.run(asynchronous(found.url))
    assert ("POST", RESET) not in found.seen


def test_the_in_process_doors_go_on_under_the_vendors_name() -> None:
    mock = MockTraining.generate(users=4, courses=3)
    transports: list[Any] = [mock.transport(), "respx"]
    for transport in transports:
        if transport == "respx":
            with mock.respx():
                assert _identified(TrainingClient(mock.token("admin")), mock)
        else:
            with httpx.Client(transport=transport) as http:
                assert _identified(TrainingClient(mock.token("admin"), http_client=http), mock)

    async def over_asgi() -> bool:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=mock.asgi)) as http:
            client = AsyncTrainingClient(mock.token("admin"), http_client=http)
            plan = await client.resets.plan_everyone(first_course(mock))
            return plan.origin.reference_server

    assert asyncio.run(over_asgi())


def _identified(client: TrainingClient, mock: MockTraining) -> bool:
    return client.resets.plan_everyone(first_course(mock)).origin.reference_server
