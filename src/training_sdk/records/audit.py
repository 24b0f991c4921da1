"""The audit log: who did what to whom, when and why; every entry holds the hash of the one before.

What it proves and what it cannot is said in the documentation, on the page about keeping records.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk._core.text import visible
from training_sdk.errors import InvalidArgumentError
from training_sdk.records import auditexport, disk
from training_sdk.records.approvals import Unseal, approvers
from training_sdk.records.auditexport import Format, exported
from training_sdk.records.chain import START, Head, check, head_of, seal, whole
from training_sdk.records.lines import Lines, damaged
from training_sdk.records.tokens import refuse_tokens

WAIT_SECONDS = 10.0
"""How long one process waits for another that is writing an entry, which takes milliseconds."""


@frozen
class Quoted:
    """The head of the log as something else quotes it, such as the manifest of an evidence pack."""

    name: str
    head: Head


@frozen
class Finding:
    """Something that verifying the log found; where ``is_note``, it is no sign that anybody changed it."""

    message: str
    line: int | None = None
    is_note: bool = False

    def __str__(self) -> str:
        return visible(self.message if self.line is None else f"line {self.line}: {self.message}")


@frozen
class AuditLog:
    """An append-only log in one file. Entries can be added from several processes and threads."""

    path: Path

    def append(self, event: str, /, *, at: datetime | None = None, **facts: Any) -> Head:
        """Add an entry; it is on the disk when this returns. Returns the log's head, which may be kept elsewhere.

        ``facts`` are plain JSON; ``who`` gets the user of the operating system added. ``at`` is aware, by default
        now. Raises InvalidArgumentError if a fact looks like a token, RecordsDamagedError if the last entry is not as
        it was written, and RecordsLockedError, RecordsUnwritableError.
        """
        moment = _utc(at, "at") if at is not None else datetime.now(UTC)
        who = {"os_user": os_user(), **(facts.pop("who", None) or {})}
        said = {"event": event, "at": moment.isoformat(), "who": who, **facts}
        refuse_tokens(said, who.get("token_fingerprint"))
        with Lines(self.path, wait=WAIT_SECONDS).writing() as lines:
            entry = seal(said, self._head(lines))
            lines.append(entry)
        return head_of(entry)

    def head(self) -> Head:
        """Where the log ends: number and hash of its last entry.

        Kept elsewhere, it tells later whether the log still holds all that it held.
        """
        return self._head(Lines(self.path))

    def verify(self, packs: Iterable[Quoted] = ()) -> tuple[Finding, ...]:
        """Everything that is wrong with the log; empty if nothing is.

        Altered, missing, repeated, moved and inserted lines; and, by the heads that ``packs`` quote, an end that was
        cut off, or a log that was written anew.
        """
        quoted = [*packs]
        wanted = {each.head.n for each in quoted}
        found, hashes, last = [], {START.n: START.hash}, START.n
        for link in check(Lines(self.path).raw()):
            if link.fault:
                found.append(Finding(link.fault, link.line))
            if link.entry is not None and type(link.entry.get("n")) is int:
                last = max(last, link.entry["n"])
                if link.entry["n"] in wanted:
                    hashes[link.entry["n"]] = str(link.entry.get("hash"))
        found += [finding for each in quoted if (finding := _held_against(each, hashes, last))]
        torn = Lines(self.path).torn()
        if torn:
            rest = f"{torn} bytes stand behind the last entry: a write that was interrupted"
            found.append(Finding(rest, is_note=True))
        return tuple(found)

    def entries(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        plan_digest: str | None = None,
    ) -> tuple[Mapping[str, Any], ...]:
        """The entries from ``since`` on, before ``until`` (aware), of one plan or of all.

        Raises RecordsDamagedError, with the line, if the log is not as it was written; ``verify`` tells everything.
        """
        low = None if since is None else _utc(since, "since")
        high = None if until is None else _utc(until, "until")
        return tuple(
            entry
            for entry in self._whole_entries()
            if (low is None or _at(entry) >= low)
            and (high is None or _at(entry) < high)
            and (plan_digest is None or entry.get("plan_digest") == plan_digest)
        )

    def manifests(self, *, pass_over: bool = False) -> Mapping[str, str]:
        """The SHA-256 of the manifest of every evidence pack that the log knows, by the pack's name.

        Raises RecordsDamagedError if the log is not as it was written, unless told to ``pass_over`` altered lines.
        """
        packs = (entry.get("pack") for entry in (self._unaltered() if pass_over else self._whole_entries()))
        return {
            pack["name"]: pack["manifest_sha256"]
            for pack in packs
            if isinstance(pack, dict) and "manifest_sha256" in pack
        }

    def _unaltered(self) -> Iterator[Mapping[str, Any]]:
        """The lines that are, each by itself, as they were written."""
        return (entry for _, line in Lines(self.path).raw() if (entry := whole(line)) is not None)

    def approver_of(self, entry: Mapping[str, Any]) -> str | None:
        """Who approved what an entry is about: name and id, or the id alone once the approval is sealed or purged.

        The log holds ids only. Names are looked up in the approvals beside the log, in ``plans/``.
        """
        return self.approvers()(entry)

    def approvers(self, unseal: Unseal | None = None) -> Callable[[Mapping[str, Any]], str | None]:
        """The function ``approver_of`` for many entries; ``unseal`` opens approvals that are sealed."""
        return approvers(self.path.parent / "plans", unseal)

    def export(
        self,
        target: str | os.PathLike[str] | IO[str],
        format: Format = "csv",
        *,
        unseal: Unseal | None = None,
    ) -> None:
        """Write the log for an auditor: ``csv`` (one row an entry) or ``json`` (a list of entries).

        A path gets a file of mode 0600, replacing what was there. Lines with a fault are written too, with what is
        wrong with them. ``unseal`` opens sealed approvals, for the names of approvers. In CSV, text that a spreadsheet
        would take for a formula gets an apostrophe in front, and a file begins with a byte order mark, by which a
        spreadsheet knows that it is UTF-8.
        """
        text = exported(check(Lines(self.path).raw()), format, self.approvers(unseal))
        if isinstance(target, str | os.PathLike):
            disk.write_whole(Path(target), auditexport.file_of(text, format))
        else:
            target.write(text)

    def _whole_entries(self) -> Iterator[Mapping[str, Any]]:
        for link in check(Lines(self.path).raw()):
            if link.entry is None or link.fault:
                raise damaged(self.path, link.line, link.fault or "")
            if not _names_a_time(link.entry):
                raise damaged(self.path, link.line, "it names no time")
            yield link.entry

    def _head(self, lines: Lines) -> Head:
        last = lines.last()
        if last is None:
            return START
        entry = whole(last[1])
        if entry is None:
            number = sum(1 for _ in lines.raw())
            raise damaged(self.path, number, "altered: it does not have the hash that it was written with")
        return head_of(entry)


def os_user() -> str:
    """The name of this process's user, from the system and not from the environment where there is a choice."""
    if sys.platform == "win32":
        with suppress(ImportError, KeyError, OSError):  # a service may run without USERNAME
            return getpass.getuser()
        return "unknown user"
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _held_against(quoted: Quoted, hashes: Mapping[int, str], last: int) -> Finding | None:
    number = quoted.head.n
    if hashes.get(number) == quoted.head.hash:
        return None
    if number > last:
        return Finding(
            f"the end is missing: {quoted.name} quotes entry {number}, and the log ends with {last}"
        )
    if number not in hashes:
        return Finding(f"entry {number} is missing, which {quoted.name} quotes")
    return Finding(f"entry {number} is not the one that {quoted.name} quotes: the log was written anew")


def _names_a_time(entry: Mapping[str, Any]) -> bool:
    try:
        return _at(entry).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        return False


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _utc(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        raise InvalidArgumentError(f"{name} must be a time with a time zone, such as datetime.now(UTC)")
    return argument_checks.in_utc(moment)
