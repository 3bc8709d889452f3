"""Make every table and figure of the experiments anew, one script after the other.

`--level small` takes under ten minutes on two cores and shows that all of it runs; its numbers are of too few runs to
quote, so they go to a folder of their own. `--level full` makes what the READMEs quote, into `experiments/results/`,
and fills their tables: about a day on two cores; each script's docstring says more. A script whose library or logs are
missing is left out, and said so. What failed and how long each took stands in `run_all.csv` beside the results.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SMALL = HERE / "results-small"


@dataclass(frozen=True)
class Stage:
    """A script with its arguments at each level, None where it is left out, and what it needs."""

    script: str
    small: tuple[str, ...] | None = ()
    full: tuple[str, ...] | None = ()
    libraries: tuple[str, ...] = ()
    logs: bool = False

    def lacks(self) -> str:
        """What it needs and is not here, in words; empty if nothing."""
        missing = [name for name in self.libraries if importlib.util.find_spec(name) is None]
        if missing:
            return f"not installed: {', '.join(missing)}"
        if self.logs and not os.environ.get("CURVESENSE_LOGS"):
            return "CURVESENSE_LOGS names no folder of real logs"
        return ""


BASELINES = ("aeon", "river", "ruptures", "sklearn", "trainproof", "trainspotter")

#: In an order in which each finds what it reads of the others.
STAGES = (
    Stage("real_logs", logs=True),
    Stage("power", small=("--runs", "100")),
    Stage("analytic", small=("--draws", "8", "--runs", "256")),
    Stage("online", small=("--runs", "20", "--search", "1", "--power", "2")),
    Stage("group", small=("--groups", "200", "--power", "10")),
    Stage("false_alarms", small=("--runs", "100", "--search", "2", "--again", "20")),
    Stage("live", small=("--runs", "2", "--updates", "500")),
    Stage("fuzz", small=("--files", "100"), full=("--files", "100000")),
    Stage("hard_files", small=("--scale", "0.01")),
    Stage("seed_figure", small=("--seeds", "1"), full=("--keep", "kept")),
    Stage(
        "digits",
        small=("--seeds", "1", "--noise", "0.2"),
        full=("--keep", "kept/digits"),
        libraries=("sklearn", "torch"),
    ),
    Stage("answers", small=None, full=("train", "--curves", "kept/answers")),
    Stage("answers", small=None, full=("runs", "--curves", "kept/answers")),
    Stage("answers", small=("tables", "--resamples", "100"), full=("tables",)),
    Stage("slow_successes", small=None),
    Stage("margin", small=("setting",), full=("setting",)),
    Stage("sabotage", small=None),
    Stage("realism", small=("--draws", "1", "--only", "composed", "--trees", "10"), libraries=("sklearn",), logs=True),
    Stage("transfer", small=("--small",), libraries=BASELINES, logs=True),
    Stage(
        "leaderboard",
        small=("--composed", "20", "--analytic", "8", "--trained", "0", "--null", "10", "--only", "train_above_val"),
        libraries=BASELINES,
    ),
    Stage("throughput", small=None, libraries=("torch",)),
    Stage("page_picture", small=None, libraries=("playwright",)),
)


def run(stage: Stage, arguments: tuple[str, ...], folder: Path) -> tuple[str, float]:
    """(what became of it, seconds)."""
    start = time.perf_counter()
    environment = {**os.environ, "CURVESENSE_RESULTS": str(folder)}
    command = [sys.executable, str(HERE / f"{stage.script}.py"), *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
    return "made" if done.returncode == 0 else f"failed with exit code {done.returncode}", time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", choices=("small", "full"), required=True)
    parser.add_argument("--only", nargs="+", choices=sorted({stage.script for stage in STAGES}), help="these scripts")
    parser.add_argument("--out", type=Path, help=f"folder of the results (small: {SMALL.name}, full: results)")
    args = parser.parse_args()
    folder = (args.out or (SMALL if args.level == "small" else HERE / "results")).resolve()
    os.environ["CURVESENSE_RESULTS"] = str(folder)
    from tables import write  # reads where the results lie when it is imported

    rows = []
    for stage in STAGES:
        arguments = stage.small if args.level == "small" else stage.full
        if args.only and stage.script not in args.only:
            continue
        missing = "only at level full" if arguments is None else stage.lacks()
        told, seconds = (f"left out: {missing}", 0.0) if missing else run(stage, arguments or (), folder)
        rows.append({"script": stage.script, "level": args.level, "became": told, "seconds": f"{seconds:.0f}"})
        print(f"{stage.script:<16}{seconds:7.0f} s  {told}", flush=True)
        write("run_all.csv", rows)
    print(f"{sum(float(row['seconds']) for row in rows):.0f} s in all; results are in {folder}")
    if args.level == "full" and not args.out:
        subprocess.run([sys.executable, str(HERE / "readme.py")], check=True)
    return int(any(row["became"].startswith("failed") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
