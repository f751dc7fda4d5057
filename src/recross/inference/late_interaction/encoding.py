"""Documents and queries of late interaction, encoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import torch

from recross.inference.arrival import bring_back
from recross.inference.late_interaction.network import LateInteractionNetwork
from recross.inference.late_interaction.token_vectors import EncodeDocuments, Floats
from recross.inference.network import Forward
from recross.inference.runner import Runner
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware

_DOCUMENTS_AT_ONCE = 5_000
"""Documents tokenised and sorted together when a collection is encoded."""


def encode_query(network: LateInteractionNetwork, query: Sequences, device: torch.device) -> Floats:
    """Encode one query on the network's device, ``(L, dimension)``."""
    with torch.inference_mode():
        batch = network.query_vectors(query.on(device))
    vectors: Floats = batch[0].float().cpu().numpy()
    return vectors


def make_document_encoder(network: LateInteractionNetwork, hardware: Hardware) -> EncodeDocuments:
    """Make what encodes documents with the weights as they are now."""
    runner = Runner(hardware, network, partial(_encoding_on_one_device, hardware=hardware))

    def encode(documents: NumberedTexts) -> Iterator[tuple[Floats, int]]:
        for some in _divide(len(documents)):
            texts = network.document_tokens(documents.take(some))
            vectors: list[Floats] = [np.empty(0, np.float32)] * len(texts)
            for rows, encoded in runner.run(texts):
                for row, of_document in zip(rows, encoded, strict=True):
                    vectors[row] = of_document
            yield from zip(vectors, texts.lost[:, 0].tolist(), strict=True)

    return encode


def count_document_tokens(
    network: LateInteractionNetwork, documents: NumberedTexts
) -> Iterator[tuple[int, int]]:
    """Yield how many documents were looked at, and the tokens that are read of them together."""
    tokens = 0
    for some in _divide(len(documents)):
        tokens += int(network.document_tokens(documents.take(some)).lengths.sum())
        yield int(some[-1]) + 1, tokens


def _divide(count: int) -> Iterator[Ints]:
    for begin in range(0, count, _DOCUMENTS_AT_ONCE):
        yield np.arange(begin, min(begin + _DOCUMENTS_AT_ONCE, count))


def _encoding_on_one_device(
    network: LateInteractionNetwork, hardware: Hardware
) -> partial[Callable[[], list[Floats]]]:
    encode = network.document_encoder(hardware)
    return partial(_encode_batch, network, encode, hardware.device)


def _encode_batch(
    network: LateInteractionNetwork, encode: Forward, device: torch.device, documents: Sequences
) -> Callable[[], list[Floats]]:
    """The vectors of each document of a batch, without those of tokens that are skipped."""
    batch = documents.on(device)
    vectors = bring_back(encode(batch).float())
    is_kept = bring_back(network.is_kept(batch.tokens))
    spans = [slice(*ends) for ends in pairwise(documents.offsets.tolist())]

    def wait() -> list[Floats]:
        every, kept = vectors(), is_kept()
        return [every[span][kept[span]] for span in spans]

    return wait
