import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recross.inference.sequences import Sequences, TokenPool, by_length, count_cuts, token_budget
from recross.records import Cost


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 120))
def test_batches_hold_every_sequence_once_within_the_budget(lengths, budget):
    lengths = np.array(lengths, dtype=np.int64)
    batches = list(token_budget(lengths, budget))
    assert sorted(n for batch in batches for n in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert lengths[batch].sum() <= budget or len(batch) == 1
        assert (np.diff(lengths[batch]) <= 0).all()


def test_a_padded_batch_puts_every_token_in_its_row():
    batch = Sequences(
        pool=TokenPool(np.array([8, 9, 3, 5, 6, 7], dtype=np.uint16)),
        begins=np.array([[3, 5], [0, 0], [2, 0]]),
        counts=np.array([[2, 1], [0, 2], [1, 0]]),
        piece_segments=(0, 1),
        lost=np.zeros((3, 2), dtype=np.int64),
    ).on(torch.device("cpu"))
    tokens, segments, mask = batch.padded(4)
    assert tokens.tolist() == [[5, 6, 7], [8, 9, 4], [3, 4, 4]]
    assert segments.tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]
    assert batch.groups == [(1, 3), (1, 2), (1, 1)]


def test_taking_sequences_keeps_their_tokens_and_what_was_cut_of_them():
    rows, lost = [[0, 1], [], [2, 3, 4], [5, 6, 7, 8]], np.array([[0, 1], [0, 0], [3, 2], [4, 0]])
    sequences = Sequences.of(rows, lost)
    taken = sequences.take([3, 0, 1])
    assert taken.tokens.tolist() == [5, 6, 7, 8, 0, 1]
    assert taken.lengths.tolist() == [4, 2, 0]
    assert taken.lost.tolist() == [[4, 0], [0, 1], [0, 0]]
    counted = Cost(cut_queries=2, cut_documents=2, cut_tokens=10)
    assert count_cuts(sequences.lost) == counted


@pytest.mark.parametrize(
    ("rows", "shared"),
    [
        ([[1, 2, 3], [1, 2, 4, 5], [1, 2, 2]], 2),
        ([[1, 2, 3], [1, 2, 3, 4]], 2),  # one token is left to each
        ([[1, 2, 3], [1, 2, 3]], 2),
        ([[1, 9], [1, 5, 6], [2, 5, 6]], 0),
        ([[1, 2, 3]], 0),
        ([[], [1, 2]], 0),
        ([], 0),
    ],
)
def test_a_common_start_is_known_to_every_batch(rows, shared):
    sequences = Sequences.of(rows, np.zeros((len(rows), 2), dtype=np.int64))
    assert sequences.shared == shared
    if len(rows) > 1 and all(rows):
        some = sequences.take(by_length(sequences.lengths)[:2]).on(torch.device("cpu"))
        assert some.layout.shared == some.to(torch.device("cpu")).layout.shared == shared
        assert {half.layout.shared for half in some.halves()} == {shared}
