"""What does each phenomenon look like, strong, weak, and when something else only looks like it?

Makes the curves of the documentation from their specs and seeds and writes for each to `detectors/docs/pictures/` its
log (`NAME.csv`), the diagnosis of that log with the truth as a picture (`NAME.png`), and, for all of them,
`gallery.json`: the code that makes the curve, what truly happened, and what `diagnose` says of the CSV. The pages quote
that file; `tests/test_docs.py` makes the curves again and holds it to them. `python experiments/gallery.py [NAME ...]`,
about four minutes on two cores, seconds for a composed curve.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detectors.diagnosis import Diagnosis, diagnose
from detectors.readers import read
from detectors.report.figure import figure
from detectors.report.text import title
from detectors.vocabulary import Event, Run
from sim.composed import Composed, compose_one
from sim.labelled import LabelledRun
from sim.recipe import HEALTHY, SEED_FIGURE, Recipe
from sim.schedules import Schedule
from sim.trained import train

PICTURES = Path(__file__).parents[1] / "detectors" / "docs" / "pictures"
SIZE = (8.0, 6.2)  # inches: what is written in a picture stays legible on a phone


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One entry: a spec and a seed (a trained recipe has its own), what it is about, and what to see in it."""

    title: str
    about: str
    look: str  # "strong", "weak", or "look-alike": another cause, or none
    shows: str
    spec: Composed | Recipe
    seed: int = 0

    @property
    def code(self) -> str:
        """The Python that makes this curve again."""
        if isinstance(self.spec, Composed):
            return f"compose_one({self.spec!r}, seed={self.seed})"
        start = "HEALTHY" if self.spec.fresh_samples else "SEED_FIGURE"
        base = HEALTHY if self.spec.fresh_samples else SEED_FIGURE
        changed = {k: v for k, v in vars(self.spec).items() if v != getattr(base, k)}
        return f"train([replace({start}, {', '.join(f'{k}={v!r}' for k, v in changed.items())})])"


_DROPS = {"drop_1": 60, "drop_2": 120, "drop_3": 160}
_FALLS = {"decay": 12, "train_decay": 16, "train_bayes": 0.3}  # both losses fall, training further

