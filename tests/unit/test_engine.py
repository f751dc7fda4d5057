import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recross.hardware import Hardware
from recross.inference.engine import Engine
from recross.inference.tokens import Sequences
from recross.runs import Run


class SumNetwork:
    """Scores a pair by the sum of its characters; remembers what it was asked."""

    def __init__(self, fits: int = 10**9) -> None:
        self.fits, self.batches, self.tokenised = fits, [], []

    def encode(self, queries, documents, pairs):
        self.tokenised.append((list(queries), list(documents)))
        rows = [[ord(c) for c in queries[q] + documents[d]] or [0] for q, d in pairs]
        tokens = np.array([t for row in rows for t in row], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        return Sequences(tokens, np.zeros_like(tokens), offsets)

    def inference(self, hardware):
        def forward(batch):
            if len(batch.tokens) > self.fits:
                raise torch.OutOfMemoryError("no memory")
            self.batches.append(len(batch))
            ends = [*batch.starts.tolist()[1:], len(batch.tokens)]
            spans = zip(batch.starts.tolist(), ends, strict=True)
            return torch.tensor([float(batch.tokens[a:b].sum()) for a, b in spans])

        return forward


def expected(pairs):
    return [float(sum(map(ord, query + document))) for query, document in pairs]


TEXTS = st.text("abc", max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40), st.integers(1, 60))
def test_scores_come_back_in_the_order_of_the_input_whatever_the_budget(pairs, budget):
    network = SumNetwork()
    scores, cost = Engine(network, Hardware(tokens_per_batch=budget)).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert cost.pairs == len(pairs)
    assert sum(network.batches) == len(set(pairs))


def test_each_text_is_tokenised_once():
    network = SumNetwork()
    Engine(network, Hardware()).score([("q", "a"), ("q", "b"), ("r", "a"), ("q", "a")])
    assert network.tokenised == [(["q", "r"], ["a", "b"])]


def test_out_of_memory_halves_the_batch_and_loses_no_pair():
    pairs = [("q", "x" * n) for n in range(1, 21)]
    network = SumNetwork(fits=25)
    scores, _ = Engine(network, Hardware(tokens_per_batch=1000)).score(pairs)
    assert scores.tolist() == expected(pairs)


def test_a_pair_that_never_fits_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        Engine(SumNetwork(fits=3), Hardware()).score([("q", "too long")])


def test_a_score_that_is_no_number_names_its_pair():
    class Broken(SumNetwork):
        def inference(self, hardware):
            return lambda batch: torch.full((len(batch),), float("nan"))

    with pytest.raises(FloatingPointError, match="got nan for the query 'q' and the document 'a'"):
        Engine(Broken(), Hardware()).score([("q", "a")])


def test_rescoring_keeps_every_querys_candidates(collection):
    run = Run.from_scores("first", {"q0": {"d0": 2.0, "d7": 1.0}, "q5": {}, "q7": {"d7": 0.0}})
    rescored = Engine(SumNetwork(), Hardware()).rescore(run, collection, "sum")
    assert {q: sorted(rescored.doc_ids(q)) for q in run.rankings} == {
        q: sorted(run.doc_ids(q)) for q in run.rankings
    }
    assert rescored.cost.pairs == 3
