"""The audit log: who did what to whom, when and why; every entry holds the hash of the one before.

Here is also its export, and its comparison with the journal of a plan. The page about keeping records says what the
log proves and what it cannot.
"""

from __future__ import annotations

import csv
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from attrs import frozen

from training_sdk._core import argument_checks
from training_sdk._core.text import plain_cell, visible
from training_sdk.errors import InvalidArgumentError
from training_sdk.records import storage
from training_sdk.records.approvals import Unseal, approvers
from training_sdk.records.chain import (
    ALTERED,
    START,
    Head,
    Lines,
    Link,
    check_chain,
    damaged_line,
    head_of,
    intact_entry,
    next_entry,
)
from training_sdk.records.journal_state import JournalState, PersonState
from training_sdk.records.tokens import refuse_tokens

if sys.platform != "win32":
    import pwd

Format: TypeAlias = Literal["csv", "json"]

WHO = ("token_fingerprint", "os_user", "user_id", "organisation_id")
PLAIN = (
    "base_url",
    "reference_server",
    "plan_digest",
    "reason",
    "ticket",
    "counts",
    "outcomes",
    "pack",
    "approval",
)
APPROVER = "approver"
"""The approver by name and id: looked up for the export, and not part of the entry or of its hash."""
COLUMNS = ("line", "n", "at", "event", *WHO, *PLAIN, APPROVER, "other", "prev", "hash", "fault")
Lookup: TypeAlias = Callable[[Mapping[str, Any]], str | None]


def export_text(links: Iterable[Link], format: Format, approver: Lookup) -> str:
    """Return the whole export as text."""
    if format == "csv":
        return _csv(links, approver)
    if format == "json":
        return _json(links, approver)
    raise InvalidArgumentError(f"format must be 'csv' or 'json', not {format!r}.", argument="format")


def file_bytes(text: str, format: Format) -> bytes:
    """Return the bytes of a file with an export; CSV begins with a byte order mark, by which Excel knows UTF-8."""
    return text.encode("utf-8-sig" if format == "csv" else "utf-8", "backslashreplace")


def _json(links: Iterable[Link], approver: Lookup) -> str:
    added = ((link, {APPROVER: approver(link.entry or {}), "fault": link.fault}) for link in links)
    rows = [
        {**(link.entry or {}), **{name: said for name, said in facts.items() if said}}
        for link, facts in added
    ]
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"


def _csv(links: Iterable[Link], approver: Lookup) -> str:
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for link in links:
        row = {**_row(link), APPROVER: approver(link.entry or {})}
        writer.writerow([plain_cell(row.get(column)) for column in COLUMNS])
    return text.getvalue()


def _row(link: Link) -> Mapping[str, Any]:
    entry = dict(link.entry or {})
    who = entry.pop("who", None)
    who = who if isinstance(who, dict) else {}
    known = {column: entry.pop(column, None) for column in ("n", "at", "event", *PLAIN, "prev", "hash")}
    other = {**entry, **{name: value for name, value in who.items() if name not in WHO}}
    named = {column: who.get(column) for column in WHO}
    return {**known, **named, "line": link.line, "other": other or None, "fault": link.fault}


WAIT_SECONDS = 10.0
"""Seconds that one process waits for another to write an entry, which takes milliseconds."""


@frozen
class Quoted:
    """A head of the audit log that is stored in another place, such as the manifest of an evidence package."""

    name: str
    head: Head


@frozen
class LogFinding:
    """A result of verifying the log. If ``is_note`` is True, it is not a sign of a change."""

    message: str
    line: int | None = None
    is_note: bool = False

    def __str__(self) -> str:
        return visible(self.message if self.line is None else f"line {self.line}: {self.message}")


Finding = LogFinding
"""The earlier name of ``LogFinding``."""


