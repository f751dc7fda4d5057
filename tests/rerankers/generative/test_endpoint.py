import json
import logging
import re
import threading

import pytest

from recross.errors import InputError
from recross.inference.cache.score_cache import turn_caches_off
from recross.parts.identity import describe, fingerprint
from recross.rerankers.generative.chat_server import ChatServer
from recross.rerankers.generative.endpoint import EndpointGenerator
from recross.rerankers.generative.kept_answers import KeptAnswer, KeptAnswers
from recross.rerankers.generative.listwise import ListwiseReranker
from recross.rerankers.generative.token_budget import BudgetError
from recross.rerankers.remote.patience import EndpointError, Patience
from recross.retrieval.bm25 import BM25
from recross.runs import Run
from tests.chat_stub import ChatStub, slowly, words

KEY = "sk-very-secret"


@pytest.fixture
def serve():
    stubs = []

    def start(answer, **more):
        stubs.append(ChatStub(answer, **more))
        return stubs[-1]

    yield start
    for stub in stubs:
        stub.close()


@pytest.fixture
def generator(tmp_path):
    def make(stub, **more):
        fast = {
            "patience": Patience(timeout_seconds=20, max_retries=3, backoff_seconds=0.001),
            "store": tmp_path,
        }
        return EndpointGenerator(stub.url, "small/model", **{**fast, **more})

    return make


def ask(number, text="please answer"):
    return [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": f"{text} {number}"},
    ]


def number_of(request):
    return int(request["messages"][-1]["content"].split()[-1])


def echo(request):
    return f"answer {number_of(request)}"


def test_answers_come_back_in_order_however_the_server_takes_its_time(serve, generator):
    two = threading.Barrier(2, timeout=120)  # each answer waits for another request

    def answer(request):
        two.wait()
        return slowly(0.002 * (11 - number_of(request)), echo(request))

    stub = serve(answer)
    found, cost = generator(stub, max_concurrent=4).generate([ask(n) for n in range(12)], 5)
    assert found == [f"answer {n}" for n in range(12)]
    assert 2 <= stub.most_at_once <= 4
    assert cost.requests == cost.forward_passes == cost.cache_misses == 12
    assert cost.tokens == 12 * 5  # be brief please answer 7
    assert cost.generated_tokens == 12 * 2
    assert (cost.retries, cost.cache_hits) == (0, 0)


def test_what_is_sent_is_the_conversation_and_the_settings(serve, generator):
    stub = serve(echo)
    generator(stub).generate([ask(1)], 5)
    generator(
        stub, temperature=None, length_field="max_completion_tokens", extra_body={"top_k": 1}
    ).generate([ask(1)], 5)
    plain = {"model": "small/model", "messages": ask(1)}
    assert stub.requests == [
        {**plain, "temperature": 0.0, "max_tokens": 5},
        {**plain, "max_completion_tokens": 5, "top_k": 1},
    ]


def failing_first(status, times):
    """A server that fails so many times before it answers."""
    left, lock = [times], threading.Lock()

    def answer(request):
        with lock:
            left[0] -= 1
            return status if left[0] >= 0 else echo(request)

    return answer


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_a_passing_failure_is_tried_again_and_counted(serve, generator, status):
    stub = serve(failing_first(status, 2))
    found, cost = generator(stub).generate([ask(7)], 5)
    assert found == ["answer 7"]
    assert (cost.retries, cost.requests, len(stub.requests)) == (2, 1, 3)


def test_a_request_that_takes_too_long_is_tried_again(serve, generator):
    second = threading.Event()

    def answer(request):
        if len(stub.requests) == 1:
            second.wait(120)  # nothing before it comes again
        second.set()
        return echo(request)

    stub = serve(answer)
    found, cost = generator(
        stub, patience=Patience(timeout_seconds=1, backoff_seconds=0.001)
    ).generate([ask(7)], 5)
    assert found == ["answer 7"]
    assert cost.retries >= 1


def test_a_lasting_failure_is_one_clear_error_after_the_retries(serve, generator):
    stub = serve(lambda _: 500)
    with pytest.raises(EndpointError, match=rf"{stub.url} gave no answer after 4 tries: .*no luck"):
        generator(stub).generate([ask(1)], 5)
    assert len(stub.requests) == 4


def test_a_refusal_is_not_tried_again(serve, generator):
    stub = serve(lambda _: 400)
    with pytest.raises(EndpointError, match=r"gave no answer: .*no luck \(400\)"):
        generator(stub).generate([ask(1)], 5)
    assert len(stub.requests) == 1


