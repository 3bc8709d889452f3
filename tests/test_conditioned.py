"""Conditioned recipes: a run that is asked for has what was asked for, or is refused honestly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.vocabulary import Phenomenon
from sim.catalogue import model
from sim.conditioned import BadWant, NotFound, Want, conditioned, size_of, wants_of
from sim.pattern import pattern

COMPOSED, MARGIN = model("composed"), model("margin")
LOSSES = [p for p in Phenomenon if Want(phenomenon=p).unit == "bottom"]


def found(wants, seed: int = 0, tier=COMPOSED, limit: int = 1000):
    return conditioned(tier, wants, np.random.default_rng([9, seed]), seed=seed, limit=limit)


@pytest.mark.parametrize("phenomenon", list(Phenomenon))
def test_every_phenomenon_may_be_asked_for(phenomenon):
    assert all(found([Want(phenomenon=phenomenon)], seed).labelled.of(phenomenon) for seed in range(5))


@pytest.mark.parametrize("phenomenon", LOSSES)
@given(st.integers(0, 1000), st.sampled_from([0.15, 0.3]))
@settings(max_examples=8)
def test_an_effect_has_the_size_that_was_asked_for_relative_to_the_bottom(phenomenon, seed, low):
    labelled = found([Want(phenomenon=phenomenon, size=(low, 1.5 * low))], seed).labelled
    sizes = [size_of(labelled, e, "bottom") for e in labelled.of(phenomenon)]

    assert any(low <= s <= 1.5 * low for s in sizes)


@given(st.integers(0, 1000), st.sampled_from([8.0, 30.0]))
@settings(max_examples=8)
def test_or_in_widths_of_the_noise(seed, low):
    labelled = found([Want(phenomenon="overfitting", size=(low, 2 * low), unit="noise")], seed).labelled
    event = labelled.of("overfitting")[0]
    at = int(event.onset) - 1
    width = labelled.recipe.noise * labelled.expected.mean("risk")[at]

    assert low * 0.6 <= event.effect["prominence"] / width <= 2 * low / 0.6  # noise that grows changes the width


@given(st.integers(0, 1000))
@settings(max_examples=8)
def test_the_question_s_whole_pattern_may_be_asked_for(seed):
    assert pattern(found([Want(phenomenon="pattern", size=(0.1, 1.0))], seed).labelled).least(pattern_of(0.1)) >= 1


def pattern_of(size: float):
    from sim.pattern import Pattern

    return Pattern(red=size, green=size, blue=size, inversion=size)


def test_several_phenomena_may_be_asked_for_together_and_others_away():
    wants = wants_of(
        {
            "overfitting": {"size": [0.1, 0.4], "onset": [0.3, 0.6]},
            "lr_drop": {},
            "spike": {"absent": True},
            "train_above_val": {"size": [0.05, 0.5]},
        }
    )
    labelled = found(wants, 3).labelled

    assert all(w.distance(labelled) == 0 for w in wants)
    assert labelled.of("spike", grey=True) == ()
    assert any(60 <= e.onset <= 120 for e in labelled.of("overfitting"))


@pytest.mark.slow
def test_a_model_without_constructions_is_searched_and_the_yield_is_told():
    every = [found([Want(phenomenon="loss_accuracy_divergence", kind="accuracy_rising")], s, MARGIN) for s in range(3)]

    assert all(f.tried >= 1 for f in every)
    assert all(f.labelled.of("loss_accuracy_divergence") for f in every)


def test_what_is_found_depends_on_the_generator_and_the_seed_alone():
    wants = [Want(phenomenon="oscillation", size=(0.3, 0.6))]
    first, again, other = found(wants, 1), found(wants, 1), found(wants, 2)

    assert (first.recipe, first.tried) == (again.recipe, again.tried)
    assert first.recipe != other.recipe


def test_what_cannot_be_is_not_found_and_the_message_says_how_near_it_came():
    wants = [Want(phenomenon="overfitting"), Want(phenomenon="overfitting", absent=True)]

    with pytest.raises(NotFound, match=r"no recipe of 'composed' shows overfitting, overfitting .* among \d+; .* away"):
        found(wants, limit=40)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"grokking": {}}, "no phenomenon 'grokking': allowed are overfitting"),
        ({"overfitting": {"strength": 3}}, r"overfitting: \['strength'\]: allowed are the fields size, unit"),
        ({"overfitting": 3}, "overfitting: 3: allowed are the fields"),
        ({"overfitting": {"size": 3}}, "overfitting: size=3: allowed are two numbers"),
        ({"overfitting": {"size": [3, 1]}}, r"overfitting: size=\(3, 1\): allowed is 0 <= low <= high"),
        ({"overfitting": {"unit": "epochs"}}, "overfitting: unit='epochs': allowed is 'bottom' or 'noise' or 'loss'"),
        ({"plateau": {"unit": "loss"}}, "plateau: unit='loss': allowed is 'own'"),
        ({"spike": {"onset": [0, 100]}}, r"spike: onset=\(0, 100\): allowed is 0 <= low <= high <= 1"),
        ({"pattern": {"absent": True}}, "pattern: absent=True"),
    ],
)
def test_a_want_that_cannot_be_is_refused_by_name(table, said):
    with pytest.raises(BadWant, match=said):
        wants_of(table)
