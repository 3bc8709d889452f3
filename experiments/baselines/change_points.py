"""Change-point libraries, read as detectors of overfitting and of drops that are not logged."""

from __future__ import annotations

import numpy as np
import ruptures
from river import drift

from baselines.rule import Baseline, Claim

__all__ = ["BASELINES"]


def _up(val: np.ndarray, points: list[int]) -> list[Claim]:
    """The first change after which the level is higher; the onset is the lowest value of the segment before."""
    edges = [0, *points]
    for a, b, c in zip(edges, edges[1:], edges[2:], strict=False):
        if val[b:c].mean() > val[a:b].mean():
            return [(a + int(np.argmin(val[a:b])), c - 1)]
    return []


def _down(train: np.ndarray, points: list[int]) -> list[Claim]:
    """Every change after which the level is lower."""
    edges = [0, *points]
    return [
        (b, b) for a, b, c in zip(edges, edges[1:], edges[2:], strict=False) if train[b:c].mean() < train[a:b].mean()
    ]


def _scaled(values: np.ndarray) -> np.ndarray:
    """In units of the noise, since penalties are; by the robust width of first differences."""
    width = 1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2)
    return (values - values.mean()) / max(width, 1e-12)


def _points(values: np.ndarray, method: str, penalty: float) -> list[int]:
    x, pen = _scaled(values)[:, None], penalty * np.log(len(values))
    if len(values) < 10:
        return [len(values)]
    if method == "pelt":
        return [int(p) for p in ruptures.Pelt(model="l2", min_size=3, jump=1).fit(x).predict(pen=pen)]
    if method == "binseg":
        return [int(p) for p in ruptures.Binseg(model="l2", min_size=3, jump=1).fit(x).predict(pen=pen)]
    width = min(20, 2 * (len(values) // 4))
    return [int(p) for p in ruptures.Window(width=width, model="l2", jump=1).fit(x).predict(pen=pen)]


def segments_up(val: np.ndarray, *, method: str, penalty: float = 2.0) -> list[Claim]:
    """A piecewise constant fit; the penalty of a change is `penalty` log n in units of the noise (2: BIC)."""
    return _up(val, _points(val, method, penalty))


def segments_down(train: np.ndarray, *, method: str, penalty: float = 2.0) -> list[Claim]:
    """Likewise, every fall."""
    return _down(train, _points(train, method, penalty))


def page_hinkley(val: np.ndarray, *, delta: float = 0.005, threshold: float = 50.0) -> list[Claim]:
    """river's PageHinkley with mode "up"."""
    test = drift.PageHinkley(delta=delta, threshold=threshold, mode="up")
    for e, value in enumerate(val):
        test.update(float(value))
        if test.drift_detected:
            return [(int(np.argmin(val[: e + 1])), e)]
    return []


def adwin(val: np.ndarray, *, delta: float = 0.002) -> list[Claim]:
    """river's ADWIN, if the window that it keeps lies higher than the one that it dropped."""
    test = drift.ADWIN(delta=delta, clock=1)
    for e, value in enumerate(val):
        before = test.estimation
        test.update(float(value))
        if test.drift_detected and test.estimation > before:
            return [(int(np.argmin(val[: e + 1])), e)]
    return []


def kink(val: np.ndarray, *, penalty: float = 3.0, rise: float = 0.03) -> list[Claim]:
    """Two lines on log v that meet at the onset, accepted by BIC, the right one rising by `rise` in all."""
    n = len(val)
    margin = max(5, n // 50)
    if n < 3 * margin or val.min() <= 0:
        return []
    y, x = np.log(val), np.arange(n, dtype=float)
    straight = _residual(np.stack([np.ones(n), x], 1), y)[0]
    best = (np.inf, 0, 0.0)
    for k in range(margin, n - margin, max(1, n // 200)):
        rss, beta = _residual(np.stack([np.ones(n), np.minimum(x, k), np.maximum(x - k, 0)], 1), y)
        best = min(best, (rss, k, float(beta[2])))
    rss, k, slope = best
    gain = n * np.log(max(straight, 1e-300) / max(rss, 1e-300))
    return [(k, n - 1)] if slope > 0 and gain > penalty * np.log(n) and slope * (n - k) > rise else []


def _residual(design: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    beta, *_ = np.linalg.lstsq(design, y, rcond=None)
    return float(((y - design @ beta) ** 2).sum()), beta


def _fit(name: str, method: str, phenomenon: str, step: int) -> Baseline:
    up = phenomenon == "overfitting"
    return Baseline(
        name=name,
        phenomenon=phenomenon,
        needs=("val_loss",) if up else ("train_loss",),
        function=segments_up if up else segments_down,
        source="ruptures 1.1, cost l2, penalty 2 log n",
        published={"method": method},
        grid=tuple({"method": method, "penalty": p} for p in (2.0, 8.0, 32.0, 128.0)),
        step=step,
    )


BASELINES: tuple[Baseline, ...] = (
    _fit("ruptures PELT", "pelt", "overfitting", 20),
    _fit("ruptures BinSeg", "binseg", "overfitting", 5),
    _fit("ruptures Window", "window", "overfitting", 5),
    _fit("ruptures PELT", "pelt", "lr_drop", 20),
    Baseline(
        name="river PageHinkley",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=page_hinkley,
        source="river 0.26, defaults",
        grid=tuple({"threshold": t} for t in (0.1, 0.3, 0.5, 1.0, 3.0, 10.0)),
        online=True,
    ),
    Baseline(
        name="river ADWIN",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=adwin,
        source="river 0.26, defaults, upward changes",
        grid=tuple({"delta": d} for d in (1e-6, 1e-4, 0.002, 0.05, 0.3)),
        online=True,
    ),
    Baseline(
        name="kink with BIC",
        phenomenon="overfitting",
        needs=("val_loss",),
        function=kink,
        source="two lines on log v",
        grid=tuple({"penalty": p, "rise": r} for p in (3.0, 10.0, 30.0) for r in (0.01, 0.03, 0.1)),
        step=5,
    ),
)
