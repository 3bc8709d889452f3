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

CURVES: dict[str, Curve] = {
    "question": Curve(
        title="The question's curve",
        about="lr_drop_relief",
        look="strong",
        shows="A network really trained, with the question's schedule; nothing is injected. All four boxes are in its "
        "truth: a rise before the drop, relief at it, a rise afterwards over which accuracy does not fall, and "
        "training loss above validation loss at the start.",
        spec=replace(SEED_FIGURE, seed=16),
    ),
    "healthy": Curve(
        title="A healthy run",
        about="overfitting",
        look="look-alike",
        shows="A network that sees fresh examples at every step cannot memorise them. The loss falls to the end, and "
        "that is what a run without a finding looks like.",
        spec=replace(HEALTHY, seed=0),
    ),
    "overfitting": Curve(
        title="Overfitting",
        about="overfitting",
        look="strong",
        shows="Validation loss turns at epoch 80 and climbs for fifty epochs; training loss goes on down, validation "
        "accuracy falls.",
        spec=Composed(
            overfit=0.4, overfit_at=80, slope=0.3, decay=14, train_decay=20, train_bayes=0.05, noise=0.015, rho=0.3
        ),
        seed=3,
    ),
    "overfitting_weak": Curve(
        title="A rise that is hardly there",
        about="overfitting",
        look="weak",
        shows="The same, a tenth as high, in noise of a fiftieth. An eye sees it once it is told; what the detector "
        "can say is how small a rise it would have seen.",
        spec=Composed(
            overfit=0.03, overfit_at=80, slope=0.3, decay=14, train_decay=20, train_bayes=0.3, noise=0.02, rho=0.3
        ),
        seed=3,
    ),
    "shared_rise": Curve(
        title="A rise that training shares",
        about="overfitting",
        look="look-alike",
        shows="Both losses rise together: a rate that is too high, data that changed, a bug. Whatever it is, the model "
        "does not fit its training set better, so it is not overfitting.",
        spec=Composed(shared=0.3, overfit_at=90, overfit_span=60, decay=12, train_decay=12, noise=0.01),
        seed=1,
    ),
    "noisy_plateau": Curve(
        title="A plateau that wanders",
        about="overfitting",
        look="look-alike",
        shows="Nothing happens after epoch 40. The noise remembers (autocorrelation 0.8), so it drifts for a dozen "
        "epochs at a time, and its lowest point is somewhere by chance.",
        spec=Composed(decay=8, noise=0.03, rho=0.8, accuracy_noise=0.006),
        seed=4,
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
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(CURVES)):
        parser.error(f"no curve is called {unknown[0]!r}; there are {', '.join(CURVES)}")
    document = PICTURES / "gallery.json"
    entries = json.loads(document.read_text()) if document.exists() else {}
    for name in args.names or CURVES:
        curve = CURVES[name]
        labelled = make(curve)
        log = PICTURES / f"{name}.csv"
        with log.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows(labelled.run))
        (run,) = read(log)
        diagnosis = diagnose(replace(run, name=curve.title, source=log.name))
        draw(diagnosis, labelled.events, PICTURES / f"{name}.png")
        entries[name] = {"code": curve.code, "truth": truth(labelled.events), **said(diagnosis)}
        found = ", ".join(title(v.phenomenon) for v in diagnosis.verdicts if v.findings)
        true = ", ".join(dict.fromkeys(title(e.phenomenon) for e in labelled.events if e.material))
        print(f"{name}: {found or 'nothing'}; truth: {true or 'nothing'}", file=sys.stderr)
    kept = {name: entries[name] for name in CURVES if name in entries}
    document.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
