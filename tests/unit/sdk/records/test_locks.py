"""A lock among processes: it is free again, whatever stops its release."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_sdk.records import storage


def test_an_interrupt_while_a_lock_is_released_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
