import threading
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recross.inference.cache.score_cache import ScoreCache, turn_caches_off
from recross.inference.engine import Engine
from recross.inference.sequences import Sequences
from recross.inference.session import Session
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.machine.processor import is_out_of_memory
from recross.rerankers.reading import EachAlone
from recross.runs import Run
from tests.damaged_scores import flip_last_bits


class SumNetwork:
    """Scores a pair by the sum of its characters; remembers what it was asked."""

    head_is_fresh = False

    def __init__(self, fits: int = 10**9, error: Exception | None = None) -> None:
        self.fits, self.batches, self.tokenised = fits, [], []
        self.error, self.refused = error or torch.OutOfMemoryError("no memory"), []

    def encode_texts(self, queries, documents, pairs):
        queries, documents = queries.strings(), documents.strings()
        self.tokenised.append((list(queries), list(documents)))
        rows = [[ord(c) for c in queries[q] + documents[d]] or [0] for q, d in pairs]
        return Sequences.of(rows, lost=np.zeros((len(rows), 2), dtype=np.int64))

    def inference(self, session):
        def forward(batch):
            if len(batch.tokens) > self.fits:
                self.refused.append(len(batch.tokens))
                raise type(self.error)(*self.error.args)
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
    scores, cost = Engine(network, Session(Hardware(tokens_per_batch=budget))).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert cost.pairs == len(pairs)
    assert sum(network.batches) == len(set(pairs))


def test_each_text_is_tokenised_once():
    network = SumNetwork()
    Engine(network, Session()).score([("q", "a"), ("q", "b"), ("r", "a"), ("q", "a")])
    assert network.tokenised == [(["q", "r"], ["a", "b"])]


CPU_ALLOCATOR = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(f"{CPU_ALLOCATOR} memory: you tried to allocate 8 bytes. Error code 12"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        MemoryError(),
    ],
    ids=["gpu", "linux", "windows", "cublas", "python"],
)
def test_out_of_memory_halves_the_batch_and_loses_no_pair(error):
    pairs = [("q", "x" * n) for n in range(1, 21)]
    network = SumNetwork(fits=25, error=error)
    scores, _ = Engine(network, Session(Hardware(tokens_per_batch=1000))).score(pairs)
    assert scores.tolist() == expected(pairs)


def test_what_torch_says_on_this_processor_when_memory_is_out_is_understood():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert is_out_of_memory(raised.value)


