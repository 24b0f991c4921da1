"""Pages of strangers in a real browser: none reads or changes anything, and each would if it were let in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from browser.attacks import ATTACKS, PAGE, TOKENS
from browser.helpers import Arrival, Target, arrivals, in_process

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ORIGINS = {"another site": "evil.test", "another port": "127.0.0.1", "another name": "localhost"}
FORGED = {"empty_post", "redirected_post", "beacon", "form", "sandboxed_post"}
"""What the guard alone keeps from changing something; the rest fails by the browser or the content type too."""
AT_HOME = [name for name, each in ATTACKS.items() if each.reads or each.writes]
"""What achieves something from a page of the server's own origin."""
REBOUND = "rebind.test"


def attack(page: Page, name: str, target: Target, foreign: int, url: str = "") -> str:
    """What the page could read of the target, which it may know by another URL."""
    home = f"http://evil.test:{foreign}"
    at = {"target": url or target.url, "foreign": home, "token": target.token, "reset": target.reset}
    read: str = page.evaluate("([name, at]) => attack(name, at)", [name, at])
    return read


def changed(target: Target, before: dict[str, bytes]) -> set[str]:
    """Which parts of a snapshot are not what they were."""
    now = target.snapshot()
    return {part for part in now if now[part] != before[part]}


def own_page(page: Page, origin: str) -> Page:
    """The attacking page, as if the server itself had delivered it."""
    page.route(f"{origin}/page", lambda route: route.fulfill(body=PAGE, content_type="text/html"), times=1)
    page.goto(f"{origin}/page")
    return page


def rebound(target: Target) -> str:
    """The target's URL once the attacker's name resolves to this machine."""
    return f"http://{REBOUND}:{target.url.rpartition(':')[2]}"


@pytest.mark.parametrize("host", ORIGINS.values(), ids=ORIGINS.keys())
def test_a_foreign_page_reads_nothing_and_changes_nothing(
    target: Target, page: Page, foreign: int, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    before = target.snapshot()
    seen = arrivals(monkeypatch, guarded=True)
    for name, each in ATTACKS.items():
        seen.clear()
        page.goto(f"http://{host}:{foreign}/")
        assert attack(page, name, target, foreign) == "", name
        assert seen == [Arrival(each.method, each.path, refused=True)] * target.is_watched, name
        assert target.snapshot() == before, name


def test_without_the_guard_every_attack_arrives_and_forgeries_work(
    page: Page, foreign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = arrivals(monkeypatch, guarded=False)
    with in_process("stdlib") as target:
        for name, each in ATTACKS.items():
            before = target.snapshot()["worlds"]
            seen.clear()
            page.goto(f"http://evil.test:{foreign}/")
            attack(page, name, target, foreign)
            assert Arrival(each.method, each.path, refused=False) in seen, name
            assert (target.snapshot()["worlds"] != before) == (name in FORGED), name


def test_a_page_of_the_server_itself_can(target: Target, page: Page, foreign: int) -> None:
    for name in AT_HOME:
        before = target.snapshot()
        read = attack(own_page(page, target.url), name, target, foreign)
        assert bool(read) == ATTACKS[name].reads, name
        assert target.token in read or ATTACKS[name].path != TOKENS, name
        assert changed(target, before) >= {ATTACKS[name].writes} - {""}, name


@pytest.mark.parametrize("path", [TOKENS, "/_mock/state", "/openapi.json", "/training/courses/v1"])
def test_a_rebound_name_shows_no_page(target: Target, page: Page, path: str) -> None:
    before = target.snapshot()
    answer = page.goto(rebound(target) + path)
    assert answer is not None
    assert answer.status == 403
    assert json.loads(answer.text())["details"][0]["reason"] == "HOST_NOT_ALLOWED"
    read: str = page.evaluate("fetch('/_mock/tokens').then((answer) => answer.text()).catch(() => '')")
    assert target.token not in read
    assert target.snapshot() == before


def test_a_page_of_a_rebound_name_reads_nothing_and_changes_nothing(
    target: Target, page: Page, foreign: int
) -> None:
    before, url = target.snapshot(), rebound(target)
    for name in AT_HOME:
        read = attack(own_page(page, url), name, target, foreign, url)
        assert read == "" or json.loads(read)["details"][0]["reason"] == "HOST_NOT_ALLOWED", name
        assert target.snapshot() == before, name


def test_a_page_of_a_name_that_was_allowed_can(rebindable: Target, page: Page, foreign: int) -> None:
    url = rebound(rebindable)
    for name in ("fetch", "iframe", "json_post_world", "json_post_reset"):
        before = rebindable.snapshot()
        read = attack(own_page(page, url), name, rebindable, foreign, url)
        assert rebindable.token in read or ATTACKS[name].writes, name
        assert changed(rebindable, before) >= {ATTACKS[name].writes} - {""}, name


@pytest.mark.parametrize("how", ["location.href = url", "location.href = `/redirect?${url}`"])
def test_a_navigation_from_a_foreign_page_shows_a_refusal(
    target: Target, page: Page, foreign: int, how: str
) -> None:
    before = target.snapshot()
    page.goto(f"http://evil.test:{foreign}/")
    with page.expect_navigation(url=f"{target.url}/**"):
        page.evaluate(f"(url) => {{ {how} }}", target.url + TOKENS)
    assert "ORIGIN_NOT_ALLOWED" in page.inner_text("body")
    assert target.snapshot() == before
