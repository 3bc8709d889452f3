"""fastai's `CSVLogger`: `history.csv` of a network on arrays, trained by one cycle."""

from __future__ import annotations

from pathlib import Path

import vision  # noqa: F401

# isort: split
import fastai.callback.schedule  # noqa: F401, gives a Learner its fit_one_cycle
import torch
from fastai.callback.progress import CSVLogger
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from fixture import make, run
from torch.utils.data import TensorDataset
from training import BATCH, CLASSES, INPUTS, draw

EPOCHS = 12


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    set_seed(0, reproducible=True)
    sets = [TensorDataset(torch.from_numpy(x), torch.from_numpy(y)) for x, y in draw(seed=0, sets=2)]
    loaders = DataLoaders(*(DataLoader(s, bs=BATCH, shuffle=i == 0) for i, s in enumerate(sets)), device="cpu")
    model = torch.nn.Sequential(torch.nn.Linear(INPUTS, 24), torch.nn.ReLU(), torch.nn.Linear(24, CLASSES))
    learner = Learner(loaders, model, torch.nn.functional.cross_entropy, metrics=accuracy, path=out)
    with learner.no_bar():
        learner.fit_one_cycle(EPOCHS, 0.05, cbs=CSVLogger())
    train_loss, val_loss, val_accuracy = zip(*((float(x) for x in row) for row in learner.recorder.values), strict=True)
    series = {"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_accuracy}
    return {"history.csv": [run(range(EPOCHS), series)]}


if __name__ == "__main__":
    make(script, ("torch", "fastai"))
