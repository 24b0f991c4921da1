"""The state of the reference server, and the ways to build one."""

from typing import TYPE_CHECKING

from mock_server._moved import submodules

if not TYPE_CHECKING:  # else every name would be one of the package
    __getattr__ = submodules(__name__)
