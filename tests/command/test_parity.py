"""A served model beside a local one: the same, in another form, or asked otherwise."""

import csv
import math

import numpy as np
import pytest

from recross.checkpoints.contracts import PromptContract
from recross.command.cli import main
from recross.command.parity import choose_pairs, list_other_templates, probe, read_pairs
from recross.errors import InputError
from recross.rerankers.causal import CausalReranker
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.served.dialects import TeiRerank
from recross.rerankers.served.served import ServedReranker
from tests.conftest import save_tiny, save_tiny_llama
from tests.score_stub import ScoreStub

COLOURS = ["red", "blue", "green", "white", "black"]
ANIMALS = ["cat", "dog", "owl", "fox", "bee"]
PAIRS = [
    (f"{colour} {animal}", f"here lives a {shown} {animal} and more words " + "and more " * number)
    for number, (colour, animal) in enumerate(zip(COLOURS, ANIMALS, strict=True))
    for shown in (colour, "pink")
]


@pytest.fixture
def serve():
    stubs = []

    def start(score):
        stubs.append(ScoreStub(score))
        return stubs[-1]

    yield start
    for stub in stubs:
        stub.close()


@pytest.fixture
def pairs_file(tmp_path):
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("query", "document"), *PAIRS])
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama") / "llama"
    return save_tiny_llama(folder, max_position_embeddings=9000)


def one(reranker):
    return lambda query, document: float(reranker.predict([(query, document)])[0])


def words(stub, folder, pairs_file):
    return [
        *("parity", f"reranker.base_url={stub.url}", "reranker.model=some/model"),
        *("--against", str(folder), "--pairs", str(pairs_file)),
    ]


def test_the_same_model_agrees_and_the_command_ends_with_0(serve, tiny, pairs_file, capsys):
    stub = serve(one(CrossEncoder(str(tiny))))
    assert main(words(stub, tiny, pairs_file)) == 0
    said = capsys.readouterr().out
    assert "They agree: theirs = ours, to 0.00% of the range" in said
    assert said.count("here lives") == 10
    assert {path for path, _ in stub.requests} == {"/score"}


def test_the_logits_of_the_same_probabilities_agree(serve, tiny, pairs_file, capsys):
    probability = one(CrossEncoder(str(tiny)))

    def logit(query, document):
        p = probability(query, document)
        return math.log(p / (1 - p))

    stub = serve(logit)
    command = words(stub, tiny, pairs_file)
    assert main([*command, "dialect@reranker.dialect=rerank_v2"]) == 0
    assert "theirs = logit(ours)" in capsys.readouterr().out
    assert {path for path, _ in stub.requests} == {"/v2/rerank"}


def test_the_contract_of_the_local_model_may_be_named(serve, llama, pairs_file, capsys):
    stub = serve(one(CausalReranker(str(llama), contract="qwen3-reranker")))
    command = words(stub, llama, pairs_file)
    assert main([*command, "--contract", "qwen3-reranker", "--tolerance", "0.001"]) == 0
    assert "theirs = ours" in capsys.readouterr().out


def test_another_model_disagrees_and_the_command_ends_with_1(serve, tiny, pairs_file, capsys):
    stub = serve(lambda query, document: math.sin(len(query) * 7 + len(document)))
    assert main(words(stub, tiny, pairs_file)) == 1
    said = capsys.readouterr().out
    assert "They disagree" in said
    assert "document and query exchanged" in said


def test_exchanged_texts_are_found(serve, tiny):
    local = CrossEncoder(str(tiny))
    stub = serve(lambda query, document: float(local.predict([(document, query)])[0]))
    served = ServedReranker(stub.url, "some/model", TeiRerank())
    found = probe(served, local, PAIRS, 0.001)
    assert not found.agreement.agrees
    assert [(c.asked, c.agreement.formula) for c in found.candidates] == [
        ("document and query exchanged", "ours")
    ]


OWN = PromptContract(
    "own",
    "<|im_start|>{instruction} query: {query} document: {document}<|im_end|>",
    "log_softmax",
    ("no", "yes"),
    add_eos=False,
    max_length=256,
    instruction="find",
)


@pytest.mark.parametrize(
    "asked", ["template of monot5", "its template without what stands after the texts"]
)
def test_the_template_that_the_server_has_is_named_first(serve, llama, asked):
    local = CausalReranker(str(llama), contract=OWN)
    logits = one(dict(list_other_templates(local))[asked])
    stub = serve(lambda query, document: math.exp(logits(query, document)))
    found = probe(ServedReranker(stub.url, "some/model", TeiRerank()), local, PAIRS, 0.001)
    assert not found.agreement.agrees
    best, second = found.candidates[:2]
    assert (best.asked, best.agreement.formula) == (asked, "exp(ours)")
    assert not second.agreement.agrees


def test_a_way_of_asking_under_which_all_pairs_score_alike_is_left_out(serve, tiny):
    class OfQueryOnly(CrossEncoder):
        """Reads the length of the query; of exchanged pairs that of nothing."""

        def predict(self, pairs):
            return np.array([len(query) if len(query) < 12 else 1.0 for query, _ in pairs])

    stub = serve(lambda _, document: -len(document))
    served = ServedReranker(stub.url, "some/model", TeiRerank())
    assert probe(served, OfQueryOnly(str(tiny)), PAIRS, 0.01).candidates == []


def test_pairs_come_from_a_file_that_has_both_columns(pairs_file, tmp_path):
    assert read_pairs(pairs_file) == PAIRS
    (tmp_path / "wrong.csv").write_text("query,text\na,b\n")
    with pytest.raises(InputError, match="must have the columns query, document"):
        read_pairs(tmp_path / "wrong.csv")


def test_the_built_in_pairs_are_ten_of_the_embedded_collection(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pairs = choose_pairs()
    assert len(set(pairs)) == 10
    assert len({query for query, _ in pairs}) == len({document for _, document in pairs}) == 5


def test_what_scores_no_pairs_is_refused(tiny, pairs_file, caplog):
    given = ["--against", str(tiny), "--pairs", str(pairs_file)]
    assert main(["parity", "reranker=oracle", *given]) == 2
    assert "reranker must score pairs, got Oracle" in caplog.text
    assert main(["parity", *given]) == 2  # no address
