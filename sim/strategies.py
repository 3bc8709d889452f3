"""Hypothesis strategies for composed runs, with an event or without, and for what a logger writes on a bad day.

For test suites of detectors, of readers, of anything that eats training curves:

    from hypothesis import given
    from sim.strategies import labelled_runs, with_event

    @given(labelled_runs(with_event("overfitting")))
    def test_my_detector_finds_it(labelled):
        (event,) = labelled.of("overfitting")
        assert event.distance_to_band(my_onset(labelled.run)) <= 5

What is drawn is a spec, a handful of scalars, which `sim.composed` renders deterministically; so a failure shrinks to
the simplest curve: no noise, few epochs, one rise of 0.1 half-way. Lengths up to 256 epochs share one compiled program,
and so do those up to 1,024: nothing compiles while Hypothesis runs. To judge a rate, do not assert it inside an
example: search here, then confirm on fresh seeds with `sim.composed.observe` and an exact test, as `sim.exam` does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import hypothesis.strategies as st
import numpy as np

from detectors.vocabulary import Phenomenon, Run
from sim.composed import Composed, compose_one, observe
from sim.families import null_for
from sim.labelled import LabelledRun
from sim.recipe import Recipe
from sim.schedules import Schedule

__all__ = [
    "STRENGTH",
    "awkward_runs",
    "corner",
    "labelled_runs",
    "malformed_logs",
    "mixtures",
    "null_families",
    "recipes",
    "runs",
    "with_event",
    "without_event",
]

#: Widths of the evaluation noise that an injected effect has at least.
STRENGTH = 16
_LEVEL = 0.5  # of the validation loss after its decay, so one noise width is half of `noise`
_SIZE = 0.1  # of an effect where there is no noise to measure it in
_SEEDS = st.integers(0, 1000)


def with_event(
    phenomenon: str, *, shortest: int = 20, longest: int = 200, strength: int = STRENGTH
) -> st.SearchStrategy[Composed]:
    """Specs of `shortest` to `longest` epochs that have the event, `strength` to three times as many noise widths high.

    ValueError for a phenomenon that no composed run has.
    """
    return _drawn(_pick(_WITH, phenomenon), shortest, longest, (0.0, 0.005, 0.01, 0.02), (0.0, 0.2, 0.4), strength)


def without_event(
    phenomenon: str, *, shortest: int = 20, longest: int = 200, autocorrelation: float = 0.8
) -> st.SearchStrategy[Composed]:
    """Specs without the event, look-alikes included, with noise that remembers up to `autocorrelation`.

    ValueError for a phenomenon that no composed run has.
    """
    rho = [r for r in (0.0, 0.4, 0.8) if r <= autocorrelation]
    return _drawn(_pick(_WITHOUT, phenomenon), shortest, longest, (0.0, 0.005, 0.02, 0.05), rho, STRENGTH)


def corner(phenomenon: str) -> st.SearchStrategy[Composed]:
    """Specs of 100 to 120 epochs with the event in hardly any noise and an onset that is plain to see.

    ValueError for a phenomenon that no composed run has.
    """
    make = _CORNER.get(phenomenon, _pick(_WITH, phenomenon))
    return _drawn(make, 100, 120, (0.0, 0.002), (0.0,), 4 * STRENGTH)


def mixtures(*, shortest: int = 20, longest: int = 200) -> st.SearchStrategy[Composed]:
    """Specs in which any of the events may be, together."""
    return _drawn(_mixture, shortest, longest, (0.0, 0.005, 0.01, 0.02), (0.0, 0.2, 0.4), STRENGTH)


def null_families(phenomenon: str, *, every: bool = False) -> dict[str, Composed]:
    """Named specs without the event on which a rate of false alarms is worth stating: those of `sim.families`.

    Those in which a spec has the event after all (a drop, for `lr_drop`) are left out. `every` adds the families that
    no built-in promise was calibrated on, decoys among them: jumps without a drop, spikes, swings, power laws.
    """
    inferred = phenomenon == Phenomenon.LR_DROP
    return {
        name: dataclasses.replace(family.recipe, logged=0) if inferred else family.recipe
        for name, family in null_for(phenomenon).items()
        if every or family.promised
    }


def labelled_runs(
    specs: st.SearchStrategy[Composed], seeds: st.SearchStrategy[int] = _SEEDS
) -> st.SearchStrategy[LabelledRun]:
    """Runs of these specs with their events, expectations and twins."""
    return st.builds(compose_one, specs, seeds)


def runs(specs: st.SearchStrategy[Composed], seeds: st.SearchStrategy[int] = _SEEDS) -> st.SearchStrategy[Run]:
    """Runs of these specs as a detector sees them."""
    return st.builds(lambda spec, seed: observe(spec, [seed])[0], specs, seeds)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Recipes of trained runs that differ in numbers only, so that training them compiles one program."""
    milestones = draw(st.sampled_from([(), (60,), (60, 120, 160)]))
    return Recipe(
        seed=draw(_SEEDS),
        separation=draw(st.sampled_from([0.8, 0.6, 1.0])),
        label_noise=draw(st.sampled_from([0.0, 0.1, 0.2, 0.4])),
        weight_decay=draw(st.sampled_from([0.0, 2e-4, 1e-3])),
        augmentation=draw(st.sampled_from([0.0, 0.5, 0.7])),
        learning_rate=draw(st.sampled_from([0.1, 0.05, 0.2])),
        schedule=Schedule(milestones=milestones) if milestones else Schedule(kind="constant"),
    )


