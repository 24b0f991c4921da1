"""Real trouble with the disk: a process killed, no room, no rights. None of it leaves a pack that looks whole."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from training_sdk import EvidenceError
from training_sdk.evidence import open_pack, verify_pack
from training_sdk.evidence.pack import BEGUN_FILE
from unit.sdk.evidence.past import keep, past, targets
from unit.sdk.records import children

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and modes are POSIX")

TESTS = Path(__file__).parents[3]
COLLECTING = f"""
sys.path.insert(0, {str(TESTS)!r})
from unit.sdk.evidence.past import keep, past, targets
from training_sdk import EvidenceError, RecordsUnwritableError
from training_sdk.evidence import purging, verifying
"""
WHOM = "targets(1, 2, 4, also=[2, 4])"


@pytest.mark.parametrize("half", ["whole", "half"])
@pytest.mark.parametrize("number", [1, 2, 5, 9, 14])
def test_killed_at_a_write_a_pack_is_incomplete(tmp_path: Path, number: int, half: str) -> None:
    folder = tmp_path / "pack"
    script = f'die_at("write", {number}, half={half == "half"})\nkeep(past(), {WHOM}, Path(sys.argv[1]))'
    killed = children.run(COLLECTING + script, folder)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    incomplete(folder)


def test_killed_when_all_is_written_but_the_manifest_a_pack_is_incomplete(tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    script = (
        "real = Path.replace\n"
        "Path.replace = lambda old, new: die() if new.name == 'manifest.json' else real(old, new)\n"
        f"keep(past(), {WHOM}, Path(sys.argv[1]))"
    )
    killed = children.run(COLLECTING + script, folder)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (folder / "rows.csv").stat().st_size > 0
    incomplete(folder)


def test_every_file_is_synced_before_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(file: int) -> None:
        real(file)
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))

    if not Path("/proc/self/fd").exists():
        pytest.skip("which file a descriptor is can be asked on Linux only")
    monkeypatch.setattr(os, "fsync", note)
    pack = keep(past(), targets(1, 2), tmp_path / "pack")
    assert any(".begun.json." in place for place in synced)  # put in place whole, as the manifest is
    for name in pack.manifest.files.keys() - {BEGUN_FILE}:
        assert str(pack.folder / name) in synced
    drafts = [place for place in synced if ".manifest.json." in place]
    assert len(drafts) == 1
    before = synced[: synced.index(drafts[0])]
    assert {str(pack.folder), str(pack.folder / "raw"), str(tmp_path)} <= set(before)
    assert synced[-1] == str(pack.folder)


FULL = f"""
limit = int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    keep(past(), {WHOM}, Path(sys.argv[1]))
except RecordsUnwritableError as error:
    assert isinstance(error.__cause__, OSError)
    print(error)
"""


@pytest.mark.parametrize("limit", [10, 200, 1000, 3000])
def test_without_room_on_the_disk_there_is_no_evidence(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files is refused by the system as a full disk is, in the middle of a write."""
    folder = tmp_path / "pack"
    done = children.run(COLLECTING + FULL, folder, limit)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Cannot write" in done.stdout
    assert "Make room" in done.stdout
    incomplete(folder)


READ_ONLY = f"""
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    keep(past(), {WHOM}, Path(sys.argv[1]))
except RecordsUnwritableError as error:
    print(type(error.__cause__).__name__, error)
"""


def test_a_folder_that_cannot_be_written_means_no_evidence() -> None:
    with children.open_to_everyone() as place:
        (place / "evidence").mkdir(mode=0o555)
        done = children.run(COLLECTING + READ_ONLY, place / "evidence" / "pack")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("PermissionError Cannot write")
        assert list((place / "evidence").iterdir()) == []


def incomplete(folder: Path) -> None:
    """Known as incomplete, refused as evidence, and never written into again."""
    assert [finding.kind.value for finding in verify_pack(folder)] == ["incomplete"]
    with pytest.raises(EvidenceError):
        open_pack(folder)
    with pytest.raises(EvidenceError, match="exists, and a pack is never written over"):
        keep(past(), targets(1), folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt", ""])
def test_a_file_for_people_has_its_name_once_it_is_whole(tmp_path: Path, ending: str) -> None:
    """Killed, interrupted, or out of room: nothing is there that looks whole."""
    limit = "pass" if ending else "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    ended = children.run(
        f"""
from training_sdk.records import storage
{limit}
with storage.new_file(sys.argv[1], "a bundle") as file:
    file.write(bytes(90_000))
    {ending or "file.write(bytes(90_000))"}
""",
        tmp_path / "bundle.zip",
    )
    assert ended.returncode != 0
    assert ("A bundle cannot be written" in ended.stderr) is (not ending)
    left = [one.suffix for one in tmp_path.iterdir()]
    assert left == ([".part"] if "SIGKILL" in ending else [])
