"""Writing an evidence pack: the folder, the answers, the tables, and the manifest last of all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from sys import intern
from typing import Any

from attrs import define, evolve, field, frozen

from training_sdk._core import codec
from training_sdk._core.flow import Request, Response
from training_sdk.api.progress import ProgressRow
from training_sdk.errors import EvidenceError
from training_sdk.evidence.answers import FORM as TABLES_FORM
from training_sdk.evidence.answers import without_others
from training_sdk.evidence.files import SEALED, FileChecksum, NewFile, Seal, SealedFile, Sink, checksum_of
from training_sdk.evidence.pack import (
    BEGUN_FILE,
    FORM,
    INDEX,
    MANIFEST,
    PLAN,
    RAW,
    TARGETS,
    BlindWindow,
    Head,
    LogHead,
    Manifest,
    Pack,
    ReadAt,
    utc_text,
)
from training_sdk.evidence.tables import Tables, Targets, json_line
from training_sdk.records import storage

_REPEATED = frozenset(
    {"course_id", "courseId", "course_title", "courseTitle", "course_external_id", "courseExternalId"}
    | {"user_id", "userId", "user_external_id", "userExternalId"}
)
SEGMENT = 1 << 22
"""Size in bytes after which another file is begun: sealing and verifying hold a whole file in memory."""


@frozen
class PackContext:
    """The purpose of a pack, as in its manifest."""

    tool: str
    plan_digest: str
    base_url: str
    organisation_id: str
    reference_server: bool
    audit_head: Head | None = None


@define
class _Segment:
    """A file of answers, one right after the other; the index says where each begins."""

    name: str
    sink: Sink
    length: int = 0

    def add(self, body: bytes) -> None:
        """Add an answer."""
        self.sink.write(body)
        self.length += len(body)


@define
class Writer:
    """A pack that is being written. Until ``finish`` it has no manifest, which marks it as incomplete."""

    folder: Path
    targets: Targets
    occasion: PackContext
    seal: Seal | None = None
    not_read: dict[str, str] = field(factory=dict, init=False)
    """The listings that the service does not serve, or not whole, each with the reason."""
    rows: dict[tuple[str, str], ProgressRow] = field(factory=dict, init=False)
    files: dict[str, FileChecksum] = field(factory=dict, init=False)
    tables: Tables = field(init=False)
    _index: Sink | None = field(default=None, init=False)
    _segment: _Segment | None = field(default=None, init=False)
    _segments: int = field(default=0, init=False)
    _answers: int = field(default=0, init=False)
    _read_at: ReadAt | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.tables = Tables(self.targets, self._open)

    def begin(self, plan_document: bytes, at: datetime) -> None:
        """Make the folder. Raises EvidenceError if there is one already, RecordsUnwritableError if it cannot be."""
        new_folder(self.folder)
        begun = {"begun_at": utc_text(at), "form": FORM, "plan_digest": self.occasion.plan_digest}
        self._put_begun(json_line(begun | {"tool": self.occasion.tool}))
        with storage.writing(self.folder):
            (self.folder / RAW).mkdir(mode=storage.PRIVATE_FOLDER)
        self._put(PLAN, plan_document)
        self._put(TARGETS, targets_document(self.targets))
        self._index = self._open(INDEX)
        self.tables.begin()

    def keep(self, request: Request, response: Response, at: datetime) -> None:
        """Write an answer as it came, but for items about other people, and its items into the tables."""
        body, cut = without_others(request.path, response.body, self.tables.is_wanted)
        plain = checksum_of(body)
        segment = self._room()
        entry = {
            "file": segment.name,
            "offset": segment.length,
            "method": request.method,
            "target": request.target,
            "status": response.status,
            "request_id": response.request_id,
            "read_at": utc_text(at),
            "sha256": plain.sha256,
            "bytes": plain.bytes,
            **({"cut": cut} if cut else {}),
        }
        segment.add(body)
        self._index_sink().write(json_line(entry))
        for item in self.tables.add(request.target, body, cut):
            if request.path.endswith("training-course-progress"):
                row = codec.structure_kept(_shared(item), ProgressRow)
                self.rows[row.course_id, row.user_id] = row
        self._answers += 1
        self._read_at = ReadAt(self._read_at.first if self._read_at else at, at)

    def finish(self) -> Pack:
        """Close every file, and then put the manifest in place: from here on this is a whole pack."""
        if self._read_at is None:
            raise EvidenceError("No answer was stored, so there is no evidence.")
        self._end_segment()
        marks = {**self.tables.finish(), INDEX: self._index_sink().finish()}
        self.files |= {self._stored(name): mark for name, mark in marks.items()}
        with storage.writing(self.folder):
            storage.sync_folder(self.folder / RAW)
        counts = {**self.tables.counts, "answers": self._answers, **counted(self.targets)}
        manifest = Manifest(
            form=FORM,
            tool=self.occasion.tool,
            plan_digest=self.occasion.plan_digest,
            base_url=self.occasion.base_url,
            organisation_id=self.occasion.organisation_id,
            reference_server=self.occasion.reference_server,
            read_at=self._read_at,
            blind_window=BlindWindow.of(self._read_at),
            counts=counts,
            files=self.files,
            sealed=self.seal is not None,
            audit_log=_head(self.occasion.audit_head),
            tables_form=TABLES_FORM,
            missing_lessons=len(self.tables.lessons.missing),
            lessons_by_page=self.tables.by_page,
            not_read=dict(self.not_read),
        )
        pack = put_manifest(self.folder, manifest, self.rows)
        return evolve(pack, missing_lessons=tuple(self.tables.lessons.missing))

    def close(self) -> None:
        """Close all files."""
        self.tables.close()
        if self._index is not None:
            self._index.close()
        if self._segment is not None:
            self._segment.sink.close()

    def _room(self) -> _Segment:
        """Return the file that the next answer goes to."""
        if self._segment is not None and self._segment.length >= SEGMENT:
            self._end_segment()
        if self._segment is None:
            self._segments += 1
            name = f"{RAW}/{self._segments:06d}.answers"
            self._segment = _Segment(name, self._open(name))
        return self._segment

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            try:
                self.files[self._stored(segment.name)] = segment.sink.finish()
            finally:
                segment.sink.close()

    def _put_begun(self, data: bytes) -> None:
        """Write ``begun.json``, never in part and never sealed: a purge reads from it which plan the pack is of."""
        storage.write_whole(self.folder / BEGUN_FILE, data)
        mark = checksum_of(data)
        self.files[BEGUN_FILE] = FileChecksum(mark.sha256, mark.bytes)

    def _put(self, name: str, data: bytes) -> None:
        sink = self._open(name)
        try:
            sink.write(data)
            mark = sink.finish()
        finally:
            sink.close()
        self.files[self._stored(name)] = mark

    def _open(self, name: str) -> Sink:
        path = self.folder / self._stored(name)
        return NewFile(path) if self.seal is None else SealedFile(path, self.seal)

    def _stored(self, name: str) -> str:
        return name if self.seal is None else name + SEALED

    def _index_sink(self) -> Sink:
        if self._index is None:
            raise EvidenceError("The pack was not begun.")
        return self._index


def _shared(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose texts that many rows repeat are one object, because all rows are kept until the end."""
    return {
        name: intern(value) if isinstance(value, str) and name in _REPEATED else value
        for name, value in row.items()
    }


