"""A diagnosis as text, as a document and as a figure."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.diagnosis import Diagnosis, Reading, _sentence, diagnose
from detectors.report.document import SCHEMA_VERSION, document, unreadable
from detectors.report.figure import COLOURS, MARKS, SHADED, figure, save
from detectors.report.summary import row
from detectors.report.text import render, title, where
from detectors.vocabulary import Detector, Event, Finding, Phenomenon, Run, Verdict, absent, found, undetermined

EPOCHS = np.arange(1.0, 101.0)
RUN = Run(epochs=EPOCHS, series={"train_loss": 2 / EPOCHS, "val_loss": 1 + 1 / EPOCHS}, name="seed-3", source="log.csv")


def finding(phenomenon: str, onset: float = 40, **changes: Any) -> Finding:
    settled = {"onset_interval": (onset - 3, onset + 4), "level": 0.9, "known_at": onset + 9}
    return Finding(phenomenon=phenomenon, onset=onset, **{**settled, **changes})


def diagnosed(*verdicts: Verdict, run: Run = RUN, keep: float | None = 40.0) -> Diagnosis:
    """A diagnosis of which only the verdicts matter."""
    reading = Reading(text="It is so.", keep_epoch=keep, advice=("Do this.",))
    return Diagnosis(run=run, verdicts=verdicts, reading=reading)


class Says:
    """A detector that has made up its mind."""

    def __init__(self, *findings: Finding, reason: str = "", phenomenon: str = "") -> None:
        self.phenomenon = phenomenon or findings[0].phenomenon
        self.verdict = found(self.phenomenon, findings) if findings else undetermined(self.phenomenon, reason)

    def detect(self, run: Run) -> Verdict:
        return self.verdict


def reading(*detectors: Detector) -> Reading:
    return diagnose(RUN, detectors=detectors).reading


# names


@pytest.mark.parametrize("phenomenon", Phenomenon)
def test_a_title_is_the_name_of_the_phenomenon_as_people_write_it(phenomenon):
    assert title(phenomenon)
    assert "_" not in title(phenomenon)


@pytest.mark.parametrize(
    ("phenomenon", "expected"),
    [
        ("lr_drop", "LR drop"),
        ("lr_drop_relief", "relief at the LR drop"),
        ("train_above_val", "train above val"),
        ("overfitting", "overfitting"),
        ("blow_up", "blow up"),
    ],
)
def test_a_title_is_plain_words(phenomenon, expected):
    assert title(phenomenon) == expected


def test_no_two_phenomena_have_one_title():
    assert len({title(p) for p in Phenomenon}) == len(Phenomenon)


# the reading


def test_the_reading_repeats_no_sentence_that_two_findings_share():
    drops = [
        finding(
            "lr_drop_relief", onset, explanation=f"at {onset} it falls. The jitter of SGD goes. What is learnt stays."
        )
        for onset in (30, 60)
    ]

    text = reading(Says(*drops)).text
    assert "At 30 it falls." in text
    assert "At 60 it falls." in text
    assert text.count("The jitter of SGD goes.") == text.count("What is learnt stays.") == 1


def test_the_reading_repeats_no_advice():
    spikes = [Says(finding(p, advice="Clip the gradient.")) for p in ("spike", "burst")]

    assert reading(*spikes).advice.count("Clip the gradient.") == 1


def test_a_rise_that_accuracy_does_not_confirm_is_explained_once():
    rises = [Says(finding(p, explanation=f"here {p} is.")) for p in ("overfitting", "loss_accuracy_divergence")]

    text = reading(*rises).text
    assert "Here loss_accuracy_divergence is." in text
    assert "Here overfitting is." not in text


def test_the_reading_says_why_it_cannot_tell():
    text = reading(Says(phenomenon="lr_drop_relief", reason="val_loss not logged")).text

    assert "Cannot tell about lr drop relief: val_loss not logged." in text


def test_the_reading_names_the_checkpoint_to_keep():
    val = 1 + np.abs(EPOCHS - 40) / 50
    result = diagnose(RUN.with_series(val_loss=val))

    assert result.reading.keep_epoch == 40
    assert "Keep the checkpoint from around epoch 40." in result.reading.advice


def test_the_reading_says_by_which_share_the_end_is_higher():
    val = np.where(EPOCHS <= 50, 0.5, 1.0)

    assert "(0.5; the end is 100.0% higher)" in diagnose(RUN.with_series(val_loss=val)).reading.text


def test_without_a_validation_loss_there_is_no_checkpoint_to_keep():
    result = diagnose(RUN.without("val_loss"))

    assert result.reading.keep_epoch is None
    assert not any("checkpoint" in advice for advice in result.reading.advice)


# text


def test_the_text_begins_with_the_run():
    first = render(diagnosed()).splitlines()[0]

    assert first == "seed-3: 100 rows, 1 to 100, train_loss, val_loss"


@pytest.mark.parametrize("words", ["It is so.", "- Do this.", "note: rows were sorted"])
def test_the_text_holds_the_reading_the_advice_and_the_notes(words):
    run = Run(epochs=EPOCHS, series=RUN.series, notes=("rows were sorted",))

    assert words in render(diagnosed(run=run))


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (absent("spike", "all is calm"), "  spike                     absent: all is calm"),
        (undetermined("spike", "too short"), "  spike                     undetermined: too short"),
        (absent("lr_drop"), "  LR drop                   absent"),
        (found("spike", [finding("spike")]), "  spike                     found"),
    ],
)
def test_each_verdict_has_a_line_of_its_own(verdict, line):
    said = render(diagnosed(verdict)).partition("What was found\n")[2].splitlines()

    assert [line for line in said if line and not line.startswith("   ")] == [line]


SPAN, INTERVAL = "epoch 40 to the end", "(onset in 37..44 at 90%)"


@pytest.mark.parametrize(
    ("claim", "where"),
    [
        ({}, f"{SPAN} {INTERVAL}; height 0.5"),
        ({"end": 60}, f"epoch 40 to 60 {INTERVAL}; height 0.5"),
        ({"onset_interval": (40, 40)}, f"{SPAN}; height 0.5"),
        ({"kind": "new_best", "p_value": 0.01}, f"{SPAN} {INTERVAL}, new best, p = 0.01; height 0.5"),
        ({"p_value": 1e-9}, f"{SPAN} {INTERVAL}, p < 0.0001; height 0.5"),
        ({"effect": {"height": 0.123456, "relative": 2}}, f"{SPAN} {INTERVAL}; height 0.1235, relative 2"),
    ],
)
def test_a_finding_says_where_how_sure_and_how_much(claim, where):
    claimed = found("spike", [finding("spike", **{"effect": {"height": 0.5}, **claim})])

    assert f"    {where}" in render(diagnosed(claimed)).splitlines()


def test_a_drop_has_no_end():
    text = render(diagnosed(found("lr_drop", [finding("lr_drop", onset_interval=(40, 40), kind="logged")])))

    assert "    epoch 40, logged" in text
    assert "to the end" not in text


def test_the_evidence_is_named_numbers_and_words():
    claim = finding("spike", evidence={"val_loss_at_onset": 0.123456, "series": "val_loss", "noise": math.nan})

    assert "val_loss_at_onset 0.1235, series val_loss, noise nan" in render(diagnosed(found("spike", [claim])))


@given(st.integers(40, 160))
def test_no_line_of_the_text_is_wider_than_asked_for(width):
    words = "so many words " * 20
    claim = finding("spike", effect={f"effect_{i}": 0.5 for i in range(20)}, evidence={"what_was_seen": words})
    verdicts = found("spike", [claim]), undetermined("blow_up", words)
    run = Run(epochs=EPOCHS, series={}, notes=(words,))
    result = Diagnosis(run=run, verdicts=verdicts, reading=Reading(text=words, keep_epoch=None, advice=(words,)))

    assert max(map(len, render(result, width).splitlines())) <= width


def test_many_series_are_no_wider_than_asked_for_either():
    run = RUN.with_series(**{f"gradient_norm_{i}": EPOCHS for i in range(20)})

    assert max(map(len, render(diagnosed(run=run), 80).splitlines())) <= 80


def test_an_epoch_among_the_evidence_is_written_in_full():
    claim = finding("overfitting", 1_234_567, evidence={"top": 2_345_678.0})

    assert "2345678" in render(diagnosed(found("overfitting", [claim])))


@pytest.mark.parametrize("number", [1_234_567, 12_345_678])
def test_the_step_of_a_long_log_is_written_in_full(number):
    claim = finding("overfitting", number, onset_interval=(number - 1, number + 1), end=number + 2)

    text = render(diagnosed(found("overfitting", [claim])))
    assert f"epoch {number} to {number + 2} (onset in {number - 1}..{number + 1} at 90%)" in text


# document


def test_the_document_says_where_the_run_came_from():
    run = Run(epochs=EPOCHS, series=RUN.series, name="seed-3", source="log.csv", group="resnet", notes=("sorted",))
    result = document(diagnosed(run=run))

    assert {key: result[key] for key in ("schema_version", "source", "run", "group", "epochs", "series", "notes")} == {
        "schema_version": SCHEMA_VERSION,
        "source": "log.csv",
        "run": "seed-3",
        "group": "resnet",
        "epochs": 100,
        "series": ["train_loss", "val_loss"],
        "notes": ["sorted"],
    }


def test_a_run_without_a_group_has_none():
    assert document(diagnosed())["group"] is None


def test_the_document_holds_the_reading():
    assert document(diagnosed())["reading"] == {
        "text": "It is so.",
        "keep_epoch": 40,
        "keep_loss": None,
        "advice": ["Do this."],
    }


def test_the_document_holds_every_verdict_in_order():
    result = document(diagnosed(absent("spike", "calm", 0.5), undetermined("blow_up", "short")))

    assert result["verdicts"] == [
        {"phenomenon": "spike", "status": "absent", "reason": "calm", "min_detectable_effect": 0.5, "findings": []},
        {
            "phenomenon": "blow_up",
            "status": "undetermined",
            "reason": "short",
            "min_detectable_effect": None,
            "findings": [],
        },
    ]


def documented(claim: Finding) -> dict[str, Any]:
    """The one finding as it stands in the document, after a trip through strict JSON."""
    text = json.dumps(document(diagnosed(found(claim.phenomenon, [claim]))), allow_nan=False)
    return json.loads(text)["verdicts"][0]["findings"][0]


def test_the_document_holds_all_of_a_finding():
    claim = finding(
        "spike",
        end=60,
        kind="tall",
        p_value=0.25,
        effect={"height": 0.5},
        evidence={"series": "val_loss", "widths": 9},
        explanation="It jumps.",
        advice="Clip.",
    )

    assert documented(claim) == {
        "onset": 40,
        "end": 60,
        "onset_interval": [37, 44],
        "level": 0.9,
        "known_at": 49,
        "kind": "tall",
        "p_value": 0.25,
        "effect": {"height": 0.5},
        "evidence": {"series": "val_loss", "widths": 9},
        "explanation": "It jumps.",
        "advice": "Clip.",
    }


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, np.float64("nan"), np.float32("inf")])
@pytest.mark.parametrize("field", ["effect", "evidence"])
def test_a_number_that_is_not_finite_becomes_null(field, odd):
    assert documented(finding("spike", **{field: {"height": odd, "width": 2.5}}))[field] == {
        "height": None,
        "width": 2.5,
    }


def test_an_end_and_an_interval_without_end_become_null():
    claim = documented(finding("spike", end=math.inf, onset_interval=(-math.inf, math.inf)))

    assert (claim["end"], claim["onset_interval"]) == (None, [None, None])


@pytest.mark.parametrize("least", [math.nan, math.inf])
def test_a_least_effect_that_is_not_finite_becomes_null(least):
    assert document(diagnosed(absent("spike", "", least)))["verdicts"][0]["min_detectable_effect"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(40.0, 40), (np.float64(40), 40), (np.int64(40), 40), (0.25, 0.25), (-0.0, 0), (2.0**60, 2.0**60), ("40", "40")],
)
def test_whole_numbers_are_written_whole_up_to_the_largest_exact_one(value, expected):
    (written,) = documented(finding("spike", evidence={"x": value}))["evidence"].values()

    assert (written, type(written)) == (expected, type(expected))


@given(st.lists(st.floats(), max_size=5))
def test_every_number_goes_through_json_and_back(numbers):
    evidence = {str(i): x for i, x in enumerate(numbers)}

    back = documented(finding("spike", evidence=evidence))["evidence"]
    assert back == {key: x if math.isfinite(x) else None for key, x in evidence.items()}


def test_a_log_that_could_not_be_read_is_its_source_and_the_reason():
    assert unreadable("log.csv", "it is empty") == {"source": "log.csv", "error": "it is empty"}


# figure


def drawn(result: Diagnosis, truth: Sequence[Event] | None = None) -> Any:
    """The figure, where there is anything to draw it with."""
    pytest.importorskip("matplotlib", reason="FIGURES NOT TESTED: matplotlib is missing, install the extra [plot]")
    return figure(result, truth)


def panels(result: Diagnosis, truth: Sequence[Event] | None = None) -> dict[str, Any]:
    """The axes of the figure by label."""
    return {axes.get_label(): axes for axes in drawn(result, truth).axes}


def shaded(axes: Any) -> list[tuple[float, float, str]]:
    """Start, end and colour of what is shaded over the whole height of a panel."""
    from matplotlib.colors import to_hex

    boxes = [p for p in axes.patches if p.get_transform() != axes.transData]
    return [(p.get_x(), p.get_x() + p.get_width(), to_hex(p.get_facecolor()).upper()) for p in boxes]


ACCURATE = RUN.with_series(val_accuracy=1 - 1 / (1 + EPOCHS))
RISE = found("overfitting", [finding("overfitting", 40, end=60)])


def test_a_figure_has_a_panel_for_the_loss_and_one_for_the_timeline():
    assert list(panels(diagnosed())) == ["loss", "timeline"]


def test_a_figure_has_a_panel_for_the_accuracy_where_it_is_logged():
    assert list(panels(diagnosed(run=ACCURATE))) == ["loss", "accuracy", "timeline"]


def test_the_panels_are_labelled():
    axes = panels(diagnosed(run=ACCURATE))

    assert (axes["loss"].get_ylabel(), axes["accuracy"].get_ylabel()) == ("loss", "accuracy")
    assert axes["timeline"].get_xlabel() == "epoch"


def test_the_figure_is_called_like_the_run():
    assert drawn(diagnosed()).get_suptitle() == "seed-3"


def test_the_curves_in_a_figure_are_those_of_the_run_without_what_is_missing():
    val = RUN["val_loss"].copy()
    val[10] = np.nan
    curves = {line.get_label(): line for line in panels(diagnosed(run=RUN.with_series(val_loss=val)))["loss"].lines}

    assert np.array_equal(curves["train loss"].get_ydata(), RUN["train_loss"])
    assert np.array_equal(curves["val loss"].get_xdata(), np.delete(EPOCHS, 10))


@pytest.mark.parametrize("panel", ["loss", "accuracy"])
@pytest.mark.parametrize("phenomenon", sorted(SHADED))
def test_a_panel_is_shaded_where_a_finding_is_in_the_colour_of_its_phenomenon(panel, phenomenon):
    axes = panels(diagnosed(found(phenomenon, [finding(phenomenon, 40, end=60)]), run=ACCURATE))[panel]

    assert shaded(axes) == [(40, 60, COLOURS[phenomenon])]


# what colour-blind eyes see of a colour in linear light: Machado, Oliveira & Fernandes, 2009, severity 1
SEEN = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def seen_by(eyes: str, colour: str) -> np.ndarray:
    """The colour in CIELAB as these eyes see it."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(SEEN[eyes] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_every_phenomenon_but_a_drop_of_the_rate_has_a_colour_of_its_own():
    assert set(COLOURS) == set(Phenomenon) - {Phenomenon.LR_DROP}
    assert len(set(COLOURS.values())) == len(COLOURS)


