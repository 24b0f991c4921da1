"""What a process does that forks for each task: import, and do everything once that is slower the first time."""

from __future__ import annotations

import gc
import tempfile
import threading
from collections.abc import Iterable
from importlib import import_module

from mock_server import MockTraining
from training_sdk import TrainingClient


def warm_up(modules: Iterable[str]) -> None:
    """Import modules, and reset once, so that children, with fewer rights too, find all imported and compiled."""
    for name in modules:
        import_module(name)
    mock = MockTraining.generate(users=2, courses=1)
    with (
        tempfile.TemporaryDirectory() as state,
        mock.serve() as server,
        TrainingClient(mock.token("admin"), base_url=server.url, state_dir=state, pace=False) as client,
    ):
        plan = client.resets.plan_everyone(list(mock.world.main.courses))
        client.resets.apply(plan, confirm=plan.phrase)
    gc.freeze()
    assert threading.active_count() == 1, "a fork would lose the other threads"
