"""Models with code of their own are refused, whatever family they say they are of."""

import json

import pytest

from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.rerankers.causal import CausalReranker
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny, save_tiny_llama


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return str(folder)


def test_a_listwise_model_that_says_it_is_a_qwen3_is_refused(tmp_path):
    folder = change(
        save_tiny_llama(tmp_path, kind="Qwen3", max_position_embeddings=9000),
        architectures=["JinaForRanking"],
        auto_map={"AutoModel": "modeling.JinaForRanking"},
    )
    for load in (
        CausalReranker(folder, contract="qwen3-reranker").check_trained,
        CrossEncoder(folder).check_trained,
    ):
        with pytest.raises(InputError, match="JinaForRanking is code of its own.*reranker=served"):
            load()
    with pytest.raises(InputError, match="code of its own"):
        load_reranker(folder, contract="qwen3-reranker")


def test_a_bert_with_a_class_of_its_own_is_refused(tmp_path):
    own = {"AutoModel": "modeling_bert.JinaBertModel"}
    folder = change(save_tiny(tmp_path), architectures=["JinaBertModel"], auto_map=own)
    with pytest.raises(InputError, match="JinaBertModel is code of its own"):
        CrossEncoder(folder).check_trained()


def test_a_known_class_with_code_beside_it_is_loaded_as_that_class(tmp_path):
    folder = change(
        save_tiny_llama(tmp_path, kind="Qwen3", max_position_embeddings=9000),
        auto_map={"AutoConfig": "modeling_zeranker.ZEConfig"},
    )
    network = CausalReranker(folder, contract="zerank").network
    assert type(network.model).__name__ == "Qwen3ForCausalLM"