@pytest.mark.parametrize("eyes", SEEN)
def test_any_two_phenomena_differ_by_their_mark_or_for_every_eye_by_their_colour(eyes):
    for (p, one), (q, other) in itertools.combinations(COLOURS.items(), 2):
        apart = float(np.linalg.norm(seen_by(eyes, one) - seen_by(eyes, other)))

        assert MARKS.get(p, "") != MARKS.get(q, "") or apart > 10, (p, q, apart)  # 2.3 is just noticeable


@pytest.mark.parametrize("phenomenon", sorted(MARKS))
def test_a_further_phenomenon_has_its_mark_on_the_timeline(phenomenon):
    axes = panels(diagnosed(found(phenomenon, [finding(phenomenon, 40, end=60)])))["timeline"]

    assert [bar.get_hatch() for bar in axes.patches] == [MARKS[phenomenon]]


@pytest.mark.parametrize("phenomenon", sorted(MARKS))
def test_a_mark_is_in_the_style_of_the_page_too(phenomenon):
    style = files("detectors.report").joinpath("assets/page.css").read_text()

    assert f".mark-{phenomenon} {{ background-image:" in style


def test_a_panel_is_shaded_to_the_last_epoch_where_a_finding_has_no_end():
    axes = panels(diagnosed(found("overfitting", [finding("overfitting", 40)])))["loss"]

    assert [(lo, hi) for lo, hi, _ in shaded(axes)] == [(40, 100)]


