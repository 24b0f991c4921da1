"""Recertification over years: everyone in one list, and one reset each time it is due, whatever day the job runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial, reduce
from importlib import import_module
from itertools import pairwise
from unicodedata import normalize
from zoneinfo import ZoneInfo

from attrs import Factory, define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from training_sdk import ProgressRow
from training_sdk.recertification import (
    Anniversary,
    BeforeExpiry,
    Due,
    DueState,
    FixedDate,
    FromCompletion,
    LeapDay,
    Rule,
    who_is_due,
)
from training_sdk.recertification.rules import add_months, last_yearly, next_yearly
from unit.sdk.recertification.people import COURSE, row

relativedelta = import_module(
    "dateutil.relativedelta"
).relativedelta  # an independent calendar, without types

DAY = timedelta(days=1)
START = date(2023, 11, 1)
YEARS = 3 * 366
VALID = 365 * DAY
USERS = ("user_a", "user_b", "user_c")
ZONES = ("Europe/Zurich", "America/Los_Angeles", "Pacific/Auckland", "Etc/UTC")

zones = st.sampled_from(ZONES)
days = st.dates(date(1980, 1, 1), date(2150, 12, 31))
leap_days = st.sampled_from(LeapDay)


# --- the calendar --------------------------------------------------------------------------------------------------


@given(days, st.integers(1, 3000))
def test_months_are_added_as_others_add_them(start: date, months: int) -> None:
    assert add_months(start, months, LeapDay.FEBRUARY_28) == start + relativedelta(months=months)


@given(days, st.integers(1, 3000))
def test_only_a_leap_day_depends_on_what_stands_for_it(start: date, months: int) -> None:
    before, after = (add_months(start, months, leap_day) for leap_day in LeapDay)
    if (start.month, start.day) == (2, 29) and before == date(before.year, 2, 28):
        assert after == before + DAY == date(before.year, 3, 1)
    else:
        assert after == before


@given(days, days, leap_days)
def test_no_yearly_day_lies_between_the_last_and_the_next(day: date, of: date, leap_day: LeapDay) -> None:
    last, following = (step(of.month, of.day, day, leap_day) for step in (last_yearly, next_yearly))
    assert last <= day < following
    assert (following - last).days in (365, 366)
    for found in (last, following):
        if (found.month, found.day) != (of.month, of.day):
            assert (of.month, of.day) == (2, 29)
            assert found + (leap_day is LeapDay.FEBRUARY_28) * DAY == date(found.year, 3, 1)


# --- any row, any rule ---------------------------------------------------------------------------------------------

periods = st.one_of(
    st.builds(FromCompletion, months=st.integers(1, 40), leap_day=leap_days),
    st.builds(FromCompletion, days=st.integers(20, 900)),
    st.builds(FromCompletion, years=st.integers(0, 2), months=st.integers(1, 11), days=st.integers(0, 40)),
)
fixed = days.flatmap(
    lambda day: st.builds(FixedDate, st.just(day.month), st.just(day.day), leap_day=leap_days)
)
anniversaries = st.builds(
    Anniversary,
    st.dictionaries(st.sampled_from(USERS), days),
    or_completion=st.booleans(),
    leap_day=leap_days,
)
rules: st.SearchStrategy[Rule] = st.one_of(
    periods, fixed, anniversaries, st.builds(BeforeExpiry, st.integers(0, 400))
)
moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)) | st.datetimes(
    datetime(2020, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)
)
rows = st.builds(
    row,
    st.sampled_from(USERS),
    st.none() | moments,
    course=st.sampled_from((COURSE, "other")),
    expires=st.none() | moments,
)
keys = st.tuples(st.sampled_from((COURSE, "other")), st.sampled_from(USERS))
spans = st.integers(0, 100)


@given(
    # A row that two pages show is listed once, which has a test of its own.
    st.lists(rows, max_size=12, unique_by=lambda each: (each.course_id, each.user_id, each.completed_at)),
    rules,
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    zones,
    spans,
    spans,
    st.sets(keys | st.sampled_from(USERS), max_size=3),
    st.lists(st.tuples(keys, moments), max_size=4),
    st.lists(st.tuples(keys, moments), max_size=2),
)
def test_every_row_is_in_one_list_and_whoever_is_held_is_not_due(
    rows: list[ProgressRow],
    rule: Rule,
    on: date,
    zone: str,
    warn: int,
    grace: int,
    hold: set[tuple[str, str] | str],
    resets: list[tuple[tuple[str, str], datetime]],
    completions: list[tuple[tuple[str, str], datetime]],
) -> None:
    already = [(*key, when) for key, when in resets]
    history = [(*key, when) for key, when in completions]
    due = who_is_due(
        rows, rule, on=on, zone=zone, warn=warn, grace=grace, hold=hold, already=already, history=history
    )

    listed = [(case.key, case.completed_at) for cases in due.listed.values() for case in cases]
    unlisted = [((each.course_id, each.user_id), each.completed_at) for each in rows]
    for each in listed:
        unlisted.remove(each)  # which fails if a case is in two lists, or is nobody's row
    assert len(unlisted) == due.not_due
    for key, completed in unlisted:
        assert completed is not None or key not in {key for key, _ in resets + completions}, (
            "lost its completion"
        )
        assert not any(key == of and completed <= when for of, when in resets if completed), "was reset"

    for standing, cases in due.listed.items():
        assert {case.standing for case in cases} <= {standing}
        held = [case.key in hold or case.user_id in hold for case in cases]
        assert standing is DueState.UNCLEAR or held == [standing is DueState.HELD] * len(held)
    for case in due.due:
        assert case.due_on is not None
        assert case.due_on + grace * DAY == case.reset_from
        assert case.reset_from <= on
    assert {(course, user) for course, users in due.by_course.items() for user in users} == {
        case.key for case in due.due
    }


def forms_of(name: str) -> st.SearchStrategy[str]:
    """The name in other spellings that Unicode calls the same: composed or not, folded, with white space around."""
    steps: list[Callable[[str], str]] = [str.casefold, str.strip, " {}\t".format]
    steps += [partial(normalize, "NFC"), partial(normalize, "NFD")]
    one = st.sampled_from(steps)
    return st.lists(one, max_size=4).map(lambda steps: reduce(lambda text, step: step(text), steps, name))


# U+0345 is left out: it folds into a letter, and then stands in another order.
names_of_people = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).filter(
    lambda text: text.strip() != "" and "\u0345" not in normalize("NFD", text)
)


@given(
    names_of_people.flatmap(lambda name: st.tuples(st.just(name), forms_of(name))),
    st.booleans(),
    st.integers(0, 2),
)
def test_holds_compare_folded_and_composed(names: tuple[str, str], for_one_course: bool, kind: int) -> None:
    name, entry = names
    fields: dict[str, str] = {("user", "email", "external")[kind]: name}
    hold = [(COURSE, entry)] if for_one_course else [entry]
    due = who_is_due([row(**fields)], FromCompletion(years=1), on=date(2026, 6, 1), zone="UTC", hold=hold)
    assert (due.due, len(due.held), due.held_nobody) == ((), 1, ())
    said = "by tolerant comparison" in due.held[0].why
    if name.strip() == entry.strip():
        assert not said
    elif kind != 1:
        assert said


# --- three years ---------------------------------------------------------------------------------------------------


@define
class Person:
    """Somebody who completes some days after each reset."""

    user: str
    completed: datetime | None
    delays: list[int]
    seen: datetime | None = None
    """What the feed shows that is a day behind: how they stood before yesterday's job."""
    noon: datetime | None = field(default=Factory(lambda self: self.completed, takes_self=True))
    resets: list[tuple[date, date]] = field(factory=list)
    """Each completion that a reset cleared, and the day of the reset."""

    def learn(self, today: date, zone: ZoneInfo) -> None:
        """Complete again, if it is time to."""
        self.seen = self.noon
        if self.completed is None and self.resets:
            reset_on = self.resets[-1][1]
            if (today - reset_on).days >= self.delays[len(self.resets) % len(self.delays)]:
                self.completed = datetime(today.year, today.month, today.day, tzinfo=zone)
        self.noon = self.completed

    def be_reset(self, today: date, zone: ZoneInfo) -> None:
        assert self.completed is not None, "somebody without progress was reset"
        self.resets.append((self.completed.astimezone(zone).date(), today))
        self.completed = None


