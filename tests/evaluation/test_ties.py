import shutil
from itertools import groupby, permutations, product

import numpy as np
import pytest

from recross.evaluation.measures import evaluate
from recross.evaluation.ties import find_tie_ranges
from recross.records import ScoredDoc
from recross.runs import Run

CLOSED = ["P@3", "R@3", "Success@2", "RR", "MRR@3", "AP", "AP@4", "Rprec", "nDCG@3", "nDCG"]
CLOSED += ["nDCG(gains={0:3,1:0,2:5})@4", "Judged@3", "Judged", "RR(rel=2)@3", "P(rel=2)@2"]
CLOSED += [f"{family}(judged_only=True){cut}" for family, cut in [("AP", ""), ("nDCG", "@3")]]
CLOSED += [f"{family}(judged_only=True)@3" for family in ("P", "Success", "R")]
CLOSED += ["RR(judged_only=True)", "Rprec(judged_only=True)", "SetP", "SetR", "SetAP", "NumRet"]
BOUNDED = ["IPrec@0.4", "Bpref", "Compat(p=0.8)", "Compat(p=0.6,normalize=False)", "SetF"]


def draw(seed):
    """A run of up to seven documents with few scores, and judgments of it and of others."""
    rng = np.random.default_rng(seed)
    doc_ids = [f"d{n}" for n in range(7)]
    scores = {d: float(rng.integers(0, 3)) for d in doc_ids[: int(rng.integers(3, 6))]}
    qrels = {d: int(rng.integers(0, 3)) for d in doc_ids if rng.random() < 0.6}
    return Run.from_scores("ties", {"1": scores}), {"1": qrels or {"d0": 1}}


def list_orders(run):
    """Every ranking of the query that its scores allow."""
    ties = [list(tie) for _, tie in groupby(run.rankings["1"], key=lambda doc: doc.score)]
    return [sum(order, ()) for order in product(*(permutations(tie) for tie in ties))]


def try_all_orders(run, qrels, measures, relevant_from):
    """The measures of every order, by ir_measures: each order is a query of its own."""
    orders = {str(n): order for n, order in enumerate(list_orders(run))}
    judged = dict.fromkeys(orders, qrels["1"])
    return evaluate(Run("all orders", orders), judged, measures, relevant_from).per_query


@pytest.mark.parametrize("relevant_from", [1, 2])
@pytest.mark.parametrize("seed", range(15))
def test_ranges_are_those_of_all_orders(seed, relevant_from):
    run, qrels = draw(seed)
    measures = [*CLOSED, *BOUNDED]
    values = try_all_orders(run, qrels, measures, relevant_from)
    evaluation = evaluate(run, qrels, measures, relevant_from)
    found = find_tie_ranges(run, qrels, evaluation, relevant_from)
    for name in measures:
        whole = found.mean[name]
        tried = list(values[name].values())
        assert whole.least == pytest.approx(min(tried), abs=1e-9), name
        assert whole.greatest == pytest.approx(max(tried), abs=1e-9), name
        if name in CLOSED:
            assert whole.expected == pytest.approx(np.mean(tried), abs=1e-9), name
        if found.queries:
            assert found.per_query[name]["1"] == whole


@pytest.mark.skipif(shutil.which("perl") is None, reason="gdeval is a Perl script")
@pytest.mark.parametrize("seed", range(3))
def test_ranges_of_gdevals_measures_are_those_of_all_orders(seed):
    run, qrels = draw(seed)
    measures = ["ERR@3", "nDCG(dcg='exp-log2')@3"]
    values = try_all_orders(run, qrels, measures, 1)
    found = find_tie_ranges(run, qrels, evaluate(run, qrels, measures)).mean
    for name in measures:
        tried = values[name].values()
        assert found[name][:2] == pytest.approx((min(tried), max(tried))), name


@pytest.mark.parametrize("seed", range(8))
def test_ranges_of_accuracy_over_whole_rankings_are_those_of_all_orders(seed):
    run, qrels = draw(seed)
    qrels["1"]["d0"] = 0  # it divides by the documents that are not relevant
    values = try_all_orders(run, qrels, ["Accuracy"], 1)["Accuracy"].values()
    found = find_tie_ranges(run, qrels, evaluate(run, qrels, ["Accuracy"])).mean["Accuracy"]
    assert found[:2] == pytest.approx((min(values), max(values)))