def test_no_panel_is_shaded_where_nothing_was_found():
    axes = panels(diagnosed(absent("overfitting"), run=ACCURATE))

    assert [shaded(axes[panel]) for panel in ("loss", "accuracy")] == [[], []]


def test_a_panel_is_shaded_once_where_accuracy_does_not_confirm_a_rise():
    milder = found("loss_accuracy_divergence", [finding("loss_accuracy_divergence", 40, end=60)])
    axes = panels(diagnosed(RISE, milder))["loss"]

    assert shaded(axes) == [(40, 60, COLOURS["loss_accuracy_divergence"])]


def test_a_gap_shades_no_panel_since_it_mostly_runs_to_the_end():
    axes = panels(diagnosed(found("generalization_gap", [finding("generalization_gap")])))

    assert shaded(axes["loss"]) == []
    assert [label.get_text() for label in axes["timeline"].get_yticklabels()] == ["generalization gap"]


@pytest.mark.parametrize("panel", ["loss", "timeline"])
def test_a_drop_is_a_line_through_every_panel(panel):
    axes = panels(diagnosed(found("lr_drop", [finding("lr_drop", 40, kind="logged")])))[panel]

    upright = [line for line in axes.lines if list(line.get_xdata()) == [40, 40] and list(line.get_ydata()) == [0, 1]]
    assert len(upright) == 1


