"""Plans: who would lose what, and a phrase that fits no other plan."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from typing import Any
from unicodedata import normalize

import attrs
import pytest

from training_sdk import (
    ConfirmationError,
    Course,
    CourseStatus,
    DecodingError,
    InvalidArgumentError,
    NotFoundError,
    Origin,
    PermissionDeniedError,
    PlannedCourse,
    PlannedReset,
    ProgressState,
    ResetPlan,
)
from training_sdk._core.flow import Request, Response
from training_sdk._core.text import MOST_IN_HTML
from training_sdk.approval.approvals import check_confirmation
from training_sdk.plans.people import People
from training_sdk.plans.plan import Only
from training_sdk.plans.plan_warnings import about_recent, facts_of_courses, warnings_of
from training_sdk.plans.planner import PlanOptions, make_plan
from training_sdk.plans.wording import who
from unit.sdk.fakes import (
    CALLS,
    COURSE,
    ORIGIN,
    START,
    Asker,
    FakeDriver,
    Organisation,
    answer,
    over_the_wire,
    refused_wire,
    row,
    tail,
    untouched,
    user_id,
)


def plan_for(organisation: Organisation, *users: int, only: Only | None = None) -> ResetPlan:
    """A plan for the users with these numbers, or for everyone."""
    ids = [user_id(number) for number in users] or None
    return make(organisation, ids, only)


def make(answers: Any, users: Sequence[str] | None = None, only: Only | None = None) -> ResetPlan:
    wanted = PlanOptions((COURSE,), None if users is None else People.of(users), only)
    return FakeDriver(answers).run(make_plan(CALLS, wanted))


def some_plan(**other: Any) -> ResetPlan:
    people = (
        PlannedReset("c", "u1", "Ann", "a@example.test", ProgressState.COMPLETED, 100.0, START, 90),
        PlannedReset("c", "u2", "Bob", None, ProgressState.IN_PROGRESS, 20.0, None, None),
        PlannedReset("c", "u3", "Eve", None, ProgressState.NOT_STARTED, 0.0, None, 0),
    )
    made: dict[str, Any] = {
        "courses": (PlannedCourse("c", "Forklift basics", None, "Published"),),
        "selection": None,
        "users": people,
        "read_at": START,
        "expires_at": START + timedelta(days=1),
        "origin": Origin(ORIGIN, "role_1", "user_admin", True),
    }
    return ResetPlan(**{**made, **other})


def titled(title: str) -> ResetPlan:
    return some_plan(courses=(PlannedCourse("c", title),))


# --- the phrase -------------------------------------------------------------------------------------------------------


def test_the_phrase_names_course_people_and_plan() -> None:
    plan = some_plan()
    assert plan.phrase == f'reset "Forklift basics" for 2 users #{tail(plan.digest)}'
    assert len(plan.digest) == 64
    assert set(plan.digest) <= set("0123456789abcdef")
    assert " for 1 user #" in some_plan(users=plan.users[:1]).phrase


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("  Forklift \t basics\n", "Forklift basics"),
        ("a\u00a0\u2003b", "a b"),
        ("a\x1b[31mb", "a [31mb"),
        ("ab\u202etrap", "abtrap"),
        ("Gabel\u00adstapler\u200b \u061c\U000e0041", "Gabelstapler"),
        ("👩\u200d🔧 Wartung", "👩\u200d🔧 Wartung"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ('the "quoted" one', 'the "quoted" one'),
        ("Gabelstapler für Anfänger 🚜", "Gabelstapler für Anfänger 🚜"),
        ("x" * 500, "x" * 80),
        ("", ""),
    ],
)
def test_white_space_in_a_title_is_collapsed_and_the_rest_cut(title: str, shown: str) -> None:
    phrase = titled(title).phrase
    assert phrase.startswith(f'reset "{shown}" for 2 users #')
    assert phrase.encode("utf-8").decode("utf-8").replace("\u200d", "").isprintable()


def test_titles_that_look_alike_have_phrases_of_their_own() -> None:
    assert len({titled(title).phrase for title in ("a b", "a  b", "a b ", "a\u200bb", "A b")}) == 5


def test_the_headline_says_what_will_happen_and_the_scope_comes_later() -> None:
    course = "in 'Forklift basics' (Published, c)"
    people = some_plan().users
    left = tuple(attrs.evolve(one, left_out="NOT_SELECTED") for one in people)
    elsewhere = attrs.evolve(people[0], course_id="d")
    two = (*some_plan().courses, PlannedCourse("d", "Data", None, "Published"))
    for plan, first in (
        (some_plan(), f"Plan to reset 2 people {course}: 1 completed, 1 in progress."),
        (some_plan(users=(people[0], *left[1:])), f"Plan to reset 1 person {course}: 1 completed."),
        (some_plan(users=left), f"Plan to reset no people {course}."),
        (
            some_plan(users=(people[0], elsewhere), courses=two),
            f"Plan to reset 1 person, 2 resets, {course}, 'Data' (Published, d): 2 completed.",
        ),
    ):
        assert str(plan).startswith(f"{first}\n")
        assert f"<p>{escape(first)}<br>In scope: the users named (" in plan._repr_html_()
        assert sum(plan.target_counts.values()) == len(plan.targets)


def test_a_plan_names_whoever_was_named_and_would_not_be_reset() -> None:
    done, begun, idle = some_plan().users
    left = attrs.evolve(begun, left_out="NOT_COMPLETED")
    plan = some_plan(selection="completed", users=(done, left, idle))
    named = f"Named, but not to be reset: {who(begun)} (in progress, completed only), {who(idle)} (nothing recorded)."
    assert named in str(plan).splitlines()
    assert escape(named) in plan._repr_html_()
    crowd = (done, *(attrs.evolve(idle, user_id=f"u{n}") for n in range(10, 23)))
    assert "(nothing recorded) and 3 more." in str(some_plan(users=crowd))
    apart = tuple(("d", one.user_id) for one in crowd)
    elsewhere = (*some_plan().courses, *(PlannedCourse(each, "Data", None, "") for each in "defghijklmn"))
    everything = some_plan(users=crowd, courses=elsewhere, unassigned=apart)
    assert all(
        f"{said} more" in str(everything) for said in ("nothing recorded) and 3", "'Data') and 4", "and 2")
    )
    assert " more" not in everything.listing(100)
    assert " more" not in everything._repr_html_()
    assert "Named, but not" not in str(some_plan(users=(done,)))
    two = (*some_plan().courses, PlannedCourse("d", "Data", None, "Published"))
    both = some_plan(users=(done, attrs.evolve(idle, course_id="d")), courses=two)
    assert f"Named, but not to be reset: {who(idle)} ('Data', nothing recorded)." in str(both)


def test_a_plan_says_what_it_would_do() -> None:
    text = str(some_plan())
    for said in (
        "(1 completed, 1 in progress, 1 not started)",
        "cannot be undone",
        ORIGIN,
        some_plan().phrase,
    ):
        assert said in text
    assert "and up to 2 h older on a live service" in text
    assert "; completed only" in str(some_plan(selection="completed"))


def test_an_invisible_character_in_a_title_is_warned_of_by_number_and_name() -> None:
    def about(planned: list[Course]) -> tuple[str, ...]:
        return warnings_of(facts_of_courses(planned, []))

    plain = Course(id="c", title="Gabelstapler f\u00fcr Anf\u00e4nger", status=CourseStatus.PUBLISHED)
    assert about([plain]) == ()
    for emoji in ("\u26a0\ufe0f", "\U0001f469\u200d\U0001f527"):
        assert about([attrs.evolve(plain, title=f"{emoji} Wartung")]) == ()
    for hidden, said in (
        ("\u200b", "U+200B (ZERO WIDTH SPACE, invisible)"),
        ("\u3164", "U+3164 (HANGUL FILLER, invisible)"),
        ("\u202e", "U+202E (RIGHT-TO-LEFT OVERRIDE, invisible)"),
        ("\u00a0\x1b", "U+00A0 (NO-BREAK SPACE, invisible), U+001B (a control character, invisible)"),
    ):
        (warning,) = about([attrs.evolve(plain, title=f"Gabel{hidden}stapler")])
        assert warning == f"The title of {f'Gabel{hidden}stapler'!r} (c) contains {said}."
        assert said in str(some_plan(warnings=(warning,)))


@pytest.mark.parametrize("typed", ["NFC", "NFD"])
@pytest.mark.parametrize("title", ["\u00fcben \u212b", "u\u0308ben A\u030a"])
def test_a_phrase_confirms_composed_or_not_and_the_plan_keeps_its_code_points(title: str, typed: Any) -> None:
    """R05: the letters that a keyboard makes are those of the title, and nothing else is."""
    plan = titled(title)
    digest = plan.digest
    check_confirmation(plan, normalize(typed, plan.phrase))
    assert (plan.digest, plan.course.title) == (digest, title)
    with pytest.raises(ConfirmationError) as caught:
        check_confirmation(plan, plan.phrase.replace(" ", "\u3000", 1))
    assert (
        "Character 6 is U+3000 (IDEOGRAPHIC SPACE, invisible) instead of U+0020 (SPACE). Nothing was sent"
        in str(caught.value)
    )


def test_an_admin_who_plans_their_own_reset_is_warned() -> None:
    said = "You plan a reset of your own progress: "
    me = "user_admin"
    untouched_me = {**untouched(0), "user_id": me}
    for rows, warned in (([row(0, user_id=me), row(1)], True), ([untouched_me, row(1)], False)):
        plan = make(Organisation(rows))
        assert [one.startswith(said) for one in plan.warnings].count(True) == warned
        assert not any(one.startswith(said) for one in make(Organisation([*rows]), [user_id(1)]).warnings)


def test_a_notebook_shows_score_and_last_reset_and_names_people_by_id_without_an_email() -> None:
    again = attrs.evolve(some_plan().users[0], score=87, email=None, last_reset_at=START - timedelta(days=2))
    html = some_plan(users=(again,))._repr_html_()
    assert "<th>e-mail or id</th><th>state</th><th>percent</th><th>completed</th><th>score</th>" in html
    assert f"<td>87</td><td>{START - timedelta(days=2):%Y-%m-%d}</td></tr></table>" in html
    assert f"<td>{again.user_id}</td>" in html


@pytest.mark.parametrize(
    ("days", "left_out", "warned"), [(0.01, None, 1), (29, None, 1), (31, None, 0), (1, "NOT_SELECTED", 0)]
)
def test_R05_recent_resets_here_are_warned_of(days: float, left_out: str | None, warned: int) -> None:
    person = attrs.evolve(some_plan().users[0], left_out=left_out, last_reset_at=START - timedelta(days=days))
    warnings = about_recent([person, attrs.evolve(person, course_id="d"), some_plan().users[1]], START)
    assert len(warnings) == warned
    for warning in warnings:
        assert warning.startswith(
            "This machine reset 1 person of this plan less than 30 days ago (the last on 20"
        )
        assert person.name in warning


def test_a_notebook_shows_names_but_runs_no_markup() -> None:
    nasty = attrs.evolve(some_plan().users[0], name="<script>", email="<img>")
    html = some_plan(users=(nasty,), courses=(PlannedCourse("c", "<b>"),))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<img>" not in html
    assert "<b>" not in html


def test_neither_an_output_of_a_notebook_nor_an_error_holds_the_phrase() -> None:
    """R05: what a cell shows is stored in the notebook's file, and programs copy what an error says."""
    for plan in (
        some_plan(),
        some_plan(courses=(*some_plan().courses, PlannedCourse("d", "Data", None, ""))),
    ):
        with pytest.raises(ConfirmationError) as refused:
            check_confirmation(plan, "reset")
        html = unescape(re.sub("<[^>]*>", "", plan._repr_html_()))
        for output in (html, repr(plan), str(refused.value), repr(refused.value)):
            assert plan.phrase not in output
        # A person can put it together from what the table shows.
        template = re.search("To continue, type: (reset .* #DIGEST)", html)
        parts = dict(re.findall(r"<td>([A-Z]+)</td><td>(.*?)</td>", plan._repr_html_()))
        assert template
        typed = template[1]
        for part, value in parts.items():
            typed = typed.replace(part, unescape(value))
        assert typed == plan.phrase