def test_no_server_at_all_is_one_clear_error(serve, generator):
    stub = serve(echo)
    stub.close()
    with pytest.raises(EndpointError, match="gave no answer after 4 tries: .*Connection refused"):
        generator(stub).generate([ask(1)], 5)


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b"[]"]
)
def test_what_is_no_completion_is_one_clear_error(serve, generator, body):
    stub = serve(echo, body=body)
    with pytest.raises(EndpointError, match=stub.url):
        generator(stub).generate([ask(1)], 5)


def test_finished_answers_survive_a_failure_and_are_not_paid_for_again(serve, generator):
    broken = threading.Event()
    broken.set()

    def answer(request):
        return 500 if number_of(request) == 5 and broken.is_set() else echo(request)

    stub = serve(answer)
    asked = [ask(n) for n in range(10)]
    with pytest.raises(EndpointError, match="after 4 tries"):
        generator(stub, max_concurrent=1).generate(asked, 5)
    sent = [number_of(request) for request in stub.requests]
    assert sent == [0, 1, 2, 3, 4, 5, 5, 5, 5]  # and nothing after the failure
    stub.requests.clear()
    broken.clear()
    found, cost = generator(stub).generate(asked, 5)
    assert found == [f"answer {n}" for n in range(10)]
    assert sorted(map(number_of, stub.requests)) == [5, 6, 7, 8, 9]
    assert (cost.cache_hits, cost.cache_misses, cost.requests) == (5, 5, 5)
    assert cost.tokens == cost.kept_tokens == 5 * 5


def test_requests_under_way_when_another_fails_are_kept(serve, generator):
    three, failed = threading.Barrier(3, timeout=120), threading.Event()

    def answer(request):
        if not failed.is_set():
            three.wait()
        if number_of(request) == 0:
            failed.set()
            return 400
        return slowly(0.5, echo(request))

    stub = serve(answer)
    asked = [ask(n) for n in range(12)]
    with pytest.raises(EndpointError, match="no luck"):
        generator(stub, max_concurrent=3).generate(asked, 5)
    assert len(stub.requests) == 3
    finished = [request for request in stub.requests if number_of(request)]
    _, cost = generator(stub).generate([request["messages"] for request in finished], 5)
    assert cost.cache_hits == len(finished) == 2


def test_another_thing_asked_is_another_answer(serve, generator):
    stub = serve(echo)
    other = serve(echo)
    generator(stub).generate([ask(1)], 5)
    for changed, asked, length in [
        (generator(stub), ask(2), 5),
        (generator(stub), ask(1), 6),
        (generator(stub, temperature=0.5), ask(1), 5),
        (generator(stub, extra_body={"seed": 1}), ask(1), 5),
        (generator(other), ask(1), 5),
    ]:
        assert changed.generate([asked], length)[1].cache_misses == 1
    assert (
        generator(stub, max_concurrent=1, patience=Patience(max_retries=9))
        .generate([ask(1)], 5)[1]
        .cache_hits
        == 1
    )


def test_the_same_thing_asked_twice_at_once_is_sent_once(serve, generator):
    stub = serve(echo)
    found, cost = generator(stub).generate([ask(1), ask(2), ask(1)], 5)
    assert found == ["answer 1", "answer 2", "answer 1"]
    assert (len(stub.requests), cost.requests, cost.cache_hits) == (2, 2, 1)


def test_without_reuse_nothing_is_read_or_written(serve, generator, tmp_path):
    stub = serve(echo)
    generator(stub, reuse_answers=False).generate([ask(1)], 5)
    assert list(tmp_path.rglob("*.jsonl")) == []
    generator(stub).generate([ask(1)], 5)
    _, cost = generator(stub, reuse_answers=False).generate([ask(1)], 5)
    assert (len(stub.requests), cost.cache_hits, cost.cache_misses) == (3, 0, 0)


def test_while_something_is_timed_no_kept_answer_is_read(serve, generator):
    stub = serve(echo)
    asking = generator(stub)
    asking.generate([ask(1)], 5)
    with turn_caches_off():
        _, cost = asking.generate([ask(1)], 5)
    assert (len(stub.requests), cost.cache_hits, cost.cache_misses) == (2, 0, 0)


def test_the_token_budget_stops_before_the_request_that_might_pass_it(serve, generator):
    stub = serve(echo)
    asked = [ask(n) for n in range(50)]
    set_aside = len(json.dumps(asked[0])) // 3 + 1 + 5
    each = 5 + 2  # what the server says a request took
    budget = 10 * each + set_aside - 1
    limited = generator(stub, token_budget=budget, max_concurrent=1)
    with pytest.raises(BudgetError, match=rf"token_budget is {budget}, 70 are used and the next"):
        limited.generate(asked, 5)
    assert len(stub.requests) == 10
    with pytest.raises(BudgetError):  # it stays spent
        limited.generate(asked, 5)
    assert len(stub.requests) == 10
    found, cost = generator(stub).generate(asked, 5)
    assert (cost.cache_hits, cost.requests) == (10, 40)
    assert found == [f"answer {n}" for n in range(50)]


