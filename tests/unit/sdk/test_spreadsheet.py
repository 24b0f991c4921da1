"""No cell of an export for people is a formula, whichever separator their spreadsheet splits at."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from growth import assert_proportionate
from training_sdk import EvidenceError
from training_sdk.evidence import packs_in, pseudonymise, verify_pack
from training_sdk.evidence.pack import read_manifest
from training_sdk.evidence.tables import csv_line
from training_sdk.records.audit import AuditLog
from unit.sdk.evidence.past import Told, keep, past, targets
from unit.sdk.records.first_form import KEY, KINDS, unpacked, unseal

FORMULA = tuple("=+-@＝＋－＠")
SEPARATORS = (",", ";", "\t")
texts = st.text(alphabet=st.sampled_from("=+-@＝;,\t\r\n\"' ax\u200b\ufeff"), max_size=12)


def cells(line: str, separator: str) -> list[str]:
    """The cells of a line as Excel reads it: quotation marks count at the beginning of a cell alone."""
    read: list[str] = []
    cell, quoted, at_start, place = "", False, True, 0
    while place < len(line):
        letter = line[place]
        if quoted and line[place : place + 2] == '""':
            cell, place = cell + '"', place + 1
        elif quoted and letter == '"':
            quoted = False
        elif at_start and letter == '"':
            quoted = True
        elif not quoted and (letter == separator or letter in "\r\n"):
            read.append(cell)
            cell, place, at_start = "", place + 1, True
            continue
        else:
            cell += letter
        at_start, place = False, place + 1
    return [*read, cell]


def formulas(line: str) -> list[str]:
    """Whatever a spreadsheet would run in it."""
    found = [each for separator in SEPARATORS for each in cells(line, separator)]
    return [each for each in found if each.strip(' "\t\u200b\ufeff').startswith(FORMULA)]


@given(st.lists(texts, min_size=1, max_size=3))
@example(["urgent;=1+1"])
@example(["urgent;\t =1+1", "\n=1"])
@example(['a;"=1"', "b"])
def test_no_cell_of_a_table_is_a_formula(values: list[str]) -> None:
    assert formulas(csv_line(values).decode()) == []


@given(
    st.recursive(texts, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2))
)
@example({"why": "urgent;=1+1"})
def test_no_cell_of_an_exported_log_is_a_formula(value: Any) -> None:
    import json

    from training_sdk.records.audit import cell

    line = io.StringIO()
    csv.writer(line).writerow(["1", cell(value)])
    assert formulas(line.getvalue()) == []
    if not isinstance(value, str):
        assert json.loads(cell(value).removeprefix("'")) == value


@pytest.mark.parametrize("text", ["plain", "a;b", "a; b", "2-1", "a\tb", "Zoë", "", "1;2"])
def test_a_text_that_holds_no_formula_stays_as_it_is(text: str) -> None:
    ((read,),) = csv.reader(io.StringIO(csv_line([text]).decode(), newline="")) if text else (("",),)
    assert read == text


def test_a_long_run_of_separators_takes_linear_time() -> None:
    assert_proportionate(lambda length: csv_line([";\t" * length + "x"]))


# --- packs of the first form ----------------------------------------------------------------------------------------


def packs(kind: str, folder: Path) -> tuple[Path, ...]:
    return packs_in(unpacked(kind, folder) / "evidence")


@pytest.mark.parametrize("kind", KINDS)
def test_packs_without_a_form_of_their_tables_verify_by_the_first(kind: str, tmp_path: Path) -> None:
    for folder in packs(kind, tmp_path):
        assert verify_pack(folder, unseal=unseal) == ()
        assert read_manifest(folder).tables_form == 1


def test_a_table_of_the_first_form_that_was_rewritten_in_the_second_is_found(tmp_path: Path) -> None:
    (folder,) = packs("closed", tmp_path)
    table = folder / "rows.csv"
    assert b"urgent;=1+1" in table.read_bytes()
    table.write_bytes(table.read_bytes().replace(b"urgent;=1+1", b"urgent;'=1+1"))
    assert [finding.file for finding in verify_pack(folder)] == ["rows.csv"]


def test_a_pack_names_the_form_of_its_tables_and_holds_no_formula(tmp_path: Path) -> None:
    organisation = past()
    for row in organisation.rows:
        row["course_title"] = "Fire, urgent;=1+1"
    pack = keep(organisation, targets(1, 2), tmp_path / "pack")
    assert read_manifest(pack.folder).tables_form == 2
    assert verify_pack(pack.folder) == ()
    for table in pack.folder.glob("*.csv"):
        assert formulas(table.read_bytes().decode()) == []
    assert b"Fire, urgent;=1+1" in (pack.folder / "rows.jsonl").read_bytes()


def test_a_copy_without_names_of_a_pack_of_the_first_form_is_written_in_the_second(tmp_path: Path) -> None:
    (folder,) = packs("closed", tmp_path)
    copy = pseudonymise(folder, tmp_path / "copy", KEY, log=Told())
    assert copy.manifest.tables_form == 2
    assert verify_pack(copy.folder) == ()
    assert b"urgent;'=1+1" in (copy.folder / "rows.csv").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"), [(b'"tables_form": 2', b'"tables_form": 3'), (b'"form": 1', b'"form": 3')]
)
def test_a_pack_of_a_later_form_is_said_to_be_that(tmp_path: Path, old: bytes, new: bytes) -> None:
    pack = keep(past(), targets(1), tmp_path / "pack")
    manifest = pack.folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(old, new))
    with pytest.raises(EvidenceError, match="Update it"):
        read_manifest(pack.folder)


def test_the_log_is_exported_without_formulas(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.append("reset begun", reason="urgent;=1+1", ticket="a\t=1", courses=["x;=1"])
    text = io.StringIO(newline="")
    log.export(text)
    assert formulas(text.getvalue()) == []