def due_by_hand(rule: Rule, completed: date, user: str) -> date:
    """The due day, counted out rather than calculated."""
    if isinstance(rule, BeforeExpiry):
        return completed + VALID - rule.lead * DAY
    if isinstance(rule, FromCompletion):
        due: date = completed + relativedelta(months=rule.years * 12 + rule.months) + rule.days * DAY
        return due
    if isinstance(rule, FixedDate):
        month, day = rule.month, rule.day
    else:
        month, day = rule.of[user].month, rule.of[user].day
    one = completed + DAY
    while (one.month, one.day) != (month, day):
        one += DAY
    return one


civil_rules = st.one_of(
    st.builds(FromCompletion, months=st.integers(2, 14)),
    st.builds(FromCompletion, days=st.integers(60, 400)),
    st.builds(FixedDate, st.integers(1, 12), st.integers(1, 28)),
    st.tuples(*(st.dates(date(2019, 1, 1), date(2019, 2, 28)) for _ in USERS)).map(
        lambda dates: Anniversary(dict(zip(USERS, dates, strict=True)))
    ),
    st.builds(BeforeExpiry, st.integers(0, 200)),
)
people = st.tuples(
    *(
        st.builds(
            Person,
            st.just(user),
            st.datetimes(datetime(2022, 1, 1), datetime(2023, 10, 30), timezones=st.just(UTC)),
            st.lists(st.integers(0, 200), min_size=1, max_size=3),
        )
        for user in USERS
    )
)


