import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from recross.errors import InputError
from recross.rerankers.comparing.pairwise import (
    AllPairs,
    MergeSort,
    PairwiseStrategy,
    SampledOpponents,
    SlidingPasses,
    rank_in_lockstep,
)
from recross.rerankers.comparing.preferences import AGGREGATIONS
from recross.seeding import make_generator

# p(i, j), row i read first: document 0 beats 1 with .8 when read first, with .7 when read second
PREFERENCES = [[None, 0.8, 0.6], [0.3, None, 0.9], [0.25, 0.2, None]]
ALL = np.array([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)])
SOME = np.array([(0, 1), (1, 2)])


def margins_of(pairs):
    return np.array([math.log(PREFERENCES[i][j] / (1 - PREFERENCES[i][j])) for i, j in pairs])


def noisy_margins(count, seed=0, noise=1.0):
    """Margins of every ordered pair: quality falls with the position, and comparisons err."""
    rng = np.random.default_rng(seed)
    quality = -np.arange(count) / 3
    return quality[:, None] - quality[None, :] + noise * rng.normal(size=(count, count))


def by_quality(quality, bias=0.0):
    return np.subtract.outer(quality, quality) + bias


def play(strategy, margins, rng=None):
    """Scores, and the pairs of each round, of one query alone."""
    rounds = []
    comparison = strategy.compare(len(margins), rng or np.random.default_rng(0))
    try:
        pairs = next(comparison)
        while True:
            rounds.append(pairs)
            pairs = comparison.send(margins[pairs[:, 0], pairs[:, 1]])
    except StopIteration as end:
        return end.value, rounds


def asked(rounds):
    return [tuple(pair) for pairs in rounds for pair in pairs.tolist()]


def ranking(scores):
    return np.argsort(-np.asarray(scores), kind="stable").tolist()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("sum", [0.8 + 0.6, 0.3 + 0.9, 0.25 + 0.2]),
        ("log_sum", [math.log(0.8 * 0.6), math.log(0.3 * 0.9), math.log(0.25 * 0.2)]),
        # own row, then one minus own column
        (
            "sym_sum",
            [0.8 + 0.6 + 0.7 + 0.75, 0.3 + 0.9 + 0.2 + 0.8, 0.25 + 0.2 + 0.4 + 0.1],
        ),
        (
            "sym_log_sum",
            [
                math.log(0.8 * 0.6 * 0.7 * 0.75),
                math.log(0.3 * 0.9 * 0.2 * 0.8),
                math.log(0.25 * 0.2 * 0.4 * 0.1),
            ],
        ),
        ("binary", [2, 1, 0]),
        ("min", [0.6, 0.3, 0.2]),
        ("max", [0.8, 0.9, 0.25]),
    ],
)
def test_aggregations_by_hand(name, expected):
    assert AGGREGATIONS[name](3, ALL, margins_of(ALL)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    "name, expected",
    [
        # one opponent of two: the mean times 2; document 2 is never read first: 2 times 1/2
        ("sum", [2 * 0.8, 2 * 0.9, 2 * 0.5]),
        ("log_sum", [2 * math.log(0.8), 2 * math.log(0.9), 2 * math.log(0.5)]),
        # means of one, two and one values of the four that all pairs would give
        ("sym_sum", [4 * 0.8, 4 * (0.9 + 0.2) / 2, 4 * 0.1]),
        ("sym_log_sum", [4 * math.log(0.8), 2 * math.log(0.9 * 0.2), 4 * math.log(0.1)]),
        ("binary", [2, 2, 1]),
        ("min", [0.8, 0.9, 0.5]),
        ("max", [0.8, 0.9, 0.5]),
    ],
)
def test_aggregations_of_some_pairs_are_scaled_to_all_opponents(name, expected):
    assert AGGREGATIONS[name](3, SOME, margins_of(SOME)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_a_document_that_nobody_compared_stands_where_an_undecided_network_puts_it(name):
    fourth = [(3, j) for j in range(3)] + [(j, 3) for j in range(3)]
    with_ties = np.concatenate([ALL, fourth])
    undecided = AGGREGATIONS[name](4, with_ties, np.append(margins_of(ALL), np.zeros(6)))
    assert AGGREGATIONS[name](4, ALL, margins_of(ALL))[3] == pytest.approx(undecided[3])


def test_all_pairs_are_summed_as_published():
    """The published conversion adds p to the first and, if symmetric, 1 - p to the second."""
    margins = noisy_margins(9)
    for name, symmetric, log in [
        ("sum", False, False),
        ("log_sum", False, True),
        ("sym_sum", True, False),
        ("sym_log_sum", True, True),
    ]:
        totals = [0.0] * 9
        for i, j in np.argwhere(~np.eye(9, dtype=bool)).tolist():
            p = 1 / (1 + math.exp(-margins[i, j]))
            totals[i] += math.log(p) if log else p
            if symmetric:
                totals[j] += math.log(1 - p) if log else 1 - p
        assert play(AllPairs(name), margins)[0].tolist() == pytest.approx(totals)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_certain_networks_give_finite_scores(name):
    scores = AGGREGATIONS[name](2, np.array([(0, 1), (1, 0)]), np.array([200.0, -200.0]))
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1]


