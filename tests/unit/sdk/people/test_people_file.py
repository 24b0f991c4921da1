"""People from files and data frames: read strictly, everything wrong told at once with its line or row."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from attrs import frozen

from training_sdk import InvalidArgumentError, Named, People
from training_sdk.plans import people_file


def read(text: str) -> People:
    return People.from_csv(io.StringIO(text, newline=""))


def problems(text: str) -> list[str]:
    return People.check_csv(io.StringIO(text, newline=""))


def test_rows_name_people_each_in_one_way() -> None:
    people = read("user_id,email,external_id,note\nu1,,,why\n, a@b.test ,,\n,,0012 ,\n")
    assert people.entries == (
        Named("user_id", "u1", None, "line 2"),
        Named("email", "a@b.test", None, "line 3"),
        Named("external_id", "0012 ", None, "line 4"),
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_whatever_a_spreadsheet_writes_is_read(delimiter: str, newline: str, mark: str) -> None:
    rows = [["Email", " COURSE_ID ", "note"], ["a@b.test", "c1", 'said "no";, twice'], ["b@b.test", "c2", ""]]
    lines = [delimiter.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows]
    people = read(mark + newline.join([*lines, "", delimiter * 2, ""]))
    assert [(one.value, one.course_id, one.place) for one in people.entries] == [
        ("a@b.test", "c1", "line 2"),
        ("b@b.test", "c2", "line 3"),
    ]
    assert people.course_ids == ("c1", "c2")


@pytest.mark.parametrize(
    "text",
    [
        "email;note;\na@b.test;x;\nb@b.test;;\n;;\n",
        "email;note;;\na@b.test;x\nb@b.test;\n",
        ";email;;note\n;a@b.test;;x\n;b@b.test; ;\n",
        "email,Unnamed: 1\na@b.test,\nb@b.test\n",
        "email\na@b.test,,\nb@b.test,\n",
        ";;\n;;\nemail;;\na@b.test;;\nb@b.test;;\n",
    ],
)
def test_columns_that_are_empty_from_header_to_end_are_no_columns(text: str) -> None:
    assert [one.value for one in read(text).entries] == ["a@b.test", "b@b.test"]


def test_further_columns_are_read_by_name_or_ignored_as_notes() -> None:
    text = "E-Mail;Standort;Kurs;note\na@b.test;Köln;c1;\n"
    known_by = {"e-mail": "email", "Standort": "note", " KURS ": "course_id"}
    people = People.from_csv(io.StringIO(text), columns=known_by)
    assert [(one.kind, one.value, one.course_id) for one in people.entries] == [("email", "a@b.test", "c1")]
    (told,) = People.check_csv(io.StringIO(text), columns={"Kurs": "course_id"})
    assert "The file has the unknown columns 'e-mail', 'standort'" in told
    assert "Map others with --column or columns, for example E-Mail to email." in told


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"Mail": "email"}, "There is no column 'mail', although --column"),
        ({"E-Mail": "email", "note": "email"}, "The column 'email' occurs twice"),
    ],
)
def test_R05_missing_or_repeated_columns_widen_nothing(columns: dict[str, str], complaint: str) -> None:
    (told,) = People.check_csv(io.StringIO("E-Mail,note\na@b.test,\n"), columns=columns)
    assert complaint in told


@pytest.mark.parametrize("columns", [{"x": "mail"}, {" ": "email"}, {"X": "email", "x": "note"}])
def test_columns_that_mean_nothing_are_refused(columns: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match="column"):
        People.check_csv(io.StringIO("x\na@b.test\n"), columns=columns)


def test_a_cell_over_several_lines_does_not_shift_the_numbers() -> None:
    people = read('user_id,note\nu1,"one\ntwo"\n\nu2,\n')
    assert [one.place for one in people.entries] == ["line 2", "line 5"]


def test_from_a_path_as_from_an_open_file(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("email\nZOË@b.test\n", encoding="utf-8-sig")
    with path.open("rb") as binary, path.open(encoding="utf-8-sig") as text:
        assert (
            People.from_csv(path)
            == People.from_csv(str(path))
            == People.from_csv(binary)
            == People.from_csv(text)
        )
    assert People.check_csv(path) == []


def test_the_template_is_read_once_it_is_filled_in() -> None:
    template = People.csv_template()
    assert problems(template) == ["It has no people, and an empty list never means everyone."]
    assert read(f"{template},a@b.test,,from the list of May\n").entries[0].value == "a@b.test"
    assert set(template.strip().split(",")) < set(people_file.KNOWN)


def test_somebody_twice_in_a_course_counts_once_and_in_two_courses_twice() -> None:
    people = read("email,course_id\na@b.test,c1\nA@b.test,c1\na@b.test,c2\n")
    assert [one.course_id for one in people.entries] == ["c1", "c2"]
    (warning,) = people.warnings
    assert "line 3" in warning
    assert "line 2" in warning


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "It is empty"),
        ("\n \n", "It is empty"),
        ("user_id\n", "It has no people"),
        ("user_id\n\n  \n", "It has no people"),
        ("note,course_id\nx,c\n", "No column names people. It needs one of user_id, email, external_id"),
        (
            "user_id,colour\nu,red\n",
            "The file has the unknown column 'colour'. The known columns are user_id, email",
        ),
        ("user_id;\nu;x\n", "line 2: Cell 2 is filled, and its column has no name"),
        ("user_id;;note\nu\n", "line 2: The row has 1 cell, and the header has 3 cells"),
        ("sep=;\nemail;note\na@b.test;\n", "the header: 'sep=' is a line for Excel. Delete it"),
        ('"sep=,"\nemail\na@b.test\n', "is a line for Excel. Delete it"),
        ("\ufeff\ufeffemail\na@b.test\n", "It begins with two byte order marks"),
        ("user_id,User_ID\nu,u\n", "'user_id' occurs twice"),
        ("a@b.test\nb@b.test\n", "Check that the file begins with a header"),
        ("user_id,email\nu,a@b.test\n", "line 2: The row names one person by user_id and email"),
        ("user_id,note\n,why\n", "line 2: The row names no person. Fill in user_id"),
        ("user_id,course_id\nu,\n", "line 2: course_id must not be empty"),
        ("user_id,course_id\nu\n", "line 2: The row has 1 cell, and the header has 2 cells"),
        ("user_id\nu,v\n", "line 2: The row has 2 cells, and the header has 1 cell"),
        ("user_id\n..\n", "line 2: user_id must be an id, not '..'"),
        ("email\nnobody\n", "line 2: email must be an e-mail address, not 'nobody'"),
        (
            "external_id\n=HYPERLINK(A1)\n",
            "line 2: external_id must be text, not the formula '=HYPERLINK(A1)'",
        ),
        ("external_id\n-2+3\n", "must be text, not the formula"),
        ("email\n@SUM(a)\n", "must be text, not the formula"),
        ("user_id,note\nu,=cmd|' /C calc'!A0\n", "note must be text, not the formula \"=cmd|' /C calc'!A0\""),
        ('user_id\nu\n"v\n', "line 3: unexpected end of data"),
        ('user_id\nu\n"v"w\n', "line 3"),
        ("user_id\nu\0\n", "NUL"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, complaint: str) -> None:
    (found,) = problems(text)
    assert complaint in found
    with pytest.raises(InvalidArgumentError) as refused:
        read(text)
    assert complaint in refused.value.message


@pytest.mark.parametrize("value", ["-17", "+49", "1-2", "a=b"])
def test_what_is_no_formula_is_taken(value: str) -> None:
    assert read(f"external_id\n{value}\n").entries[0].value == value


def test_all_problems_are_collected_the_first_shown_and_all_counted() -> None:
    text = "email\n" + "".join(f"no.{number}\n" for number in range(34)) + "good@b.test\n"
    assert len(problems(text)) == 34
    with pytest.raises(InvalidArgumentError) as refused:
        read(text)
    said = refused.value.message
    assert "34 problems" in said
    assert said.count("\n  line ") == 20
    assert said.endswith("… and 14 more.")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_refused_with_the_remedy(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes("email\nok@b.test\nzoë@b.test\n".encode(encoding))
    (found,) = People.check_csv(path)
    assert "UTF-8" in found
    if encoding == "latin-1":
        assert "Line 3" in found


def test_what_cannot_be_read_at_all_is_refused(tmp_path: Path) -> None:
    sources: tuple[Any, ...] = (tmp_path / "missing.csv", tmp_path, "user_id\nu\n", b"user_id", 7)
    for source in sources:
        with pytest.raises(InvalidArgumentError):
            People.from_csv(source)
    with pytest.raises(InvalidArgumentError, match=r"missing\.csv"):
        People.from_csv(tmp_path / "missing.csv")


def test_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("user_id\nu1\nu2\nu3\n", encoding="utf-8")
    with mock.patch.object(people_file, "MOST_ROWS", 2):
        assert People.check_csv(path) == ["It has more than 2 rows. Split it."]
    with (
        mock.patch.object(people_file, "MOST_BYTES", 10),
        pytest.raises(InvalidArgumentError, match="larger than"),
    ):
        People.from_csv(path)


# --- data frames --------------------------------------------------------------------------------------------------


@frozen
class PandasLike:
    """What is used of a pandas data frame."""

    columns: list[Any]
    rows: list[tuple[Any, ...]]

    def itertuples(self, index: bool, name: str | None) -> Any:
        assert (index, name) == (False, None)
        return iter(self.rows)


@frozen
class PolarsLike:
    """What is used of a polars data frame."""

    columns: list[Any]
    rows: list[tuple[Any, ...]]

    def iter_rows(self) -> Any:
        return iter(self.rows)


class NAType:
    """Like pandas.NA, it refuses to be true or false."""

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    def __eq__(self, other: object) -> Any:
        return self

    __hash__ = object.__hash__


class NaTType:
    """Like pandas.NaT."""


MISSING: list[Any] = [None, math.nan, NAType(), NaTType(), ""]
frames = pytest.mark.parametrize("frame", [PandasLike, PolarsLike])


@frames
@pytest.mark.parametrize("missing", MISSING, ids=lambda value: type(value).__name__)
def test_a_frame_is_read_like_a_file(frame: Any, missing: Any) -> None:
    rows = [("a@b.test", missing, missing), (missing, "12", "why"), (missing, "0012", 3.5)]
    people = People.from_frame(frame(["Email", "external_id", "note"], rows))
    assert people.entries == (
        Named("email", "a@b.test", None, "row 1"),
        Named("external_id", "12", None, "row 2"),
        Named("external_id", "0012", None, "row 3"),
    )


@frames
@pytest.mark.parametrize("missing", MISSING, ids=lambda value: type(value).__name__)
def test_a_column_of_a_frame_without_a_name_has_to_be_empty(frame: Any, missing: Any) -> None:
    people = People.from_frame(frame(["email", "Unnamed: 1"], [("a@b.test", missing)]))
    assert [one.value for one in people.entries] == ["a@b.test"]
    with pytest.raises(InvalidArgumentError, match="row 1: Cell 2 is filled"):
        People.from_frame(frame(["email", "Unnamed: 1"], [("a@b.test", 3)]))


@frames
@pytest.mark.parametrize("missing", MISSING, ids=lambda value: type(value).__name__)
def test_a_missing_value_in_a_frame_is_an_error_with_its_row(frame: Any, missing: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="row 2: The row names no person"):
        People.from_frame(frame(["email"], [("a@b.test",), (missing,)]))
    with pytest.raises(InvalidArgumentError, match="row 1: course_id must not be empty"):
        People.from_frame(frame(["email", "course_id"], [("a@b.test", missing)]))


@frames
@pytest.mark.parametrize("value", [12, 12.0, True, b"12", ["12"], 1 + 2j])
def test_what_is_no_text_is_refused_with_the_remedy(frame: Any, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"row 1: external_id .*dtype=str"):
        People.from_frame(frame(["external_id"], [(value,)]))
    with pytest.raises(InvalidArgumentError, match=r"row 1: user_id .*dtype=str"):
        People.from_frame(frame(["user_id"], [(7,)]))


@frames
def test_a_frame_that_names_nobody_is_refused(frame: Any) -> None:
    for columns in ([], ["email"], ["note"], ["email", "email"], [0]):
        with pytest.raises(InvalidArgumentError, match="The data frame cannot be used"):
            People.from_frame(frame(columns, []))


@pytest.mark.parametrize("wrong", [["a@b.test"], {"email": ["a@b.test"]}, "people.csv", None])
def test_what_is_no_frame_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a pandas or polars data frame"):
        People.from_frame(wrong)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_source_that_gives_its_content_in_parts_is_read_to_its_end(size: int, as_text: bool) -> None:
    """R05: an unbuffered file, or a pipe, gives no more at once than it has; nobody in it is left out."""
    text = "email\na@x.example\nb@x.example\n"
    whole: Any = io.StringIO(text) if as_text else io.BytesIO(text.encode())

    parts = mock.Mock(spec=["read"])
    parts.read = lambda most: whole.read(min(most, size))
    assert [one.value for one in People.from_csv(parts).entries] == ["a@x.example", "b@x.example"]
