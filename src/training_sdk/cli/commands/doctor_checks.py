"""Checks of ``doctor`` that compare values: records of this machine, and address, clock and rights at the service."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from training_sdk._core import flow, network, urls
from training_sdk._core.flow import Response
from training_sdk._core.text import sentence
from training_sdk.api.users import Me
from training_sdk.cli.error_messages import REMEDIES
from training_sdk.errors import RecordsError, TrainingError
from training_sdk.plans.wording import number, short_digest
from training_sdk.records.audit import AuditLog
from training_sdk.records.events import Closed, Opened
from training_sdk.records.journal import read_journal
from training_sdk.records.state import StateDirectory


class Severity(StrEnum):
    """Severity of a result."""

    OK = "ok"
    NOTE = "note"
    """Useful to know; not a fault."""
    WARNING = "warning"
    """Can cause a wrong reset or a wrong reading of its result."""
    ERROR = "ERROR"
    """Must be fixed first."""


@frozen
class CheckResult:
    """Subject of a check and its result."""

    area: str
    subject: str
    standing: Severity
    detail: str


def ok(area: str, subject: str, detail: str) -> CheckResult:
    """Return a result that needs no action."""
    return CheckResult(area, subject, Severity.OK, detail)


def note(area: str, subject: str, detail: str) -> CheckResult:
    """Return a result that is useful to know."""
    return CheckResult(area, subject, Severity.NOTE, detail)


def warning(area: str, subject: str, detail: str) -> CheckResult:
    """Return a result that should be investigated."""
    return CheckResult(area, subject, Severity.WARNING, detail)


def error(area: str, subject: str, detail: str) -> CheckResult:
    """Return a result that must be fixed."""
    return CheckResult(area, subject, Severity.ERROR, detail)


MACHINE = "machine"
LITTLE = 200 * 1024 * 1024
"""Bytes of free space; the evidence of about ten thousand people needs as much."""
_HOLDER = re.compile(r"process (\d+) on (.+)")


def check_machine(path: Path | None) -> Iterator[CheckResult]:
    """Check the state directory and its content. A missing directory is not created."""
    try:
        state = StateDirectory.existing(path)
    except TrainingError as problem:
        yield error(MACHINE, "state directory", problem.message)
        return
    if state is None:
        yield _none_yet(StateDirectory.obstacle(path))
        return
    yield _writable(state)
    yield _space(state)
    yield from _audit(state)
    yield from _plans(state)
    yield from _locks(state)


def _none_yet(obstacle: Path | None) -> CheckResult:
    if obstacle is None:
        return note(MACHINE, "state directory", "There is none yet. The first reset creates it.")
    return error(
        MACHINE,
        "state directory",
        f"There is none, and it cannot be created below {obstacle}, so nothing can be reset. Make {obstacle} a "
        f"directory that you can write to. {REMEDIES['state_dir']}",
    )


def _writable(state: StateDirectory) -> CheckResult:
    if os.access(state.path, os.W_OK | os.X_OK):
        return ok(MACHINE, "state directory", f"{state.path}, closed to other users.")
    return error(
        MACHINE,
        "state directory",
        f"{state.path} cannot be written, so nothing can be reset: chmod 700 '{state.path}'. {REMEDIES['state_dir']}",
    )


def _space(state: StateDirectory) -> CheckResult:
    free = shutil.disk_usage(state.path).free
    said = f"{free / 1024**3:.1f} GiB are free."
    if free < LITTLE:
        return warning(MACHINE, "space", f"{said} Without room for evidence nothing is reset.")
    return ok(MACHINE, "space", said)


def _audit(state: StateDirectory) -> Iterator[CheckResult]:
    if not state.audit.exists():
        yield note(MACHINE, "audit log", "There is none yet.")
        return
    try:
        findings = AuditLog(state.audit).verify()
    except (RecordsError, OSError) as problem:
        yield error(MACHINE, "audit log", str(problem))
        return
    faults = [one for one in findings if not one.is_note]
    if faults:
        yield error(
            MACHINE,
            "audit log",
            sentence(f"{number(len(faults), 'fault')}, the first: {faults[0]}")
            + " See training-sdk audit verify.",
        )
    else:
        yield ok(
            MACHINE, "audit log", sentence("; ".join(map(str, findings))) if findings else "It is unchanged."
        )


def _plans(state: StateDirectory) -> Iterator[CheckResult]:
    """Check the journals and report the plans that were interrupted."""
    half = []
    for folder in state.plan_folders:
        try:
            events = read_journal(folder)
        except TrainingError as problem:
            yield error(MACHINE, "journal", problem.message)
            continue
        if any(isinstance(one, Opened) for one in events) and not any(
            isinstance(one, Closed) for one in events
        ):
            half.append(f"#{short_digest(folder.name)}")
    if half:
        named = ", ".join(half)
        message = f"These plans are not finished: {named}. Continue each with training-sdk resume PLAN."
        yield warning(MACHINE, "plans", message)
    else:
        yield ok(MACHINE, "plans", "No reset is interrupted.")


def _locks(state: StateDirectory) -> Iterator[CheckResult]:
    """Report the holder of each lock. A process that has died holds no lock, but the file with its name remains."""
    for path in sorted(state.path.rglob("*.holder")):
        match = _HOLDER.match(path.read_text(encoding="utf-8", errors="replace"))
        what = _locked(path.relative_to(state.path).with_suffix(""))
        if match is None or match[2] != platform.node():
            yield note(MACHINE, "lock", f"{what} is or was locked by another machine: {path.name}.")
        elif _lives(int(match[1])):
            yield note(MACHINE, "lock", f"{what} is being written by process {match[1]}.")
        else:
            yield note(
                MACHINE, "lock", f"{what} was locked by process {match[1]}, which has ended. It is free."
            )


def _locked(path: Path) -> str:
    """Return the purpose of a lock; a plan is named by the tail of its phrase, which fits into a table."""
    of_plan = len(path.parts) == 3 and path.parts[0] == "plans"
    return f"{path.name} of plan #{short_digest(path.parts[1])}" if of_plan else str(path)


def _lives(process: int) -> bool:
    if sys.platform == "win32":
        return True  # asking would end it there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


SERVICE = "service"
OFF, FAR_OFF = 30.0, 300.0
"""Seconds between the clocks from which to report a note, and from which this machine's clock is unusable."""


