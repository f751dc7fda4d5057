"""Batches of few fixed shapes give what the padded forward of transformers gives."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from recross.inference import static_batches
from recross.inference.encoders import attention, packed_attention, t5_decoder
from recross.inference.encoders.affine import LiveAffine, freeze_affine
from recross.inference.encoders.attention import average_sequences
from recross.inference.encoders.families import FAMILIES, find_classifier
from recross.inference.session import Session
from recross.inference.static_batches import StaticBatches, find_static_form
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.t5 import T5Reranker
from tests.conftest import save_tiny, save_tiny_t5
from tests.inference.encoders.test_bert import assert_gradients_close, random_batch
from tests.inference.encoders.test_modernbert import save_tiny_modernbert
from tests.inference.test_gpu_dtypes import batch_of
from tests.slow_attention import attend_slowly

BY_OFFSETS = {
    "bert": lambda f: save_tiny(f, "bert"),
    "electra": lambda f: save_tiny(f, "electra"),
    "roberta": lambda f: save_tiny(f, "roberta"),
    "xlm-roberta": lambda f: save_tiny(f, "xlm-roberta"),
    "distilbert": lambda f: save_tiny(f, "distilbert"),
    "modernbert": save_tiny_modernbert,
    "modernbert-mean": lambda f: save_tiny_modernbert(f, "mean"),
    "modernbert-near": lambda f: save_tiny_modernbert(f, num_hidden_layers=3),
}
"""Checkpoints of every family whose attention goes by offsets; the last has a near last layer."""

SIZES = [1, 2, 3, 24, 60, 130]
"""Sequences of a batch: far fewer than the shape has room for, about as many, many."""


@pytest.fixture
def by_offsets(monkeypatch):
    """Attend as a GPU does, by a loop that leaves what belongs to no sequence undefined."""
    monkeypatch.setattr(attention, "has_kernel_for", lambda *_: True)
    monkeypatch.setattr(packed_attention, "find_kernel", lambda: attend_slowly)


class EagerCapture:
    """Repeats the work instead of replaying a graph, and wants it to be the very same work."""

    def __init__(self):
        self.captured = []

    def __call__(self, work):
        self.captured.append(work)
        work()
        return work


def watch(forward):
    """The forward, and the tensors it was called with."""
    seen = []

    def watched(batch):
        parts = (batch.tokens, batch.segments, batch.positions, batch.starts, batch.layout.offsets)
        seen.append([(part.data_ptr(), part.shape, part.stride()) for part in parts])
        return forward(batch)

    return watched, seen


def padded_logits(model, batch):
    tokens, segments, mask = batch.padded(model.config.pad_token_id)
    without = ("modernbert", "distilbert")
    kinds = {} if model.config.model_type in without else {"token_type_ids": 0 * segments}
    return model(input_ids=tokens, attention_mask=mask, **kinds).logits


def gradients_of(module):
    learned = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {name: gradient.clone() for name, gradient in learned.items()}


def in_one_segment(batch):
    return replace(batch, segments=0 * batch.segments)


@pytest.mark.usefixtures("by_offsets")
@pytest.mark.parametrize("kind", BY_OFFSETS)
def test_static_batches_of_every_size_equal_the_padded_forward(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(static_batches, "LEAST_TOKENS", 64)
    model = AutoModelForSequenceClassification.from_pretrained(BY_OFFSETS[kind](tmp_path)).eval()
    family, capture, make = (
        find_classifier(model),
        EagerCapture(),
        freeze_affine(torch.float32, 512),
    )
    forward = family.forward(model, make, first_only="mean" not in kind)
    watched, seen = watch(forward.logits)
    static = StaticBatches(watched, capture)
    with torch.inference_mode():
        for seed, count in enumerate([*SIZES, *SIZES]):
            batch = in_one_segment(random_batch(seed, count))
            found = static(batch)
            assert len(found) == count
            torch.testing.assert_close(found, padded_logits(model, batch), atol=1e-4, rtol=0)
    shapes = len(capture.captured)
    assert len(seen) == 2 * len(SIZES) + shapes  # each once more when it is captured
    assert len({str(call) for call in seen}) == shapes < 2 * len(SIZES)


@pytest.mark.usefixtures("by_offsets")
@pytest.mark.parametrize("kind", BY_OFFSETS)
def test_gradients_by_offsets_are_those_of_the_padded_forward(kind, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(BY_OFFSETS[kind](tmp_path)).eval()
    family, batch = find_classifier(model), in_one_segment(random_batch())
    forward = family.forward(model, LiveAffine, first_only="mean" not in kind)
    weight = torch.linspace(-1, 1, len(batch))[:, None]
    gradients = []
    for logits in (forward.logits(batch), padded_logits(model, batch)):
        model.zero_grad()
        (weight * logits).sum().backward()
        gradients.append(gradients_of(model))
    assert_gradients_close(*gradients)


def test_every_family_says_whether_it_goes_by_offsets():
    assert {name for name, family in FAMILIES.items() if family.attends_by_offsets} == {
        kind for kind in BY_OFFSETS if "-" not in kind or kind in FAMILIES
    }


@pytest.mark.parametrize("kind", ["t5", "mt5"])
@pytest.mark.parametrize("contract", ["monot5", "rankt5-encoder"])
@pytest.mark.parametrize("live", [False, True])
def test_blocks_of_about_one_length_are_the_groups_of_equal_length(
    kind, contract, live, tmp_path, monkeypatch
):
    network = t5_of(tmp_path, kind, contract)
    batch = batch_of(network)
    score = network if live else network.inference(Session(Hardware()))
    expected = score(batch)
    for module in (attention, t5_decoder):
        monkeypatch.setattr(module, "works_in_blocks", lambda _: True)
    torch.testing.assert_close(score(batch), expected, atol=1e-4, rtol=0)
    if live:
        expected.sum().backward()
        gradients = gradients_of(network)
        network.zero_grad()
        score(batch).sum().backward()
        assert_gradients_close(gradients_of(network), gradients)


def test_mpnets_bias_in_blocks_is_that_of_its_groups(tmp_path, monkeypatch):
    network = CrossEncoder(str(save_tiny(tmp_path, "mpnet")), fresh_head=True).network
    batch = batch_of(network)
    with torch.inference_mode():
        expected = network(batch)
        monkeypatch.setattr(attention, "works_in_blocks", lambda _: True)
        torch.testing.assert_close(network(batch), expected, atol=1e-4, rtol=0)


def t5_of(folder, kind, contract):
    checkpoint = save_tiny_t5(folder, kind if contract == "monot5" else "encoder")
    return T5Reranker(str(checkpoint), contract=contract).network


def test_means_of_sequences_are_the_same_by_groups_and_by_offsets():
    batch = random_batch()
    states = torch.randn(len(batch.tokens), 5, requires_grad=True)
    by_groups = average_sequences(states, batch.layout)
    by_ends = average_sequences(states, batch.layout._replace(groups=()))
    torch.testing.assert_close(by_ends, by_groups)
    weight = torch.randn(len(batch), 5)
    (first,) = torch.autograd.grad((by_groups * weight).sum(), states, retain_graph=True)
    (second,) = torch.autograd.grad((by_ends * weight).sum(), states)
    torch.testing.assert_close(first, second)


def count_tokens(batch):
    """A score that tells sequences apart, and how often it was asked for."""
    offsets = batch.layout.offsets.long()
    sums = torch.cat([torch.zeros(1), (batch.tokens * (1 + batch.positions)).float().cumsum(0)])
    return sums[offsets[1:]] - sums[offsets[:-1]]


@pytest.mark.parametrize("fits", [40, 300, 10_000])
def test_a_batch_that_does_not_fit_is_halved_and_so_is_every_later_one(fits, monkeypatch):
    monkeypatch.setattr(static_batches, "LEAST_TOKENS", 32)
    tried = []

    def limited(batch):
        tried.append(len(batch.tokens))
        if len(batch.tokens) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return count_tokens(batch)

    static = StaticBatches(limited, EagerCapture())
    for seed in range(3):
        batch = random_batch(seed, 40)
        torch.testing.assert_close(static(batch), count_tokens(batch))
    refused = [size for size in tried if size > fits]
    assert len(refused) == len(set(refused)) < 6


def test_one_sequence_that_never_fits_is_an_error():
    def refuse(_batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        StaticBatches(refuse, EagerCapture())(random_batch(count=5))


def test_what_cannot_be_compiled_runs_as_it_is_and_full_batches_have_one_shape(caplog):
    def broken(_batch):
        raise RuntimeError("no compiler")

    capture = EagerCapture()
    static = StaticBatches(count_tokens, capture, broken, full=4096)
    for count in (200, 220, 3):
        batch = random_batch(count, count)
        torch.testing.assert_close(static(batch), count_tokens(batch))
    assert "no compiler" in caplog.text
    compiled = []

    def faster(batch):
        compiled.append((len(batch.tokens), len(batch)))
        return count_tokens(batch)

    static = StaticBatches(count_tokens, capture, faster, full=4096)
    for count in (200, 220, 3):
        static(random_batch(count, count))
    assert compiled == [(4096, 256)] * 3  # captured, and two full batches


def test_what_cannot_be_captured_is_done_anew_for_every_batch(caplog):
    def refuse(_work):
        raise RuntimeError("operation not permitted when stream is capturing")

    static = StaticBatches(count_tokens, refuse)
    for seed in range(3):
        batch = random_batch(seed)
        torch.testing.assert_close(static(batch), count_tokens(batch))
    assert caplog.text.count("cannot be captured") == 1


@pytest.mark.parametrize("window", [None, 3])
def test_heads_that_the_kernel_does_not_take_are_filled_up(window, monkeypatch):
    def attend_even_heads(query, *rest, **settings):
        assert query.shape[-1] % 8 == 0
        return attend_slowly(query, *rest, **settings)

    layout, heads, width = random_batch().layout, 3, 26
    projected = torch.randn(int(layout.offsets[-1]), 3 * heads * width)
    places = attention.Attention(heads, layout, placement=attention.Placement(window=window))
    expected = attention.group_by_group(projected, places)
    monkeypatch.setattr(attention, "has_kernel_for", lambda *_: True)
    monkeypatch.setattr(packed_attention, "find_kernel", lambda: attend_even_heads)
    torch.testing.assert_close(attention.attend_all(projected, places), expected)


@pytest.mark.parametrize("kind", BY_OFFSETS)
def test_a_compiler_sees_the_whole_forward_as_one_graph(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(attention, "has_kernel_for", lambda *_: packed_attention.find_kernel())
    model = AutoModelForSequenceClassification.from_pretrained(BY_OFFSETS[kind](tmp_path)).eval()
    make = freeze_affine(torch.float32, 0)
    forward = find_classifier(model).forward(model, make, first_only="mean" not in kind)
    attentions = []

    def give_no_more_than_shapes(graph, _inputs):
        attentions.append(sum("varlen" in str(node.target) for node in graph.graph.nodes))
        return lambda *_: [torch.zeros(3, 1)]

    torch._dynamo.reset()
    compiled = torch.compile(
        forward.logits, dynamic=False, fullgraph=True, backend=give_no_more_than_shapes
    )
    with torch.inference_mode():
        compiled(in_one_segment(random_batch(count=3)))
    assert attentions == [len(forward.layers)]


def test_values_of_tokens_are_those_of_the_batch_alone():
    static = StaticBatches(lambda batch: batch.tokens * 2, EagerCapture(), per_token=True)
    batch = random_batch()
    assert static(batch).tolist() == (batch.tokens * 2).tolist()


def test_only_a_gpu_in_half_precision_has_static_batches(tmp_path, monkeypatch):
    model = AutoModelForSequenceClassification.from_pretrained(save_tiny(tmp_path))
    family = find_classifier(model)
    assert find_static_form(count_tokens, family, Hardware()) is count_tokens
    monkeypatch.setattr(Hardware, "device", torch.device("cpu"))
    monkeypatch.setattr(static_batches, "has_kernel_for", lambda _, dtype: dtype != torch.float32)
    single, half = (Hardware(accelerator="gpu", precision=name) for name in ("fp32", "fp16"))
    assert find_static_form(count_tokens, family, single) is count_tokens
    assert isinstance(find_static_form(count_tokens, family, half), StaticBatches)
    assert find_static_form(count_tokens, FAMILIES["t5"], half) is count_tokens
