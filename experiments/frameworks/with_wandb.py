"""Weights & Biases in offline mode: the folder `wandb` with two runs, each a `.wandb` file of records.

No account, no network. The settings keep the machine, its user and its folders out of the records.
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["WANDB_MODE"] = "offline"

import wandb
from fixture import make
from training import expected, train

EPOCHS = 20
NAMES = {
    "train_loss": "train/loss",
    "val_loss": "val/loss",
    "train_accuracy": "train/acc",
    "val_accuracy": "val/acc",
    "learning_rate": "lr",
}


def script(out: Path) -> dict[str, list[dict[str, object]]]:
    runs = [list(train(seed, EPOCHS)) for seed in (0, 1)]
    for seed, epochs in enumerate(runs):
        settings = wandb.Settings(
            root_dir=".",
            run_id=f"seed{seed}",
            run_name=f"seed {seed}",
            host="machine",
            username="somebody",
            x_start_time=1.7e9 + seed,
            program="train.py",
            x_executable="python",
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            silent=True,
        )
        with wandb.init(project="digits", config={"seed": seed, "batch": 16}, settings=settings) as log:
            for epoch in epochs:
                log.log({"epoch": epoch.number, **{NAMES[s]: value for s, value in epoch.series.items()}})
    neutral(out / "wandb")
    return {"wandb": [expected(epochs) for epochs in runs]}


def neutral(folder: Path) -> None:
    """Take the hour out of the folders' names, and leave out the log that names the folders of this machine."""
    latest = folder / "latest-run"
    latest.unlink()
    for seed in (0, 1):
        (found,) = folder.glob(f"offline-run-*-seed{seed}")
        (found / "logs" / "debug-core.log").unlink()
        for log in ("debug.log", "debug-internal.log"):
            (folder / log).unlink(missing_ok=True)  # links into the last run
        latest_run = found.rename(folder / f"offline-run-20231114_22132{seed}-seed{seed}")
    latest.symlink_to(latest_run.name)


if __name__ == "__main__":
    make(script, ("wandb",))
