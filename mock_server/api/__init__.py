"""The operations by noun: each module has the answers of its noun, the handlers that write them, and their routes."""

from typing import TYPE_CHECKING

from mock_server._moved import submodules

if not TYPE_CHECKING:  # else every name would be one of the package
    __getattr__ = submodules(__name__)
