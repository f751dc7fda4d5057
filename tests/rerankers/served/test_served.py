"""Scores from a server: in each dialect, many requests at once, kept, bounded, checked."""

import json
import logging
import threading
import time
from email.utils import formatdate

import numpy as np
import pytest

from recross.errors import InputError
from recross.inference.cache.score_cache import count_scores, turn_caches_off
from recross.parts.identity import describe, fingerprint
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.remote.patience import EndpointError, Patience
from recross.rerankers.served.dialects import RerankV1, RerankV2, TeiRerank, VllmScore
from recross.rerankers.served.served import ServedReranker
from tests.damaged_scores import flip_last_bits
from tests.rerankers.served.conftest import FAST, overlap
from tests.score_stub import Failure

KEY = "sk-very-secret"
DIALECTS = [VllmScore(), TeiRerank(), RerankV1(), RerankV2()]


def kinds(values):
    return [type(value).__name__ for value in values]


@pytest.mark.parametrize("dialect", DIALECTS, ids=kinds(DIALECTS))
def test_every_dialect_gives_each_document_its_own_score(
    serve, served, candidates, collection, dialect
):
    stub = serve()
    run = served(stub, dialect, documents_per_request=5).rerank(candidates, collection)
    expected = {
        query_id: {
            doc.doc_id: overlap(collection.queries[query_id], collection.documents[doc.doc_id])
            for doc in ranking
        }
        for query_id, ranking in candidates.rankings.items()
    }
    found = {q: {d.doc_id: d.score for d in r} for q, r in run.rankings.items()}
    assert found == {q: pytest.approx(scores, abs=1e-6) for q, scores in expected.items()}
    assert [run.doc_ids(q)[0] for q in ("q0", "q5", "q10")] == ["d0", "d5", "d10"]
    assert (run.cost.requests, run.cost.pairs, len(stub.requests)) == (9, 36, 9)
    assert run.name == "model"


def test_what_is_sent_is_what_the_dialect_says_with_the_extra_body(serve, served):
    stub = serve()
    for dialect in DIALECTS:
        served(stub, dialect, cache=None).score("red cat", ["a", "b"])
    served(
        stub,
        VllmScore(raw_scores=False),
        cache=None,
        extra_body={"truncate_prompt_tokens": -1},
    ).score("red cat", ["a"])
    named = {"model": "some/model", "query": "red cat", "documents": ["a", "b"], "top_n": 2}
    tei = {"query": "red cat", "texts": ["a", "b"]}
    vllm = {"model": "some/model", "text_1": "red cat"}
    assert stub.requests == [
        ("/score", {**vllm, "text_2": ["a", "b"], "use_activation": False}),
        ("/rerank", {**tei, "raw_scores": True, "truncate": True, "return_text": False}),
        ("/v1/rerank", {**named, "return_documents": False}),
        ("/v2/rerank", named),
        (
            "/score",
            {**vllm, "text_2": ["a"], "use_activation": True, "truncate_prompt_tokens": -1},
        ),
    ]


def test_pairs_of_many_queries_come_back_in_their_order(serve, served):
    pairs = [("red cat", "red"), ("blue", "blue sky"), ("red cat", "red cat"), ("blue", "red")]
    found = served(serve()).predict(pairs)
    assert found.tolist() == pytest.approx([overlap(*pair) for pair in pairs])
    assert found.dtype == np.float32


def test_several_requests_are_under_way_and_no_more_than_said(
    serve, served, candidates, collection
):
    two = threading.Barrier(2, timeout=60)

    def fail(_):
        two.wait()

    stub = serve(fail=fail)
    served(stub, documents_per_request=2, max_concurrent=2).rerank(candidates, collection)
    assert (stub.most_at_once, len(stub.requests)) == (2, 18)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_failure_is_tried_again_and_counted(
    serve, served, candidates, collection, status
):
    stub = serve(fail=lambda number: Failure(status, b"busy") if number <= 2 else None)
    run = served(stub, max_concurrent=1).rerank(candidates, collection)
    assert (run.cost.retries, run.cost.requests, len(stub.requests)) == (2, 3, 5)
    assert run.doc_ids("q5")[0] == "d5"


@pytest.mark.parametrize("form", [lambda _: "1", lambda now: formatdate(now + 2, usegmt=True)])
def test_a_server_that_names_a_wait_is_left_alone_for_it(serve, served, form):
    wait = (("Retry-After", form(time.time())),)
    stub = serve(fail=lambda number: Failure(429, b"", wait) if number == 1 else None)
    start = time.monotonic()
    served(stub).score("red cat", ["red"])
    assert time.monotonic() - start >= 0.9
    assert len(stub.requests) == 2


