"""The service: where it is, whose token this is, what it may do, and what its clock says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from training_sdk._core import flow, network, urls
from training_sdk._core.flow import Response
from training_sdk.api.users import Me
from training_sdk.cli.health.checks import Check, error, note, ok, warning
from training_sdk.cli.health.wire import Wire
from training_sdk.errors import PermissionDeniedError, TrainingError

AREA = "service"
OFF, FAR_OFF = 30.0, 300.0
"""Seconds by which the clocks may differ: worth knowing, and too much to judge by this machine's what is past."""


def check_address(base_url: str) -> Iterator[Check]:
    """Where requests go, and whether anybody on the way can read them."""
    parts = urlsplit(base_url)
    local = urls.is_loopback(parts.hostname or "")
    where = f"{base_url}{' (this machine)' if local else ''}"
    if parts.scheme == "https":
        yield ok(AREA, "address", f"{where}, encrypted")
    elif local:
        yield ok(AREA, "address", where)
    else:
        yield warning(AREA, "address", f"{where}: the token is sent unencrypted, as the profile allows")


def check_network(base_url: str) -> Iterator[Check]:
    """What the environment says of proxies and certificates on the way there."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    proxy = None if urls.is_loopback(host) else network.proxy_of(parts.scheme, host)
    if proxy:
        variable, address = proxy
        yield note(
            AREA, "proxy", f"{variable} names {urls.without_secrets(address)}, through which requests go"
        )
    if parts.scheme != "https":
        return
    named = network.certificates_named()
    if named:
        yield note(AREA, "certificates", f"those of {named} ({os.environ[named]}) are trusted, and no others")
    ignored = [name for name in network.NOT_READ if os.environ.get(name) and not named]
    for name in ignored:
        yield note(AREA, "certificates", f"{name} is not read here; SSL_CERT_FILE is")


def check_identity(me: Me, response: Response) -> Iterator[Check]:
    """Whose token it is, and who answers."""
    name = " ".join(part for part in (me.firstname, me.lastname) if part)
    yield ok(
        AREA, "token", f"accepted: {name or 'no name'} ({me.user_id}), organisation {me.organisation_id}"
    )
    if response.is_only_marked:
        yield warning(AREA, "server", f"counts as a live service. {flow.ONLY_MARKED}")
    elif response.is_reference:
        yield note(AREA, "server", "this is the reference server: nothing here is anybody's real progress")
    else:
        yield note(
            AREA, "server", "a live service: a reset here is for good, and needs a proof of the format"
        )


def check_clock(response: Response, now: datetime) -> Check:
    """This machine's clock against the server's, which names whole seconds."""
    theirs = response.date
    if theirs is None:
        return warning(
            AREA, "clock", "the server names no time, so this machine's clock cannot be held against it"
        )
    apart = (now - theirs).total_seconds()
    detail = f"{abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the server's"
    if abs(apart) >= FAR_OFF:
        return error(
            AREA,
            "clock",
            f"{detail}: when a plan expires and a reset must be visible is judged by it. Set it",
        )
    return (
        warning(AREA, "clock", detail)
        if abs(apart) >= OFF
        else ok(AREA, "clock", "it agrees with the server's")
    )


def check_rights(wire: Wire) -> Iterator[Check]:
    """What the token may do, as far as reading tells; whether it may reset, only a reset would show."""
    client = wire.client
    sees_figures = _may(lambda: wire.listing(client.analytics.course_statistics()))
    sees_people = _may(lambda: wire.listing(client.users.list()))
    if sees_figures is None or sees_people is None:
        yield warning(AREA, "rights", "they cannot be told: the server did not answer what was asked for it")
    elif not sees_figures:
        yield warning(
            AREA,
            "rights",
            "the statistics are refused, so the token has neither 'Training: Administration' nor 'Training: Manage "
            "teams': it sees its owner's own progress only, and cannot plan a reset",
        )
    elif not sees_people:
        yield note(
            AREA,
            "rights",
            "it reads statistics and may not list users: likely 'Training: Manage teams', so it plans for its own "
            "teams. Whether it may reset, only a reset would show",
        )
    else:
        yield ok(
            AREA,
            "rights",
            "it reads statistics and users, so it can plan. Whether it may reset, only a reset would show",
        )


def _may(read: Callable[[], object]) -> bool | None:
    """Whether something may be read; None where that was not the question that was answered."""
    try:
        read()
    except PermissionDeniedError:
        return False
    except TrainingError:
        return None
    return True
