"""Builders of worlds: the demo, a generated organisation, an exporter's CSV file, an evidence pack."""

from typing import TYPE_CHECKING

from mock_server._moved import submodules

if not TYPE_CHECKING:  # else every name would be one of the package
    __getattr__ = submodules(__name__)
