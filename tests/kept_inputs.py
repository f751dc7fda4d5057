"""Small configurations of every kind of network, and what they read, for ``kept_outputs.py``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

TRAIN = "training=smoke training.steps=6 training.batch_size=4 training.negatives_per_positive=3"
TRAIN += " training.validations=2 training.dropout=0.1"
BERT = "reranker=cross_encoder reranker.max_length=32"
FRESH = f"reranker.checkpoint={{bare}} reranker.fresh_head=true {TRAIN}"
CONFIGURATIONS = {
    "mined": f"{BERT} {FRESH} training.easy_share=0.5 negatives=refreshed negatives.every=2"
    " negatives@negatives.sampler=bm25 loss=labels_and_teacher teacher=reranker"
    " reranker@teacher.reranker=cross_encoder teacher.reranker.checkpoint={roberta}",
    "triples": f"reranker=electra_base reranker.checkpoint={{electra}} {TRAIN}"
    " training_data=triples training_data.path={triples} retriever=random depth=40",
    "passages": "reranker=maxp reranker@reranker.reranker=cross_encoder reranker.words=4"
    f" reranker.stride=2 reranker.reranker.checkpoint={{roberta}} {TRAIN} negatives=random"
    " retriever=hybrid retriever.retrievers.biencoder.checkpoint={sentences}",
    "two_processes": f"{BERT} reranker.checkpoint={{bert}} {TRAIN} negatives=random"
    " hardware=ddp_cpu_x2",
    "bf16": f"{BERT} reranker.checkpoint={{bert}} {TRAIN} negatives=random hardware=cpu_bf16"
    " quality_gate.on_failure=record",
    "onnx": f"{BERT} reranker.checkpoint={{bert}} hardware=cpu_onnx retriever=random"
    " quality_gate.on_failure=record",
    "monot5": "reranker=monot5_base reranker.checkpoint={t5} reranker.contract=monot5"
    f" {TRAIN} loss=answer negatives=bm25 retriever=random",
    "rankt5_encoder": "reranker=rankt5_encoder reranker.checkpoint={t5_encoder}"
    " reranker.fresh_head=false retriever=random",
    "duot5": "reranker=duot5_base reranker.checkpoint={t5} reranker.contract=duot5"
    " reranker.depth=4 retriever=random",
    "duobert": f"reranker=duobert reranker.max_length=64 reranker.depth=4 {FRESH} negatives=random",
    "colbert": "reranker=colbert reranker.checkpoint={colbert} reranker.contract=colbertv2"
    f" {TRAIN} negatives=random",
    "colbert_unstored": "reranker=colbert reranker.checkpoint={colbert} reranker.vectors=none"
    " reranker.contract=colbertv2 retriever=random",
    "causal": "reranker=qwen3_reranker_0_6b reranker.checkpoint={llama}"
    " reranker.contract=qwen3-reranker retriever=random",
    "causal_head": "reranker=rankllama reranker.checkpoint={llama_head} reranker.weights=fp32"
    f" reranker.contract=rankllama {TRAIN} negatives=random",
    "in_batch": "reranker=dual_encoder reranker.checkpoint={sentences} reranker.max_length=24"
    f" {TRAIN} negatives=random",
    "cascade": "reranker=minilm_cascade reranker.stages.fast.reranker.checkpoint={bert}"
    " reranker.stages.accurate.reranker.checkpoint={electra} reranker.stages.accurate.depth=4"
    " reranker.stages.fast.reranker.max_length=16"
    " retriever=random",
    "interpolated": "reranker=interpolated_l6 reranker.reranker.checkpoint={roberta}"
    " retriever=biencoder retriever.checkpoint={sentences}",
}
SCORED = {
    **{"bert": None, "electra": None, "roberta": None, "t5": "monot5", "llama_head": "rankllama"},
    **{"t5_encoder": "rankt5-encoder", "duot5": "duot5", "duobert": None, "colbert": "colbertv2"},
    **{"llama": "qwen3-reranker", "sentences": None},
}
"""Checkpoint -> its contract's name, where none lies beside the weights."""


def make_inputs(folder: Path) -> dict[str, Path]:
    """Write the collection, a file of triples and a checkpoint of every kind; paths by name."""
    from recross.collections.files import write_beir
    from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5, toy_collection

    write_beir(folder / "collection", toy_collection())
    lines = [f"q{n}\td{n}\td{(n * 7 + 3) % 96}\n" for n in range(96) if n % 5 > 1]
    (folder / "collection" / "triples.tsv").write_text("".join(lines))
    into = folder / "checkpoints"
    shutil.rmtree(into, ignore_errors=True)
    found = {kind: save_tiny(into / kind, kind) for kind in ("bert", "electra", "roberta")}
    found["t5"] = found["duot5"] = save_tiny_t5(into / "t5")
    found["t5_encoder"] = save_tiny_t5(into / "t5_encoder", "encoder")
    found["llama"] = save_tiny_llama(into / "llama", max_position_embeddings=9000)
    found["llama_head"] = save_tiny_llama(into / "llama_head", head=True)
    found["colbert"] = save_bare(into / "colbert", linear=True)
    found["bare"] = save_bare(into / "bare")
    found["sentences"] = save_sentences(into / "sentences")
    found["duobert"] = save_tiny(into / "duobert")
    own = {"name": "tiny-duobert", "max_length": 64, "documents": 2}
    save_contract(found["duobert"], kind="Contract", **own)
    return found | {"triples": folder / "collection" / "triples.tsv"}


def save_bare(folder: Path, linear: bool = False) -> Path:
    """A BERT without a head, or with ColBERT's linear layer."""
    import torch
    from safetensors.torch import load_file, save_file

    from tests.conftest import save_tiny

    weights = save_tiny(folder, max_position_embeddings=200) / "model.safetensors"
    state = {name: value for name, value in load_file(weights).items() if name[:5] == "bert."}
    if linear:
        state["linear.weight"] = torch.randn(128, 32, generator=torch.Generator().manual_seed(0))
    save_file(state, weights, {"format": "pt"})
    return folder


def save_sentences(folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    from tests.conftest import save_tiny

    bert = save_tiny(folder.with_name("encoder"), max_position_embeddings=300)
    modules = [Transformer(str(bert), max_seq_length=64), Pooling(32, pooling_mode="mean")]
    SentenceTransformer(modules=modules).save(str(folder))
    save_contract(folder, kind="BiEncoderContract", name="tiny", pooling="mean", max_length=64)
    return folder


def save_contract(folder: Path, **contract: object) -> None:
    (folder / "recross_contract.json").write_text(json.dumps(contract))
