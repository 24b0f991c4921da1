"""Text for terminals, logs and spreadsheets: nothing invisible, and no cell that begins a formula."""

from __future__ import annotations

import csv
import io
import json
import logging
import subprocess
import sys
import unicodedata
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

import mock_server.terminal_text
import training_sdk._core.text
from growth import assert_proportionate
from mock_server import MockTraining
from mock_server.compare.comparison import Comparison, Difference, Grade
from mock_server.compare.comparison import as_table as compared
from mock_server.rehearsal import Ending, story
from training_sdk import BadRequestError, DecodingError, EvidenceError, TrainingError
from training_sdk._core import codec, send_policy
from training_sdk._core.flow import Request, Response
from training_sdk.api.progress import ProgressRow, ProgressState
from training_sdk.approval.approvals import Approval, Approver
from training_sdk.evidence import packs_in, pseudonymise, verify_pack
from training_sdk.evidence.pack import read_manifest
from training_sdk.evidence.tables import csv_line
from training_sdk.evidence.verifying import FindingKind
from training_sdk.evidence.verifying import PackFinding as PackFinding
from training_sdk.outcome import Outcome
from training_sdk.recertification import FromCompletion, who_is_due
from training_sdk.records.audit import AuditLog
from training_sdk.records.audit import LogFinding as LogFinding
from training_sdk.reports.report import ResetReport, UserOutcome
from training_sdk.resets.verification_result import PersonSeen, Verification, VerificationState
from training_sdk.testing.contract import command
from training_sdk.testing.contract.findings import BROKEN, Report
from training_sdk.testing.contract.findings import CheckResult as RuleFinding
from unit.sdk.evidence.past import Told, keep, past, targets
from unit.sdk.fakes import COURSE, Organisation, row
from unit.sdk.records.first_form import KEY, KINDS, unpacked, unseal
from unit.sdk.resetting import planned

HOSTILE = "a\x1b[2J\x9b31m\rb\u202eevil\u2066\u200b\ufeff\U000e0041\u3164\ufe00\u2028\x00\x7fz"
FILLERS = "\u034f\u115f\u1160\u17b4\u2800\u3164\uffa0\U000e0100\U000e01ef"
BREAK = "name\n  - Ann Other: reset"


def hidden(text: str) -> list[str]:
    """What a terminal would act on, or not show."""
    return [
        hex(ord(each))
        for each in text
        if each != "\n" and (unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") or each in FILLERS)
    ]


@pytest.mark.parametrize("module", [training_sdk._core.text, mock_server.terminal_text])
@given(st.text(alphabet=st.characters() | st.sampled_from(FILLERS + "\u200d\ufe0f\x1b\n")))
@example(HOSTILE)
@example("adm\u200din\ufe0f")
def test_whatever_is_written_can_be_seen(module: Any, text: str) -> None:
    for shown in (module.visible(text.replace("\t", "")), module.inline(text)):
        joined = [
            each for each in hidden(shown) if each not in ("0x200c", "0x200d", *map(hex, range(0x600, 0x606)))
        ]
        kept = {"0x6dd", "0x70f", "0x890", "0x891", "0x8e2", "0x110bd", "0x110cd"}
        assert set(joined) <= kept
    assert module.visible(text).count("\n") == text.count("\n")
    assert "\n" not in module.inline(text)


@pytest.mark.parametrize("module", [training_sdk._core.text, mock_server.terminal_text])
@pytest.mark.parametrize(
    "text",
    ["Zoë Müller", "👩‍🚒 crew", "❤️", "1️⃣", "می‌خواهم", "क्‍ष", "日本語", "a  b", "Ω≈ç"],
)
def test_what_scripts_and_emoji_need_stays(module: Any, text: str) -> None:
    assert module.visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("ab\u202etrap", "ab\\u202etrap"),
        ("ad\u200dmin", "ad\\u200dmin"),
        ("x\ufe00", "x\\ufe00"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164", "\\u3164"),
    ],
)
def test_what_would_hide_is_written_out(text: str, shown: str) -> None:
    assert (training_sdk._core.text.visible(text), mock_server.terminal_text.visible(text)) == (shown, shown)


@given(
    st.text(
        alphabet=st.characters() | st.sampled_from(FILLERS + "\u200c\u200d\ufe0e\ufe0f\u20e3\x1b\n\t 1a👩")
    )
)
@example(HOSTILE)
@example("1\ufe0f\u20e3 👩\u200d🚒 a\u200d")
def test_the_sdk_and_the_server_write_every_text_alike(text: str) -> None:
    assert mock_server.terminal_text.visible(text) == training_sdk._core.text.visible(text)
    assert mock_server.terminal_text.inline(text) == training_sdk._core.text.inline(text)


