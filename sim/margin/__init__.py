"""The two-channel margin model: signal and memory, SGD noise, effective rate and scale, in closed form.

At the centre of the composed tier: red box, green box, blue box and inversion come out of one mechanism instead of
being injected. `sim.margin.dynamics` has the equations, `sim.margin.twins` the twins and the attribution of a rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from detectors.vocabulary import Phenomenon, Run
from sim.batch import Batch
from sim.composed.columns import columns
from sim.composed.noise import SERIES
from sim.composed.recipe import columns_of, recipes_of
from sim.composed.runs import CURVES, WIDTHS, make, observed
from sim.labelled import LabelledRun
from sim.margin.dynamics import BLOCK, PARAMETERS
from sim.margin.recipe import Margin
from sim.margin.rivals import with_causes
from sim.margin.twins import attribution, expected
from sim.model import Model, Tier

__all__ = ["MODEL", "SEED_MARGIN", "Margin", "attribute", "draw", "draws", "observe", "runs"]

#: The question's schedule and all four of its phenomena, strong and where the question has them; found by
#: `experiments/margin.py`. Training loss lies above until epoch 65; from 68 on the loss rises and accuracy falls, by
#: memory and regrowth; the drop at 120 takes the loss to a new best at 128; then it rises until 160 while accuracy
#: grows, which is overconfidence: at the best temperature nothing of that rise is left.
SEED_MARGIN = Margin()


def runs(recipes: Sequence[Margin], seeds: Sequence[int]) -> list[LabelledRun]:
    """One labelled run for each pair of recipe and seed, with exact truth and twins.

    Those whose recipe says `causes` also have the causes of their rises that no curve can tell apart.
    """
    made = make(recipes, seeds, expected, "margin")
    return [with_causes(run) if run.recipe.causes else run for run in made]


def observe(recipe: Margin, seeds: Sequence[int]) -> list[Run]:
    """The observed runs of one recipe under many seeds, without their truth."""
    return observed(recipe, seeds, expected, "margin")


def attribute(labelled: LabelledRun) -> list[dict[str, float]]:
    """For each material rise that is overfitting, in nats: what memorisation, regrowth and scale growth did to it.

    Regrowth is that of the effective learning rate, scale growth that of the logits; `rest` is all else.
    """
    c = columns_of([labelled.recipe])
    return [
        attribution(c, labelled.recipe.epochs, int(e.onset), int(e.end or labelled.recipe.epochs))
        for e in labelled.of(Phenomenon.OVERFITTING)
    ]


def draw(rng: np.random.Generator) -> Margin:
    """A recipe around `SEED_MARGIN`: each scalar times a log-normal factor of width 0.1, noise of any common kind."""
    return draws([rng])[0]


def draws(rngs: Sequence[np.random.Generator]) -> list[Margin]:
    """The recipes that `draw` gives for each generator."""
    normals = np.array([rng.standard_normal(len(PARAMETERS)) for rng in rngs]).reshape(len(rngs), len(PARAMETERS))
    uniforms = np.array([rng.random(len(_NOISE)) for rng in rngs]).reshape(len(rngs), len(_NOISE))
    columns = {f.name: np.full(len(rngs), getattr(SEED_MARGIN, f.name)) for f in fields(Margin)}
    for name, z in zip(PARAMETERS, normals.T, strict=True):
        columns[name] = getattr(SEED_MARGIN, name) * np.exp(0.1 * z)
    for (name, (low, high)), u in zip(_NOISE.items(), uniforms.T, strict=True):
        columns[name] = low + (high - low) * u
    for name in ("noise", "train_noise_ratio"):
        columns[name] = np.exp(columns[name])
    return recipes_of(columns, Margin)


_NOISE = {  # the least and the largest of each, of the logarithm for the first and the last
    "noise": (np.log(0.002), np.log(0.05)),
    "rho": (0.0, 0.5),
    "noise_correlation": (0.1, 0.98),
    "noise_rate": (0.2, 1.0),
    "train_noise_ratio": (np.log(0.05), 0.0),
}


_KNOWN = (*CURVES, *WIDTHS)
_fast = columns(expected, "margin", _KNOWN)


def _columns(recipes: Sequence[Margin], seeds: Sequence[int]) -> Batch:
    batch = _fast(recipes, seeds)
    asked = [i for i, recipe in enumerate(recipes) if recipe.causes]
    if not asked:
        return batch
    ambiguous = list(batch.ambiguous)
    for i, run in zip(asked, runs([recipes[i] for i in asked], [seeds[i] for i in asked]), strict=True):
        ambiguous[i] = run.ambiguous
    return replace(batch, ambiguous=ambiguous)


MODEL = Model(
    name="margin",
    tier=Tier.COMPOSED,
    recipe=Margin,
    draw=draw,
    draws=draws,
    make=runs,
    columns=_columns,
    series=(*SERIES, "learning_rate"),
    curves=_KNOWN,
    block=BLOCK,
)
