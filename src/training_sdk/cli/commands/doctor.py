"""``doctor``: what has to be right before anybody plans a reset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from training_sdk._core.text import number
from training_sdk.cli.codes import ExitCode
from training_sdk.cli.documents import plain
from training_sdk.cli.health.checks import Check, Standing, error, note
from training_sdk.cli.health.machine import check_machine
from training_sdk.cli.health.service import (
    check_address,
    check_clock,
    check_identity,
    check_network,
    check_rights,
)
from training_sdk.cli.health.wire import Wire, check_wire
from training_sdk.cli.remedies import in_commands
from training_sdk.cli.session import Session, with_session
from training_sdk.errors import InvalidArgumentError, TrainingError

PATIENCE = 10.0
"""Seconds for which a server that does not answer is tried again: whoever asks wants to know now."""

SUBJECTS = {"NO_TOKEN": "token", "PROXY_UNUSABLE": "proxy", "CERTIFICATES_UNUSABLE": "certificates"}
"""What of the settings is wrong, by the reason of the error."""

MANY = {"ok": "ok"}
"""Words that have no plural."""


@click.command()
@with_session
def doctor(session: Session) -> ExitCode:
    """Check address, token, rights, clock, the wire and this machine's records. Only reads.

    Every difference from what the SDK expects of the service is listed. Ends with 1 if anything is an error.
    """
    checks = [*_service(session), *check_machine(session.state_dir)]
    counts = {standing.value: sum(one.standing is standing for one in checks) for standing in Standing}
    session.out.document({"checks": plain(checks), "counts": counts})
    session.out.table(
        ("area", "what", "", "found"), ((one.area, one.subject, one.standing, one.detail) for one in checks)
    )
    session.out.note(", ".join(number(found, name, MANY.get(name)) for name, found in counts.items()))
    return ExitCode.FAILED if counts[Standing.ERROR] else ExitCode.DONE


def _service(session: Session) -> Iterator[Check]:
    profile = session.profile
    yield note("settings", "profile", profile.name or "none; the environment alone")
    try:
        client = session.client(max_retry=PATIENCE)
    except InvalidArgumentError as problem:
        yield error("settings", SUBJECTS.get(problem.reason or "", "settings"), in_commands(problem.message))
        return
    yield from check_address(client.base_url)
    yield from check_network(client.base_url)
    wire = Wire(client)
    try:
        seen = wire.identity()
    except TrainingError as problem:
        yield error("service", "token", f"WhoAmI failed: {in_commands(str(problem))}")
        return
    me = seen.me
    yield from check_identity(me, seen.response)
    yield check_clock(seen.response, datetime.now(UTC))
    yield from check_rights(wire)
    yield from check_wire(wire, me.user_id)