def test_the_sdk_and_the_server_judge_every_character_alike() -> None:
    every = map(chr, range(sys.maxunicode + 1))
    assert [
        hex(ord(each))
        for each in every
        if mock_server.terminal_text.visible(each) != training_sdk._core.text.visible(each)
    ] == []


def hostile_plan() -> Any:
    plan = planned(Organisation([row(1), row(2)]))
    users = tuple(
        evolve(user, name=HOSTILE + BREAK, email=HOSTILE + BREAK, state=ProgressState.COMPLETED)
        for user in plan.users
    )
    course = evolve(plan.courses[0], title=HOSTILE + BREAK, status=HOSTILE + BREAK)
    return evolve(plan, users=users, courses=(course,), warnings=(HOSTILE + BREAK,), selection=HOSTILE)


def shown() -> list[Any]:
    plan = hostile_plan()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    outcome = UserOutcome(COURSE, plan.users[0].user_id, Outcome.FAILED, HOSTILE + BREAK)
    report = ResetReport(
        plan,
        "me",
        (outcome, *(UserOutcome(u.course_id, u.user_id, Outcome.RESET) for u in plan.users[1:])),
        (HOSTILE + BREAK,),
        now,
        now,
        HOSTILE + BREAK,
        HOSTILE,
        (HOSTILE,),
    )
    approver = Approver("u" + HOSTILE, HOSTILE, "o" + HOSTILE)
    approval = Approval(plan.digest, plan.phrase + HOSTILE, approver, now, "procedural")
    error = TrainingError(HOSTILE, status=400, reason="R", request_id=HOSTILE + BREAK)
    person = codec.structure_value(
        {**row(1), "user_first_name": HOSTILE, "course_title": HOSTILE}, ProgressRow
    )
    due = who_is_due([person], FromCompletion(days=1), on=now.date(), zone="UTC")
    seen = tuple(
        PersonSeen(user.course_id, user.user_id, VerificationState.PENDING, None, now) for user in plan.users
    )
    return [
        plan,
        *plan.users,
        report,
        Verification(report, seen, now, now, 0, notes=(HOSTILE + BREAK,)),
        *report.users,
        approval,
        error,
        due,
        PackFinding(FindingKind.EXTRA, HOSTILE, HOSTILE),
        LogFinding(HOSTILE, 1),
    ]


@pytest.mark.parametrize("number", range(len(shown())))
def test_no_text_of_a_value_hides_anything(number: int) -> None:
    value = shown()[number]
    assert hidden(str(value)) == []
    assert set(hidden(repr(value))) <= set(map(hex, map(ord, FILLERS)))  # Python shows those in a repr
    if hasattr(value, "_repr_html_"):
        assert hidden(value._repr_html_()) == []


