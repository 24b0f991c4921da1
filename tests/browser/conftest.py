"""A real chromium, somebody else's web server, and the servers that it attacks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from browser.helpers import TARGETS, Target, foreign_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VARIABLE = "TRAINING_TEST_CHROMIUM"
"""Where the browser is, if it is not on the path."""

_FLAGS = [
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    # Names that resolve to this machine, as DNS rebinding makes them.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    # The server alone is to keep the page out, not what this browser does beside.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get(VARIABLE) or shutil.which("chromium")
    if path is None:
        pytest.skip(f"no chromium on the path: install it, or name it in {VARIABLE}")
    flags = [*_FLAGS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield running
        finally:
            running.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that shares nothing with another test's."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture(scope="session")
def foreign() -> Iterator[int]:
    with foreign_server() as port:
        yield port


@pytest.fixture(scope="session", params=TARGETS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    serve, engine = TARGETS[request.param]
    with serve(engine) as served:
        yield served


@pytest.fixture(scope="session", params=TARGETS)
def rebindable(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A server that was told to answer for the name which the attacker rebinds."""
    serve, engine = TARGETS[request.param]
    with serve(engine, "rebind.test") as served:
        yield served