def test_a_notebook_shows_a_bounded_part_of_a_plan() -> None:
    person = attrs.evolve(some_plan().users[0], name="N" * 1000)
    html = some_plan(users=tuple(attrs.evolve(person, user_id=f"u{n}") for n in range(1000)))._repr_html_()
    assert html.count("<td>completed</td>") == MOST_IN_HTML
    assert f"… and {1000 - MOST_IN_HTML} more, in the targets of the plan." in html
    assert "N" * 501 not in html
    assert len(html) < 120_000


# --- what a plan is ---------------------------------------------------------------------------------------------------


def test_R09_only_people_with_recorded_progress_are_targets() -> None:
    plan = some_plan()
    assert [user.user_id for user in plan.targets] == ["u1", "u2"]
    left_out = attrs.evolve(plan.users[1], left_out="NOT_COMPLETED")
    assert [user.user_id for user in some_plan(users=(plan.users[0], left_out)).targets] == ["u1"]
    assert plan.counts == {
        ProgressState.COMPLETED: 1,
        ProgressState.IN_PROGRESS: 1,
        ProgressState.NOT_STARTED: 1,
    }


def test_plans_are_frozen_hashable_and_portable() -> None:
    plan = some_plan()
    for twin in (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan)), some_plan()):
        assert twin == plan
        assert hash(twin) == hash(plan)
        assert twin.phrase == plan.phrase
        assert twin.targets == plan.targets
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        plan.selection = "completed"  # type: ignore[misc]  # the mistake under test


