"""What a client is made with, what it shows of itself, and what it never shows."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import anyio
import httpx
import pytest
import requests

import training_sdk
from mock_server import MockTraining
from training_sdk import (
    AsyncTrainingClient,
    AuthenticationError,
    InvalidArgumentError,
    OutcomeUnknownError,
    People,
    ResetFormat,
    TrainingClient,
    TrainingError,
)
from unit.sdk.fakes import (
    ORIGIN,
    TOKEN,
    Asker,
    Recorded,
    answer,
    no_waiting,
    over_the_wire,
    refused_wire,
)

ME = {"user_id": "u", "organisation_id": "o"}
CLIENTS = [TrainingClient, AsyncTrainingClient]
each_client = pytest.mark.parametrize("kind", CLIENTS)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SAFETYCULTURE_API_TOKEN", "SAFETYCULTURE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def seen(ask: Asker, use: Any, **options: Any) -> httpx.Request:
    """The request that a call sends."""
    wire = Recorded(lambda _: httpx.Response(200, json=ME))
    ask(wire, use, **options)
    request: httpx.Request
    (request,) = wire.sent
    return request


def whoami(client: Any) -> Any:
    return client.users.me()


# --- tokens -----------------------------------------------------------------------------------------------------------


@each_client
@pytest.mark.parametrize(
    "token", ["", " ", "\n", "a b", "token\n", "\ttoken", "tök", "a\x00b", "a\r\nx: y", 7, b"token", ["t"]]
)
def test_a_token_that_cannot_stand_in_a_header_is_refused_without_repeating_it(kind: Any, token: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="API token") as caught:
        kind(token)
    if isinstance(token, str) and len(token) > 1:
        assert token not in str(caught.value)


@each_client
def test_no_token_at_all_says_how_to_give_one(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "", " "):
        if value is not None:
            monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", value)
        with pytest.raises(InvalidArgumentError, match="set SAFETYCULTURE_API_TOKEN"):
            kind()


def test_a_token_is_sent_as_a_bearer(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(ask, whoami).headers["authorization"] == f"Bearer {TOKEN}"


def test_a_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_API_TOKEN", "from-the-environment")
    monkeypatch.setenv("SAFETYCULTURE_BASE_URL", "https://gate.example.test/api/")
    wire = Recorded(lambda _: httpx.Response(200, json=ME))
    with httpx.Client(transport=httpx.MockTransport(wire)) as http:
        TrainingClient(http_client=http).users.me()
        TrainingClient("given", base_url=ORIGIN, http_client=http).users.me()
    assert [request.headers["authorization"] for request in wire.sent] == [
        "Bearer from-the-environment",
        "Bearer given",
    ]
    assert [str(request.url) for request in wire.sent] == [
        "https://gate.example.test/api/accounts/user/v1/user:WhoAmI",
        f"{ORIGIN}/accounts/user/v1/user:WhoAmI",
    ]


@each_client
@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_base_url_is_an_error(kind: Any, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_BASE_URL", value)
    with pytest.raises(InvalidArgumentError, match="SAFETYCULTURE_BASE_URL must not be empty"):
        kind("t")


@each_client
@pytest.mark.parametrize("variable", ["SAFETYCULTURE_BASE_URL", "SAFETYCULTURE_ONLY_BASE_URL"])
@pytest.mark.parametrize(
    "value", ["elsewhere", "https://a.test:port", "https://a.test/?x", "https://a.test/%2e"]
)
def test_bad_address_names_variable(
    kind: Any, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidArgumentError) as caught:
        kind("t")
    assert f"{variable} " in caught.value.message
    assert "base_url" not in caught.value.message


def test_a_callable_token_is_asked_for_every_request(ask: Asker) -> None:
    tokens = iter(["first", "second"])
    sent: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(401 if len(sent) == 1 else 200, json=ME)

    options: dict[str, Any] = {"token": lambda: next(tokens)}

    def twice(client: Any) -> Any:
        return client.with_options(**options).users.me()

    with pytest.raises(AuthenticationError):
        ask(handle, twice)
    ask(handle, twice)
    assert sent == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("rubbish", [None, "", 7, b"t", "a b", "t\n"])
def test_a_callable_token_that_returns_rubbish_is_an_error_in_words(ask: Asker, rubbish: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="API token"):
        ask(refused_wire, lambda client: client.with_options(token=lambda: rubbish).users.me())


def test_what_a_callable_token_raises_is_raised(ask: Asker) -> None:
    def sealed() -> str:
        raise LookupError("the vault is sealed")

    with pytest.raises(LookupError, match="sealed"):
        ask(refused_wire, lambda client: client.with_options(token=sealed).users.me())
    with pytest.raises(LookupError, match="sealed"):
        ask(refused_wire, lambda client: client.with_options(token=sealed).request("POST", "/x"))


async def later() -> str:
    await anyio.lowlevel.checkpoint()
    return "later"


def test_an_async_token_is_awaited_by_the_async_client_and_refused_by_the_sync_one(ask: Asker) -> None:
    def use(client: Any) -> Any:
        return client.with_options(token=later).users.me()

    if ask.backend == "sync":
        with pytest.raises(InvalidArgumentError, match="Use it with AsyncTrainingClient"):
            ask(refused_wire, use)
    else:
        assert seen(ask, use).headers["authorization"] == "Bearer later"


# --- options ----------------------------------------------------------------------------------------------------------


@each_client
@pytest.mark.parametrize(
    "wrong",
    [
        *({"timeout": 0}, {"timeout": -1}, {"timeout": "30"}, {"timeout": True}, {"timeout": float("nan")}),
        *(
            {"timeout": None},
            {"max_retry_seconds": -1},
            {"max_retry_seconds": float("inf")},
            {"allow_insecure_http": 1},
        ),
        *(
            {"reset_format": {}},
            {"http_client": "http"},
            {"http_client": object()},
            {"http_client": httpx.Client},
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        kind("t", **wrong)


def test_an_http_client_of_the_wrong_colour_or_module_is_refused(library: Any) -> None:
    name = library.__name__
    right = r"must be an httpx\.{0} or httpx2\.{0} for this client, not {1}\."
    wrong: Any
    for wrong, module in ((library.AsyncClient(), name), (requests.Session(), "requests"), ("x", "builtins")):
        with pytest.raises(InvalidArgumentError, match=right.format("Client", module)):
            TrainingClient("t", http_client=wrong)
    with (
        library.Client() as http,
        pytest.raises(InvalidArgumentError, match=right.format("AsyncClient", name)),
    ):
        AsyncTrainingClient("t", http_client=http)


def test_a_client_of_a_subclass_or_a_double_of_one_is_taken(library: Any) -> None:
    """Any other is an error, as above."""

    class Own(library.Client):  # type: ignore[misc]  # which of two classes, mypy cannot know
        pass

    with Own() as http:
        for given in (http, Mock(spec=library.Client)):
            assert TrainingClient("t", http_client=given)._driver._wire.http is given


def test_a_reset_goes_through_a_client_of_each_library(library: Any, tmp_path: Path) -> None:
    mock = MockTraining.demo()
    with mock.serve() as server, library.Client() as http:
        client = TrainingClient(
            mock.token("admin"), base_url=server.url, http_client=http, state_dir=tmp_path
        )
        plan = client.resets.plan(["6908610029087ab67fa50c2e"], People.of(["siobhan.doyle@nordwerk.example"]))
        assert client.resets.apply(plan, confirm=plan.phrase, reason="Yearly").is_complete
    agents = {dict(call.headers).get("user-agent") for call in mock.calls}
    assert [str(agent).split()[-1] for agent in agents] == [f"{library.__name__}/{library.__version__}"]


def test_with_options_changes_what_is_named_and_nothing_else(ask: Asker) -> None:
    def use(client: Any) -> Any:
        other = client.with_options(token="another", timeout=5, max_retry_seconds=0)
        assert type(other) is type(client)
        assert other.base_url == client.base_url
        return other.users.me()

    request = seen(ask, use, reset_format=ResetFormat(users="user_ids"))
    assert request.headers["authorization"] == "Bearer another"
    assert request.extensions["timeout"]["read"] == 5


@pytest.mark.parametrize(
    "wrong", [{"token": ""}, {"timeout": 0}, {"max_retry_seconds": -1}, {"reset_format": "x"}]
)
def test_with_options_checks_as_the_client_does(ask: Asker, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        ask(refused_wire, lambda client: client.with_options(**wrong).users.me())


def test_requests_say_who_sends_them(ask: Asker) -> None:
    headers = seen(ask, whoami).headers
    assert re.fullmatch(r"training-sdk/\S+ python/\S+ httpx/\S+", headers["user-agent"])
    assert training_sdk.__version__ in headers["user-agent"]
    assert headers["accept"] == "application/json"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-request-id"])


def test_a_client_from_outside_keeps_its_headers_but_not_its_auth_params_or_redirects() -> None:
    wire = Recorded(lambda _: httpx.Response(302, headers={"location": "https://elsewhere.test/"}))
    settings: dict[str, Any] = {
        "auth": ("user", "password"),
        "params": {"userIds": "everyone"},
        "headers": {"x-corporate": "1", "authorization": "Basic nope"},
        "cookies": {"session": "1"},
        "follow_redirects": True,
        "base_url": "https://elsewhere.test/api",
    }
    with httpx.Client(transport=httpx.MockTransport(wire), **settings) as http:
        client = TrainingClient(TOKEN, base_url=ORIGIN, http_client=http)
        with pytest.raises(TrainingError, match="redirects"):
            client.users.me()
    (request,) = wire.sent
    assert str(request.url) == f"{ORIGIN}/accounts/user/v1/user:WhoAmI"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["x-corporate"] == "1"


# --- closing ----------------------------------------------------------------------------------------------------------


def test_a_closed_client_says_so() -> None:
    with TrainingClient("t", base_url="http://127.0.0.1:9") as client:
        assert not client._driver._wire.http.is_closed
    with pytest.raises(InvalidArgumentError, match="The client is closed"):
        client.users.me()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_closed_async_client_says_so(backend: str) -> None:
    async def main() -> None:
        async with AsyncTrainingClient("t", base_url="http://127.0.0.1:9") as client:
            pass
        with pytest.raises(InvalidArgumentError, match="The client is closed"):
            await client.users.me()

    anyio.run(main, backend=backend)


def test_connections_from_outside_are_not_closed() -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=ME))) as http:
        with TrainingClient("t", base_url=ORIGIN, http_client=http) as client:
            other = client.with_options(timeout=1)
        other.close()
        assert not http.is_closed
        assert client.users.me() == other.users.me()


def test_many_threads_share_a_client() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        page = request.url.params["searchTerm"]
        return httpx.Response(200, json={"totalCount": 1, "items": [{"id": page, "title": page}]})

    wrong: list[Any] = []
    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        client = TrainingClient(lambda: TOKEN, base_url=ORIGIN, http_client=http)

        def work(name: str) -> None:
            for _ in range(12):  # all together fewer than the pace lets through in its window
                found = [one.id for one in client.courses.list(search=name)]
                if found != [name]:
                    wrong.append((name, found))

        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# --- client.request ---------------------------------------------------------------------------------------------------


def test_request_sends_what_it_is_told(ask: Asker) -> None:
    params = {"a": 1, "b": [True, "x y"], "c": None, "d": ""}
    request = seen(
        ask,
        lambda client: client.request(
            "post", "/some/thing", params=params, json={"ü": 1}, headers={"X-Trace": "1"}
        ),
        base_url=f"{ORIGIN}/gate",
    )
    assert str(request.url) == f"{ORIGIN}/gate/some/thing?a=1&b=true&b=x+y&d="
    assert request.content == '{"ü":1}'.encode()
    assert (request.method, request.headers["x-trace"]) == ("POST", "1")


def test_request_returns_what_came(ask: Asker) -> None:
    raw = ask(over_the_wire(lambda _: answer([1, "2"])), lambda client: client.request("GET", "/x"))
    assert (raw.status, raw.json(), raw.body) == (200, [1, "2"], b'[1, "2"]')
    assert "body" not in repr(raw)
    assert pickle.loads(pickle.dumps(raw)) == raw


@pytest.mark.parametrize(
    "wrong",
    [
        *({"method": ""}, {"method": "CONNECT"}, {"method": "GET\r\n"}, {"method": 7}, {"method": "TRACE"}),
        *({"params": [("a", 1)]}, {"params": {"a": {}}}, {"params": {"a": "\ud800"}}, {"params": {1: "a"}}),
        *({"json": object()}, {"json": {"a": float}}, {"json": "\ud800"}),
        *(
            {"headers": {"a b": "x"}},
            {"headers": {"a\n": "x"}},
            {"headers": {"": "x"}},
            {"headers": {"ü": "x"}},
        ),
        *(
            {"headers": {"a": "ü"}},
            {"headers": {"a": "x\r\nb: c"}},
            {"headers": {"a": 7}},
            {"headers": ["a"]},
        ),
        *(
            {"headers": {name: "x"}}
            for name in ("Authorization", "HOST", "Content-Length", "Reset-Confirmation")
        ),
        *(
            {"headers": {name: "x"}}
            for name in ("Idempotency-Key", "X-HTTP-Method-Override", "X-Original-URL")
        ),
    ],
)
def test_request_refuses_what_cannot_be_meant(ask: Asker, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        ask(refused_wire, lambda client: client.request(**{"method": "GET", "path": "/x", **wrong}))


ROUTING = (
    *("Cookie", "Cookie2", "Forwarded", "Destination", "X-Host", "X-Path", "X-Request-URI", "Upgrade"),
    *("Expect", "X-Forwarded-Host", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Prefix"),
    *("X-Forwarded-Proto", "X-Original-Host", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL"),
    *("X-Rewrite-Uri", "X-Proxy-Url", "X-Forwarded", "X-Forward-For", "X-Backend-Host", "X-Target-Host"),
    *("X-Upstream-Url", "X-Url-Scheme", "X-Remote-User", "X-Envoy-Original-Path", "X-HTTP-Host-Override"),
    *("X-HTTP-DestinationURL", "X-Method-Override", "Proxy-Host"),
)


@pytest.mark.parametrize("name", ROUTING)
@pytest.mark.parametrize("spelled", [str, str.upper, lambda name: name.replace("-", "_")])
def test_request_refuses_headers_that_reroute(ask: Asker, name: str, spelled: Callable[[str], str]) -> None:
    headers = {spelled(name): "/training/courseprogress/v1/reset"}
    with pytest.raises(InvalidArgumentError, match="Nothing was sent"):
        ask(refused_wire, lambda client: client.request("POST", "/x", json={}, headers=headers))


@pytest.mark.parametrize(
    "name", ["X-Trace", "Accept-Language", "X-Training-Mock-Secret", "If-Match", "X-Request-ID"]
)
def test_request_takes_other_headers(ask: Asker, name: str) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.headers.get(name))

    assert ask(handle, lambda client: client.request("GET", "/x", headers={name: "v"})).json() == "v"


@pytest.mark.parametrize(
    ("method", "sent"), [("GET", 2), ("HEAD", 2), ("POST", 1), ("PUT", 1), ("PATCH", 1), ("DELETE", 1)]
)
def test_request_repeats_only_what_may_be_repeated(ask: Asker, method: str, sent: int) -> None:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(503 if len(requests) == 1 else 200)

    with no_waiting():
        if sent == 1:
            with pytest.raises(OutcomeUnknownError):
                ask(handle, lambda client: client.request(method, "/x"))
        else:
            ask(handle, lambda client: client.request(method, "/x"))
    assert len(requests) == sent
