import itertools

import numpy as np
import pytest
from scipy import stats

from recross.errors import InputError
from recross.evaluation.significance import (
    adjust_p_values,
    bootstrap_interval,
    compute_p_value,
    count_outcomes,
    pair_differences,
)


def test_randomisation_agrees_with_all_sign_flips_done_by_hand():
    differences = [0.5, 0.25, -0.1, 0.4, 0.3, 0.2, -0.05, 0.1]
    system = {f"q{n}": value for n, value in enumerate(differences)}
    baseline = dict.fromkeys(system, 0.0)
    flips = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    exact = np.mean([value >= sum(differences) - 1e-12 for value in flips])
    assert compute_p_value(system, baseline) == pytest.approx(exact, abs=0.01)


def test_the_t_test_is_scipys():
    rng = np.random.default_rng(0)
    one = {f"q{n}": value for n, value in enumerate(rng.normal(0.3, 1, 30))}
    two = {f"q{n}": value for n, value in enumerate(rng.normal(0.0, 1, 30))}
    expected = stats.ttest_rel(list(one.values()), list(two.values())).pvalue
    assert compute_p_value(one, two, "t") == pytest.approx(expected)


def test_equal_systems_do_not_differ():
    assert compute_p_value({"q1": 0.5}, {"q1": 0.5}) == 1.0


def test_holm_by_hand():
    assert adjust_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust_p_values([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert adjust_p_values([]) == []


def test_the_bootstrap_interval_is_near_the_normal_one():
    values = np.random.default_rng(1).normal(0.4, 0.3, 400)
    low, high = bootstrap_interval(values.tolist())
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.005)
    assert high == pytest.approx(values.mean() + half, abs=0.005)


def test_a_constant_measure_has_no_width():
    assert bootstrap_interval([0.25] * 10) == (0.25, 0.25)


def test_randomisation_and_bootstrap_are_scipys():
    rng = np.random.default_rng(2)
    differences = rng.choice([0.0, 0.5, -0.25, 1.0, -0.1], 40)
    system = {f"q{n}": value for n, value in enumerate(differences)}
    peer = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=20_000, rng=rng
    )
    assert compute_p_value(system, dict.fromkeys(system, 0.0)) == pytest.approx(
        peer.pvalue, abs=0.015
    )
    other = stats.bootstrap((differences,), np.mean, method="percentile", rng=rng)
    found = bootstrap_interval(differences.tolist())
    assert found == pytest.approx(tuple(other.confidence_interval), abs=0.01)


def test_differences_are_of_the_queries_both_have():
    found = pair_differences({"q2": 0.5, "q1": 1.0, "q9": 1.0}, {"q1": 0.25, "q2": 0.5, "q0": 1})
    assert found.tolist() == [0.75, 0.0]
    with pytest.raises(InputError, match="must have a query in common"):
        pair_differences({"q1": 1.0}, {"q2": 1.0})


def test_wins_ties_and_losses_are_counted_and_rounding_is_a_tie():
    found = count_outcomes(np.array([0.5, -0.5, 0.1 + 0.2 - 0.3, 0.0, 1.0]))
    assert found == (2, 2, 1)


def test_the_t_test_says_nothing_of_one_query_and_all_of_a_constant_gain():
    assert compute_p_value({"q1": 1.0}, {"q1": 0.0}, "t") == 1.0
    gain = {f"q{n}": n / 10 + 0.3 for n in range(5)}
    assert compute_p_value(gain, {f"q{n}": n / 10 for n in range(5)}, "t") == 0.0
    assert compute_p_value(gain, dict(gain), "t") == 1.0
