import numpy as np
import pytest
import pytrec_eval
from hypothesis import assume, given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.evaluation.measures import check_measures, evaluate, read_form
from recross.runs import Run


@pytest.mark.parametrize("relevant, expected", [("d2", 1.0), ("d1", 0.5)])
def test_all_measures_see_the_same_order_of_tied_documents(relevant, expected):
    run = Run.from_scores("toy", {"q1": {"d1": 1.0, "d2": 1.0}})
    found = evaluate(run, {"q1": {relevant: 1}}, ["RR", "MRR@10", "AP"]).mean
    assert found["RR"] == found["MRR@10"] == found["AP"] == expected


def test_a_query_without_results_counts_as_zero():
    run = Run.from_scores("toy", {"q1": {"d1": 1.0}})
    found = evaluate(run, {"q1": {"d1": 1}, "q2": {"d9": 1}}, ["MRR@10", "nDCG@10"])
    assert found.mean == {"MRR@10": 0.5, "nDCG@10": 0.5}


def test_binary_measures_begin_at_the_collections_grade_and_graded_ones_do_not():
    run = Run.from_scores("toy", {"q1": {"d1": 3.0, "d2": 2.0, "d3": 1.0}})
    qrels = {"q1": {"d1": 1, "d2": 2, "d3": 3}}
    assert evaluate(run, qrels, ["MRR@10"], relevant_from=2).mean["MRR@10"] == 0.5
    assert evaluate(run, qrels, ["RR(rel=3)@10"], relevant_from=2).mean["RR(rel=3)@10"] == 1 / 3
    gains = (1 + 2 / np.log2(3) + 3 / 2) / (3 + 2 / np.log2(3) + 1 / 2)
    found = evaluate(run, qrels, ["nDCG@10"], relevant_from=2).mean["nDCG@10"]
    assert found == pytest.approx(gains)


def test_a_measure_has_the_same_value_whichever_others_are_asked_for():
    run = Run.from_scores("toy", {"q1": {"d1": 3.0, "d2": 2.0, "d3": 1.0}})
    qrels = {"q1": {"d2": 2, "d3": 1, "d9": 1}}
    others = ["nDCG(gains={1:5})@10", "RR(judged_only=True)", "P(judged_only=True)@2"]
    alone = {name: evaluate(run, qrels, [name]).mean[name] for name in ("nDCG@10", "NumRet")}
    for other in others:  # ir_measures takes the settings of the first it computes
        for names in ([other, *alone], [*alone, other]):
            assert evaluate(run, qrels, names).mean.items() >= alone.items()
    assert alone["NumRet"] == 3


def test_what_was_not_retrieved_stands_below_what_was_in_the_ideal_of_compat():
    run = Run.from_scores("toy", {"q1": {"d1": 2.0, "d2": 1.0}})
    qrels = {"q1": {"d9": 1, "d2": 1}}  # the ideal of a tie follows the run: d2, then d9
    found = evaluate(run, qrels, ["Compat(p=0.5)"]).mean["Compat(p=0.5)"]
    assert found == pytest.approx((0 + 0.5 * 1 / 2) / (1 + 0.5))


SCORES = st.integers(0, 3).map(float)
RUNS = st.dictionaries(
    st.sampled_from([f"q{n}" for n in range(4)]),
    st.dictionaries(st.sampled_from([f"d{n}" for n in range(30)]), SCORES, min_size=1),
    min_size=1,
)
QRELS = st.dictionaries(
    st.sampled_from([f"q{n}" for n in range(4)]),
    st.dictionaries(st.sampled_from([f"d{n}" for n in range(30)]), st.integers(-2, 3), min_size=1),
    min_size=1,
)
TREC = {
    "RR": "recip_rank",
    "AP": "map",
    "nDCG@10": "ndcg_cut_10",
    "P@5": "P_5",
    "R@10": "recall_10",
}


@given(RUNS, QRELS)
def test_runs_full_of_ties_get_trec_evals_own_numbers(scores, qrels):
    assume(scores.keys() & qrels.keys())
    ours = evaluate(Run.from_scores("ties", scores), qrels, list(TREC))
    whole = {q: grades for q, grades in qrels.items() if max(grades.values()) >= 0}  # else it dies
    evaluator = pytrec_eval.RelevanceEvaluator(whole, set(TREC.values()))
    theirs = evaluator.evaluate(scores)
    for name, trec_name in TREC.items():
        for query_id in qrels:
            expected = theirs.get(query_id, {}).get(trec_name, 0.0)
            assert ours.per_query[name][query_id] == pytest.approx(expected, abs=1e-6)