def test_concurrent_requests_do_not_pass_the_budget_and_use_it_up(serve, generator):
    stub = serve(lambda request: slowly(0.005, echo(request)))
    limited = generator(stub, token_budget=300, max_concurrent=8)
    with pytest.raises(BudgetError, match="token_budget is 300"):
        limited.generate([ask(n) for n in range(90)], 5)
    used = sum(words(request) + 2 for request in stub.requests)
    assert 300 - 60 < used <= 300


def test_a_server_that_does_not_count_is_counted_by_a_guess(serve, generator):
    stub = serve(echo, usage=False)
    with pytest.raises(BudgetError):
        generator(stub, token_budget=200, max_concurrent=1).generate([ask(n) for n in range(50)], 5)
    assert 2 <= len(stub.requests) <= 6


def test_the_key_goes_into_the_header_and_nowhere_else(
    serve, generator, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("SOME_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    stub = serve(echo)
    asking = generator(stub, api_key_variable="SOME_KEY")
    asking.generate([ask(1)], 5)
    assert stub.headers[0]["authorization"] == f"Bearer {KEY}"
    for text in (json.dumps(describe(asking)), repr(asking), caplog.text, repr(vars(asking))):
        assert KEY not in text
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not any(KEY in path.read_text() for path in written)


def test_without_a_key_no_header_is_sent(serve, generator, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OTHER", "x")
    stub = serve(echo)
    generator(stub).generate([ask(1)], 5)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    generator(stub, api_key_variable=None).generate([ask(2)], 5)
    assert not any("authorization" in headers for headers in stub.headers)


@pytest.mark.parametrize(
    "variable, value, problem",
    [
        ("SOME_KEY", None, r"wants an API key, and none is set; .* \(SOME_KEY\)"),
        (None, None, r"wants an API key, and none is set; .* \(None\)"),
        ("SOME_KEY", KEY, "wants an API key, and the one in SOME_KEY is not accepted"),
    ],
)
def test_a_server_that_wants_another_key_says_so(
    serve, generator, monkeypatch, variable, value, problem
):
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value:
        monkeypatch.setenv("SOME_KEY", value)
    stub = serve(lambda _: 401)
    with pytest.raises(EndpointError, match=problem) as caught:
        generator(stub, api_key_variable=variable).generate([ask(1)], 5)
    assert KEY not in str(caught.value)
    assert len(stub.requests) == 1


def test_a_key_that_a_server_repeats_is_not_shown(serve, generator, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "no luck")
    stub = serve(lambda _: 403)
    with pytest.raises(EndpointError) as caught:
        generator(stub, api_key_variable="SOME_KEY").generate([ask(1)], 5)
    assert "no luck" not in str(caught.value)
    assert "***" in str(caught.value)


def test_waits_double_up_to_a_minute_and_heed_the_server():
    patience = Patience(timeout_seconds=1, max_retries=9, backoff_seconds=0.5)
    assert [patience.wait_seconds(tries, 0) for tries in (1, 2, 3, 4)] == [0.5, 1, 2, 4]
    assert patience.wait_seconds(1, 7) == 7
    assert patience.wait_seconds(30, 0) == patience.wait_seconds(1, 3600) == 60
    assert patience.wait_seconds(10**6, float("nan")) == 60


def test_a_failure_elsewhere_ends_a_wait(serve):
    stub = serve(lambda _: 500)
    server = ChatServer(stub.url, None, Patience(20, 9, 30))
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(EndpointError, match="gave no answer: "):
        server.ask({"model": "m", "messages": ask(1)}, stop)
    server.close()


def test_only_what_was_asked_for_makes_a_generator_what_it_is(tmp_path):
    first = EndpointGenerator("http://127.0.0.1:1/v1", "m")
    same = EndpointGenerator(
        "http://127.0.0.1:1/v1",
        "m",
        api_key_variable="X",
        patience=Patience(timeout_seconds=1, max_retries=0, backoff_seconds=0),
        max_concurrent=1,
        token_budget=5,
        reuse_answers=False,
        store=tmp_path,
    )
    assert fingerprint(first) == fingerprint(same)
    for change in ({"temperature": None}, {"extra_body": {"seed": 1}}):
        other = EndpointGenerator("http://127.0.0.1:1/v1", "m", **change)
        assert fingerprint(other) != fingerprint(first)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"base_url": "localhost:8000"}, "base_url must begin with http"),
        ({"base_url": "https://me:hunter2@host/v1"}, "base_url: must hold no secret"),
        ({"base_url": "https://host/v1?key=hunter2"}, "base_url: must hold no secret"),
        ({"max_concurrent": 0}, "max_concurrent must be at least 1, got 0"),
        ({"token_budget": 0}, "token_budget must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(wrong, problem):
    with pytest.raises(InputError, match=problem) as caught:
        EndpointGenerator(**{"base_url": "http://127.0.0.1:1/v1", "model": "m", **wrong})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"timeout_seconds": 0}, r"timeout_seconds must lie in \(0, 86400\], got 0"),
        ({"max_retries": -1}, r"max_retries must lie in \[0, 1000\], got -1"),
        ({"backoff_seconds": -1}, "backoff_seconds must not be negative, got -1"),
    ],
)
def test_patience_is_bounded(wrong, problem):
    with pytest.raises(InputError, match=problem):
        Patience(**wrong)


