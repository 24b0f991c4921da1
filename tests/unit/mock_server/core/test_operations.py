"""What the operations answer, beyond the rules of a reset."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from attrs import evolve

from mock_server import MockTraining
from mock_server.api.routes import OPERATIONS
from mock_server.world.courses import Lesson
from unit.mock_server.core.speaker import (
    ANNA,
    COURSES,
    FEED,
    FORKLIFT,
    STATISTICS,
    Speaker,
    changed,
    course_id,
    user_of,
)

LIST = "/users/v1/users/list"


def test_courses_are_searched_and_listed_by_id(mock: MockTraining, admin: Speaker) -> None:
    titles = [item["title"] for item in admin.get(COURSES, "searchTerm=FORKLIFT").json["items"]]
    assert titles == ["Forklift basics", "Forklift Basics"]
    ids = [course.id for course in mock.world.courses[:3]]
    for query in (f"courseIds={','.join(ids)}", "&".join(f"courseIds={each}" for each in ids)):
        assert [item["id"] for item in admin.get(COURSES, query).json["items"]] == ids
    assert admin.get(COURSES, "courseIds=unknown").json == {"totalCount": 0, "items": []}
    assert len(admin.get(COURSES, "pageSize=1000").json["items"]) == 14


@pytest.mark.parametrize("size", [1, 4, 13, 14, 1000])
def test_pages_of_courses_add_up(admin: Speaker, size: int) -> None:
    items, page = [], 1
    while found := admin.get(COURSES, f"page={page}&pageSize={size}").json["items"]:
        items += found
        page += 1
    assert items == admin.get(COURSES, "pageSize=1000").json["items"]


@pytest.mark.parametrize("token", ["admin", "teamlead", "learner"])
@pytest.mark.parametrize("limit", [1, 7, 41, 42, 1000])
@pytest.mark.parametrize("query", ["", "&completion_status=COMPLETION_STATUS_NON_COMPLETED"])
def test_pages_of_the_feed_add_up(mock: MockTraining, token: str, limit: int, query: str) -> None:
    speaker = Speaker(mock, token)
    assert speaker.rows(f"limit={limit}{query}") == speaker.rows(query.lstrip("&"))


def test_next_page_is_a_relative_path_that_keeps_the_filters(mock: MockTraining, admin: Speaker) -> None:
    query = f"limit=5&courseId={course_id(mock)}&modified_after=2026-01-01T00%3A00%3A00%2B01%3A00"
    metadata = admin.get(FEED, query).json["metadata"]
    assert metadata["next_page"].startswith(f"{FEED}?")
    assert metadata["next_page_token"]
    path, _, asked = metadata["next_page"].partition("?")
    first, second = admin.get(FEED, query).json["data"], admin.get(path, asked).json["data"]
    assert first + second == admin.rows(f"course_id={course_id(mock)}")[:10]
    assert {row["course_id"] for row in second} == {course_id(mock)}


def test_a_feed_ends_with_null_where_the_power_bi_connector_stops(mock: MockTraining, admin: Speaker) -> None:
    """The connector asks for the base URL followed by next_page until next_page is null, and for nothing else."""
    paths = {each.template: each.query for each in OPERATIONS if "feed" in each.template and each.handler}
    assert set(paths) >= {FEED, "/feed/users", "/feed/site_members"}
    for path in paths:
        next_page: str | None = f"{path}?limit=2"
        for _ in range(1000):
            if next_page is None:
                break
            page = admin.get(*next_page.split("?"))
            assert page.status == 200, page.message
            next_page = page.json["metadata"]["next_page"]
            assert (page.json["metadata"]["next_page_token"] is None) == (next_page is None)
        assert next_page is None


def test_course_statistics_take_the_published_parameters(mock: MockTraining, admin: Speaker) -> None:
    """courseId (one), page and pageSize are published; courseIds is an assumption of older clients."""
    one = course_id(mock)
    by_one = admin.get(STATISTICS, f"courseId={one}").json
    assert [item["courseId"] for item in by_one["items"]] == [one]
    assert by_one == admin.get(STATISTICS, f"courseIds={one}").json
    assert by_one == admin.get(STATISTICS, f"courseId={one}&courseIds=unknown").json, (
        "either may name a course"
    )
    assert admin.get(STATISTICS, "courseId=unknown").json == {"totalCount": 0, "items": []}
    for query in (f"courseId={one}&courseId=other", "courseId="):
        answer = admin.get(STATISTICS, query)
        assert (answer.status, answer.metadata["field"]) == (400, "courseId"), query


def test_pages_of_analytics_hold_25_by_default(mock: MockTraining, admin: Speaker) -> None:
    mock.world.main.put_course(
        evolve(mock.world.course(FORKLIFT), lessons=tuple(plain_lesson(number) for number in range(30)))
    )
    path = f"/training/analytics/v1/users/{user_of(mock, 'learner')}/lessons/progress"
    for size, expected in (("", 25), ("&pageSize=1000", 30)):
        page = admin.get(path, f"courseId={course_id(mock)}{size}").json
        assert (page["totalCount"], len(page["items"])) == (30, expected)
    for size in ("0", "1001"):
        assert admin.get(path, f"pageSize={size}").status == 400


def plain_lesson(number: int) -> Lesson:
    return Lesson(f"{number:024x}", f"Lesson {number}", "2026-01-01T00:00:00Z")


def test_the_token_of_the_next_page_is_opaque(admin: Speaker) -> None:
    for path in (FEED, "/feed/users"):
        token = admin.get(path, "limit=5").json["metadata"]["next_page_token"]
        assert not token.isdigit()


def test_the_feed_is_filtered(mock: MockTraining, admin: Speaker) -> None:
    rows = admin.rows()
    course, anna = course_id(mock), user_of(mock, "learner")
    assert admin.rows(f"course_id={course}") == [row for row in rows if row["course_id"] == course]
    assert admin.rows(f"user_id={anna}") == [row for row in rows if row["user_id"] == anna]
    done = [row for row in rows if row["completed_at"]]
    assert admin.rows("completion_status=COMPLETION_STATUS_COMPLETED") == done
    open_rows = [row for row in rows if not row["completed_at"]]
    assert admin.rows("completion_status=COMPLETION_STATUS_NON_COMPLETED") == open_rows
    assert admin.rows("completion_status=COMPLETION_STATUS_ALL") == rows
    assert admin.rows("course_id=unknown") == admin.rows("user_id=unknown") == []


def test_modified_after_finds_what_has_moved(mock: MockTraining, admin: Speaker) -> None:
    last = "modified_after=2026-11-29T00:00:00Z"
    assert admin.rows(last) == []
    mock.world.open("Data protection in 20 minutes", ANNA)
    assert [row["user_email"] for row in admin.rows(last)] == [ANNA]
    admin.reset(course_id(mock), [user_of(mock, "learner")], (FORKLIFT, 1))
    assert [row["course_title"] for row in admin.rows(last)] == [FORKLIFT, "Data protection in 20 minutes"]


def test_a_row_follows_what_it_shows(mock: MockTraining, admin: Speaker) -> None:
    """Rows are cached as JSON; every kind of change must show."""
    query = f"course_id={course_id(mock)}&user_id={user_of(mock, 'learner')}"
    assert admin.rows(query)[0]["course_title"] == FORKLIFT
    mock.world.update_course(FORKLIFT, title="Forklifts")
    assert admin.rows(query)[0]["course_title"] == "Forklifts"
    mock.world.update_user(ANNA, first_name="Änne")
    assert admin.rows(query)[0]["user_first_name"] == "Änne"
    mock.world.update_course("Forklifts", lessons=mock.world.course("Forklifts").lessons[:4])
    assert admin.rows(query)[0]["total_lessons"] == 4
    admin.reset(course_id(mock, "Forklifts"), [user_of(mock, "learner")], ("Forklifts", 1))
    assert admin.rows(query)[0]["opened_at"] == ""
    mock.world.open("Forklifts", ANNA)
    assert admin.rows(query)[0]["opened_at"] != ""


def test_lesson_progress_agrees_with_the_feed(mock: MockTraining, admin: Speaker) -> None:
    for row in admin.rows(f"course_id={course_id(mock)}"):
        path = f"/training/analytics/v1/users/{row['user_id']}/lessons/progress"
        items = admin.get(path, f"courseId={course_id(mock)}").json["items"]
        assert len(items) == row["total_lessons"]
        assert sum(item["completed"] for item in items) == row["completed_lessons"]
    everything = admin.get(path).json
    assert everything["totalCount"] == len(everything["items"]) > len(items)


def test_users_are_listed_in_pages(mock: MockTraining, admin: Speaker) -> None:
    found, token = [], ""
    while True:
        page = admin.post(LIST, {"list_all": True, "page_size": 10, "page_token": token}).json
        found += page["users"]
        token = page["next_page_token"]
        if not token:
            break
    assert [user["user_id"] for user in found] == sorted(person.id for person in mock.world.users)
    anna = next(user for user in found if user["email"] == ANNA)
    assert anna == {
        "user_id": user_of(mock, "learner"),
        "org_id": mock.world.main.id,
        "status": "USER_ACTIVE_STATUS_ACTIVE",
        "first_name": "Anna",
        "last_name": "Özdemir",
        "email": ANNA,
        "username": ANNA,
        "seat_type": "SUBSCRIPTION_SEAT_TYPE_PREMIUM",
        "timezone": "Europe/Berlin",
        "locale": "de-DE",
        "created_at": "2025-11-03T08:00:00.000Z",
    }


def test_users_are_filtered(mock: MockTraining, admin: Speaker) -> None:
    def emails(**filters: list[str]) -> set[str]:
        return {user["email"] for user in admin.post(LIST, {"filters": filters}).json["users"]}

    anna = user_of(mock, "learner")
    assert emails(user_ids=[anna]) == emails(usernames=[ANNA]) == {ANNA}
    gone = emails(statuses=["USER_ACTIVE_STATUS_DEACTIVATED"])
    assert len(gone) == 4
    assert len(emails(seat_types=["SUBSCRIPTION_SEAT_TYPE_COLLABORATOR"])) == 3
    assert emails(user_ids=[anna], statuses=["USER_ACTIVE_STATUS_DEACTIVATED"]) == set()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"list_all": False},
        {"filters": {}},
        {"filters": None},
        {"filters": []},
        {"filters": {"user_ids": []}},
        {"filters": {"user_ids": "x"}},
        {"filters": {"usernames": [1]}},
        {"filters": {"statuses": ["ACTIVE"]}},
        {"filters": {"statuses": "USER_ACTIVE_STATUS_ACTIVE"}},
        {"filters": {"emails": ["x"]}},
        {"filters": {"user_ids": ["a"]}, "list_all": True},
        {"list_all": True, "page_size": 0},
        {"list_all": True, "page_size": 201},
        {"list_all": True, "page_size": True},
        {"list_all": True, "page_size": "10"},
        {"list_all": True, "page_token": 7},
        {"list_all": "true"},
        {"list_all": True, "listAll": True},
    ],
    ids=json.dumps,
)
def test_the_users_list_is_asked_properly(admin: Speaker, body: dict[str, object]) -> None:
    answer = admin.post(LIST, body)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")


def test_a_whole_number_may_have_a_point_as_json_has_it(admin: Speaker) -> None:
    one = {"list_all": True, "page_size": 1}
    assert admin.post(LIST, {**one, "page_size": 1.0}).json == admin.post(LIST, one).json
    assert admin.post(LIST, {**one, "page_size": 1.5}).status == 400


@pytest.mark.parametrize("name", ["users", "groups", "group_users", "sites", "site_members"])
@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_the_small_feeds_come_in_pages(mock: MockTraining, admin: Speaker, name: str, limit: int) -> None:
    whole = admin.get(f"/feed/{name}").json
    assert whole["metadata"] == {"next_page": None, "next_page_token": None, "remaining_records": 0}
    rows, more, left = [], f"/feed/{name}?limit={limit}", [len(whole["data"])]
    while more:
        path, _, query = more.partition("?")
        page = admin.get(path, query).json
        rows += page["data"]
        more = page["metadata"]["next_page"]
        left.append(page["metadata"]["remaining_records"])
    assert rows == whole["data"]
    assert [a - b for a, b in pairwise(left)] == [
        min(limit, len(rows) - start) for start in range(0, len(rows), limit)
    ]
    people = mock.world.users
    sizes = {
        "users": len(people),
        "groups": len(mock.world.main.groups),
        "group_users": sum(len(person.groups) for person in people),
        "sites": len([site for site in mock.world.main.sites.values() if not site.deleted]),
        "site_members": sum(len(person.sites) for person in people),
    }
    assert len(rows) == sizes[name]


def test_groups_and_their_users_as_scripts_read_them(mock: MockTraining, admin: Speaker) -> None:
    groups = admin.get("/groups").json["groups"]
    assert groups == [
        {"id": row["id"], "name": row["name"]} for row in admin.get("/feed/groups").json["data"]
    ]
    members = admin.get("/feed/group_users").json["data"]
    for group in groups:
        page = admin.get(f"/groups/{group['id']}/users").json
        ids = [user["user_id"] for user in page["users"]]
        assert ids == [row["user_id"] for row in members if row["group_id"] == group["id"]]
        assert (page["total"], page["offset"], page["limit"]) == (len(ids), 0, 1000)
    somebody = page["users"][0]
    assert set(somebody) == {"user_id", "id", "firstname", "lastname", "email", "status", "seat_type"}
    assert somebody["id"] == somebody["user_id"]


def test_users_of_a_group_come_in_pages_and_by_status(mock: MockTraining, admin: Speaker) -> None:
    path = (
        f"/groups/{next(id for id, group in mock.world.main.groups.items() if group.name == 'Lager')}/users"
    )
    whole = admin.get(path).json
    found = []
    for offset in range(0, whole["total"], 7):
        page = admin.get(path, f"limit=7&offset={offset}").json
        assert (page["total"], page["offset"], page["limit"]) == (whole["total"], offset, 7)
        found += page["users"]
    assert found == whole["users"]
    assert admin.get(path, "offset=1000").json["users"] == []
    statuses = {status: admin.get(path, f"status={status}").json for status in ("active", "inactive")}
    assert sum(page["total"] for page in statuses.values()) == whole["total"]
    for status, page in statuses.items():
        assert page["total"] > 0
        assert {user["status"] for user in page["users"]} == {status}
    for wrong in ("status=ACTIVE", "status="):
        assert admin.get(path, wrong).status == 400


def test_R03_a_group_of_another_organisation_is_unknown(mock: MockTraining, admin: Speaker) -> None:
    (group, *_) = mock.world.main.groups
    stranger = Speaker(mock, "outsider")
    assert stranger.get("/groups").json == {"groups": []}
    for who, asked in ((stranger, group), (admin, "unknown")):
        answer = who.get(f"/groups/{asked}/users")
        assert (answer.status, answer.reason, answer.metadata) == (404, "GROUP_NOT_FOUND", {"ids": asked})


def test_sites_as_the_exporter_asks_for_them(mock: MockTraining, admin: Speaker) -> None:
    """The vendor's exporter always sends show_only_leaf_nodes=true, and include_deleted if so configured."""
    known = mock.world.main.sites.values()
    deleted = {each.id for each in known if each.deleted}
    parents = {each.parent_id for each in known if not each.deleted} - {""}
    assert deleted
    assert parents

    def listed(query: str) -> set[str]:
        return {row["id"] for row in admin.get("/feed/sites", query).json["data"]}

    there = {each.id for each in known} - deleted
    assert listed("") == listed("include_deleted=false&show_only_leaf_nodes=false") == there
    assert listed("show_only_leaf_nodes=true") == there - parents
    assert listed("include_deleted=true") == listed("includeDeleted=true") == there | deleted
    assert listed("include_deleted=true&show_only_leaf_nodes=true") == (there | deleted) - parents
    rows = {row["id"]: row for row in admin.get("/feed/sites", "include_deleted=true").json["data"]}
    assert {row["deleted"] for row in rows.values()} == {True, False}
    assert {each for each, row in rows.items() if row["deleted"]} == deleted


