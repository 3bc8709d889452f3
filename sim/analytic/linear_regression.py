r"""Linear regression by SGD on a finite sample, minibatches drawn with replacement: overfitting and SGD noise at once.

A linear teacher (`sim.analytic.teacher`), n examples X, y = X w* + ε. A step at rate η on B examples drawn with
replacement takes δ = w − w* to δ − η mean(xᵢ (xᵢᵀ δ − εᵢ)); the loss is the mean squared error, not halved in L and R.
With m = E δ, C = E δδᵀ, Ĥ = XᵀX / n, ĥ = Xᵀε / n, given the data and exactly,

    q_i = xᵢᵀ C xᵢ − 2 εᵢ xᵢᵀ m + εᵢ²        E = C Ĥ − m ĥᵀ        G = Ĥ E − ĥ (Ĥ m − ĥ)ᵀ
    C ← C − η (E + Eᵀ) + η² ((1 − 1/B) G + Xᵀ diag(q) X / (n B))        m ← m − η (Ĥ m − ĥ)
    L = mean q        R = σ² + tr(Σ C)

The risk is bias, memorised label noise and SGD noise; a drop removes the last alone, so it brings relief to a run that
already overfits. The ideal world draws fresh examples, where c = E δ² has a recursion of its own (one-pass SGD;
Bordelon & Pehlevan, 2021, arXiv:2106.02713):

    c_k ← (1 − η λ_k)² c_k + (η² / B) (λ_k² c_k + λ_k Σ λ_l c_l + λ_k σ²)

The other twins are the run without each drop and the run with clean labels. An epoch has n // B steps.

Expectations are in double precision (1e-12 of the mean over every sequence of minibatches). They cost O(n d²) a step:
with the default 60 examples, 20 features and 100 epochs about a tenth of a second a run, twins included. A run is a
real path of the same steps; its validation set has `val_size` examples and is the same at each epoch.
Shows: overfitting, lr_drop, lr_drop_relief (also of a run that overfits), generalization_gap, train_above_val.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.vocabulary import Run
from sim.analytic.checks import allow, pairs
from sim.analytic.rates import rates, without_drops
from sim.analytic.teacher import Teacher, check_teacher, scales, teacher
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.randomness import Purpose, generator
from sim.schedules import Schedule
from sim.truth import Expected

__all__ = ["MODEL", "LinearRegression", "draw", "ideal", "make", "moments", "paths"]


@dataclass(frozen=True, kw_only=True)
class LinearRegression:
    """A regression by SGD; the fields of the data are those of the teacher."""

    dimension: int = 20
    decay: float = 1.0
    slow: float = 1.0
    slow_share: float = 0.5
    signal: float = 1.0
    signal_decay: float = 1.0
    noise: float = 0.5
    train_size: int = 60
    val_size: int = 1000
    batch_size: int = 4
    learning_rate: float = 0.15
    schedule: Schedule = field(default_factory=lambda: Schedule(milestones=(50,)))
    epochs: int = 100

    def __post_init__(self) -> None:
        check_teacher(self, least={"batch_size": 1})
        allow(self, "batch_size", self.batch_size <= self.train_size, f"1..train_size={self.train_size}")
        allow(
            self,
            "learning_rate",
            self.learning_rate <= self.fastest,
            f"at most {self.fastest:.6g}, for SGD to be stable",
        )

    @property
    def fastest(self) -> float:
        """The largest rate allowed: below it E|δ|² shrinks, whatever the batches, on all but one in a thousand samples.

        Stable is η ((1 − 1/B) λ̂ + max ‖x‖² / B) < 2. The largest eigenvalue λ̂ of the sample is taken from its edge
        (Marchenko & Pastur, 1967), the largest of n norms from the tail bound of Laurent & Massart, 2000.
        """
        lam, n, B = scales(self)[0], self.train_size, self.batch_size
        t = np.log(1000 * n)
        norm = lam.sum() + 2 * np.sqrt((lam**2).sum() * t) + 2 * lam.max() * t
        curvature = lam.max() * (1 + np.sqrt(self.dimension / n)) ** 2
        return float(2 / ((1 - 1 / B) * curvature + norm / B))

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.train_size // self.batch_size


def moments(data: Teacher, r: LinearRegression, at: np.ndarray, eps: np.ndarray) -> dict[str, np.ndarray]:
    """Exact `risk`, `train_loss_eval` and `train_loss`, each of shape (variants, epochs).

    `at` has shape (variants, epochs) and `eps`, the label noise of each variant, shape (variants, n).
    """
    n, B = len(data.X), r.batch_size
    lam, basis = np.linalg.eigh(data.X.T @ data.X / n)  # the basis in which Ĥ is diagonal
    X = data.X @ basis
    sigma = basis.T @ (data.lam[:, None] * basis)
    h = eps @ X / n
    m = np.broadcast_to(-basis.T @ data.w_star, h.shape)
    C = m[:, :, None] * m[:, None, :]
    out = np.empty((3, *at.shape))

    def losses(m: np.ndarray, C: np.ndarray) -> np.ndarray:
        q: np.ndarray = ((X @ C) * X).sum(-1) - 2 * eps * (m @ X.T) + eps**2
        return q

    q = losses(m, C)
    for x in range(at.shape[1]):
        eta = at[:, x, None]
        logged = np.zeros(len(at))
        for _ in range(r.steps):
            logged += q.mean(1) / r.steps
            E = C * lam - m[:, :, None] * h[:, None, :]
            down = lam * m - h
            G = lam[:, None] * E - h[:, :, None] * down[:, None, :]
            spread = (X.T * q[:, None, :]) @ X / n
            step = eta[:, :, None]
            C = C - step * (E + E.transpose(0, 2, 1)) + step**2 * ((1 - 1 / B) * G + spread / B)
            m = m - eta * down
            q = losses(m, C)
        out[:, :, x] = data.sigma**2 + (sigma * C).sum((1, 2)), q.mean(1), logged
    return dict(zip(("risk", "train_loss_eval", "train_loss"), out, strict=True))


def ideal(data: Teacher, r: LinearRegression, at: np.ndarray) -> np.ndarray:
    """The exact risk of the ideal world at these rates, shape (epochs,)."""
    lam, B = data.lam, r.batch_size
    c = data.w_star**2
    out = np.empty(len(at))
    for x, eta in enumerate(at):
        for _ in range(r.steps):
            c = (1 - eta * lam) ** 2 * c + eta**2 / B * (lam**2 * c + lam * ((lam * c).sum() + data.sigma**2))
        out[x] = data.sigma**2 + (lam * c).sum()
    return out


def paths(
    data: Teacher, r: LinearRegression, at: np.ndarray, order: np.random.Generator, runs: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Runs of SGD: δ at the end of each epoch, (runs, epochs, d), and the logged training loss, (runs, epochs)."""
    delta = np.broadcast_to(-data.w_star, (runs, r.dimension))
    deltas, logged = np.empty((runs, len(at), r.dimension)), np.zeros((runs, len(at)))
    for x, eta in enumerate(at):
        for _ in range(r.steps):
            batch = order.integers(0, len(data.X), (runs, r.batch_size))
            inputs = data.X[batch]
            residual = (inputs * delta[:, None]).sum(-1) - data.eps[batch]
            logged[:, x] += (residual**2).mean(1) / r.steps
            delta = delta - eta * (inputs * residual[..., None]).mean(1)
        deltas[:, x] = delta
    return deltas, logged


