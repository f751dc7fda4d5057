"""A re-ranker made of others: its size, its networks and its base are those of its parts."""

from dataclasses import replace

import pytest
from torch import nn

from recross.command.building import build
from recross.command.composition import compose_values
from recross.rerankers.baselines import BiEncoderScore, FirstStage
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.composed.interpolation import Interpolated
from recross.rerankers.composed.passages import LongDocuments
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.retrieval.biencoder import BiEncoder


class Counted(CrossEncoder):
    """A network of as many parameters as its checkpoint's name says."""

    def load(self):
        layer = nn.Linear(int(self.checkpoint), 1, bias=False)
        layer.check = lambda _: None
        return layer


SEVEN, FIVE = Counted("7"), Counted("5")
MADE = [
    (SEVEN, 7, [SEVEN], "7"),
    (Interpolated(SEVEN), 7, [SEVEN], "7"),
    (LongDocuments(SEVEN), 7, [SEVEN], "7"),
    (Cascade({"a": Stage(SEVEN, 9), "b": Stage(FIVE, 3)}), 12, [SEVEN, FIVE], "7 and 5"),
    (Cascade({"a": Stage(Interpolated(FIVE), 9)}), 5, [FIVE], "5"),
    (Interpolated(Cascade({"a": Stage(FIVE, 9)})), 5, [FIVE], "5"),
    (LongDocuments(Interpolated(SEVEN)), 7, [SEVEN], "7"),
    (FirstStage(), None, [], None),
    (Cascade({"a": Stage(FirstStage(), 9)}), None, [], None),
]


@pytest.mark.parametrize("reranker, size, networks, base", MADE)
def test_what_a_reranker_is_made_of_is_counted_once(reranker, size, networks, base):
    assert reranker.parameters == size
    assert list(reranker.networks()) == networks
    assert reranker.base_checkpoint == base


def test_what_is_made_of_documents_is_that_of_the_parts(collection, tmp_path):
    encoded = BiEncoderScore(BiEncoder("embedded:all-minilm-l6-v2", store=tmp_path))
    (vectors,) = encoded.document_parts(collection)
    two = Cascade({"a": Stage(Interpolated(encoded), 9), "b": Stage(SEVEN, 3)})
    assert [work.identity for work in two.document_parts(collection)] == [vectors.identity]
    late = LateInteraction("colbert", vectors="none")
    for reranker in (LongDocuments(encoded), replace(encoded, stored=False), late, SEVEN):
        assert not reranker.document_parts(collection)


def test_the_first_stage_alone_is_the_one_that_does_not_rerank():
    assert not FirstStage.reranks
    assert all(reranker.reranks for reranker, *_ in MADE[:7])


def test_the_interpolated_option_has_the_size_of_its_network():
    words = ["reranker=interpolated_l6", "reranker@reranker.reranker=embedded_l6"]
    interpolated = build(compose_values("run", words)).reranker
    assert interpolated.parameters == interpolated.reranker.parameters > 10_000_000
