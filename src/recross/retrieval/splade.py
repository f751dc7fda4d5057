"""SPLADE: sparse vectors over the vocabulary from a masked language model, searched exactly.

A text's weight of a term is ``max log(1 + relu(logit))`` over its tokens, special ones included:
SPLADE-max (Formal et al. 2021), as its successors and sentence-transformers' ``SpladePooling``
have it. A score is the product of two such vectors.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recross.checkpoints import pretrained
from recross.checkpoints.loaded import Model, Tokenizer
from recross.collections.collection import Collection
from recross.inference.batches import PackedBatch, find_masked_filler, reads_segments
from recross.inference.encoders.families import find_encoder
from recross.inference.runner import Runner
from recross.inference.sequences import Sequences
from recross.inference.texts.texts import GivenTexts
from recross.inference.tokens import Joiner, text_template
from recross.machine.hardware import Hardware
from recross.parts.bounds import Ge, checked
from recross.parts.identity import READ, handed_over
from recross.records import JsonObject
from recross.retrieval.document_vectors import DOCUMENTS_PER_CHUNK
from recross.retrieval.matches import make_run
from recross.retrieval.retriever import Retriever
from recross.retrieval.sparse_index import SparseIndex
from recross.runs import Run
from recross.store import DEFAULT_STORE, Store, write_json

logger = logging.getLogger(__name__)

"""Documents sorted by length together, and what an interruption loses at most."""

WEIGHTS, DOCUMENTS, STARTS, DOC_IDS = "weights.npy", "documents.npy", "starts.npy", "doc_ids.json"


@dataclass(frozen=True)
@checked
class SPLADE(Retriever):
    """Learned sparse retrieval with a masked language model's checkpoint.

    Queries and documents are encoded alike, each cut to its own number of tokens. Documents are
    encoded once per collection; their weights lie memory-mapped in the store, by term. Documents
    that share no term with the query are not returned, so a ranking may be short.
    """

    checkpoint: str = field(metadata=READ)
    max_length: Annotated[int, Ge(1)] = 256
    max_query_length: Annotated[int, Ge(1)] = 256
    store: Path = handed_over(DEFAULT_STORE)
    hardware: Hardware = handed_over(Hardware())

    @property
    def candidates(self) -> str:
        """What a table calls its rankings."""
        return f"SPLADE {self.checkpoint}"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        """Search the whole collection for each query.

        Raises:
            InputError: a length exceeds the positions of the checkpoint.
        """
        self._check_lengths()
        index, doc_ids = _open_index(self._index_folder(collection))
        texts = [collection.queries[query_id] for query_id in query_ids]
        matches = index.search(self._encoder.encode(texts, self.max_query_length), depth)
        return make_run("splade", doc_ids, zip(query_ids, matches, strict=True), depth)

    @property
    def parameters(self) -> int:
        """The number of parameters of the encoder."""
        return sum(parameter.numel() for parameter in self._encoder.model.parameters())

    @property
    def _encoder(self) -> SparseEncoder:
        return load_sparse_encoder(self.checkpoint, self.hardware)

    def _index_folder(self, collection: Collection) -> Path:
        def make(folder: Path) -> JsonObject:
            encode = partial(self._encoder.encode, max_length=self.max_length)
            return write_index(folder, collection.documents, encode)

        encoder = SPLADE(self.checkpoint, max_length=self.max_length, hardware=self.hardware)
        identity = {"encoder": encoder, "collection": collection.texts_fingerprint}
        return Store(self.store).artefact("sparse", identity, make, resumable=True)

    def _check_lengths(self) -> None:
        model = self._encoder.model
        limits = {"max_length": self.max_length, "max_query_length": self.max_query_length}
        for name, tokens in limits.items():
            find_encoder(model.config).check_positions(model, name, tokens)


@dataclass(frozen=True)
class SparseEncoder:
    """Texts to weights of terms, with the weights of the model as they are at the first call."""

    model: Model
    tokenizer: Tokenizer
    hardware: Hardware

    def encode(self, texts: Sequence[str], max_length: int) -> sparse.csr_array:
        """Weights of all terms, ``(N, terms)``; equal texts are encoded once and stay equal."""
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        joiner = Joiner(self.tokenizer, text_template(self.tokenizer), max_length)
        sequences = joiner.encode_each(GivenTexts(list(rows)))
        batches = list(self._runner.run(sequences))
        if not batches:
            return sparse.csr_array((0, self.model.config.vocab_size), dtype=np.float32)
        order = np.argsort(np.concatenate([numbers for numbers, _ in batches]))
        weights = sparse.vstack([weights for _, weights in batches], format="csr")
        return weights[order[[rows[text] for text in texts]]]

    @cached_property
    def _runner(self) -> Runner[Sequences, sparse.csr_array]:
        return Runner(self.hardware, self.model, self._encoding_on_one_device)

    def _encoding_on_one_device(self, model: Model) -> partial[Callable[[], sparse.csr_array]]:
        device, dtype = self.hardware.device, self.hardware.dtype
        return partial(_encode_batch, model.to(device), device, dtype)


def _encode_batch(
    model: Model, device: torch.device, dtype: torch.dtype, texts: Sequences
) -> Callable[[], sparse.csr_array]:
    """The weights of a batch; how many there are is known when they are, so that they are awaited.

    Few of the vocabulary are present: none but they leave the device.
    """
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        weights = weigh_terms(model, texts.on(device))
    return partial(_take_present, weights)


def _take_present(weights: Tensor) -> sparse.csr_array:
    present = weights > 0
    rows, terms = (numbers.cpu().numpy() for numbers in present.nonzero(as_tuple=True))
    values = weights[present].cpu().numpy()
    return sparse.coo_array((values, (rows, terms)), shape=tuple(weights.shape)).tocsr()


def weigh_terms(model: Model, batch: PackedBatch) -> Tensor:
    """The weight of every term of the vocabulary in each text, ``(B, terms)``."""
    tokens, segments, mask = batch.padded(find_masked_filler(model.config))
    kinds = {"token_type_ids": segments} if reads_segments(model.config) else {}
    logits = model(input_ids=tokens, attention_mask=mask, **kinds).logits  # (B, L, terms)
    logits = logits.masked_fill(mask.unsqueeze(2) == 0, 0)
    highest: Tensor = logits.amax(dim=1)  # log(1 + relu(x)) rises with x: the same before or after
    return highest.float().relu().log1p()


@cache
def load_sparse_encoder(checkpoint: str, hardware: Hardware) -> SparseEncoder:
    """Load a masked language model."""
    loaded = pretrained.load("masked_lm", checkpoint)
    return SparseEncoder(loaded.model, loaded.tokenizer, hardware)


def write_index(
    folder: Path,
    documents: Mapping[str, str],
    encode: Callable[[Sequence[str]], sparse.csr_array],
) -> JsonObject:
    """Encode documents chunk by chunk, after those an interruption left; turn them into an index.

    Only one chunk is in memory while texts are encoded; all weights are when they are sorted by
    term. Returns entries for the manifest.
    """
    texts = iter(documents.values())
    chunks: list[Path] = []
    while chunk := list(islice(texts, DOCUMENTS_PER_CHUNK)):
        chunks.append(folder / f"chunk_{len(chunks)}.npz")
        if not chunks[-1].is_file():
            _save_whole(chunks[-1], encode(chunk))
        logger.info("splade: %d chunks of %d documents encoded", len(chunks), DOCUMENTS_PER_CHUNK)
    weights = sparse.vstack([sparse.load_npz(path) for path in chunks], format="csr")
    by_term = weights.T.tocsr()  # (terms, documents)
    for name, values in zip(
        (WEIGHTS, DOCUMENTS, STARTS), (by_term.data, by_term.indices, by_term.indptr), strict=True
    ):
        np.save(folder / name, values)
    write_json(folder / DOC_IDS, list(documents))
    for path in chunks:
        path.unlink()
    return {"documents": len(documents), "weights": int(by_term.nnz)}


def _save_whole(path: Path, weights: sparse.csr_array) -> None:
    """Save a chunk that is on the disk before it has its name."""
    partial_file = path.with_suffix(".partial")
    with partial_file.open("wb") as file:
        sparse.save_npz(file, weights)
        file.flush()
        os.fsync(file.fileno())
    partial_file.replace(path)


@cache
def _open_index(folder: Path) -> tuple[SparseIndex, list[str]]:
    doc_ids = json.loads((folder / DOC_IDS).read_text(encoding="utf-8"))
    values, documents, starts = (
        np.load(folder / name, mmap_mode="r") for name in (WEIGHTS, DOCUMENTS, STARTS)
    )
    shape = (len(starts) - 1, len(doc_ids))
    return SparseIndex(sparse.csr_array((values, documents, starts), shape=shape)), doc_ids
