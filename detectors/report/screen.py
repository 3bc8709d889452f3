"""Curves on the whole of a terminal, drawn anew as they grow; needs the extra [watch] (rich and uniplot)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from uniplot import plot_to_string

from detectors.condense import condensed
from detectors.diagnosis import Diagnosis
from detectors.report.text import printable
from detectors.vocabulary import Run

__all__ = ["curves", "screen"]

PANELS = (("train_loss", "val_loss"), ("train_accuracy", "val_accuracy"))
FRAME = 4  # lines around a plot: title, borders, labels, legend share them
TALL = 30  # lines of a terminal that has room for two plots
POINTS = 2000  # more than a terminal can show

Draw = Callable[[Path, Sequence[Diagnosis], Sequence[str]], None]


@contextmanager
def screen() -> Iterator[Draw]:
    """A function that draws (path, diagnoses with the one to plot last, lines said); the terminal is put back."""
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def draw(path: Path, diagnoses: Sequence[Diagnosis], lines: Sequence[str]) -> None:
            live.update(_page(console, path, diagnoses, lines), refresh=True)

        yield draw


def curves(run: Run, width: int, height: int, color: bool = True, ascii_only: bool = False) -> str:
    """Loss, and accuracy where there is room, as text of at most `width` columns and about `height` lines."""
    short = condensed(run, POINTS)
    panels = [there for keys in PANELS if (there := [key for key in keys if key in short])]
    panels = panels[: 2 if height >= TALL else 1]
    each = max(3, height // max(len(panels), 1) - FRAME)
    plots = []
    for keys in panels:
        points = [short.observed(key) for key in keys]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        # the first epochs would flatten the rest
        low = float(min(y.min() for y in ys))
        high = float(max(np.quantile(y[len(y) // 20 :], 0.99) for y in ys))
        if not high > low:
            low, high = low - 0.5, low + 0.5
        margin = (high - low) / 20
        plots.append(
            plot_to_string(
                xs=xs,
                ys=ys,
                lines=True,
                width=max(10, width - 14),
                height=each,
                y_min=low - margin,
                y_max=high + margin,
                color=color and len(keys) > 1,
                legend_labels=list(keys),
                character_set="ascii" if ascii_only else "block",
                line_length_hard_cap=width,
            )
        )
    return "\n".join(plots)


def _page(console: Console, path: Path, diagnoses: Sequence[Diagnosis], lines: Sequence[str]) -> Group:
    width, height = console.size
    count = f"{len(diagnoses)} run{'s' * (len(diagnoses) != 1)}" if diagnoses else "no log yet"
    head = [_line(f"{count}, Ctrl-C ends; curvesense watch {path}", "bold")]
    others = [f"  {d.run.name}, epoch {d.run.epochs[-1]:.10g}" for d in reversed(diagnoses[:-1])]
    said = [_line(line, "yellow") for line in lines[-max(1, height // 5) :]] or [_line("nothing found so far", "dim")]
    if not diagnoses:
        return Group(*head, *said)
    shown = others[: max(0, height // 8)]
    rest = [f"  and {len(others) - len(shown)} more"] if len(others) > len(shown) else []
    run = diagnoses[-1].run
    head.append(_line(f"> {run.name}, epoch {run.epochs[-1]:.10g}", "bold"))
    head += [_line(text, "dim") for text in (*shown, *rest)]
    room = height - len(head) - len(said)
    ascii_only = not (console.encoding or "").lower().startswith("utf")
    plot = curves(run, width, room, not console.no_color, ascii_only) if room > FRAME + 3 else ""
    drawn = Text.from_ansi(plot, no_wrap=True, overflow="crop").split("\n")[:room]
    return Group(*head, *drawn, *said)


def _line(text: str, style: str) -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")
