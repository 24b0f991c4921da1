"""The pages say what the code does, and what they must say about themselves."""

from __future__ import annotations

import base64
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import jupytext
import matplotlib.image
import matplotlib.pyplot
import pytest
from attrs import fields

import training_sdk
from docs import _generate
from docs._generate import arguments, contract, notebook, proofs, redirects, tables
from mock_server import MockTraining
from mock_server.api.openapi import schemas
from mock_server.api.routes import OPERATIONS
from mock_server.policy import AnswerForm, Behaviour, Policy
from mock_server.refusal import Reason
from mock_server.wire.schema import PROVENANCE
from training_sdk import ConfirmationError, InvalidArgumentError, ResetPlan, evidence, recertification
from training_sdk._core import drivers
from training_sdk._core.flow import Moment
from training_sdk.recertification import who_is_due
from training_sdk.records import audit, chain, events, journal, journal_state, state
from training_sdk.records.chain import Lines, Link
from training_sdk.records.journal import Journal, JournalCopy, RequestInFlight, RequestsInFlight, Since

DOCS = _generate.DOCS
ROOT = _generate.ROOT
RULES = DOCS / "explanation" / "rules.md"
TEXTS = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted(DOCS.glob("notebooks/*.py"))]
TEXTS = [page for page in TEXTS if "_build" not in page.parts]
ADDRESSES = Path(__file__).with_name("addresses.txt").read_text("utf-8").split()
"""Addresses that the site has had: its pages and their sections."""


def read(*path: str) -> str:
    return DOCS.joinpath(*path).read_text(encoding="utf-8")