@st.composite
def awkward_runs(draw: st.DrawFn) -> Run:
    """Runs that a logger might write on a bad day: short, constant, huge, tiny, negative, with holes and infinities."""
    n = draw(st.sampled_from([1, 2, 3, 7, 12, 13, 30, 61]))
    rng = np.random.default_rng(draw(_SEEDS))
    keys = ["train_loss", "val_loss", "val_accuracy", "learning_rate", "train_loss_eval"]
    series = {}
    for key in sorted(draw(st.sets(st.sampled_from(keys)))):
        values = draw(st.sampled_from([0.0, 1.0, -3.0, 1e-300, 1e12, 1e300])) * np.ones(n)
        values = values * (1 + draw(st.sampled_from([0.0, 1e-6, 0.1, 3.0])) * rng.standard_normal(n))
        for bad in draw(st.lists(st.sampled_from([np.nan, np.inf, -np.inf]), max_size=3)):
            values[rng.integers(n)] = bad
        series[key] = values
    return Run(epochs=np.cumsum(rng.integers(1, 4, n)) - 1.0, series=series)


@st.composite
def malformed_logs(draw: st.DrawFn) -> tuple[str, bytes]:
    """(name of the flaw, bytes of a CSV log that has it), for readers: none may answer with a traceback."""
    run = observe(Composed(epochs=draw(st.integers(2, 40))), [draw(_SEEDS)])[0]
    rows = [[f"{v:.6g}" for v in row] for row in zip(run.epochs, *run.series.values(), strict=True)]
    lines = [["epoch", *run.series], *rows]
    flaw = draw(st.sampled_from(sorted(_FLAWS)))
    return flaw, _FLAWS[flaw](lines, draw(st.integers(1, len(rows))))


def _csv(lines: Iterable[Iterable[str]]) -> bytes:
    return "".join(",".join(line) + "\n" for line in lines).encode()


