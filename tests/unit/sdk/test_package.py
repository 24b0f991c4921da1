"""What the distributions hold, and the ways to start the command line."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_source_distribution_holds_every_folder_that_its_tests_read() -> None:
    included = set(PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    texts = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'ROOT / "(\w[\w.-]*)"', text)}
    there = {name for name in named if (ROOT / name).exists() and name != "pyproject.toml"}
    assert "container" in there
    assert {f"/{name}" for name in there} <= included


def test_the_metadata_names_authors() -> None:
    assert PROJECT["project"]["authors"] == [{"name": "the training-sdk authors"}]


def test_the_distribution_has_a_name_of_its_own_and_the_commands_keep_theirs() -> None:
    project = PROJECT["project"]
    assert project["name"] == "safetyculture-training-sdk"
    assert project["description"].startswith("Unofficial ")
    assert project["scripts"].keys() == {"training-sdk", "training-mock"}
    assert project["entry-points"] == {"pytest11": {"training_sdk": "pytest_training_sdk"}}


# --- Until it is published, everything of ours is installed from a checkout --------------------------------------

OURS = {
    *("safetyculture-training-sdk", "training-sdk", "training-mock"),
    *("mock-server", "pytest-training-sdk"),
}
INSTALLS = re.compile(
    r"(?:\b(?:uvx|npx|easy_install)|\b(?:pip3?|pipx|uv|poetry|pdm|hatch|conda|mamba|npm|yarn)\b[^\n`#;|]{0,60}?"
    r"\b(?:install|download|wheel|add|run|upgrade))\b([^\n`#;|&)]*)"
    r"|dependencies\s*=\s*\[([^\]]*)"
)
REQUIRES = re.compile(
    r"(?<![\w./-])((?:safetyculture[-_.])?training[-_.](?:sdk|mock)|mock[-_.]server)"
    r"(?:\[(?:cli|server|testing)[\],]| ?(?:[<>~!=]=) ?\d)",
    re.IGNORECASE,
)
FOLDERS = ("src", "mock_server", "docs", "benchmarks", "container", ".ci")
KINDS = {*(".md", ".py", ".j2", ".toml", ".txt", ".js", ".json", ".sh", ".yml"), ""}


def texts() -> Iterator[Path]:
    """All pages, modules, scripts and recipes."""
    below = chain.from_iterable((ROOT / folder).rglob("*") for folder in FOLDERS)
    passed = {"_build", "__pycache__", "node_modules"}
    for file in chain(ROOT.iterdir(), below):
        if file.is_file() and file.suffix in KINDS and not passed & {*file.parts} and file.name[:4] != ".git":
            yield file


def installed(text: str) -> list[str]:
    """What the text says to install or requires: paths, names, options, as words."""
    text = re.sub(
        r"[\"'][ ]*\n\s*f?[\"']|\\\n", "", text
    )  # one text in several literals; a line that goes on
    text = re.sub(r"\b(install|add)\s*\n\s*(?![$-])", r"\1 ", text)
    asked = [first + more for first, more in INSTALLS.findall(text)]
    words = [word for each in asked for word in re.split(r"[\s'\"`,()\[\]{}]+", each)]
    return [*words, *REQUIRES.findall(text)]


def of_ours(words: list[str]) -> list[str]:
    """Those words that are a name of ours, in any spelling that an index takes."""
    names = ((word, re.split(r"[<>=~!@;]", word)[0]) for word in words)
    return [word for word, name in names if re.sub(r"[-_.]+", "-", name).lower() in OURS]


def test_nothing_of_ours_is_installed_by_name() -> None:
    read = {str(file.relative_to(ROOT)): installed(file.read_text(encoding="utf-8")) for file in texts()}
    assert {file: names for file, words in read.items() if (names := of_ours(words))} == {}
    paths = {Path(word).name for words in read.values() for word in words if word.startswith(".")}
    assert "training-sdk" in paths  # the pages say how it is installed, and it was read


@pytest.mark.parametrize(
    "text",
    [
        "$ pip install training-sdk",
        "- run: python -m pip install -q 'training-sdk[server]' requests",
        "the command line needs `training_sdk[cli]`",
        'message = (\n    "uvicorn is not installed: pip install "\n    "training-sdk"\n)',
        "first of all pip install\nTraining.SDK, then",
        "pip install --upgrade \\\n    safetyculture-training-sdk",
        '[python, "-m", "pip", "install", "mock_server"]',
        "uvx training-mock serve",
        "uv run --with training-sdk script.py",
        "pipx install training-sdk==0.1.0",
        '# dependencies = [\n#   "httpx",\n#   "safetyculture-training-sdk",\n# ]',
        "training-sdk>=0.1",
    ],
)
def test_an_install_by_name_is_found(text: str) -> None:
    assert of_ours(installed(text))


@pytest.mark.parametrize(
    "text",
    [
        "$ pip install '.[cli]'\n$ training-sdk doctor",
        "pip install './training-sdk[cli]'",
        "pip install ../training-sdk",
        "pip install dist/safetyculture_training_sdk-0.1.0-py3-none-any.whl",
        "`pip install .` brings `training-sdk` and `training-mock`",
        "npm install openapi-fetch",
    ],
)
def test_an_install_from_a_checkout_is_none_by_name(text: str) -> None:
    assert of_ours(installed(text)) == []


def test_nothing_depends_on_installed_metadata() -> None:
    code = [*(ROOT / "src").rglob("*.py"), *(ROOT / "mock_server").rglob("*.py")]
    asking = re.compile(r"importlib[._ ]+(import )?metadata|importlib_metadata|pkg_resources")
    assert [file for file in code if asking.search(file.read_text(encoding="utf-8"))] == []


def test_the_package_starts_as_a_module() -> None:
    asked = [
        subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True)
        for module in ("training_sdk", "training_sdk.cli")
    ]
    assert [each.returncode for each in asked] == [0, 0]
    assert asked[0].stdout == asked[1].stdout


@pytest.mark.parametrize(
    ("before", "now", "missing"),
    [
        ({"a:f": ["x", "y=…"]}, {"a:f": ["x", "y=…", "z=… (keyword)"], "a:g": "str"}, []),
        ({"a:f": [], "a:g": "str"}, {"a:g": "str"}, ["a:f"]),
        ({"a:f": ["x", "y=…"]}, {"a:f": ["x"]}, ["a:f(y=…)"]),
        ({"a:f": ["x"]}, {"a:f": ["x", "z"]}, ["a:f: the parameter z is new and required"]),
        ({"a:C": {"()": [], "size": "value"}}, {"a:C": {"()": []}}, ["a:C.size"]),
        ({"a:C": {"size": "value"}}, {"a:C": {"size": ["self"]}}, ["a:C.size: 'value' became ['self']"]),
    ],
)
def test_a_release_lists_what_is_no_longer_public(before: Any, now: Any, missing: list[str]) -> None:
    check = runpy.run_path(str(ROOT / ".ci" / "public-api"))
    assert check["missing"](before, now) == missing


# --- what an import imports -----------------------------------------------------------------------------------------


def imported_by(code: str) -> set[str]:
    """The modules that a process has imported after this code."""
    shown = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_package_imports_what_is_used() -> None:
    bare = imported_by("import training_sdk")
    assert {name for name in bare if name.startswith("training_sdk")} == {
        *("training_sdk", "training_sdk._moved", "training_sdk._version"),
    }
    assert not bare & {"httpx", "attrs"}
    client = imported_by(
        "from training_sdk import TrainingClient\nTrainingClient('t', base_url='http://127.0.0.1:1').users"
    )
    assert {"httpx", "training_sdk.api.users"} <= client
    late = {
        *("cattrs", "filelock", "platformdirs", "msgspec", "training_sdk.records.request_budget"),
        "training_sdk.api.courses",
    }
    assert not client & {*late, "training_sdk.reset_operations", "training_sdk.plans.plan"}


def test_modules_are_attributes_of_the_package_without_an_import_of_their_own() -> None:
    code = "import training_sdk as sdk\nassert 'errors' in dir(sdk)\nsdk.errors.TrainingError, sdk.evidence.history"
    assert not imported_by(code) & {"training_sdk.client", "training_sdk.recertification"}


@pytest.mark.parametrize("argument", ["--help", "-h", "--version"])
def test_the_list_of_commands_needs_no_client(argument: str) -> None:
    code = f"from training_sdk.cli import main\nassert main([{argument!r}]) == 0"
    assert not imported_by(code) & {"httpx", "attrs", "rich", "logging", "training_sdk.cli.program"}


@pytest.mark.parametrize("module", ["training_sdk", "training_sdk.cli"])
def test_python_m_is_the_command(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "undo"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'undo'" in done.stderr
