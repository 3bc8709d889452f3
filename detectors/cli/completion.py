"""`curvesense completion`: the script that completes commands, options and their values in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from detectors.cli.help import epilog
from detectors.cli.status import OK, USAGE
from detectors.cli.terminal import complain
from detectors.cli.values import Collect

__all__ = ["configure"]

_EXAMPLES = {
    "curvesense completion bash > ~/.local/share/bash-completion/completions/curvesense": "bash, for good",
    "curvesense completion zsh > ~/.zfunc/_curvesense": "zsh, where ~/.zfunc is in fpath before compinit",
    "curvesense completion tcsh > ~/.curvesense.csh": "tcsh, with `source ~/.curvesense.csh` in ~/.tcshrc",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Print the script that completes the command line in your shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.epilog = epilog(_EXAMPLES, {OK: "it was printed", USAGE: "wrong usage, or the extra is missing"})
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        complain("completion needs shtab: pip install 'curvesense[completion]'")
        return USAGE
    kinds = {"FILE": shtab.FILE, "PATH": shtab.FILE, "DIR": shtab.DIRECTORY}
    for action in _actions(args.top):
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        if metavar.partition(".")[0] in kinds:
            action.complete = kinds[metavar.partition(".")[0]]  # type: ignore[attr-defined]
        if isinstance(action, Collect) and action.words:
            action.choices = action.words
    print(shtab.complete(args.top, args.shell))
    return OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What a parser and its commands take."""
    for action in parser._actions:  # argparse has no public list of them; shtab reads this one as well
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
