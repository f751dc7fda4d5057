"""Planted positives: what is re-ranked, what is counted, what sentence-transformers says of it."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from recross.collections.collection import Collection
from recross.command.cli import main
from recross.errors import InputError
from recross.evaluation.measures import evaluate
from recross.retrieval.fusion import ReciprocalRankFusion
from recross.retrieval.planted import PlantedPositives
from recross.retrieval.random_order import RandomOrder
from recross.retrieval.retriever import Retriever, retrieve_once
from recross.runs import Run, count_tied_queries
from recross.store import Store

DOCUMENTS = [f"d{number:03}" for number in range(150)]


@dataclass(frozen=True)
class Ordered(Retriever):
    """Documents in the order of their ids, or all of one score; none for one query."""

    step: float = 1.0

    @property
    def candidates(self):
        return "ordered"

    def retrieve(self, collection, query_ids, depth):
        scores = {d: -self.step * n for n, d in enumerate(DOCUMENTS)}
        return Run.from_scores(
            "ordered", {q: {} if q == "none" else scores for q in query_ids}
        ).cut(depth)


JUDGED = {
    "both": {"d000": 1, "d140": 1, "d120": 1},
    "missed": {"d149": 1, "d101": 1, "d148": 1},
    "found": {"d002": 1, "d007": 1},
    "none": {"d001": 1, "d002": 1},
    "graded": {"d110": 1, "d111": 2},
    "unjudged": {},
}


def judged(qrels, texts="the texts", **more):
    queries = dict.fromkeys(qrels, "a query")
    return Collection(
        "toy",
        dict.fromkeys(DOCUMENTS, "a document"),
        queries,
        {"test": tuple(queries)},
        {"test": qrels},
        fingerprint=str(qrels),
        texts=texts,
        **more,
    )


def planted(collection, depth, store, retriever=None):
    queries = list(collection.queries)
    return retrieve_once(
        retriever or PlantedPositives(Ordered()), collection, queries, depth, Store(store)
    )


def test_missed_relevant_documents_stand_below_all_that_was_found(tmp_path):
    run = planted(judged(JUDGED), 100, tmp_path)
    member = planted(judged(JUDGED), 100, tmp_path, Ordered())
    below = {q: run.doc_ids(q)[len(member.doc_ids(q)) :] for q in run.rankings}
    assert all(run.rankings[q][: len(r)] == r for q, r in member.rankings.items())
    assert below == {
        "both": ["d140", "d120"],
        "missed": ["d149", "d148", "d101"],
        "found": [],
        "none": ["d002", "d001"],
        "graded": ["d111", "d110"],
        "unjudged": [],
    }
    assert (run.planted, member.planted) == (9, 0)
    assert run.name == "ordered+planted"


def test_no_planted_document_ties_with_another_also_when_it_was_written(tmp_path):
    run = planted(judged({"missed": JUDGED["missed"], "none": JUDGED["none"]}), 5, tmp_path)
    run.write(tmp_path / "run.trec")
    again = Run.read(tmp_path / "run.trec")
    assert again.rankings == run.rankings
    assert count_tied_queries(run) == 0
    tied = PlantedPositives(Ordered(step=0.0))
    scores = [
        doc.score
        for doc in planted(judged({"q": {"d001": 1, "d002": 1}}), 100, tmp_path, tied).rankings["q"]
    ]
    assert set(scores[:100]) == {0.0}  # as the first stage has it
    assert 0.0 > scores[100] > scores[101]


def test_what_another_split_or_a_low_grade_says_and_what_is_excluded_or_has_no_text(
    tmp_path, caplog
):
    collection = Collection(
        "toy",
        dict.fromkeys(DOCUMENTS, "a document"),
        {"q": "one"},
        {"dev": ("q",), "test": ("q",)},
        {"dev": {"q": {"d147": 1, "d146": 2}}, "test": {"q": {"d148": 1, "gone": 1, "d149": 1}}},
        fingerprint="toy",
        relevant_from={"dev": 2},
    ).excluding({"q": frozenset(("d149", "d000"))})
    run = planted(collection, 100, tmp_path)
    assert run.doc_ids("q") == [*DOCUMENTS[1:101], "d148", "d146"]
    assert (run.planted, run.left_out) == (2, 1)
    assert "1 relevant documents cannot be planted: toy lacks them" in caplog.messages
    direct = PlantedPositives(Ordered()).retrieve(collection, ["q"], 100)
    assert direct.rankings == run.rankings


def test_kept_runs_know_nothing_of_the_judgments(tmp_path):
    one, other = judged({"q": {"d149": 1}}), judged({"q": {"d148": 1}})
    assert planted(one, 10, tmp_path).doc_ids("q")[10:] == ["d149"]
    assert planted(other, 10, tmp_path).doc_ids("q")[10:] == ["d148"]
    assert len(list((tmp_path / "runs").glob("*/run.trec"))) == 1
    assert planted(other, 10, tmp_path, Ordered()).doc_ids("q") == DOCUMENTS[:10]
    assert len(list((tmp_path / "runs").glob("*/run.trec"))) == 1


def test_the_name_of_the_candidates_says_so_at_every_depth_and_for_a_first_stage_alone():
    of_ten = PlantedPositives(RandomOrder()).name_candidates(10, reranked=True)
    assert of_ten == f"{RandomOrder().name_candidates(10, True)} with planted positives"
    alone = PlantedPositives(RandomOrder()).name_candidates(10, reranked=False)
    assert alone == "full collection with planted positives"
    assert PlantedPositives(RandomOrder()).candidates.endswith(" with planted positives")


def test_planted_documents_take_no_rank_in_a_fusion():
    both = {"one": RandomOrder(), "other": PlantedPositives(RandomOrder(1))}
    with pytest.raises(InputError, match=r"plant around their fusion, got PlantedPositives for 'o"):
        ReciprocalRankFusion(both)
    around = PlantedPositives(ReciprocalRankFusion({"one": RandomOrder(), "other": Ordered()}))
    assert around.retrieve(judged({"q": {"d149": 1, "d001": 1}}), ["q"], 100).planted <= 2


class Scores:
    """What sentence-transformers asks for scores; each text has one of its own."""

    def predict(self, pairs, **_):
        numbers = [int(text.rpartition(" ")[2]) for _, text in pairs]
        return np.array([number % 37 + number / 1000 for number in numbers])


def test_base_and_reranked_measures_are_those_of_sentence_transformers(tmp_path):
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    rng = np.random.default_rng(0)
    qrels = {
        f"q{size}": {str(d): 1 for d in rng.choice(DOCUMENTS, size, replace=False)}
        for size in (1, 2, 3, 5, 8, 30)
    } | {"missed": {"d149": 1, "d133": 1}}
    texts = {d: f"document {int(d[1:])}" for d in DOCUMENTS}
    collection = Collection(
        "toy", texts, dict.fromkeys(qrels, "x"), {"test": tuple(qrels)}, {"test": qrels}, "toy"
    )
    run = planted(collection, 100, tmp_path)
    samples = [
        {
            "query": "x",
            "positive": [texts[d] for d in relevant],
            "documents": [texts[d] for d in DOCUMENTS[:100]],
        }
        for relevant in qrels.values()
    ]
    evaluator = CrossEncoderRerankingEvaluator(samples, name="toy", write_csv=False)
    evaluator.store_metrics_in_model_card_data = lambda *_: None
    theirs = evaluator(Scores())
    base = evaluate(run, qrels, ["nDCG@10", "MRR@10"]).mean
    assert base["nDCG@10"] == pytest.approx(theirs["toy_base_ndcg@10"])
    assert base["MRR@10"] == pytest.approx(theirs["toy_base_mrr@10"])
    scores = {
        q: {d: float(Scores().predict([("", texts[d])])[0]) for d in run.doc_ids(q)} for q in qrels
    }
    ours = evaluate(Run.from_scores("any", scores), qrels, ["nDCG@10", "MRR@10"]).mean
    assert ours["nDCG@10"] == pytest.approx(theirs["toy_ndcg@10"])
    assert ours["MRR@10"] == pytest.approx(theirs["toy_mrr@10"])
    without = Run.from_scores("any", {q: dict(list(s.items())[:100]) for q, s in scores.items()})
    assert evaluate(without, qrels, ["nDCG@10"]).mean["nDCG@10"] < ours["nDCG@10"]


def test_an_experiment_records_how_many_were_planted_and_its_ceiling_is_one(tmp_path, beir_folder):
    words = ["run", "collection=files", f"collection.folder={beir_folder}", "reranker=oracle"]
    words += ["training=none", "depth=2", "latency_queries=0", "interpolate=false", "hardware=cpu"]
    words += ["retriever=planted", "retriever@retriever.retriever=random"]
    assert main([*words, f"output={tmp_path / 'out'}"]) == 0
    (path,) = (tmp_path / "out").rglob("result.json")
    result = json.loads(path.read_text())
    assert result["candidates"].endswith("top 2 with planted positives")
    assert result["planted"] > 0
    assert result["measures"]["MRR@10"] == 1.0
    run = Run.read(path.parent / "candidates.trec")
    assert sum(map(len, run.rankings.values())) == 2 * len(run) + result["planted"]
