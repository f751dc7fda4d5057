"""A checkpoint kept as a small difference is read as the checkpoint it was."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from recross import load_reranker
from recross.checkpoints.delta_folder import (
    CACHE_VARIABLE,
    DELTA,
    find_cache_folder,
    pack,
)
from recross.checkpoints.location import locate
from recross.errors import InputError
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny

TEXTS = ["red cat", "blue dog runs", "a"]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def base(tmp_path):
    """An encoder without a head, as the embedded one is."""
    folder = save_tiny(tmp_path / "base")
    weights = {
        name.removeprefix("bert."): weight
        for name, weight in load_file(folder / "model.safetensors").items()
        if name.startswith("bert.") and "pooler" not in name
    }
    weights = {"embeddings.position_ids": torch.arange(64)[None]} | weights  # as old files have it
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(params=["first_token", "span_cosine"])
def trained(base, tmp_path, request):
    """Two of its layers with a head, a little further on."""
    reranker = CrossEncoder(str(base), layers=2, fresh_head=True, head=request.param, max_length=32)
    network = reranker.network
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in network.model.named_parameters():
            if "embeddings" not in name:
                weight += 0.2 * torch.randn(weight.shape, generator=generator)
    network.save(tmp_path / "trained")
    return tmp_path / "trained"


def score(folder):
    return load_reranker(folder).score("red cat", TEXTS)


def test_the_difference_scores_as_the_whole_and_takes_less(base, trained, tmp_path):
    delta = pack(trained, str(base), locate, tmp_path / "small", 10_000_000, {"seed": 3})
    assert delta.kept == pytest.approx(1)
    np.testing.assert_allclose(score(tmp_path / "small"), score(trained), rtol=3e-3)
    assert not (tmp_path / "small" / "model.safetensors").exists()
    assert (tmp_path / "small" / DELTA).stat().st_size < (
        trained / "model.safetensors"
    ).stat().st_size
    manifest = json.loads((tmp_path / "small" / "delta.json").read_text())
    found = {path.name for path in (tmp_path / "small").iterdir()}
    assert manifest["seed"] == 3
    assert manifest["prefix"] == ("bert." if "1_Pooling" not in found else "")


def test_fewer_bytes_keep_less_of_the_difference(base, trained, tmp_path):
    few = pack(trained, str(base), locate, tmp_path / "few", 30_000, {})
    assert 0.2 < few.kept < 0.99
    assert (tmp_path / "few" / DELTA).stat().st_size < 30_000 + 10_000  # names and shapes
    assert np.abs(score(tmp_path / "few") - score(trained)).max() > 1e-4


def test_it_is_put_together_once(base, trained, tmp_path, cache_folder):
    pack(trained, str(base), locate, tmp_path / "small", 10_000_000, {})
    assert locate(str(tmp_path / "small")) == locate(str(tmp_path / "small"))
    assert len(list(cache_folder.glob("*/*/model.safetensors"))) == 1
    os.utime(tmp_path / "small" / DELTA)  # is looked at again, as by the next process
    whole = locate(str(tmp_path / "small"))
    assert len(list(cache_folder.glob("*/*/model.safetensors"))) == 1
    assert not (cache_folder / "assembled").joinpath(whole, DELTA).exists()


def flip(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_damaged_difference_is_refused(base, trained, tmp_path):
    pack(trained, str(base), locate, tmp_path / "small", 10_000_000, {})
    flip(tmp_path / "small" / DELTA)
    with pytest.raises(InputError, match=rf"{DELTA} must have the SHA-256"):
        load_reranker(tmp_path / "small")


def test_a_damaged_file_beside_the_difference_is_refused(base, trained, tmp_path):
    pack(trained, str(base), locate, tmp_path / "small", 10_000_000, {})
    files = sorted(path for path in (tmp_path / "small").rglob("*") if path.is_file())
    for path in files:
        if path.name not in (DELTA, "delta.json"):
            flip(path)
            with pytest.raises(InputError, match="must have the SHA-256"):
                locate(str(tmp_path / "small"))
            flip(path)


def test_another_base_is_refused(base, trained, tmp_path):
    pack(trained, str(base), locate, tmp_path / "small", 10_000_000, {})
    flip(base / "model.safetensors")
    with pytest.raises(InputError, match=r"base/model.safetensors must have the SHA-256"):
        load_reranker(tmp_path / "small")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"base": "x"}'])
def test_a_damaged_manifest_is_refused(base, trained, tmp_path, content):
    pack(trained, str(base), locate, tmp_path / "small", 10_000_000, {})
    (tmp_path / "small" / "delta.json").write_text(content)
    with pytest.raises(InputError, match=r"delta\.json must"):
        load_reranker(tmp_path / "small")


def test_a_folder_in_use_is_not_written_over(base, trained):
    with pytest.raises(InputError, match="folder must be empty or new"):
        pack(trained, str(base), locate, base, 10_000_000, {})


def test_the_cache_is_where_the_system_says(monkeypatch, tmp_path):
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_cache_folder() == tmp_path / "recross"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert find_cache_folder() == tmp_path / "me" / ".cache" / "recross"
