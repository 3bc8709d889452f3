"""A training run small enough to log a hundred times: softmax regression on random classes, by minibatch SGD in numpy.

For loggers that bring no training loop of their own (TensorBoard's writers, MLflow, Weights & Biases, timm's summary).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from fixture import run

SERIES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate")
EXAMPLES, INPUTS, CLASSES, BATCH = 96, 12, 3, 16


@dataclass
class Epoch:
    """What a loop knows when an epoch (counted from 1) is over; `steps` are the losses of its minibatches."""

    number: int
    steps: list[float] = field(default_factory=list)
    series: dict[str, float] = field(default_factory=dict)


def draw(seed: int, sets: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Data sets of one distribution: inputs of shape (EXAMPLES, INPUTS), float32, and classes of shape (EXAMPLES,)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(CLASSES, INPUTS))
    drawn = []
    for _ in range(sets):
        y = rng.integers(CLASSES, size=EXAMPLES)
        drawn.append(((centres[y] + 2.0 * rng.normal(size=(EXAMPLES, INPUTS))).astype(np.float32), y))
    return drawn


def train(seed: int, epochs: int) -> Iterator[Epoch]:
    """Train with a learning rate that falls to a fifth after two thirds of `epochs`, and yield each epoch's numbers."""
    (x, y), (x_val, y_val) = draw(seed, sets=2)
    rng = np.random.default_rng(seed)
    weights = np.zeros((INPUTS, CLASSES))
    for number in range(1, epochs + 1):
        rate = 0.1 if number <= 2 * epochs // 3 else 0.02
        epoch = Epoch(number)
        correct = 0
        for batch in rng.permutation(EXAMPLES).reshape(-1, BATCH):
            p = _softmax(x[batch] @ weights)
            epoch.steps.append(_loss(p, y[batch]))
            correct += int((p.argmax(1) == y[batch]).sum())
            weights -= rate * x[batch].T @ (p - np.eye(CLASSES)[y[batch]]) / BATCH
        p = _softmax(x_val @ weights)
        epoch.series = {
            "train_loss": float(np.mean(epoch.steps)),
            "val_loss": _loss(p, y_val),
            "train_accuracy": correct / EXAMPLES,
            "val_accuracy": float((p.argmax(1) == y_val).mean()),
            "learning_rate": rate,
        }
        yield epoch


def expected(epochs: Sequence[Epoch], names: Iterable[str] = SERIES) -> dict[str, object]:
    """What a reader has to find in a log of `names`."""
    return run([epoch.number for epoch in epochs], {name: [epoch.series[name] for epoch in epochs] for name in names})


def _softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def _loss(p: np.ndarray, y: np.ndarray) -> float:
    return float(-np.log(p[np.arange(len(y)), y]).mean())
