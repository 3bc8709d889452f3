"""LightGBM's `record_evaluation` as JSON: a list for each metric of each data set, one value a tree."""

from __future__ import annotations

import json
from pathlib import Path

import lightgbm
from fixture import make, run
from training import CLASSES, draw

TREES = 25


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    train, validation = (lightgbm.Dataset(x, y) for x, y in draw(seed=0, sets=2))
    evals: dict[str, dict[str, list[float]]] = {}
    lightgbm.train(
        {
            "objective": "multiclass",
            "num_class": CLASSES,
            "metric": ["multi_logloss", "multi_error"],
            "num_leaves": 4,
            "seed": 0,
            "num_threads": 1,
            "verbose": -1,
        },
        train,
        TREES,
        valid_sets=[train, validation],
        valid_names=["train", "valid"],
        callbacks=[lightgbm.record_evaluation(evals)],
    )
    Path("evals_result.json").write_text(json.dumps(evals))
    series = {}
    for side, name in (("train", "train"), ("val", "valid")):
        series[f"{side}_loss"] = evals[name]["multi_logloss"]
        series[f"{side}_accuracy"] = [1 - error for error in evals[name]["multi_error"]]
    return {"evals_result.json": [run(range(1, TREES + 1), series)]}


if __name__ == "__main__":
    make(script, ("lightgbm",))
