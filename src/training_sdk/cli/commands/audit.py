"""``audit``: the log of who reset whom, when and why. None of it needs a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import click

from training_sdk.cli.codes import ExitCode
from training_sdk.cli.commands.planning import FILE
from training_sdk.cli.documents import plain
from training_sdk.cli.files import refuse_existing, write_new
from training_sdk.cli.naming import a_moment, moment
from training_sdk.cli.session import Session, with_session
from training_sdk.errors import InvalidArgumentError
from training_sdk.evidence import packs_in, read_manifest
from training_sdk.records.audit import AuditLog, Quoted
from training_sdk.records.auditexport import file_of
from training_sdk.records.chain import Head
from training_sdk.records.state import StateDirectory
from training_sdk.resets.digests import short, typed
from training_sdk.resets.recordcheck import check_records
from training_sdk.resets.wording import number, server


@click.group()
def audit() -> None:
    """Verify, show and export the audit log."""


@audit.command()
@with_session
def verify(session: Session) -> ExitCode:
    """Check the log: altered, missing, moved or added lines, and an end that was cut off.

    The log is compared with the heads that the evidence packs of this machine quote, and with the journals, reports,
    packs and purges on this machine. Work that was interrupted is a note and no fault.
    """
    state = session.state()
    quoted = _quoted(state)
    findings = AuditLog(state.audit).verify(quoted)
    records = check_records(state, unseal=session.profile.unseal)
    session.out.document(
        {
            "log": str(state.audit),
            "packs": len(quoted),
            "findings": plain(findings),
            "records": plain(records),
        }
    )
    told = [*((one.is_note, str(one)) for one in findings), *((one.is_note, str(one)) for one in records)]
    for is_note, text in told:
        session.out.say(f"{'note' if is_note else 'FAULT'}: {text}")
    faults = not all(is_note for is_note, _ in told)
    how = "as it was written"
    if faults:
        is_sound = all(one.is_note for one in findings)
        how = "contradicted by other records" if is_sound else "NOT as it was written"
    session.out.say(f"{state.audit}: {how}, held against {number(len(quoted), 'pack')} quoting it")
    return ExitCode.RECORDS if faults else ExitCode.DONE


@audit.command()
@click.option(
    "--plan", "digest", metavar="DIGEST", help="Of one plan: its digest, as its phrase ends with it."
)
@click.option(
    "--since",
    type=a_moment,
    metavar="DATE",
    help="From this moment, or from this day in UTC, on.",
)
@click.option("--until", type=a_moment, metavar="DATE", help="Before this moment, or before this day in UTC.")
@with_session
def show(session: Session, digest: str | None, since: date | None, until: date | None) -> None:
    """Show the log, with the server of each entry. It is refused if it is not as it was written; verify says where."""
    beginning = None if digest is None else typed(digest) or digest.lstrip("#")
    log = AuditLog(session.state().audit)
    entries = [
        entry
        for entry in log.entries(since=moment(since), until=moment(until))
        if beginning is None or str(entry.get("plan_digest", "")).startswith(beginning)
    ]
    servers = _servers(log.entries())
    approver_of = log.approvers(session.profile.unseal)
    approvers = [approver_of(entry) for entry in entries]
    session.out.document(
        {
            "entries": [
                entry if who is None else {**entry, "approver": who}
                for entry, who in zip(entries, approvers, strict=True)
            ]
        }
    )
    session.out.table(
        ("n", "at (UTC)", "event", "who", "plan", "reason", "ticket", "outcomes", "approved by", "server"),
        (
            [
                *(entry["n"], datetime.fromisoformat(entry["at"]), entry["event"], *_facts(entry), who),
                _server(entry) or servers.get(entry.get("plan_digest")),
            ]
            for entry, who in zip(entries, approvers, strict=True)
        ),
    )
    session.out.note(number(len(entries), "entry", "entries"))


@audit.command()
@click.option("--format", "format_", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--output", type=FILE, metavar="FILE", help="Where to; by default to standard output.")
@with_session
def export(session: Session, format_: Any, output: Path | None) -> None:
    """Write the log for an auditor, also where it has faults: they are named in it."""
    if session.out.json:
        raise InvalidArgumentError("audit export takes --format json; --json is of other commands")
    refuse_existing(output, "an audit log")
    text = StringIO(newline="")
    AuditLog(session.state().audit).export(text, format_, unseal=session.profile.unseal)
    if output is None:
        session.out.plain(text.getvalue())
        return
    write_new(output, file_of(text.getvalue(), format_), "an audit log")
    session.out.note(f"The log is in {output}.")


def _servers(entries: Iterable[Mapping[str, Any]]) -> dict[object, str]:
    """The server of each plan in the log; entries about a plan that was closed or purged do not name it."""
    named = ((entry.get("plan_digest"), _server(entry)) for entry in entries)
    return {digest: server for digest, server in named if digest and server}


def _server(entry: Mapping[str, Any]) -> str | None:
    url = entry.get("base_url")
    return server(str(url), is_reference=entry.get("reference_server") is True) if url else None


_ONE = {"people": ("person", "people"), "resets": ("reset", "resets")}
"""One and many of what an entry counts, where they differ."""


def _facts(entry: Any) -> list[object]:
    who = entry.get("who") or {}
    outcomes = entry.get("outcomes") or entry.get("counts") or {}
    said = ", ".join(
        number(count, *_ONE.get(what, (what, what))) for what, count in outcomes.items() if count
    )
    digest = short(str(entry.get("plan_digest") or ""))
    return [who.get("os_user"), digest, entry.get("reason"), entry.get("ticket"), said]


def _quoted(state: StateDirectory) -> list[Quoted]:
    if not (state.path / "evidence").is_dir():
        return []
    manifests = ((folder, read_manifest(folder)) for folder in packs_in(state.evidence))
    return [
        Quoted(folder.name, Head(manifest.audit_log.n, manifest.audit_log.hash))
        for folder, manifest in manifests
        if manifest.audit_log is not None
    ]
