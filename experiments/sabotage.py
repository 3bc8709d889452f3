"""Which check catches which sabotaged detector? Writes `experiments/results/sabotage.csv`.

Asks every check of every sabotaged detector and of every honest one, at the default level: a row for each pair, with
the status. The two questions are whether each culprit is caught by the check meant for it, and whether the honest ones
pass everything that they promise. About 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys

from tables import read, write
from tqdm import tqdm

from sim.exam import CHECKS, LEVELS, examine
from sim.exam.sabotage import HONEST, SABOTAGES


def rows(task: tuple[str, str, list[str] | None]) -> list[dict[str, object]]:
    """The rows of one detector: `task` is the level, the check that it is meant for or its name, the checks to ask."""
    level, key, checks = task
    honest = key not in SABOTAGES
    detector = (HONEST if honest else SABOTAGES)[key]()
    report = examine(detector, level=level, only=checks)
    return [
        {
            "detector": report.detector,
            "honest": honest,
            "meant_for": "" if honest else key,
            "level": level,
            "check": r.check.name,
            "status": r.status,
            "failures": "" if r.outcome.failures is None else r.outcome.failures,
            "trials": "" if r.outcome.trials is None else r.outcome.trials,
        }
        for r in report.results
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", choices=list(LEVELS), default="default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", action="append", choices=[*HONEST, *SABOTAGES], help="ask this detector anew; other rows stay"
    )
    parser.add_argument("--check", action="append", choices=list(CHECKS), help="ask this check anew; other rows stay")
    args = parser.parse_args()
    tasks = [(args.level, key, args.check) for key in args.only or (*HONEST, *SABOTAGES)]
    with multiprocessing.get_context("spawn").Pool(args.workers) as pool:
        tables = list(tqdm(pool.imap(rows, tasks), total=len(tasks), disable=not sys.stderr.isatty()))
    part = args.only or args.check
    before: list[dict[str, object]] = [{**row} for row in read("sabotage.csv")] if part else []
    every = {(row["detector"], row["check"]): row for row in [*before, *(row for table in tables for row in table)]}
    names = list(dict.fromkeys(detector for detector, _ in every))
    write("sabotage.csv", [every[name, check] for name in names for check in CHECKS if (name, check) in every])
    for table in tables:
        meant = {r["check"]: r["status"] for r in table}.get(table[0]["meant_for"], "")
        failed = [r["check"] for r in table if r["status"] == "failed"]
        print(f"{table[0]['detector']:<24}{meant:<10}{' '.join(map(str, failed))}")


if __name__ == "__main__":
    main()
