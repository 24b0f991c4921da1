"""A tenant beside our own answers: another reference server, made different on purpose."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import evolve, field, frozen

from mock_server import MockTraining
from mock_server.cli import main
from mock_server.compare.comparison import Comparison, Grade, compare, differences, structure
from mock_server.compare.reader import TOKEN_VARIABLE, LiveError, Reader
from mock_server.transports.serving import serve
from mock_server.wire.message import Request, Response
from mock_server.world.people import Person
from unit.mock_server.core.speaker import Speaker

COURSES, FEED = "/training/courses/v1", "/training/v1/feed/training-course-progress"
Change = Callable[[Response], Response]


@frozen
class Tenant:
    """A reference server some of whose answers are changed."""

    mock: MockTraining
    changes: dict[str, Change]
    seen: list[Request] = field(factory=list)

    def handle(self, request: Request) -> Response:
        self.seen.append(request)
        response = self.mock.handle(request)
        own = self.changes.get(request.path)
        return response if own is None else own(response)


def changed(change: Callable[[Any], None]) -> Change:
    def changes(response: Response) -> Response:
        value = json.loads(response.body)
        change(value)
        return evolve(response, body=json.dumps(value).encode())

    return changes


@contextmanager
def tenant(**changes: Change) -> Iterator[tuple[Tenant, str]]:
    paths = {
        "courses": COURSES,
        "feed": FEED,
        "groups": "/feed/groups",
        "who": "/accounts/user/v1/user:WhoAmI",
    }
    made = Tenant(MockTraining.demo(), {paths[name]: each for name, each in changes.items()})
    with serve(made) as server:
        yield made, server.url


def compared(made: Tenant, url: str) -> Comparison:
    return compare(Reader.to(url, made.mock.token("admin")))


def said(comparison: Comparison) -> set[tuple[str, str, str]]:
    return {(each.grade.value, each.operation, each.place) for each in comparison.findings}


def test_a_tenant_like_ours_differs_in_nothing() -> None:
    with tenant() as (made, url):
        comparison = compared(made, url)
    assert [each for each in comparison.findings if each.grade is not Grade.NOTE] == []
    assert {"WhoAmI", "ListCourses", "GetLesson", "ListTrainingCourseProgress"} <= set(comparison.asked)
    assert not comparison.is_alarming


def rename(value: Any) -> None:
    for each in value["items"]:
        each["lessonCount"] = each.pop("LessonCount")


def retype(value: Any) -> None:
    for each in value["data"]:
        each["score"] = str(each["score"])
        each["progress_percent"] = int(each["progress_percent"])  # a number all the same
    del value["data"][0]["due_at"]


def test_what_is_renamed_missing_retyped_or_new_is_graded() -> None:
    changes = {
        "courses": changed(rename),
        "feed": changed(retype),
        "who": changed(lambda value: value.update(nickname="Anna", lastname=None)),
    }
    with tenant(**changes) as (made, url):
        comparison = compared(made, url)
    assert said(comparison) - {each for each in said(comparison) if not each[2]} == {
        ("note", "ListCourses", "items[].lessonCount"),
        ("warning", "ListCourses", "items[].LessonCount"),
        ("error", "ListTrainingCourseProgress", "data[].score"),
        ("warning", "ListTrainingCourseProgress", "data[].due_at"),
        ("note", "WhoAmI", "nickname"),
        ("error", "WhoAmI", "lastname"),
    }
    (score,) = [each for each in comparison.findings if each.place == "data[].score"]
    assert score.said == "is text, ours is number"
    assert comparison.is_alarming


def ending(value: Any) -> Any:
    """A change of every feed's metadata to this end."""

    def change(page: Any) -> None:
        page["metadata"]["next_page"] = value

    return change


@pytest.mark.parametrize("end", [None, "", FEED + "?offset=100"])
def test_a_feed_may_end_or_go_on_where_ours_does_not(end: str | None) -> None:
    with tenant(feed=changed(ending(end)), groups=changed(ending(end))) as (made, url):
        comparison = compared(made, url)
    assert not comparison.is_alarming


def test_a_nullable_field_may_be_null_and_of_an_object_that_is_none_no_field_is_missing() -> None:
    def originals(value: Any) -> None:
        for each in value["items"]:
            each["TranslationOriginalCourse"] = None

    def retyped(value: Any) -> None:
        value["metadata"] = None

    with tenant(courses=changed(originals), groups=changed(retyped)) as (made, url):
        comparison = compared(made, url)
    assert said(comparison) - {each for each in said(comparison) if not each[2]} == {
        ("error", "FeedGroups", "metadata")
    }