def new_folder(folder: Path) -> None:
    """Make a folder of mode 0700 that was not there."""
    storage.make_folder(folder.parent)
    with storage.writing(folder):
        try:
            folder.mkdir(mode=storage.PRIVATE_FOLDER)
        except FileExistsError:
            raise EvidenceError(
                f"{folder} exists, and a pack is never written over another. Name a new folder."
            ) from None
        storage.sync_folder(folder.parent)


def put_manifest(folder: Path, manifest: Manifest, rows: Mapping[tuple[str, str], ProgressRow]) -> Pack:
    """Put the manifest in place, when all else is on the disk, and return the pack."""
    with storage.writing(folder):
        storage.sync_folder(folder)
    data = manifest.to_bytes()
    storage.write_whole(folder / MANIFEST, data)
    return Pack(folder, manifest, checksum_of(data).sha256, rows)


def targets_document(targets: Targets) -> bytes:
    """Return the targets as JSON lines, courses as they were given, their users in order."""
    return b"".join(
        json_line({"course_id": course_id, "user_id": user_id})
        for course_id, users in targets.items()
        for user_id in sorted(users)
    )


def counted(targets: Targets) -> dict[str, int]:
    """Return how many courses, users and pairs of both the targets are."""
    return {
        "courses": len(targets),
        "users": len(frozenset().union(*targets.values())),
        "targets": sum(len(users) for users in targets.values()),
    }


def _head(head: Head | None) -> LogHead | None:
    return None if head is None else LogHead(head.n, head.hash)