def test_a_request_that_takes_too_long_is_tried_again(serve, served):
    second = threading.Event()

    def fail(number):
        if number == 1:
            second.wait(60)  # nothing before it comes again
        second.set()

    stub = serve(fail=fail)
    patience = Patience(timeout_seconds=1, max_retries=3, backoff_seconds=0.001)
    assert served(stub, patience=patience).score("cat", ["cat"]) == pytest.approx([1 + 1 / 128])
    assert len(stub.requests) >= 2


@pytest.mark.parametrize(
    "more, path",
    [({"documents_per_request": 33}, TeiRerank()), ({"model": "other"}, VllmScore())],
)
def test_a_refusal_is_one_clear_error_with_what_the_server_said(
    serve, candidates, collection, more, path
):
    stub = serve()
    wide = type(candidates).from_scores("c", {"q0": {f"d{n}": float(n) for n in range(40)}})
    model = more.pop("model", "some/model")
    asking = ServedReranker(stub.url, model, path, patience=FAST, **more)
    said = "batch size 33 > maximum" if more else "The model `other` does not exist"
    with pytest.raises(EndpointError, match=f"{stub.url} gave no answer: .*{said}"):
        asking.rerank(wide, collection)
    assert len(stub.requests) <= 2


def test_a_lasting_failure_ends_after_the_retries_and_keeps_what_was_scored(
    serve, served, candidates, collection
):
    stub = serve(fail=lambda number: Failure(500, b"no luck") if number >= 3 else None)
    asking = served(stub, documents_per_request=6, max_concurrent=1)
    with pytest.raises(EndpointError, match="gave no answer after 4 tries: 500 no luck"):
        asking.rerank(candidates, collection)
    assert len(stub.requests) == 2 + 4
    stub.requests.clear()
    stub.fail = lambda _: None
    run = asking.rerank(candidates, collection)
    assert len(stub.requests) == 4  # 36 pairs, of which 12 are kept
    assert (run.cost.cache_hits, run.cost.cache_misses, run.cost.requests) == (12, 24, 4)
    again = served(stub, documents_per_request=3).rerank(candidates, collection)
    assert (again.cost.requests, len(stub.requests)) == (0, 4)
    assert again.rankings == run.rankings


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda found: found[:-1], "it scored 11 of 12 documents"),
        (lambda found: [*found, found[0]], r"it scored document \d+ twice"),
        (lambda found: [*found[:-1], {"index": 12, "score": 1.0}], "document 12 of 12"),
        (lambda found: [*found[:-1], {**found[-1], "score": float("nan")}], "is nan"),
        (lambda found: [*found[:-1], {**found[-1], "score": 1e39}], "is 1e.39"),
        (lambda found: [*found[:-1], {**found[-1], "score": None}], "with the score None"),
        (lambda found: [*found[:-1], {**found[-1], "index": True}], "one result is True"),
        (lambda found: [*found[:-1], {**found[-1], "index": "1"}], "one result is '1'"),
        (lambda found: [{"index": one["index"]} for one in found], "another form .*score"),
        (lambda _: {"error": "queue full"}, "another form"),
        (lambda _: 7, "another form"),
    ],
)
def test_an_answer_that_is_not_one_score_for_each_is_an_error_and_nothing_is_kept(
    serve, served, candidates, collection, change, problem, tmp_path
):
    stub = serve(change=change)
    with pytest.raises(EndpointError, match=f"was asked as TeiRerank for scores, but .*{problem}"):
        served(stub, TeiRerank()).rerank(candidates, collection)
    assert count_scores(tmp_path / "scores").entries == 0


def test_what_is_no_json_is_an_error(serve, served):
    stub = serve(fail=lambda _: Failure(200, b"<html>welcome</html>"))
    with pytest.raises(EndpointError, match=f"{stub.url} answered with .* no JSON.*welcome"):
        served(stub, cache=None).score("red", ["red"])


def test_answers_of_two_models_are_not_mixed(serve, served, candidates, collection):
    names = iter(["some/model", "smaller/model", "some/model"])
    stub = serve(change=lambda answer: {**answer, "model": next(names)})
    with pytest.raises(EndpointError, match="'some/model' has answered before, and now 'smaller"):
        served(stub, RerankV1(), max_concurrent=1).rerank(candidates, collection)


@pytest.mark.parametrize(
    "budget, problem",
    [
        ({"request_budget": 2}, "request_budget must be at least 3, .* got 2"),
        ({"pair_budget": 35}, "pair_budget must be at least 36, .* got 35"),
    ],
)
def test_a_run_beyond_its_budget_is_refused_before_anything_is_sent(
    serve, served, candidates, collection, budget, problem
):
    stub = serve()
    with pytest.raises(InputError, match=problem):
        served(stub, **budget).rerank(candidates, collection)
    assert stub.requests == []


