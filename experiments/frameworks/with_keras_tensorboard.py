"""Keras' `TensorBoard` callback: one run in the folders `train` and `validation`, its numbers as tensors.

The callback needs TensorFlow, whatever the backend, so this script stays out of the extra [frameworks]:
`pip install keras jax tensorflow-cpu tensorboard` in an environment of its own.
"""

from __future__ import annotations

from pathlib import Path

import keras
from fixture import make, neutral, run
from with_keras import EPOCHS, KEYS, fit


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    history = fit([keras.callbacks.TensorBoard(out / "logs", write_graph=False)])
    neutral(out)
    return {"logs": [run(range(EPOCHS), {name: history[key] for name, key in KEYS.items()})]}


if __name__ == "__main__":
    make(script, ("keras", "tensorflow-cpu"))
