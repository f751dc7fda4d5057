import pytest
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.rerankers.generative.chat_layout import ChatLayout
from recross.rerankers.generative.endpoint import EndpointGenerator
from recross.rerankers.generative.first_token import FirstTokenReranker
from recross.rerankers.generative.listwise_prompts import PROMPTS
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.runs import Run
from tests.chat_stub import ChatStub
from tests.conftest import toy_collection

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def texts():
    asked = PROMPTS["first"].conversation("red cat", ["a cat"])
    return [
        *toy_collection().documents.values(),
        *(message["content"] for message in asked),
        " > ".join(f"[{letter}]" for letter in LETTERS),
    ]


def save_tiny_mistral(folder):
    """Save a random Mistral whose pieces mark the blank before a word, as sentencepiece's do."""
    pieces = tokenizers.SentencePieceBPETokenizer()
    special = ["<unk>", "<s>", "</s>"]
    pieces.train_from_iterator(texts(), 400, 2, show_progress=False, special_tokens=special)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = TEMPLATE
    config = transformers.MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        sliding_window=None,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = transformers.MistralForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def mistral(tmp_path_factory):
    return save_tiny_mistral(tmp_path_factory.mktemp("mistral"))


def candidates(**counts):
    scores = {q: {f"d{3 * n}": float(-n) for n in range(count)} for q, count in counts.items()}
    return Run.from_scores("first", scores)


@torch.no_grad()
def slow_reference(folder, query, documents, window, step):
    """Windows from the bottom, each ordered by a plain forward of one prompt."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    order, stop = list(range(len(documents))), len(documents)
    while len(documents) > 1:
        start = max(0, stop - window)
        shown = [documents[place] for place in order[start:stop]]
        *asked, begun = PROMPTS["first"].conversation(query, shown)
        assert begun == {"role": "assistant", "content": "["}
        text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        logits = model(torch.tensor([tokenizer(text + "[")["input_ids"]])).logits[0, -1]
        letters = [tokenizer.convert_tokens_to_ids(letter) for letter in LETTERS[: len(shown)]]
        assert tokenizer.unk_token_id not in letters
        best_first = sorted(range(len(shown)), key=lambda n: -logits[letters[n]].item())
        order[start:stop] = [order[start:stop][place] for place in best_first]
        if start == 0:
            break
        stop -= step
    return order


@pytest.mark.parametrize("budget", [1, 10**6])
def test_orders_are_those_of_a_plain_forward_for_each_window(mistral, collection, budget):
    generator = LocalGenerator(str(mistral), hardware=Hardware(tokens_per_batch=budget))
    given = candidates(q0=9, q5=4, q9=1, q10=0, q20=12)
    run = FirstTokenReranker(generator, window=5, step=3).rerank(given, collection)
    moved = 0
    for query_id, ranking in given.rankings.items():
        documents = [collection.documents[doc.doc_id].strip() for doc in ranking]
        order = slow_reference(mistral, collection.queries[query_id], documents, 5, 3)
        assert run.doc_ids(query_id) == [given.doc_ids(query_id)[place] for place in order]
        moved += order != sorted(order)
    assert moved == 3
    assert (run.cost.requests, run.cost.forward_passes) == (8, 8)  # 3, 1 and 4 windows
    assert (run.cost.generated_tokens, run.cost.malformed) == (0, 0)
    assert run.name == f"first-token-{mistral.name}"


def test_a_letter_is_found_as_it_is_written_after_the_bracket(mistral):
    layout = ChatLayout(AutoTokenizer.from_pretrained(mistral), {}, plain=False)
    tokenizer = layout.tokenizer
    assert tokenizer.decode([layout.find_label("[", "A")]) == "A"
    assert layout.find_label("[", "A") == tokenizer.convert_tokens_to_ids("A")
    assert layout.find_label("[", "A") != tokenizer("A")["input_ids"][0]
    joined = tokenizers.models.BPE({"[": 0, "B": 1, "[B": 2}, [("[", "B")])
    whole = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(joined))
    assert len(whole("[B")["input_ids"]) == 1  # one piece with the bracket
    assert ChatLayout(whole, {}, plain=False).find_label("[", "B") == 1


def test_letters_that_a_server_tells_of_come_first_and_the_others_as_they_stand(
    collection, tmp_path
):
    told = {"C": -0.1, "A": -3.0, " B": -2.0, "x": -1.0, "E": -9.0}
    stub = ChatStub(lambda _: "C", logprobs=lambda _: told)
    generator = EndpointGenerator(stub.url, "first_mistral", store=tmp_path)
    run = FirstTokenReranker(generator).rerank(candidates(q0=3, q5=4), collection)
    stub.close()
    assert run.doc_ids("q0") == ["d6", "d3", "d0"]
    assert run.doc_ids("q5") == ["d6", "d3", "d0", "d9"]
    assert (run.cost.requests, run.cost.malformed) == (2, 1)
    for request in stub.requests:
        assert request["messages"][-1] == {"role": "assistant", "content": "["}
        assert "\n[A] here lives a red cat\n[B] here" in request["messages"][1]["content"]
        assert (request["max_tokens"], request["logprobs"]) == (1, True)


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"window": 27}, "window must be at most 26, got 27|window must lie in"),
        ({"thinking_tokens": 5}, "thinking_tokens must be 0, got 5"),
        ({"prompt": "rankzephyr"}, "prompt must call passages by letters, got 'rankzephyr'"),
        ({"prompt": "second"}, "prompt must be one of"),
    ],
)
def test_wrong_arguments_are_refused(wrong, problem):
    with pytest.raises(InputError, match=problem):
        FirstTokenReranker(LocalGenerator("nowhere"), **wrong)
