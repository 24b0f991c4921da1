"""How the documentation is built: ``make docs``. Nothing is fetched from a network."""

import gc
import sys
from pathlib import Path

# The trees of all pages stay; to look for garbage among them as often as usual takes 40 % of a build.
gc.set_threshold(50_000)

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # for docs._generate, which the tests share

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from docs import _generate
from docs._generate import arguments, proofs, redirects
from training_sdk import __version__

log = logging.getLogger(__name__)

project = "training-sdk"
author = "the training-sdk contributors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_legacy_class_based = False
autoclass_content = "class"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"  # the theme's own style underlines modules, like links
html_title = f"training-sdk {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "announcement": "Unofficial: not affiliated with, endorsed or supported by SafetyCulture.",
}

RULES = "explanation/rules"


def expand(_: Sphinx, docname: str, source: list[str]) -> None:
    """Put what is generated in its place; the page of rules must have a test for each of them."""
    if docname == RULES:
        for complaint in proofs.complaints(source[0], proofs.scan(ROOT / "tests")):
            log.warning(complaint, location=docname)
    source[0] = _generate.expand(source[0])


def mark_names(_: Sphinx, doctree: nodes.document) -> None:
    """Mark the tables of up to three columns whose rows all begin with a name in code, for narrow screens."""
    for table in doctree.findall(nodes.table):
        rows = [row for body in table.findall(nodes.tbody) for row in body.findall(nodes.row)]
        if all(len(row) <= 3 and _is_name(row[0]) for row in rows):
            table["classes"].append("names")


def _is_name(cell: nodes.Element) -> bool:
    text = next(cell.findall(nodes.paragraph), None)
    return text is not None and any(isinstance(text[end], nodes.literal) for end in (0, -1))


def outdated(app: Sphinx, *_: object) -> list[str]:
    """Pages that hold generated parts are read every time, since the code may have changed and they have not."""
    pages = {name: Path(app.env.doc2path(name)) for name in app.env.found_docs}
    return [name for name, page in pages.items() if _generate.MARK in page.read_text(encoding="utf-8")]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", expand)
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", mark_names)
    app.connect("autodoc-process-docstring", arguments.process)
    app.connect("build-finished", redirects.write)