def test_another_error_of_the_network_is_not_taken_for_a_lack_of_memory():
    network = SumNetwork(fits=25, error=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        Engine(network, Session(Hardware(tokens_per_batch=1000))).score(
            [("q", "x" * 30), ("q", "y")]
        )
    assert network.refused == [33]


def test_a_size_that_did_not_fit_is_not_tried_again():
    pairs = [(f"q{n}", "x" * 8) for n in range(100, 200)]  # 12 characters each
    network = SumNetwork(fits=25)
    scores, _ = Engine(network, Session(Hardware(tokens_per_batch=48))).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert network.refused == [48]
    assert network.batches == [2] * 50


def test_what_a_failed_attempt_allocated_is_free_before_the_next():
    held = []

    class Holding(SumNetwork):
        def inference(self, session):
            score = super().inference(session)

            def forward(batch):
                assert all(tensor() is None for tensor in held)
                activations = torch.zeros(len(batch.tokens))
                held.append(weakref.ref(activations))
                return score(batch)

            return forward

    Engine(Holding(fits=25), Session(Hardware(tokens_per_batch=1000))).score(
        [("q", "x" * n) for n in range(1, 21)]
    )
    assert len(held) > 2


def test_a_pair_that_never_fits_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        Engine(SumNetwork(fits=3), Session()).score([("q", "too long")])


def test_a_score_that_is_no_number_names_its_pair():
    class Broken(SumNetwork):
        def inference(self, session):
            return lambda batch: torch.full((len(batch),), float("nan"))

    with pytest.raises(FloatingPointError, match="got nan for the query 'q' and the document 'a'"):
        Engine(Broken(), Session()).score([("q", "a")])


def test_many_parts_give_the_scores_of_one(monkeypatch):
    pairs = [(f"q{n % 7}", "x" * (n % 11)) for n in range(50)]
    monkeypatch.setattr("recross.inference.engine.ITEMS_AT_ONCE", 8)
    network = SumNetwork()
    scores, cost = Engine(network, Session()).score(pairs)
    assert scores.tolist() == expected(pairs)
    assert len(network.tokenised) == 7
    assert cost.pairs == 50


def test_a_part_is_tokenised_while_the_one_before_it_is_scored(monkeypatch):
    monkeypatch.setattr("recross.inference.engine.ITEMS_AT_ONCE", 1)
    second_is_tokenised = threading.Event()

    class Waiting(SumNetwork):
        def encode_texts(self, queries, documents, pairs):
            if len(self.tokenised) == 1:
                second_is_tokenised.set()
            return super().encode_texts(queries, documents, pairs)

        def inference(self, session):
            score = super().inference(session)

            def forward(batch):
                assert second_is_tokenised.wait(timeout=120)
                return score(batch)

            return forward

    scores, _ = Engine(Waiting(), Session()).score([("q", "a"), ("q", "b"), ("q", "c")])
    assert scores.tolist() == expected([("q", "a"), ("q", "b"), ("q", "c")])


def test_what_tokenisation_refuses_in_a_later_part_is_raised(monkeypatch):
    monkeypatch.setattr("recross.inference.engine.ITEMS_AT_ONCE", 1)

    class Refusing(SumNetwork):
        def encode_texts(self, queries, documents, pairs):
            if documents.strings() == ["bad"]:
                raise ValueError("no such text")
            return super().encode_texts(queries, documents, pairs)

    with pytest.raises(ValueError, match="no such text"):
        Engine(Refusing(), Session()).score([("q", "a"), ("q", "bad"), ("q", "c")])


def test_no_pairs_have_no_scores():
    scores, cost = Engine(SumNetwork(), Session()).score([])
    assert (scores.tolist(), scores.dtype, cost.pairs) == ([], np.float32, 0)


def test_rescoring_keeps_every_querys_candidates(collection):
    run = Run.from_scores("first", {"q0": {"d0": 2.0, "d7": 1.0}, "q5": {}, "q7": {"d7": 0.0}})
    rescored = EachAlone().rerank(Engine(SumNetwork(), Session()), run, collection, "sum")
    assert {q: sorted(rescored.doc_ids(q)) for q in run.rankings} == {
        q: sorted(run.doc_ids(q)) for q in run.rankings
    }
    assert rescored.cost.pairs == 3


class Counting(torch.nn.Module):
    """A network with weights, contract and tokenizer, that counts the pairs it computes."""

    head_is_fresh = False

    def __init__(self, weight=1.0, contract="x", pieces="p"):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([weight]))
        self.contract, self.asked, self.inner = contract, 0, SumNetwork()
        self.tokenizer = SimpleNamespace(get_vocab=lambda: {pieces: 0})

    def encode_texts(self, queries, documents, pairs):
        return self.inner.encode_texts(queries, documents, pairs)

    def inference(self, session):
        forward = self.inner.inference(session)

        def count(batch):
            self.asked += len(batch)
            return forward(batch)

        return count


class Cutting(Counting):
    """Reads three characters of a document."""

    def encode_texts(self, queries, documents, pairs):
        read = GivenTexts([text[:3] for text in documents.strings()])
        encoded = super().encode_texts(queries, read, pairs)
        lost = [max(len(documents.strings()[number]) - 3, 0) for _, number in pairs]
        return replace(encoded, lost=np.column_stack([np.zeros_like(lost), lost]))


PAIRS = [("q", "a"), ("q", "b"), ("r", "a"), ("q", "a")]


