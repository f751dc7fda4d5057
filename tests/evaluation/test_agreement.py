"""Scores of one model in other forms agree, by hand; those of another model do not."""

import numpy as np
import pytest

from recross.errors import InputError
from recross.evaluation.agreement import compare_scores

LOGITS = np.array([-11.0, -8.5, -4.25, -2.0, -0.5, 0.25, 1.5, 3.0, 7.5, 9.0])
PROBABILITIES = 1 / (1 + np.exp(-LOGITS))


@pytest.mark.parametrize(
    "ours, theirs, formula",
    [
        (LOGITS, LOGITS, "ours"),
        (LOGITS, PROBABILITIES, "sigmoid(ours)"),
        (PROBABILITIES, LOGITS, "logit(ours)"),
        (LOGITS, np.log(PROBABILITIES), "log(sigmoid(ours))"),
        (np.log(PROBABILITIES), LOGITS, "logit(exp(ours))"),
        (np.log(PROBABILITIES), PROBABILITIES, "exp(ours)"),
        (PROBABILITIES, np.log(PROBABILITIES), "log(ours)"),
        (LOGITS, LOGITS / 5, "0.2 * ours"),
        (LOGITS, LOGITS - 3, "ours - 3"),
        (LOGITS, 1 / (1 + np.exp(-LOGITS / 5)), "sigmoid(0.2 * ours)"),  # zerank's
    ],
)
def test_another_form_of_the_same_scores_is_found(ours, theirs, formula):
    found = compare_scores(ours, theirs, 0.001)
    assert (found.agrees, found.formula) == (True, formula)
    assert found.tau == pytest.approx(1)
    assert found.error < 1e-6


def test_the_difference_and_the_order_are_those_by_hand():
    theirs = LOGITS.copy()
    theirs[[0, 1]] = theirs[[1, 0]]  # one of 45 pairs of pairs is exchanged
    found = compare_scores(LOGITS, theirs, 0.01)
    assert found.tau == pytest.approx(1 - 2 / 45)
    assert found.largest_difference == pytest.approx(2.5)
    assert not found.agrees


def test_the_softmax_of_two_logits_is_the_sigmoid_of_their_difference():
    yes, no = LOGITS + 3, np.full(10, 3.0)
    softmax = np.exp(yes) / (np.exp(yes) + np.exp(no))
    assert compare_scores(yes - no, softmax, 0.001).formula == "sigmoid(ours)"


def test_probabilities_that_are_rounded_to_one_still_agree():
    wide = LOGITS * 5
    rounded = (1 / (1 + np.exp(-wide))).astype(np.float32)
    assert (rounded == 1).sum() >= 2
    assert compare_scores(wide, rounded, 0.01).formula == "sigmoid(ours)"
    rounded[-1] = 0  # at the wrong end
    assert not compare_scores(wide, rounded, 0.01).agrees


def test_half_precision_agrees_and_what_is_beyond_the_tolerance_does_not():
    half = LOGITS.astype(np.float16).astype(np.float64) + 0.01
    assert compare_scores(LOGITS, half, 0.01).formula == "ours"
    moved = LOGITS.copy()
    moved[4] += 1
    assert not compare_scores(LOGITS, moved, 0.01).agrees
    assert compare_scores(LOGITS, moved, 0.2).agrees


def test_a_reversed_order_is_no_scale():
    assert not compare_scores(LOGITS, -LOGITS, 0.01).agrees
    assert compare_scores(LOGITS, -LOGITS, 0.01).tau == pytest.approx(-1)


def test_a_shrunken_copy_of_noise_is_no_scale():
    noise = np.random.default_rng(0).normal(size=10) / 1000
    assert not compare_scores(LOGITS, noise, 0.01).agrees


def test_constant_scores_agree_with_nothing():
    found = compare_scores(LOGITS, np.full(10, 0.5), 0.01)
    assert (found.agrees, found.tau) == (False, 0)


@pytest.mark.parametrize(
    "ours, problem",
    [(LOGITS[:4], "at least 5, got 4"), (np.ones(6), "different scores, got 1.0000 for all")],
)
def test_too_little_to_compare_is_refused(ours, problem):
    with pytest.raises(InputError, match=problem):
        compare_scores(ours, ours, 0.01)
