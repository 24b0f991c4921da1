"""The budget: one count for everybody with the same token on the same server, which no reading ever fails for."""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, evolve
from filelock import FileLock, Timeout

from training_sdk import InvalidArgumentError, RateLimitError, TrainingClient
from training_sdk._core.flow import UNPACED, Flow, Moment, Request, Response, RunLocally, Sleep
from training_sdk._core.send_policy import call
from training_sdk._core.text import fingerprint
from training_sdk._core.urls import VENDOR_HOSTS
from training_sdk.records import request_budget
from training_sdk.records.request_budget import Budget, Limits, UsageStore
from unit.sdk.fakes import ORIGIN, START, TOKEN, Asker, FakeDriver, answer, no_waiting, script

LIMITS = Limits(catalogue=2, general=3, window=10.0, margin=1.0)
WHO = Request("GET", "/who")
COURSES = Request("GET", "/courses", limit="catalogue")
PERIOD = LIMITS.period
ME = {"user_id": "u", "organisation_id": "o"}


def state() -> Path:
    return Path(os.environ["TRAINING_SDK_STATE_DIR"])


def files() -> list[Path]:
    return sorted(state().rglob("*.json")) if state().exists() else []


@define
class Stage:
    """A puppet whose clock the budgets of several processes go by."""

    puppet: FakeDriver

    def now(self) -> Moment:
        return Moment(self.puppet.clock, START + timedelta(seconds=self.puppet.clock))

    def budget(self, token: str = TOKEN, *, origin: str = ORIGIN, automatic: bool = False) -> Budget:
        """As another process would have it."""
        budget = Budget(origin, fingerprint(token), automatic, LIMITS)
        ledger = UsageStore.of(origin, fingerprint(token), LIMITS)
        ledger.clocks = self.now
        budget._opened = ledger
        return budget

    def ask(self, budget: Any, request: Request = WHO, *, most: float = 90.0) -> Response:
        flow: Flow[Response] = call(request, lambda it: it, max_retry_seconds=most, pace=budget)
        return self.puppet.run(flow)

    def waits(self) -> list[float]:
        return [round(sleep.seconds, 3) for sleep in self.puppet.slept if sleep.planned]


def on(reply: Callable[[Request], Response] = lambda request: answer({})) -> Stage:
    return Stage(FakeDriver(reply))


def test_the_vendors_hosts_share_one_budget() -> None:
    names = {
        UsageStore.of(f"https://{host}", fingerprint(TOKEN), LIMITS).name
        for host in (*VENDOR_HOSTS, "api.mitti.com:443")
    }
    assert len(names) == 1
    assert UsageStore.of(ORIGIN, fingerprint(TOKEN), LIMITS).name not in names
    assert UsageStore.of("http://api.mitti.com", fingerprint(TOKEN), LIMITS).name not in names


def test_processes_share_one_count() -> None:
    stage = on()
    budgets = [stage.budget() for _ in range(4)]
    for budget in budgets:
        stage.ask(budget)
    assert stage.waits() == [PERIOD]
    assert stage.puppet.slept[0].why == "Requests are paced to 3 in 10 s."


def test_families_tokens_and_servers_have_counts_of_their_own() -> None:
    stage = on()
    for _ in range(3):
        stage.ask(stage.budget())
    for _ in range(2):
        stage.ask(stage.budget(), COURSES)
    stage.ask(stage.budget("another"))
    stage.ask(stage.budget(origin="https://elsewhere.test"))
    assert stage.waits() == []
    stage.ask(stage.budget(), COURSES)
    assert stage.waits() == [PERIOD]
    assert len(files()) == 3


def test_the_file_is_private_and_names_neither_token_nor_server() -> None:
    stage = on()
    stage.ask(stage.budget())
    (file,) = files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert TOKEN not in file.name + file.read_text()
    assert "example" not in file.name + file.read_text()


def test_a_clock_that_is_set_back_neither_blocks_nor_frees() -> None:
    stage = on()
    for _ in range(3):
        stage.ask(stage.budget())
    budget = stage.budget()
    assert budget._opened is not None
    budget._opened.clocks = lambda: Moment(stage.puppet.clock, stage.now().utc - timedelta(days=1))
    stage.ask(budget)
    assert stage.waits() == [PERIOD]


