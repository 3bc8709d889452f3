r"""Logistic regression on two Gaussian classes by SGD on a finite sample: overfitting in decisions and in confidence.

Classes y = ±1 with x | y ~ N(y m, Σ), Σ diagonal, and a share `label_noise` of labels flipped, in training and in
validation. Half of the features have scale 1 and separate the classes by κ = `separation`; the other half has scale
`slow` and separates them by `slow_separation`, which SGD learns later; by rotation within a half all of its m lies in
its first feature. From w = 0, a step at rate η on B examples drawn with replacement,

    w ← w + η mean(yᵢ xᵢ σ(−yᵢ wᵀxᵢ))

is real SGD: 8 sisters with the same data and other batches. T, the logged loss, is the mean of log(1 + exp(−yᵢ wᵀxᵢ))
over the batches of an epoch, each before its step; L is that of the whole training set. For any w the margin is
Gaussian, so the population risk, the accuracy, and the risk at the best temperature are exact (`sim.analytic.margin`);
what is expected is the mean over sisters with its standard error. A run is its first sister; its validation set has
`val_size` examples and is the same at each epoch.

Twins draw the same batches by number: without each drop, and with clean labels in training (the validation
distribution stays). The ideal world has fresh examples instead. An epoch has n // B steps.

Shows: overfitting, loss_accuracy_divergence (flat: on few clean examples the weights still grow when their direction
has settled; rising: slow features improve decisions meanwhile), double_descent, generalization_gap, lr_drop, null
drops, lr_drop_relief, train_above_val, underfitting. A run with its twins takes about a tenth of a second.
Soudry et al., 2018, "The implicit bias of gradient descent on separable data", arXiv:1710.10345 (the weights of a
separable sample grow without end).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from detectors.vocabulary import Run
from sim.analytic.checks import allow, check, pairs
from sim.analytic.logistic_sgd import BATCH, EXAMPLES, FEATURES, Lane, trajectories
from sim.analytic.margin import accuracy, risk, risk_calibrated
from sim.analytic.rates import rates, without_drops
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.randomness import Purpose, generator
from sim.schedules import Schedule
from sim.truth import Expected

__all__ = ["MODEL", "LogisticRegression", "Sample", "draw", "make", "sample"]

SISTERS = 8


@dataclass(frozen=True, kw_only=True)
class LogisticRegression:
    """A run of SGD on `train_size` examples of two Gaussian classes in `dimension` features."""

    dimension: int = 20
    separation: float = 1.0
    slow: float = 1.0
    slow_separation: float = 1.0
    label_noise: float = 0.05
    train_size: int = 120
    val_size: int = 1000
    batch_size: int = 8
    learning_rate: float = 0.5
    schedule: Schedule = field(default_factory=Schedule)
    epochs: int = 200

    def __post_init__(self) -> None:
        least = {"dimension": 2, "separation": 0, "slow_separation": 0, "train_size": 2, "val_size": 1, "batch_size": 1}
        check(self, least={**least, "epochs": 2}, above={"learning_rate": 0})
        allow(self, "slow", 1e-6 <= self.slow <= 1, "a share in 1e-6..1")
        allow(self, "val_size", self.val_size <= 100_000, "1..100000")
        allow(self, "dimension", self.dimension <= FEATURES, f"2..{FEATURES}")
        allow(self, "train_size", self.train_size <= EXAMPLES, f"2..{EXAMPLES}")
        most = min(BATCH, self.train_size)
        allow(self, "batch_size", self.batch_size <= most, f"1..{most}")
        allow(self, "label_noise", 0 <= self.label_noise < 0.5, "a share in [0, 0.5)")

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.train_size // self.batch_size

    @property
    def classes(self) -> tuple[np.ndarray, np.ndarray]:
        """m and the square roots of diag Σ, each of shape (FEATURES,), 0 in features that there are not."""
        m, scale, half = np.zeros(FEATURES), np.zeros(FEATURES), (self.dimension + 1) // 2
        scale[:half], scale[half : self.dimension] = 1.0, self.slow
        m[0], m[half] = self.separation, self.slow * self.slow_separation
        return m, scale


class Sample(NamedTuple):
    """Inputs `x`, (examples, FEATURES); labels ±1 as they are and as they were before some were flipped."""

    x: np.ndarray
    y: np.ndarray
    clean: np.ndarray


def sample(recipe: LogisticRegression, seed: int, size: int, inputs: Purpose, labels: Purpose) -> Sample:
    """`size` examples; a larger share of flipped labels flips the same ones and more."""
    m, scale = recipe.classes
    rng = generator(seed, labels)
    clean, luck = rng.choice([-1.0, 1.0], size), rng.random(size)
    x = clean[:, None] * m + scale * generator(seed, inputs).standard_normal((size, FEATURES))
    return Sample(x, np.where(luck < recipe.label_noise, -clean, clean), clean)


def make(recipes: Sequence[LogisticRegression], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of recipe and seed; recipes may differ in everything."""
    together = pairs(recipes, seeds)
    data = [sample(r, s, r.train_size, Purpose.TRAIN_INPUTS, Purpose.TRAIN_LABELS) for r, s in together]
    lanes, ideal, sizes = [], [], []
    for (recipe, seed), of in zip(together, data, strict=True):
        eta = rates(recipe)
        variants = [(eta, of.y), *((other, of.y) for other in without_drops(recipe).values()), (eta, of.clean)]
        sizes.append(len(variants))
        lanes += [Lane(recipe, seed, k, r, of.x, y) for r, y in variants for k in range(SISTERS)]
        ideal += [Lane(recipe, seed, k, eta, of.x, of.y) for k in range(SISTERS)]
    trained, fresh = trajectories(lanes, fresh=False), trajectories(ideal, fresh=True)
    out, start = [], 0
    for i, ((recipe, seed), size) in enumerate(zip(together, sizes, strict=True)):
        mine = [*trained[start : start + SISTERS * size], *fresh[SISTERS * i : SISTERS * (i + 1)]]
        parts = (np.stack(part) for part in zip(*mine, strict=True))
        w, loss, right = (part.reshape(size + 1, SISTERS, *part.shape[1:]) for part in parts)
        out.append(_labelled(recipe, seed, data[i], w, loss[0], right[0]))
        start += SISTERS * size
    return out