def test_a_tie_over_the_cut_off_of_one_relevant_in_four_is_a_hypergeometric_draw():
    run = Run.from_scores("toy", {"q1": {"top": 2.0, "a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}})
    measures = ["P@3", "R@3", "RR@3", "Success@3", "AP", "nDCG@3"]
    evaluation = evaluate(run, {"q1": {"b": 1}}, measures)
    found = find_tie_ranges(run, {"q1": {"b": 1}}, evaluation).mean
    assert found["P@3"] == pytest.approx((0.0, 1 / 3, 1 / 6))  # two of the four get in
    assert found["R@3"] == found["Success@3"] == pytest.approx((0.0, 1.0, 1 / 2))
    assert found["RR@3"] == pytest.approx((0.0, 1 / 2, (1 / 2 + 1 / 3) / 4))
    assert found["AP"] == pytest.approx((1 / 5, 1 / 2, (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 4))
    gains = 1 / np.log2(3), 1 / np.log2(4)
    assert found["nDCG@3"] == pytest.approx((0.0, gains[0], sum(gains) / 4))


def test_queries_without_ties_and_missing_ones_keep_their_values_in_the_mean():
    scores = {"tied": {"a": 1.0, "b": 1.0}, "clear": {"a": 2.0, "b": 1.0}, "other": {"x": 1.0}}
    run = Run.from_scores("toy", scores)
    qrels = {"tied": {"a": 1}, "clear": {"b": 1}, "missing": {"a": 1}}
    found = find_tie_ranges(run, qrels, evaluate(run, qrels, ["MRR@10"]))
    assert found.queries == 1
    assert found.per_query == {"MRR@10": {"tied": (0.5, 1.0, 0.75)}}
    assert found.mean == {"MRR@10": (1 / 3, 1 / 2, 1.25 / 3)}


def test_scores_that_single_precision_cannot_tell_apart_are_tied():
    run = Run.from_scores("toy", {"q1": {"a": 1.0 + 1e-9, "b": 1.0}})
    found = find_tie_ranges(run, {"q1": {"a": 1}}, evaluate(run, {"q1": {"a": 1}}, ["RR"]))
    assert found.per_query["RR"]["q1"] == (0.5, 1.0, 0.75)


def test_without_ties_every_range_is_the_value_itself():
    run = Run.from_scores("toy", {"q1": {"a": 2.0, "b": 1.0}})
    evaluation = evaluate(run, {"q1": {"b": 1}}, ["RR", "Bpref"])
    found = find_tie_ranges(run, {"q1": {"b": 1}}, evaluation)
    assert (found.queries, found.per_query) == (0, {"RR": {}, "Bpref": {}})
    assert found.mean == {"RR": (0.5, 0.5, 0.5), "Bpref": (1.0, 1.0, 1.0)}


def test_nothing_is_said_of_measures_that_no_sorting_of_ties_makes_greatest():
    run = Run.from_scores("toy", {"1": {"top": 2.0, "a": 1.0, "b": 1.0, "c": 0.0}})
    qrels = {"1": {"top": 1, "a": 1}}
    found = find_tie_ranges(run, qrels, evaluate(run, qrels, ["Accuracy@2", "infAP", "RR"]))
    assert found.mean["Accuracy@2"] is found.mean["infAP"] is None
    assert found.per_query.keys() == {"RR"}


def test_one_more_relevant_document_within_the_cut_off_can_lower_accuracy():
    rankings = {"1": ("top", "x", "a", "b"), "2": ("top", "x", "b", "a")}  # a and b are tied
    orders = {q: tuple(ScoredDoc(d, 0.0) for d in ranking) for q, ranking in rankings.items()}
    qrels = {q: {"top": 1, "a": 1} for q in orders}
    found = evaluate(Run("orders", orders), qrels, ["Accuracy@3"]).per_query["Accuracy@3"]
    assert found["1"] < found["2"]
