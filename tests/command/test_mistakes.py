"""Mistakes on a command line: each is met, all in one message, with what was meant."""

import pytest

from recross.command.building import build, load_experiment
from recross.command.cells import check_cells
from recross.command.cli import main
from recross.command.composition import compose_values
from recross.errors import ConfigError


def problems_of(*words):
    with pytest.raises(ConfigError) as raised:
        load_experiment(*words)
    return raised.value.problems


def test_an_option_whose_checkpoint_another_choice_replaces_is_refused():
    (problem,) = problems_of("experiment=scifact", "reranker=embedded_reranker")
    assert problem.startswith(
        "reranker: its checkpoint is trained by trained@reranker.checkpoint=embedded_l6, which"
        " takes the place of that of reranker=embedded_reranker; leave it out"
    )
    said = [
        (["~trained@reranker.checkpoint", "reranker=embedded_reranker"], "embedded:reranker-l6"),
        (["reranker.checkpoint=a/b", "reranker=cross_encoder"], "a/b"),
    ]
    for words, checkpoint in said:
        reranker = compose_values("run", ["experiment=scifact", *words])["reranker"]
        assert reranker["checkpoint"] == checkpoint


@pytest.mark.parametrize(
    "word, problem",
    [
        ("rerankr=none", "rerankr: unknown; did you mean reranker?"),
        ("depht=3", "depht: unknown; did you mean depth?"),
        ("trainig.steps=3", "trainig.steps: unknown; did you mean training.steps?"),
        ("seed.x=1", "seed.x: unknown; seed is 0, and takes no keys"),
        (
            "negatives.skp=3",
            "negatives.skp: unknown; negatives takes ..., filters; did you mean skip?",
        ),
        (
            "reranker=minilm6",
            "reranker: must be one of the ... that `recross options reranker` lists, got"
            " 'minilm6'; did you mean minilm_l6, minilm_l2 or minilm_l4?",
        ),
        (
            "reranker=cross-encoder/ms-marco-MiniLM-L6-v2",
            "reranker: must be an option, not a checkpoint, got"
            " 'cross-encoder/ms-marco-MiniLM-L6-v2'; did you mean reranker=minilm_l6?",
        ),
        (
            "reranker=some/model",
            "reranker: must be an option, not a checkpoint, got 'some/model'; did you mean"
            " reranker=cross_encoder reranker.checkpoint=some/model?",
        ),
        (
            "hardware.precision=fastes",
            "hardware.precision: must be fp32, bf16, ..., got 'fastes'; did you mean fastest?",
        ),
    ],
)
def test_a_mistake_says_what_was_meant(word, problem):
    (said,) = problems_of(word)
    before, _, after = problem.rpartition("...")
    assert said.startswith(before)
    assert said.endswith(after)


def test_no_mistake_hides_another_wherever_it_is_noticed():
    said = problems_of(
        *("rerankr=none", "depth=0", "hardware.precision=fp16", "negatives.skip=500"),
        *("retriever=bm25", "retriever.stemmer=klingon", "measures=[nDCGG@3,MRR@10,MRR@10]"),
        *("study=a/b",),
    )
    assert said[0] == "rerankr: unknown; did you mean reranker?"
    assert {problem.partition(" ")[0] for problem in said} == {
        *("rerankr:", "depth:", "negatives.skip:", "measures:", "study:"),
    }
    without_it = problems_of(
        *("depth=0", "hardware.precision=fp16", "negatives.skip=500"),
        *("retriever=bm25", "retriever.stemmer=klingon", "measures=[nDCGG@3,MRR@10,MRR@10]"),
        *("study=a/b",),
    )
    assert {problem.partition(" ")[0] for problem in without_it} == {
        *("depth:", "negatives.skip:", "measures:", "study:", "retriever:", "hardware:"),
    }
    assert len(without_it) == 7  # two of measures
    assert any("did you mean nDCG" in problem for problem in without_it)


def test_a_value_that_is_not_given_hides_no_other():
    assert problems_of("collection=files", "depth=0") == [
        "collection.folder: must be given, got nothing",
        "depth: must be at least 1, got 0",
    ]


def test_keys_of_an_option_that_is_unknown_are_not_judged_by_another_options():
    (said,) = problems_of("reranker=duobrt", "reranker.strategy=x")
    assert said.endswith("did you mean duobert?")


def test_all_cells_of_a_sweep_are_told_in_one_message():
    with pytest.raises(ConfigError) as raised:
        check_cells("run", ["reranker=none,orakle", "depth=0,5", "seed=1,-1"], True, None)
    starts = {problem.partition(":")[0] for problem in raised.value.problems}
    assert starts == {"reranker", "depth", "seed"}
    assert len(raised.value.problems) == 3


def test_a_part_is_not_built_of_what_is_wrong_and_its_own_rule_is_told_after():
    values = compose_values("run", ["retriever=bm25", "reranker=none", "depth=0"])
    assert isinstance(values["retriever"], dict)
    values["retriever"]["stemmer"] = "klingon"
    with pytest.raises(ConfigError) as raised:
        build(values)
    assert raised.value.problems[0] == "depth: must be at least 1, got 0"
    assert raised.value.problems[1].startswith("retriever: stemmer must be one of ")


def test_the_version_is_said(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("recross ")


def test_a_misspelt_command_group_or_flag_names_the_closest(caplog):
    assert main(["rnu"]) == 2
    assert "got 'rnu'; did you mean run?" in caplog.text
    assert main(["options", "rerankers"]) == 2
    assert "got 'rerankers'; did you mean reranker?" in caplog.text
    assert main(["run", "--multirum"]) == 2
    assert "got '--multirum'; did you mean --multirun?" in caplog.text
