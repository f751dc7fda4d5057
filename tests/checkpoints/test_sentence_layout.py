"""What a bi-encoder's own files say, and what its record adds."""

import json

import pytest

from recross.checkpoints import sentence_layout
from recross.checkpoints.first_stage_contracts import BiEncoderContract
from recross.checkpoints.published.record import describe_embedder
from recross.checkpoints.resolution import save_contract
from recross.checkpoints.sentence_layout import read_bi_encoder, read_prompts, with_choices
from recross.errors import InputError

RECORD = describe_embedder(
    "some/encoder", pooling="cls", max_length=99, prompts=("q: ", "d: "), similarity="dot"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A chain of modules with a record, as sentence-transformers 2 wrote it."""
    names = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in names]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
    (tmp_path / "1_Pooling").mkdir()
    pooling = {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(pooling))
    monkeypatch.setattr(sentence_layout, "find_published", lambda _: RECORD)
    return tmp_path


def say(folder, **settings):
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return read_bi_encoder(str(folder))


def test_a_record_says_what_the_files_do_not(folder):
    found = say(folder, similarity_fn_name=None)
    assert (found.pooling, found.max_length, found.normalise) == ("lasttoken", 20, True)
    assert (found.query_prompt, found.document_prompt, found.similarity) == ("q: ", "d: ", "dot")
    (folder / "sentence_bert_config.json").unlink()
    assert say(folder).max_length == 99
    (folder / "modules.json").unlink()
    assert read_bi_encoder(str(folder)) == RECORD.contract


def test_the_files_come_before_the_record_and_a_stored_contract_before_both(folder):
    found = say(folder, prompts={"query": "own: "}, similarity_fn_name="cosine", truncate_dim=7)
    assert (found.query_prompt, found.document_prompt) == ("own: ", "")
    assert (found.similarity, found.truncate_dim) == ("cosine", 7)
    stored = BiEncoderContract("stored", "max", 13)
    save_contract(stored, folder)
    assert read_bi_encoder(str(folder)) == stored


@pytest.mark.parametrize(
    "prompts, expected",
    [
        (None, ("", "")),
        ({"query": "q", "document": "d", "passage": "p"}, ("q", "d")),
        ({"query": "q", "document": None, "corpus": "c", "passage": "p"}, ("q", "p")),
        ({"corpus": "c"}, ("", "c")),
        ({"document": "", "passage": "p"}, ("", "")),  # as today's library saves and reads it
        ({"retrieval": "r"}, ("", "")),
    ],
)
def test_prompts_are_found_by_the_names_of_their_side(prompts, expected):
    assert read_prompts({"prompts": prompts, "default_prompt_name": "retrieval"}) == expected


def test_a_similarity_that_is_no_product_is_refused(folder):
    with pytest.raises(InputError, match="must be cosine or dot, got 'manhattan'"):
        say(folder, similarity_fn_name="manhattan")


def test_a_choice_overrides_and_none_leaves_what_is_said():
    chosen = with_choices(RECORD.contract, max_length=None, query_prompt="", similarity="cosine")
    assert (chosen.max_length, chosen.query_prompt, chosen.similarity) == (99, "", "cosine")
    with pytest.raises(InputError, match="pooling must be of mean, cls, .* got 'median'"):
        with_choices(RECORD.contract, pooling="cls+median")
