"""An exported cross-encoder scores as its network did, from one file and its contract."""

import json

import numpy as np
import pytest
import transformers

from recross import load_reranker
from recross.checkpoints.contracts import ClassifierContract
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.rerankers.comparing.duo import DuoBERT
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.exported import ExportedCrossEncoder, write_exported
from tests.conftest import save_tiny

PAIRS = [("red cat", "a red cat " * n) for n in range(1, 12)] + [("blue owl", "an owl")]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("network") / "bert")
    return CrossEncoder(str(folder), contract=ClassifierContract("own", "sigmoid", 24))


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    write_exported(network, folder)
    return folder


def test_what_is_read_back_scores_as_the_network_does(network, exported):
    found = load_reranker(exported)
    assert found.hardware.backend == "onnx"
    np.testing.assert_allclose(found.predict(PAIRS), network.predict(PAIRS), atol=1e-5)
    assert found.network.contract == network.network.contract  # its limit and read-out, too
    assert found.parameters == network.parameters
    assert not (exported / "model.safetensors").exists()


def test_scores_do_not_depend_on_what_stands_beside_a_pair(exported):
    reranker = load_reranker(exported)
    alone = [reranker.predict([pair])[0] for pair in PAIRS]
    np.testing.assert_allclose(reranker.predict(PAIRS), alone, atol=1e-5)


def test_kept_scores_are_those_of_the_file(exported, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_exported(CrossEncoder(str(save_tiny(tmp_path / "bert", hidden_size=16))), other)
    one, two = (load_reranker(folder, cache=tmp_path / "scores") for folder in (exported, other))
    assert one.predict(PAIRS).tolist() != two.predict(PAIRS).tolist()
    assert one.predict(PAIRS).tolist() == load_reranker(exported).predict(PAIRS).tolist()


def test_no_other_hardware_computes_it(exported):
    with pytest.raises(InputError, match="backend must be onnx for an exported network"):
        load_reranker(exported, hardware=Hardware(precision="bf16"))


def test_it_cannot_be_trained(exported, tmp_path):
    reranker = ExportedCrossEncoder(str(exported), hardware=Hardware(backend="onnx"))
    assert not reranker.can_be_trained
    with pytest.raises(InputError, match="reranker must have weights to be trained"):
        reranker.trained(tmp_path)


def test_a_damaged_file_is_refused(exported, tmp_path):
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="must have the SHA-256"):
        load_reranker(tmp_path)
    (tmp_path / "recross_export.json").write_text(json.dumps({"parameters": 3}))
    with pytest.raises(InputError, match="must hold 'sha256', got none"):
        load_reranker(tmp_path)


def test_a_head_that_was_not_trained_is_not_exported(network, tmp_path):
    encoder = tmp_path / "encoder"
    transformers.BertModel.from_pretrained(network.checkpoint).save_pretrained(encoder)
    transformers.AutoTokenizer.from_pretrained(network.checkpoint).save_pretrained(encoder)
    contract = ClassifierContract("own", max_length=24)
    with pytest.raises(InputError, match="must be trained before it scores"):
        write_exported(CrossEncoder(str(encoder), fresh_head=True, contract=contract), tmp_path)


def test_what_compares_documents_is_not_exported(network, tmp_path):
    contract = ClassifierContract("duo", max_length=24, documents=2)
    with pytest.raises(InputError, match="a cross-encoder that scores pairs, got"):
        write_exported(DuoBERT(network.checkpoint, contract=contract), tmp_path)
