"""Chains of modules are read from the layouts that sentence-transformers has written so far."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from recross.checkpoints.module_folder import read_modules, read_pooling, write_modules
from recross.errors import InputError
from tests.conftest import save_tiny


def test_reads_the_chain_that_sentence_transformers_saves(tmp_path: Path) -> None:
    encoder = Transformer(str(save_tiny(tmp_path / "plain")))
    chain = [encoder, Pooling(32, "cls"), Dense(32, 8, activation_function=torch.nn.GELU())]
    saved = SentenceTransformer(
        modules=chain, prompts={"query": "q: "}, default_prompt_name="query", device="cpu"
    )
    saved.save_pretrained(str(tmp_path / "saved"))
    modules = read_modules(str(tmp_path / "saved"))
    assert modules is not None
    assert modules.kinds == ("Transformer", "Pooling", "Dense")
    assert [part.place for part in modules.parts] == ["", "1_Pooling", "2_Dense"]
    assert modules.prompt(None) == "q: " and modules.prompt("document") == ""
    dense = modules.find("Dense")
    assert dense is not None and dense.settings["out_features"] == 8
    weight = modules.weights(dense)["linear.weight"]
    assert torch.equal(weight, chain[2].linear.weight)


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    chain = [Transformer(str(save_tiny(tmp_path / "plain"))), Pooling(32, "cls"), Dense(32, 8)]
    saved = tmp_path / "saved"
    SentenceTransformer(modules=chain, device="cpu").save_pretrained(str(saved))
    modules = read_modules(str(saved))
    assert modules is not None
    before = json.loads((saved / "modules.json").read_text())
    write_modules(modules, saved)
    assert json.loads((saved / "modules.json").read_text()) == before
    assert read_modules(str(saved)) == modules
    (saved / "modules.json").unlink()  # and without its list, as it is called today
    for folder in ("0_Transformer", "1_Pooling", "2_Dense"):
        (saved / folder).mkdir(exist_ok=True)
    unlisted = read_modules(str(saved))
    assert unlisted is not None
    write_modules(unlisted, saved)
    paths = [module["type"] for module in json.loads((saved / "modules.json").read_text())]
    assert paths == [module["type"] for module in before]


def test_a_plain_checkpoint_has_no_chain(tmp_path: Path) -> None:
    assert read_modules(str(save_tiny(tmp_path / "plain"))) is None


def test_a_classifier_saved_by_it_says_its_activation(tmp_path: Path) -> None:
    model = CrossEncoder(
        str(save_tiny(tmp_path / "plain")), device="cpu", activation_fn=torch.nn.Tanh()
    )
    model.save_pretrained(str(tmp_path / "saved"))
    modules = read_modules(str(tmp_path / "saved"))
    assert modules is not None and modules.kinds == ("Transformer",)
    assert modules.settings["activation_fn"].endswith("Tanh")


def test_numbered_folders_say_the_same_where_there_is_no_list(tmp_path: Path) -> None:
    for name in ("10_Dense", "0_Transformer", "1_Pooling", "pictures"):
        (tmp_path / name).mkdir()
    settings = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    (tmp_path / "0_Transformer" / "sentence_roberta_config.json").write_text(
        '{"max_seq_length": 77}'
    )
    modules = read_modules(str(tmp_path))
    assert modules is not None
    assert modules.kinds == ("Transformer", "Pooling", "Dense")
    assert modules.parts[0].settings == {"max_seq_length": 77}
    assert read_pooling(modules.parts[1].settings) == ("cls",)


@pytest.mark.parametrize(
    ("settings", "modes"),
    [
        ({"pooling_mode": "cls"}, ("cls",)),
        ({"pooling_mode": ["cls", "mean"]}, ("cls", "mean")),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, ("cls", "max")),
        ({"word_embedding_dimension": 8}, ("mean",)),
    ],
)
def test_every_way_of_naming_a_pooling(settings: dict[str, object], modes: tuple[str]) -> None:
    assert read_pooling(settings) == modes


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ("{", "JSON"),
        ("{}", "list of modules"),
        ('[{"type": "Transformer"}]', "type and path"),
        ('[{"type": "Transformer", "path": "../other"}]', "within the checkpoint"),
        ('[{"type": "Transformer", "path": "/etc"}]', "within the checkpoint"),
    ],
)
def test_a_broken_list_is_one_error(tmp_path: Path, listed: str, said: str) -> None:
    (tmp_path / "modules.json").write_text(listed)
    with pytest.raises(InputError, match=said):
        read_modules(str(tmp_path))


def test_missing_and_broken_weights_are_errors(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text('[{"type": "pylate.models.Dense", "path": "2_Dense"}]')
    (tmp_path / "2_Dense").mkdir()
    modules = read_modules(str(tmp_path))
    assert modules is not None
    with pytest.raises(InputError, match=r"weights of its Dense in '2_Dense'"):
        modules.weights(modules.parts[0])
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(InputError, match="cannot be read"):
        modules.weights(modules.parts[0])