@pytest.mark.parametrize(("effect", "label"), [({"factor": 0.2}, "lr ×0.2"), ({"fall": 0.1}, "drop?")])
def test_a_drop_in_a_figure_says_by_how_much_where_that_is_known(effect, label):
    axes = panels(diagnosed(found("lr_drop", [finding("lr_drop", 40, effect=effect)])))["loss"]

    assert [text.get_text() for text in axes.texts] == [label]


def test_the_timeline_of_a_figure_has_a_bar_for_each_finding_and_a_row_for_each_phenomenon():
    spikes = found("spike", [finding("spike", 10, end=12), finding("spike", 70, end=73)])
    axes = panels(diagnosed(RISE, spikes, absent("lr_drop_relief")))["timeline"]

    assert [label.get_text() for label in axes.get_yticklabels()] == ["spike", "overfitting"]
    assert sorted((p.get_x(), p.get_x() + p.get_width()) for p in axes.patches) == [(10, 12), (40, 60), (70, 73)]


def test_the_timeline_of_a_figure_without_findings_says_so():
    assert [text.get_text() for text in panels(diagnosed())["timeline"].texts] == ["nothing found"]


def test_the_truth_has_a_row_in_the_figure_where_nothing_was_found():
    event = Event(phenomenon="overfitting", onset=30, end=50)
    axes = panels(diagnosed(absent("overfitting")), truth=[event])["timeline"]

    assert [label.get_text() for label in axes.get_yticklabels()] == ["overfitting"]
    assert [30, 50] in [list(line.get_xdata()) for line in axes.lines]
    assert "black ticks: truth" in axes.get_title(loc="right")


