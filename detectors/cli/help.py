"""Help that teaches by example: real command lines, then what the exit status says."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

__all__ = ["Formatter", "epilog"]

_FIRST = "examples:"
_STATUS = "Exit status: "


def epilog(examples: Mapping[str, str], statuses: Mapping[int, str]) -> str:
    """What follows the options in `--help`: each command line below what it does, and each exit status."""
    lines = [_FIRST, *(line for command, says in examples.items() for line in (f"  # {says}", f"  {command}"))]
    codes = [f"{code:<4} {says}" for code, says in statuses.items()]
    return "\n".join([*lines, "", f"{_STATUS}{codes[0]}", *(f"{'':<{len(_STATUS)}}{code}" for code in codes[1:])])


class Formatter(argparse.HelpFormatter):
    """Help in which examples keep their lines and all else is wrapped."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(_FIRST):
            return text
        return super()._fill_text(text, width, indent)
