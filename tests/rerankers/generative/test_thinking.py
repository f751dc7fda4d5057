import math
from dataclasses import replace

import pytest
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.rerankers.generative.endpoint import EndpointGenerator
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.rerankers.generative.thinking import (
    ThinkingPrompt,
    ThinkingReranker,
    find_thinking_prompt,
)
from recross.rerankers.remote.patience import EndpointError
from recross.runs import Run
from tests.chat_stub import ChatStub
from tests.conftest import toy_collection

BUDGET = 24
ENDING = ThinkingPrompt("Query: {query}\nPassage: {document}", closing=" cat")
"""Thoughts that end where a random model comes to it by itself."""


def save_tiny_thinker(folder):
    """Save a random Qwen2.5 whose marks of thoughts are pieces like any other, as rank1's are."""
    texts = [*toy_collection().documents.values(), "<think> true </think> false", "Query: Passage:"]
    pieces = tokenizers.ByteLevelBPETokenizer()
    pieces.train_from_iterator(
        texts * 3, 400, 2, show_progress=False, special_tokens=["<|endoftext|>"]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer, eos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = "{{ raise_exception('rank1 is asked without a template') }}"
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=2048,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    return save_tiny_thinker(tmp_path_factory.mktemp("thinker"))


def local(folder, tokens_per_batch=300, **more):
    return LocalGenerator(
        str(folder),
        uses_chat_template=False,
        hardware=Hardware(tokens_per_batch=tokens_per_batch),
        **more,
    )


def candidates(count=9):
    docs = {f"d{5 * n}": float(-n) for n in range(count)}
    return Run.from_scores("first", {"q0": docs, "q5": dict(list(docs.items())[:3])})


def close(text, prompt):
    """What stands before the answer, and whether the thought ended, written down once more."""
    if prompt.closing in text:
        return text[: text.index(prompt.closing) + len(prompt.closing)], True
    sentences = text.strip()
    ends = [n for n, letter in enumerate(sentences) if letter in ".!?"]
    sentences = sentences[: ends[-1] + 1] if ends else sentences
    return f"\n{sentences}\n{prompt.closing}", False


@torch.no_grad()
def slow_reference(folder, query, document, prompt, budget):
    """Plain generate of one prompt, then a plain forward; the share, and whether it ended."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = prompt.question.format(query=query, document=document) + "\n" + prompt.opening
    ids = torch.tensor([tokenizer(asked)["input_ids"]])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=budget, do_sample=False
    )
    text, ended = close(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True), prompt)
    logits = model(torch.tensor([tokenizer(asked + text)["input_ids"]])).logits[0, -1]
    false, true = (tokenizer(word)["input_ids"][0] for word in prompt.answers)
    return torch.sigmoid(logits[true] - logits[false]).item(), ended


@pytest.mark.parametrize("tokens_per_batch", [1, 300, 10**6])
@pytest.mark.parametrize("prompt", [find_thinking_prompt("rank1"), ENDING], ids=["rank1", "ends"])
def test_scores_are_those_of_plain_generate_and_a_plain_forward(
    thinker, collection, prompt, tokens_per_batch
):
    reranker = ThinkingReranker(
        local(thinker, tokens_per_batch), prompt=prompt, thinking_tokens=BUDGET
    )
    run = reranker.rerank(candidates(), collection)
    ends = []
    for query_id, ranking in run.rankings.items():
        for doc in ranking:
            texts = collection.queries[query_id], collection.documents[doc.doc_id].strip()
            share, ended = slow_reference(thinker, *texts, prompt, BUDGET)
            assert doc.score == pytest.approx(share, abs=1e-5)
            ends.append(ended)
    assert 0 < sum(ends) < 12 if prompt is ENDING else not any(ends)
    assert run.cost.malformed == ends.count(False)
    assert (run.cost.pairs, run.cost.requests, run.cost.forward_passes) == (12, 24, 24)
    assert run.cost.generated_tokens <= 12 * BUDGET
    assert run.name == f"thinking-{thinker.name}"


def test_nothing_is_written_after_the_thought(thinker):
    asked = [ENDING.conversation("red cat", [toy_collection().documents[f"d{n}"]]) for n in (0, 25)]
    whole, all_tokens = local(thinker).generate(asked, BUDGET)
    cut, tokens = local(thinker).generate(asked, BUDGET, ENDING.closing)
    ends = [text.find(ENDING.closing) for text in whole]
    assert max(ends) >= 0
    for text, end, stopped in zip(whole, ends, cut, strict=True):
        assert stopped == (text if end < 0 else text[: end + len(ENDING.closing)])
    assert tokens.generated_tokens < all_tokens.generated_tokens


@pytest.mark.parametrize(
    "thought, closed",
    [
        ("\nIt is.\n</think> true", ("<think>\nIt is.\n</think>", True)),
        ("\nIt is. Or is", ("<think>\nIt is.\n</think>", False)),
        ("no sentence", ("<think>\nno sentence\n</think>", False)),
        ("", ("<think>\n\n</think>", False)),
    ],
)
def test_a_thought_is_read_at_its_end_or_closed_after_its_last_sentence(thought, closed):
    assert find_thinking_prompt("rank1").close(thought) == closed


def test_an_interrupted_run_goes_on_from_the_thoughts_it_has(thinker, collection, tmp_path):
    expected = ThinkingReranker(local(thinker), thinking_tokens=BUDGET).rerank(
        candidates(), collection
    )
    first = local(thinker, 1, reuse_answers=True, store=tmp_path)
    generate, asked = first.network.generate, []

    def interrupted(**given):
        asked.append(len(given["input_ids"]))
        if len(asked) == 5:
            raise KeyboardInterrupt
        return generate(**given)

    first.network.generate = interrupted
    with pytest.raises(KeyboardInterrupt):
        ThinkingReranker(first, thinking_tokens=BUDGET).rerank(candidates(), collection)
    again = local(thinker, 1, reuse_answers=True, store=tmp_path)
    run = ThinkingReranker(again, thinking_tokens=BUDGET).rerank(candidates(), collection)
    assert (run.cost.cache_hits, run.cost.cache_misses) == (4, 8)
    assert run.doc_ids("q0") == expected.doc_ids("q0")
    assert [doc.score for doc in run.rankings["q0"]] == pytest.approx(
        [doc.score for doc in expected.rankings["q0"]], abs=1e-5
    )
    other = local(thinker, 1, weights="bf16", reuse_answers=True, store=tmp_path)
    assert other.generate([ENDING.conversation("a", ["b"])], 2)[1].cache_hits == 0


def document_of(request):
    return request["messages"][0]["content"].partition("Passage: ")[2]


TOLD = {
    "a red cat": {" true": math.log(0.6), " false": math.log(0.2), "x": -9.0},
    "a red dog": {"true": math.log(0.3), " false": math.log(0.1), " true": math.log(0.4)},
    "a red owl": {" false": -0.1, " maybe": -3.0},
    "a red fox": {"unsure": -0.1},
}


def serve(**more):
    def tell(request):
        return next(told for words, told in TOLD.items() if words in document_of(request))

    thoughts = "\nHere lives one.\n</think>"
    return ChatStub(
        lambda request: "" if request.get("logprobs") else thoughts, **{"logprobs": tell, **more}
    )


def test_a_server_goes_on_from_the_begun_thought_and_tells_its_log_probabilities(
    collection, tmp_path
):
    stub = serve()
    generator = EndpointGenerator(stub.url, "rank1-7b", store=tmp_path, extra_body={"top_k": 1})
    given = Run.from_scores("first", {"q0": {f"d{n}": float(-n) for n in range(4)}})
    reranker = ThinkingReranker(generator, thinking_tokens=50)
    run = reranker.rerank(given, collection)
    scores = {doc.doc_id: doc.score for doc in run.rankings["q0"]}
    assert scores == pytest.approx({"d0": 0.75, "d1": 0.8, "d2": 0.0, "d3": 0.5})
    assert run.cost.malformed == 1  # of the fox neither answer is told
    assert (run.cost.requests, run.cost.cache_misses) == (8, 8)
    thinking = [request for request in stub.requests if "stop" in request]
    assert len(thinking) == 4
    go_on = {"add_generation_prompt": False, "continue_final_message": True}
    for request in thinking:
        assert request["messages"][-1] == {"role": "assistant", "content": "<think>"}
        assert request["messages"][0]["content"].startswith("Determine if the following passage")
        rest = {key: request[key] for key in request if key not in ("messages", "model")}
        assert rest == {
            **go_on,
            "max_tokens": 50,
            "temperature": 0.0,
            "stop": ["</think>"],
            "include_stop_str_in_output": True,
            "top_k": 1,
        }
    for request in stub.requests:
        if request not in thinking:
            answer = "<think>\nHere lives one.\n</think>"
            assert request["messages"][-1] == {"role": "assistant", "content": answer}
            assert (request["max_tokens"], request["logprobs"], request["top_logprobs"]) == (
                *(1, True, 20),
            )
            assert go_on.items() <= request.items()
    assert reranker.rerank(given, collection).rankings == run.rankings
    assert len(stub.requests) == 8  # all kept
    stub.close()


def test_a_server_without_log_probabilities_is_one_clear_error(collection, tmp_path):
    stub = serve(logprobs=None)
    reranker = ThinkingReranker(EndpointGenerator(stub.url, "m", store=tmp_path))
    with pytest.raises(EndpointError, match="gave no log-probabilities of first tokens"):
        reranker.rerank(Run.from_scores("first", {"q0": {"d0": 1.0}}), collection)
    stub.close()


def test_texts_are_cut_to_words_and_to_the_context(thinker, collection):
    given = Run.from_scores("first", {"q0": {"d4": 1.0}})
    cut = ThinkingReranker(local(thinker), document_words=4, thinking_tokens=4)
    assert cut.rerank(given, collection).cost.cut_documents == 1
    small = ThinkingReranker(local(thinker, context_tokens=40), thinking_tokens=30)
    with pytest.raises(InputError, match="must have room for 38 tokens of answer"):
        small.rerank(given, collection)


def test_nothing_to_judge_is_an_empty_run(thinker, collection):
    run = ThinkingReranker(local(thinker)).rerank(Run.from_scores("first", {"q0": {}}), collection)
    assert run.doc_ids("q0") == []


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"thinking_tokens": 0}, "thinking_tokens must be at least 1, got 0"),
        ({"document_words": 0}, "document_words must be at least 1, got 0"),
        ({"prompt": "rank2"}, "prompt must be one of rank1, got 'rank2'"),
    ],
)
def test_wrong_arguments_are_refused(thinker, wrong, problem):
    with pytest.raises(InputError, match=problem):
        ThinkingReranker(local(thinker), **wrong)


def test_wrong_prompts_are_refused():
    with pytest.raises(InputError, match="question must contain {document}, got '{query}'"):
        ThinkingPrompt("{query}")
    with pytest.raises(InputError, match="no other braces, got KeyError"):
        ThinkingPrompt("{query} {document} {x}")


def test_answers_that_begin_alike_are_refused(thinker, collection):
    same = ThinkingReranker(local(thinker), replace(ENDING, answers=(" cat", " cat")), 9, 4)
    with pytest.raises(InputError, match="labels must begin with tokens that differ"):
        same.rerank(candidates(1), collection)
