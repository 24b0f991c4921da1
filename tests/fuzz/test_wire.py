"""The whole server against bytes that no honest client sends: it answers by the book, and nobody's progress is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from fuzz.harness import WatchedServer, watched_server
from fuzz.mutations import Delivery, deliveries
from fuzz.seeds import KNOWN
from mock_server.api.routes import OPERATIONS

_LOOSE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
FAST = settings(max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=_LOOSE)
LONG = settings(
    max_examples=1000, database=None, deadline=None, suppress_health_check=_LOOSE, print_blob=True
)


@pytest.fixture(scope="module")
def served() -> Iterator[WatchedServer]:
    with watched_server() as made:
        yield made


def test_every_seed_is_a_sound_request(served: WatchedServer) -> None:
    assert {each.name for each in KNOWN} >= {operation.name for operation in OPERATIONS}
    for each in KNOWN:
        served.try_out(Delivery(each.render()))
        (exchange,) = served.seen
        assert exchange.response.status < 300 or exchange.response.status == 501, (each.name, exchange)


@FAST
@given(delivery=deliveries(KNOWN))
def test_no_bytes_whatever_unsettle_the_server(served: WatchedServer, delivery: Delivery) -> None:
    served.try_out(delivery)


@pytest.mark.heavy
@LONG
@given(delivery=deliveries(KNOWN))
def test_no_bytes_whatever_unsettle_the_server_for_long(served: WatchedServer, delivery: Delivery) -> None:
    served.try_out(delivery)
