"""Where parts run is handed over to them, and says itself what of it changes their scores."""

from pathlib import Path

import pytest

from recross.command.building import build
from recross.command.composition import compose_values
from recross.errors import ConfigError
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.negatives.ranked import RankWindow
from recross.parts.identity import fingerprint
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.bm25 import BM25

COMPILED = Session(Hardware(backend="torch_compile", threads=1), Path("elsewhere"))


def cascade() -> Cascade:
    return Cascade({"first": Stage(CrossEncoder("a"), 10), "then": Stage(CrossEncoder("b"), 5)})


def test_every_part_within_a_part_works_in_the_session(tmp_path):
    session = Session(Hardware(threads=1), tmp_path, ScoreCache(tmp_path / "scores"))
    placed = session.over(cascade())
    assert [stage.reranker.session for stage in placed.stages.values()] == [session] * 2
    assert cascade().stages["first"].reranker.cache is None


def test_a_part_that_needs_nothing_of_the_session_is_returned_as_it_is():
    part = Hardware()
    assert COMPILED.over(part) is part


@pytest.mark.parametrize(
    "part",
    [BiEncoder("x"), CrossEncoder("x"), cascade(), RankWindow(source=BiEncoder("x"))],
    ids=["bi-encoder", "cross-encoder", "cascade", "negatives of a bi-encoder"],
)
def test_what_changes_scores_changes_the_fingerprint_of_all_that_is_made_from_them(part):
    assert fingerprint(COMPILED.over(part)) != fingerprint(Session().over(part))


def test_what_changes_no_score_changes_no_fingerprint(tmp_path):
    moved = Session(Hardware(threads=1, tokens_per_batch=7), tmp_path, ScoreCache(tmp_path))
    for part in (BiEncoder("x"), cascade()):
        assert fingerprint(moved.over(part)) == fingerprint(Session().over(part))
    assert fingerprint(COMPILED.over(BM25())) == fingerprint(Session().over(BM25()))


def test_a_config_cannot_give_what_the_session_hands_over():
    values = compose_values("run", ["retriever=bm25", "reranker=none", "+retriever.store=x"])
    with pytest.raises(ConfigError, match=r"retriever\.store: unknown"):
        build(values)


def test_an_experiment_hands_its_hardware_and_its_store_to_all_of_its_parts():
    words = ["retriever=hybrid", "negatives=biencoder", "hardware.threads=1", "output=there"]
    experiment = build(compose_values("run", words))
    fused = experiment.retriever.retrievers.values()
    stores = {experiment.collection.store, *(part.store for part in fused)}
    assert stores == {Path("there/store")}
    assert experiment.training_data.negatives.source.hardware.threads == 1
    assert experiment.reranker.cache is experiment.cache
