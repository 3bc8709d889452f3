"""How the documentation is built: `sphinx-build -W -n detectors/docs PLACE`, with `pip install '.[docs]'`.

The pages are Markdown (MyST). What a file of the project says already, a page does not say again: `facts.py` hands it
to the pages as substitutions.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parents[1] / "experiments")]

import facts  # noqa: E402

project = "curvesense"
author = "the authors of curvesense"
copyright = author
release = version = facts.version()

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_copybutton"]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "curvesense"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sphinx = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"  # prompts and output are not copied

myst_enable_extensions = ["colon_fence", "deflist", "substitution", "dollarmath"]
myst_heading_anchors = 3
myst_substitutions = facts.facts()

# the API: every module, made anew, so that one that is gone leaves no page behind
shutil.rmtree(HERE / "api", ignore_errors=True)
autosummary_generate = True
autodoc_mock_imports = ["keras", "lightning", "pytorch_lightning", "transformers"]
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
default_role = "any"  # a name in backticks is a link where there is such a thing, ...
suppress_warnings = ["ref.any"]  # ... and code where there is none
_ELSEWHERE = (  # documented elsewhere: a build asks no other site
    *("argparse", "collections", "contextlib", "enum", "pathlib", "types", "typing"),
    *("hypothesis", "st", "jax", "jaxlib", "keras", "lightning", "np", "numpy", "transformers"),
)
nitpick_ignore_regex = [
    ("py:.*", rf"({'|'.join(_ELSEWHERE)})\..*"),
    ("py:class|py:obj", r"_pytest\..*|(.*\.)?(_?[A-Z]|Hook)|(tuple|dict)\[.*"),  # type variables, halves of a signature
]


def _layout(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """An indented block of a docstring is a formula or a table laid out by hand: it keeps its layout."""
    for i in range(len(lines) - 1, 1, -1):
        text, before = lines[i], lines[i - 2]
        if text.startswith("    ") and not lines[i - 1].strip() and before.strip() and not before.startswith("    "):
            lines[i - 1 : i] = ["", "::", ""]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _layout)