def test_a_filter_of_sites_holds_on_every_page(admin: Speaker) -> None:
    query = "show_only_leaf_nodes=true&include_deleted=true"
    whole = admin.get("/feed/sites", query).json["data"]
    rows, more = [], f"/feed/sites?{query}&limit=2"
    while more:
        page = admin.get(*more.split("?")).json
        rows += page["data"]
        more = page["metadata"]["next_page"]
    assert rows == whole


@pytest.mark.parametrize("value", ["", "1", "yes", "null"])
def test_a_flag_in_a_query_is_true_or_false(admin: Speaker, value: str) -> None:
    answer = admin.get("/feed/sites", f"include_deleted={value}")
    assert (answer.status, answer.metadata) == (400, {"field": "include_deleted"})
    assert answer.message == "include_deleted must be true or false."


def test_permission_sets(admin: Speaker) -> None:
    path = "/permissions/v1/permission_sets"
    sets = [each["permission_set"] for each in admin.post(path, {}).json["permission_sets"]]
    names = [each["identifier"]["name"] for each in sets]
    assert names[:5] == ["Administrator", "Manager", "Standard", "Basic", "Guest"]
    rights = {each["identifier"]["name"]: each["permissions"] for each in sets}
    assert all(rights["Administrator"].values())
    assert not any(rights["Basic"].values())
    assert rights["User manager"]["Platform management: Users"] is True
    assert rights["User manager"]["Training: Administration"] is False
    paged = admin.post(path, {"limit": 2, "offset": 1}).json["permission_sets"]
    assert [each["permission_set"] for each in paged] == sets[1:3]
    assert len(admin.post(path, {"search": "MANAGER"}).json["permission_sets"]) == 3
    for wrong in ({"limit": 101}, {"limit": True}, {"offset": -1}):
        assert admin.post(path, wrong).status == 400


