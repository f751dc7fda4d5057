import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from recross.inference.sequences import Sequences, by_length, token_budget


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 120))
def test_batches_hold_every_sequence_once_within_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=np.int64)
    batches = list(token_budget(lengths, budget))
    assert sorted(n for batch in batches for n in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert lengths[batch].sum() <= budget or len(batch) == 1
        assert (np.diff(lengths[batch]) <= 0).all()


def test_a_padded_batch_puts_every_token_in_its_row():
    sequences = Sequences(
        np.array([5, 6, 7, 8, 9, 3]), np.array([0, 0, 1, 1, 1, 0]), np.array([0, 3, 5, 6])
    ).take(by_length(np.array([3, 2, 1])))
    batch = sequences.on(torch.device("cpu"))
    tokens, segments, mask = batch.padded(4)
    assert tokens.tolist() == [[5, 6, 7], [8, 9, 4], [3, 4, 4]]
    assert segments.tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    assert batch.groups == [(1, 3), (1, 2), (1, 1)]


def test_taking_sequences_keeps_their_tokens():
    sequences = Sequences(np.arange(9), np.arange(9) % 2, np.array([0, 2, 2, 5, 9]))
    taken = sequences.take([3, 0, 1])
    assert taken.tokens.tolist() == [5, 6, 7, 8, 0, 1]
    assert taken.lengths.tolist() == [4, 2, 0]
