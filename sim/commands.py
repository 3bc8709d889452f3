"""The commands that the extra [sim] adds: each takes its parser and says what it needs and what it runs.

JAX is imported when a command runs, not when the command line is parsed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from detectors.cli.help import epilog
from detectors.cli.status import INTERRUPTED, OK, UNREADABLE, USAGE
from detectors.progress import progress

__all__ = ["demo", "generate", "validate"]

_NEEDED = ("jax", "optax", "pyarrow", "tqdm", "matplotlib", "hypothesis")
_EXTRA = {**dict.fromkeys(_NEEDED, "sim"), "ray": "ray"}  # which extra brings a package


def demo(parser: argparse.ArgumentParser) -> None:
    """Train the seed figure, ask every detector about the observed curves, and show the answers beside the truth."""
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")
    parser.add_argument("--seed", type=_whole, default=16, help="the run to explain (default 16)")
    examples = {
        "curvesense demo": "about 90 seconds on two cores; then look at demo/figure.png",
        "curvesense demo --seed 3 --out other": "another run, into another folder",
    }
    parser.epilog = epilog(examples, {OK: "it is shown", USAGE: "wrong usage, or the extra [sim] is missing"})
    parser.set_defaults(run=_with_sim(_demo), quiet=False)


def generate(parser: argparse.ArgumentParser) -> None:
    """Write labelled runs as Parquet: observed series, truth, events, and the recipe of each."""
    parser.add_argument("--tier", choices=("composed", "analytic", "trained"), help="its first model, unless --model")
    parser.add_argument("--model", metavar="NAME", help="a synthetic model; a wrong name lists them")
    parser.add_argument("--runs", type=_positive, required=True, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on with")
    parser.add_argument("--recipe", metavar="FILE", help="TOML that says how settings are distributed, or an example")
    parser.add_argument("--seed", type=_whole, default=0, help="of the data set (default 0)")
    parser.add_argument(
        "--split", type=_split, default=(0.8, 0.1, 0.1), metavar="A/B/C", help="train, validation, test: 0.8/0.1/0.1"
    )
    parser.add_argument("--shard-runs", type=_positive, metavar="N", help="runs in a file, rounded up to whole blocks")
    parser.add_argument("--workers", type=_positive, metavar="W", help="default: one a core where that is faster")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="default: local")
    parser.add_argument("--address", default="", metavar="A", help="of a Ray cluster; default: a new one here")
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument("--cache", metavar="DIR", help="where compiled programs are kept (or CURVESENSE_CACHE)")
    cache.add_argument("--no-cache", action="store_true", help="keep no compiled programs")
    parser.epilog = epilog(
        {
            "curvesense generate --tier composed --runs 10000 --out runs": "ten thousand curves in closed form",
            "curvesense generate --recipe overfitting --runs 1000 --out rises": "of a recipe that comes with us",
            "curvesense generate --tier trained --runs 64 --out nets --engine ray --address auto": "on a Ray cluster",
        },
        {
            OK: "the data set is complete",
            USAGE: "wrong usage, or it cannot be written; what is complete stays, and the same command goes on",
            INTERRUPTED: "interrupted by Ctrl-C; likewise",
        },
    )
    parser.set_defaults(run=_with_sim(_generate), quiet=False)


def validate(parser: argparse.ArgumentParser) -> None:
    """Examine a detector, anybody's: what it finds, what it misses, what it invents, on the simplest curve each."""
    parser.add_argument("detector", metavar="MODULE:NAME", help="its class, or an instance, as in my_module:MyDetector")
    parser.add_argument("--level", choices=("quick", "default", "thorough"), default="default", help="default: default")
    parser.add_argument(
        "--subject", default="", metavar="MODULE:NAME", help="a sim.exam.Subject, if what it finds is new"
    )
    parser.add_argument("--only", action="append", metavar="CHECK", help="ask this check alone; may be repeated")
    parser.add_argument("--seed", type=_whole, default=0, help="other examples and other runs (default 0)")
    parser.add_argument("--time-limit", type=_seconds, default=5.0, metavar="S", help="of one call (default 5)")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report, with pictures, as one HTML file")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="write a pytest file for each failure")
    examples = {
        "curvesense validate my_module:MyDetector --level quick": "a first look, in a minute or so",
        "curvesense validate my_module:MyDetector --html report.html": "the whole exam, with a picture of each failure",
        "curvesense validate detectors.lr_drop:LrDrop --only ignores_other_series": "one check alone",
        "curvesense validate my_module:MyDetector --replay tests": "a pytest file that repeats each failure",
    }
    passed = {OK: "no check failed", UNREADABLE: "one did", USAGE: "wrong usage, or a detector that cannot be loaded"}
    parser.epilog = epilog(examples, passed)
    parser.set_defaults(run=_with_sim(_validate), quiet=False)


