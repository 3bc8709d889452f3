"""TensorBoard's event files as PyTorch writes them: two runs below one folder, and one whose losses share a plot.

`add_scalars` writes a folder for each line of the plot: `both`, `both/Loss_train` and `both/Loss_val` are one run.
"""

from __future__ import annotations

from pathlib import Path

from fixture import make, neutral
from torch.utils.tensorboard import SummaryWriter
from training import expected, train

EPOCHS = 20
TAGS = {
    "train_loss": "Loss/train",
    "val_loss": "Loss/val",
    "train_accuracy": "Accuracy/train",
    "val_accuracy": "Accuracy/val",
    "learning_rate": "lr",
}


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    runs = [list(train(seed, EPOCHS)) for seed in (0, 1, 2)]
    for seed, epochs in enumerate(runs[:2]):
        with SummaryWriter(out / "runs" / f"seed_{seed}") as writer:
            for epoch in epochs:
                for series, tag in TAGS.items():
                    writer.add_scalar(tag, epoch.series[series], epoch.number)
    with SummaryWriter(out / "together" / "both") as writer:
        for epoch in runs[2]:
            losses = {"train": epoch.series["train_loss"], "val": epoch.series["val_loss"]}
            writer.add_scalars("Loss", losses, epoch.number)
            writer.add_scalar("lr", epoch.series["learning_rate"], epoch.number)
    neutral(out)
    return {
        "runs": [expected(epochs) for epochs in runs[:2]],
        "together": [expected(runs[2], ("train_loss", "val_loss", "learning_rate"))],
    }


if __name__ == "__main__":
    make(script, ("torch", "tensorboard"))