_FLAWS: dict[str, Callable[[list[list[str]], int], bytes]] = {
    "empty": lambda lines, i: b"",
    "header only": lambda lines, i: _csv(lines[:1]),
    "header twice": lambda lines, i: _csv([*lines[:i], lines[0], *lines[i:]]),
    "one epoch": lambda lines, i: _csv(lines[:2]),
    "epoch repeated": lambda lines, i: _csv([*lines[: i + 1], *lines[i:]]),
    "epochs from the last": lambda lines, i: _csv([lines[0], *lines[:0:-1]]),
    "half a last line": lambda lines, i: _csv(lines)[: -1 - i],
    "a cell too few": lambda lines, i: _csv([*lines[:i], lines[i][:-1], *lines[i + 1 :]]),
    "a cell too many": lambda lines, i: _csv([*lines[:i], [*lines[i], "1"], *lines[i + 1 :]]),
    "nan in words": lambda lines, i: _csv([*lines[:i], [lines[i][0], *["nan"] * (len(lines[i]) - 1)], *lines[i + 1 :]]),
    "words in a cell": lambda lines, i: _csv([*lines[:i], [*lines[i][:-1], "tensor(1.)"], *lines[i + 1 :]]),
    "no validation": lambda lines, i: _csv([line[:2] for line in lines]),
    "bytes that are no text": lambda lines, i: _csv(lines[:i]) + b"\xff\xfe\x00\x01" + _csv(lines[i:]),
}


class _Scale:
    """What every spec draws first: a length, a noise, and from both how large and how long events are."""

    def __init__(
        self, draw: st.DrawFn, shortest: int, longest: int, noises: Iterable[float], rho: Iterable[float], strength: int
    ) -> None:
        self.epochs = draw(st.integers(shortest, longest))
        noise = draw(st.sampled_from(list(noises)))
        decay = self.time(draw(st.sampled_from([0.025, 0.04, 0.05])))
        self.fields: dict[str, Any] = {
            "epochs": self.epochs,
            "noise": noise,
            "rho": draw(st.sampled_from(list(rho))) if noise else 0.0,
            "accuracy_noise": 0.002 if noise else 0.0,
            "train_noise": 0.005 if noise else 0.0,
            "decay": decay,
            "train_decay": decay,
        }
        widths = strength * draw(st.sampled_from([1.0, 1.5, 2.0, 3.0])) if noise else 0.0
        self.size = round(widths * noise * _LEVEL, 6) or _SIZE

    def time(self, share: float) -> float:
        """So much of the run, in epochs."""
        return round(share * self.epochs, 2)

    def at(self, share: float) -> int:
        """The epoch at this share of the run, from 1 on."""
        return max(round(share * self.epochs), 1)

    def spec(self, **fields: Any) -> Composed:
        return Composed(**{**self.fields, **fields})


_Draw = Callable[[st.DrawFn, _Scale], Composed]


def _pick(table: dict[str, _Draw], phenomenon: str) -> _Draw:
    if phenomenon not in table:
        raise ValueError(f"no composed runs with or without {phenomenon!r}; there are {sorted(map(str, table))}")
    return table[phenomenon]


def _drawn(
    make: _Draw, shortest: int, longest: int, noises: Iterable[float], rho: Iterable[float], strength: int
) -> st.SearchStrategy[Composed]:
    if not 4 <= shortest <= longest:
        raise ValueError(f"shortest={shortest!r}, longest={longest!r}: needed is 4 <= shortest <= longest")

    @st.composite
    def specs(draw: st.DrawFn) -> Composed:
        return make(draw, _Scale(draw, shortest, longest, noises, rho, strength))

    return specs()


_LATE = st.sampled_from([0.5, 0.4, 0.3, 0.6, 0.7])  # where an event begins, half-way first
_SPAN = st.sampled_from([0.2, 0.1, 0.15])  # how long it takes


