"""Cross-encoders in sentence-transformers' layouts score as they score there, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from sentence_transformers import CrossEncoder as Theirs
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

from recross import load_reranker
from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny

PAIRS = [
    ("red cat", "here lives a red cat"),
    ("blue dog", "here lives a blue dog and more words and more words and more words"),
    ("owl", "pig"),
    ("red cat", "here lives a brown pig and more words"),
]


def save_modernbert(folder: Path) -> Path:
    save_tiny(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = transformers.ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        local_attention=8,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        initializer_range=0.3,
    )
    torch.manual_seed(2)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    transformers.ModernBertModel(config).save_pretrained(folder)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    return folder


def chain_of(encoder: Path, pooling: str, hidden: int = 32) -> Theirs:
    """The head of the ettin family: Dense with GELU, LayerNorm, Dense to one score."""
    torch.manual_seed(5)
    transformer = Transformer(str(encoder), transformer_task="feature-extraction")
    head = [
        Dense(hidden, hidden, bias=False, activation_function=torch.nn.GELU()),
        LayerNorm(hidden),
        Dense(hidden, 1, activation_function=torch.nn.Identity(), module_output_name="scores"),
    ]
    modules = [transformer, Pooling(hidden, pooling), *head]
    return Theirs(modules=modules, device="cpu", activation_fn=torch.nn.Identity())


@pytest.fixture(params=["bert", "xlm-roberta", "modernbert"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "modernbert":
        return save_modernbert(tmp_path / "encoder")
    folder = save_tiny(tmp_path / "encoder", request.param)
    transformers.AutoModel.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken"])
def test_a_chain_of_modules_scores_as_there_and_is_written_back(
    encoder: Path, tmp_path: Path, pooling: str
) -> None:
    theirs = chain_of(encoder, pooling)
    theirs.save_pretrained(str(tmp_path / "saved"))
    expected = theirs.predict(PAIRS)
    ours = load_reranker(tmp_path / "saved")
    assert ours.network.family.packs
    np.testing.assert_allclose(ours.predict(PAIRS), expected, atol=1e-4)
    assert ours.network.contract.head == f"{pooling}, Dense GELU, LayerNorm, Dense"
    again = tmp_path / "again"
    again.mkdir()
    ours.network.save(again)
    np.testing.assert_allclose(Theirs(str(again), device="cpu").predict(PAIRS), expected, atol=1e-4)
    np.testing.assert_allclose(load_reranker(again).predict(PAIRS), expected, atol=1e-4)


def test_every_back_end_computes_a_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch, "compile", lambda model, **_: model
    )  # what it is given, not how fast
    folder = save_modernbert(tmp_path / "encoder")
    theirs = chain_of(folder, "mean")
    theirs.save_pretrained(str(tmp_path / "saved"))
    for backend in ("torch", "onnx", "torch_compile"):
        ours = load_reranker(tmp_path / "saved", hardware=Hardware(backend=backend))
        np.testing.assert_allclose(ours.predict(PAIRS), theirs.predict(PAIRS), atol=2e-4)


def test_a_chain_learns_in_its_head_and_its_encoder(tmp_path: Path) -> None:
    chain_of(save_modernbert(tmp_path / "encoder"), "cls").save_pretrained(str(tmp_path / "saved"))
    network = CrossEncoder(str(tmp_path / "saved")).load()
    batch = network.encode(["red cat"], ["here lives a red cat"], [(0, 0)]).on(torch.device("cpu"))
    network(batch).sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert not without
    learn_fast = [n for n, _ in network.named_parameters() if any(h in n for h in network.heads)]
    assert {n.split(".")[1] for n in learn_fast} == {"head"} and len(learn_fast) == 5


@pytest.mark.parametrize("activation", [torch.nn.Identity(), torch.nn.Sigmoid(), torch.nn.Tanh()])
def test_an_activation_is_read_where_it_is_stored_and_stored_where_it_is_read(
    tmp_path: Path, activation: torch.nn.Module
) -> None:
    plain = save_tiny(tmp_path / "plain")
    Theirs(str(plain), device="cpu", activation_fn=activation).save_pretrained(
        str(tmp_path / "saved")
    )
    expected = Theirs(str(tmp_path / "saved"), device="cpu").predict(PAIRS)
    ours = load_reranker(tmp_path / "saved")
    np.testing.assert_allclose(ours.predict(PAIRS), expected, atol=1e-5)
    (tmp_path / "back").mkdir()
    ours.network.save(tmp_path / "back")
    back = Theirs(str(tmp_path / "back"), device="cpu")
    np.testing.assert_allclose(back.predict(PAIRS), expected, atol=1e-5)
    np.testing.assert_allclose(load_reranker(tmp_path / "back").predict(PAIRS), expected, atol=1e-5)


def test_a_default_prompt_stands_before_the_query_here_as_there(tmp_path: Path) -> None:
    plain = save_tiny(tmp_path / "plain")
    prompts = {"lives": "here lives "}
    theirs = Theirs(str(plain), device="cpu", prompts=prompts, default_prompt_name="lives")
    theirs.save_pretrained(str(tmp_path / "saved"))
    expected = Theirs(str(tmp_path / "saved"), device="cpu").predict(PAIRS)
    assert not np.allclose(expected, Theirs(str(plain), device="cpu").predict(PAIRS))
    ours = load_reranker(tmp_path / "saved")
    np.testing.assert_allclose(ours.predict(PAIRS), expected, atol=1e-5)
    (tmp_path / "back").mkdir()
    ours.network.save(tmp_path / "back")
    back = Theirs(str(tmp_path / "back"), device="cpu")
    np.testing.assert_allclose(back.predict(PAIRS), expected, atol=1e-5)


def test_a_model_in_a_folder_of_its_own_is_found(tmp_path: Path) -> None:
    """The layout before 2.0: the model's files in 0_Transformer, with or without a list."""
    old = tmp_path / "old"
    encoder = save_tiny(old / "0_Transformer")
    transformers.AutoModel.from_pretrained(encoder).save_pretrained(encoder)
    wanted = load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"]
    entries = [
        {
            "idx": 0,
            "name": "0",
            "path": "0_Transformer",
            "type": "sentence_transformers.models.BERT",
        }
    ]
    for listed in (True, False):
        if listed:
            (old / "modules.json").write_text(json.dumps(entries))
        else:
            (old / "modules.json").unlink()
        model = CrossEncoder(str(old), fresh_head=True).network.model
        assert torch.equal(model.bert.embeddings.word_embeddings.weight, wanted)


