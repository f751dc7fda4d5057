"""Cascades by hand, with re-rankers that score from a table and remember what they saw."""

from dataclasses import dataclass, field
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.parts.identity import fingerprint
from recross.records import Cost
from recross.rerankers.baselines import FirstStage
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.composed.interpolation import Interpolated
from recross.rerankers.reranker import Reranker, Trainable
from recross.runs import Run
from tests.conftest import toy_collection

TOY = toy_collection()


@dataclass(frozen=True)
class Drawn(Reranker):
    """Scores drawn from a salt and the ids; a run it saw is remembered."""

    salt: str = ""
    seen: list = field(default_factory=list, compare=False)

    def rerank(self, candidates, collection):
        self.seen.append(candidates)
        scores = {
            query_id: {
                d.doc_id: crc32(f"{self.salt}{query_id}{d.doc_id}".encode()) for d in ranking
            }
            for query_id, ranking in candidates.rankings.items()
        }
        pairs = sum(map(len, candidates.rankings.values()))
        return Run.from_scores(f"drawn{self.salt}", scores, Cost(pairs=pairs, total_seconds=0.5))


@dataclass(frozen=True)
class Table(Reranker):
    """Scores by document."""

    scores: dict

    def rerank(self, candidates, collection):
        scores = {
            q: {d.doc_id: self.scores[d.doc_id] for d in r} for q, r in candidates.rankings.items()
        }
        return Run.from_scores("table", scores, Cost(pairs=1))


RUNS = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3"]),
    st.dictionaries(st.sampled_from([f"d{n}" for n in range(12)]), st.floats(-5, 5, width=32)),
    min_size=1,
).map(lambda scores: Run.from_scores("first", scores))
DEPTHS = st.lists(st.integers(1, 15), min_size=1, max_size=4).map(lambda d: sorted(d, reverse=True))


def cascade_of(depths):
    return Cascade({f"s{n}": Stage(Drawn(str(n)), depth) for n, depth in enumerate(depths)})


def test_two_stages_by_hand():
    candidates = Run.from_scores("first", {"q": {"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}})
    mono = Table({"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.7})  # never asked for e
    duo = Table({"b": -3.0, "d": 12.0})
    ranked = Cascade({"mono": Stage(mono, 4), "duo": Stage(duo, 2)}).rerank(candidates, TOY)
    assert ranked.doc_ids("q") == ["d", "b", "c", "a", "e"]
    assert dict(ranked.rankings["q"])["b"] == -3.0
    assert ranked.name == "mono+duo"
    assert ranked.cost == Cost(pairs=2)


@given(RUNS, DEPTHS)
def test_every_candidate_comes_back_once_in_an_order_that_any_reader_finds(candidates, depths):
    ranked = cascade_of(depths).rerank(candidates, TOY)
    assert {q: sorted(ranked.doc_ids(q)) for q in ranked.rankings} == {
        q: sorted(candidates.doc_ids(q)) for q in candidates.rankings
    }
    scores = {q: dict(r) for q, r in ranked.rankings.items()}
    assert Run.from_scores("again", scores).rankings == ranked.rankings


@given(RUNS, DEPTHS)
def test_a_stage_sees_the_best_of_what_the_one_before_left_and_the_rest_keeps_its_order(
    candidates, depths
):
    cascade = cascade_of(depths)
    ranked = cascade.rerank(candidates, TOY)
    for query_id in candidates.rankings:
        order = candidates.doc_ids(query_id)
        for stage in cascade.stages.values():
            (seen,) = stage.reranker.seen
            assert seen.doc_ids(query_id) == order[: stage.depth]
            head = Drawn(stage.reranker.salt).rerank(seen, TOY).doc_ids(query_id)
            order = head + order[stage.depth :]
        assert ranked.doc_ids(query_id) == order


@given(RUNS)
def test_one_stage_as_deep_as_its_candidates_is_that_stage(candidates):
    alone = Drawn().rerank(candidates, TOY)
    ranked = Cascade({"only": Stage(Drawn(), 100)}, alias="x").rerank(candidates, TOY)
    assert ranked.rankings == alone.rankings
    assert (ranked.name, ranked.cost) == ("x", alone.cost)


def test_costs_add_up_and_those_of_the_retriever_are_not_among_them():
    scores = {"q": {f"d{n}": float(n) for n in range(9)}}
    candidates = Run.from_scores("first", scores, Cost(pairs=1000))
    stages = {
        "none": Stage(FirstStage(), 8),
        "mono": Stage(Drawn("1"), 6),
        "again": Stage(FirstStage(), 6),
        "duo": Stage(Drawn("2"), 2),
    }
    assert Cascade(stages).rerank(candidates, TOY).cost == Cost(pairs=8, total_seconds=1.0)


def test_a_mixed_stage_weighs_the_scores_of_the_stage_before():
    candidates = Run.from_scores("first", {"q": {"a": 1, "b": 0}})
    before, after = Table({"a": 0.0, "b": 3.0}), Table({"a": 2.0, "b": 0.0})
    stages = {"mono": Stage(before, 2), "mixed": Stage(Interpolated(after, 0.4), 2)}
    assert Cascade(stages).rerank(candidates, TOY).doc_ids("q") == ["b", "a"]


def test_a_stage_that_invents_a_document_is_refused():
    class Inventive(Reranker):
        def rerank(self, candidates, collection):
            return Run.from_scores("x", {"q": {"new": 1.0}})

    candidates = Run.from_scores("first", {"q": {"a": 1, "b": 0}})
    with pytest.raises(InputError, match="must hold candidates only"):
        Cascade({"x": Stage(Inventive(), 1)}).rerank(candidates, TOY)


def test_depths_that_grow_are_refused_by_name():
    with pytest.raises(InputError, match=r"depths must not grow .* got mono=20, duo=20, llm=21$"):
        Cascade({n: Stage(Drawn(), d) for n, d in (("mono", 20), ("duo", 20), ("llm", 21))})
    with pytest.raises(InputError, match="stages must hold at least one stage, got none"):
        Cascade({})
    with pytest.raises(InputError, match="depth must be at least 1, got 0"):
        Stage(Drawn(), 0)


def test_the_order_of_stages_is_part_of_what_a_cascade_is():
    one, two = Stage(FirstStage(), 5), Stage(Interpolated(FirstStage()), 5)
    there, back = Cascade({"one": one, "two": two}), Cascade({"two": two, "one": one})
    assert there != back
    assert fingerprint(there) != fingerprint(back)
    assert fingerprint(there) == fingerprint(Cascade({"one": one, "two": two}, alias="named"))


def test_a_cascade_does_not_claim_to_be_trainable(tiny_bert):
    from recross.rerankers.cross_encoder import CrossEncoder

    cascade = Cascade({"mono": Stage(CrossEncoder(str(tiny_bert)), 5)})
    assert not isinstance(cascade, Trainable)
    assert not isinstance(Interpolated(CrossEncoder(str(tiny_bert))), Trainable)
