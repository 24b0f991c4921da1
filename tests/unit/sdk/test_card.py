"""The effect card: true numbers, everybody named, and nothing on it that a browser would act on."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from training_sdk import (
    EveryonePlan,
    InvalidArgumentError,
    Origin,
    Outcome,
    PlannedCourse,
    PlannedReset,
    ProgressState,
    ResetPlan,
    ResetReport,
    UserOutcome,
)
from training_sdk._core.text import visible
from training_sdk.cli import effect_card as effect_card_module
from training_sdk.cli.effect_card import effect_card
from unit.sdk.fakes import ORIGIN, START

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&{{ 7*7 }}\u202e'
DONE, MIDWAY, NOT_BEGUN = ProgressState.COMPLETED, ProgressState.IN_PROGRESS, ProgressState.NOT_STARTED


class Page(HTMLParser):
    """What a browser makes of a card: its elements, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def person(number: int, state: ProgressState, course: str = "c1", **other: Any) -> PlannedReset:
    done = state is DONE
    made: dict[str, Any] = {
        "course_id": course,
        "user_id": f"u{number}",
        "name": f"Person {number:04}",
        "email": f"p{number}@example.test",
        "state": state,
        "percent": {DONE: 100.0, MIDWAY: 33.5, NOT_BEGUN: 0.0}[state],
        "completed_at": START - timedelta(days=number) if done else None,
        "score": 90 if done else None,
        "completed_lessons": 3 if done else 0,
        "time_spent_seconds": 1800.0,
    }
    return PlannedReset(**{**made, **other})


def some_plan(*users: PlannedReset, everyone: bool = False, **other: Any) -> ResetPlan:
    made: dict[str, Any] = {
        "courses": (PlannedCourse("c1", "Forklift basics", None, "Published"),),
        "selection": None,
        "users": users,
        "read_at": START,
        "expires_at": START + timedelta(days=1),
        "origin": Origin(ORIGIN, "role_1", "user_admin", False),
    }
    return (EveryonePlan if everyone else ResetPlan)(**{**made, **other})


def test_the_card_says_what_goes_of_whom_and_for_how_long_it_counts() -> None:
    plan = some_plan(
        person(1, DONE), person(2, MIDWAY), person(3, NOT_BEGUN), person(4, DONE, left_out="not selected")
    )
    text = Page(effect_card(plan)).text
    assert "What would be reset: Forklift basics" in text
    assert "2 people 1 completion 3 completed lessons 2 messages at most" in text
    assert "1 completion with their dates, 1 score, 3 completed lessons and 1.0 h of time spent" in text
    assert "1 of the resets hits somebody who is in the middle of the course" in text
    assert "Forklift basics c1 Published 2 1 1 1 1" in text
    assert "Person 0001 p1@example.test completed 100 % 2026-02-28 90 –" in text
    assert "Person 0002 p2@example.test in progress 33.5 % – – –" in text
    assert "Person 0003" not in text
    assert "Person 0004" not in text
    for said in (
        plan.phrase,
        plan.digest,
        "2026-03-01 08:00:00 UTC",
        "2026-03-02 08:00:00 UTC",
        "up to 2 h older",
    ):
        assert said in text
    assert ORIGIN in text
    assert "about a live organisation" in text
    assert text.count("name, date, signature") == 3
    assert "Warnings" not in text


def test_a_rehearsal_says_so() -> None:
    text = Page(effect_card(some_plan(person(1, DONE), origin=Origin(ORIGIN, "o", "u", True)))).text
    assert "about a reference server, a rehearsal" in text


def test_several_courses_are_counted_one_by_one() -> None:
    courses = (PlannedCourse("c1", "One"), PlannedCourse("c2", "Gefahrgut: Grundlagen ⚠️", None, "Draft"))
    users = (person(1, DONE), person(1, DONE, "c2"), person(2, MIDWAY, "c2"))
    text = Page(effect_card(some_plan(*users, courses=courses))).text
    assert "What would be reset: 2 courses" in text
    assert "2 people 2 completions 6 completed lessons 3 messages" in text
    assert "One c1 unknown 1 1 0 0 0 Gefahrgut: Grundlagen ⚠️ c2 Draft 2 1 1 0 0" in text


def test_people_stand_as_in_a_register_and_are_spelt_as_they_spell_themselves() -> None:
    names = [
        "Zoë Bühler",
        "Özge Yıldız",
        "Oliver Whitfield",
        "Małgorzata Wójcik",
        "Nguyễn Thị Hoa",
        "Jürgen Weiß",
    ]
    users = [person(number, DONE, name=name) for number, name in enumerate(names)]
    text = Page(effect_card(some_plan(*users))).text
    assert sorted(names, key=text.index) == [
        "Jürgen Weiß", "Małgorzata Wójcik", "Nguyễn Thị Hoa", "Oliver Whitfield", "Özge Yıldız", "Zoë Bühler"
    ]  # fmt: skip


def test_whoever_is_not_listed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effect_card_module, "MOST_LISTED", 3)
    courses = (PlannedCourse("c1", "One"), PlannedCourse("c2", "Two"))
    users = [person(number, DONE, course) for course in ("c1", "c2") for number in range(5)]
    text = Page(effect_card(some_plan(*users, courses=courses))).text
    assert text.count("@example.test") == 3
    assert text.count("… and 2 more") == 1
    assert text.count("… and 5 more") == 1