def test_the_same_moment_in_another_zone_is_told_apart_from_another_moment() -> None:
    assert some_plan(read_at=START + timedelta(microseconds=1)).digest != some_plan().digest


# --- making one -------------------------------------------------------------------------------------------------------


def test_planning_only_reads() -> None:
    organisation = Organisation([row(1), untouched(2)])
    plan_for(organisation)
    assert {request.method for request in organisation.sent} == {"GET"}


def test_a_plan_holds_what_was_read_and_where(ask: Asker) -> None:
    organisation = Organisation(
        [row(1), row(2, completed_at="", progress_percent=40.5, score=None), untouched(3)]
    )
    plan = ask(over_the_wire(organisation), lambda client: client.resets.plan_everyone(COURSE))
    assert plan.course == PlannedCourse(COURSE, "Forklift basics")
    assert plan.origin == Origin(ORIGIN, "role_1", "user_admin", True)
    assert (plan.scope, plan.selection) == ("everyone", None)
    assert plan.users[1] == PlannedReset(
        COURSE,
        user_id(2),
        "Zoë No. 2",
        "user2@example.test",
        ProgressState.IN_PROGRESS,
        40.5,
        None,
        None,
        opened_at=datetime(2026, 1, 1, tzinfo=UTC),
        completed_lessons=3,
    )
    assert plan.users[0].completed_at == datetime(2026, 1, 2, tzinfo=UTC)
    assert [user.state.value for user in plan.users] == ["completed", "in progress", "not started"]


