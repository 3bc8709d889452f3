"""The null families: named, null where they say so, and what the strategies hand on."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from detectors.vocabulary import Phenomenon
from sim.composed import compose_one
from sim.families import FAMILIES, Group, null_for
from sim.strategies import null_families


def test_every_group_has_families():
    assert {f.group for f in FAMILIES.values()} == set(get_args(Group))


@pytest.mark.parametrize("phenomenon", [Phenomenon.OVERFITTING, Phenomenon.LR_DROP_RELIEF, Phenomenon.SPIKE])
def test_families_that_are_null_for_a_phenomenon_have_no_event_of_it(phenomenon):
    families = null_for(phenomenon)

    assert len(families) >= 10
    assert [n for n, f in families.items() if compose_one(f.recipe).of(phenomenon, grey=True)] == []


def test_nothing_to_find_is_nothing_to_find():
    material = {
        e.phenomenon
        for f in FAMILIES.values()
        if f.group == "nothing"
        for e in compose_one(f.recipe).events
        if e.material
    }

    assert material <= {"train_above_val"}  # the lag of the first epochs of a decay


def test_null_drops_are_drops_without_relief():
    for name, family in FAMILIES.items():
        if family.group == "null_drop":
            labelled = compose_one(family.recipe)

            assert labelled.of("lr_drop"), name
            assert {e.kind for e in labelled.of("lr_drop")} <= {"null", "harmful"}, name
            assert labelled.of("lr_drop_relief") == (), name


@pytest.mark.parametrize("name", [n for n in FAMILIES if n.startswith("a jump")])
def test_a_jump_falls_where_no_rate_drops(name):
    labelled = compose_one(FAMILIES[name].recipe)
    fall = -np.diff(labelled.expected.mean("risk"))
    at = int(np.argmax(fall[20:])) + 22  # epoch of the jump

    assert fall[at - 2] > 0.15
    assert at not in {int(e.onset) for e in labelled.of("lr_drop", grey=True)}


def test_the_strategies_hand_on_the_promised_ones_and_all_if_asked():
    some, every = null_families("overfitting"), null_families("overfitting", every=True)

    assert some.items() <= every.items()
    assert "a jump without a drop" in every.keys() - some.keys()


def test_where_drops_are_to_be_inferred_the_rate_is_not_logged():
    assert {spec.logged for spec in null_families("lr_drop", every=True).values()} == {0}