def first_column(text: str, heading: str) -> list[str]:
    """The names in code style that begin the rows of the table below a heading."""
    section = text.partition(f"{heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_the_picture_of_the_architecture_has_a_line_for_each_package() -> None:
    picture = read("explanation", "architecture.md").partition("```text\n")[2].partition("```")[0]
    folders = [ROOT / "src" / "training_sdk", ROOT / "mock_server"]
    packages = sorted(each.parent.name for root in folders for each in root.glob("*/__init__.py"))
    assert sorted(re.findall(r"│ (\w+)/", picture)) == packages


# --- said by the project about itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "index.md"])
def test_the_front_pages_say_that_the_project_is_unofficial(page: Path) -> None:
    assert "not affiliated" in page.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_shows_how_to_confirm_without_reading(page: Path) -> None:
    for shown in re.findall(r"confirm\s*=\s*([^,)\n]+)", page.read_text(encoding="utf-8")):
        assert ".phrase" not in shown, f"{page}: a phrase is typed, not computed: confirm={shown}"


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/how-to/reset-people.md"])
def test_the_phrase_is_written_out(page: str) -> None:
    phrase = r'reset "Forklift basics" for \d+ users? #[0-9a-f]{4}(-[0-9a-f]{4}){3}\b'
    assert re.search(phrase, (ROOT / page).read_text("utf-8"))


# --- lists that must be whole ------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", [training_sdk, evidence, recertification], ids=lambda each: each.__name__)
def test_every_public_name_stands_on_a_reference_page(package: ModuleType) -> None:
    documented, text = reference()
    missing = [
        name for name in package.__all__ if not is_shown(getattr(package, name), name, documented, text)
    ]
    assert missing == []


def is_shown(what: object, name: str, documented: Collection[object], text: str) -> bool:
    """Whether it is described by its docstring; an error has a row of its own, an alias or a text is mentioned."""
    if isinstance(what, type) and issubclass(what, Exception):
        return f"| `{name}` |" in text or what in documented
    if isinstance(what, type) or callable(what):
        return what in documented
    return re.search(rf"`([\w.]+\.)?{name}`", text) is not None


def test_the_public_classes_of_the_records_stand_on_a_reference_page() -> None:
    documented, _ = reference()
    internal = {
        Journal,
        JournalCopy,
        Lines,
        Link,
        RequestInFlight,
        RequestsInFlight,
        Since,
    }  # what writes, reads for a check, and checks; nobody else needs it
    classes = {
        each
        for module in (audit, chain, events, journal_state, journal, state)
        for name, each in vars(module).items()
        if isinstance(each, type) and each.__module__ == module.__name__ and not name.startswith("_")
    }
    assert [each for each in classes - internal if each not in documented] == []
    assert len(classes) > 20


def test_what_the_reference_describes_twice_is_nothing() -> None:
    named = [name for page in sorted((DOCS / "reference").glob("*.md")) for name, _ in described(page)]
    assert sorted({name for name in named if named.count(name) > 1}) == []


def reference() -> tuple[Collection[object], str]:
    """What the reference pages describe by directives, and their text."""
    pages = sorted((DOCS / "reference").glob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return [found for page in pages for _, found in described(page)], text


def described(page: Path) -> Iterator[tuple[str, object]]:
    """The full names in the directives of a page, and what they name."""
    module = ""
    directive = r"^\.\. (currentmodule|auto(?:class|exception|function)):: ([\w.]+)"
    for kind, name in re.findall(directive, page.read_text(encoding="utf-8"), re.MULTILINE):
        if kind == "currentmodule":
            module = name
        else:
            place, _, last = (name if "." in name else f"{module}.{name}").rpartition(".")
            yield f"{place}.{last}", pkgutil.resolve_name(f"{place}:{last}")


def documented_calls() -> Iterator[tuple[str, Any, list[str]]]:
    """What can be called of what the reference describes, methods included, with the names of its parameters."""
    for page in sorted((DOCS / "reference").glob("*.md")):
        for name, what in described(page):
            bases = what.__mro__ if isinstance(what, type) else ()
            methods = [
                one for base in bases if base.__module__.startswith("training_sdk") for one in vars(base)
            ]
            public = [(f"{name}.{one}", getattr(what, one)) for one in methods if not one.startswith("_")]
            for full, each in [(name, what), *public]:
                is_error = isinstance(each, type) and issubclass(each, Exception)
                if not is_error and (isinstance(each, type) or inspect.isfunction(each)):
                    yield full, each, [one for one in inspect.signature(each).parameters if one != "self"]


def test_arguments_are_a_table_and_not_a_list_in_prose() -> None:
    """Each list of arguments is whole and in order; a function that tells of four or more of its own has one."""
    listed_by, prose = {}, {}
    for name, what, parameters in documented_calls():
        doc = inspect.getdoc(what) or ""
        if listed := [*arguments.described(doc)]:
            listed_by[name] = listed
            assert listed == parameters, name
            assert "list-table" in arguments.as_table(doc, what)
            assert f"{arguments.HEADING}\n" not in arguments.as_table(doc, what)
        elif inspect.isfunction(what):
            prose[name] = [one for one in parameters if f"``{one}" in doc]
    assert {name: told for name, told in prose.items() if len(told) > 3} == {}
    resets = "training_sdk.reset_operations.Resets"
    classes = {f"training_sdk.{name}" for name in ("TrainingClient", "Safeguards", "Waves", "Where")}
    methods = {f"{resets}.{name}" for name in ("plan", "apply", "resume", "plan_proof", "prove_format")}
    assert listed_by.keys() >= {*classes, *methods, "training_sdk.recertification.who_is_due"}


def test_a_table_of_arguments_has_their_defaults() -> None:
    doc = inspect.getdoc(training_sdk.Safeguards) or ""
    table = arguments.as_table(doc, training_sdk.Safeguards)
    assert "   * - ``plan_lifetime``\n     - 24 h\n     - The time in which a plan" in table
    assert "   * - ``protected_courses``\n     - none\n" in table
    shown = arguments.as_table(inspect.getdoc(who_is_due) or "", who_is_due)
    assert "   * - ``rows``\n     - required\n" in shown
    assert "Raises InvalidArgumentError" in shown.rpartition("\n\n")[2]


def test_every_error_has_its_row_and_its_place_in_the_tree() -> None:
    public = {each.__name__ for each in tables.error_classes()}
    listed = first_column(read("reference", "errors.md"), "## What to do")
    assert sorted(listed) == sorted(public - {"TrainingError"})
    assert public <= set(re.findall(r"\w+Error", tables.errors()))


def test_the_reasons_of_the_sdk_itself_are_listed() -> None:
    source = Path(training_sdk.__path__[0])
    given = {
        reason
        for file in source.rglob("*.py")
        for reason in re.findall(r'reason="?([A-Z_]+)\b', file.read_text(encoding="utf-8"))
    }
    assert set(first_column(read("reference", "reasons.md"), "## Reasons of the SDK")) == given


def test_every_environment_variable_is_described() -> None:
    assert set(first_column(read("reference", "environment.md"), "# Environment variables")) == (
        tables.environment_variables()
    )


def test_reasons_policies_and_operations_are_all_there() -> None:
    assert [f"`{reason.name}`" in tables.reasons() for reason in Reason] == [True] * len(Reason)
    assert tables.policies().count("\n") == 1 + len(fields(Policy))
    assert "None" not in tables.policies()
    assert tables.behaviours().count("\n") == 1 + len(Behaviour)
    assert tables.answer_forms().count("\n") == 1 + len(AnswerForm)
    for operation in OPERATIONS:
        assert f"`{operation.method} {operation.template}`" in tables.operations()


def test_the_contract_stands_on_its_page_with_every_field_and_how_sure_it_is() -> None:
    page = contract.contract()
    served = [each for each in OPERATIONS if each.handler is not None]
    assert [f"`{each.method} {each.template}`" in page for each in served] == [True] * len(served)
    assert page.count("### ") == len(served)
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert {row[3] for row in rows} <= set(PROVENANCE.values())
    shown = {row[0].strip("| `").split(".")[-1] for row in rows if row[1] == "answer"}
    assert shown >= set(schemas()["Course"]["properties"]) | set(schemas()["ProgressRow"]["properties"])


def test_the_table_of_rights_is_that_of_the_server() -> None:
    rows = {row.split(" | ")[0].strip("| "): row.split(" | ")[1:] for row in tables.rights().splitlines()}
    assert rows["progress"] == ["own", "all", "their teams", "own |"]
    assert rows["a reset of listed users"] == ["all", "–", "–", "– |"]


def test_the_table_of_repetitions_is_that_of_the_rules_for_sending() -> None:
    rows = tables.send_rules().splitlines()
    assert "| no answer, or a part of one | tried again | `OutcomeUnknownError` |" in rows
    assert "| 429 | tried again | tried again |" in rows
    assert "| 408, 500, 502, 503, 504 | tried again | `OutcomeUnknownError` |" in rows


def test_a_marker_that_asks_for_nothing_known_is_refused() -> None:
    with pytest.raises(_generate.UnknownPartError, match="reasosn"):
        _generate.expand("<!-- generate: reasosn -->")
    with pytest.raises(_generate.UnknownPartError):
        _generate.expand("text <!-- generate: reasons -->")


# --- rules and their proofs --------------------------------------------------------------------------------------


def test_every_rule_stands_once_and_what_is_not_built_is_said() -> None:
    page = RULES.read_text(encoding="utf-8")
    found = sorted(re.findall(r"^### (R\d\d) ", page, re.MULTILINE))
    assert found == [f"R{n:02}" for n in range(1, max(30, len(found) + 1))]
    assert re.findall(r"tests (R\d\d) not-built", page) == ["R26", "R27", "R28"]


def test_every_rule_that_is_built_has_a_test_and_names_its_source() -> None:
    page = RULES.read_text(encoding="utf-8")
    assert proofs.complaints(page, proofs.scan(ROOT / "tests")) == []
    for rule in page.split("\n### ")[1:]:
        assert re.match(r"R\d\d [^\n]+\n\*Source: [^*]*(article|reference|decided)[^*]*\.\*", rule), rule[:60]


PAGE = "### R01 One\n<!-- generate: tests R01 -->\n### R24 Two\n<!-- generate: tests R24 not-built -->\n### R30 Three\n"


def test_a_rule_without_proof_is_complained_of(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_R24_and_R31(): ...\ndef a_R32(): ...\nclass TestX:\n    async def test_R32_not_R330(self): ...\n"
    )
    found = proofs.scan(tmp_path)
    assert [(rule, each.shown(tmp_path)) for rule, (each,) in found.items()] == [
        ("R24", "test_it.py::test_R24_and_R31"),
        ("R31", "test_it.py::test_R24_and_R31"),
        ("R32", "test_it.py::TestX::test_R32_not_R330"),
    ]
    assert proofs.complaints(PAGE, found) == [
        "R30 has a heading and no list of tests",
        "R31 is tested and stands on no page",
        "R32 is tested and stands on no page",
        "R01 has no test: none carries its number in its name",
        "R24 is called not built, yet has tests",
    ]


# --- the notebook and the build ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def retraining() -> Any:
    return notebook.execute(DOCS / "notebooks" / "retraining.py")


def test_the_notebook_ends_at_nought_per_cent(retraining: Any) -> None:
    page = notebook.to_markdown(retraining)
    assert "all 18 at 0 %" in page
    assert "18 reset, complete: True" in page
    assert "_drivers" not in page


@pytest.mark.parametrize("script", notebook.SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_file_has_the_cells_of_its_script_and_no_outputs(script: Path) -> None:
    file = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert file == notebook.to_ipynb(script), "the script has changed: run make notebook"
    cells = json.loads(file)["cells"]
    assert [*map(jupyter_text, cells)] == [*map(jupyter_text, jupytext.read(script).cells)]
    assert [cell["outputs"] for cell in cells if cell["cell_type"] == "code" and cell["outputs"]] == []


def jupyter_text(cell: Any) -> tuple[str, str]:
    return cell["cell_type"], "".join(cell["source"])


def test_the_notebook_draws_something(retraining: Any) -> None:
    outputs = [output for cell in retraining.cells for output in cell.get("outputs", ())]
    drawn = [each.data["image/png"] for each in outputs if "image/png" in each.get("data", ())]
    (plot,) = [matplotlib.image.imread(BytesIO(base64.b64decode(each))) for each in drawn]
    colours = {tuple(pixel) for pixel in (plot.reshape(-1, plot.shape[-1]) * 255).astype(int)[:, :3].tolist()}
    assert {(0x4A, 0x65, 0x72), (0xC2, 0x41, 0x0C)} <= colours


@pytest.mark.parametrize("script", notebook.SCRIPTS, ids=lambda script: script.stem)
def test_run_all_twice_resets_nobody_twice_and_no_output_holds_the_phrase(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """R05, R06: on a service that remembers, with the records of the first run at hand, a minute later."""
    began = datetime(2026, 12, 1, 9, tzinfo=UTC)
    mock, shown = MockTraining.demo(now=began), list[Any]()
    monkeypatch.setattr(MockTraining, "demo", lambda **_: mock)
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr("matplotlib.pyplot.show", matplotlib.pyplot.close)
    monkeypatch.chdir(tmp_path)
    refused = 0
    for moment in (Moment(0.0, began), Moment(60.0, began + timedelta(minutes=1))):
        monkeypatch.setattr(drivers, "now", lambda moment=moment: moment)
        shown.clear()
        cells: dict[str, Any] = {}
        try:
            exec(compile(script.read_text(encoding="utf-8"), script, "exec"), cells)
        except (
            ConfirmationError,
            InvalidArgumentError,
        ) as error:  # another phrase, or nobody is left to reset
            refused += 1
            shown.append(error)
        texts = [
            each for value in shown for each in (str(value), repr(value)) if not isinstance(value, ResetPlan)
        ]
        texts += [value._repr_html_() for value in shown if hasattr(value, "_repr_html_")]
        outputs = unescape(re.sub("<[^>]*>", "", "".join([capsys.readouterr().out, *texts])))
        assert outputs
        assert cells["plan"].phrase not in outputs if "plan" in cells else "#" not in outputs
    resets = Counter((entry.course_id, user) for entry in mock.audit for user in entry.reset_ids)
    assert set(resets.values()) <= {1}
    assert refused == bool(resets) == ("resets.apply(" in script.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as it is built, without a warning."""
    html = tmp_path_factory.mktemp("site") / "html"
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, html],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return html


def test_the_documentation_builds_without_a_warning(site: Path) -> None:
    assert [*(site / "_downloads").rglob("retraining.ipynb")]
    assert "data:image/png" in (site / "notebooks" / "retraining.html").read_text("utf-8")


LINK = re.compile(r'<a\b[^>]* href="(?!https?:|mailto:)([^"#]*)(?:#([^"]*))?"')


def test_every_link_of_the_site_leads_to_a_page_and_an_anchor(site: Path) -> None:
    ids = {
        page: {"", *re.findall(r' id="([^"]+)"', page.read_text("utf-8"))} for page in site.rglob("*.html")
    }
    dead = [
        f"{page.relative_to(site)}: {path}#{anchor}"
        for page in ids
        for path, anchor in LINK.findall(page.read_text("utf-8"))
        if not is_there(ids, (page.parent / path).resolve() if path else page, unquote(anchor))
    ]
    assert dead == []
    assert len(ids) > 60


def is_there(ids: dict[Path, set[str]], page: Path, anchor: str) -> bool:
    return anchor in ids[page] if page in ids else page.is_file()


def test_old_addresses_lead_to_their_text(site: Path) -> None:
    """A page that was split has a table of its anchors: the anchor's own page, or that of the class it is in."""
    ids = {page: set(redirects.anchors(page)) for page in site.rglob("*.html")}
    tables = {f"{old}.html": redirects.moved(site, old) for old in redirects.PARTS}
    lost = []
    for address in ADDRESSES:
        name, _, anchor = address.partition("#")
        if anchor and anchor not in ids.get(site / name, set()):
            keys = [anchor.rsplit(".", cut)[0] for cut in range(anchor.count(".") + 1)]
            target = next((tables[name][key] for key in keys if key in tables.get(name, ())), "")
            there = anchor in ids.get((site / name).parent.joinpath(target).resolve(), set())
            if not there or json.dumps(target) not in (site / name).read_text("utf-8"):
                lost.append(address)
        elif site / name not in ids:
            lost.append(address)
    assert lost == []
    assert len(ADDRESSES) > 400
