"""A client in processes that are forked: nobody reads another's answer, and only one of them writes the records."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_server import MockTraining
from mock_server.transports.serving import serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")

HEAD = """
import asyncio, json, os, sys
import httpx
from training_sdk import AsyncTrainingClient, ResetPlan, TrainingClient, TrainingError
given = json.loads(sys.argv[1])
settings = {"base_url": given["url"], "pace": False, "state_dir": given["state"]}

def both(work):
    reading, writing = os.pipe()
    child = os.fork()
    said = json.dumps(work(not child))
    if not child:
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        other = json.loads(answer.read())
    assert os.waitpid(child, 0)[1] == 0
    print(json.dumps([json.loads(said), other]))
"""

SYNC = """
client = TrainingClient(given["token"], **settings)
list(client.courses.list())  # so that there is a connection to share

def work(is_child):
    course = given["courses"][is_child]
    return [len(list(client.progress.list(course_id=course))) for _ in range(100)]

both(work)
"""

ASYNC = """
client = AsyncTrainingClient(given["token"], **settings)

async def count(course):
    return len([row async for row in client.progress.list(course_id=course)])

async def counting(course):
    return [await count(course) for _ in range(100)]

async def main():
    await count(given["courses"][0])
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, json.dumps(asyncio.run(counting(given["courses"][1]))).encode())
        os._exit(0)
    os.close(writing)
    mine = await counting(given["courses"][0])
    with os.fdopen(reading) as answer:
        print(json.dumps([mine, json.loads(answer.read())]))
    assert os.waitpid(child, 0)[1] == 0
    await client.aclose()

asyncio.run(main())
"""

FROM_OUTSIDE = """
http = httpx.Client()
client = TrainingClient(given["token"], http_client=http, **settings)
sibling = client.with_options(token=given["token"], timeout=3)
list(client.courses.list())

def work(is_child):
    found = []
    for each in (client, sibling):
        try:
            found.append(len(list(each.progress.list(course_id=given["courses"][0]))))
        except TrainingError as error:
            found.append([type(error).__name__, error.reason, "Nothing was sent" in error.message])
    return found

both(work)
"""

CLOSED = """
with TrainingClient(given["token"], **settings) as client:
    list(client.courses.list())
    child = os.fork()
if not child:
    os._exit(0)
os.waitpid(child, 0)
with TrainingClient(given["token"], **settings) as client:
    list(client.courses.list())
    child = os.fork()
    if not child:
        client.close()
        os._exit(0)
    os.waitpid(child, 0)
    print(json.dumps([len(list(client.progress.list(course_id=given["courses"][0])))]))
"""

HALFWAY = """
import training_sdk.resets.reset_request as sending
sending.MOST_PER_REQUEST = 3
client = TrainingClient(given["token"], **settings)
plan = ResetPlan.load(given["plan"])
children, reading, writing = [], *os.pipe()

def fork(progress):
    if len(children) < given["times"] and progress.what == given["when"]:
        children.append(os.fork())
        if 0 in children and given["ends_last"]:
            os.close(writing)
            os.read(reading, 1)  # until the parent has come to its end

try:
    said = {"complete": client.resets.apply(plan, confirm=plan.phrase, on_progress=fork).is_complete}
except TrainingError as error:
    said = {"error": type(error).__name__, "notes": getattr(error, "__notes__", [])}
if 0 in children:
    with open(given["child"], "w") as file:
        file.write(json.dumps(said))
    sys.exit(0)  # an orderly end, with all that is collected then
os.close(writing)
for child in children:
    os.waitpid(child, 0)
