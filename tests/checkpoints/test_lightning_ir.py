"""lightning-ir's monoELECTRA: its files, in miniature, against its definition of the score."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from recross.errors import InputError
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny

QUERY = "red cat"
DOCUMENTS = ["here lives a red cat", "here lives a blue dog and more words", "owl"]


@pytest.fixture
def folder(tmp_path):
    """An ELECTRA whose weights and config are named as lightning-ir's derived class names them."""
    place = save_tiny(tmp_path / "mono", "electra")
    state = load_file(place / "model.safetensors")
    state = {
        name.removeprefix("electra."): value
        for name, value in state.items()
        if name.startswith("electra.")
    }
    drawn = torch.Generator().manual_seed(3)
    state["linear.weight"] = torch.randn(1, 32, generator=drawn)
    state["linear.bias"] = torch.randn(1, generator=drawn)
    save_file(state, place / "model.safetensors", {"format": "pt"})
    config = json.loads((place / "config.json").read_text())
    config |= {
        **{"model_type": "cross-encoder", "backbone_model_type": "electra"},
        **{"architectures": ["CrossEncoderElectraModel"], "pooling_strategy": "first"},
        **{"query_length": 32, "doc_length": 256, "linear_bias": True},
    }
    (place / "config.json").write_text(json.dumps(config))
    return place


def defined_scores(folder, layers=None):
    """Linear on the first token of the encoder's output, as lightning-ir computes it."""
    state = load_file(folder / "model.safetensors")
    config = transformers.ElectraConfig(**json.loads((folder / "config.json").read_text()))
    if layers:
        config.num_hidden_layers = layers
    encoder = transformers.ElectraModel(config).eval()
    own = {name: value for name, value in state.items() if name in encoder.state_dict()}
    encoder.load_state_dict(own)
    tokenizer = transformers.BertTokenizerFast.from_pretrained(folder)
    inputs = tokenizer([QUERY] * 3, DOCUMENTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        first = encoder(**inputs).last_hidden_state[:, 0]
    return (first @ state["linear.weight"].T + state["linear.bias"])[:, 0].tolist()


@pytest.mark.parametrize("layers", [None, 2])
def test_it_scores_as_lightning_ir_defines_it(folder, layers):
    reranker = CrossEncoder(
        str(folder), contract="webis-monoelectra-base", max_length=64, layers=layers
    )
    scores = reranker.score(QUERY, DOCUMENTS)
    assert scores.tolist() == pytest.approx(defined_scores(folder, layers), abs=1e-4)


def test_it_is_read_back_as_it_was_saved(folder, tmp_path):
    reranker = CrossEncoder(str(folder), contract="webis-monoelectra-base", max_length=64)
    reranker.load().save(tmp_path / "saved")
    again = CrossEncoder(str(tmp_path / "saved"))
    expected = reranker.score(QUERY, DOCUMENTS).tolist()
    assert again.score(QUERY, DOCUMENTS).tolist() == pytest.approx(expected, abs=1e-5)


def test_a_head_that_is_missing_is_refused(folder):
    state = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in state.items() if k != "linear.bias"}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"lacks classifier.bias"):
        CrossEncoder(str(folder), contract="webis-monoelectra-base").load()


def test_a_set_encoder_is_not_scored_as_if_documents_were_alone(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "set-encoder", "add_extra_token": True, "depth": 100}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="must read each document alone, got a Set-Encoder"):
        CrossEncoder(str(folder), contract="webis-monoelectra-base").score(QUERY, DOCUMENTS)
