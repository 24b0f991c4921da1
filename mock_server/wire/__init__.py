"""Reading requests and writing answers in the vendor's spelling; nothing here knows a rule."""

from typing import TYPE_CHECKING

from mock_server._moved import submodules

if not TYPE_CHECKING:  # else every name would be one of the package
    __getattr__ = submodules(__name__)