@frozen
class AuditLog:
    """An append-only log in one file. Entries can be added from several processes and threads."""

    path: Path

    def append(self, event: str, /, *, at: datetime | None = None, **facts: Any) -> Head:
        """Add an entry and return the new head of the log. The entry is on the disk when this returns.

        Arguments:

        - ``event``: The kind of the entry.
        - ``at``: The time of the entry, with a time zone; by default now.
        - ``facts``: Further fields, as plain JSON values. The user of the operating system is added to ``who``.

        Raises:

        - ``InvalidArgumentError``: A fact looks like a token or a password.
        - ``RecordsDamagedError``: The last entry was changed after it was written.
        - ``RecordsLockedError``: Another process is writing the log.
        - ``RecordsUnwritableError``: The log cannot be written.
        """
        moment = _utc(at, "at") if at is not None else datetime.now(UTC)
        who = {"os_user": os_user(), **(facts.pop("who", None) or {})}
        said = {"event": event, "at": moment.isoformat(), "who": who, **facts}
        refuse_tokens(said, who.get("token_fingerprint"))
        with Lines(self.path, wait=WAIT_SECONDS).writing() as lines:
            entry = next_entry(said, self._head(lines))
            lines.append(entry)
        return head_of(entry)

    def head(self) -> Head:
        """Return the head of the log: the number and the hash of its last entry.

        Store it in another place. With it you can check later that the log still has all its entries.
        """
        return self._head(Lines(self.path))

    def verify(self, packs: Iterable[Quoted] = ()) -> tuple[LogFinding, ...]:
        """Check the log, and return each fault. The result is empty if there is none.

        The check finds altered, missing, repeated, moved and inserted lines. With ``packs``, which have heads that were
        stored in another place, it also finds a missing end and a log that was written again.
        """
        quoted = [*packs]
        wanted = {each.head.n for each in quoted}
        found, hashes, last = [], {START.n: START.hash}, START.n
        for link in check_chain(Lines(self.path).raw()):
            if link.fault:
                found.append(LogFinding(link.fault, link.line))
            if link.entry is not None and type(link.entry.get("n")) is int:
                last = max(last, link.entry["n"])
                if link.entry["n"] in wanted:
                    hashes[link.entry["n"]] = str(link.entry.get("hash"))
        found += [finding for each in quoted if (finding := _compared_with_log(each, hashes, last))]
        torn = Lines(self.path).torn()
        if torn:
            rest = f"{torn} bytes follow the last entry: a write that was interrupted"
            found.append(LogFinding(rest, is_note=True))
        return tuple(found)

    def entries(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        plan_digest: str | None = None,
    ) -> tuple[Mapping[str, Any], ...]:
        """Return the entries of the log, all or those that match.

        Arguments:

        - ``since``: A time with a time zone: leave out earlier entries.
        - ``until``: A time with a time zone: leave out entries at this time and later.
        - ``plan_digest``: Return only entries about this plan.

        Raises RecordsDamagedError with the line if the log was changed; ``verify`` returns all faults.
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
        """Return the SHA-256 of the manifest of each evidence package in the log, by the name of the package.

        Raises RecordsDamagedError if the log was changed. With ``pass_over`` altered lines are skipped instead.
        """
        packs = (entry.get("pack") for entry in (self._unaltered() if pass_over else self._whole_entries()))
        return {
            pack["name"]: pack["manifest_sha256"]
            for pack in packs
            if isinstance(pack, dict) and "manifest_sha256" in pack
        }

    def _unaltered(self) -> Iterator[Mapping[str, Any]]:
        """Return the lines that are, each by itself, as they were written."""
        return (entry for _, line in Lines(self.path).raw() if (entry := intact_entry(line)) is not None)

    def approver_of(self, entry: Mapping[str, Any]) -> str | None:
        """Return the name and id of the approver of an entry; only the id if the approval is encrypted or purged.

        The log contains only ids. The names come from the approvals beside the log, in ``plans/``.
        """
        return self.approvers()(entry)

    def approvers(self, unseal: Unseal | None = None) -> Callable[[Mapping[str, Any]], str | None]:
        """Return a function like ``approver_of`` for many entries. ``unseal`` decrypts encrypted approvals."""
        return approvers(self.path.parent / "plans", unseal)

    def export(
        self,
        target: str | os.PathLike[str] | IO[str],
        format: Format = "csv",
        *,
        unseal: Unseal | None = None,
    ) -> None:
        """Write the log as a table for an auditor. Lines with a fault are included, with the fault.

        In CSV, a text that a spreadsheet would run as a formula begins with an apostrophe, and a file begins with a
        byte order mark, by which spreadsheets detect UTF-8.

        Arguments:

        - ``target``: A path, or a text file that is open for writing. A file at this path is replaced; the new one can
          be read by its owner only (mode 0600).
        - ``format``: ``"csv"``, one row for each entry, or ``"json"``, a list of entries.
        - ``unseal``: A function that decrypts encrypted approvals, for the names of approvers.
        """
        text = export_text(check_chain(Lines(self.path).raw()), format, self.approvers(unseal))
        if isinstance(target, str | os.PathLike):
            storage.write_whole(Path(target), file_bytes(text, format))
        else:
            target.write(text)

    def _whole_entries(self) -> Iterator[Mapping[str, Any]]:
        for link in check_chain(Lines(self.path).raw()):
            if link.entry is None or link.fault:
                raise damaged_line(self.path, link.line, link.fault or "")
            if not _names_a_time(link.entry):
                raise damaged_line(self.path, link.line, "it has no time")
            yield link.entry

    def _head(self, lines: Lines) -> Head:
        last = lines.last()
        if last is None:
            return START
        entry = intact_entry(last[1])
        if entry is None:
            number = sum(1 for _ in lines.raw())
            raise damaged_line(self.path, number, ALTERED)
        return head_of(entry)


def os_user() -> str:
    """Return the name of this process's user, from the system and not from the environment where there is a choice."""
    if sys.platform == "win32":
        with suppress(ImportError, KeyError, OSError):  # a service may run without USERNAME
            return getpass.getuser()
        return "unknown user"
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _compared_with_log(quoted: Quoted, hashes: Mapping[int, str], last: int) -> LogFinding | None:
    number = quoted.head.n
    if hashes.get(number) == quoted.head.hash:
        return None
    if number > last:
        return LogFinding(
            f"the end is missing: {quoted.name} refers to entry {number}, but the log ends with entry {last}"
        )
    if number not in hashes:
        return LogFinding(f"entry {number} is missing, to which {quoted.name} refers")
    return LogFinding(
        f"entry {number} is not the entry to which {quoted.name} refers: the log was written again"
    )


