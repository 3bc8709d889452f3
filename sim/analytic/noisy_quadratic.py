r"""SGD on a quadratic bowl: the smallest model with a noise floor, relief at a drop, and overfitting.

Modes i with curvature hᵢ. A minibatch of B examples costs, and its gradient is,

    bayes + Σ (½ hᵢ θᵢ² + nᵢ θᵢ)        gᵢ = hᵢ θᵢ + nᵢ,        nᵢ ~ N(0, cᵢ / B),  cᵢ = noise² hᵢ

so the training loss is L = bayes + ½ Σ hᵢ θᵢ². Validation has the same bowl moved to δ: R = bayes + ½ Σ hᵢ (θᵢ − δ)².
Where 0 < δ < θ(0), the weights come past δ on their way to 0, and from there on the validation loss rises.
SGD as in PyTorch, v ← μ v + g and θ ← θ − η v, or with Nesterov θ ← θ − η (g + μ v), is linear in x = (θ, v):

    x ← A x + b n        A = [[1 − ηh, −ημ], [h, μ]],  b = (−η, 1)
                         A = [[1 − η(1 + μ)h, −ημ²], [h, μ]],  b = (−η(1 + μ), 1)        (Nesterov)

Mean and covariance are exact, m ← A m and V ← A V Aᵀ + b bᵀ c/B, and so is the mean of E[θ²] over the K steps of an
epoch, which is what a loop logs (`sim.analytic.stretch` takes all of them at once). At a constant rate V goes to the
floor η c (1 + μ) / (B (1 − μ) h (2 (1 + μ) − η h)) (heavy ball), proportional to η while η h is small: that is the
relief of a drop. A drop also slows the descent, so it may be harmful as well.

Expectations are in double precision (1e-12 against the recursion step by step). A run is a real path in single
precision, and its validation set of `val_size` examples tilts the bowl by Σ nᵢ (θᵢ − δ), nᵢ ~ N(0, cᵢ / val_size).
Shows: overfitting, lr_drop, lr_drop_relief and null drops, generalization_gap, train_above_val. A run with its
twins and its truth takes about two milliseconds.
Zhang et al., 2019, "Which algorithmic choices matter at which batch sizes?", arXiv:1907.04164 (δ = 0, plain SGD).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from detectors.vocabulary import Run
from sim.analytic.blocks import blocks, program_epochs
from sim.analytic.checks import LARGEST, allow, check, pairs
from sim.analytic.rates import rates, without_drops
from sim.analytic.stretch import Stretch, dot, power, turned
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.randomness import Purpose, stream
from sim.schedules import Schedule
from sim.truth import Expected

__all__ = ["MODEL", "NoisyQuadratic", "draw", "make", "moments", "paths"]

MODES = 32  # of the compiled program; modes that a recipe does not have are flat
BLOCK = 64  # runs in a compiled block


@dataclass(frozen=True, kw_only=True)
class NoisyQuadratic:
    """A run of SGD in a bowl. The spectrum is a power law, hᵢ = curvature i^(−decay), flat for decay 0, or given.

    θ(0) = `start` and δ = `shift` in every mode. An epoch has `steps` steps of `batch_size` examples.
    """

    modes: int = 32
    curvature: float = 1.0
    decay: float = 1.0
    spectrum: tuple[float, ...] = ()
    start: float = 1.0
    shift: float = 0.0
    noise: float = 1.0
    bayes: float = 0.1
    val_size: int = 1000
    batch_size: int = 8
    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    schedule: Schedule = field(default_factory=Schedule)
    steps: int = 10
    epochs: int = 200

    def __post_init__(self) -> None:
        object.__setattr__(self, "spectrum", tuple(self.spectrum))
        least = {"modes": 1, "decay": 0, "noise": 0, "bayes": 0}
        least |= {"batch_size": 1, "val_size": 1, "steps": 1, "epochs": 2}
        check(self, least=least, above={"curvature": 0, "learning_rate": 0})
        allow(self, "modes", self.modes <= MODES, f"1..{MODES}")
        allow(self, "decay", self.decay <= 10, "0..10")
        allow(self, "momentum", 0 <= self.momentum < 1, "a number in [0, 1)")
        if self.spectrum:
            given = np.array(self.spectrum, np.float64)
            allow(self, "spectrum", given.ndim == 1 and given.size <= MODES, f"up to {MODES} curvatures")
            allow(self, "spectrum", ((given > 0) & (given <= LARGEST)).all(), f"curvatures above 0, at most {LARGEST}")
        edge = 2 * (1 + self.momentum) / (1 + 2 * self.momentum * self.nesterov) / float(self.h.max())
        allow(self, "learning_rate", self.learning_rate < edge, f"below {edge:.6g}, from where on the bowl is unstable")

    @property
    def h(self) -> np.ndarray:
        """The curvatures, shape (MODES,), 0 where there is no mode."""
        h = np.zeros(MODES)
        given = self.spectrum or self.curvature * np.arange(1.0, self.modes + 1) ** -self.decay
        h[: len(given)] = given
        return h


def _init(recipes: Sequence[NoisyQuadratic], at: np.ndarray) -> Stretch:
    """One step of each recipe at its rate in `at`, shape (n,); arrays of shape (entries, n, MODES)."""

    def column(name: str) -> np.ndarray:
        return np.array([[getattr(r, name)] for r in recipes], np.float64)

    h, mu, eta = np.stack([r.h for r in recipes]), column("momentum"), at[:, None]
    nesterov = column("nesterov") > 0
    reach, keep = np.where(nesterov, eta * (1 + mu), eta), np.where(nesterov, eta * mu**2, eta * mu)
    one, c = np.ones_like(h), column("noise") ** 2 * h / column("batch_size")
    A = np.stack([1 - reach * h, -keep * one, h, mu * one])
    Q = np.stack([reach**2 * c, -reach * c, c])
    return Stretch(A, Q, np.stack([one, 0 * one, 0 * one]), 0 * one)


def moments(recipes: Sequence[NoisyQuadratic], at: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Exact `risk`, `train_loss_eval` and `train_loss` of each recipe at its rates.

    `at[i]` has shape (variants, epochs), and so has each curve; all recipes have equal `steps` and `epochs`.
    """
    owner = np.repeat(np.arange(len(recipes)), [len(of) for of in at])
    tables = [np.unique(of, return_inverse=True) for of in at]
    offset = np.cumsum([0, *(len(distinct) for distinct, _ in tables)])
    which = np.concatenate([first + k.reshape(of.shape) for first, (_, k), of in zip(offset, tables, at, strict=False)])
    of_table = [r for r, (distinct, _) in zip(recipes, tables, strict=True) for _ in distinct]
    epoch = power(_init(of_table, np.concatenate([distinct for distinct, _ in tables])), recipes[0].steps)
    table = np.concatenate([epoch.A, epoch.Q, epoch.W, epoch.w[None]])
    h = np.stack([recipes[int(i)].h for i in owner])
    start, delta, bayes = (
        np.array([[getattr(recipes[int(i)], k)] for i in owner]) for k in ("start", "shift", "bayes")
    )
    m = np.stack([start * (h > 0), 0 * h])
    V = np.zeros((3, *h.shape))
    out = np.empty((3, *which.shape))
    for x in range(which.shape[1]):
        now = table[:, which[:, x]]
        A, Q, W, w = now[:4], now[4:7], now[7:10], now[10]
        logged = (dot(W, V + np.stack([m[0] * m[0], m[0] * m[1], m[1] * m[1]])) + w) / recipes[0].steps
        m = np.stack([A[0] * m[0] + A[1] * m[1], A[2] * m[0] + A[3] * m[1]])
        V = turned(A, V) + Q
        for i, square in enumerate((V[0] + (m[0] - delta) ** 2, V[0] + m[0] ** 2, logged)):
            out[i, :, x] = bayes[:, 0] + (h * square).sum(-1) / 2
    names = ("risk", "train_loss_eval", "train_loss")
    return [dict(zip(names, out[:, owner == i], strict=True)) for i in range(len(recipes))]


