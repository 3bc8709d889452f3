"""Checks that nothing is found where nothing is: the false-alarm rate that alpha promises."""

from __future__ import annotations

from detectors.claims import FalseAlarms
from detectors.vocabulary import Run
from sim.exam.check import Ask, Check, Spec, without_event
from sim.exam.rate import rate

__all__ = ["CHECKS", "beyond"]


def beyond(claim: FalseAlarms, spec: Spec) -> str:
    """Why a null spec lies outside what the claim promises; empty where it lies inside."""
    epochs, rho = getattr(spec, "epochs", claim.shortest), getattr(spec, "rho", 0.0)
    if not claim.shortest <= epochs <= claim.longest:
        return f"{epochs} epochs"
    if rho > claim.autocorrelation:
        return f"autocorrelation {rho:g}"
    if abs(getattr(spec, "growth", 0.0)) > claim.growth:
        return f"noise growing by exp({spec.growth:g})"
    if getattr(spec, "tails", 0) and not claim.heavy_tails:
        return "heavy tails"
    return ""


def _alarms(ask: Ask, spec: Spec, run: Run) -> bool | None:
    if ask.subject.grey(spec):
        return None  # not a null run after all
    return bool(ask.detect(run, "", spec).findings)


@rate("silence", "exact binomial test: Clopper & Pearson, 1934", claim=FalseAlarms, over="families",
      allowed=lambda candidate: candidate.alpha, beyond=beyond)  # fmt: skip
def stays_silent_on_null_families(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """On each named family of runs with nothing to find, at most alpha of the runs alarm; undetermined is silent.

    Plateaus, decays, drops that change nothing, look-alikes; noise that remembers. A promise on average over families
    would be no promise to the person whose runs are all of one kind.
    """
    return _alarms(ask, spec, run)


@rate("silence", "search, then confirm on fresh seeds: selection would bias a rate that the search itself reports",
      claim=FalseAlarms, over="worst", allowed=lambda candidate: candidate.alpha, specs=without_event)  # fmt: skip
def stays_silent_on_the_worst_null(ask: Ask, spec: Spec, run: Run) -> bool | None:
    """The search looks for the null spec with most alarms; fresh runs of it alarm in at most alpha."""
    return _alarms(ask, spec, run)


CHECKS: tuple[Check, ...] = (stays_silent_on_null_families, stays_silent_on_the_worst_null)