def test_a_budget_covers_what_is_not_kept_and_counts_all_runs(
    serve, served, candidates, collection
):
    stub = serve()
    asking = served(stub, pair_budget=36)
    asking.rerank(candidates.restrict(["q0"]), collection)
    asking.rerank(candidates, collection)
    asking.rerank(candidates, collection)
    with pytest.raises(InputError, match=r"at least 37, .* beside what is kept, 36 of them sent"):
        asking.score("another", ["pair"])
    assert len(stub.requests) == 3


def test_the_same_scores_are_known_under_another_address_and_no_others(
    serve, served, candidates, collection
):
    stub, moved = serve(), serve()
    served(stub).rerank(candidates, collection)
    assert served(moved, documents_per_request=3).rerank(candidates, collection).cost.requests == 0
    for other in (
        served(stub, version="2"),
        served(stub, VllmScore(raw_scores=False)),
        served(stub, RerankV1()),
        served(stub, extra_body={"truncate_prompt_tokens": -1}),
        served(stub, reads_together=True),
    ):
        assert other.rerank(candidates, collection).cost.cache_hits == 0


def test_answers_on_damaged_pages_are_asked_for_again_which_is_said_and_counted(
    serve, served, candidates, collection, caplog
):
    asking = served(serve())
    run = asking.rerank(candidates, collection)
    flip_last_bits(asking.cache)
    again = asking.rerank(candidates, collection)
    assert (again.cost.cache_misses, again.cost.cache_damaged) == (36, 36)
    assert again.rankings == run.rankings
    assert [message for message in caplog.messages if "damaged" in message] == [
        f"score cache {asking.cache.path}: pages of 36 scores are damaged; computed again"
    ]


def test_scores_of_another_revision_or_version_of_the_server_are_others(
    serve, served, candidates, collection
):
    tei = {"model_id": "m", "model_sha": "abc", "model_dtype": "float16", "version": "1.7.1"}
    vllm = {"object": "list", "data": [{"id": "some/model", "root": "/models/1", "created": 5}]}
    stub = serve(says={"/info": tei, "/version": {"version": "0.12"}, "/v1/models": vllm})
    for dialect, path, change in (
        (TeiRerank(), "/info", {**tei, "model_sha": "def"}),
        (VllmScore(), "/version", {"version": "0.13"}),
        (VllmScore(), "/v1/models", {"data": [{"id": "some/model", "root": "/models/2"}]}),
    ):
        served(stub, dialect).rerank(candidates, collection)
        stub.says["/info"] = {**stub.says["/info"], "max_batch_tokens": 1}  # changes no score
        stub.says["/v1/models"] = {**stub.says["/v1/models"], "created": 9}
        assert served(stub, dialect).rerank(candidates, collection).cost.requests == 0
        stub.says[path] = change
        assert served(stub, dialect).rerank(candidates, collection).cost.requests == 3


@pytest.mark.parametrize(
    "said", [[], "1.7", 7, None, {"data": [3]}, Failure(200, b"<html>"), Failure(404, b"")]
)
@pytest.mark.parametrize("dialect", [VllmScore(), TeiRerank()], ids=["vllm", "tei"])
def test_a_server_that_says_nothing_of_itself_in_a_known_form_says_nothing(
    serve, served, candidates, collection, dialect, said
):
    stub = serve(says=dict.fromkeys(("/info", "/version", "/v1/models"), said))
    assert served(stub, dialect).rerank(candidates, collection).cost.requests == 3
    assert served(stub, dialect).rerank(candidates, collection).cost.requests == 0


def test_what_a_server_says_of_itself_is_told(serve, served):
    tei = {"model_id": "m", "model_sha": "abc", "model_dtype": "float16", "version": "1.7.1"}
    stub = serve(says={"/info": {**tei, "max_batch_tokens": 16384}})
    asking = served(stub, TeiRerank())
    assert asking.introduce_servers() == {"some/model": tei}
    assert Cascade({"one": Stage(asking, 5)}).introduce_servers() == {"some/model": tei}


