import pytrec_eval

from recross.evaluation.accounts import QueryAccount, account, describe_truncation
from recross.evaluation.measures import evaluate
from recross.records import Cost
from recross.runs import Run

RUN = Run.from_scores("toy", {"q1": {"d1": 1.0, "d2": 1.0}, "q2": {"d1": 1.0}, "q3": {}})


def test_every_query_asked_is_accounted_for():
    qrels = {"q1": {"d1": 1, "d8": -1, "d9": 2}, "q3": {"d1": 0}, "q9": {"d1": 1}}
    found = account(RUN, qrels, ["q1", "q2", "q3", "q4"], depth=2, documents={"d1", "d2", "d8"})
    assert found == {
        "asked": 4,
        "scored": 2,
        "judged": 2,
        "without_qrels": 2,
        "judged_not_asked": 1,
        "without_relevant": 1,
        "short": 3,
        "tied": 1,
        "negative_judgments": 1,
        "relevant_unknown": 1,
    }


def test_queries_without_documents_are_missing_from_a_run():
    found = QueryAccount.of(RUN, {"q1": {"d1": 1}, "q3": {"d1": 1}, "q4": {"d1": 1}})
    assert (found.judged, found.ranked) == (3, 2)
    assert (found.missing, found.unjudged, found.without_relevant) == (("q3", "q4"), ("q2",), ())
    assert list(found.oddities) == [
        "2 of 3 judged queries are not in the run and score 0, such as 'q3'",
        "1 of 2 queries of the run have no judgments and are left out, such as 'q2'",
    ]


def test_a_query_is_hopeless_below_the_smallest_relevant_grade():
    qrels = {"q1": {"d1": 1, "d2": 2}, "q2": {"d1": 1}}
    assert QueryAccount.of(RUN, qrels).without_relevant == ()
    found = QueryAccount.of(RUN, qrels, relevant_from=2)
    assert list(found.oddities) == ["1 of 2 judged queries have no relevant document, such as 'q2'"]


def test_means_are_over_all_judged_queries_as_of_trec_eval_with_c():
    scores = {"found": {"d1": 2.0, "d2": 1.0}, "hopeless": {"d1": 1.0}, "unjudged": {"d1": 1.0}}
    qrels = {"found": {"d2": 1}, "hopeless": {"d1": 0, "d2": -1}, "missing": {"d1": 1}}
    found = evaluate(Run.from_scores("toy", scores), qrels, ["AP"])
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(scores)
    assert {q: values["map"] for q, values in theirs.items()} == {"found": 0.5, "hopeless": 0.0}
    assert found.per_query["AP"] == {"found": 0.5, "hopeless": 0.0, "missing": 0.0}
    assert found.mean["AP"] == 0.5 / len(qrels)


def test_the_lost_share_is_of_all_tokens():
    cost = Cost(tokens=30, cut_queries=1, cut_documents=2, cut_tokens=10)
    expected = {"queries": 1, "documents": 2, "tokens_lost_share": 0.25}
    assert describe_truncation(cost) == expected
    assert describe_truncation(Cost())["tokens_lost_share"] == 0.0
