"""The documentation is true: it builds without a warning, its curves are those that their specs make."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import shutil
from pathlib import Path

import gallery
import numpy as np
import pytest

from detectors import CATALOGUE, cli, diagnose, read
from sim.composed import Composed
from sim.trained import train

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "detectors" / "docs"
PICTURES = DOCS / "pictures"


ENTRIES = json.loads((PICTURES / "gallery.json").read_text())
COMPOSED = [name for name, curve in gallery.CURVES.items() if isinstance(curve.spec, Composed)]
TRAINED = [name for name in gallery.CURVES if name not in COMPOSED]

composed_curve = pytest.mark.parametrize("name", COMPOSED)
curve = pytest.mark.parametrize("name", gallery.CURVES)


@composed_curve
def test_a_log_of_the_gallery_is_what_its_spec_makes(name):
    made = gallery.make(gallery.CURVES[name]).run
    (log,) = read(PICTURES / f"{name}.csv")

    assert sorted(log.series) == sorted(made.series)
    for key in log.series:
        np.testing.assert_allclose(log[key], made[key], rtol=1e-4)  # five digits are written


@composed_curve
def test_the_truth_that_is_quoted_is_that_of_the_spec(name):
    assert gallery.truth(gallery.make(gallery.CURVES[name]).events) == ENTRIES[name]["truth"]


@curve
def test_what_the_detectors_are_quoted_with_is_what_they_say_now(name):
    (log,) = read(PICTURES / f"{name}.csv")
    entry = {key: value for key, value in ENTRIES[name].items() if key not in ("code", "truth")}

    assert json.loads(json.dumps(gallery.said(diagnose(log)))) == entry


@curve
def test_the_code_that_is_quoted_is_that_of_the_curve(name):
    assert ENTRIES[name]["code"] == gallery.CURVES[name].code


def test_the_pictures_are_those_of_the_gallery_and_light():
    there = {path.name for path in PICTURES.iterdir()}

    assert there == {"gallery.json", *(f"{name}.{suffix}" for name in gallery.CURVES for suffix in ("csv", "png"))}
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 1.5e6


@pytest.mark.release
@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_log_of_the_gallery_is_what_its_recipe_trains(name):
    (made,) = train([gallery.CURVES[name].spec], sisters=2, twins=())
    (log,) = read(PICTURES / f"{name}.csv")

    for key in ("train_loss", "val_loss"):
        then, now = (run.observed(key)[1].reshape(20, -1).mean(1) for run in (log, made.run))
        # another processor rounds otherwise, and training amplifies it
        np.testing.assert_allclose(then, now, rtol=0.03)


PAGES = sorted(path for path in DOCS.rglob("*.md") if "api" not in path.relative_to(DOCS).parts[:-1])
page = pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.stem)


@pytest.mark.slow
@page
def test_the_code_of_a_page_runs_and_says_what_is_printed(path, tmp_path, monkeypatch):
    for log in PICTURES.glob("*.csv"):
        shutil.copy(log, tmp_path)
    monkeypatch.chdir(tmp_path)
    text, names = path.read_text(), {"__name__": "__main__"}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block, names)
    sessions = "\n".join(re.findall(r"```pycon\n(.*?)```", text, flags=re.DOTALL))
    example = doctest.DocTestParser().get_doctest(sessions, {}, path.stem, str(path), 0)

    assert doctest.DocTestRunner().run(example).failed == 0


@page
def test_a_file_that_a_page_names_exists(path):
    named = re.findall(r"`((?:\.ci|sim|detectors|experiments|tests)/[\w./]*)`", path.read_text())

    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []


@page
def test_a_command_that_a_page_shows_is_one_that_the_command_line_takes(path):
    commands = re.findall(r"^\$ curvesense (.*?)(?: > \S+)?$", path.read_text(), flags=re.MULTILINE)

    assert [command for command in commands if not callable(cli.parser().parse_args(shlex.split(command)).run)] == []


@pytest.mark.parametrize("phenomenon", CATALOGUE)
def test_a_detector_has_a_page_and_a_curve_in_the_gallery(phenomenon):
    assert (DOCS / "phenomena" / f"{phenomenon}.md").exists()
    assert phenomenon in {curve.about for curve in gallery.CURVES.values()}
