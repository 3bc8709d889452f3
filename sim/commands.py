"""The commands that the extra [sim] adds: each takes its parser and says what it needs and what it runs.

JAX is imported when a command runs, not when the command line is parsed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["demo", "generate"]


def demo(parser: argparse.ArgumentParser) -> None:
    """Train the seed figure, ask every detector about the observed curves, and show the answers beside the truth."""
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")
    parser.add_argument("--seed", type=_whole, default=16, help="the run to explain (default 16)")
    parser.set_defaults(run=_with_sim(_demo))


def generate(parser: argparse.ArgumentParser) -> None:
    """Write labelled runs as Parquet: observed series, events, and the recipe of each."""
    parser.add_argument("--tier", choices=("composed", "trained"), required=True)
    parser.add_argument("--runs", type=_positive, required=True, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--seed", type=_whole, default=0, help="of the data set (default 0)")
    parser.set_defaults(run=_with_sim(_generate))


def _demo(args: argparse.Namespace) -> int:
    from sim.demo import run_demo

    return run_demo(args.out, args.seed)


def _generate(args: argparse.Namespace) -> int:
    from sim.dataset import write

    try:
        written = write(args.out, tier=args.tier, runs=args.runs, seed=args.seed)
    except OSError as error:
        print(f"curvesense: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.runs} {args.tier} runs to {written}")
    return 0


def _with_sim(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    def run(args: argparse.Namespace) -> int:
        try:
            return command(args)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in ("jax", "optax", "pyarrow", "tqdm", "matplotlib"):
                raise
            print(f"curvesense: this command needs {error.name}: pip install 'curvesense[sim]'", file=sys.stderr)
            return 2

    return run


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number in 0..2^31-1")
    return int(text)


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is 1 or more")
    return value