def test_documents_that_are_read_together_are_kept_as_they_were_asked(
    serve, served, candidates, collection
):
    broken = threading.Event()
    broken.set()
    stub = serve(fail=lambda n: Failure(400, b"") if broken.is_set() and n == 2 else None)
    asking = served(stub, reads_together=True, documents_per_request=5, max_concurrent=1)
    with pytest.raises(EndpointError):
        asking.rerank(candidates, collection)
    broken.clear()
    stub.requests.clear()
    run = asking.rerank(candidates, collection)
    assert (run.cost.cache_hits, len(stub.requests)) == (5, 8)
    assert {len(request["text_2"]) for _, request in stub.requests} == {5, 2}
    fewer = asking.rerank(candidates.cut(11), collection)
    assert fewer.cost.requests == 3  # the last document of each query has other company


def test_while_something_is_timed_nothing_is_read_or_kept(
    serve, served, candidates, collection, tmp_path
):
    stub = serve()
    asking = served(stub)
    with turn_caches_off():
        cost = asking.rerank(candidates, collection).cost
        cost += asking.rerank(candidates, collection).cost
    assert (cost.requests, cost.cache_hits, cost.cache_misses) == (6, 0, 0)
    assert count_scores(tmp_path / "scores").entries == 0


def test_the_key_goes_into_the_header_and_nowhere_else(
    serve, served, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("SOME_KEY", f"{KEY}\n")
    caplog.set_level(logging.DEBUG)
    stub = serve(wants_key=KEY)
    asking = served(stub, RerankV2(), api_key_variable="SOME_KEY")
    asking.score("red", ["red cat"])
    assert stub.headers[0]["authorization"] == f"Bearer {KEY}"
    for text in (json.dumps(describe(asking)), repr(asking), caplog.text, repr(vars(asking))):
        assert KEY not in text
    assert not any(KEY.encode() in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    stub.fail = lambda _: Failure(400, f"bad request by {KEY}".encode())
    with pytest.raises(EndpointError, match=r"bad request by \*\*\*") as caught:
        asking.score("blue", ["blue cat"])
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("value, problem", [(None, "none is set"), ("no", "SOME_KEY is not accep")])
def test_a_server_that_wants_another_key_says_so(serve, served, monkeypatch, value, problem):
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value:
        monkeypatch.setenv("SOME_KEY", value)
    stub = serve(wants_key=KEY)
    with pytest.raises(EndpointError, match=f"wants an API key, and .*{problem}"):
        served(stub, RerankV2(), api_key_variable="SOME_KEY").score("red", ["red cat"])
    assert len(stub.requests) == 1


def test_no_server_at_all_is_one_clear_error(serve, served):
    stub = serve()
    stub.close()
    with pytest.raises(EndpointError, match="gave no answer after 4 tries: .*Connection refused"):
        served(stub).score("red", ["red"])


def test_in_a_cascade_it_scores_what_reaches_it(serve, served, candidates, collection):
    first, second = serve(), serve(score=lambda query, document: -overlap(query, document))
    cascade = Cascade(
        {"one": Stage(served(first), 12), "two": Stage(served(second, version="second"), 2)}
    )
    run = cascade.rerank(candidates, collection)
    assert run.cost.requests == 6
    assert {len(request["text_2"]) for _, request in second.requests} == {2}
    alone = served(first).rerank(candidates, collection)
    for query_id in candidates.rankings:
        best = alone.doc_ids(query_id)
        assert run.doc_ids(query_id)[:3] == [best[1], best[0], best[2]]


def test_only_what_changes_scores_makes_it_what_it_is():
    first = ServedReranker("http://127.0.0.1:1", "m", TeiRerank())
    same = ServedReranker(
        "http://127.0.0.1:2",
        "m",
        TeiRerank(),
        api_key_variable="X",
        patience=FAST,
        max_concurrent=1,
        request_budget=5,
        pair_budget=5,
        alias="short",
    )
    assert fingerprint(first) == fingerprint(same)
    for change in ({"version": "2"}, {"extra_body": {"a": 1}}, {"dialect": VllmScore()}):
        other = ServedReranker(
            **{"base_url": first.base_url, "model": "m", "dialect": TeiRerank(), **change}
        )
        assert fingerprint(other) != fingerprint(first)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"base_url": "localhost:8000"}, "base_url must begin with http"),
        ({"base_url": "https://me:hunter2@host"}, "base_url: must hold no secret"),
        ({"documents_per_request": 0}, "documents_per_request must be at least 1, got 0"),
        ({"max_concurrent": 0}, "max_concurrent must be at least 1, got 0"),
        ({"request_budget": 0}, "request_budget must be at least 1, got 0"),
        ({"pair_budget": -1}, "pair_budget must be at least 1, got -1"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(wrong, problem):
    with pytest.raises(InputError, match=problem) as caught:
        ServedReranker(
            **{"base_url": "http://127.0.0.1:1", "model": "m", "dialect": TeiRerank(), **wrong}
        )
    assert "hunter2" not in str(caught.value)
