"""What `gpu.py` scores: networks of real sizes, random weights, passages of a made-up tongue.

Nothing is downloaded: the vocabulary is made of syllables, as large as BERT's, and one word in
eight is made of two, so that tokens per word are as in English.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from recross.checkpoints.contracts import ClassifierContract, PromptContract
from recross.collections.collection import Collection
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.reranker import NetworkReranker
from recross.rerankers.t5 import T5Reranker
from recross.runs import Run

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁true", "▁false", "query", "document"]
SPECIAL += ["relevant", "true", "false", ":", "one", "two", "three", "a", "b"]
VOCABULARY = 30_522
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
CLASSIFIER = ClassifierContract("benchmark", "logit", 512)
PROMPT = PromptContract(
    "benchmark",
    "query : {query} document : {document} relevant :",
    "log_softmax",
    ("▁false", "▁true"),
    precisions=("fp32", "bf16"),
)


@dataclass(frozen=True)
class Size:
    """A network: its class and settings, and what one token costs in a layer."""

    kind: str
    layers: int
    width: int
    heads: int
    feed_forward: int
    gates: bool = False
    reads_first: bool = True

    def config(self) -> Any:
        """Return the configuration of transformers."""
        shared = {"vocab_size": VOCABULARY, "pad_token_id": 0}
        if self.kind == "T5":
            return transformers.T5Config(
                **shared, d_model=self.width, d_kv=self.width // self.heads,
                d_ff=self.feed_forward, num_layers=self.layers, num_heads=self.heads,
                decoder_start_token_id=0,
            )  # fmt: skip
        own = {"initializer_range": 0.05} if self.kind == "Bert" else {}
        if self.kind == "ModernBert":
            names = ("bos_token_id", "cls_token_id", "sep_token_id", "eos_token_id")
            own = dict(zip(names, (2, 2, 3, 3), strict=True)) | {"local_attention": 128}
        return getattr(transformers, f"{self.kind}Config")(
            **shared, hidden_size=self.width, num_hidden_layers=self.layers,
            num_attention_heads=self.heads, intermediate_size=self.feed_forward, num_labels=1,
            max_position_embeddings=512, **own,
        )  # fmt: skip

    def flops(self, lengths: np.ndarray) -> float:
        """Operations of products and of attention; of a last layer that reads first tokens less."""
        width, per_token = self.width, 2 * (3 if self.gates else 2) * self.width * self.feed_forward
        whole = lengths * (8 * width**2 + per_token) + 4 * lengths**2 * width
        last = lengths * 4 * width**2 if self.reads_first else whole
        return float(((self.layers - 1) * whole + last).sum())


SIZES: Mapping[str, Size] = {
    "MiniLM-L6": Size("Bert", 6, 384, 12, 1536),
    "MiniLM-L12": Size("Bert", 12, 384, 12, 1536),
    "BERT-base": Size("Bert", 12, 768, 12, 3072),
    "BERT-large": Size("Bert", 24, 1024, 16, 4096),
    "ModernBERT-base": Size("ModernBert", 22, 768, 12, 1152, gates=True),
    "t5-base": Size("T5", 12, 768, 12, 3072, reads_first=False),
}
TINY: Mapping[str, Size] = {
    "MiniLM-L6": Size("Bert", 2, 32, 4, 64),
    "ModernBERT-base": Size("ModernBert", 3, 32, 4, 48, gates=True),
    "t5-base": Size("T5", 2, 32, 4, 64, reads_first=False),
}


def list_words() -> list[str]:
    """Words of two or three syllables, the same ones every time."""
    twos = [first + second for first in SYLLABLES for second in SYLLABLES]
    threes = (two + last for two in twos for last in SYLLABLES)
    pieces = VOCABULARY - len(SPECIAL)
    return twos + [next(threes) for _ in range(pieces // 2 - len(twos))]


def save_checkpoint(folder: Path, size: Size) -> Path:
    """Save a network of random weights, and a WordPiece tokenizer."""
    words = list_words()
    vocabulary = [*SPECIAL, *words, *(f"##{word}" for word in words)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512)
    torch.manual_seed(0)
    suffix = "ConditionalGeneration" if size.kind == "T5" else "SequenceClassification"
    model = getattr(transformers, f"{size.kind}For{suffix}")(size.config())
    if size.kind != "T5":
        model.classifier.weight.data *= 15  # scores spread by about 1, as a trained network's do
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def open_reranker(folder: Path, size: Size, hardware: Hardware, store: Path) -> NetworkReranker:
    """Open the checkpoint as a re-ranker on some hardware."""
    session = Session(hardware, store)
    kinds: dict[str, Callable[[], NetworkReranker]] = {
        "T5": lambda: T5Reranker(str(folder), contract=PROMPT, hardware=hardware, store=store)
    }
    return session.over(
        kinds.get(size.kind, lambda: CrossEncoder(str(folder), contract=CLASSIFIER))()
    )


def make_collection(documents: int, queries: int, seed: int = 0) -> Collection:
    """Passages of 60 words on average, at most 220, and questions of 4 to 10 words."""
    rng = np.random.default_rng(seed)
    sizes = np.clip(rng.lognormal(4.0, 0.55, documents), 8, 220).astype(int)
    passages, asked = write_texts(sizes, rng), write_texts(rng.integers(4, 11, queries), rng)
    return Collection(
        "made-up",
        {f"d{number}": text for number, text in enumerate(passages)},
        {f"q{number}": text for number, text in enumerate(asked)},
        {"all": [f"q{number}" for number in range(queries)]},
        {"all": {f"q{number}": {f"d{number}": 1} for number in range(queries)}},
        f"made-up {documents} {queries} {seed}",
    )


def write_texts(sizes: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Texts of so many words: frequent ones more often than rare ones (Zipf's law)."""
    words = np.array(list_words(), dtype=object)
    drawn = (len(words) ** rng.random((int(sizes.sum()), 2))).astype(int) - 1
    compound = rng.random(len(drawn)) < 1 / 8
    written = np.where(compound, words[drawn[:, 0]] + words[drawn[:, 1]], words[drawn[:, 0]])
    return [" ".join(part) for part in np.split(written, sizes.cumsum()[:-1])]


def draw_candidates(collection: Collection, queries: int, depth: int, seed: int) -> Run:
    """For some queries, some documents."""
    rng = np.random.default_rng(seed)
    asked, known = list(collection.queries), list(collection.documents)
    rankings = {}
    for query in rng.choice(len(asked), queries, replace=False):
        drawn = rng.choice(len(known), depth, replace=False)
        rankings[asked[query]] = {known[d]: -float(place) for place, d in enumerate(drawn)}
    return Run.from_scores(f"drawn {seed}", rankings)
