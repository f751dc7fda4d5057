"""What is trained in ColBERT's own layout is read by MultiVectorEncoder as well."""

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder

from recross.checkpoints.late_contract import LateInteractionContract
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from tests.conftest import save_tiny

QUERIES = ["red cat", "blue owl and more words and more words and more words and more"]
DOCUMENTS = ["here lives a red cat", "here , lives . a blue owl and more words and more words"]


@pytest.mark.parametrize("sees", [False, True])
def test_colberts_own_layout_is_loaded_with_the_same_scores(tmp_path, sees):
    contract = LateInteractionContract("own", 10, 14, dimension=16, attends_to_masks=sees)
    plain = str(save_tiny(tmp_path / "plain"))
    first = LateInteraction(plain, contract=contract, fresh_head=True)
    first.network.finish_training()
    (tmp_path / "trained").mkdir()
    first.network.save(tmp_path / "trained")
    again = LateInteraction(str(tmp_path / "trained"))
    scores = np.array([again.score(query, DOCUMENTS) for query in QUERIES])
    reference = MultiVectorEncoder(str(tmp_path / "trained"), device="cpu")
    expected = reference.similarity(
        reference.encode_query(QUERIES), reference.encode_document(DOCUMENTS)
    )
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-4)
    assert scores.std() > 0.05