# --- what the server says --------------------------------------------------------------------------------------------


def test_an_answer_that_leaves_less_is_believed_by_everybody() -> None:
    stage = on(
        script(answer({}, headers={"x-ratelimit-remaining": "1", "x-ratelimit-reset": "4"}), answer({}))
    )
    stage.ask(stage.budget())
    stage.ask(stage.budget())
    assert stage.waits() == []
    stage.ask(stage.budget())
    assert stage.waits() == [4 + LIMITS.margin]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining": "0"},
        {"x-ratelimit-reset": "5"},
        {"x-ratelimit-remaining": "none", "x-ratelimit-reset": "5"},
        {"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "5"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "inf"},
        {"x-ratelimit-remaining": "nan", "x-ratelimit-reset": "nan"},
    ],
)
def test_headers_that_say_nothing_usable_change_nothing(headers: dict[str, str]) -> None:
    stage = on(lambda request: answer({}, headers=headers))
    for _ in range(3):
        stage.ask(stage.budget())
    assert stage.waits() == []


def test_a_refusal_stops_the_others_too() -> None:
    stage = on(script(answer({}, 429, {"retry-after": "6"}), answer({})))
    with pytest.raises(RateLimitError):
        stage.ask(stage.budget(), most=0)
    stage.ask(stage.budget())
    assert stage.waits() == [6 + LIMITS.margin]


def test_who_was_promised_a_time_and_hears_of_a_refusal_while_waiting_waits_for_its_end() -> None:
    stage = on()
    for _ in range(3):
        stage.ask(stage.budget())

    def refuse_another(sleep: Any) -> None:
        if len(stage.puppet.slept) == 1:
            other = stage.budget()
            assert other._opened is not None
            stage.puppet.clock += PERIOD - 1
            other._opened.change(
                "general", lambda spent: (request_budget.with_refusal(spent, LIMITS, 9.0), 0.0)
            )
            stage.puppet.clock -= PERIOD - 1

    stage.puppet.on_sleep = refuse_another
    stage.ask(stage.budget())
    assert stage.waits()[0] == PERIOD
    assert stage.puppet.clock >= PERIOD - 1 + 9


def test_waiting_for_ones_turn_takes_nothing_of_the_time_for_trying() -> None:
    stage = on(script(*[answer({})] * 3, answer({}, 503), answer({})))
    for _ in range(3):
        stage.ask(stage.budget())
    assert stage.ask(stage.budget(), most=2.0).status == 200
    assert stage.waits() == [PERIOD]  # far more than most, and then there was time to try again


def test_where_nobody_really_sleeps_a_request_goes_all_the_same() -> None:
    """A test that has patched sleeping away would otherwise never end."""
    puppet = FakeDriver(lambda request: answer({}))
    stage = Stage(puppet)
    puppet.on_sleep = lambda sleep: setattr(puppet, "clock", puppet.clock - sleep.seconds)
    budget = stage.budget()
    assert budget._opened is not None
    budget._opened.change("general", lambda spent: (request_budget.with_refusal(spent, LIMITS, 9.0), 0.0))
    stage.ask(budget)
    assert len(puppet.slept) == request_budget.MOST_RESERVATIONS


def test_the_answer_to_a_change_is_passed_on_by_the_next_request_only() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4"}
    stage = on(script(answer({}, headers=headers), answer({})))
    budget = stage.budget()
    effects = call(Request("POST", "/x", repeatable=False), lambda it: it, max_retry_seconds=0, pace=budget)
    seen = []

    def watched() -> Flow[Response]:
        value: Any = None
        while True:
            try:
                effect = effects.send(value)
            except StopIteration as end:
                result: Response = end.value
                return result
            seen.append(type(effect).__name__)
            value = yield effect

    stage.puppet.run(watched())
    assert seen == ["Now", "RunLocally", "Request"]  # nothing stands between the answer and who waits for it
    stage.ask(budget)
    assert stage.waits() == [4 + LIMITS.margin]


# --- by itself, on and off -------------------------------------------------------------------------------------------

