"""Threshold rules of debuggers and callbacks, and what people do by hand, for every phenomenon."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from baselines.rule import Baseline, Claim

__all__ = ["BASELINES"]


def _spans(mask: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """Half-open stretches of at least `shortest` in which `mask` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= shortest]


def _width(values: np.ndarray) -> float:
    """Robust width of the noise, from second differences."""
    return 1.4826 * float(np.median(np.abs(np.diff(values, 2)))) / np.sqrt(6) + 1e-300 if len(values) > 4 else np.inf


def ratio_overfit(train: np.ndarray, val: np.ndarray, *, ratio: float = 0.1, patience: int = 1) -> list[Claim]:
    """SageMaker's Overfit: (val − train) / train beyond `ratio` for `patience` evaluations."""
    spans = _spans((val - train) / np.maximum(np.abs(train), 1e-12) > ratio, patience)
    return [(spans[0][0], spans[0][0] + patience - 1)] if spans else []


def one_step(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """UMLAUT's overfit: validation loss above that of the epoch before, training loss not."""
    alarm = np.flatnonzero((np.diff(val) > 0) & (np.diff(train) <= 0))
    return [(int(alarm[0]), int(alarm[0]) + 1)] if alarm.size else []


def spearman(train: np.ndarray, val: np.ndarray, *, threshold: float = 0.0) -> list[Claim]:
    """OverfitGuard's correlation rule: the ranks of the two losses run against each other over the whole history."""
    ranks = [np.argsort(np.argsort(v)).astype(float) for v in (train, val)]
    if len(val) < 3 or np.corrcoef(*ranks)[0, 1] >= threshold:
        return []
    return [(int(np.argmin(val)), len(val) - 1)]


def smoothed_rise(train: np.ndarray, val: np.ndarray, *, share: float = 0.02, widths: float = 4.0) -> list[Claim]:
    """By hand: the smoothed loss ends `share` and `widths` noise widths above its minimum while training fell."""
    m = max(5, len(val) // 40)
    if len(val) < 3 * m:
        return []
    smooth, fitted = uniform_filter1d(val, m, mode="nearest"), uniform_filter1d(train, m, mode="nearest")
    best = int(np.argmin(smooth[: len(val) - m]))
    top = best + int(np.argmax(smooth[best:]))
    rise = smooth[top] - smooth[best]
    if rise < max(share * abs(smooth[best]), widths * _width(val)) or fitted[top] > fitted[best]:
        return []
    return [(best, top)]


def rising_accuracy(val: np.ndarray, accuracy: np.ndarray, *, share: float = 0.02) -> list[Claim]:
    """By hand: the last tenth of validation loss lies `share` above its minimum, accuracy not below that epoch's."""
    best, tail = int(np.argmin(val)), max(len(val) // 10, 1)
    if best >= len(val) - tail or val[-tail:].mean() < val[best] * (1 + share):
        return []
    around = accuracy[max(best - 2, 0) : best + 3].mean()
    return [(best, len(val) - 1)] if accuracy[-tail:].mean() >= around else []


def gap_ratio(train: np.ndarray, val: np.ndarray, *, ratio: float = 0.1) -> list[Claim]:
    """SageMaker's ratio, if it holds from some epoch to the end."""
    spans = _spans((val - train) / np.maximum(np.abs(train), 1e-12) > ratio, 1)
    return [(spans[-1][0], len(val) - 1)] if spans and spans[-1][1] == len(val) else []


def rate_jump(rate: np.ndarray, *, share: float = 0.2) -> list[Claim]:
    """trainspotter's discontinuity: the rate falls by `share` of its range in one epoch."""
    falls = -np.diff(rate)
    return [(int(i) + 1, int(i) + 1) for i in np.flatnonzero(falls >= share * max(np.ptp(rate), 1e-300))]


def joint_fall(train: np.ndarray, val: np.ndarray, *, widths: float = 6.0) -> list[Claim]:
    """By hand, without the rate: both losses fall by `widths` of their robust noise in one epoch, after the start."""
    start = max(5, len(val) // 20)
    both = np.minimum(-np.diff(train) / _width(train), -np.diff(val) / _width(val))
    both[:start] = 0
    return [(int(i) + 1, int(i) + 1) for i in np.flatnonzero(both > widths)]


def before_and_after(val: np.ndarray, rate: np.ndarray, *, widths: float = 2.0) -> list[Claim]:
    """By hand: the lowest of five values after a logged drop lies `widths` of noise below the mean of five before."""
    out = []
    for i in np.flatnonzero(rate[1:] <= rate[:-1] / 1.5) + 1:
        before, after = val[max(i - 5, 0) : i], val[i : i + 5]
        if before.mean() - after.min() > widths * _width(val):
            out.append((int(i), min(int(i) + 4, len(val) - 1)))
    return out


def above(train: np.ndarray, val: np.ndarray, *, epochs: int = 3, share: float = 0.0) -> list[Claim]:
    """By hand: training loss above validation loss, by `share` of it, for `epochs` in a row."""
    return [(a, a + epochs - 1) for a, _ in _spans(train > val * (1 + share), epochs)[:1]]


def robust_spike(val: np.ndarray, *, z: float = 6.0, window: int = 32) -> list[Claim]:
    """OLMo's rule on a trailing window, made robust: beyond `z` widths of the residuals from their median."""
    out: list[Claim] = []
    for e in range(8, len(val)):
        past = val[max(e - window, 0) : e]
        width = 1.4826 * float(np.median(np.abs(past - np.median(past)))) + 1e-12
        if (val[e] - np.median(past)) / width > z and (not out or e - out[-1][1] > 5):
            out.append((e, e))
    return out


def no_gain(val: np.ndarray, *, patience: int = 10, threshold: float = 1e-4) -> list[Claim]:
    """ReduceLROnPlateau: more than `patience` evaluations without a relative improvement of `threshold`."""
    best, since = 0, 0
    for e in range(1, len(val)):
        if val[e] < val[best] * (1 - threshold):
            best, since = e, 0
        else:
            since += 1
        if since > patience:
            return [(best, e)]
    return []


def not_finite(val: np.ndarray) -> list[Claim]:
    """Every terminate-on-NaN callback: the first value that is not finite, with one finite before."""
    bad = np.flatnonzero(~np.isfinite(val))
    return [(int(bad[0]), int(bad[0]))] if bad.size and bad[0] > 0 else []


def sign_flips(val: np.ndarray, *, share: float = 0.4, window: int = 20) -> list[Claim]:
    """sk-autod's noise rule: the differences change sign in `share` of a window."""
    flips = np.sign(np.diff(val))[1:] * np.sign(np.diff(val))[:-1] < 0
    if len(flips) < window:
        return []
    rate = np.convolve(flips, np.ones(window) / window, "valid")
    high = np.flatnonzero(rate >= share)
    return [(int(high[0]), int(high[0]) + window)] if high.size else []


def high_and_close(train: np.ndarray, val: np.ndarray, *, share: float = 0.5, gap: float = 0.1) -> list[Claim]:
    """CS231n's picture: both losses end above `share` of their start, within `gap` of each other."""
    tail = max(len(val) // 10, 1)
    end, other = train[-tail:].mean(), val[-tail:].mean()
    return [(0, len(val) - 1)] if end > share * train[0] and abs(other - end) < gap * abs(end) else []


def down_up_down(val: np.ndarray, *, share: float = 0.02) -> list[Claim]:
    """By hand: the smoothed loss rises `share` above a minimum and later falls by half of that rise."""
    smooth = uniform_filter1d(val, max(5, len(val) // 40), mode="nearest")
    for peak in np.argsort(-smooth):
        if 5 < peak < len(val) - 5:
            first = int(np.argmin(smooth[:peak]))
            rise = smooth[peak] - smooth[first]
            if rise > share * smooth[first] and smooth[peak] - smooth[peak:].min() > rise / 2:
                return [(first, int(peak) + int(np.argmin(smooth[peak:])))]
    return []


def late_accuracy(train: np.ndarray, val: np.ndarray, *, times: float = 3.0) -> list[Claim]:
    """The definition, read off the raw curves: half of validation's climb `times` later than training at 0.99."""
    fitted, half = np.flatnonzero(train >= 0.99), np.flatnonzero(val >= (val[0] + val.max()) / 2)
    late = fitted.size and half.size and half[0] + 1 >= times * (fitted[0] + 1)
    return [(int(half[0]), int(half[0]))] if late else []


def _hand(name: str, phenomenon: str, needs: tuple[str, ...], function: object, **more: object) -> Baseline:
    return Baseline(name=name, phenomenon=phenomenon, needs=needs, function=function, **more)  # type: ignore[arg-type]


_BOTH = ("train_loss", "val_loss")
_SHARES = tuple({"share": s} for s in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2))
BASELINES: tuple[Baseline, ...] = (
    _hand(
        "SageMaker Overfit",
        "overfitting",
        _BOTH,
        ratio_overfit,
        source="SageMaker Debugger's documentation",
        published={},
        grid=tuple({"ratio": r, "patience": p} for r in (0.1, 0.3, 1.0, 3.0) for p in (1, 10)),
        online=True,
    ),
    _hand("UMLAUT one step", "overfitting", _BOTH, one_step, source="Schoop et al., 2021", online=True),
    _hand(
        "Spearman",
        "overfitting",
        _BOTH,
        spearman,
        source="OverfitGuard, arXiv:2401.10359",
        grid=tuple({"threshold": t} for t in (-0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4)),
    ),
    _hand(
        "smoothed rise",
        "overfitting",
        _BOTH,
        smoothed_rise,
        source="by hand",
        grid=tuple({"share": s, "widths": w} for s in (0.01, 0.02, 0.05, 0.1) for w in (2.0, 4.0, 8.0)),
    ),
    _hand(
        "rise and accuracy",
        "loss_accuracy_divergence",
        ("val_loss", "val_accuracy"),
        rising_accuracy,
        source="by hand",
        grid=_SHARES[1:],
    ),
    _hand(
        "ratio to the end",
        "generalization_gap",
        _BOTH,
        gap_ratio,
        source="SageMaker Debugger's documentation",
        grid=tuple({"ratio": r} for r in (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)),
    ),
    _hand(
        "jump of the rate",
        "lr_drop",
        ("learning_rate",),
        rate_jump,
        source="trainspotter 0.2.6",
        grid=tuple({"share": s} for s in (0.02, 0.05, 0.1, 0.2, 0.4)),
        online=True,
    ),
    _hand(
        "joint fall",
        "lr_drop",
        _BOTH,
        joint_fall,
        source="by hand",
        grid=tuple({"widths": w} for w in (3.0, 4.0, 6.0, 8.0, 12.0, 20.0)),
        online=True,
    ),
    _hand(
        "before and after",
        "lr_drop_relief",
        ("val_loss", "learning_rate"),
        before_and_after,
        source="by hand",
        grid=tuple({"widths": w} for w in (1.0, 2.0, 3.0, 4.0, 6.0, 10.0)),
        online=True,
    ),
    _hand(
        "above for three epochs",
        "train_above_val",
        _BOTH,
        above,
        source="by hand",
        grid=tuple({"epochs": n, "share": s} for n in (3, 5, 10) for s in (0.0, 0.02, 0.05)),
        online=True,
    ),
    _hand(
        "robust z",
        "spike",
        ("val_loss",),
        robust_spike,
        source="OLMo-core's skip rule, made robust",
        grid=tuple({"z": z} for z in (4.0, 6.0, 8.0, 12.0, 20.0)),
        online=True,
    ),
    _hand(
        "no gain",
        "plateau",
        ("val_loss",),
        no_gain,
        source="ReduceLROnPlateau of PyTorch",
        grid=tuple({"patience": p} for p in (5, 10, 20, 40)),
        online=True,
    ),
    _hand("not finite", "blow_up", ("val_loss",), not_finite, source="TerminateOnNaN of Keras", online=True, raw=True),
    _hand(
        "sign flips",
        "oscillation",
        ("val_loss",),
        sign_flips,
        source="sk-autod 0.1.1",
        grid=tuple({"share": s} for s in (0.4, 0.6, 0.8, 0.9, 0.95)),
        online=True,
    ),
    _hand(
        "high and close",
        "underfitting",
        _BOTH,
        high_and_close,
        source="the notes of CS231n",
        grid=tuple({"share": s, "gap": g} for s in (0.3, 0.5, 0.7) for g in (0.05, 0.1)),
    ),
    _hand(
        "down, up, down",
        "double_descent",
        ("val_loss",),
        down_up_down,
        source="by hand",
        grid=tuple({"share": s} for s in (0.02, 0.05, 0.1, 0.2)),
    ),
    _hand(
        "late accuracy",
        "delayed_generalization",
        ("train_accuracy", "val_accuracy"),
        late_accuracy,
        source="the definition on raw curves",
        grid=tuple({"times": t} for t in (2.0, 3.0, 5.0, 10.0)),
    ),
)
