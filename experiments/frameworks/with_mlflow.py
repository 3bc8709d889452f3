"""MLflow's two local stores, each with two runs: the folder `mlruns` and the SQLite data base `mlflow.db`.

Both note whose machine they are on: the user and the program are given as tags, artifacts are said to lie on a server.
The base has a hundred tables, nearly all empty, so `small` lets SQLite keep them on pages of 512 bytes.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # from version 3.7 on it is an older way, to be asked for

import mlflow
from fixture import make
from training import expected, train

EPOCHS = 12
TAGS = {"mlflow.user": "somebody", "mlflow.source.name": "train.py"}


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    runs = [list(train(seed, EPOCHS)) for seed in (0, 1)]
    for store in ("mlruns", "sqlite:///mlflow.db"):
        mlflow.set_tracking_uri(store)
        mlflow.create_experiment("digits", artifact_location="mlflow-artifacts:/1")
        mlflow.set_experiment("digits")
        for seed, epochs in enumerate(runs):
            with mlflow.start_run(run_name=f"seed_{seed}", tags=TAGS):
                mlflow.log_param("seed", seed)
                for epoch in epochs:
                    mlflow.log_metrics(epoch.series, step=epoch.number)
    shutil.rmtree(out / "mlruns" / "0")  # the default experiment, empty
    small(out / "mlflow.db")
    return {"mlruns": [expected(epochs) for epochs in runs], "mlflow.db": [expected(epochs) for epochs in runs]}


def small(base: Path) -> None:
    """Take the folder of this machine out of the default experiment and pack the empty tables closely."""
    with closing(sqlite3.connect(base, isolation_level=None)) as connection:
        connection.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/0' WHERE experiment_id = 0")
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")


if __name__ == "__main__":
    make(script, ("mlflow",))