def test_logarithms_stay_exact_where_probabilities_round_to_one():
    # one of two orders compared: times 2
    scores = AGGREGATIONS["sym_log_sum"](2, np.array([(0, 1)]), np.array([200.0], dtype=np.float32))
    assert scores.tolist() == pytest.approx([2 * -math.exp(-200), 2 * -200.0], rel=1e-12, abs=0)


def test_a_tie_is_half_a_win():
    assert AGGREGATIONS["binary"](2, np.array([(0, 1), (1, 0)]), np.zeros(2)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "count, pairs, margins, message",
    [
        (2, [(0, 1)], [1.0, 2.0], r"pairs must be \(2, 2\), one per margin, got \(1, 2\)"),
        (2, [(0, 2)], [1.0], r"pairs must hold positions in \[0, 2\), got 2"),
        (2, [(-1, 0)], [1.0], r"pairs must hold positions in \[0, 2\), got -1"),
        (2, [(1, 1)], [1.0], "pairs must hold two documents, got 1 against itself"),
        (2, [(0, 1)], [float("nan")], "margins must be finite, got nan"),
    ],
)
@pytest.mark.parametrize("name", ["sum", "min"])
def test_bad_comparisons_are_refused(name, count, pairs, margins, message):
    with pytest.raises(InputError, match=message):
        AGGREGATIONS[name](count, np.array(pairs), np.array(margins))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: AllPairs("mean"), "aggregation must be sum, .* or max, got 'mean'"),
        (lambda: SampledOpponents(3, "mean"), "aggregation must be sum, .*got 'mean'"),
        (lambda: SampledOpponents(0), "opponents must be at least 1, got 0"),
        (lambda: SlidingPasses(0), "passes must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_at_once(build, message):
    with pytest.raises(InputError, match=message):
        build()


SORTING = [
    *(AllPairs(name) for name in AGGREGATIONS),
    *(SampledOpponents(100, name) for name in AGGREGATIONS),
    *(MergeSort(both_orders=both) for both in (True, False)),
    *(SlidingPasses(100, both_orders=both) for both in (True, False)),
]


@pytest.mark.parametrize("strategy", SORTING, ids=repr)
@given(quality=st.integers(0, 13).flatmap(lambda count: st.permutations(range(count))))
def test_a_perfect_network_sorts_any_list(strategy, quality):
    assert isinstance(strategy, PairwiseStrategy)
    scores, _ = play(strategy, by_quality(quality))
    assert ranking(scores) == ranking(quality)


@given(grades=st.lists(st.integers(0, 3), max_size=13), both_orders=st.booleans())
def test_sorting_keeps_the_first_stages_order_of_ties(grades, both_orders):
    for strategy in (MergeSort(both_orders), SlidingPasses(100, both_orders)):
        scores, _ = play(strategy, by_quality(grades))
        assert ranking(scores) == ranking(grades)
        assert sorted(scores, reverse=True) == list(range(len(grades)))[::-1]


@given(count=st.integers(0, 12), opponents=st.integers(1, 14), seed=st.integers(0, 99))
def test_every_document_is_read_first_and_second_with_as_many_distinct_opponents(
    count, opponents, seed
):
    strategy = SampledOpponents(opponents)
    scores, rounds = play(strategy, np.zeros((count, count)), np.random.default_rng(seed))
    pairs = asked(rounds)
    each = min(opponents, max(count - 1, 0))
    assert len(set(pairs)) == len(pairs) == count * each
    assert all(first != second for first, second in pairs)
    for place in (0, 1):
        assert [sum(pair[place] == n for pair in pairs) for n in range(count)] == [each] * count
    assert len(scores) == count
    if 2 * opponents < count:
        assert not set(pairs) & {(second, first) for first, second in pairs}


def test_opponents_are_drawn_uniformly():
    draws = [
        asked(play(SampledOpponents(2), np.zeros((5, 5)), np.random.default_rng(seed))[1])
        for seed in range(3000)
    ]
    sets = [frozenset(j for i, j in pairs if i == 1) for pairs in draws]
    counts = [sets.count(chosen) for chosen in set(sets)]
    assert len(counts) == 6  # of 4 opponents 2
    assert min(counts) > 500 - 5 * math.sqrt(500)
    assert max(counts) < 500 + 5 * math.sqrt(500)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 50])
