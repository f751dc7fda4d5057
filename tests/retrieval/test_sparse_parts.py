"""Posting lists that are put together from parts, also of texts that have no weight at all."""

import numpy as np
from scipy import sparse

from recross.artefacts.manifest import read_sealed
from recross.retrieval.sparse_encoder import WeighedTexts
from recross.retrieval.sparse_parts import join_parts, open_index, write_part
from recross.sharing.document_parts import DocumentParts
from recross.store import Store

WEIGHTS = np.array([[0, 2, 0], [1, 0, 3], [0, 0, 0], [4, 5, 0], [0, 6, 0]], dtype=np.float32)


def join(folder, weights):
    def weigh(texts):
        rows = [int(text) for text in texts]
        lost = np.array(rows) % 2
        return WeighedTexts(sparse.csr_array(weights[rows]), lost + 1, lost)

    def make(span, path):
        return write_part(path, [str(number) for number in span], weigh)

    parts = DocumentParts(Store(folder), "sparse", {}, len(weights), 2, make)
    doc_ids = [f"d{number}" for number in range(len(weights))]
    return parts.join(lambda path: join_parts(path, parts, doc_ids))


def test_every_weight_stands_in_the_list_of_its_term(tmp_path):
    folder = join(tmp_path, WEIGHTS)
    index, doc_ids = open_index(folder)
    assert (index.weights.toarray() == WEIGHTS.T).all()
    assert index.weights.has_sorted_indices
    assert doc_ids == ["d0", "d1", "d2", "d3", "d4"]
    facts = read_sealed(folder)
    assert (facts["documents"], facts["weights"]) == (5, 6)
    assert (facts["cut_documents"], facts["cut_tokens"], facts["tokens"]) == (2, 2, 7)


def test_documents_without_any_weight_are_found_by_nobody(tmp_path):
    index, doc_ids = open_index(join(tmp_path, WEIGHTS * 0))
    assert len(doc_ids) == 5
    (found,) = index.search(sparse.csr_array(np.ones((1, 3), np.float32)), 3)
    assert len(found.rows) == 0
