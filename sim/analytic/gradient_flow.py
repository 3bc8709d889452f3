r"""Linear regression by gradient flow on a finite sample: overfitting without any noise of SGD, in closed form.

A linear teacher (`sim.analytic.teacher`), n examples X, y = X w* + ε. The error δ = w − w* starts at −w* and follows
the gradient of half the mean squared error, dδ/dt = −η (Ĥ δ − ĥ) with Ĥ = XᵀX / n and ĥ = Xᵀε / n. In the eigenbasis
of Ĥ, with eigenvalues λ̂, τ the sum of the rates so far (an epoch is one unit of time) and g = λ̂ δ(0) − ĥ,

    δ(τ) = δ(0) − g (1 − e^(−λ̂τ)) / λ̂        R = σ² + δᵀ Σ δ        L = L∞ + Σ (g² / λ̂) e^(−2λ̂τ)

and the mean of L over an epoch, what a loop logs, has e^(−2λ̂τ) (1 − e^(−2λ̂η)) / (2λ̂η) of its start. All is exact given
the data, in double precision (1e-10 of a matrix exponential). The ideal world, fresh examples without end, has
R = σ² + Σ λ w*² e^(−2λτ), which never rises; the twin with clean labels has ĥ = 0.

Over draws of teacher and noise a mode with eigenvalue λ and E[w*²] = θ² is best stopped at (`stopping_times`)

    τ = ln(1 + n λ θ² / σ²) / λ        Advani & Saxe, 2017, arXiv:1710.03667; here with weights that start at zero

A drop only slows what goes on: it is relief while the risk rises, and harmful while it falls. Features at two scales
overfit one after the other: Heckel & Yilmaz, 2021, "Early stopping in deep networks: double descent and how to
eliminate it", arXiv:2007.10099 (there the sample covariance is that of the population).

Observed: the validation loss on `val_size` examples, as smooth as the risk, and shifted by the luck of the set; the
training loss exactly. Shows: overfitting, double_descent, generalization_gap, lr_drop, lr_drop_relief,
train_above_val, underfitting. A run with its twins and its truth takes about a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from detectors.vocabulary import Run
from sim.analytic.checks import pairs
from sim.analytic.rates import rates, without_drops
from sim.analytic.teacher import Teacher, check_teacher, rotated, scales, teacher
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.schedules import Schedule
from sim.truth import Expected

__all__ = ["MODEL", "GradientFlow", "Modes", "draw", "flow", "make", "stopping_times", "training_loss"]

NO_CURVATURE = 1e-12  # of the largest eigenvalue: below it a mode is one in which the sample has no example


@dataclass(frozen=True, kw_only=True)
class GradientFlow:
    """A regression of `dimension` features on `train_size` examples; the fields of the data are those of the teacher.

    `learning_rate` is the time τ that an epoch takes.
    """

    dimension: int = 32
    decay: float = 1.0
    slow: float = 1.0
    slow_share: float = 0.5
    signal: float = 1.0
    signal_decay: float = 1.0
    noise: float = 1.0
    train_size: int = 64
    val_size: int = 1000
    learning_rate: float = 0.2
    schedule: Schedule = field(default_factory=lambda: Schedule(kind="constant", milestones=()))
    epochs: int = 200

    def __post_init__(self) -> None:
        check_teacher(self)


class Modes(NamedTuple):
    """In the eigenbasis of Ĥ: eigenvalues `lam`, δ(0), g and Σ; the basis, in columns; and the loss L∞ at the end."""

    lam: np.ndarray
    delta0: np.ndarray
    g: np.ndarray
    basis: np.ndarray
    end: float


def _init(data: Teacher) -> tuple[Modes, Modes]:
    """The modes of the run, and of its twin with clean labels."""
    lam, basis = np.linalg.eigh(data.X.T @ data.X / len(data.X))
    lam = np.where(lam > NO_CURVATURE * lam[-1], lam, 0.0)
    delta0 = -basis.T @ data.w_star
    h = np.where(lam > 0, basis.T @ (data.X.T @ data.eps) / len(data.eps), 0.0)
    explained = np.divide(h**2, lam, out=np.zeros_like(h), where=lam > 0).sum()
    end = max(float(data.eps @ data.eps / len(data.eps) - explained), 0.0)
    return Modes(lam, delta0, lam * delta0 - h, basis, end), Modes(lam, delta0, lam * delta0, basis, 0.0)


def flow(modes: Modes, eta: np.ndarray) -> np.ndarray:
    """δ at the end of each epoch at these rates, shape (epochs, d)."""
    lam = np.where(modes.lam > 0, modes.lam, 1.0)  # modes without curvature stay where they are: g = 0
    delta = modes.delta0 + modes.g / lam * np.expm1(-lam * np.cumsum(eta)[:, None])
    return rotated(delta, modes.basis.T)


def training_loss(modes: Modes, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L at the end of each epoch and its mean over the epoch, each of shape (epochs,)."""
    lam = np.where(modes.lam > 0, modes.lam, 1.0)
    tau = np.cumsum(np.append(0.0, eta))[:, None]
    left = modes.g**2 / lam * np.exp(-2 * lam * tau)
    span = np.maximum(2 * lam * eta[:, None], 1e-300)
    logged = left[:-1] * -np.expm1(-span) / span
    return modes.end + left[1:].sum(1), modes.end + logged.sum(1)


