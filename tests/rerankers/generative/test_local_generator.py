import json
import sys
import threading
from functools import partial

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from recross.errors import InputError
from recross.inference.cache.score_cache import turn_caches_off
from recross.machine.hardware import Hardware
from recross.parts.identity import fingerprint
from recross.rerankers.generative.generators import begin_answer
from recross.rerankers.generative.listwise import ListwiseReranker
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.retrieval.bm25 import BM25
from tests.conftest import toy_collection

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} </s>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
    "{% if enable_thinking is defined %} thinking {{ enable_thinking }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"


def save_tiny_chat(folder, template=TEMPLATE, writes_bos=False, eos="</s>", **more):
    """Save a random Llama with a vocabulary of whole words and, perhaps, a chat template."""
    special = ["<pad>", "<s>", "</s>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>"]
    words = sorted({w for t in toy_collection().documents.values() for w in t.split()})
    words += ["[", "]", ">", "thinking", "False", "s", "u", "a", *map(str, range(1, 21))]
    vocabulary = {word: n for n, word in enumerate(dict.fromkeys([*special, *words]))}
    pieces = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if writes_bos:
        pieces.post_processor = tokenizers.processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 1)]
        )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token=eos,
        unk_token="<unk>",
        additional_special_tokens=special[4:],
    )
    tokenizer.chat_template = template
    config = transformers.LlamaConfig(
        **{
            "vocab_size": len(vocabulary),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 512,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": vocabulary[eos],
            "initializer_range": 0.5,
            **more,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_chat(tmp_path_factory):
    return save_tiny_chat(tmp_path_factory.mktemp("chat"))


def conversations(count=9):
    texts = [text for n, text in enumerate(toy_collection().documents.values()) if n % 7 == 0]
    return [
        [
            {"role": "system", "content": "lives here"},
            {"role": "user", "content": " ".join(texts[: 1 + (5 * n) % 11])},
        ]
        for n in range(count)
    ]


def tokens_one_by_one(folder, prompts, length):
    """Plain generate without padding: new tokens before the end's own."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    answers = []
    for prompt in prompts:
        ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
        mask = torch.ones_like(ids)
        out = model.generate(ids, attention_mask=mask, max_new_tokens=length, do_sample=False)
        answers.append([t for t in out[0, ids.shape[1] :].tolist() if t != 2])
    return answers


def one_by_one(folder, prompts, length):
    decode = AutoTokenizer.from_pretrained(folder).decode
    found = tokens_one_by_one(folder, prompts, length)
    return [decode(tokens, skip_special_tokens=True) for tokens in found]


def laid_out(conversation):
    system, user = (message["content"] for message in conversation)
    return f"<|system|> {system} </s><|user|> {user} </s><|assistant|>"


@pytest.mark.parametrize("budget", [1, 150, 10**6])
def test_texts_are_those_of_plain_generate_one_by_one_whatever_the_batches(tiny_chat, budget):
    asked = conversations()
    expected = one_by_one(tiny_chat, map(laid_out, asked), 12)
    assert len(set(expected)) > 4
    generator = LocalGenerator(str(tiny_chat), hardware=Hardware(tokens_per_batch=budget))
    found, cost = generator.generate(asked, 12)
    assert found == expected
    assert cost.batches == {1: 9, 10**6: 1}.get(budget, cost.batches)
    assert 1 <= cost.batches <= 9
    assert (cost.padding_tokens == 0) == (budget == 1)


def test_the_cost_counts_prompts_and_the_tokens_before_each_answers_end(tiny_chat):
    asked = conversations()
    tokenizer = AutoTokenizer.from_pretrained(tiny_chat)
    lengths = [len(tokenizer(laid_out(c))["input_ids"]) for c in asked]
    expected = [len(tokens) for tokens in tokens_one_by_one(tiny_chat, map(laid_out, asked), 12)]
    assert min(expected) < max(expected) == 12  # some end by themselves, some are cut off
    _, cost = LocalGenerator(str(tiny_chat)).generate(asked, 12)
    assert cost.generated_tokens == sum(expected)
    assert cost.tokens == sum(lengths)
    assert cost.padding_tokens == 9 * max(lengths) - sum(lengths)
    assert (cost.requests, cost.forward_passes, cost.batches) == (9, 9, 1)
    assert cost.forward_seconds > 0


def test_what_a_checkpoint_wants_of_sampling_does_not_count(tmp_path):
    folder = save_tiny_chat(tmp_path)
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 3.0, "top_k": 5, "repetition_penalty": 3.0}
    expected = one_by_one(folder, map(laid_out, conversations()), 12)
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert LocalGenerator(str(folder)).generate(conversations(), 12)[0] == expected


def test_nothing_to_answer_costs_nothing(tiny_chat):
    found, cost = LocalGenerator(str(tiny_chat)).generate([], 5)
    assert found == []
    assert (cost.requests, cost.batches, cost.tokens) == (0, 0, 0)


def test_options_reach_the_chat_template(tiny_chat):
    asked = conversations(2)
    generator = LocalGenerator(str(tiny_chat), chat_options={"enable_thinking": False})
    prompts = [f"{laid_out(conversation)} thinking False" for conversation in asked]
    assert generator.generate(asked, 8)[0] == one_by_one(tiny_chat, prompts, 8)
    assert fingerprint(generator) != fingerprint(LocalGenerator(str(tiny_chat)))


def test_without_a_chat_template_texts_follow_one_another(tmp_path):
    folder = save_tiny_chat(tmp_path, template=None)
    asked = conversations(3)
    prompts = [" ".join(message["content"] for message in c) for c in asked]
    assert LocalGenerator(str(folder)).generate(asked, 8)[0] == one_by_one(folder, prompts, 8)


def test_a_template_that_knows_no_system_gets_its_words_with_the_users_first(tmp_path):
    folder = save_tiny_chat(tmp_path, template=NO_SYSTEM + TEMPLATE)
    asked = conversations(3)
    prompts = [f"<|user|> lives here {c[1]['content']} </s><|assistant|>" for c in asked]
    assert LocalGenerator(str(folder)).generate(asked, 8)[0] == one_by_one(folder, prompts, 8)


@pytest.mark.parametrize("template", [TEMPLATE, "<s>" + TEMPLATE])
def test_the_first_token_is_there_once_whether_the_template_or_the_tokenizer_writes_it(
    tmp_path, template
):
    folder = save_tiny_chat(tmp_path, template=template, writes_bos=True)
    asked = conversations(3)
    prompts = [f"<s>{laid_out(conversation)}" for conversation in asked]
    assert LocalGenerator(str(folder)).generate(asked, 8)[0] == one_by_one(folder, prompts, 8)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError, partial(RuntimeError, "DefaultCPUAllocator: can't allocate memory")],
    ids=["gpu", "processor"],
)
def test_a_batch_that_does_not_fit_in_memory_is_halved_and_none_is_lost(
    tiny_chat, monkeypatch, error
):
    asked = conversations()
    expected, _ = LocalGenerator(str(tiny_chat)).generate(asked, 6)
    generator = LocalGenerator(str(tiny_chat), hardware=Hardware(tokens_per_batch=10**6))
    generate, sizes = generator.network.generate, []

    def small_memory(input_ids, **more):
        assert sys.exception() is None  # the failed attempt, with all it allocated, is gone
        sizes.append(len(input_ids))
        if len(input_ids) > 2:
            raise error()
        return generate(input_ids=input_ids, **more)

    monkeypatch.setattr(generator.network, "generate", small_memory)
    found, cost = generator.generate(asked, 6)
    assert found == expected
    assert sizes[0] == 9
    assert cost.batches == sum(size <= 2 for size in sizes)


def test_devices_share_the_prompts(tiny_chat, monkeypatch):
    asked = conversations(16)
    one = LocalGenerator(str(tiny_chat), hardware=Hardware(threads=1, tokens_per_batch=80))
    expected, _ = one.generate(asked, 6)
    two = LocalGenerator(
        str(tiny_chat), hardware=Hardware(threads=1, tokens_per_batch=80, devices=2)
    )
    generate, threads = two.network.generate, set()

    def watched(**given):
        threads.add(threading.get_ident())
        return generate(**given)

    monkeypatch.setattr(two.network, "generate", watched)
    assert two.generate(asked, 6)[0] == expected
    assert threads
    assert threading.get_ident() not in threads


def test_what_exceeds_the_context_does_not_fit(tiny_chat):
    (asked,) = conversations(1)
    tokens = len(AutoTokenizer.from_pretrained(tiny_chat)(laid_out(asked))["input_ids"])
    own = LocalGenerator(str(tiny_chat))  # 512 positions
    assert own.fits(asked, 512 - tokens)
    assert not own.fits(asked, 513 - tokens)
    short = LocalGenerator(str(tiny_chat), context_tokens=tokens + 9)
    assert short.fits(asked, 9)
    assert not short.fits(asked, 10)
    with pytest.raises(InputError, match="context_tokens must be at least 2, got 1"):
        LocalGenerator(str(tiny_chat), context_tokens=1)


def test_a_random_model_reranks_every_document_once_and_is_malformed(tiny_chat, collection):
    generator = LocalGenerator(str(tiny_chat), hardware=Hardware(tokens_per_batch=2000))
    reranker = ListwiseReranker(generator, window=4, step=2, passage_words=4)
    candidates = BM25().retrieve(collection, ["q0", "q5", "q10"], 7)
    run = reranker.rerank(candidates, collection)
    assert {q: set(run.doc_ids(q)) for q in run.rankings} == {
        q: set(candidates.doc_ids(q)) for q in candidates.rankings
    }
    assert run.cost.requests == run.cost.forward_passes == 3 * 3
    assert run.cost.malformed > 0
    assert reranker.parameters == sum(p.numel() for p in generator.network.parameters())


def test_what_is_no_causal_checkpoint_is_refused(tmp_path, tiny_t5):
    for folder in (tmp_path / "none", tiny_t5):
        with pytest.raises(InputError, match="checkpoint must"):
            _ = LocalGenerator(str(folder)).network
    for part, files in (("tokenizer", "tokenizer*"), ("weights", "*.safetensors")):
        folder = save_tiny_chat(tmp_path / part)
        for path in folder.glob(files):
            path.unlink()
        with pytest.raises(InputError, match=f"checkpoint must .*{part}"):
            _ = LocalGenerator(str(folder)).network


def test_weights_are_held_as_asked(tiny_chat):
    half = LocalGenerator(str(tiny_chat), weights="bf16")
    assert {p.dtype for p in half.network.parameters()} == {torch.bfloat16}
    assert half.name == tiny_chat.name


def test_answers_are_kept_by_prompt_and_length_and_none_is_read_while_something_is_timed(
    tiny_chat, tmp_path
):
    asked = conversations(3)
    keeping = LocalGenerator(str(tiny_chat), reuse_answers=True, store=tmp_path)
    expected, first = keeping.generate(asked, 8)
    again = LocalGenerator(str(tiny_chat), reuse_answers=True, store=tmp_path)
    found, cost = again.generate([*asked, *conversations(5)[3:]], 8)
    assert found[:3] == expected
    assert (first.cache_hits, first.cache_misses) == (0, 3)
    assert (cost.cache_hits, cost.cache_misses, cost.requests) == (3, 2, 2)
    assert again.generate(asked, 7)[1].cache_hits == 0
    with turn_caches_off():
        timed, cost = again.generate(asked, 8)
    assert timed == expected
    assert (cost.cache_hits, cost.requests) == (0, 3)
    forgetful = LocalGenerator(str(tiny_chat), store=tmp_path / "none")
    assert forgetful.generate(asked, 8)[1].cache_misses == 0
    assert not (tmp_path / "none").exists()
    assert fingerprint(forgetful) == fingerprint(keeping)


def test_labels_are_read_as_a_plain_forward_gives_them_whatever_the_batches(tiny_chat):
    asked, labels = conversations(), ["red", "blue", "owl"]
    model = AutoModelForCausalLM.from_pretrained(tiny_chat).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_chat)
    rows = tokenizer.convert_tokens_to_ids(labels)
    with torch.no_grad():
        ids = [torch.tensor([tokenizer(laid_out(c))["input_ids"]]) for c in asked]
        expected = [model(one).logits[0, -1, rows].tolist() for one in ids]
    for budget in (1, 150, 10**6):
        generator = LocalGenerator(str(tiny_chat), hardware=Hardware(tokens_per_batch=budget))
        found, cost = generator.read_labels(asked, labels)
        assert found == pytest.approx(np.array(expected), abs=1e-4)
        assert (cost.requests, cost.generated_tokens) == (9, 0)
    nothing, _ = LocalGenerator(str(tiny_chat)).read_labels([], labels)
    assert nothing.shape == (0, 3)


def test_a_begun_answer_is_gone_on_from_after_the_template(tiny_chat):
    begun = [begin_answer(conversation, " owl lives") for conversation in conversations(3)]
    prompts = [f"{laid_out(conversation)} owl lives" for conversation in conversations(3)]
    found, _ = LocalGenerator(str(tiny_chat)).generate(begun, 8)
    assert found == one_by_one(tiny_chat, prompts, 8)
    plain = LocalGenerator(str(tiny_chat), uses_chat_template=False).generate(begun, 8)[0]
    texts = [" ".join(message["content"] for message in c) for c in begun]
    assert plain == one_by_one(tiny_chat, texts, 8)
