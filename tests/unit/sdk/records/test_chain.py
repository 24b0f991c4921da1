"""Files that only grow: what was acknowledged is there, whatever happens to the process, the disk or the rights."""

from __future__ import annotations

import logging
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_sdk import (
    InvalidArgumentError,
    RecordsDamagedError,
    RecordsError,
    RecordsLockedError,
    RecordsUnwritableError,
)
from training_sdk.records import chain as module
from training_sdk.records import storage
from training_sdk.records.chain import Lines, encode_line
from unit.sdk.records import children

APPENDING = """
from training_sdk.records.chain import Lines

def work(place, acknowledge):
    with Lines(place / "log.jsonl").writing() as log:
        for number in range(6):
            log.append({"number": number, "text": "x" * 50})
            acknowledge()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def numbers(path: Path) -> list[int]:
    return [entry["number"] for entry in Lines(path).read()]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5))
def test_append_then_read(tmp_path_factory: pytest.TempPathFactory, entries: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("lines") / "log.jsonl"
    for entry in entries:
        Lines(path).append(entry)
    assert Lines(path).read() == tuple(entries)
    assert path.exists() == bool(entries)


def test_a_file_that_is_not_there_is_empty(path: Path) -> None:
    assert (Lines(path).read(), Lines(path).last(), Lines(path).torn()) == ((), None, 0)
    with Lines(path).writing():
        pass
    assert (Lines(path).read(), Lines(path).last(), Lines(path).torn()) == ((), None, 0)


def test_files_are_private(path: Path) -> None:
    before = os.umask(0)
    try:
        with Lines(path).writing() as log:
            log.append({"number": 1})
            found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert found == {"log.jsonl": 0o600, "log.lock": 0o600, "log.holder": 0o600}


@pytest.mark.parametrize("bad", [{"a": float("nan")}, {"a": object()}, {"a": b"x"}, {1: 1, "a": 2}])
def test_what_is_not_json_is_refused_before_anything_is_written(path: Path, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be plain JSON"):
        Lines(path).append(bad)
    assert not path.exists()


@pytest.mark.parametrize("block", [1, 7, 65_536])
def test_the_last_line_is_found_from_the_end(path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    for number in range(3):
        Lines(path).append({"number": number})
        size = len(encode_line({"number": number}))
        assert Lines(path).last() == (number * size, encode_line({"number": number}))
    with path.open("ab") as file:
        file.write(b'{"number":')
    assert Lines(path).last() == (2 * size, encode_line({"number": 2}))
    assert Lines(path).torn() == 10


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"{", b'{"number":2}', b"\0" * 9, b'{"text":"\xc3'])
def test_a_torn_last_line_does_not_count(path: Path, torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    Lines(path).append({"number": 1})
    with path.open("ab") as file:
        file.write(torn)
    assert numbers(path) == [1]
    assert path.read_bytes().endswith(torn), "reading mends nothing"
    caplog.set_level(logging.WARNING, "training_sdk")
    Lines(path).append({"number": 2})
    assert numbers(path) == [1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        f"In {path}, {len(torn)} bytes of a line were removed, because its writing was interrupted."
    ]


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"nonsense\n", b"\xff\n", b"7\n", b"[" * 100_000 + b"\n"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_other_damage_is_named_by_file_and_line(path: Path, line: bytes, place: int) -> None:
    whole = [encode_line({"number": number}) for number in (1, 2)]
    path.write_bytes(b"".join([*whole[:place], line, *whole[place:]]))
    with pytest.raises(
        RecordsDamagedError, match=f"log.jsonl, line {place + 1}, is not what was written"
    ) as caught:
        Lines(path).read()
    assert pickle.loads(pickle.dumps(caught.value)) == caught.value


def test_a_file_that_changes_under_the_writers_hands_is_left_alone(path: Path) -> None:
    with Lines(path).writing() as log:
        log.append({"number": 1})
        with path.open("ab") as file:
            file.write(b"x")
        with pytest.raises(RecordsDamagedError, match="was modified by another process"):
            log.append({"number": 2})
    assert numbers(path) == [1]


def test_a_link_or_a_folder_in_the_place_of_the_file_is_refused(path: Path, tmp_path: Path) -> None:
    tmp_path.joinpath("elsewhere").write_bytes(b"")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordsUnwritableError, match=r"log\.jsonl"):
        Lines(path).append({"number": 1})
    assert tmp_path.joinpath("elsewhere").read_bytes() == b""
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    with pytest.raises(RecordsError, match=r"Cannot read .*folder\.jsonl"):
        Lines(folder).read()


# --- killed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "how"), [("write", "before"), ("write", "half"), ("fsync", "before")])
def test_killed_at_any_system_call_nothing_acknowledged_is_lost(tmp_path: Path, call: str, how: str) -> None:
    places = children.killed_at_each_call(APPENDING, call, how, tmp_path)
    assert len(places) > 6
    assert {acknowledged for _, acknowledged in places} == {*range(7)}
    for place, acknowledged in places:
        path = place / "log.jsonl"
        kept = numbers(path)
        assert kept == [*range(acknowledged)] or (call == "fsync" and kept == [*range(acknowledged + 1)])
        assert (Lines(path).torn() > 0) == (how == "half" and path.exists() and acknowledged < 6)
        Lines(path).append({"number": 99})  # the lock is free, and the file goes on
        assert numbers(path) == [*kept, 99]


def test_killed_at_any_moment_nothing_acknowledged_is_lost(path: Path) -> None:
    script = """
