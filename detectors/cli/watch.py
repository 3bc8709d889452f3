"""`curvesense watch`: logs that grow, each new finding said once, and the curves drawn while they come."""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from detectors.anytime import MOST
from detectors.cli import values
from detectors.cli.help import epilog
from detectors.cli.status import OK, UNREADABLE, USAGE
from detectors.diagnosis import Diagnosis, diagnose
from detectors.live import Said
from detectors.readers import Unreadable, read
from detectors.readers.follow import Follow
from detectors.report.text import headline, printable
from detectors.rising_online import BOUND
from detectors.vocabulary import Finding, Phenomenon, Run
from detectors.watch import Watch

__all__ = ["configure"]

_EXAMPLES = {
    "curvesense watch runs": "every log below a folder, with a live plot (the extra [watch])",
    "curvesense watch log.csv --no-plot --until-idle 600": "in lines, until nothing has come for ten minutes",
    "curvesense watch runs/events.out.tfevents.1 --map val_loss=my_metric": "one log; a column under a name of its own",
    "curvesense watch runs --once": "look once and end, in a script of your own",
}
TICK = 0.25  # seconds after which a terminal of another size is drawn anew
LAST = 20  # runs of which the last reading is printed


def configure(parser: argparse.ArgumentParser) -> None:
    """Follow a log, or the logs in a folder, while training writes them: each finding in one line, and a live plot.

    Ctrl-C ends it with a last reading. What is not there yet is waited for. The chance that a run ever raises a false
    line is at most --alpha, for noise up to --autocorrelation; a line that is called a hint comes from looking again
    and again, and nothing bounds it: `curvesense diagnose` of the finished log is the answer.
    """
    parser.add_argument("path", metavar="PATH", type=Path, help="a log or a folder of logs")
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument("--interval", type=_seconds, default=2.0, metavar="SECONDS", help="between looks, default 2")
    parser.add_argument("--until-idle", type=_seconds, metavar="SECONDS", help="end when nothing changed for that long")
    parser.add_argument("--no-plot", action="store_true", help="lines only; so it is where there is no terminal")
    values.add_alpha(parser, "the chance of a false line about a run, however long it is watched")
    parser.add_argument(
        "--autocorrelation",
        type=_bound,
        metavar="BOUND",
        help=f"of the noise of val_loss from one evaluation to the next, at most (default {BOUND})",
    )
    parser.add_argument(
        "--sisters",
        metavar="PATH",
        help="finished runs of the same recipe: they tell the noise, so that rises are seen earlier",
    )
    parser.add_argument("--no-hints", action="store_true", help="no lines without a promise")
    values.add_reading(parser)
    parser.epilog = epilog(_EXAMPLES, {OK: "it ended", UNREADABLE: "no log could be read", USAGE: "wrong usage"})
    parser.set_defaults(run=_watch)


