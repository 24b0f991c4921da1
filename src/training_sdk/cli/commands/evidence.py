"""``evidence``: the packs that were written before each reset. No command in this group needs a server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import click

from training_sdk._core.text import sentence
from training_sdk.cli.arguments import a_moment, chosen, course_in, followed_by_a_request, moment, person_in
from training_sdk.cli.exit_codes import ExitCode
from training_sdk.cli.group import Group
from training_sdk.cli.interaction import confirmed
from training_sdk.cli.output import plain
from training_sdk.cli.profiles import private_bytes
from training_sdk.cli.session import Session, with_session
from training_sdk.errors import InvalidArgumentError
from training_sdk.evidence import Purged, purge, read_manifest, verify_pack
from training_sdk.evidence import history as completions_of
from training_sdk.evidence import pseudonymise as without_names
from training_sdk.evidence.files import Unseal
from training_sdk.local_plans.record_check import RecordFinding, check_records
from training_sdk.plans.wording import number, server, short_digest
from training_sdk.records.audit import AuditLog
from training_sdk.records.journal import is_closed
from training_sdk.records.state import StateDirectory

FOLDER = click.Path(path_type=Path, file_okay=False)
KEY = click.Path(path_type=Path, dir_okay=False)
TELLS_NAMES = (
    "It leads from pseudonyms back to people: if another person may have read it, make the packs without "
    "names again with a new key"
)


@click.group(cls=Group)
def evidence() -> None:
    """Verify, search, pseudonymise and purge the evidence of resets."""


@evidence.command("list")
@with_session
def list_(session: Session) -> None:
    """List the packs of this machine, and after which of them a request was sent."""
    manifests = {folder: read_manifest(folder) for folder in session.packs()}
    sent: dict[str, bool] = {}
    for digest in {manifest.plan_digest for manifest in manifests.values()}:
        sent.update(followed_by_a_request(session.state(), digest))
    session.out.document(
        {
            "packs": [
                {
                    "folder": str(folder),
                    **plain(manifest),
                    "files": len(manifest.files),
                    "sent_after_it": sent.get(folder.name),
                }
                for folder, manifest in manifests.items()
            ]
        }
    )
    session.out.table(
        ("pack", "plan", "read (UTC)", "targets", "sent after it", "kind", "server"),
        (
            (
                *(
                    folder.name,
                    short_digest(manifest.plan_digest),
                    manifest.read_at.last,
                    manifest.counts.get("targets"),
                    {True: "yes", False: "nothing", None: None}[sent.get(folder.name)],
                ),
                "pseudonymised" if manifest.pseudonymised else "sealed" if manifest.sealed else "plain",
                server(manifest.base_url, is_reference=manifest.reference_server),
            )
            for folder, manifest in manifests.items()
        ),
    )
    session.out.note(f"{number(len(manifests), 'pack')}.")


@evidence.command()
@click.argument("packs", nargs=-1, type=FOLDER, metavar="[PACK]...")
@with_session
def verify(session: Session, packs: tuple[Path, ...]) -> ExitCode:
    """Check that packs are complete and unchanged.

    Without PACK all packs of this machine are checked, and compared with journals, reports and purges too: a missing
    pack is a fault. Manifests are compared with the digests in this machine's audit log, if it has them. A damaged
    log is a fault, and the packs are checked in any case.
    """
    state = StateDirectory.existing(session.state_dir)
    log = [] if state is None else [one for one in AuditLog(state.audit).verify() if not one.is_note]
    known = {} if state is None else AuditLog(state.audit).manifests(pass_over=True)
    folders = chosen(packs, session.packs())
    records = _records(state, packs, folders, session.profile.unseal)
    if not folders and not records and not known and not log:
        raise InvalidArgumentError(
            "There is no pack to verify: this machine has stored none yet. Name a pack, or another directory with "
            "--state-dir."
        )
    told = []
    for damage in log:
        session.out.say(
            f"FAULT: The audit log is damaged: {damage}. Packs are compared with its other lines."
        )
    for folder in folders:
        expected = known.get(folder.resolve().name)
        findings = verify_pack(folder, manifest_sha256=expected, unseal=session.profile.unseal)
        told.append({"pack": str(folder), "in_audit_log": expected is not None, "findings": plain(findings)})
        against = "" if expected else " (not in this machine's audit log, so its manifest cannot be compared)"
        session.out.say(f"{folder}: {'NOT as it was written' if findings else 'as it was written'}{against}")
        for finding in findings:
            session.out.say(f"  - {finding}")
    has_faults = session.out.findings(records)
    if not folders:
        session.out.say("There is no pack on this machine any more.")
    session.out.document({"packs": told, "records": plain(records), "log": plain(log)})
    faults = log or any(one["findings"] for one in told) or has_faults
    return ExitCode.RECORDS if faults else ExitCode.DONE


@evidence.command()
@click.argument("packs", nargs=-1, type=FOLDER, metavar="[PACK]...")
@click.option("--user", metavar="ID|E-MAIL", help="Only completions of this person.")
@click.option("--course", metavar="ID|TITLE", help="Only completions of this course.")
@click.option(
    "--as-of",
    type=a_moment,
    metavar="DATE",
    help="Only completions up to this time, or up to the end of this day in UTC.",
)
@click.option("--key-file", type=KEY, metavar="FILE", help="The file with the key of packs without names.")
@with_session
def history(
    session: Session,
    packs: tuple[Path, ...],
    user: str | None,
    course: str | None,
    as_of: date | None,
    key_file: Path | None,
) -> ExitCode:
    """List the completions that packs prove, each once. The service itself no longer knows them.

    Without PACK all packs of this machine are searched. Exit code 6 if one that was stored before a reset is missing
    or damaged: completions may be missing from the list.
    """
    until = moment(as_of, time.max)
    key = None if key_file is None else _key(key_file)
    folders, unseal = chosen(packs, session.packs()), session.profile.unseal
    records = _records(StateDirectory.existing(session.state_dir), packs, folders, unseal)
    lost = [one for one in records if one.pack is not None and not one.is_note]
    for one in lost:
        session.out.warn(f"Warning: {sentence(str(one))} Completions may be missing in the list.")
    user_id = None if user is None else person_in(folders, user, key, unseal)
    course_id = None if course is None else course_in(folders, course, key, unseal)
    found = completions_of(folders, user=user_id, course=course_id, as_of=until, key=key, unseal=unseal)
    session.out.listing(
        "completions",
        tuple(found),
        ("course", "user id", "name", "completed (UTC)", "score", "packs"),
        lambda one: (
            *(one.course_title or one.course_id, one.user_id, one.user_name, one.completed_at, one.score),
            len(one.packs),
        ),
        "completion",
    )
    return ExitCode.RECORDS if lost else ExitCode.DONE


@evidence.command()
@click.argument("pack", type=FOLDER)
@click.argument("new", type=FOLDER, metavar="NEW-FOLDER")
@click.option(
    "--key-file",
    type=KEY,
    required=True,
    metavar="FILE",
    help="A file with at least 16 random bytes; store it elsewhere.",
)
@with_session
def pseudonymise(session: Session, pack: Path, new: Path, key_file: Path) -> None:
    """Write a second pack with pseudonyms in place of people. The first is not changed."""
    log = AuditLog(StateDirectory.open(session.state_dir).audit)
    (original,) = chosen([pack], session.packs(), most=1)
    made = without_names(original, new, _key(key_file), log=log, unseal=session.profile.unseal)
    session.invocation.recorded = f"The pack without names is in {made.folder}."
    session.out.document({"pack": str(made.folder), "manifest_sha256": made.manifest_sha256})
    session.out.say(
        f"The pack without names is in {made.folder}. Store the key elsewhere. The original is still in {original}."
    )


@evidence.command("purge")
@click.option(
    "--older-than",
    type=click.IntRange(min=1),
    required=True,
    metavar="DAYS",
    help="Delete packs that were read more than this many days ago.",
)
@click.option("--dry-run", is_flag=True, help="Only list what would be deleted.")
@click.option("--confirm", metavar="PHRASE", help="The phrase that --dry-run shows; a terminal asks for it.")
@with_session
def purge_(session: Session, older_than: int, dry_run: bool, confirm: str | None) -> None:
    """Delete packs that are older than a number of days. It cannot be undone. Each gets a line in the audit log.

    Packs of plans that have not ended stay. Copies of plans that name people and have no evidence, because the plan
    never started or its evidence was purged, are deleted at the same age.
    """
    state, now, age = session.state(), datetime.now(UTC), timedelta(days=older_than)
    log = AuditLog(state.audit)

    run = partial(purge, state.evidence, age, now, log=log, is_closed=partial(is_closed, state))
    found = run(dry_run=True)
    identities = sorted(one.identity for one in found if one.purged and not one.is_copy)
    going, tail = len(identities), short_digest(hashlib.sha256(json.dumps(identities).encode()).hexdigest())
    identities += [one.identity for one in found if one.is_copy]
    copies = sum(one.is_copy for one in found)
    phrase = f"purge {number(going, 'pack')} older than {number(older_than, 'day')} #{tail}"
    session.out.table(
        ("pack", "goes", "why"),
        [(one.folder.name, "yes" if one.purged else "no", one.why) for one in found],
        is_asked=bool(going) and not dry_run and confirm is None,
    )
    if going and not dry_run:
        confirmed(session.out, phrase, confirm, what="The phrase for this")
    if not dry_run and (going or copies):
        found = run(only=identities)
        going = sum(one.purged and not one.is_copy for one in found)
        copies = sum(one.purged and one.is_copy for one in found)
        session.invocation.recorded = f"The audit log shows what was purged: {state.audit}."
    session.out.document(
        {
            "dry_run": dry_run,
            "phrase": phrase,
            "packs": [_told(one) for one in found if not one.is_copy],
            "copies": [_told(one) for one in found if one.is_copy],
        }
    )
    packs = number(going, "pack")
    gone = f"{packs} {'was' if going == 1 else 'were'} deleted."
    told = f"{packs} would be deleted. The phrase is:\n  {phrase}" if dry_run else gone
    session.out.note(
        told if going else f"No pack is older than {number(older_than, 'day')} and can be deleted."
    )
    if copies:
        what = number(copies, "copy of a plan without evidence", "copies of plans without evidence")
        session.out.note(f"{what} {'would be' if dry_run else 'was' if copies == 1 else 'were'} deleted.")


def _told(one: Purged) -> dict[str, object]:
    return {"plan" if one.is_copy else "pack": one.folder.name, "purged": one.purged, "why": one.why}


def _records(
    state: StateDirectory | None, named: Sequence[Path], folders: Sequence[Path], unseal: Unseal | None
) -> list[RecordFinding]:
    """Return the faults in the other records: all of this machine or, if packs are named, only those of the packs."""
    if state is None:
        return []
    found = check_records(state, unseal=unseal)
    names = {folder.resolve().name for folder in folders}
    return [one for one in found if not named or one.pack in names]


def _key(path: Path) -> bytes:
    return private_bytes(path, "The key file", TELLS_NAMES)