def assign(speaker: Speaker, body: object, course: str | None = None) -> tuple[int, object]:
    path = f"{COURSES}/{course or course_id(speaker.mock)}/assignments"
    answer = speaker.send("PUT", path, body=body)
    return answer.status, answer.json if answer.status == 200 else answer.reason


def entry(id: str, kind: str = "USER", on: object = True) -> dict[str, object]:
    return {"id": id, "type": f"ASSIGNMENT_TYPE_{kind}", "isAssigned": on}


def test_assignments_are_a_list_of_changes(mock: MockTraining, admin: Speaker) -> None:
    admin_id, anna = user_of(mock, "admin"), user_of(mock, "learner")
    query = f"course_id={course_id(mock)}"
    before = admin.rows(query)
    nothing = {"usersUpdated": 0, "groupsUpdated": 0, "sitesUpdated": 0}
    assert assign(admin, {"assignments": []}) == (200, nothing)
    assert admin.rows(query) == before
    one = {**nothing, "usersUpdated": 1}
    assert assign(admin, {"assignments": [entry(admin_id)]}) == (200, one)
    assert assign(admin, {"assignments": [entry(admin_id)]}) == (200, nothing)
    added = [row for row in admin.rows(query) if row not in before]
    assert [(row["user_id"], row["due_at"]) for row in added] == [(admin_id, "2027-01-29T09:00:00.000Z")]
    assert assign(admin, {"assignments": [entry(admin_id, on=False), entry(anna)]})[0] == 200
    assert [row["user_id"] for row in admin.rows(query)] == [row["user_id"] for row in before]


