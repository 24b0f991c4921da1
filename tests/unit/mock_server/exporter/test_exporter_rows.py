"""Reading an export: what is sound is kept as it stands, what is not is named by line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import pytest

from mock_server.world.seeds.exporter_rows import COLUMNS, LISTED, ExporterCsvError, ExportRow, Problem, parse

SOUND = {
    "opened_at": "2026-01-31T09:00:00.1234567Z",
    "completed_at": "",
    "total_lessons": "6",
    "completed_lessons": "2",
    "course_id": "733e547a8a7dfb438d27acc8",
    "course_external_id": "",
    "course_title": "Leading Under Pressure",
    "user_email": "a@example.com",
    "user_first_name": "Tony",
    "user_last_name": "Özdemir",
    "user_id": "user_4c5b19c1b75449a4ac3ea72d158a5a3d",
    "user_external_id": "",
    "progress_percent": "33.333332",
    "score": "0",
    "due_at": "",
}


def lines(rows: Iterable[Sequence[str]], header: Sequence[str] = COLUMNS) -> list[str]:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().splitlines(keepends=True)


def row(**changes: str) -> list[str]:
    return list((SOUND | changes).values())


def problems(file: Iterable[str]) -> list[tuple[int, str]]:
    with pytest.raises(ExporterCsvError) as caught:
        parse(file)
    return [(problem.line, problem.column) for problem in caught.value.problems]


def test_a_row_is_read_as_it_stands() -> None:
    read = parse(lines([row(course_title='  "A",\nB;\t', user_first_name="")]))
    assert read == [
        ExportRow(
            opened_at="2026-01-31T09:00:00.1234567Z",
            completed_at="",
            total_lessons=6,
            completed_lessons=2,
            course_id="733e547a8a7dfb438d27acc8",
            course_external_id="",
            course_title='  "A",\nB;\t',
            user_email="a@example.com",
            user_first_name="",
            user_last_name="Özdemir",
            user_id="user_4c5b19c1b75449a4ac3ea72d158a5a3d",
            user_external_id="",
            progress_percent=33.333332,
            score=0,
            due_at="",
        )
    ]


def test_columns_may_stand_in_any_order() -> None:
    backwards = lines([row()[::-1]], header=COLUMNS[::-1])
    assert parse(backwards) == parse(lines([row()]))


def test_a_header_alone_is_an_organisation_without_progress() -> None:
    assert parse(lines([])) == []


def test_blank_lines_hold_nothing_and_are_passed_over() -> None:
    file = lines([row()])
    assert parse([file[0], "\r\n", file[1], "\n", "\n"]) == parse(file)


@pytest.mark.parametrize("file", [[], [""], ["\n", "\n"]])
def test_an_empty_file_is_no_export(file: list[str]) -> None:
    with pytest.raises(ExporterCsvError, match="The file is empty"):
        parse(file)


def test_missing_unknown_and_repeated_columns_are_all_named() -> None:
    header = ["score", "score", "Due_At", *COLUMNS[2:-2]]
    assert problems([",".join(header)]) == [
        (1, "opened_at"),
        (1, "completed_at"),
        (1, "due_at"),
        (1, "Due_At"),
        (1, "score"),
    ]


HEADER = ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ([HEADER.replace(",", ";")], "separated by semicolons. Separate them by commas"),
        ([HEADER.replace(",", "\t")], "separated by tabs. Separate them by commas"),
        (["sep=,\n", HEADER], "'sep=' is a line that a spreadsheet program added. Delete it"),
        (["sep=;\n", HEADER], "'sep=;' is a line that a spreadsheet program added. Delete it"),
        (["\ufeff" + HEADER], "begins with two byte order marks. Delete one"),
        ([HEADER.replace("\n", ",,\n")], "Column 16, 17 has no name. Delete it"),
    ],
)
def test_what_a_spreadsheet_leaves_behind_is_named(file: list[str], complaint: str) -> None:
    with pytest.raises(ExporterCsvError, match=complaint) as caught:
        parse(file)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("cells", [row()[:-1], [*row(), ""], ["x"]])
def test_a_ragged_row_is_refused(cells: list[str]) -> None:
    assert problems(lines([row(), cells])) == [(3, "")]


INT32 = str(2**31)
IMPOSSIBLE = {
    "total_lessons": ["", "-1", "7.5", "1e1", "nan", " 6", "6 ", "1_0", "+6", "six", "10001", "9" * 400, "٣"],
    "completed_lessons": ["", "-1", "0.0", "7"],
    "score": ["", "-1", "7.5", INT32, "9" * 5000],
    "progress_percent": [
        "",
        "nan",
        "inf",
        "-inf",
        "-1",
        "-0.1",
        "100.1",
        "101",
        "50%",
        "1e3",
        "0x1",
        "1_0",
        " 1",
        ".5",
    ],
    "opened_at": ["yesterday", "2026-01-31", "2026-01-31T09:00:00", "2026-02-30T09:00:00Z", " ", "0"],
    "completed_at": [
        "2026-13-01T09:00:00Z",
        "2026-01-31 09:00:00Z",
        "2026-01-31T25:00:00Z",
        "20260131T090000Z",
    ],
    "due_at": ["2026-01-31T09:00:00+25:00", "2026-01-31T09:00:60Z", "2026-W05-6T09:00:00Z", "null", "null "],
    "course_id": ["", ".", "..", "a/b", "a\\b", "a\nb", "a\x7fb", "a" * 129],
    "user_id": ["", ".", "..", "a/b", "../x", "a\tb", "a" * 10_000],
}


@pytest.mark.parametrize(
    ("column", "text"), [(column, text) for column, texts in IMPOSSIBLE.items() for text in texts]
)
def test_an_impossible_value_is_named_by_line_and_column(column: str, text: str) -> None:
    assert problems(lines([row(), row(**{"user_id": "u2", column: text})])) == [(3, column)]


POSSIBLE = {
    "progress_percent": ["0", "100", "100.0", "0.1", "1e-7", "33.333333333333336", "5e-324"],
    "opened_at": ["2026-01-31T09:00:00Z", "1999-12-31T23:59:59.1+14:00", "9999-12-31T23:59:59.999999999Z"],
    "score": ["0", "007", "2147483647"],
    "course_id": ["a b", " ", "…", "a" * 128, "%2F"],
}


@pytest.mark.parametrize(
    ("column", "text"), [(column, text) for column, texts in POSSIBLE.items() for text in texts]
)
def test_what_is_possible_is_accepted(column: str, text: str) -> None:
    assert len(parse(lines([row(**{column: text})]))) == 1


def test_a_pair_twice_is_refused_and_both_lines_are_named() -> None:
    with pytest.raises(ExporterCsvError, match=r"line 4, column user_id: .* already, in line 2"):
        parse(lines([row(), row(user_id="another"), row(score="5")]))


def test_one_user_in_two_courses_is_two_pairs() -> None:
    assert len(parse(lines([row(), row(course_id="another")]))) == 2


def test_lines_are_those_of_the_physical_file() -> None:
    spread = row(course_title="one\ntwo\r\nthree", user_id="u1")
    assert problems(lines([spread, row(score="x"), row(user_id="u3"), row(user_id="u4", due_at="y")])) == [
        (5, "score"),
        (7, "due_at"),
    ]


@pytest.mark.parametrize("broken", ['"unclosed', '"closed" and more,', '"a"b'])
def test_unsound_quoting_is_named_by_the_line_where_it_begins(broken: str) -> None:
    assert problems([*lines([row()]), broken + "\n", "next\n"]) == [(3, "")]


def test_many_problems_are_listed_up_to_a_bound_and_counted_beyond_it() -> None:
    with pytest.raises(ExporterCsvError) as caught:
        parse(lines([row(user_id=f"u{n}", score="x") for n in range(LISTED + 5)]), "export.csv")
    listed = str(caught.value).splitlines()
    assert len(caught.value.problems) == LISTED + 5
    assert len(listed) == LISTED + 1
    assert listed[0].startswith("export.csv: line 2, column score: The value must be a whole number")
    assert listed[-1] == "  and 5 more"


def test_a_problem_shows_no_more_of_a_value_than_helps() -> None:
    with pytest.raises(ExporterCsvError) as caught:
        parse(lines([row(score="9" * 100_000)]))
    assert len(str(caught.value)) < 200
    assert caught.value.problems == (Problem(2, "score", caught.value.problems[0].message),)
