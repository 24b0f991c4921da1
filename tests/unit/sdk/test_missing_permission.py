"""A 403 of a service that names no permission: the error says which one is probably missing."""

from __future__ import annotations

import httpx
import pytest

from mock_server import MockTraining, Policy
from training_sdk import PermissionDeniedError, TrainingClient
from training_sdk._core.send_policy import missing_permission

USERS, TRAINING = "Platform management: Users", "Training: Administration"


def denied(errors: str, path: str) -> PermissionDeniedError:
    mock = MockTraining.demo(policy=Policy(errors="brief" if errors == "brief" else "detailed", plays="live"))
    with (
        httpx.Client(transport=mock.transport()) as http,
        TrainingClient(mock.token("learner"), http_client=http) as client,
        pytest.raises(PermissionDeniedError) as caught,
    ):
        client.request("GET", path)
    return caught.value


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/feed/users", f'the permission "{USERS}" or "{TRAINING}"'),
        (
            "/training/analytics/v1/courses/statistics",
            f'the permission "{TRAINING}" or "Training: Manage teams"',
        ),
        ("/webhooks/v1/webhooks", "the permission set Administrator"),
    ],
)
def test_R01_a_brief_403_is_completed_with_what_is_probably_missing(path: str, needed: str) -> None:
    error = denied("brief", path)
    assert error.message == f"GET {path}: Permission Denied. The token's user probably lacks {needed}"
    assert (error.status, error.reason) == (403, None)


def test_R01_a_403_that_names_the_permission_is_left_as_it_is() -> None:
    error = denied("detailed", "/feed/users")
    assert "probably" not in error.message
    assert USERS in error.message


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/training/courseprogress/v1/reset", USERS),
        ("POST", "/prefix/training/courseprogress/v1/reset:preview", USERS),
        ("PUT", "/training/courses/v1/abc/assignments", TRAINING),
        ("POST", "/users/v1/users/list", USERS),
        ("POST", "/permissions/v1/permission_sets", USERS),
        ("DELETE", "/webhooks/v1/webhooks/7", "Administrator"),
        ("GET", "/training/courses/v1", ""),
        ("GET", "/training/courseprogress/v1/reset", ""),
    ],
)
def test_the_permission_belongs_to_the_operation(method: str, path: str, needed: str) -> None:
    said = missing_permission(method, path, "Permission Denied")
    assert needed in said
    assert bool(said) is bool(needed)
