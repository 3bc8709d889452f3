r"""Curves composed in closed form from injected events: exact truth, hundreds of thousands of runs a minute.

With x in epochs, e(x) the learning rate of epoch x over its peak, and u(x; s, w, p) = clip((x − s) / w, 0, 1)^p:

    floor      F(x) = F(x−1) + (1 − exp(−1/relax)) (noise_floor e(x) − F(x−1)),  F(0) = noise_floor
    decay      B(x) = bayes + (initial − bayes) exp(−x / decay)
    memory     M(x) = overfit u(x; overfit_at, overfit_span, overfit_shape)
    shared     S(x) = shared u(x; overfit_at, overfit_span, 1)     (a rise that training has as well)
    drift      C(x) = drift u(x; drift_at, drift_span, 1)
    risk       R = B + F + M + S + C                      Rcal = R − C
    accuracy   A = top − slope (B + F + M + S − bayes) + gain u(x; drift_at, drift_span, 1), clipped to 0.001 .. 0.999
    training   L(x) = train_bayes + (initial − train_bayes) exp(−x / train_decay) + F(x) + S(x)
    logged     T(x) = (L(x−1) + L(x)) / 2 + mode          (the mean over the epoch by the trapezoid rule)
    twin       R with the rates of the schedule without that drop

The noise floor is that of the noisy quadratic model (proportional to the rate; Zhang et al., 2019, arXiv:1907.04164)
with one relaxation time; the other terms are phenomenological. What is injected is a cause: the events follow from the
expectation by `sim.truth`, so an overfitting rise that the decay swallows is no event. What is observed:

    val_loss = R (1 + noise z1)      val_accuracy = A + accuracy_noise z2      train_loss = T (1 + train_noise z3)

with z1, z2 stationary AR(1) of unit variance and coefficient rho, z3 white. Two things make them less tame: `growth`
multiplies every noise by exp(growth (x/n − 1/2)), and `tails = 1` turns the normal z1, z2 into Student's t with four
degrees of freedom, scaled to unit variance, quantile by quantile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from detectors.vocabulary import Run
from sim.labelled import LabelledRun, labelled
from sim.model import Model, Tier
from sim.randomness import Purpose, stream
from sim.recipe import BadRecipe
from sim.schedules import BadSchedule, Schedule
from sim.truth import Expected

__all__ = ["DROPS", "MODEL", "Composed", "compose", "compose_one", "draw", "observe"]

DROPS = 3  # a composed run has at most this many
BLOCK = 64  # runs in a compiled block, ...
SMALL_BLOCK = 8  # ... and in one for a few; a run has the same bits in either, a test holds it
SHORTEST_PROGRAM = 256  # epochs of the shortest compiled program; the next ones have four times as many
_CURVES = ("risk", "population_accuracy", "train_loss_eval", "train_loss", "risk_calibrated")
_SERIES = ("train_loss", "val_loss", "val_accuracy")


@dataclass(frozen=True, kw_only=True, repr=False)
class Composed:
    """A composed run: scalars only. The defaults make a healthy one; 0 switches an event off.

    Losses in nats, times in epochs. `drop_1` .. `drop_3` are milestones (epochs at the old rate), 0 for none; with
    `cosine = 1` the rate falls along a cosine instead. `logged = 0` leaves the rate out of the log.
    """

    epochs: int = 200
    initial: float = 2.3
    bayes: float = 0.5
    decay: float = 8.0
    train_bayes: float = 0.47
    train_decay: float = 9.0
    drop_1: int = 0
    drop_2: int = 0
    drop_3: int = 0
    factor: float = 0.2
    noise_floor: float = 0.0
    relax: float = 1.0
    overfit: float = 0.0
    overfit_at: int = 0
    overfit_span: int = 50
    overfit_shape: float = 1.0
    shared: float = 0.0
    drift: float = 0.0
    drift_at: int = 0
    drift_span: int = 50
    gain: float = 0.0
    top: float = 0.95
    slope: float = 0.3
    mode: float = 0.0
    noise: float = 0.01
    rho: float = 0.0
    accuracy_noise: float = 0.003
    train_noise: float = 0.005
    growth: float = 0.0
    tails: int = 0
    learning_rate: float = 0.1
    cosine: int = 0
    logged: int = 1

    def __post_init__(self) -> None:
        def allow(name: str, ok: object, allowed: str) -> None:
            if not ok:
                raise BadRecipe(f"{name}={getattr(self, name)!r}: allowed is {allowed}")

        for f in fields(self):
            allow(f.name, math.isfinite(getattr(self, f.name)), "a finite number")
        allow("epochs", self.epochs >= 2, "2 or more")
        for name in ("decay", "train_decay", "relax", "overfit_span", "drift_span", "overfit_shape", "learning_rate"):
            allow(name, getattr(self, name) > 0, "above 0")
        for name in (
            "noise_floor",
            "overfit",
            "shared",
            "drift",
            "noise",
            "accuracy_noise",
            "train_noise",
            "overfit_at",
            "drift_at",
        ):
            allow(name, getattr(self, name) >= 0, "0 or more")
        for name in ("cosine", "logged"):
            allow(name, getattr(self, name) in (0, 1), "0 or 1")
        allow("cosine", not (self.cosine and (self.drop_1 or self.drop_2 or self.drop_3)), "0 with drops")
        allow("tails", self.tails in (0, 1), "0 (normal) or 1 (Student's t with 4 degrees of freedom)")
        allow("rho", 0 <= self.rho < 1, "a coefficient in [0, 1)")
        allow("initial", self.initial >= max(self.bayes, self.train_bayes), "at least bayes and train_bayes")
        try:
            self.schedule.rates(self.learning_rate, self.epochs)
        except BadSchedule as error:
            raise BadRecipe(f"drop_1..drop_3: {error}") from None

    def __repr__(self) -> str:
        """What differs from the defaults, as code."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Composed({', '.join(changed)})"

    @property
    def schedule(self) -> Schedule:
        """The step schedule that the drops make, or the cosine."""
        if self.cosine:
            return Schedule(kind="cosine", milestones=())
        milestones = tuple(m for m in (self.drop_1, self.drop_2, self.drop_3) if m)
        return Schedule(kind="step", milestones=milestones, factor=self.factor)