MARK = {"x-training-mock": "1"}


def identified(headers: dict[str, str] | None = None) -> Response:
    return evolve(answer({}, headers={**MARK, **(headers or {})}), is_reference=True)


def test_the_reference_server_is_not_paced_and_nothing_is_kept_of_it() -> None:
    stage = on(lambda request: identified())
    budget = stage.budget(automatic=True)
    for _ in range(9):
        stage.ask(budget)
    assert (stage.waits(), files()) == ([], [])


def test_the_reference_server_is_paced_where_it_says_that_it_has_limits() -> None:
    stage = on(lambda request: identified({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}))
    budget = stage.budget(automatic=True)
    stage.ask(budget)
    stage.ask(budget)
    assert stage.waits() == [3 + LIMITS.margin]


@pytest.mark.parametrize("headers", [{}, MARK], ids=["unmarked", "only marked"])
def test_any_other_server_is_paced_and_its_first_answer_counts(headers: dict[str, str]) -> None:
    stage = on(lambda request: answer({}, headers=headers))
    budget = stage.budget(automatic=True)
    for _ in range(4):
        stage.ask(budget)
    assert stage.waits() == [PERIOD]


@pytest.mark.parametrize(
    ("base_url", "pace", "paced"),
    [
        ("https://api.example.test", None, True),
        ("https://api.example.test", False, False),
        ("http://127.0.0.1:9", None, False),
        ("http://localhost:9/training", None, False),
        ("http://127.0.0.1:9", True, True),
    ],
)
def test_who_is_paced(base_url: str, pace: bool | None, paced: bool) -> None:
    client = TrainingClient(TOKEN, base_url=base_url, pace=pace)
    assert (client._calls.pace is not UNPACED) == paced
    assert TOKEN not in repr(client._calls.pace)
    assert (client.with_options(pace=not paced)._calls.pace is not UNPACED) != paced
    with pytest.raises(InvalidArgumentError, match="pace"):
        TrainingClient(TOKEN, pace="fast")  # type: ignore[arg-type]  # the mistake under test


def test_a_token_that_is_asked_for_is_asked_for_its_budget_once(ask: Asker) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        return TOKEN

    def use(client: Any) -> Any:
        return client.with_options(token=token, pace=True).users.list(ids=["u"])

    pages = iter([{"users": [], "next_page_token": "2"}, {"users": []}])
    ask(lambda request: httpx.Response(200, json=next(pages)), use)
    assert len(asked) == 3
    (file,) = files()
    assert file.stem == UsageStore.of(ORIGIN, fingerprint(TOKEN), LIMITS).name


def test_both_clients_keep_the_pace(ask: Asker) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": "3"}) if not seen else httpx.Response(200, json=ME)

    seen: list[Any] = []

    def use(client: Any) -> Any:
        return client.users.me()

    with no_waiting(), pytest.raises(RateLimitError):
        ask(handle, use, pace=True, max_retry_seconds=0)
    seen.append(1)
    with no_waiting() as waits:
        ask(handle, use, pace=True)
    assert 3.5 < waits[0] <= 4


# --- where the file cannot be used -----------------------------------------------------------------------------------


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    with caplog.at_level(logging.WARNING, logger="training_sdk"):
        yield lambda: [record.getMessage() for record in caplog.records]


def spoil_open(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)


def spoil_file(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")


@pytest.mark.parametrize("spoil", [spoil_open, spoil_file])
def test_an_unusable_directory(spoil: Callable[[Path], None], warned: Callable[[], list[str]]) -> None:
    spoil(state())
    stage = on()
    first, second = (stage.budget("spoilt " + spoil.__name__) for _ in range(2))
    for _ in range(3):
        stage.ask(first)
    assert len(warned()) == 1
    assert "within this process only" in warned()[0]
    stage.ask(second)
    assert stage.waits() == [PERIOD]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"utc": 1, "monotonic": "x", "families": {}}',
        '{"utc": 1e300, "monotonic": 1, "families": {}}',
        '{"utc": 1, "monotonic": 1, "families": {"general": {"times": [1e9], "closed": 0}}}',
        '{"utc": 1, "monotonic": 1, "families": {"general": {"times": [], "closed": NaN}}}',
    ],
)
def test_a_damaged_file_is_begun_anew_and_said(text: str, warned: Callable[[], list[str]]) -> None:
    stage = on()
    stage.ask(stage.budget())
    (file,) = files()
    file.write_text(text)
    stage.ask(stage.budget())
    assert stage.waits() == []
    assert [str(file) in said and "damaged" in said for said in warned()] == [True]
    assert json.loads(file.read_text())["families"]["general"]["times"] == [0.0]


