"""Legal ways to divide a feed into pages, in any combination: everyone is read, planned and in the evidence once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from training_sdk._core.flow import Request, Response
from training_sdk.evidence import packs_in, verify_pack
from unit.sdk.fakes import COURSE, Asker, Organisation, answer, no_waiting, over_the_wire, row
from unit.sdk.resetting import just_planned

FEED = "/training/v1/feed/training-course-progress"
DATE = "Sun, 01 Mar 2026 08:00:00 GMT"
EPOCH = "1772352005"


@define
class Feeding(Organisation):
    """An organisation whose feed comes in odd pages, and whose answers are refused or cut now and then."""

    page: int = 3
    empty: int = 0
    """Pages without rows before each page with some."""
    overlap: int = 0
    bare_query: bool = False
    names_itself: bool = False
    limited: frozenset[int] = frozenset()
    """Readings, by number, that are answered with 429 and a time since 1970."""
    cut: frozenset[int] = frozenset()
    """Readings that are cut short."""
    count: int = field(default=0)

    def __call__(self, request: Request) -> Response:
        self.count += 1
        if request.method == "GET" and self.count in self.limited:
            return self._marked(answer({}, 429, {"x-ratelimit-reset": EPOCH, "date": DATE}))
        response = super().__call__(request)
        if request.method == "GET" and self.count in self.cut:
            return self._marked(answer(body=response.body[: len(response.body) // 2]))
        return response

    def _feed(self, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
        begin, blank = int(query.get("offset", 0)), int(query.get("blank", 0))
        wanted = [one for one in self.rows if query.get("user_id") in (None, one["user_id"])]
        if blank < self.empty:
            return self._page([], {**query, "blank": str(blank + 1)})
        end = begin + self.page
        rows = wanted[begin:end]
        rows = [
            {**one, "course_title": "Renamed"} for one in wanted[max(0, begin - self.overlap) : begin]
        ] + rows
        if end < len(wanted):
            return self._page(rows, {**query, "offset": str(end), "blank": "0"})
        is_less = len(rows) < self.page if begin else len(rows) < 1000
        return self._page(rows, query if self.names_itself and is_less else None)

    def _page(self, rows: list[dict[str, Any]], following: dict[str, str] | None) -> Response:
        where = "" if self.bare_query else FEED
        link = None if following is None else f"{where}?{urlencode(following)}"
        return answer({"metadata": {"next_page": link}, "data": rows})


services = st.builds(
    Feeding,
    st.integers(1, 8).map(lambda people: [row(number) for number in range(people)]),
    page=st.integers(2, 4),
    empty=st.integers(0, 2),
    overlap=st.integers(0, 1),
    bare_query=st.booleans(),
    names_itself=st.booleans(),
    limited=st.frozensets(st.integers(1, 40), max_size=3),
    cut=st.frozensets(st.integers(1, 40), max_size=1),
)


@settings(max_examples=20, deadline=None)
@given(services, st.sampled_from(["sync", "asyncio"]))
def test_everyone_is_listed_planned_and_stored_once(service: Feeding, backend: str) -> None:
    people = {one["user_id"] for one in service.rows}
    ask = Asker(backend)
    with no_waiting(), tempfile.TemporaryDirectory() as folder:
        listed = ask(over_the_wire(service), lambda client: client.progress.list(course_id=COURSE))
        assert {one.user_id for one in listed} == people
        plan = just_planned(service)
        assert {user.user_id for user in plan.targets} == people
        report = ask(
            over_the_wire(service),
            lambda client: client.resets.apply(plan, confirm=plan.phrase),
            state_dir=folder,
        )
        assert report.is_complete
        (pack,) = packs_in(Path(folder) / "evidence")
        assert len((pack / "rows.jsonl").read_bytes().splitlines()) == len(people)
        assert verify_pack(pack) == ()