def stopping_times(recipe: GradientFlow) -> np.ndarray:
    """The best τ of each feature, shape (dimension,), over draws of teacher and noise and with Ĥ = diag λ."""
    lam, contributes = scales(recipe)
    if recipe.noise == 0:
        return np.full(recipe.dimension, np.inf)
    times: np.ndarray = np.log1p(recipe.train_size * contributes / recipe.noise**2) / lam
    return times


def make(recipes: Sequence[GradientFlow], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of recipe and seed. A run is computed alone, so it depends on no company."""
    return [_labelled(recipe, seed) for recipe, seed in pairs(recipes, seeds)]


def _labelled(recipe: GradientFlow, seed: int) -> LabelledRun:
    data, epochs, eta = teacher(recipe, seed), np.arange(1.0, recipe.epochs + 1), rates(recipe)
    modes, clean = _init(data)
    delta, (level, logged) = flow(modes, eta), training_loss(modes, eta)
    ideal = -data.w_star * np.exp(-data.lam * np.cumsum(eta)[:, None])
    expected = Expected(
        epochs=epochs,
        learning_rate=eta,
        curves={"risk": data.risk(delta)[None], "train_loss_eval": level[None], "train_loss": logged[None]},
        without_drop={at: data.risk(flow(modes, other))[None] for at, other in without_drops(recipe).items()},
        twins={"fresh_samples": data.risk(ideal)[None], "label_noise": data.risk(flow(clean, eta))[None]},
        reference=recipe.noise**2,
    )
    series = {"train_loss": logged, "val_loss": data.val_loss(delta), "learning_rate": eta}
    return labelled(
        Run(epochs=epochs, series=series, name=f"gradient_flow-{seed}", source="gradient_flow"), expected, recipe
    )


def draw(rng: np.random.Generator) -> GradientFlow:
    """A recipe with one scale or two, few or many examples, noise from none to twice the signal, drops in a half."""
    two = bool(rng.random() < 0.4)
    count = int(rng.integers(1, 3))
    milestones = sorted(rng.choice(np.arange(20, 160), size=count, replace=False).tolist())
    kind = str(rng.choice(["step", "constant", "constant", "cosine"]))
    return GradientFlow(
        dimension=int(rng.choice([16, 32, 48])),
        decay=0.0 if two else float(rng.uniform(0.0, 1.5)),
        slow=float(np.exp(rng.uniform(np.log(0.01), np.log(0.05)))) if two else 1.0,
        slow_share=float(rng.uniform(0.3, 0.95)),
        signal=float(rng.uniform(0.5, 2.0)),
        signal_decay=float(rng.uniform(0.0, 1.5)),
        noise=float(np.exp(rng.uniform(np.log(0.1), np.log(1.5)))),
        train_size=int(np.exp(rng.uniform(np.log(24), np.log(400)))),
        val_size=int(rng.choice([200, 1000, 5000])),
        learning_rate=float(np.exp(rng.uniform(np.log(0.02), np.log(0.5)))),
        schedule=Schedule(
            kind=kind,  # type: ignore[arg-type]
            milestones=tuple(int(m) for m in milestones) if kind == "step" else (),
            factor=float(rng.choice([0.1, 0.2, 0.5])),
        ),
    )


MODEL = Model(
    name="gradient_flow",
    tier=Tier.ANALYTIC,
    recipe=GradientFlow,
    draw=draw,
    make=make,
    series=("train_loss", "val_loss", "learning_rate"),
    curves=("risk", "train_loss", "train_loss_eval"),
    block=1,
)
