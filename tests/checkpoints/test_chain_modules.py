"""Modules after an encoder compute what sentence-transformers' own compute, and are saved alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import LayerNorm

from recross.checkpoints.chain_modules import find_activation, load_module, save_module
from recross.checkpoints.json_files import read_json
from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder
from recross.errors import InputError


def chain_of(folder: Path, kind: str) -> ModuleFolder:
    entry = ModuleEntry(kind, "2_X", read_json(folder / "2_X" / "config.json"))
    return ModuleFolder(str(folder), (entry,), {})


@pytest.mark.parametrize(
    "theirs",
    [
        Dense(6, 4, activation_function=torch.nn.GELU()),
        Dense(6, 4, bias=False, activation_function=torch.nn.Identity()),
        Dense(6, 4, use_residual=True),
        Dense(6, 6, use_residual=True),
        LayerNorm(6),
    ],
)
def test_equals_theirs_and_is_read_back_by_them(tmp_path: Path, theirs: torch.nn.Module) -> None:
    (tmp_path / "2_X").mkdir()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight)
    theirs.save(str(tmp_path / "2_X"))
    chain = chain_of(tmp_path, type(theirs).__name__)
    ours = load_module(chain, chain.parts[0])
    states = torch.randn(3, 6)
    expected = theirs({"sentence_embedding": states})["sentence_embedding"]
    assert torch.equal(ours(states), expected)
    save_module(ours, chain.parts[0], tmp_path / "again")
    again = type(theirs).load(str(tmp_path / "again"), subfolder="2_X")
    assert torch.equal(again({"sentence_embedding": states})["sentence_embedding"], expected)


def test_a_weight_too_many_or_of_another_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "2_X").mkdir()
    Dense(6, 4).save(str(tmp_path / "2_X"))
    path = tmp_path / "2_X" / "model.safetensors"
    whole = load_file(path)
    chain = chain_of(tmp_path, "Dense")
    for wrong in (
        {"linear.weight": whole["linear.weight"]},
        {**whole, "residual.weight": torch.zeros(4, 6)},
        {**whole, "linear.weight": torch.zeros(4, 5)},
    ):
        save_file(wrong, path)
        with pytest.raises(InputError, match="weights of the Dense in '2_X'"):
            load_module(chain, chain.parts[0])


def test_unknown_modules_settings_and_activations_are_refused() -> None:
    chain = ModuleFolder(
        "x", (ModuleEntry("LSTM", "1_LSTM", {}), ModuleEntry("Dense", "2", {})), {}
    )
    with pytest.raises(InputError, match="must be Dense or LayerNorm, got LSTM"):
        load_module(chain, chain.parts[0])
    with pytest.raises(InputError, match="must name 'in_features'"):
        load_module(chain, chain.parts[1])
    assert isinstance(find_activation(None), torch.nn.Identity)
    for name in ("os.system", "torch.nn.Module", "mine.GELU"):
        with pytest.raises(InputError, match="activation_function must be one of"):
            find_activation(name)
