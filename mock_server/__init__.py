"""The reference server of SafetyCulture Training: strict, in memory, made for tests."""

from mock_server._version import __version__
from mock_server.mock import MockTraining
from mock_server.policy import Policy

__all__ = ["MockTraining", "Policy", "__version__"]