class _Watch:
    """What was read and said so far; `lines` are the findings in the order in which they were said."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.path, self.alpha, self.once, self.hints = args.path, args.alpha, args.once, not args.no_hints
        mapping = dict(args.map) or None
        sisters = read(args.sisters, mapping=mapping) if args.sisters else []
        self.begin = partial(Watch, None, args.alpha, autocorrelation=args.autocorrelation, sisters=sisters)
        self.watches: dict[tuple[str, str], Watch] = {}
        self.follow = Follow(args.path, format=args.format, mapping=dict(args.map) or None)
        self.latest: dict[tuple[str, str], Diagnosis] = {}  # by source and name, that which changed last is last
        self.said: dict[tuple[str, str], Said] = {}
        self.lines: list[str] = []
        self.changed = time.monotonic()

    def look(self) -> list[str]:
        """The lines about what is new since the last look."""
        try:
            runs = self.follow.poll()
        except OSError as error:  # a folder that is being moved, a disk that is away for a moment
            self.follow.waiting[self.path] = f"{self.path}: {error.strerror}"
            return []
        new = []
        for run in runs:
            key = (run.source, run.name)
            before = self.latest.pop(key, None)
            if before is None or run.epochs[-1] < before.run.epochs[-1]:  # new, or begun anew
                self.said[key], self.watches[key] = Said(), self.begin()
            self.latest[key] = diagnosis = diagnose(run, self.alpha)
            now = time.strftime("%H:%M:%S")
            for finding in self._promised(self.watches[key], run):
                new.append(printable(f"{now} {run.name}, epoch {finding.known_at:.10g}: {headline(finding)}"))
            for finding in self.said[key].new(diagnosis.findings):
                if self.hints and not self._known(self.watches[key], finding):
                    new.append(printable(f"{now} {run.name}, epoch {run.epochs[-1]:.10g}, a hint: {headline(finding)}"))
        if runs:
            self.changed = time.monotonic()
        self.lines += new
        return new

    def _promised(self, watch: Watch, run: Run) -> list[Finding]:
        """What the rows that are new show for certain; the last one may not be whole yet, and waits for the next."""
        before = len(watch.findings)
        rows = (run.epochs > (-math.inf if watch.epoch is None else watch.epoch)) & (
            self.once | (run.epochs < run.epochs[-1])
        )
        if rows.any():
            watch.replay(replace(run, epochs=run.epochs[rows], series={k: v[rows] for k, v in run.series.items()}))
        return watch.findings[before:]

    @staticmethod
    def _known(watch: Watch, finding: Finding) -> bool:
        """Whether a finding is said under the promise, or will be as soon as a logged drop has its five epochs."""
        if finding.phenomenon == Phenomenon.LR_DROP and finding.kind == "logged":
            return True
        (a, b) = finding.onset_interval
        told = [f.onset_interval for f in watch.findings if f.phenomenon == finding.phenomenon]
        return any(a <= d and c <= b for c, d in told)

    def reading(self, width: int) -> Iterator[str]:
        """The last reading of each run, those that changed last at the end."""
        shown = list(self.latest.values())[-LAST:]
        if len(self.latest) > LAST:
            yield f"{len(self.latest) - LAST} runs that changed before: curvesense diagnose {self.path}"
        for d in shown:
            text = printable(f"{d.run.name}, epoch {d.run.epochs[-1]:.10g}: {d.reading.text}")
            yield from textwrap.wrap(text, width, subsequent_indent="  ")


def _watch(args: argparse.Namespace) -> int:
    try:
        watch = _Watch(args)
    except (Unreadable, OSError) as error:
        print(f"curvesense: --sisters {args.sisters}: {printable(str(error))}", file=sys.stderr)
        return USAGE
    view = None if args.no_plot or args.once else _view()
    with _terminated():
        try:
            if view is None:
                _follow(watch, args, lambda new: [print(line, flush=True) for line in new])
            else:
                with view as draw:
                    _follow(watch, args, lambda _: draw(watch.path, list(watch.latest.values()), watch.lines))
        except KeyboardInterrupt:
            pass
    if view is not None:
        print("\n".join(watch.lines))  # what was said goes with the screen, so it is said on the one below
    print("\n".join(watch.reading(max(40, shutil.get_terminal_size((100, 24)).columns - 1))))
    if not watch.latest and (args.once or args.until_idle is not None):
        reasons = list(watch.follow.waiting.values()) or [f"{args.path}: there is no log in this folder"]
        print(f"curvesense: {printable(reasons[0])}", file=sys.stderr)
        return UNREADABLE
    return OK


def _follow(watch: _Watch, args: argparse.Namespace, show: Any) -> None:
    waiting = False
    size = shutil.get_terminal_size()  # before it is drawn in: a change while it is drawn is one as well
    while True:
        show(watch.look())
        if args.once:
            return
        if not watch.latest and not waiting:
            waiting = True
            print(f"curvesense: waiting for a log in {printable(str(args.path))}", file=sys.stderr)
        until = time.monotonic() + args.interval
        while (left := until - time.monotonic()) > 0:
            if args.until_idle is not None and time.monotonic() - watch.changed >= args.until_idle:
                show(watch.look())  # what came since the last look
                if time.monotonic() - watch.changed >= args.until_idle:
                    return
            time.sleep(min(TICK, left))
            if (now := shutil.get_terminal_size()) != size:
                size = now
                show([])


def _view() -> Any:
    """The live view where there is a terminal and the extra, else None."""
    if not sys.stdout.isatty():
        return None
    try:
        from detectors.report.screen import screen

        return screen()
    except ImportError:
        print("curvesense: for a live plot, pip install 'curvesense[watch]'", file=sys.stderr)
        return None


@contextmanager
def _terminated() -> Iterator[None]:
    """Let a SIGTERM leave through the same doors as an error, so that the terminal is put right."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number of seconds above 0")
    return value


def _bound(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number from 0 to {MOST}")
    return value
