"""The twins of a run: the same recipe with one cause taken away, and each random draw the same.

A kind of twin is a function of the recipe and one line in `TWINS`. What a recipe does not have cannot be taken away: a
twin that would be the run itself is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from sim.recipe import BadRecipe, Recipe, twin, without_drop

__all__ = ["TWINS", "family"]


def _without_drops(recipe: Recipe) -> dict[str | int, Recipe]:
    """One for each drop of a step schedule, under the position of the drop: it keeps the old rate until the next."""
    drops = recipe.schedule.milestones if recipe.schedule.kind == "step" else ()
    return {m: without_drop(recipe, k) for k, m in enumerate(drops) if k not in recipe.schedule.skipped}


def _ideal_world(recipe: Recipe) -> dict[str | int, Recipe]:
    """Fresh training examples for every epoch; none where the data set has no more than it has."""
    try:
        return {"fresh_samples": twin(recipe, fresh_samples=True)}
    except BadRecipe:
        return {}


def _clean_labels(recipe: Recipe) -> dict[str | int, Recipe]:
    """No wrong label in training; validation as it was."""
    return {"label_noise": twin(recipe, label_noise=0.0)}


def _without_augmentation(recipe: Recipe) -> dict[str | int, Recipe]:
    """Training inputs as they are, neither noisy nor moved."""
    return {"augmentation": twin(recipe, augmentation=0.0, shift_augmentation=0)}


def _without_dropout(recipe: Recipe) -> dict[str | int, Recipe]:
    """Every unit at every step."""
    return {"dropout": twin(recipe, dropout=0.0)}


#: The kinds of twins that can be asked for; each gives recipes under the name that `Expected` has for them.
TWINS: dict[str, Callable[[Recipe], dict[str | int, Recipe]]] = {
    "without_drop": _without_drops,
    "fresh_samples": _ideal_world,
    "label_noise": _clean_labels,
    "augmentation": _without_augmentation,
    "dropout": _without_dropout,
}


def family(recipe: Recipe, kinds: Collection[str]) -> dict[str | int, Recipe]:
    """The run, under "run", and its twins of these kinds; BadRecipe if there is no such kind.

    A twin without a drop has the drop's position as its key, any other the name of the field that was changed.
    """
    unknown = [kind for kind in kinds if kind not in TWINS]
    if unknown:
        raise BadRecipe(f"twins={kinds!r}: there is no {unknown[0]!r}; allowed are {', '.join(TWINS)}")
    members: dict[str | int, Recipe] = {"run": recipe}
    for kind in TWINS:
        if kind in kinds:
            members |= {name: changed for name, changed in TWINS[kind](recipe).items() if _differs(changed, recipe)}
    return members


def _differs(changed: Recipe, recipe: Recipe) -> bool:
    """Whether training differs; to say that validation has the label noise that it had anyway changes nothing."""
    if changed.label_noise == recipe.label_noise == changed.population_label_noise == recipe.population_label_noise:
        changed = twin(changed, val_label_noise=recipe.val_label_noise)
    return changed != recipe