def test_limits_are_those_that_the_files_name(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    chain_of(save_modernbert(tmp_path / "encoder"), "cls").save_pretrained(str(saved))
    settings = saved / "sentence_bert_config.json"
    before = json.loads(settings.read_text())
    for more, limit in (
        ({"max_seq_length": 40}, 40),
        ({"processing_kwargs": {"text": {"max_length": 30}}}, 30),
        ({}, 64),
    ):
        settings.write_text(json.dumps(before | more))
        assert load_reranker(saved).network.contract.max_length == limit


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    chain_of(save_modernbert(tmp_path / "encoder"), "cls").save_pretrained(str(tmp_path / "saved"))
    return tmp_path / "saved"


def change_json(path: Path, **more: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


def lose_dense(saved: Path) -> None:
    shutil.rmtree(saved / "2_Dense")


def break_dense(saved: Path) -> None:
    (saved / "2_Dense" / "model.safetensors").write_bytes(b"no weights")


def exchange_dense(saved: Path) -> None:
    shutil.copy(saved / "2_Dense" / "model.safetensors", saved / "4_Dense" / "model.safetensors")


def pool_twice(saved: Path) -> None:
    change_json(saved / "1_Pooling" / "config.json", pooling_mode=["cls", "mean"])


def pool_maxima(saved: Path) -> None:
    change_json(saved / "1_Pooling" / "config.json", pooling_mode="max")


def activate_otherwise(saved: Path) -> None:
    change_json(saved / "2_Dense" / "config.json", activation_function="own.Activation")


def score_otherwise(saved: Path) -> None:
    change_json(saved / "config_sentence_transformers.json", activation_fn="own.Activation")


def end_in_two(saved: Path) -> None:
    modules = json.loads((saved / "modules.json").read_text())
    (saved / "modules.json").write_text(json.dumps(modules[:-1]))


def name_other_module(saved: Path) -> None:
    modules = json.loads((saved / "modules.json").read_text())
    modules[3]["type"] = "own.code.Norm"
    (saved / "modules.json").write_text(json.dumps(modules))


def lead_out(saved: Path) -> None:
    modules = json.loads((saved / "modules.json").read_text())
    modules[2]["path"] = "../encoder"
    (saved / "modules.json").write_text(json.dumps(modules))


def widen(saved: Path) -> None:
    change_json(saved / "3_LayerNorm" / "config.json", dimension=16)


def say_nothing(saved: Path) -> None:
    (saved / "2_Dense" / "config.json").write_text("{}")


def say_no_json(saved: Path) -> None:
    (saved / "config_sentence_transformers.json").write_text("{activation")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lose_dense, "must name 'in_features'"),
        (break_dense, "cannot be read"),
        (exchange_dense, "weights of the Dense in '4_Dense'"),
        (
            pool_twice,
            "lasttoken or span_cosine, got Pooling cls mean",
        ),
        (
            pool_maxima,
            "lasttoken or span_cosine, got Pooling max",
        ),
        (activate_otherwise, "activation_function must be one of"),
        (score_otherwise, "activation_fn must be Identity, Sigmoid, Tanh"),
        (end_in_two, "must give one score, got 32"),
        (name_other_module, "must be a class of sentence_transformers .*got 'own.code.Norm'"),
        (lead_out, "must lie within the checkpoint"),
        (widen, "weights of the LayerNorm|must take the 32 features"),
        (say_nothing, "must name 'in_features'"),
        (say_no_json, "must hold JSON"),
    ],
)
def test_a_broken_chain_is_one_error_and_scores_nothing(saved, spoil, said) -> None:
    spoil(saved)
    with pytest.raises(InputError, match=said):
        load_reranker(saved)
