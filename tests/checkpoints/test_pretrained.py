"""Loading: every kind of model is the one that Hugging Face makes of the same folder."""

import json
import re

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from recross.checkpoints.location import (
    find_pinned_revision,
    find_revision,
    find_revisions,
    is_at_hand,
)
from recross.checkpoints.pretrained import load
from recross.checkpoints.weight_files import align_weights
from recross.errors import InputError
from recross.parts.identity import describe
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny, save_tiny_llama


def test_a_masked_language_model_gives_the_logits_of_hugging_face(tmp_path):
    folder = save_tiny(tmp_path / "bert")
    config = transformers.AutoConfig.from_pretrained(folder)
    torch.manual_seed(1)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    found = load("masked_lm", str(folder))
    inputs = found.tokenizer(["here lives a red cat"], return_tensors="pt")
    expected = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = found.model(**inputs).logits
        assert torch.equal(logits, expected(**inputs).logits)
    assert logits.shape[-1] == config.vocab_size and not found.head_is_fresh


NEWEST = "0" * 40
PUBLISHED = "BAAI/bge-reranker-base"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub's cache in which an id's newest commit has one layer, and others as many as asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def fill(name, **layers_of_commits):
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(NEWEST)
        for commit, layers in {NEWEST: 1, **layers_of_commits}.items():
            save_tiny(repository / "snapshots" / commit, num_hidden_layers=layers)

    return fill


def test_a_published_checkpoint_is_read_at_its_pinned_revision(hub):
    pinned = find_pinned_revision(PUBLISHED)
    hub(PUBLISHED, **{pinned: 2})
    found = load("sequence_classifier", PUBLISHED)
    assert found.config.num_hidden_layers == len(found.model.bert.encoder.layer) == 2
    assert found.revision == find_revision(PUBLISHED) == pinned
    assert describe(CrossEncoder(PUBLISHED))["checkpoint"] == f"{PUBLISHED}@{pinned}"


def test_another_revision_in_the_cache_is_not_taken_for_the_pinned_one(hub):
    hub(PUBLISHED)
    assert not is_at_hand(PUBLISHED)
    with pytest.raises(
        InputError, match=f"config at its pinned revision {find_pinned_revision(PUBLISHED)}"
    ):
        load("sequence_classifier", PUBLISHED)


def test_what_is_not_pinned_is_the_newest_and_its_commit_is_told(hub, tmp_path):
    hub("no/body")
    assert load("sequence_classifier", "no/body").revision == find_revision("no/body") == NEWEST
    assert describe(CrossEncoder("no/body"))["checkpoint"] == "no/body"
    assert find_revision("some/body") is None
    folder = str(save_tiny(tmp_path / "folder"))
    assert find_revision(folder) is None
    assert find_revision("a/folder/that/is/gone") is None
    assert find_revisions(["no/body", folder, "some/body"]) == {"no/body": NEWEST}


def cut_file(path):
    path.write_bytes(path.read_bytes()[:-7])
    return f"weights of a checkpoint must be whole files, got {path} of"


def make_integers(path):
    weights = load_file(path)
    name = "bert.embeddings.word_embeddings.weight"
    save_file({**weights, name: weights[name].to(torch.int8)}, path, {"format": "pt"})
    return f"must be floating-point numbers, got {name} of I8 in {path}"


def leave_out_a_part(path):
    index = path.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": {"x": "part-1.safetensors"}}))
    path.unlink()
    return f"every file that {index} names must lie beside it, got no part-1.safetensors"


def put_a_pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 7\n")
    return f"got a pointer of git's large-file storage in place of {path}"


@pytest.mark.parametrize("damage", [cut_file, make_integers, leave_out_a_part, put_a_pointer])
@pytest.mark.parametrize("place", ["folder", "hub"])
def test_damaged_weights_are_one_error_in_a_folder_and_in_the_hubs_cache(
    hub, tmp_path, damage, place
):
    if place == "folder":
        checkpoint = str(folder := save_tiny(tmp_path / "folder"))
    else:
        hub(checkpoint := "no/body")
        folder = tmp_path / "models--no--body" / "snapshots" / NEWEST
    problem = damage(folder / "model.safetensors")
    with pytest.raises(InputError, match=re.escape(problem)):
        load("sequence_classifier", checkpoint)


@pytest.mark.parametrize("asked", ["flash_attention_2", "eager", None])
@pytest.mark.parametrize("kind", ["llama", "bert-padded"])
def test_a_config_that_asks_for_another_attention_gets_torchs_own(kind, asked, tmp_path):
    if kind == "llama":
        folder = save_tiny_llama(tmp_path, head=True)
    else:
        folder = save_tiny(tmp_path, hidden_act="relu")
    expected = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32
    )
    align_weights(expected.parameters())  # which decides the last digit on some processors
    path = folder / "config.json"
    names = ("attn_implementation", "_attn_implementation")
    path.write_text(json.dumps(json.loads(path.read_text()) | dict.fromkeys(names, asked)))
    model = load("sequence_classifier", str(folder)).model
    assert model.config._attn_implementation == "sdpa"
    tokens = torch.arange(5, 15)[None]
    assert torch.equal(model(input_ids=tokens).logits, expected.eval()(input_ids=tokens).logits)
