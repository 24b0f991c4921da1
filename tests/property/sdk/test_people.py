"""Naming people, over random organisations: nobody in the result whom nothing names, and never an empty result."""

from __future__ import annotations

import io
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from training_sdk import InvalidArgumentError, Named, People, ProgressRow, TrainingError
from training_sdk._core.codec import structure_value
from training_sdk.plans.people_lookup import Members, Rows, member_key, resolve
from unit.sdk.fakes import row

COURSES, NUMBERS = ("c", "d", "e"), st.integers(0, 6)
# Few addresses and ids, so that some fit two people and some nobody; case, white space and letters that fold vary.
EMAILS = st.sampled_from(
    [
        *("a@x.test", "A@X.test", " a@x.test", "b@x.test", "c@x.test"),
        *(
            "ß@x.test",
            "SS@x.test",
            "ss@x.test",
            "k@x.test",
            "\u212a@x.test",
            "\u00fc@x.test",
            "u\u0308@x.test",
        ),
    ]
)
ASCII_CASE = str.maketrans(ascii_uppercase, ascii_lowercase)
EXTERNAL = st.sampled_from(["1", "01", "1 ", "NW", "nw", "NW-2"])


def as_row(course: str, number: int, email: str, external_id: str) -> ProgressRow:
    facts: dict[str, Any] = {"user_id": f"u{number}", "user_email": email, "user_external_id": external_id}
    return structure_value(row(1, course_id=course, **facts), ProgressRow)


@st.composite
def organisations(draw: st.DrawFn) -> Rows:
    known = {number: (draw(EMAILS), draw(EXTERNAL)) for number in draw(st.sets(NUMBERS, min_size=1))}
    return {
        course: {
            f"u{number}": as_row(course, number, *known[number])
            for number in draw(st.sets(st.sampled_from(sorted(known))))
        }
        for course in draw(st.sets(st.sampled_from(COURSES)))
    }


ENTRIES = st.builds(
    lambda named, course: Named(named[0], named[1], course),
    st.tuples(st.just("user_id"), NUMBERS.map("u{}".format))
    | st.tuples(st.just("email"), EMAILS)
    | st.tuples(st.just("external_id"), EXTERNAL),
    st.none() | st.sampled_from(COURSES),
)
PLACES = st.dictionaries(st.sampled_from(["Crew", "Leeds"]), st.frozensets(NUMBERS.map("u{}".format)))


def fits(one: Named, row: ProgressRow) -> bool:
    """Whether an entry means a row, said once more and otherwise than in the SDK."""
    if one.course_id not in (None, row.course_id):
        return False
    if one.kind == "email":
        return (row.user_email or "").strip().translate(ASCII_CASE) == one.value.strip().translate(ASCII_CASE)
    return one.value == (row.user_id if one.kind == "user_id" else row.user_external_id)


@given(organisations(), st.lists(ENTRIES, max_size=4), PLACES, PLACES)
def test_nobody_is_found_whom_nothing_names_and_nothing_is_found_without_an_error(
    rows: Rows, entries: list[Named], groups: dict[str, frozenset[str]], sites: dict[str, frozenset[str]]
) -> None:
    members: Members = {
        **{member_key("group", name): ids for name, ids in groups.items()},
        **{member_key("site", name): ids for name, ids in sites.items()},
    }
    try:
        people = People(tuple(entries), tuple(groups), tuple(sites))
        resolved = resolve(people, rows, members)
    except TrainingError:
        return
    assert resolved.by_course.keys() == rows.keys()
    assert resolved.by_course
    inside = frozenset().union(*members.values())
    for course_id, user_ids in resolved.by_course.items():
        assert user_ids
        assert len(set(user_ids)) == len(user_ids)
        for user_id in user_ids:
            assert user_id in inside or any(fits(one, rows[course_id][user_id]) for one in entries)
        for one in entries:  # and nobody named is lost
            if one.course_id in (None, course_id):
                assert sum(fits(one, rows[course_id][user_id]) for user_id in user_ids) == 1
        for user_id in inside & rows[course_id].keys():
            assert user_id in user_ids


@given(st.text(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_refused_and_never_means_everyone(text: str) -> None:
    problems = People.check_csv(io.StringIO(text, newline=""))
    try:
        people = People.from_csv(io.StringIO(text, newline=""))
    except InvalidArgumentError:
        assert problems
    else:
        assert people.entries
        assert not problems


CELLS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)


@given(st.lists(CELLS, min_size=1, max_size=5), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
def test_what_is_read_is_what_was_written(values: list[str], delimiter: str, newline: str) -> None:
    lines = [f"external_id{delimiter}note"]
    lines += ['"{}"{}"x{}y"'.format(value.replace('"', '""'), delimiter, delimiter) for value in values]
    text = newline.join(lines)
    if not People.check_csv(io.StringIO(text, newline="")):
        people = People.from_csv(io.StringIO(text, newline=""))
        assert [one.value for one in people.entries] == list(dict.fromkeys(values))
    else:  # only for what cannot be a name, or would be a formula
        assert any(not value.strip() or value.strip()[0] in "=@+-" for value in values)


ADDRESSES = st.tuples(
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Z"], exclude_characters="@"), min_size=1, max_size=6
    ),
    st.sampled_from(["strasse.test", "stra\u00dfe.test", "STRASSE.test", "x.test"]),
).map("@".join)


@given(ADDRESSES, ADDRESSES | st.none())
def test_choosing_takes_only_the_address_that_was_named(in_course: str, other: str | None) -> None:
    for named in [other] if other else {in_course.casefold(), in_course.upper(), in_course.swapcase()}:
        alike = named.translate(ASCII_CASE) == in_course.translate(ASCII_CASE)
        try:
            found = resolve(People.of([named]), {"c": {"u1": as_row("c", 1, in_course, "1")}}, {})
        except TrainingError:
            assert not alike or named.count("@") != 1 or any(map(str.isspace, named))
        else:
            assert alike
            assert found.by_course == {"c": ("u1",)}


@given(ADDRESSES, ADDRESSES)
def test_only_letter_case_in_ascii_merges_two_entries(one: str, other: str) -> None:
    merged = len(People.of([one, other]).entries) == 1
    assert merged == (one.translate(ASCII_CASE) == other.translate(ASCII_CASE))
