"""Examine a detector, anybody's: does it find what was injected, and is it silent where nothing was?

Each check searches the space of specs for the worst one, with Hypothesis and one set of seeds, and then judges that
spec alone on fresh seeds by an exact binomial test. No rate is ever asserted inside an example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, Verbosity, given, settings, target
from hypothesis import strategies as st
from scipy.stats import binomtest

from detectors.vocabulary import Detector, Run, Verdict
from sim.composed import Composed, compose_one, observe
from sim.scores import match, tolerance
from sim.strategies import with_event, without_event

__all__ = ["CheckFailed", "CheckResult", "check_detector", "check_recovery", "check_silence"]

RECALL = 0.9  # of injected events, at `sim.strategies.STRENGTH`
ERROR = 1e-4  # chance that a detector which just keeps its promise fails a check
SEARCHED = 30  # specs
SEARCH_SEEDS = range(16)
FRESH_SEEDS = range(1_000_000, 1_000_256)


class CheckFailed(AssertionError):
    """A detector did not pass: the message names the check, the worst spec and the counts."""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One check: `count` of `trials` fresh runs of the worst `spec` were hits (recovery) or alarms (silence)."""

    check: str
    passed: bool
    spec: Composed
    count: int
    trials: int
    detail: str


def check_detector(detector: Detector, *, alpha: float | None = None) -> list[CheckResult]:
    """Run both checks on `detector` and return their results; CheckFailed if one did not pass.

    `alpha` is the false-alarm rate per run that it promises: its own `alpha` if it has one, else 0.05.
    """
    rate = float(getattr(detector, "alpha", 0.05)) if alpha is None else alpha
    results = [check_recovery(detector), check_silence(detector, rate)]
    failed = [r for r in results if not r.passed]
    if failed:
        raise CheckFailed("\n".join(f"{r.check}: {r.detail}" for r in failed))
    return results


def check_recovery(detector: Detector, specs: st.SearchStrategy[Composed] | None = None) -> CheckResult:
    """Injected events are found within the tolerance, in at least RECALL of the runs of the worst spec."""
    phenomenon = str(detector.phenomenon)

    def misses(spec: Composed, seeds: Sequence[int]) -> int:
        events = compose_one(spec).of(phenomenon)
        if not events:
            return 0  # the decay swallowed it: no event, nothing to miss
        verdicts = [_ask(detector, run) for run in observe(spec, seeds)]
        within = tolerance(spec.epochs)
        return sum(len(match(events, list(v.findings), within)) < len(events) for v in verdicts)

    spec = _worst(with_event(phenomenon) if specs is None else specs, misses)
    trials = len(FRESH_SEEDS)
    hits = trials - misses(spec, FRESH_SEEDS)
    p = float(binomtest(hits, trials, RECALL, alternative="less").pvalue)
    return CheckResult(
        check="recovery",
        passed=p > ERROR,
        spec=spec,
        count=hits,
        trials=trials,
        detail=f"{hits} of {trials} runs recovered, promised {RECALL:.0%} (p = {p:.2g}), on {spec}",
    )


def check_silence(detector: Detector, alpha: float, specs: st.SearchStrategy[Composed] | None = None) -> CheckResult:
    """Runs without the event raise at most `alpha` false alarms on the worst spec."""
    phenomenon = str(detector.phenomenon)

    def alarms(spec: Composed, seeds: Sequence[int]) -> int:
        if compose_one(spec).of(phenomenon, grey=True):
            return 0  # not a null run after all
        return sum(bool(_ask(detector, run).findings) for run in observe(spec, seeds))

    spec = _worst(without_event(phenomenon) if specs is None else specs, alarms)
    trials = len(FRESH_SEEDS)
    count = alarms(spec, FRESH_SEEDS)
    p = float(binomtest(count, trials, alpha, alternative="greater").pvalue)
    return CheckResult(
        check="silence",
        passed=p > ERROR,
        spec=spec,
        count=count,
        trials=trials,
        detail=f"{count} of {trials} runs alarmed, promised {alpha:.0%} (p = {p:.2g}), on {spec}",
    )


def _ask(detector: Detector, run: Run) -> Verdict:
    verdict = detector.detect(run)
    if not isinstance(verdict, Verdict):
        raise CheckFailed(f"detect must return a Verdict, not {verdict!r}")
    return verdict


def _worst(specs: st.SearchStrategy[Composed], bad: Callable[[Composed, Sequence[int]], int]) -> Composed:
    """The spec with the most bad runs that a search finds; the first one drawn if none has any."""
    seen: list[tuple[int, Composed]] = []

    @settings(
        max_examples=SEARCHED,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs)
    def search(spec: Composed) -> None:
        count = bad(spec, SEARCH_SEEDS)
        target(float(count))
        seen.append((count, spec))

    search()
    return max(seen, key=lambda s: s[0])[1]
