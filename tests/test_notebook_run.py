"""The page about notebooks is executed as a notebook: each block shows something, and nothing is printed beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "detectors" / "docs" / "notebooks.md"
SHOWN = (  # what each block of the page shows: the kind, and what stands in it
    ("text/html", "val_loss"),
    ("text/html", "<b>found</b>"),
    ("text/html", "overfitting"),
    ("text/html", "onset in"),
    ("image/png", ""),
    ("image/png", ""),
    ("text/html", "onset (band)"),
    ("text/html", "runs with it"),
)


@pytest.mark.slow  # a kernel starts, and jax in it
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own parts
def test_every_block_of_the_page_shows_itself_in_a_notebook(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="NO NOTEBOOK EXECUTED: pip install '.[test]'")
    nbclient = pytest.importorskip("nbclient", reason="NO NOTEBOOK EXECUTED: pip install '.[test]'")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    (tmp_path / "overfitting.csv").write_bytes((ROOT / "detectors/docs/pictures/overfitting.csv").read_bytes())
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(block) for block in blocks])

    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells]

    assert [len(shown) for shown in outputs] == [1] * len(blocks)
    for (shown,), (kind, holds) in zip(outputs, SHOWN, strict=True):
        assert shown.output_type in ("execute_result", "display_data")
        assert holds in shown.data[kind]
