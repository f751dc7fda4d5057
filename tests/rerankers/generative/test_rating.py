from dataclasses import dataclass, field

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recross.command.building import build
from recross.command.composition import compose_values
from recross.errors import InputError
from recross.records import Cost
from recross.rerankers.generative.endpoint import EndpointGenerator
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.rerankers.generative.rating import (
    ANSWER_TOKENS,
    PROMPT,
    RATING_PROMPTS,
    RatingReranker,
    read_grade,
)
from recross.runs import Run
from tests.chat_stub import ChatStub
from tests.conftest import save_tiny_llama
from tests.test_configs import MUST_BE_GIVEN


@dataclass(frozen=True)
class Grader:
    """Answers by what the prompt contains."""

    answers: dict
    asked: list = field(default_factory=list, compare=False)
    context_words: int = 10**9
    name: str = "grader"

    def quote(self, text):
        return text

    def fits(self, conversation, max_new_tokens):
        return len(conversation[0]["content"].split()) <= self.context_words

    def generate(self, conversations, max_new_tokens):
        self.asked.extend(conversation[0]["content"] for conversation in conversations)
        found = [
            next(answer for word, answer in self.answers.items() if word in prompt)
            for prompt in self.asked[-len(conversations) :]
        ]
        return found, Cost(requests=len(conversations))


@pytest.mark.parametrize(
    "answer, grade",
    [
        ("3", 3),
        (" 4\n", 4),
        ("0", 0),
        ("Score: 2 out of 4", 2),
        ("<think>perhaps 4</think>1", 1),
        ("perhaps 4</think>\n1", 1),
        ("5", None),
        ("", None),
        ("relevant", None),
        ("<think>3", None),
        ("9" * 5000, None),
        ("<think>of 0 to 4</think><answer>2</answer>", 2),
        ("<think>a 4</think> From 0 to 4: <answer> 3 </answer>", 3),
        ("<think>a 4 <answer>3</answer>", None),
        ("<think>a 4</think><answer></answer>", None),
    ],
)
def test_a_grade_is_the_first_number_if_it_is_one(answer, grade):
    assert read_grade(answer, 4) == grade


def candidates(**rankings):
    scores = {q: {d: -float(n) for n, d in enumerate(docs)} for q, docs in rankings.items()}
    return Run.from_scores("first", scores)


def test_the_best_grade_comes_first_and_equal_grades_keep_their_order(collection):
    animals = {"cat": "3", "dog": "4", "owl": "3", "fox": "none", "bee": "0"}
    grader = Grader({f"lives a red {animal}": grade for animal, grade in animals.items()})
    given = candidates(q0=["d0", "d1", "d2", "d3", "d4"], q5=["d2", "d1"], q9=[])
    run = RatingReranker(grader).rerank(given, collection)
    assert run.doc_ids("q0") == ["d1", "d0", "d2", "d3", "d4"]
    assert run.doc_ids("q5") == ["d1", "d2"]
    assert run.doc_ids("q9") == []
    assert [doc.score for doc in run.rankings["q5"]] == [4.0, 3.5]
    assert (run.cost.pairs, run.cost.requests, run.cost.malformed) == (7, 7, 1)
    assert run.name == "rating-grader"
    assert grader.asked[-1] == PROMPT.format(
        highest=4, query="red ant", document="here lives a red dog and more words"
    )


def test_a_long_document_is_cut_and_counted(collection):
    grader = Grader({"": "1"})
    run = RatingReranker(grader, document_words=4).rerank(candidates(q0=["d0", "d4"]), collection)
    assert [prompt.partition("Document: ")[2].partition("\n")[0] for prompt in grader.asked] == [
        "here lives a red"
    ] * 2
    assert run.cost.cut_documents == 2
    small = RatingReranker(Grader({"": "1"}, context_words=5))
    with pytest.raises(InputError, match="context of grader must have room"):
        small.rerank(candidates(q0=["d0"]), collection)


def test_grades_come_over_http(collection, tmp_path):
    stub = ChatStub(
        lambda request: "4" if "a red owl" in request["messages"][0]["content"] else "1"
    )
    generator = EndpointGenerator(stub.url, "m", store=tmp_path)
    run = RatingReranker(generator).rerank(candidates(q0=["d0", "d1", "d2"]), collection)
    stub.close()
    assert run.doc_ids("q0") == ["d2", "d0", "d1"]


def test_erank_grades_from_0_to_10_after_its_thoughts_over_http(collection, tmp_path):
    animals = {"cat": 10, "dog": 2, "owl": 7, "fox": 10}

    def think(request):
        (message,) = request["messages"]
        document = message["content"].partition("Here is the document:\n")[2].partition("\n")[0]
        grade = next(grade for animal, grade in animals.items() if animal in document)
        return f"<think>\n0 or 10? {document}\n</think>\n\n<answer>{grade}</answer>"

    stub = ChatStub(think)
    generator = EndpointGenerator(stub.url, "ERank-4B", store=tmp_path)
    reranker = RatingReranker(generator, highest=10, prompt="erank", thinking_tokens=2048)
    run = reranker.rerank(candidates(q0=["d1", "d2", "d3", "d0"]), collection)
    stub.close()
    assert run.doc_ids("q0") == ["d3", "d0", "d2", "d1"]
    assert run.cost.malformed == 0
    (sent,) = stub.requests[0]["messages"]
    assert "choose a relevance score from [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].\n" in sent["content"]
    assert "- 10 means perfectly related." in sent["content"]
    assert stub.requests[0]["max_tokens"] == 2048 + ANSWER_TOKENS


def test_a_model_on_this_machine_is_graded_by_what_plain_generate_writes(tmp_path, collection):
    folder = save_tiny_llama(tmp_path, words=99 * " 0 1 2 3 4 5 6 7 8 9", initializer_range=0.6)
    reranker = RatingReranker(
        LocalGenerator(str(folder)), highest=10, prompt="erank", thinking_tokens=8
    )
    given = candidates(q0=[f"d{n}" for n in range(12)])
    run = reranker.rerank(given, collection)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    grades = {}
    for doc_id in given.doc_ids("q0"):
        asked = RATING_PROMPTS["erank"].format(
            query="red cat",
            document=collection.documents[doc_id].strip(),
            highest=10,
            grades="0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
        )
        ids = torch.tensor([tokenizer(asked + "\n")["input_ids"]])
        mask = torch.ones_like(ids)
        out = model.generate(ids, attention_mask=mask, max_new_tokens=24, do_sample=False)
        text = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        grades[doc_id] = read_grade(text, 10)
    assert run.cost.malformed == list(grades.values()).count(None) < 12
    assert run.doc_ids("q0") == sorted(grades, key=lambda doc_id: -(grades[doc_id] or 0))


def test_the_shipped_option_states_the_prompt_of_the_class():
    given = MUST_BE_GIVEN["reranker", "rating_endpoint"]
    built = build(compose_values("run", ["reranker=rating_endpoint", *given]))
    assert built.reranker.prompt == PROMPT


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"highest": 0}, "highest must be at least 1, got 0"),
        ({"document_words": 0}, "document_words must be at least 1, got 0"),
        (
            {"prompt": "{query}"},
            "prompt must contain {document}, or be one of rating, erank, got '{query}'",
        ),
        ({"prompt": "{query} {document} {x}"}, "no other braces, got KeyError"),
    ],
)
def test_wrong_arguments_are_refused(wrong, problem):
    with pytest.raises(InputError, match=problem):
        RatingReranker(Grader({}), **wrong)
