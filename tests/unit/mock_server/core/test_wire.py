"""Reading is strict, whatever the operation; answers carry what every answer carries."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import MockTraining, Policy, __version__
from mock_server.api.routes import OPERATIONS
from mock_server.refusal import Reason, RefusedError
from mock_server.wire.fields import camel, snake
from mock_server.wire.message import Request
from mock_server.wire.reading import strict_json
from unit.mock_server.conftest import NOW
from unit.mock_server.core.speaker import (
    AGENT,
    ATTEMPTS,
    COURSES,
    FEED,
    JSON_TYPE,
    RESET,
    STATISTICS,
    WHO,
    Speaker,
    changed,
    course_id,
    user_of,
)

LIST = "/users/v1/users/list"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/nowhere",
        "/training",
        "/training/courses/v1/",
        "//training/courses/v1",
        "/training//courses/v1",
        "/training/./courses/v1",
        "/training/x/../courses/v1",
        "/training%2Fcourses/v1",
        "/training/courses%2Fv1",
        "/training/courses/v1%2F",
        "/Training/courses/v1",
        "/training/courses/v1/%2e%2e/v1",
        "/training/courses/v1//lessons",
        "/training/courses/v1/x/lessons/",
        "/accounts/user/v1/user:whoami",
        "/%5Fmock/health",
        "/_mock",
        "/openapi.json/",
    ],
)
def test_unknown_paths_reach_nothing(admin: Speaker, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = admin.send(method, path)
        assert (answer.status, answer.reason) == (404, "UNKNOWN_PATH"), method


@pytest.mark.parametrize(
    "path", ["/training/%", "/training/%4", "/training/%zz", "/training/%ff", "/caf\xe9", "/a b"]
)
def test_paths_must_be_encoded_as_utf8(admin: Speaker, path: str) -> None:
    answer = admin.get(path)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "course",
    [
        "..",
        ".",
        "%2e%2e",
        "%2E",
        "a%2Fb",
        "..%2F..%2Fx",
        "a%5Cb",
        "a%00b",
        "a%0Ab",
        "%FF%FE",
        "%C3",
        "%zz",
        "x" * 129,
        "x" * 10_000,
    ],
)
def test_ids_in_paths_have_a_form(mock: MockTraining, admin: Speaker, course: str) -> None:
    before = mock.world.snapshot()
    assert admin.get(f"{COURSES}/{course}/lessons").status == 400
    put = admin.send("PUT", f"{COURSES}/{course}/assignments", body={"assignments": []})
    assert (put.status, put.reason) == (400, "INVALID_ARGUMENT")
    assert admin.get(f"/training/lessons/v1/{course}").status == 400
    assert admin.get(f"/training/analytics/v1/users/{course}/lessons/progress").status == 400
    assert changed(before, mock.world.snapshot()) == set()


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/training/course/v1", "GET /training/courses/v1: segment 2 must be 'courses', not 'course'"),
        ("/training/courses/v2", "GET /training/courses/v1: segment 3 must be 'v1', not 'v2'"),
        ("/training/courses/v1/abc/lesson", "/{courseId}/lessons: segment 5 must be 'lessons', not 'lesson'"),
        ("/training/courses/v1/", "GET /training/courses/v1: segment '' is not part of it"),
        ("/training/lessons/v1", "GET /training/lessons/v1/{id}: segment '{id}' is missing"),
        ("/training/courseprogress/v1/resets", "reset: segment 4 must be 'reset', not 'resets'"),
        ("/webhooks/v1/webhook", "GET, POST /webhooks/v1/webhooks: segment 3"),
        ("/feed/user", "GET /feed/users: segment 2 must be 'users', not 'user'"),
        ("/TRAINING/Courses/v1", "GET /training/courses/v1: segment 1 must be 'training', not 'TRAINING'"),
        ("/courses", "GET /training/courses/v1: segment 1 must be 'training', not 'courses'"),
        ("/reset", "POST /training/courseprogress/v1/reset: segment 1"),
    ],
)
def test_an_unknown_path_is_answered_with_the_nearest_operation(admin: Speaker, path: str, hint: str) -> None:
    answer = admin.get(path)
    assert (answer.status, answer.reason) == (404, "UNKNOWN_PATH")
    assert answer.message.startswith("No operation has this path. The nearest operation is ")
    assert hint in answer.message
    assert answer.message.endswith(". All operations are listed at /openapi.json.")


@pytest.mark.parametrize("path", ["/feed/zzzzzzzzzz", "/" + "training/" * 2000, "/" + "feed/" * 31 + "y"])
def test_what_is_near_nothing_gets_no_guess(admin: Speaker, path: str) -> None:
    answer = admin.get(path)
    assert answer.status == 404
    assert answer.message == "No operation has this path. All operations are listed at /openapi.json."


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/x", "/health", "/accounts", "/" + "y" * 60_000),
        *("/accounts/history/v1/activity_log/list", "/accounts/history/v2/feed/users"),
        *(
            "/audits/search",
            "/tasks/v1/actions/list",
            "/inspections/v1/inspections",
            "/assets/v1/assets/list",
        ),
        *(
            "/templates/v1/templates/search",
            "/directory/v1/folders",
            "/reports/v1/users/list",
            "/feedback/v1",
        ),
    ],
)
def test_a_path_of_another_service_gets_no_guess_and_says_so(admin: Speaker, path: str) -> None:
    answer = admin.get(path)
    assert (answer.status, answer.reason) == (404, "UNKNOWN_PATH")
    assert answer.message.startswith(
        "No operation has this path. The path is not part of Training. This server has the services "
    )
    assert "accounts/user, feed," in answer.message
    assert "nearest" not in answer.message


@pytest.mark.parametrize("path", ["/accounts/user/v1/user:Whoami", "/users/v1/list", "/permissions/v1/sets"])
def test_a_hint_stays_within_its_service(admin: Speaker, path: str) -> None:
    nearest = admin.get(path).message.split("The nearest operation is ")[1].split()
    assert next(each for each in nearest if each.startswith("/")).split("/")[1] == path.split("/")[1]


def test_another_method_is_told_which_there_are(admin: Speaker) -> None:
    answer = admin.send("PUT", "/training/courses/v1", body={})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.message == (
        "/training/courses/v1 does not support the method PUT. Use GET, HEAD."
        " All operations are listed at /openapi.json."
    )


def test_R29_whoever_has_no_token_is_told_of_no_path(mock: MockTraining) -> None:
    for path in ("/courses", "/nowhere"):
        assert Speaker(mock, None).get(path).status == 401


def test_a_live_service_makes_no_guesses() -> None:
    playing = MockTraining.demo(policy=Policy(plays="live"))
    answers = [Speaker(playing).get("/training/course/v1"), Speaker(playing).get("/nowhere")]
    assert answers[0].body == answers[1].body


def test_an_encoded_literal_is_the_same_operation(mock: MockTraining, admin: Speaker) -> None:
    assert admin.get("/accounts/user/v1/user%3AWhoAmI").status == 200
    assert Speaker(mock, "learner").send("POST", "/training/courseprogress/v1/%72eset", body={}).status == 403


@pytest.mark.parametrize("who", ["admin", "manager", "learner", "outsider"])
def test_a_wrong_method_is_405_with_those_allowed(mock: MockTraining, who: str) -> None:
    anyone = Speaker(mock, who)
    answer = anyone.get(RESET)
    assert (answer.status, answer.reason, answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")
    assert anyone.send("DELETE", "/webhooks/v1/webhooks").headers["allow"] == "GET, HEAD, POST"
    assert anyone.send("PATCH", "/webhooks/v1/webhooks/x").headers["allow"] == "DELETE, GET, HEAD"
    assert anyone.send("HEAD", WHO).status == 200


def test_what_is_not_of_training_is_501_with_its_name(admin: Speaker) -> None:
    missing = [operation for operation in OPERATIONS if operation.handler is None]
    services = ("", "/accounts/history/v2", "/inductions/v1")
    assert {each.template.rpartition("/")[0] for each in missing} == {f"{each}/feed" for each in services}
    for operation in missing:
        answer = admin.send(operation.method, operation.template.replace("{", "").replace("}", ""))
        assert (answer.status, answer.reason) == (501, "UNIMPLEMENTED")
        assert operation.name in answer.message
        assert "not part of Training" in answer.message
        assert answer.metadata == {"operation": operation.name}


def test_every_operation_is_there_once() -> None:
    assert len({(each.method, each.template) for each in OPERATIONS}) == len(OPERATIONS)
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)


def test_a_large_body_is_413_everywhere(admin: Speaker) -> None:
    for method, path in (("POST", LIST), ("GET", WHO), ("POST", RESET)):
        answer = admin.send(method, path, too_large=True)
        assert (answer.status, answer.reason) == (413, "BODY_TOO_LARGE")
    assert admin.send("POST", LIST, raw=b" " * (1024 * 1024 + 1), headers=(JSON_TYPE,)).status == 413


def test_reading_operations_take_no_body(admin: Speaker) -> None:
    assert admin.send("GET", WHO, raw=b"{}").status == 400


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (COURSES, "page=0"),
        (COURSES, "page=-1"),
        (COURSES, "page=1.0"),
        (COURSES, "page=one"),
        (COURSES, "page="),
        (COURSES, "page=1e3"),
        (COURSES, "page=%D9%A1"),
        (COURSES, "page=%201"),
        (COURSES, "page=%2B1"),
        (COURSES, "page=0x1"),
        (COURSES, "page=" + "9" * 5000),
        (COURSES, "page=1000000001"),
        (COURSES, "pageSize=0"),
        (COURSES, "pageSize=1001"),
        (COURSES, "page=1&page=1"),
        (COURSES, "page=1&page=2"),
        (COURSES, "pageSize=5&page_size=5"),
        (COURSES, "size=5"),
        (COURSES, "PageSize=5"),
        (COURSES, "=5"),
        (COURSES, "page=1&&pageSize=1"),
        (COURSES, "page=%zz"),
        (COURSES, "page=%ff"),
        (COURSES, "searchTerm=" + "x" * 1001),
        (COURSES, "searchTerm=a%00b"),
        (COURSES, "courseIds="),
        (COURSES, "courseIds=a,,b"),
        (COURSES, "courseIds=.."),
        (COURSES, "courseIds=" + ",".join(["c"] * 1001)),
        (COURSES, "courseIds=a&course_ids=b"),
        (FEED, "limit=0"),
        (FEED, "limit=1001"),
        (FEED, "limit=-1"),
        (FEED, "offset=-1"),
        (FEED, "offset=x"),
        (FEED, "completion_status=COMPLETED"),
        (FEED, "completion_status="),
        (FEED, "modified_after=yesterday"),
        (FEED, "modified_after=2026-01-01"),
        (FEED, "modified_after=2026-01-01T00:00:00"),
        (FEED, "course_id="),
        (FEED, "course_id=a&courseId=a"),
        (FEED, "user_id=a&user_id=b"),
        (FEED, "user_id=a%2Fb"),
        (STATISTICS, "courseIds="),
        (ATTEMPTS, "page=0"),
        (WHO, "x=1"),
        ("/feed/users", "limit=0"),
        ("/feed/users", "page=1"),
    ],
)
def test_queries_are_strict(admin: Speaker, path: str, query: str) -> None:
    answer = admin.get(path, query)
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    assert len(answer.message) < 400


@pytest.mark.parametrize("query", ["page=1000000000", "page=1000", "page=1000000000&pageSize=1000"])
def test_a_page_past_the_end_is_empty(admin: Speaker, query: str) -> None:
    assert admin.get(COURSES, query).json == {"totalCount": 14, "items": []}
    assert admin.get(FEED, "offset=1000000000").json["data"] == []
    assert admin.get(FEED, "offset=1000000000").json["metadata"]["next_page"] is None
    assert admin.get("/feed/users", "offset=1000000000").json["metadata"]["remaining_records"] == 0


def test_both_spellings_of_queries_are_accepted(mock: MockTraining, admin: Speaker) -> None:
    course = course_id(mock)
    for snakes, camels in (
        ("page_size=3", "pageSize=3"),
        (f"course_ids={course}", f"courseIds={course}"),
        ("search_term=fork", "searchTerm=fork"),
    ):
        assert admin.get(COURSES, snakes).json == admin.get(COURSES, camels).json != admin.get(COURSES).json
    snakes = f"completion_status=COMPLETION_STATUS_COMPLETED&course_id={course}"
    camels = f"completionStatus=COMPLETION_STATUS_COMPLETED&courseId={course}"
    assert admin.rows(snakes) == admin.rows(camels) != admin.rows()


def test_both_spellings_of_nested_fields_are_accepted(mock: MockTraining, admin: Speaker) -> None:
    path, anna = f"{COURSES}/{course_id(mock)}/assignments", user_of(mock, "learner")
    for field in ("isAssigned", "is_assigned"):
        entry = {"id": anna, "type": "ASSIGNMENT_TYPE_USER", field: True}
        assert admin.send("PUT", path, body={"assignments": [entry]}).status == 200
    both = {"id": anna, "type": "ASSIGNMENT_TYPE_USER", "isAssigned": True, "is_assigned": True}
    assert admin.send("PUT", path, body={"assignments": [both]}).status == 400


@pytest.mark.parametrize("given", ["abc-123", "A.b_c:d", "x" * 128])
def test_a_request_id_is_echoed(admin: Speaker, given: str) -> None:
    assert admin.send("GET", WHO, headers=(("x-request-id", given),)).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\nb: c", "\xe4", "<script>"])
def test_a_request_id_of_another_form_is_replaced(admin: Speaker, given: str) -> None:
    made = admin.send("GET", WHO, headers=(("x-request-id", given),)).headers["x-request-id"]
    assert made.startswith("req-")
    assert given == "" or given not in made


def test_every_answer_says_whose_it_is(admin: Speaker, mock: MockTraining) -> None:
    answers = [
        admin.get(WHO),
        admin.get("/nowhere"),
        Speaker(mock, None).get(WHO),
        admin.get("/_mock/health"),
    ]
    answers.append(admin.send("POST", LIST, raw=b"{", headers=(JSON_TYPE,)))
    assert [answer.status for answer in answers] == [200, 404, 401, 200, 400]
    for answer in answers:
        assert answer.headers["x-training-mock"] == __version__
        assert answer.headers["x-request-id"]
        assert answer.headers["content-type"] == "application/json"


def test_an_error_has_the_vendors_body_with_a_reason_in_it(admin: Speaker) -> None:
    assert admin.get(COURSES, "page=0").json == {
        "code": 3,
        "message": "page must be a whole number from 1 to 1000000000.",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "INVALID_ARGUMENT",
                "domain": "training",
                "metadata": {"field": "page"},
            }
        ],
    }


def test_reasons_are_told_apart() -> None:
    codes = {
        400: 3,
        401: 16,
        403: 7,
        404: 5,
        405: 12,
        409: 10,
        412: 9,
        413: 3,
        415: 3,
        422: 3,
        428: 9,
        429: 8,
        500: 13,
        501: 12,
    }
    assert all(reason.code == codes[reason.status] for reason in Reason)
    assert all(reason.name.isupper() and reason.description.endswith(".") for reason in Reason)
    assert len({reason.description for reason in Reason}) == len(Reason)


def test_a_fault_inside_is_a_500_that_hides_it(
    mock: MockTraining, admin: Speaker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(type(mock.world.ids), "uuid", None)
    monkeypatch.setattr(mock.world.main, "assigned", None)
    answer = admin.send("PUT", f"{COURSES}/{course_id(mock)}/assignments", body={"assignments": []})
    assert (answer.status, answer.reason) == (500, "INTERNAL")
    assert "NoneType" not in answer.message
    assert answer.headers["x-request-id"] in caplog.text
    assert mock.token("admin") not in caplog.text


@given(st.from_regex(r"[a-z]{1,5}(_[a-z]{1,5}){0,3}", fullmatch=True))
def test_spellings_turn_into_one_another(name: str) -> None:
    assert snake(camel(name)) == name


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(plain_json)
def test_good_json_is_read_as_it_is(value: object) -> None:
    assert strict_json(json.dumps(value, ensure_ascii=False).encode(), "body") == value


@given(st.binary(max_size=40))
def test_bad_json_is_refused_and_nothing_else_happens(raw: bytes) -> None:
    try:
        value = strict_json(raw, "body")
    except RefusedError as refusal:
        answer: Reason | None = refusal.reason
    else:
        answer = None
        assert json.loads(raw.decode()) == value
    assert answer in (None, Reason.INVALID_ARGUMENT)


@given(st.dictionaries(st.text(max_size=5), plain_json, min_size=1, max_size=3), st.data())
def test_a_repeated_key_is_refused_at_any_depth(fields: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(fields)))
    inside = ", ".join(
        f"{json.dumps(key)}: {json.dumps(value)}" for key, value in [*fields.items(), (name, 1)]
    )
    for text in (f"{{{inside}}}", f'{{"outer": [{{{inside}}}]}}'):
        with pytest.raises(RefusedError, match="more than once"):
            strict_json(text.encode(), "body")


def test_hostile_requests_make_no_5xx() -> None:
    mock = MockTraining.demo(now=NOW)
    token = ("authorization", f"Bearer {mock.token('admin')}")
    before = mock.world.snapshot()
    paths = st.sampled_from([each.template for each in OPERATIONS]) | st.text(max_size=30).map("/{}".format)
    headers = st.lists(
        st.tuples(
            st.sampled_from(["content-type", "idempotency-key", "x-request-id", "accept", "authorization"]),
            st.text(alphabet=st.characters(max_codepoint=255), max_size=20) | st.just("application/json"),
        ),
        max_size=3,
    )

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "TRACE", "G\xe4T"]),
        paths,
        st.text(max_size=30),
        headers,
        st.binary(max_size=30) | plain_json.map(lambda value: json.dumps(value).encode()),
        st.booleans(),
    )
    def send(
        method: str, path: str, query: str, sent: list[tuple[str, str]], body: bytes, large: bool
    ) -> None:
        answer = mock.handle(Request(method, path, query, (token, AGENT, *sent), body, large))
        assert answer.status < 500 or answer.status == 501
        json.loads(answer.body)

    send()
    assert changed(before, mock.world.snapshot()) <= {"/audit"}
