"""Every operation: the published list, and the preview that only the reference server has."""

from __future__ import annotations

from mock_server.operations import people
from mock_server.operations.call import Operation, needs
from mock_server.rules.permissions import Family

OPERATIONS = (
    Operation("WhoAmI", "GET", "/accounts/user/v1/user:WhoAmI", "P", people.who_am_i, needs(Family.SELF)),
)
