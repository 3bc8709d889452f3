"""Recipe files: which model, which of its settings are fixed and how the others are distributed, as TOML.

    model = "composed"
    rest = "drawn"                                  # what is not named: "drawn" by the model, or its "defaults"

    [recipe]
    epochs = 120                                    # fixed
    overfit = { log_uniform = [0.02, 0.5] }         # also: uniform = [low, high]
    overfit_at = { integers = [30, 60] }            # both ends included
    factor = { choice = [0.1, 0.2, 0.5] }

    [recipe.schedule]                               # where a recipe has a schedule
    kind = "step"
    milestones = { choice = [[60, 90], [80]] }

A draw that the model refuses is drawn again. Instead of [recipe], a file may say what a run shall show, as
`sim.conditioned` has it:

    [want]
    overfitting = { size = [0.1, 0.3] }
    spike = { absent = true }

`BadRecipeFile` names the file, the key, the value and what is allowed.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from sim.catalogue import model
from sim.conditioned import BadWant, NotFound, Want, conditioned, wants_of
from sim.model import Model, Tier
from sim.recipe import BadRecipe, made
from sim.schedules import BadSchedule

__all__ = ["EXAMPLES", "BadRecipeFile", "load", "sampler"]

EXAMPLES = Path(__file__).parent / "recipes"  # files that come with the package, by the name before .toml
TRIES = 200  # draws until one that the model takes
TRIALS = 50  # recipes that are drawn before any work starts
REST = ("drawn", "defaults")
TRIED = 2  # wants that are looked for before any work starts
KEYS = ("model", "rest", "recipe", "want")

Draw = Callable[[np.random.Generator], Any]
Sampler = Callable[[Sequence[np.random.Generator], Sequence[int]], tuple[Sequence[Any], int]]


class BadRecipeFile(ValueError):
    """A recipe file that cannot be used; one line names the file, the key, the value and what would be allowed."""


def load(name: str | Path) -> tuple[str, str]:
    """(model, content) of a recipe file: a path, or the name of an example; the content as `sampler` takes it."""
    path = Path(name)
    if not path.exists() and path.name == str(name) and (EXAMPLES / f"{name}.toml").exists():
        path = EXAMPLES / f"{name}.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        there = ", ".join(sorted(example.stem for example in EXAMPLES.glob("*.toml")))
        raise BadRecipeFile(f"{name}: {error.strerror}. The examples that come with us are {there}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRecipeFile(f"{path}: this is no TOML: {error}") from None
    try:
        chosen, content = _checked(document)
    except BadRecipeFile as error:
        raise BadRecipeFile(f"{path}: {error}") from None
    return chosen.name, content


def sampler(chosen: Model, content: str) -> Sampler:
    """What draws recipes as a file says, one from each generator for the run of each seed, and how many it tried."""
    return _sampler(chosen.name, content)


def _checked(document: dict[str, Any]) -> tuple[Model, str]:
    for key in document:
        if key not in KEYS:
            raise BadRecipeFile(f"{key} = {document[key]!r}: allowed are {', '.join(KEYS)}")
    if not isinstance(document.get("model"), str):
        raise BadRecipeFile("model is missing: allowed is the name of one, as in model = 'composed'")
    try:
        chosen = model(document["model"])
    except KeyError as error:
        raise BadRecipeFile(f"model = {document['model']!r}: {error.args[0]}") from None
    if document.get("rest", REST[0]) not in REST:
        raise BadRecipeFile(f"rest = {document['rest']!r}: allowed are {' and '.join(map(repr, REST))}")
    if not isinstance(document.get("recipe", {}), dict):
        raise BadRecipeFile(f"recipe = {document['recipe']!r}: allowed is a table, [recipe]")
    if "want" in document:
        if not isinstance(document["want"], dict) or not document["want"]:
            raise BadRecipeFile(f"want = {document['want']!r}: allowed is a table, [want], of phenomena")
        if "recipe" in document or "rest" in document:
            raise BadRecipeFile("want and recipe: allowed is one of them, for what is wanted decides on the settings")
        try:
            wants_of(document["want"])
        except BadWant as error:
            raise BadRecipeFile(f"want.{error}") from None
    _distributions(chosen.recipe, document.get("recipe", {}), "recipe")
    content = json.dumps({**document, "model": chosen.name}, sort_keys=True, default=str)
    trials = range(TRIED if "want" in document else TRIALS)
    if "want" not in document or chosen.tier is not Tier.TRAINED:  # which would take minutes
        _sampler(chosen.name, content)([np.random.default_rng(trial) for trial in trials], list(trials))
    return chosen, content


@lru_cache(maxsize=8)
def _sampler(name: str, content: str) -> Sampler:
    chosen, document = model(name), json.loads(content)
    if "want" in document:
        return partial(_wanted, chosen, wants_of(document["want"]))
    changes = _distributions(chosen.recipe, document.get("recipe", {}), "recipe")
    defaults = document.get("rest", REST[0]) == "defaults"

    def draw(rngs: Sequence[np.random.Generator], seeds: Sequence[int]) -> tuple[list[Any], int]:
        found: list[Any] = [None] * len(rngs)
        left, said, tried = list(range(len(rngs))), "", 0
        for _ in range(TRIES):
            again = []
            tried += len(left)
            some = [chosen.recipe()] * len(left) if defaults else chosen.drawn([rngs[i] for i in left])
            for i, recipe in zip(left, some, strict=True):
                try:
                    found[i] = _changed(recipe, changes, rngs[i])
                except (BadRecipe, BadSchedule) as error:
                    again.append(i)
                    said = str(error)
            if not again:
                return found, tried
            left = again
        raise BadRecipeFile(f"no recipe of {TRIES} draws is one that {name} takes; the last one: {said}")

    return draw


def _wanted(
    chosen: Model, wants: Sequence[Want], rngs: Sequence[np.random.Generator], seeds: Sequence[int]
) -> tuple[list[Any], int]:
    try:
        found = [conditioned(chosen, wants, rng, seed=seed) for rng, seed in zip(rngs, seeds, strict=True)]
    except NotFound as error:
        raise BadRecipeFile(str(error)) from None
    return [one.recipe for one in found], sum(one.tried for one in found)


def _changed(recipe: Any, changes: Mapping[str, Any], rng: np.random.Generator) -> Any:
    new = {
        key: _changed(getattr(recipe, key), change, rng) if isinstance(change, dict) else change(rng)
        for key, change in changes.items()
    }
    return made(type(recipe), {**vars(recipe), **new})


def _distributions(recipe: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """For each key a function of the generator, or again such a dict for a setting that has settings of its own."""
    hints = get_type_hints(recipe)
    names = [field.name for field in fields(recipe)]
    found: dict[str, Any] = {}
    for key, value in table.items():
        here = f"{where}.{key}"
        if key not in names or (where == "recipe" and key == "seed"):
            allowed = ", ".join(name for name in names if name != "seed")
            raise BadRecipeFile(f"{here} = {value!r}: there is no such setting; allowed are {allowed}")
        kinds = [kind for kind in (get_args(hints[key]) or (hints[key],)) if isinstance(kind, type)]
        inner = next((kind for kind in kinds if is_dataclass(kind)), None)
        if inner is not None:
            if not isinstance(value, dict):
                raise BadRecipeFile(f"{here} = {value!r}: allowed is a table, [{here}]")
            found[key] = _distributions(inner, value, here)
        else:
            found[key] = _distribution(hints[key], value, here)
    return found


def _distribution(hint: Any, value: Any, here: str) -> Draw:
    take = _taker(hint, here)
    if not isinstance(value, dict):
        fixed = take(value)
        return lambda rng: fixed
    if len(value) != 1 or next(iter(value)) not in _KINDS:
        raise BadRecipeFile(f"{here} = {value!r}: allowed are one value, or one of {', '.join(_KINDS)}")
    ((kind, settings),) = value.items()
    if not isinstance(settings, list) or not settings:
        raise BadRecipeFile(f"{here}.{kind} = {settings!r}: allowed is a list")
    if kind == "choice":
        choices = [take(choice) for choice in settings]
        return lambda rng: choices[int(rng.integers(len(choices)))]
    if len(settings) != 2 or not all(isinstance(end, int | float) and math.isfinite(end) for end in settings):
        raise BadRecipeFile(f"{here}.{kind} = {settings!r}: allowed are two numbers, [low, high]")
    low, high = take(settings[0]), take(settings[1])
    if low > high:
        raise BadRecipeFile(f"{here}.{kind} = {settings!r}: allowed is low <= high")
    if kind == "integers":
        if not isinstance(low, int) and not (float(low).is_integer() and float(high).is_integer()):
            raise BadRecipeFile(f"{here}.{kind} = {settings!r}: allowed are whole numbers")
        return lambda rng: take(int(rng.integers(int(low), int(high) + 1)))
    if isinstance(low, int):
        raise BadRecipeFile(f"{here}.{kind} = {settings!r}: it is a whole number; allowed are integers and choice")
    if kind == "log_uniform":
        if low <= 0:
            raise BadRecipeFile(f"{here}.{kind} = {settings!r}: allowed is 0 < low")
        return lambda rng: math.exp(rng.uniform(math.log(low), math.log(high)))
    return lambda rng: float(rng.uniform(low, high))


_KINDS = ("uniform", "log_uniform", "integers", "choice")


def _taker(hint: Any, here: str) -> Callable[[Any], Any]:
    """What turns a value of TOML into one of this type, or says that it is none."""
    kinds = get_args(hint) if get_origin(hint) not in (None, tuple) else (hint,)
    literal = [kind for kind in kinds if not isinstance(kind, type) and get_origin(kind) is None]

    def take(value: Any) -> Any:
        for kind in kinds:
            if get_origin(kind) is tuple and isinstance(value, list):
                return tuple(_taker(get_args(kind)[0], here)(item) for item in value)
            if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
            if isinstance(kind, type) and kind is not float and issubclass(kind, str) and isinstance(value, str):
                try:
                    return kind(value)
                except ValueError:
                    continue
            if isinstance(kind, type) and type(value) is kind:
                return value
        if value in literal:
            return value
        names = [_NAMES.get(kind, str(kind)) for kind in kinds if kind not in literal and kind is not type(None)]
        raise BadRecipeFile(f"{here} = {value!r}: allowed is {' or '.join([*names, *map(repr, literal)])}")

    return take


_NAMES: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