@pytest.mark.parametrize("listed", [{}, {"assignments": None}, {"assignments": []}])
def test_a_flag_needs_no_list_of_assignments(admin: Speaker, listed: dict[str, object]) -> None:
    changed = {"usersUpdated": 0, "groupsUpdated": 1, "sitesUpdated": 0}
    assert assign(admin, {**listed, "clearAllGroups": True}) == (200, changed)


def test_a_duplicate_among_assignments_is_named(mock: MockTraining, admin: Speaker) -> None:
    anna, other = user_of(mock, "learner"), user_of(mock, "admin")
    path = f"{COURSES}/{course_id(mock)}/assignments"
    answer = admin.send("PUT", path, body={"assignments": [entry(other), entry(anna), entry(anna, on=False)]})
    assert (answer.status, answer.metadata["field"]) == (400, "assignments[2].id")
    assert anna in answer.message
    assert other not in answer.message


def test_progress_stays_while_somebody_is_away(mock: MockTraining, admin: Speaker) -> None:
    anna, query = user_of(mock, "learner"), f"course_id={course_id(mock)}"
    before = admin.rows(f"{query}&user_id={anna}")[0]
    counts = admin.get(STATISTICS, f"courseIds={course_id(mock)}").json["items"][0]
    assert assign(admin, {"assignments": [], "clearAllGroups": True}) == (
        200,
        {"usersUpdated": 0, "groupsUpdated": 1, "sitesUpdated": 0},
    )
    assert admin.rows(query) == []
    assert admin.get(STATISTICS, f"courseIds={course_id(mock)}").json["items"][0]["openedCount"] == 0
    assert assign(admin, {"assignments": [], "universalAccess": True})[0] == 200
    after = admin.rows(f"{query}&user_id={anna}")[0]
    assert {**after, "due_at": ""} == {**before, "due_at": ""}
    now = admin.get(STATISTICS, f"courseIds={course_id(mock)}").json["items"][0]
    assert (now["openedCount"], now["completedCount"]) == (counts["openedCount"], counts["completedCount"])


