"""Somebody's own organisation, loaded; somebody's own script, run; and what it would have done."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mock_server import ExporterCsvError, MockTraining, rehearsal
from mock_server.cli import main
from mock_server.control import journal
from mock_server.rehearsal import Ending
from mock_server.transports.serving import ServeError, Server
from mock_server.world.codec import StateError
from mock_server.world.seeds.exporter_rows import COLUMNS
from rawhttp import connected, read_answer, request
from unit.mock_server.core.speaker import ATTEMPTS, FORKLIFT, WHO, Speaker, course_id
from unit.mock_server.core.test_lessons_and_slides import ANSWERS, EVENTS, LESSONS, SLIDES, items

SCRIPT = """
import json, os, sys, urllib.request
def ask(method, path, body=None, **head):
    head = {k.replace("_", "-"): v for k, v in head.items()}
    head["Authorization"] = "Bearer " + os.environ["SAFETYCULTURE_API_TOKEN"]
    data = None if body is None else json.dumps(body).encode()
    if data: head["Content-Type"] = "application/json"
    url = os.environ["SAFETYCULTURE_BASE_URL"] + path
    return json.load(urllib.request.urlopen(urllib.request.Request(url, data, head, method=method)))
course, = [c for c in ask("GET", "/training/courses/v1?pageSize=100")["items"] if c["title"] == sys.argv[1]]
body = {"courseId": course["id"], "allUsers": True}
users = ask("POST", "/training/courseprogress/v1/reset:preview", body)["usersToReset"]
said = json.dumps({"courseTitle": course["title"], "users": users})
ask("POST", "/training/courseprogress/v1/reset", body, Reset_Confirmation=said)
sys.exit(7)
"""


def lines(path: Path, items: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in items), encoding="utf-8")


def begun(mock: MockTraining) -> list[str]:
    """Everybody with recorded progress in the course, in the sense of R09."""
    records = mock.world.main.progress[course_id(mock)].records
    return [user_id for user_id, each in records.items() if each.is_recorded]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """What a pack keeps of everybody in a course, as the wire said it."""
    mock = MockTraining.demo()
    who, course = Speaker(mock), course_id(mock)
    rows = who.rows(f"course_id={course}")
    lines(tmp_path / "rows.jsonl", rows)
    lessons = []
    for row in rows:
        path = f"/training/analytics/v1/users/{row['user_id']}/lessons/progress"
        answer = who.get(path, f"courseId={course}").json
        lessons += [{"userId": row["user_id"], **each} for each in answer["items"]]
    lines(tmp_path / "lessons.jsonl", lessons)
    lines(tmp_path / "attempts.jsonl", who.get(ATTEMPTS, f"courseId={course}&pageSize=1000").json["items"])
    return tmp_path


def test_a_pack_reads_back_through_the_wire_as_it_was_kept(pack: Path) -> None:
    kept = [json.loads(line) for line in (pack / "rows.jsonl").read_text("utf-8").splitlines()]
    mock = MockTraining.from_evidence(pack)
    who, course = Speaker(mock), course_id(mock)
    assert who.rows() == kept
    lessons = [json.loads(line) for line in (pack / "lessons.jsonl").read_text("utf-8").splitlines()]
    for user in {row["user_id"] for row in kept}:
        path = f"/training/analytics/v1/users/{user}/lessons/progress"
        said = [{"userId": user, **each} for each in who.get(path, f"courseId={course}").json["items"]]
        assert said == [each for each in lessons if each["userId"] == user]
    tried = [json.loads(line) for line in (pack / "attempts.jsonl").read_text("utf-8").splitlines()]
    again = who.get(ATTEMPTS, "pageSize=1000").json["items"]
    assert again == tried != []


def test_R14_a_loaded_packs_lessons_have_the_figures_and_events_of_then(pack: Path) -> None:
    then, now = Speaker(MockTraining.demo()), Speaker(MockTraining.from_evidence(pack))
    course = course_id(then.mock)
    for path in (LESSONS, EVENTS):
        found = items(now, path, f"courseId={course}")
        assert found == items(then, path, f"courseId={course}") != []
    assert items(now, SLIDES) == items(now, ANSWERS) == []  # no pack keeps any


def test_R12_a_loaded_pack_can_be_reset(pack: Path) -> None:
    mock = MockTraining.from_evidence(pack)
    users = begun(mock)
    assert Speaker(mock).reset(course_id(mock), None, (FORKLIFT, len(users))).json == {
        "usersUpdated": len(users)
    }
    assert begun(mock) == []


def test_what_is_null_in_a_pack_is_empty(pack: Path) -> None:
    first, *rest = (pack / "rows.jsonl").read_text("utf-8").splitlines()
    row = json.loads(first) | {"time_spent_seconds": 60.0, "completion_expiry_date": None, "due_at": None}
    lines(pack / "rows.jsonl", [row, *map(json.loads, rest)])
    found = Speaker(MockTraining.from_evidence(pack)).rows()
    assert row | {"time_spent_seconds": 60, "completion_expiry_date": "", "due_at": ""} in found


def test_a_row_that_stands_there_twice_is_named(pack: Path) -> None:
    rows = [json.loads(line) for line in (pack / "rows.jsonl").read_text("utf-8").splitlines()]
    lines(pack / "rows.jsonl", [*rows, rows[0]])
    said = rf"line {len(rows) + 1}, column user_id: This user has a row in this course already, in line 1"
    with pytest.raises(ExporterCsvError, match=said):
        MockTraining.from_evidence(pack)


def test_a_pack_of_rows_alone_is_enough(pack: Path) -> None:
    (pack / "lessons.jsonl").unlink()
    (pack / "attempts.jsonl").unlink()
    assert Speaker(MockTraining.from_evidence(pack)).rows()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("rows.jsonl", "[]\n", "line 1: The line is not a JSON object"),
        ("rows.jsonl", '{"course_id": "c"}\n', "line 1, column"),
        (
            "lessons.jsonl",
            '{"userId": "u"}\n',
            "line 1, column course_id: The field is missing, or its type is not str",
        ),
        ("attempts.jsonl", "{broken\n", "line 1: The line is not a JSON object"),
    ],
)
def test_what_is_wrong_with_a_pack_is_named(pack: Path, name: str, text: str, said: str) -> None:
    (pack / name).write_text(text, encoding="utf-8")
    with pytest.raises(ExporterCsvError, match=said) as refused:
        MockTraining.from_evidence(pack)
    assert name in str(refused.value)


WRONG = (
    ("attempts.jsonl", "id", "../x", "must be an id"),
    ("attempts.jsonl", "id", "", "is empty"),
    ("attempts.jsonl", "lessonId", "l/1", "must be an id"),
    ("attempts.jsonl", "startedDateTime", "yesterday", "must be a date"),
    ("attempts.jsonl", "completedDateTime", "2026-02-30T00:00:00Z", "must be a date"),
    ("attempts.jsonl", "score", -7, "must be a whole number from 0"),
    ("attempts.jsonl", "score", 2**31, "must be a whole number from 0"),
    ("attempts.jsonl", "success", "yes", "The field is missing, or its type is not bool"),
    ("attempts.jsonl", "userId", "user_0", "This user has no row in this course"),
    ("attempts.jsonl", "courseId", "c", "This user has no row in this course"),
    ("lessons.jsonl", "lessonId", "\n", "must be an id"),
    ("lessons.jsonl", "openedDateTime", "never", "must be a date"),
    ("lessons.jsonl", "completedDateTime", "0001-01-01T00:00:00+14:00", "must be a date"),
    ("lessons.jsonl", "percentageCompleted", 1e9, "must be a number from 0 to 100"),
    ("lessons.jsonl", "percentageCompleted", float("nan"), "must be a number from 0 to 100"),
    ("lessons.jsonl", "score", -1, "must be a whole number from 0"),
    ("lessons.jsonl", "userId", "user_0", "This user has no row in this course"),
    ("rows.jsonl", "time_spent_seconds", -5, "must be a whole number from 0"),
    ("rows.jsonl", "completion_expiry_date", "tomorrow", "must be a date"),
)


@pytest.mark.parametrize(("name", "field", "value", "said"), WRONG)
def test_impossible_answers_are_refused(pack: Path, name: str, field: str, value: object, said: str) -> None:
    kept = [json.loads(line) for line in (pack / name).read_text("utf-8").splitlines()]
    assert field in kept[1]
    lines(pack / name, [kept[0], kept[1] | {field: value}, *kept[2:]])
    with pytest.raises(ExporterCsvError, match=rf"{name}: line 2, column [a-z_]+: .*{said}"):
        MockTraining.from_evidence(pack)


@pytest.mark.parametrize(("name", "column"), [("attempts.jsonl", "id"), ("lessons.jsonl", "lesson_id")])
def test_what_stands_there_twice_is_refused(pack: Path, name: str, column: str) -> None:
    kept = [json.loads(line) for line in (pack / name).read_text("utf-8").splitlines()]
    lines(pack / name, [*kept, kept[0]])
    said = rf"{name}: line {len(kept) + 1}, column {column}: .* occurs more than once for this user"
    with pytest.raises(ExporterCsvError, match=said):
        MockTraining.from_evidence(pack)


@pytest.mark.parametrize("line", ['{"course_title": "\\ud800"}', "[" * 100_000])
def test_a_line_that_no_answer_could_hold_is_refused(pack: Path, line: str) -> None:
    (pack / "rows.jsonl").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(ExporterCsvError, match=r"rows\.jsonl: line 1: The line is not a JSON object"):
        MockTraining.from_evidence(pack)


def test_a_folder_that_is_no_pack_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExporterCsvError, match="Name the folder of an evidence pack"):
        MockTraining.from_evidence(tmp_path)


def test_runs_a_script(
    pack: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFETYCULTURE_API_TOKEN", raising=False)
    code = main(["rehearse", "--evidence", str(pack), "--", sys.executable, "-c", SCRIPT, FORKLIFT])
    out, err = capfd.readouterr()
    assert code == 7
    users = len(begun(MockTraining.from_evidence(pack)))
    rows = len((pack / "rows.jsonl").read_text("utf-8").splitlines())
    assert f"Loaded {rows} rows of {rows} people in 1 course from" in err
    assert "The script ended with exit code 7." in out
    assert "PreviewReset -> 200: 1" in out
    assert "ResetCourseProgress -> 200: 1" in out
    assert f'"{FORKLIFT}", everyone: done, {users} users reset' in out
    assert f"{users} sent" in out
    assert "removed record" in out
    assert "mock_" not in out + err  # no token


def test_a_script_that_does_nothing_changes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--", sys.executable, "-c", "pass"]) == 0
    out = capfd.readouterr().out
    assert out.split("\n")[1:] == [
        "requests: none",
        "resets: none",
        "notifications: none",
        "changes: none",
        "",
    ]


def test_a_refused_reset_is_told_too(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", SCRIPT, FORKLIFT]
    assert main(["rehearse", "--token", "manager", "--", *command]) == 1
    out = capfd.readouterr().out
    assert "PreviewReset -> 403: 1" in out
    assert "changes: none" in out


def test_a_command_that_is_not_there_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--", "/nowhere/script"]) == 2
    assert "/nowhere/script cannot be started" in capfd.readouterr().err


def test_only_the_child_gets_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFETYCULTURE_BASE_URL", "https://the.live.example")
    mock = MockTraining.demo()
    check = "import os; assert os.environ['SAFETYCULTURE_BASE_URL'].startswith('http://127.0.0.1:')"
    assert rehearsal.run(mock, [sys.executable, "-c", check], "learner").code == 0
    assert os.environ["SAFETYCULTURE_BASE_URL"] == "https://the.live.example"


def test_an_export_without_rows_is_said_loudly(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    mock = MockTraining.from_exporter_csv(path)
    (said,) = rehearsal.loaded(mock, "export.csv")
    assert said.startswith("WARNING: export.csv has no rows")


def test_a_pack_of_completions_is_explained_by_its_plan(
    pack: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = [json.loads(line) for line in (pack / "rows.jsonl").read_text("utf-8").splitlines()]
    lines(pack / "rows.jsonl", [row for row in kept if row["completed_at"]][:1])
    for name in ("attempts.jsonl", "lessons.jsonl"):
        (pack / name).unlink()
    assert main(["rehearse", "--evidence", str(pack), "--", sys.executable, "-c", SCRIPT, FORKLIFT]) == 7
    out, err = capfd.readouterr()
    assert f"Loaded 1 row of 1 person in 1 course from {pack}" in err
    assert f'"{FORKLIFT}", everyone: done, 1 user reset' in out
    for said in (out, err):
        (warning,) = [line for line in said.splitlines() if "WARNING" in line]
        assert f"WARNING: All people in {pack} are completed" in warning
        assert "An evidence pack contains only the people of its plan" in warning
        assert "exporter writes" not in warning


def test_a_course_of_two_titles_is_said_with_both(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = [
        ("c1", "Forklift", "a"),
        ("c1", "Fork lift", "b"),
        ("c1", "Forklift", "c"),
        ("c2", "Ladders", "a"),
    ]
    cells = [f",,1,0,{course},,{title},,,,{user},,0,0," for course, title, user in rows]
    path.write_text("\n".join([",".join(COLUMNS), *cells]) + "\n", encoding="utf-8")
    said = rehearsal.loaded(MockTraining.from_exporter_csv(path), "export.csv")
    assert said == [
        "Loaded 4 rows of 3 people in 2 courses from export.csv.",
        "WARNING: export.csv has 2 titles for the course c1. This world uses 'Forklift'; other rows have 'Fork lift'.",
    ]


def test_a_story_says_what_it_could_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MAX_EXCHANGES", 3)
    mock = MockTraining.demo()
    before = mock.state()
    for _ in range(5):
        Speaker(mock).get(WHO)
    told = rehearsal.story(mock, before, Ending(0, "The end.")).splitlines()
    assert told[:4] == [
        "The end.",
        "requests:",
        "  2 earlier requests, no longer in the journal; after them:",
        "  WhoAmI -> 200: 3",
    ]


def test_hosts_that_are_spared_the_proxy_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "upper.example")
    monkeypatch.setenv("no_proxy", "lower.example,other.example")
    wanted = "upper.example,lower.example,other.example,127.0.0.1"
    check = f"import os; assert os.environ['NO_PROXY'] == os.environ['no_proxy'] == {wanted!r}"
    assert rehearsal.run(MockTraining.demo(), [sys.executable, "-c", check], "learner").code == 0


@pytest.mark.parametrize("name", ["rows.csv", "."])
def test_a_pack_file_is_no_export(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "rows.csv").write_text("course_id,user_id,kept\n")
    assert main(["rehearse", "--progress", str(tmp_path / name), "--", "true"]) == 2
    assert f"Load the pack with --evidence {tmp_path}" in capsys.readouterr().err


def test_what_is_loaded_is_said_before_and_after(pack: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--evidence", str(pack), "--", sys.executable, "-c", "pass"]) == 0
    first, second = capfd.readouterr().err.splitlines()
    assert first == f"training-mock: Loading {pack}."
    assert second.startswith("training-mock: Loaded ")


def test_a_trouble_with_a_whole_file_names_no_line(pack: Path) -> None:
    (pack / "begun.json").write_text("{}")
    with pytest.raises(ExporterCsvError) as refused:
        MockTraining.from_evidence(pack)
    assert str(refused.value).startswith(f"{pack}: The pack was never finished")


OTHERS = """
import json, os, urllib.error, urllib.request
url, secret = os.environ["SAFETYCULTURE_BASE_URL"], os.environ.get("TRAINING_MOCK_SECRET")
def status(path, head):
    try:
        return urllib.request.urlopen(urllib.request.Request(url + path, headers=head)).status
    except urllib.error.HTTPError as error:
        return error.code