CURVES: dict[str, Curve] = {
    "question": Curve(
        title="The question's curve",
        about="lr_drop_relief",
        look="strong",
        shows="A network really trained with the question's schedule; nothing is injected. Its truth has all four "
        "boxes: a rise before the drop, relief at it, a rise afterwards over which accuracy does not fall, and "
        "training loss above validation loss at the start.",
        spec=replace(SEED_FIGURE, seed=16),
    ),
    "healthy": Curve(
        title="A healthy run",
        about="overfitting",
        look="look-alike",
        shows="A network that sees fresh examples at every step cannot memorise them. Both losses fall together to the"
        " end. This is what a run without a complaint looks like.",
        spec=replace(HEALTHY, seed=0),
    ),
    "overfitting": Curve(
        title="Overfitting",
        about="overfitting",
        look="strong",
        shows="Validation loss turns around epoch 80 and climbs for fifty epochs, accuracy falls with it, and training"
        " loss goes on down.",
        spec=Composed(overfit=0.4, overfit_at=80, decay=14, train_decay=20, train_bayes=0.05, noise=0.015, rho=0.3),
        seed=3,
    ),
    "memorising": Curve(
        title="A network that memorises",
        about="overfitting",
        look="strong",
        shows="Really trained, with a fifth of the labels wrong and no augmentation: it learns the classes in a few "
        "epochs and the wrong labels for the rest of them.",
        spec=replace(SEED_FIGURE, augmentation=0.0, learning_rate=0.05, schedule=Schedule(kind="constant"), seed=2),
    ),
    "overfitting_weak": Curve(
        title="A rise that is hardly there",
        about="overfitting",
        look="weak",
        shows="The same turn, not a tenth as high, in a little more noise. An eye sees it once it has been told.",
        spec=Composed(overfit=0.03, overfit_at=80, decay=14, train_decay=20, train_bayes=0.3, noise=0.02, rho=0.3),
        seed=3,
    ),
    "shared_rise": Curve(
        title="A rise that training shares",
        about="overfitting",
        look="look-alike",
        shows="Both losses rise together: a rate that is too high, data that changed, a bug. Whatever it is, the model"
        " does not fit its training set better than before.",
        spec=Composed(shared=0.3, overfit_at=90, overfit_span=60, decay=12, train_decay=12, noise=0.01),
        seed=1,
    ),
    "noisy_plateau": Curve(
        title="A plateau that wanders",
        about="overfitting",
        look="look-alike",
        shows="Nothing happens after epoch 40. The noise remembers (autocorrelation 0.8), so it drifts for a dozen "
        "epochs at a time, and the lowest point lies where it does by chance.",
        spec=Composed(decay=8, noise=0.03, rho=0.8, accuracy_noise=0.006),
        seed=4,
    ),
    "generalization_gap": Curve(
        title="A gap that opens",
        about="generalization_gap",
        look="strong",
        shows="Training loss goes on to half of what validation loss settles at. Nothing rises: the gap alone is no "
        "reason to stop.",
        spec=Composed(decay=12, train_decay=22, train_bayes=0.2, noise=0.01),
        seed=5,
    ),
    "gap_hidden": Curve(
        title="A gap under augmentation",
        about="generalization_gap",
        look="weak",
        shows="The same model, but the logged training loss is that of augmented inputs, which is higher. The curves "
        "cross late; measured on clean inputs they crossed long before.",
        spec=Composed(decay=12, train_decay=22, train_bayes=0.2, mode=0.2, noise=0.01),
        seed=5,
    ),
    "tiny_validation_set": Curve(
        title="A tiny validation set",
        about="generalization_gap",
        look="look-alike",
        shows="The healthy network again, validated on 64 examples. The whole validation curve is shifted by the luck "
        "of the draw, and no later epoch mends that.",
        spec=replace(HEALTHY, val_size=64, seed=1),
    ),
    "lr_drop": Curve(
        title="A drop that is not logged",
        about="lr_drop",
        look="strong",
        shows="The rate is divided by five after epoch 100 and the log does not say so. The noise of SGD leaves the "
        "loss at once, and that is what can be seen.",
        spec=Composed(drop_1=100, noise_floor=0.4, relax=0.5, logged=0, noise=0.02, **_FALLS),
        seed=6,
    ),
    "drops_missed": Curve(
        title="Three drops that are not logged",
        about="lr_drop",
        look="weak",
        shows="Three drops by the same factor. Each takes less off the loss than the one before, and the last takes"
        " too little to stand out of the noise: a rate that is logged would have settled it.",
        spec=Composed(**_DROPS, noise_floor=0.4, relax=0.5, logged=0, noise=0.008, **_FALLS),
        seed=6,
    ),
    "cosine": Curve(
        title="A cosine tail",
        about="lr_drop",
        look="look-alike",
        shows="The rate falls along a cosine, the loss falls with it, fastest towards the end. It falls as far as with"
        " drops, but never at once.",
        spec=Composed(cosine=1, noise_floor=0.4, noise=0.008, **_FALLS),
        seed=7,
    ),
    "warm_up": Curve(
        title="A warm-up",
        about="lr_drop",
        look="look-alike",
        shows="Really trained, with a rate that climbs for twenty epochs and then falls along a cosine: it moves all "
        "the time and never drops. Validation loss is lowest while the rate still climbs; for the rest of the "
        "run it rises slowly while accuracy gains.",
        spec=replace(SEED_FIGURE, schedule=Schedule(kind="cosine", warmup=20), seed=3),
    ),
    "relief_weak": Curve(
        title="Relief that is hardly there",
        about="lr_drop_relief",
        look="weak",
        shows="A drop at epoch 100 takes away a floor of one and a half noise widths. The twin without the drop proves"
        " the effect; the curve alone hardly shows it.",
        spec=Composed(drop_1=100, noise_floor=0.02, noise=0.02, **_FALLS),
        seed=8,
    ),
    "null_drop": Curve(
        title="A drop that changes nothing",
        about="lr_drop_relief",
        look="look-alike",
        shows="The rate is divided by five at epoch 60, 120 and 160, and there is no noise floor that could fall. A "
        "drop is a setting, not an event.",
        spec=Composed(**_DROPS, noise=0.015, rho=0.4, **_FALLS),
        seed=9,
    ),
    "loss_accuracy_divergence": Curve(
        title="Loss up, accuracy up",
        about="loss_accuracy_divergence",
        look="strong",
        shows="From epoch 90 validation loss rises by two fifths while validation accuracy gains a point and a half: "
        "fewer examples are wrong, with growing confidence.",
        spec=Composed(drift=0.2, drift_at=90, drift_span=80, gain=0.015, noise=0.012, accuracy_noise=0.002, **_FALLS),
        seed=10,
    ),
    "wrong_decisions": Curve(
        title="Loss up, accuracy down",
        about="loss_accuracy_divergence",
        look="look-alike",
        shows="The loss rises as far, and accuracy falls by six points. That is overfitting of the decisions, and "
        "rescaling the confidence would not mend it.",
        spec=Composed(overfit=0.2, overfit_at=90, overfit_span=80, noise=0.012, accuracy_noise=0.002, **_FALLS),
        seed=10,
    ),
    "train_above_val": Curve(
        title="Training made harder",
        about="train_above_val",
        look="strong",
        shows="Dropout or augmentation lifts the logged training loss for half of the run, until the model fits its "
        "training set well enough to get below validation loss all the same.",
        spec=Composed(decay=10, train_decay=40, train_bayes=0.2, mode=0.15, noise=0.01),
        seed=11,
    ),
    "lag": Curve(
        title="Half an epoch late",
        about="train_above_val",
        look="weak",
        shows="Nothing lifts the training loss here. It is a mean over the epoch, so it is half an epoch old, which "
        "matters while the loss still falls fast.",
        spec=Composed(decay=12, train_decay=12, train_bayes=0.48, noise=0.006, train_noise=0.004),
        seed=12,
    ),
    "easy_validation": Curve(
        title="A validation set that is easier",
        about="train_above_val",
        look="look-alike",
        shows="Even on clean inputs the training set is the harder one: mislabelled, less clean, or leaking into "
        "validation. From the curves nobody can tell that from dropout.",
        spec=Composed(decay=12, train_decay=12, train_bayes=0.65, noise=0.01),
        seed=13,
    ),
    "plateau": Curve(
        title="A plateau before the drop",
        about="plateau",
        look="strong",
        shows="The loss stands still for half of the run at the old rate, and the drop takes it a seventh of the way "
        "down that it still had to go. Whoever stopped at epoch 80 for lack of progress missed it.",
        spec=Composed(drop_1=120, noise_floor=0.3, relax=0.5, noise=0.002, decay=8, train_decay=10),
        seed=14,
    ),
    "converged": Curve(
        title="A tail that has converged",
        about="plateau",
        look="look-alike",
        shows="The loss stands still as long, and nothing comes after it. This is the end, not a plateau.",
        spec=Composed(noise=0.002, decay=8, train_decay=10),
        seed=14,
    ),
    "spike": Curve(
        title="A spike",
        about="spike",
        look="strong",
        shows="One bad step at epoch 100 throws both losses up, and they are back three epochs later.",
        spec=Composed(spike=0.5, spike_at=100, spike_span=3, noise=0.015, rho=0.3, **_FALLS),
        seed=15,
    ),
    "heavy_tails": Curve(
        title="Noise with heavy tails",
        about="spike",
        look="look-alike",
        shows="Nothing happens. The noise has the tails of Student's t with four degrees of freedom, so an evaluation "
        "is far off now and then, up as well as down.",
        spec=Composed(tails=1, noise=0.03, rho=0.2, **_FALLS),
        seed=15,
    ),
    "blow_up": Curve(
        title="A blow-up",
        about="blow_up",
        look="strong",
        shows="At epoch 120 the loss begins to climb, and five epochs later it is not a number any more. Accuracy is "
        "at chance from there on.",
        spec=Composed(blow_up_at=120, blow_up_span=5, noise=0.01, **_FALLS),
        seed=16,
    ),
    "oscillation": Curve(
        title="An oscillation",
        about="oscillation",
        look="strong",
        shows="From epoch 60 to 150 both losses swing with a period of ten epochs, at a rate that does not move.",
        spec=Composed(swing=0.12, swing_at=60, swing_span=90, swing_period=10, noise=0.015, rho=0.3, **_FALLS),
        seed=17,
    ),
    "underfitting": Curve(
        title="A model that is too small",
        about="underfitting",
        look="strong",
        shows="Both losses settle side by side, far above the half nat that the best model would reach. The curves "
        "alone do not show that: they look like a healthy run of a harder task.",
        spec=Composed(underfit=0.8, noise=0.01, decay=12, train_decay=12),
        seed=18,
    ),
    "double_descent": Curve(
        title="A double descent",
        about="double_descent",
        look="strong",
        shows="Validation loss rises from epoch 50 on and comes down again from epoch 95 on, without any change of the "
        "rate: the second descent reaches what the first one did.",
        spec=Composed(
            overfit=0.35,
            overfit_at=50,
            overfit_span=40,
            double_descent=0.9,
            double_descent_at=95,
            double_descent_span=50,
            noise=0.012,
            rho=0.3,
            **_FALLS,
        ),
        seed=19,
    ),
    "delayed_generalization": Curve(
        title="Generalisation that comes late",
        about="delayed_generalization",
        look="strong",
        shows="The training set is fitted within twenty epochs; for eighty more validation stays where it was, and "
        "then it gets there after all.",
        spec=Composed(delay=100, train_decay=4, decay=6, train_top=1.0, train_bayes=0.02, noise=0.01),
        seed=20,
    ),
}


