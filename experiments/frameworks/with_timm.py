"""timm's `summary.csv`, written by its `update_summary` as timm's `train.py` calls it: the evaluation in percent.

`train.py` itself needs a folder of pictures and minutes; the columns are those it passes.
"""

from __future__ import annotations

from pathlib import Path

import vision  # noqa: F401

# isort: split
from fixture import make, run
from timm.utils import update_summary
from training import train

EPOCHS = 20


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    epochs = list(train(4, EPOCHS))
    for i, epoch in enumerate(epochs):
        logged = epoch.series
        update_summary(
            epoch.number - 1,
            {"loss": logged["train_loss"]},
            {"loss": logged["val_loss"], "top1": 100 * logged["val_accuracy"], "top5": 100.0},
            "summary.csv",
            lr=logged["learning_rate"],
            write_header=i == 0,
        )
    names = ("train_loss", "val_loss", "val_accuracy", "learning_rate")
    return {"summary.csv": [run(range(EPOCHS), {name: [e.series[name] for e in epochs] for name in names})]}


if __name__ == "__main__":
    make(script, ("timm",))