def test_a_line_that_was_cut_off_is_passed_over_and_the_next_is_whole(tmp_path):
    path = tmp_path / "answers.jsonl"
    first = KeptAnswer("one\u2028line \ud83d", 3, 2)
    KeptAnswers(path).add("a", first)
    with path.open("a") as file:
        file.write('{"key": "b", "text": "half an ans')
    again = KeptAnswers(path)
    again.add("c", KeptAnswer("three", None, None))
    last = KeptAnswers(path)
    assert last.get("a") == first
    assert last.get("b") is None
    assert last.get("c") == KeptAnswer("three", None, None)
    assert path.read_text().count("\n") == 3


def test_lines_of_many_threads_are_all_whole(tmp_path):
    path = tmp_path / "answers.jsonl"
    writers = [KeptAnswers(path) for _ in range(2)]

    def write(number):
        for n in range(20):
            writers[number % 2].add(f"{number}-{n}", KeptAnswer("x" * 50_000, 1, 1))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == len(lines) == 80


def test_a_listwise_reranker_over_http_puts_the_relevant_document_first(
    serve, generator, collection
):
    def answer(request):
        """Prefers the passages that contain the query's words."""
        texts = [m["content"] for m in request["messages"] if m["content"].startswith("[")]
        query = request["messages"][1]["content"].rpartition("query: ")[2].rstrip(".")
        hits = [sum(word in text.split() for word in query.split()) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: -hits[place])
        return " > ".join(f"[{place + 1}]" for place in order)

    stub = serve(answer)
    candidates = BM25().retrieve(collection, ["q0", "q5", "q10"], 12)
    backwards = type(candidates).from_scores(
        "backwards",
        {q: {d.doc_id: -d.score for d in r} for q, r in candidates.rankings.items()},
    )
    reranker = ListwiseReranker(generator(stub), window=6, step=3)
    run = reranker.rerank(backwards, collection)
    assert {q: run.doc_ids(q)[0] for q in run.rankings} == {"q0": "d0", "q5": "d5", "q10": "d10"}
    assert run.cost.requests == len(stub.requests) == 9  # three windows each
    assert run.cost.malformed == 0
    assert run.name == "listwise-model"
    assert reranker.parameters is None


def test_reasonranks_thoughts_come_over_http_and_its_marked_answer_is_read(
    serve, generator, collection
):
    def think(request):
        assert [message["role"] for message in request["messages"]] == ["system", "user"]
        passages = re.findall(r"^\[(\d+)\] (.+)$", request["messages"][1]["content"], re.M)
        best = next((number for number, text in passages if "red cat" in text), "1")
        others = [f"[{number}]" for number, _ in passages if number != best]
        order = " > ".join([f"[{best}]", *others])
        return f"<think>[1] or [{best}]?</think>\n<answer> {order} </answer>"

    stub = serve(think)
    reranker = ListwiseReranker(
        generator(stub), prompt="reasonrank", window=4, step=2, thinking_tokens=3072
    )
    candidates = BM25().retrieve(collection, ["q0", "q5"], 8)
    worst_first = Run.from_scores(
        "b",
        {
            q: {doc.doc_id: -doc.score for doc in ranking}
            for q, ranking in candidates.rankings.items()
        },
    )
    run = reranker.rerank(worst_first, collection)
    assert run.doc_ids("q0")[0] == "d0"
    assert run.cost.malformed == 0
    assert stub.requests[0]["max_tokens"] == 3072 + 8 * 5
