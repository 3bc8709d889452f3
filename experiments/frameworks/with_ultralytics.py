"""Ultralytics' `results.csv`: a small YOLO, from its configuration and without weights, finds squares in noise.

`train_loss` is the sum of its three losses, of boxes, of classes and of the distribution of edges.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["YOLO_OFFLINE"] = "true"

import vision

# isort: split
import numpy as np
import torchvision
from fixture import make, run
from PIL import Image
from ultralytics import YOLO, settings
from ultralytics.utils.nms import TorchNMS

EPOCHS, SIZE = 10, 64
LOSSES = ("box_loss", "cls_loss", "dfl_loss")


def picture(rng: np.random.Generator, folder: Path, n: int) -> None:
    """A bright square on noise, and a line with its class, centre, width and height in parts of the picture."""
    pixels = rng.integers(0, 120, size=(SIZE, SIZE, 3), dtype=np.uint8)
    side = int(rng.integers(16, 32))
    x, y = rng.integers(0, SIZE - side, size=2)
    pixels[y : y + side, x : x + side] = 240
    Image.fromarray(pixels).save(folder / "images" / f"{n}.png")
    box = np.array([x + side / 2, y + side / 2, side, side]) / SIZE
    (folder / "labels" / f"{n}.txt").write_text("0 " + " ".join(f"{value:.6f}" for value in box))


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    settings.update({"mlflow": False, "tensorboard": False, "wandb": False})  # it would log to whatever is installed
    rng = np.random.default_rng(0)
    data = Path(tempfile.mkdtemp())
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (data / split / part).mkdir(parents=True)
        for n in range(16):
            picture(rng, data / split, n)
    (data / "squares.yaml").write_text(f"path: {data}\ntrain: train/images\nval: val/images\nnames: {{0: square}}\n")

    memory: list[dict[str, float]] = []

    def remember(trainer) -> None:
        losses = trainer.label_loss_items(trainer.tloss, prefix="train")
        memory.append({**losses, **trainer.metrics, **trainer.lr})

    if vision.declared:  # torchvision's own is not there
        torchvision.ops.nms = TorchNMS.nms
    model = YOLO("yolov8n.yaml")
    model.add_callback("on_fit_epoch_end", remember)
    model.train(
        data=str(data / "squares.yaml"),
        epochs=EPOCHS,
        imgsz=SIZE,
        batch=8,
        workers=0,
        device="cpu",
        seed=0,
        plots=False,
        amp=False,
        verbose=False,
        project=str(data),
        name="run",
    )
    shutil.copy(data / "run" / "results.csv", "results.csv")
    memory = memory[:EPOCHS]  # the best weights are judged once more at the end
    series = {
        "train_loss": [sum(float(row[f"train/{loss}"]) for loss in LOSSES) for row in memory],
        "val_loss": [sum(float(row[f"val/{loss}"]) for loss in LOSSES) for row in memory],
        "learning_rate": [row["lr/pg0"] for row in memory],
    }
    return {"results.csv": [run(range(1, EPOCHS + 1), series)]}


if __name__ == "__main__":
    make(script, ("torch", "ultralytics"))
