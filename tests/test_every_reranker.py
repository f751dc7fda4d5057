"""Every option of ``reranker`` runs end to end, on tiny checkpoints of the real classes."""

import json

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from recross.checkpoints.published import find_published
from recross.command.catalogue import find_config_folder, list_options
from recross.command.cli import main
from recross.command.composition import compose_values
from tests.chat_stub import ChatStub
from tests.conftest import save_tiny, save_tiny_llama, save_tiny_t5
from tests.score_stub import ScoreStub
from tests.test_configs import MUST_BE_GIVEN


@pytest.fixture(scope="session")
def backbones(tmp_path_factory):
    """A tiny checkpoint for every kind of network."""
    root = tmp_path_factory.mktemp("backbones")
    colbert = save_tiny(root / "colbert", max_position_embeddings=512)
    state = load_file(colbert / "model.safetensors")
    state = {name: value for name, value in state.items() if name.startswith("bert.")}
    state["linear.weight"] = torch.randn(128, 32, generator=torch.Generator().manual_seed(0))
    save_file(state, colbert / "model.safetensors", {"format": "pt"})
    server = ChatStub(lambda _: "[2] > [1]")
    scores = ScoreStub(lambda _, document: len(document) / 100)
    yield {
        "endpoint": server.url,
        "scores": scores.url,
        "pair": save_tiny(root / "bert", max_position_embeddings=512),
        "late": colbert,
        "t5": save_tiny_t5(root / "t5"),
        "t5-encoder": save_tiny_t5(root / "t5-encoder", "encoder"),
        "causal": save_tiny_llama(root / "llama", words=ANSWERS, max_position_embeddings=9000),
        "causal-head": save_tiny_llama(root / "llama-head", head=True),
    }
    server.close()
    scores.close()


ANSWERS = 9 * " true false A B C D E F G H I J K L M N O P Q R S T"
"""What a causal model's first token may be; yes and no it has."""
KINDS = {"CrossEncoder": "pair", "LateInteraction": "late", "CausalReranker": "causal"}
KINDS |= {"T5Reranker": "t5", "DuoT5": "t5", "DuoBERT": "pair", "LocalGenerator": "causal"}


def reranker_options():
    """Every option; all but the first that names a class need minutes together."""
    named = set()
    for name in list_options()["reranker"]:
        file = OmegaConf.load(find_config_folder() / "reranker" / f"{name}.yaml")
        first = "_target_" in file and file["_target_"] not in named
        named.add(file.get("_target_"))
        yield pytest.param(name, marks=[] if first else [pytest.mark.ci])


def contract_of(node):
    """The contract that an option gives or that is published; any one for a causal model."""
    published = find_published(node["checkpoint"])
    known = node.get("contract") or (published.contract.name if published else None)
    return known or ("qwen3-reranker" if node["_target_"].endswith("CausalReranker") else None)


def small_overrides(node, backbones, path="reranker"):
    """Replace every checkpoint by a tiny one, naming the contract that the hub id stood for."""
    kind = KINDS.get(node.get("_target_", "").rpartition(".")[2])
    if kind is not None:
        contract = contract_of(node) if "contract" in node else None
        if contract in ("rankt5-encoder", "rankllama", "qwen3-reranker-seq-cls"):
            kind = {"t5": "t5-encoder", "causal": "causal-head"}[kind]
        if node.get("grown_layers"):
            kind = "pair"
        yield f"{path}.checkpoint={backbones[kind]}"
        if contract is not None and kind == "late":
            contract = "colbertv2"  # markers and width of others are those of their vocabularies
        if isinstance(contract, str) and kind != "pair":
            yield f"{path}.contract={contract}"
    yield from (f"{path}.{name}=2" for name in ("layers", "thinking_tokens") if node.get(name))
    for key, value in node.items():
        if isinstance(value, dict):
            yield from small_overrides(value, backbones, f"{path}.{key}")


def stub_override(node, backbones):
    """Replace a server by the stub."""
    if "base_url" in node.get("generator", {}):
        yield f"reranker.generator.base_url={backbones['endpoint']}"
    if node["_target_"].endswith("ServedReranker"):
        yield from (f"reranker.base_url={backbones['scores']}", "reranker.model=some/model")


@pytest.mark.parametrize("name", list(reranker_options()))
def test_it_trains_where_it_can_and_reranks(name, backbones, beir_folder, tmp_path):
    given = MUST_BE_GIVEN.get(("reranker", name), [])
    node = compose_values("run", [f"reranker={name}", *given])["reranker"]
    words = [
        *("run", f"reranker={name}", *given, *small_overrides(node, backbones)),
        *stub_override(node, backbones),
        *("collection=files", f"collection.folder={beir_folder}", "retriever=bm25"),
        *("negatives=random", "training=smoke", "depth=6", "latency_queries=1", "study=s"),
        *("interpolate=false", f"output={tmp_path}", "name=cell"),
    ]
    assert main(words) == 0
    result = json.loads((tmp_path / "s" / "cell" / "seed=0" / "result.json").read_text())
    assert result["status"] == "done"
    assert result["queries"]["scored"] == 20
    is_served = node["_target_"].endswith("ServedReranker")
    assert (result["backend"] == "served") == (result["precision"] is None) == is_served
    assert bool(result["servers"]) == is_served
    trains = any(
        word in json.dumps(node) for word in ("CrossEncoder", "T5", "Duo", "Late", "Causal")
    )
    untrained = {"Cascade", "Interpolated", "WithinBudget"}
    if trains and node["_target_"].rpartition(".")[2] not in untrained:
        assert result["training"]["steps"] == 2
        card = (tmp_path / "s" / "cell" / "seed=0" / "checkpoint" / "README.md").read_text()
        assert "pipeline_tag: text-ranking" in card
        assert "negatives_per_positive 2" in card
        assert f"| MRR@10  | {result['measures']['MRR@10']:.4f} |" in card
