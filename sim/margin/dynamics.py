r"""The dynamics of the two-channel margin model in closed form, epoch by epoch, and what they mean for the curves.

A validation example has the margin g (a + sqrt(v) Z), Z standard normal: `a` is what was learned of the signal, g the
scale of the logits. Training examples have more, because they are remembered. With e(x) the learning rate of epoch x
over its peak, each epoch takes two steps of dt = 1/2, in each of which the other states are held and every state moves
by the exact solution of its equation:

    weights        d(ρ⁴)/dt = −4 e ω ρ⁴ + 2 e² G               (ω `weight_decay`, G `gradient`)
    effective rate ε = e / ρ²                                  (of scale-invariant weights: it grows back after a drop)
    signal         a = A1 a1 + A2 a2,  da_j/dt = ℓj ε (1 − a_j)       (`fast`, `slow`; ℓj `fast_rate`, `slow_rate`)
    memory         dq/dt = ℓm ε^p (q* − q),  q* = 1 / (1 + (v_s / v_k)²)      (ℓm `memory_rate`, p `memory_power`,
                                                               v_k `gate`: SGD noise keeps memory out)
    SGD noise      dv_s/dt = ε² ℓs c − 2 ε ℓs v_s              (c `sgd_noise`, ℓs `settling`): it tends to ε c / 2
    confidence     dg/dt = γ ε^β (2 t / v_t − g),  t = a + Mm q,  v_t = 1 + v_s + aug
                                                               (γ `confidence_rate`, β `confidence_power`,
                                                               Mm `recall`, aug `augmentation`)

so the logits grow towards the log-odds that are best for the training set. What is measured:

    v = 1 + Vm q² + v_s  (Vm `confusion`)          A = Φ(a / sqrt(v))
    R = E ln(1 + exp(−g (a + sqrt(v) Z)))          best temperature T* = g v / (2 a),  Rcal = R at the scale g / T*
    L = E ln(1 + exp(−g (t + sqrt(1 + v_s) Z)))    in training mode the variance is v_t = 1 + v_s + aug instead

T is the mean of the training-mode loss at the two ends of an epoch (the trapezoid rule). Weights: van Laarhoven, 2017,
arXiv:1706.05350; Li, Lyu & Arora, 2020, arXiv:2010.02916. Two classes with Gaussian margins: T* is exact. The gate and
the law of the scale are modelling choices, not theorems; `experiments/margin.py` holds them against trained networks.

The loss of a normal margin is an integral without a closed form. For s = g sqrt(v) <= 1 it is
Gauss-Hermite's rule with 16 nodes, beyond it the closed form of the kink, E max(−M, 0), plus Gauss-Legendre's rule with
32 nodes for the smooth rest (Gauss-Hermite alone is wrong by 1.6 % at s = 30): good to 1e-9.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["BLOCK", "NEVER", "PARAMETERS", "READINGS", "expected_loss", "program", "program_epochs", "trajectories"]

BLOCK = 64  # lanes in a compiled block
NEVER = np.inf  # an epoch after which nothing is frozen
PARAMETERS = (
    *("weight_decay", "gradient", "fast", "slow", "fast_rate", "slow_rate", "memory_rate", "memory_power", "gate"),
    *("sgd_noise", "settling", "confidence_rate", "confidence_power", "recall", "confusion", "augmentation"),
)
READINGS = (
    *("risk", "risk_calibrated", "train_loss_eval", "train_mode_loss"),
    *("population_accuracy", "train_accuracy_eval", "train_mode_accuracy", "temperature", "memory", "sgd_variance"),
)
_PIECE = 25  # epochs for which a rule of the loss is left out together
_START = 0.05  # the scale of the logits before training
_STEPS = 2  # an epoch
_HERMITE = np.polynomial.hermite_e.hermegauss(16)
_LEGENDRE = np.polynomial.legendre.leggauss(32)
_PROGRAMS = (200, 1000, 4000)  # epochs of the compiled programs


def in_double() -> Any:
    """The context in which JAX computes in double precision."""
    enable = getattr(jax, "enable_x64", None)
    if enable is None:
        from jax import experimental

        enable = experimental.enable_x64  # type: ignore[attr-defined]
    return enable(True)


def expected_loss(mean: jax.Array, deviation: jax.Array) -> jax.Array:
    """E ln(1 + exp(−M)) for margins M ~ N(mean, deviation²), element by element; shape (curves, epochs, lanes)."""
    curves, epochs, lanes = mean.shape
    pieces = -(-epochs // _PIECE)

    def cut(values: jax.Array) -> jax.Array:
        padded = jnp.pad(values, ((0, 0), (0, pieces * _PIECE - epochs), (0, 0)), mode="edge")
        return padded.reshape(curves * pieces, _PIECE, lanes)

    out = jax.lax.map(lambda piece: _expected_loss(*piece), (cut(mean), cut(deviation)))
    whole: jax.Array = out.reshape(curves, pieces * _PIECE, lanes)[:, :epochs]
    return whole


def _expected_loss(mean: jax.Array, deviation: jax.Array) -> jax.Array:
    """Either rule is left out where no deviation of the piece asks for it."""
    is_narrow = deviation <= 1

    def nothing() -> jax.Array:
        return jnp.zeros_like(mean)

    def narrow() -> jax.Array:
        small = jnp.minimum(deviation, 1.0)

        def add(total: jax.Array, node: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            m = mean + small * node[0]
            return total + node[1] * (jnp.maximum(-m, 0) + jnp.log1p(jnp.exp(-jnp.abs(m)))), None

        z, weight = _HERMITE
        return jax.lax.scan(add, nothing(), (jnp.asarray(z), jnp.asarray(weight / weight.sum())), unroll=4)[0]

    def wide() -> jax.Array:
        large = jnp.maximum(deviation, 1.0)

        def add(total: jax.Array, node: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            right, left = (node[0] - mean) / large, (node[0] + mean) / large
            return total + node[1] * (jnp.exp(-(right**2) / 2) + jnp.exp(-(left**2) / 2)), None

        x, weight = _LEGENDRE
        u = 10 * (x + 1)
        nodes = (jnp.asarray(u), jnp.asarray(10 * weight * np.log1p(np.exp(-u)) / np.sqrt(2 * np.pi)))
        rest = jax.lax.scan(add, nothing(), nodes, unroll=4)[0] / large
        k = mean / large
        kink = large * jnp.exp(-(k**2) / 2) / np.sqrt(2 * np.pi) - mean * jax.scipy.special.ndtr(-k)
        return jnp.asarray(kink + rest)

    return jnp.where(
        is_narrow,
        jax.lax.cond(is_narrow.any(), narrow, nothing),
        jax.lax.cond((~is_narrow).any(), wide, nothing),
    )


def program_epochs(epochs: int) -> int:
    """Epochs of the compiled program for runs of this length; what is too many is cut off."""
    return next((n for n in _PROGRAMS if n >= epochs), -(-epochs // _PROGRAMS[-1]) * _PROGRAMS[-1])


@lru_cache(maxsize=16)
def program(longest: int, whole: bool) -> Any:
    """The compiled block: (parameters, share, frozen) of BLOCK lanes to their readings, or, if not `whole`, to R."""

    def block(numbers: jax.Array, share: jax.Array, frozen: jax.Array) -> jax.Array:
        p = dict(zip(PARAMETERS, numbers.T, strict=True))
        return jnp.stack(_readings(p, _states(p, share.T, frozen.T), whole))

    return jax.jit(block)


def _states(p: Mapping[str, jax.Array], share: jax.Array, frozen: jax.Array) -> tuple[jax.Array, ...]:
    """a, q, v_s and g at the end of each epoch, and before the first one, each of shape (1 + epochs, lanes)."""
    dt = 1 / _STEPS
    memory_until, weights_until, scale_until = frozen

    def move(s: tuple[jax.Array, ...], x: jax.Array, e: jax.Array) -> tuple[jax.Array, ...]:
        r4, a1, a2, q, v_s, g = s
        goal = p["gradient"] * e / (2 * p["weight_decay"])
        moved = goal + (r4 - goal) * jnp.exp(-4 * e * p["weight_decay"] * dt)
        r4 = jnp.where(x <= weights_until, moved, r4)
        rate = e / jnp.sqrt(r4)
        a1 = 1 - (1 - a1) * jnp.exp(-p["fast_rate"] * rate * dt)
        a2 = 1 - (1 - a2) * jnp.exp(-p["slow_rate"] * rate * dt)
        open_ = 1 / (1 + (v_s / p["gate"]) ** 2)
        moved = open_ + (q - open_) * jnp.exp(-p["memory_rate"] * rate ** p["memory_power"] * dt)
        q = jnp.where(x <= memory_until, moved, q)
        kept = jnp.exp(-2 * rate * p["settling"] * dt)
        v_s = rate * p["sgd_noise"] / 2 * (1 - kept) + v_s * kept
        t = p["fast"] * a1 + p["slow"] * a2 + p["recall"] * q
        goal = 2 * t / (1 + v_s + p["augmentation"])
        moved = goal + (g - goal) * jnp.exp(-p["confidence_rate"] * rate ** p["confidence_power"] * dt)
        g = jnp.where(x <= scale_until, moved, g)
        return r4, a1, a2, q, v_s, g

    def epoch(s: tuple[jax.Array, ...], now: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
        for _ in range(_STEPS):
            s = move(s, *now)
        return s, s[1:]

    lanes = share.shape[1]
    start = (jnp.ones(lanes), *(jnp.zeros(lanes) for _ in range(4)), jnp.full(lanes, _START))
    x = jnp.arange(1.0, share.shape[0] + 1)
    out = jax.lax.scan(epoch, start, (x, share))[1]
    a1, a2, q, v_s, g = (jnp.concatenate([first[None], rest]) for first, rest in zip(start[1:], out, strict=True))
    return p["fast"][None] * a1 + p["slow"][None] * a2, q, v_s, g


def _readings(p: Mapping[str, jax.Array], states: tuple[jax.Array, ...], whole: bool) -> list[jax.Array]:
    a, q, v_s, g = states
    p = {name: values[None] for name, values in p.items()}
    v = 1 + p["confusion"] * q**2 + v_s
    if not whole:
        return list(expected_loss((g * a)[None], (g * jnp.sqrt(v))[None]))
    t = a + p["recall"] * q
    best = 2 * a / v  # the scale g / T*
    evaluated, trained = 1 + v_s, 1 + v_s + p["augmentation"]
    mean = jnp.stack([g * a, best * a, g * t, g * t])
    width = jnp.stack([g * jnp.sqrt(v), best * jnp.sqrt(v), g * jnp.sqrt(evaluated), g * jnp.sqrt(trained)])
    return [
        *expected_loss(mean, width),
        jax.scipy.special.ndtr(a / jnp.sqrt(v)),
        jax.scipy.special.ndtr(t / jnp.sqrt(evaluated)),
        jax.scipy.special.ndtr(t / jnp.sqrt(trained)),
        g / jnp.where(best > 0, best, 1.0),
        q,
        v_s,
    ]


def trajectories(numbers: np.ndarray, share: np.ndarray, frozen: np.ndarray, *, whole: bool) -> dict[str, np.ndarray]:
    """What is measured before the first epoch and after each, every array of shape (lanes, 1 + epochs), float64.

    `numbers` has shape (lanes, PARAMETERS), `share` (lanes, epochs); `frozen` (lanes, 3) holds the epochs after which
    memory, weights and scale stay as they are, NEVER for none. Without `whole` only `risk` is measured. A lane has the
    same bits in whichever company it is computed.
    """
    lanes, epochs = share.shape
    longest = program_epochs(epochs)
    padded = np.concatenate([share, np.repeat(share[:, -1:], longest - epochs, 1)], 1)
    names = READINGS if whole else ("risk",)
    out = np.empty((len(names), lanes, 1 + epochs))
    with in_double():
        run = program(longest, whole)
        for start in range(0, lanes, BLOCK):
            index = np.minimum(np.arange(start, start + BLOCK), lanes - 1)
            done = np.asarray(run(numbers[index], padded[index], frozen[index]))
            out[:, start : start + BLOCK] = np.moveaxis(done, 1, 2)[:, : lanes - start, : 1 + epochs]
    return dict(zip(names, out, strict=True))
