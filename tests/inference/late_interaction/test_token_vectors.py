"""Token vectors on disk: written chunk by chunk, and whole after an interruption."""

import numpy as np
import pytest

from recross.inference.late_interaction import token_vectors
from recross.inference.late_interaction.token_vectors import TokenVectors
from recross.inference.texts.texts import NamedTexts
from recross.store import Store

DIMENSION = 6


def draw(seed, length):
    vectors = np.random.default_rng(seed).normal(size=(length, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def store_vectors(folder, of_documents, storage="fp16"):
    """Token vectors of documents by id, as they lie in the store."""
    ids = list(of_documents)
    texts = NamedTexts({name: name for name in ids}, ids)

    def encode(some):
        return ((of_documents[name], 0) for name in some.strings())

    def make(path):
        return TokenVectors.write(path, texts, ids, encode, storage)

    return TokenVectors.open(Store(folder).artefact("token_vectors", {"x": storage}, make))


def test_an_interrupted_encoding_goes_on_at_its_last_finished_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(token_vectors, "DOCUMENTS_AT_A_TIME", 5)
    documents = {f"d{n}": draw(n, 1 + n % 7) for n in range(23)}
    ids, texts = list(documents), NamedTexts({name: name for name in documents}, list(documents))
    seen = []

    def write(storage, dies_at=None):
        def encode(some):
            for name in some.strings():
                if name == dies_at:
                    raise KeyboardInterrupt
                seen.append(name)
                yield documents[name], len(name)

        def make(path):
            return TokenVectors.write(path, texts, ids, encode, storage)

        store = Store(tmp_path / "interrupted")
        return TokenVectors.open(store.artefact("v", {"x": storage}, make, resumable=True))

    for storage in ("fp16", "int8"):
        with pytest.raises(KeyboardInterrupt):
            write(storage, dies_at="d12")
        assert seen == ids[:12]
        seen.clear()
        found = write(storage)
        assert seen == ids[10:]
        seen.clear()
        whole = store_vectors(tmp_path / "whole", documents, storage)
        np.testing.assert_array_equal(found.vectors, whole.vectors)
        np.testing.assert_array_equal(found.offsets, whole.offsets)
        assert found.cuts.tolist() == [len(name) for name in ids]
        assert (found.scales is None) == (storage == "fp16")
        if found.scales is not None:
            np.testing.assert_array_equal(found.scales, whole.scales)
