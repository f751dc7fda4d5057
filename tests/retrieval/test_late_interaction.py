"""The exact first stage of late interaction: all documents, all ties, bounded in memory."""

import numpy as np
import pytest

from recross.checkpoints.late_contract import LateInteractionContract
from recross.errors import InputError
from recross.inference.late_interaction.token_vectors import TokenVectors
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.retrieval import late_interaction
from recross.retrieval.late_interaction import LateInteractionSearch, search_by_max_sim
from recross.runs import Run
from tests.inference.late_interaction.multi_vector_folders import save_native
from tests.inference.late_interaction.test_token_vectors import draw, store_vectors


@pytest.mark.parametrize("storage, tolerance", [("fp16", 5e-3), ("int8", 5e-2)])
def test_the_best_documents_are_those_of_a_double_loop(tmp_path, monkeypatch, storage, tolerance):
    monkeypatch.setattr(late_interaction, "TOKENS_AT_ONCE", 17)
    monkeypatch.setattr(late_interaction, "QUERY_VECTORS_AT_ONCE", 9)
    documents = {f"d{n}": draw(n, 1 + n % 7) for n in range(40)}
    documents["d7"] = draw(7, 30)  # longer than a block
    queries = [draw(100 + n, 2 + n % 5) for n in range(7)]
    kept = store_vectors(tmp_path, documents, storage)
    for query, found in zip(queries, search_by_max_sim(kept, queries, 40), strict=True):
        expected = np.array(
            [sum(max(one @ other for other in d) for one in query) for d in documents.values()]
        )
        assert sorted(found.rows.tolist()) == list(range(40))
        np.testing.assert_allclose(found.scores, expected[found.rows], atol=tolerance)
        exact = kept.max_sim(query, [f"d{row}" for row in found.rows])
        np.testing.assert_allclose(found.scores, exact, atol=1e-5)


def test_all_that_tie_with_the_last_one_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(late_interaction, "TOKENS_AT_ONCE", 11)
    documents = {f"d{n}": draw(n, 1 + n % 5) for n in range(30)}
    query = draw(99, 4)
    (best,) = search_by_max_sim(store_vectors(tmp_path / "one", documents), [query], 1)
    for other in ("d2", "d13", "d29"):
        documents[other] = documents[f"d{best.rows[0]}"]
    kept = store_vectors(tmp_path / "same", documents)
    (found,) = search_by_max_sim(kept, [query], 2)
    assert {f"d{row}" for row in found.rows} == {"d2", "d13", "d29", f"d{best.rows[0]}"}
    assert len(set(found.scores.tolist())) == 1
    assert search_by_max_sim(kept, [], 2) == []


def test_it_ranks_as_the_reranker_ranks_every_document(tmp_path, collection):
    folder = str(save_native(tmp_path, document_length=12, query_length=11))
    query_ids = ["q0", "q7", "q20"]
    every = Run.from_scores("all", {q: dict.fromkeys(collection.documents, 0.0) for q in query_ids})
    reranker = LateInteraction(folder, store=tmp_path / "store")
    expected = reranker.rerank(every, collection)
    search = LateInteractionSearch(folder, store=tmp_path / "store")
    token_vectors_before = list((tmp_path / "store" / "token_vectors").iterdir())
    found = search.retrieve(collection, query_ids, 96)
    assert list((tmp_path / "store" / "token_vectors").iterdir()) == token_vectors_before
    for query_id in query_ids:
        scores = dict(expected.rankings[query_id])
        ranking = found.rankings[query_id]
        assert [doc.doc_id for doc in ranking] != sorted(collection.documents)
        np.testing.assert_allclose(
            [doc.score for doc in ranking], [scores[doc.doc_id] for doc in ranking], atol=1e-5
        )
    shallow = search.retrieve(collection, query_ids, 5)
    assert shallow.rankings == found.cut(5).rankings
    lost = expected.cost.cut_documents / len(query_ids)  # counted for each query there
    assert shallow.cost.cut_documents == lost > 0


def test_a_collection_whose_vectors_take_too_much_is_refused_before_it_is_encoded(
    tmp_path, collection, monkeypatch
):
    contract = LateInteractionContract("x", query_marker="", document_marker="", dimension=16)
    folder = str(save_native(tmp_path, document_length=12))
    tokens = 12 * 96  # no document is longer
    room = tokens * 16 * 2 / 1e9
    small = LateInteractionSearch(folder, most_gigabytes=room / 2, store=tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setattr(TokenVectors, "write", None)
        patched.setattr(TokenVectors, "write_part", None)
        with pytest.raises(InputError, match="most_gigabytes must be at least what .* all 96"):
            small.retrieve(collection, ["q0"], 5)
        with pytest.raises(InputError, match="most_gigabytes must be at least what .* all 96"):
            small.document_parts(collection)[0].make(0)
    large = LateInteractionSearch(folder, most_gigabytes=room, store=tmp_path / "store")
    assert len(large.retrieve(collection, ["q0"], 5).rankings["q0"]) == 5
    with pytest.raises(InputError, match=r"most_gigabytes must be positive, got 0"):
        LateInteractionSearch(folder, contract, most_gigabytes=0)
