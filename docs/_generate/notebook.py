"""The notebook: a percent script, executed from its first cell to its last, and written out as a page.

``make notebook`` writes the same cells as an .ipynb file, without outputs.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient

# The phrase of a plan holds the moment of reading; here it is the same every time, so that the text can contain it.
# The same plan is applied at every build, so its records are deleted after each. The state directory of the user is a
# file here, so a client that would write into them fails.
STANDSTILL = """\
# %%
import os
import tempfile
from datetime import UTC, datetime
_folder = tempfile.TemporaryDirectory()
os.chdir(_folder.name)
os.environ["TRAINING_SDK_STATE_DIR"] = os.devnull
from training_sdk._core import drivers
from training_sdk._core.flow import Moment
drivers.now = lambda: Moment(0.0, datetime(2026, 12, 1, 9, tzinfo=UTC))
"""
SCRIPTS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))
_SECONDS = 120
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
_log = logging.getLogger(__name__)
_log.setLevel(logging.WARNING)  # nbclient logs every step


@cache
def execute(path: Path) -> Any:
    """Run a percent script as a notebook in a fresh kernel; CellExecutionError if a cell fails."""
    notebook = jupytext.reads(STANDSTILL + path.read_text(encoding="utf-8"), fmt="py:percent")
    client = NotebookClient(notebook, timeout=_SECONDS, kernel_name="python3", log=_log)
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute()
    del notebook.cells[0]
    return notebook


def to_ipynb(path: Path) -> str:
    """A percent script as the text of an .ipynb file: its cells in order, numbered and without outputs."""
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number}"
    notebook.metadata = {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    return str(jupytext.writes(notebook, fmt="ipynb")).rstrip("\n") + "\n"


def write() -> None:
    """Write the .ipynb file beside every script."""
    for script in SCRIPTS:
        script.with_suffix(".ipynb").write_text(to_ipynb(script), encoding="utf-8", newline="\n")


def to_markdown(notebook: Any) -> str:
    """An executed notebook as Markdown: the text, the code, and below the code its output.

    A cell that draws describes its picture in its metadata, ``# %% alt="…"``.
    """
    return "\n\n".join(_cell(cell) for cell in notebook.cells)


def _cell(cell: Any) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source)
    shown = [f"```python\n{cell.source}\n```"] if cell.source.strip() else []
    alt = cell.metadata.get("alt", "Picture drawn by the cell above")
    return "\n\n".join([*shown, *(_output(output, alt) for output in cell.outputs)])


def _output(output: Any, alt: str) -> str:
    if output.output_type == "stream":
        return _printed(output.text)
    data = output.data
    if "image/png" in data:
        return f"![{alt}](data:image/png;base64,{data['image/png'].replace(chr(10), '')})"
    if "text/html" in data:
        return f'<div class="cell-output">\n{data["text/html"]}\n</div>'
    return _printed(data["text/plain"])


def _printed(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"
