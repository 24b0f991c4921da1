"""Packs without names: pseudonyms that only the holder of a key can make again."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from training_sdk._core import argument_checks
from training_sdk.errors import EvidenceError
from training_sdk.evidence.answers import Table, camel, tables_of, value_in
from training_sdk.evidence.files import UNSEAL, FileChecksum, NewFile, Sink, Unseal
from training_sdk.evidence.pack import (
    BEGUN_FILE,
    PLAN,
    RAW,
    TARGETS,
    Log,
    Pack,
    Pseudonymised,
    StoredPack,
)
from training_sdk.evidence.tables import Tables, json_line
from training_sdk.evidence.verifying import verify_pack
from training_sdk.evidence.writing import new_folder, put_manifest

EVENT = "evidence pseudonymised"

SHORTEST_KEY = 16
FEWEST_DIFFERENT = 6
"""Different bytes in a key; random ones practically always have more, also as hexadecimal digits."""
FEWEST_STEPS = 4
"""Different steps from a byte to the next; text that counts up has fewer."""
_PERSONAL = {
    "user_id": "user",
    "user_external_id": "external",
    "user_email": "email",
    "user_first_name": "first-name",
    "user_last_name": "last-name",
    "id": "attempt",
}
_NAMES = ("user_first_name", "user_last_name")
_FREE_TEXT = ("answer",)
"""The columns with text that a person wrote, which may name people."""


@frozen
class Pseudonyms:
    """The pseudonyms that one key gives."""

    key: bytes

    @classmethod
    def of(cls, key: object) -> Pseudonyms:
        """Check a key. Raises InvalidArgumentError unless it is long enough."""
        if not isinstance(key, bytes) or len(key) < SHORTEST_KEY:
            raise argument_checks.refusal(
                "key", f"must be at least {SHORTEST_KEY} random bytes, such as secrets.token_bytes(32)."
            )
        return cls(key)

    @classmethod
    def new(cls, key: object) -> Pseudonyms:
        """Check a key for new pseudonyms. Raises InvalidArgumentError for a key that can be guessed."""
        made = cls.of(key)
        text = made.key.strip()
        steps = {later - earlier for earlier, later in pairwise(text)}
        if len(set(text)) < FEWEST_DIFFERENT or len(steps) < FEWEST_STEPS or text in (text * 2)[1:-1]:
            raise argument_checks.refusal(
                "key",
                "must not repeat or count up: such a key can be guessed. Nothing was written. Use random bytes, "
                "such as secrets.token_bytes(32).",
            )
        return made

    @property
    def check(self) -> str:
        """A value that identifies the key and does not reveal it."""
        return self.make("check", "training-sdk evidence")

    def make(self, kind: str, text: str) -> str:
        """Return the pseudonym of a text: equal for the same text and key, meaningless without the key."""
        named = f"{kind}\0{text}".encode("utf-8", "surrogatepass")
        return f"{kind}_{hmac.new(self.key, named, hashlib.sha256).hexdigest()[:32]}"

    def item(self, table: Table, item: dict[str, Any]) -> dict[str, Any]:
        """Return an item of a table without names: what it may hold is listed, and everything else is left out."""
        owner = value_in(item, "user_id")
        return {
            name: self._field(name, value_in(item, name), owner)
            for name in table.columns
            if (name in item or camel(name) in item) and name not in _FREE_TEXT
        }

    def _field(self, name: str, value: Any, owner: Any) -> Any:
        if name not in _PERSONAL or value is None or value == "":
            return value
        # Names are few: were they the same for everyone of that name, counting them would give them away.
        text = f"{owner}\0{value}" if name in _NAMES else str(value)
        return self.make(_PERSONAL[name], text)


def pseudonym(user_id: str, key: bytes) -> str:
    """Return the pseudonym of a user id in packages that were pseudonymised with this key."""
    return Pseudonyms.of(key).make("user", user_id)


def pseudonymise(
    folder: str | os.PathLike[str],
    out_folder: str | os.PathLike[str],
    key: bytes,
    *,
    log: Log,
    unseal: Unseal | None = None,
) -> Pack:
    """Write a copy of an evidence package with pseudonyms instead of user ids, names, e-mails and external ids.

    The copy has no raw answers, no plan, and no field without a column in the tables. Dates and scores stay in it, so
    the copy is not anonymous. Its manifest contains the SHA-256 of the original manifest, so the original can be
    purged. The manifest does not name the plan, because the stored plan contains names.

    Arguments:

    - ``folder``: The folder of the original package.
    - ``out_folder``: The folder of the copy. It must not exist.
    - ``key``: At least 16 random bytes. Store the key in another place; destroy it to make the pseudonyms permanent.
    - ``log``: The audit log, which gets an entry that names both packages.
    - ``unseal``: A function that decrypts an encrypted package.

    Raises:

    - ``EvidenceError``: The original was changed, or the new folder exists.
    - ``InvalidArgumentError``: The key is too short or can be guessed.
    """
    names, target = Pseudonyms.new(key), Path(out_folder)
    stored = StoredPack.open(folder, unseal)
    source, original = stored.folder, stored.manifest
    if original.pseudonymised:
        raise EvidenceError(f"{source} is pseudonymised already.")
    if original.sealed and unseal is None:
        raise EvidenceError(f"{source} is sealed.", remedy=UNSEAL)
    if findings := verify_pack(source, unseal=unseal):
        raise EvidenceError(f"{source} is not as it was written: {findings[0]}", reason="EVIDENCE_CHANGED")
    new_folder(target)
    files = _write(stored, target, names)
    manifest = evolve(
        original,
        plan_digest="",
        tables_form=_form_of(stored),
        counts={**original.counts, "answers": 0},
        files=files,
        sealed=False,
        pseudonymised=Pseudonymised(stored.manifest_sha256, names.check, _left_out(stored)),
    )
    copy = put_manifest(target, manifest, {})
    log.append(
        EVENT,
        pack={"name": target.name, "manifest_sha256": copy.manifest_sha256},
        original={"name": source.name, "manifest_sha256": stored.manifest_sha256},
        plan_digest=original.plan_digest,
    )
    return copy


def _write(stored: StoredPack, target: Path, names: Pseudonyms) -> dict[str, FileChecksum]:
    begun = {**json.loads((stored.folder / BEGUN_FILE).read_bytes()), "plan_digest": ""}
    files = {BEGUN_FILE: _put(target / BEGUN_FILE, json_line(begun))}
    people = sorted(
        (line["course_id"], names.make("user", line["user_id"])) for line in stored.lines(TARGETS)
    )
    lines = [json_line({"course_id": course_id, "user_id": user_id}) for course_id, user_id in people]
    files[TARGETS] = _put(target / TARGETS, b"".join(lines))
    form = _form_of(stored)
    tables = Tables({}, lambda name: NewFile(target / name), form)
    try:
        tables.begin()
        for table in tables_of(form):
            items = stored.table(table.name)
            for item in items:
                tables.write(table, [names.item(table, item)])
        return files | tables.finish()
    finally:
        tables.close()


def _form_of(stored: StoredPack) -> int:
    """Return the form of the tables of a copy: that of the original, but for the first, whose cells can be formulas."""
    return max(stored.manifest.tables_form, 2)


def _left_out(stored: StoredPack) -> tuple[str, ...]:
    """Return what the new pack lacks: files, and the fields that the tables have no column for."""
    fields = {
        f"{table.name}.{name}"
        for table in tables_of(stored.manifest.tables_form)
        for item in stored.table(table.name)
        for name in item
        if name not in _known(table)
    }
    return (RAW, PLAN, *sorted(fields))


def _known(table: Table) -> Iterator[str]:
    for name in table.columns:
        if name not in _FREE_TEXT:
            yield name
            yield camel(name)


def _put(path: Path, data: bytes) -> FileChecksum:
    sink: Sink = NewFile(path)
    try:
        sink.write(data)
        return sink.finish()
    finally:
        sink.close()
