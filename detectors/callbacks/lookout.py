"""A lookout for a training: it calls out what is found, says when to stop and which epoch is the best so far.

For hand-written loops, and inside the callback of every framework. What a `Watch` finds is under its promise; what a
`Monitor` finds, which asks `diagnose` again and again, is earlier and more, and called a hint.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, TypeVar

from detectors.catalogue import built_in
from detectors.live import Monitor, scalar
from detectors.readers import cells, names
from detectors.readers.table import listing
from detectors.report.text import headline
from detectors.vocabulary import BadRun, Detector, Finding, Phenomenon, Run
from detectors.watch import WATCHED, Watch

__all__ = ["Lookout", "Seen", "Settings", "harmless"]

LOG = logging.getLogger("curvesense")
PATIENT = 3  # updates without a known series, after which that is said
Hook = TypeVar("Hook", bound=Callable[..., Any])


class Settings(TypedDict, total=False):
    """The settings of a lookout, which every callback takes; see `Lookout`."""

    alpha: float
    autocorrelation: float | None
    sisters: Sequence[Run]
    hints: bool
    every: int | None
    detectors: Sequence[Detector] | None
    mapping: Mapping[str, str] | None
    stop_on: Sequence[str]
    best_by: str
    mode: Literal["min", "max"] | None
    say: Callable[[str], object] | None


@dataclass(frozen=True)
class Seen:
    """What one update showed: what is new, whether this is the best epoch so far, and whether to stop.

    Of the new `findings`, those that are `promised` come first; the others are hints.
    """

    findings: tuple[Finding, ...] = ()
    promised: tuple[Finding, ...] = ()
    best: bool = False
    stop: bool = False


class Lookout:
    """Watch a hand-written loop: call it once an epoch with what you log.

    >>> lookout = Lookout(stop_on=["overfitting"])
    >>> seen = lookout(1, loss=2.3, val_loss=2.2)
    >>> seen.best, seen.stop
    (True, False)

    `alpha`: the chance that a false line is ever said that is not called a hint, see `Watch`, whose settings
    `autocorrelation` and `sisters` are. `hints=False`: no hints. `stop_on` names the phenomena on which `stop` becomes
    true: on a finding under the promise where the phenomenon is watched so, else on a hint. `detectors`: these are
    asked again and again in place of the built-in ones, and all that they find is a hint.

    `best` is true where `best_by` is better than in each epoch before, without smoothing; `mode` says what better is
    where that is neither a loss nor an accuracy. `say` gets each line; None logs it as a warning of the logger
    `curvesense`. A drop of a logged rate is no news and is not said.
    The other settings are those of `Monitor`. ValueError for settings that cannot be; a call never raises: what goes
    wrong is logged once, and from then on nothing is seen.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        autocorrelation: float | None = None,
        sisters: Sequence[Run] = (),
        hints: bool = True,
        every: int | None = None,
        detectors: Sequence[Detector] | None = None,
        mapping: Mapping[str, str] | None = None,
        stop_on: Sequence[str] = (),
        best_by: str = "val_loss",
        mode: Literal["min", "max"] | None = None,
        say: Callable[[str], object] | None = None,
    ) -> None:
        asked = detectors if hints or detectors is not None else []
        self.monitor = Monitor(alpha=alpha, every=every, detectors=asked, mapping=mapping)
        self.watch: Watch | None = None
        if detectors is None:
            watched = [name for name in WATCHED if name != Phenomenon.LR_DROP]  # a drop of a logged rate is no news
            self.watch = Watch(watched, alpha, autocorrelation=autocorrelation, sisters=sisters, mapping=mapping)
        known = [str(d.phenomenon) for d in (built_in(alpha) if asked is None else asked)]
        self.promised = () if self.watch is None else self.watch.watched
        known = [*self.promised, *(name for name in known if name not in self.promised)]
        self.stop_on = (stop_on,) if isinstance(stop_on, str) else tuple(stop_on)
        unknown = [name for name in self.stop_on if name not in known]
        if unknown:
            raise ValueError(f"stop_on={unknown[0]!r}: no detector looks for that. There are {', '.join(known)}")
        meaning = names.lookup(best_by)
        if mode is None and meaning is None:
            raise ValueError(f"best_by={best_by!r} is neither a loss nor an accuracy: say mode='min' or mode='max'")
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode={mode!r}: allowed are 'min', 'max' and None")
        rising = meaning is not None and meaning.series.endswith("accuracy") and not meaning.error
        self.best_by, self.mode = best_by, mode or ("max" if rising else "min")
        self.say: Callable[[str], object] = LOG.warning if say is None else say
        self.broken = False
        self.stopping = False
        self._best: float | None = None
        self._epoch: object = None
        self._told = False  # what a hint is
        self._sure: list[Finding] = []

    def __call__(self, epoch: object, /, **values: object) -> Seen:
        """Take the values logged for `epoch` (see `Monitor.update`), and say what is new."""
        if self.broken:
            return Seen()
        try:
            self._epoch = epoch
            promised = self._watched(epoch, values)
            hints = self._hints(self.monitor.update(epoch, **values))
            self._tell(promised, hints)
            if self.monitor.updates == PATIENT and not self.monitor.looks:
                there = listing(name for name in values if not names.is_axis(name))
                self.say(f"curvesense knows none of {there}; name one: mapping={{'val_loss': 'NAME'}}")
            grounds = [*promised, *(f for f in hints if f.phenomenon not in self.promised)]
            self.stopping = self.stopping or any(f.phenomenon in self.stop_on for f in grounds)
            return Seen((*promised, *hints), tuple(promised), self._is_best(values), self.stopping)
        except Exception as error:
            self.give_up(error)
            return Seen()

    def finish(self, saving: bool = False) -> tuple[Finding, ...]:
        """Look once more at the end, and say it if a best epoch was asked for (`saving`) and there was none."""
        if self.broken:
            return ()
        try:
            findings = self._hints(self.monitor.look()) if self.monitor.updates else []
            self._tell([], findings)
            if saving and self._best is None:
                self.say(f"curvesense saved nothing: {self.best_by} was not logged; best_by=NAME says what to go by")
            return tuple(findings)
        except Exception as error:
            self.give_up(error)
            return ()

    def state_dict(self) -> dict[str, Any]:
        """All that it has seen and said, as JSON can hold it, to be kept with a checkpoint."""
        seen = {"best": self._best, "stopping": self.stopping, "told": self._told}
        return {"monitor": self.monitor.state(), **seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state, as a resumed training does; the settings are those of this lookout."""
        say, self.say = self.say, lambda line: None  # what comes now was said before
        try:
            self.monitor.load(state["monitor"])
            for epoch, values in self.monitor.rows():  # a watch is what it is on any run that begins alike
                self._watched(epoch, values)
            self._best, self.stopping, self._told = state["best"], bool(state["stopping"]), bool(state["told"])
        except Exception as error:
            self.give_up(error)
        finally:
            self.say = say

    def give_up(self, error: Exception) -> None:
        """See nothing from now on, after an error of one's own; it is logged the first time."""
        if not self.broken:
            self.broken = True
            what = " ".join(f"{type(error).__name__}: {error}".split())
            LOG.warning("curvesense stops watching after an error of its own, training goes on: %s", what)
            LOG.debug("the error of curvesense", exc_info=error)

    def _watched(self, epoch: object, values: Mapping[str, object]) -> list[Finding]:
        """What is new under the promise; a training that goes back to an earlier epoch ends it."""
        number = scalar(epoch)
        if self.watch is None or number is None or not math.isfinite(number):
            return []
        try:
            new = self.watch.update(number, **values)
        except BadRun:
            at = _short(self.watch.epoch)
            self.say(f"curvesense: epoch {_short(epoch)} comes after {at}; from here on, all that is said is a hint")
            self.watch, self.promised = None, ()
            return []
        self._sure += new
        return new

    def _hints(self, findings: Sequence[Finding]) -> list[Finding]:
        """Those of the monitor's findings that are not told under the promise already."""
        return [f for f in findings if not any(_same(f, told) for told in self._sure)]

    def _tell(self, promised: Sequence[Finding], hints: Sequence[Finding]) -> None:
        for finding in promised:
            self.say(f"curvesense at epoch {_short(self._epoch)}: {headline(finding)}")
        news = [f for f in hints if not (f.phenomenon == Phenomenon.LR_DROP and f.kind == "logged")]
        for finding in news:
            self.say(f"curvesense at epoch {_short(self._epoch)}, a hint: {headline(finding)}")
        if news and not self._told:
            self._told = True
            bound = f"; what is not called one is bound by alpha={self.monitor.alpha:g}" if self.watch else ""
            self.say(
                "curvesense: a hint comes from looking again and again, so nothing bounds how often it is false"
                f"{bound}; `diagnose` of the finished run is the answer"
            )

    def _is_best(self, values: Mapping[str, object]) -> bool:
        score = self._score(values)
        if not math.isfinite(score) or (self._best is not None and score >= self._best):
            return False
        self._best = score
        return True

    def _score(self, values: Mapping[str, object]) -> float:
        """The value of `best_by`, the smaller the better; NaN where it is not among `values`."""
        name, error = self.monitor.mapping.get(self.best_by, self.best_by), False
        if name not in values:
            means = {there: names.lookup(there) for there in values}
            fitting = {there: m for there, m in means.items() if m is not None and m.series == self.best_by}
            if not fitting:
                return math.nan
            name = min(fitting, key=lambda there: fitting[there].rank)
            error = fitting[name].error
        value = scalar(values[name])
        if value is None:
            value = cells.number(values[name])
        if value is None:
            return math.nan
        return -value if (self.mode == "max") != error else value


def harmless(hook: Hook) -> Hook:
    """A hook of a callback (with a `lookout`) that never breaks the training: what it raises goes to `give_up`."""

    @functools.wraps(hook)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return hook(self, *args, **kwargs)
        except Exception as error:
            self.lookout.give_up(error)
            return None

    return wrapped  # type: ignore[return-value]


def _short(epoch: object) -> str:
    number = scalar(epoch)
    return str(epoch) if number is None else f"{number:.10g}"


def _same(finding: Finding, told: Finding) -> bool:
    """Whether both are of one phenomenon and their onset intervals overlap."""
    (a, b), (c, d) = finding.onset_interval, told.onset_interval
    return finding.phenomenon == told.phenomenon and a <= d and c <= b