def make(curve: Curve) -> LabelledRun:
    """The run with its truth; a trained one takes its eight sisters and twins, minutes."""
    if isinstance(curve.spec, Composed):
        return compose_one(curve.spec, curve.seed)
    (labelled,) = train([curve.spec])
    return labelled


def rows(run: Run) -> list[list[str]]:
    """The log of a run as the cells of a CSV, five significant digits, the header first."""
    body = zip(run.epochs, *run.series.values(), strict=True)
    return [["epoch", *run.series], *([f"{epoch:.10g}", *(f"{v:.5g}" for v in values)] for epoch, *values in body)]


def said(diagnosis: Diagnosis) -> dict[str, Any]:
    """What the detectors say of a log, as it is quoted."""
    return {
        "reading": diagnosis.reading.text,
        "advice": list(diagnosis.reading.advice),
        "verdicts": {str(v.phenomenon): _verdict(v) for v in diagnosis.verdicts},
    }


def _verdict(verdict: Any) -> dict[str, Any]:
    findings = [
        {"onset": f.onset, "interval": list(f.onset_interval), "end": f.end, "kind": f.kind} for f in verdict.findings
    ]
    return {"status": verdict.status, "reason": verdict.reason, "findings": findings}


def truth(events: tuple[Event, ...]) -> list[dict[str, Any]]:
    """The events of a run, plain numbers of four digits."""
    return [
        {
            "phenomenon": str(e.phenomenon),
            "onset": float(e.onset),
            "end": None if e.end is None else float(e.end),
            "kind": e.kind,
            "material": e.material,
            "effect": {k: float(f"{v:.4g}") for k, v in e.effect.items()},
        }
        for e in events
    ]