def test_all_pairs_asks_each_ordered_pair_once_in_one_round(count):
    _, rounds = play(AllPairs(), noisy_margins(count))
    assert len(rounds) == (count > 1)
    assert sorted(asked(rounds)) == [(i, j) for i in range(count) for j in range(count) if i != j]


@given(quality=st.integers(2, 40).flatmap(lambda count: st.permutations(range(count))))
def test_merge_sort_asks_at_most_k_log_k_pairs_in_less_than_3k_rounds(quality):
    bound = len(quality) * math.ceil(math.log2(len(quality)))
    once = play(MergeSort(both_orders=False), by_quality(quality))[1]
    twice = play(MergeSort(both_orders=True), by_quality(quality))[1]
    assert len(asked(once)) <= bound
    assert len(asked(twice)) == 2 * len(asked(once))
    assert len(once) == len(twice) < 3 * len(quality)
    assert len({frozenset(pair) for pair in asked(once)}) == len(asked(once))


def test_merges_of_a_level_advance_together():
    _, rounds = play(MergeSort(both_orders=False), by_quality([3, 2, 1, 0]))
    assert [pairs.tolist() for pairs in rounds[:2]] == [[[0, 1], [2, 3]], [[0, 2]]]


@pytest.mark.parametrize("count, passes", [(2, 1), (9, 1), (9, 3), (9, 8), (9, 50)])
def test_overlapping_passes_are_passes_one_after_another(count, passes):
    margins = noisy_margins(count, seed=passes, noise=4.0)  # contradicts itself
    order = list(range(count))
    compared = 0
    for top in range(min(passes, count - 1)):
        for lower in range(count - 1, top, -1):
            upper, below = order[lower - 1], order[lower]
            if margins[upper, below] < margins[below, upper]:
                order[lower - 1], order[lower] = below, upper
            compared += 1
    scores, rounds = play(SlidingPasses(passes), margins)
    assert ranking(scores) == order
    assert len(asked(rounds)) == 2 * compared
    assert len(rounds) == count + min(passes, count - 1) - 2


def test_passes_find_the_top_and_leave_the_rest():
    scores, _ = play(SlidingPasses(2), by_quality([4, 3, 1, 2, 0, 6, 5]))
    assert ranking(scores) == [5, 6, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["sum", "log_sum", "sym_sum", "sym_log_sum", "binary"])