def test_a_figure_without_truth_does_not_speak_of_it():
    assert "truth" not in panels(diagnosed(RISE))["timeline"].get_title(loc="right")


def test_an_event_too_small_to_be_asked_for_is_not_in_the_figure():
    event = Event(phenomenon="overfitting", onset=30, end=50, material=False)
    axes = panels(diagnosed(RISE), truth=[event])["timeline"]

    assert [30, 50] not in [list(line.get_xdata()) for line in axes.lines]


def test_the_checkpoint_to_keep_is_a_star_on_the_curve_in_the_figure():
    (star,) = (line for line in panels(diagnosed())["loss"].lines if line.get_marker() == "*")

    assert (star.get_xdata()[0], star.get_ydata()[0]) == (40, RUN["val_loss"][39])
    assert star.get_label() == "lowest around epoch 40"


LONG = np.arange(1, 1001)


def of(epochs: np.ndarray, **series: np.ndarray) -> dict[str, Any]:
    return panels(diagnose(Run(epochs=epochs, series=series, name="run")))


@pytest.mark.parametrize(("lowest", "scale"), [(1e-4, "log"), (0.3, "linear"), (0.0, "linear")])
def test_a_loss_over_decades_is_on_a_logarithmic_axis(lowest, scale):
    axes = of(EPOCHS, train_loss=np.maximum(2.3 * np.exp(-EPOCHS / 5), lowest) if lowest else 100 - EPOCHS)["loss"]

    assert axes.get_yscale() == scale
    assert ("logarithmic" in axes.get_ylabel()) == (scale == "log")