_NUMBERS = tuple(f.name for f in fields(Composed) if f.name != "epochs")


@dataclass(frozen=True, eq=False)
class _Rendered:
    """`curves` (runs, curves, epochs), `twins` (runs, DROPS, epochs), `series` (runs, series, epochs)."""

    curves: np.ndarray
    twins: np.ndarray
    series: np.ndarray


def compose(specs: Sequence[Composed], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of spec and seed; all specs must have equal `epochs`.

    Run i has the same bits in whichever batch it is made: the unit of computation is a block of fixed size.
    """
    if len(specs) != len(seeds):
        raise ValueError(f"{len(specs)} specs and {len(seeds)} seeds: one seed is needed for each spec")
    rendered = _render(specs, seeds)
    return [_labelled(spec, seed, rendered, i) for i, (spec, seed) in enumerate(zip(specs, seeds, strict=True))]


def compose_one(spec: Composed, seed: int = 0) -> LabelledRun:
    """The labelled run of one spec."""
    return compose([spec], [seed])[0]


def observe(spec: Composed, seeds: Sequence[int]) -> list[Run]:
    """The observed runs of one spec under many seeds, without their truth (which is the same for all of them)."""
    rendered = _render([spec], seeds)
    return [_run(spec, seed, rendered, i) for i, seed in enumerate(seeds)]


def _labelled(spec: Composed, seed: int, rendered: _Rendered, i: int) -> LabelledRun:
    rates = spec.schedule.rates(spec.learning_rate, spec.epochs)
    curves = rendered.curves[i].astype(np.float64)
    epochs = np.arange(1.0, spec.epochs + 1)
    width = spec.noise * np.exp(spec.growth * (epochs / spec.epochs - 0.5)) * np.abs(curves[[0]])
    expected = Expected(
        epochs=epochs,
        learning_rate=rates,
        curves={**{name: curves[[c]] for c, name in enumerate(_CURVES)}, "noise_width": width},
        reference=spec.bayes,
        without_drop={m: rendered.twins[i, [k]].astype(np.float64) for k, m in enumerate(spec.schedule.milestones)},
    )
    cause = {k: float(v) for k, v in asdict(spec).items()}
    return labelled(_run(spec, seed, rendered, i), expected, spec, cause)


def _run(spec: Composed, seed: int, rendered: _Rendered, i: int) -> Run:
    series = {name: rendered.series[i, s] for s, name in enumerate(_SERIES)}
    if spec.logged:
        series["learning_rate"] = _rates(spec.schedule, spec.learning_rate, spec.epochs)
    return Run(epochs=np.arange(1.0, spec.epochs + 1), series=series, name=f"composed-{seed}", source="composed")


@lru_cache(maxsize=1024)
def _rates(schedule: Schedule, peak: float, epochs: int) -> np.ndarray:
    return schedule.rates(peak, epochs)


def _render(specs: Sequence[Composed], seeds: Sequence[int]) -> _Rendered:
    """The runs of pairs of spec and seed; a single spec goes with every seed."""
    if not specs:
        raise ValueError("no specs: at least one is needed")
    epochs = specs[0].epochs
    if any(s.epochs != epochs for s in specs):
        raise ValueError("specs of one call must have equal `epochs`")
    longest = _program_epochs(epochs)
    numbers = np.array([_numbers(s) for s in specs], np.float32)
    share = np.stack([_shares(s.schedule, epochs, longest) for s in specs])
    curves, twins = _in_blocks(_expectations(longest), len(specs), numbers, share)
    seed = np.array(seeds, np.uint32)
    observed = _observations(longest, any(s.tails for s in specs))
    if len(specs) == 1:
        numbers, curves, twins = (np.broadcast_to(a, (len(seed), *a.shape[1:])) for a in (numbers, curves, twins))
    (series,) = _in_blocks(observed, len(seed), numbers, curves, seed, np.full(len(seed), epochs, np.float32))
    return _Rendered(curves[:, :, :epochs], twins[:, :, :epochs], series[:, :, :epochs])


def _in_blocks(program: Any, runs: int, *arguments: np.ndarray) -> list[np.ndarray]:
    """The outputs of a program of one block, called on as many blocks as `runs` runs need, the last one padded."""
    block = SMALL_BLOCK if runs <= SMALL_BLOCK else BLOCK
    parts = []
    for start in range(0, runs, block):
        index = np.minimum(np.arange(start, start + block), runs - 1)
        parts.append([np.asarray(out)[: runs - start] for out in program(*(a[index] for a in arguments))])
    return [np.concatenate(p) for p in zip(*parts, strict=True)]


def _program_epochs(epochs: int) -> int:
    """Epochs of the compiled program that renders runs of this length; what is too many is cut off."""
    longest = SHORTEST_PROGRAM
    while longest < epochs:
        longest *= 4
    return longest


@lru_cache(maxsize=1024)
def _numbers(spec: Composed) -> tuple[float, ...]:
    return tuple(float(getattr(spec, name)) for name in _NUMBERS)


@lru_cache(maxsize=1024)
def _shares(schedule: Schedule, epochs: int, longest: int) -> np.ndarray:
    """The rate over its peak, then the same without each drop, shape (1 + DROPS, longest); the last one goes on."""
    share = np.ones((DROPS + 1, longest), np.float32)
    variants = [schedule, *(schedule.without_drop(k) for k in range(len(schedule.milestones)))]
    for k, variant in enumerate(variants):
        rates = variant.rates(1.0, epochs)
        share[k] = np.append(rates, np.full(longest - epochs, rates[-1]))
    share.setflags(write=False)
    return share


@lru_cache(maxsize=8)
def _expectations(longest: int) -> Any:
    """The compiled block that turns specs into their curves and twins, for runs of up to `longest` epochs."""

    def one(numbers: jax.Array, share: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _expected(dict(zip(_NUMBERS, numbers, strict=True)), share)

    return jax.jit(jax.vmap(one))


@lru_cache(maxsize=8)
def _observations(longest: int, heavy: bool) -> Any:
    """The compiled block that adds the noise of a seed to curves; without `heavy`, for specs without heavy tails."""

    def one(numbers: jax.Array, curves: jax.Array, seed: jax.Array, epochs: jax.Array) -> tuple[jax.Array]:
        return (_observed(dict(zip(_NUMBERS, numbers, strict=True)), curves, seed, epochs, heavy),)

    return jax.jit(jax.vmap(one))


def _expected(c: dict[str, jax.Array], share: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(curves, twins) of one spec, shapes (curves, epochs) and (DROPS, epochs)."""
    x = jnp.arange(1.0, share.shape[-1] + 1)
    before = x - 1

    def floor(rates: jax.Array) -> jax.Array:
        def step(f: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
            f = f + (1 - jnp.exp(-1 / c["relax"])) * (c["noise_floor"] * e - f)
            return f, f

        return jax.lax.scan(step, c["noise_floor"], rates)[1]

    def ramp(start: jax.Array, span: jax.Array, shape: jax.Array | float) -> jax.Array:
        return jnp.clip((x - start) / span, 0.0, 1.0) ** shape

    base = c["bayes"] + (c["initial"] - c["bayes"]) * jnp.exp(-x / c["decay"])
    memory = c["overfit"] * ramp(c["overfit_at"], c["overfit_span"], c["overfit_shape"])
    rising = ramp(c["drift_at"], c["drift_span"], 1.0)
    drift = c["drift"] * rising
    shared = c["shared"] * ramp(c["overfit_at"], c["overfit_span"], 1.0)
    floors = jax.vmap(floor)(share)
    risk = floors + (base + memory + shared + drift)[None]
    accuracy = c["top"] - c["slope"] * (base - c["bayes"] + floors[0] + memory + shared) + c["gain"] * rising

    def train(x: jax.Array, floor: jax.Array) -> jax.Array:
        return c["train_bayes"] + (c["initial"] - c["train_bayes"]) * jnp.exp(-x / c["train_decay"]) + floor

    level = train(x, floors[0]) + shared
    earlier = train(before, jnp.concatenate([c["noise_floor"][None], floors[0, :-1]]))
    earlier = earlier + jnp.concatenate([jnp.zeros(1), shared[:-1]])
    logged = (earlier + level) / 2 + c["mode"]
    accuracy = jnp.clip(accuracy, 0.001, 0.999)
    return jnp.stack([risk[0], accuracy, level, logged, risk[0] - drift]), risk[1:]


def _observed(c: dict[str, jax.Array], curves: jax.Array, seed: jax.Array, epochs: jax.Array, heavy: bool) -> jax.Array:
    """The series of one run, shape (series, epochs); `epochs` of the program's are the run's."""
    risk, accuracy, _, logged, _ = curves
    longest = curves.shape[-1]

    def ar1(counter: int) -> jax.Array:
        z = jax.random.normal(stream(seed, Purpose.NOISE, counter), (longest,))

        def step(previous: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
            now = c["rho"] * previous + jnp.sqrt(1 - c["rho"] ** 2) * z
            return now, now

        noise = jnp.concatenate([z[:1], jax.lax.scan(step, z[0], z[1:])[1]])
        return grown * (jnp.where(c["tails"] > 0, _heavy(noise), noise) if heavy else noise)

    grown = jnp.exp(c["growth"] * (jnp.arange(1.0, longest + 1) / epochs - 0.5))
    white = jax.random.normal(stream(seed, Purpose.NOISE, 2), (longest,))
    return jnp.stack(
        [
            logged * (1 + c["train_noise"] * grown * white),
            risk * (1 + c["noise"] * ar1(0)),
            accuracy + c["accuracy_noise"] * ar1(1),
        ]
    )


def _heavy(z: jax.Array) -> jax.Array:
    """Standard normal values as Student's t with 4 degrees of freedom, scaled to unit variance.

    The quantile is in closed form: Shaw, 2006, Sampling Student's T distribution, Journal of Computational Finance 9.
    """
    tail = jnp.maximum(jax.scipy.stats.norm.cdf(-jnp.abs(z)), 1e-30)
    root = jnp.sqrt(4 * tail * (1 - tail))
    quantile = jnp.cos(jnp.arccos(root) / 3) / root
    return jnp.sign(z) * jnp.sqrt(2 * jnp.maximum(quantile - 1, 0.0))


def draw(rng: np.random.Generator) -> Composed:
    """A spec in which each event is present with a chance of about one half."""

    def sometimes(value: float) -> float:
        return float(value) if rng.random() < 0.5 else 0.0

    spec = Composed(
        bayes=rng.uniform(0.2, 1.2),
        decay=float(np.exp(rng.uniform(np.log(3), np.log(20)))),
        train_decay=float(np.exp(rng.uniform(np.log(3), np.log(20)))),
        factor=float(rng.choice([0.1, 0.2, 0.5])),
        noise_floor=sometimes(rng.uniform(0.02, 0.4)),
        relax=rng.uniform(0.5, 4.0),
        overfit=sometimes(rng.uniform(0.02, 0.5)),
        overfit_at=int(rng.integers(30, 150)),
        overfit_span=int(rng.integers(20, 120)),
        overfit_shape=rng.uniform(1.0, 2.0),
        drift=sometimes(rng.uniform(0.02, 0.4)),
        drift_at=int(rng.integers(30, 150)),
        drift_span=int(rng.integers(20, 120)),
        gain=sometimes(rng.uniform(0.0, 0.05)),
        mode=sometimes(rng.uniform(0.02, 0.3)),
        noise=float(np.exp(rng.uniform(np.log(0.002), np.log(0.05)))),
        rho=rng.uniform(0.0, 0.6),
        accuracy_noise=float(np.exp(rng.uniform(np.log(0.001), np.log(0.01)))),
    )
    milestones = sorted(rng.choice(np.arange(30, 180), size=int(rng.integers(0, 4)), replace=False).tolist())
    drops = [*milestones, 0, 0, 0][:3]
    return replace(
        spec,
        train_bayes=spec.bayes * rng.uniform(0.3, 1.0),
        drop_1=int(drops[0]),
        drop_2=int(drops[1]),
        drop_3=int(drops[2]),
    )


MODEL = Model(
    name="composed",
    tier=Tier.COMPOSED,
    recipe=Composed,
    draw=draw,
    make=compose,
    series=(*_SERIES, "learning_rate"),
    block=BLOCK,
)