def test_nothing_but_get_leaves_and_nobody_else_is_asked() -> None:
    with tenant() as (elsewhere, other):
        redirect = Response(302, (("location", f"{other}{COURSES}"),))

        def onward(value: Any) -> None:
            value["metadata"]["next_page"] = f"{other}{FEED}"

        with tenant(courses=lambda _: redirect, feed=changed(onward)) as (made, url):
            comparison = compared(made, url)
    assert elsewhere.seen == []
    assert {each.method for each in made.seen} == {"GET"}
    assert ("error", "ListCourses", "") in said(comparison)
    assert ("error", "ListTrainingCourseProgress", "metadata.next_page") in said(comparison)
    assert not [each for each in made.seen if "/webhooks/" in each.path]  # would answer a secret


def test_a_world_is_not_changed_by_being_read() -> None:
    with tenant() as (made, url):
        before = made.mock.state()
        compared(made, url)
        assert made.mock.diff(before) == ()


@pytest.mark.parametrize(
    ("response", "grade"),
    [
        (Response(403, (), b"secret"), "warning"),
        (Response(500, (), b"secret"), "warning"),
        (Response(200, (("content-type", "text/html"),), b"secret"), "error"),
        (Response(200, (("content-type", "application/json"),), b"secret"), "error"),
        (Response(200, (("content-type", "application/json"),), b"[" * 100_000), "error"),
        (Response(200, (("content-type", "application/json"),), b'["secret"]'), "error"),
    ],
)
def test_whatever_comes_is_said_and_not_shown(response: Response, grade: str) -> None:
    with tenant(courses=lambda _: response) as (made, url):
        comparison = compared(made, url)
    found = [each for each in comparison.findings if each.operation == "ListCourses"]
    assert grade in {each.grade.value for each in found}
    assert "secret" not in repr(comparison)


def spelled(person: Person) -> set[str]:
    """What an answer could be keyed by, of one person."""
    first, last = person.first_name, person.last_name
    made = {first, last, first + last, first[0].lower() + last.lower(), f"{first}.{last}", f"{first}_{last}"}
    return {*made, *map(str.lower, made), person.id, person.email, f"{first.lower()}{last}"}


@pytest.mark.parametrize(
    "key",
    [
        *(
            "Anna",
            "Schmidt",
            "annsmith",
            "AnnaSchmidt",
            "anna_schmidt",
            "anna.schmidt",
            "Müller",
            "jmueller07",
        ),
        *("AKIAABCDEFGHIJKLMNOP", "user_021ecb9b055b33ac", "6908610029087ab67fa50c2e", "12", "a b", "", "é"),
        *("Mark", "Page", "Hand", "MarkPage", "mark_page", "Grace", "grace", "O'Brien", "anna@example.org"),
        *("Access", "Score", "x" * 5000),
    ],
)
def test_a_key_that_may_name_somebody_is_not_printed(key: str) -> None:
    (_, place) = structure({key: 1})
    assert place == "{key}" or (place == "user_*" and key.startswith("user_"))


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        *(
            (each, each)
            for each in ("lessonCount", "LessonCount", "completed_at", "user_id", "nickname", "@type")
        ),
        *((each, each) for each in ("courseVersion", "language_id", "isEnabled", "CourseOwner", "createdBy")),
        ("courseColourScheme", "course*"),
        ("scoreOfAnnaSchmidt", "score*"),
        ("anna_score", "*_score"),
        ("user_anna_smith_id", "user_*_id"),
    ],
)
def test_a_key_made_of_the_words_of_fields_is_printed_as_far_as_they_go(key: str, printed: str) -> None:
    (_, place) = structure({key: 1})
    assert place == printed


def test_every_field_of_our_own_answers_is_printed_whole() -> None:
    mock = MockTraining.demo()
    admin = Speaker(mock)
    for path in (COURSES, FEED, "/accounts/user/v1/user:WhoAmI", "/training/paths/v1", "/feed/users"):
        value = admin.get(path).json
        assert not [place for place in structure(value) if "*" in place or "{key}" in place], path


def test_no_values_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def by_name(value: Any) -> None:
        value["people"] = {each["user_email"]: each for each in value["data"]}
        value["data"] = "anna@example.org"

    def keyed(value: Any) -> None:  # wherever keys can stand that are no fields
        names = {key: 1 for each in MockTraining.demo().world.users for key in spelled(each)}
        value.update(names)
        for each in value["items"]:
            each |= names

    with tenant(feed=changed(by_name), courses=changed(keyed)) as (made, url):
        monkeypatch.setenv(TOKEN_VARIABLE, made.mock.token("admin"))
        assert main(["compare", "--live", url]) == 1
        table = capsys.readouterr()
        assert main(["compare", "--live", url, "--json"]) == 1
        found = capsys.readouterr()
    printed = table.out + table.err + found.out + found.err
    world = made.mock.world
    for each in world.users:
        assert each.id not in printed
        assert each.email not in printed
        for key in spelled(each):
            assert re.search(rf"(?<!\w){re.escape(key)}(?!\w)", printed) is None, key
    assert made.mock.token("admin") not in printed
    assert "anna@" not in printed
    assert json.loads(found.out)["findings"]
    assert "operations requested" in table.out
    assert "people.{key}" not in table.out  # what is new is named once, at the top


