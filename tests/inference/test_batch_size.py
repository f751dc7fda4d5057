"""``tokens_per_batch=auto`` finds the fastest size on the run's own batches."""

import numpy as np
import pytest

from recross import load_reranker
from recross.errors import InputError
from recross.inference.batch_size import TRIES, BatchSize, ProbedBatchSize, batch_size
from recross.inference.engine import Engine
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from tests.inference.test_engine import SumNetwork, expected
from tests.rerankers.test_cross_encoder import mixed_pairs


def probe(size, seconds_of):
    """Feed full batches until the size stays; return the sizes that were tried."""
    tried = [size()]
    for _ in range(100):
        size.record(size(), seconds_of(size()))
        if size() != tried[-1]:
            tried.append(size())
    return tried


def test_the_size_doubles_while_it_pays_and_falls_back_to_the_best():
    rate = {512: 100, 1024: 150, 2048: 160, 4096: 150, 8192: 900}
    size = ProbedBatchSize(512, 16_384)
    assert probe(size, lambda tokens: tokens / rate[tokens]) == [512, 1024, 2048, 4096, 2048]


def test_a_gain_below_three_percent_is_none():
    rate = {512: 100, 1024: 102}
    assert probe(ProbedBatchSize(512, 16_384), lambda t: t / rate[t]) == [512, 1024, 512]


def test_the_largest_size_ends_the_probe():
    assert probe(ProbedBatchSize(512, 2048), lambda _: 1.0) == [512, 1024, 2048]


def test_a_size_is_judged_by_its_best_batch_since_the_first_warms_it_up():
    size = ProbedBatchSize(512, 4096)
    for seconds in (100.0, 1.0, 1.0):
        size.record(512, seconds)
    for seconds in (90.0, 2.1, 2.1):  # slower than half the size at its best
        size.record(1024, seconds)
    assert size() == 512


def test_batches_that_are_not_full_say_nothing():
    size = ProbedBatchSize(512, 4096)
    for _ in range(10 * TRIES):
        size.record(300, 1e-9)
    assert size() == 512


def test_what_does_not_fit_ends_the_probe():
    size = ProbedBatchSize(512, 4096)
    for _ in range(TRIES):
        size.record(512, 1.0)
    assert size() == 1024
    size.does_not_fit(1024)
    assert (size(), size.too_many) == (512, 1024)


def test_a_probed_run_scores_every_pair_once_and_as_ever(tiny_bert):
    pairs = [("q", "x" * (n % 90 + 30)) for n in range(600)]
    network = SumNetwork()
    scores, _ = Engine(network, Session(Hardware(tokens_per_batch="auto"))).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert sum(network.batches) == len(set(pairs))
    mixed = mixed_pairs(60)
    found = load_reranker(tiny_bert, hardware=Hardware(tokens_per_batch="auto")).predict(mixed)
    np.testing.assert_allclose(found, load_reranker(tiny_bert).predict(mixed), atol=1e-5)


def test_a_number_is_kept_and_words_are_refused():
    assert type(batch_size(Hardware(tokens_per_batch=300))) is BatchSize
    assert batch_size(Hardware(tokens_per_batch=300))() == 300
    with pytest.raises(InputError, match="must be a whole number or auto, got 'many'"):
        Hardware(tokens_per_batch="many")
