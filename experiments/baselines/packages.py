"""Packages that people would pick today, called through what they offer to the public, at their defaults."""

from __future__ import annotations

import numpy as np
import runmedic.checks
import runmedic.model
import runmedic.roles
import trainspotter
from trainproof.epoch import check_records

from baselines.rule import Baseline, Claim

__all__ = ["BASELINES"]

_LOSSES = ("train_loss", "val_loss")
_SPOTTER = {"train_loss": "train/loss", "val_loss": "eval/loss", "rate": "lr"}


def _spot(detector: str, title: str = "", **series: np.ndarray) -> list[Claim]:
    run = trainspotter.Run()
    for name, values in series.items():
        for step, value in enumerate(values):
            run.add_point(_SPOTTER[name], step, float(value))
    run.finalize()
    found = [f for f in trainspotter.run_all(run) if f.detector == detector and title in f.title]
    last = len(next(iter(series.values()))) - 1
    claims = {(f.step_start, last) for f in found if f.severity != "info" or detector == "lr_schedule"}
    return sorted(claims)


def spotter_overfitting(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """trainspotter's overfitting, warnings alone."""
    return _spot("overfitting", train_loss=train, val_loss=val)


def spotter_spikes(val: np.ndarray) -> list[Claim]:
    """trainspotter's spikes of the validation loss."""
    return _spot("spikes", val_loss=val)


def spotter_plateau(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """trainspotter's plateau."""
    return _spot("plateau", train_loss=train, val_loss=val)


def spotter_divergence(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """trainspotter's divergence, non-finite values among it."""
    return _spot("divergence", train_loss=train, val_loss=val)


def spotter_rate(rate: np.ndarray) -> list[Claim]:
    """trainspotter's discontinuities of the rate."""
    return _spot("lr_schedule", "discontinuity", rate=rate)


def _medic(check: str, severities: tuple[str, ...], train: np.ndarray, val: np.ndarray) -> list[Claim]:
    run = runmedic.model.Run("run", "csv", "run.csv")
    for name, values in zip(_LOSSES, (train, val), strict=True):
        for step, value in enumerate(values):
            run.get(name).add(step, float(value))
    run.finalize()
    last = len(val) - 1
    found = runmedic.checks.run_checks(run, runmedic.roles.detect(run))
    return [(min(int(f.step or 0), last), last) for f in found if f.check == check and f.severity in severities]


def medic_overfitting(train: np.ndarray, val: np.ndarray, *, mild: bool = False) -> list[Claim]:
    """runmedic's overfitting: warnings, with `mild` also what it calls mild."""
    return _medic("overfitting", ("warning", "info") if mild else ("warning",), train, val)[:1]


def medic_below(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """runmedic's validation below training."""
    return _medic("val_below_train", ("info", "warning"), train, val)[:1]


def medic_spikes(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """runmedic's loss spikes."""
    return _medic("loss_spikes", ("critical", "warning", "info"), train, val)


def medic_non_finite(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """runmedic's non-finite values."""
    return _medic("non_finite", ("critical", "warning"), train, val)[:1]


def proof_overfitting(train: np.ndarray, val: np.ndarray) -> list[Claim]:
    """trainproof's TP-OVERFIT; it names the best step, which is the lowest validation loss."""
    records = [
        {"step": step, "loss": float(t), "eval_loss": float(v)}
        for step, (t, v) in enumerate(zip(train, val, strict=True))
    ]
    found = any(f["id"] == "TP-OVERFIT" for f in check_records(records)["findings"])
    return [(int(np.argmin(val)), len(val) - 1)] if found else []


def _package(
    name: str, phenomenon: str, function: object, needs: tuple[str, ...] = _LOSSES, **more: object
) -> Baseline:
    return Baseline(name=name, phenomenon=phenomenon, needs=needs, function=function, source=name, **more)  # type: ignore[arg-type]


_SPOT, _MEDIC, _PROOF = "trainspotter 0.2.6", "runmedic 0.1.1", "trainproof 0.22.0"
BASELINES: tuple[Baseline, ...] = (
    _package(_SPOT, "overfitting", spotter_overfitting, step=5),
    _package(_SPOT, "spike", spotter_spikes, ("val_loss",), step=5),
    _package(_SPOT, "plateau", spotter_plateau, step=5),
    _package(_SPOT, "blow_up", spotter_divergence, raw=True, step=5),
    _package(_SPOT, "lr_drop", spotter_rate, ("learning_rate",)),
    _package(_MEDIC, "overfitting", medic_overfitting, grid=({"mild": False}, {"mild": True})),
    _package(_MEDIC, "train_above_val", medic_below),
    _package(_MEDIC, "spike", medic_spikes),
    _package(_MEDIC, "blow_up", medic_non_finite, raw=True),
    _package(_PROOF, "overfitting", proof_overfitting),
)