class Texts(HTMLParser):
    """The texts of a page, each with the classes around it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.around: list[set[str]] = []
        self.found: list[tuple[str, set[str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.around.append({*(dict(attrs).get("class") or "").split()})

    def handle_endtag(self, tag: str) -> None:
        self.around.pop()

    def handle_data(self, data: str) -> None:
        self.found.append((data, set().union(*self.around)))


MATHS = "Fees $5 to $10, $\\phantom{x}$ \\(y\\) </div></td></table>"


def test_a_notebook_typesets_no_maths_and_runs_no_markup_of_names() -> None:
    """R05: JupyterLab would show a phrase without its dollar signs, and hide letters."""
    plan = planned(Organisation([{**row(0), "user_first_name": MATHS, "course_title": MATHS}]))
    plan = evolve(plan, courses=(evolve(plan.courses[0], title=MATHS),))
    outcome = UserOutcome(COURSE, plan.users[0].user_id, Outcome.SKIPPED, MATHS)
    report = ResetReport(plan, MATHS, (outcome,), (MATHS,), plan.read_at, plan.read_at, MATHS, MATHS)
    seen = (PersonSeen(COURSE, plan.users[0].user_id, VerificationState.PENDING, None, plan.read_at),)
    verification = Verification(report, seen, plan.read_at, plan.read_at, 0)
    person = codec.structure_value({**row(1), "user_first_name": MATHS}, ProgressRow)
    due = who_is_due([person], FromCompletion(days=1), on=plan.read_at.date(), zone="UTC")
    for value in (plan, report, verification, due):
        texts = Texts(value._repr_html_()).found
        assert any(MATHS in text for text, _ in texts)
        assert [text for text, around in texts if not around >= {"mathjax_ignore", "tex2jax_ignore"}] == []


def test_what_a_notebook_stores_of_many_people_is_bounded() -> None:
    rows = [
        codec.structure_value({**row(number), "user_first_name": "N" * 900}, ProgressRow)
        for number in range(500)
    ]
    due = who_is_due(rows, FromCompletion(days=1), on=datetime(2027, 1, 1, tzinfo=UTC).date(), zone="UTC")
    plan = planned(Organisation([row(number) for number in range(500)]))
    seen = tuple(
        PersonSeen(COURSE, user.user_id, VerificationState.VERIFIED, None, plan.read_at)
        for user in plan.users
    )
    reset = tuple(UserOutcome(COURSE, user.user_id, Outcome.RESET) for user in plan.users)
    report = ResetReport(plan, "me", reset, (), plan.read_at, plan.read_at, None, None)
    verification = Verification(report, seen, plan.read_at, plan.read_at, 0)
    assert len(due.due) == 500
    for value in (plan, report, verification, due):
        html = value._repr_html_()
        assert 100 <= html.count("<tr>") <= 110
        assert "400 more" in html
        assert len(html) + len(repr(value)) < 120_000


def test_nobody_forges_a_line_of_a_plan_or_a_report() -> None:
    for value in shown():
        forged = [line for line in str(value).splitlines() if line.startswith("  - Ann Other")]
        assert forged == [], value


# --- what a server says ----------------------------------------------------------------------------------------------


def test_an_answer_is_cleaned_where_it_comes_in() -> None:
    details = [{"reason": "SOME_REASON", "metadata": {HOSTILE: HOSTILE}}]
    body = json.dumps({"message": HOSTILE + BREAK, "details": details}).encode()
    response = Response(400, (("content-type", "application/json"),), body)
    error = send_policy.status_error(Request("GET", "/training/v1/courses"), response)
    assert isinstance(error, BadRequestError)
    assert hidden(error.message + "".join(map("".join, error.info.metadata))) == []
    assert "\n" not in error.message


def test_a_page_in_the_place_of_json_is_named_without_escapes() -> None:
    response = Response(200, (("content-type", f"text/html{HOSTILE}"),), b"<html>")
    with pytest.raises(DecodingError) as caught:
        codec.loads(response)
    assert hidden(caught.value.message) == []


def test_the_kit_shows_what_came_without_escapes() -> None:
    finding = RuleFinding("R01-x", "R01", "says", "article", BROKEN, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    report = Report("https://x.test", (finding,), HOSTILE, HOSTILE, (HOSTILE,))
    assert hidden(command.as_table(report)) == []
    assert command.as_json(report).isascii()


def test_a_comparison_and_a_rehearsal_show_what_came_without_escapes() -> None:
    found = Comparison(
        asked=("op",), findings=(Difference(Grade.ERROR, HOSTILE, HOSTILE + BREAK, HOSTILE + BREAK),)
    )
    assert hidden(compared(found)) == []
    assert len(compared(found).splitlines()) == 2
    mock = MockTraining.generate(users=2, courses=1)
    before = mock.state()
    (course_id,) = mock.world.main.courses
    mock.world.main.courses[course_id] = evolve(mock.world.main.courses[course_id], title=HOSTILE + BREAK)
    told = mock_server.terminal_text.visible(story(mock, before, Ending(0, "done")))
    assert hidden(told) == []
    assert not any(line.startswith("  - Ann Other") for line in told.splitlines())


@pytest.mark.parametrize(
    "setting",
    ["from training_sdk._core.text import show_logs", "from mock_server.terminal_text import show_logs"],
)
def test_what_is_logged_to_standard_error_is_cleaned(setting: str) -> None:
    script = f"import logging\n{setting}\nshow_logs()\nlogging.getLogger('any').warning('%s', {HOSTILE!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert b"\\x1b[2J" in done.stderr
    assert hidden(done.stderr.decode()) == []


def test_the_command_line_cleans_what_is_logged() -> None:
    from training_sdk.cli.streams import standard_streams

    with standard_streams():
        pass
    assert logging.lastResort is not None
    record = logging.LogRecord("x", logging.WARNING, "x", 1, HOSTILE, (), None)
    assert hidden(logging.lastResort.format(record)) == []


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

    from training_sdk._core.text import plain_cell

    line = io.StringIO()
    csv.writer(line).writerow(["1", plain_cell(value)])
    assert formulas(line.getvalue()) == []
    if not isinstance(value, str):
        assert json.loads(plain_cell(value).removeprefix("'")) == value


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
    for each in organisation.rows:
        each["course_title"] = "Fire, urgent;=1+1"
    pack = keep(organisation, targets(1, 2), tmp_path / "pack")
    assert read_manifest(pack.folder).tables_form == 3
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
    ("old", "new"), [(b'"tables_form": 3', b'"tables_form": 4'), (b'"form": 1', b'"form": 3')]
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