def test_what_the_cache_knows_is_not_computed_again(tmp_path):
    cache = ScoreCache(tmp_path)
    first, second = Counting(), Counting()
    scores, cost = Engine(first, Session(cache=cache)).score(PAIRS)
    assert (cost.cache_hits, cost.cache_misses, first.asked) == (0, 3, 3)
    again, cost = Engine(second, Session(cache=cache)).score([*PAIRS, ("s", "a")])
    assert (cost.cache_hits, cost.cache_misses, second.asked) == (3, 1, 1)
    assert cost.forward_passes == 1
    assert again[:4].tolist() == scores.tolist() == expected(PAIRS)


@pytest.mark.parametrize(
    "other", [{"weight": 2.0}, {"contract": "y"}, {"pieces": "other"}], ids=lambda o: next(iter(o))
)
def test_another_scorer_finds_nothing(tmp_path, other):
    cache = ScoreCache(tmp_path)
    Engine(Counting(), Session(cache=cache)).score(PAIRS)
    _, cost = Engine(Counting(**other), Session(cache=cache)).score(PAIRS)
    assert cost.cache_hits == 0


def test_another_precision_finds_nothing(tmp_path, monkeypatch):
    cache = ScoreCache(tmp_path)
    Engine(Counting(), Session(cache=cache)).score(PAIRS)
    monkeypatch.setattr(Hardware, "effective_precision", "bf16")
    assert Engine(Counting(), Session(cache=cache)).score(PAIRS)[1].cache_hits == 0


def test_scores_on_damaged_pages_are_computed_again_which_is_said_and_counted(tmp_path, caplog):
    cache = ScoreCache(tmp_path)
    engine = Engine(Counting(), Session(cache=cache))
    scores, _ = engine.score(PAIRS)
    flip_last_bits(cache)
    again, cost = engine.score(PAIRS)
    assert again.tolist() == scores.tolist()
    assert (cost.cache_hits, cost.cache_misses, cost.cache_damaged) == (0, 3, 3)
    assert [record.getMessage() for record in caplog.records] == [
        f"score cache {tmp_path}: pages of 3 scores are damaged; computed again"
    ]
    _, cost = engine.score(PAIRS)
    assert (cost.cache_hits, cost.cache_damaged, len(caplog.records)) == (3, 0, 1)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_tokens_and_what_was_cut_are_counted_whether_or_not_scores_were_kept(tmp_path, kept):
    pairs = [("q", "five!"), ("q", "one"), ("rr", "sevenly")]
    session = Session(cache=ScoreCache(tmp_path))
    if kept:
        Engine(Cutting(), session).score(pairs[:kept])
    _, cost = Engine(Cutting(), session).score(pairs)
    assert cost.forward_passes == 3 - kept
    assert cost.tokens == sum(len(query) + 3 for query, _ in pairs[kept:])
    assert cost.tokens + cost.kept_tokens == 13
    assert (cost.cut_documents, cost.cut_tokens, cost.cut_queries) == (2, 2 + 4, 0)


def test_caches_are_off_while_something_is_timed(tmp_path):
    cache = ScoreCache(tmp_path)
    engine = Engine(Counting(), Session(cache=cache))
    engine.score(PAIRS)
    with turn_caches_off():
        _, cost = engine.score(PAIRS)
    assert (cost.forward_passes, cost.cache_hits, cost.cache_misses) == (3, 0, 0)
    assert engine.score(PAIRS)[1].cache_hits == 3


def test_an_interrupted_run_goes_on_from_what_was_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("recross.inference.cache.kept_scores.SECONDS_BETWEEN_WRITES", 0.0)
    pairs = [("q", "x" * n) for n in range(1, 11)]

    broken = Counting()
    inner = broken.inner.inference(Session())

    def forward(batch):
        if len(batch.tokens) < 5:
            raise KeyboardInterrupt
        return inner(batch)

    monkeypatch.setattr(broken, "inference", lambda _: forward)
    cache = ScoreCache(tmp_path)
    one_at_a_time = Session(Hardware(tokens_per_batch=1), cache=cache)
    with pytest.raises(KeyboardInterrupt):
        Engine(broken, one_at_a_time).score(pairs)
    scores, cost = Engine(Counting(), one_at_a_time).score(pairs)
    assert (cost.cache_hits, cost.cache_misses) == (7, 3)  # longest first
    assert scores.tolist() == expected(pairs)
