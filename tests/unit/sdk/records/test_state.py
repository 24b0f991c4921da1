"""The state directory: private, one's own, and the same place for everybody who asks."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from training_sdk import InvalidArgumentError, RecordsUnsafeError, RecordsUnwritableError
from training_sdk.records.state import VARIABLE, StateDirectory
from training_sdk.records.storage import write_whole
from unit.sdk.records import children

DIGEST = "ab" * 32


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(params=[0o022, 0o002, 0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Any:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_everything_is_private_from_the_start_whatever_the_umask(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path / "a" / "state")
    folders = [
        state.path,
        state.plans,
        state.evidence,
        state.proofs,
        state.budgets,
        state.plan_folder(DIGEST),
    ]
    assert [mode(folder) for folder in folders] == [0o700] * len(folders)
    write_whole(state.proofs / "x.json", b"{}")
    assert mode(state.proofs / "x.json") == 0o600


def test_every_child_has_its_place(tmp_path: Path) -> None:
    state = StateDirectory.open(tmp_path / "state")
    assert state.audit == state.path / "audit.jsonl"
    assert state.plan_folder(DIGEST) == state.path / "plans" / DIGEST
    at = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=1)))
    assert (
        state.evidence_folder(DIGEST, at) == state.path / "evidence" / f"{'ab' * 8}-20260301T080000.000000Z"
    )
    assert not state.evidence_folder(DIGEST, at).exists()
    assert StateDirectory.open(state.path) == state


def test_place_by_argument_environment_or_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert StateDirectory.open().path == Path(os.environ[VARIABLE])
    assert StateDirectory.open(str(tmp_path / "given")).path == tmp_path / "given"
    monkeypatch.chdir(tmp_path)
    assert StateDirectory.open("here").path == tmp_path / "here"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert StateDirectory.open().path == tmp_path / "xdg" / "training-sdk"


def test_without_a_home_only_a_named_place_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (VARIABLE, "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unexpanded(*_: object, **__: object) -> Path:
        return Path("~/.local/state/training-sdk")  # as an old platformdirs has it

    def refused(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    for find in (unexpanded, refused):
        monkeypatch.setattr("training_sdk.records.state.user_state_path", find)
        for use in (StateDirectory.open, StateDirectory.existing):
            with pytest.raises(InvalidArgumentError, match=f"state_dir=… or {VARIABLE}") as raised:
                use()
            assert raised.value.reason == "NO_HOME"
    assert StateDirectory.open(tmp_path / "given").path == tmp_path / "given"
    for bad in ("~nobody-of-this-name/state", "~"):
        monkeypatch.setenv("HOME", "relative")
        with pytest.raises(InvalidArgumentError, match="the state directory is '~"):
            StateDirectory.open(bad)
    assert [one.name for one in tmp_path.iterdir()] == ["given"]


@pytest.mark.parametrize("bad", ["", "  ", "a\0b", b"bytes", 7, os.fsencode("x")])
def test_what_is_no_path_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="the state directory"):
        StateDirectory.open(bad)


def test_an_empty_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    with pytest.raises(InvalidArgumentError, match=VARIABLE):
        StateDirectory.open()


@pytest.mark.parametrize("bits", [0o750, 0o705, 0o701, 0o720, 0o777])
def test_a_directory_that_others_can_enter_is_refused_with_the_remedy(tmp_path: Path, bits: int) -> None:
    tmp_path.joinpath("state").mkdir()
    tmp_path.joinpath("state").chmod(bits)
    with pytest.raises(RecordsUnsafeError, match="chmod 700"):
        StateDirectory.open(tmp_path / "state")
    assert mode(tmp_path / "state") == bits


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("state").write_text("")
    with pytest.raises(InvalidArgumentError, match="is a file"):
        StateDirectory.open(tmp_path / "state")
    state = StateDirectory.open(tmp_path / "other")
    state.path.joinpath("plans").write_text("")
    with pytest.raises(RecordsUnwritableError, match="plans"):
        state.plan_folder(DIGEST)


def test_a_link_to_a_directory_of_ones_own_is_followed(tmp_path: Path) -> None:
    tmp_path.joinpath("real").mkdir(mode=0o700)
    tmp_path.joinpath("link").symlink_to(tmp_path / "real")
    assert StateDirectory.open(tmp_path / "link").audit == tmp_path / "link" / "audit.jsonl"
    tmp_path.joinpath("real").chmod(0o755)
    with pytest.raises(RecordsUnsafeError):
        StateDirectory.open(tmp_path / "link")


def test_somebody_elses_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "state"
    StateDirectory.open(own)
    tmp_path.joinpath("link").symlink_to(own)
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    with pytest.raises(RecordsUnsafeError, match="another user"):
        StateDirectory.open(own)
    monkeypatch.setattr(os, "geteuid", lambda: own.stat().st_uid)
    assert StateDirectory.open(tmp_path / "link").path == tmp_path / "link"


@pytest.mark.parametrize("digest", ["", "../" + "a" * 61, "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_only_a_digest_names_a_folder(tmp_path: Path, digest: str) -> None:
    state = StateDirectory.open(tmp_path / "state")
    with pytest.raises(InvalidArgumentError, match="digest"):
        state.plan_folder(digest)
    with pytest.raises(InvalidArgumentError, match="digest"):
        state.evidence_folder(digest, datetime.now(UTC))


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="time zone"):
        StateDirectory.open(tmp_path / "state").evidence_folder(DIGEST, datetime(2026, 1, 1))


def test_a_place_that_cannot_be_written_is_named() -> None:
    with children.open_to_everyone() as folder:
        folder.joinpath("shut").mkdir(mode=0o755)
        folder.chmod(0o755)
        done = children.run_unprivileged(
            """
from training_sdk import RecordsUnwritableError
from training_sdk.records.state import StateDirectory
try:
    if os.geteuid(): os.access(sys.argv[1], os.W_OK) and Path(sys.argv[1]).chmod(0o555)
    StateDirectory.open(sys.argv[1] + "/state")
except RecordsUnwritableError as error:
    print(error, type(error.__cause__).__name__)
""",
            folder / "shut",
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Cannot write {folder}/shut/state: Permission denied" in done.stdout
        assert "state_dir=… or TRAINING_SDK_STATE_DIR. Not below /tmp" in done.stdout
        assert done.stdout.endswith("PermissionError\n")


def test_a_whole_file_is_replaced_or_left(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    done = children.run(
        """
from training_sdk import RecordsUnwritableError
from training_sdk.records.storage import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (2, 2))
try:
    write_whole(Path(sys.argv[1]), b"three")
except RecordsUnwritableError as error:
    print(error.__cause__.errno == errno.EFBIG)
""",
        path,
    )
    assert done.stdout == "True\n", done.stderr
    assert path.read_bytes() == b"two"
    assert [*tmp_path.iterdir()] == [path]
