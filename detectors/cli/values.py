"""What an option or a key of the config may be: each takes what was written, text or TOML, and returns what it means.

`argparse.ArgumentTypeError` says what was written and what is allowed.
"""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from detectors.readers import FORMATS

__all__ = ["Collect", "add_alpha", "add_reading", "alpha", "jobs", "mapping", "names", "one_of", "pair", "switch"]

MOST_JOBS = 256


def alpha(value: object) -> float:
    """A rate of false alarms."""
    try:
        number = float("nan") if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number < 1:
        raise ArgumentTypeError(f"{value!r}: allowed is a number between 0 and 1")
    return number


def jobs(value: object) -> int:
    """A number of processes."""
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 5 else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= MOST_JOBS:
        raise ArgumentTypeError(f"{value!r}: allowed is a whole number from 1 to {MOST_JOBS}")
    return number


def pair(value: str) -> tuple[str, str]:
    """SERIES=NAME; the name may hold further equals signs."""
    series, equals, name = value.partition("=")
    if not (series and equals and name):
        raise ArgumentTypeError(f"{value!r}: expected SERIES=NAME, as in val_loss=my_metric")
    return series, name


def mapping(value: object) -> list[tuple[str, str]]:
    """A table of series and the names that they have in the logs."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value.values()):
        raise ArgumentTypeError(f'{value!r}: allowed is a table such as {{ val_loss = "my_metric" }}')
    return list(value.items())


def switch(value: object) -> bool:
    """On or off."""
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{value!r}: allowed are true and false")
    return value


def one_of(allowed: Sequence[str]) -> Callable[[object], str]:
    """One of these words."""

    def word(value: object) -> str:
        if value not in allowed:
            raise ArgumentTypeError(f"{value!r}: allowed are {', '.join(allowed)}")
        return str(value)

    return word


def names(allowed: Sequence[str]) -> Callable[[object], list[str]]:
    """Some of these words: a list, or text with commas."""
    word = one_of(allowed)

    def words(value: object) -> list[str]:
        if not isinstance(value, (str, list)) or not value:
            raise ArgumentTypeError(f"{value!r}: allowed are one or more of {', '.join(allowed)}")
        return [word(part.strip() if isinstance(part, str) else part) for part in _parts(value)]

    return words


def add_alpha(parser: argparse.ArgumentParser, says: str) -> None:
    """The option --alpha; `says` is what it bounds."""
    parser.add_argument("--alpha", type=alpha, default=0.05, metavar="RATE", help=f"{says} (default 0.05)")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The options that say how a log is read: --format and --map."""
    parser.add_argument("--format", choices=[f.NAME for f in FORMATS], help="the logs' format, if content misleads")
    parser.add_argument(
        "--map", action=Collect, type=pair, default=[], metavar="SERIES=NAME", help="e.g. --map val_loss=my_metric"
    )


class Collect(argparse.Action):
    """An option that may be repeated, its first use instead of the default; with `words`, it takes some of these."""

    def __init__(self, *args: Any, words: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **{**settings, "type": names(words) if words else settings.get("type")})
        self.words = tuple(words)  # not `choices`, for several may stand in one argument

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        """Add what was given."""
        sofar = getattr(namespace, self.dest)
        more = values if isinstance(values, list) else [values]
        setattr(namespace, self.dest, [*([] if sofar is self.default else sofar), *more])


def _parts(value: str | list[Any]) -> list[Any]:
    return value.split(",") if isinstance(value, str) else value
