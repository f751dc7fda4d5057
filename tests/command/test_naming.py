"""What a combination is called in tables."""

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
