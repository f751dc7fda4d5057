import re
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.records import Cost
from recross.rerankers.generative.endpoint import EndpointGenerator
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.rerankers.generative.set_sorting import BubbleSort, HeapSort
from recross.rerankers.generative.setwise import (
    SETWISE_PROMPTS,
    SetwisePrompt,
    SetwiseReranker,
    read_label,
)
from recross.runs import Run
from tests.chat_stub import ChatStub
from tests.conftest import save_tiny_llama
from tests.rerankers.generative.test_set_sorting import slow_bubble_sort, slow_heap_sort

PASSAGE = re.compile(r'^Passage ([A-Z]): "(\d+)', re.MULTILINE)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def best_letter(text):
    """The letter of the passage whose first word is the greatest number."""
    return max(PASSAGE.findall(text), key=lambda found: int(found[1]))[0]


@dataclass(frozen=True)
class Chooser:
    """A model that never errs: it knows that a larger first word is more relevant."""

    calls: list = field(default_factory=list, compare=False)
    name: str = "chooser"

    def quote(self, text):
        return text

    def fits(self, conversation, max_new_tokens):
        return True

    def generate(self, conversations, max_new_tokens, stop=None):
        self.calls.append(len(conversations))
        answers = [
            f"<think>A?</think> Passage {best_letter(c[0]['content'])}" for c in conversations
        ]
        return answers, Cost(requests=len(conversations))

    def read_labels(self, conversations, labels):
        self.calls.append(len(conversations))
        logits = [
            [float(label == f" {best_letter(c[0]['content'])}") for label in labels]
            for c in conversations
        ]
        return np.array(logits), Cost(requests=len(conversations))


def lists(**relevances):
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


def shuffled(count, seed=0):
    return np.random.default_rng(seed).permutation(count).tolist()


@pytest.mark.parametrize("strategy", [HeapSort(4, 3), BubbleSort(4, 3)])
@pytest.mark.parametrize("reads_logits", [True, False])
def test_the_best_of_every_query_come_first_and_the_others_as_they_were(strategy, reads_logits):
    values = {"long": shuffled(30), "short": shuffled(3, 1), "one": [7], "none": []}
    candidates, collection = lists(**values)
    generator = Chooser()
    reranker = SetwiseReranker(generator, strategy, reads_logits=reads_logits)
    run = reranker.rerank(candidates, collection)
    for query_id, own in values.items():
        best = sorted(own, reverse=True)[:4]
        expected = [*best, *(value for value in own if value not in best)]
        assert [int(collection.documents[d].split()[0]) for d in run.doc_ids(query_id)] == expected
        assert [doc.score for doc in run.rankings[query_id]] == list(range(len(own)))[::-1]
    assert run.cost.pairs == run.cost.requests == sum(generator.calls)
    assert max(generator.calls) > 1  # queries ask together
    assert run.cost.malformed == 0
    assert run.name == "setwise-chooser"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    words = 'Given a query which of the following passages Passage A: "here Passage B: Passage C:'
    folder = tmp_path_factory.mktemp("setwise")
    return save_tiny_llama(folder, words=9 * f"{words} A B C D E F", initializer_range=0.5)


