"""What a large world costs: run ``python -m benchmarks.large_world [RECORDS]``, by default 1,000,000.

Builds the generated organisation of so many progress records (100 courses) and prints the memory they take, how long
it takes to read all of them page by page in the ways that lists are read, and what the last page costs beside the
first. Times are this process's own, so that what else runs on the machine does not count; they mean little by
themselves, the ratios say whether a walk is linear. The first page is read twice, because the first time the server
looks for the rows that are asked for. A walk begins with no row kept as JSON: of a large world only a part is kept, and
a page that is kept costs half of one that is not. ``--json`` prints the same for a program. With ``--built`` nothing is
read.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

import msgspec

from benchmarks.harness import most_resident
from mock_server import MockTraining
from mock_server.wire.message import Request

COURSES = 100
FEED = "/training/v1/feed/training-course-progress"
ANALYTICS = "/training/analytics/v1"
ATTEMPTS = f"{ANALYTICS}/lessons/attempts"
WALKS = {
    "feed": (FEED, ""),
    "feed, completed": (FEED, "completion_status=COMPLETION_STATUS_COMPLETED"),
    "feed, modified after": (FEED, "modified_after=2026-05-01T00:00:00Z"),
    "attempts": (ATTEMPTS, "pageSize=1000"),
    "lesson events": (f"{ANALYTICS}/lessons/progress/events", "pageSize=1000"),
    "survey answers": (f"{ANALYTICS}/surveys/answers", "pageSize=1000"),
    "lesson statistics": (f"{ANALYTICS}/lessons/statistics", "pageSize=8"),
    "users": ("/feed/users", ""),
    "members of groups": ("/feed/group_users", ""),
}
_ENDS = 9


def ask(mock: MockTraining, path: str, query: str) -> dict[str, Any]:
    """One page."""
    headers = (("authorization", f"Bearer {mock.token('admin')}"), ("user-agent", "benchmark/1"))
    answer = mock.handle(Request("GET", path, query, headers))
    if answer.status != 200:
        raise RuntimeError(f"{path}?{query} is answered {answer.status}")
    page: dict[str, Any] = msgspec.json.decode(answer.body)
    return page


def walk(mock: MockTraining, path: str, query: str) -> list[float]:
    """The seconds of every page, from the first to the last."""
    times, number = [], 0
    size = int(query.partition("pageSize=")[2] or 0)
    while True:
        number += 1
        began = time.process_time()
        page = ask(mock, path, f"{query}&page={number}" if size else query)
        times.append(time.process_time() - began)
        if "metadata" in page:
            query = (page["metadata"]["next_page"] or "").partition("?")[2]
            done = not query
        else:
            done = number * size >= page["totalCount"]
        if done:
            return times


def forget(mock: MockTraining) -> None:
    """Drop the rows that are kept as JSON, lest some pages are cheaper than others by what was asked before."""
    mock.world.main.progress.row_cache.clear()
    mock.world.main.progress.page_cache.clear()


def measure(records: int, walked: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Everything about a world of about so many progress records."""
    gc.collect()
    before, began = most_resident(), time.process_time()
    mock = MockTraining.generate(users=records // COURSES, courses=COURSES)
    built = time.process_time() - began
    rows = sum(len(each.roster) for each in mock.world.main.progress.courses.values())
    world = most_resident() - before
    walks = {}
    for name, (path, query) in walked.items():
        began = time.process_time()
        ask(mock, path, query)  # looks for the rows that are asked for
        first = time.process_time() - began
        forget(mock)
        times = walk(mock, path, query)
        # The last page of all may be a short one.
        head, tail = median(times[:_ENDS]), median(times[-_ENDS - 1 : -1] or times)
        walks[name] = {
            "pages": len(times),
            "first page": first,
            "walk": sum(times),
            "last/first": tail / head,
        }
    return {"records": rows, "built": built, "world": world, "read": most_resident() - before, "walks": walks}


def main() -> None:
    """Measure and print."""
    numbers = [each for each in sys.argv[1:] if each not in ("--json", "--built")]
    found = measure(int(numbers[0]) if numbers else 1_000_000, {} if "--built" in sys.argv[1:] else WALKS)
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
        return
    records = found["records"]
    print(f"{records} progress records, built in {found['built']:.1f} s")
    print(
        f"memory: {found['world'] / records:.0f} bytes a record; {found['read'] / records:.0f} once all were read"
    )
    for name, each in found["walks"].items():
        print(
            f"{name}: {each['pages']} pages, first page {each['first page']:.2f} s, walk {each['walk']:.2f} s,"
            f" last page / first {each['last/first']:.2f}"
        )


if __name__ == "__main__":
    main()
