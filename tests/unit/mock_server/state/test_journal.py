"""The request journal: what it keeps, what it never shows, and assertions that fail in words."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server import MockTraining
from mock_server.api.routes import OPERATIONS
from mock_server.control import calls as made_calls
from mock_server.control import journal
from mock_server.control.faults import Kind
from mock_server.control.journal import Journal
from mock_server.control.naming import SHORT, operation_name
from mock_server.wire.message import Request, Response
from unit.mock_server.core.speaker import COURSES, FORKLIFT, RESET, WHO, Speaker, course_id, recorded


def test_a_reset_is_there_once_with_all_that_was_said(mock: MockTraining, admin: Speaker) -> None:
    user = recorded(mock)[0]
    admin.reset(course_id(mock), [user], (FORKLIFT, 1), x_request_id="r-1")
    made = mock.calls.of("reset").once()
    assert (made.number, made.operation, made.token) == (1, "ResetCourseProgress", "admin")
    assert (made.method, made.path, made.query, made.status) == ("POST", RESET, "", 200)
    assert made.json == {"courseId": course_id(mock), "userIds": [user]}
    assert made.answer.json == {"usersUpdated": 1}
    assert made.header("Reset-Confirmation") == json.dumps({"courseTitle": FORKLIFT, "users": 1})
    assert made.request_id == "r-1"
    assert str(made) == f"#1 POST {RESET} as admin -> 200"


def test_refused_and_unknown_requests_are_there_as_well(mock: MockTraining) -> None:
    Speaker(mock, "learner").post(RESET, {})
    Speaker(mock, None).get("/nowhere", "a=1")
    refused, lost = mock.calls
    assert (refused.operation, refused.token, refused.status) == ("ResetCourseProgress", "learner", 403)
    assert (lost.operation, lost.token, lost.query, lost.status) == ("", "", "a=1", 401)


def test_the_control_plane_is_not_in_the_journal(mock: MockTraining) -> None:
    mock.handle(Request("GET", "/_mock/tokens"))
    assert mock.calls.seen == ()
    mock.calls.never()


def test_every_operation_is_found_under_its_name_whatever_the_spelling(mock: MockTraining) -> None:
    for operation in OPERATIONS:
        assert operation_name(operation.method, operation.template) == operation.name
        assert len(mock.calls.of(operation.name.upper())) == 0
    assert set(SHORT.values()) <= {operation.name for operation in OPERATIONS}
    assert operation_name("GET", "/training/courses/v1/%zz/lessons") == ""


def test_a_misspelt_operation_is_an_error_and_not_no_calls(mock: MockTraining) -> None:
    with pytest.raises(LookupError, match=r"'resett'. Did you mean ResetCourseProgress\?"):
        mock.calls.of("resett")
    with pytest.raises(LookupError, match="There are WhoAmI") as caught:
        mock.calls.in_order("reset", "~~~~~~~~")
    named = str(caught.value.args[0]).partition("There are ")[2].rstrip(".").split(", ")
    assert sorted(named) == sorted(operation.name for operation in OPERATIONS)


@pytest.mark.parametrize("word", ["users", "statistics", "lesson", "Feed"])
def test_an_ambiguous_operation_name_is_refused(mock: MockTraining, admin: Speaker, word: str) -> None:
    admin.get("/feed/users")
    with pytest.raises(LookupError, match=f"no operation '{word}'. Name one of these: .*, "):
        mock.calls.of(word)


def test_a_part_of_one_name_alone_asks_for_it(mock: MockTraining) -> None:
    with pytest.raises(LookupError, match=r"Did you mean WhoAmI\?"):
        mock.calls.of("whoam")


def test_a_slip_in_a_tokens_name_is_an_error_and_not_no_calls(mock: MockTraining, admin: Speaker) -> None:
    admin.get(WHO)
    for calls in (mock.calls, mock.calls.of("WhoAmI"), mock.calls[:1]):
        with pytest.raises(LookupError, match=r"There is no token 'amdin'. Did you mean admin\?"):
            calls.by("amdin")
        with pytest.raises(
            LookupError, match=r"not the token itself. The names are admin, expired"
        ) as caught:
            calls.by(mock.token("learner"))
        assert mock.token("learner") not in str(caught.value)
        calls.by("learner").never()
    Speaker(mock, "mock_unknown").get(WHO)
    assert mock.calls.by("").once().status == 401


def test_a_token_that_spoke_is_known_for_as_long_as_its_calls_are(mock: MockTraining, admin: Speaker) -> None:
    admin.get(WHO)
    mock._tokens.by_name.pop("admin")
    mock.calls.by("admin").once()
    mock.calls.clear()
    with pytest.raises(LookupError, match="No token has this name"):
        mock.calls.by("admin")


@pytest.mark.parametrize(
    ("slip", "error", "said"),
    [
        (lambda calls: calls.of(None), TypeError, "operation must be a name such as .*, not None"),
        (lambda calls: calls.by(None), TypeError, "token must be the name of a token, .*, not None"),
        (lambda calls: calls.answered("200"), TypeError, "status must be .*, such as 200, not '200'"),
        (lambda calls: calls.answered(True), TypeError, "status must be .*, not True"),
        (lambda calls: calls.answered(4010), ValueError, "status must be .* 100 to 599, not 4010"),
        (lambda calls: calls.times("3"), TypeError, "number must be a whole number, such as 2, not '3'"),
        (lambda calls: calls.times(-1), ValueError, "number must be a whole number from 0, not -1"),
        (lambda calls: calls.where("reset"), TypeError, "fits must be a function .*, not 'reset'"),
        (lambda calls: calls.in_order(), ValueError, "in_order needs the names of operations"),
        (lambda calls: calls.in_order(["reset"]), TypeError, r"operation must be .*, not \['reset'\]"),
    ],
)
def test_a_slip_is_refused_whatever_has_been_asked(
    mock: MockTraining,
    admin: Speaker,
    slip: Callable[[Journal], object],
    error: type[Exception],
    said: str,
) -> None:
    for _ in range(2):
        with pytest.raises(error, match=said):
            slip(mock.calls)
        admin.get(WHO)


def test_assertions_fail_with_what_was_seen(mock: MockTraining, admin: Speaker) -> None:
    with pytest.raises(AssertionError, match=r"Expected 1 ResetCourseProgress, not 0\. Recorded: none"):
        mock.calls.of("reset").once()
    admin.get(WHO)
    admin.get(COURSES)
    with pytest.raises(
        AssertionError, match=r"Expected 0 WhoAmI, not 1\. Recorded:\n  #1 GET .*WhoAmI as admin -> 200"
    ):
        mock.calls.of("WhoAmI").never()
    with pytest.raises(AssertionError, match="Expected 3 requests, not 2"):
        mock.calls.times(3)
    assert mock.calls.times(2).of("courses").once().number == 2


def test_what_is_missing_is_looked_for_among_the_wider_ones(mock: MockTraining, admin: Speaker) -> None:
    admin.reset(course_id(mock), [recorded(mock)[0]], (FORKLIFT, 1))
    admin.get("/nowhere")
    reset = f"#1 POST {RESET} as admin -> 200 (ResetCourseProgress)"
    with pytest.raises(AssertionError) as narrowed:
        mock.calls.of("reset").by("manager").once()
    assert str(narrowed.value) == (
        f"Expected 1 ResetCourseProgress as manager, not 0. Recorded among all ResetCourseProgress:\n  {reset}"
    )
    with pytest.raises(AssertionError) as widest:
        mock.calls.of("courses").answered(200).once()
    assert str(widest.value) == (
        "Expected 1 ListCourses answered 200, not 0. Recorded among all requests:"
        f"\n  {reset}\n  #2 GET /nowhere as admin -> 404 (no operation)"
    )
    with pytest.raises(AssertionError, match=r"0 ResetCourseProgress, not 1\. Recorded:\n  #1 [^\n]*\Z"):
        mock.calls.of("reset").never()


def test_a_failure_points_at_the_test_and_not_into_the_journal(mock: MockTraining) -> None:
    for ask in (mock.calls.once, lambda: mock.calls.times(2), lambda: mock.calls.in_order("reset")):
        with pytest.raises(AssertionError) as caught:
            ask()
        inside = [
            each for each, _ in traceback.walk_tb(caught.tb) if each.f_code.co_filename == made_calls.__file__
        ]
        assert inside
        assert all(each.f_locals.get("__tracebackhide__") for each in inside)


def test_order_is_asserted_with_others_in_between(mock: MockTraining, admin: Speaker) -> None:
    for path in (WHO, COURSES, WHO):
        admin.get(path)
    mock.calls.in_order("WhoAmI", "courses")
    mock.calls.in_order("courses", "WhoAmI")
    mock.calls.in_order("WhoAmI", "courses", "WhoAmI")
    with pytest.raises(AssertionError, match="courses then courses; ListCourses is missing"):
        mock.calls.in_order("courses", "courses")


def test_calls_are_narrowed_by_token_status_and_anything(mock: MockTraining, admin: Speaker) -> None:
    admin.get(COURSES, "pageSize=1")
    Speaker(mock, "learner").get(COURSES)
    Speaker(mock, "nobody").get(COURSES)
    assert mock.calls.by("learner").once().status == 200
    assert mock.calls.answered(401).once().token == ""
    assert mock.calls.where(lambda each: "pageSize" in each.query).once().token == "admin"
    assert [each.number for each in mock.calls[1:]] == [2, 3]
    assert mock.calls[-1].status == 401
    with pytest.raises(AssertionError, match="0 ListCourses as learner answered 200, not 1"):
        mock.calls.of("courses").by("learner").answered(200).never()


STRUCK = [
    ("drop", {}, "dropped before it was carried out (fault drop)", (0, "nothing", 0)),
    (
        "drop",
        {"when": "after"},
        "dropped in place of 200, after the commit (fault drop)",
        (0, "nothing", 200),
    ),
    ("error", {}, "503 (fault error)", (503, "whole", 0)),
    ("error", {"when": "after"}, "503 in place of 200, after the commit (fault error)", (503, "whole", 200)),
    ("rate_limited", {}, "429 (fault rate_limited)", (429, "whole", 0)),
    ("cut", {}, "200, cut short (fault cut)", (200, "cut", 0)),
    ("truncated", {}, "200 (fault truncated)", (200, "whole", 0)),
    ("slow", {"seconds": 0}, "200 (fault slow)", (200, "whole", 0)),
    ("token_revoked", {}, "401 (fault token_revoked)", (401, "whole", 0)),
]


@pytest.mark.parametrize(("kind", "fields", "outcome", "what"), STRUCK)
def test_a_request_that_a_fault_struck_is_kept_as_its_client_met_it(
    mock: MockTraining,
    admin: Speaker,
    kind: Kind,
    fields: dict[str, Any],
    outcome: str,
    what: tuple[int, str, int],
) -> None:
    mock.faults.add(kind, operation="reset", **fields)
    admin.reset(course_id(mock), [recorded(mock)[0]], (FORKLIFT, 1), x_request_id="r-1")
    made = mock.calls.of("reset").once()
    assert (made.outcome, str(made)) == (outcome, f"#1 POST {RESET} as admin -> {outcome}")
    assert (made.status, made.delivered, made.instead, made.faults) == (*what, (kind,))
    assert made.request_id == "r-1"
    if made.status:
        mock.calls.answered(made.status).once()
    else:
        assert (made.answer.data, made.answer_headers) == (b"", ())
        mock.calls.answered(503).never()
    if kind in ("cut", "truncated"):
        assert made.answer.data == b'{"usersUpdated":1}'[:9]


def test_a_refusal_that_got_lost_is_no_commit(mock: MockTraining) -> None:
    mock.faults.add("slow", seconds=0)
    mock.faults.add("drop", when="after")
    Speaker(mock, "learner").post(RESET, {})
    assert mock.calls.once().outcome == "dropped in place of 403 (faults slow, drop)"


def test_what_was_struck_before_it_was_carried_out_has_no_true_answer(mock: MockTraining) -> None:
    mock.faults.add("error", status=502)
    mock.faults.add("drop", when="after")
    Speaker(mock).get(WHO)
    assert (mock.calls.once().instead, mock.calls.once().delivered) == (0, "nothing")


def test_an_answer_without_a_body_cannot_be_cut(mock: MockTraining, admin: Speaker) -> None:
    mock.faults.add("cut")
    admin.send("HEAD", WHO)
    assert (mock.calls.once().delivered, mock.calls.once().outcome) == ("whole", "200 (fault cut)")


def test_a_cleared_journal_counts_anew_and_numbers_go_on(mock: MockTraining, admin: Speaker) -> None:
    admin.get(WHO)
    mock.calls.clear()
    mock.calls.never()
    admin.get(WHO)
    assert mock.calls.once().number == 2


def test_what_was_asked_for_stays_as_it_was(mock: MockTraining, admin: Speaker) -> None:
    before = mock.calls.of("WhoAmI")
    admin.get(WHO)
    assert (len(before), len(mock.calls.of("WhoAmI")), repr(mock.calls)) == (0, 1, "<1 requests>")


def everything(mock: MockTraining) -> str:
    return "".join(
        repr(each) + str(each) + each.body.text + each.answer.text + repr(each.body) for each in mock.calls
    )


@pytest.mark.parametrize("token", ["admin", "live-0123456789abcdef"])
def test_a_token_is_masked_wherever_it_stands(mock: MockTraining, token: str) -> None:
    speaker = Speaker(mock, token)
    secret = mock._tokens.by_name.get(token, token)
    other = mock.token("outsider")
    speaker.get(f"/{secret}/{other}", f"searchTerm={secret}&{other}=1")
    speaker.post(RESET, {"courseId": secret, "note": other}, x_api_key=secret, cookie=other, referer=secret)
    speaker.send("POST", RESET, raw=f"{secret}{other}".encode())
    assert len(mock.calls) == 3
    assert secret not in everything(mock)
    assert other not in everything(mock)
    assert mock.calls[0].header("authorization") == "Bearer ***"
    assert mock.calls[1].header("x-api-key") == mock.calls[1].header("cookie") == "***"


@given(
    st.text(alphabet="abc=;, *-_", min_size=9, max_size=30).map(str.strip).filter(lambda text: len(text) > 8)
)
def test_no_authorization_header_shows_more_than_its_scheme(value: str) -> None:
    kept = Journal()
    kept.record(Request("GET", "/", headers=(("authorization", value),)), Response(401), {})
    assert kept.once().header("authorization") == "***"


def test_an_exchange_has_the_name_that_its_token_had(mock: MockTraining) -> None:
    drawn_before = Speaker(mock, mock.token("admin"))
    drawn_before.get(WHO)
    mock.draw_tokens()
    drawn_before.get(WHO)
    assert [(each.token, each.status) for each in mock.calls] == [("admin", 200), ("", 401)]


def test_two_tokens_at_once_speak_for_nobody(mock: MockTraining) -> None:
    both = tuple(("authorization", f"Bearer {mock.token(name)}") for name in ("admin", "learner"))
    mock.handle(Request("GET", WHO, headers=both))
    assert (mock.calls.once().token, mock.calls.once().status) == ("", 401)
    assert mock.token("admin") not in everything(mock)


def test_a_long_body_is_cut_and_says_so(mock: MockTraining) -> None:
    Speaker(mock).post(RESET, {"courseId": "x" * journal.MAX_BODY})
    body = mock.calls.once().body
    assert (len(body.data), body.is_cut) == (journal.MAX_BODY, True)
    with pytest.raises(ValueError, match="was cut after 65536 bytes"):
        _ = body.json


def test_memory_is_bounded_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_EXCHANGES", 5)
    monkeypatch.setattr(journal, "MAX_BYTES", 1000)
    kept = Journal()
    for _ in range(7):
        kept.record(Request("GET", WHO), Response(200), {})
    assert [each.number for each in kept] == [3, 4, 5, 6, 7]
    for _ in range(7):
        kept.record(Request("GET", WHO, body=b"x" * 150), Response(200, (), b"y" * 150), {})
    assert [each.number for each in kept] == [12, 13, 14]
    assert kept.dropped == 11


def test_what_has_been_dropped_is_never_taken_for_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_EXCHANGES", 1)
    kept = Journal()
    kept.record(Request("POST", RESET), Response(200), {})
    kept.record(Request("GET", WHO), Response(200), {})
    for ask in (kept.of("reset").never, kept.of("WhoAmI").once, lambda: kept.in_order("WhoAmI")):
        with pytest.raises(
            AssertionError, match=r"cannot show whether there were .*: it no longer has 1 older requests"
        ):
            ask()
    kept.clear()
    kept.never()


def test_threads_lose_nothing() -> None:
    kept = Journal()

    def speak() -> None:
        for _ in range(200):
            kept.record(Request("GET", WHO), Response(200), {})

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.number for each in kept] == list(range(1, 801))