def test_a_training_loss_that_vanishes_does_not_flatten_the_rise_of_validation():
    axes = of(EPOCHS, train_loss=np.exp(-EPOCHS / 5), val_loss=1 + np.abs(EPOCHS - 40) / 100)["loss"]

    assert axes.get_yscale() == "linear"


def test_a_long_noisy_loss_is_light_below_its_moving_average():
    loss = np.exp(-LONG / 100) + np.random.default_rng(0).normal(0, 0.1, 1000)
    light, line = of(LONG, train_loss=loss)["loss"].lines

    assert list(light.get_ydata()) == list(loss)
    assert light.get_alpha() < 0.5
    assert line.get_ydata()[499] == pytest.approx(loss[489:510].mean())
    assert np.std(np.diff(line.get_ydata())) < np.std(np.diff(loss)) / 5


@pytest.mark.parametrize("rows", [200, 1000])
def test_a_short_or_a_smooth_loss_is_drawn_as_it_is(rows):
    noise = np.random.default_rng(0).normal(0, 0.1, rows) if rows == 200 else 0.0
    loss = np.exp(-LONG[:rows] / 100) + noise
    (line,) = of(LONG[:rows], train_loss=loss)["loss"].lines

    assert list(line.get_ydata()) == list(loss)


def test_a_moving_average_does_not_reach_across_a_drop_of_the_rate():
    loss = np.where(LONG < 501, 2.0, 1.0) + np.random.default_rng(0).normal(0, 0.1, 1000)
    axes = of(LONG, train_loss=loss, learning_rate=np.where(LONG < 501, 0.1, 0.01))["loss"]
    line = next(line for line in axes.lines if line.get_label() == "train loss").get_ydata()

    assert line[499] == pytest.approx(2, abs=0.1)
    assert line[500] == pytest.approx(1, abs=0.1)


def test_an_infinite_loss_is_marked_where_it_is():
    axes = of(EPOCHS, train_loss=np.where(EPOCHS > 95, np.inf, 1 / EPOCHS))["loss"]

    (marked,) = (line for line in axes.lines if line.get_label() == "infinite")
    assert list(marked.get_xdata()) == [96, 97, 98, 99, 100]


