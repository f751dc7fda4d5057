"""A model is made of a checkpoint's weights, all of them and no others, or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from recross.checkpoints.pretrained import Fresh, Kind, load
from recross.checkpoints.weight_names import Names, find_wrapper
from recross.errors import InputError
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny, save_tiny_llama

Weights = dict[str, Tensor]


def rewrite(folder: Path, change: Callable[[Weights], Weights]) -> str:
    """Copy a checkpoint with its weights changed."""
    copy = folder.with_name(f"{folder.name}-changed")
    shutil.copytree(folder, copy)
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    return str(copy)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An encoder without a head, its weights without the encoder's name before theirs."""
    folder = save_tiny(tmp_path / "bare")
    transformers.AutoModel.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("prefix", ["", "bert.", "_orig_mod.", "module.", "model.", "a.b."])
def test_wrapped_weights_are_found_under_a_fresh_head(bare: Path, prefix: str) -> None:
    wanted = load_file(bare / "model.safetensors")["embeddings.word_embeddings.weight"]
    folder = rewrite(bare, lambda weights: {prefix + n: w for n, w in weights.items()})
    model = CrossEncoder(folder, fresh_head=True).network.model
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, wanted)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module."])
def test_a_wrapped_classifier_scores_as_the_plain_one(tmp_path: Path, prefix: str) -> None:
    folder = save_tiny(tmp_path / "plain")
    wrapped = rewrite(folder, lambda weights: {prefix + n: w for n, w in weights.items()})
    pairs = [("red cat", "here lives a red cat"), ("owl", "a blue dog")]
    assert CrossEncoder(wrapped).predict(pairs) == pytest.approx(
        CrossEncoder(str(folder)).predict(pairs)
    )


def test_names_that_only_look_wrapped_are_not() -> None:
    assert find_wrapper(Names(["bert.a.w"], ["module.a.w", "module.b.w"])) == "module."
    assert find_wrapper(Names(["bert.c.w"], ["module.a.w", "module.b.w"])) is None
    assert find_wrapper(Names(["bert.a.w"], ["cls.a", "lm_head.b"])) is None
    assert find_wrapper(Names(["bert.a.w"], [])) is None


def test_an_encoder_is_never_drawn_even_for_training(bare: Path) -> None:
    folder = rewrite(bare, lambda weights: {f"x{n}": w for n, w in weights.items()})
    with pytest.raises(InputError, match=r"lacks bert\.embeddings.* and \d+ more"):
        _ = CrossEncoder(folder, fresh_head=True).network
    lost = "encoder.layer.1.output.dense.weight"
    folder = rewrite(
        bare.rename(bare.with_name("bare2")), lambda w: {n: w[n] for n in w if n != lost}
    )
    with pytest.raises(InputError, match=rf"lacks bert\.{lost}; freshly drawn"):
        _ = CrossEncoder(folder, fresh_head=True).network


@pytest.mark.parametrize("extra", ["projector.0.weight", "linear.weight", "bert.encoder.more"])
def test_weights_that_no_module_has_are_refused(tmp_path: Path, extra: str) -> None:
    folder = rewrite(
        save_tiny(tmp_path / "plain"), lambda weights: {**weights, extra: torch.ones(3)}
    )
    with pytest.raises(InputError, match=f"and no others, got {extra}: what they compute"):
        _ = CrossEncoder(folder).network


def test_what_an_encoder_was_first_trained_with_may_be_left_over(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "plain")
    extra = ("bert.embeddings.position_ids", "cls.predictions.bias", "lm_head.bias")
    copy = rewrite(folder, lambda w: {**w, **{name: torch.ones(3) for name in extra}})
    pairs = [("red cat", "here lives a red cat")]
    assert CrossEncoder(copy).predict(pairs) == CrossEncoder(str(folder)).predict(pairs)


def test_a_causal_model_with_a_projector_is_refused(tmp_path: Path) -> None:
    """jina-reranker-v3 says that it is a Qwen3, and its score is its projector's."""
    folder = save_tiny_llama(tmp_path / "causal", kind="Qwen3", head_dim=8)
    copy = rewrite(folder, lambda w: {**w, "projector.0.weight": torch.ones(3)})
    with pytest.raises(InputError, match=r"got projector\.0\.weight"):
        load("causal_lm", copy)
    assert load("causal_lm", str(folder)).model is not None


def test_layers_that_are_cut_off_may_be_left_over(tmp_path: Path) -> None:
    folder = str(save_tiny(tmp_path / "plain"))
    assert len(CrossEncoder(folder, layers=1).network.layers) == 1
    config = tmp_path / "plain" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 1}))
    with pytest.raises(InputError, match=r"got bert\.encoder\.layer\.1"):
        _ = CrossEncoder(folder).network


@pytest.mark.parametrize("kind", ["encoder", "masked_lm"])
def test_a_classifier_is_no_encoder_without_a_word(tmp_path: Path, kind: Kind) -> None:
    folder = str(save_tiny(tmp_path / "plain"))
    with pytest.raises(InputError, match=r"lacks|no others, got classifier"):
        load(kind, folder)
    if kind == "encoder":
        assert load(kind, folder, fresh=Fresh(labels=None)).model is not None


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "plain")
    words = (folder / "vocab.txt").read_text() + "\n" + "\n".join(f"more{n}" for n in range(9))
    (tmp_path / "words.txt").write_text(words)
    transformers.BertTokenizerFast(str(tmp_path / "words.txt")).save_pretrained(folder)
    with pytest.raises(InputError, match="tokenizer of its model, which knows"):
        _ = CrossEncoder(str(folder)).network
