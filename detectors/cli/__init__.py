"""The `curvesense` command line.

A command is a function that takes its parser, says what it needs, and sets `run`, a function from the parsed arguments
to the exit status. The docstring of the function is its help. A built-in command is one file of this package and one
line in `COMMANDS`; others join by the entry-point group `curvesense.commands`, as those of `sim.commands` do. Every
command has the options of `_habits`; what the config says about an option is its default.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path

from detectors.cli import completion, diagnose, watch
from detectors.cli.config import BadConfig, settings
from detectors.cli.help import Formatter
from detectors.cli.status import INTERRUPTED, OK, USAGE
from detectors.cli.terminal import COLOURS, complain, prepare

__all__ = ["COMMANDS", "main", "parser"]

Configure = Callable[[argparse.ArgumentParser], None]

COMMANDS: dict[str, Configure] = {
    "diagnose": diagnose.configure,
    "watch": watch.configure,
    "completion": completion.configure,
}


_MANNERS = ("json", "summary", "verbose", "quiet")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    prepare()
    try:
        args = _parsed(argv)
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except BadConfig as error:
        complain(str(error))
        return USAGE
    except BrokenPipeError:  # `curvesense ... | head`
        _forget_output()
        return OK
    except OSError as error:
        _forget_output()
        complain(f"cannot write the answer: {error.strerror or error}")
        return USAGE
    except KeyboardInterrupt:
        _forget_output()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)  # a shell that loops over files stops only if we die of it
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="curvesense",
        description="Make sense of loss and accuracy curves.",
        epilog="`curvesense COMMAND --help` has examples. Start with: curvesense diagnose path/to/log.csv",
    )
    try:
        installed = version("curvesense")
    except PackageNotFoundError:
        installed = "not installed"
    top.add_argument("--version", action="version", version=f"curvesense {installed}")
    commands = dict(COMMANDS)
    for entry in sorted(entry_points(group="curvesense.commands"), key=lambda e: e.name):
        commands.setdefault(entry.name, _loaded(entry))
    parsers = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, configure in commands.items():
        said = (configure.__doc__ or "").strip()
        command = parsers.add_parser(
            name,
            help=said.partition("\n")[0],
            description=said,
            formatter_class=Formatter,
            conflict_handler="resolve",  # a command that has its own -q keeps it
        )
        _habits(command)
        configure(command)
        command.set_defaults(parser=command, top=top)
    return top


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, over the defaults that a config may have set."""
    top = parser()
    args = top.parse_args(argv)
    if not args.no_config:
        said = settings(args.config, Path.cwd())
        if any(getattr(args, manner, False) for manner in _MANNERS):  # the manner asked for here is the only one
            said = {key: value for key, value in said.items() if key not in _MANNERS}
        args.parser.set_defaults(**{key: value for key, value in said.items() if key in vars(args)})
        args = top.parse_args(argv)
    return args


def _habits(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("in every command")
    group.add_argument("-q", "--quiet", action="store_true", help="no more than is asked for: no progress, no remarks")
    group.add_argument(
        "--color", choices=COLOURS, default="auto", help="default auto: in a terminal, unless NO_COLOR is set"
    )
    config = group.add_mutually_exclusive_group()
    config.add_argument("--config", metavar="FILE", help="read [tool.curvesense] in it, not the nearest one")
    config.add_argument("--no-config", action="store_true", help="read no config")


def _loaded(entry: EntryPoint) -> Configure:
    """The command that a package has joined; one that cannot be loaded says so when it is called."""
    try:
        configure: Configure = entry.load()
        return configure
    except Exception as error:  # somebody else's package must not stop the other commands
        reason = f"the command {entry.name} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}"

    def refuse(args: argparse.Namespace) -> int:
        complain(reason)
        return USAGE

    def broken(command: argparse.ArgumentParser) -> None:
        """This command cannot be loaded."""
        command.set_defaults(run=refuse)

    return broken


def _forget_output() -> None:
    """Send what the buffer still holds nowhere, so that the interpreter does not fail on it at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a file: a test's, a notebook's
        sys.stdout = io.StringIO()
