"""What each attack of attacks.js sends, and what it achieves where nothing keeps it from it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

SCRIPT = Path(__file__).with_name("attacks.js").read_text(encoding="utf-8")
PAGE = f"<!doctype html><title>a page</title><body><script>{SCRIPT}</script>"

TOKENS, WORLDS, FAULTS = "/_mock/tokens", "/_mock/worlds", "/_mock/faults"
RESET = "/training/courseprogress/v1/reset"


@frozen
class Attack:
    """One way of a page to reach a server."""

    method: str
    """With which it arrives from a foreign page: OPTIONS where the browser asks first."""
    path: str
    reads: bool = False
    """A page of the server's own origin reads the answer."""
    writes: str = ""
    """What of a snapshot a page of the server's own origin changes."""


def _get(path: str = TOKENS, *, reads: bool = True) -> Attack:
    return Attack("GET", path, reads=reads)


ATTACKS = {
    "fetch": _get(),
    "fetch_no_cors": _get(),
    "fetch_with_cookies": _get(),
    "fetch_without_referrer": _get(),
    "fetch_state": _get("/_mock/state"),
    "fetch_contract": _get("/openapi.json"),
    "fetch_with_token": Attack("OPTIONS", "/training/courses/v1", reads=True),
    "xhr": _get(),
    "worker": _get(),
    "image": _get(reads=False),
    "script": _get(reads=False),
    "stylesheet": _get(reads=False),
    "prefetch": _get(reads=False),
    "object": _get(reads=False),
    "iframe": _get(),
    "popup": _get(),
    "websocket": _get(reads=False),
    "event_source": _get(reads=False),
    "empty_post": Attack("POST", WORLDS, reads=True, writes="worlds"),
    "text_post_world": Attack("POST", WORLDS, reads=True),
    "text_post_fault": Attack("POST", FAULTS, reads=True),
    "text_post_reset": Attack("POST", RESET, reads=True),
    "redirected_post": Attack("POST", WORLDS),
    "beacon": Attack("POST", WORLDS, writes="worlds"),
    "form": Attack("POST", WORLDS, reads=True, writes="worlds"),
    "form_as_text": Attack("POST", FAULTS, reads=True),
    "sandboxed_fetch": _get(reads=False),
    "sandboxed_post": Attack("POST", WORLDS),
    "json_post_world": Attack("OPTIONS", WORLDS, reads=True, writes="worlds"),
    "json_post_fault": Attack("OPTIONS", FAULTS, reads=True, writes="faults"),
    "json_post_clock": Attack("OPTIONS", "/_mock/clock", reads=True, writes="clock"),
    "json_put_state": Attack("OPTIONS", "/_mock/state", reads=True),
    "delete_faults": Attack("OPTIONS", FAULTS, reads=True),
    "json_post_reset": Attack("OPTIONS", RESET, reads=True, writes="outbox"),
}