def test_an_everyone_plan_says_who_keeps_their_past() -> None:
    text = Page(effect_card(some_plan(person(1, DONE), everyone=True, selection="completed"))).text
    assert "Everyone assigned whom the planner can see, completed only" in text
    assert "They keep their progress and certificates, which reappear" in text


def test_nobody_to_reset_is_said() -> None:
    assert "Nobody: in none of the courses" in Page(effect_card(some_plan(person(3, NOT_BEGUN)))).text


def test_a_report_turns_the_plan_into_an_account() -> None:
    plan = some_plan(person(1, DONE), person(2, MIDWAY))
    ended = (UserOutcome("c1", "u1", Outcome.RESET), UserOutcome("c1", "u2", Outcome.UNKNOWN))
    report = ResetReport(
        plan, "user_b", ended, ("r-1",), START, START + timedelta(minutes=1), "incident", HOSTILE
    )
    page = Page(effect_card(plan, report))
    assert "What was reset: Forklift basics" in page.text
    assert "1 reset, 1 unknown. Not complete" in page.text
    assert "Person 0001 p1@example.test completed 100 % 2026-02-28 90 – reset" in page.text
    assert "Person 0002 p2@example.test in progress 33.5 % – – – unknown" in page.text
    assert "user_b" in page.text
    assert "script" not in page.elements
    whole = evolve(report, users=(ended[0], evolve(ended[1], outcome=Outcome.RESET)))
    assert "Not complete" not in effect_card(plan, whole)


def test_a_report_of_another_plan_is_refused() -> None:
    report = ResetReport(some_plan(person(2, DONE)), "u", (), (), START, START)
    with pytest.raises(InvalidArgumentError, match="are of different plans"):
        effect_card(some_plan(person(1, DONE)), report)


PLAIN = Page(effect_card(some_plan(person(1, DONE), warnings=("careful",), selection="completed")))


@given(text=st.one_of(st.just(HOSTILE), st.text(min_size=1)))
@example(text="a\x1b[31m\u200b\u2028\x9b\U000e0041\u115f")
def test_no_text_becomes_part_of_the_page(text: str) -> None:
    """Whatever stands in a title, a name or a warning, the page has the same elements, and all of it can be seen."""
    hostile = some_plan(
        person(1, DONE, name=text, email=text),
        courses=(PlannedCourse("c1", text, text, text),),
        warnings=(text,),
        selection=text,
        origin=Origin(text, text, text, False),
    )
    page = effect_card(hostile)
    seen = Page(page.encode("utf-8", "replace").decode("utf-8"))
    assert (seen.elements, seen.attributes) == (PLAIN.elements, PLAIN.attributes)
    assert page == visible(page)


def test_an_e_mail_with_an_invisible_letter_differs_on_the_card() -> None:
    page = Page(effect_card(some_plan(person(1, DONE, email="an\u200bn@example.test"))))
    assert "an\\u200bn@example.test" in page.text


def test_the_card_stands_by_itself() -> None:
    page = effect_card(some_plan(person(1, DONE, name=HOSTILE), warnings=(HOSTILE,)))
    assert page.startswith("<!DOCTYPE html>")
    assert '<meta charset="utf-8">' in page
    assert "default-src 'none'" in unescape(page)
    assert not {"script", "link", "img", "iframe", "a", "form", "object", "svg"} & set(Page(page).elements)
    assert not {"src", "href", "onerror", "onclick", "action", "style"} & Page(page).attributes
    assert re.search(r"url\(|@import|javascript:", page) is None
    assert "{{ 7*7 }}" in Page(page).text
    assert "\u202e" not in page


def test_what_stays_does_not_contradict_what_changes_too() -> None:
    text = Page(effect_card(some_plan(person(1, DONE)))).text
    stays, _, changes = text.partition("What stays:")[2].partition("What changes too:")
    assert "in other courses" in stays
    assert "path" not in stays
    assert changes.startswith(" progress in learning paths that hold these courses falls.")


def test_on_a_telephone_every_cell_has_its_label() -> None:
    """A narrow screen shows no table heads, so each cell but the first of a row names its column."""
    plan = some_plan(person(1, DONE))
    page = effect_card(
        plan, ResetReport(plan, "u", (UserOutcome("c1", "u1", Outcome.RESET),), (), START, START)
    )
    for table in re.findall(r"<thead>.*?</table>", page, re.DOTALL):
        heads = re.findall(r"<th[^>]*>([^<]+)</th>", table)
        for row in table.partition("<tbody>")[2].split("</tr>")[:-1]:
            assert re.findall(r'<td[^>]*data-label="([^"]+)"', row) == heads[1:]


def test_R20_the_card_says_what_a_reset_does_to_due_dates() -> None:
    text = Page(effect_card(some_plan(person(1, DONE)))).text
    assert "Nothing else is touched" not in text
    assert "A due date that counts from the assignment starts anew with the reset." in text
    assert "people whose fixed due date has passed are overdue at once" in text
