"""Losses logged in parts: Ultralytics logs what a box, a class and an edge cost, and people mean their sum.

The parts are weighted already, so the sum is what training minimises. Parts of other loggers have weights that no log
tells, and stay as they are.
"""

from __future__ import annotations

import numpy as np

from detectors.readers import names
from detectors.readers.table import listing

__all__ = ["add"]

PARTS = (
    *("box_loss", "cls_loss", "dfl_loss", "obj_loss"),  # detection, old and new
    *("seg_loss", "sem_loss", "pose_loss", "kobj_loss", "rle_loss", "angle_loss"),  # masks, key points, turned boxes
    *("giou_loss", "l1_loss"),  # with transformers
)
SIDES = {"train_loss": "train", "val_loss": "val"}


def add(columns: dict[str, np.ndarray]) -> list[str]:
    """Add `train/loss` and `val/loss` to `columns` where only parts of them are logged, and say so in notes."""
    notes = []
    logged = {meaning.series for meaning in map(names.lookup, columns) if meaning}
    for series, side in SIDES.items():
        wanted = {f"{side}_{part}" for part in PARTS}
        parts = [column for column in columns if names.snake(column) in wanted]
        if len(parts) > 1 and series not in logged:
            columns[f"{side}/loss"] = np.sum([columns[part] for part in parts], axis=0)
            notes.append(f"{series} is the sum of {listing(parts)}")
    return notes
