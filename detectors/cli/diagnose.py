"""`curvesense diagnose`: logs in, what is in their curves out."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from detectors.catalogue import CATALOGUE
from detectors.cli.status import FOUND, OK, UNREADABLE, USAGE
from detectors.diagnosis import Diagnosis, diagnose
from detectors.readers import FORMATS, Unreadable, expand, read
from detectors.report.document import document, unreadable
from detectors.report.text import render
from detectors.vocabulary import BadRun

__all__ = ["configure"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what is in training logs: what was found, where, how sure, why, and what to do."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a log, a folder of logs, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON array, an object per run")
    parser.add_argument("--plot", metavar="FILE.png", help="draw it (png, svg or pdf); needs the extra [plot]")
    parser.add_argument(
        "--alpha", type=_alpha, default=0.05, help="false alarms accepted per run, over all detectors (default 0.05)"
    )
    parser.add_argument("--format", choices=[f.NAME for f in FORMATS], help="the logs' format, if content misleads")
    parser.add_argument(
        "--map", action="append", default=[], type=_mapping, metavar="SERIES=NAME", help="e.g. --map val_loss=my_metric"
    )
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        choices=list(CATALOGUE),
        metavar="PHENOMENON",
        help=f"exit with 3 where it was found: {', '.join(CATALOGUE)}",
    )
    parser.epilog = (
        "Exit status: 0 all logs read; 1 one was not (the rest is printed); 2 wrong usage; 3 --fail-on found."
    )
    parser.set_defaults(run=_diagnose)


def _diagnose(args: argparse.Namespace) -> int:
    if args.plot:
        problem = _cannot_plot(args.plot)
        if problem:
            print(f"curvesense: {problem}", file=sys.stderr)
            return USAGE
    mapping = dict(args.map)
    documents = []
    diagnoses: list[Diagnosis] = []
    failed = False
    width = shutil.get_terminal_size((100, 24)).columns
    paths = ["-" if p == "-" else str(q) for p in args.paths for q in ([p] if p == "-" else expand([p]) or [p])]
    for path in paths:
        try:
            runs = read(path, format=args.format, mapping=mapping or None)
            done = [diagnose(run, alpha=args.alpha) for run in runs]
        except (Unreadable, BadRun) as error:
            failed = True
            print(f"curvesense: {error}", file=sys.stderr)
            documents.append(unreadable(path, str(error)))
            continue
        diagnoses += done
        documents += [document(d) for d in done]
        if not args.json:
            for d in done:
                print(render(d, width))
    if args.json:
        json.dump(documents, sys.stdout, indent=1, allow_nan=False, ensure_ascii=not _speaks_unicode())
        print()
    if args.plot and diagnoses:
        try:
            _plot(diagnoses, args.plot)
        except OSError as error:
            print(f"curvesense: cannot write {args.plot}: {error.strerror}", file=sys.stderr)
            return USAGE
    if failed:
        return UNREADABLE
    if any(d[p].findings for d in diagnoses for p in args.fail_on):
        return FOUND
    return OK


def _plot(diagnoses: list[Diagnosis], path: str) -> None:
    from pathlib import Path

    from detectors.report.figure import figure, save

    target = Path(path)
    for i, d in enumerate(diagnoses):
        name = target if len(diagnoses) == 1 else target.with_name(f"{target.stem}-{i + 1}{target.suffix}")
        save(figure(d), str(name))
        print(f"wrote {name}", file=sys.stderr)


def _cannot_plot(path: str) -> str:
    if not path.lower().endswith((".png", ".svg", ".pdf")):
        return f"--plot {path}: the suffix must be .png, .svg or .pdf"
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return "--plot needs matplotlib: pip install 'curvesense[plot]'"
    return ""


def _alpha(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number between 0 and 1")
    return value


def _mapping(text: str) -> tuple[str, str]:
    series, equals, name = text.partition("=")
    if not (series and equals and name):
        raise argparse.ArgumentTypeError(f"{text!r}: expected SERIES=NAME, as in val_loss=my_metric")
    return series, name


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")