for path in ("/_mock/tokens", "/_mock/state", "/_mock/calls"):
    assert status(path, {}) == status(path, {"X-Training-Mock-Secret": "guessed"}) == 403, path
    assert status(path, {"X-Training-Mock-Secret": secret}) == 200, path
"""


def test_a_rehearsal_with_real_people_is_private(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_MOCK_SECRET", "somebody else's")
    mock = MockTraining.from_evidence(pack)
    assert rehearsal.run(mock, [sys.executable, "-c", OTHERS], "admin").code == 0


def asked(server: Server, path: str, *headers: tuple[str, str]) -> int:
    with connected(server.port) as sock:
        sock.sendall(request("GET", path, headers))
        return read_answer(sock).status


def test_real_people_served_in_python_are_closed_to_other_users_of_the_machine(pack: Path) -> None:
    mock = MockTraining.from_evidence(pack)
    token = mock.token("admin")
    with mock.serve() as first, mock.serve() as second:
        assert first.secret != second.secret
        for server in (first, second):
            assert server.secret not in (None, "")
            assert str(server.secret) not in repr(server)
            assert asked(server, "/_mock/tokens") == 403
            assert asked(server, "/_mock/tokens", ("x-training-mock-secret", str(server.secret))) == 200
    assert mock.token("admin") == token, "it is random already, and a script may hold it"
    with pytest.raises(ServeError, match="Set a secret"):
        mock.serve(host="0.0.0.0")
    with mock.serve(secret="open sesame") as given:
        assert given.secret == "open sesame"


def test_a_saved_state_says_whether_its_people_come_from_a_file(pack: Path, tmp_path: Path) -> None:
    loaded, demo = MockTraining.from_evidence(pack), MockTraining.demo()
    loaded.save(tmp_path / "state.json")
    with MockTraining.load(tmp_path / "state.json").serve() as server:
        assert asked(server, "/_mock/state") == 403
    with demo.serve() as server:
        assert server.secret is None
    older = {name: part for name, part in loaded.state().items() if name != "is_loaded"}
    loaded.rollback(older)
    with loaded.serve() as server:
        assert asked(server, "/_mock/state") == 403, "a state from before does not open it"


def test_an_open_server_takes_no_state_with_real_people(pack: Path) -> None:
    document = MockTraining.from_evidence(pack).state()
    mock = MockTraining.demo()
    with mock.serve() as server, connected(server.port) as sock:
        before = mock.state()
        with pytest.raises(StateError, match="this server has no secret"):
            mock.become(document)
        headers = (("content-type", "application/json"),)
        sock.sendall(request("PUT", "/_mock/state", headers, json.dumps(document).encode()))
        answer = read_answer(sock)
        assert answer.status == 400
        assert "this server has no secret" in json.loads(answer.body)["message"]
        assert mock.diff(before) == ()
    with mock.serve(secret="open sesame") as server:
        mock.become(document)
        assert asked(server, "/_mock/state") == 403
