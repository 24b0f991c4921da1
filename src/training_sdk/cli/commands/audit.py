"""``audit``: the log of resets (who, whom, when and why). No command in this group needs a server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import click

from training_sdk.cli.arguments import a_moment, moment
from training_sdk.cli.bundle import WHAT, write_bundle
from training_sdk.cli.commands.plan import FILE
from training_sdk.cli.commands.report import find_folder
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.group import Group
from training_sdk.cli.output import plain, refuse_existing, write_new
from training_sdk.cli.session import Session, with_session
from training_sdk.errors import InvalidArgumentError
from training_sdk.evidence import read_manifest
from training_sdk.local_plans.record_check import check_records
from training_sdk.plans.wording import number, server, short_digest, typed_digest
from training_sdk.records.audit import AuditLog, Quoted, file_bytes
from training_sdk.records.chain import Head

_HEAD = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")
IS_A_COPY = "The bundle is a copy with personal data: purge and pseudonymise do not change it"


def a_head(value: str) -> Head:
    """Return the head of a log from the text that ``audit head`` prints."""
    found = _HEAD.fullmatch(value.strip())
    if found is None:
        raise click.BadParameter(
            f"{value!r} is not the head of a log. Write it as audit head prints it: number, colon, 64 hexadecimal "
            "digits."
        )
    return Head(int(found[1]), found[2])


@click.group(cls=Group)
def audit() -> None:
    """Verify, show, export and bundle the audit log."""


@audit.command()
@click.option(
    "--head",
    "heads",
    type=a_head,
    multiple=True,
    metavar="N:HASH",
    help="Also compare the log with a head that audit head printed earlier, stored in another place; repeatable.",
)
@with_session
def verify(session: Session, heads: tuple[Head, ...]) -> ExitCode:
    """Check that the log is unchanged.

    The check finds altered, missing, reordered and added lines, and an end that was cut off. The log is compared with
    the heads that the evidence packs of this machine quote, and with the journals, reports, packs and purges on this
    machine. Interrupted work is a note, not a fault. A log that was replaced together with all other records is found
    only with --head.
    """
    state = session.state()
    quoted = [*_quoted(session), *(Quoted(f"--head {_shown(head)}", head) for head in heads)]
    findings = AuditLog(state.audit).verify(quoted)
    records = check_records(state, unseal=session.profile.unseal)
    session.out.document(
        {
            "log": str(state.audit),
            "packs": len(quoted) - len(heads),
            "heads": [_shown(head) for head in heads],
            "findings": plain(findings),
            "records": plain(records),
        }
    )
    faults = session.out.findings([*findings, *records])
    how = "as it was written"
    if faults:
        is_sound = all(one.is_note for one in findings)
        how = "contradicted by other records" if is_sound else "NOT as it was written"
    beside = f" and {number(len(heads), 'head')} stored elsewhere" if heads else ""
    packs = number(len(quoted) - len(heads), "pack")
    session.out.say(f"{state.audit}: {how}, compared with {packs} that quote it{beside}.")
    return ExitCode.RECORDS if faults else ExitCode.DONE


@audit.command()
@click.option(
    "--plan",
    "digest",
    metavar="DIGEST",
    help="Only entries of the plan with this digest, which its phrase ends with.",
)
@click.option(
    "--since",
    type=a_moment,
    metavar="DATE",
    help="Only entries since this time, or since this day in UTC.",
)
@click.option(
    "--until", type=a_moment, metavar="DATE", help="Only entries before this time, or before this day in UTC."
)
@with_session
def show(session: Session, digest: str | None, since: date | None, until: date | None) -> None:
    """Show the log, with the server of each entry. A changed log is refused; audit verify shows where it changed."""
    beginning = None if digest is None else typed_digest(digest) or digest.lstrip("#")
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
    session.out.note(f"{number(len(entries), 'entry', 'entries')}.")


@audit.command()
@click.option("--format", "format_", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@click.option("--output", type=FILE, metavar="FILE", help="The new file. [default: standard output]")
@with_session
def export(session: Session, format_: Any, output: Path | None) -> None:
    """Write the log for an auditor. Lines with a fault are included, each with its fault."""
    if session.out.json:
        raise InvalidArgumentError("--json cannot be used with audit export. Use --format json.")
    refuse_existing(output, "an audit log")
    text = StringIO(newline="")
    AuditLog(session.state().audit).export(text, format_, unseal=session.profile.unseal)
    if output is None:
        session.out.plain(text.getvalue())
        return
    write_new(output, file_bytes(text.getvalue(), format_), "an audit log")
    session.out.note(f"The log is in {output}.")


@audit.command()
@with_session
def head(session: Session) -> None:
    """Print the head of the log: number and hash of its last line.

    After every reset, store it where people who can write the log cannot change it, such as in a ticket or a mail.
    Then audit verify --head finds a log that was cut off or written again.
    """
    log = AuditLog(session.state().audit)
    found = log.head()
    session.out.document({"log": str(log.path), "n": found.n, "hash": found.hash, "head": _shown(found)})
    session.out.say(_shown(found))


@audit.command()
@click.argument("plan", metavar="PLAN.json|DIGEST")
@click.option("--output", type=FILE, metavar="FILE.zip", help="The new file. [default: reset-DIGEST.zip]")
@click.option("--without-evidence", is_flag=True, help="Include only the manifest of each evidence pack.")
@click.option(
    "--signers",
    type=FILE,
    metavar="FILE",
    help="The file of allowed signers to include. [default: that of the profile]",
)
@with_session
def bundle(
    session: Session, plan: str, output: Path | None, without_evidence: bool, signers: Path | None
) -> ExitCode:
    """Write all records of one plan into a zip for an auditor.

    The zip contains plan, approval, signatures and signers, evidence, journal, report, the lines of the audit log about
    the plan and its head, and VERIFY.txt, which explains how to verify each with sha256sum and ssh-keygen. Files are
    copied unchanged: encrypted files stay encrypted. purge and pseudonymise do not change this copy. Records with
    faults are included: VERIFY.txt names the faults, and the exit code is 6.
    """
    state = session.state()
    folder = find_folder(session, plan)
    target = output or Path(f"reset-{short_digest(folder.name)}.zip")
    refuse_existing(target, WHAT)
    made = write_bundle(
        state,
        folder,
        target,
        datetime.now(UTC),
        signers=signers,
        usual_signers=session.profile.allowed_signers,
        with_evidence=not without_evidence,
    )
    session.invocation.recorded = f"The bundle is in {made.path}."
    session.out.document(
        {
            "bundle": str(made.path),
            "sha256": made.sha256,
            "head": _shown(made.head),
            "files": made.files,
            "findings": plain(made.findings),
            "notes": [IS_A_COPY],
        }
    )
    faults = session.out.findings(made.findings)
    session.out.say(f"{made.path}: {number(made.files, 'file')}. SHA-256: {made.sha256}")
    session.out.say(f"Head of the audit log: {_shown(made.head)}")
    session.out.note(f"{IS_A_COPY}. To verify it, follow VERIFY.txt in it.")
    return ExitCode.RECORDS if faults else ExitCode.DONE


def _servers(entries: Iterable[Mapping[str, Any]]) -> dict[object, str]:
    """Return the server of each plan in the log; entries about a closed or purged plan do not name it."""
    named = ((entry.get("plan_digest"), _server(entry)) for entry in entries)
    return {digest: where for digest, where in named if digest and where}


def _server(entry: Mapping[str, Any]) -> str | None:
    url = entry.get("base_url")
    return server(str(url), is_reference=entry.get("reference_server") is True) if url else None


def _shown(head: Head) -> str:
    return f"{head.n}:{head.hash}"


_ONE = {"people": ("person", "people"), "resets": ("reset", "resets")}
"""Singular and plural of the things that an entry counts."""


def _in_order(outcomes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the counts of people and resets first, then the other outcomes."""
    return sorted(outcomes.items(), key=lambda one: one[0] not in _ONE)


def _facts(entry: Any) -> list[object]:
    who = entry.get("who") or {}
    outcomes = entry.get("outcomes") or entry.get("counts") or {}
    said = ", ".join(
        number(count, *_ONE.get(what, (what, what))) for what, count in _in_order(outcomes) if count
    )
    digest = short_digest(str(entry.get("plan_digest") or ""))
    return [who.get("os_user"), digest, entry.get("reason"), entry.get("ticket"), said]


def _quoted(session: Session) -> list[Quoted]:
    manifests = ((folder, read_manifest(folder)) for folder in session.packs())
    return [
        Quoted(folder.name, Head(manifest.audit_log.n, manifest.audit_log.hash))
        for folder, manifest in manifests
        if manifest.audit_log is not None
    ]
