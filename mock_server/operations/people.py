"""WhoAmI, users, groups, sites and permission sets."""

from __future__ import annotations

from mock_server.operations.call import Call
from mock_server.wire import answers
from mock_server.wire.message import Response


def who_am_i(call: Call) -> Response:
    """GET /accounts/user/v1/user:WhoAmI."""
    person = call.actor.person
    return answers.ok(
        {
            "user_id": person.id,
            "organisation_id": person.organisation_id,
            "firstname": person.first_name,
            "lastname": person.last_name,
        }
    )
