"""Which permission a request probably needs, for a service whose 403 does not say (assumed)."""

from __future__ import annotations

import re

from training_sdk._core.urls import RESET_PATH

_USERS, _TRAINING, _TEAMS = (
    '"Platform management: Users"',
    '"Training: Administration"',
    '"Training: Manage teams"',
)
_NAMES = (_USERS, _TRAINING, _TEAMS)
_PEOPLE = f"the permission {_USERS} or {_TRAINING}"
_NEEDED = tuple(
    (re.compile(pattern), needed)
    for pattern, needed in (
        (f"POST .*{RESET_PATH}(:preview)?", f"the permission {_USERS}"),
        (r"PUT .*/training/courses/v1/[^/]+/assignments", f"the permission {_TRAINING}"),
        (r"GET .*/training/analytics/v1/.+", f"the permission {_TRAINING} or {_TEAMS}"),
        (r"POST .*/users/v1/users/list", _PEOPLE),
        (r"GET .*/feed/(users|groups|group_users|sites|site_members)", _PEOPLE),
        (r"GET .*/groups(/[^/]+/users)?", _PEOPLE),
        (r"POST .*/permissions/v1/permission_sets", f"the permission {_USERS}"),
        (r"[A-Z]+ .*/webhooks/v1/.+", "the permission set Administrator"),
    )
)


def missing_permission(method: str, path: str, message: str) -> str:
    """What is probably missing after a 403; "" where the message names a permission, or none is known."""
    if any(name.strip('"') in message for name in _NAMES):
        return ""
    request = f"{method} {path}"
    needed = next((needed for pattern, needed in _NEEDED if pattern.fullmatch(request)), "")
    return f"The token's user probably lacks {needed}" if needed else ""