def test_a_plan_for_users_keeps_their_order_and_counts_repeated_ones_once(ask: Asker) -> None:
    organisation = Organisation([row(1), row(2), row(3)])
    named = [user_id(3), user_id(1), user_id(3)]
    plan = ask(over_the_wire(organisation), lambda client: client.resets.plan(COURSE, users=named))
    assert [user.user_id for user in plan.users] == [user_id(3), user_id(1)]
    assert plan.scope == "users"


def test_rows_of_another_course_or_user_never_get_into_a_plan() -> None:
    organisation = Organisation([row(1), row(2)])
    strangers = [row(9, course_id="another"), row(1), row(8)]

    def ignores_its_filters(request: Any) -> Any:
        said = organisation(request)
        if "feed" in request.path:
            return answer({"metadata": {}, "data": strangers}, 200, dict(said.headers))
        return said

    plan = make(ignores_its_filters, [user_id(1)])
    assert [user.user_id for user in plan.users] == [user_id(1)]
    organisation.counted = 2
    everyone = make(ignores_its_filters)
    assert {user.user_id for user in everyone.users} == {user_id(1), user_id(8)}


def test_another_course_in_the_answer_is_not_the_course_asked_for() -> None:
    def wrong_course(request: Any) -> Any:
        if request.path == "/training/courses/v1":
            return answer({"totalCount": 1, "items": [{"id": "another", "title": "Another"}]})
        return Organisation([row(1)])(request)

    with pytest.raises(NotFoundError, match="no course"):
        make(wrong_course)


