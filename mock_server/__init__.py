"""The reference server of SafetyCulture Training: strict, in memory, made for tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mock_server import _moved as _moved  # first: old module names are importable from here on
from mock_server._version import __version__

if TYPE_CHECKING:
    from mock_server.mock import MockTraining
    from mock_server.policy import Policy
    from mock_server.rules.late_writes import LateWriteError
    from mock_server.rules.learning import NotAssignedError
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
    "LateWriteError": "rules.late_writes",
    "MockTraining": "mock",
    "NotAssignedError": "rules.learning",
    "Policy": "policy",
}
"""The module of each name, which is imported when the name is first used."""
_SUBMODULES = frozenset({"app", "argument_checks", "learner_actions", "mock", "openapi", "policy", "refusal"})
_SUBPACKAGES = frozenset({"api", "control", "rules", "transports", "wire", "world"})
"""Both may be used after ``import mock_server`` alone, a package with the modules in it."""


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name in _SUBPACKAGES:
        for each in (*_MODULES.values(), "world.seeds.evidence_pack"):
            import_module(f"{__name__}.{each}")
        return globals()[name]
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
