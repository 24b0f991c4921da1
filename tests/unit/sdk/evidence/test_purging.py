"""Purging: whole packs whose time has passed, each with its line in the log, and nothing else, ever."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from training_sdk import EvidenceError, InvalidArgumentError
from training_sdk.evidence import Purged, packs_in, purge
from training_sdk.evidence.pack import BEGUN_FILE
from training_sdk.records import storage
from training_sdk.records.audit import AuditLog
from unit.sdk.evidence.past import everything, keep, past, targets
from unit.sdk.fakes import START, FakeDriver

YEAR = timedelta(days=365)
NOW = START + 2 * YEAR


class KilledError(Exception):
    pass


@define
class Log:
    """An audit log that keeps its entries in a list, and may break."""

    root: Path
    entries: list[dict[str, Any]] = field(factory=list)
    broken: bool = False

    def append(self, event: str, /, **facts: Any) -> object:
        if self.broken:
            raise KilledError
        self.entries.append({"event": event, **facts, "there": self.there()})
        return None

    def there(self) -> bool:
        """Whether what is to be deleted is still whole when its line is written."""
        return all(
            len(everything(path)) > 10 for path in self.root.iterdir() if path.name.startswith(".purging-")
        )


def old(root: Path, name: str, digest: str = "ab" * 32, *, days: float = 0) -> Path:
    """A pack that was read two years before NOW, or some days after that."""
    puppet = FakeDriver(past(), cost=1.0, clock=days * 86_400)
    keep(past(), targets(1, 2), root / name, puppet=puppet, plan_digest=digest)
    return root / name


def run(root: Path, log: Log, **settings: Any) -> dict[str, Purged]:
    options: dict[str, Any] = {"older_than": YEAR, "now": NOW, "is_closed": lambda digest: True, **settings}
    done = purge(root, options.pop("older_than"), options.pop("now"), log=log, **options)
    return {one.folder.name: one for one in done}


def test_a_pack_goes_with_a_line_in_the_log_written_while_it_was_still_there(tmp_path: Path) -> None:
    kept = keep(past(), targets(1, 2), tmp_path / "old")
    young = old(tmp_path, "young", days=400)
    log = Log(tmp_path)
    done = run(tmp_path, log)
    assert {name: (one.purged, one.why) for name, one in done.items()} == {
        "old": (True, "it is old enough"),
        "young": (False, "it is not old enough"),
    }
    assert list(tmp_path.iterdir()) == [young]
    assert log.entries == [
        {
            "event": "evidence purged",
            "pack": {"name": "old", "manifest_sha256": kept.manifest_sha256},
            "plan_digest": kept.manifest.plan_digest,
            "read_at": kept.manifest.read_at.last.isoformat(),
            "targets": 2,
            "resumed": False,
            "there": True,
        }
    ]


def test_the_limit_itself_is_not_past_it(tmp_path: Path) -> None:
    pack = keep(past(), targets(1), tmp_path / "pack")
    now = pack.manifest.read_at.last + YEAR
    log = Log(tmp_path)
    assert not run(tmp_path, log, now=now)["pack"].purged
    assert run(tmp_path, log, now=now + timedelta(microseconds=1))["pack"].purged


def test_the_pack_of_a_plan_that_is_not_closed_stays_however_old(tmp_path: Path) -> None:
    old(tmp_path, "open", "cd" * 32)
    old(tmp_path, "closed", "ef" * 32)
    done = run(tmp_path, Log(tmp_path), is_closed=lambda digest: digest == "ef" * 32)
    assert {name: one.purged for name, one in done.items()} == {"open": False, "closed": True}
    assert done["open"].why == "its plan is not closed"
    assert [path.name for path in packs_in(tmp_path)] == ["open"]


def test_a_dry_run_says_the_same_and_does_nothing(tmp_path: Path) -> None:
    old(tmp_path, "old")
    old(tmp_path, "young", days=700)
    before, log = everything(tmp_path), Log(tmp_path)
    would = run(tmp_path, log, dry_run=True)
    assert (everything(tmp_path), log.entries) == (before, [])
    assert run(tmp_path, log) == would


def test_what_is_no_pack_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    elsewhere = old(tmp_path.parent / "elsewhere", "pack")
    (tmp_path / "link").symlink_to(elsewhere)
    before = everything(tmp_path)
    assert run(tmp_path, Log(tmp_path)) == {}
    assert everything(tmp_path) == before
    assert packs_in(elsewhere.parent) == (elsewhere,)


def test_a_pack_that_was_never_finished_goes_by_when_it_was_begun(tmp_path: Path) -> None:
    (old(tmp_path, "old", "cd" * 32) / "manifest.json").unlink()
    (old(tmp_path, "young", days=700) / "manifest.json").unlink()
    log = Log(tmp_path)
    done = run(tmp_path, log)
    assert {name: one.purged for name, one in done.items()} == {"old": True, "young": False}
    assert (log.entries[0]["plan_digest"], log.entries[0]["pack"]) == ("cd" * 32, {"name": "old"})


@pytest.mark.parametrize(
    "content", ["", "{}", '{"begun_at": "2020-01-01T00:00:00", "plan_digest": "x"}', "[1"]
)
def test_a_pack_that_does_not_say_whose_it_is_stays_alone(content: str, tmp_path: Path) -> None:
    root, digest = tmp_path / "evidence", "cd" * 32
    old(root, f"{digest[:16]}-1", digest)
    old(root, "other", "ef" * 32)
    odd = root / f"{digest[:16]}-2"
    odd.mkdir()
    (odd / "begun.json").write_text(content)
    plan = tmp_path / "plans" / digest / "plan.json"
    plan.parent.mkdir(parents=True)
    plan.write_text("{}")
    os.utime(plan, (0, 0))
    for _ in range(2):
        done = run(root, Log(root))
        assert not done.pop(odd.name).purged
        assert all(one.purged for one in done.values())
    assert [path.name for path in root.iterdir()] == [odd.name]
    assert plan.exists()  # as long as a pack of it may be there


def test_a_killed_beginning_keeps_whose_pack_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(file: int, data: bytes) -> None:
        raise KilledError

    monkeypatch.setattr(storage, "write_all", killed)
    with pytest.raises(KilledError):
        old(tmp_path, "pack")
    assert not (tmp_path / "pack" / "begun.json").exists()


def test_a_log_that_cannot_be_written_deletes_nothing_and_the_next_purge_goes_on(tmp_path: Path) -> None:
    before = everything(old(tmp_path, "old"))
    log = Log(tmp_path, broken=True)
    with pytest.raises(KilledError):
        run(tmp_path, log)
    (left,) = packs_in(tmp_path)
    assert everything(left) == before
    log.broken = False
    assert [one.why for one in run(tmp_path, log).values()] == ["it is old enough"]
    assert list(tmp_path.iterdir()) == []
    assert [(entry["pack"]["name"], entry["resumed"]) for entry in log.entries] == [("old", False)]


def test_a_folder_that_somebody_named_as_being_purged_goes_by_the_same_rules(tmp_path: Path) -> None:
    old(tmp_path, "young", "cd" * 32, days=400).rename(tmp_path / ".purging-young")
    old(tmp_path, "open", "ef" * 32).rename(tmp_path / ".purging-open")
    before = everything(tmp_path)
    done = run(tmp_path, Log(tmp_path), is_closed=lambda digest: digest == "cd" * 32)
    assert {one.why for one in done.values()} == {"it is not old enough", "its plan is not closed"}
    assert everything(tmp_path) == before


def test_a_purge_that_has_deleted_something_is_finished_whatever_the_age(tmp_path: Path) -> None:
    old(tmp_path, "young", days=400).rename(tmp_path / ".purging-young")
    (tmp_path / ".purging-young" / "rows.csv").unlink()
    log = Log(tmp_path)
    assert [one.why for one in run(tmp_path, log).values()] == ["a purge of it was interrupted"]
    assert list(tmp_path.iterdir()) == []
    assert [entry["resumed"] for entry in log.entries] == [True]


def test_a_purge_killed_anywhere_is_finished_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, number = True, 0
    while killed:
        assert number < 1000, "it ends"
        root = tmp_path / f"{number}"
        old(root, "old")
        log = Log(root)
        with monkeypatch.context() as patched:
            dying(patched, number)
            try:
                run(root, log)
                killed = False
            except KilledError:
                number += 1
        for _ in range(2):
            run(root, log)
        assert list(root.iterdir()) == [], number
        assert "manifest_sha256" in log.entries[0]["pack"]
        assert {entry["pack"]["name"] for entry in log.entries} == {"old"}
    assert number > 15


def dying(patched: pytest.MonkeyPatch, at: int) -> None:
    calls: list[Path] = []

    def watch(real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Path, *arguments: Any, **options: Any) -> None:
            calls.append(path)
            if len(calls) > at:
                raise KilledError
            real(path, *arguments, **options)

        return call

    for name in ("unlink", "rmdir", "rename"):
        patched.setattr(Path, name, watch(getattr(Path, name)))


def test_a_manifest_that_cannot_be_read_stops_the_purge_before_anything_goes(tmp_path: Path) -> None:
    old(tmp_path, "a")
    (old(tmp_path, "b") / "manifest.json").write_text("{}")
    before = everything(tmp_path)
    with pytest.raises(EvidenceError, match="not what was written"):
        run(tmp_path, Log(tmp_path))
    assert everything(tmp_path) == before


def test_the_audit_log_itself_takes_the_line(tmp_path: Path) -> None:
    packs = tmp_path / "evidence"
    pack = keep(past(), targets(1, 2), packs / "old")
    log = AuditLog(tmp_path / "audit.jsonl")
    (done,) = purge(packs, YEAR, NOW, log=log, is_closed=lambda digest: True)
    assert done.purged
    assert log.verify() == ()
    (entry,) = log.entries()
    assert (entry["event"], log.manifests()) == ("evidence purged", {"old": pack.manifest_sha256})


@pytest.mark.parametrize("name", [".", "..", "x", "AB" * 32])
def test_a_pack_without_a_plan_digest_stays_and_nothing_else_changes(tmp_path: Path, name: str) -> None:
    root = tmp_path / "evidence"
    old(root, "odd", name)
    (tmp_path / "plans" / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "plans" / "approval.json").write_text("{}")
    (tmp_path / "approval.json").write_text("{}")
    before = everything(tmp_path)
    asked: list[str] = []

    def is_closed(digest: str) -> bool:
        asked.append(digest)
        return True

    done = run(root, Log(root), is_closed=is_closed)
    assert (done["odd"].purged, done["odd"].why) == (False, "it names a plan, but not by a digest")
    assert (everything(tmp_path), asked) == (before, [])


def test_purging_looks_at_each_pack_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the packs, each with a plan of its own, are twice the work."""

    def opened(packs: int) -> int:
        root, calls, real = tmp_path / str(packs) / "evidence", 0, Path.read_bytes
        for number in range(packs):
            digest = f"{number:016x}" * 4
            folder = root / f"{digest[:16]}-x"
            folder.mkdir(parents=True)
            (root.parent / "plans" / digest).mkdir(parents=True)
            (folder / BEGUN_FILE).write_text(
                json.dumps({"begun_at": START.isoformat(), "plan_digest": digest})
            )

        def read(path: Path) -> bytes:
            nonlocal calls
            calls += 1
            return real(path)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", read)
            assert all(one.purged for one in run(root, Log(root)).values())
        assert list(root.iterdir()) == []
        return calls

    few, many = opened(10), opened(100)
    assert 0 < many <= 10 * few