def make(recipes: Sequence[LinearRegression], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of recipe and seed. A run is computed alone, so it depends on no company."""
    return [_labelled(recipe, seed) for recipe, seed in pairs(recipes, seeds)]


def _labelled(recipe: LinearRegression, seed: int) -> LabelledRun:
    data, epochs, eta = teacher(recipe, seed), np.arange(1.0, recipe.epochs + 1), rates(recipe)
    twins = without_drops(recipe)
    eps = np.stack([*[data.eps] * (1 + len(twins)), 0 * data.eps])
    curves = moments(data, recipe, np.stack([eta, *twins.values(), eta]), eps)
    risk = curves["risk"]
    (delta,), (logged,) = paths(data, recipe, eta, generator(seed, Purpose.ORDER))
    own = ((np.einsum("xk,nk->xn", delta, data.X) - data.eps) ** 2).mean(1)
    expected = Expected(
        epochs=epochs,
        learning_rate=eta,
        curves={
            **{name: curve[:1] for name, curve in curves.items()},
            "own_risk": data.risk(delta)[None],
            "own_train_loss_eval": own[None],
        },
        without_drop={m: risk[[1 + k]] for k, m in enumerate(twins)},
        twins={"fresh_samples": ideal(data, recipe, eta)[None], "label_noise": risk[-1:]},
        reference=recipe.noise**2,
    )
    series = {"train_loss": logged, "val_loss": data.val_loss(delta), "learning_rate": eta}
    run = Run(epochs=epochs, series=series, name=f"linear_regression-{seed}", source="linear_regression")
    return labelled(run, expected, recipe)


def draw(rng: np.random.Generator) -> LinearRegression:
    """A recipe from few noisy examples, which overfits, to many clean ones, mostly with a drop or two."""
    count = int(rng.integers(1, 3))
    milestones = sorted(rng.choice(np.arange(15, 85), size=count, replace=False).tolist())
    kind = str(rng.choice(["step", "step", "step", "constant", "cosine"]))
    slowest = LinearRegression(
        dimension=int(rng.choice([10, 20])),
        decay=float(rng.uniform(0.3, 1.5)),
        signal=float(rng.uniform(0.5, 2.0)),
        signal_decay=float(rng.uniform(0.0, 2.0)),
        noise=float(np.exp(rng.uniform(np.log(0.1), np.log(1.5)))),
        train_size=int(np.exp(rng.uniform(np.log(24), np.log(160)))),
        val_size=int(rng.choice([200, 1000, 5000])),
        batch_size=int(rng.choice([4, 8])),
        learning_rate=1e-6,
        schedule=Schedule(
            kind=kind,  # type: ignore[arg-type]
            milestones=tuple(int(m) for m in milestones) if kind == "step" else (),
            factor=float(rng.choice([0.1, 0.2, 0.5])),
        ),
    )
    return replace(slowest, learning_rate=slowest.fastest * float(np.exp(rng.uniform(np.log(0.1), np.log(1.0)))))


MODEL = Model(
    name="linear_regression",
    tier=Tier.ANALYTIC,
    recipe=LinearRegression,
    draw=draw,
    make=make,
    series=("train_loss", "val_loss", "learning_rate"),
    curves=("risk", "train_loss", "train_loss_eval", "own_risk", "own_train_loss_eval"),
    block=1,
)