def draw(diagnosis: Diagnosis, events: tuple[Event, ...], path: Path) -> None:
    """The picture, in 64 colours, a third of the size of all of them."""
    from PIL import Image

    fig = figure(diagnosis, truth=events)
    fig.set_size_inches(*SIZE)
    full = io.BytesIO()
    fig.savefig(full, dpi=150)
    Image.open(full).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these curves (default: all)")
    parser.add_argument("--keep-logs", action="store_true", help="make no run anew: diagnose the logs that are here")
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(CURVES)):
        parser.error(f"no curve is called {unknown[0]!r}; there are {', '.join(CURVES)}")
    document = PICTURES / "gallery.json"
    entries = json.loads(document.read_text()) if document.exists() else {}
    for name in args.names or CURVES:
        curve = CURVES[name]
        log = PICTURES / f"{name}.csv"
        if args.keep_logs:
            events = tuple(Event(**event) for event in entries[name]["truth"])
        else:
            labelled = make(curve)
            events = labelled.events
            with log.open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(rows(labelled.run))
        (run,) = read(log)
        diagnosis = diagnose(replace(run, name=curve.title, source=log.name))
        draw(diagnosis, events, PICTURES / f"{name}.png")
        entries[name] = {"code": curve.code, "truth": truth(events), **said(diagnosis)}
        found = ", ".join(title(v.phenomenon) for v in diagnosis.verdicts if v.findings)
        true = ", ".join(dict.fromkeys(title(e.phenomenon) for e in events if e.material))
        print(f"{name}: {found or 'nothing'}; truth: {true or 'nothing'}", file=sys.stderr)
    kept = {name: entries[name] for name in CURVES if name in entries}
    document.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