@lru_cache(maxsize=8)
def _program(longest: int) -> Any:
    """The compiled block: train_loss, val_loss, R and L of the path, (4, BLOCK, longest), of which `epochs` are run."""

    def normal(seed: jax.Array, purpose: Purpose, *counters: Any) -> jax.Array:
        return jax.vmap(lambda s: jax.random.normal(stream(s, purpose, *counters), (MODES,)))(seed)

    def run(c: dict[str, Any], eta: jax.Array, seed: jax.Array, steps: Any, epochs: Any) -> jax.Array:
        h, mu, delta, bayes = c["h"], c["momentum"][:, None], c["shift"][:, None], c["bayes"]
        spread = c["noise"][:, None] * jnp.sqrt(h)
        tilt = spread / jnp.sqrt(c["val_size"])[:, None] * normal(seed, Purpose.VAL_INPUTS)

        def epoch(x: Any, carry: Any) -> Any:
            rate = jax.lax.dynamic_slice_in_dim(eta, x, 1, 1)

            def step(k: Any, state: Any) -> Any:
                theta, v, total = state
                noise = spread / jnp.sqrt(c["batch_size"])[:, None] * normal(seed, Purpose.ORDER, x, k)
                g = h * theta + noise
                loss = jnp.sum(h * theta * theta / 2 + noise * theta, -1)
                v = mu * v + g
                theta = theta - rate * jnp.where(c["nesterov"][:, None] > 0, g + mu * v, v)
                return theta, v, total + loss

            theta, v, logged = carry
            theta, v, total = jax.lax.fori_loop(0, steps, step, (theta, v, jnp.zeros_like(bayes)))
            away = theta - delta
            risk = bayes + jnp.sum(h * away * away, -1) / 2
            level = bayes + jnp.sum(h * theta * theta, -1) / 2
            now = jnp.stack([bayes + total / steps, risk + jnp.sum(tilt * away, -1), risk, level])
            return theta, v, jax.lax.dynamic_update_slice_in_dim(logged, now[:, :, None], x, 2)

        start = jnp.where(h > 0, c["start"][:, None], 0.0)
        empty = jnp.zeros((4, len(seed), longest))
        logged: jax.Array = jax.lax.fori_loop(0, epochs, epoch, (start, jnp.zeros_like(h), empty))[2]
        return logged

    return jax.jit(run)


