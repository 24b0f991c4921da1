"""Policies of what a service may serve, and how much it says."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import MockTraining, Policy
from mock_server.api.routes import OPERATIONS
from unit.mock_server.core.speaker import (
    COURSES,
    FEED,
    RESET,
    STATISTICS,
    Speaker,
    course_id,
    user_of,
)

LIST = "/users/v1/users/list"
EXPORTER = (
    "/feed/inspections?archived=false&completed=true&modified_after=2026-01-01T00%3A00%3A00Z&web_report_link=private",
    "/feed/sites?include_deleted=true&show_only_leaf_nodes=true",
    "/accounts/history/v2/feed/activity_log_events?limit=100",
    "/inductions/v1/feed/onboarding-progress?limit=100",
)


def speaking(**policy: Any) -> Speaker:
    return Speaker(MockTraining.demo(policy=Policy(**policy)))


def test_other_feeds_may_be_empty_so_that_the_exporter_goes_through_them_all() -> None:
    admin = speaking(other_feeds="empty")
    elsewhere = [operation for operation in OPERATIONS if operation.handler is None]
    for operation in elsewhere:
        page = admin.get(operation.template)
        assert page.json == {
            "metadata": {"next_page": None, "next_page_token": None, "remaining_records": 0},
            "data": [],
        }
    inspections, sites, *others = (admin.get(*each.split("?")) for each in EXPORTER)
    assert inspections.json["data"] == others[0].json["data"] == others[1].json["data"] == []
    assert True in {row["deleted"] for row in sites.json["data"]}
    assert admin.send("POST", elsewhere[0].template, body={}).status == 405
    assert Speaker(admin.mock, None).get(elsewhere[0].template).status == 401


def test_a_small_default_page_loses_rows_for_a_script_that_forgets_next_page() -> None:
    admin = speaking(default_page_size=10)
    for path in ("/feed/users", "/feed/site_members", FEED):
        page = admin.get(path).json
        assert len(page["data"]) == 10
        assert page["metadata"]["next_page"] == f"{path}?offset=10"
        assert len(admin.get(path, "limit=12").json["data"]) == 12
    users = admin.post(LIST, {"list_all": True}).json
    assert (len(users["users"]), bool(users["next_page_token"])) == (10, True)
    assert len(admin.get(COURSES).json["items"]) == 10
    assert admin.rows() == Speaker(MockTraining.demo()).rows()


def test_a_default_page_is_never_larger_than_what_is_published() -> None:
    admin = speaking(default_page_size=1000)
    assert len(admin.get("/training/analytics/v1/lessons/attempts").json["items"]) == 25


@pytest.mark.parametrize("size", [0, -1, 1001, True, 2.0, "25"])
def test_a_default_page_size_has_bounds(size: Any) -> None:
    with pytest.raises(ValueError, match="default_page_size must be a whole number from 1 to 1000, not"):
        Policy(default_page_size=size)


@pytest.mark.parametrize("plays", ["reference", "live"])
def test_R01_a_brief_403_names_no_permission(plays: str) -> None:
    mock = speaking(errors="brief", plays=plays).mock
    learner, course, anna = Speaker(mock, "learner"), course_id(mock), user_of(mock, "learner")
    before = Speaker(mock).rows()
    for answer in (
        learner.reset(course, [anna], None),
        learner.reset(course, None, None),
        learner.get(STATISTICS),
        learner.get("/feed/users"),
        learner.get("/webhooks/v1/webhooks"),
        learner.send("PUT", f"{COURSES}/{course}/assignments", body={"assignments": []}),
    ):
        assert (answer.status, answer.json) == (
            403,
            {"code": 7, "message": "Permission Denied", "details": []},
        )
    assert Speaker(mock).rows() == before


def test_a_brief_400_names_the_first_field_only() -> None:
    admin = speaking(errors="brief")
    several = admin.post(RESET, {"courseId": "", "userIds": [], "allUsers": True})
    assert several.json == {"code": 3, "message": "`courseId`: invalid value", "details": []}
    unnamed = admin.send("POST", RESET, body=[])
    assert unnamed.json == {"code": 3, "message": "`request`: invalid value", "details": []}


def test_brief_errors_leave_every_other_status_and_the_control_plane_as_they_are() -> None:
    admin = speaking(errors="brief")
    assert admin.get(f"{COURSES}/unknown/lessons").reason == "COURSE_NOT_FOUND"
    assert admin.reset(course_id(admin.mock), None, None).reason == "CONFIRMATION_REQUIRED"
    assert admin.get("/feed/inspections").reason == "UNIMPLEMENTED"
    assert "seconds" in admin.post("/_mock/faults", {"kind": "drop", "seconds": 3}).message
