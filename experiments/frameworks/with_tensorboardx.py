"""TensorBoard's event files as tensorboardX writes them, without PyTorch: a loss a minibatch, the rest an epoch."""

from __future__ import annotations

from pathlib import Path

from fixture import make, neutral
from tensorboardX import SummaryWriter
from training import expected, train

EPOCHS = 20


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    epochs = list(train(3, EPOCHS))
    with SummaryWriter(str(out / "run")) as writer:
        step = 0
        for epoch in epochs:
            for loss in epoch.steps:
                step += 1
                writer.add_scalar("train/loss_step", loss, step)
            for series, value in epoch.series.items():
                side, _, measure = series.partition("_")
                tag = "train/lr" if series == "learning_rate" else f"{side}/{measure}"
                writer.add_scalar(tag, value, epoch.number)
    neutral(out)
    return {"run": [expected(epochs)]}


if __name__ == "__main__":
    make(script, ("tensorboardX",))
