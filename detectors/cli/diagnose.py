"""`curvesense diagnose`: logs in, what is in their curves out."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

from detectors.catalogue import CATALOGUE, built_in
from detectors.cli import pool, values
from detectors.cli.help import epilog
from detectors.cli.paths import logs
from detectors.cli.status import FOUND, MEANING, OK, UNREADABLE, USAGE
from detectors.cli.terminal import coloured, complain, speaks_unicode, width
from detectors.diagnosis import Diagnosis
from detectors.group import GroupDiagnosis, diagnose_group, groups
from detectors.progress import progress, say
from detectors.readers.table import listing
from detectors.report.document import document, group_document, unreadable
from detectors.report.summary import Row, line, row, table, total
from detectors.report.text import Ink, headline, printable, render, render_group
from detectors.vocabulary import Detector

__all__ = ["configure"]

_EXAMPLES = {
    "curvesense diagnose log.csv": "one log",
    "curvesense diagnose runs --summary": "a line for each log in a folder, however deep",
    "curvesense diagnose 'runs/**/metrics.csv' --json": "a pattern; all there is to know, for a program",
    "cat log.csv | curvesense diagnose - --map val_loss=my_metric": "standard input; a column under a name of its own",
    "curvesense diagnose runs --group --summary": "seeds of one recipe together, for what is too small in each",
    "curvesense diagnose log.csv -q --fail-on overfitting,lr_drop": "in a script: status 3 where one of them was found",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what is in training logs: what was found, where, how sure, why, and what to do."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a log, a folder of logs, a quoted pattern, or - for standard input"
    )
    says = parser.add_mutually_exclusive_group()
    says.add_argument("--json", action="store_true", help="print one JSON array, an object per run")
    says.add_argument("--summary", action="store_true", help="print a table with a line for each run")
    says.add_argument("-v", "--verbose", action="store_true", help="say all: settings, smallest effects, times")
    parser.add_argument("--plot", metavar="FILE.png", help="draw it (png, svg or pdf); needs the extra [plot]")
    parser.add_argument("--html", metavar="FILE.html", help="write one page to look at, zoom into and send on")
    values.add_alpha(parser, "false alarms accepted per run, over all detectors")
    words = list(CATALOGUE)
    parser.add_argument(
        "--detectors",
        action=values.Collect,
        words=words,
        default=words,
        metavar="NAME,...",
        help=f"ask these alone, which alpha is then split over: {', '.join(words)}",
    )
    parser.add_argument(
        "--skip", action=values.Collect, words=words, default=[], metavar="NAME,...", help="leave these out"
    )
    values.add_reading(parser)
    parser.add_argument(
        "--fail-on",
        action=values.Collect,
        words=words,
        default=[],
        metavar="NAME,...",
        help="exit with status 3 where one of these detectors found something",
    )
    parser.add_argument(
        "--group",
        action="store_true",
        help="read the runs of one recipe (seeds) together as well, which shows what is too small for each of them",
    )
    parser.add_argument(
        "--jobs",
        type=values.jobs,
        default=0,
        metavar="N",
        help="processes to read in; default: one, and a core each where there are hundreds of logs",
    )
    parser.epilog = epilog(_EXAMPLES, MEANING)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    asked = [name for name in args.detectors if name not in args.skip]
    problem = _contradiction(args, asked) or (_cannot_plot(args.plot) if args.plot else "")
    problem = problem or (_cannot_write(args.html) if args.html else "")
    if problem:
        complain(problem)
        return USAGE
    answers = _Answers(args, built_in(args.alpha, asked))
    kept: list[Diagnosis] = []
    found: Counter[str] = Counter()
    found_in_folder = logs(args.paths)
    paths = list(found_in_folder)
    ask = pool.Question(args.alpha, tuple(answers.detectors), args.format, tuple(args.map))
    try:
        with (
            progress(len(paths), "logs", quiet=args.quiet or answers.speaks) as advance,
            closing(pool.answers(ask, paths, pool.processes(args.jobs, paths))) as given,
        ):
            for answer in given:
                if not answer.is_log and found_in_folder[answer.path]:
                    answers.passed.append(answer)
                else:
                    answers.say(answer)
                for diagnosis in answer.diagnoses:
                    found.update(str(v.phenomenon) for v in diagnosis.verdicts if v.findings)
                    if args.plot or args.html or args.group:
                        kept.append(diagnosis)
                advance(1)
    except BrokenProcessPool:
        complain("a process that read logs has died, for want of memory perhaps: try --jobs 1")
        return UNREADABLE
    together = []
    if args.group:
        together = [diagnose_group(runs, args.alpha, name=n) for n, runs in groups([d.run for d in kept]).items()]
        found.update(str(v.phenomenon) for group in together for v in group.verdicts if v.findings)
    answers.pass_over()
    answers.finish(found, together)
    if kept and args.plot:
        try:
            _plot(kept, args.plot, args.quiet)
        except OSError as error:
            complain(f"cannot write {args.plot}: {error.strerror}")
            return USAGE
    if kept and args.html:
        try:
            _html(kept, together, answers.documents, args.html, args.quiet)
        except OSError as error:
            complain(f"cannot write {args.html}: {error.strerror}")
            return USAGE
    if answers.unreadable:
        return UNREADABLE
    return FOUND if any(found[name] for name in args.fail_on) else OK


class _Answers:
    """What is printed about the logs, in the manner that was asked for."""

    def __init__(self, args: argparse.Namespace, detectors: list[Detector]) -> None:
        self.args = args
        self.detectors = detectors
        self.ink = Ink(coloured(args.color))
        self.width = width()
        self.runs = self.unreadable = 0
        self.documents: list[dict[str, Any]] = []
        self.rows: list[Row] = []
        self.passed: list[pool.Answer] = []  # files in a folder that are no logs
        # to a terminal it speaks while it reads, where a bar would be in the way
        self.speaks = not (args.json or args.summary) and sys.stdout.isatty()

    def say(self, answer: pool.Answer) -> None:
        """Say what became of one log."""
        if answer.error:
            self.unreadable += 1
            complain(answer.error)
            self.documents.append(unreadable(answer.path, answer.error))
            return
        self.runs += len(answer.diagnoses)
        for diagnosis in answer.diagnoses:
            self._say(diagnosis)
        if self.args.verbose:
            times = f"read in {answer.reading:.3f} s, diagnosed in {answer.diagnosing:.3f} s"
            complain(f"{answer.path}: {times}")

    def pass_over(self) -> None:
        """Name the files of folders that are no logs; where there is no log beside them, they are what is wrong."""
        if not self.runs and not self.unreadable:
            for answer in self.passed:
                self.say(answer)
        elif self.passed and not self.args.quiet:
            names = listing((answer.path for answer in self.passed), 3)
            complain(f"passed over, for nothing in it looks like a log: {names}")

    def _say(self, diagnosis: Diagnosis) -> None:
        args = self.args
        if args.json:
            self.documents.append(document(diagnosis))
        elif args.summary:
            self.rows.append(row(diagnosis))
        elif args.quiet:
            found = line(diagnosis)
            if found:
                print(self.ink.found(found))
        else:
            print(render(diagnosis, self.width, self.ink, self.detectors if args.verbose else None))

    def finish(self, found: Counter[str], together: list[GroupDiagnosis]) -> None:
        """Print what can only be printed when all is read, `together` last."""
        args = self.args
        if args.json:
            self.documents += [group_document(group) for group in together]
            json.dump(self.documents, sys.stdout, indent=1, allow_nan=False, ensure_ascii=not speaks_unicode())
            print()
            return
        if args.summary and self.rows:
            print(table(self.rows, self.width if sys.stdout.isatty() else None, self.ink))
        for group in together:
            if not args.quiet:
                print(render_group(group, self.width, self.ink, args.verbose))
            elif group.findings:
                said = "; ".join(map(headline, group.findings))
                print(self.ink.found(printable(f"{group.name}, {len(group.runs)} runs: {said}")))
        if self.runs + self.unreadable > 1 and not args.quiet:
            print(self.ink.bold(total(found, self.runs, self.unreadable)))


def _contradiction(args: argparse.Namespace, asked: list[str]) -> str:
    """What is wrong with options of which each is right."""
    if args.quiet and args.verbose:
        return "--quiet and --verbose: choose one"
    if not asked:
        return f"--skip {','.join(args.skip)}: no detector is left to ask"
    idle = [name for name in args.fail_on if name not in asked]
    if idle:
        return f"--fail-on {idle[0]}: that detector is not asked; asked are {', '.join(asked)}"
    if args.paths.count("-") > 1:
        return "-: standard input can be read once"
    return ""


def _plot(diagnoses: list[Diagnosis], path: str, quiet: bool) -> None:
    from detectors.report.figure import figure, save

    target = Path(path)
    with progress(len(diagnoses), "plots", quiet=quiet) as advance:
        for i, d in enumerate(diagnoses):
            name = target if len(diagnoses) == 1 else target.with_name(f"{target.stem}-{i + 1}{target.suffix}")
            save(figure(d), str(name))
            if not quiet:
                say(f"wrote {name}")
            advance(1)


def _html(
    diagnoses: list[Diagnosis], together: list[GroupDiagnosis], documents: list[dict[str, Any]], path: str, quiet: bool
) -> None:
    from detectors.report.page import page, save

    save(page(diagnoses, [(d["source"], d["error"]) for d in documents if "error" in d], together), path)
    if not quiet:
        say(f"wrote {path}")


def _cannot_write(path: str) -> str:
    """Why `path` is no place for a page, before anything is read; the suffix keeps a log from being overwritten."""
    if not path.lower().endswith((".html", ".htm")):
        return f"--html {path}: the suffix must be .html"
    if not Path(path).resolve().parent.is_dir():
        return f"--html {path}: there is no folder {str(Path(path).parent)!r}"
    return ""


def _cannot_plot(path: str) -> str:
    if not path.lower().endswith((".png", ".svg", ".pdf")):
        return f"--plot {path}: the suffix must be .png, .svg or .pdf"
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return "--plot needs matplotlib: pip install 'curvesense[plot]'"
    return ""