print(json.dumps(said))
"""


@pytest.fixture
def world() -> Iterator[tuple[MockTraining, dict[str, Any]]]:
    mock = MockTraining.generate(users=29, courses=2)
    with serve(mock) as server:
        yield (
            mock,
            {"url": server.url, "token": mock.token("admin"), "courses": list(mock.world.main.courses)},
        )


def run(source: str, given: dict[str, Any], folder: Path) -> Any:
    arguments = json.dumps({**given, "state": str(folder / "state")})
    done = subprocess.run(
        [sys.executable, "-c", HEAD + source, arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assigned(mock: MockTraining, courses: list[str], url: str) -> list[int]:
    from training_sdk import TrainingClient

    with TrainingClient(mock.token("admin"), base_url=url) as client:
        return [len(list(client.progress.list(course_id=course))) for course in courses]


@pytest.mark.parametrize("source", [SYNC, ASYNC], ids=["sync", "async"])
def test_parent_and_child_read_at_the_same_time_and_each_gets_its_own_answers(
    world: tuple[MockTraining, dict[str, Any]], tmp_path: Path, source: str
) -> None:
    mock, given = world
    parent, child = assigned(mock, given["courses"], given["url"])
    assert parent > 0 < child
    assert run(source, given, tmp_path) == [[parent] * 100, [child] * 100]


def test_a_client_from_outside_is_refused_in_the_child_before_it_sends(
    world: tuple[MockTraining, dict[str, Any]], tmp_path: Path
) -> None:
    mock, given = world
    parent, _ = assigned(mock, given["courses"], given["url"])
    mine, other = run(FROM_OUTSIDE, given, tmp_path)
    assert mine == [parent, parent]
    assert other == [["InvalidArgumentError", "FORKED", True]] * 2


def test_closing_in_the_child_leaves_the_connections_of_the_parent_open(
    world: tuple[MockTraining, dict[str, Any]], tmp_path: Path
) -> None:
    mock, given = world
    assert run(CLOSED, given, tmp_path) == [assigned(mock, given["courses"], given["url"])[0]]


@pytest.mark.parametrize("ends_last", [False, True])
@pytest.mark.parametrize("when", ["evidence", "reset"])
def test_a_process_forked_in_the_middle_of_a_reset_sends_nothing_and_writes_nothing(
    world: tuple[MockTraining, dict[str, Any]], tmp_path: Path, when: str, ends_last: bool
) -> None:
    from training_sdk import TrainingClient
    from training_sdk.local_plans.record_check import check_records
    from training_sdk.records.audit import AuditLog
    from training_sdk.records.journal import read_journal
    from training_sdk.records.state import StateDirectory
    from training_sdk.reports import report_file

    mock, given = world
    with TrainingClient(mock.token("admin"), base_url=given["url"]) as client:
        plan = client.resets.plan_everyone(given["courses"][0])
    plan.save(tmp_path / "plan.json")
    more = {
        "plan": str(tmp_path / "plan.json"),
        "child": str(tmp_path / "child.json"),
        "when": when,
        "times": 1,
        "ends_last": ends_last,
    }
    assert run(HALFWAY, {**given, **more}, tmp_path) == {"complete": True}
    said = json.loads((tmp_path / "child.json").read_text())
    assert said["error"] == "RecordsLockedError"
    done = [user_id for entry in mock.audit if entry.outcome == "done" for user_id in entry.reset_ids]
    assert sorted(done) == sorted(user.user_id for user in plan.targets)
    folder = tmp_path / "state" / "plans" / plan.digest
    assert report_file.load(folder).is_complete
    assert [type(event).__name__ for event in read_journal(folder)].count("Closed") == 1
    log = AuditLog(tmp_path / "state" / "audit.jsonl")
    assert log.verify(()) == ()
    assert [entry["event"] for entry in log.entries()] == ["reset begun", "evidence kept", "reset ended"]
    assert check_records(StateDirectory.open(tmp_path / "state")) == ()


def test_what_a_child_does_with_an_inherited_lock_leaves_it_locked(tmp_path: Path) -> None:
    source = """
from training_sdk.errors import RecordsLockedError
from training_sdk.records.chain import Lines
from pathlib import Path
path = Path(given["path"])
mine = Lines(path)
with mine.writing():
    mine.append({"a": 1})
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        second = os.fork()
        if not second:
            try:
                Lines(path).append({"b": 2})
            except RecordsLockedError:
                os._exit(0)
            os._exit(1)
        print(json.dumps(os.waitpid(second, 0)[1]))
    else:
        try:
            mine.append({"c": 3})
        except RecordsLockedError:
            pass
if not child:
    sys.exit(0)
Lines(path).append({"d": 4})
assert [list(line) for line in Lines(path).read()] == [["a"], ["d"]]
"""
    given = {"path": str(tmp_path / "some.jsonl"), "url": "", "token": "", "courses": []}
    assert run(source, given, tmp_path) == 0