def test_the_names_of_drops_side_by_side_do_not_cover_each_other():
    rate = 0.1 * 0.5 ** (EPOCHS // 4)
    axes = of(EPOCHS, val_loss=1 + 1 / EPOCHS, learning_rate=rate)["loss"]
    named = [text.xy[0] for text in axes.texts]

    assert len(named) < len(axes.lines)
    assert min(np.diff(named)) >= 7


def test_a_run_of_a_few_epochs_has_dots_and_whole_epochs_on_its_axis():
    axes = of(EPOCHS[:5], val_loss=1 / EPOCHS[:5])

    assert axes["loss"].lines[0].get_marker() == "."
    assert all(float(tick).is_integer() for tick in axes["timeline"].get_xticks())


def test_the_star_is_on_the_line_that_is_read():
    loss = 0.3 + np.abs(LONG - 500) / 1000 + np.random.default_rng(0).normal(0, 0.05, 1000)
    axes = of(LONG, val_loss=loss)["loss"]
    line = next(line for line in axes.lines if line.get_label() == "val loss")
    star = next(line for line in axes.lines if line.get_marker() == "*")

    assert star.get_ydata()[0] == line.get_ydata()[int(star.get_xdata()[0]) - 1]


def test_the_table_names_the_level_that_the_reading_names():
    loss = 0.3 + np.abs(LONG - 500) / 1000 + np.random.default_rng(0).normal(0, 0.05, 1000)
    diagnosis = diagnose(Run(epochs=LONG, series={"val_loss": loss}))

    assert f"around epoch {row(diagnosis).keep} ({row(diagnosis).level}" in diagnosis.reading.text


def test_a_reading_begins_no_sentence_by_changing_the_name_of_a_series():
    assert _sentence("val_loss was lowest") == "val_loss was lowest"
    assert _sentence("from epoch 3") == "From epoch 3"


def test_what_begins_and_ends_in_one_epoch_has_one_epoch():
    one = finding("lr_drop_relief", 61, onset_interval=(61, 61), end=61, kind="new_best")

    assert where(one).startswith("epoch 61, new best")


@pytest.mark.parametrize("name", ["$x", "a\x1b[2J\nb", "\u6f22\u5b57 \U0001f642", "n" * 500, "_^{$\\frac"])
def test_a_figure_bears_any_name(tmp_path: Path, name):
    fig = drawn(diagnose(Run(epochs=EPOCHS, series={"val_loss": 1 / EPOCHS}, name=name)))
    save(fig, str(tmp_path / "figure.png"))  # warnings are errors here

    assert len(fig._suptitle.get_text()) < 70


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_is_saved_in_the_format_of_the_suffix(tmp_path: Path, suffix, start):
    save(drawn(diagnosed(RISE, run=ACCURATE)), str(tmp_path / f"figure.{suffix}"))

    assert (tmp_path / f"figure.{suffix}").read_bytes().startswith(start)


SPARSE = {
    "one epoch": Run(epochs=[1], series={"val_loss": [2.0]}),
    "no loss": Run(epochs=EPOCHS, series={"val_accuracy": EPOCHS / 200}),
    "no series": Run(epochs=EPOCHS, series={}),
    "nothing but nan": Run(epochs=EPOCHS, series={"val_loss": np.full(100, np.nan)}),
    "a constant loss": Run(epochs=EPOCHS, series={"val_loss": np.ones(100)}),
    "an infinite loss": Run(epochs=EPOCHS, series={"val_loss": np.where(EPOCHS > 50, np.inf, 1.0)}),
}


@pytest.mark.parametrize("run", SPARSE.values(), ids=SPARSE)
def test_a_figure_can_be_drawn_of_a_run_with_little_in_it(tmp_path: Path, run):
    save(drawn(diagnose(run)), str(tmp_path / "figure.svg"))  # warnings are errors here

    assert (tmp_path / "figure.svg").stat().st_size > 0
