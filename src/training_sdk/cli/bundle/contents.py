"""Contents of a bundle: copies of a plan's records as they are stored, and the files that verify them."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path

from attrs import define, evolve, field, frozen
from jinja2 import Environment, StrictUndefined, Template

from training_sdk import ssh_signatures
from training_sdk._core import argument_checks
from training_sdk._core.text import inline, sentence, visible
from training_sdk._version import __version__
from training_sdk.approval.approvals import read_approval
from training_sdk.approval.four_eyes import NAMESPACE, PRINCIPAL
from training_sdk.errors import ApprovalError, EvidenceError, RecordsError, TrainingError
from training_sdk.evidence.files import BLOCK
from training_sdk.evidence.pack import MANIFEST, parse_manifest, regular_file
from training_sdk.evidence.verifying import verify_pack
from training_sdk.local_plans.admission import APPROVAL, APPROVAL_OUTLINE, PLAN_OUTLINE
from training_sdk.local_plans.record_check import check_records
from training_sdk.local_plans.record_reading import Entry, pack_of
from training_sdk.plans.outline import read_plan_copy
from training_sdk.plans.plan import SIGNATURE_NAMESPACE
from training_sdk.plans.wording import number, short_digest
from training_sdk.records import approvals
from training_sdk.records.audit import JOURNAL, KEPT, PURGED, AuditLog, Quoted
from training_sdk.records.chain import START, Head, Lines, canonical, check_chain, head_of, parse_line
from training_sdk.records.events import Event, EvidenceKept, Opened, Resumed
from training_sdk.records.journal import FILE, read_journal
from training_sdk.records.plan_copy import OUTLINE, PLAN, SEALED, outline_in
from training_sdk.records.state import StateDirectory
from training_sdk.reports.report_file import REPORT
from training_sdk.resets.unfinished import report_in

TERMS, SIGNERS = "terms.json", "allowed_signers"
EXCERPT, HEAD = "log/excerpt.jsonl", "log/head.json"
_APPROVAL_NAME = re.compile(r"approval(-[0-9]{1,9})?(\.json|\.json\.sealed|\.outline\.json)")
_PACK_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,120}")
"""Name that leads to no other folder and needs no quoting in a shell."""


@frozen
class BundleFinding:
    """Fault or note found while a bundle was made; a note (``is_note``) is no sign that records were changed."""

    message: str
    is_note: bool

    def __str__(self) -> str:
        return visible(self.message)


@frozen
class _Pack:
    """Evidence pack of the plan; a purged pack has no files in the bundle."""

    name: str
    is_sealed: bool = False
    purged_on: str | None = None


@frozen
class _Signature:
    """A signature, and what ``ssh-keygen`` needs to verify it."""

    what: str
    """Beginning of the names of its files: message and signature."""
    user_id: str
    namespace: str
    at: datetime
    """Time at which the key had to be listed: when the plan was applied."""
    fingerprint: str


@frozen
class _File:
    """A file whose SHA-256 the log quotes."""

    name: str
    quoted_as: str
    what: str


_QUOTED_FILES = (
    _File(REPORT, "report_sha256", "the result for each person; report.txt is the same for people to read"),
    _File(TERMS, "plan_digest", "the bytes whose SHA-256 is the digest; plan.json has the same content"),
    _File(OUTLINE, PLAN_OUTLINE, "the plan without names and scores"),
)
_APPROVAL = _File("", APPROVAL, "the approval of a second person")
_APPROVAL_OUTLINE = _File("", APPROVAL_OUTLINE, "an approval without name and signature")


@frozen
class Item:
    """A file of a bundle: its bytes, or the file that holds them."""

    name: str
    content: bytes | Path


@define
class Contents:
    """Contents of a bundle, and the faults in them."""

    state: StateDirectory
    folder: Path
    now: datetime
    with_evidence: bool
    items: list[Item] = field(factory=list, init=False)
    packs: list[_Pack] = field(factory=list, init=False)
    signatures: list[_Signature] = field(factory=list, init=False)
    findings: list[BundleFinding] = field(factory=list, init=False)
    entries: list[Entry] = field(factory=list, init=False)
    """Lines of the audit log about the plan."""
    head: Head = field(default=START, init=False)
    phrase: str = field(default="", init=False)

    @property
    def digest(self) -> str:
        """Digest of the plan."""
        return self.folder.name

    def page(self) -> str:
        """Return the page that explains how to verify the bundle. Call ``gather`` first."""
        names = {item.name for item in self.items}
        files = list(self._quoted_files())
        begun = next((entry for entry in self.entries if entry.get("base_url")), {})
        return _template().render(
            digest=self.digest,
            phrase=self.phrase,
            begun={
                **{name: begun.get(name) for name in ("base_url", "reference_server", "reason", "ticket")},
                "organisation_id": (begun.get("who") or {}).get("organisation_id"),
            },
            made_at=argument_checks.in_utc(self.now),
            version=__version__,
            names=names,
            names_people=self._names_people(names),
            sealed=sum(name.endswith(approvals.SEALED) for name in names),
            findings=self.findings,
            quotes_journal=any(JOURNAL in entry for entry in self.entries),
            files=[file for file, _ in files],
            quoted=[file for file, is_quoted in files if is_quoted],
            unquoted=[file.name for file, is_quoted in files if not is_quoted],
            has_approval=any(name.startswith(f"plan/{approvals.STEM}") for name in names),
            signatures=self.signatures,
            packs=self.packs,
            with_evidence=self.with_evidence,
        )

    def _quoted_files(self) -> Iterator[tuple[_File, bool]]:
        """Yield each file that the log may quote, and whether the log quotes its present content."""
        kinds = {f"plan/{file.name}": file for file in _QUOTED_FILES}
        for item in self.items:
            stem, _, name = item.name.partition("/")
            if stem == "plan" and name.startswith(approvals.STEM) and name.endswith(".json"):
                kind = _APPROVAL_OUTLINE if name.endswith(approvals.OUTLINE) else _APPROVAL
                kinds[item.name] = evolve(kind, name=name)
            if (file := kinds.get(item.name)) is not None and isinstance(item.content, bytes):
                sha256 = hashlib.sha256(item.content).hexdigest()
                yield file, any(entry.get(file.quoted_as) == sha256 for entry in self.entries)

    def _names_people(self, names: Collection[str]) -> bool:
        """Return True if the bundle contains a person's name that is not encrypted."""
        in_clear = [pack for pack in self.packs if not (pack.is_sealed or pack.purged_on)]
        approved = any(
            name.startswith(f"plan/{approvals.STEM}") and name.endswith((".json", ".message"))
            for name in names
            if not name.endswith(approvals.OUTLINE)
        )
        return (
            f"plan/{PLAN}" in names or SIGNERS in names or approved or bool(self.with_evidence and in_clear)
        )

    def gather(self, signers: Path | None, *, is_chosen: bool) -> None:
        """Gather all contents. Read the log first: each of its lines is written after the file that it quotes.

        A file of signers that cannot be used is an error if it ``is_chosen`` for this bundle, else it is left out.
        """
        self._log()
        events = self._journal()
        self._plan(events)
        self._report()
        self._approvals(events)
        if signers is not None and (self.signatures or is_chosen):
            self._signers(signers, is_chosen=is_chosen)
        self._evidence(events)
        names = {pack.name for pack in self.packs}
        for one in check_records(self.state):
            if one.plan == self.digest or one.pack in names:
                self._found(one.message, is_note=one.is_note)

    def _signers(self, path: Path, *, is_chosen: bool) -> None:
        try:
            self._add(SIGNERS, ssh_signatures.Signers.read(path).content)
        except ApprovalError as error:
            if is_chosen:
                raise
            self._found(f"{sentence(error.message)} It is not in the bundle", is_note=True)

    def _add(self, name: str, content: bytes | Path) -> None:
        self.items.append(Item(name, content))

    def _copy(self, path: Path, name: str) -> None:
        if _is_regular(path):
            self._add(name, _read(path))
        elif os.path.lexists(path):
            self._found(f"{path} is not a regular file, and is not in the bundle")

    def _found(self, message: str, *, is_note: bool = False) -> None:
        found = BundleFinding(message, is_note)
        if found not in self.findings:
            self.findings.append(found)

    def _log(self) -> None:
        excerpt = bytearray()
        for _, line in Lines(self.state.audit).raw():
            entry = parse_line(line)
            if entry is not None and entry.get("plan_digest") == self.digest:
                excerpt += line
                self.entries.append(entry)
        for link in check_chain(Lines(self.state.audit).raw()):
            if link.entry is not None and not link.fault:
                self.head = head_of(link.entry)
        for found in AuditLog(self.state.audit).verify():
            self._found(f"the audit log: {found}", is_note=found.is_note)
        self._add(EXCERPT, bytes(excerpt))
        self._add(HEAD, canonical({"n": self.head.n, "hash": self.head.hash}) + b"\n")

    def _journal(self) -> tuple[Event, ...]:
        try:
            return read_journal(self.folder)
        except RecordsError as error:
            self._found(error.message)
            return ()

    def _plan(self, events: tuple[Event, ...]) -> None:
        """Add the copy of the plan (readable or encrypted), its outline, the journal and the report."""
        for name in (PLAN, SEALED, OUTLINE, FILE, REPORT):
            self._copy(self.folder / name, f"plan/{name}")
        try:
            plan = read_plan_copy(self.folder)
            self.phrase = plan.phrase
            if not _is_regular(self.folder / PLAN):
                return
            if not _is_regular(self.folder / OUTLINE):
                self._add(f"plan/{OUTLINE}", outline_in(self.folder))
        except TrainingError as error:
            self._found(error.message)
            return
        self._add(f"plan/{TERMS}", plan.digested)
        if plan.signature is not None:
            opened = [event.at for event in events if isinstance(event, Opened)]
            at = opened[-1] if opened else self.now
            self._sign(
                "plan", plan.signed_terms, plan.signature, plan.origin.user_id, SIGNATURE_NAMESPACE, at
            )

    def _report(self) -> None:
        """Add the report as text. Names come from the readable copy of the plan; nothing is decrypted for it."""
        try:
            report, unfinished = report_in(self.state, self.folder, self.now)
        except TrainingError as error:
            self._found(error.message)
            return
        said = [] if unfinished is None else [str(unfinished), ""]
        self._add(
            "plan/report.txt", "\n".join([*said, report.listing(sys.maxsize), ""]).encode("utf-8", "replace")
        )

    def _approvals(self, events: tuple[Event, ...]) -> None:
        """Add the approvals and the outlines of encrypted ones; for a signed approval also the signed message."""
        kept = [event for event in events if isinstance(event, Opened | Resumed) and event.approval]
        applied = {(e.approval.user_id, e.approval.at): e.at for e in kept if e.approval is not None}
        found = sorted(self.folder.glob(f"{approvals.STEM}*"))
        for path in found:
            if _APPROVAL_NAME.fullmatch(path.name):
                self._copy(path, f"plan/{path.name}")
            else:
                self._found(
                    f"{path.name!r} beside the journal is not a file of an approval, and is not in the bundle"
                )
        for path in approvals.in_clear(self.folder):
            if not _APPROVAL_NAME.fullmatch(path.name):
                continue
            try:
                approval = read_approval(path)
            except ApprovalError as error:
                self._found(error.message)
                continue
            who = approval.approver.user_id
            if approval.signature is not None:
                at = applied.get((who, approval.at), approval.at)
                self._sign(path.stem, approval.message, approval.signature, who, NAMESPACE, at)

    def _sign(
        self, what: str, message: bytes, signature: str, user_id: str, namespace: str, at: datetime
    ) -> None:
        if PRINCIPAL.fullmatch(user_id) is None:
            self._found(f"the {what} is signed by {user_id!r}, whom no file of allowed signers can hold")
            return
        self._add(f"plan/{what}.message", message)
        self._add(f"plan/{what}.signature", signature.encode("ascii"))
        fingerprint = ssh_signatures.fingerprint(signature)
        self.signatures.append(_Signature(what, user_id, namespace, argument_checks.in_utc(at), fingerprint))

    def _evidence(self, events: tuple[Event, ...]) -> None:
        purged = {pack_of(entry).get("name"): entry for entry in self.entries if entry.get("event") == PURGED}
        for name in self._pack_names(events):
            if name in purged:
                self.packs.append(_Pack(name, purged_on=str(purged[name].get("at"))[:10]))
            elif (self.state.path / "evidence" / name / MANIFEST).is_file():
                self._pack(self.state.path / "evidence" / name)
            else:
                self._found(f"the evidence pack {name} has no {MANIFEST}, or is not there", is_note=True)

    def _pack_names(self, events: tuple[Event, ...]) -> list[str]:
        """Return the names of the plan's packs from journal, log and folders; skip names of other folders."""
        root = self.state.path / "evidence"
        named = [event.pack for event in events if isinstance(event, EvidenceKept)]
        named += [str(pack_of(one).get("name")) for one in self.entries if one.get("event") in (KEPT, PURGED)]
        named += sorted(path.name for path in root.glob(f"{self.digest[:16]}-*") if path.is_dir())
        safe = [name for name in dict.fromkeys(named) if _PACK_NAME.fullmatch(name)]
        for name in dict.fromkeys(named):
            if name not in safe:
                self._found(
                    f"{name!r} is not the name of an evidence pack, but the journal or the log has it"
                )
        return safe

    def _pack(self, folder: Path) -> None:
        data = _read(folder / MANIFEST)
        try:
            manifest = parse_manifest(data, folder)
        except EvidenceError as error:
            self._found(error.message)
            return
        if manifest.plan_digest != self.digest or manifest.pseudonymised is not None:
            self._found(f"the evidence pack {folder.name} is not of this plan, and is not in the bundle")
            return
        quoted = [pack_of(entry) for entry in self.entries if entry.get("event") == KEPT]
        known = next((one["manifest_sha256"] for one in quoted if one.get("name") == folder.name), None)
        for finding in verify_pack(folder, manifest_sha256=known):
            self._found(f"the evidence pack {folder.name}: {finding}")
        if manifest.audit_log is not None:
            head = Quoted(folder.name, Head(manifest.audit_log.n, manifest.audit_log.hash))
            for one in AuditLog(self.state.audit).verify([head]):
                self._found(f"the audit log: {one}", is_note=one.is_note)
        self._add(f"evidence/{folder.name}/{MANIFEST}", data)
        self.packs.append(_Pack(folder.name, is_sealed=manifest.sealed))
        for name in sorted(manifest.files) if self.with_evidence else ():
            if _is_regular(folder / name):  # what is missing or a link was found above
                self._add(f"evidence/{folder.name}/{name}", folder / name)


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _read(path: Path) -> bytes:
    return b"".join(blocks_of(path))


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield the content of a file of the records. Raises RecordsError, also if it is a link or a pipe."""
    try:
        with regular_file(path).open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as error:
        raise RecordsError(
            f"Cannot read {path}: {error.strerror or error}. No bundle was written. It may have been purged."
        ) from error


@cache
def _template() -> Template:
    environment = Environment(  # noqa: S701  # plain text, of which no browser makes a page
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["line"] = lambda text: visible(inline(str(text or "")))
    environment.filters["short_digest"] = short_digest
    environment.filters["number"] = number
    environment.filters["quoted"] = shlex.quote
    return environment.from_string(
        resources.files("training_sdk.cli").joinpath("bundle.txt.j2").read_text(encoding="utf-8")
    )
