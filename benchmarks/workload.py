"""What the benchmarks score: words of a real vocabulary, and random networks of real sizes."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from recross.checkpoints.location import locate

VOCABULARY = "embedded:all-minilm-l6-v2"
SIZES = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 128,
    },
    "l6": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
    "base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
}


def random_checkpoint(folder: Path, size: str, seed: int = 0) -> Path:
    """Save a BERT cross-encoder of random weights with a real WordPiece tokenizer."""
    torch.manual_seed(seed)
    config = BertConfig(vocab_size=30522, num_labels=1, initializer_range=0.05, **SIZES[size])
    config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    model = BertForSequenceClassification(config)
    model.classifier.weight.data *= 15  # scores spread by about 1, as a trained network's do
    model.save_pretrained(folder)
    for path in Path(locate(VOCABULARY)).glob("*token*.json"):
        shutil.copy(path, folder)
    shutil.copy(Path(locate(VOCABULARY)) / "vocab.txt", folder)
    return folder


def documents(count: int, rng: np.random.Generator) -> list[str]:
    """Texts as long as passages: with a query about 93 tokens on average, at most about 260."""
    words = np.clip(rng.lognormal(4.0, 0.55, count), 8, 220).astype(int)
    return [text(size, rng) for size in words]


def queries(count: int, rng: np.random.Generator) -> list[str]:
    """Texts as long as questions: 4 to 10 words."""
    return [text(int(size), rng) for size in rng.integers(4, 11, count)]


def text(words: int, rng: np.random.Generator) -> str:
    """Frequent words more often than rare ones; one in eight is a compound of two."""
    known = _words()
    drawn = (len(known) ** rng.random((words, 2))).astype(int) - 1  # Zipf's law, exponent 1
    compound = rng.random(words) < 1 / 8
    return " ".join(
        known[first] + known[second] if joined else known[first]
        for (first, second), joined in zip(drawn, compound, strict=True)
    )


@cache
def _words() -> list[str]:
    lines = (Path(locate(VOCABULARY)) / "vocab.txt").read_text(encoding="utf-8").split()
    return [line for line in lines if line.isalpha() and line.isascii() and len(line) > 1]
