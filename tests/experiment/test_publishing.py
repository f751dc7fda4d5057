"""What a hub is sent, and whether it understands the card."""

import pytest
from huggingface_hub import HfApi, ModelCard

from recross.command.cli import main
from recross.errors import InputError, RunError
from recross.experiment.model_card import write_card
from recross.experiment.publishing import push_to_hub
from tests.small_study import AFTER, BEFORE, record


@pytest.fixture
def folder(tmp_path):
    """An experiment's folder as a finished one leaves it."""
    made = tmp_path / "checkpoint"
    made.mkdir()
    (made / "recross_contract.json").write_text('{"template": "{query} {document}"}')
    (made / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    (made / "model.safetensors").write_bytes(bytes(3_000_000))
    (made / "manifest.json").write_text("{}")
    part = {"class": "A", "b": 1}
    result = {
        **record("bm25 + mine", AFTER, BEFORE),
        **dict.fromkeys(("reranker", "training_data", "loss", "recipe"), part),
        "training": {"steps": 1, "pairs": 1, "seconds": 1.0, "best_step": 1},
        "base_checkpoint": "microsoft/MiniLM-L12-H384-uncased",
        "collection_name": "beir/scifact",
        "measures": {"MRR@10": 0.75, "nDCG@10": 0.5},
    }
    result["intervals"] = {name: [0.0, 1.0] for name in result["measures"]}
    result["first_stage_measures"] = result["measures"]
    write_card(made, result, ["recross", "run"])
    return tmp_path


def test_a_dry_push_sends_nothing_and_leaves_a_card_that_the_hub_reads(folder, capsys):
    words = ["--to", "me/mine", "--licence", "apache-2.0", "--datasets", "BeIR/scifact"]
    assert main(["push", str(folder), *words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "model.safetensors  3.00 MB" in said
    assert "manifest.json" not in said.partition("---")[0]
    card = ModelCard.load(folder / "checkpoint" / "README.md")
    data = card.data.to_dict()
    assert data["base_model"] == "microsoft/MiniLM-L12-H384-uncased"
    assert (data["license"], data["datasets"]) == ("apache-2.0", ["BeIR/scifact"])
    assert (data["pipeline_tag"], data["library_name"]) == ("text-ranking", "sentence-transformers")
    measured = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert measured == {"MRR@10": 0.75, "nDCG@10": 0.5}
    assert {result.dataset_name for result in card.data.eval_results} == {"beir/scifact"}
    assert 'CrossEncoder("me/mine").rank(' in card.text
    assert 'load_reranker("me/mine")' in card.text


def test_the_measures_of_a_card_are_a_table_that_lines_up(folder):
    text = (folder / "checkpoint" / "README.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("|")] == [
        "| measure |  value |  95 % interval | first stage alone |",
        "|---------|-------:|---------------:|------------------:|",
        "| MRR@10  | 0.7500 | [0.000, 1.000] |            0.7500 |",
        "| nDCG@10 | 0.5000 | [0.000, 1.000] |            0.5000 |",
    ]


def test_what_is_pushed_are_the_files_without_our_own_records(folder, monkeypatch):
    sent = {}
    monkeypatch.setattr(HfApi, "create_repo", lambda _self, _repo_id, **more: sent.update(more))
    monkeypatch.setattr(HfApi, "upload_folder", lambda _self, **more: sent.update(more))
    said = push_to_hub(folder, "me/mine", private=True)
    assert said == "sent to https://huggingface.co/me/mine"
    assert sent["private"] is True
    assert sent["folder_path"] == folder / "checkpoint"
    assert "manifest.json" in sent["ignore_patterns"]


def test_a_hub_that_refuses_is_one_line(folder, monkeypatch):
    def refuse(_self, _repo_id, **_more):
        raise OSError("no network\nat all")

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    with pytest.raises(RunError, match="the hub must take me/mine, and said: no network at all"):
        push_to_hub(folder, "me/mine")


def test_what_is_no_checkpoint_or_no_name_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"repo_id must be user/name, got 'a/b/c'"):
        push_to_hub(folder, "a/b/c", dry=True)
    with pytest.raises(InputError, match=r"folder must hold a checkpoint with a README.md"):
        push_to_hub(tmp_path / "nothing", "me/mine", dry=True)
