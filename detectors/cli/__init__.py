"""The `curvesense` command line.

A command is a function that takes its parser, says what it needs, and sets `run`, a function from the parsed arguments
to the exit status. The docstring of the function is its help. A built-in command is one file of this package and one
line in `COMMANDS`; others join by the entry-point group `curvesense.commands`, as those of `sim.commands` do.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version

from detectors.cli import diagnose
from detectors.cli.status import INTERRUPTED, OK, USAGE

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "diagnose": diagnose.configure,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name shows its code
    args = _parser().parse_args(argv)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `curvesense ... | head`
        _forget_output()
        return OK
    except OSError as error:
        _forget_output()
        print(f"curvesense: cannot write the answer: {error.strerror}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def _forget_output() -> None:
    """Send what the buffer still holds nowhere, so that the interpreter does not fail on it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="curvesense", description="Make sense of loss and accuracy curves.")
    try:
        installed = version("curvesense")
    except PackageNotFoundError:
        installed = "not installed"
    parser.add_argument("--version", action="version", version=f"curvesense {installed}")
    commands = dict(COMMANDS)
    for entry in sorted(entry_points(group="curvesense.commands"), key=lambda e: e.name):
        commands.setdefault(entry.name, entry.load())
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, configure in commands.items():
        said = (configure.__doc__ or "").strip()
        configure(parsers.add_parser(name, help=said.partition("\n")[0], description=said))
    return parser
