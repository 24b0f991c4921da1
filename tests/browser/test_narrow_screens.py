"""Pages for people on a telephone: 390 pixels wide, nothing runs out of the page and no column has one letter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from training_sdk import Outcome, PlannedCourse, ResetReport, UserOutcome
from training_sdk.cli.effect_card import effect_card
from unit.sdk.fakes import START
from unit.sdk.test_card import DONE, person, some_plan

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NARROW = """() => [...document.querySelectorAll("td, th")]
    .filter(cell => cell.offsetWidth && cell.offsetWidth < 60).map(cell => cell.textContent)"""


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_effect_card_fits_on_a_telephone(page: Page, width: int) -> None:
    courses = (
        PlannedCourse("6908610029087ab67fa50c2e", "Forklift basics", None, "Published"),
        PlannedCourse(
            "6908610029087ab67fa50c2f", "Grundlagen der Beförderungsvorschriften", None, "Published"
        ),
    )
    whose: dict[str, Any] = {
        "name": "Małgorzata Wójcik-Übermüller",
        "email": "malgorzata.wojcik-uebermueller@nordwerk.example",
        "last_reset_at": START,
    }
    users = [person(number, DONE, course.id, **whose) for course in courses for number in range(3)]
    plan = some_plan(*users, courses=courses, warnings=("part of the learning path 'Warehouse'",))
    outcomes = tuple(UserOutcome(user.course_id, user.user_id, Outcome.RESET) for user in users)
    ids = tuple(f"8a1c7a0e-1111-4222-8333-44445555666{number}" for number in range(9))
    report = ResetReport(
        plan, "user_1c0f1df09fe779030145040f203ab569", outcomes, ids, START, START + timedelta(minutes=1)
    )
    page.set_viewport_size({"width": width, "height": 844})
    page.set_content(effect_card(plan, report))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 600:
        assert page.evaluate(NARROW) == []
        assert page.inner_text("body").count("malgorzata") == len(users)