def test_assignments_are_asked_properly(mock: MockTraining, admin: Speaker) -> None:
    anna, ghost = user_of(mock, "learner"), user_of(mock, "outsider")
    before = mock.world.snapshot()
    good = entry(anna, on=False)
    bodies: list[object] = [
        {},
        [],
        {"assignments": good},
        {"assignments": [anna]},
        {"assignments": [good, good]},
        {"assignments": [good, entry(anna)]},
        {"assignments": [{**good, "also": 1}]},
        {"assignments": [{"id": anna, "type": "ASSIGNMENT_TYPE_USER"}]},
        {"assignments": [{**good, "isAssigned": "false"}]},
        {"assignments": [{**good, "type": "USER"}]},
        {"assignments": [{**good, "id": ""}]},
        {"assignments": [entry(f"u{number}") for number in range(1001)]},
        {"assignments": [good], "clearAllUsers": "yes"},
        {"assignments": [good], "clearEverything": True},
        {"assignments": [good], "universalAccess": None},
    ]
    for body in bodies:
        assert assign(admin, body) == (400, "INVALID_ARGUMENT"), body
    for kind in ("USER", "GROUP", "SITE"):
        assert assign(admin, {"assignments": [good, entry(ghost, kind)]}) == (404, f"{kind}_NOT_FOUND")
    assert assign(admin, {"assignments": [good]}, "unknown") == (404, "COURSE_NOT_FOUND")
    assert changed(before, mock.world.snapshot()) == set()
