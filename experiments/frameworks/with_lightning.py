"""PyTorch Lightning: `CSVLogger` (train and validation of an epoch on rows of their own) and `TensorBoardLogger`.

The training loss is logged on_step and on_epoch, the learning rate by `LearningRateMonitor`, as its tutorials do.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import vision  # noqa: F401

# isort: split
import pytorch_lightning as pl
import torch
from fixture import make, neutral, run
from pytorch_lightning.callbacks import Callback, LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, TensorDataset
from training import BATCH, CLASSES, INPUTS, draw

EPOCHS = 15
KEYS = {
    "train_loss": "train_loss_epoch",
    "val_loss": "val_loss",
    "train_accuracy": "train_acc",
    "val_accuracy": "val_acc",
    "learning_rate": "lr",
}


class Network(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(INPUTS, 24), torch.nn.ReLU(), torch.nn.Linear(24, CLASSES))

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self.net(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        self.log("train_acc", (logits.argmax(1) == y).float().mean(), on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self.net(x)
        self.log("val_loss", torch.nn.functional.cross_entropy(logits, y))
        self.log("val_acc", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, [10], gamma=0.2)]


class Memory(Callback):
    """What the trainer itself holds: the rate when an epoch starts, the rest at its end, after validation."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_start(self, trainer, module):
        self.rows.append({"lr": trainer.optimizers[0].param_groups[0]["lr"]})

    def on_train_epoch_end(self, trainer, module):
        self.rows[-1].update({key: float(value) for key, value in trainer.callback_metrics.items()})


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    pl.seed_everything(0)
    train, validation = (TensorDataset(torch.from_numpy(x), torch.from_numpy(y)) for x, y in draw(seed=0, sets=2))
    memory = Memory()
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=[CSVLogger(out, name="csv", version=0), TensorBoardLogger(out, name="tensorboard", version=0)],
        callbacks=[memory, LearningRateMonitor("epoch")],
        log_every_n_steps=2,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Network(), DataLoader(train, BATCH, shuffle=True), DataLoader(validation, BATCH))
    neutral(out)
    series = {name: [row[key] for row in memory.rows] for name, key in KEYS.items()}
    return {"csv/version_0/metrics.csv": [run(range(EPOCHS), series)], "tensorboard": [run(range(EPOCHS), series)]}


if __name__ == "__main__":
    make(script, ("torch", "pytorch-lightning", "tensorboard"))