def driven(flow: Flow[Any], on_sleep: Callable[[int], None] = lambda so_far: None) -> list[Sleep]:
    """Drive a flow on the clocks of this machine; how it slept."""
    slept: list[Sleep] = []
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    while True:
        try:
            effect = step(value)
        except StopIteration:
            return slept
        try:
            value, step = None, flow.send
            if isinstance(effect, RunLocally):
                value = effect.action()
            elif isinstance(effect, Sleep):
                slept.append(effect)
                time.sleep(effect.seconds)
                on_sleep(len(slept))
        except Exception as problem:
            value, step = problem, flow.throw


def test_threads_lose_no_count() -> None:
    budgets = [Budget(ORIGIN, "many", limits=Limits(general=1000)) for _ in range(4)]

    def spend(budget: Budget) -> None:
        for _ in range(25):
            driven(budget.acquire(WHO))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(spend, budgets))
    (file,) = files()
    assert len(json.loads(file.read_text())["families"]["general"]["times"]) == 100


def taken(stage: Stage) -> FileLock:
    """The lock of the only budget there is, which somebody else has."""
    stage.ask(stage.budget())
    (file,) = files()
    lock = FileLock(file.with_suffix(".lock"), thread_local=False)
    lock.acquire()
    return lock


def test_a_lock_that_is_held_is_tried_again_between_short_sleeps(warned: Callable[[], list[str]]) -> None:
    stage = on()
    lock = taken(stage)
    slept = driven(stage.budget().acquire(WHO), lambda so_far: lock.release() if so_far == 3 else None)
    assert [sleep.seconds for sleep in slept] == [0.005, 0.01, 0.02]
    assert warned() == []
    (file,) = files()
    assert len(json.loads(file.read_text())["families"]["general"]["times"]) == 2


def test_a_stuck_lock_is_given_up(warned: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    stage = on()
    lock = taken(stage)
    monkeypatch.setattr(request_budget, "FIRST_TRY", 0.0)
    try:
        slept = driven(stage.budget("held for ever").acquire(WHO))
        assert slept == []  # another budget has a lock of its own
        slept = driven(stage.budget().acquire(WHO))
    finally:
        lock.release()
    assert len(slept) == request_budget.MOST_TRIES - 1
    assert ["within this process only" in said for said in warned()] == [True]


def test_nobody_waits_for_a_lock_where_an_event_loop_would_stand_still() -> None:
    stage = on()
    lock = taken(stage)
    ledger = UsageStore.of(ORIGIN, fingerprint(TOKEN), LIMITS)
    ledger.clocks = stage.now
    try:
        with pytest.raises(Timeout):
            ledger.change("general", lambda spent: (spent, 0.0), last=False)
    finally:
        lock.release()
    assert ledger.change("general", lambda spent: (spent, float(len(spent.times))), last=False) == 1.0


def test_the_budget_lies_in_the_state_directory_of_the_client(tmp_path: Path) -> None:
    own = tmp_path / "own"
    with (
        httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=ME))) as http,
        TrainingClient(TOKEN, http_client=http, pace=True, state_dir=own) as client,
    ):
        client.users.me()
        client.with_options(timeout=5).users.me()
    (file,) = own.rglob("*.json")
    assert file.parent == own / "budgets"
    assert len(json.loads(file.read_text())["families"]["general"]["times"]) == 2
    assert files() == []


def test_the_clocks_are_those_of_the_machine() -> None:
    before, now = datetime.now(UTC), request_budget._clocks()
    assert before <= now.utc <= datetime.now(UTC)
    assert now.monotonic <= time.monotonic()
