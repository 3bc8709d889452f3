"""The question's pattern: how strongly a run shows the red box, the green box, the blue box and the inversion.

Read off the truth of a labelled run, about the drop of the rate that shows most of it:

- red: the largest material rise that begins before the drop, relative to its bottom;
- green: relief at the drop, the smaller of the mean twin effect D and of the fall that is to be seen, relative to R;
- blue: the largest material rise from the drop on over which accuracy rises, relative to its bottom;
- inversion: the longest stretch of training loss above validation risk, in shares of the run.

A box that is not there has strength 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from detectors.vocabulary import Phenomenon
from sim.labelled import LabelledRun

__all__ = ["STRONG", "Pattern", "pattern"]


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Strengths of the four boxes."""

    red: float = 0.0
    green: float = 0.0
    blue: float = 0.0
    inversion: float = 0.0

    def least(self, of: Pattern) -> float:
        """The smallest strength, each in units of that of `of`; boxes of strength 0 there are not asked for."""
        asked = [(getattr(self, f.name), getattr(of, f.name)) for f in fields(of)]
        return min((mine / theirs for mine, theirs in asked if theirs > 0), default=float("inf"))


#: All four to be seen at a glance: rises and relief of a tenth, training above validation for a tenth of the run.
STRONG = Pattern(red=0.1, green=0.1, blue=0.1, inversion=0.1)


def pattern(labelled: LabelledRun) -> Pattern:
    """The strengths of the four boxes about the drop that shows most of them."""
    over = labelled.of(Phenomenon.OVERFITTING)
    blue = [e for e in labelled.of(Phenomenon.LOSS_ACCURACY_DIVERGENCE) if e.kind == "accuracy_rising"]
    last = float(labelled.run.epochs[-1])
    above = [((last if e.end is None else e.end) - e.onset + 1) for e in labelled.of(Phenomenon.TRAIN_ABOVE_VAL)]
    inversion = max(above, default=0.0) / last
    best = Pattern(inversion=inversion)
    for relief in labelled.of(Phenomenon.LR_DROP_RELIEF):
        level = relief.effect["mean"] / relief.effect["relative"]
        here = Pattern(
            red=max((e.effect["relative"] for e in over if e.onset < relief.onset), default=0.0),
            green=max(min(relief.effect["relative"], relief.effect["visible"] / level), 0.0),
            blue=max((e.effect["relative"] for e in blue if e.onset >= relief.onset), default=0.0),
            inversion=inversion,
        )
        best = max(best, here, key=lambda p: sum(min(getattr(p, f.name) / 0.1, 1) for f in fields(p)))
    return best