from training_sdk.records.chain import Lines
log = Lines(Path(sys.argv[1]))
with log.writing():
    for number in range(10**9):
        log.append({"number": number, "text": "x" * (number % 300)})
        print(number, flush=True)
"""
    for after in (1, 10, 40):
        path.unlink(missing_ok=True)
        child = children.start(script, path)
        assert child.stdout is not None
        for _ in range(after):
            child.stdout.readline()
        child.kill()
        rest = child.stdout.read().split("\n")[:-1]
        child.communicate()
        acknowledged = after + len(rest)
        assert numbers(path) in ([*range(acknowledged)], [*range(acknowledged + 1)])


# --- no room, no rights ------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_exactly_what_was_acknowledged(path: Path) -> None:
    script = """
from training_sdk import RecordsUnwritableError
from training_sdk.records.chain import Lines
log = Lines(Path(sys.argv[1]))
with log.writing():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    for number in range(30):
        try:
            log.append({"number": number, "text": "x" * 50})
        except RecordsUnwritableError as error:
            print(number, error.__cause__.errno == errno.EFBIG, log.path.stat().st_size, log.torn(), error)
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    log.append({"number": number})
"""
    done = children.run(script, path)
    line = len(encode_line({"number": 10, "text": "x" * 50}))
    whole = (1000 + 10) // line  # the first ten have one digit less
    said = f"{whole} True {whole * line - 10} 0 Cannot write {path}: File too large"
    assert done.stdout.startswith(said), done.stderr
    assert numbers(path) == [*range(whole + 1)]


def test_a_disk_that_fails_to_keep_data_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fails(file: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        raise OSError(5, "Input/output error")

    with Lines(path).writing() as log:
        log.append({"number": 1})
        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(RecordsUnwritableError, match="Input/output error"):
            log.append({"number": 2})
        assert numbers(path) == [1]
        log.append({"number": 3})
    assert numbers(path) == [1, 3]


def test_ctrl_c_leaves_what_was_acknowledged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(file: int) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    with Lines(path).writing() as log:
        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append({"number": 1})
        log.append({"number": 2})
    assert numbers(path) == [2]


def test_a_folder_without_write_permission_is_an_error_that_names_it() -> None:
    script = """
from training_sdk import RecordsError, RecordsUnwritableError
from training_sdk.records.chain import Lines
folder = Path(sys.argv[1], "own")
folder.mkdir()
log = Lines(folder / "log.jsonl")
log.append({"number": 1})
folder.chmod(0o500)
for name in ("log", "new"):
    (folder / "log.jsonl").chmod(0o400)
    try:
        Lines(folder / f"{name}.jsonl").append({"number": 3})
    except RecordsUnwritableError as error:
        print(error)
(folder / "log.jsonl").chmod(0)
try:
    log.read()
except RecordsError as error:
    print(error)
folder.chmod(0o700)
(folder / "log.jsonl").chmod(0o600)
print(len(log.read()))
"""
    with children.open_to_everyone() as folder:
        done = children.run_unprivileged(script, folder)
    said = done.stdout.replace(f"{folder}/own/", "").splitlines()
    assert [each.partition(". Make")[0] for each in said] == [
        "Cannot write log.jsonl: Permission denied",
        "Cannot write new.jsonl: Permission denied",
        "Cannot read log.jsonl: Permission denied.",
        "1",
    ], done.stderr


def test_dev_full_is_a_full_disk(tmp_path: Path) -> None:
    file = os.open("/dev/full", os.O_WRONLY)
    try:
        with (
            pytest.raises(RecordsUnwritableError, match="No space left on device") as caught,
            storage.writing(tmp_path),
        ):
            storage.write_all(file, b"x")
    finally:
        os.close(file)
    assert isinstance(caught.value.__cause__, OSError)


# --- several writers ---------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_at_once_and_told_who_writes(path: Path) -> None:
    script = """
import platform
from training_sdk.records.chain import Lines
with Lines(Path(sys.argv[1])).writing() as log:
    log.append({"number": 1})
    print(f"process {os.getpid()} on {platform.node()}", flush=True)
    sys.stdin.readline()
"""
    child = children.start(script, path)
    assert child.stdout is not None
    holder = child.stdout.readline().strip()
    with pytest.raises(RecordsLockedError) as caught:
        Lines(path).append({"number": 2})
    assert f"{path} is being written by {holder}." in str(caught.value)
    assert numbers(path) == [1], "reading needs no lock"
    child.communicate("go\n")
    Lines(path).append({"number": 2})
    assert numbers(path) == [1, 2]
    assert not path.with_suffix(".holder").exists()


def test_a_second_writer_in_the_same_process_is_refused_too(path: Path) -> None:
    with Lines(path).writing() as log:
        with pytest.raises(RecordsLockedError, match=str(os.getpid())):
            Lines(path).append({"number": 1})
        log.append({"number": 2})
    assert numbers(path) == [2]


def test_an_interrupt_does_not_keep_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the line is written must not leave the process unable to write how the reset ended."""
    unlink = Path.unlink

    def interrupted(self: Path, **options: bool) -> None:
        unlink(self, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", interrupted)
        with pytest.raises(KeyboardInterrupt) as stopped, storage.locked(tmp_path / "audit.jsonl"):
            pass
    assert stopped.tb is not None  # it keeps the lock from being collected
    with storage.locked(tmp_path / "audit.jsonl"):
        assert storage.holder_of(tmp_path / "audit.jsonl") is not None
