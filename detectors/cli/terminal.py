"""What the terminal is told and can take: colour, width, characters, and errors of one line."""

from __future__ import annotations

import io
import os
import shutil
import sys

from detectors.progress import say
from detectors.report.text import printable

__all__ = ["COLOURS", "coloured", "complain", "prepare", "speaks_unicode", "width"]

COLOURS = ("auto", "always", "never")


def prepare() -> None:
    """Make the standard streams bear whatever is printed: names in other alphabets, or no stream at all."""
    sys.stdout = sys.stdout or io.StringIO()  # `>&-` leaves none
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    sys.stderr = sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name shows its code


def complain(message: str) -> None:
    """One line on standard error, whatever is in the message."""
    say(f"curvesense: {printable(message)}")


def coloured(choice: str) -> bool:
    """Whether standard output gets colour: as `choice` says, else NO_COLOR, FORCE_COLOR, CLICOLOR and the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("CLICOLOR") != "0"


def speaks_unicode() -> bool:
    """Whether standard output can show any character."""
    return (sys.stdout.encoding or "").lower().startswith("utf")


def width() -> int:
    """Columns to wrap at: those of the terminal, 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns
