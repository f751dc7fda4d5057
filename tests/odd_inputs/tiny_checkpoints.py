"""Tiny checkpoints of every kind that is read, each made once, and the roads that score by them."""

from __future__ import annotations

import atexit
import json
import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

from recross import load_reranker
from recross.checkpoints.sentence_layout import read_bi_encoder
from recross.checkpoints.sparse_layout import read_sparse_encoder
from recross.inference.texts.texts import GivenTexts
from recross.machine.hardware import Hardware
from recross.rerankers.causal import CausalReranker
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.dual_encoder import DualEncoder
from recross.rerankers.generative.local_generator import LocalGenerator
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.rerankers.t5 import T5Reranker
from recross.retrieval.sentence_encoder import load_encoder
from recross.retrieval.sparse_encoder import load_sparse_encoder
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5
from tests.odd_inputs.odd_input import OddInput

QUERY, DOCUMENTS = "red cat", ["here lives a red cat", "a blue dog and more words", "owl"]
HARDWARE = Hardware(threads=1)
Damage = Callable[[Path], object]
OWN_PROMPT = {
    "kind": "PromptContract",
    "name": "own",
    "template": "Query: {query} Document: {document} Relevant:",
    "read_out": "log_softmax",
    "pieces": ["▁false", "▁true"],
}
"""A contract stored beside a T5."""


class Road(NamedTuple):
    """How a kind of checkpoint is made, and how it is asked for scores."""

    save: Callable[[Path], object]
    score: Callable[[str], Sequence[float]]


def save_late(folder: Path) -> None:
    save_tiny(folder, max_position_embeddings=200)
    state = load_file(folder / "model.safetensors")
    state = {name: value for name, value in state.items() if name.startswith("bert.")}
    state["linear.weight"] = torch.randn(128, 32, generator=torch.Generator().manual_seed(0))
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def save_bare(folder: Path) -> None:
    save_tiny(folder)
    transformers.AutoModel.from_pretrained(folder).save_pretrained(folder)


def save_sentences(folder: Path) -> None:
    save_bare(folder)
    (folder / "1_Pooling").mkdir()
    package = "sentence_transformers.models"
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
        ],
    )
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": True})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32})
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "red "}})


def save_for_library(folder: Path) -> None:
    save_sentences(folder)
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True}
    write_json(folder / "1_Pooling" / "config.json", pooling | {"include_prompt": False})


def save_multi_vector(folder: Path) -> None:
    from tests.inference.late_interaction.multi_vector_folders import save_native

    shutil.copytree(save_native(folder.with_name("parts")), folder)


def save_splade(folder: Path) -> None:
    save_tiny(folder)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = transformers.AutoConfig.from_pretrained(folder)
        transformers.BertForMaskedLM(config).save_pretrained(folder)


def save_contracted(folder: Path) -> None:
    save_tiny_t5(folder)
    write_json(folder / "recross_contract.json", OWN_PROMPT)


def encode_sentences(checkpoint: str) -> list[float]:
    encoder = load_encoder(checkpoint, read_bi_encoder(checkpoint), HARDWARE)
    vectors = [batch.vectors for batch in encoder.encode(GivenTexts(DOCUMENTS), "")]
    return [float(vectors[0][0, 0])]


def weigh_terms(checkpoint: str) -> list[float]:
    encoder = load_sparse_encoder(checkpoint, read_sparse_encoder(checkpoint), HARDWARE)
    return [float(encoder.encode(DOCUMENTS, 32).weights.sum())]


def generate(checkpoint: str) -> list[float]:
    said, _ = LocalGenerator(checkpoint).generate([({"role": "user", "content": QUERY},)], 3)
    return [float(len(said[0]))]


ROADS = {
    "cross-encoder": Road(save_tiny, lambda at: load_reranker(at).score(QUERY, DOCUMENTS)),
    "ONNX": Road(
        save_tiny,
        lambda at: load_reranker(at, hardware=Hardware(backend="onnx", threads=1)).score(
            QUERY, DOCUMENTS
        ),
    ),
    "fresh head": Road(save_bare, lambda at: [CrossEncoder(at, fresh_head=True).parameters]),
    "T5": Road(save_tiny_t5, lambda at: T5Reranker(at, contract="monot5").score(QUERY, DOCUMENTS)),
    "T5 of its own contract": Road(
        save_contracted, lambda at: T5Reranker(at).score(QUERY, DOCUMENTS)
    ),
    "causal": Road(
        save_tiny_llama,
        lambda at: CausalReranker(at, contract="qwen3-reranker", max_length=400).score(
            QUERY, DOCUMENTS
        ),
    ),
    "late interaction": Road(
        save_late, lambda at: LateInteraction(at, contract="colbertv2").score(QUERY, DOCUMENTS)
    ),
    "multi-vector": Road(save_multi_vector, lambda at: LateInteraction(at).score(QUERY, DOCUMENTS)),
    "bi-encoder": Road(save_sentences, encode_sentences),
    "sentence-transformers": Road(save_for_library, encode_sentences),
    "dual encoder": Road(save_sentences, lambda at: DualEncoder(at).score(QUERY, DOCUMENTS)),
    "SPLADE": Road(save_splade, weigh_terms),
    "generator": Road(save_tiny_llama, generate),
}


@cache
def keep(road: str) -> Path:
    """The undamaged checkpoint of a road."""
    root = Path(tempfile.mkdtemp(prefix="recross-odd-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    ROADS[road].save(root / "whole")
    return root / "whole"


@cache
def score_whole(road: str) -> tuple[float, ...]:
    """What the undamaged checkpoint says."""
    return tuple(np.asarray(ROADS[road].score(str(keep(road)))).tolist())


def meet(road: str, damage: Damage) -> Callable[[Path], object]:
    """Score by a damaged copy; whether it says what the whole one says."""

    def act(folder: Path) -> bool:
        copy = Path(shutil.copytree(keep(road), folder / "checkpoint"))
        damage(copy)
        found = np.asarray(ROADS[road].score(str(copy)))
        return found.shape == (len(score_whole(road)),) and np.allclose(
            found, score_whole(road), atol=1e-4
        )

    return act


def odd(what: str, damage: Damage, answer: object, road: str = "cross-encoder") -> OddInput:
    return OddInput(f"checkpoint of {road}: {what}", meet(road, damage), answer)


def write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def rewrite(name: str, content: bytes | str) -> Damage:
    """Put other content into a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda at: (at / name).write_bytes(data)


def change(name: str, **values: object) -> Damage:
    """Change values of a JSON object."""

    def damage(at: Path) -> None:
        path = at / name
        old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        write_json(path, old | values)

    return damage


def config(**values: object) -> Damage:
    return change("config.json", **values)


def weights(edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Damage:
    """Save other weights."""

    def damage(at: Path) -> None:
        path = at / "model.safetensors"
        state = {name: weight.contiguous() for name, weight in edit(load_file(path)).items()}
        save_file(state, path, {"format": "pt"})

    return damage


def header(edit: Callable[[dict], object]) -> Damage:
    """Change the header of the weights' file and leave its data."""

    def damage(at: Path) -> None:
        path = at / "model.safetensors"
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        values = json.loads(content[8 : 8 + size])
        edit(values)
        text = json.dumps(values).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return damage


def remove(*names: str) -> Damage:
    def damage(at: Path) -> None:
        for name in names:
            (at / name).unlink(missing_ok=True)

    return damage


def keep_bytes(name: str, share: float) -> Damage:
    """Cut a file."""

    def damage(at: Path) -> None:
        content = (at / name).read_bytes()
        (at / name).write_bytes(content[: int(len(content) * share)])

    return damage


POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
"""What git leaves where the files of its large-file storage were not fetched."""