def paths(recipes: Sequence[NoisyQuadratic], seeds: Sequence[int]) -> list[np.ndarray]:
    """Of each run train_loss and val_loss as it logs them, and R and L along its own path, shape (4, epochs)."""
    out: list[Any] = [None] * len(recipes)
    for members, index in blocks(recipes, BLOCK):
        first = recipes[members[0]]
        longest = program_epochs(first.epochs)
        names = ("momentum", "shift", "bayes", "noise", "val_size", "batch_size", "nesterov", "start")
        c = {name: np.array([getattr(recipes[i], name) for i in index], np.float32) for name in names}
        c["h"] = np.array([recipes[i].h for i in index], np.float32)
        eta = np.zeros((BLOCK, longest), np.float32)
        eta[:, : first.epochs] = [rates(recipes[i]) for i in index]
        seed = np.array([seeds[i] for i in index], np.uint32)
        logged = np.asarray(_program(longest)(c, eta, seed, first.steps, first.epochs))
        for row, i in enumerate(members):
            out[i] = logged[:, row, : first.epochs].astype(np.float64)
    return out


def make(recipes: Sequence[NoisyQuadratic], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of recipe and seed; recipes may differ in everything."""
    together = pairs(recipes, seeds)
    exact: list[Any] = [None] * len(recipes)
    for members, _ in blocks(recipes, BLOCK):
        variants = [np.stack([rates(recipes[i]), *without_drops(recipes[i]).values()]) for i in members]
        for i, curves in zip(members, moments([recipes[i] for i in members], variants), strict=True):
            exact[i] = curves
    runs = zip(together, exact, paths(recipes, seeds), strict=True)
    return [_labelled(recipe, seed, curves, path) for (recipe, seed), curves, path in runs]


def _labelled(recipe: NoisyQuadratic, seed: int, curves: dict[str, np.ndarray], path: np.ndarray) -> LabelledRun:
    train, val, own_risk, own_level = path
    epochs, eta = np.arange(1.0, recipe.epochs + 1), rates(recipe)
    expected = Expected(
        epochs=epochs,
        learning_rate=eta,
        curves={
            **{name: curve[:1] for name, curve in curves.items()},
            "own_risk": own_risk[None],
            "own_train_loss_eval": own_level[None],
        },
        without_drop={m: curves["risk"][[1 + k]] for k, m in enumerate(without_drops(recipe))},
        reference=recipe.bayes,
    )
    series = {"train_loss": train, "val_loss": val, "learning_rate": eta}
    run = Run(epochs=epochs, series=series, name=f"noisy_quadratic-{seed}", source="noisy_quadratic")
    return labelled(run, expected, recipe)


def draw(rng: np.random.Generator) -> NoisyQuadratic:
    """A recipe in which a moved bowl, noise, momentum and drops are each there or not."""
    momentum = float(rng.choice([0.0, 0.0, 0.5, 0.9]))
    kind = str(rng.choice(["step", "step", "step", "constant", "cosine"]))
    count = int(rng.integers(1, 4))
    milestones = sorted(rng.choice(np.arange(30, 180), size=count, replace=False).tolist())
    schedule = Schedule(
        kind=kind,  # type: ignore[arg-type]
        milestones=tuple(int(m) for m in milestones) if kind == "step" else (),
        factor=float(rng.choice([0.1, 0.2, 0.5])),
    )
    return NoisyQuadratic(
        modes=int(rng.integers(8, MODES + 1)),
        decay=float(rng.uniform(0.0, 2.0)),
        shift=float(rng.uniform(0.02, 0.4)) if rng.random() < 0.5 else 0.0,
        noise=float(np.exp(rng.uniform(np.log(0.2), np.log(2.0)))) if rng.random() < 0.8 else 0.0,
        bayes=float(rng.uniform(0.02, 0.3)),
        val_size=int(rng.choice([200, 1000, 5000])),
        batch_size=int(rng.choice([4, 8, 16])),
        learning_rate=float(np.exp(rng.uniform(np.log(0.01), np.log(0.5)))) * (1 - momentum),
        momentum=momentum,
        nesterov=bool(momentum and rng.random() < 0.5),
        schedule=schedule,
    )


MODEL = Model(
    name="noisy_quadratic",
    tier=Tier.ANALYTIC,
    recipe=NoisyQuadratic,
    draw=draw,
    make=make,
    series=("train_loss", "val_loss", "learning_rate"),
    curves=("risk", "train_loss", "train_loss_eval", "own_risk", "own_train_loss_eval"),
    block=BLOCK,
)