@define
class Firm:
    """Three people, a feed that may be a day behind, and a job that resets whoever is due."""

    rule: Rule
    zone: ZoneInfo
    people: Sequence[Person]
    grace: int
    log: list[tuple[str, str, datetime]] = field(factory=list)

    def feed(self, *, stale: bool) -> list[ProgressRow]:
        shown = [(each, each.seen if stale else each.completed) for each in self.people]
        return [row(each.user, done, expires=done and done + VALID) for each, done in shown]

    def run(self, today: date, *, stale: bool) -> None:
        found = who_is_due(
            self.feed(stale=stale),
            self.rule,
            on=today,
            zone=self.zone,
            warn=10,
            grace=self.grace,
            already=self.log,
        )
        assert found.unclear == ()
        self.look_for_everybody(found, today)
        for user in found.by_course.get(COURSE, ()):
            (person,) = (each for each in self.people if each.user == user)
            person.be_reset(today, self.zone)
            self.log.append((COURSE, user, datetime(today.year, today.month, today.day, 8, tzinfo=self.zone)))

    def look_for_everybody(self, found: Due, today: date) -> None:
        """Each is in exactly one list or not due, and nobody who lost a completion is merely not due."""
        listed = [case for cases in found.listed.values() for case in cases]
        assert len({case.user_id for case in listed}) == len(listed) == len(self.people) - found.not_due
        cases = {case.user_id: case for case in listed}
        for each in self.people:
            if each.completed is None:
                case = cases[each.user]
                assert case.standing in (DueState.LAPSED, DueState.ALREADY_RESET)
                days = (today - each.resets[-1][1]).days
                assert case.lapsed_days == days or case.standing is DueState.ALREADY_RESET, "counted wrongly"
                assert case.lapsed_days is not None
                assert (
                    case.lapsed_days >= days
                )  # more, where the feed shows that it had expired before the reset


@settings(max_examples=50, deadline=None)
@given(
    people,
    civil_rules,
    zones.map(ZoneInfo),
    st.integers(0, 30),
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.lists(st.booleans(), min_size=1, max_size=7),
)
def test_over_three_years_each_time_it_is_due_leads_to_one_reset(
    people: tuple[Person, ...], rule: Rule, zone: ZoneInfo, grace: int, gaps: list[int], stale: list[bool]
) -> None:
    firm = Firm(rule, zone, people, grace)
    run_days: list[date] = []
    following = START
    for number in range(YEARS):
        today = START + number * DAY
        for person in people:
            person.learn(today, zone)
        if today == following:
            firm.run(today, stale=stale[number % len(stale)])
            run_days.append(today)
            following = today + gaps[len(run_days) % len(gaps)] * DAY

    for person in people:
        for completed, reset_on in person.resets:
            ripe = due_by_hand(rule, completed, person.user) + grace * DAY
            assert reset_on == min(day for day in run_days if day >= ripe), "late, or too early"
        for (_, earlier), (completed, later) in pairwise(person.resets):
            window = due_by_hand(rule, completed, person.user)
            assert earlier < window <= later, "twice in one window"
        if person.completed is not None:
            completed = person.completed.astimezone(zone).date()
            ripe = due_by_hand(rule, completed, person.user) + grace * DAY
            missed = [day for day in run_days if day >= max(ripe, completed + DAY)]
            assert missed == [], "nobody picked them up"
