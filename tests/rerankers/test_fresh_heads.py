"""A head that was drawn and never trained scores nothing: its order would be random."""

import pytest
from safetensors.torch import load_file, save_file

from recross import load_reranker
from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.late_contract import LateInteractionContract
from recross.command.cli import main
from recross.errors import InputError
from recross.rerankers.causal import CausalReranker
from recross.rerankers.comparing.duo import DuoBERT
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.rerankers.t5 import T5Reranker
from recross.runs import Run
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5, toy_collection

REFUSED = "reranker must be trained before it scores: .* has a freshly drawn head; train it"
COLBERT = LateInteractionContract(
    "small", 8, 16, query_marker="[unused0]", document_marker="[unused1]", dimension=16
)
HEAD = PromptContract("head", "query: {query} document: {document}", "head", pieces=())
ANSWERS = PromptContract("yes-no", "{query} {document}", "log_softmax", pieces=("false", "true"))


def without_head(folder, *heads):
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith(heads)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    return str(folder)


def bert(folder):
    return without_head(save_tiny(folder), "classifier")


FRESH = {
    "cross-encoder": lambda f: CrossEncoder(bert(f), fresh_head=True),
    "duobert": lambda f: DuoBERT(bert(f), fresh_head=True, depth=2),
    "colbert": lambda f: LateInteraction(bert(f), contract=COLBERT, fresh_head=True, store=f),
    "colbert unstored": lambda f: LateInteraction(
        bert(f), contract=COLBERT, fresh_head=True, vectors="none"
    ),
    "grown t5": lambda f: T5Reranker(bert(f), contract=ANSWERS, grown_layers=2),
    "t5 encoder": lambda f: T5Reranker(
        str(save_tiny_t5(f)), contract="rankt5-encoder", fresh_head=True
    ),
    "causal": lambda f: CausalReranker(str(save_tiny_llama(f)), contract=HEAD, fresh_head=True),
}


@pytest.mark.parametrize("kind", FRESH)
def test_no_kind_of_network_scores_before_it_is_trained(kind, tmp_path):
    reranker = FRESH[kind](tmp_path)
    collection = toy_collection()
    candidates = Run.from_scores("given", {"q0": {"d0": 1.0, "d1": 0.5}})
    with pytest.raises(InputError, match=REFUSED):
        reranker.score("red cat", ["here lives a red cat", "a dog"])
    with pytest.raises(InputError, match=REFUSED):
        reranker.rerank(candidates, collection)
    reranker.network.finish_training()
    assert reranker.rerank(candidates, collection).doc_ids("q0")


def test_predict_and_the_shipped_options_refuse_too():
    with pytest.raises(InputError, match="embedded:all-minilm-l6-v2 has a freshly drawn head"):
        load_reranker("embedded_l2").predict([("a", "b")])


def test_a_checkpoint_that_has_its_head_scores_whatever_was_allowed(tmp_path):
    reranker = CrossEncoder(str(save_tiny(tmp_path)), fresh_head=True)
    assert len(reranker.score("red cat", ["a red cat", "a dog"])) == 2


@pytest.fixture
def words(beir_folder, tmp_path):
    shared = ["collection=files", f"collection.folder={beir_folder}", f"output={tmp_path / 'out'}"]
    return [*shared, "reranker.fresh_head=true", f"reranker.checkpoint={bert(tmp_path / 'bert')}"]


def test_the_command_rerank_refuses_before_it_reads_anything(words, tmp_path, caplog):
    (tmp_path / "nothing.trec").write_text("no run at all")
    given = ["reranker=cross_encoder", f"candidates={tmp_path / 'nothing.trec'}"]
    assert main(["rerank", *words, *given]) == 2
    assert "reranker must be trained before it scores" in caplog.text


def test_a_run_without_training_is_refused_before_retrieval(words, tmp_path, caplog):
    given = ["reranker=cross_encoder", "retriever=bm25", "training=none"]
    assert main(["run", *words, *given, f"store={tmp_path / 'store'}"]) == 2
    assert "reranker must be trained before it scores" in caplog.text
    assert not (tmp_path / "store").exists()


def test_a_re_ranker_that_holds_one_and_is_not_trained_is_refused(words, caplog):
    inner = ["reranker@reranker.reranker=cross_encoder", "retriever=bm25"]
    moved = [word.replace("reranker.", "reranker.reranker.") for word in words]
    assert main(["run", *moved, *inner, "reranker=interpolated_l6", "training=smoke"]) == 2
    assert "reranker must be trained before it scores" in caplog.text


def test_an_untrained_teacher_is_refused(words, caplog):
    moved = [word.replace("reranker.", "teacher.reranker.") for word in words]
    given = ["reranker=embedded_l2", "loss=kl", "teacher=reranker", "training=smoke"]
    given += ["reranker@teacher.reranker=cross_encoder", "retriever=bm25"]
    assert main(["run", *moved, *given]) == 2
    assert "reranker must be trained before it scores" in caplog.text