def check_address(base_url: str) -> Iterator[CheckResult]:
    """Check the address of the requests, and whether other people on the network can read them."""
    parts = urlsplit(base_url)
    local = urls.is_loopback(parts.hostname or "")
    where = f"{base_url}{' (this machine)' if local else ''}"
    if parts.scheme == "https":
        yield ok(SERVICE, "address", f"{where}, encrypted.")
    elif local:
        yield ok(SERVICE, "address", where)
    else:
        yield warning(SERVICE, "address", f"{where}: the token is sent unencrypted, as the profile allows.")


def check_network(base_url: str) -> Iterator[CheckResult]:
    """Report the proxy and the certificates that the environment names."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    proxy = None if urls.is_loopback(host) else network.proxy_of(parts.scheme, host)
    if proxy:
        variable, address = proxy
        yield note(SERVICE, "proxy", f"{variable}: requests go through {urls.without_secrets(address)}.")
    if parts.scheme != "https":
        return
    named = network.certificates_named()
    if named:
        yield note(SERVICE, "certificates", f"Only those of {named} ({os.environ[named]}) are trusted.")
    ignored = [name for name in network.NOT_READ if os.environ.get(name) and not named]
    for name in ignored:
        yield note(SERVICE, "certificates", f"{name} is not read. Set SSL_CERT_FILE instead.")


def check_identity(me: Me, response: Response) -> Iterator[CheckResult]:
    """Report the owner of the token, and which kind of server answers."""
    name = " ".join(part for part in (me.firstname, me.lastname) if part)
    yield ok(
        SERVICE, "token", f"Accepted: {name or 'no name'} ({me.user_id}), organisation {me.organisation_id}."
    )
    if response.is_only_marked:
        yield warning(SERVICE, "server", f"It counts as a live service. {flow.ONLY_MARKED}")
    elif response.is_reference:
        yield note(SERVICE, "server", "This is the reference server: it has no real progress.")
    else:
        yield note(
            SERVICE,
            "server",
            "This is a live service: a reset is permanent, and needs a format check first: training-sdk prove.",
        )


def check_clock(response: Response, now: datetime) -> CheckResult:
    """Compare this machine's clock with the server's, which is rounded to seconds."""
    theirs = response.date
    if theirs is None:
        return warning(
            SERVICE, "clock", "The server sends no time, so the clock of this machine cannot be compared."
        )
    apart = (now - theirs).total_seconds()
    detail = f"{abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} the server's."
    if abs(apart) >= FAR_OFF:
        return error(
            SERVICE,
            "clock",
            f"{detail} It decides when a plan expires and when a reset must be visible. Set it.",
        )
    return (
        warning(SERVICE, "clock", detail)
        if abs(apart) >= OFF
        else ok(SERVICE, "clock", "It agrees with the server's.")
    )


def check_rights(sees_figures: bool | None, sees_people: bool | None) -> Iterator[CheckResult]:
    """Check what the token may read: statistics and users; None where neither was answered nor refused.

    Only a reset would show whether the token may reset.
    """
    if sees_figures is None or sees_people is None:
        yield warning(SERVICE, "rights", "They are unknown: the server did not answer the requests.")
    elif not sees_figures:
        yield warning(
            SERVICE,
            "rights",
            "The statistics are refused, so the token has neither 'Training: Administration' nor 'Training: Manage "
            "teams': it sees the progress of its owner only, and cannot plan a reset.",
        )
    elif not sees_people:
        yield note(
            SERVICE,
            "rights",
            "It may read statistics and not list users: likely 'Training: Manage teams', so it plans for its "
            "own teams. Only a reset shows whether it may reset.",
        )
    else:
        yield ok(
            SERVICE,
            "rights",
            "It may read statistics and list users, so it can plan. Only a reset shows whether it may reset.",
        )
