"""What a large plan costs: run ``python -m benchmarks.large_plan [LEARNERS [COURSES]]``, by default 100,000 and 50.

Every learner is in one course, every tenth in two. Everyone is planned for and reset, with evidence, against the
reference server in a process of its own; so the memory is the client's alone. Prints how long planning and applying
took, the most memory that the client had, the size of its records, and the requests by kind. ``--json`` prints the
same for a program. Times are wall-clock and mean little by themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import define, field

from benchmarks.harness import ROOT, most_resident

LESSONS = "/training/analytics/v1/users/{id}/lessons/progress"


def serve(learners: int, courses: int) -> None:
    """A server that says where it is and, for every line on its standard input, what it has been asked."""
    from mock_server.transports.serving import serve as served

    mock = large_world(learners, courses)
    door = Counting(mock)
    with served(door) as server:
        print(json.dumps({"url": server.url, "token": mock.token("admin")}), flush=True)
        for _ in sys.stdin:
            done = [entry for entry in mock.audit if entry.outcome == "done"]
            reset = Counter((entry.course_id, user) for entry in done for user in entry.reset_ids)
            print(
                json.dumps({"asked": door.asked, "reset": len(reset), "twice": reset.total() - len(reset)}),
                flush=True,
            )


@define
class Counting:
    """The server, with the number of requests that it was sent by kind."""

    mock: Any
    asked: Counter[str] = field(factory=Counter)

    def handle(self, request: Any) -> Any:
        """Count and answer a request."""
        name = request.path
        if name.endswith("/lessons/progress"):
            name = LESSONS
        self.asked[f"{request.method} {name}"] += 1
        return self.mock.handle(request)


def large_world(learners: int, courses: int) -> Any:
    """Return a server of people who have completed a course of three lessons; every tenth has completed two."""
    from mock_server import MockTraining, Policy
    from mock_server.learner_actions import LiveWorld
    from mock_server.world.seeds.builder import WorldBuilder, add_staff
    from mock_server.world.seeds.generate import past_record

    since = datetime(2026, 1, 5, 8, tzinfo=UTC)
    builder = WorldBuilder(seed="large plan", since=since)
    org = builder.organisation("Large plan")
    made = []
    for number in range(courses):
        course = org.course(f"Course {number}", created=since + timedelta(minutes=number), lessons=3)
        group = org.group(f"In course {number}")
        org.assign(course, groups=(group,), at=since)
        record = past_record(builder.ids, course, since + timedelta(days=9), course.lessons, score=80)
        made.append((course, group, record))
    for number in range(learners):
        both = [
            made[number % courses],
            *([made[(number + 1) % courses]] if number % 10 == 0 and courses > 1 else []),
        ]
        groups = tuple(group for _, group, _ in both)
        person = org.person("Learner", f"No. {number}", f"learner{number}@large.example", groups=groups)
        for course, _, record in both:
            org.record(course.id, person.id, record)
    add_staff(builder, org, expired_at=since)
    builder.token("learner", person)
    builder.token("teamlead", person)
    return MockTraining(builder.build(Policy(), LiveWorld), builder.tokens)


def client(url: str, token: str, state: str) -> None:
    """Plan and apply, and say what it took."""
    from training_sdk import TrainingClient

    with TrainingClient(token, base_url=url, state_dir=state) as training:
        began = time.monotonic()
        plan = training.resets.plan_everyone([course.id for course in training.courses.list()])
        planned = time.monotonic()
        after_plan = most_resident()
        report = training.resets.apply(plan, confirm=plan.phrase)
        applied = time.monotonic()
    print(
        json.dumps(
            {
                "targets": len(plan.targets),
                "people": plan.people,
                "rows": {
                    course.id: sum(user.course_id == course.id for user in plan.users)
                    for course in plan.courses
                },
                "complete": report.is_complete,
                "planning": planned - began,
                "applying": applied - planned,
                "memory after planning": after_plan,
                "memory": most_resident(),
            }
        )
    )


def measure(learners: int, courses: int) -> dict[str, Any]:
    """Everything about one plan."""
    this = [sys.executable, "-m", "benchmarks.large_plan"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        tempfile.TemporaryDirectory() as state,
        subprocess.Popen([*this, "serve", str(learners), str(courses)], cwd=ROOT, **pipes) as server,  # noqa: S603 - this file
    ):
        where = json.loads(server.stdout.readline())  # type: ignore[union-attr]  # a pipe was asked for
        Path(state).chmod(0o700)
        done = subprocess.run(  # noqa: S603 - this file
            [*this, "client", where["url"], where["token"], state],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        said = json.loads(done.stdout)
        told, _ = server.communicate("what\n")
        records = sum(path.stat().st_size for path in Path(state).rglob("*") if path.is_file())
        files = sum(path.is_file() for path in Path(state).rglob("*"))
    return {**said, **json.loads(told), "records": records, "files": files}


def main() -> None:
    """Measure and print."""
    match sys.argv[1:]:
        case ["serve", learners, courses]:
            serve(int(learners), int(courses))
        case ["client", url, token, state]:
            client(url, token, state)
        case [*given]:
            numbers = [int(each) for each in given if each != "--json"]
            _print(measure(*(numbers + [100_000, 50][len(numbers) :])), as_json="--json" in given)


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    mebibytes = 1 << 20
    print(f"{found['targets']} resets of {found['people']} people, complete: {found['complete']}")
    print(f"planned in {found['planning']:.0f} s, applied in {found['applying']:.0f} s")
    print(
        f"memory of the client: {found['memory after planning'] / mebibytes:.0f} MiB after planning, "
        f"{found['memory'] / mebibytes:.0f} MiB at most"
    )
    print(f"records: {found['files']} files, {found['records'] / mebibytes:.0f} MiB")
    for name, number in sorted(found["asked"].items()):
        print(f"{number:8} {name}")


if __name__ == "__main__":
    main()
