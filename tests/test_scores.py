"""Matching and rates, against brute force and by hand."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.vocabulary import Event, Finding, absent, found
from sim.composed import Composed, compose_one
from sim.scores import exact_interval, match, score, tolerance


def event(onset: float, width: float = 0, material: bool = True) -> Event:
    return Event(phenomenon="overfitting", onset=onset, band=(onset - width, onset + width), material=material)


def finding(onset: float) -> Finding:
    return Finding(phenomenon="overfitting", onset=onset, onset_interval=(onset, onset), level=0.9, known_at=onset)


onsets = st.lists(st.integers(0, 20), max_size=4)


@given(onsets, onsets, st.integers(0, 5))
def test_the_matching_is_as_large_as_brute_force_can_make_it(truths, claims, within):
    events, findings = [event(t, 1) for t in truths], [finding(c) for c in claims]
    longest = 0
    for order in permutations(range(len(findings))):
        pairs = sum(events[i].distance_to_band(findings[j].onset) <= within for i, j in enumerate(order[: len(events)]))
        longest = max(longest, pairs)
    for order in permutations(range(len(events))):
        pairs = sum(
            events[i].distance_to_band(findings[j].onset) <= within for j, i in enumerate(order[: len(findings)])
        )
        longest = max(longest, pairs)

    pairs = match(events, findings, within)

    assert len(pairs) == longest
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)


def test_one_finding_between_two_events_matches_one_of_them():
    assert len(match([event(9), event(11)], [finding(10)], 2)) == 1


def test_both_are_matched_where_a_greedy_choice_would_lose_one():
    assert len(match([event(10), event(14)], [finding(6), finding(12)], 4)) == 2


@pytest.mark.parametrize(("evaluations", "within"), [(10, 3), (120, 3), (200, 5), (1000, 25)])
def test_the_tolerance_is_three_evaluations_or_a_fortieth_of_the_run(evaluations, within):
    assert tolerance(evaluations) == within


def test_a_perfect_answer_scores_one():
    labelled = compose_one(Composed(overfit=0.3, overfit_at=80))
    (truth,) = labelled.of("overfitting")
    s = score([labelled], [found("overfitting", [finding(truth.onset)])], "overfitting")

    assert (s.f1, s.recall, s.precision, s.median_distance) == (1, 1, 1, 0)


def test_silence_on_a_null_run_is_no_alarm_and_a_finding_is_one():
    labelled = compose_one(Composed())
    silent = score([labelled], [absent("overfitting")], "overfitting")
    loud = score([labelled], [found("overfitting", [finding(30)])], "overfitting")

    assert (silent.null_runs, silent.false_alarms) == (1, 0)
    assert (loud.null_runs, loud.false_alarms) == (1, 1)


def test_a_grey_event_is_neither_a_miss_nor_a_false_alarm():
    labelled = compose_one(Composed(overfit=0.006, overfit_at=60, overfit_span=100))
    (grey,) = labelled.of("overfitting", grey=True)
    assert not grey.material
    said = score([labelled], [found("overfitting", [finding(grey.onset)])], "overfitting")
    silent = score([labelled], [absent("overfitting")], "overfitting")

    assert (said.findings, said.null_runs) == (0, 0)
    assert (silent.events, silent.null_runs) == (0, 0)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129)],  # Clopper & Pearson's table
)
def test_the_exact_interval_is_the_published_one(k, n, low, high):
    assert exact_interval(k, n) == pytest.approx((low, high), abs=1e-4)
