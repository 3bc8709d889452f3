"""Keras on the JAX backend: `CSVLogger`, which counts epochs from 0, and `History.history` as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import keras
from fixture import make, run
from training import BATCH, CLASSES, INPUTS, SERIES, draw

EPOCHS = 15
KEYS = dict(zip(SERIES, ("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate"), strict=True))


def fit(callbacks: list[keras.callbacks.Callback]) -> dict[str, list[float]]:
    """The history of a small network, with a rate that falls to a fifth after two thirds of the epochs."""
    keras.utils.set_random_seed(0)
    (x, y), validation = draw(seed=0, sets=2)
    model = keras.Sequential(
        [keras.Input((INPUTS,)), keras.layers.Dense(24, "relu"), keras.layers.Dense(CLASSES, "softmax")]
    )
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch != 10 else rate / 5)
    history = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=validation,
        callbacks=[schedule, *callbacks],
        verbose=0,
    )
    return {key: [float(value) for value in values] for key, values in history.history.items()}


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    history = fit([keras.callbacks.CSVLogger(out / "training.csv")])
    (out / "history.json").write_text(json.dumps(history))
    series = {name: history[key] for name, key in KEYS.items()}
    return {
        "training.csv": [run(range(EPOCHS), series)],
        "history.json": [run(range(1, EPOCHS + 1), series)],  # lists alone say nothing of epochs: counted from 1
    }


if __name__ == "__main__":
    make(script, ("keras", "jax"))