def test_a_sample_comes_closer_to_all_pairs_the_larger_it_is(name):
    margins = noisy_margins(20)
    full, _ = play(AllPairs(name), margins)
    errors, taus = [], []
    for opponents in (1, 4, 10, 19):
        samples = [
            play(SampledOpponents(opponents, name), margins, np.random.default_rng(seed))[0]
            for seed in range(40)
        ]
        errors.append(np.mean([np.abs(sample - full).mean() for sample in samples]))
        taus.append(np.mean([kendalltau(sample, full).statistic for sample in samples]))
    assert errors[0] > 1.5 * errors[1] > 1.5**2 * errors[2] > errors[3] == 0
    assert taus[0] < taus[1] < taus[2] < taus[3] == pytest.approx(1)


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_sampling_everybody_is_all_pairs_to_the_last_bit(name):
    margins = noisy_margins(12)
    full, _ = play(AllPairs(name), margins)
    assert play(SampledOpponents(11, name), margins)[0].tolist() == full.tolist()


@pytest.mark.parametrize("kind", [MergeSort, SlidingPasses])
@pytest.mark.parametrize("bias", [50.0, -50.0])
def test_both_orders_cure_a_bias_towards_a_place(kind, bias):
    quality = [2, 5, 1, 0, 4, 3]
    biased = by_quality(quality, bias)
    assert ranking(play(kind(both_orders=True), biased)[0]) == ranking(quality)
    assert ranking(play(kind(both_orders=False), biased)[0]) != ranking(quality)


def test_a_symmetric_sum_of_a_sample_is_free_of_place_bias():
    """Every document is equally good, so only an unequal share of places could tell them apart."""
    biased = by_quality([0] * 10, bias=2.0)
    for seed in range(5):
        scores, _ = play(SampledOpponents(3), biased, np.random.default_rng(seed))
        assert scores == pytest.approx([9.0] * 10)


STRATEGIES = [
    AllPairs(),
    SampledOpponents(2),
    MergeSort(),
    MergeSort(both_orders=False),
    SlidingPasses(2),
]
COUNTS = {"long": 9, "none": 0, "short": 2, "one": 1, "middle": 6}


def lockstep(strategy, counts):
    margins = {query_id: noisy_margins(9, seed=n) for n, query_id in enumerate(COUNTS)}
    batches = []

    def ask(questions):
        batches.append(questions)
        return [margins[query_id][i, j] for query_id, i, j in questions]

    scores = rank_in_lockstep(strategy, counts, ask, lambda q: make_generator(1, "opponents", q))
    return scores, batches


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_queries_in_lockstep_score_as_each_alone_whatever_their_order(strategy):
    together, batches = lockstep(strategy, COUNTS)
    backwards, _ = lockstep(strategy, dict(reversed(COUNTS.items())))
    alone = {q: lockstep(strategy, {q: count}) for q, count in COUNTS.items()}
    assert together == backwards == {q: scores[q] for q, (scores, _) in alone.items()}
    assert list(together) == list(COUNTS)
    assert {q: len(scores) for q, scores in together.items()} == COUNTS
    # no more rounds than the longest query needs, and the very questions each would ask alone
    assert len(batches) == max(len(own) for _, own in alone.values())
    for query_id, (_, own) in alone.items():
        in_batches = [q for batch in batches for q in batch if q[0] == query_id]
        assert in_batches == [q for batch in own for q in batch]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)
def test_queries_with_nothing_to_compare_ask_nothing(strategy):
    scores, batches = lockstep(strategy, {"none": 0, "one": 1})
    assert scores == {"none": [], "one": [0.0]}
    assert batches == []


def test_documents_of_one_query_are_never_asked_of_another():
    _, batches = lockstep(AllPairs(), COUNTS)
    (batch,) = batches
    assert all(i < COUNTS[query_id] and j < COUNTS[query_id] for query_id, i, j in batch)
    assert len(batch) == 9 * 8 + 2 * 1 + 6 * 5


def test_a_negative_count_and_a_missing_answer_are_refused():
    with pytest.raises(InputError, match="counts must not be negative, got -1 for query 'q'"):
        rank_in_lockstep(AllPairs(), {"q": -1}, list, np.random.default_rng)
    with pytest.raises(InputError, match=r"ask must return 2 margins, got \(1,\)"):
        rank_in_lockstep(AllPairs(), {"q": 2}, lambda _: [1.0], lambda _: np.random.default_rng(0))
