"""The reference server of SafetyCulture Training: strict, in memory, made for tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mock_server import _moved as _moved  # first: old module names are importable from here on
from mock_server._version import __version__

if TYPE_CHECKING:
    from mock_server.learner_actions import LateWriteError, NotAssignedError
    from mock_server.mock import MockTraining
    from mock_server.policy import Policy
    from mock_server.world.seeds.exporter_csv import CompletedOnlyWarning
    from mock_server.world.seeds.exporter_rows import ExporterCsvError

__all__ = [
    "CompletedOnlyWarning",
    "ExporterCsvError",
    "LateWriteError",
    "MockTraining",
    "NotAssignedError",
    "Policy",
    "__version__",
]
_MODULES = {
    "CompletedOnlyWarning": "world.seeds.exporter_csv",
    "ExporterCsvError": "world.seeds.exporter_rows",
    "LateWriteError": "learner_actions",
    "MockTraining": "mock",
    "NotAssignedError": "learner_actions",
    "Policy": "policy",
}
"""The module of each name, which is imported when the name is first used."""
_submodule = _moved.submodules(__name__)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        return _submodule(name)
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