@torch.no_grad()
def choose_slowly(folder, query, documents, written):
    """The letter of the greatest logit of a plain forward; or what plain generate names."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    passages = "\n\n".join(
        f'Passage {letter}: "{text}"' for letter, text in zip(LETTERS, documents, strict=False)
    )
    asked = (
        f'Given a query "{query}", which of the following passages is the most relevant one to the'
        f" query?\n\n{passages}\n\nOutput only the passage label of the most relevant passage:\n"
        " Passage:"
    )
    ids = torch.tensor([tokenizer(asked)["input_ids"]])
    if written:
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False
        )
        return read_label(
            tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True), len(documents)
        )
    letters = [tokenizer(f" {letter}")["input_ids"][0] for letter in LETTERS[: len(documents)]]
    return int(model(ids).logits[0, -1][letters].argmax())


@pytest.mark.parametrize("reads_logits", [True, False])
@pytest.mark.parametrize(
    "strategy, slow", [(HeapSort(3, 2), slow_heap_sort), (BubbleSort(2, 3), slow_bubble_sort)]
)
def test_a_model_on_this_machine_sorts_as_plain_forwards_or_plain_generate_do(
    tiny, collection, reads_logits, strategy, slow
):
    generator = LocalGenerator(str(tiny), hardware=Hardware(tokens_per_batch=400))
    scores = {f"d{5 * n}": float(-n) for n in range(9)}
    candidates = Run.from_scores("first", {"q0": scores, "q5": dict(list(scores.items())[2:7])})
    reranker = SetwiseReranker(generator, strategy, reads_logits=reads_logits)
    run = reranker.rerank(candidates, collection)
    malformed = []
    for query_id in candidates.rankings:
        doc_ids = candidates.doc_ids(query_id)
        asked = {}

        def best_of(places, query_id=query_id, doc_ids=doc_ids, asked=asked):
            documents = [collection.documents[doc_ids[place]].strip() for place in places]
            if tuple(places) not in asked:
                query = collection.queries[query_id]
                asked[tuple(places)] = choose_slowly(tiny, query, documents, not reads_logits)
            return asked[tuple(places)] or 0

        best = slow(range(len(doc_ids)), strategy.top, strategy.children, best_of)
        order = [*best, *(n for n in range(len(doc_ids)) if n not in best)]
        assert run.doc_ids(query_id) == [doc_ids[place] for place in order]
        malformed += list(asked.values())
    assert run.cost.pairs == run.cost.requests == len(malformed)
    assert run.cost.malformed == malformed.count(None)
    assert (run.cost.generated_tokens == 0) == reads_logits


def test_a_server_is_asked_for_labels_written_or_told(tmp_path):
    candidates, collection = lists(q=[1, 5, 3, 4])

    def tell(request):
        return {f" {best_letter(request['messages'][0]['content'])}": -0.1, "x": -2.0}

    stub = ChatStub(lambda r: f"{best_letter(r['messages'][0]['content'])}.", logprobs=tell)
    generator = EndpointGenerator(stub.url, "m", store=tmp_path)
    told = SetwiseReranker(generator, HeapSort(2, 2)).rerank(candidates, collection)
    begun = stub.requests[:]
    written = SetwiseReranker(
        generator, HeapSort(2, 2), "setwise_open", reads_logits=False, thinking_tokens=40
    ).rerank(candidates, collection)
    stub.close()
    assert told.doc_ids("q") == written.doc_ids("q") == ["q-1", "q-3", "q-0", "q-2"]
    for request in begun:
        assert request["messages"][-1] == {"role": "assistant", "content": " Passage:"}
        assert request["max_tokens"] == 1
    for request in stub.requests[len(begun) :]:
        assert [message["role"] for message in request["messages"]] == ["user"]
        assert request["max_tokens"] == 48


def test_an_answer_that_names_no_letter_leaves_the_order_and_is_counted(tmp_path):
    candidates, collection = lists(q=[1, 5, 3, 4])
    stub = ChatStub(lambda _: "none of them", logprobs=lambda _: {"x": -1.0})
    generator = EndpointGenerator(stub.url, "m", store=tmp_path)
    for reads_logits in (True, False):
        run = SetwiseReranker(generator, BubbleSort(), reads_logits=reads_logits).rerank(
            candidates, collection
        )
        assert run.doc_ids("q") == ["q-0", "q-1", "q-2", "q-3"]
        assert run.cost.malformed == run.cost.pairs > 0
    stub.close()


@pytest.mark.parametrize(
    "answer, place",
    [
        ("B", 1),
        (" Passage C", 2),
        ("<think>A or B</think>\n[C]", 2),
        ("<think>A</think> Of A and C <answer>[B]</answer>", 1),
        ("**A**", 0),
        ("D", None),
        ("<think>A", None),
        ("b", None),
        ("", None),
    ],
)
def test_a_label_is_the_first_letter_that_is_named(answer, place):
    assert read_label(answer, 3) == place


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"prompt": "best"}, "prompt must be one of setwise, setwise_open, got 'best'"),
        ({"passage_words": 0}, "passage_words must be at least 1, got 0"),
        ({"thinking_tokens": 5}, "thinking_tokens must be 0 where logits are read, got 5"),
    ],
)
def test_wrong_arguments_are_refused(wrong, problem):
    with pytest.raises(InputError, match=problem):
        SetwiseReranker(Chooser(), **wrong)


@pytest.mark.parametrize(
    "texts, problem",
    [
        (("{query}",), "question must contain {passages}, got '{query}'"),
        (("{query} {passages}", "{label}"), "passage must contain {passage}, got '{label}'"),
        (("{query} {passages} {x}",), "no other braces, got KeyError"),
    ],
)
def test_wrong_prompts_are_refused(texts, problem):
    with pytest.raises(InputError, match=problem):
        SetwisePrompt(*texts)
    assert SETWISE_PROMPTS["setwise"].begun == " Passage:"