def _demo(args: argparse.Namespace) -> int:
    from sim.demo import run_demo

    return run_demo(args.out, args.seed, args.quiet)


def _generate(args: argparse.Namespace) -> int:
    from sim.catalogue import MODELS, model
    from sim.dataset import plan, produce, workers_for
    from sim.engines import Crowd, Lost
    from sim.machine import cache_folder
    from sim.recipe_file import BadRecipeFile, load

    try:
        name, recipes = load(args.recipe) if args.recipe else ("", "")
        wanted = args.model or name or args.tier
        if not wanted:
            raise ValueError("which runs? allowed are --tier, --model and --recipe")
        chosen = model(wanted)
        if name and chosen.name != name:
            raise ValueError(f"--model {wanted}: {args.recipe} is for {name}")
        if args.tier and chosen.tier != args.tier:
            raise ValueError(f"--tier {args.tier}: {chosen.name} is of the tier {chosen.tier}")
        planned = plan(
            chosen.name, runs=args.runs, seed=args.seed, split=args.split, shard=args.shard_runs, recipes=recipes
        )
        workers = args.workers or workers_for(planned)
        cache = None if args.no_cache else cache_folder(args.cache)
        if cache and not args.quiet and sys.stderr.isatty():
            print(f"compiled programs are kept in {cache} (--cache DIR, --no-cache)", file=sys.stderr)
        crowd = Crowd(workers=workers, cache=cache, address=args.address)
        written = produce(args.out, planned, crowd, engine=args.engine, quiet=args.quiet)
    except KeyError as error:
        print(f"curvesense: --model: {error.args[0]} (of {len(MODELS)} models)", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"curvesense: {error.strerror if error.errno and error.strerror else error}", file=sys.stderr)
        return 2
    except (BadRecipeFile, Lost, ValueError) as error:
        print(f"curvesense: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("curvesense: stopped; what is complete stays, and the same command goes on", file=sys.stderr)
        raise
    print(f"wrote {args.runs} {chosen.name} runs to {written}")
    return 0


def _validate(args: argparse.Namespace) -> int:
    from sim.exam.catalogue import CHECKS
    from sim.exam.page import page
    from sim.exam.report import document, render
    from sim.exam.reproduce import BadTarget, load, write
    from sim.exam.run import examine

    try:
        detector, subject, target = load(args.detector, args.subject)
        with progress(len(args.only or CHECKS), "checks", args.detector, quiet=args.quiet or args.json) as advance:
            report = examine(
                detector,
                level=args.level,
                seed=args.seed,
                subject=subject,
                only=args.only,
                time_limit=args.time_limit,
                on_result=lambda result: advance(1),
            )
    except (BadTarget, TypeError, ValueError) as error:
        print(f"curvesense: {error}", file=sys.stderr)
        return 2
    if args.json:
        json.dump(document(report), sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        print(render(report, shutil.get_terminal_size((100, 24)).columns))
    try:
        if args.html:
            args.html.write_text(page(report, target), encoding="utf-8")
            print(f"wrote {args.html}", file=sys.stderr)
        if args.replay:
            for path in write(report, args.replay, target):
                print(f"wrote {path}", file=sys.stderr)
    except OSError as error:
        print(f"curvesense: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0 if report.passed else 1


def _with_sim(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        try:
            return command(args)
        except ModuleNotFoundError as error:
            extra = _EXTRA.get((error.name or "").split(".")[0])
            if extra is None:
                raise
            print(f"curvesense: this command needs {error.name}: pip install 'curvesense[{extra}]'", file=sys.stderr)
            return 2

    return run


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number in 0..2^31-1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are seconds above 0")
    return value


def _split(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = map(float, text.split("/"))
    except ValueError:
        train = validation = test = float("nan")
    if not (min(train, validation, test) >= 0 and abs(train + validation + test - 1) < 1e-9):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are three shares that add up to 1, as in 0.8/0.1/0.1")
    return train, validation, test


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is 1 or more")
    return value
