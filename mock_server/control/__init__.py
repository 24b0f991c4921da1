"""The control plane under ``/_mock/``, which only a reference server has, and who may reach a server at all."""

from typing import TYPE_CHECKING

from mock_server._moved import submodules

if not TYPE_CHECKING:  # else every name would be one of the package
    __getattr__ = submodules(__name__)
