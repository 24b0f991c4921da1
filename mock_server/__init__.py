"""The reference server of SafetyCulture Training: strict, in memory, made for tests."""

from mock_server import _moved as _moved  # first: old module names are importable from here on
from mock_server._version import __version__
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
