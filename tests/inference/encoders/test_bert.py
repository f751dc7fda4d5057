import numpy as np
import pytest
import torch
from scipy import stats
from transformers import AutoModelForSequenceClassification

from recross.inference.batches import PackedBatch
from recross.inference.encoders import affine
from recross.inference.encoders.affine import LiveAffine, freeze_affine
from recross.inference.encoders.families import find_classifier
from recross.inference.layout import Layout
from recross.inference.sequences import Sequences, TokenPool, by_length
from tests.conftest import save_tiny


def random_batch(seed: int = 0, count: int = 24) -> PackedBatch:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 30, count)
    tokens = rng.integers(5, 40, lengths.sum())
    firsts = rng.integers(1, lengths)  # tokens of the first segment
    begins = lengths.cumsum() - lengths
    sequences = Sequences(
        pool=TokenPool(tokens),
        begins=np.column_stack([begins, begins + firsts]),
        counts=np.column_stack([firsts, lengths - firsts]),
        piece_segments=(0, 1),
        lost=np.zeros((count, 2), dtype=np.int64),
    )
    return sequences.take(by_length(sequences.lengths)).on(torch.device("cpu"))


def padded_logits(model, batch):
    tokens, segments, mask = batch.padded(0)
    return model(input_ids=tokens, token_type_ids=segments, attention_mask=mask).logits


def logits(model, batch, make, dtype=torch.float32):
    return find_classifier(model).forward(model, make, dtype, first_only=True).logits(batch)


@pytest.fixture(params=["bert", "electra", "roberta"])
def model(request, tmp_path):
    folder = save_tiny(tmp_path, request.param, labels=2)
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


def test_the_packed_forward_equals_hugging_faces_padded_one(model):
    batch = random_batch()
    assert find_classifier(model).packs
    with torch.inference_mode():
        expected = padded_logits(model, batch)
        for make in (freeze_affine(torch.float32, 512), LiveAffine):
            found = logits(model, batch, make)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def assert_gradients_close(ours, theirs):
    """Equal but for the order of sums, which is each processor's own.

    Either is up to 1e-4 of a parameter's largest gradient away from what double precision gives; a
    key's bias has a gradient of zero, whose terms are of the size of other parameters' gradients.
    """
    assert ours.keys() == theirs.keys()
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    for name, gradient in theirs.items():
        bound = 5e-4 * float(gradient.abs().max()) + 5e-6 * largest
        torch.testing.assert_close(ours[name], gradient, atol=bound, rtol=0, msg=name)


def test_its_gradients_equal_the_padded_ones(model):
    batch = random_batch(1)
    weights = torch.linspace(-1, 1, len(batch))[:, None]

    def gradients(found):
        model.zero_grad()
        (found * weights).sum().backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    assert_gradients_close(
        gradients(logits(model, batch, LiveAffine)), gradients(padded_logits(model, batch))
    )


def test_bf16_keeps_the_order_and_its_scores_do_not_depend_on_neighbours(model):
    batch = random_batch(count=40)
    with torch.inference_mode():
        exact = logits(model, batch, freeze_affine(torch.float32, 512))
        make = freeze_affine(torch.bfloat16, 512)
        rough = logits(model, batch, make, torch.bfloat16)
        last = int(batch.starts[-1])
        alone = PackedBatch(
            batch.tokens[last:],
            batch.segments[last:],
            batch.positions[last:],
            torch.tensor([0]),
            Layout.of([(1, len(batch.tokens) - last)], torch.tensor([0, len(batch.tokens) - last])),
        )
        single = logits(model, alone, make, torch.bfloat16)
    assert stats.kendalltau(exact[:, 1], rough[:, 1]).statistic > 0.9
    torch.testing.assert_close(single[0], rough[-1], atol=0.02, rtol=0)


@pytest.fixture
def without_half_products(monkeypatch):
    """Let oneDNN refuse half precision, as it does on a processor with AVX2 only."""
    block = torch.ops.mkldnn._reorder_linear_weight

    def refuse_half(weight, rows):
        if weight.dtype != torch.float32:
            raise RuntimeError("bf16 path needs the cpu support avx_ne_convert or avx512bw")
        return block(weight, rows)

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", refuse_half)
    affine._multiplies_blocked.cache_clear()
    yield
    affine._multiplies_blocked.cache_clear()


@pytest.mark.usefixtures("without_half_products")
def test_a_processor_without_half_products_computes_bf16_by_ordinary_ones(model, monkeypatch):
    def half():
        return logits(model, random_batch(), freeze_affine(torch.bfloat16, 512), torch.bfloat16)

    with torch.inference_mode():
        found = half()
        assert affine._multiplies_blocked(torch.float32)
        monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
        assert torch.equal(found, half())


def test_without_the_blocked_operators_the_result_is_the_same(model, monkeypatch):
    monkeypatch.setattr(affine, "_has_blocked_linear", lambda: False)
    batch = random_batch()
    with torch.inference_mode():
        expected = padded_logits(model, batch)
        found = logits(model, batch, freeze_affine(torch.float32, 512))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_another_activation_is_not_claimed_to_be_supported(tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(
        save_tiny(tmp_path, hidden_act="relu")
    )
    assert not find_classifier(model).packs