def test_equal_states_end_with_0(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with tenant() as (made, url):
        monkeypatch.setenv(TOKEN_VARIABLE, made.mock.token("admin"))
        assert main(["compare", "--live", url]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.safetyculture.io",
        "ftp://127.0.0.1",
        "http://api.safetyculture.io",
        "https://user:word@api.safetyculture.io",
        "https://api.safetyculture.io/training",
        "https://api.safetyculture.io?x=1",
        "https://host:port",
        "https://[::1",
    ],
)
def test_a_url_that_is_no_host_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(LiveError, match="--live"):
        Reader.to(url, "token")


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_token_comes_from_the_environment_and_is_one_word(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    assert main(["compare", "--live", "https://127.0.0.1:9"]) == 2
    said = capsys.readouterr().err
    assert TOKEN_VARIABLE in said
    assert not token or token not in said


def test_a_tenant_that_is_not_there_or_does_not_know_the_token_is_said_so() -> None:
    with tenant() as (_, url), pytest.raises(LiveError, match="token"):
        compare(Reader.to(url, "unknown"))


def answering(said: bytes) -> Iterator[int]:
    """A port that takes one connection, says this and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("scheme", "said", "why"),
    [
        ("http", b"", "the server ended the connection before the answer was complete"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the server ended the connection before"),
        ("http", b"220 mail.example ESMTP\r\n", "the answer is not HTTP"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server does not use TLS"),
    ],
)
def test_why_a_host_cannot_be_read_is_said_in_words_with_the_port(scheme: str, said: bytes, why: str) -> None:
    for port in answering(said):
        with pytest.raises(LiveError, match=rf"^127\.0\.0\.1:{port} cannot be read: {why}"):
            Reader.to(f"{scheme}://127.0.0.1:{port}", "token").get("/")


def test_a_host_that_is_not_there_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        LiveError, match=rf"^127\.0\.0\.1:{port} cannot be read: no server listens at this address\.$"
    ):
        Reader.to(f"http://127.0.0.1:{port}", "token").get("/")
    with pytest.raises(LiveError, match=r"^nowhere\.invalid:443 cannot be read: there is no such host\.$"):
        Reader.to("https://nowhere.invalid", "token").get("/")


@pytest.mark.parametrize("path", ["", "feed", "//elsewhere/x", "https://elsewhere/"])
def test_only_paths_of_the_host_are_read(path: str) -> None:
    with pytest.raises(ValueError, match="path must be a path of the host"):
        Reader.to("http://127.0.0.1:1", "token").get(path)


def test_an_empty_list_is_no_missing_field() -> None:
    ours = structure({"items": [{"id": "1"}]})
    (found,) = differences("X", structure({"items": []}), ours)
    assert (found.grade, found.place) == (Grade.NOTE, "items")
    assert list(differences("X", ours, structure({"items": []}))) == []
    (missing,) = differences("X", structure({"items": [{"id": "1"}, {}]}), ours)
    assert missing.said == "is missing in some objects; ours always has it"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that a reader makes, which take no time here."""
    pauses: list[float] = []
    monkeypatch.setattr("mock_server.compare.reader.time.sleep", pauses.append)
    return pauses


def test_a_tenant_that_answers_nothing_but_errors_cannot_be_read() -> None:
    with tenant() as (made, url):
        made.mock.faults.add("error", status=502, times=None)
        with pytest.raises(
            LiveError,
            match=r"Nothing could be compared\. The first result: WhoAmI was answered with status 502",
        ):
            compared(made, url)


@pytest.mark.parametrize(("seconds", "pause"), [(7, 7.0), (None, 60.0), (3000, 60.0)])
def test_pace_is_no_difference_of_the_wire(slept: list[float], seconds: int | None, pause: float) -> None:
    with tenant() as (made, url):
        made.mock.faults.add("rate_limited", operation="GetLesson", seconds=seconds)
        comparison = compared(made, url)
    assert slept == [pause]
    assert not comparison.is_alarming


def test_one_answer_lost_is_named_and_the_others_are_compared() -> None:
    with tenant() as (made, url):
        made.mock.faults.add("drop", operation="ListPaths", times=None)
        comparison = compared(made, url)
    assert [each.operation for each in comparison.findings if each.grade is Grade.WARNING] == ["ListPaths"]
    assert "ListCourses" in comparison.asked
    assert comparison.is_alarming


def test_a_tenant_that_goes_away_is_given_up() -> None:
    with tenant() as (made, url):
        made.mock.faults.add("drop", after=2, times=None)
        with pytest.raises(LiveError, match="ended the connection"):
            compared(made, url)
        assert len(made.seen) == 2 + 3


def test_what_was_not_asked_is_not_counted_as_asked() -> None:
    with tenant(courses=changed(lambda value: value.update(items=[], totalCount=0))) as (made, url):
        comparison = compared(made, url)
    skipped = {each.operation for each in comparison.findings if "was not requested" in each.said}
    assert "GetLesson" in skipped
    assert skipped.isdisjoint(comparison.asked)