@pytest.mark.parametrize("older_than", [timedelta(0), timedelta(days=-1)])
def test_a_retention_time_of_nothing_is_refused(tmp_path: Path, older_than: timedelta) -> None:
    old(tmp_path, "a")
    with pytest.raises(InvalidArgumentError, match="above zero"):
        run(tmp_path, Log(tmp_path), older_than=older_than)
    with pytest.raises(InvalidArgumentError, match="time zone"):
        run(tmp_path, Log(tmp_path), now=datetime(2030, 1, 1))
    with pytest.raises(InvalidArgumentError, match="beyond all dates"):
        run(tmp_path, Log(tmp_path), older_than=timedelta.max)
    assert len(packs_in(tmp_path)) == 1


def test_only_what_was_confirmed_goes(tmp_path: Path) -> None:
    log = Log(tmp_path)
    first, second = old(tmp_path, "first"), old(tmp_path, "second", "cd" * 32)
    (confirmed,) = [one for name, one in run(tmp_path, log, dry_run=True).items() if name == "first"]
    name, manifest = confirmed.identity
    assert not run(tmp_path, log, only=[(name, "0" * 64)])["first"].purged
    done = run(tmp_path, log, only=[(name, manifest)])
    assert {name: one.purged for name, one in done.items()} == {"first": True, "second": False}
    assert (first.exists(), second.exists()) == (False, True)
    assert [entry["pack"]["name"] for entry in log.entries] == ["first"]


def test_a_purge_that_was_interrupted_is_confirmed_by_the_same_identity(tmp_path: Path) -> None:
    old(tmp_path, "first")
    (planned,) = run(tmp_path, Log(tmp_path), dry_run=True).values()
    with pytest.raises(KilledError):
        run(tmp_path, Log(tmp_path, broken=True))
    (again,) = run(tmp_path, Log(tmp_path), dry_run=True).values()
    assert again.identity == planned.identity
    (done,) = run(tmp_path, Log(tmp_path), only=[planned.identity]).values()
    assert done.purged