def test_unknown_measures_are_refused_by_name():
    with pytest.raises(InputError, match="measures must be names such as .* got 'MRR10'"):
        check_measures(["nDCG@10", "MRR10"])


def test_judging_nothing_is_refused():
    with pytest.raises(InputError, match="qrels must judge at least one query"):
        evaluate(Run.from_scores("toy", {}), {}, ["MRR@10"])


def test_a_run_of_other_topics_is_refused():
    run = Run.from_scores("toy", {"2024-1": {"d1": 1.0}})
    message = r"judge queries of the run 'toy' \(such as '2024-1'\), got judgments of 2 others"
    with pytest.raises(InputError, match=message):
        evaluate(run, {"2024-1.1": {"d1": 1}, "2024-2.1": {"d1": 1}}, ["MRR@10"])


@pytest.mark.parametrize("grade", [-3, 10_001, 2**31, 2**63, -(2**63), 1.5, "1", None])
def test_grades_that_trec_eval_cannot_count_are_refused(grade):
    message = "grades must be whole numbers in .*, got .* for query 'q1', document 'd1'"
    with pytest.raises(InputError, match=message):
        evaluate(Run.from_scores("toy", {"q1": {"d1": 1.0}}), {"q1": {"d1": grade}}, ["nDCG@10"])


@pytest.mark.parametrize("judgments", [{"d1": -1}, {"d1": -2, "d9": -1}, {}])
@pytest.mark.parametrize(
    "name", [*TREC, "Bpref", "infAP", "nDCG(gains={0:3})@10", "SetF", "Compat(p=0.5)"]
)
def test_a_query_with_negative_judgments_alone_scores_nothing(name, judgments):
    run = Run.from_scores("toy", {"q1": {"d1": 2.0, "d2": 1.0}, "q2": {"d1": 1.0}})
    found = evaluate(run, {"q1": judgments, "q2": {"d1": 1}}, [name])
    assert found.per_query[name]["q1"] == 0.0
    assert found.per_query[name]["q2"] > 0.0


def test_gains_that_cannot_be_counted_are_refused():
    with pytest.raises(InputError, match=r"gains must lie in \[0, 10000\], got .*99999999"):
        check_measures(["nDCG(gains={1:99999999})@10"])


def test_a_measure_computed_by_gdeval_takes_any_id_of_a_query_and_of_a_document():
    run = Run.from_scores("toy", {"plain": {"d 1": 2.0, "ü": 1.0}, "other one": {"ü": 1.0}})
    qrels = {"plain": {"ü": 1}, "other one": {"ü": 2}}
    found = evaluate(run, qrels, ["nDCG(dcg='exp-log2')@5", "ERR@5"])
    assert found.per_query["nDCG(dcg='exp-log2')@5"] == {
        "plain": pytest.approx(1 / np.log2(3), abs=1e-5),
        "other one": 1.0,
    }
    assert found.per_query["ERR@5"] == {  # grades up to 4: (2^grade - 1) / 2^4 stop a reader
        "plain": pytest.approx(1 / 16 / 2, abs=1e-5),
        "other one": pytest.approx(3 / 16, abs=1e-5),
    }


@pytest.mark.parametrize(
    "theirs, ours",
    [
        ("map", "AP"),
        ("map_cut_3", "AP@3"),
        ("ndcg", "nDCG"),
        ("ndcg_cut_3", "nDCG@3"),
        ("ndcg_cut.3", "nDCG@3"),
        ("recip_rank", "RR"),
        ("P_2", "P@2"),
        ("recall.2", "R@2"),
        ("success_1", "Success@1"),
        ("bpref", "Bpref"),
        ("set_P", "SetP"),
        ("iprec_at_recall_0.50", "IPrec@0.5"),
    ],
)
def test_a_measure_has_trec_evals_name_too(theirs, ours):
    qrels = {"q1": {"a": 2, "b": 1, "d": 0}, "q2": {"c": 1}}
    run = Run.from_scores("r", {"q1": {"d": 3.0, "a": 2.0, "b": 1.0}, "q2": {"c": 1.0, "a": 2.0}})
    found = evaluate(run, qrels, [theirs, ours]).per_query
    assert found[theirs] == found[ours]
    assert read_form(theirs) == read_form(ours)


def test_trec_evals_name_of_several_measures_is_refused():
    with pytest.raises(InputError, match=r"trec_eval's name of 9 measures; one is ndcg_cut_10"):
        check_measures(["ndcg_cut"])