def _overfitting(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(overfit=s.size, overfit_at=s.at(draw(_LATE)), overfit_span=s.at(draw(_SPAN)))


def _overfitting_at_a_corner(draw: st.DrawFn, s: _Scale) -> Composed:
    """The loss still falls when the rise sets in: its bottom is a corner."""
    return s.spec(decay=s.time(0.2), overfit=1.0, overfit_at=s.at(draw(_LATE)), overfit_span=s.at(0.3))


def _divergence_at_a_corner(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(decay=s.time(0.2), drift=1.0, drift_at=s.at(draw(_LATE)), drift_span=s.at(0.3), slope=0.0)


def _drops(draw: st.DrawFn, s: _Scale) -> dict[str, int]:
    """No drop, one, or the question's three."""
    shares = draw(st.sampled_from([(), (0.3,), (0.3, 0.6, 0.8)]))
    return {f"drop_{i + 1}": s.at(share) for i, share in enumerate(shares)}


def _decays(draw: st.DrawFn, s: _Scale) -> dict[str, float]:
    """From settled within an epoch to still falling at the end."""
    shares = st.sampled_from([0.005, 0.025, 0.1, 0.3])
    return {"decay": s.time(draw(shares)), "train_decay": s.time(draw(shares))}


def _no_overfitting(draw: st.DrawFn, s: _Scale) -> Composed:
    """Decays, plateaus, falls at drops, null drops, a rise that training shares."""
    shared = draw(st.sampled_from([0.0, 0.0, 0.2]))
    if shared:
        return s.spec(shared=shared, overfit_at=s.at(draw(_LATE)), overfit_span=s.at(draw(_SPAN)))
    return s.spec(**_decays(draw, s), **_drops(draw, s), noise_floor=draw(st.sampled_from([0.0, 0.1, 0.4])))


def _gap(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(train_decay=s.time(draw(st.sampled_from([0.1, 0.06]))), train_bayes=round(0.45 - min(s.size, 0.3), 6))


def _no_gap(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(train_bayes=draw(st.sampled_from([0.5, 0.46, 0.475, 0.6])), mode=draw(st.sampled_from([0.0, 0.1])))


def _drop(draw: st.DrawFn, s: _Scale) -> Composed:
    """One drop or two; where the rate is not logged, one that is to be seen."""
    if draw(st.booleans()):
        first = s.at(draw(st.sampled_from([0.5, 0.4, 0.6])))
        return s.spec(
            logged=0, drop_1=first, factor=0.1, noise_floor=max(4 * s.size, 0.2), relax=0.3, decay=s.time(0.025)
        )
    first, second = s.at(draw(st.sampled_from([0.5, 0.2, 0.3]))), draw(st.sampled_from([0.0, 0.7]))
    return s.spec(drop_1=first, drop_2=s.at(second) if second else 0, factor=draw(st.sampled_from([0.2, 0.1, 0.5])))


def _no_drop(draw: st.DrawFn, s: _Scale) -> Composed:
    """Smooth schedules, and curves whose rate is not logged and never drops."""
    rises = {"overfit": draw(st.sampled_from([0.0, 0.2])), "overfit_at": s.at(0.4)}
    if draw(st.booleans()):
        return s.spec(cosine=1, noise_floor=draw(st.sampled_from([0.0, 0.3])), **rises)
    return s.spec(logged=0, **_decays(draw, s), **rises)


def _relief(draw: st.DrawFn, s: _Scale) -> Composed:
    factor = draw(st.sampled_from([0.2, 0.1]))
    return s.spec(
        factor=factor,
        noise_floor=round(s.size / (1 - factor), 6),
        relax=draw(st.sampled_from([1.0, 0.5, 2.0])),
        drop_1=s.at(draw(st.sampled_from([0.5, 0.4, 0.6]))),
        overfit=draw(st.sampled_from([0.0, 0.1])),
        overfit_at=s.at(0.15),
        overfit_span=s.at(0.75),
    )


def _null_drop(draw: st.DrawFn, s: _Scale) -> Composed:
    """Drops that change nothing, on plateaus, decays and rises."""
    return s.spec(
        **_decays(draw, s),
        drop_1=s.at(draw(st.sampled_from([0.4, 0.25, 0.3]))),
        drop_2=s.at(draw(st.sampled_from([0.7, 0.55, 0.6]))),
        overfit=draw(st.sampled_from([0.0, 0.1, 0.3])),
        overfit_at=s.at(draw(st.sampled_from([0.5, 0.1, 0.3]))),
        overfit_span=s.at(0.5),
    )


def _divergence(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(
        drift=s.size, drift_at=s.at(draw(_LATE)), drift_span=s.at(draw(_SPAN)), gain=draw(st.sampled_from([0.0, 0.02]))
    )


def _no_divergence(draw: st.DrawFn, s: _Scale) -> Composed:
    """Nothing, or a rise with which accuracy falls."""
    rise = draw(st.sampled_from([0, 1])) * max(2 * s.size, 0.1)
    return s.spec(overfit=rise, overfit_at=s.at(draw(_LATE)), overfit_span=s.at(draw(_SPAN)), slope=0.5)


def _inversion(draw: st.DrawFn, s: _Scale) -> Composed:
    train_decay = s.time(draw(st.sampled_from([0.1, 0.06])))
    return s.spec(train_decay=train_decay, mode=2 * s.size, train_bayes=draw(st.sampled_from([0.2, 0.3])))


def _no_inversion(draw: st.DrawFn, s: _Scale) -> Composed:
    """Training loss below the risk from the first epoch on, or equal to it."""
    return s.spec(
        decay=max(s.time(draw(st.sampled_from([0.001, 0.05, 0.15]))), 0.2),
        train_decay=0.2,
        initial=0.6,
        train_bayes=draw(st.sampled_from([0.3, 0.45, 0.5])),
    )


def _mixture(draw: st.DrawFn, s: _Scale) -> Composed:
    def maybe(value: float) -> float:
        return draw(st.sampled_from([0.0, value]))

    return s.spec(
        **_drops(draw, s),
        noise_floor=maybe(2 * s.size),
        overfit=maybe(s.size),
        overfit_at=s.at(draw(_LATE)),
        overfit_span=s.at(draw(_SPAN)),
        drift=maybe(s.size),
        drift_at=s.at(draw(_LATE)),
        drift_span=s.at(draw(_SPAN)),
        gain=maybe(0.02),
        mode=maybe(s.size),
        train_bayes=draw(st.sampled_from([0.47, 0.3])),
    )


def _plateau(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(
        decay=s.time(0.1),
        train_decay=s.time(0.1),
        plateau_at=s.at(draw(st.sampled_from([0.15, 0.1, 0.2]))),
        plateau_span=s.at(draw(st.sampled_from([0.4, 0.3]))),
    )


def _no_plateau(draw: st.DrawFn, s: _Scale) -> Composed:
    """Decays that end in a flat tail or have not ended, null drops, an overfitting rise."""
    return s.spec(
        **_decays(draw, s), **_drops(draw, s), overfit=draw(st.sampled_from([0.0, 0.2])), overfit_at=s.at(0.6)
    )


def _spike(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(spike=s.size, spike_at=s.at(draw(_LATE)), spike_span=draw(st.integers(1, 3)))


def _quiet(draw: st.DrawFn, s: _Scale) -> Composed:
    """Decays, drops with their falls and without, a rise of validation alone or of both."""
    rise = draw(st.sampled_from(["", "overfit", "shared"]))
    floor = draw(st.sampled_from([0.0, 0.2]))
    if not rise:
        return s.spec(**_decays(draw, s), **_drops(draw, s), noise_floor=floor)
    rises = {rise: 0.2, "overfit_at": s.at(draw(_LATE)), "overfit_span": s.at(0.3)}
    return s.spec(decay=s.time(0.05), train_decay=s.time(0.05), noise_floor=floor, **rises)


def _blow_up(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(blow_up_at=s.at(draw(_LATE)), blow_up_span=draw(st.sampled_from([0, 4])))


def _oscillation(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(
        swing=s.size,
        swing_at=s.at(draw(st.sampled_from([0.4, 0.3]))),
        swing_span=s.at(0.5),
        swing_period=draw(st.sampled_from([6, 7, 8])),
    )


def _oscillation_at_a_corner(draw: st.DrawFn, s: _Scale) -> Composed:
    return dataclasses.replace(_oscillation(draw, s), swing_period=6)


def _underfitting(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(underfit=draw(st.sampled_from([0.6, 0.8, 1.0])))


def _no_underfitting(draw: st.DrawFn, s: _Scale) -> Composed:
    """Decays to the best loss, with a warm-up, with a gap, with an overfitting rise."""
    return s.spec(
        train_bayes=draw(st.sampled_from([0.5, 0.3])),
        warmup=draw(st.sampled_from([0, 5])),
        overfit=draw(st.sampled_from([0.0, 0.2])),
        overfit_at=s.at(0.5),
    )


def _double_descent(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(
        overfit=s.size,
        overfit_at=s.at(0.3),
        overfit_span=s.at(0.2),
        double_descent=draw(st.sampled_from([1.0, 0.8])),
        double_descent_at=s.at(draw(st.sampled_from([0.5, 0.55]))),
        double_descent_span=s.at(0.2),
    )


def _double_descent_at_a_corner(draw: st.DrawFn, s: _Scale) -> Composed:
    return dataclasses.replace(_double_descent(draw, s), decay=s.time(0.2), overfit=1.0)


def _no_double_descent(draw: st.DrawFn, s: _Scale) -> Composed:
    """A rise that stays, or that comes down at a drop of the rate."""
    if draw(st.booleans()):
        return _no_overfitting(draw, s)
    return s.spec(
        overfit=0.2, overfit_at=s.at(0.3), overfit_span=s.at(0.3), drop_1=s.at(0.7), noise_floor=0.3, relax=0.5
    )


def _delayed(draw: st.DrawFn, s: _Scale) -> Composed:
    return s.spec(
        train_decay=s.time(0.025), decay=s.time(0.025), delay=s.at(draw(st.sampled_from([0.5, 0.6]))), train_top=1.0
    )


def _not_delayed(draw: st.DrawFn, s: _Scale) -> Composed:
    """Training accuracy that gets to 1 or stays below, with a validation accuracy that is no later."""
    decay = s.time(draw(st.sampled_from([0.005, 0.025, 0.1])))
    return s.spec(decay=decay, train_decay=decay, train_top=draw(st.sampled_from([0.97, 1.0])))


_WITH: dict[str, _Draw] = {
    Phenomenon.OVERFITTING: _overfitting,
    Phenomenon.GENERALIZATION_GAP: _gap,
    Phenomenon.LR_DROP: _drop,
    Phenomenon.LR_DROP_RELIEF: _relief,
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: _divergence,
    Phenomenon.TRAIN_ABOVE_VAL: _inversion,
    Phenomenon.PLATEAU: _plateau,
    Phenomenon.SPIKE: _spike,
    Phenomenon.BLOW_UP: _blow_up,
    Phenomenon.OSCILLATION: _oscillation,
    Phenomenon.UNDERFITTING: _underfitting,
    Phenomenon.DOUBLE_DESCENT: _double_descent,
    Phenomenon.DELAYED_GENERALIZATION: _delayed,
}
_CORNER: dict[str, _Draw] = {
    Phenomenon.OVERFITTING: _overfitting_at_a_corner,
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: _divergence_at_a_corner,
    Phenomenon.OSCILLATION: _oscillation_at_a_corner,
    Phenomenon.DOUBLE_DESCENT: _double_descent_at_a_corner,
}
_WITHOUT: dict[str, _Draw] = {
    Phenomenon.OVERFITTING: _no_overfitting,
    Phenomenon.GENERALIZATION_GAP: _no_gap,
    Phenomenon.LR_DROP: _no_drop,
    Phenomenon.LR_DROP_RELIEF: _null_drop,
    Phenomenon.LOSS_ACCURACY_DIVERGENCE: _no_divergence,
    Phenomenon.TRAIN_ABOVE_VAL: _no_inversion,
    Phenomenon.PLATEAU: _no_plateau,
    Phenomenon.SPIKE: _quiet,
    Phenomenon.BLOW_UP: _quiet,
    Phenomenon.OSCILLATION: _quiet,
    Phenomenon.UNDERFITTING: _no_underfitting,
    Phenomenon.DOUBLE_DESCENT: _no_double_descent,
    Phenomenon.DELAYED_GENERALIZATION: _not_delayed,
}