def _names_a_time(entry: Mapping[str, Any]) -> bool:
    try:
        return _at(entry).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        return False


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _utc(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        raise InvalidArgumentError(
            f"{name} must be a time with a time zone, such as datetime.now(UTC).", argument=name
        )
    return argument_checks.in_utc(moment)


BEGUN, RESUMED, KEPT = "reset begun", "reset resumed", "evidence kept"
"""Entries of the audit log that follow an event of the journal."""
ENDED, STOPPED = "reset ended", "reset stopped"
CLOSED = "plan closed"
"""A person closed the plan."""
PROOF_FAILED = "proof failed"
PURGED, COPY_PURGED = "evidence purged", "plan copy purged"
JOURNAL = "journal"
"""The field of an entry that quotes the head of the journal."""


def counted(entry: Mapping[str, Any], state: PersonState) -> int:
    """Return how many people an entry counts with this state."""
    outcomes = entry.get("outcomes")
    number = outcomes.get(state.value) if isinstance(outcomes, Mapping) else None
    return number if type(number) is int else 0


def unseen_in_proof(entries: Sequence[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Return course and user id of people whose reset was accepted, and whom a failed proof did not see at 0 %."""
    failed = [entry for entry in entries if entry["event"] == PROOF_FAILED]
    if not failed:
        return frozenset()
    last = failed[-1]
    # An older log names people who were not seen only where nothing at all was.
    unseen = last.get("unseen", last["affected"] if last["proof_failed"] == "NOT_SEEN" else [])
    return frozenset((course_id, user_id) for course_id, user_id in unseen)


def quotes_other(entry: Mapping[str, Any], heads: Sequence[Head]) -> bool:
    """Return whether an entry quotes another journal than the one with these heads; older entries quote none."""
    quoted = entry.get(JOURNAL)
    if not isinstance(quoted, Mapping):
        return False
    number = quoted.get("n")
    if type(number) is not int or not 0 < number <= len(heads):
        return True
    return heads[number - 1].hash != quoted.get("hash")


def contradicts(entries: Sequence[Mapping[str, Any]], state: JournalState, heads: Sequence[Head]) -> bool:
    """Return whether these entries about a plan contradict its journal: it was changed, lost or shortened.

    In an honest directory each entry follows its event, so the entries must be read before the journal.
    """
    events = [entry.get("event") for entry in entries]
    is_begun = BEGUN in events or RESUMED in events
    has_ended = any(
        counted(entry, one) for entry in entries for one in (PersonState.RESET, PersonState.UNKNOWN)
    )
    return (
        (state.opened is None and is_begun)
        or events.count(KEPT) > len(state.packs)
        or (has_ended and not state.has_sent)
        or any(quotes_other(entry, heads) for entry in entries)
    )
