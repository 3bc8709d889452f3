"""How values show themselves in a notebook."""

from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from test_cli import curves

from detectors import BadRun, Run, diagnose
from sim.composed import Composed, compose_one

RUN = Run(epochs=np.arange(1, 121), series=curves(), name="a <script>alert(1)</script>\n")
DIAGNOSIS = diagnose(RUN)
LABELLED = compose_one(Composed(overfit=0.4, overfit_at=80), seed=0)
SHOWN = [
    *(RUN, DIAGNOSIS, DIAGNOSIS["overfitting"], DIAGNOSIS["overfitting"].findings[0], DIAGNOSIS["lr_drop"]),
    replace(LABELLED, run=RUN, ambiguous=("<script>", "b")),
]


class Tags(HTMLParser):
    """The tags that are open, and those that ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("value", SHOWN, ids=lambda v: type(v).__name__)
def test_a_display_is_small_closed_and_escaped(value):
    shown = value._repr_html_()
    tags = Tags()
    tags.feed(shown)

    assert len(shown) < 20_000
    assert tags.open == []
    assert "script" not in tags.seen


def test_a_diagnosis_shows_what_was_found():
    assert "overfitting" in DIAGNOSIS._repr_html_()
    assert "<b>found</b>" in DIAGNOSIS._repr_html_()


def test_a_labelled_run_shows_its_truth_beside_its_curves():
    shown = LABELLED._repr_html_()
    (rise,) = LABELLED.of("overfitting")

    assert f"{rise.onset:g} ({rise.band[0]:g} to {rise.band[1]:g})" in shown
    assert "val_loss" in shown


def test_a_labelled_run_without_events_says_so():
    assert "nothing happened" in replace(LABELLED, events=())._repr_html_()


def test_a_run_names_itself_without_its_numbers():
    assert repr(Run(epochs=[1, 2], series={"val_loss": [1, 2]})) == "Run('run', 2 rows, epochs 1 to 2, val_loss)"


def test_a_series_of_nothing_but_nan_is_shown():
    assert "val_loss" in Run(epochs=[1, 2], series={"val_loss": [np.nan] * 2})._repr_html_()


def test_a_plot_is_of_the_losses_on_the_axes_that_are_given():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, ax = pyplot.subplots()
    try:
        assert RUN.plot(ax=ax) is ax
        assert [line.get_label() for line in ax.lines] == ["train loss", "val loss"]
    finally:
        pyplot.close(figure)


def test_a_series_that_is_not_logged_cannot_be_drawn():
    pytest.importorskip("matplotlib")

    with pytest.raises(BadRun, match="has no 'val_accuracy'; it logs"):
        RUN.plot("val_accuracy")


def test_a_diagnosis_is_drawn_in_its_panels():
    pytest.importorskip("matplotlib")

    assert [ax.get_label() for ax in DIAGNOSIS.plot()] == ["loss", "timeline"]


@pytest.mark.parametrize("value", SHOWN[:2], ids=lambda v: type(v).__name__)
def test_without_matplotlib_the_extra_is_named(monkeypatch, value):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ImportError, match=r"^plot\(\) needs matplotlib: pip install 'curvesense\[plot\]'$"):
        value.plot()
