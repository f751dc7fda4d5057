"""What a combination is called in tables."""

import re
import shlex

import pytest

from recross.command.composition import compose_values


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (["retriever=biencoder", "reranker=none"], "bi-encoder"),
        (["retriever=biencoder", "reranker=minilm_l6"], "bi-encoder + minilm_l6"),
        (["retriever=bm25", "reranker=monot5_base"], "BM25 + monot5_base"),
        (["retriever=splade", "reranker=none"], "splade"),
    ],
)
def test_a_label_names_the_first_stage_and_a_re_ranker_where_there_is_one(words, label):
    assert compose_values("run", [*words, "label=${recross.label:}"])["label"] == label


def test_the_table_on_ms_marco_calls_the_bi_encoder_alone_by_its_name():
    study = ["experiment=msmarco_table", "reranker=none"]
    assert compose_values("run", study)["label"] == "bi-encoder"


def name_of(*words):
    return compose_values("run", words)["name"]


BEGIN = "bm25.cross_encoder"
NETWORK = ["retriever=bm25", "reranker=cross_encoder"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["training.steps=8"], "checkpoint=x.steps=8"),
        (["depth=10"], "depth=10.checkpoint=x"),
        (
            ["negatives.depth=10"],
            "negatives.depth=10.checkpoint=x",
        ),  # there is a depth of the whole
        (["reranker.max_length=48"], "checkpoint=x.max_length=48"),
        (["measures=[MRR@10,nDCG@10]"], "measures=MRR@10,nDCG@10.checkpoint=x"),
        (["train_split='dev'"], "checkpoint=x.train_split=dev"),
        (["loss=kl", "loss.temperature=0.5"], "temperature=0.5.loss=kl.checkpoint=x"),
    ],
)
def test_a_name_has_the_last_part_of_a_key_where_that_tells_it_apart(words, name):
    assert name_of(*NETWORK, "reranker.checkpoint=x", *words) == f"{BEGIN}.{name}"


def test_two_trained_checkpoints_are_never_in_one_folder():
    paths = ["out/a/seed=0/checkpoint", "out/b/seed=0/checkpoint", "out/b/seed=0/checkpoint/"]
    first, second, same = (name_of(*NETWORK, f"reranker.checkpoint='{path}'") for path in paths)
    assert first.startswith(f"{BEGIN}.checkpoint=checkpoint-")
    assert len({first, second, same}) == 3
    assert name_of(*NETWORK, f'reranker.checkpoint="{paths[0]}"') == first


@pytest.mark.parametrize("value", ["a b", "a&b", "a$(b)", "é|b", "a\\\\b", "a;b", "a*b", "a~b"])
def test_a_folder_needs_no_quotes(value):
    name = name_of(*NETWORK, f"reranker.checkpoint='{value}'", "measures=[MRR@10]")
    assert shlex.quote(name).strip("'") == name
    assert re.fullmatch(r"[\w.,=+@%:-]+", name)
    assert name != name_of(*NETWORK, "reranker.checkpoint=ab", "measures=[MRR@10]")


def test_two_keys_that_end_alike_are_told_apart():
    words = ["retriever=biencoder", "retriever.checkpoint=x", "reranker=cross_encoder"]
    name = name_of(*words, "reranker.checkpoint=x")
    assert name == "biencoder.cross_encoder.reranker.checkpoint=x.retriever.checkpoint=x"