def test_someone_who_is_not_in_the_course_is_named() -> None:
    with pytest.raises(NotFoundError, match="Nothing was planned") as caught:
        plan_for(Organisation([row(1)]), 1, 7)
    assert caught.value.info.metadata == (("user_id", user_id(7)),)
    assert caught.value.reason == "USER_NOT_IN_COURSE"


@pytest.mark.parametrize("users", [(), (1,), (7,)])
def test_R05_a_reset_right_without_the_read_right_is_said_to_be_missing(users: tuple[int, ...]) -> None:
    organisation = Organisation([row(1)] if users == () else [], may_read=False)
    with pytest.raises(PermissionDeniedError, match='needs "Training: Administration"') as caught:
        plan_for(organisation, *users)
    assert caught.value.reason == "READ_PERMISSION_MISSING"


def test_a_plan_for_nobody_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"The progress feed lists no person in .*Assign people"):
        plan_for(Organisation([]))
    with pytest.raises(
        InvalidArgumentError, match=r"No person in scope of .* meets the criteria .*Change only"
    ):
        plan_for(Organisation([untouched(1)]), only="completed")


def test_a_feed_that_contradicts_itself_is_not_planned_from() -> None:
    with pytest.raises(DecodingError, match="twice, with different progress"):
        plan_for(Organisation([row(1), row(1, score=1)]))


@pytest.mark.parametrize("only", ["Completed", "", 1, True, "in progress"])
def test_only_is_understood_or_refused(ask: Asker, only: object) -> None:
    with pytest.raises(InvalidArgumentError, match="only"):
        ask(refused_wire, lambda client: client.resets.plan_everyone(COURSE, only=only))


class Dated(Organisation):
    """An organisation whose course has a kind of due date."""

    kind: str | None = None

    def _courses(self, request: Request) -> Response:
        course = {"id": COURSE, "title": self.title, "status": "Published"}
        return answer(
            {"totalCount": 1, "items": [course if self.kind is None else course | {"dueBy": self.kind}]}
        )


PASSED, TO_COME = "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"
FIXED, OTHER = (
    "does not change a fixed due date, so they are overdue immediately",
    "does not count from the assignment",
)


@pytest.mark.parametrize(
    ("kind", "due_at", "said"),
    [
        ("static", PASSED, FIXED),
        ("relative", PASSED, None),
        ("static", TO_COME, None),
        ("static", "", None),
        ("notSpecified", PASSED, OTHER),
        ("somethingNew", PASSED, OTHER),
        (None, PASSED, OTHER),
    ],
)
def test_R20_a_due_date_that_stays_is_warned_of(kind: str | None, due_at: str, said: str | None) -> None:
    place = Dated(
        [
            row(0, due_at=due_at),
            row(1, due_at=due_at),
            row(2, due_at=TO_COME),
            untouched(3) | {"due_at": due_at},
        ]
    )
    place.kind = kind
    plan = make(place, None, None)
    assert len(plan.warnings) == (said is not None)
    if said is not None:
        (warning,) = plan.warnings
        assert said in warning
        assert "the due date of 2 people to be reset has passed (the latest on 2026-02-01)" in warning
        assert warning in str(plan)


def test_R20_whoever_is_left_out_is_not_counted_among_the_overdue() -> None:
    place = Dated([row(0, due_at=PASSED), row(1, completed_at="", due_at=PASSED)])
    place.kind = "static"
    (warning,) = make(place, None, "completed").warnings
    assert "the due date of 1 person to be reset has passed" in warning
