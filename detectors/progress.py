"""A progress bar for whatever takes longer than two seconds: this is the one place that decides whether there is one.

There is none where standard error is no terminal, where `quiet` is asked for, within the first two seconds, and without
tqdm, which comes with the extra [sim].
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress", "say"]

PATIENCE = 2.0  # seconds that a person waits without asking


@contextmanager
def progress(total: int, unit: str, what: str = "", *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Within this context, the function that it yields is told how many of `total` more are done."""
    if quiet or not _terminal():
        yield _nothing
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield _nothing
        return
    with tqdm(total=total, unit=f" {unit}", desc=what or None, delay=PATIENCE, leave=False, dynamic_ncols=True) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        yield advance


def say(line: str) -> None:
    """Write a line to standard error, above a bar where there is one."""
    if "tqdm" in sys.modules and _terminal():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr)


def _terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _nothing(done: int) -> None:
    """What is told where nobody looks."""
