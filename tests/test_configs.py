"""Every option of every group: it builds, and its keys are the arguments of what it feeds."""

import inspect
from dataclasses import fields

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from recross.config import (
    ConfigError,
    about,
    build,
    composed,
    config_folder,
    find_problems,
    options,
    resolved,
)

GROUPS = [g for g in options() if g not in ("experiment", "row")]
OPTIONS = [(group, name) for group in GROUPS for name in options()[group]]
MUST_BE_GIVEN = {
    ("collection", "files"): ["collection.folder=somewhere"],
    ("collection", "trec_files"): [
        "collection.documents=d.tsv",
        "collection.queries=q.tsv",
        "collection.qrels={test: test.qrels}",
    ],
    ("collection", "ir_datasets"): ["collection.splits={test: beir/nfcorpus/test}"],
    ("retriever", "run_file"): ["retriever.path=run.trec"],
    ("reranker", "cross_encoder"): ["reranker.checkpoint=some/model"],
    ("reranker", "causal_lm"): ["reranker.checkpoint=some/model"],
}


def values(*overrides):
    return resolved(composed("run", list(overrides)))


@pytest.mark.parametrize("group, name", OPTIONS)
def test_every_option_builds(group, name):
    given = MUST_BE_GIVEN.get((group, name), [])
    experiment = build(values(f"{group}={name}", *given))
    assert getattr(experiment, group) is not None


def nodes(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value)


@pytest.mark.parametrize("group, name", OPTIONS)
def test_an_options_keys_are_the_arguments_of_its_class(group, name):
    raw = OmegaConf.to_container(OmegaConf.load(config_folder() / group / f"{name}.yaml"))
    for node in nodes(raw):
        parameters = inspect.signature(get_object(node["_target_"])).parameters
        assert node.keys() - {"_target_"} <= parameters.keys()


@pytest.mark.parametrize("group, name", OPTIONS)
def test_a_file_states_every_argument_that_a_user_may_want_to_set(group, name):
    raw = OmegaConf.load(config_folder() / group / f"{name}.yaml")
    declared = fields(get_object(raw._target_))
    silent = {"alias", "enabled", "name"}  # not the user's business, or optional names
    if name != "hybrid":
        assert {field.name for field in declared if field.init} - silent <= raw.keys() | silent


@pytest.mark.parametrize("group, name", [(g, n) for g in options() for n in options()[g]])
def test_every_option_says_what_it_is(group, name):
    assert len(about(group, name)) > 10


@pytest.mark.parametrize("row", options()["row"])
def test_every_row_builds_and_has_a_label(row):
    assert build(values(f"row={row}", "training=none")).label


@pytest.mark.parametrize("experiment", options()["experiment"])
def test_every_named_study_composes_into_cells_that_build(experiment):
    cfg = composed("run", [f"experiment={experiment}"])
    params = cfg.hydra.sweeper.params
    first = [f"{key}={str(value).split(',')[0]}" for key, value in params.items()]
    built = build(resolved(composed("run", [f"experiment={experiment}", *first])))
    assert built.study == experiment


def test_all_problems_are_reported_at_once_with_key_rule_and_value():
    bad = values("negatives.depth=ten", "retriever.index=Tree", "seed=x", "+retriever.colour=red")
    with pytest.raises(ConfigError) as caught:
        build(bad)
    problems = sorted(caught.value.problems)
    assert len(problems) == 4
    assert problems[0].startswith("negatives.depth: Input should be a valid integer")
    assert problems[0].endswith("got 'ten'")
    assert problems[1].startswith(
        "retriever.colour: unknown; recross.retrieval.biencoder.BiEncoder"
    )
    assert problems[2] == "retriever.index: Input should be 'Flat', 'HNSW' or 'IVF', got 'Tree'"
    assert problems[3].startswith("seed: Input should be a valid integer")


def test_rules_of_constructors_are_reported_with_their_group():
    with pytest.raises(ConfigError, match=r"negatives: skip must lie in \[0, depth=50\), got 60"):
        build(values("negatives.skip=60"))


@pytest.mark.parametrize(
    "target", ["os.system", "recrossing.Thing", "recross.nothing.Here", "recross.store.fingerprint"]
)
def test_targets_that_are_no_class_of_the_package_are_refused(target):
    with pytest.raises(ConfigError, match=r"retriever._target_: must name a class of recross"):
        build(values(f"retriever._target_={target}"))


def test_a_part_of_the_wrong_kind_is_refused():
    wrong = dict(values(), retriever={"_target_": "recross.training.losses.Listwise"})
    assert any("retriever: must be a Retriever" in problem for problem in find_problems("", wrong))
    wrong = dict(values(), retriever="bm25")
    assert any("retriever: must be a Retriever" in problem for problem in find_problems("", wrong))
    wrong = dict(values(), loss={"_target_": "recross.retrieval.bm25.BM25"})
    assert any(problem.startswith("loss: must be") for problem in find_problems("", wrong))


def test_missing_values_are_all_named():
    with pytest.raises(ConfigError) as caught:
        values("collection=files", "retriever=run_file")
    assert caught.value.problems == [
        "collection.folder: must be given, got nothing",
        "retriever.path: must be given, got nothing",
    ]


def test_an_unknown_option_lists_the_options():
    with pytest.raises(
        ConfigError, match=r"Could not find 'retriever/bm52'(?s:.*)biencoder(?s:.*)bm25"
    ):
        values("retriever=bm52")


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match="Could not override 'retriever.k9'"):
        values("retriever=bm25", "retriever.k9=1")


def test_names_say_what_was_chosen():
    assert values()["name"] == "biencoder.embedded_l2"
    chosen = values("retriever=bm25", "negatives=random", "training.steps=8", "seed=3")
    assert chosen["name"] == "bm25.embedded_l2.negatives=random.steps=8"
