"""The files of an evidence pack as they are read here: whole, unsealed, and what the manifest says they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

from mock_server.world.exporter_rows import ExporterCsvError, Problem

MANIFEST, BEGUN, SEALED = "manifest.json", "begun.json", ".sealed"

Unseal = Callable[[bytes], bytes]
"""Opens what the hook closed that sealed the pack."""

_T = TypeVar("_T")


@frozen
class Line:
    """One line of a file of a pack."""

    source: str
    number: int
    values: Mapping[str, Any]

    def get(self, name: str, kind: type[_T], default: _T | None = None) -> _T:
        """A field in either spelling; null is empty, or the default.

        ExporterCsvError, naming the line, if it is missing without a default, or of another type.
        """
        first, *others = name.split("_")
        camel = "".join((first, *map(str.capitalize, others)))
        value = self.values.get(name, self.values.get(camel, default))
        if value is None and (name in self.values or camel in self.values):
            value = kind() if default is None else default
        if kind is float and type(value) is int:
            value = float(value)
        if kind is int and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not kind:
            raise self.problem(f"must be there, as {kind.__name__}", name)
        return value

    def read(self, name: str, kind: type[Any], how: Callable[[str], _T], default: object = None) -> _T:
        """The same, read as a cell of an export is; ExporterCsvError for what no such cell may hold."""
        value = self.get(name, kind, default)
        try:
            return how(str(value))
        except ValueError as error:
            raise self.problem(str(error), name) from None

    @property
    def key(self) -> tuple[str, str]:
        """Whom it is about: course and user."""
        return self.get("course_id", str), self.get("user_id", str)

    def problem(self, what: str, column: str = "") -> ExporterCsvError:
        """An error about this line."""
        return ExporterCsvError(self.source, (Problem(self.number, column, what),))


@frozen
class PackFiles:
    """A pack that may be read: finished, or made by hand without a manifest."""

    folder: Path
    marks: Mapping[str, Mapping[str, Any]] | None
    """What the manifest says of each file; None where there is no manifest."""
    unseal: Unseal | None = None

    @classmethod
    def open(cls, folder: Path, unseal: Unseal | None) -> PackFiles:
        """ExporterCsvError if it is sealed and there is no hook, or was never finished."""
        if not (folder / MANIFEST).exists():
            if (folder / BEGUN).exists():
                raise _wrong(folder, f"was never finished: it has no {MANIFEST}; name a whole pack")
            return cls(folder, None)
        manifest = _object(folder / MANIFEST)
        marks = manifest.get("files")
        if not isinstance(marks, dict) or not all(isinstance(each, dict) for each in marks.values()):
            raise _wrong(folder / MANIFEST, "does not say what the files are; bring back a copy of the pack")
        if manifest.get("sealed") is True and unseal is None:
            raise _wrong(
                folder,
                "is sealed: load it in Python, with MockTraining.from_evidence(folder, unseal=...), the hook that "
                "opens what the seal hook closed",
            )
        return cls(folder, marks, unseal if manifest.get("sealed") is True else None)

    def lines(self, name: str, *, needed: bool = False) -> Iterator[Line]:
        """The objects in a file of JSON lines; of one that is not there, none, unless it is needed."""
        stored = name if self.unseal is None else name + SEALED
        path = self.folder / stored
        kept = path.exists() if self.marks is None else stored in self.marks
        if not kept and not needed:
            return
        whole = self._text(path).removesuffix("\n")
        for number, text in enumerate(whole.split("\n") if whole else (), 1):
            try:
                values = _sound(json.loads(text))
            except (ValueError, RecursionError):
                values = None
            if not isinstance(values, dict):
                raise ExporterCsvError(str(path), (Problem(number, "", "is not a JSON object"),))
            yield Line(str(path), number, values)

    def _text(self, path: Path) -> str:
        data = _read(path)
        if self.marks is not None:
            mark = self.marks.get(path.name, {})
            _check(data, mark.get("sha256"), path)
            if self.unseal is not None:
                data = _unsealed(self.unseal, data, path)
                plain = mark.get("plain")
                _check(data, plain.get("sha256") if isinstance(plain, dict) else None, path)
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _wrong(path, "is not UTF-8") from None


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise _wrong(path, "is not a regular file; name the folder of an evidence pack")
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}; name the folder of an evidence pack") from None


def _check(data: bytes, sha256: object, path: Path) -> None:
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _wrong(path, f"is not what was written, by {MANIFEST}; bring back a copy of the pack")


def _unsealed(unseal: Unseal, data: bytes, path: Path) -> bytes:
    try:
        return unseal(data)
    except Exception as error:  # the hook is the user's own, and may fail in any way
        raise _wrong(path, f"the unseal hook failed: {error}") from error


def _sound(value: object) -> object:
    """The same; ValueError if there is half a character in it, which no answer could hold."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read(path))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _wrong(path, "is not a JSON object; bring back a copy of the pack")
    return found


def _wrong(path: Path, what: str) -> ExporterCsvError:
    return ExporterCsvError(str(path), (Problem(0, "", what),))
