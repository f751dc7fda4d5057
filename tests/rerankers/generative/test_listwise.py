import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.parts.identity import fingerprint
from recross.records import Cost
from recross.rerankers.generative.generators import cut_to_fit
from recross.rerankers.generative.listwise import ListwiseReranker
from recross.rerankers.generative.listwise_prompts import find_prompt
from recross.runs import Run

PASSAGE = re.compile(r"^\[(\d+)\] (\S+)", re.MULTILINE)


def shown(conversation):
    """The first words of the passages of a prompt, in their order."""
    text = "\n".join(m["content"] for m in conversation if m["role"] == "user")
    return [word for _, word in PASSAGE.findall(text)]


@dataclass(frozen=True)
class Sorter:
    """A model that never errs: it knows that a larger first word is more relevant."""

    calls: list = field(default_factory=list, compare=False)
    context_words: int = 10**9
    name: str = "sorter"

    def quote(self, text):
        return text

    def fits(self, conversation, max_new_tokens):
        return sum(len(m["content"].split()) for m in conversation) <= self.context_words

    def answer(self, conversation):
        words = shown(conversation)
        best_first = sorted(range(len(words)), key=lambda place: -int(words[place]))
        return " > ".join(f"[{place + 1}]" for place in best_first)

    def generate(self, conversations, max_new_tokens):
        self.calls.append([shown(conversation) for conversation in conversations])
        return [self.answer(c) for c in conversations], Cost(requests=len(conversations), tokens=7)


@dataclass(frozen=True)
class Scripted(Sorter):
    """Answers with the texts it was given, in turn."""

    answers: tuple = ()

    def generate(self, conversations, max_new_tokens):
        given = [self.answers[n % len(self.answers)] for n in range(len(conversations))]
        return given, Cost(requests=len(conversations))


def lists(**relevances):
    """A collection whose documents begin with their hidden relevance, and its candidates."""
    documents, scores = {}, {}
    for query_id, hidden in relevances.items():
        own = {f"{query_id}-{n}": f"{value} and words" for n, value in enumerate(hidden)}
        documents |= own
        scores[query_id] = {doc_id: float(-n) for n, doc_id in enumerate(own)}
    collection = Collection(
        name="hidden",
        documents=documents,
        queries=dict.fromkeys(relevances, "more is better"),
        split_queries={"test": tuple(relevances)},
        split_qrels={"test": {}},
        fingerprint="hidden",
    )
    return Run.from_scores("first", scores), collection


def reranked(reranker, **relevances):
    candidates, collection = lists(**relevances)
    run = reranker.rerank(candidates, collection)
    found = {
        query_id: [int(collection.documents[d].split()[0]) for d in run.doc_ids(query_id)]
        for query_id in run.rankings
    }
    return found, run


def shuffled(count, seed=0):
    return np.random.default_rng(seed).permutation(count).tolist()


def slow_reference(values, window, step, passes):
    """Windows from the bottom as a person would write them down for one list."""
    values = list(values)
    for _ in range(passes):
        stop = len(values)
        while stop > 0:
            start = max(0, stop - window)
            values[start:stop] = sorted(values[start:stop], reverse=True)
            if start == 0:
                break
            stop -= step
    return values


@pytest.mark.parametrize(
    "count, window, step, expected",
    [
        (0, 20, 10, []),
        (1, 20, 10, []),
        (2, 20, 10, [(0, 2)]),
        (20, 20, 10, [(0, 20)]),
        (21, 20, 10, [(1, 21), (0, 11)]),
        (40, 20, 10, [(20, 40), (10, 30), (0, 20)]),
        (45, 20, 10, [(25, 45), (15, 35), (5, 25), (0, 15)]),
        (6, 3, 3, [(3, 6), (0, 3)]),
    ],
)
def test_windows_go_from_the_bottom_to_the_top(count, window, step, expected):
    assert ListwiseReranker(Sorter(), window=window, step=step).windows(count) == expected


def test_a_hundred_documents_are_nine_windows_a_pass():
    assert len(ListwiseReranker(Sorter()).windows(100)) == 9
    assert len(ListwiseReranker(Sorter(), passes=3).windows(100)) == 27


def test_one_pass_of_a_perfect_model_brings_the_best_ten_to_the_top():
    found, _ = reranked(ListwiseReranker(Sorter()), q=shuffled(100))
    assert found["q"][:10] == list(range(99, 89, -1))
    assert found["q"] != sorted(found["q"], reverse=True)


def test_ten_passes_of_a_perfect_model_sort_a_hundred_documents():
    found, _ = reranked(ListwiseReranker(Sorter(), passes=10), q=shuffled(100))
    assert found["q"] == list(range(99, -1, -1))


@given(
    st.lists(st.integers(0, 99), unique=True, max_size=30),
    st.integers(2, 12),
    st.integers(1, 12),
    st.integers(1, 3),
)
def test_orders_are_those_of_a_slow_reference(values, window, step, passes):
    step = min(step, window)
    reranker = ListwiseReranker(Sorter(), window=window, step=step, passes=passes)
    found, _ = reranked(reranker, q=values)
    assert found["q"] == slow_reference(values, window, step, passes)


def test_the_same_window_of_all_queries_is_one_call_and_short_lists_drop_out():
    generator = Sorter()
    lengths = {"long": 35, "short": 12, "none": 0, "one": 1, "medium": 25}
    values = {query_id: shuffled(n, seed=n) for query_id, n in lengths.items()}
    found, _ = reranked(ListwiseReranker(generator), **values)
    assert [[len(passages) for passages in call] for call in generator.calls] == [
        [20, 12, 20],  # long, short, medium
        [20, 15],  # long, medium
        [15],
    ]
    for query_id, own in values.items():
        alone, _ = reranked(ListwiseReranker(Sorter()), **{query_id: own})
        assert found[query_id] == alone[query_id] == slow_reference(own, 20, 10, 1)