def _on(sample: Sample, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy of weights (..., FEATURES) on a sample, each of shape (...)."""
    margin = np.einsum("...k,nk->...n", w, sample.x) * sample.y
    return np.logaddexp(0.0, -margin).mean(-1), ((np.sign(margin) + 1) / 2).mean(-1)


def _labelled(
    recipe: LogisticRegression, seed: int, data: Sample, w: np.ndarray, loss: np.ndarray, right: np.ndarray
) -> LabelledRun:
    """`w` has shape (run, twins without a drop, clean labels, ideal world; sisters, epochs, FEATURES)."""
    epochs, eta, p = np.arange(1.0, recipe.epochs + 1), rates(recipe), recipe.label_noise
    m, scale = recipe.classes
    mu, s = (w * m).sum(-1), np.sqrt((w**2 * scale**2).sum(-1))
    population = risk(mu, s, p)
    best = np.array([np.hypot(recipe.separation, recipe.slow_separation)])
    expected = Expected(
        epochs=epochs,
        learning_rate=eta,
        curves={
            "risk": population[0],
            "population_accuracy": accuracy(mu[0], s[0], p),
            "risk_calibrated": risk_calibrated(mu[0], s[0], p),
            "train_loss": loss,
            "train_accuracy": right,
            "train_loss_eval": _on(data, w[0])[0],
        },
        without_drop={at: population[1 + k] for k, at in enumerate(without_drops(recipe))},
        twins={"label_noise": population[-2], "fresh_samples": population[-1]},
        reference=float(risk_calibrated(best, np.ones(1), p)[0]),
    )
    held_out = sample(recipe, seed, recipe.val_size, Purpose.VAL_INPUTS, Purpose.VAL_LABELS)
    val_loss, val_accuracy = _on(held_out, w[0, 0])
    series = {"train_loss": loss[0], "train_accuracy": right[0], "val_loss": val_loss, "val_accuracy": val_accuracy}
    run = Run(
        epochs=epochs,
        series={**series, "learning_rate": eta},
        name=f"logistic_regression-{seed}",
        source="logistic_regression",
    )
    return labelled(run, expected, recipe)


def draw(rng: np.random.Generator) -> LogisticRegression:
    """A recipe from few examples, which are memorised, to many; slow features, label noise and drops in a half each."""
    count = int(rng.integers(1, 3))
    milestones = sorted(rng.choice(np.arange(20, 120), size=count, replace=False).tolist())
    kind = str(rng.choice(["step", "step", "constant", "cosine"]))
    two = bool(rng.random() < 0.5)
    return LogisticRegression(
        dimension=int(rng.choice([4, 10, 20, 32])),
        separation=float(rng.uniform(0.3, 1.2) if two else rng.uniform(0.5, 2.0)),
        slow=float(np.exp(rng.uniform(np.log(0.08), np.log(0.4)))) if two else 1.0,
        slow_separation=float(rng.uniform(1.0, 3.0)) if two else 0.0,
        label_noise=float(rng.uniform(0.02, 0.25)) if rng.random() < 0.5 else 0.0,
        train_size=int(np.exp(rng.uniform(np.log(24), np.log(240)))),
        val_size=int(rng.choice([500, 1000, 5000])),
        batch_size=int(rng.choice([4, 8, 16])),
        learning_rate=float(np.exp(rng.uniform(np.log(0.02), np.log(1.0)))),
        schedule=Schedule(
            kind=kind,  # type: ignore[arg-type]
            milestones=tuple(int(m) for m in milestones) if kind == "step" else (),
            factor=float(rng.choice([0.1, 0.2, 0.5])),
        ),
        epochs=150,
    )


MODEL = Model(
    name="logistic_regression",
    tier=Tier.ANALYTIC,
    recipe=LogisticRegression,
    draw=draw,
    make=make,
    series=("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"),
    curves=("risk", "population_accuracy", "risk_calibrated", "train_loss", "train_accuracy", "train_loss_eval"),
    block=4,
)
