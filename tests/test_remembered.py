"""Answers that are remembered: the same as asked anew, for the same values only, and not to be changed."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import diagnose
from detectors.catalogue import built_in
from detectors.remembered import KEPT, LARGEST, remembered
from detectors.vocabulary import Run


def counted():
    """(a remembered function, the list of what it was really asked)."""
    asked = []

    @remembered
    def total(values: np.ndarray, drops: list[int], power: float = 1.0) -> np.ndarray:
        asked.append(values.copy())
        return values**power + sum(drops)

    return total, asked


def test_the_same_values_are_worked_out_once():
    total, asked = counted()
    values = np.arange(5.0)

    assert np.array_equal(total(values, [1]), total(values.copy(), [1]))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda total: total(np.arange(5.0) + 1e-15, [1]),
        lambda total: total(np.arange(5.0)[None], [1]),
        lambda total: total(np.arange(5), [1]),
        lambda total: total(np.arange(5.0), [2]),
        lambda total: total(np.arange(5.0), [1], power=2.0),
    ],
)
def test_other_values_shapes_types_and_settings_are_asked_anew(other):
    total, asked = counted()
    total(np.arange(5.0), [1])

    other(total)

    assert len(asked) == 2


def test_an_array_changed_in_place_is_another_one():
    total, _ = counted()
    values = np.arange(5.0)
    total(values, [])

    values[0] = 7.0

    assert total(values, [])[0] == 7.0


def test_an_answer_cannot_be_changed_for_the_next_who_asks():
    total, _ = counted()

    with pytest.raises(ValueError, match="read-only"):
        total(np.arange(5.0), [])[0] = 1.0


def test_what_was_given_in_stays_writable_where_it_is_given_back():
    values = np.arange(5.0)
    remembered(lambda v: v)(values)

    values[0] = 1.0  # no error


def test_little_is_kept():
    total, asked = counted()
    half = KEPT // 2 // LARGEST
    for i in range(2 * half + 1):
        total(np.full(LARGEST, float(i)), [])

    total(np.full(LARGEST, 0.0), [])
    for _ in range(2):
        total(np.zeros(LARGEST + 1), [])

    assert len(asked) == 2 * half + 1 + 1 + 2


def test_what_was_asked_ahead_of_many_is_known_of_each():
    total, asked = counted()
    series = np.arange(6.0).reshape(3, 2)
    total(series[1], drops=[1])

    total.ahead(series, drops=[1])

    assert [a.tolist() for a in asked] == [[2.0, 3.0], [[0.0, 1.0], [4.0, 5.0]]]  # what is known is not asked again
    assert [total(row, drops=[1]).tolist() for row in series] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert len(asked) == 2
    with pytest.raises(ValueError, match="read-only"):
        total(series[0], drops=[1])[0] = 1.0


def test_an_answer_that_has_no_entry_for_each_run_cannot_be_asked_ahead():
    largest = remembered(lambda values: float(values.max()))

    with pytest.raises(TypeError, match="float has no entry for each run"):
        largest.ahead(np.ones((2, 3)))


def test_a_diagnosis_does_not_depend_on_what_was_asked_before():
    rng = np.random.default_rng(0)
    at = np.arange(80)
    runs = [
        Run(epochs=at + 1, series={"train_loss": 2 * np.exp(-at / 20), "val_loss": 2 * np.exp(-at / 20) + rise})
        for rise in (0.01 * rng.normal(size=80), 0.01 * rng.normal(size=80) + 0.01 * np.maximum(at - 40, 0))
    ]
    alone = [repr(diagnose(run, detectors=built_in(0.05)).verdicts) for run in runs]

    again = [repr(diagnose(run, detectors=built_in(0.05)).verdicts) for run in reversed(runs)]

    assert again == alone[::-1]