def test_scores_count_the_documents_below():
    _, run = reranked(ListwiseReranker(Sorter()), q=[1, 3, 2])
    assert [doc.score for doc in run.rankings["q"]] == [2.0, 1.0, 0.0]
    assert run.doc_ids("q") == ["q-1", "q-2", "q-0"]


@given(st.lists(st.text(alphabet="[]0123456789> a<think>/", max_size=40), min_size=1, max_size=4))
def test_every_document_comes_back_once_whatever_the_model_says(answers):
    reranker = ListwiseReranker(Scripted(answers=tuple(answers)), window=5, step=2)
    candidates, collection = lists(a=shuffled(13), b=shuffled(4), c=shuffled(1))
    run = reranker.rerank(candidates, collection)
    for query_id, ranking in candidates.rankings.items():
        assert sorted(run.doc_ids(query_id)) == sorted(doc.doc_id for doc in ranking)
        assert [doc.score for doc in run.rankings[query_id]] == list(range(len(ranking)))[::-1]


def test_an_answer_that_says_nothing_leaves_the_first_stage_and_is_counted():
    reranker = ListwiseReranker(Scripted(answers=("I cannot.", "[2] > [1]", "[3] > [3] > [1]")))
    found, run = reranked(reranker, a=[5, 6], b=[5, 6], c=[5, 6, 7])
    assert found == {"a": [5, 6], "b": [6, 5], "c": [7, 5, 6]}
    assert run.cost.malformed == 2
    assert run.cost.requests == 3


def test_the_cost_is_that_of_all_rounds():
    _, run = reranked(ListwiseReranker(Sorter()), a=shuffled(35), b=shuffled(20))
    assert run.cost.pairs == 55
    assert run.cost.requests == 4  # three windows and one
    assert run.cost.tokens == 3 * 7  # the fake counts seven a call
    assert run.cost.total_seconds > 0
    assert run.cost.malformed == 0


def asked(generator, query, documents, words=300):
    prompt = find_prompt("rankzephyr").conversation
    return cut_to_fit(generator, prompt, (query, documents), words, 176)


def test_long_passages_and_queries_are_cut_to_so_many_words_and_counted():
    texts = ["1 " + "word " * 50, "2 word"]
    conversation, cost = asked(Sorter(), "why", texts, words=10)
    assert "\n[1] 1" + " word" * 9 + "\n[2] 2 word\n" in conversation[1]["content"]
    assert (cost.cut_queries, cost.cut_documents) == (0, 1)
    conversation, cost = asked(Sorter(), "why " * 11, ["1", "2"], words=10)
    assert conversation[1]["content"].count("why") == 2 * 10
    assert (cost.cut_queries, cost.cut_documents) == (1, 0)


def test_passages_shrink_only_as_far_as_the_context_asks():
    texts = [f"{n} " + "word " * 299 for n in range(20)]
    for room in (400, 1000, 3000):
        conversation, cost = asked(Sorter(context_words=room), "why", texts)
        assert 0.85 * room < sum(len(m["content"].split()) for m in conversation) <= room
        assert cost.cut_documents == 20
        assert shown(conversation) == [str(n) for n in range(20)]


def test_what_was_cut_is_in_the_cost_of_the_run():
    _, run = reranked(ListwiseReranker(Sorter(), passage_words=2), a=[1, 2, 3], b=[5, 4])
    assert (run.cost.cut_queries, run.cost.cut_documents) == (
        2,
        5,
    )  # "more is better", "1 and words"


def test_no_room_even_for_single_words_is_refused():
    reranker = ListwiseReranker(Sorter(context_words=100), prompt="rankzephyr")
    with pytest.raises(InputError, match=r"context of sorter must have room .* got 20 documents"):
        reranked(reranker, q=shuffled(20))


def test_texts_are_scored_without_a_collection():
    texts = [f"{value} and words" for value in shuffled(25)]
    scores = ListwiseReranker(Sorter(), passes=3).score("more is better", texts)
    assert scores.tolist() == [float(text.split()[0]) for text in texts]
    assert ListwiseReranker(Sorter()).score("nothing", []).tolist() == []


def test_what_is_asked_belongs_to_what_a_re_ranker_is_and_its_alias_does_not():
    first = ListwiseReranker(Sorter())
    assert fingerprint(first) == fingerprint(ListwiseReranker(Sorter(), alias="mine"))
    for change in ({"prompt": "rankzephyr"}, {"passes": 2}, {"passage_words": 9}):
        assert fingerprint(ListwiseReranker(Sorter(), **change)) != fingerprint(first)
    assert first.name == "listwise-sorter"
    assert ListwiseReranker(Sorter(), alias="mine").name == "mine"


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"window": 1}, "window must be at least 2, got 1"),
        ({"step": 0}, "step must be at least 1, got 0"),
        ({"step": 21}, r"step must lie in \[1, window=20\], got 21"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
        ({"passage_words": 0}, "passage_words must be at least 1, got 0"),
        ({"thinking_tokens": -1}, "thinking_tokens must not be negative, got -1"),
        ({"prompt": "gpt"}, "prompt must be one of rankgpt, rankzephyr, .* got 'gpt'"),
    ],
)
def test_wrong_arguments_are_refused(wrong, problem):
    with pytest.raises(InputError, match=problem):
        ListwiseReranker(Sorter(), **wrong)
