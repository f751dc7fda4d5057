"""Token vectors on disk: written chunk by chunk, and whole after an interruption."""

import numpy as np
import pytest

from recross.inference.late_interaction.token_vectors import TokenVectors
from recross.inference.texts.texts import NamedTexts
from recross.sharing.document_parts import DocumentParts
from recross.store import Store

DIMENSION = 6


def draw(seed, length):
    vectors = np.random.default_rng(seed).normal(size=(length, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Encoder:
    """Gives each document its vectors, one cut token for each letter of its id, until it dies."""

    def __init__(self, of_documents, dies_at=None):
        self.of_documents, self.dies_at, self.seen = of_documents, dies_at, []

    def __call__(self, some):
        for name in some.strings():
            if name == self.dies_at:
                raise KeyboardInterrupt
            self.seen.append(name)
            yield self.of_documents[name], len(name)


def name_texts(ids):
    return NamedTexts({name: name for name in ids}, ids)


def make_parts(folder, encode, storage="fp16", size=5):
    """Parts of the documents of an encoder, which lie in a store."""
    ids = list(encode.of_documents)

    def make(span, path):
        own = ids[span.start : span.stop]
        return TokenVectors.write_part(path, name_texts(own), own, encode, storage)

    identity = {"x": storage}
    return DocumentParts(Store(folder), "token_vectors", identity, len(ids), size, make)


def put_together(parts, encode, storage="fp16"):
    ids = list(encode.of_documents)

    def make(path):
        return TokenVectors.write(path, name_texts(ids), ids, encode, storage, parts)

    return TokenVectors.open(parts.join(make))


def store_vectors(folder, of_documents, storage="fp16"):
    """Token vectors of documents by id, as they lie in the store."""
    encode = Encoder(of_documents)
    return put_together(make_parts(folder, encode, storage), encode, storage)


def check_equal(found, whole):
    np.testing.assert_array_equal(found.vectors, whole.vectors)
    np.testing.assert_array_equal(found.offsets, whole.offsets)
    np.testing.assert_array_equal(found.cuts, whole.cuts)
    assert found.rows == whole.rows
    assert (found.scales is None) == (whole.scales is None)
    if found.scales is not None:
        np.testing.assert_array_equal(found.scales, whole.scales)


DOCUMENTS = {f"d{n}": draw(n, 1 + n % 7) for n in range(23)}
IDS = list(DOCUMENTS)


@pytest.mark.parametrize("storage", ["fp16", "int8"])
def test_an_interrupted_encoding_goes_on_at_its_last_finished_chunk(tmp_path, storage):
    first, second = Encoder(DOCUMENTS, dies_at="d12"), Encoder(DOCUMENTS)
    with pytest.raises(KeyboardInterrupt):
        put_together(make_parts(tmp_path, first, storage), first, storage)
    assert first.seen == IDS[:12]
    found = put_together(make_parts(tmp_path, second, storage), second, storage)
    assert second.seen == IDS[10:]
    check_equal(found, store_vectors(tmp_path / "whole", DOCUMENTS, storage))
    assert found.cuts.tolist() == [len(name) for name in IDS]
    assert (found.scales is None) == (storage == "fp16")


@pytest.mark.parametrize("storage", ["fp16", "int8"])
def test_what_others_encoded_is_put_together_and_deleted(tmp_path, storage):
    parts = make_parts(tmp_path, Encoder(DOCUMENTS), storage)
    for number in (4, 0, 2):  # in any order, and not all
        assert parts.make_if_free(number)
    here = Encoder(DOCUMENTS)
    found = put_together(parts, here, storage)
    assert here.seen == [*IDS[5:10], *IDS[15:20]]
    check_equal(found, store_vectors(tmp_path / "whole", DOCUMENTS, storage))
    assert not list(tmp_path.glob("token_vectors_parts/[!.]*"))
    assert all(map(parts.is_finished, range(5)))  # nobody begins again


def test_a_damaged_part_is_encoded_again_and_said(tmp_path, caplog):
    parts = make_parts(tmp_path, Encoder(DOCUMENTS))
    for number in range(5):
        parts.make(number)
    path = parts.find(3) / "vectors.bin"
    path.write_bytes(bytes(path.stat().st_size))
    here = Encoder(DOCUMENTS)
    found = put_together(parts, here)
    assert here.seen == IDS[15:20]
    assert "vectors.bin is not what was written; not used" in caplog.text
    check_equal(found, store_vectors(tmp_path / "whole", DOCUMENTS))


def test_an_encoding_in_chunks_of_another_size_goes_on_within_a_part(tmp_path):
    first, second = Encoder(DOCUMENTS, dies_at="d12"), Encoder(DOCUMENTS)
    with pytest.raises(KeyboardInterrupt):
        put_together(make_parts(tmp_path, first, size=5), first)
    parts = make_parts(tmp_path, Encoder(DOCUMENTS), size=4)
    parts.make(2)  # of which two documents are written already
    parts.make(3)
    found = put_together(parts, second)
    assert second.seen == [*IDS[10:12], *IDS[16:]]
    check_equal(found, store_vectors(tmp_path / "whole", DOCUMENTS))
