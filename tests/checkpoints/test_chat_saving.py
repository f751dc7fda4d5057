"""What is saved of a causal re-ranker gives the same scores in sentence-transformers."""

from dataclasses import replace

import numpy as np
import pytest

from recross.checkpoints.chat_layout import read_chat_contract
from recross.checkpoints.chat_saving import can_be_laid_out
from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.published import find_contract
from recross.command.loading import load_reranker
from recross.errors import InputError
from recross.rerankers.causal import CausalReranker
from recross.rerankers.cross_encoder import CrossEncoder
from tests.checkpoints.test_chat_layout import PAIRS, their_scores
from tests.conftest import save_tiny_llama

OWN = PromptContract(
    "own", 'It\'s "{{x}}"\n\\n {document}\t{query}', "margin", ("no", "yes"), add_eos=False
)
CONTRACTS = [
    OWN,
    replace(OWN, read_out="sigmoid", add_eos=True),
    replace(OWN, read_out="logit", pieces=("yes",), stripped=True),
    replace(OWN, prefix="<s>{", suffix="}\n"),
    replace(OWN, template="{query} {{{instruction}}} {document}", instruction='be "{kind}"\n'),
    find_contract("qwen3-reranker"),
]


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("kind", ["Llama", "Qwen3"])
def test_scores_are_read_by_sentence_transformers_as_here(tmp_path, contract, kind):
    base = save_tiny_llama(tmp_path / "base", kind=kind)
    reranker = CausalReranker(str(base), contract=contract, max_length=1024)
    reranker.network.save(tmp_path / "saved")
    found = reranker.predict(PAIRS)
    assert np.std(found) > 1e-3
    np.testing.assert_allclose(their_scores(tmp_path / "saved"), found, atol=1e-4)
    again = CausalReranker(str(tmp_path / "saved"))
    np.testing.assert_allclose(again.predict(PAIRS), found, atol=1e-5)
    (tmp_path / "saved" / "recross_contract.json").unlink()  # as the library itself leaves it
    own = CausalReranker(str(tmp_path / "saved"))
    np.testing.assert_allclose(own.predict(PAIRS), found, atol=1e-4)


@pytest.mark.parametrize(
    "contract", [find_contract("rankllama"), replace(OWN, read_out="sigmoid", pieces=())]
)
def test_a_linear_head_is_read_by_sentence_transformers_as_here(tmp_path, contract):
    base = save_tiny_llama(tmp_path / "base", head=True)
    reranker = CausalReranker(str(base), contract=contract)
    reranker.network.save(tmp_path / "saved")
    found = reranker.predict(PAIRS)
    np.testing.assert_allclose(their_scores(tmp_path / "saved"), found, atol=1e-4)
    again = CausalReranker(str(tmp_path / "saved"))
    np.testing.assert_allclose(again.predict(PAIRS), found, atol=1e-5)
    (tmp_path / "saved" / "recross_contract.json").unlink()
    own = load_reranker(tmp_path / "saved")
    assert isinstance(own, CausalReranker)
    np.testing.assert_allclose(own.predict(PAIRS), found, atol=1e-4)
    with pytest.raises(InputError, match="asks by a chat template, not by pairs"):
        CrossEncoder(str(tmp_path / "saved")).check_trained()


@pytest.mark.parametrize(
    "contract",
    [
        replace(OWN, temperature=2.0),
        replace(OWN, rounded=True),
        replace(OWN, framed=True),
        replace(OWN, read_out="expected_value"),
        replace(OWN, read_out="log_softmax", pieces=("a", "b", "c")),
        find_contract("mxbai-rerank-v2"),
    ],
)
def test_what_that_library_cannot_read_is_saved_without_its_files(tmp_path, contract):
    assert not can_be_laid_out(contract)
    base = save_tiny_llama(tmp_path / "base")
    CausalReranker(str(base), contract=contract).network.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "modules.json").exists()
    assert read_chat_contract(str(tmp_path / "saved")) is None
    assert CausalReranker(str(tmp_path / "saved")).network.contract == contract
